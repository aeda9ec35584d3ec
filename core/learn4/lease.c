/* Bindings, anchors, transactions and client identifiers: fixed tables, each with a stated answer to being full. */
#include "core/learn4/lease.h"
#include "core/learn4/dhcp4_ids.h"
#include "core/judge/trust.h"

#include <stddef.h>

bool may_spend(struct guard *guard, enum rate_class class, uint64_t now_ms)
{
	return take_token(&guard->config->rates[class], &guard->buckets->of[class], now_ms);
}

void report(const struct guard *guard, enum event_kind kind, const struct binding *b, const char *why)
{
	if (!guard->event)
		return;
	struct event event = { .kind = kind,
			       .address = b->address,
			       .server = b->server,
			       .mac = b->server_mac,
			       .expires_ms = b->expires_ms,
			       .why = why };
	guard->event(guard->context, &event);
}

struct binding *find_lease(struct state *state, struct address a)
{
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		if (state->ipv4[i].state != BINDING_NONE && same_address(state->ipv4[i].address, a))
			return &state->ipv4[i];
	return NULL;
}

void remove_lease(struct guard *guard, struct binding *b, const char *why)
{
	if (b->state == BINDING_STATIC || b->state == BINDING_NONE)
		return;
	struct binding gone = *b;
	*b = (struct binding){ 0 };
	if (guard->release)
		guard->release(guard->context, gone.address);
	report(guard, EVENT_LEASE_LOST, &gone, why);
}

/* Its time is over, and the guest has not given it back: it may still believe in it, as after a long sleep. */
static void run_out(struct guard *guard, struct binding *b)
{
	if (b->state == BINDING_BOUND)
		guard->state->past.ran_out = b->address;
	remove_lease(guard, b, "expired");
}

bool is_leasable4(const struct config *config, const struct state *state, struct address a, uint64_t now_ms)
{
	uint32_t host = ipv4_of_address(a);
	if (!is_ipv4(a) || host >> 24 == 0 || host >> 24 == 127 || !is_unicast4(a))
		return false;
	if (host >> 16 == 0xa9fe) /* 169.254/16: self-assigned, never leased (RFC 3927 1.6) */
		return false;
	return !is_router4((struct view){ config, state, now_ms }, a) && !is_resident(config, a) &&
	       !set_has(&config->servers, a) && find_server_entry4(state, host, now_ms) == SERVERS4_MAX;
}

bool add_static_binding4(struct state *state, struct address a, uint32_t prefix_length, uint64_t now_ms)
{
	static const struct config no_anchors;
	if (prefix_length > 32 || !is_leasable4(&no_anchors, state, a, now_ms) || find_lease(state, a))
		return false;
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) {
		if (state->ipv4[i].state != BINDING_NONE)
			continue;
		state->ipv4[i] = (struct binding){ .address = a,
						   .since_ms = now_ms,
						   .expires_ms = NEVER_EXPIRES,
						   .used_ms = now_ms,
						   .state = BINDING_STATIC,
						   .prefix_length = prefix_length };
		return true;
	}
	return false;
}

uint64_t expire_bindings4(struct guard *guard, uint64_t now_ms)
{
	uint64_t next_ms = NEVER_EXPIRES;
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) {
		struct binding *b = &guard->state->ipv4[i];
		if (b->state == BINDING_NONE)
			continue;
		if (!is_live(b, now_ms))
			run_out(guard, b);
		else if (b->expires_ms < next_ms)
			next_ms = b->expires_ms;
	}
	return next_ms;
}

/* Which entry a new binding takes; the lower the rank, the sooner it goes. */
static uint32_t eviction_rank(const struct binding *b, uint64_t now_ms)
{
	switch ((enum binding_state)b->state) {
	case BINDING_NONE:
		return 0;
	case BINDING_BOUND:
		return is_live(b, now_ms) ? 3 : 1;
	case BINDING_GRACE:
		return is_live(b, now_ms) ? 2 : 1;
	case BINDING_STATIC:
		return 4;
	}
	return 4;
}

static struct binding *room_for_lease(struct guard *guard, uint64_t now_ms)
{
	struct binding *best = &guard->state->ipv4[0];
	for (uint32_t i = 1; i < BINDINGS4_MAX; i++) {
		struct binding *b = &guard->state->ipv4[i];
		uint32_t rank = eviction_rank(b, now_ms), lowest = eviction_rank(best, now_ms);
		if (rank < lowest || (rank == lowest && b->used_ms < best->used_ms))
			best = b;
	}
	if (best->state == BINDING_STATIC)
		return NULL;
	remove_lease(guard, best, is_live(best, now_ms) ? "replaced" : "expired");
	return best;
}

/* RFC 2131 4.4.1: the lease counts from the REQUEST, so it never outlives the server's own reckoning. */
static uint64_t expiry_of(const struct dhcp *ack, const struct transaction *t)
{
	if (ack->lease_s == UINT32_MAX)
		return NEVER_EXPIRES;
	uint64_t expires_ms = t->requested_ms + (uint64_t)ack->lease_s * 1000;
	return expires_ms > CLOCK_ERROR_MS ? expires_ms - CLOCK_ERROR_MS : 0;
}

static void start_grace(struct guard *guard, uint64_t client_id, struct address kept, uint64_t now_ms)
{
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) {
		struct binding *b = &guard->state->ipv4[i];
		if (b->state != BINDING_BOUND || b->client_id != client_id || same_address(b->address, kept))
			continue;
		b->state = BINDING_GRACE;
		b->ends_grace = 0;
		if (b->expires_ms > now_ms + GRACE_MS)
			b->expires_ms = now_ms + GRACE_MS;
		report(guard, EVENT_LEASE_GRACE, b, "replaced");
	}
}

void find_graces(struct state *state)
{
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		for (uint32_t k = 0; k < BINDINGS4_MAX; k++)
			if (state->ipv4[i].state == BINDING_BOUND && state->ipv4[k].state == BINDING_GRACE &&
			    state->ipv4[i].client_id == state->ipv4[k].client_id)
				state->ipv4[i].ends_grace = 1;
}

void end_grace(struct guard *guard, struct binding *b)
{
	b->ends_grace = 0;
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) {
		struct binding *old = &guard->state->ipv4[i];
		if (old->state == BINDING_GRACE && old->client_id == b->client_id)
			remove_lease(guard, old, "replaced");
	}
}

void bind_lease(struct guard *guard, const struct dhcp *ack, const struct transaction *t, uint64_t server_mac,
		uint64_t now_ms)
{
	struct binding *b = find_lease(guard->state, ack->yiaddr);
	if (!b)
		b = room_for_lease(guard, now_ms);
	if (!b)
		return;
	bool renewed = b->state != BINDING_NONE && is_live(b, now_ms);
	if (b->state != BINDING_STATIC) {
		b->address = ack->yiaddr;
		b->since_ms = renewed ? b->since_ms : now_ms;
		b->expires_ms = expiry_of(ack, t);
		b->used_ms = now_ms;
		b->client_id = t->client_id;
		b->prefix_length = ack->prefix_length;
		b->state = BINDING_BOUND;
	}
	b->server = ack->server;
	b->server_mac = server_mac;
	if (t->broadcast) {
		b->public_id = t->id;
		b->has_public_id = 1;
	}
	b->routers = ack->routers;
	b->resolvers = ack->resolvers;
	guard->state->past = (struct past){ .had_lease = 1 };
	start_grace(guard, t->client_id, ack->yiaddr, now_ms);
	find_graces(guard->state);
	report(guard, renewed ? EVENT_LEASE_RENEWED : EVENT_LEASE_NEW, b, NULL);
}

struct transaction *find_transaction(struct state *state, uint32_t id, uint64_t now_ms)
{
	for (uint32_t i = 0; i < TRANSACTIONS_MAX; i++) {
		struct transaction *t = &state->dhcp4[i];
		if (now_ms < t->deadline_ms && t->id == id)
			return t;
	}
	return NULL;
}

static bool may_bind(uint8_t kind)
{
	return kind != TRANSACTION_INFORM && kind != TRANSACTION_BOOT;
}

/*
 * A client has one exchange at a time: a new one of the same client identifier ends what it still waited for, so that a
 * late answer to the old one is no longer an answer.
 */
static void supersede(struct state *state, uint32_t id, uint64_t client_id)
{
	for (uint32_t i = 0; i < TRANSACTIONS_MAX; i++) {
		struct transaction *t = &state->dhcp4[i];
		if (t->id != id && t->client_id == client_id && !t->done && may_bind(t->kind))
			*t = (struct transaction){ 0 };
	}
}

struct transaction *open_transaction(struct state *state, uint32_t id, enum transaction_kind kind, uint64_t client_id,
				     uint64_t now_ms)
{
	if (may_bind((uint8_t)kind))
		supersede(state, id, client_id);
	struct transaction *t = find_transaction(state, id, now_ms);
	uint64_t requested_ms = now_ms;
	struct transaction before = t ? *t : (struct transaction){ 0 };
	if (t) {
		/*
		 * A repeated REQUEST keeps its first time. The first one behind a DISCOVER starts its own, and so does
		 * one behind an ACK: systemd-networkd keeps its xid over all renewals.
		 */
		bool first_request = t->done || (t->kind == TRANSACTION_DISCOVER && kind != TRANSACTION_DISCOVER);
		if (!first_request)
			requested_ms = t->requested_ms;
	} else {
		t = &state->dhcp4[0];
		for (uint32_t i = 1; i < TRANSACTIONS_MAX; i++)
			if (state->dhcp4[i].deadline_ms < t->deadline_ms)
				t = &state->dhcp4[i];
	}
	*t = (struct transaction){ .id = id,
				   .kind = (uint8_t)kind,
				   .client_id = client_id,
				   .offered = before.offered,
				   .prefers_ipv6 = before.prefers_ipv6,
				   .requested_ms = requested_ms,
				   .deadline_ms = now_ms + TRANSACTION_LIFE_MS };
	return t;
}

void close_transactions(struct state *state)
{
	for (uint32_t i = 0; i < TRANSACTIONS_MAX; i++)
		if (!state->dhcp4[i].done) /* the copies of an ACK that was seen bind nothing */
			state->dhcp4[i] = (struct transaction){ 0 };
	spend_requests(state);
	state->past.ran_out = (struct address){ 0, 0 };
}

void spend_request_ids(struct request_id table[REQUEST_IDS_MAX])
{
	for (uint32_t i = 0; i < REQUEST_IDS_MAX; i++)
		table[i].spent = 1;
}

void remember_request_id(struct request_id table[REQUEST_IDS_MAX], uint32_t id, uint64_t now_ms)
{
	struct request_id *slot = &table[0];
	for (uint32_t i = 0; i < REQUEST_IDS_MAX; i++) {
		struct request_id *r = &table[i];
		if (r->id == id && r->until_ms > 0 && !r->spent) {
			slot = r;
			break;
		}
		if (r->until_ms < slot->until_ms)
			slot = r;
	}
	*slot = (struct request_id){ .id = id, .until_ms = now_ms + TRANSACTION_LIFE_MS };
}

bool is_spent_request_id(const struct request_id table[REQUEST_IDS_MAX], uint32_t id, uint64_t now_ms)
{
	for (uint32_t i = 0; i < REQUEST_IDS_MAX; i++) {
		const struct request_id *r = &table[i];
		if (r->spent && r->id == id && now_ms < r->until_ms)
			return true;
	}
	return false;
}

static struct client_id *find_client_id(struct client_id table[CLIENT_IDS_MAX], uint64_t hash, uint64_t now_ms)
{
	for (uint32_t i = 0; i < CLIENT_IDS_MAX; i++)
		if (now_ms < table[i].until_ms && table[i].hash == hash)
			return &table[i];
	return NULL;
}

bool may_use_client_id(struct guard *guard, struct client_id table[CLIENT_IDS_MAX], enum rate_class class,
		       uint64_t hash, uint64_t now_ms)
{
	if (find_client_id(table, hash, now_ms))
		return true;
	uint32_t live = 0;
	for (uint32_t i = 0; i < CLIENT_IDS_MAX; i++)
		live += now_ms < table[i].until_ms;
	return live < CLIENT_IDS_FREE || (live < CLIENT_IDS_MAX && may_spend(guard, class, now_ms));
}

void remember_client_id(struct client_id table[CLIENT_IDS_MAX], uint64_t hash, uint64_t until_ms, uint64_t now_ms)
{
	struct client_id *slot = find_client_id(table, hash, now_ms);
	for (uint32_t i = 0; i < CLIENT_IDS_MAX && !slot; i++)
		if (now_ms >= table[i].until_ms) {
			slot = &table[i];
			*slot = (struct client_id){ .hash = hash };
		}
	if (slot && slot->until_ms < until_ms)
		slot->until_ms = until_ms;
}
