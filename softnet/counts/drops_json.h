/* What was dropped, by reason, as guard.status shows it. */
#pragma once
#include <jansson.h>
#include "softnet/counts/counters.h"

/* The rule that refused such a frame, as a text; NULL: none did. */
typedef const char *(*rule_finder)(const void *context, enum direction, unsigned verdict, const struct specimen *);

/* An array, most frequent first. find_rule may be NULL: then no rule is named. */
json_t *json_drops(const struct counters *, uint64_t now_ms, rule_finder find_rule, const void *context);
