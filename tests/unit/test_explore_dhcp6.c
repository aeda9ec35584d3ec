/* A DHCPv6 server, a rogue, and a client that asks, renews and gives back (P27, P28, P29, P30, P31, P33, P63). */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "explore.h"

#include <cmocka.h>

enum { VALID_S = 600, QUESTION_LIFE_MS = 64000, ANSWERED_LIFE_MS = 10000 };
enum { ID_REQUEST = 0x111, ID_RENEW = 0x222, ID_RELEASE = 0x333, ID_NEVER = 0x444 };
enum { ASK = 1, OTHER, GIVE_BACK, ANSWER };
enum { SERVER = 1, ROGUE };

/* The memory, by name. */
enum {
	FIRST_ASKED,
	LAST_ASKED = 2,
	OWN_UNTIL = 4,
	TRUSTED,
	TRUSTED_UNTIL,
	UNANSWERED,
	UNANSWERED_SINCE,
	ANSWERED_UNTIL,
	KIND = ANSWERED_UNTIL + 2
};

#define CLIENT6(name, ...) \
	static void name(struct world *w) \
	{ \
		put_client_message6(w, &(struct dhcp6_spec){ __VA_ARGS__ }); \
	}
#define ANSWER6(name, ...) \
	static void name(struct world *w) \
	{ \
		put_server_message6(w, &(struct dhcp6_spec){ __VA_ARGS__ }); \
	}

CLIENT6(solicit, .type = SOLICIT, .id = ID_REQUEST)
CLIENT6(request, .type = REQUEST, .id = ID_REQUEST, .address = GUEST_LEASED)
CLIENT6(renew, .type = RENEW, .id = ID_RENEW, .address = GUEST_LEASED)
CLIENT6(rebind, .type = REBIND, .id = ID_RENEW, .address = GUEST_LEASED)
CLIENT6(release, .type = RELEASE, .id = ID_RELEASE, .address = GUEST_LEASED)
CLIENT6(decline, .type = DECLINE, .id = ID_RELEASE, .address = GUEST_LEASED)
ANSWER6(advertise, .type = ADVERTISE, .id = ID_REQUEST, .address = GUEST_LEASED, .valid_s = VALID_S)
ANSWER6(reply, .type = REPLY, .id = ID_REQUEST, .address = GUEST_LEASED, .valid_s = VALID_S)
ANSWER6(reply_renew, .type = REPLY, .id = ID_RENEW, .address = GUEST_LEASED, .valid_s = VALID_S)
ANSWER6(reply_end, .type = REPLY, .id = ID_RENEW, .address = GUEST_LEASED, .valid_s = 0)
ANSWER6(reply_unasked, .type = REPLY, .id = ID_NEVER, .address = GUEST_LEASED, .valid_s = VALID_S)
ANSWER6(rogue_reply, .type = REPLY, .id = ID_REQUEST, .address = VICTIM_LEASED, .valid_s = VALID_S,
	.ip_from = VICTIM_LL, .mac_from = VICTIM_MAC)
ANSWER6(rogue_end, .type = REPLY, .id = ID_RENEW, .address = GUEST_LEASED, .valid_s = 0, .ip_from = VICTIM_LL,
	.mac_from = VICTIM_MAC)

static const struct move moves[] = {
	{ "SOLICIT", FROM_THE_GUEST, .make = solicit, .what = { ASK, 0, SOLICIT } },
	{ "REQUEST", FROM_THE_GUEST, .make = request, .what = { ASK, 0, REQUEST } },
	{ "RENEW", FROM_THE_GUEST, .make = renew, .what = { ASK, 1, RENEW } },
	{ "REBIND", FROM_THE_GUEST, .make = rebind, .what = { ASK, 1, REBIND } },
	{ "RELEASE", FROM_THE_GUEST, .make = release, .what = { GIVE_BACK } },
	{ "DECLINE", FROM_THE_GUEST, .make = decline, .what = { GIVE_BACK } },
	{ "ADVERTISE", TO_THE_GUEST, .make = advertise, .what = { OTHER } },
	{ "REPLY", TO_THE_GUEST, .make = reply, .what = { ANSWER, 0, SERVER, VALID_S } },
	{ "REPLY to the renewal", TO_THE_GUEST, .make = reply_renew, .what = { ANSWER, 1, SERVER, VALID_S } },
	{ "REPLY that ends the lease", TO_THE_GUEST, .make = reply_end, .what = { ANSWER, 1, SERVER, 0 } },
	{ "REPLY that nobody asked for", TO_THE_GUEST, .make = reply_unasked, .what = { ANSWER, 2, SERVER, VALID_S } },
	{ "rogue's REPLY", TO_THE_GUEST, .make = rogue_reply, .what = { ANSWER, 0, ROGUE, VALID_S } },
	{ "rogue ends the lease", TO_THE_GUEST, .make = rogue_end, .what = { ANSWER, 1, ROGUE, 0 } },
	{ "5 s", TIME_PASSES, .wait_ms = 5000 },
	{ "70 s", TIME_PASSES, .wait_ms = 70 * 1000 },
	{ "590 s", TIME_PASSES, .wait_ms = 590 * 1000 },
};

static void begin_dhcp6(struct world *w)
{
	start_world6(w, false);
	claim_address(w, GUEST_LL);
}

static void ask(uint64_t *m, uint32_t id, uint32_t kind, uint64_t now_ms)
{
	bool is_copy = now_ms < m[ANSWERED_UNTIL + id] && m[KIND + id] == kind; /* it crossed its answer */
	m[KIND + id] = kind;
	if (is_copy) {
		m[ANSWERED_UNTIL + id] = now_ms + ANSWERED_LIFE_MS;
		return;
	}
	m[ANSWERED_UNTIL + id] = 0;
	bool is_repeated = m[FIRST_ASKED + id] != 0 && now_ms < m[LAST_ASKED + id] + QUESTION_LIFE_MS;
	m[FIRST_ASKED + (1 - id)] = 0;                                    /* one exchange about an IA at a time */
	m[FIRST_ASKED + id] = is_repeated ? m[FIRST_ASKED + id] : now_ms; /* a SOLICIT of the same id, too */
	m[LAST_ASKED + id] = now_ms;
	if (m[UNANSWERED]++ == 0)
		m[UNANSWERED_SINCE] = now_ms;
}

static const char *hear_answer(uint64_t *m, const struct step *s)
{
	const uint32_t *what = s->move->what;
	bool is_asked = what[1] < 2 && m[KIND + what[1]] != SOLICIT && m[FIRST_ASKED + what[1]] != 0 &&
			s->now_ms < m[LAST_ASKED + what[1]] + QUESTION_LIFE_MS;
	bool is_locked = m[TRUSTED] != 0 && s->now_ms < m[TRUSTED_UNTIL];
	bool may_be_gone = m[UNANSWERED] >= 2 && s->now_ms >= m[UNANSWERED_SINCE] + 4000;
	bool is_changed = memcmp(s->before->ipv6.bindings, s->after->ipv6.bindings, sizeof s->after->ipv6.bindings) != 0;
	if (s->verdict != PASS)
		return is_changed ? "what was dropped has changed a binding" : NULL;
	uint64_t asked_ms = m[FIRST_ASKED + what[1] % 2];
	if (is_locked && m[TRUSTED] != what[2] && !may_be_gone)
		return "an answer passes that is not the trusted server's";
	bool is_late = what[1] < 2 && s->now_ms < m[ANSWERED_UNTIL + what[1]];
	if (!is_asked && !is_late)
		return "an answer passes that nobody has asked for";
	if (!is_asked)
		return is_changed ? "a repeated answer has changed a binding" : NULL;
	m[FIRST_ASKED + what[1]] = 0;
	m[ANSWERED_UNTIL + what[1]] = s->now_ms + ANSWERED_LIFE_MS;
	uint64_t until_ms = asked_ms + what[3] * 1000ULL;
	if (what[2] == SERVER) {
		m[OWN_UNTIL] = what[3] == 0 ? 0 : until_ms;
		m[UNANSWERED] = 0;
	}
	if (!is_locked || m[TRUSTED] != what[2])
		m[TRUSTED_UNTIL] = 0;
	m[TRUSTED] = what[2];
	if (until_ms > m[TRUSTED_UNTIL])
		m[TRUSTED_UNTIL] = until_ms;
	return NULL;
}

static const char *learn_dhcp6(uint64_t *m, const struct step *s)
{
	const uint32_t *what = s->move->what;
	if (what[0] == ANSWER)
		return hear_answer(m, s);
	if (s->move->kind != FROM_THE_GUEST || s->verdict != PASS)
		return NULL;
	if (what[0] == GIVE_BACK)
		memset(m, 0, (OWN_UNTIL + 1) * sizeof *m); /* nothing that was asked before can bind it again */
	else
		ask(m, what[1], what[2], s->now_ms);
	return NULL;
}

static bool is_own(struct world *w, struct address a)
{
	put_udp6(w, a, GLOBAL_IP6, 4000, 4000, 4);
	enum verdict verdict = judged(w);
	return verdict != PUNT_UNBOUND && verdict != DROP_IP6_SRC_UNBOUND && verdict != DROP_IP6_SRC_TENTATIVE;
}

static const char *check_dhcp6(struct world *w, const uint64_t *m)
{
	bool is = is_own(w, GUEST_LEASED), should_be = w->now_ms < m[OWN_UNTIL];
	if (is && !should_be)
		return "an address is the guest's that should not be";
	return is_own(w, GLOBAL_IP6) || is_own(w, ADDRESS6(LOCAL_PREFIX, 0x10c))
		   ? "another one's address is the guest's"
		   : NULL;
}

const struct scene dhcp6_scene = { "DHCPv6",    moves,       sizeof moves / sizeof moves[0],
				   begin_dhcp6, learn_dhcp6, check_dhcp6 };
