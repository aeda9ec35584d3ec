/* What a DHCPv6 Reply gives and takes: checked as a whole, then done as a whole. */
#include "core/learn4/lease.h"
#include "core/learn6/snoop_dhcp6.h"
#include "core/judge/trust6.h"

#include <stddef.h>

/*
 * The lease counts from the first message that this may be an answer to, so it never outlives the server's own
 * reckoning. No answer takes longer than the transaction waits for one; a SOLICIT alone is repeated without end (RFC
 * 8415 18.2.1).
 */
static uint64_t start_of(const struct transaction6 *t, uint64_t now_ms)
{
	uint64_t oldest_ms = now_ms > TRANSACTION_LIFE_MS ? now_ms - TRANSACTION_LIFE_MS : 0;
	return t->requested_ms > oldest_ms ? t->requested_ms : oldest_ms;
}

/* RFC 8415 21.6: a client discards an address with a preferred lifetime above the valid one. */
struct grants grants_of(const struct state *state, const struct dhcp6_frame *f, const struct transaction6 *t,
			uint64_t now_ms)
{
	const struct dhcp6 *m = &f->message;
	struct grants g = { .frame = f, .client_id = t->client_id, .start_ms = start_of(t, now_ms) };
	for (uint32_t i = 0; i < m->address_count; i++) {
		const struct dhcp6_address *a = &m->addresses[i];
		const struct dhcp6_association *ia = &m->associations[a->association];
		bool accepted = m->status == 0 && ia->status == 0 && a->status == 0 && a->preferred_s <= a->valid_s;
		uint64_t identity = hash_of_identity(state, m, a->association);
		if (accepted && ia->type != IA_PD && has_identity(t, identity))
			g.item[g.count++] = (struct grant){ a->address, identity, a->valid_s, 0 };
	}
	return g;
}

static const struct grant *grant_for(const struct grants *g, struct address a)
{
	for (uint32_t i = 0; i < g->count; i++)
		if (same_address(g->item[i].address, a))
			return &g->item[i];
	return NULL;
}

static bool is_lease_of(const struct binding6 *b, uint64_t client_id)
{
	return b->origin == ORIGIN_DHCP && b->client_id == client_id;
}

static bool is_live_lease(const struct binding6 *b, uint64_t now_ms)
{
	return b->origin == ORIGIN_DHCP && now_ms < b->expires_ms;
}

static bool static_only(const struct config *config, const struct state *state)
{
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++) {
		const struct binding6 *b = &state->ipv6.bindings[i];
		if (b->expires_ms != 0 && b->origin == ORIGIN_STATIC && !is_link_local(b->address) &&
		    !is_shared(config, b->address))
			return true;
	}
	return false;
}

enum verdict check_addresses(struct guard *s, const struct grants *g, uint64_t now_ms)
{
	bool only_static = static_only(s->config, s->state);
	for (uint32_t i = 0; i < g->count; i++) {
		struct address a = g->item[i].address;
		if (g->item[i].valid_s == 0)
			continue;
		const struct binding6 *b = find_live(s->state, a, now_ms);
		if (is_link_local(a) || !is_claimable6(s->config, s->state, a, now_ms) ||
		    (only_static && (!b || b->origin != ORIGIN_STATIC)))
			return DROP_DHCP6_BAD_LEASE;
	}
	return PASS;
}

/* A lease that gives its place to a new one: as old as any that bind_address6() lets go, and not in this Reply. */
static bool may_go(const struct binding6 *b, const struct grants *g, uint64_t now_ms)
{
	return now_ms < b->expires_ms && now_ms >= b->since_ms + EVICTION_AGE_MS && !grant_for(g, b->address);
}

/* False: they do not all find a place. leaving: how many older leases must go for them. */
static bool find_room(struct guard *s, const struct grants *g, uint32_t *leaving, uint64_t now_ms)
{
	uint32_t leases = 0, old_leases = 0, places = 0, wanted = 0;
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++) {
		const struct binding6 *b = &s->state->ipv6.bindings[i];
		const struct grant *grant = grant_for(g, b->address);
		bool ended = grant && grant->valid_s == 0 && is_lease_of(b, g->client_id);
		if (now_ms >= b->expires_ms || ended)
			places++;
		else if (b->origin == ORIGIN_SLAAC)
			places += may_give_place(&s->state->ipv6, b, now_ms) && !grant_for(g, b->address);
		leases += is_live_lease(b, now_ms) && !ended;
		old_leases += is_live_lease(b, now_ms) && may_go(b, g, now_ms);
	}
	for (uint32_t i = 0; i < g->count; i++) {
		const struct binding6 *b = find_live(s->state, g->item[i].address, now_ms);
		if (g->item[i].valid_s == 0 || (b && b->origin != ORIGIN_SLAAC))
			continue;
		leases++;
		wanted += !b;
	}
	*leaving = leases > LEASES6_MAX ? leases - LEASES6_MAX : 0;
	return *leaving <= old_leases && wanted <= places + *leaving;
}

/* All or none: what was claimed before a refusal is given back. */
static bool claim_all(struct guard *s, const struct grants *g, uint64_t now_ms)
{
	for (uint32_t i = 0; s->claim && i < g->count; i++) {
		if (g->item[i].valid_s == 0 || s->claim(s->context, g->item[i].address))
			continue;
		for (uint32_t k = 0; k < i; k++)
			if (s->release && g->item[k].valid_s > 0 && !find_live(s->state, g->item[k].address, now_ms))
				s->release(s->context, g->item[k].address);
		return false;
	}
	return true;
}

static void let_oldest_go(struct guard *s, const struct grants *g, uint64_t now_ms)
{
	struct binding6 *oldest = NULL;
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++) {
		struct binding6 *b = &s->state->ipv6.bindings[i];
		if (b->origin == ORIGIN_DHCP && may_go(b, g, now_ms) && (!oldest || b->used_ms < oldest->used_ms))
			oldest = b;
	}
	if (oldest)
		remove_lease6(s, oldest, "replaced", now_ms);
}

/* What the guest loses, or holds by other means; so that the rest finds the places that find_room() counted. */
static void make_room(struct guard *s, const struct grants *g, uint32_t leaving, uint64_t now_ms)
{
	for (uint32_t i = 0; i < g->count; i++) {
		struct binding6 *b = find_live(s->state, g->item[i].address, now_ms);
		if (b && g->item[i].valid_s == 0 && is_lease_of(b, g->client_id))
			remove_lease6(s, b, "ended by the server", now_ms);
		else if (b && g->item[i].valid_s > 0 && b->origin == ORIGIN_SLAAC)
			b->origin = ORIGIN_DHCP; /* RFC 8074 3: a lease counts for more; the claim stays as it is */
	}
	for (uint32_t i = 0; i < leaving; i++)
		let_oldest_go(s, g, now_ms);
}

static uint64_t expiry_of(const struct grants *g, const struct grant *grant)
{
	uint64_t expires_ms = lifetime_from(g->start_ms, grant->valid_s);
	if (expires_ms == NEVER_EXPIRES)
		return NEVER_EXPIRES;
	return expires_ms > CLOCK_ERROR_MS ? expires_ms - CLOCK_ERROR_MS : 0;
}

/* The time of its end; 0: it was not bound. */
static uint64_t bind_grant(struct guard *s, const struct grants *g, const struct grant *grant, uint64_t now_ms)
{
	bool renewed = find_live(s->state, grant->address, now_ms) != NULL;
	struct binding6 *b = bind_address6(s, grant->address, ORIGIN_DHCP, expiry_of(g, grant), now_ms);
	if (!b)
		return 0;
	if (b->origin == ORIGIN_STATIC)
		return expiry_of(g, grant);
	b->used_ms = now_ms;
	b->server = g->frame->source;
	b->client_id = g->client_id;
	b->identity = grant->identity;
	report6(s, renewed ? EVENT_LEASE_RENEWED : EVENT_LEASE_NEW, b, renewed ? NULL : "dhcp");
	return b->expires_ms;
}

enum verdict bind_grants(struct guard *s, const struct grants *g, uint64_t *until_ms, uint64_t now_ms)
{
	uint32_t leaving;
	enum verdict verdict = check_addresses(s, g, now_ms);
	if (verdict != PASS)
		return verdict;
	if (!find_room(s, g, &leaving, now_ms))
		return DROP_BINDING_LIMIT;
	expire_bindings6(s, now_ms); /* gives back the claims of what has run out, before they are made anew */
	if (!claim_all(s, g, now_ms))
		return DROP_BINDING_CLAIMED;
	make_room(s, g, leaving, now_ms);
	for (uint32_t i = 0; i < g->count; i++) {
		uint64_t expires_ms = g->item[i].valid_s > 0 ? bind_grant(s, g, &g->item[i], now_ms) : 0;
		if (expires_ms > *until_ms)
			*until_ms = expires_ms;
	}
	return PASS;
}

bool tells_nothing_new(struct guard *s, const struct dhcp6 *m, const struct grants *g, uint64_t now_ms)
{
	for (uint32_t i = 0; i < g->count; i++) {
		const struct binding6 *b = find_live(s->state, g->item[i].address, now_ms);
		bool held = b && (b->origin == ORIGIN_STATIC || is_lease_of(b, g->client_id));
		if (held != (g->item[i].valid_s > 0))
			return false;
	}
	return m->status == 0;
}
