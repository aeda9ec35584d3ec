/* Rules as live control carries them: a list for each class, of rules in their normal form. And as lines, for people. */
#pragma once
#include <jansson.h>
#include <stdio.h>
#include "softnet/rules/rules.h"

json_t *json_rules(const struct rule_list *, enum destination_class);

/* "allow RULE" or "block RULE", as in a file of --policy. */
void print_rule(const struct written_rule *, FILE *to);
/* All of them; to be freed. NULL: no memory. */
char *write_rules(const struct rule_list *, size_t *octets);

/* The same as text, which needs no escapes; gives the place behind it. There is room for RULE_JSON octets a rule, and two. */
enum { RULE_JSON = RULE_TEXT + 3 };
char *append_rules(char *to, const struct rule_list *, enum destination_class);
