/* What a guard does besides deciding: it starts, keeps time, and forgets. */
#include "core/guard.h"
#include "core/learn4/lease.h"
#include "core/learn4/snoop_anchors4.h"
#include "core/learn6/lease6.h"
#include "core/names/names.h"

void fill_buckets(const struct config *config, struct buckets *buckets, uint64_t now_ms)
{
	for (uint32_t i = 0; i < RATE_CLASSES_END; i++) {
		struct bucket full = { (uint64_t)config->rates[i].burst * 1000, now_ms };
		if (i < FIRST_PEER_RATE)
			buckets->of[i] = full;
		for (uint32_t peer = 0; peer < PEER_BUCKETS && i >= FIRST_PEER_RATE; peer++)
			buckets->of_peer[i - FIRST_PEER_RATE][peer] = full;
	}
}

void start_guard(struct guard *guard, uint64_t now_ms)
{
	fill_buckets(guard->config, guard->buckets, now_ms);
	clear_flows(guard->flows, guard->state->hash_key);
	if (guard->names != 0)
		start_names(guard->names, guard->state->hash_key);
}

void take_away(struct guard *guard, struct address a, const char *why, uint64_t now_ms)
{
	struct binding *lease = find_lease(guard->state, a);
	struct binding6 *lease6 = find_lease6(guard->state, a);
	if (lease)
		remove_lease(guard, lease, why);
	if (lease6)
		remove_lease6(guard, lease6, why, now_ms);
}

bool add_static_binding(struct state *state, struct address a, uint32_t prefix_length, uint64_t now_ms)
{
	return is_ipv4(a) ? add_static_binding4(state, a, prefix_length, now_ms)
			  : add_static_binding6(state, a, prefix_length, now_ms);
}

static uint64_t earlier(uint64_t a_ms, uint64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}

uint64_t expire_bindings(struct guard *guard, uint64_t now_ms)
{
	uint64_t next_ms = earlier(expire_bindings6(guard, now_ms), ask_routers4(guard, now_ms));
	return earlier(next_ms, expire_bindings4(guard, now_ms));
}

void relearn(struct state *state)
{
	forget_anchors4(state);
	state->ipv6.server = (struct learned_server6){ 0 };
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++)
		state->ipv6.routers[i].locked_ms = 0;
	state->past = (struct past){ .had_lease = 0 };
}
