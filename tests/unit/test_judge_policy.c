/* What the guard says when flows and ports decide: one frame for each reason, and the ways around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "test_judge.h"
#include "world.h"

#include <cmocka.h>

enum { SYN = 2, RST = 4, ACK = 16 };

static void put_tcp(bool outward, uint16_t guest_port, uint16_t peer_port, uint8_t flags)
{
	put_ethernet(&w, outward ? GATEWAY_MAC : GUEST_MAC, outward ? GUEST_MAC : GATEWAY_MAC, 0x0800);
	put_ipv4(&w, outward ? GUEST_IP : GLOBAL_IP, outward ? GLOBAL_IP : GUEST_IP, 6, 0, 20);
	put_number(&w, outward ? guest_port : peer_port, 2);
	put_number(&w, outward ? peer_port : guest_port, 2);
	put_zeros(&w, 8);
	put_number(&w, 0x5000u | flags, 2);
	put_zeros(&w, 6);
}

static void out(uint16_t guest_port, uint16_t peer_port, uint8_t flags, enum verdict wanted, int line)
{
	put_tcp(true, guest_port, peer_port, flags);
	expect_verdict(&w, from_guest(&w), wanted, __FILE__, line);
}

static void in(uint16_t guest_port, uint16_t peer_port, uint8_t flags, enum verdict wanted, int line)
{
	put_tcp(false, guest_port, peer_port, flags);
	expect_verdict(&w, to_guest(&w), wanted, __FILE__, line);
}

#define OUT(guest, peer, flags, wanted) out(guest, peer, flags, wanted, __LINE__)
#define IN(guest, peer, flags, wanted)  in(guest, peer, flags, wanted, __LINE__)

static void start(const struct rule *rules, uint32_t count, enum inbound inbound)
{
	struct rule copy[8];
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	if (count > 0)
		memcpy(copy, rules, count * sizeof *rules);
	assert_true(compile_policy(&w.config.policy, copy, count));
	w.config.stateful = 1;
	w.config.inbound = (uint8_t)inbound;
}

void answers_come_in_and_calls_do_not(void **state)
{
	(void)state;
	const struct rule ssh = {
		.address = address_of_ipv4(GLOBAL_IP),
		.prefix_length = 128,
		.class = CLASS_ALLOWED,
		.directions = INWARD,
		.only = { .has_protocol = 1, .protocol = 6, .has_ports = 1, .first_port = 22, .last_port = 22 }
	};
	const struct rule block = {
		.address = address_of_ipv4(GLOBAL_IP), .prefix_length = 128, .class = CLASS_BLOCKED, .directions = OUTWARD
	};
	const struct rule rules[] = { ssh, block };
	start(rules, 2, INBOUND_ESTABLISHED);
	IN(80, 5000, SYN, DROP_UNSOLICITED);
	OUT(22, 5000, SYN | ACK, DROP_DST_BLOCKED); /* nobody has called */
	IN(22, 5000, SYN, PASS);
	OUT(22, 5000, SYN | ACK, PASS);
	OUT(22, 5000, SYN, DROP_DST_BLOCKED); /* a call is no answer */
	OUT(22, 5001, ACK, DROP_DST_BLOCKED); /* nor is a packet to another port */
	OUT(23, 5000, ACK, DROP_DST_BLOCKED);
	IN(22, 5000, ACK, PASS);
	w.now_ms += 7439999;
	lease(&w, GUEST_IP, 600);
	OUT(22, 5000, ACK, PASS);
	w.now_ms += 7440000;
	lease(&w, GUEST_IP, 600);
	OUT(22, 5000, ACK, DROP_DST_BLOCKED);
}

void a_blocked_peer_may_only_answer(void **state)
{
	(void)state;
	const struct rule block = {
		.address = address_of_ipv4(GLOBAL_IP), .prefix_length = 128, .class = CLASS_BLOCKED, .directions = INWARD
	};
	start(&block, 1, INBOUND_ANY);
	IN(4000, 80, SYN, DROP_SRC_BLOCKED);
	OUT(4000, 80, SYN, PASS);
	IN(4000, 80, SYN | ACK, PASS);
	IN(4000, 81, SYN | ACK, DROP_SRC_BLOCKED);
}

void established_flows_make_no_room(void **state)
{
	(void)state;
	start(NULL, 0, INBOUND_ESTABLISHED);
	for (uint32_t i = 0; i < FLOWS_MAX; i++) {
		OUT((uint16_t)(20000 + i), 80, SYN, PASS);
		IN((uint16_t)(20000 + i), 80, SYN | ACK, PASS);
		OUT((uint16_t)(20000 + i), 80, ACK, PASS);
	}
	OUT(80, 80, SYN, DROP_FLOW_LIMIT);
	IN(20000, 80, RST, PASS);
	OUT(80, 80, SYN, PASS);
	IN(20001, 80, ACK, PASS);
}

/* A caller needs the guest's answer, but no more: a caller that fills the table must not silence the guest. */
void callers_leave_room_for_the_guest(void **state)
{
	(void)state;
	start(NULL, 0, INBOUND_ANY);
	OUT(80, 80, SYN, PASS);
	IN(80, 80, SYN | ACK, PASS);
	OUT(80, 80, ACK, PASS);
	for (uint32_t i = 0; i < 2 * FLOWS_MAX - 1; i++) {
		IN(22, (uint16_t)(1 + i), SYN, PASS);
		OUT(22, (uint16_t)(1 + i), SYN | ACK, PASS);
		IN(22, (uint16_t)(1 + i), ACK, PASS);
	}
	assert_int_equal(w.guard.flows->count[FLOW_ESTABLISHED], CALLERS_MAX + 1);
	assert_int_equal(w.guard.flows->count[FLOW_DATAGRAM], FLOWS_MAX - CALLERS_MAX - 1);
	OUT(20000, 80, SYN, PASS);
	IN(20000, 80, SYN | ACK, PASS);
	OUT(20000, 80, ACK, PASS);
	IN(22, 1, RST, PASS); /* one caller ends, and the last that came takes its place */
	IN(22, UINT16_MAX, ACK, PASS);
	assert_int_equal(w.guard.flows->count[FLOW_ESTABLISHED], CALLERS_MAX + 2);
	IN(22, UINT16_MAX, RST, PASS);
	assert_int_equal(w.guard.flows->count[FLOW_CLOSING], 2);
}

/* Of a datagram between ports that a rule tells apart. */
void later_fragments_follow_their_first(void **state)
{
	(void)state;
	const struct rule dns = {
		.address = address_of_ipv4(GLOBAL_IP),
		.prefix_length = 128,
		.class = CLASS_BLOCKED,
		.directions = OUTWARD,
		.only = { .has_protocol = 1, .protocol = 17, .has_ports = 1, .first_port = 53, .last_port = 53 }
	};
	start(&dns, 1, INBOUND_ANY);
	w.config.stateful = 0;
	for (uint16_t port = 53; port <= 54; port++) {
		put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, 0x0800);
		put_ipv4(&w, GUEST_IP, GLOBAL_IP, 17, 0x2000, 16);
		put_udp(&w, 4000, port, 8);
		put_zeros(&w, 8);
		expect_verdict(&w, from_guest(&w), port == 53 ? DROP_DST_BLOCKED : PASS, __FILE__, __LINE__);
		put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, 0x0800);
		put_ipv4(&w, GUEST_IP, GLOBAL_IP, 17, 2, 16);
		put_zeros(&w, 16);
		expect_verdict(&w, from_guest(&w), port == 53 ? DROP_PORTS_UNKNOWN : PASS, __FILE__, __LINE__);
	}
}

/* From a router on the way: it quotes a datagram that the guest has sent from port 4000 to GLOBAL_IP. */
static void put_port_unreachable(uint16_t flags_offset)
{
	put_ethernet(&w, GUEST_MAC, GATEWAY_MAC, 0x0800);
	put_ipv4(&w, OTHER_IP, GUEST_IP, 1, flags_offset, 40);
	put_number(&w, 0x0303000000000000ULL, 8);
	put_number(&w, 0x4500002000000000ULL, 8);
	put_number(&w, 0x40110000u, 4);
	put_number(&w, GUEST_IP, 4);
	put_number(&w, GLOBAL_IP, 4);
	put_number(&w, 4000, 2);
	put_number(&w, 54, 2);
	put_zeros(&w, 8);
}

/* The quote stands behind the eight octets that a later fragment must leave alone. */
void errors_come_in_one_piece(void **state)
{
	(void)state;
	start(NULL, 0, INBOUND_ESTABLISHED);
	put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, 0x0800);
	put_ipv4(&w, GUEST_IP, GLOBAL_IP, 17, 0, 8);
	put_udp(&w, 4000, 54, 0);
	GUEST_SENDS(PASS);
	put_port_unreachable(0);
	GUEST_GETS(PASS);
	put_port_unreachable(0x2000);
	GUEST_GETS(PASS);
	put_ethernet(&w, GUEST_MAC, GATEWAY_MAC, 0x0800);
	put_ipv4(&w, OTHER_IP, GUEST_IP, 1, 1, 32);
	put_zeros(&w, 32);
	GUEST_GETS(DROP_UNSOLICITED);
}

/* A9: a question for a router whose MAC is named teaches nothing, so the judge alone lets it pass. */
void questions_for_named_routers(void **state)
{
	(void)state;
	for (int is_named = 0; is_named < 2; is_named++) {
		start(NULL, 0, INBOUND_ANY);
		w.config.gateway_macs.count = (uint32_t)is_named;
		put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
		put_arp(&w, 1, GUEST_MAC, GUEST_IP, GATEWAY_IP);
		struct frame frame = { .bytes = w.frame, .length = w.length };
		struct decision d = judge_frame(&w.config, &w.state, FROM_GUEST, &frame, w.now_ms);
		assert_int_equal(d.verdict, is_named ? PASS : PUNT_GATEWAY_ARP);
		GUEST_SENDS(PASS);
		put_tcp(true, 4000, 443, SYN); /* and a packet that finds no next hop makes nobody ask for it */
		w.frame[5] ^= 0x40;
		frame.length = w.length;
		d = judge_frame(&w.config, &w.state, FROM_GUEST, &frame, w.now_ms);
		assert_int_equal(d.verdict, is_named ? DROP_L2_NEXT_HOP : PUNT_NEXT_HOP);
	}
}

/* A8: what may call the guest may be asked for, and only what some machine can have calls. */
void nobody_calls_from_odd_addresses(void **state)
{
	(void)state;
	static const uint32_t odd[] = { 0, 5, 0x7f000001, 0xe00000fb, 0xf0000001, 0xffffffff };
	start(NULL, 0, INBOUND_ANY);
	for (uint32_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
		put_arp(&w, 1, GUEST_MAC, GUEST_IP, odd[i]);
		GUEST_SENDS(DROP_ARP_TARGET_DENIED);
	}
	put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
	put_arp(&w, 1, GUEST_MAC, GUEST_IP, VICTIM_IP);
	GUEST_SENDS(PASS);
}
