/*
 * What the guest makes DHCPv6 servers lease. A lease costs the server an address when it hears the question, and the guest
 * can see to it that no answer binds it here; so it is counted when the question leaves. Servers know a lease by DUID, kind
 * of IA and IAID; some lease whatever address an IA names, so each of them counts.
 */
#include "core/learn4/lease.h"
#include "core/learn6/snoop_dhcp6.h"

#include <stddef.h>

enum {
	WANTED_LIFE_MS = 3600 * 1000,   /* of a lease whose Reply was not seen */
	DELEGATION_AGE_MS = 600 * 1000, /* without use, before a prefix gives its place */
	WANTS_MAX = DHCP6_ASSOCIATIONS_MAX + DHCP6_ADDRESSES_MAX,
	MESSAGES_MAX = 255
};

/* One thing that a message asks for. */
struct want {
	uint64_t identity;
	struct address address; /* unset: whatever the server chooses */
	uint8_t length;
	bool is_prefix;
};

struct wants {
	uint32_t count;
	uint32_t message;
	struct want item[WANTS_MAX];
};

static uint32_t number_of_message(uint8_t type, uint32_t id)
{
	return (uint32_t)type << 24 | id;
}

static void add_wants_of(const struct state *state, const struct dhcp6 *m, uint32_t association, struct wants *wants)
{
	struct want want = { .identity = hash_of_identity(state, m, association),
			     .is_prefix = m->associations[association].type == IA_PD };
	bool names_any = false;
	for (uint32_t i = 0; i < m->address_count; i++) {
		const struct dhcp6_address *a = &m->addresses[i];
		if (a->association != association || is_unset(a->address)) /* ::/56 asks for a length only */
			continue;
		want.address = a->address;
		want.length = a->length;
		wants->item[wants->count++] = want;
		names_any = true;
	}
	if (!names_any)
		wants->item[wants->count++] = want;
}

static struct wants wants_of(const struct state *state, const struct dhcp6 *m)
{
	struct wants wants = { .message = number_of_message(m->type, m->id) };
	for (uint32_t i = 0; i < m->association_count; i++)
		add_wants_of(state, m, i, &wants);
	return wants;
}

static bool is_live_wanted(const struct wanted6 *w, uint64_t now_ms)
{
	return now_ms < w->until_ms;
}

/* A server that has leased something to the IA gives no more to one that names nothing. */
static bool covers(const struct wanted6 *w, const struct want *want, uint64_t now_ms)
{
	return is_live_wanted(w, now_ms) && w->identity == want->identity &&
	       (is_unset(want->address) || (same_address(w->address, want->address) && w->length == want->length));
}

/* By a lease that the table has no place for. */
static bool is_held_by(struct state *state, const struct want *want, uint64_t now_ms)
{
	for (uint32_t i = 0; !want->is_prefix && i < BINDINGS6_MAX; i++) {
		const struct binding6 *b = &state->ipv6.bindings[i];
		if (now_ms < b->expires_ms && b->origin == ORIGIN_DHCP && b->identity == want->identity &&
		    (is_unset(want->address) || same_address(b->address, want->address)))
			return true;
	}
	return false;
}

static bool is_known(struct state *state, const struct want *want, uint64_t now_ms)
{
	for (uint32_t i = 0; i < WANTED6_MAX; i++)
		if (covers(&state->ipv6.wanted[i], want, now_ms))
			return true;
	return is_held_by(state, want, now_ms);
}

static uint64_t last_use_of(struct state *state, const struct wanted6 *w, uint64_t now_ms)
{
	const struct binding6 *b = w->is_prefix ? NULL : find_live(state, w->address, now_ms);
	return b && b->identity == w->identity && b->used_ms > w->used_ms ? b->used_ms : w->used_ms;
}

static bool is_named_by(const struct wanted6 *w, const struct wants *wants, uint64_t now_ms)
{
	for (uint32_t i = 0; i < wants->count; i++)
		if (covers(w, &wants->item[i], now_ms))
			return true;
	return false;
}

/* An address gives its place when its binding may, so that the new one is not refused for that (bind_address6()). */
static bool may_give_way(struct state *state, const struct wanted6 *w, const struct wants *wants, uint64_t now_ms)
{
	uint64_t ripe_ms = w->is_prefix ? last_use_of(state, w, now_ms) + DELEGATION_AGE_MS
					: w->since_ms + EVICTION_AGE_MS;
	return is_live_wanted(w, now_ms) && now_ms >= ripe_ms && !is_named_by(w, wants, now_ms);
}

static struct wanted6 *place_for(struct state *state, const struct wants *wants, bool is_prefix, uint64_t now_ms)
{
	struct wanted6 *oldest = NULL, *free = NULL;
	uint32_t live = 0;
	for (uint32_t i = 0; i < WANTED6_MAX; i++) {
		struct wanted6 *w = &state->ipv6.wanted[i];
		if (!is_live_wanted(w, now_ms)) {
			free = w;
			continue;
		}
		if (w->is_prefix != is_prefix)
			continue;
		live++;
		if (may_give_way(state, w, wants, now_ms) &&
		    (!oldest || last_use_of(state, w, now_ms) < last_use_of(state, oldest, now_ms)))
			oldest = w;
	}
	return live < (is_prefix ? DELEGATIONS_MAX : LEASES6_MAX) ? free : oldest;
}

/* How many are wanted, and how many old ones must go for them. */
struct places {
	uint32_t wanted, leaving;
};

/* Adds those of this kind. False: more than may. */
static bool find_places(struct guard *s, const struct wants *wants, bool is_prefix, struct places *places, uint64_t now_ms)
{
	uint32_t new = 0, live = 0, old = 0, most = is_prefix ? DELEGATIONS_MAX : LEASES6_MAX;
	for (uint32_t i = 0; i < wants->count; i++)
		new += wants->item[i].is_prefix == is_prefix && !is_known(s->state, &wants->item[i], now_ms);
	for (uint32_t i = 0; i < WANTED6_MAX; i++) {
		const struct wanted6 *w = &s->state->ipv6.wanted[i];
		live += w->is_prefix == is_prefix && is_live_wanted(w, now_ms);
		old += w->is_prefix == is_prefix && may_give_way(s->state, w, wants, now_ms);
	}
	uint32_t go = live + new > most ? live + new - most : 0;
	places->wanted += new;
	places->leaving += new > 0 ? go : 0;
	return new == 0 || (new <= most &&go <= old);
}

static bool spend(struct guard *s, enum rate_class class, uint32_t tokens, uint64_t now_ms)
{
	for (uint32_t i = 0; i < tokens; i++)
		if (!may_spend(s, class, now_ms))
			return false;
	return true;
}

static void touch(struct wanted6 *w, uint32_t message, uint64_t now_ms)
{
	uint64_t until_ms = now_ms + WANTED_LIFE_MS;
	w->is_mixed = w->is_mixed || w->message != message;
	w->is_given_back = 0;
	w->messages = w->messages < MESSAGES_MAX ? w->messages + 1 : MESSAGES_MAX;
	w->used_ms = now_ms;
	if (w->until_ms < until_ms)
		w->until_ms = until_ms;
}

/* Under this id another message left a moment ago: an answer tells no more than the id, so it may be one to that. */
static bool is_reused(const struct state *state, uint32_t id, uint64_t now_ms)
{
	for (uint32_t i = 0; i < REQUEST_IDS_MAX; i++)
		if (state->ipv6.request_ids[i].id == id && now_ms < state->ipv6.request_ids[i].until_ms)
			return true;
	return false;
}

static void note_want(struct state *state, const struct wants *wants, const struct want *want, uint64_t now_ms)
{
	if (!is_known(state, want, now_ms)) {
		struct wanted6 *w = place_for(state, wants, want->is_prefix, now_ms);
		if (w)
			*w = (struct wanted6){ .identity = want->identity,
					       .address = want->address,
					       .since_ms = now_ms,
					       .until_ms = now_ms + 1,
					       .message = wants->message,
					       .length = want->length,
					       .is_prefix = want->is_prefix,
					       .is_mixed = is_reused(state, wants->message & 0xffffff, now_ms) };
	}
	for (uint32_t i = 0; i < WANTED6_MAX; i++)
		if (covers(&state->ipv6.wanted[i], want, now_ms))
			touch(&state->ipv6.wanted[i], wants->message, now_ms);
}

enum verdict want_leases(struct guard *s, const struct dhcp6 *m, uint64_t now_ms)
{
	if (!may_lead_to_lease(m->type, m->rapid_commit))
		return PASS;
	struct wants wants = wants_of(s->state, m);
	struct places places = { 0, 0 };
	if (m->asks_for_more || !find_places(s, &wants, false, &places, now_ms) ||
	    !find_places(s, &wants, true, &places, now_ms) || !spend(s, RATE_OF_NEW_IDENTITY, places.leaving, now_ms))
		return DROP_DHCP6_IDENTITY_LIMIT;
	if (!spend(s, RATE_OF_NEW_LEASE6, places.wanted, now_ms))
		return DROP_BINDING_CHURN;
	for (uint32_t i = 0; i < wants.count; i++)
		note_want(s->state, &wants, &wants.item[i], now_ms);
	return PASS;
}

/*
 * What this exchange alone has asked for and the server has not leased. An Advertise answers one of several copies, and
 * all of them alike. A Reply tells of one message, and a REBIND asks more servers than the one that answers.
 */
static void forget_unleased(struct state *state, const struct transaction6 *t, bool is_reply)
{
	for (uint32_t i = 0; i < WANTED6_MAX; i++) {
		struct wanted6 *w = &state->ipv6.wanted[i];
		if (has_identity(t, w->identity) && w->message == number_of_message(t->kind, t->id) && !w->is_leased &&
		    !w->is_mixed && t->kind != DHCP6_REBIND && (!is_reply || w->messages == 1))
			*w = (struct wanted6){ 0 };
	}
}

void learn_offer(struct state *state, const struct transaction6 *t)
{
	if (t->kind == DHCP6_SOLICIT && t->rapid_commit)
		forget_unleased(state, t, false);
}

static struct wanted6 *find_wanted(struct state *state, uint64_t identity, const struct dhcp6_address *a, uint64_t now_ms)
{
	for (uint32_t i = 0; i < WANTED6_MAX; i++) {
		struct wanted6 *w = &state->ipv6.wanted[i];
		if (is_live_wanted(w, now_ms) && w->identity == identity && same_address(w->address, a->address) &&
		    w->length == a->length)
			return w;
	}
	return NULL;
}

/* What was wanted of the IA and is not leased: the server has chosen another one. */
static struct wanted6 *find_unleased(struct state *state, const struct transaction6 *t, uint64_t identity, uint64_t now_ms)
{
	for (uint32_t i = 0; i < WANTED6_MAX; i++) {
		struct wanted6 *w = &state->ipv6.wanted[i];
		if (is_live_wanted(w, now_ms) && w->identity == identity && !w->is_leased &&
		    (is_unset(w->address) || w->message == number_of_message(t->kind, t->id)))
			return w;
	}
	return NULL;
}

/* The entry of what the server has leased: its own, one of the same IA, or a place. */
static struct wanted6 *entry_of_leased(struct state *state, const struct transaction6 *t, uint64_t identity,
				       const struct dhcp6_address *a, bool is_prefix, uint64_t now_ms)
{
	static const struct wants nothing;
	struct wanted6 *w = find_wanted(state, identity, a, now_ms);
	if (!w)
		w = find_unleased(state, t, identity, now_ms);
	return w ? w : place_for(state, &nothing, is_prefix, now_ms);
}

static void learn_one(struct state *state, const struct transaction6 *t, const struct dhcp6 *m,
		      const struct dhcp6_address *a, uint64_t now_ms)
{
	uint64_t identity = hash_of_identity(state, m, a->association);
	bool is_prefix = m->associations[a->association].type == IA_PD;
	if (m->associations[a->association].status != 0 || a->status != 0 || a->preferred_s > a->valid_s ||
	    !has_identity(t, identity))
		return;
	struct wanted6 *w = a->valid_s > 0 ? entry_of_leased(state, t, identity, a, is_prefix, now_ms)
					   : find_wanted(state, identity, a, now_ms);
	if (!w)
		return;
	if (a->valid_s == 0) {
		w->is_leased = 0;
		return;
	}
	bool known = is_live_wanted(w, now_ms) && w->identity == identity;
	*w = (struct wanted6){ .identity = identity,
			       .address = a->address,
			       .length = a->length,
			       .is_prefix = is_prefix,
			       .is_leased = 1,
			       .since_ms = known ? w->since_ms : now_ms,
			       .used_ms = now_ms,
			       .until_ms = lifetime_from(now_ms, a->valid_s),
			       .message = number_of_message(t->kind, t->id),
			       .messages = known ? w->messages : 1,
			       .is_mixed = known ? w->is_mixed : 0 };
}

void learn_leased(struct state *state, const struct transaction6 *t, const struct dhcp6 *m, uint64_t now_ms)
{
	for (uint32_t i = 0; m->status == 0 && i < m->address_count; i++)
		learn_one(state, t, m, &m->addresses[i], now_ms);
	forget_unleased(state, t, true);
}

bool has_delegated(const struct state *state, uint64_t identity, const struct dhcp6_address *prefix, uint64_t now_ms)
{
	for (uint32_t i = 0; i < WANTED6_MAX; i++) {
		const struct wanted6 *w = &state->ipv6.wanted[i];
		if (is_live_wanted(w, now_ms) && w->is_prefix && w->is_leased && !w->is_given_back &&
		    w->identity == identity && same_address(w->address, prefix->address) && w->length == prefix->length)
			return true;
	}
	return false;
}

void give_back_wanted(struct state *state, const struct dhcp6 *m, uint64_t now_ms)
{
	for (uint32_t i = 0; i < m->address_count; i++) {
		const struct dhcp6_address *a = &m->addresses[i];
		struct wanted6 *w = find_wanted(state, hash_of_identity(state, m, a->association), a, now_ms);
		uint32_t message = number_of_message(m->type, m->id);
		if (!w || (w->is_given_back && w->message == message)) /* repeated */
			continue;
		w->is_given_back = 1;
		w->is_mixed = is_reused(state, m->id, now_ms);
		w->message = message;
	}
	remember_request_id(state->ipv6.request_ids, m->id, now_ms);
}

/* RFC 8415 18.3.7, 18.3.8: a Reply that names an IA says that the server knew of no such lease. */
void learn_given_back(struct state *state, const struct transaction6 *t, const struct dhcp6 *m)
{
	bool is_refused = m->status != 0;
	for (uint32_t i = 0; i < m->association_count; i++)
		is_refused |= m->associations[i].status != 0;
	for (uint32_t i = 0; !is_refused && i < WANTED6_MAX; i++) {
		struct wanted6 *w = &state->ipv6.wanted[i];
		if (w->is_given_back && !w->is_mixed && w->message == number_of_message(t->kind, t->id))
			*w = (struct wanted6){ 0 };
	}
}
