/* `softnet policy check`: what the rules say, without a guest and a network. */
#pragma once
#include <stdio.h>
#include "softnet/options/options.h"

/*
 * Prints the normalized rules and, for each of options->tuples, what the judge would say of it and which rule decides.
 * False: the options or a tuple cannot be; what was right until then has been printed.
 */
bool check_policy(struct options *, FILE *to, struct usage_error *);
