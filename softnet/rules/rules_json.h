/* Rules as live control carries them: a list for each class, of rules in their normal form. */
#pragma once
#include <jansson.h>
#include "softnet/rules/rules.h"

json_t *json_rules(const struct rule_list *, enum destination_class);
