/* For the guard that answers, and for the client that asks. */
#include "softnet/rules/rules_json.h"
#include <stdlib.h>

void print_rule(const struct written_rule *rule, FILE *to)
{
	char text[RULE_TEXT];
	fprintf(to, "%s %s\n", rule->class == CLASS_ALLOWED ? "allow" : "block", format_rule(&rule->text, text));
}

char *write_rules(const struct rule_list *rules, size_t *octets)
{
	char *text = NULL;
	FILE *to = open_memstream(&text, octets);
	for (uint32_t i = 0; to && i < rules->count; i++)
		print_rule(&rules->rule[i], to);
	if (to && fclose(to) == 0)
		return text;
	free(text);
	return NULL;
}

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
