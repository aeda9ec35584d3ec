/* softnet status. */
#pragma once
#include "softnet/options/options.h"

/* The exit status; 2: the error says what is wrong with the options. */
int show_status(const struct options *, FILE *to, struct error *);
