/* Addresses that the guest shares with other machines (--shared-ip), in both families: keepalived, kube-vip and the like. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "world_flow.h"

#include <cmocka.h>

static struct world w;

enum { SHARED_IP = 0xc0a84064 };
#define SHARED_IP6 ADDRESS6(LOCAL_PREFIX, 0x64)

static struct address shared_of(bool v6)
{
	return v6 ? SHARED_IP6 : address_of_ipv4(SHARED_IP);
}

enum whose { SOLE, SHARED, HEARD }; /* --vm-ip; --shared-ip; --vm-ip and --arp-conflicts pass, which is of IPv4 */

static void start(enum whose whose, bool stateful)
{
	start_flow_world(&w, stateful, INBOUND_ESTABLISHED);
	for (int v6 = 0; v6 < 2; v6++) {
		assert_true(add_static_binding(&w.state, shared_of(v6), v6 ? 64 : 24, w.now_ms));
		if (whose == SHARED)
			set_add(&w.config.shared, shared_of(v6));
	}
	w.config.arp_conflicts_pass = whose == HEARD;
	w.now_ms += 20000; /* long enough that no conflict is heard any more */
}

#define SENDS(wanted) expect_verdict(&w, from_guest(&w), wanted, __FILE__, line)
#define GETS(wanted)  expect_verdict(&w, to_guest(&w), wanted, __FILE__, line)

static void put_number_at(uint32_t at, uint64_t value, uint32_t octets)
{
	for (uint32_t i = octets; i > 0; i--, value >>= 8)
		w.frame[at + i - 1] = (uint8_t)value;
}

/* The holder says so: gratuitous ARP of both kinds, unsolicited advertisements that override. */
static void announcements(bool v6, uint64_t mac, bool outward, enum verdict wanted, int line)
{
	if (v6) {
		struct nd_spec spec = { .type = NA,
					.from = SHARED_IP6,
					.to = NODES_GROUP,
					.target = SHARED_IP6,
					.flags = NA_OVERRIDE,
					.target_lla = mac,
					.mac_from = mac };
		if (outward)
			put_nd(&w, &spec);
		else
			put_nd_to_guest(&w, &spec);
		expect_verdict(&w, outward ? from_guest(&w) : to_guest(&w), wanted, __FILE__, line);
		return;
	}
	for (uint16_t operation = 1; operation <= 2; operation++) {
		put_ethernet(&w, MAC_BROADCAST, mac, 0x0806);
		put_arp(&w, operation, mac, SHARED_IP, SHARED_IP);
		expect_verdict(&w, outward ? from_guest(&w) : to_guest(&w), wanted, __FILE__, line);
	}
}

/* From the shared address to the guest's own, or the other way; by a neighbor's MAC. */
static void put_between(bool v6, bool to_guest_)
{
	struct call c = { .v6 = v6,
			  .to_guest = to_guest_,
			  .protocol = TCP,
			  .flags = to_guest_ ? SYN | ACK : SYN,
			  .guest_port = 40000,
			  .peer_port = 6443,
			  .peer = shared_of(v6) };
	put_call(&w, &c);
	put_number_at(to_guest_ ? 6 : 0, VICTIM_MAC, 6);
}

static void put_from_shared(bool v6)
{
	struct call c = { .v6 = v6, .protocol = UDP, .guest_port = 4000, .peer_port = 53 };
	put_call(&w, &c);
	put_number_at(v6 ? 22 : 26, v6 ? SHARED_IP6.high : SHARED_IP, v6 ? 8 : 4);
	if (v6)
		put_number_at(30, SHARED_IP6.low, 8);
}

static void others_may_hold_it_too(bool v6, enum whose whose, bool stateful, int line)
{
	struct rule open = rule_for(CLASS_ALLOWED, OUTWARD, shared_of(v6), 128);
	bool shared = whose == SHARED || (whose == HEARD && !v6);
	start(whose, stateful);
	announcements(v6, VICTIM_MAC, false, shared ? PASS : v6 ? DROP_ND_CLAIMS_GUEST : DROP_ARP_CLAIMS_GUEST, line);
	put_between(v6, false); /* the guest calls its holder: a neighbor like any other, so that takes a rule */
	SENDS(shared ? DROP_DST_PRIVATE : DROP_DST_INVALID);
	set_rules(&w, &open, 1);
	put_between(v6, false);
	SENDS(shared ? PASS : DROP_DST_INVALID);
	put_between(v6, true);
	GETS(shared ? PASS : v6 ? DROP_IP6_SRC_IS_GUEST : DROP_IP4_SRC_IS_GUEST);
	announcements(v6, GUEST_MAC, true, PASS, line); /* and takes it over */
	put_from_shared(v6);
	SENDS(PASS);
}

static void a_shared_address_is_the_guests_and_others(void **state)
{
	(void)state;
	for (int way = 0; way < 12; way++)
		others_may_hold_it_too(way & 1, (enum whose)(way / 4), way & 2, __LINE__);
}

/* Who has no such option can neither announce it nor send from it. */
static void it_is_nobody_elses(void **state)
{
	(void)state;
	int line = __LINE__;
	for (int v6 = 0; v6 < 2; v6++) {
		start_flow_world(&w, false, INBOUND_ESTABLISHED);
		announcements(v6, GUEST_MAC, true, v6 ? DROP_IP6_SRC_UNBOUND : DROP_ARP_SPA_SPOOF, line);
		start_flow_world(&w, false, INBOUND_ESTABLISHED);
		put_from_shared(v6);
		SENDS(v6 ? DROP_IP6_SRC_UNBOUND : DROP_IP4_SRC_SPOOF);
	}
}

/* While the guest has no lease, the address it shares does not make any machine its router. */
static void no_router_by_it(void **state)
{
	(void)state;
	int line = __LINE__;
	for (int listed = 0; listed < 3; listed++) {
		start_world(&w, false);
		assert_true(add_static_binding(&w.state, address_of_ipv4(SHARED_IP), 24, w.now_ms));
		set_add(&w.config.shared, address_of_ipv4(SHARED_IP));
		if (listed == 1)
			assert_true(add_static_binding(&w.state, address_of_ipv4(GUEST_IP), 24, w.now_ms));
		w.config.dhcp_off = listed == 2;
		put_from_shared(false);
		put_number_at(0, VICTIM_MAC, 6);
		SENDS(listed ? PASS : DROP_L2_NEXT_HOP);
		put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
		put_arp(&w, 1, GUEST_MAC, SHARED_IP, VICTIM_IP);
		SENDS(listed ? PASS : DROP_ARP_TARGET_DENIED);
	}
}

/* A load balancer answers for it with another MAC than the frame's, as for any neighbor's. */
static void another_mac_speaks_for_it(void **state)
{
	(void)state;
	int line = __LINE__;
	for (int shared = 0; shared < 2; shared++) {
		start(shared ? SHARED : SOLE, false);
		put_ethernet(&w, GUEST_MAC, VICTIM_MAC, 0x0806);
		put_arp(&w, 2, 0x00005e000133, SHARED_IP, GUEST_IP);
		GETS(shared ? PASS : DROP_ARP_SHA_SPOOF);
		put_ethernet(&w, GUEST_MAC, VICTIM_MAC, 0x0806);
		put_arp(&w, 2, GUEST_MAC, SHARED_IP, GUEST_IP); /* but not with the guest's */
		GETS(DROP_ARP_SHA_SPOOF);
	}
}

/* Sharing gives nothing but that address, and only what the policy does not refuse. */
static void nothing_else_is_shared(void **state)
{
	(void)state;
	int line = __LINE__;
	for (int v6 = 0; v6 < 2; v6++) {
		struct rule block = rule_for(CLASS_BLOCKED, OUTWARD, shared_of(v6), 128);
		start(SHARED, false);
		set_rules(&w, &block, 1);
		put_between(v6, false);
		SENDS(DROP_DST_BLOCKED);
		struct call own = { .v6 = v6, .protocol = TCP, .flags = SYN, .peer = guest_of(v6) }; /* its other address */
		start(SHARED, false);
		put_call(&w, &own);
		put_number_at(0, VICTIM_MAC, 6);
		SENDS(DROP_DST_INVALID);
		own.to_guest = true;
		put_call(&w, &own);
		GETS(v6 ? DROP_IP6_SRC_IS_GUEST : DROP_IP4_SRC_IS_GUEST);
		struct call neighbor = {
			.v6 = v6, .protocol = TCP, .flags = SYN, .peer = v6 ? VICTIM_LEASED : address_of_ipv4(VICTIM_IP)
		};
		put_call(&w, &neighbor);
		put_number_at(0, VICTIM_MAC, 6);
		SENDS(DROP_DST_PRIVATE);
		put_between(v6, true); /* its holder uses its own MAC, and nobody the guest's */
		put_number_at(6, GUEST_MAC, 6);
		GETS(DROP_ETH_SRC_IS_GUEST);
	}
}

/* Two that come up at once do DAD for it, and neither takes it from the other by that. */
static void dad_takes_nothing(void **state)
{
	(void)state;
	int line = __LINE__;
	start(SHARED, false);
	assert_int_equal(solicit_dad(&w, SHARED_IP6), PASS);
	put_nd_to_guest(&w, &(struct nd_spec){ .type = NS, .mac_from = VICTIM_MAC, .target = SHARED_IP6 });
	GETS(PASS);
	announcements(true, VICTIM_MAC, false, PASS, line);
	announcements(true, GUEST_MAC, true, PASS, line);
	put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
	put_arp(&w, 1, GUEST_MAC, 0, SHARED_IP);
	SENDS(PASS);
}

/* Unlike with --vm-ip the guest's other addresses are leased as ever, and come back after a restart of the guard. */
static void leases_stand_beside_it(void **state)
{
	(void)state;
	start_world(&w, true);
	set_add(&w.config.shared, address_of_ipv4(SHARED_IP));
	assert_true(add_static_binding(&w.state, address_of_ipv4(SHARED_IP), 24, w.now_ms));
	lease(&w, GUEST_IP, 600);
	start_world(&w, true);
	set_add(&w.config.shared, address_of_ipv4(SHARED_IP));
	assert_true(add_static_binding(&w.state, address_of_ipv4(SHARED_IP), 24, w.now_ms));
	put_client_message(&w, &(struct dhcp_spec){ .type = 3, .ciaddr = GUEST_IP, .ip_from = GUEST_IP });
	expect_verdict(&w, from_guest(&w), PASS, __FILE__, __LINE__);
}

/* No server answers a renewal of what it has not leased, so another one cannot take its place by that. */
static void its_renewals_silence_no_server(void **state)
{
	(void)state;
	start_world(&w, false);
	set_add(&w.config.shared, address_of_ipv4(SHARED_IP));
	assert_true(add_static_binding(&w.state, address_of_ipv4(SHARED_IP), 24, w.now_ms));
	lease(&w, GUEST_IP, 3600);
	for (uint32_t i = 0; i < 6; i++) {
		uint32_t address = i < 4 ? SHARED_IP : GUEST_IP;
		w.now_ms += 5000;
		put_client_message(
		    &w, &(struct dhcp_spec){ .type = 3, .xid = 0x100 + i, .ciaddr = address, .ip_from = address });
		expect_verdict(&w, from_guest(&w), PASS, __FILE__, __LINE__);
		assert_int_equal(w.state.learned.asked.count, i < 4 ? 0 : i - 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shared_address_is_the_guests_and_others),
		cmocka_unit_test(it_is_nobody_elses),
		cmocka_unit_test(nothing_else_is_shared),
		cmocka_unit_test(no_router_by_it),
		cmocka_unit_test(another_mac_speaks_for_it),
		cmocka_unit_test(dad_takes_nothing),
		cmocka_unit_test(leases_stand_beside_it),
		cmocka_unit_test(its_renewals_silence_no_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
