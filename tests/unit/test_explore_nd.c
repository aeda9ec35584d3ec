/* DAD and router advertisements, honest and forged (P29, P40, P55 to P57, P60, P61, P63). */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "explore.h"

#include <cmocka.h>

#define ROGUE_PREFIX 0xfd65000000000000ULL
#define OPAQUE_ID    0xa1b2c3d4e5f60789ULL /* those made from the MAC are own without a claim */

enum { DAD_GOES_ON_MS = 500, CONFLICTS_HEARD_MS = 1000, SILENT_QUESTIONS = 4, HEARD_MS = 1000 };
enum { CLAIMS = 1, USES, ADVERTISES, SAYS_HELD, PROBES, ANSWERS };

/* The memory, by name. Addresses: SLAAC, one of the rogue's prefix, link-local. */
enum { CLAIMED, PREFIX = 4, ROUTER = 6, ROUTER_UNTIL, QUESTIONS, LAST_QUESTION };
enum { HONEST = 1, ROGUE, FORGER }; /* FORGER: the router's address at the rogue's MAC */
enum { OWN_PREFIX, OTHER_PREFIX };

static const struct address addresses[] = { { LOCAL_PREFIX, OPAQUE_ID },
					    { ROGUE_PREFIX, OPAQUE_ID },
					    { LINK_LOCAL_PREFIX, OPAQUE_ID } };

#define MAKE(name, ...) \
	static void name(struct world *w) \
	{ \
		__VA_ARGS__; \
	}

MAKE(claim_slaac, put_nd(w, &(struct nd_spec){ .type = NS, .target = GUEST_PRIVACY }))
MAKE(claim_rogue, put_nd(w, &(struct nd_spec){ .type = NS, .target = ADDRESS6(ROGUE_PREFIX, OPAQUE_ID) }))
MAKE(claim_local, put_nd(w, &(struct nd_spec){ .type = NS, .target = ADDRESS6(LINK_LOCAL_PREFIX, OPAQUE_ID) }))
MAKE(claim_router, put_nd(w, &(struct nd_spec){ .type = NS, .target = ROUTER_LL }))
MAKE(use_slaac, put_udp6(w, GUEST_PRIVACY, GLOBAL_IP6, 4000, 4000, 4))
MAKE(advertise, put_ra(w, &(struct ra_spec){ .router_s = 1800, .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 3000 });
     put_checksum6(w))
MAKE(farewell, put_ra(w, &(struct ra_spec){ .router_s = 0, .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 0 });
     put_checksum6(w))
MAKE(advertise_rogue,
     put_ra(w,
	    &(struct ra_spec){
		.from = VICTIM_LL, .mac = VICTIM_MAC, .router_s = 1800, .prefix = { ROGUE_PREFIX, 0 }, .valid_s = 3000 });
     put_checksum6(w))
MAKE(advertise_forged,
     put_ra(w, &(struct ra_spec){ .mac = VICTIM_MAC, .router_s = 1800, .prefix = { ROGUE_PREFIX, 0 }, .valid_s = 3000 });
     put_checksum6(w))
MAKE(hold_slaac, put_nd_to_guest(w, &(struct nd_spec){ .type = NA,
						       .from = VICTIM_LL,
						       .target = GUEST_PRIVACY,
						       .mac_from = VICTIM_MAC,
						       .flags = NA_OVERRIDE,
						       .target_lla = VICTIM_MAC }))
MAKE(probe_slaac, put_nd_to_guest(w, &(struct nd_spec){ .type = NS, .target = GUEST_PRIVACY, .mac_from = VICTIM_MAC }))
MAKE(router_answers, put_nd_to_guest(w, &(struct nd_spec){ .type = NA,
							   .from = ROUTER_LL,
							   .target = ROUTER_LL,
							   .flags = NA_ROUTER | NA_SOLICITED,
							   .to = GUEST_LL,
							   .target_lla = GATEWAY_MAC }))
MAKE(rogue_answers, put_nd_to_guest(w, &(struct nd_spec){ .type = NA,
							  .from = ROUTER_LL,
							  .target = ROUTER_LL,
							  .mac_from = VICTIM_MAC,
							  .flags = NA_ROUTER | NA_SOLICITED,
							  .to = GUEST_LL,
							  .target_lla = VICTIM_MAC }))

static const struct move moves[] = {
	{ "DAD in the prefix", FROM_THE_GUEST, .make = claim_slaac, .what = { CLAIMS, 0 } },
	{ "DAD in the rogue's prefix", FROM_THE_GUEST, .make = claim_rogue, .what = { CLAIMS, 1 } },
	{ "DAD of a link-local address", FROM_THE_GUEST, .make = claim_local, .what = { CLAIMS, 2 } },
	{ "DAD of the router's address", FROM_THE_GUEST, .make = claim_router, .what = { CLAIMS, 3 } },
	{ "data without DAD", FROM_THE_GUEST, .make = use_slaac, .what = { USES, 0 } },
	{ "RA", TO_THE_GUEST, .make = advertise, .what = { ADVERTISES, HONEST, OWN_PREFIX, 3000 } },
	{ "last RA", TO_THE_GUEST, .make = farewell, .what = { ADVERTISES, HONEST, OWN_PREFIX, 0 } },
	{ "rogue's RA", TO_THE_GUEST, .make = advertise_rogue, .what = { ADVERTISES, ROGUE, OTHER_PREFIX, 3000 } },
	{ "forged RA", TO_THE_GUEST, .make = advertise_forged, .what = { ADVERTISES, FORGER, OTHER_PREFIX, 3000 } },
	{ "a neighbor holds the address", TO_THE_GUEST, .make = hold_slaac, .what = { SAYS_HELD, 0 } },
	{ "a neighbor probes the address", TO_THE_GUEST, .make = probe_slaac, .what = { PROBES, 0 } },
	{ "the router answers", TO_THE_GUEST, .make = router_answers, .what = { ANSWERS, HONEST } },
	{ "the rogue answers for the router", TO_THE_GUEST, .make = rogue_answers, .what = { ANSWERS, FORGER } },
	{ "0.6 s", TIME_PASSES, .wait_ms = 600 },
	{ "1.1 s", TIME_PASSES, .wait_ms = 1100 },
	{ "2900 s", TIME_PASSES, .wait_ms = 2900 * 1000 },
	{ "8000 s", TIME_PASSES, .wait_ms = 8000 * 1000 },
};

/* The guard's own: it does DAD for an address that the guest uses, and of its questions for the router silence is evidence. */
static bool note_question(void *context, const uint8_t *frame, uint32_t length)
{
	const struct world *w = context;
	uint64_t *m = memory_now();
	if (!m || length <= 54 || frame[54] != NS)
		return true;
	if (frame[22] == 0) { /* DAD in the guest's name */
		m[CLAIMED] = m[CLAIMED] == 0 ? w->now_ms : m[CLAIMED];
		return true;
	}
	if (++m[QUESTIONS] <= SILENT_QUESTIONS)
		m[LAST_QUESTION] = w->now_ms;
	return true;
}

static void begin_nd(struct world *w)
{
	start_world6(w, false);
	w->guard.ask = note_question;
}

static bool is_locked(const uint64_t *m, uint64_t now_ms)
{
	return m[ROUTER] != 0 && now_ms < m[ROUTER_UNTIL];
}

/* It has left all of the guard's questions unanswered. */
static bool is_silent(const uint64_t *m, uint64_t now_ms)
{
	return m[QUESTIONS] >= SILENT_QUESTIONS && now_ms >= m[LAST_QUESTION] + HEARD_MS;
}

/* Nobody but the router that is locked, unless it is silent. */
static const char *hear_advertisement(uint64_t *m, const struct step *s)
{
	const uint32_t *what = s->move->what;
	bool is_its_own = is_locked(m, s->now_ms) && m[ROUTER] == what[1];
	if (s->verdict != PASS)
		return is_its_own && m[QUESTIONS] == 0 ? "the router's own advertisement is lost" : NULL;
	if (is_locked(m, s->now_ms) && !is_its_own && !is_silent(m, s->now_ms))
		return "an advertisement passes that is not the router's";
	if (what[3] > 0 || is_its_own) {
		uint64_t until_ms = s->now_ms + what[3] * 1000ULL;
		m[ROUTER_UNTIL] = is_its_own && m[ROUTER_UNTIL] > until_ms ? m[ROUTER_UNTIL] : until_ms;
		m[ROUTER] = what[1];
		m[QUESTIONS] = 0;
	}
	/* RFC 4862 5.5.3 e; and a second for what lies between the two clocks. */
	uint64_t end_ms = s->now_ms + what[3] * 1000ULL + 1000;
	if (what[3] > 0 && end_ms > m[PREFIX + what[2]])
		m[PREFIX + what[2]] = end_ms;
	return NULL;
}

/* A claim that is believed is lost itself; the next one passes. */
static const char *hear_router(uint64_t *m, const struct step *s)
{
	uint32_t who = s->move->what[1];
	if (m[ROUTER] != who && s->verdict == PASS)
		return "another MAC answers for the router";
	if (m[ROUTER] == who || is_silent(m, s->now_ms)) {
		m[ROUTER] = who;
		m[QUESTIONS] = 0;
	}
	return NULL;
}

static const char *hear_neighbor(uint64_t *m, const struct step *s)
{
	uint64_t claimed_ms = m[CLAIMED], age_ms = s->now_ms - claimed_ms;
	bool is_held = s->move->what[0] == SAYS_HELD;
	if (is_held && s->verdict == PASS && claimed_ms != 0 && s->now_ms < m[PREFIX] && age_ms >= CONFLICTS_HEARD_MS)
		return "a neighbor's claim of an old address of the guest passes";
	if (s->verdict == PASS && claimed_ms != 0 && age_ms < (is_held ? CONFLICTS_HEARD_MS : DAD_GOES_ON_MS))
		m[CLAIMED] = 0;
	return NULL;
}

static const char *learn_nd(uint64_t *m, const struct step *s)
{
	const uint32_t *what = s->move->what;
	if (what[0] == CLAIMS && what[1] == 3) {
		bool is_its = m[ROUTER] != ROGUE && is_locked(m, s->now_ms);
		return is_its && s->verdict == PASS ? "DAD of the router's address passes" : NULL;
	}
	if (what[0] == CLAIMS && s->verdict == PASS && m[CLAIMED + what[1]] == 0)
		m[CLAIMED + what[1]] = s->now_ms;
	if (what[0] == ADVERTISES)
		return hear_advertisement(m, s);
	if (what[0] == SAYS_HELD || what[0] == PROBES)
		return hear_neighbor(m, s);
	if (what[0] == ANSWERS && m[ROUTER] != ROGUE && is_locked(m, s->now_ms))
		return hear_router(m, s);
	for (uint32_t i = 0; i < 2; i++) /* with its prefix goes the claim */
		if (s->now_ms >= m[PREFIX + i])
			m[CLAIMED + i] = 0;
	return NULL;
}

static bool is_own(struct world *w, struct address a)
{
	bool local = a.high == LINK_LOCAL_PREFIX;
	put_udp6(w, a, local ? MDNS_GROUP : GLOBAL_IP6, local ? 5353 : 4000, local ? 5353 : 4000, 4);
	enum verdict verdict = judged(w);
	return verdict != PUNT_UNBOUND && verdict != DROP_IP6_SRC_UNBOUND && verdict != DROP_IP6_SRC_TENTATIVE;
}

/* P29, P55, P56: claimed, half a second ago, in a prefix that somebody announced whom the guard trusted. And nobody else's. */
static const char *check_nd(struct world *w, const uint64_t *m)
{
	for (uint32_t i = 0; i < 3; i++) {
		bool has_prefix = i == 2 || w->now_ms < m[PREFIX + i];
		bool should_be = has_prefix && m[CLAIMED + i] != 0 && w->now_ms >= m[CLAIMED + i] + DAD_GOES_ON_MS;
		bool is = is_own(w, addresses[i]);
		if (is != should_be)
			return is ? "an address is the guest's that should not be" : "the guest has lost an address";
	}
	if (is_own(w, ROUTER_LL))
		return "the router's address is the guest's";
	return is_own(w, VICTIM_LL) ? "a neighbor's address is the guest's" : NULL;
}

const struct scene nd_scene = {
	"DAD and routers of IPv6", moves, sizeof moves / sizeof moves[0], begin_nd, learn_nd, check_nd
};
