/* softnet watch. */
#pragma once
#include "options.h"

/* The exit status; 2: the error says what is wrong with the options. */
int watch_guards(const struct options *, FILE *to, struct usage_error *);
