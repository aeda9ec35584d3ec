/* The host's own addresses on a segment whose router is another machine: who may speak to them, and as them. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/learn4/lease.h"
#include "core/judge/trust6.h"
#include "world_flow.h"

#include <cmocka.h>

#define HOST_MAC 0x525400000050ULL
#define HOST_LL  ADDRESS6(LINK_LOCAL_PREFIX, 0x50)
#define HOST_IP6 ADDRESS6(LOCAL_PREFIX, 0x50)

enum { HOST_IP = 0xc0a84032 };

static struct world w;

static void set_number(uint32_t at, uint64_t value, uint32_t octets)
{
	for (uint32_t i = octets; i > 0; i--, value >>= 8)
		w.frame[at + i - 1] = (uint8_t)value;
}

/* A guest with its addresses, a router that is named, and the host beside it. */
static void start(bool isolation)
{
	start_flow_world(&w, false, INBOUND_ANY);
	w.config.isolation = isolation;
	set_add(&w.config.resident, address_of_ipv4(HOST_IP));
	set_add(&w.config.resident, HOST_LL);
	set_add(&w.config.resident, HOST_IP6);
	w.config.resident_mac = HOST_MAC;
}

static void put(bool v6, bool inward, struct address peer, uint64_t mac)
{
	struct call c = {
		.v6 = v6, .to_guest = inward, .protocol = TCP, .flags = SYN, .guest_port = 40000, .peer_port = 443, .peer = peer
	};
	put_call(&w, &c);
	set_number(inward ? 6 : 0, mac, 6);
}

static void the_guest_calls(bool v6, struct address peer, uint64_t mac, enum verdict wanted, int line)
{
	put(v6, false, peer, mac);
	expect_verdict(&w, from_guest(&w), wanted, __FILE__, line);
}

static void the_guest_is_called(bool v6, struct address peer, uint64_t mac, enum verdict wanted, int line)
{
	put(v6, true, peer, mac);
	expect_verdict(&w, to_guest(&w), wanted, __FILE__, line);
}

static void it_is_reached_at_its_own_mac(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct address host = v6 ? HOST_IP6 : address_of_ipv4(HOST_IP);
		start(true);
		the_guest_calls(v6, host, HOST_MAC, PASS, __LINE__);
		the_guest_calls(v6, host, GATEWAY_MAC, PASS, __LINE__); /* and past the router, which is its affair */
		the_guest_calls(v6, host, VICTIM_MAC, DROP_L2_NEXT_HOP, __LINE__);
		the_guest_calls(v6, v6 ? GLOBAL_IP6 : address_of_ipv4(GLOBAL_IP), HOST_MAC, DROP_L2_NEXT_HOP, __LINE__);
		the_guest_is_called(v6, host, HOST_MAC, PASS, __LINE__);
		the_guest_is_called(v6, host, VICTIM_MAC, v6 ? DROP_IP6_GATEWAY_SPOOF : DROP_IP4_GATEWAY_SPOOF, __LINE__);
		start(false);
		the_guest_calls(v6, host, HOST_MAC, PASS, __LINE__);
		the_guest_is_called(v6, host, VICTIM_MAC, v6 ? DROP_IP6_GATEWAY_SPOOF : DROP_IP4_GATEWAY_SPOOF, __LINE__);
	}
}

/* Rules know it as @host, and not as @gateway. */
static void rules_know_it(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++)
		for (int alias = ALIAS_HOST; alias <= ALIAS_GATEWAY; alias++) {
			struct address all = v6 ? ADDRESS6(0, 0) : address_of_ipv4(0);
			struct rule rules[2] = {
				rule_for(CLASS_BLOCKED, OUTWARD, all, v6 ? 0 : 96),
				{ .alias = (uint8_t)alias, .class = CLASS_ALLOWED, .directions = OUTWARD }
			};
			start(true);
			set_rules(&w, rules, 2);
			the_guest_calls(v6, v6 ? HOST_IP6 : address_of_ipv4(HOST_IP), HOST_MAC,
					alias == ALIAS_HOST ? PASS : DROP_DST_BLOCKED, __LINE__);
		}
}

static void nobody_else_answers_for_it(void **state)
{
	(void)state;
	start(true);
	w.length = 0;
	put_ethernet(&w, GUEST_MAC, VICTIM_MAC, 0x0806);
	put_arp(&w, 2, VICTIM_MAC, HOST_IP, GUEST_IP);
	expect_verdict(&w, to_guest(&w), DROP_ARP_GATEWAY_SPOOF, __FILE__, __LINE__);
	w.length = 0;
	put_ethernet(&w, GUEST_MAC, HOST_MAC, 0x0806);
	put_arp(&w, 2, HOST_MAC, HOST_IP, GUEST_IP);
	expect_verdict(&w, to_guest(&w), PASS, __FILE__, __LINE__);
}

/* A server that gives the host's address away, or a guest that claims it. */
static void it_is_never_the_guests(void **state)
{
	(void)state;
	start(true);
	assert_false(is_leasable4(&w.config, &w.state, address_of_ipv4(HOST_IP), w.now_ms));
	assert_true(is_leasable4(&w.config, &w.state, address_of_ipv4(HOST_IP + 1), w.now_ms));
	assert_true(is_reserved6(view_of(&w.guard, w.now_ms), HOST_LL));
	assert_true(is_reserved6(view_of(&w.guard, w.now_ms), HOST_IP6));
	assert_false(is_reserved6(view_of(&w.guard, w.now_ms), ADDRESS6(LINK_LOCAL_PREFIX, 0x51)));
}

/* Where nobody is named the first router is believed, but nobody as the host, but the host. */
static void it_may_be_a_router_that_is_learned(void **state)
{
	(void)state;
	start(true);
	w.config.host6.count = 0;
	w.config.gateway_macs.count = 0;
	memset(w.state.ipv6.routers, 0, sizeof w.state.ipv6.routers);
	assert_false(is_trusted_router6(view_of(&w.guard, w.now_ms), HOST_LL, VICTIM_MAC));
	assert_true(is_trusted_router6(view_of(&w.guard, w.now_ms), HOST_LL, HOST_MAC));
	assert_true(is_trusted_router6(view_of(&w.guard, w.now_ms), ADDRESS6(LINK_LOCAL_PREFIX, 0x51), VICTIM_MAC));
	w.config.host.count = w.config.servers.count = 0;
	relearn(&w.state);
	assert_false(is_trusted_server4(&w.config, &w.state, HOST_IP, VICTIM_MAC, w.now_ms));
	assert_true(is_trusted_server4(&w.config, &w.state, HOST_IP, HOST_MAC, w.now_ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_reached_at_its_own_mac),       cmocka_unit_test(rules_know_it),
		cmocka_unit_test(nobody_else_answers_for_it),         cmocka_unit_test(it_is_never_the_guests),
		cmocka_unit_test(it_may_be_a_router_that_is_learned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
