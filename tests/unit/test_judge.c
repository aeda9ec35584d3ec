/* One frame for every reason, from the table of reasons to its last line, and the frames beside them that must pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "test_judge.h"

#include <cmocka.h>

struct world w;

static void bound(void)
{
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	w.now_ms += 20000;
}

static void put_data(uint32_t from, uint32_t to, uint64_t mac)
{
	put_ethernet(&w, mac, GUEST_MAC, 0x0800);
	put_ipv4(&w, from, to, 17, 0, 12);
	put_udp(&w, 40000, 40000, 4);
	put_zeros(&w, 4);
}

static void put_answer(uint64_t mac, uint32_t from)
{
	put_ethernet(&w, GUEST_MAC, mac, 0x0800);
	put_ipv4(&w, from, GUEST_IP, 17, 0, 12);
	put_udp(&w, 40000, 40000, 4);
	put_zeros(&w, 4);
}

static void ethernet(void **state)
{
	(void)state;
	bound();
	for (uint32_t n = 0; n < 14; n++) {
		put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, 0x0800);
		w.length = n;
		GUEST_SENDS(DROP_FRAME_RUNT);
		GUEST_GETS(DROP_FRAME_RUNT);
	}
	put_data(GUEST_IP, GLOBAL_IP, GATEWAY_MAC);
	GUEST_SENDS(PASS);
	put_zeros(&w, 1514 - w.length); /* padding changes nothing up to the MTU ... */
	GUEST_SENDS(PASS);
	put_zeros(&w, 1); /* ... and no further */
	GUEST_SENDS(DROP_FRAME_OVERSIZE);
	GUEST_GETS(DROP_FRAME_OVERSIZE);
	for (int bit = 0; bit < 48; bit++) {
		put_data(GUEST_IP, GLOBAL_IP, GATEWAY_MAC);
		w.frame[6 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		GUEST_SENDS(DROP_ETH_SRC_SPOOF);
	}
	put_data(GUEST_IP, GLOBAL_IP, MAC_NONE);
	GUEST_SENDS(DROP_ETH_DST_INVALID);
	put_data(GUEST_IP, GLOBAL_IP, GUEST_MAC);
	GUEST_SENDS(DROP_ETH_DST_INVALID);
	put_ethernet(&w, 0x0180c200000eULL, GUEST_MAC, 0x0800);
	GUEST_SENDS(DROP_ETH_DST_RESERVED);
	put_ethernet(&w, 0x0180c2000000ULL, GATEWAY_MAC, 0x0027);
	GUEST_GETS(DROP_ETH_DST_RESERVED);
	put_answer(0x01005e000001ULL, GLOBAL_IP);
	GUEST_GETS(DROP_ETH_SRC_INVALID);
	put_answer(MAC_NONE, GLOBAL_IP);
	GUEST_GETS(DROP_ETH_SRC_INVALID);
	put_answer(GUEST_MAC, GLOBAL_IP);
	GUEST_GETS(DROP_ETH_SRC_IS_GUEST);
	put_ethernet(&w, VICTIM_MAC, GATEWAY_MAC, 0x0800);
	GUEST_GETS(DROP_L2_NOT_FOR_GUEST);
}

static void every_ethertype(void **state)
{
	(void)state;
	bound();
	for (uint32_t type = 0; type <= 0xffff; type++) {
		if (type == 0x0800 || type == 0x0806)
			continue;
		enum verdict wanted = DROP_ETHERTYPE_UNKNOWN;
		if (type == 0x86dd)
			wanted = DROP_IP6_DISABLED;
		if (type == 0x8100 || type == 0x88a8 || type == 0x9100 || type == 0x9200 || type == 0x9300)
			wanted = DROP_ETHERTYPE_VLAN;
		put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, (uint16_t)type);
		put_zeros(&w, 46);
		GUEST_SENDS(type == 0x8035 ? DROP_RARP_FORM : wanted);
		put_ethernet(&w, GUEST_MAC, GATEWAY_MAC, (uint16_t)type);
		put_zeros(&w, 46);
		GUEST_GETS(wanted);
	}
}

static void put_guest_arp(uint16_t op, uint64_t sha, uint32_t spa, uint32_t tpa)
{
	put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
	put_arp(&w, op, sha, spa, tpa);
}

static void arp_of_guest(void **state)
{
	(void)state;
	start_world(&w, true);
	put_guest_arp(1, GUEST_MAC, GUEST_IP, GATEWAY_IP);
	GUEST_SENDS(DROP_ARP_NO_LEASE);
	put_guest_arp(1, GUEST_MAC, 0, VICTIM_IP);
	GUEST_SENDS(DROP_ARP_PROBE_TARGET);
	bound();
	put_guest_arp(1, GUEST_MAC, GUEST_IP, GATEWAY_IP);
	GUEST_SENDS(PASS);
	put_guest_arp(1, GUEST_MAC, 0, GUEST_IP);
	GUEST_SENDS(PASS);
	put_guest_arp(2, GUEST_MAC, 0, GUEST_IP);
	GUEST_SENDS(DROP_ARP_PROBE_TARGET);
	put_guest_arp(2, GUEST_MAC, GATEWAY_IP, VICTIM_IP);
	GUEST_SENDS(DROP_ARP_SPA_SPOOF);
	put_guest_arp(2, VICTIM_MAC, GUEST_IP, GATEWAY_IP);
	GUEST_SENDS(DROP_ARP_SHA_SPOOF);
	put_guest_arp(1, GUEST_MAC, GUEST_IP, VICTIM_IP);
	GUEST_SENDS(DROP_ARP_TARGET_DENIED);
	put_ethernet(&w, 0x01005e000001ULL, GUEST_MAC, 0x0806);
	put_arp(&w, 2, GUEST_MAC, GUEST_IP, GATEWAY_IP);
	GUEST_SENDS(DROP_L2L3_MISMATCH);
	for (uint32_t n = 0; n < 28; n++) {
		put_guest_arp(1, GUEST_MAC, GUEST_IP, GATEWAY_IP);
		w.length = 14 + n;
		GUEST_SENDS(DROP_ARP_MALFORMED);
	}
	for (uint16_t op = 0; op < 300; op++) {
		put_guest_arp(op, GUEST_MAC, GUEST_IP, GATEWAY_IP);
		if (op != 1 && op != 2)
			GUEST_SENDS(DROP_ARP_MALFORMED);
	}
	for (int i = 0; i < 100; i++) {
		put_guest_arp(1, GUEST_MAC, GUEST_IP, GATEWAY_IP);
		from_guest(&w);
	}
	GUEST_SENDS(DROP_RATE_ARP);
	w.now_ms += 1000;
	GUEST_SENDS(PASS);
}

static void put_uplink_arp(uint64_t from, uint16_t op, uint64_t sha, uint32_t spa)
{
	put_ethernet(&w, MAC_BROADCAST, from, 0x0806);
	put_arp(&w, op, sha, spa, GUEST_IP);
}

static void arp_to_guest(void **state)
{
	(void)state;
	bound();
	put_uplink_arp(VICTIM_MAC, 1, VICTIM_MAC, VICTIM_IP);
	GUEST_GETS(PASS);
	put_uplink_arp(VICTIM_MAC, 1, VICTIM_MAC, 0); /* somebody probes for the guest's address: it must defend */
	GUEST_GETS(PASS);
	put_uplink_arp(VICTIM_MAC, 2, VICTIM_MAC, GUEST_IP);
	GUEST_GETS(DROP_ARP_CLAIMS_GUEST);
	put_uplink_arp(VICTIM_MAC, 2, VICTIM_MAC, GATEWAY_IP);
	GUEST_GETS(DROP_ARP_GATEWAY_SPOOF);
	put_uplink_arp(GATEWAY_MAC, 2, GATEWAY_MAC, GATEWAY_IP);
	GUEST_GETS(PASS);
	put_uplink_arp(VICTIM_MAC, 9, VICTIM_MAC, VICTIM_IP);
	GUEST_GETS(DROP_ARP_MALFORMED);
	/* A load balancer answers with another MAC than the frame's: not for the addresses that matter, nor with any MAC. */
	put_uplink_arp(VICTIM_MAC, 2, FOREIGN_MAC, VICTIM_IP);
	GUEST_GETS(PASS);
	put_uplink_arp(VICTIM_MAC, 2, GATEWAY_MAC, GATEWAY_IP);
	GUEST_GETS(DROP_ARP_SHA_SPOOF);
	set_add(&w.config.resolvers, address_of_ipv4(OTHER_IP));
	put_uplink_arp(VICTIM_MAC, 2, FOREIGN_MAC, OTHER_IP);
	GUEST_GETS(DROP_ARP_SHA_SPOOF);
	static const uint64_t nobody[] = { MAC_NONE, MAC_BROADCAST, 0x03bfc0a8400bULL, GUEST_MAC };
	for (size_t i = 0; i < sizeof nobody / sizeof *nobody; i++) {
		put_uplink_arp(VICTIM_MAC, 2, nobody[i], VICTIM_IP);
		GUEST_GETS(DROP_ARP_SHA_SPOOF);
	}
	start_world(&w, true);
	lease(&w, GUEST_IP, 600); /* while the client may still probe, a conflict must be seen (RFC 5227) */
	put_uplink_arp(VICTIM_MAC, 2, VICTIM_MAC, GUEST_IP);
	GUEST_GETS(PASS);
	put_uplink_arp(VICTIM_MAC, 2, FOREIGN_MAC, GUEST_IP);
	GUEST_GETS(DROP_ARP_SHA_SPOOF);
}

static void ipv4_header(void **state)
{
	(void)state;
	bound();
	put_data(GUEST_IP, GLOBAL_IP, GATEWAY_MAC);
	struct {
		uint32_t at;
		uint8_t value;
		enum verdict wanted;
	} faults[] = {
		{ 14, 0x65, DROP_IP4_MALFORMED }, { 14, 0x44, DROP_IP4_MALFORMED }, { 14, 0x4f, DROP_IP4_MALFORMED },
		{ 16, 0xff, DROP_IP4_MALFORMED }, { 17, 19, DROP_IP4_MALFORMED },   { 22, 0, DROP_IP4_MALFORMED },
		{ 20, 0x80, DROP_IP4_MALFORMED }, { 14, 0x46, DROP_IP4_OPTIONS },   { 39, 7, DROP_L4_MALFORMED },
		{ 39, 13, DROP_L4_MALFORMED },    { 23, 0, DROP_IP4_MALFORMED },    { 23, 43, DROP_IP4_MALFORMED },
		{ 23, 58, DROP_IP4_MALFORMED },   { 23, 6, DROP_L4_MALFORMED },
	};
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		uint8_t was = w.frame[faults[i].at];
		w.frame[faults[i].at] = faults[i].value;
		GUEST_SENDS(faults[i].wanted);
		w.frame[faults[i].at] = was;
	}
	GUEST_SENDS(PASS);
	start_world(&w, true);
	put_data(GUEST_IP, GLOBAL_IP, GATEWAY_MAC);
	GUEST_SENDS(DROP_IP4_NO_LEASE);
}

static void put_fragment(uint8_t protocol, uint16_t flags_offset, uint32_t payload)
{
	put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, 0x0800);
	put_ipv4(&w, GUEST_IP, GLOBAL_IP, protocol, flags_offset, payload);
	put_udp(&w, 4000, 4000, 1000);
	put_zeros(&w, payload > 8 ? payload - 8 : 0);
}

static void fragments(void **state)
{
	(void)state;
	bound();
	put_fragment(17, 0x2000, 64);
	GUEST_SENDS(PASS);
	put_fragment(17, 8, 64);
	GUEST_SENDS(PASS);
	put_fragment(6, 0x2000, 16); /* the TCP flags would come later */
	GUEST_SENDS(DROP_IP4_FRAGMENT);
	put_fragment(6, 1, 64); /* rewrites them: offset 8 */
	GUEST_SENDS(DROP_IP4_FRAGMENT);
	put_fragment(6, 2, 64);
	GUEST_SENDS(DROP_IP4_FRAGMENT);
	put_fragment(17, 0x2000 | 4, 65); /* not a multiple of eight */
	GUEST_SENDS(DROP_IP4_FRAGMENT);
	put_fragment(17, 0x1fff, 64); /* ping of death */
	GUEST_SENDS(DROP_IP4_FRAGMENT);
	put_client_message(&w, &(struct dhcp_spec){ .type = 1 });
	w.frame[20] = 0x20; /* the first half of a DISCOVER, the length a multiple of eight */
	w.frame[16] = 0;
	w.frame[17] = 20 + 64;
	GUEST_SENDS(DROP_DHCP4_MALFORMED);
	put_server_message(&w, &(struct dhcp_spec){ .type = 2, .yiaddr = GUEST_IP, .server = GATEWAY_IP });
	w.frame[20] = 0x20;
	GUEST_GETS(DROP_DHCP4_MALFORMED);
}

static void sources_and_next_hops(void **state)
{
	(void)state;
	bound();
	put_data(VICTIM_IP, GLOBAL_IP, GATEWAY_MAC);
	GUEST_SENDS(DROP_IP4_SRC_SPOOF);
	put_data(0, GLOBAL_IP, GATEWAY_MAC);
	GUEST_SENDS(DROP_IP4_SRC_SPOOF);
	put_data(GUEST_IP, GLOBAL_IP, VICTIM_MAC);
	GUEST_SENDS(DROP_L2_NEXT_HOP);
	w.config.isolation = 0;
	GUEST_SENDS(PASS);
	w.config.isolation = 1;
	put_data(GUEST_IP, GLOBAL_IP, MAC_BROADCAST);
	GUEST_SENDS(DROP_L2L3_MISMATCH);
	put_data(GUEST_IP, 0xe0000109, GATEWAY_MAC);
	GUEST_SENDS(DROP_L2L3_MISMATCH);
	put_answer(GATEWAY_MAC, GLOBAL_IP);
	GUEST_GETS(PASS);
	put_answer(GATEWAY_MAC, GUEST_IP);
	GUEST_GETS(DROP_IP4_SRC_IS_GUEST);
	put_answer(GATEWAY_MAC, 0x7f000001);
	GUEST_GETS(DROP_IP4_SRC_INVALID);
	put_answer(GATEWAY_MAC, 0);
	GUEST_GETS(DROP_IP4_SRC_INVALID);
	put_answer(VICTIM_MAC, GATEWAY_IP);
	GUEST_GETS(DROP_IP4_GATEWAY_SPOOF);
	put_answer(GATEWAY_MAC, GLOBAL_IP);
	memset(w.frame, 0xff, 6);
	GUEST_GETS(DROP_L2L3_MISMATCH);
}

static void put_icmp(bool outward, uint8_t protocol, uint8_t type, uint32_t to)
{
	bool group = to >> 28 == 14;
	uint64_t mac = group ? 0x01005e000000ULL | (to & 0x7fffff) : GATEWAY_MAC;
	put_ethernet(&w, outward ? mac : GUEST_MAC, outward ? GUEST_MAC : GATEWAY_MAC, 0x0800);
	put_ipv4(&w, outward ? GUEST_IP : GLOBAL_IP, outward ? to : GUEST_IP, protocol, 0, 8);
	put_bytes(&w, &type, 1);
	put_zeros(&w, 7);
}

static void icmp_and_igmp(void **state)
{
	(void)state;
	bound();
	for (uint32_t type = 0; type < 256; type++) {
		bool is_error = type == 3 || type == 4 || type == 11 ||
				type == 12; /* without a quote: test_icmp_errors.c */
		put_icmp(true, 1, (uint8_t)type, GLOBAL_IP);
		enum verdict of_control = type == 5 || type == 9 || type == 18 ? DROP_ICMP_CONTROL : PASS;
		GUEST_SENDS(is_error ? DROP_ICMP_ERROR_QUOTE : of_control);
		put_icmp(false, 1, (uint8_t)type, GUEST_IP);
		GUEST_GETS(type == 5 || type == 9 || type == 18 ? DROP_ICMP_CONTROL : PASS);
		put_icmp(true, 2, (uint8_t)type, 0xe00000fb);
		w.frame[22] = 1;
		w.now_ms += 1000;
		bool report = type == 0x12 || type == 0x16 || type == 0x17 || type == 0x22;
		GUEST_SENDS(report ? PASS : DROP_IGMP_INVALID);
	}
	put_icmp(true, 2, 0x16, 0xe00000fb);
	GUEST_SENDS(DROP_IGMP_INVALID); /* TTL 64 */
	put_ethernet(&w, 0x01005e0000fbULL, GUEST_MAC, 0x0800);
	for (int i = 0; i < 200; i++) {
		put_icmp(true, 2, 0x16, 0xe00000fb);
		w.frame[22] = 1;
		from_guest(&w);
	}
	GUEST_SENDS(DROP_RATE_MULTICAST);
}

static void destinations(void **state)
{
	(void)state;
	bound();
	struct rule blocked[] = { { address_of_ipv4(GLOBAL_IP), 128, .class = CLASS_BLOCKED, .directions = OUTWARD } };
	struct {
		uint32_t to;
		uint64_t mac;
		enum verdict wanted;
	} rows[] = {
		{ GLOBAL_IP, GATEWAY_MAC, DROP_DST_BLOCKED },
		{ 0x01010102, GATEWAY_MAC, PASS },
		{ GATEWAY_IP, GATEWAY_MAC, PASS },
		{ VICTIM_IP, GATEWAY_MAC, DROP_DST_PRIVATE },
		{ 0xa9fea9fe, GATEWAY_MAC, DROP_DST_PRIVATE },
		{ GUEST_IP, GATEWAY_MAC, DROP_DST_INVALID },
		{ 0, GATEWAY_MAC, DROP_DST_INVALID },
		{ 0x7f000001, GATEWAY_MAC, DROP_DST_INVALID },
		{ 0xffffffff, MAC_BROADCAST, DROP_DST_BROADCAST },
		{ SUBNET_BROADCAST, MAC_BROADCAST, DROP_DST_BROADCAST },
		{ 0xe00000fb, 0x01005e0000fbULL, DROP_DST_MULTICAST },
		{ 0xeffffffa, 0x01005e7ffffaULL, DROP_DST_MULTICAST },
		{ 0xe0000109, 0x01005e000109ULL, DROP_DST_MULTICAST },
		{ 0xe0000181, 0x01005e000181ULL, DROP_DST_MULTICAST },
		{ 0xe8000001, 0x01005e000001ULL, DROP_DST_MULTICAST },
	};
	assert_true(compile_policy(&w.config.policy, blocked, 1));
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		put_data(GUEST_IP, rows[i].to, rows[i].mac);
		GUEST_SENDS(rows[i].wanted);
	}
	put_ethernet(&w, 0x01005e0000fbULL, GUEST_MAC, 0x0800); /* mDNS */
	put_ipv4(&w, GUEST_IP, 0xe00000fb, 17, 0, 8);
	put_udp(&w, 5353, 5353, 0);
	GUEST_SENDS(PASS);
}

static void storms_from_the_network(void **state)
{
	(void)state;
	bound();
	for (int i = 0; i < 2001; i++) {
		put_uplink_arp(VICTIM_MAC, 1, VICTIM_MAC, VICTIM_IP);
		to_guest(&w);
	}
	GUEST_GETS(DROP_RATE_UPLINK);
	put_answer(GATEWAY_MAC, GLOBAL_IP); /* unicast to the guest is not in it */
	GUEST_GETS(PASS);
}

/* The relay counts these itself (test_relay and test_attach_left in tests/network). Those of IPv6 are test_judge6.c's, those of names in names/. */
static void every_reason_was_earned(void **state)
{
	(void)state;
	for (int v = FIRST_DROP; v < VERDICTS; v++)
		if (!was_seen((enum verdict)v) && !is_ipv6_reason((enum verdict)v) &&
		    !is_reason_of_names((enum verdict)v) && v != DROP_UNATTENDED && v != DROP_OVERRUN &&
		    v != DROP_QUEUE_FULL && v != DROP_WRITE_ERROR)
			fail_msg("no frame earned %s", verdict_name((enum verdict)v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ethernet),
		cmocka_unit_test(every_ethertype),
		cmocka_unit_test(arp_of_guest),
		cmocka_unit_test(arp_to_guest),
		cmocka_unit_test(ipv4_header),
		cmocka_unit_test(fragments),
		cmocka_unit_test(sources_and_next_hops),
		cmocka_unit_test(icmp_and_igmp),
		cmocka_unit_test(destinations),
		cmocka_unit_test(dhcp_of_guest),
		cmocka_unit_test(dhcp_limits_of_guest),
		cmocka_unit_test(dhcp_to_guest),
		cmocka_unit_test(forged_replies_do_not_drown_the_real_one),
		cmocka_unit_test(claims_and_churn),
		cmocka_unit_test(storms_from_the_network),
		cmocka_unit_test(answers_come_in_and_calls_do_not),
		cmocka_unit_test(nobody_calls_from_odd_addresses),
		cmocka_unit_test(questions_for_named_routers),
		cmocka_unit_test(a_blocked_peer_may_only_answer),
		cmocka_unit_test(established_flows_make_no_room),
		cmocka_unit_test(callers_leave_room_for_the_guest),
		cmocka_unit_test(later_fragments_follow_their_first),
		cmocka_unit_test(errors_come_in_one_piece),
		cmocka_unit_test(every_reason_was_earned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
