/* For the guard that answers, and for the client that asks. */
#include "softnet/rules/rules_json.h"

json_t *json_rules(const struct rule_list *rules, enum destination_class class)
{
	char text[RULE_TEXT];
	json_t *list = json_array();
	for (uint32_t i = 0; i < rules->count; i++)
		if (rules->rule[i].class == class &&
		    json_array_append_new(list, json_string_nocheck(format_rule(&rules->rule[i].text, text))) != 0) {
			json_decref(list);
			return NULL; /* no memory */
		}
	return list;
}

char *append_rules(char *to, const struct rule_list *rules, enum destination_class class)
{
	const char *before = "[\"";
	for (uint32_t i = 0; i < rules->count; i++) {
		if (rules->rule[i].class != class)
			continue;
		to = append_text(append_rule(append_text(to, before), &rules->rule[i].text), "\"");
		before = ",\"";
	}
	return append_text(to, before[0] == '[' ? "[]" : "]");
}
