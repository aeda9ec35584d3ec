/* The two methods that Tart's Softnet has, too: read the rules, and replace them as a whole. */
#include <string.h>
#include "softnet/guard/rules_in_force.h"
#include "softnet/methods/control_methods.h"
#include "softnet/rules/rules_json.h"

/* Written without jansson(3): of thousands of rules it would make as many nodes, while frames wait. */
static json_t *policy_of(struct rpc_call *call, const struct rule_list *rules)
{
	enum { KEYS = 64 };
	char *text = rpc_malloc(KEYS + rules->count * (size_t)RULE_JSON), *to = text;
	if (text) {
		to = append_rules(append_text(to, "{\"allow\":"), rules, CLASS_ALLOWED);
		to = append_rules(append_text(to, ",\"block\":"), rules, CLASS_BLOCKED);
		append_text(append_number(append_text(to, ",\"ruleCount\":"), rules->count), "}");
	}
	return rpc_written(call, text);
}

json_t *policy_get(struct rpc_call *call)
{
	const struct relay *r = call->context;
	return rpc_takes_nothing(call) ? policy_of(call, r->rules) : NULL;
}

/* One array. Every rule is read before any of them counts for something. */
static bool read_rules(struct rpc_call *call, const char *key, enum destination_class class, struct rule_list *rules)
{
	size_t i;
	json_t *rule;
	struct error error;
	json_array_foreach(json_object_get(call->params, key), i, rule)
	{
		const char *text = json_string_value(rule);
		if (!text || json_string_length(rule) != strlen(text))
			return rpc_deny(call, RPC_BAD_PARAMETERS, "%s: rule %zu: expected a string without NUL", key,
					i + 1);
		if (!add_rule(rules, text, class, &error))
			return rpc_deny(call, RPC_BAD_PARAMETERS, "%s: rule %zu: %s", key, i + 1, error.text);
	}
	return true;
}

static bool check_arrays(struct rpc_call *call)
{
	static const char *const keys[] = { "allow", "block", NULL };
	if (!may_change(call) || !rpc_takes(call, keys))
		return false;
	for (int i = 0; keys[i]; i++)
		if (!json_is_array(json_object_get(call->params, keys[i])))
			return rpc_deny(call, RPC_BAD_PARAMETERS, "%s: expected an array", keys[i]);
	size_t count = json_array_size(json_object_get(call->params, keys[0])) +
		       json_array_size(json_object_get(call->params, keys[1]));
	return count <= RULES_MAX || rpc_deny(call, RPC_BAD_PARAMETERS, "allow and block: more than %d rules", RULES_MAX);
}

json_t *read_policy(struct rpc_call *call, struct rule_list *rules)
{
	if (!check_arrays(call) || !read_rules(call, "allow", CLASS_ALLOWED, rules) ||
	    !read_rules(call, "block", CLASS_BLOCKED, rules))
		return NULL;
	normalize_rules(rules);
	return policy_of(call, rules);
}

json_t *policy_set(struct rpc_call *call)
{
	struct relay *r = call->context;
	struct rule_list *rules = next_rules(r);
	struct error error;
	json_t *answer = read_policy(call, rules); /* before they are in force: without memory nothing changes */
	if (!answer || same_rules(rules, r->rules) || put_in_force(r, rules, "live control", &error))
		return answer;
	json_decref(answer);
	return rpc_refuse(call, RPC_BAD_PARAMETERS, "%s", error.text);
}
