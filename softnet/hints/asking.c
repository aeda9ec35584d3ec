/*
 * Why has the VM no IPv4 address? A question that left is a live transaction; one that the guard dropped is a specimen.
 * Evidence is what happened while the VM was asking, within a minute; the most telling kind wins.
 */
#include "softnet/hints/asking.h"
#include <inttypes.h>
#include <stdio.h>
#include "core/learn4/lease.h"
#include "core/judge/trust.h"
#include "system/platform.h"
#include "system/text.h"

enum { EVIDENCE_MS = TRANSACTION_LIFE_MS, LOOK_MS = 2000, CLIENT_PORT = 68, SERVER_PORT = 67, ANY_PORT = 0 };

/* What was sent before the last answer, perhaps by a boot loader, is forgotten. A renewal has the old lease's time. */
static bool is_open(const struct asking *a, const struct transaction *t, bool has_lease, uint64_t now_ms)
{
	bool asks = t->kind == TRANSACTION_DISCOVER || t->kind == TRANSACTION_SELECT || t->kind == TRANSACTION_REBOOT ||
		    (t->kind == TRANSACTION_RENEW && !has_lease);
	return asks && !t->done && now_ms < t->deadline_ms && t->deadline_ms - TRANSACTION_LIFE_MS >= a->answered_ms;
}

/* The newest, or NULL. */
static const struct transaction *open_question(const struct asking *a, const struct state *state, uint64_t now_ms)
{
	const struct transaction *newest = NULL;
	bool has_lease = has_lease4(state, now_ms);
	for (int i = 0; i < TRANSACTIONS_MAX; i++) {
		const struct transaction *t = &state->dhcp4[i];
		if (is_open(a, t, has_lease, now_ms) && (!newest || t->deadline_ms > newest->deadline_ms))
			newest = t;
	}
	return newest;
}

/* A DHCP message over IPv4 from this port to that one, as far as the specimen goes. */
static bool is_dhcp(const struct specimen *s, uint16_t from, uint16_t to)
{
	enum { ETHERTYPE_AT = 12, PROTOCOL_IN_HEADER = 9, UDP = 17 };
	struct frame frame = { .bytes = s->bytes, .length = s->kept };
	struct reader r = read_from(&frame, 0, s->kept);
	skip_bytes(&r, ETHERTYPE_AT);
	uint16_t type = read_be16(&r);
	struct reader ip = r;
	uint32_t header_bytes = (read_u8(&r) & 15U) * 4;
	skip_bytes(&r, PROTOCOL_IN_HEADER - 1);
	uint8_t protocol = read_u8(&r);
	skip_bytes(&ip, header_bytes);
	uint16_t source = read_be16(&ip), destination = read_be16(&ip);
	return r.ok && ip.ok && type == 0x0800 && protocol == UDP && (source == from || from == ANY_PORT) &&
	       destination == to;
}

/* The reason for which a DHCP message was dropped last, in this time; 0: for none. */
static unsigned dropped_dhcp(const struct counters *counters, enum direction direction, uint64_t since_ms)
{
	unsigned latest = 0;
	bool is_question = direction == FROM_GUEST;
	for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++) {
		const struct specimen *s = &counters->last[direction][verdict];
		if (s->kept == 0 || s->dropped_ms < since_ms ||
		    (latest != 0 && s->dropped_ms <= counters->last[direction][latest].dropped_ms))
			continue;
		/* Other machines' messages are broadcast, too: they say something else. */
		if (verdict != DROP_DHCP4_NOT_FOR_GUEST && verdict != DROP_DHCP4_CLIENT &&
		    is_dhcp(s, is_question ? CLIENT_PORT : ANY_PORT, is_question ? SERVER_PORT : CLIENT_PORT))
			latest = verdict;
	}
	return latest;
}

static uint64_t minute_before(uint64_t now_ms)
{
	return now_ms > EVIDENCE_MS ? now_ms - EVIDENCE_MS : 1;
}

static void follow_count(uint64_t count, uint64_t *known, uint64_t *grown_ms, uint64_t now_ms)
{
	if (count != *known)
		*grown_ms = now_ms;
	*known = count;
}

static void follow_counters(struct asking *a, const struct counters *counters, uint64_t now_ms)
{
	const uint64_t *guest = counters->verdicts[FROM_GUEST], *uplink = counters->verdicts[TO_GUEST];
	uint64_t arrived = uplink[PASS];
	for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++)
		arrived += uplink[verdict];
	follow_count(arrived, &a->arrived, &a->arrived_ms, now_ms);
	follow_count(guest[DROP_QUEUE_FULL] + guest[DROP_WRITE_ERROR], &a->refused, &a->refused_ms, now_ms);
	follow_count(uplink[DROP_QUEUE_FULL] + uplink[DROP_WRITE_ERROR], &a->undelivered, &a->undelivered_ms, now_ms);
}

static void follow_answers(struct asking *a, const struct state *state, uint64_t now_ms)
{
	for (int i = 0; i < TRANSACTIONS_MAX; i++)
		if (state->dhcp4[i].done && now_ms < state->dhcp4[i].deadline_ms)
			a->answered_ms = state->dhcp4[i].deadline_ms - TRANSACTION_DONE_MS;
}

/* The VM's own card asks, as one does that has no address: DISCOVER, or REQUEST with ciaddr 0 (RFC 2131 table 5). */
static bool asks_from_nothing(const struct specimen *s, unsigned verdict)
{
	enum { HEADER_LENGTH_AT = 14, UDP_HEADER = 8, CIADDR_AT = 12, OPTIONS_AT = 240 };
	enum { MESSAGE_TYPE = 53, DISCOVER = 1, REQUEST = 3 };
	struct frame frame = { .bytes = s->bytes, .length = s->kept };
	struct reader r = read_from(&frame, HEADER_LENGTH_AT, s->kept);
	uint32_t message = HEADER_LENGTH_AT + (read_u8(&r) & 15U) * 4 + UDP_HEADER;
	r = read_from(&frame, message + CIADDR_AT, s->kept);
	uint32_t ciaddr = read_be32(&r);
	r = read_from(&frame, message + OPTIONS_AT, s->kept);
	uint8_t option = read_u8(&r);
	skip_bytes(&r, 1);
	uint8_t type = read_u8(&r);
	bool asks = option == MESSAGE_TYPE && (type == DISCOVER || type == REQUEST);
	return r.ok && asks && ciaddr == 0 && verdict != DROP_ETH_SRC_SPOOF && verdict != DROP_DHCP4_CHADDR;
}

static bool has_static4(const struct state *state)
{
	for (int i = 0; i < BINDINGS4_MAX; i++)
		if (state->ipv4[i].state == BINDING_STATIC)
			return true;
	return false;
}

/*
 * A dropped message may be no question, which its specimen does not show; but what comes again is one. A VM that has a lease
 * asks for none, unless it says so itself: it has been started anew, and the old lease still runs.
 */
static bool has_dropped_question(const struct asking *a, const struct state *state, const struct counters *counters,
				 bool must_repeat, uint64_t now_ms)
{
	unsigned verdict = has_static4(state) ? 0 : dropped_dhcp(counters, FROM_GUEST, minute_before(now_ms));
	const struct specimen *last = &counters->last[FROM_GUEST][verdict];
	if (verdict == 0 || last->dropped_ms <= a->answered_ms)
		return false;
	if (has_lease4(state, now_ms) && !asks_from_nothing(last, verdict))
		return false;
	return !must_repeat || last->dropped_ms > a->since_ms;
}

/* Answered, or given up. */
static enum asking_news end_asking(struct asking *a)
{
	bool is_answered_at_last = a->told_ms != 0 && a->answered_ms >= a->since_ms;
	a->since_ms = a->told_ms = 0;
	return is_answered_at_last ? ANSWERED_AT_LAST : NO_NEWS;
}

enum asking_news follow_questions(struct asking *a, const struct state *state, const struct counters *counters,
				  uint64_t now_ms)
{
	follow_counters(a, counters, now_ms);
	follow_answers(a, state, now_ms);
	const struct transaction *open = open_question(a, state, now_ms);
	bool is_open = open != NULL;
	if (!is_open && !has_dropped_question(a, state, counters, false, now_ms))
		return end_asking(a);
	if (a->since_ms == 0)
		a->since_ms = now_ms;
	if (open && open->prefers_ipv6 && a->told_ms != 0) /* nothing is amiss; once will do */
		return NO_NEWS;
	bool is_due = a->told_ms == 0 ? now_ms - a->since_ms >= ASKING_PATIENCE_MS
				      : now_ms - a->told_ms >= ASKING_REPEAT_MS;
	if (!is_due || (!is_open && !has_dropped_question(a, state, counters, true, now_ms)))
		return NO_NEWS;
	a->told_ms = now_ms;
	return STILL_UNANSWERED;
}

/* The guard's own doing: first what it dropped of the guest's, then of the answers. */
static bool explain_question(const struct trust *t, const struct counters *counters, uint64_t since_ms,
			     char hint[HINT_TEXT])
{
	unsigned verdict = dropped_dhcp(counters, FROM_GUEST, since_ms);
	if (verdict != 0)
		explain_message(t, counters, FROM_GUEST, verdict, hint);
	return verdict != 0;
}

static bool explain_answer(const struct trust *t, const struct counters *counters, uint64_t since_ms,
			   char hint[HINT_TEXT])
{
	const struct specimen *rogue = &counters->last[TO_GUEST][DROP_DHCP4_ROGUE_SERVER];
	bool is_rogue = rogue->kept > 0 && rogue->dropped_ms >= since_ms;
	unsigned verdict = is_rogue ? DROP_DHCP4_ROGUE_SERVER : dropped_dhcp(counters, TO_GUEST, since_ms);
	if (verdict != 0)
		explain_message(t, counters, TO_GUEST, verdict, hint);
	return verdict != 0;
}

/* The ports: what they did not take never arrived. */
static bool explain_ports(const struct asking *a, uint64_t since_ms, char hint[HINT_TEXT])
{
	bool is_refused = a->refused_ms >= since_ms, is_undelivered = a->undelivered_ms >= since_ms;
	if (is_refused)
		snprintf(hint, HINT_TEXT,
			 "the uplink does not take what the VM sends (queue-full, write-error): its other end "
			 "is away, down or does not read");
	else if (is_undelivered)
		snprintf(hint, HINT_TEXT,
			 "the VM does not take what the network sends (queue-full, write-error): its network "
			 "card is down or does not read");
	return is_refused || is_undelivered;
}

static void explain_silence(const struct asking *a, const struct state *state, const struct counters *counters,
			    uint64_t since_ms, uint64_t now_ms, char hint[HINT_TEXT])
{
	const struct transaction *t = open_question(a, state, now_ms);
	const struct specimen *others = &counters->last[TO_GUEST][DROP_DHCP4_NOT_FOR_GUEST];
	char address[ADDRESS_TEXT];
	if (t && t->prefers_ipv6)
		snprintf(hint, HINT_TEXT,
			 "the server's offer prefers IPv6 only (option 108, RFC 8925): a VM that knows IPv6 goes "
			 "without an IPv4 address here, and nothing is wrong");
	else if (t && !is_unset(t->offered))
		snprintf(hint, HINT_TEXT, "%s was offered, and then %s", format_address(t->offered, address),
			 t->kind == TRANSACTION_DISCOVER ? "the VM did not ask for it: does it see the offer?"
							 : "the server did not confirm it");
	else if (a->arrived_ms < since_ms)
		snprintf(hint, HINT_TEXT,
			 "nothing at all arrives from the network: look at the cable, the bridge, and whether "
			 "the uplink's interface is up");
	else if (others->kept > 0 && others->dropped_ms >= since_ms)
		snprintf(hint, HINT_TEXT,
			 "a server answers other machines, but not the VM: has it free addresses, and may the "
			 "VM have one?");
	else
		snprintf(hint, HINT_TEXT,
			 "frames arrive from the network, but no DHCP answer: no server runs there, or a firewall "
			 "(on its host: %s) drops what is sent to UDP port 67",
			 platform_firewall);
}

const char *why_unanswered(const struct asking *a, const struct trust *t, const struct counters *counters,
			   char hint[HINT_TEXT])
{
	uint64_t begun_ms = a->since_ms > LOOK_MS ? a->since_ms - LOOK_MS : 1, since_ms = minute_before(t->view.now_ms);
	if (begun_ms > since_ms)
		since_ms = begun_ms;
	bool has_asked = open_question(a, t->view.state, t->view.now_ms) != NULL;
	if (!has_asked && explain_question(t, counters, since_ms, hint))
		return hint;
	if (explain_answer(t, counters, since_ms, hint) || explain_ports(a, since_ms, hint))
		return hint;
	explain_silence(a, t->view.state, counters, since_ms, t->view.now_ms, hint);
	return hint;
}
