/* One frame for every row of docs/filter-ipv6.md that the judge decides, and the frames beside them that must pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/guard.h"
#include "test_judge6.h"

#include <cmocka.h>

struct world w;

void bound6(void)
{
	start_world6(&w, true);
	announce(&w, LOCAL_PREFIX);
	claim_address(&w, GUEST_PRIVACY);
}

enum verdict judged_from_guest(void)
{
	struct frame frame = { .bytes = w.frame, .length = w.length };
	return judge_frame(&w.config, &w.state, FROM_GUEST, &frame, w.now_ms).verdict;
}

enum verdict judged_to_guest(void)
{
	struct frame frame = { .bytes = w.frame, .length = w.length };
	return judge_frame(&w.config, &w.state, TO_GUEST, &frame, w.now_ms).verdict;
}

static void put_data(struct address from, struct address to)
{
	put_udp6(&w, from, to, 4000, 4000, 4);
}

static void put_answer(uint64_t mac, struct address from)
{
	put_udp6_to_guest(&w, mac, from, GUEST_PRIVACY, 4000, 4000, 4);
}

static void switched_off(void **state)
{
	(void)state;
	bound6();
	put_data(GUEST_PRIVACY, GLOBAL_IP6);
	GUEST_SENDS(PASS);
	put_answer(GATEWAY_MAC, GLOBAL_IP6);
	GUEST_GETS(PASS);
	w.config.ipv6_off = 1;
	GUEST_GETS(DROP_IP6_DISABLED);
	put_data(GUEST_PRIVACY, GLOBAL_IP6);
	GUEST_SENDS(DROP_IP6_DISABLED);
	put_ra(&w, &(struct ra_spec){ .router_s = 1800 });
	GUEST_GETS(DROP_IP6_DISABLED);
}

/* H1, X1 */
static void fixed_header(void **state)
{
	(void)state;
	bound6();
	struct {
		uint32_t at;
		uint8_t value;
	} faults[] = {
		{ 14, 0x45 }, { 14, 0x50 }, { 14, 0x70 }, { 14, 0 }, { 19, 0 }, { 19, 13 }, { 18, 0xff }, { 21, 0 },
	};
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		put_data(GUEST_PRIVACY, GLOBAL_IP6);
		w.frame[faults[i].at] = faults[i].value;
		GUEST_SENDS(DROP_IP6_MALFORMED);
		put_answer(GATEWAY_MAC, GLOBAL_IP6);
		w.frame[faults[i].at] = faults[i].value;
		GUEST_GETS(faults[i].at == 21 ? PASS : DROP_IP6_MALFORMED); /* hop limit 0: its last hop was ours */
	}
	for (uint32_t n = 0; n < 52; n++) {
		put_data(GUEST_PRIVACY, GLOBAL_IP6);
		w.length = 14 + n;
		GUEST_SENDS(DROP_IP6_MALFORMED);
		put_answer(GATEWAY_MAC, GLOBAL_IP6);
		w.length = 14 + n;
		GUEST_GETS(DROP_IP6_MALFORMED);
	}
	put_data(GUEST_PRIVACY, GLOBAL_IP6);
	set_hop_limit(&w, 1);
	w.frame[14] = 0x6f; /* traffic class and flow label are the guest's */
	memset(w.frame + 15, 0xff, 3);
	GUEST_SENDS(PASS);
	put_zeros(&w, 100); /* padding */
	GUEST_SENDS(PASS);
}

/* H6 */
static void transport_headers(void **state)
{
	(void)state;
	struct {
		uint8_t protocol;
		uint32_t need;
	} rows[] = { { 6, 20 }, { 17, 8 }, { 58, 8 } };
	bound6();
	for (size_t i = 0; i < 3; i++)
		for (uint32_t n = 1; n < 30; n++) {
			put_packet6(&w, GUEST_PRIVACY, GLOBAL_IP6, rows[i].protocol, n);
			w.frame[54] = rows[i].protocol == 58 ? ECHO : 0;
			w.frame[59] = (uint8_t)n; /* the length of UDP */
			GUEST_SENDS(n < rows[i].need ? DROP_L4_MALFORMED : PASS);
		}
	for (uint32_t n = 0; n < 20; n++) {
		put_data(GUEST_PRIVACY, GLOBAL_IP6);
		w.frame[59] = (uint8_t)n;
		GUEST_SENDS(n < 8 || n > 12 ? DROP_L4_MALFORMED : PASS);
	}
	for (uint32_t protocol = 0; protocol < 256; protocol++) { /* H16, and what only looks like a header */
		static const uint8_t headers[] = { 0, 43, 44, 51, 58, 59, 60, 135, 139, 140, 253, 254, 255 };
		put_packet6(&w, GUEST_PRIVACY, GLOBAL_IP6, (uint8_t)protocol, 24);
		w.frame[59] = 24;
		if (!memchr(headers, (int)protocol, sizeof headers))
			GUEST_SENDS(PASS);
	}
}

/* H9, H10 */
static void sources_of_guest(void **state)
{
	(void)state;
	start_world6(&w, true);
	put_data(GUEST_SLAAC, GLOBAL_IP6);
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND); /* its prefix is unknown */
	announce(&w, LOCAL_PREFIX);
	put_data(GUEST_SLAAC, GLOBAL_IP6);
	GUEST_SENDS(PASS);
	put_data(GUEST_PRIVACY, GLOBAL_IP6);
	GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	expect_verdict(&w, solicit_dad(&w, GUEST_PRIVACY), PASS, __FILE__, __LINE__);
	put_data(GUEST_PRIVACY, GLOBAL_IP6);
	GUEST_SENDS(DROP_IP6_SRC_TENTATIVE);
	w.now_ms += 499;
	GUEST_SENDS(DROP_IP6_SRC_TENTATIVE);
	w.now_ms += 1;
	GUEST_SENDS(PASS);
	struct address others[] = { UNSPECIFIED6,
				    VICTIM_LL,
				    VICTIM_LEASED,
				    GLOBAL_IP6,
				    ROUTER_LL,
				    NODES_GROUP,
				    ADDRESS6(0, 1),
				    address_of_ipv4(GUEST_IP),
				    ADDRESS6(0xfd65000000000000ULL, GUEST_ID),
				    ADDRESS6(0xfe80000100000000ULL, GUEST_ID),
				    ADDRESS6(LOCAL_PREFIX, 0) };
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		put_data(others[i], ADDRESS6(0x2a00000000000000ULL, 1));
		GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	}
	for (uint32_t bit = 0; bit < 128; bit++) {
		put_data(GUEST_SLAAC, GLOBAL_IP6);
		w.frame[22 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
	}
}

/* H11 */
static void macs_of_destinations(void **state)
{
	(void)state;
	bound6();
	put_udp6(&w, GUEST_LL, MDNS_GROUP, 5353, 5353, 4);
	GUEST_SENDS(PASS);
	static const uint64_t wrong[] = { 0x3333000000fcULL, 0x01005e0000fbULL, MAC_BROADCAST, GATEWAY_MAC };
	for (size_t i = 0; i < 4; i++) {
		put_ethernet(&w, wrong[i], GUEST_MAC, 0x86dd);
		put_ipv6(&w, GUEST_LL, MDNS_GROUP, 17, 64, 8);
		put_udp(&w, 5353, 5353, 0);
		GUEST_SENDS(DROP_L2L3_MISMATCH);
	}
	put_ethernet(&w, 0x333300001111ULL, GUEST_MAC, 0x86dd);
	put_ipv6(&w, GUEST_PRIVACY, GLOBAL_IP6, 17, 64, 8);
	put_udp(&w, 4000, 4000, 0);
	GUEST_SENDS(DROP_L2L3_MISMATCH);
}

static void put_data_to(struct address to, uint16_t port, uint64_t mac)
{
	put_ethernet(&w, mac, GUEST_MAC, 0x86dd);
	put_ipv6(&w, GUEST_PRIVACY, to, 17, 64, 8);
	put_udp(&w, 4000, port, 0);
}

/* H13 */
static void next_hops(void **state)
{
	(void)state;
	struct address resolver = ADDRESS6(LOCAL_PREFIX, 0x53), far = ADDRESS6(0xfd65000000000000ULL, 1);
	struct rule rules[] = { { VICTIM_LEASED, 128, .class = CLASS_ALLOWED, .directions = OUTWARD },
				{ far, 128, .class = CLASS_ALLOWED, .directions = OUTWARD },
				{ VICTIM_LL, 128, .class = CLASS_ALLOWED, .directions = OUTWARD } };
	bound6();
	assert_true(compile_policy(&w.config.policy, rules, 3));
	put_ra(&w, &(struct ra_spec){ .router_s = 1800, .resolver = resolver, .resolver_s = 600 });
	GUEST_GETS(PASS);
	put_data_to(GLOBAL_IP6, 4000, VICTIM_MAC);
	GUEST_SENDS(DROP_L2_NEXT_HOP);
	put_data_to(VICTIM_LEASED, 4000, VICTIM_MAC);
	GUEST_SENDS(PASS); /* a rule opened it, and the router said that it is on the link */
	put_data_to(VICTIM_LL, 4000, VICTIM_MAC);
	GUEST_SENDS(PASS); /* RFC 4861 5.1: that prefix always is */
	put_data_to(far, 4000, VICTIM_MAC);
	GUEST_SENDS(DROP_L2_NEXT_HOP);
	put_data_to(far, 4000, GATEWAY_MAC);
	GUEST_SENDS(PASS);
	put_data_to(resolver, 53, VICTIM_MAC);
	GUEST_SENDS(PASS);
	w.config.isolation = 0;
	put_data_to(GLOBAL_IP6, 4000, VICTIM_MAC);
	GUEST_SENDS(PASS);
	start_world6(&w, false); /* a prefix without the L flag; the router's MAC is learned */
	put_ra(&w, &(struct ra_spec){
		       .router_s = 1800, .prefix = { LOCAL_PREFIX, 0 }, .flags = PREFIX_AUTONOMOUS, .valid_s = 7200 });
	GUEST_GETS(PASS);
	claim_address(&w, GUEST_PRIVACY);
	assert_true(compile_policy(&w.config.policy, rules, 2));
	put_data_to(VICTIM_LEASED, 4000, VICTIM_MAC);
	GUEST_SENDS(DROP_L2_NEXT_HOP);
	put_data_to(VICTIM_LEASED, 4000, GATEWAY_MAC);
	GUEST_SENDS(PASS);
}

/* H14 to H16 */
static void scopes_of_sources(void **state)
{
	(void)state;
	struct address host = ADDRESS6(LOCAL_PREFIX, 1);
	bound6();
	set_add(&w.config.host6, host);
	put_data(GUEST_LL, GLOBAL_IP6);
	GUEST_SENDS(DROP_IP6_SRC_SCOPE);
	put_data(GUEST_LL, host);
	GUEST_SENDS(PASS);
	put_data(GUEST_LL, ROUTER_LL);
	GUEST_SENDS(PASS);
	struct address group = ADDRESS6(0xff0e000000000000ULL, 0x181);
	struct rule opened = { group, 128, .class = CLASS_ALLOWED, .directions = OUTWARD };
	put_data(GUEST_PRIVACY, group);
	GUEST_SENDS(DROP_DST_MULTICAST);
	assert_true(compile_policy(&w.config.policy, &opened, 1));
	put_data(GUEST_LL, group);
	GUEST_SENDS(DROP_IP6_SRC_SCOPE);
	put_data(GUEST_PRIVACY, ROUTER_LL);
	GUEST_SENDS(PASS);
	for (int i = 0; i < 151; i++) {
		put_udp6(&w, GUEST_LL, MDNS_GROUP, 5353, 5353, 4);
		from_guest(&w);
	}
	GUEST_SENDS(DROP_RATE_MULTICAST);
	put_data(GUEST_PRIVACY, group);
	GUEST_SENDS(PASS); /* a rule opened it, and it goes beyond the link: another bucket */
}

/* X4 to X8 */
static void data_to_guest(void **state)
{
	(void)state;
	bound6();
	struct {
		struct address from;
		uint64_t mac;
		enum verdict wanted;
	} rows[] = {
		{ GLOBAL_IP6, GATEWAY_MAC, PASS },
		{ VICTIM_LEASED, VICTIM_MAC, PASS },
		{ VICTIM_LL, VICTIM_MAC, PASS },
		{ ROUTER_LL, GATEWAY_MAC, PASS },
		{ ROUTER_LL, VICTIM_MAC, DROP_IP6_GATEWAY_SPOOF },
		{ NODES_GROUP, GATEWAY_MAC, DROP_IP6_SRC_INVALID },
		{ ADDRESS6(0, 1), GATEWAY_MAC, DROP_IP6_SRC_INVALID },
		{ UNSPECIFIED6, GATEWAY_MAC, DROP_IP6_SRC_INVALID },
		{ address_of_ipv4(GLOBAL_IP), GATEWAY_MAC, DROP_IP6_SRC_INVALID },
		{ ADDRESS6(0xff0e000000000000ULL, 1), GATEWAY_MAC, DROP_IP6_SRC_INVALID },
		{ GUEST_PRIVACY, GATEWAY_MAC, DROP_IP6_SRC_IS_GUEST },
		{ GUEST_SLAAC, VICTIM_MAC, DROP_IP6_SRC_IS_GUEST },
		{ GUEST_LL, VICTIM_MAC, DROP_IP6_SRC_IS_GUEST },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		put_answer(rows[i].mac, rows[i].from);
		GUEST_GETS(rows[i].wanted);
	}
	put_answer(GATEWAY_MAC, GLOBAL_IP6);
	memcpy(w.frame, (uint8_t[]){ 0x33, 0x33, 0, 0, 0, 1 }, 6);
	GUEST_GETS(DROP_L2L3_MISMATCH);
	put_answer(GATEWAY_MAC, GLOBAL_IP6);
	w.frame[5] ^= 1;
	GUEST_GETS(DROP_L2_NOT_FOR_GUEST);
	put_udp6_to_guest(&w, VICTIM_MAC, VICTIM_LL, MDNS_GROUP, 5353, 5353, 4);
	GUEST_GETS(PASS);
	for (int i = 0; i < 2001; i++)
		to_guest(&w);
	GUEST_GETS(DROP_RATE_UPLINK);
	put_answer(GATEWAY_MAC, GLOBAL_IP6);
	GUEST_GETS(PASS);
}

/* A learned router's address is locked to its MAC, also when it is no next hop any more. */
static void locked_router(void **state)
{
	(void)state;
	start_world6(&w, false);
	put_answer(VICTIM_MAC, ROUTER_LL);
	GUEST_GETS(PASS);
	announce(&w, LOCAL_PREFIX);
	put_answer(VICTIM_MAC, ROUTER_LL);
	GUEST_GETS(DROP_IP6_GATEWAY_SPOOF);
	put_ra(&w, &(struct ra_spec){ .router_s = 0 });
	GUEST_GETS(PASS);
	put_answer(VICTIM_MAC, ROUTER_LL);
	GUEST_GETS(DROP_IP6_GATEWAY_SPOOF);
	put_answer(GATEWAY_MAC, ROUTER_LL);
	GUEST_GETS(PASS);
}

/* Q1 to Q6 */
static void dhcp_of_guest(void **state)
{
	(void)state;
	struct {
		struct address from;
		uint16_t source, port;
		enum verdict wanted;
	} rows[] = {
		{ GUEST_LL, 546, 547, PUNT_DHCP6_CLIENT },
		{ GUEST_LL, 1234, 547, PUNT_DHCP6_CLIENT },
		{ GUEST_LL, 547, 546, DROP_DHCP6_SERVER },
		{ GUEST_LL, 547, 547, DROP_DHCP6_SERVER },
		{ GUEST_LL, 1234, 546, DROP_DHCP6_SERVER },
		{ GUEST_LL, 546, 546, DROP_DHCP6_SERVER },
		{ GUEST_LL, 547, 1234, DROP_DHCP6_SERVER },
		{ GUEST_LL, 546, 1234, DROP_DHCP6_PORT_MISUSE },
		{ GUEST_LL, 546, 53, DROP_DHCP6_PORT_MISUSE },
		{ UNSPECIFIED6, 546, 547, DROP_DHCP6_ADDRESSING },
		{ GUEST_PRIVACY, 546, 547, PUNT_DHCP6_CLIENT },
		{ VICTIM_LL, 546, 547, DROP_DHCP6_ADDRESSING },
		{ ADDRESS6(LINK_LOCAL_PREFIX, 77), 546, 547, PUNT_DHCP6_CLIENT }, /* tentative */
	};
	bound6();
	assert_int_equal(solicit_dad(&w, ADDRESS6(LINK_LOCAL_PREFIX, 77)), PASS);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		put_udp6(&w, rows[i].from, DHCP6_SERVERS, rows[i].source, rows[i].port, 40);
		JUDGED_FROM_GUEST(rows[i].wanted);
	}
	put_udp6(&w, GUEST_PRIVACY, GLOBAL_IP6, 547, 4000, 40); /* towards every destination */
	GUEST_SENDS(DROP_DHCP6_SERVER);
	put_udp6(&w, GUEST_LL, DHCP6_SERVERS, 546, 547, 40);
	insert_fragment(&w, 0, false);
	GUEST_SENDS(DROP_DHCP6_MALFORMED);
	put_udp6(&w, GUEST_LL, DHCP6_SERVERS, 546, 547, 40);
	insert_fragment(&w, 0, true);
	GUEST_SENDS(DROP_DHCP6_MALFORMED);
	put_udp6(&w, GUEST_LL, DHCP6_SERVERS, 547, 546, 40); /* however it is wrapped */
	insert_options(&w, 60, 8);
	insert_options(&w, 0, 8);
	GUEST_SENDS(DROP_DHCP6_SERVER);
	w.config.dhcp_off = 1;
	put_udp6(&w, GUEST_LL, DHCP6_SERVERS, 546, 547, 40);
	GUEST_SENDS(DROP_DHCP6_DISABLED);
}

static void put_reply(uint64_t mac, struct address from, uint16_t source, uint16_t port, uint32_t id)
{
	put_udp6_to_guest(&w, mac, from, GUEST_LL, source, port, 40);
	w.frame[62] = 7;
	w.frame[63] = (uint8_t)(id >> 16);
	w.frame[64] = (uint8_t)(id >> 8);
	w.frame[65] = (uint8_t)id;
}

/* Z1 to Z6 */
static void dhcp_to_guest(void **state)
{
	(void)state;
	bound6();
	w.state.ipv6.transactions[0] = (struct transaction6){ .id = 0x123456, .deadline_ms = w.now_ms + 1000 };
	put_reply(GATEWAY_MAC, ROUTER_LL, 547, 546, 0x123456);
	JUDGED_TO_GUEST(PUNT_DHCP6_SERVER);
	put_reply(GATEWAY_MAC, ROUTER_LL, 547, 546, 0x123457);
	GUEST_GETS(DROP_DHCP6_NO_TRANSACTION);
	put_reply(VICTIM_MAC, VICTIM_LL, 547, 546, 0x123456);
	GUEST_GETS(DROP_DHCP6_ROGUE_SERVER);
	put_reply(VICTIM_MAC, ROUTER_LL, 547, 546, 0x123456);
	GUEST_GETS(DROP_DHCP6_ROGUE_SERVER);
	put_reply(GATEWAY_MAC, ADDRESS6(LOCAL_PREFIX, 1), 547, 546, 0x123456);
	GUEST_GETS(DROP_DHCP6_ROGUE_SERVER); /* no link-local address */
	put_reply(GATEWAY_MAC, ROUTER_LL, 547, 547, 0x123456);
	GUEST_GETS(DROP_DHCP6_CLIENT);
	put_reply(VICTIM_MAC, VICTIM_LL, 546, 547, 0x123456);
	GUEST_GETS(DROP_DHCP6_CLIENT);
	put_reply(GATEWAY_MAC, ROUTER_LL, 547, 546, 0x123456);
	insert_fragment(&w, 0, false);
	GUEST_GETS(DROP_DHCP6_MALFORMED);
	put_udp6_to_guest(&w, GATEWAY_MAC, ROUTER_LL, GUEST_LL, 547, 546, 3);
	GUEST_GETS(DROP_DHCP6_MALFORMED);
	put_reply(VICTIM_MAC, VICTIM_LL, 1234, 546, 0x123456);
	GUEST_GETS(DROP_DHCP6_ROGUE_SERVER);
	w.now_ms += 1000;
	put_reply(GATEWAY_MAC, ROUTER_LL, 547, 546, 0x123456);
	GUEST_GETS(DROP_DHCP6_NO_TRANSACTION);
	w.config.dhcp_off = 1;
	GUEST_GETS(DROP_DHCP6_DISABLED);
}

/* Forged replies and advertisements take no token from the real ones. */
static void forgeries_cost_nothing(void **state)
{
	(void)state;
	bound6();
	for (int i = 0; i < 1000; i++) {
		put_ra(&w, &(struct ra_spec){ .mac = VICTIM_MAC, .from = i % 2 ? VICTIM_LL : ROUTER_LL });
		GUEST_GETS(DROP_RA_UNTRUSTED);
		put_reply(VICTIM_MAC, VICTIM_LL, 547, 546, 0);
		GUEST_GETS(DROP_DHCP6_ROGUE_SERVER);
	}
	announce(&w, LOCAL_PREFIX);
}

/* Those of DHCPv6 messages are test_dhcp6.c's. */
static void every_reason_was_earned(void **state)
{
	(void)state;
	static const enum verdict of_messages[] = { DROP_DHCP6_TYPE,      DROP_DHCP6_CLIENT_ID_SPOOF,
						    DROP_DHCP6_BAD_LEASE, DROP_DHCP6_CLIENT_ID_LIMIT,
						    DROP_DHCP6_NOT_OWNER, DROP_DHCP6_IDENTITY_LIMIT };
	for (enum verdict v = (enum verdict)FIRST_DROP; v < VERDICTS; v++) {
		bool excused = !is_ipv6_reason(v) || was_seen(v);
		for (size_t i = 0; i < sizeof of_messages / sizeof of_messages[0]; i++)
			excused = excused || v == of_messages[i];
		if (!excused)
			fail_msg("no frame earned %s", verdict_name(v));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(switched_off),
		cmocka_unit_test(fixed_header),
		cmocka_unit_test(transport_headers),
		cmocka_unit_test(sources_of_guest),
		cmocka_unit_test(macs_of_destinations),
		cmocka_unit_test(next_hops),
		cmocka_unit_test(scopes_of_sources),
		cmocka_unit_test(data_to_guest),
		cmocka_unit_test(locked_router),
		cmocka_unit_test(dhcp_of_guest),
		cmocka_unit_test(dhcp_to_guest),
		cmocka_unit_test(forgeries_cost_nothing),
		cmocka_unit_test(all_header_chains),
		cmocka_unit_test(sizes_of_headers),
		cmocka_unit_test(fragments_at_every_offset),
		cmocka_unit_test(what_fragments_may_hide),
		cmocka_unit_test(solicitations_of_routers),
		cmocka_unit_test(duplicate_address_detection),
		cmocka_unit_test(solicitations_of_neighbors),
		cmocka_unit_test(advertisements_of_neighbors),
		cmocka_unit_test(options_of_neighbor_discovery),
		cmocka_unit_test(reports_of_listeners),
		cmocka_unit_test(neighbors_from_the_network),
		cmocka_unit_test(routers_from_the_network),
		cmocka_unit_test(conflicts_from_the_network),
		cmocka_unit_test(conflicts_of_leases),
		cmocka_unit_test(every_type_of_icmp6),
		cmocka_unit_test(rates_of_neighbor_discovery),
		cmocka_unit_test(too_many_claims),
		cmocka_unit_test(special_purpose_blocks),
		cmocka_unit_test(scopes_of_groups),
		cmocka_unit_test(translated_addresses),
		cmocka_unit_test(rules_and_translators),
		cmocka_unit_test(rules_of_every_length),
		cmocka_unit_test(aliases),
		cmocka_unit_test(sites),
		cmocka_unit_test(hosts_routers_and_resolvers),
		cmocka_unit_test(every_reason_was_earned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
