/* Rules are built aside and swapped between two frames, for every caller. */
#include "softnet/guard/rules_in_force.h"
#include "softnet/guard/hold_relay.h"
#include "softnet/guard/kernel_relay.h"
#include "system/log.h"
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

/* Streams are looked into, frame by frame. */
static void stop_offload(struct relay *r)
{
	for (int side = 0; side < DIRECTIONS; side++)
		if (r->port[side] && r->port[side]->kind->stop_offload)
			r->port[side]->kind->stop_offload(r->port[side]);
}

bool put_in_force(struct relay *r, const struct rule_list *rules, const char *who, struct error *error)
{
	if (r->kernel && has_names(rules))
		return refuse(error, "%s", NAMES_WITH_ATTACH);
	if (!change_rules(r->memory, r->options, rules, r->now_ms, error))
		return false;
	if (has_names(rules))
		stop_offload(r);
	leave_hold(r);
	note_new_policy(r);
	r->rules = rules;
	begin_capture_section(&r->capture, r->now_ms);
	info("%s: %u rules are in force", who, (unsigned)rules->count);
	int allowing = count_allowing(rules);
	announce_policy(&r->announcer, allowing, (int)rules->count - allowing, r->now_ms);
	return true;
}

void reload_policy(struct relay *r)
{
	struct error error;
	struct rule_list *rules = next_rules(r);
	bool is_read = reread_rules(r->options, rules, &error);
	if (is_read && same_rules(rules, r->rules))
		info("--policy: the rules are the same");
	else if (!is_read || !put_in_force(r, rules, "--policy", &error))
		warning("--policy: %s; the rules stay as they were", error.text);
}
