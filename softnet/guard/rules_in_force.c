/* Rules are built aside and swapped between two frames, for every caller. */
#include "softnet/guard/rules_in_force.h"
#include <string.h>
#include "core/flows/flow.h"
#include "system/log.h"
#include "system/platform.h"
#include "softnet/setup/setup.h"

/* One is in force, unless the rules are still those of the start; the next ones are built in the other. */
static struct rule_list lists[2];

struct rule_list *next_rules(const struct relay *r)
{
	struct rule_list *rules = r->rules == &lists[0] ? &lists[1] : &lists[0];
	rules->count = 0;
	return rules;
}

int count_allowing(const struct rule_list *rules)
{
	int count = 0;
	for (uint32_t i = 0; i < rules->count; i++)
		count += rules->rule[i].class == CLASS_ALLOWED;
	return count;
}

bool put_in_force(struct relay *r, const struct rule_list *rules, const char *who, struct usage_error *error)
{
	struct flows *flows = r->snoop.flows;
	uint64_t key[2];
	if (!apply_rules(r->options, rules, r->config, error))
		return false;
	if (!platform_random(key, sizeof key))
		memcpy(key, flows->hash_key, sizeof key);
	clear_flows(flows, key);
	r->rules = rules;
	begin_capture_section(&r->capture, r->now_ms);
	info("%s: %u rules are in force", who, (unsigned)rules->count);
	int allowing = count_allowing(rules);
	announce_policy(&r->announcer, allowing, (int)rules->count - allowing, r->now_ms);
	return true;
}

void reload_policy(struct relay *r)
{
	struct usage_error error;
	struct rule_list *rules = next_rules(r);
	bool is_read = reread_rules(r->options, rules, &error);
	if (is_read && same_rules(rules, r->rules))
		info("--policy: the rules are the same");
	else if (!is_read || !put_in_force(r, rules, "--policy", &error))
		warning("--policy: %s; the rules stay as they were", error.text);
}
