/* Rules as live control carries them: a list for each class, of rules in their normal form. */
#pragma once
#include <jansson.h>
#include "softnet/rules/rules.h"

json_t *json_rules(const struct rule_list *, enum destination_class);

/* The same as text, which needs no escapes; gives the place behind it. There is room for RULE_JSON octets a rule, and two. */
enum { RULE_JSON = RULE_TEXT + 3 };
char *append_rules(char *to, const struct rule_list *, enum destination_class);
