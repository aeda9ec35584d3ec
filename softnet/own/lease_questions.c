/* The guest could say all of this itself, so it gets no right by it that it could not have: the server's word counts. */
#include "softnet/own/lease_questions.h"
#include "core/flows/siphash.h"
#include "core/learn4/lease.h"
#include "core/wire/arp.h"
#include "core/wire/ethernet.h"

enum { SHORTEST_MS = 1000, FIRST_DELAY_MS = 2000, LONGEST_DELAY_MS = 64000 /* RFC 2131 4.1 */ };

/* Which address the guest uses; unset: none. */
static struct address read_speaker(const struct frame *frame, unsigned verdict)
{
	enum { SOURCE4_AT = ETHERNET_HEADER + 12 };
	struct reader source = read_from(frame, SOURCE4_AT, frame->length);
	struct arp arp;
	if (verdict == DROP_IP4_NO_LEASE)
		return address_of_ipv4(read_be32(&source));
	if (verdict == DROP_ARP_NO_LEASE && parse_arp(frame, ETHERNET_HEADER, &arp))
		return arp.sender;
	return (struct address){ 0, 0 };
}

/* Its client is at it, and knows better what to say. */
static bool asks_itself(const struct lease_questions *q, const struct state *state, uint64_t now_ms)
{
	for (uint32_t i = 0; i < TRANSACTIONS_MAX; i++)
		if (now_ms < state->dhcp4[i].deadline_ms && (q->id == 0 || state->dhcp4[i].id != q->id))
			return true;
	return false;
}

/* A guest may have frames of other addresses, too, as of its containers: they must not stand in the way of its own. */
static struct address_asked *entry_of(struct lease_questions *q, struct address a)
{
	struct address_asked *first = &q->asked[0];
	for (uint32_t i = 0; i < ADDRESSES_ASKED_MAX; i++) {
		if (same_address(q->asked[i].address, a))
			return &q->asked[i];
		if (q->asked[i].next_ms < first->next_ms)
			first = &q->asked[i];
	}
	*first = (struct address_asked){ .address = a };
	return first;
}

static void note_question(struct lease_questions *q, struct address_asked *asked, uint32_t id, uint64_t now_ms)
{
	uint64_t delay_ms = asked->delay_ms == 0 ? FIRST_DELAY_MS : 2 * asked->delay_ms;
	asked->delay_ms = delay_ms < LONGEST_DELAY_MS ? delay_ms : LONGEST_DELAY_MS;
	asked->next_ms = now_ms + asked->delay_ms;
	q->next_ms = now_ms + SHORTEST_MS;
	q->id = id;
}

static uint32_t draw_id(const struct state *state, uint64_t now_ms)
{
	return (uint32_t)siphash_words(state->hash_key, &now_ms, 1) | 1;
}

uint32_t make_due_lease_question(struct lease_questions *q, struct guard *guard, const struct frame *dropped,
				 unsigned verdict, uint64_t now_ms, uint8_t to[LEASE_QUESTION_MAX])
{
	struct address a = read_speaker(dropped, verdict);
	if (now_ms < q->next_ms || is_unset(a) || asks_itself(q, guard->state, now_ms) || !may_resync4(guard, a, now_ms))
		return 0;
	struct address_asked *asked = entry_of(q, a);
	uint32_t id = draw_id(guard->state, now_ms), length = make_lease_question(guard->config->vm_mac, id, a, to);
	struct frame frame = { .bytes = to, .length = length };
	if (now_ms < asked->next_ms)
		return 0;
	enum verdict own = q->is_free ? decide_again(guard, FROM_GUEST, &frame, now_ms)
				      : decide(guard, FROM_GUEST, &frame, now_ms);
	if (own != PASS)
		return 0;
	note_question(q, asked, id, now_ms);
	return length;
}

void note_lease(struct lease_questions *q)
{
	*q = (struct lease_questions){ .is_free = q->is_free };
}
