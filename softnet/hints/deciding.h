/* Which rule refused a frame? */
#pragma once
#include "softnet/hints/hints.h"

enum { DECIDING_TEXT = RULE_TEXT + 16 };

/*
 * The rule, as `policy show` prints it, by which the policy refuses the frame, or "default" where none speaks of it. NULL:
 * no rule has a say in this verdict, or those that are in force now would say something else.
 */
const char *find_deciding(const struct trust *, const struct rule_list *, enum direction, unsigned verdict,
			  const struct specimen *, char text[DECIDING_TEXT]);
