/* A router whose MAC is learned, and a neighbor that claims to be it (P15, P60; docs/filter.md, Evidence: a router that is gone). */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "explore.h"

#include <cmocka.h>

#define ROUTER_MAC1 0x525400000071ULL
#define ROUTER_MAC2 0x525400000072ULL /* the neighbor's, or that of the machine that takes its place */

enum { ROUTER_IP = 0xc0a840fe, ASKS = 1, CLAIMS, LEASE_S = 600 };
enum { FRESH_MS = 3000, SILENT_MS = 2000, SILENT_QUESTIONS = 3 };

/* The memory, by name. */
enum { KNOWN, QUESTIONS = 2, FIRST_QUESTION, LAST_QUESTION };

#define ASK_ROUTER(name, to) \
	static void name(struct world *w) \
	{ \
		put_ethernet(w, to, GUEST_MAC, 0x0806); \
		put_arp(w, 1, GUEST_MAC, GUEST_IP, ROUTER_IP); \
	}
#define CLAIM(name, to, mac, op, target) \
	static void name(struct world *w) \
	{ \
		put_ethernet(w, to, mac, 0x0806); \
		put_arp(w, op, mac, ROUTER_IP, target); \
	}

ASK_ROUTER(ask_all, MAC_BROADCAST)
ASK_ROUTER(ask_one, ROUTER_MAC1)
ASK_ROUTER(ask_other, ROUTER_MAC2)
CLAIM(answer1, GUEST_MAC, ROUTER_MAC1, 2, GUEST_IP)
CLAIM(answer2, GUEST_MAC, ROUTER_MAC2, 2, GUEST_IP)
CLAIM(announce1, MAC_BROADCAST, ROUTER_MAC1, 1, ROUTER_IP)
CLAIM(announce2, MAC_BROADCAST, ROUTER_MAC2, 1, ROUTER_IP)

static const struct move moves[] = {
	{ "guest asks everybody", FROM_THE_GUEST, .make = ask_all, .what = { ASKS } },
	{ "guest asks the router", FROM_THE_GUEST, .make = ask_one, .what = { ASKS } },
	{ "guest asks the neighbor", FROM_THE_GUEST, .make = ask_other, .what = { ASKS } },
	{ "the router answers", TO_THE_GUEST, .make = answer1, .what = { CLAIMS, 0, 2 } },
	{ "the neighbor answers", TO_THE_GUEST, .make = answer2, .what = { CLAIMS, 1, 2 } },
	{ "the router announces itself", TO_THE_GUEST, .make = announce1, .what = { CLAIMS, 0, 1 } },
	{ "the neighbor announces itself", TO_THE_GUEST, .make = announce2, .what = { CLAIMS, 1, 1 } },
	{ "0.9 s", TIME_PASSES, .wait_ms = 900 },
	{ "2.1 s", TIME_PASSES, .wait_ms = 2100 },
	{ "11 s", TIME_PASSES, .wait_ms = 11000 },
	{ "601 s", TIME_PASSES, .wait_ms = 601 * 1000 },
};

/* A question of the guard's own counts as one of the guest. */
static bool note_question(void *context, const uint8_t *frame, uint32_t length)
{
	const struct world *w = context;
	uint64_t *m = memory_now();
	if (m && length > 14 && frame[13] == 0x06) {
		m[FIRST_QUESTION] = m[QUESTIONS]++ == 0 ? w->now_ms : m[FIRST_QUESTION];
		m[LAST_QUESTION] = w->now_ms;
	}
	return true;
}

/* From a server that is not the router, so that the lease says nothing of the router's MAC. */
static void begin_arp(struct world *w)
{
	struct dhcp_spec answer = {
		.type = 5, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = LEASE_S, .mask = 0xffffff00, .router = ROUTER_IP
	};
	start_world(w, false);
	w->guard.ask = note_question;
	put_client_message(w, &(struct dhcp_spec){ .type = 3, .requested = GUEST_IP });
	assert_int_equal(from_guest(w), PASS);
	put_server_message(w, &answer);
	assert_int_equal(to_guest(w), PASS);
}

static bool is_lease_over(const struct world *w)
{
	return w->now_ms >= 1000000 + LEASE_S * 1000 - 100;
}

static const char *hear_claim(uint64_t *m, const struct step *s)
{
	uint32_t who = s->move->what[1];
	bool any = m[KNOWN] || m[KNOWN + 1], over = s->now_ms >= 1000000 + LEASE_S * 1000 - 100;
	bool fresh = m[LAST_QUESTION] != 0 && s->now_ms < m[LAST_QUESTION] + FRESH_MS;
	bool silent = m[QUESTIONS] >= SILENT_QUESTIONS && s->now_ms >= m[FIRST_QUESTION] + SILENT_MS && fresh;
	if (over)
		return NULL; /* it is nobody's router any more */
	if (s->verdict != PASS)
		return !any || m[KNOWN + who] ? "the router's own ARP is lost" : NULL;
	if (any && !m[KNOWN + who] && !silent)
		return "ARP of another MAC passes in the name of a router that is not silent";
	if (any ? !m[KNOWN + who] : fresh && s->move->what[2] == 2)
		m[KNOWN + who] = 1;
	if (m[KNOWN + who])
		m[QUESTIONS] = 0;
	return NULL;
}

static const char *learn_arp(uint64_t *m, const struct step *s)
{
	if (s->move->kind == FROM_THE_GUEST && s->verdict == PASS) {
		m[FIRST_QUESTION] = m[QUESTIONS]++ == 0 ? s->now_ms : m[FIRST_QUESTION];
		m[LAST_QUESTION] = s->now_ms;
	}
	return s->move->kind == TO_THE_GUEST ? hear_claim(m, s) : NULL;
}

/* A frame goes by a MAC that was learned, and by no other; without any it goes nowhere. */
static const char *check_arp(struct world *w, const uint64_t *m)
{
	const uint64_t macs[] = { ROUTER_MAC1, ROUTER_MAC2 };
	for (uint32_t i = 0; i < 2; i++) {
		put_ethernet(w, macs[i], GUEST_MAC, 0x0800);
		put_ipv4(w, GUEST_IP, GLOBAL_IP, 17, 0, 12);
		put_udp(w, 4000, 4000, 4);
		put_zeros(w, 4);
		bool goes = judged(w) == PASS;
		if (is_lease_over(w) ? goes : goes != (m[KNOWN + i] != 0))
			return goes ? "a frame goes by a MAC that is not the router's"
				    : "the router's MAC is no next hop";
	}
	return NULL;
}

const struct scene arp_scene = { "router of IPv4", moves,     sizeof moves / sizeof moves[0],
				 begin_arp,        learn_arp, check_arp };
