/* The life of an IPv6 address, on a clock that the test moves: DAD, conflicts, a full table, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/guard.h"
#include "core/learn6/lease6.h"
#include "core/judge/own6.h"
#include "test_snoop6.h"

#include <cmocka.h>

struct world w;

enum verdict status_of_address(struct address a)
{
	bool local = a.high == LINK_LOCAL_PREFIX;
	put_udp6(&w, a, local ? MDNS_GROUP : GLOBAL_IP6, local ? 5353 : 4000, local ? 5353 : 4000, 4);
	struct frame frame = { .bytes = w.frame, .length = w.length };
	enum verdict verdict = judge_frame(&w.config, &w.state, FROM_GUEST, &frame, w.now_ms).verdict;
	return verdict == PUNT_UNBOUND ? DROP_IP6_SRC_UNBOUND : verdict; /* test_snoop6_unbound.c says what comes of it */
}

void start_announced(bool anchored)
{
	start_world6(&w, anchored);
	announce(&w, LOCAL_PREFIX);
}

static void dad_then_own(void **state)
{
	(void)state;
	start_announced(true);
	IS_FOREIGN(GUEST_PRIVACY);
	assert_int_equal(solicit_dad(&w, GUEST_PRIVACY), PASS);
	assert_int_equal(w.last_event.kind, EVENT_LEASE_NEW);
	assert_string_equal(w.last_event.why, "slaac");
	for (int i = 0; i < 5; i++) { /* RFC 7527 and DupAddrDetectTransmits: repeated, and nothing begins anew */
		STATUS(GUEST_PRIVACY, DROP_IP6_SRC_TENTATIVE);
		assert_int_equal(solicit_dad(&w, GUEST_PRIVACY), PASS);
		w.now_ms += 100;
	}
	IS_OWN(GUEST_PRIVACY);
	assert_int_equal(solicit_dad(&w, GUEST_PRIVACY), PASS);
	IS_OWN(GUEST_PRIVACY);
	assert_int_equal(solicit_dad(&w, ADDRESS6(LINK_LOCAL_PREFIX, 7)), PASS);
	assert_string_equal(w.last_event.why, "link-local");
	STATUS(ADDRESS6(LINK_LOCAL_PREFIX, 7), DROP_IP6_SRC_TENTATIVE);
	w.now_ms += 500;
	IS_OWN(ADDRESS6(LINK_LOCAL_PREFIX, 7));
	w.now_ms = UINT64_MAX - 1; /* no prefix ends it */
	IS_OWN(ADDRESS6(LINK_LOCAL_PREFIX, 7));
}

/* A neighbor says at that time that the address is its own, or asks for it; what is left then? */
static void object(uint32_t after_ms, uint8_t type, enum verdict wanted, bool kept)
{
	start_announced(true);
	assert_int_equal(solicit_dad(&w, GUEST_PRIVACY), PASS);
	w.now_ms += after_ms;
	struct nd_spec spec = { .type = type, .mac_from = VICTIM_MAC, .target = GUEST_PRIVACY };
	if (type == NA)
		spec.from = GUEST_PRIVACY;
	put_nd_to_guest(&w, &spec);
	GUEST_GETS(wanted);
	w.now_ms += 500;
	STATUS(GUEST_PRIVACY, kept ? PASS : DROP_IP6_SRC_UNBOUND);
	if (!kept)
		assert_int_equal(w.last_event.kind, EVENT_LEASE_LOST);
}

/* RFC 4862 5.4.3, 5.4.4: only who still listens for others gives way, and to him who has it. */
static void conflicts(void **state)
{
	(void)state;
	static const uint32_t early[] = { 0, 1, 499, 500, 501, 999 }, late[] = { 1000, 1001, 60000 };
	for (size_t i = 0; i < sizeof early / sizeof early[0]; i++) {
		object(early[i], NA, PASS, false);
		object(early[i], NS, PASS, early[i] >= 500); /* behind that the guest may have finished a moment before us */
	}
	for (size_t i = 0; i < sizeof late / sizeof late[0]; i++) {
		object(late[i], NA, DROP_ND_CLAIMS_GUEST, true);
		object(late[i], NS, PASS, true); /* so that the guest can defend it */
	}
	start_announced(true); /* once lost, it may be claimed again */
	assert_int_equal(solicit_dad(&w, GUEST_PRIVACY), PASS);
	put_nd_to_guest(
	    &w, &(struct nd_spec){ .type = NA, .mac_from = VICTIM_MAC, .from = VICTIM_LL, .target = GUEST_PRIVACY });
	GUEST_GETS(PASS);
	IS_FOREIGN(GUEST_PRIVACY);
	claim_address(&w, GUEST_PRIVACY);
	IS_OWN(GUEST_PRIVACY);
	put_nd_to_guest(
	    &w, &(struct nd_spec){ .type = NS, .mac_from = VICTIM_MAC, .from = VICTIM_LL, .target = GUEST_PRIVACY });
	GUEST_GETS(PASS); /* a question is no claim */
	IS_OWN(GUEST_PRIVACY);
}

static void addresses_made_from_the_mac(void **state)
{
	(void)state;
	start_world6(&w, true);
	IS_OWN(GUEST_LL);
	IS_FOREIGN(GUEST_SLAAC);
	announce(&w, LOCAL_PREFIX);
	IS_OWN(GUEST_SLAAC);
	assert_int_equal(solicit_dad(&w, GUEST_SLAAC), PASS);
	assert_int_equal(solicit_dad(&w, GUEST_LL), PASS);
	IS_OWN(GUEST_SLAAC);
	IS_OWN(GUEST_LL);
	put_nd_to_guest(&w,
			&(struct nd_spec){ .type = NA, .mac_from = VICTIM_MAC, .from = GUEST_LL, .target = GUEST_LL });
	GUEST_GETS(DROP_ND_CLAIMS_GUEST);
	IS_OWN(GUEST_LL);
	w.now_ms += SECONDS(86401);
	IS_FOREIGN(GUEST_SLAAC);
	IS_OWN(GUEST_LL);
}

static struct address nth(uint64_t n)
{
	return ADDRESS6(LOCAL_PREFIX, 0x1000 + n);
}

static void claim_all(void)
{
	start_announced(true);
	w.config.rates[RATE_OF_NEW_ADDRESS].burst = w.config.rates[RATE_OF_ND_CLAIM].burst = 0;
	for (uint64_t i = 0; i < BINDINGS6_MAX; i++) {
		assert_int_equal(solicit_dad(&w, nth(i)), PASS);
		w.now_ms += 5000;
	}
}

/* Full: the SLAAC one goes that was used least recently, if it is a minute old, but not the oldest. */
static void full_table(void **state)
{
	(void)state;
	const uint64_t last = BINDINGS6_MAX - 1;
	start_announced(true);
	w.config.rates[RATE_OF_NEW_ADDRESS].burst = w.config.rates[RATE_OF_ND_CLAIM].burst = 0;
	for (uint64_t i = 0; i < BINDINGS6_MAX; i++)
		assert_int_equal(solicit_dad(&w, nth(i)), PASS);
	w.now_ms += 59999;
	assert_int_equal(solicit_dad(&w, nth(BINDINGS6_MAX)), DROP_BINDING_LIMIT);
	IS_FOREIGN(nth(BINDINGS6_MAX));
	w.now_ms += 1;
	assert_int_equal(solicit_dad(&w, nth(BINDINGS6_MAX)), PASS);
	claim_all();
	for (uint64_t i = 0; i < BINDINGS6_MAX; i++)
		IS_OWN(nth(i));
	for (uint64_t i = 0; i < BINDINGS6_MAX; i++) { /* used in this order; the fourth and the oldest not at all */
		w.now_ms += 2000;
		put_udp6(&w, nth(last - i), GLOBAL_IP6, 4000, 4000, 4);
		if (last - i != 3 && last - i != 0)
			GUEST_SENDS(PASS);
	}
	w.now_ms += 60000;
	for (uint64_t i = 0; i < 8; i++) {
		assert_int_equal(solicit_dad(&w, nth(100 + i)), PASS);
		IS_FOREIGN(i == 0 ? nth(3) : nth(last + 1 - i));
		IS_OWN(nth(i == 0 ? 4 : 1));
		IS_OWN(nth(0));
	}
	IS_OWN(nth(8));
}

/* Two prefixes, each with a stable address that is idle and a temporary one a day, of which Linux keeps seven: RFC 8981. */
static void weeks_of_temporary_addresses(void **state)
{
	(void)state;
	const uint64_t other = 0xfd65000000000000ULL, prefixes[] = { LOCAL_PREFIX, other };
	start_announced(true);
	for (uint64_t day = 0; day < 90; day++) {
		for (int i = 0; i < 2; i++) {
			announce(&w, prefixes[i]);
			if (day == 0)
				claim_address(&w, ADDRESS6(prefixes[i], 0x57ab1e));
			claim_address(&w, ADDRESS6(prefixes[i], 0x100000 + day * 16 + (uint64_t)i));
		}
		for (uint64_t back = 0; back < 7 && back <= day; back++)
			for (uint64_t i = 0; i < 2; i++)
				assert_true(sends_from6(&w, ADDRESS6(prefixes[i], 0x100000 + (day - back) * 16 + i)));
		for (int hour = 0; hour < 24; hour++) {
			w.now_ms += 3600 * 1000;
			announce(&w, LOCAL_PREFIX);
			announce(&w, other);
		}
		for (int i = 0; i < 2; i++)
			IS_OWN(ADDRESS6(prefixes[i], 0x57ab1e));
	}
}

static void expired_bindings_go_first(void **state)
{
	(void)state;
	const uint64_t other = 0xfd65000000000000ULL;
	start_announced(true);
	put_ra(&w, &(struct ra_spec){ .router_s = 1800, .prefix = { other, 0 }, .valid_s = 200 });
	GUEST_GETS(PASS);
	claim_address(&w, ADDRESS6(other, 7));
	w.config.rates[RATE_OF_NEW_ADDRESS].burst = w.config.rates[RATE_OF_ND_CLAIM].burst = 0;
	for (uint64_t i = 0; i < BINDINGS6_MAX - 1; i++)
		claim_address(&w, nth(i));
	w.now_ms += 201000;
	IS_FOREIGN(ADDRESS6(other, 7));
	put_udp6(&w, nth(0), GLOBAL_IP6, 4000, 4000, 4);
	GUEST_SENDS(PASS);
	claim_address(&w, nth(BINDINGS6_MAX - 1));
	for (uint64_t i = 0; i < BINDINGS6_MAX; i++)
		IS_OWN(nth(i));
}

/* Two link-local addresses besides the one that is made from vm_mac; SLAAC has no more than it can get. */
static void share_of_link_local_addresses(void **state)
{
	(void)state;
	start_announced(true);
	for (uint64_t i = 0; i < 2; i++)
		claim_address(&w, ADDRESS6(LINK_LOCAL_PREFIX, 100 + i));
	assert_int_equal(solicit_dad(&w, ADDRESS6(LINK_LOCAL_PREFIX, 102)), DROP_BINDING_LIMIT);
	w.now_ms += 60000;
	claim_address(&w, ADDRESS6(LINK_LOCAL_PREFIX, 102));
	IS_FOREIGN(ADDRESS6(LINK_LOCAL_PREFIX, 100));
	IS_OWN(ADDRESS6(LINK_LOCAL_PREFIX, 101));
	IS_OWN(ADDRESS6(LINK_LOCAL_PREFIX, 102));
	IS_OWN(GUEST_LL);
	for (uint64_t i = 0; i < BINDINGS6_MAX - 1; i++) {
		w.now_ms += 61000;
		claim_address(&w, nth(i));
	}
	IS_OWN(ADDRESS6(LINK_LOCAL_PREFIX, 101));
	IS_OWN(ADDRESS6(LINK_LOCAL_PREFIX, 102));
	IS_FOREIGN(nth(1));
	IS_OWN(nth(0));
}

static int released;

static void on_release(void *context, struct address a)
{
	(void)context;
	(void)a;
	released++;
}

/* What was claimed from the registry of the host goes back there, and what was refused is not bound. */
static void registry_of_the_host(void **state)
{
	(void)state;
	start_announced(true);
	w.guard.release = on_release;
	released = 0;
	w.claim_refused = true;
	assert_int_equal(solicit_dad(&w, GUEST_PRIVACY), DROP_BINDING_CLAIMED);
	IS_FOREIGN(GUEST_PRIVACY);
	w.now_ms += 500;
	IS_FOREIGN(GUEST_PRIVACY);
	w.claim_refused = false;
	claim_address(&w, GUEST_PRIVACY);
	assert_int_equal(released, 0);
	w.now_ms += SECONDS(86401);
	assert_true(expire_bindings(&w.guard, w.now_ms) == NEVER_EXPIRES);
	assert_int_equal(released, 1);
	assert_int_equal(w.last_event.kind, EVENT_LEASE_LOST);
	/* What has run out and is claimed again before anybody has looked, is claimed once and not given back. */
	start_announced(true);
	w.guard.release = on_release;
	released = 0;
	claim_address(&w, GUEST_PRIVACY);
	find_lease6(&w.state, GUEST_PRIVACY)->expires_ms = w.now_ms;
	claim_address(&w, GUEST_PRIVACY);
	assert_int_equal(released, 0);
	start_announced(true);
	w.guard.release = on_release;
	w.config.rates[RATE_OF_NEW_ADDRESS].burst = w.config.rates[RATE_OF_ND_CLAIM].burst = 0;
	for (uint64_t i = 0; i < BINDINGS6_MAX - 1; i++)
		assert_int_equal(solicit_dad(&w, nth(i)), PASS);
	assert_int_equal(solicit_dad(&w, ADDRESS6(LINK_LOCAL_PREFIX, 7)), PASS);
	w.now_ms += 5000;
	released = 0;
	assert_int_equal(solicit_dad(&w, nth(BINDINGS6_MAX)), DROP_BINDING_LIMIT);
	assert_int_equal(released, 1); /* it had been claimed, and there was no room */
}

static void churn(void **state)
{
	(void)state;
	start_announced(true);
	uint32_t bound = 0;
	for (uint64_t i = 0; i < 3600; i++) { /* an hour, a new address each second */
		bound += solicit_dad(&w, nth(i)) == PASS;
		w.now_ms += 1000;
	}
	/* All that the bucket gives, except what comes in the first minute: nobody old enough has to go for it. */
	assert_in_range(bound, 16 + 3540 / 5 - 2, 16 + 3600 / 5);
	solicit_dad(&w, nth(9998));
	assert_int_equal(solicit_dad(&w, nth(9999)), DROP_BINDING_CHURN);
}

static void static_addresses_stay(void **state)
{
	(void)state;
	const struct address fixed = ADDRESS6(0xfd70000000000000ULL, 5);
	start_world6(&w, true);
	assert_true(add_static_binding(&w.state, fixed, 64, w.now_ms));
	assert_false(add_static_binding(&w.state, fixed, 64, w.now_ms));
	IS_OWN(fixed);
	put_nd_to_guest(&w, &(struct nd_spec){ .type = NA, .mac_from = VICTIM_MAC, .from = fixed, .target = fixed });
	GUEST_GETS(DROP_ND_CLAIMS_GUEST);
	put_nd_to_guest(&w, &(struct nd_spec){ .type = NS, .mac_from = VICTIM_MAC, .target = fixed });
	GUEST_GETS(PASS);
	IS_OWN(fixed);
	assert_int_equal(solicit_dad(&w, fixed), PASS);
	announce(&w, fixed.high); /* the router's lifetimes are not those of the operator's word */
	put_ra(&w, &(struct ra_spec){ .router_s = 0, .prefix = { fixed.high, 0 }, .valid_s = 0 });
	GUEST_GETS(PASS);
	assert_true(is_on_link6(&w.state.ipv6, fixed.high, 9, w.now_ms));
	w.now_ms += SECONDS(100000);
	expire_bindings(&w.guard, w.now_ms);
	IS_OWN(fixed);
	assert_true(is_on_link6(&w.state.ipv6, fixed.high, 9, w.now_ms));
	announce(&w, LOCAL_PREFIX);
	for (uint64_t i = 0; i < 40; i++) {
		w.now_ms += 61000;
		assert_int_equal(solicit_dad(&w, nth(i)), PASS);
	}
	IS_OWN(fixed);
	static const struct address bad[] = { { 0, 0 }, { 0, 1 }, { 0xff02000000000000ULL, 1 }, { 0, 0xffffc0a80001ULL } };
	for (size_t i = 0; i < 3; i++)
		assert_false(add_static_binding(&w.state, bad[i], 64, w.now_ms));
}

/* What has run out needs a DAD of its own, whatever becomes of its prefix. */
static void the_end_is_the_end(void **state)
{
	(void)state;
	start_announced(true);
	claim_address(&w, GUEST_PRIVACY);
	w.now_ms += SECONDS(86401);
	IS_FOREIGN(GUEST_PRIVACY);
	announce(&w, LOCAL_PREFIX);
	IS_FOREIGN(GUEST_PRIVACY);
	announce(&w, LOCAL_PREFIX);
	IS_FOREIGN(GUEST_PRIVACY);
	claim_address(&w, GUEST_PRIVACY);
	IS_OWN(GUEST_PRIVACY);
}

/* A claim that others discard is no claim, and neither is an objection that the guest discards. */
static void checksums_of_claims(void **state)
{
	(void)state;
	start_announced(true);
	put_nd(&w, &(struct nd_spec){ .type = NS, .target = GUEST_PRIVACY });
	w.frame[56] ^= 1;
	GUEST_SENDS(DROP_ND_MALFORMED);
	w.now_ms += 600;
	IS_FOREIGN(GUEST_PRIVACY);
	assert_int_equal(solicit_dad(&w, GUEST_PRIVACY), PASS);
	put_nd_to_guest(
	    &w, &(struct nd_spec){ .type = NA, .mac_from = VICTIM_MAC, .from = VICTIM_LL, .target = GUEST_PRIVACY });
	w.frame[56] ^= 1;
	GUEST_GETS(DROP_ND_MALFORMED);
	w.now_ms += 600;
	IS_OWN(GUEST_PRIVACY);
}

/* A guest cannot get what a neighbor claims by answering DAD with its own. */
static void claims_of_neighbors(void **state)
{
	(void)state;
	start_announced(true);
	put_nd_to_guest(&w, &(struct nd_spec){ .type = NS, .mac_from = VICTIM_MAC, .target = GUEST_PRIVACY });
	GUEST_GETS(PASS);
	assert_int_equal(solicit_dad(&w, GUEST_PRIVACY), DROP_ND_TARGET_RESERVED);
	w.now_ms += 1499;
	assert_int_equal(solicit_dad(&w, GUEST_PRIVACY), DROP_ND_TARGET_RESERVED);
	w.now_ms += 1;
	assert_int_equal(solicit_dad(&w, GUEST_PRIVACY), PASS);
	w.now_ms += 2000; /* a flood of claims costs tokens of its own, and the guest nothing that it has */
	for (uint64_t i = 0; i < 100; i++) {
		put_nd_to_guest(&w, &(struct nd_spec){ .type = NS,
						       .mac_from = VICTIM_MAC,
						       .target = ADDRESS6(LOCAL_PREFIX, 0x5000 + i) });
		GUEST_GETS(i < 40 ? PASS : DROP_RATE_UPLINK);
	}
	IS_OWN(GUEST_PRIVACY);
}

/* The LAN of a leased or static address is local, whether or not a router announces it. */
static void site_of_an_address_without_a_prefix(void **state)
{
	(void)state;
	const struct address mine = ADDRESS6(0x2a00000100020003ULL, 0x55);
	start_announced(true);
	put_udp6(&w, GUEST_SLAAC, ADDRESS6(mine.high, 0x1111), 4000, 4000, 4);
	GUEST_SENDS(PASS);
	assert_true(add_static_binding(&w.state, mine, 128, w.now_ms));
	put_udp6(&w, mine, ADDRESS6(mine.high, 0x1111), 4000, 4000, 4);
	GUEST_SENDS(DROP_DST_LOCAL_NET);
	put_udp6(&w, mine, ADDRESS6(mine.high + 1, 0x1111), 4000, 4000, 4);
	GUEST_SENDS(DROP_DST_LOCAL_NET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dad_then_own),
		cmocka_unit_test(conflicts),
		cmocka_unit_test(addresses_made_from_the_mac),
		cmocka_unit_test(full_table),
		cmocka_unit_test(weeks_of_temporary_addresses),
		cmocka_unit_test(expired_bindings_go_first),
		cmocka_unit_test(share_of_link_local_addresses),
		cmocka_unit_test(registry_of_the_host),
		cmocka_unit_test(churn),
		cmocka_unit_test(static_addresses_stay),
		cmocka_unit_test(the_end_is_the_end),
		cmocka_unit_test(first_router_locks),
		cmocka_unit_test(relearning_keeps_addresses),
		cmocka_unit_test(length_of_the_lock),
		cmocka_unit_test(router_that_leaves),
		cmocka_unit_test(anchored_routers),
		cmocka_unit_test(lifetimes_of_prefixes),
		cmocka_unit_test(two_hours),
		cmocka_unit_test(prefixes_that_teach_nothing),
		cmocka_unit_test(resolvers_of_routers),
		cmocka_unit_test(translators_of_routers),
		cmocka_unit_test(full_tables),
		cmocka_unit_test(what_has_run_out_stays_closed),
		cmocka_unit_test(a_router_of_nothing_teaches_nothing),
		cmocka_unit_test(on_link_first),
		cmocka_unit_test(routers_without_a_route),
		cmocka_unit_test(translators_open_while_they_last),
		cmocka_unit_test(checksums_of_claims),
		cmocka_unit_test(claims_of_neighbors),
		cmocka_unit_test(site_of_an_address_without_a_prefix),
		cmocka_unit_test(broken_advertisements),
		cmocka_unit_test(time_only_takes),
		cmocka_unit_test(strangers_change_nothing),
		cmocka_unit_test(guests_add_addresses_by_dad_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
