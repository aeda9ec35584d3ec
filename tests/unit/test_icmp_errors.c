/* ICMP errors, in both families: about whose packets a guest may speak, and be spoken to. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "world_flow.h"

#include <cmocka.h>

static struct world w;

/* The ways of one error: family, flows tracked or not, and in which direction it goes. */
struct way {
	bool v6, stateful, to_guest;
};
enum { WAYS = 8 };

static struct way way_number(int i)
{
	return (struct way){ .v6 = i & 1, .stateful = i & 2, .to_guest = i & 4 };
}

static const uint8_t types[2][5] = { { 3, 4, 11, 12 }, { 1, 2, 3, 4 } };

/* An error from one to the other, about a datagram from `sender` to `receiver`. */
struct about {
	struct address from, to, sender, receiver;
	uint8_t type;
	uint32_t octets; /* of the quote; 0: 28 or 48 */
};

static void put_quote(bool v6, const struct about *a)
{
	uint32_t header = v6 ? 40 : 20, octets = a->octets ? a->octets : header + 8, start = w.length;
	if (v6)
		put_ipv6(&w, a->sender, a->receiver, UDP, 60, 8);
	else
		put_ipv4(&w, ipv4_of_address(a->sender), ipv4_of_address(a->receiver), UDP, 0, 8);
	put_udp(&w, 5000, 4000, 0);
	w.length = start + octets;
}

static void put_about(const struct way *way, const struct about *a)
{
	uint32_t payload = 8 + (a->octets ? a->octets : way->v6 ? 48 : 28);
	put_ethernet(&w, way->to_guest ? GUEST_MAC : GATEWAY_MAC, way->to_guest ? GATEWAY_MAC : GUEST_MAC,
		     way->v6 ? 0x86dd : 0x0800);
	if (way->v6)
		put_ipv6(&w, a->from, a->to, ICMP6, 64, payload);
	else
		put_ipv4(&w, ipv4_of_address(a->from), ipv4_of_address(a->to), ICMP4, 0, payload);
	put_number(&w, a->type ? a->type : types[way->v6][0], 1);
	put_zeros(&w, 7);
	put_quote(way->v6, a);
}

static enum verdict judge_about(const struct way *way, const struct about *a)
{
	put_about(way, a);
	return way->to_guest ? to_guest(&w) : from_guest(&w);
}

static struct address other_of(bool v6)
{
	return v6 ? VICTIM_LEASED : address_of_ipv4(VICTIM_IP);
}

static struct address remote_of(bool v6)
{
	return v6 ? GLOBAL_IP6 : address_of_ipv4(GLOBAL_IP);
}

static struct address router_of(bool v6)
{
	return v6 ? ADDRESS6(0x2a00000000000000ULL, 1) : address_of_ipv4(0x09090909);
}

/* What an honest guest says to whom it hears, or hears about what it said. */
static struct about honest(const struct way *way)
{
	struct address guest = guest_of(way->v6), remote = remote_of(way->v6);
	if (way->to_guest)
		return (struct about){ router_of(way->v6), guest, guest, remote, 0, 0 };
	return (struct about){ guest, remote, remote, guest, 0, 0 };
}

/* Everything is open, and all flows of the guest and of its neighbor with the world are there. */
static void start(const struct way *way)
{
	start_flow_world(&w, way->stateful, INBOUND_ANY);
	w.config.isolation = 0;
	struct rule all[2] = { rule_for(CLASS_ALLOWED, OUTWARD | INWARD, address_of_ipv4(0), 96),
			       rule_for(CLASS_ALLOWED, OUTWARD | INWARD, ADDRESS6(0, 0), 0) };
	set_rules(&w, all, 2);
	assert_true(add_static_binding(&w.state, address_of_ipv4(OTHER_IP), 24, w.now_ms));
	assert_true(add_static_binding(&w.state, ADDRESS6(LOCAL_PREFIX, 0x77), 64, w.now_ms));
}

#define ABOUT(way, a, wanted) expect_verdict(&w, judge_about(way, a), wanted, __FILE__, __LINE__)

static void a_guest_errs_about_what_it_was_sent(void **state)
{
	(void)state;
	for (int i = 0; i < WAYS; i++) {
		struct way way = way_number(i);
		start(&way);
		for (int t = 0; t < 4; t++) {
			struct about a = honest(&way);
			a.type = types[way.v6][t];
			ABOUT(&way, &a, PASS);
			*(way.to_guest ? &a.sender : &a.receiver) = other_of(way.v6); /* of a neighbor's flow */
			ABOUT(&way, &a, DROP_ICMP_ERROR_QUOTE);
			*(way.to_guest ? &a.sender : &a.receiver) = /* another address of the guest's own: a container's */
			    way.v6 ? ADDRESS6(LOCAL_PREFIX, 0x77) : address_of_ipv4(OTHER_IP);
			ABOUT(&way, &a, PASS);
			a = honest(&way);
			*(way.to_guest ? &a.sender : &a.receiver) = remote_of(way.v6);
			ABOUT(&way, &a, DROP_ICMP_ERROR_QUOTE);
		}
	}
}

/* To the sender, not to anybody else; and not about a group, which many have heard. */
static void only_the_sender_is_told(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct way way = way_number(i);
		struct about a = honest(&way);
		start(&way);
		a.to = router_of(way.v6);
		ABOUT(&way, &a, DROP_ICMP_ERROR_QUOTE);
		a = honest(&way);
		a.sender = router_of(way.v6);
		ABOUT(&way, &a, DROP_ICMP_ERROR_QUOTE);
		a = honest(&way);
		a.receiver = way.v6 ? MDNS_GROUP : address_of_ipv4(0xe00000fb);
		ABOUT(&way, &a, DROP_ICMP_ERROR_QUOTE);
	}
}

/* Towards the guest what cannot be read passes where no flow is asked for: every kernel throws it away. */
static void a_quote_must_be_whole(void **state)
{
	(void)state;
	for (int i = 0; i < WAYS; i++) {
		struct way way = way_number(i);
		enum verdict unreadable = way.to_guest ? PASS : DROP_ICMP_ERROR_QUOTE;
		uint32_t header = way.v6 ? 40 : 20, start_of_quote = 14 + header + 8;
		start(&way);
		for (uint32_t octets = 1; octets < header + 8; octets++) {
			struct about a = honest(&way);
			a.octets = octets;
			ABOUT(&way, &a, octets < header ? unreadable : PASS);
		}
		for (uint32_t first = 0; first < 256; first++) {
			struct about a = honest(&way);
			put_about(&way, &a);
			w.frame[start_of_quote] = (uint8_t)first;
			bool whole = way.v6 ? first >> 4 == 6 : first >> 4 == 4 && (first & 15) >= 5 && (first & 15) <= 7;
			expect_verdict(&w, way.to_guest ? to_guest(&w) : from_guest(&w), whole ? PASS : unreadable,
				       __FILE__, __LINE__);
		}
	}
}

/* Behind the first fragment another could bring the quote, or change it. */
static void errors_leave_in_one_piece(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct way way = way_number(i);
		struct about a = honest(&way);
		start(&way);
		put_about(&way, &a);
		if (way.v6)
			insert_fragment(&w, 0, true);
		else
			put_zeros(&w, 4), w.frame[17] = (uint8_t)(w.frame[17] + 4), set_fragment4(&w, 7, 0, true);
		expect_verdict(&w, from_guest(&w), DROP_ICMP_ERROR_QUOTE, __FILE__, __LINE__);
		if (!way.v6)
			continue;
		put_about(&way, &a); /* a Fragment header, but no fragment (RFC 6946), and other headers in front */
		insert_fragment(&w, 0, false);
		expect_verdict(&w, from_guest(&w), PASS, __FILE__, __LINE__);
		put_about(&way, &a);
		insert_options(&w, 60, 8);
		expect_verdict(&w, from_guest(&w), PASS, __FILE__, __LINE__);
		a.receiver = other_of(true);
		put_about(&way, &a);
		insert_options(&w, 60, 8);
		expect_verdict(&w, from_guest(&w), DROP_ICMP_ERROR_QUOTE, __FILE__, __LINE__);
	}
}

/* What the policy refuses keeps the reason that the policy has. */
static void the_policy_speaks_first(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct way way = { .v6 = v6 };
		struct about a = honest(&way);
		struct rule block = rule_for(CLASS_BLOCKED, OUTWARD, remote_of(v6), 128);
		start_flow_world(&w, false, INBOUND_ANY);
		set_rules(&w, &block, 1);
		ABOUT(&way, &a, DROP_DST_BLOCKED);
		a.receiver = other_of(v6);
		ABOUT(&way, &a, DROP_DST_BLOCKED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_errs_about_what_it_was_sent),
		cmocka_unit_test(only_the_sender_is_told),
		cmocka_unit_test(a_quote_must_be_whole),
		cmocka_unit_test(errors_leave_in_one_piece),
		cmocka_unit_test(the_policy_speaks_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
