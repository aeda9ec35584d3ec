/* Addresses that the guest uses and that the guard has not seen it claim: docs/filter-ipv6.md, Questions of the guard. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/guard.h"
#include "core/learn6/lease6.h"
#include "core/made/question.h"
#include "test_snoop6.h"

#include <cmocka.h>

struct world w;

#define OPAQUE_LL  ADDRESS6(LINK_LOCAL_PREFIX, 0x1a2b3c4d5e6f7081ULL)
#define VICTIM_IID 0x505400fffe00000bULL

static uint8_t asked[QUESTION_MAX];
static uint32_t asked_octets, questions;
static bool cannot_ask;

enum verdict status_of_address(struct address a)
{
	bool local = a.high == LINK_LOCAL_PREFIX;
	put_udp6(&w, a, local ? MDNS_GROUP : GLOBAL_IP6, local ? 5353 : 4000, local ? 5353 : 4000, 4);
	struct frame frame = { .bytes = w.frame, .length = w.length };
	enum verdict verdict = judge_frame(&w.config, &w.state, FROM_GUEST, &frame, w.now_ms).verdict;
	return verdict == PUNT_UNBOUND ? DROP_IP6_SRC_UNBOUND : verdict;
}

static bool on_ask(void *context, const uint8_t *frame, uint32_t length)
{
	(void)context;
	memcpy(asked, frame, length);
	asked_octets = length;
	questions++;
	return !cannot_ask;
}

/* Whether this is what was asked since the last time. */
static bool asked_for(struct address a)
{
	uint8_t expected[QUESTION_MAX];
	uint32_t length = make_dad_question(GUEST_MAC, a, expected), octets = asked_octets;
	asked_octets = 0;
	return octets == length && memcmp(asked, expected, length) == 0;
}

static bool asked_for_router(void)
{
	uint8_t expected[QUESTION_MAX];
	uint32_t length = make_router_question(GUEST_MAC, expected), octets = asked_octets;
	asked_octets = 0;
	return octets == length && memcmp(asked, expected, length) == 0;
}

static void start(bool announced)
{
	start_world6(&w, true);
	w.guard.ask = on_ask;
	asked_octets = questions = 0;
	cannot_ask = false;
	if (announced)
		announce(&w, LOCAL_PREFIX);
}

static void put_data(struct address from)
{
	bool local = from.high == LINK_LOCAL_PREFIX;
	put_udp6(&w, from, local ? MDNS_GROUP : GLOBAL_IP6, local ? 5353 : 4000, local ? 5353 : 4000, 4);
}

static void put_solicitation(struct address from)
{
	put_nd(&w, &(struct nd_spec){ .type = NS, .from = from, .target = ROUTER_LL, .source_lla = GUEST_MAC });
}

static void put_advertisement(struct address from)
{
	put_nd(&w, &(struct nd_spec){ .type = NA,
				      .from = from,
				      .to = ROUTER_LL,
				      .target = from,
				      .flags = NA_SOLICITED | NA_OVERRIDE,
				      .target_lla = GUEST_MAC });
}

static void put_router_solicitation(struct address from)
{
	put_nd(&w, &(struct nd_spec){ .type = RS, .from = from, .source_lla = GUEST_MAC });
}

static void put_group_report(struct address from)
{
	put_mld(&w, 143, from, MLD_REPORTS, from);
}

static void put_renewal(struct address from)
{
	put_udp6(&w, from, DHCP6_SERVERS, 546, 547, 40);
}

static void put_echo(struct address from)
{
	put_icmp6(&w, from, GLOBAL_IP6, ECHO, 32);
}

/* Whatever the guest sends from it: the frame is lost, the guard asks, and half a second later the address is the guest's. */
static void every_use_is_a_claim(void **state)
{
	void (*const link_local[])(struct address) = { put_data,          put_solicitation,
						       put_advertisement, put_router_solicitation,
						       put_group_report,  put_renewal };
	void (*const wider[])(struct address) = { put_data, put_solicitation, put_advertisement, put_echo };
	(void)state;
	for (size_t i = 0; i < 6 + 4; i++) {
		struct address a = i < 6 ? OPAQUE_LL : GUEST_PRIVACY;
		start(true);
		(i < 6 ? link_local[i] : wider[i - 6])(a);
		GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
		assert_true(asked_for(a));
		assert_int_equal(w.last_event.kind, EVENT_LEASE_NEW);
		assert_string_equal(w.last_event.why, i < 6 ? "link-local" : "slaac");
		STATUS(a, DROP_IP6_SRC_TENTATIVE);
		put_data(a);
		GUEST_SENDS(DROP_IP6_SRC_TENTATIVE);
		w.now_ms += 499;
		STATUS(a, DROP_IP6_SRC_TENTATIVE);
		w.now_ms += 1;
		IS_OWN(a);
		assert_int_equal(questions, 1);
	}
}

/* What objects is heard as it is to the guest's own DAD; and the address is not asked for again and again. */
static void a_neighbor_that_has_it_keeps_it(void **state)
{
	(void)state;
	for (int dad = 0; dad < 2; dad++) {
		start(true);
		put_data(GUEST_PRIVACY);
		GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
		assert_true(asked_for(GUEST_PRIVACY));
		put_nd_to_guest(&w, &(struct nd_spec){ .type = dad ? NS : NA,
						       .mac_from = VICTIM_MAC,
						       .target = GUEST_PRIVACY,
						       .from = dad ? UNSPECIFIED6 : GUEST_PRIVACY });
		GUEST_GETS(PASS);
		assert_int_equal(w.last_event.kind, EVENT_LEASE_LOST);
		for (int second = 0; second < 60; second++) {
			put_data(GUEST_PRIVACY);
			GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
			IS_FOREIGN(GUEST_PRIVACY);
			assert_int_equal(questions, 1);
			w.now_ms += 1000;
		}
		put_data(GUEST_PRIVACY);
		GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
		assert_true(asked_for(GUEST_PRIVACY));
	}
	start(true); /* a neighbor that is just claiming it */
	put_nd_to_guest(&w, &(struct nd_spec){ .type = NS, .mac_from = VICTIM_MAC, .target = GUEST_PRIVACY });
	GUEST_GETS(PASS);
	put_data(GUEST_PRIVACY);
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	assert_int_equal(questions, 0);
}

/* What a guest cannot claim by DAD it cannot claim by using it. */
static void what_is_no_claim(void **state)
{
	static const struct address others[] = {
		{ LINK_LOCAL_PREFIX, VICTIM_IID },
		{ LOCAL_PREFIX, VICTIM_IID },
		{ LINK_LOCAL_PREFIX, 0x505400fffe000001ULL },
		{ LOCAL_PREFIX, 0x0200fffffe000000ULL },
		{ LOCAL_PREFIX, 0 },
		{ LOCAL_PREFIX, 0xfdffffffffffff80ULL },
		{ 0xfd65000000000000ULL, 9 },
		{ 0x2606470047000000ULL, 0x1111 },
		{ 0, 0xffffc0a8400aULL },
		{ 0, 1 },
	};
	(void)state;
	start(true);
	set_add(&w.config.resolvers6, ADDRESS6(LOCAL_PREFIX, 0x53));
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		enum verdict wanted = DROP_IP6_SRC_UNBOUND;
		put_data(others[i]);
		GUEST_SENDS(wanted);
		put_advertisement(others[i]);
		if (others[i].high != 0)
			GUEST_SENDS(DROP_ND_TARGET_FOREIGN);
	}
	put_data(ADDRESS6(LOCAL_PREFIX, 0x53));
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	/* An answer for another address than the one that it comes from. */
	put_nd(&w, &(struct nd_spec){ .type = NA, .from = GUEST_LL, .target = GUEST_PRIVACY });
	GUEST_SENDS(DROP_ND_TARGET_FOREIGN);
	w.config.ipv6_eui64_only = 1;
	put_data(GUEST_PRIVACY);
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	assert_int_equal(questions, 0);
	w.config.ipv6_eui64_only = 0;
	put_nd(&w, &(struct nd_spec){ .type = NS, .from = OPAQUE_LL, .target = ROUTER_LL, .to = NODES_GROUP });
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND); /* that it comes from there is not all that is wrong with it */
	assert_int_equal(questions, 0);
}

/* Its own identifiers are the guest's; nobody else's MAC makes one that it may claim. A group's MAC makes none. */
static void identifiers_of_other_macs(void **state)
{
	(void)state;
	start(true);
	for (uint64_t mac = 0x525400000000ULL; mac < 0x525400000020ULL; mac++) {
		struct address local = ADDRESS6(LINK_LOCAL_PREFIX, interface_id_of(mac));
		struct address wide = ADDRESS6(LOCAL_PREFIX, interface_id_of(mac));
		enum verdict wanted = mac == GUEST_MAC ? PASS : DROP_ND_TARGET_RESERVED;
		assert_int_equal(solicit_dad(&w, local), wanted);
		assert_int_equal(solicit_dad(&w, wide), wanted);
		assert_int_equal(solicit_dad(&w, ADDRESS6(LOCAL_PREFIX, interface_id_of(mac) ^ 1ULL << 57)),
				 DROP_ND_TARGET_RESERVED);
	}
	assert_int_equal(solicit_dad(&w, ADDRESS6(LOCAL_PREFIX, interface_id_of(0x535400000007ULL))), PASS);
	assert_int_equal(solicit_dad(&w, ADDRESS6(LOCAL_PREFIX, 0x505400fffd00000bULL)), PASS);
}

/* Where it is not known in which prefixes addresses are made. */
static void the_guard_asks_for_a_router(void **state)
{
	(void)state;
	start(false);
	put_data(OPAQUE_LL); /* no router is needed for these */
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	assert_true(asked_for(OPAQUE_LL));
	for (int i = 0; i < 200; i++) {
		put_data(i % 2 ? GUEST_SLAAC : GUEST_PRIVACY);
		GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
		assert_true(i % 40 == 0 && i < 120 ? asked_for_router() : !asked_for_router());
		w.now_ms += 100;
	}
	w.now_ms += 60000;
	put_data(GUEST_PRIVACY);
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	assert_true(asked_for_router());
	w.now_ms += 5000;
	put_data(GUEST_PRIVACY);
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	assert_false(asked_for_router());
	announce(&w, LOCAL_PREFIX);
	IS_OWN(GUEST_SLAAC);
	put_data(GUEST_PRIVACY);
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	assert_true(asked_for(GUEST_PRIVACY));
	put_data(ADDRESS6(0xfd65000000000000ULL, 9)); /* the router has told all */
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	assert_int_equal(asked_octets, 0);
	w.now_ms += SECONDS(1000000); /* of a router that was forgotten */
	put_data(GUEST_PRIVACY);
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	assert_true(asked_for_router());
	IS_FOREIGN(GUEST_PRIVACY);
}

/* A flood of forged sources reads as what it is, and leaves the snooper to others. */
static void a_flood_of_sources(void **state)
{
	(void)state;
	start(true);
	uint32_t churn = 0;
	for (uint64_t i = 0; i < 20000; i++) {
		put_data(ADDRESS6(LOCAL_PREFIX, 0x100000 + i));
		enum verdict got = from_guest(&w);
		churn += got == DROP_BINDING_CHURN;
		assert_true(got == DROP_IP6_SRC_UNBOUND || got == DROP_BINDING_CHURN);
		w.now_ms += i % 10 == 0;
	}
	assert_in_range(churn, 0, 16 + 4);
	assert_in_range(questions, 1, 16);
	put_nd(&w, &(struct nd_spec){ .type = NS, .from = GUEST_LL, .target = ROUTER_LL, .source_lla = GUEST_MAC });
	GUEST_SENDS(PASS);
	for (int i = 0; i < 16; i++) { /* as many as before */
		put_udp6(&w, GUEST_LL, DHCP6_SERVERS, 546, 547, 40);
		GUEST_SENDS(DROP_DHCP6_TYPE);
	}
}

/* Silence tells nothing where nothing was asked. */
static void a_question_that_cannot_leave(void **state)
{
	(void)state;
	start(true);
	cannot_ask = true;
	w.events = 0;
	put_data(GUEST_PRIVACY);
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	w.now_ms += 1000;
	IS_FOREIGN(GUEST_PRIVACY);
	assert_int_equal(w.events, 0);
	cannot_ask = false;
	put_data(GUEST_PRIVACY);
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	w.now_ms += 500;
	IS_OWN(GUEST_PRIVACY);
	start(true); /* replay has nobody to ask */
	w.guard.ask = NULL;
	put_data(GUEST_PRIVACY);
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	w.now_ms += 500;
	IS_OWN(GUEST_PRIVACY);
}

/* DAD that was refused without a word, as the guest sees it, heals by the next use. */
static void a_refused_claim_heals(void **state)
{
	(void)state;
	start(true);
	for (uint64_t i = 0; i < 16; i++)
		assert_int_equal(solicit_dad(&w, ADDRESS6(LOCAL_PREFIX, 100 + i)), PASS);
	assert_int_equal(solicit_dad(&w, GUEST_PRIVACY), DROP_BINDING_CHURN);
	put_data(GUEST_PRIVACY);
	GUEST_SENDS(DROP_BINDING_CHURN);
	w.now_ms += 5000;
	put_data(GUEST_PRIVACY);
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	w.now_ms += 500;
	IS_OWN(GUEST_PRIVACY);
	start(true);
	w.claim_refused = true;
	put_data(GUEST_PRIVACY);
	GUEST_SENDS(DROP_BINDING_CLAIMED); /* another guest of the host has it */
	assert_int_equal(questions, 0);
	IS_FOREIGN(GUEST_PRIVACY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_use_is_a_claim),
		cmocka_unit_test(a_neighbor_that_has_it_keeps_it),
		cmocka_unit_test(what_is_no_claim),
		cmocka_unit_test(identifiers_of_other_macs),
		cmocka_unit_test(the_guard_asks_for_a_router),
		cmocka_unit_test(a_flood_of_sources),
		cmocka_unit_test(a_question_that_cannot_leave),
		cmocka_unit_test(a_refused_claim_heals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
