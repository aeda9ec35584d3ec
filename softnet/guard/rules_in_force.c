/* Rules are built aside and swapped between two frames, for every caller. */
#include "softnet/guard/rules_in_force.h"
#include <string.h>
#include "softnet/guard/hold_relay.h"
#include "softnet/guard/kernel_relay.h"
#include "softnet/guard/claiming.h"
#include "system/log.h"
#include "softnet/setup/setup.h"

/* One is in force, unless the rules are still those of the start; one may be read aside; so one is always left. */
static struct rule_list own_lists[RULE_LISTS];

struct rule_list *next_rules(const struct relay *r)
{
	struct rule_list *rules = r->rule_lists ? r->rule_lists : own_lists;
	while (rules == r->rules || rules == r->rules_aside)
		rules++;
	rules->count = 0;
	return rules;
}

/* Streams are looked into, frame by frame. */
static void stop_offload(struct relay *r)
{
	for (int side = 0; side < DIRECTIONS; side++)
		if (r->port[side] && r->port[side]->kind->stop_offload)
			r->port[side]->kind->stop_offload(r->port[side]);
}

/* The config has them already. What has waited is judged by them. */
static void follow_new_config(struct relay *r)
{
	leave_hold(r);
	note_new_policy(r);
	begin_capture_section(r->capture, r->now_ms);
}

/* They were compiled as if no VM had an address. */
static void follow_new_rules(struct relay *r, const struct rule_list *rules, bool name_hosts, int allowing,
			     const char *who)
{
	if (name_hosts)
		stop_offload(r);
	r->rules = rules;
	follow_new_config(r);
	r->vms.count = 0;
	follow_other_vms(r);
	info("%s: %u rules are in force", who, (unsigned)rules->count);
	announce_policy(&r->announcer, allowing, (int)rules->count - allowing, r->now_ms);
}

bool may_name_hosts(bool is_in_kernel, const struct rule_list *rules, struct error *error)
{
	return !is_in_kernel || !has_names(rules) || refuse(error, "%s", NAMES_WITH_ATTACH);
}

bool put_in_force(struct relay *r, const struct rule_list *rules, const char *who, struct error *error)
{
	if (!may_name_hosts(r->kernel != NULL, rules, error) ||
	    !change_rules(r->memory, r->options, rules, NULL, r->now_ms, error))
		return false;
	follow_new_rules(r, rules, has_names(rules), count_allowing(rules), who);
	return true;
}

void compile_vms(struct relay *r)
{
	struct error error;
	if (!change_rules(r->memory, r->options, r->rules, &r->vms, r->now_ms, &error)) {
		warning("%s; no VM that rules name is open", error.text);
		change_rules(r->memory, r->options, r->rules, NULL, r->now_ms, &error);
	}
}

void put_vms_in_force(struct relay *r)
{
	compile_vms(r);
	follow_new_config(r);
}

void put_ready_in_force(struct relay *r, const struct rule_list *rules, const struct ready_rules *ready, const char *who)
{
	take_rules(r->memory, rules, ready, r->now_ms);
	follow_new_rules(r, rules, ready->name_hosts, ready->allowing, who);
}

/* Shared with the process that reads. */
struct policy_reading {
	const struct options *options;
	enum { NOTHING_TO_READ, BEING_READ, HAS_BEEN_READ } step;
	bool is_wanted, is_right; /* wanted: once more */
	struct error error;
	struct rule_list rules;
};

void prepare_reading(struct relay *r)
{
	if (r->options->policy_file_count == 0)
		return;
	r->reading = share_or_die(sizeof *r->reading);
	r->reading->options = r->options;
}

static void read_files(void *object, const uint8_t *unused, size_t none)
{
	struct policy_reading *reading = object;
	(void)unused;
	(void)none;
	reading->is_right = reread_rules(reading->options, &reading->rules, &reading->error);
	__atomic_store_n(&reading->step, HAS_BEEN_READ, __ATOMIC_RELEASE);
}

static void take_read(struct relay *r)
{
	struct policy_reading *reading = r->reading;
	struct error error = reading->error;
	struct rule_list *rules = next_rules(r);
	bool is_right = reading->is_right;
	memcpy(rules, &reading->rules, offsetof(struct rule_list, rule) + reading->rules.count * sizeof *rules->rule);
	if (is_right && same_rules(rules, r->rules))
		info("--policy: the rules are the same");
	else if (!is_right || !put_in_force(r, rules, "--policy", &error))
		warning("--policy: %s; the rules stay as they were", error.text);
}

void forget_reading(struct relay *r)
{
	if (!r->reading || r->reading->step != BEING_READ)
		return;
	r->reading->step = NOTHING_TO_READ;
	r->reading->is_wanted = true;
}

void follow_reading(struct relay *r)
{
	struct policy_reading *reading = r->reading;
	if (!reading)
		return;
	if (reading->step == NOTHING_TO_READ && reading->is_wanted) {
		reading->is_wanted = false;
		reading->step = BEING_READ;
		if (!defer(r->policy_queue,
			   &(struct deferred){ .run = read_files, .object = reading, .name = r->options->policy_files[0] }))
			forget_reading(r);
		await_deferred(r->policy_queue, DEFERRED_PATIENCE_MS);
	}
	if (__atomic_load_n(&reading->step, __ATOMIC_ACQUIRE) == HAS_BEEN_READ) {
		take_read(r);
		reading->step = NOTHING_TO_READ;
	}
}

bool is_reading(const struct relay *r)
{
	return r->reading && (r->reading->is_wanted || r->reading->step != NOTHING_TO_READ);
}

void reload_policy(struct relay *r)
{
	r->reading->is_wanted = true;
	follow_reading(r);
}
