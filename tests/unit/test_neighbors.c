/* What a guest may do to the machines beside it on the link, in both families: next hops under isolation, and groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/wire/ethernet.h"
#include "core/guard.h"
#include "core/wire/ipv4.h"
#include "world_flow.h"

#include <cmocka.h>

static struct world w;

enum { PUBLIC_IP = 0x5db8d80a, PUBLIC_NEIGHBOR = 0x5db8d80b };
#define PUBLIC_PREFIX 0x2a00000000000000ULL

static void set_number(uint32_t at, uint64_t value, uint32_t octets)
{
	for (uint32_t i = octets; i > 0; i--, value >>= 8)
		w.frame[at + i - 1] = (uint8_t)value;
}

/* The guest calls a neighbor of its subnet, at the neighbor's MAC. */
static void call_neighbor(bool v6, bool global, enum verdict wanted, int line)
{
	struct call c = { .v6 = v6, .protocol = TCP, .flags = SYN, .guest_port = 40000, .peer_port = 443 };
	c.peer = v6 ? VICTIM_LEASED : address_of_ipv4(VICTIM_IP);
	if (global)
		c.peer = v6 ? ADDRESS6(PUBLIC_PREFIX, 0xb) : address_of_ipv4(PUBLIC_NEIGHBOR);
	put_call(&w, &c);
	set_number(0, VICTIM_MAC, 6);
	if (global && !v6)
		set_number(26, PUBLIC_IP, 4);
	expect_verdict(&w, from_guest(&w), wanted, __FILE__, line);
}

/* The guest has a private subnet and a public one. */
static void start(bool stateful)
{
	start_flow_world(&w, stateful, INBOUND_ANY);
	assert_true(add_static_binding(&w.state, address_of_ipv4(PUBLIC_IP), 24, w.now_ms));
	assert_true(add_static_binding(&w.state, ADDRESS6(PUBLIC_PREFIX, 0xa), 64, w.now_ms));
}

/* A rule for the whole world, whatever it is called, names no neighbor; one that is any longer does. */
static void rules_for_all_open_no_neighbor(void **state)
{
	static const struct qualifier https = {
		.has_protocol = 1, .protocol = TCP, .has_ports = 1, .first_port = 443, .last_port = 443
	};
	(void)state;
	for (int stateful = 0; stateful < 2; stateful++)
		for (int v6 = 0; v6 < 2; v6++)
			for (int qualified = 0; qualified < 2; qualified++) {
				uint8_t shortest = v6 ? 0 : 96;
				struct address all = v6 ? ADDRESS6(0, 0) : address_of_ipv4(0);
				struct rule rule = rule_for(CLASS_ALLOWED, OUTWARD, all, shortest);
				start(stateful);
				if (qualified)
					rule.only = https;
				set_rules(&w, &rule, 1);
				call_neighbor(v6, false, DROP_L2_NEXT_HOP, __LINE__);
				rule.address = v6 ? ADDRESS6(LOCAL_PREFIX, 0) : address_of_ipv4(0xc0a84000);
				rule.prefix_length = v6 ? 64 : 120;
				set_rules(&w, &rule, 1);
				call_neighbor(v6, false, PASS, __LINE__);
				rule.prefix_length = shortest + 1;
				set_rules(&w, &rule, 1);
				call_neighbor(v6, false, PASS, __LINE__);
				w.config.isolation = 0;
				rule.prefix_length = shortest;
				set_rules(&w, &rule, 1);
				call_neighbor(v6, false, PASS, __LINE__);
			}
}

static void global_names_no_neighbor(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct rule rules[2] = { rule_for(CLASS_BLOCKED, OUTWARD, v6 ? ADDRESS6(0, 0) : address_of_ipv4(0),
						  v6 ? 0 : 96),
					 { .alias = ALIAS_GLOBAL, .class = CLASS_ALLOWED, .directions = OUTWARD } };
		start(false);
		set_rules(&w, rules, 2);
		/* In IPv6 the guest's own subnet is its site, and no part of what is global. */
		call_neighbor(v6, true, v6 ? DROP_DST_BLOCKED : DROP_L2_NEXT_HOP, __LINE__);
		rules[1] = rule_for(CLASS_ALLOWED, OUTWARD,
				    v6 ? ADDRESS6(PUBLIC_PREFIX, 0xb) : address_of_ipv4(PUBLIC_NEIGHBOR), 128);
		set_rules(&w, rules, 2);
		call_neighbor(v6, true, PASS, __LINE__);
	}
}

/* Protocol and ports are what the guest says to the group, whose MAC fits. */
struct group_call {
	struct address group;
	uint8_t protocol;
	uint16_t guest_port, port;
};

static enum rate_class bucket_of(const struct group_call *g)
{
	struct call c = { .v6 = !is_ipv4(g->group),
			  .protocol = g->protocol,
			  .guest_port = g->guest_port,
			  .peer_port = g->port,
			  .peer = g->group };
	put_call(&w, &c);
	uint64_t mac = c.v6 ? mac_for6(g->group) : mac_of_group4(ipv4_of_address(g->group));
	if (!c.v6 && ipv4_of_address(g->group) == IPV4_BROADCAST)
		mac = MAC_BROADCAST;
	set_number(0, mac, 6);
	struct frame frame = { .bytes = w.frame, .length = w.length };
	struct decision d = judge_frame(&w.config, &w.state, FROM_GUEST, &frame, w.now_ms);
	return d.verdict == PASS ? (enum rate_class)d.bucket : RATE_CLASSES_END;
}

#define IPV4(a, b, c, d) \
	{ \
		0, MAPPED_IPV4 | (uint64_t)(a) << 24 | (b) << 16 | (c) << 8 | (d) \
	}
#define IPV6(high, low) \
	{ \
		high, low \
	}
enum { PTP_EVENT = 319, MDNS = 5353, VRRP = 112, OSPF = 89, PIM = 103 };

/* PTP, NTP, Cisco's RP announcements, SSM, SSDP, LLMNR, WS-Discovery, VRRP, OSPF, PIM, and what is nobody's. */
static const struct group_call closed_groups[] = {
	{ IPV4(224, 0, 1, 129), UDP, PTP_EVENT, PTP_EVENT },
	{ IPV4(224, 0, 1, 1), UDP, 123, 123 },
	{ IPV4(224, 0, 1, 39), UDP, 496, 496 },
	{ IPV4(232, 1, 2, 3), UDP, 5000, 5000 },
	{ IPV4(239, 255, 255, 250), UDP, 4000, 1900 },
	{ IPV4(224, 0, 0, 252), UDP, 4000, 5355 },
	{ IPV4(224, 0, 0, 18), VRRP, 0, 0 },
	{ IPV4(224, 0, 0, 5), OSPF, 0, 0 },
	{ IPV4(224, 0, 0, 13), PIM, 0, 0 },
	{ IPV4(224, 1, 2, 3), UDP, MDNS, MDNS },
	{ IPV4(224, 0, 0, 251), UDP, MDNS, 53 },
	{ IPV4(255, 255, 255, 255), UDP, 9, 9 },
	{ IPV6(0xff0e000000000000ULL, 0x181), UDP, PTP_EVENT, PTP_EVENT },
	{ IPV6(0xff0e000000000000ULL, 0x101), UDP, 123, 123 },
	{ IPV6(0xff3e000000000000ULL, 0x1234), UDP, 5000, 5000 },
	{ IPV6(0xff1e000000000000ULL, 0xfb), UDP, MDNS, MDNS },
	{ IPV6(0xff02000000000000ULL, 0xc), UDP, 4000, 1900 },
	{ IPV6(0xff02000000000000ULL, 0x10003), UDP, 4000, 5355 },
	{ IPV6(0xff02000000000000ULL, 0x12), VRRP, 0, 0 },
	{ IPV6(0xff05000000000000ULL, 0xfb), UDP, MDNS, MDNS },
};
enum { CLOSED_GROUPS = sizeof closed_groups / sizeof *closed_groups };

static bool is_heard_by_the_whole_link(struct address group)
{
	if (is_ipv4(group))
		return ipv4_of_address(group) >> 8 == 0xe00000 || ipv4_of_address(group) == IPV4_BROADCAST;
	return (group.high >> 48 & 15) <= 2;
}

/* Closed without a rule, and by rules that speak of what is global; opened by one that names it, and by `any`; never free. */
static void groups_want_a_rule(void **state)
{
	static const struct group_call mdns[] = { { IPV4(224, 0, 0, 251), UDP, MDNS, MDNS },
						  { IPV6(0xff02000000000000ULL, 0xfb), UDP, MDNS, MDNS } };
	(void)state;
	for (int stateful = 0; stateful < 2; stateful++)
		for (int i = 0; i < CLOSED_GROUPS; i++) {
			const struct group_call *g = &closed_groups[i];
			struct rule global = { .alias = ALIAS_GLOBAL, .class = CLASS_ALLOWED, .directions = OUTWARD };
			struct rule rule = rule_for(CLASS_ALLOWED, OUTWARD, g->group, 128);
			enum rate_class paid = is_heard_by_the_whole_link(g->group) ? RATE_OF_MULTICAST : RATE_OF_STREAM;
			start_flow_world(&w, stateful, INBOUND_ANY);
			assert_int_equal(bucket_of(g), RATE_CLASSES_END);
			set_rules(&w, &global, 1);
			assert_int_equal(bucket_of(g), RATE_CLASSES_END);
			rule.only = (struct qualifier){ .has_protocol = 1,
							.protocol = g->protocol,
							.has_ports = g->protocol == UDP,
							.first_port = g->port,
							.last_port = g->port };
			set_rules(&w, &rule, 1);
			assert_int_equal(bucket_of(g), paid);
			rule.only.protocol = TCP;
			set_rules(&w, &rule, 1);
			assert_int_equal(bucket_of(g), RATE_CLASSES_END);
			rule.only = (struct qualifier){ .has_protocol = 0 };
			rule.prefix_length = is_ipv4(g->group) ? 96 : 0;
			set_rules(&w, &rule, 1);
			assert_int_equal(bucket_of(g), paid);
			for (int m = 0; m < 2; m++)
				assert_int_equal(bucket_of(&mdns[m]), RATE_OF_MULTICAST);
		}
}

/* Whatever a guest sends to more than one machine costs something, so there is an end to it. */
static void a_flood_of_groups_ends(void **state)
{
	static const struct group_call ptp = { IPV4(224, 0, 1, 129), UDP, PTP_EVENT, PTP_EVENT };
	(void)state;
	struct rule rule = rule_for(CLASS_ALLOWED, OUTWARD, ptp.group, 128);
	start_flow_world(&w, false, INBOUND_ANY);
	set_rules(&w, &rule, 1);
	uint32_t passed = 0;
	assert_int_equal(bucket_of(&ptp), RATE_OF_STREAM);
	for (int i = 0; i < 20000; i++)
		passed += from_guest(&w) == PASS;
	assert_int_equal(passed, w.config.rates[RATE_OF_STREAM].burst);
	expect_verdict(&w, from_guest(&w), DROP_RATE_MULTICAST, __FILE__, __LINE__);
}

/* As QEMU announces a machine that has moved, RFC 903: 60 octets. */
static void put_rarp(uint64_t to, uint16_t operation, uint64_t sender, uint64_t target)
{
	put_ethernet(&w, to, GUEST_MAC, 0x8035);
	put_number(&w, 0x000108000604, 6);
	put_number(&w, operation, 2);
	put_number(&w, sender, 6);
	put_number(&w, 0, 4);
	put_number(&w, target, 6);
	put_number(&w, 0, 4);
	put_zeros(&w, 18);
}

static void a_guest_that_moved_is_announced(void **state)
{
	(void)state;
	start_world(&w, true); /* before it has any address */
	put_rarp(MAC_BROADCAST, 3, GUEST_MAC, GUEST_MAC);
	expect_verdict(&w, from_guest(&w), PASS, __FILE__, __LINE__);
	for (uint32_t i = 14; i < 42; i++) { /* every octet says something */
		put_rarp(MAC_BROADCAST, 3, GUEST_MAC, GUEST_MAC);
		w.frame[i] ^= 1;
		expect_verdict(&w, from_guest(&w), DROP_RARP_FORM, __FILE__, __LINE__);
	}
	for (uint16_t operation = 0; operation < 6; operation++) {
		put_rarp(MAC_BROADCAST, operation, GUEST_MAC, GUEST_MAC);
		expect_verdict(&w, from_guest(&w), operation == 3 ? PASS : DROP_RARP_FORM, __FILE__, __LINE__);
	}
	put_rarp(VICTIM_MAC, 3, GUEST_MAC, GUEST_MAC);
	expect_verdict(&w, from_guest(&w), DROP_RARP_FORM, __FILE__, __LINE__);
	for (uint32_t length = 14; length < 42; length++) {
		put_rarp(MAC_BROADCAST, 3, GUEST_MAC, GUEST_MAC);
		w.length = length;
		expect_verdict(&w, from_guest(&w), DROP_RARP_FORM, __FILE__, __LINE__);
	}
	put_rarp(MAC_BROADCAST, 3, GUEST_MAC, GUEST_MAC);
	set_number(6, VICTIM_MAC, 6);
	expect_verdict(&w, from_guest(&w), DROP_ETH_SRC_SPOOF, __FILE__, __LINE__);
	expect_verdict(&w, to_guest(&w), DROP_ETHERTYPE_UNKNOWN, __FILE__, __LINE__); /* no answer, nor others' */
	uint32_t passed = 0;
	put_rarp(MAC_BROADCAST, 3, GUEST_MAC, GUEST_MAC);
	for (int i = 0; i < 1000; i++)
		passed += from_guest(&w) == PASS;
	assert_true(passed > 5 && passed <= 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_for_all_open_no_neighbor),
		cmocka_unit_test(global_names_no_neighbor),
		cmocka_unit_test(groups_want_a_rule),
		cmocka_unit_test(a_flood_of_groups_ends),
		cmocka_unit_test(a_guest_that_moved_is_announced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
