/* The verbs `softnet` and `softnet run`: a guard, from its start to its end. */
#pragma once
#include "softnet/options/options.h"

/* The words are those of the command line, for a start as root. Gives the status to exit with. */
int run_guard(struct options *, int word_count, char **first_word);
