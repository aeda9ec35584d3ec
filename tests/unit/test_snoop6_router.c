/* Router advertisements: who is believed, for how long, and what is learned. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "test_snoop6.h"

#include <cmocka.h>

#define RIVAL_LL     ADDRESS6(LINK_LOCAL_PREFIX, 0x2222)
#define RIVAL_MAC    0x525400002222ULL
#define OTHER_PREFIX 0xfd65000000000000ULL
#define RESOLVER     ADDRESS6(0xfd66000000000000ULL, 0x53)

static enum verdict hear(struct ra_spec spec)
{
	put_ra(&w, &spec);
	return to_guest(&w);
}

static enum verdict hear_rival(uint16_t router_s)
{
	return hear((struct ra_spec){
	    .from = RIVAL_LL, .mac = RIVAL_MAC, .router_s = router_s, .prefix = { OTHER_PREFIX, 0 }, .valid_s = 86400 });
}

static enum verdict hear_prefix(uint32_t valid_s)
{
	return hear((struct ra_spec){ .router_s = 1800, .prefix = { LOCAL_PREFIX, 0 }, .valid_s = valid_s });
}

static enum verdict ask_resolver(struct address resolver)
{
	put_udp6(&w, GUEST_SLAAC, resolver, 4000, 53, 4);
	return from_guest(&w);
}

static enum verdict ping_router(void)
{
	put_icmp6(&w, GUEST_LL, ROUTER_LL, ECHO, 8);
	return from_guest(&w);
}

static enum verdict send_by(uint64_t next_hop)
{
	put_icmp6(&w, GUEST_SLAAC, GLOBAL_IP6, ECHO, 8);
	for (int i = 0; i < 6; i++)
		w.frame[i] = (uint8_t)(next_hop >> (40 - 8 * i));
	return from_guest(&w);
}

/* The operator says that the network has changed. The router stays one, and its MAC the only one, until another is heard. */
void relearning_keeps_addresses(void **state)
{
	(void)state;
	start_announced(false);
	IS_OWN(GUEST_SLAAC);
	assert_int_equal(hear_rival(1800), DROP_RA_UNTRUSTED);
	relearn(&w.state);
	IS_OWN(GUEST_SLAAC);
	assert_int_equal(ping_router(), PASS);
	assert_int_equal(send_by(GATEWAY_MAC), PASS);
	assert_int_equal(send_by(RIVAL_MAC), DROP_L2_NEXT_HOP);
	assert_int_equal(hear_rival(1800), PASS);
	assert_int_equal(send_by(RIVAL_MAC), PASS);
	assert_int_equal(send_by(GATEWAY_MAC), DROP_L2_NEXT_HOP);
	w.config.isolation = 0;
	assert_int_equal(hear((struct ra_spec){ .router_s = 1800 }), DROP_RA_UNTRUSTED); /* now it is the other one alone */
	IS_OWN(GUEST_SLAAC);
	IS_OWN(ADDRESS6(OTHER_PREFIX, GUEST_ID));
}

void first_router_locks(void **state)
{
	(void)state;
	start_announced(false);
	w.config.isolation = 0; /* whose MAC is the next hop's is another matter */
	assert_int_equal(hear_rival(1800), DROP_RA_UNTRUSTED);
	assert_int_equal(hear((struct ra_spec){ .mac = RIVAL_MAC, .router_s = 1800 }), DROP_RA_UNTRUSTED);
	assert_int_equal(hear((struct ra_spec){ .from = RIVAL_LL, .router_s = 1800 }), DROP_RA_UNTRUSTED);
	IS_FOREIGN(ADDRESS6(OTHER_PREFIX, GUEST_ID));
	for (int i = 0; i < 10; i++) { /* its own advertisements keep the lock, and nobody else's open it */
		w.now_ms += SECONDS(7199);
		assert_int_equal(hear_rival(1800), DROP_RA_UNTRUSTED);
		announce(&w, LOCAL_PREFIX);
	}
	w.now_ms += SECONDS(7200);
	assert_int_equal(hear_rival(1800), PASS);
	IS_OWN(ADDRESS6(OTHER_PREFIX, GUEST_ID));
	assert_int_equal(hear_prefix(86400), DROP_RA_UNTRUSTED);
	assert_int_equal(w.last_event.kind, EVENT_PREFIX_LEARNED);
}

/* As long as its lifetime runs or its longest prefix is valid, that for two hours at most. */
void length_of_the_lock(void **state)
{
	(void)state;
	static const struct {
		uint16_t router_s;
		uint32_t valid_s, lock_s;
	} rows[] = {
		{ 1800, 0, 1800 }, { 1800, 60, 1800 }, { 60, 600, 600 },           { 9000, 86400, 9000 },
		{ 1, 600, 600 },   { 1, 86400, 7200 }, { 1800, UINT32_MAX, 7200 }, { 65535, 7200, 65535 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		start_world6(&w, false);
		assert_int_equal(hear((struct ra_spec){ .router_s = rows[i].router_s,
							.prefix = { LOCAL_PREFIX, 0 },
							.valid_s = rows[i].valid_s }),
				 PASS);
		w.now_ms += SECONDS(rows[i].lock_s) - 1;
		assert_int_equal(hear_rival(1800), DROP_RA_UNTRUSTED);
		w.now_ms += 1;
		assert_int_equal(hear_rival(1800), PASS);
	}
}

/* A border router of a home's radio network: a prefix, and no route. It keeps out neither the router nor its own kind. */
void routers_without_a_route(void **state)
{
	(void)state;
	start_world6(&w, false);
	assert_int_equal(hear((struct ra_spec){ .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 1800 }), PASS);
	IS_OWN(GUEST_SLAAC);
	assert_int_equal(hear_rival(1800), PASS);
	assert_int_equal(hear((struct ra_spec){ .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 1800 }), PASS); /* both stay */
	const struct ra_spec third = { .from = ADDRESS6(LINK_LOCAL_PREFIX, 0x3333), .mac = VICTIM_MAC, .router_s = 1800 };
	assert_int_equal(hear(third), DROP_RA_UNTRUSTED);
	assert_int_equal(hear((struct ra_spec){ .mac = VICTIM_MAC, .router_s = 1800 }), DROP_RA_UNTRUSTED);
}

/* No next hop any more, but still the only one who may speak. */
void router_that_leaves(void **state)
{
	(void)state;
	start_announced(false);
	assert_int_equal(ping_router(), PASS);
	assert_int_equal(hear((struct ra_spec){ .router_s = 0 }), PASS);
	assert_int_equal(ping_router(), DROP_DST_PRIVATE);
	assert_int_equal(hear_rival(1800), DROP_RA_UNTRUSTED);
	expect_verdict(&w, solicit_dad(&w, ROUTER_LL), DROP_ND_TARGET_RESERVED, __FILE__, __LINE__);
	IS_OWN(GUEST_SLAAC);
	w.now_ms += SECONDS(7200);
	assert_int_equal(hear_rival(1800), PASS);
	start_announced(false);
	w.now_ms += SECONDS(1800) - 1;
	assert_int_equal(ping_router(), PASS);
	w.now_ms += 1;
	assert_int_equal(ping_router(), DROP_DST_PRIVATE);
}

void anchored_routers(void **state)
{
	(void)state;
	start_world6(&w, true);
	assert_int_equal(hear_rival(1800), DROP_RA_UNTRUSTED);
	w.config.host6.count = 0; /* a MAC is known, and no address: any router behind it */
	assert_int_equal(hear_rival(1800), DROP_RA_UNTRUSTED);
	assert_int_equal(hear((struct ra_spec){ .from = RIVAL_LL, .router_s = 1800 }), PASS);
	assert_int_equal(hear((struct ra_spec){ .router_s = 1800 }), PASS);
	start_world6(&w, true);
	w.config.gateway_macs.count = 0; /* an address is known, and no MAC: the first one locks */
	assert_int_equal(hear_rival(1800), DROP_RA_UNTRUSTED);
	announce(&w, LOCAL_PREFIX);
	assert_int_equal(hear((struct ra_spec){ .mac = RIVAL_MAC, .router_s = 1800 }), DROP_RA_UNTRUSTED);
	w.now_ms += SECONDS(100000);
	assert_int_equal(hear_rival(1800), DROP_RA_UNTRUSTED);
	start_world6(&w, false);
	set_add(&w.config.host, address_of_ipv4(GATEWAY_IP)); /* an IPv4 anchor says nothing of IPv6 */
	announce(&w, LOCAL_PREFIX);
	start_world6(&w, false);
	set_add(&w.config.host6, ADDRESS6(LOCAL_PREFIX, 1)); /* nor does a global address say who routes */
	announce(&w, LOCAL_PREFIX);
	assert_int_equal(hear_rival(1800), DROP_RA_UNTRUSTED);
}

/* A second more than it says, for what lies between the two clocks. */
void lifetimes_of_prefixes(void **state)
{
	(void)state;
	start_world6(&w, true);
	assert_int_equal(hear_prefix(600), PASS);
	claim_address(&w, GUEST_PRIVACY);
	uint64_t heard_ms = w.now_ms - 2000;
	w.now_ms = heard_ms + SECONDS(601) - 1;
	IS_OWN(GUEST_PRIVACY);
	IS_OWN(GUEST_SLAAC);
	w.now_ms += 1;
	IS_FOREIGN(GUEST_PRIVACY);
	IS_FOREIGN(GUEST_SLAAC);
	assert_int_equal(solicit_dad(&w, GUEST_PRIVACY), DROP_ND_PREFIX_UNKNOWN);
	start_world6(&w, true);
	assert_int_equal(hear_prefix(600), PASS);
	claim_address(&w, GUEST_PRIVACY);
	w.now_ms += SECONDS(300);
	assert_int_equal(hear_prefix(600), PASS); /* addresses live on with their prefix */
	w.now_ms += SECONDS(600);
	IS_OWN(GUEST_PRIVACY);
	w.now_ms += SECONDS(1);
	IS_FOREIGN(GUEST_PRIVACY);
	start_world6(&w, true);
	assert_int_equal(hear_prefix(UINT32_MAX), PASS);
	claim_address(&w, GUEST_PRIVACY);
	w.now_ms = UINT64_MAX - 1;
	IS_OWN(GUEST_PRIVACY);
}

/* RFC 4862 5.5.3 e */
void two_hours(void **state)
{
	(void)state;
	static const struct {
		uint32_t first_s, wait_s, second_s, left_s;
	} rows[] = {
		{ 86400, 10, 0, 7200 },      { 86400, 10, 60, 7200 },     { 86400, 10, 7200, 7200 },
		{ 86400, 10, 7201, 7201 },   { 86400, 10, 10000, 10000 }, { 86400, 10, UINT32_MAX, UINT32_MAX },
		{ UINT32_MAX, 10, 0, 7200 }, { 7200, 10, 60, 7190 },      { 7200, 100, 0, 7100 },
		{ 600, 10, 0, 590 },         { 600, 100, 60, 500 },       { 600, 100, 900, 900 },
		{ 60, 10, 86400, 86400 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		start_world6(&w, true);
		assert_int_equal(hear_prefix(rows[i].first_s), PASS);
		assert_int_equal(solicit_dad(&w, GUEST_PRIVACY), PASS);
		w.now_ms += SECONDS(rows[i].wait_s);
		assert_int_equal(hear_prefix(rows[i].second_s), PASS);
		w.now_ms += SECONDS(rows[i].left_s) - 1;
		IS_OWN(GUEST_PRIVACY);
		IS_OWN(GUEST_SLAAC);
		w.now_ms += 1001;
		if (rows[i].left_s != UINT32_MAX) {
			IS_FOREIGN(GUEST_PRIVACY);
			IS_FOREIGN(GUEST_SLAAC);
		}
	}
}

/* RFC 4862 5.5.3 a to d, and what is nobody's to give. The frames pass: hosts read them in the same way. */
void prefixes_that_teach_nothing(void **state)
{
	(void)state;
	const struct ra_spec rows[] = {
		{ .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 0 },
		{ .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 600, .flags = PREFIX_ON_LINK },
		{ .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 600, .flags = PREFIX_NEITHER },
		{ .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 600, .prefix_length = 63 },
		{ .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 600, .prefix_length = 65 },
		{ .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 600, .prefix_length = 48 },
		{ .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 600, .prefix_length = 129 },
		{ .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 600, .preferred_s = 601 },
		{ .prefix = { LINK_LOCAL_PREFIX, 0 }, .valid_s = 600 },
		{ .prefix = { 0xff02000000000000ULL, 0 }, .valid_s = 600 },
		{ .prefix = { 0x0064ff9b00000000ULL, 0 }, .valid_s = 600 },
		{ .prefix = { 0, 1 }, .valid_s = 600 },
		{ .prefix = { 0xfec0000000000000ULL, 0 }, .valid_s = 600 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		start_world6(&w, true);
		expect_verdict(&w, hear(rows[i]), PASS, "prefix", (int)i);
		IS_FOREIGN(ADDRESS6(LOCAL_PREFIX, GUEST_ID));
		if (rows[i].prefix.high != LINK_LOCAL_PREFIX)
			IS_FOREIGN(ADDRESS6(rows[i].prefix.high, GUEST_ID));
		w.now_ms += SECONDS(86400);
		IS_OWN(GUEST_LL);
	}
	start_world6(&w, true); /* host bits are ignored, RFC 4861 4.6.2 */
	assert_int_equal(hear((struct ra_spec){ .prefix = { LOCAL_PREFIX, 0x1234 }, .valid_s = 600 }), PASS);
	IS_OWN(GUEST_SLAAC);
	start_world6(&w, true);
	assert_int_equal(
	    hear((struct ra_spec){
		.prefix = { LOCAL_PREFIX, 0 }, .valid_s = 600, .preferred_s = 600, .flags = PREFIX_AUTONOMOUS }),
	    PASS);
	IS_OWN(GUEST_SLAAC);
}

void resolvers_of_routers(void **state)
{
	(void)state;
	struct ra_spec ra = { .router_s = 1800, .resolver = RESOLVER, .resolver_s = 600 };
	start_announced(true);
	assert_int_equal(ask_resolver(RESOLVER), DROP_DST_PRIVATE);
	assert_int_equal(hear(ra), PASS);
	assert_int_equal(ask_resolver(RESOLVER), PASS);
	w.now_ms += SECONDS(600) - 1;
	assert_int_equal(ask_resolver(RESOLVER), PASS);
	w.now_ms += 1;
	assert_int_equal(ask_resolver(RESOLVER), DROP_DST_PRIVATE);
	assert_int_equal(hear(ra), PASS);
	ra.resolver_s = 0;
	assert_int_equal(hear(ra), PASS);
	assert_int_equal(ask_resolver(RESOLVER), DROP_DST_PRIVATE);
	ra.resolver_s = UINT32_MAX;
	assert_int_equal(hear(ra), PASS);
	w.now_ms += SECONDS(80000);
	assert_int_equal(ask_resolver(RESOLVER), PASS);
	ra.resolver = ADDRESS6(0xff02000000000000ULL, 0x53);
	assert_int_equal(hear(ra), PASS);
	assert_int_equal(ask_resolver(ra.resolver), DROP_DST_MULTICAST);
	ra.mac = RIVAL_MAC;
	ra.resolver = ADDRESS6(LOCAL_PREFIX, 0x54);
	assert_int_equal(hear(ra), DROP_RA_UNTRUSTED);
	assert_int_equal(ask_resolver(ra.resolver), DROP_DST_PRIVATE);
}

void translators_of_routers(void **state)
{
	(void)state;
	const struct address private = ADDRESS6(0x2a0e000000000000ULL, 0x0a000001);
	struct ra_spec ra = { .router_s = 1800, .nat64 = { 0x2a0e000000000000ULL, 0 }, .nat64_bits = 96, .nat64_s = 600 };
	start_announced(true);
	assert_int_equal(ask_resolver(private), PASS); /* a global address like any other */
	assert_int_equal(hear(ra), PASS);
	assert_int_equal(ask_resolver(private), DROP_DST_NAT64_PRIVATE);
	w.now_ms += SECONDS(599);
	assert_int_equal(ask_resolver(private), DROP_DST_NAT64_PRIVATE);
	assert_int_equal(hear(ra), PASS);
	w.now_ms += SECONDS(599);
	assert_int_equal(ask_resolver(private), DROP_DST_NAT64_PRIVATE);
	w.now_ms += SECONDS(80000); /* the translator may well outlive what the router says of it */
	assert_int_equal(ask_resolver(private), DROP_DST_NAT64_PRIVATE);
	assert_int_equal(ask_resolver(ADDRESS6(0x2a0e000000000000ULL, 0xe0000109)), DROP_DST_NAT64_PRIVATE); /* a group */
	ra.nat64 = ADDRESS6(0x0064ff9b00010000ULL, 0); /* RFC 8215 */
	assert_int_equal(ask_resolver(ADDRESS6(0x0064ff9b00010000ULL, 0x0a000001)), DROP_DST_PRIVATE);
	assert_int_equal(hear(ra), PASS);
	assert_int_equal(ask_resolver(ADDRESS6(0x0064ff9b00010000ULL, 0x0a000001)), DROP_DST_NAT64_PRIVATE);
	ra.nat64 = ADDRESS6(LOCAL_PREFIX, 0); /* the LAN's own addresses are not behind a translator */
	ra.nat64_bits = 64;
	assert_int_equal(hear(ra), PASS);
	assert_int_equal(ask_resolver(ADDRESS6(LOCAL_PREFIX, 0x505400fffe00000bULL)), DROP_DST_PRIVATE);
}

/* What was known of a network stays closed, or held to its router, when its time is over: addresses may last longer. */
void what_has_run_out_stays_closed(void **state)
{
	(void)state;
	start_world6(&w, false);
	announce(&w, LOCAL_PREFIX);
	claim_address(&w, GUEST_PRIVACY);
	w.now_ms += SECONDS(7200); /* behind the lock */
	put_udp6(&w, GUEST_PRIVACY, GLOBAL_IP6, 4000, 4000, 4);
	GUEST_SENDS(PASS);
	put_udp6(&w, GUEST_PRIVACY, GLOBAL_IP6, 4000, 4000, 4);
	w.frame[5] ^= 0x40; /* to another MAC */
	GUEST_SENDS(DROP_L2_NEXT_HOP);
	assert_int_equal(hear_rival(1800), PASS); /* the next router is another one's */
	put_udp6(&w, GUEST_PRIVACY, GLOBAL_IP6, 4000, 4000, 4);
	GUEST_SENDS(DROP_L2_NEXT_HOP);

	start_announced(true);
	assert_int_equal(
	    hear((struct ra_spec){ .router_s = 1800, .prefix = { 0x2a0e000100020000ULL, 0 }, .valid_s = 60 }), PASS);
	put_udp6(&w, GUEST_SLAAC, ADDRESS6(0x2a0e000100020000ULL, 5), 4000, 4000, 4);
	GUEST_SENDS(DROP_DST_LOCAL_NET);
	w.now_ms += SECONDS(80);
	put_udp6(&w, GUEST_SLAAC, ADDRESS6(0x2a0e000100020000ULL, 5), 4000, 4000, 4);
	GUEST_SENDS(DROP_DST_LOCAL_NET);
	assert_int_equal(hear((struct ra_spec){ .router_s = 1800, .prefix = { OTHER_PREFIX, 0 }, .valid_s = 60 }), PASS);
	put_udp6(&w, GUEST_SLAAC, ADDRESS6(0x2a0e000100020000ULL, 5), 4000, 4000, 4);
	GUEST_SENDS(DROP_DST_LOCAL_NET); /* what is new takes a free place first */
}

/* A translator that is over closes and does not open; none stands before the link. */
void translators_open_while_they_last(void **state)
{
	(void)state;
	struct ra_spec ra = { .router_s = 1800, .nat64 = { 0xfd99000000000000ULL, 0 }, .nat64_bits = 96, .nat64_s = 80 };
	const struct address behind = ADDRESS6(0xfd99000000000000ULL, 0x08080808);
	start_announced(true);
	assert_int_equal(ask_resolver(behind), DROP_DST_PRIVATE);
	assert_int_equal(hear(ra), PASS);
	assert_int_equal(ask_resolver(behind), PASS);
	w.now_ms += SECONDS(81);
	assert_int_equal(ask_resolver(behind), DROP_DST_PRIVATE);
	assert_int_equal(hear(ra), PASS); /* and opens again when it is announced again */
	assert_int_equal(ask_resolver(behind), PASS);
	ra.nat64 = ADDRESS6(LINK_LOCAL_PREFIX, 0);
	ra.nat64_bits = 64;
	assert_int_equal(hear(ra), PASS);
	assert_int_equal(ask_resolver(VICTIM_LL), DROP_DST_PRIVATE);
}

/* Without anchors: who says neither that it routes nor a prefix is not locked, so nothing else it says counts. */
void a_router_of_nothing_teaches_nothing(void **state)
{
	(void)state;
	start_world6(&w, false);
	assert_int_equal(
	    hear((struct ra_spec){ .from = RIVAL_LL, .mac = RIVAL_MAC, .resolver = RESOLVER, .resolver_s = UINT32_MAX }),
	    PASS);
	announce(&w, LOCAL_PREFIX);
	assert_int_equal(ask_resolver(RESOLVER), DROP_DST_PRIVATE);
	assert_int_equal(hear((struct ra_spec){ .router_s = 1800, .resolver = RESOLVER, .resolver_s = UINT32_MAX }),
			 PASS);
	assert_int_equal(ask_resolver(RESOLVER), PASS);
	w.now_ms += SECONDS(7200); /* no longer than the router itself is believed */
	assert_int_equal(ask_resolver(RESOLVER), DROP_DST_PRIVATE);
}

/* RFC 4861 6.3.4: each flag speaks for itself. A prefix that was on the link for long is SLAAC's for as long as that says. */
void on_link_first(void **state)
{
	(void)state;
	start_world6(&w, true);
	assert_int_equal(hear((struct ra_spec){
			     .router_s = 1800, .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 86400, .flags = PREFIX_ON_LINK }),
			 PASS);
	IS_FOREIGN(GUEST_SLAAC);
	assert_int_equal(hear((struct ra_spec){
			     .router_s = 1800, .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 60, .flags = PREFIX_AUTONOMOUS }),
			 PASS);
	IS_OWN(GUEST_SLAAC);
	w.now_ms += SECONDS(62);
	IS_FOREIGN(GUEST_SLAAC);
}

/* What finds no place is ignored, until there is one. */
void full_tables(void **state)
{
	(void)state;
	start_world6(&w, true);
	for (uint64_t i = 0; i < 9; i++) {
		assert_int_equal(hear((struct ra_spec){
				     .router_s = 1800, .prefix = { LOCAL_PREFIX + i, 0 }, .valid_s = i == 0 ? 100 : 600 }),
				 PASS);
		STATUS(ADDRESS6(LOCAL_PREFIX + i, GUEST_ID), i < 8 ? PASS : DROP_IP6_SRC_UNBOUND);
	}
	w.now_ms += SECONDS(101);
	assert_int_equal(hear((struct ra_spec){ .router_s = 1800, .prefix = { LOCAL_PREFIX + 8, 0 }, .valid_s = 600 }),
			 PASS);
	IS_OWN(ADDRESS6(LOCAL_PREFIX + 8, GUEST_ID));
	for (uint64_t i = 0; i < 9; i++) {
		struct address resolver = ADDRESS6(0xfd66000000000000ULL, i);
		assert_int_equal(hear((struct ra_spec){ .router_s = 1800, .resolver = resolver, .resolver_s = 300 }),
				 PASS);
		put_udp6(&w, ADDRESS6(LOCAL_PREFIX + 8, GUEST_ID), resolver, 4000, 53, 4);
		GUEST_SENDS(i < 8 ? PASS : DROP_DST_PRIVATE);
	}
	for (uint64_t i = 0; i < 3; i++) {
		struct address prefix = ADDRESS6(0x2a0e000000000000ULL + (i << 32), 0);
		assert_int_equal(
		    hear((struct ra_spec){ .router_s = 1800, .nat64 = prefix, .nat64_bits = 96, .nat64_s = 800 }), PASS);
		put_udp6(&w, ADDRESS6(LOCAL_PREFIX + 8, GUEST_ID), ADDRESS6(prefix.high, 0x0a000001), 4000, 4000, 4);
		GUEST_SENDS(i < 2 ? DROP_DST_NAT64_PRIVATE : PASS);
	}
	w.config.host6.count = 0; /* several routers behind the known MAC */
	fill_buckets(&w.config, &w.buckets, w.now_ms);
	for (uint64_t i = 0; i < 5; i++) {
		struct address router = ADDRESS6(LINK_LOCAL_PREFIX, 0x3330 + i);
		assert_int_equal(hear((struct ra_spec){ .from = router, .router_s = 600 }), PASS);
		put_icmp6(&w, GUEST_LL, router, ECHO, 8);
		GUEST_SENDS(i < 3 ? PASS : DROP_DST_PRIVATE); /* the first place is ROUTER_LL's */
	}
}

/* RFC 4861 6.1.2: discarded as a whole, and nothing is learned from the good half. */
void broken_advertisements(void **state)
{
	(void)state;
	static const uint8_t zero[8] = { 14, 0 }, past[8] = { 14, 2 }, short_prefix[8] = { 3, 1 };
	static const uint8_t odd_resolvers[16] = { 25, 2 }, long_pref64[24] = { 38, 3 };
	const struct {
		const uint8_t *octets;
		uint32_t count;
	} rows[] = {
		{ zero, 8 }, { past, 8 }, { zero, 1 }, { short_prefix, 8 }, { odd_resolvers, 16 }, { long_pref64, 24 },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		start_world6(&w, false);
		struct state6 before = w.state.ipv6;
		enum verdict got = hear((struct ra_spec){ .router_s = 1800,
							  .prefix = { LOCAL_PREFIX, 0 },
							  .valid_s = 600,
							  .extra = rows[i].octets,
							  .extra_octets = rows[i].count });
		if (i < 3) { /* what is wrong with a single option is for its reader */
			assert_int_equal(got, DROP_ND_MALFORMED);
			assert_memory_equal(&before, &w.state.ipv6, sizeof before);
		}
	}
	static const uint8_t unknown[800] = { [0] = 200, [1] = 100 };
	start_world6(&w, false);
	assert_int_equal(
	    hear((struct ra_spec){
		.router_s = 1800, .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 600, .extra = unknown, .extra_octets = 800 }),
	    PASS);
	IS_OWN(GUEST_SLAAC);
	assert_int_equal(hear((struct ra_spec){ .router_s = 1800, .source_lla = GATEWAY_MAC }), PASS);
}
