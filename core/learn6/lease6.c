/* IPv6 bindings, resolvers, and the end of what was learned: fixed tables, each with a stated answer to being full. */
#include "core/learn6/lease6.h"
#include "core/judge/trust6.h"

#include <stddef.h>

uint64_t lifetime_from(uint64_t start_ms, uint32_t seconds)
{
	return seconds == UINT32_MAX ? NEVER_EXPIRES : start_ms + (uint64_t)seconds * 1000;
}

void report6(const struct guard *guard, enum event_kind kind, const struct binding6 *b, const char *why)
{
	if (!guard->event)
		return;
	struct event event = {
		.kind = kind, .address = b->address, .server = b->server, .expires_ms = b->expires_ms, .why = why
	};
	guard->event(guard->context, &event);
}

struct binding6 *find_lease6(struct state *state, struct address a)
{
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++) {
		struct binding6 *b = &state->ipv6.bindings[i];
		if (b->expires_ms != 0 && same_address(b->address, a))
			return b;
	}
	return NULL;
}

void settle_bindings6(struct state6 *state)
{
	state->bindings_end = BINDINGS6_MAX;
	while (state->bindings_end > 0 && state->bindings[state->bindings_end - 1].expires_ms == 0)
		state->bindings_end--;
}

void remember6(struct known6 *list, uint32_t count, struct address a, uint64_t until_ms)
{
	struct known6 *slot = &list[0];
	for (uint32_t i = 0; i < count; i++) {
		if (same_address(list[i].address, a)) {
			slot = &list[i];
			break;
		}
		if (list[i].until_ms < slot->until_ms)
			slot = &list[i];
	}
	*slot = (struct known6){ a, until_ms };
}

void remember_lost(struct state6 *state, struct address a, uint64_t until_ms)
{
	remember6(state->lost, LOST_MAX, a, until_ms);
}

/* The claim in the registry stays: the address is bound anew. */
static void clear_lease6(struct guard *guard, struct binding6 *b, const char *why, uint64_t now_ms)
{
	struct binding6 gone = *b;
	*b = (struct binding6){ 0 };
	settle_bindings6(&guard->state->ipv6);
	if (gone.origin == ORIGIN_DHCP)
		remember_lost(&guard->state->ipv6, gone.address, now_ms + LOST_LEASE_MS);
	report6(guard, EVENT_LEASE_LOST, &gone, why);
}

void remove_lease6(struct guard *guard, struct binding6 *b, const char *why, uint64_t now_ms)
{
	struct address address = b->address;
	if (b->origin == ORIGIN_STATIC || b->expires_ms == 0)
		return;
	clear_lease6(guard, b, why, now_ms);
	if (guard->release)
		guard->release(guard->context, address);
}

static bool is_host_address6(struct address a)
{
	return (is_global6(a) || is_unique_local(a) || is_link_local(a)) && !is_anycast_id(a.low);
}

bool is_claimable6(const struct config *config, const struct state *state, struct address a, uint64_t now_ms)
{
	return is_host_address6(a) && !is_reserved6((struct view){ config, state, now_ms }, a);
}

static uint32_t count_of(const struct state *state, enum origin6 origin, uint64_t now_ms)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++)
		n += now_ms < state->ipv6.bindings[i].expires_ms && state->ipv6.bindings[i].origin == origin;
	return n;
}

/* Link-local and leased addresses have a share of their own, so that temporary addresses cannot take all of the table. */
static bool has_full_share(const struct state *state, enum origin6 origin, uint64_t now_ms)
{
	return (origin == ORIGIN_LINK_LOCAL && count_of(state, origin, now_ms) >= LINK_LOCALS_MAX) ||
	       (origin == ORIGIN_DHCP && count_of(state, origin, now_ms) >= LEASES6_MAX);
}

static bool is_oldest_of_prefix(const struct state6 *state, const struct binding6 *b, uint64_t now_ms)
{
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++) {
		const struct binding6 *other = &state->bindings[i];
		bool is_older = other->since_ms < b->since_ms || (other->since_ms == b->since_ms && other < b);
		if (now_ms < other->expires_ms && other->origin == ORIGIN_SLAAC &&
		    other->address.high == b->address.high && is_older)
			return false;
	}
	return true;
}

bool may_give_place(const struct state6 *state, const struct binding6 *b, uint64_t now_ms)
{
	return b->origin == ORIGIN_SLAAC && now_ms < b->expires_ms && now_ms >= b->since_ms + EVICTION_AGE_MS &&
	       !is_oldest_of_prefix(state, b, now_ms);
}

/* The same for a kind that has a share of its own. */
static bool may_lose(const struct state6 *state, const struct binding6 *b, enum origin6 origin, uint64_t now_ms)
{
	if (origin == ORIGIN_SLAAC)
		return may_give_place(state, b, now_ms);
	return b->origin == origin && now_ms < b->expires_ms && now_ms >= b->since_ms + EVICTION_AGE_MS;
}

static struct binding6 *room_for(struct guard *guard, enum origin6 origin, uint64_t now_ms)
{
	bool full_share = has_full_share(guard->state, origin, now_ms);
	enum origin6 loser = full_share ? origin : ORIGIN_SLAAC;
	struct binding6 *oldest = NULL;
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++) {
		struct binding6 *b = &guard->state->ipv6.bindings[i];
		if (!full_share && now_ms >= b->expires_ms) {
			remove_lease6(guard, b, "expired", now_ms);
			return b;
		}
		if (may_lose(&guard->state->ipv6, b, loser, now_ms) && (!oldest || b->used_ms < oldest->used_ms))
			oldest = b;
	}
	if (oldest)
		remove_lease6(guard, oldest, "replaced", now_ms);
	return oldest;
}

struct binding6 *bind_address6(struct guard *guard, struct address a, enum origin6 origin, uint64_t expires_ms,
			       uint64_t now_ms)
{
	struct binding6 *b = find_lease6(guard->state, a);
	if (b && b->origin == ORIGIN_STATIC)
		return b;
	if (b && now_ms < b->expires_ms && b->origin == origin) {
		b->expires_ms = expires_ms;
		return b;
	}
	if (b)
		clear_lease6(guard, b, now_ms < b->expires_ms ? "replaced" : "expired", now_ms);
	b = room_for(guard, origin, now_ms);
	if (!b)
		return NULL;
	bool leased = origin == ORIGIN_DHCP; /* on the server's word, as in IPv4; the guest may still decline */
	*b = (struct binding6){ .address = a,
				.since_ms = now_ms,
				.used_ms = now_ms,
				.expires_ms = expires_ms,
				.valid_ms = now_ms + (leased ? 0 : DAD_MS),
				.conflict_ms = now_ms + (leased ? LEASED_CONFLICT_MS : DAD_CONFLICT_MS),
				.origin = origin };
	settle_bindings6(&guard->state->ipv6);
	return b;
}

/* A prefix of the subnet, so that on-link neighbors can be told (RFC 5942 3). */
static bool add_static_prefix(struct state *state, struct address a, uint32_t length)
{
	for (uint32_t i = 0; i < PREFIXES_MAX; i++) {
		struct prefix6 *p = &state->ipv6.prefixes[i];
		if (p->expires_ms != 0)
			continue;
		*p = (struct prefix6){
			.prefix = a, .length = length, .on_link = 1, .is_static = 1, .expires_ms = NEVER_EXPIRES
		};
		return true;
	}
	return false;
}

bool add_static_binding6(struct state *state, struct address a, uint32_t prefix_length, uint64_t now_ms)
{
	if (prefix_length > 128 || !is_host_address6(a) || find_lease6(state, a))
		return false;
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++) {
		struct binding6 *b = &state->ipv6.bindings[i];
		if (b->expires_ms != 0)
			continue;
		*b = (struct binding6){ .address = a,
					.since_ms = now_ms,
					.valid_ms = now_ms,
					.used_ms = now_ms,
					.expires_ms = NEVER_EXPIRES,
					.origin = ORIGIN_STATIC };
		settle_bindings6(&state->ipv6);
		return prefix_length == 128 || add_static_prefix(state, a, prefix_length);
	}
	return false;
}

uint64_t expire_bindings6(struct guard *guard, uint64_t now_ms)
{
	uint64_t next_ms = continue_doubts6(guard, now_ms);
	for (uint32_t i = 0; i < guard->state->ipv6.bindings_end; i++) {
		struct binding6 *b = &guard->state->ipv6.bindings[i];
		if (b->expires_ms == 0)
			continue;
		if (now_ms >= b->expires_ms)
			remove_lease6(guard, b, "expired", now_ms);
		else if (b->expires_ms < next_ms)
			next_ms = b->expires_ms;
	}
	return next_ms;
}

void remember_resolver6(struct state *state, struct address a, uint64_t expires_ms, uint64_t now_ms)
{
	struct resolver6 *slot = NULL;
	for (uint32_t i = 0; i < RESOLVERS6_MAX; i++) {
		struct resolver6 *r = &state->ipv6.resolvers[i];
		if (now_ms < r->expires_ms && same_address(r->address, a)) {
			slot = r;
			break;
		}
		if (now_ms >= r->expires_ms && !slot)
			slot = r;
	}
	if (slot)
		*slot = (struct resolver6){ a, expires_ms };
}
