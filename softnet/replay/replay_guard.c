/* What setup.c and loop.c do for a guard, for one that has captures in the place of ports. */
#include "softnet/replay/replay_guard.h"
#include <string.h>
#include "softnet/setup/setup.h"

/* What a live guard sees of its host. */
static void take_sights(struct config *config, const struct options *options)
{
	config->sites = options->sites;
	config->resident = options->resident;
	config->resident_mac = options->resident_mac;
}

bool start_replay_guard(struct replay_guard *replay, struct options *options, uint64_t now_ms, struct error *error)
{
	static const struct anchors nobody; /* what its uplink said stands among the options, too */
	replay->now_ms = now_ms;
	replay->rules = options->rules;
	if (!make_guard(&replay->guard, &replay->memory, options, &nobody, now_ms, error))
		return false;
	take_sights(&replay->memory.config, options);
	return true;
}

/* The relay looks after each batch, and wakes up when the next address ends. */
void advance_replay_guard(struct replay_guard *replay, uint64_t now_ms)
{
	while (replay->now_ms < now_ms) {
		uint64_t next_ms = expire_bindings(&replay->guard, replay->now_ms);
		uint64_t hold_ms = replay->memory.config.has_names ? expire_names(replay->guard.names, replay->now_ms)
								   : NEVER_EXPIRES;
		if (hold_ms < next_ms)
			next_ms = hold_ms;
		replay->now_ms = next_ms > replay->now_ms && next_ms < now_ms ? next_ms : now_ms;
	}
}

bool is_cut(const struct replay_guard *replay, const struct captured *captured)
{
	return captured->kept < captured->length && captured->length <= replay->memory.config.max_frame;
}

enum verdict decide_captured(struct replay_guard *replay, enum direction direction, const struct captured *captured)
{
	struct frame frame = { .bytes = captured->bytes, .length = captured->kept };
	if (captured->length > replay->memory.config.max_frame)
		return DROP_FRAME_OVERSIZE; /* ports read no more of it */
	return decide(&replay->guard, direction, &frame, replay->now_ms);
}

bool change_replay_guard(struct replay_guard *replay, const struct options *options, const struct rule_list *rules,
			 struct error *error)
{
	static const struct anchors nobody;
	struct config *config = &replay->memory.config;
	if (!same_rules(rules, &replay->rules)) {
		if (!change_rules(&replay->memory, options, rules, NULL, replay->now_ms, error))
			return false;
		replay->rules = *rules;
	}
	memset(&config->exposed, 0, sizeof config->exposed);
	config->exposed.count =
	    list_guest_ports(options->exposes, options->expose_count, config->exposed.item, EXPOSED_MAX);
	change_anchors(&replay->memory, options, &nobody);
	take_sights(config, options);
	return true;
}
