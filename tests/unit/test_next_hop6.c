/* Routers of IPv6 whose MAC is not known yet: docs/filter-ipv6.md, Trust anchors. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/guard.h"
#include "core/learn6/lease6.h"
#include "core/made/question.h"
#include "world6.h"

#include <cmocka.h>

#define RIVAL_MAC 0x525400000002ULL

#define GUEST_GETS(wanted) expect_verdict(&w, to_guest(&w), wanted, __FILE__, __LINE__)

static struct world w;
static uint32_t questions, router_questions;

/* The guest has no link-local address of its own: the guard asks from the one that its MAC makes. */
static bool on_ask(void *context, const uint8_t *frame, uint32_t length)
{
	uint8_t expected[QUESTION_MAX];
	uint32_t octets = make_neighbor_question(GUEST_MAC, GUEST_LL, ROUTER_LL, expected);
	bool is_named = length == octets && memcmp(frame, expected, length) == 0;
	(void)context;
	questions += is_named;
	router_questions += !is_named;
	return true;
}

static void put_claim(uint64_t mac, uint64_t link_address)
{
	put_nd_to_guest(&w, &(struct nd_spec){ .type = NA,
					       .mac_from = mac,
					       .from = ROUTER_LL,
					       .to = GUEST_LL,
					       .target = ROUTER_LL,
					       .flags = NA_ROUTER | NA_SOLICITED | NA_OVERRIDE,
					       .target_lla = link_address });
}

static enum verdict send_by(uint64_t mac)
{
	put_udp6(&w, GUEST_LEASED, GLOBAL_IP6, 4000, 443, 4);
	for (int i = 0; i < 6; i++)
		w.frame[i] = (uint8_t)(mac >> (40 - 8 * i));
	return from_guest(&w);
}

static void start_unlearned(bool named, bool leased)
{
	start_world6(&w, false);
	w.guard.ask = on_ask;
	questions = router_questions = 0;
	if (named)
		set_add(&w.config.host6, ROUTER_LL);
	assert_true(add_static_binding(&w.state, GUEST_LEASED, 64, w.now_ms));
	if (leased)
		find_lease6(&w.state, GUEST_LEASED)->origin = ORIGIN_DHCP;
}

/* Isolation waits for the MAC of a router that is named, and the answer to the guard's own question tells it. */
static void unlearned_is_closed(void **state)
{
	(void)state;
	for (int strict = 0; strict < 2; strict++) {
		start_unlearned(true, false);
		w.config.strict_anchors = strict ? 1 : 0;
		assert_int_equal(send_by(VICTIM_MAC), DROP_L2_NEXT_HOP);
		assert_int_equal(send_by(GATEWAY_MAC), DROP_L2_NEXT_HOP);
		assert_int_equal(questions, !strict);
		w.now_ms += 999;
		assert_int_equal(send_by(GATEWAY_MAC), DROP_L2_NEXT_HOP);
		assert_int_equal(questions, !strict);
		put_claim(GATEWAY_MAC, GATEWAY_MAC);
		GUEST_GETS(PASS);
		assert_int_equal(send_by(GATEWAY_MAC), strict ? DROP_L2_NEXT_HOP : PASS);
		assert_int_equal(send_by(VICTIM_MAC), DROP_L2_NEXT_HOP);
		put_claim(RIVAL_MAC, RIVAL_MAC);
		if (!strict)
			GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
		assert_int_equal(send_by(RIVAL_MAC), DROP_L2_NEXT_HOP);
	}
	/* Nobody was asked, or too long ago. */
	start_unlearned(true, false);
	put_claim(RIVAL_MAC, RIVAL_MAC);
	GUEST_GETS(PASS);
	assert_int_equal(send_by(RIVAL_MAC), DROP_L2_NEXT_HOP);
	w.now_ms += 3000;
	put_claim(RIVAL_MAC, RIVAL_MAC);
	GUEST_GETS(PASS);
	assert_int_equal(send_by(RIVAL_MAC), DROP_L2_NEXT_HOP);
}

/* Five are named, and four have a place: of the fifth nothing is learned, and the others stay. */
static void more_routers_than_places(void **state)
{
	(void)state;
	start_unlearned(false, false);
	for (uint32_t i = 0; i < 5; i++)
		set_add(&w.config.host6, ADDRESS6(LINK_LOCAL_PREFIX, 0x10 + i));
	for (uint32_t i = 0; i < 5; i++) {
		const struct address router = ADDRESS6(LINK_LOCAL_PREFIX, 0x10 + i);
		w.now_ms += 1000;
		assert_int_equal(send_by(FOREIGN_MAC), DROP_L2_NEXT_HOP);
		put_nd_to_guest(&w, &(struct nd_spec){ .type = NA,
						       .mac_from = RIVAL_MAC + i,
						       .from = router,
						       .to = GUEST_LL,
						       .target = router,
						       .flags = NA_ROUTER | NA_SOLICITED | NA_OVERRIDE,
						       .target_lla = RIVAL_MAC + i });
		GUEST_GETS(PASS);
		assert_int_equal(send_by(RIVAL_MAC + i), i < 4 ? PASS : DROP_L2_NEXT_HOP);
	}
	assert_int_equal(send_by(RIVAL_MAC), PASS);
	const struct resolver6 none[RESOLVERS6_MAX] = { 0 }; /* which stand behind them */
	assert_memory_equal(w.state.ipv6.resolvers, none, sizeof none);
}

/* The router that was learned so is replaced as any other, however late. */
static void a_named_router_gives_way(void **state)
{
	(void)state;
	start_unlearned(true, false);
	send_by(GATEWAY_MAC);
	put_claim(GATEWAY_MAC, GATEWAY_MAC);
	GUEST_GETS(PASS);
	w.now_ms += 100ULL * 24 * 3600 * 1000;
	assert_int_equal(send_by(GATEWAY_MAC), PASS);
	put_claim(RIVAL_MAC, RIVAL_MAC);
	GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
	for (int i = 0; i < 60; i++) { /* as the relay does; nobody answers */
		w.now_ms += 100;
		expire_bindings(&w.guard, w.now_ms);
	}
	put_claim(RIVAL_MAC, RIVAL_MAC);
	GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
	assert_int_equal(send_by(RIVAL_MAC), PASS);
	assert_int_equal(send_by(GATEWAY_MAC), DROP_L2_NEXT_HOP);
}

/* Of two that are named each has a MAC of its own, and the second is asked for too when a packet finds no next hop. */
static void both_named_routers_are_learned(void **state)
{
	const struct address second = ADDRESS6(LINK_LOCAL_PREFIX, 0x505400fffe000002ULL);
	(void)state;
	start_unlearned(true, false);
	set_add(&w.config.host6, second);
	send_by(GATEWAY_MAC);
	put_claim(GATEWAY_MAC, GATEWAY_MAC);
	GUEST_GETS(PASS);
	assert_int_equal(send_by(GATEWAY_MAC), PASS);
	w.now_ms += 5000;
	assert_int_equal(send_by(RIVAL_MAC), DROP_L2_NEXT_HOP);
	put_nd_to_guest(&w, &(struct nd_spec){ .type = NA,
					       .mac_from = RIVAL_MAC,
					       .from = second,
					       .to = GUEST_LL,
					       .target = second,
					       .flags = NA_ROUTER | NA_SOLICITED | NA_OVERRIDE,
					       .target_lla = RIVAL_MAC });
	GUEST_GETS(PASS);
	assert_int_equal(send_by(RIVAL_MAC), PASS);
	assert_int_equal(send_by(VICTIM_MAC), DROP_L2_NEXT_HOP);
}

/* A lease whose router has not been heard is no leave to use any machine as one; all static and nothing named is. */
static void a_lease_waits_for_a_router(void **state)
{
	(void)state;
	start_unlearned(false, true);
	assert_int_equal(send_by(VICTIM_MAC), DROP_L2_NEXT_HOP);
	assert_int_equal(router_questions, 1);
	announce(&w, LOCAL_PREFIX);
	assert_int_equal(send_by(GATEWAY_MAC), PASS);
	assert_int_equal(send_by(VICTIM_MAC), DROP_L2_NEXT_HOP);
	start_unlearned(false, false);
	assert_int_equal(send_by(VICTIM_MAC), PASS);
	w.config.isolation = 0;
	set_add(&w.config.host6, ROUTER_LL);
	assert_int_equal(send_by(VICTIM_MAC), PASS);
}

/* A router that is gone is asked for four times, a second apart, and four times more for its successor. Then no more. */
static void questions_end(void **state)
{
	(void)state;
	start_world6(&w, false);
	w.guard.ask = on_ask;
	announce(&w, LOCAL_PREFIX);
	questions = 0;
	put_claim(RIVAL_MAC, RIVAL_MAC);
	GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
	for (uint32_t ms = 0; ms < 600000; ms += 100, w.now_ms += 100) {
		expire_bindings(&w.guard, w.now_ms);
		if (ms == 3500)
			assert_int_equal(questions, 4);
	}
	assert_int_equal(questions, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unlearned_is_closed),        cmocka_unit_test(questions_end),
		cmocka_unit_test(a_named_router_gives_way),   cmocka_unit_test(more_routers_than_places),
		cmocka_unit_test(a_lease_waits_for_a_router), cmocka_unit_test(both_named_routers_are_learned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
