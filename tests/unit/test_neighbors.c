/* What a guest may do to the machines beside it on the link, in both families: next hops under isolation. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

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
	static const struct qualifier https = { .has_protocol = 1, .protocol = TCP, .has_ports = 1, .first_port = 443,
						.last_port = 443 };
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
		struct rule rules[2] = { rule_for(CLASS_BLOCKED, OUTWARD, v6 ? ADDRESS6(0, 0) : address_of_ipv4(0), v6 ? 0 : 96),
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_for_all_open_no_neighbor),
		cmocka_unit_test(global_names_no_neighbor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
