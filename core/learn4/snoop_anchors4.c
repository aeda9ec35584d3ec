/*
 * The MACs of routers and DHCP servers that nobody named. They are learned on first use, and locked. A lock opens on
 * evidence alone: questions to the machine that it left unanswered. docs/filter.md, Trust anchors.
 */
#include "core/learn4/snoop_anchors4.h"
#include "core/wire/arp.h"
#include "core/wire/ethernet.h"
#include "core/learn4/lease.h"
#include "core/judge/trust.h"

#include <stddef.h>

enum { ROUTER_FORGET_MS = 120 * 1000 }; /* questions that lie further apart are not of one attempt */
#define NEVER_FORGOTTEN UINT64_MAX

/* Full: the oldest goes. */
static void add_mac(struct mac_set *set, uint64_t mac)
{
	if (mac_set_add(set, mac))
		return;
	for (uint32_t i = 1; i < MAC_SET_MAX; i++)
		set->item[i - 1] = set->item[i];
	set->item[MAC_SET_MAX - 1] = mac;
}

static void remove_mac(struct mac_set *set, uint64_t mac)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < set->count; i++)
		if (set->item[i] != mac)
			set->item[kept++] = set->item[i];
	set->count = kept;
}

/* One more question; behind this much time without any, it is the first one. */
static void note_question(struct silence *silence, uint64_t forget_ms, uint64_t now_ms)
{
	if (silence->count == 0 || now_ms - silence->last_ms >= forget_ms) {
		silence->count = silence->unicasts = 0;
		silence->since_ms = now_ms;
	}
	if (silence->count < UINT32_MAX)
		silence->count++;
	silence->last_ms = now_ms;
}

static void note_answer(struct silence *silence)
{
	silence->count = silence->unicasts = 0;
}

static void tell(const struct guard *guard, enum event_kind kind, const struct locked *l, uint64_t old_mac)
{
	if (!guard->event)
		return;
	struct event event = { .kind = kind,
			       .address = l->address,
			       .server = l->address,
			       .mac = l->macs.item[l->macs.count - 1],
			       .old_mac = old_mac,
			       .expires_ms = l->until_ms };
	guard->event(guard->context, &event);
}

/* --- routers ------------------------------------------------------------------------------------------------------ */

/* An entry that nothing is known of is taken as free. NULL: all are locked. */
struct router4 *entry_of_router4(struct state *state, struct address router, uint64_t now_ms)
{
	struct router4 *room = NULL;
	for (uint32_t i = 0; i < ROUTERS4_MAX; i++) {
		struct router4 *r = &state->learned.routers[i];
		if (same_address(r->lock.address, router))
			return r;
		if (!is_locked(&r->lock, now_ms) && (!room || r->asked.last_ms < room->asked.last_ms))
			room = r;
	}
	if (room)
		*room = (struct router4){ .lock = { .address = router } };
	return room;
}

/* The leases that made it a router; for the host's address all of them, for it is the router of each. */
static uint64_t end_of_router(const struct guard *guard, struct address router, uint64_t now_ms)
{
	uint64_t until_ms = 0;
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) {
		const struct binding *b = &guard->state->ipv4[i];
		bool is_its = set_has(&b->routers, router) || set_has(&guard->config->host, router);
		if (is_live(b, now_ms) && is_its && b->expires_ms > until_ms)
			until_ms = b->expires_ms;
	}
	return until_ms;
}

void extend_locks4(struct guard *guard, uint64_t until_ms, uint64_t now_ms)
{
	for (uint32_t i = 0; i < SERVERS4_MAX; i++) {
		struct locked *l = &guard->state->learned.servers[i];
		if (is_locked(l, now_ms) && until_ms > l->until_ms)
			l->until_ms = until_ms;
	}
	for (uint32_t i = 0; i < ROUTERS4_MAX; i++) {
		struct locked *l = &guard->state->learned.routers[i].lock;
		uint64_t end_ms = end_of_router(guard, l->address, now_ms);
		if (is_locked(l, now_ms) && end_ms > l->until_ms)
			l->until_ms = end_ms;
	}
}

void learn_router4(struct guard *guard, struct address router, uint64_t mac, uint64_t now_ms)
{
	struct router4 *r = entry_of_router4(guard->state, router, now_ms);
	uint64_t until_ms = end_of_router(guard, router, now_ms), old_mac = MAC_NONE;
	if (!r)
		return;
	if (is_locked(&r->lock, now_ms))
		old_mac = r->lock.macs.item[r->lock.macs.count - 1];
	else
		r->lock.macs = (struct mac_set){ .count = 0 };
	note_answer(&r->asked);
	r->rounds = 0;
	add_mac(&r->lock.macs, mac);
	if (until_ms > r->lock.until_ms)
		r->lock.until_ms = until_ms;
	tell(guard, old_mac == MAC_NONE ? EVENT_GATEWAY_LEARNED : EVENT_GATEWAY_CHANGED, &r->lock, old_mac);
}

bool reaches_router4(const struct binding *b, struct address router, uint64_t now_ms)
{
	uint32_t differs = ipv4_of_address(b->address) ^ ipv4_of_address(router);
	return is_live(b, now_ms) && ((differs & ipv4_mask(b->prefix_length)) == 0 || set_has(&b->routers, router));
}

void note_router_question(struct router4 *r, uint64_t now_ms)
{
	note_question(&r->asked, ROUTER_FORGET_MS, now_ms);
}

/*
 * A question proves something if the router must have heard it, and has to answer: it went to all, or to the one MAC that
 * the router has, from an address that has to do with this router.
 */
static bool must_be_answered(const struct guard *guard, const struct router4 *r, const struct arp *question,
			     uint64_t to_mac, uint64_t now_ms)
{
	if (to_mac != MAC_BROADCAST && !(r->lock.macs.count == 1 && r->lock.macs.item[0] == to_mac))
		return false;
	bool any_reaches = false;
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) {
		const struct binding *b = &guard->state->ipv4[i];
		if (!reaches_router4(b, question->target, now_ms))
			continue;
		if (same_address(b->address, question->sender))
			return true;
		any_reaches = true;
	}
	return !any_reaches;
}

enum verdict snoop_router_arp(struct guard *guard, const struct frame *frame, uint64_t now_ms)
{
	struct ethernet eth;
	struct arp arp;
	if (!parse_ethernet(frame, &eth) || !parse_arp(frame, ETHERNET_HEADER, &arp))
		return DROP_ARP_MALFORMED;
	bool is_question = eth.source == guard->config->vm_mac;
	struct router4 *r = entry_of_router4(guard->state, is_question ? arp.target : arp.sender, now_ms);
	if (!r)
		return PASS;
	if (is_question) {
		if (!is_locked(&r->lock, now_ms) || must_be_answered(guard, r, &arp, eth.destination, now_ms))
			note_router_question(r, now_ms);
		return PASS;
	}
	/* The judge has asked the same, for any caller; here it decides what is written. */
	uint32_t lesson =
	    lesson_of_arp(guard->state, ipv4_of_address(arp.sender), arp.sender_mac, arp.operation == ARP_REPLY, now_ms);
	if (lesson == LESSON_ALIVE) {
		note_answer(&r->asked);
		r->rounds = 0;
	}
	if (lesson == LESSON_LEARN || lesson == LESSON_SUCCEED)
		learn_router4(guard, arp.sender, arp.sender_mac, now_ms);
	if (lesson == LESSON_SUSPECT)
		suspect_router4(guard, r, now_ms);
	return lesson == LESSON_SUSPECT || lesson == LESSON_SPOOF ? DROP_ARP_GATEWAY_SPOOF : PASS;
}

/* --- servers ------------------------------------------------------------------------------------------------------ */

/* Renewals of one lease lie hours apart; a DISCOVER is repeated within a minute, or it is another boot's. */
void note_dhcp_question(struct state *state, enum transaction_kind kind, bool broadcast, uint64_t now_ms)
{
	struct learned *learned = &state->learned;
	if (!broadcast && learned->hears_no_unicast)
		return;
	note_question(&learned->asked, kind == TRANSACTION_RENEW ? NEVER_FORGOTTEN : TRANSACTION_LIFE_MS, now_ms);
	learned->asked.unicasts += !broadcast;
}

bool is_served_client4(const struct state *state, uint64_t client_id)
{
	for (uint32_t i = 0; i < SERVED_MAX; i++)
		if (state->learned.served[i] == client_id)
			return true;
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) /* over a restart those are known */
		if (state->ipv4[i].state == BINDING_BOUND && state->ipv4[i].client_id == client_id)
			return true;
	return false;
}

/* The newest last. */
void remember_served_client4(struct state *state, uint64_t client_id)
{
	uint64_t *served = state->learned.served;
	uint32_t at = 0;
	while (at < SERVED_MAX && served[at] != client_id)
		at++;
	for (at %= SERVED_MAX; at < SERVED_MAX - 1; at++) /* the oldest goes, if it is a new one */
		served[at] = served[at + 1];
	served[SERVED_MAX - 1] = client_id;
}

/* A firewall may keep unicast from a server behind a relay, so that it hears a rebinding and no renewal. */
void note_dhcp_answer(struct state *state, bool to_broadcast)
{
	struct learned *learned = &state->learned;
	if (!to_broadcast)
		learned->hears_no_unicast = 0;
	else if (learned->asked.unicasts > 0)
		learned->hears_no_unicast = 1;
	note_answer(&learned->asked);
}

/* The entry of the address; else a free one, or the one whose lock ends first. */
static struct locked *entry_of_server(struct state *state, struct address server)
{
	struct locked *room = &state->learned.servers[0];
	for (uint32_t i = 0; i < SERVERS4_MAX; i++) {
		struct locked *l = &state->learned.servers[i];
		if (same_address(l->address, server))
			return l;
		if (l->until_ms < room->until_ms)
			room = l;
	}
	return room;
}

void learn_server4(struct guard *guard, struct address server, uint64_t mac, uint64_t until_ms, uint64_t now_ms)
{
	struct locked *l = entry_of_server(guard->state, server);
	bool is_first = !has_learned_server4(guard->state, now_ms), is_named = anchored_servers(guard->config)->count > 0;
	uint64_t old_mac = MAC_NONE;
	if (same_address(l->address, server) && is_locked(l, now_ms))
		old_mac = l->macs.item[l->macs.count - 1];
	else
		*l = (struct locked){ .address = server };
	bool is_new = !mac_set_has(&l->macs, mac);
	add_mac(&l->macs, mac);
	if (until_ms > l->until_ms)
		l->until_ms = until_ms;
	if (is_new && (is_first || old_mac == MAC_NONE) && !is_named)
		tell(guard, is_first ? EVENT_SERVER_LEARNED : EVENT_SERVER_CHANGED, l, MAC_NONE);
	else if (is_new && old_mac != MAC_NONE)
		tell(guard, EVENT_SERVER_CHANGED, l, old_mac);
	note_answer(&guard->state->learned.asked);
}

void unlearn_mac4(struct guard *guard, struct address machine, uint64_t mac)
{
	for (uint32_t i = 0; i < SERVERS4_MAX; i++)
		if (same_address(guard->state->learned.servers[i].address, machine))
			remove_mac(&guard->state->learned.servers[i].macs, mac);
	for (uint32_t i = 0; i < ROUTERS4_MAX; i++)
		if (same_address(guard->state->learned.routers[i].lock.address, machine))
			remove_mac(&guard->state->learned.routers[i].lock.macs, mac);
}

void forget_silence4(struct state *state)
{
	for (uint32_t i = 0; i < ROUTERS4_MAX; i++)
		note_answer(&state->learned.routers[i].asked);
	note_answer(&state->learned.asked);
}

void forget_anchors4(struct state *state)
{
	state->learned = (struct learned){ 0 };
}
