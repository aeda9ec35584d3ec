/* `softnet policy check`: what the rules say, without a guest and a network. */
#pragma once
#include <stdio.h>
#include "softnet/options/options.h"

/*
 * Prints the normalized rules and, for each of options->tuples, what the judge would say of it and which rule decides.
 * False: the options or a tuple cannot be; nothing has been printed.
 */
struct check_manner {
	bool is_table;   /* aligned for people; else tabs between, for programs */
	bool is_colored; /* green for what passes, red for what does not */
};
bool check_policy(struct options *, FILE *to, struct check_manner, struct error *);
