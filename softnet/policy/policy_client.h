/* `softnet policy show` and `softnet policy set`: the other end of --control. */
#pragma once
#include <stdio.h>
#include "softnet/options/options.h"

/* Asks the guard and prints the rules that are in force then. False: the error is the guard's, or says why none answers. */
bool ask_for_policy(const struct options *, FILE *to, struct error *);
