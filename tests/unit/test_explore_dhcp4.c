/* Two servers, one of which is not to be believed, and a client that asks in every way (P18, P27 to P33, P38 to P40, P63). */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "explore.h"

#include <cmocka.h>

enum { LEASE_MS = 600 * 1000, QUESTION_LIFE_MS = 64000, ANSWERED_LIFE_MS = 10000, GRACE_MS = 30000, MARGIN_MS = 100 };
enum { XID1 = 0x101, XID2 = 0x202, XID_NEVER = 0x303, SELECT = 1, REBOOT, RENEW4, NO_REQUEST };
enum { ASK = 1, DISCOVER, GIVE_BACK, ANSWER_ACK, ANSWER_NAK, ANSWER_OFFER }; /* what a move is: what[0] */
enum { SERVER = 1, ROGUE, FORGER };                                          /* who answers: what[3] */

/* The memory, by name. */
enum {
	FIRST_ASKED,     /* of the id, two of them: when; 0: nothing is asked */
	LAST_ASKED = 2,  /* the same for the newest message */
	KIND = 4,        /* SELECT ... */
	ACKED = 6,       /* the address that the answer to the id gave; 0: none */
	ACKED_UNTIL = 8, /* repeats of it pass until then */
	OWN_UNTIL = 10,  /* of the two addresses */
	TRUSTED = 12, /* a bit for each: who completed the first exchange, and who took its place when it was silent */
	TRUSTED_UNTIL = 13,    /* its lock */
	UNANSWERED = 14,       /* messages since the trusted one was last heard */
	UNANSWERED_SINCE = 15, /* the first of them */
	IS_NAMED = 16          /* SERVER is trusted from the start, without end */
};

static uint32_t place_of(uint32_t address)
{
	return address == GUEST_IP ? 0 : 1;
}

static uint32_t place_of_id(uint32_t xid)
{
	return xid == XID1 ? 0 : 1;
}

#define CLIENT(name, ...) \
	static void name(struct world *w) \
	{ \
		put_client_message(w, &(struct dhcp_spec){ __VA_ARGS__ }); \
	}
#define ANSWER(name, ...) \
	static void name(struct world *w) \
	{ \
		put_server_message( \
		    w, &(struct dhcp_spec){ .lease_s = 600, .mask = 0xffffff00, .router = GATEWAY_IP, __VA_ARGS__ }); \
	}

CLIENT(discover1, .type = 1, .xid = XID1)
CLIENT(select1, .type = 3, .xid = XID1, .requested = GUEST_IP, .server = GATEWAY_IP)
CLIENT(reboot2, .type = 3, .xid = XID2, .requested = GUEST_IP)
CLIENT(renew2, .type = 3, .xid = XID2, .ciaddr = GUEST_IP, .ip_from = GUEST_IP, .ip_to = GATEWAY_IP, .mac_to = GATEWAY_MAC)
CLIENT(release, .type = 7, .xid = XID2, .ciaddr = GUEST_IP, .ip_from = GUEST_IP, .ip_to = GATEWAY_IP,
       .mac_to = GATEWAY_MAC, .server = GATEWAY_IP)
CLIENT(decline, .type = 4, .xid = XID2, .requested = GUEST_IP, .server = GATEWAY_IP)
ANSWER(offer1, .type = 2, .xid = XID1, .yiaddr = GUEST_IP, .server = GATEWAY_IP)
ANSWER(ack1, .type = 5, .xid = XID1, .yiaddr = GUEST_IP, .server = GATEWAY_IP)
ANSWER(ack2, .type = 5, .xid = XID2, .yiaddr = GUEST_IP, .server = GATEWAY_IP)
ANSWER(ack_other1, .type = 5, .xid = XID1, .yiaddr = OTHER_IP, .server = GATEWAY_IP)
ANSWER(nak2, .type = 6, .xid = XID2, .server = GATEWAY_IP)
ANSWER(ack_for_another, .type = 5, .xid = XID1, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .chaddr = VICTIM_MAC)
ANSWER(ack_unasked, .type = 5, .xid = XID_NEVER, .yiaddr = GUEST_IP, .server = GATEWAY_IP)
ANSWER(rogue_ack1, .type = 5, .xid = XID1, .yiaddr = GUEST_IP, .server = VICTIM_IP, .ip_from = VICTIM_IP,
       .mac_from = FOREIGN_MAC)
ANSWER(rogue_ack2, .type = 5, .xid = XID2, .yiaddr = OTHER_IP, .server = VICTIM_IP, .ip_from = VICTIM_IP,
       .mac_from = FOREIGN_MAC)
ANSWER(forged_nak2, .type = 6, .xid = XID2, .server = GATEWAY_IP, .mac_from = FOREIGN_MAC)

static const struct move moves[] = {
	{ "DISCOVER", FROM_THE_GUEST, .make = discover1, .what = { DISCOVER, XID1 } },
	{ "REQUEST, selecting", FROM_THE_GUEST, .make = select1, .what = { ASK, XID1, SELECT } },
	{ "REQUEST, init-reboot", FROM_THE_GUEST, .make = reboot2, .what = { ASK, XID2, REBOOT } },
	{ "REQUEST, renewing", FROM_THE_GUEST, .make = renew2, .what = { ASK, XID2, RENEW4 } },
	{ "RELEASE", FROM_THE_GUEST, .make = release, .what = { GIVE_BACK } },
	{ "DECLINE", FROM_THE_GUEST, .make = decline, .what = { GIVE_BACK } },
	{ "OFFER", TO_THE_GUEST, .make = offer1, .what = { ANSWER_OFFER, XID1, GUEST_IP, SERVER } },
	{ "ACK", TO_THE_GUEST, .make = ack1, .what = { ANSWER_ACK, XID1, GUEST_IP, SERVER } },
	{ "ACK of the second id", TO_THE_GUEST, .make = ack2, .what = { ANSWER_ACK, XID2, GUEST_IP, SERVER } },
	{ "ACK of another address", TO_THE_GUEST, .make = ack_other1, .what = { ANSWER_ACK, XID1, OTHER_IP, SERVER } },
	{ "NAK", TO_THE_GUEST, .make = nak2, .what = { ANSWER_NAK, XID2, GUEST_IP, SERVER } },
	{ "ACK for another machine", TO_THE_GUEST, .make = ack_for_another,
	  .what = { ANSWER_ACK, XID_NEVER, GUEST_IP, FORGER } },
	{ "ACK that nobody asked for", TO_THE_GUEST, .make = ack_unasked,
	  .what = { ANSWER_ACK, XID_NEVER, GUEST_IP, FORGER } },
	{ "rogue's ACK", TO_THE_GUEST, .make = rogue_ack1, .what = { ANSWER_ACK, XID1, GUEST_IP, ROGUE } },
	{ "rogue's ACK of the second id", TO_THE_GUEST, .make = rogue_ack2,
	  .what = { ANSWER_ACK, XID2, OTHER_IP, ROGUE } },
	{ "forged NAK", TO_THE_GUEST, .make = forged_nak2, .what = { ANSWER_NAK, XID2, GUEST_IP, FORGER } },
	{ "5 s", TIME_PASSES, .wait_ms = 5000 },
	{ "31 s", TIME_PASSES, .wait_ms = 31 * 1000 },
	{ "500 s", TIME_PASSES, .wait_ms = 500 * 1000 },
};

static void begin_learned(struct world *w)
{
	start_world(w, false);
}

static void forget_questions(uint64_t *m)
{
	memset(&m[FIRST_ASKED], 0, 4 * sizeof *m);
}

static void ask(uint64_t *m, uint32_t id, uint32_t kind, uint64_t now_ms)
{
	bool is_answered = m[ACKED + id] != 0 && now_ms < m[ACKED_UNTIL + id];
	bool is_repeated = !is_answered && m[FIRST_ASKED + id] != 0 && m[KIND + id] != NO_REQUEST &&
			   now_ms < m[LAST_ASKED + id] + QUESTION_LIFE_MS;
	uint64_t first_ms = is_repeated ? m[FIRST_ASKED + id] : now_ms;
	m[FIRST_ASKED + (1 - id)] = 0; /* one exchange at a time */
	m[FIRST_ASKED + id] = first_ms;
	m[LAST_ASKED + id] = now_ms;
	m[KIND + id] = kind;
	m[ACKED + id] = 0;
	if (m[UNANSWERED]++ == 0)
		m[UNANSWERED_SINCE] = now_ms;
}

static bool is_asked(const uint64_t *m, uint32_t id, uint64_t now_ms)
{
	return m[FIRST_ASKED + id] != 0 && now_ms < m[LAST_ASKED + id] + QUESTION_LIFE_MS;
}

/* Whether this one may be heard at all: it is the trusted one, there is none, or the trusted one may be gone. */
static bool may_be_heard(const uint64_t *m, uint32_t who, uint64_t now_ms)
{
	bool is_locked = m[IS_NAMED] || (m[TRUSTED] != 0 && now_ms < m[TRUSTED_UNTIL]);
	bool may_be_gone = m[UNANSWERED] >= 2 && now_ms >= m[UNANSWERED_SINCE] + 4000;
	return !is_locked || (m[TRUSTED] >> who & 1) || may_be_gone;
}

static void take_ack(uint64_t *m, uint32_t id, const struct step *s)
{
	uint32_t place = place_of(s->move->what[2]);
	uint64_t until_ms = m[FIRST_ASKED + id] + LEASE_MS - MARGIN_MS;
	m[OWN_UNTIL + place] = until_ms;
	if (m[OWN_UNTIL + 1 - place] > s->now_ms + GRACE_MS)
		m[OWN_UNTIL + 1 - place] = s->now_ms + GRACE_MS;
	m[FIRST_ASKED + id] = 0;
	m[ACKED + id] = s->move->what[2];
	m[ACKED_UNTIL + id] = s->now_ms + ANSWERED_LIFE_MS;
	bool is_new = m[TRUSTED] == 0 || s->now_ms >= m[TRUSTED_UNTIL];
	m[TRUSTED] = (is_new ? 0 : m[TRUSTED]) | 1U << s->move->what[3];
	if (is_new || until_ms > m[TRUSTED_UNTIL])
		m[TRUSTED_UNTIL] = until_ms;
	m[UNANSWERED] = 0;
}

static const char *hear_answer(uint64_t *m, const struct step *s)
{
	const uint32_t *what = s->move->what;
	uint32_t id = place_of_id(what[1]), who = what[3];
	bool is_right_id = what[1] != XID_NEVER;
	bool is_repeat = is_right_id && what[0] == ANSWER_ACK && m[ACKED + id] == what[2] &&
			 s->now_ms < m[ACKED_UNTIL + id];
	bool is_open = is_right_id && is_asked(m, id, s->now_ms) &&
		       (m[KIND + id] != NO_REQUEST) == (what[0] != ANSWER_OFFER);
	if (s->verdict != PASS) {
		bool trusted = (m[TRUSTED] >> who & 1) && (m[IS_NAMED] || s->now_ms < m[TRUSTED_UNTIL]);
		bool is_its = m[KIND + id] != SELECT || who == SERVER;
		if (what[0] != ANSWER_OFFER && is_open && trusted && is_its)
			return "the trusted server's answer to an open question is lost";
		if (memcmp(s->before->ipv4, s->after->ipv4, sizeof s->after->ipv4) != 0)
			return "what was dropped has changed a binding";
		return NULL;
	}
	if (!may_be_heard(m, who, s->now_ms))
		return "an answer passes that is not the trusted server's";
	if (!is_open && !is_repeat)
		return "an answer passes that nobody has asked for";
	if (what[0] == ANSWER_ACK && is_open)
		take_ack(m, id, s);
	if (what[0] == ANSWER_NAK) {
		m[OWN_UNTIL + place_of(GUEST_IP)] = 0;
		m[FIRST_ASKED + id] = 0;
	}
	if ((m[TRUSTED] >> who & 1) && is_open) /* a copy of an older answer answers nothing */
		m[UNANSWERED] = 0;
	return NULL;
}

static const char *learn_dhcp4(uint64_t *m, const struct step *s)
{
	const uint32_t *what = s->move->what;
	if (s->move->kind == TO_THE_GUEST)
		return hear_answer(m, s);
	if (s->move->kind == TIME_PASSES || s->verdict != PASS)
		return NULL;
	if (what[0] == GIVE_BACK) {
		m[OWN_UNTIL + place_of(GUEST_IP)] = 0;
		forget_questions(m);
	} else
		ask(m, place_of_id(what[1]), what[0] == DISCOVER ? NO_REQUEST : what[2], s->now_ms);
	return NULL;
}

static bool may_send_from(struct world *w, uint32_t source)
{
	put_ethernet(w, MAC_BROADCAST, GUEST_MAC, 0x0806);
	put_arp(w, 1, GUEST_MAC, source, VICTIM_IP);
	enum verdict arp = judged(w);
	put_ethernet(w, GATEWAY_MAC, GUEST_MAC, 0x0800);
	put_ipv4(w, source, GLOBAL_IP, 17, 0, 12);
	put_udp(w, 4000, 4000, 4);
	put_zeros(w, 4);
	enum verdict data = judged(w);
	bool by_data = data != DROP_IP4_SRC_SPOOF && data != DROP_IP4_NO_LEASE;
	assert_int_equal(by_data, arp != DROP_ARP_SPA_SPOOF && arp != DROP_ARP_NO_LEASE);
	return by_data;
}

/* P18, P26, P27, P30 to P33: an address is the guest's if the memory says so, and not a moment longer. */
static const char *check_dhcp4(struct world *w, const uint64_t *m)
{
	const uint32_t addresses[] = { GUEST_IP, OTHER_IP };
	for (uint32_t i = 0; i < 2; i++) {
		bool is_own = may_send_from(w, addresses[i]), should_be = w->now_ms < m[OWN_UNTIL + i];
		if (is_own && !should_be)
			return "an address is the guest's that should not be";
		if (!is_own && should_be)
			return "the guest has lost an address";
	}
	if (may_send_from(w, VICTIM_IP))
		return "another one's address is the guest's";
	return NULL;
}

const struct scene dhcp4_scene = { "DHCPv4",      moves,       sizeof moves / sizeof moves[0],
				   begin_learned, learn_dhcp4, check_dhcp4 };

static void begin_named(struct world *w)
{
	start_world(w, true);
}

static const char *learn_named(uint64_t *m, const struct step *s)
{
	m[IS_NAMED] = 1;
	m[TRUSTED] = 1U << SERVER;
	m[UNANSWERED] = 0; /* silence opens nothing: gateway and MAC are named */
	const char *why = learn_dhcp4(m, s);
	m[TRUSTED] = 1U << SERVER;
	return why;
}

const struct scene named_dhcp4_scene = { "DHCPv4, named", moves,       sizeof moves / sizeof moves[0],
					 begin_named,     learn_named, check_dhcp4 };
