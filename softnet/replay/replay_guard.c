/* What setup.c and loop.c do for a guard, for one that has captures in the place of ports. */
#include "softnet/replay/replay_guard.h"
#include <string.h>
#include "softnet/setup/anchors.h"
#include "system/platform.h"
#include "softnet/setup/setup.h"

static void forget_flows(struct replay_guard *guard)
{
	uint64_t key[2];
	if (!platform_random(key, sizeof key))
		memcpy(key, guard->flows.hash_key, sizeof key);
	clear_flows(&guard->flows, key);
}

/* What a live guard sees of its host. */
static void take_sights(struct replay_guard *guard, const struct options *options)
{
	guard->config.sites = options->sites;
	guard->config.resident = options->resident;
	guard->config.resident_mac = options->resident_mac;
}

/* What its uplink said stands among the options, too. */
static void follow_anchors(struct replay_guard *guard, const struct options *options)
{
	static const struct anchors nobody;
	if (choose_anchors(options, &nobody, &guard->config))
		relearn(&guard->snoop);
}

bool start_replay_guard(struct replay_guard *guard, struct options *options, uint64_t now_ms, struct usage_error *error)
{
	struct anchors nobody;
	memset(&nobody, 0, sizeof nobody);
	guard->now_ms = now_ms;
	guard->rules = options->rules;
	if (!make_config(options, &nobody, &guard->config, error) || !make_state(options, &guard->state, now_ms, error))
		return false;
	take_sights(guard, options);
	guard->snoop = (struct snoop){
		.config = &guard->config, .state = &guard->state, .buckets = &guard->buckets, .flows = &guard->flows
	};
	fill_buckets(&guard->config, &guard->buckets, now_ms);
	forget_flows(guard);
	return true;
}

/* The relay looks after each batch, and wakes up when the next address ends. */
void advance_replay_guard(struct replay_guard *guard, uint64_t now_ms)
{
	while (guard->now_ms < now_ms) {
		uint64_t next_ms = expire_bindings(&guard->snoop, guard->now_ms);
		guard->now_ms = next_ms > guard->now_ms && next_ms < now_ms ? next_ms : now_ms;
	}
}

bool is_cut(const struct replay_guard *guard, const struct captured *captured)
{
	return captured->kept < captured->length && captured->length <= guard->config.max_frame;
}

enum verdict decide_captured(struct replay_guard *guard, enum direction direction, const struct captured *captured)
{
	struct frame frame = { captured->bytes, captured->kept };
	if (captured->length > guard->config.max_frame)
		return DROP_FRAME_OVERSIZE; /* ports read no more of it */
	return decide(&guard->snoop, direction, &frame, guard->now_ms);
}

bool change_replay_guard(struct replay_guard *guard, const struct options *options, const struct rule_list *rules,
			 struct usage_error *error)
{
	struct exposed_set *exposed = &guard->config.exposed;
	if (!same_rules(rules, &guard->rules)) {
		if (!apply_rules(options, rules, &guard->config, error))
			return false;
		forget_flows(guard);
		guard->rules = *rules;
	}
	memset(exposed, 0, sizeof *exposed);
	exposed->count = list_guest_ports(options->exposes, options->expose_count, exposed->item, EXPOSED_MAX);
	follow_anchors(guard, options);
	take_sights(guard, options);
	return true;
}
