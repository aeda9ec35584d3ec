/* Of frames that are alike the judge says the same: what a guard in the kernel remembers is what it would be told again. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/judge/decision.h"
#include "core/judge/destination.h"
#include "ebpf/likeness.h"
#include "amount.h"
#include "world6.h"

#include <cmocka.h>

enum { TCP = 6, UDP = 17, HEADERS = 74, CHANGES = 60 };

static struct world w;
static uint32_t alike, unlike, kinds[PLAIN_UDP6 + 1];

/* Rules, so that ports and addresses count; and flows, which the judge leaves to others. */
static void start(bool is_stateful)
{
	struct rule rules[] = {
		{ address_of_ipv4(0x01010100), 120, .class = CLASS_BLOCKED, .directions = OUTWARD | INWARD,
		  .only = { .has_protocol = 1, .protocol = TCP, .has_ports = 1, .first_port = 20000, .last_port = 40000 } },
		{ ADDRESS6(0x2606000000000000ULL, 0), 16, .class = CLASS_BLOCKED, .directions = OUTWARD | INWARD,
		  .only = { .has_ports = 1, .first_port = 20000, .last_port = 40000 } },
		{ address_of_ipv4(VICTIM_IP), 128, .class = CLASS_ALLOWED, .directions = OUTWARD | INWARD },
	};
	start_world6(&w, true);
	assert_true(add_static_binding(&w.state, address_of_ipv4(GUEST_IP), 24, w.now_ms));
	assert_true(add_static_binding(&w.state, GUEST_SLAAC, 64, w.now_ms));
	assert_true(compile_policy(&w.config.policy, rules, 3));
	w.config.stateful = is_stateful;
	w.config.inbound = is_stateful ? INBOUND_ESTABLISHED : INBOUND_ANY;
	w.now_ms += 5000;
}

static uint16_t some_port(void)
{
	return (uint16_t)(next_random() % 4 ? next_random() : 53 + next_random() % 20);
}

static void put_upper(uint8_t protocol)
{
	put_number(&w, some_port(), 2);
	put_number(&w, some_port(), 2);
	put_number(&w, protocol == UDP ? 24 : next_random(), 2);
	put_zeros(&w, 18);
}

static void build(bool is_ipv6, uint8_t protocol, bool to_guest)
{
	static const uint32_t peers4[] = { GLOBAL_IP, VICTIM_IP, 0x08080808, GATEWAY_IP };
	const struct address peers6[] = { GLOBAL_IP6, ADDRESS6(0x2a00145000000000ULL, 5), VICTIM_LL };
	uint32_t peer4 = peers4[next_random() % 4];
	struct address peer6 = peers6[next_random() % 3];
	put_ethernet(&w, to_guest ? GUEST_MAC : GATEWAY_MAC, to_guest ? GATEWAY_MAC : GUEST_MAC,
		     is_ipv6 ? 0x86dd : 0x0800);
	if (is_ipv6)
		put_ipv6(&w, to_guest ? peer6 : GUEST_SLAAC, to_guest ? GUEST_SLAAC : peer6, protocol, 64, 24);
	else
		put_ipv4(&w, to_guest ? peer4 : GUEST_IP, to_guest ? GUEST_IP : peer4, protocol,
			 0x4000 * (next_random() % 2), 24);
	put_upper(protocol);
}

static uint32_t judged(enum direction direction, const uint8_t *bytes, uint32_t length)
{
	struct frame frame = { .bytes = bytes, .length = length };
	return number_of(judge_frame(&w.config, &w.state, direction, &frame, w.now_ms));
}

/* A few octets of the headers are changed: by one bit, or to anything. */
static void change(uint8_t *bytes, uint32_t length)
{
	for (uint32_t n = 1 + next_random() % 3; n > 0; n--) {
		uint8_t *octet = &bytes[next_random() % (length < HEADERS ? length : HEADERS)];
		*octet = (uint8_t)(next_random() % 2 ? *octet ^ 1u << next_random() % 8 : next_random());
	}
}

static void compare_changed(enum direction direction)
{
	struct frame frame = { .bytes = w.frame, .length = w.length };
	enum plain_kind kind = plain_kind_of(&frame);
	uint64_t word[LIKENESS_WORDS] = { 0 };
	uint32_t said = judged(direction, w.frame, w.length);
	struct decision d = { (uint8_t)said, 0, 0, (uint8_t)(said >> 24) };
	uint8_t changed[sizeof w.frame];
	assert_int_not_equal(kind, NOT_PLAIN);
	copy_likeness(&frame, kind, word);
	assert_true(is_alike(&frame, kind, word));
	if (!may_pass(d))
		return;
	kinds[kind]++;
	for (int i = 0; i < CHANGES; i++) {
		struct frame other = { .bytes = changed, .length = w.length };
		memcpy(changed, w.frame, w.length);
		change(changed, w.length);
		bool is_same = plain_kind_of(&other) != NOT_PLAIN && is_alike(&other, plain_kind_of(&other), word);
		alike += is_same;
		unlike += !is_same;
		if (is_same)
			assert_int_equal(judged(direction, changed, w.length), said);
	}
}

static void what_is_alike_is_judged_alike(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < amount(32000); i++) {
		if (i % 500 == 0)
			start(i / 500 % 2);
		bool to_guest = next_random() % 2;
		build(next_random() % 2, next_random() % 2 ? TCP : UDP, to_guest);
		compare_changed(to_guest ? TO_GUEST : FROM_GUEST);
	}
	print_message("%u alike, %u not\n", alike, unlike);
	assert_true(alike > 10000 && unlike > 10000);
	for (int kind = PLAIN_TCP4; kind <= PLAIN_UDP6; kind++)
		assert_true(kinds[kind] > 100);
}

struct ignored {
	uint8_t at, bits;
};

/* Every bit of the headers counts, except those. */
static void flip_all(enum plain_kind kind, uint32_t headers, const struct ignored *ignored, size_t count)
{
	uint64_t word[LIKENESS_WORDS] = { 0 };
	struct frame frame = { .bytes = w.frame, .length = w.length };
	assert_int_equal(plain_kind_of(&frame), kind);
	copy_likeness(&frame, kind, word);
	for (uint32_t bit = 0; bit < headers * 8; bit++) {
		uint8_t at = (uint8_t)(bit / 8), mask = (uint8_t)(1 << bit % 8);
		bool is_ignored = false;
		for (size_t i = 0; i < count; i++)
			is_ignored |= ignored[i].at == at && (ignored[i].bits & mask) != 0;
		w.frame[at] ^= mask;
		enum plain_kind other = plain_kind_of(&frame);
		if ((other != NOT_PLAIN && is_alike(&frame, other, word)) != is_ignored)
			fail_msg("kind %d, octet %u, bit %u", (int)kind, at, bit % 8);
		w.frame[at] ^= mask;
	}
}

static void what_does_not_count(void **state)
{
	/* Type of service, identification, checksum; traffic class and flow label; the beginning of a sequence number. */
	static const struct ignored ipv4[] = { { 15, 0xff }, { 18, 0xff }, { 19, 0xff }, { 24, 0xff },
					       { 25, 0xff }, { 38, 0xff }, { 39, 0xff } };
	static const struct ignored ipv6[] = { { 14, 0x0f }, { 15, 0xff }, { 16, 0xff },
					       { 17, 0xff }, { 58, 0xff }, { 59, 0xff } };
	(void)state;
	start(false);
	for (uint32_t to_guest = 0; to_guest < 2; to_guest++) {
		build(false, TCP, to_guest);
		flip_all(PLAIN_TCP4, 40, ipv4, 7);
		build(false, UDP, to_guest);
		flip_all(PLAIN_UDP4, 40, ipv4, 5);
		build(true, TCP, to_guest);
		flip_all(PLAIN_TCP6, 60, ipv6, 6);
		build(true, UDP, to_guest);
		flip_all(PLAIN_UDP6, 60, ipv6, 4);
	}
}

static void what_is_not_plain(void **state)
{
	(void)state;
	start(false);
	for (uint32_t i = 0; i < 2; i++) {
		struct frame frame = { .bytes = w.frame };
		build(i, UDP, false);
		for (frame.length = 0; frame.length < w.length; frame.length++) /* cut: as far as the ports must be there */
			assert_int_equal(plain_kind_of(&frame) != NOT_PLAIN, frame.length >= (i ? 60 : 40));
		w.frame[i ? 20 : 23] = 132; /* SCTP */
		assert_int_equal(plain_kind_of(&frame), NOT_PLAIN);
	}
	build(false, TCP, false);
	struct frame frame = { .bytes = w.frame, .length = w.length };
	static const struct {
		uint8_t at, octet;
	} others[] = { { 12, 0x81 }, { 13, 6 }, { 14, 0x46 }, { 14, 0x65 }, { 20, 0x20 }, { 21, 1 }, { 20, 0x10 } };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		uint8_t before = w.frame[others[i].at];
		w.frame[others[i].at] = others[i].octet;
		assert_int_equal(plain_kind_of(&frame), NOT_PLAIN);
		w.frame[others[i].at] = before;
	}
	assert_int_equal(plain_kind_of(&frame), PLAIN_TCP4);
	assert_int_equal(usual_checksum(PLAIN_TCP4), 50);
	assert_int_equal(usual_checksum(PLAIN_UDP6), 60);
	assert_int_equal(usual_checksum(NOT_PLAIN), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_alike_is_judged_alike),
		cmocka_unit_test(what_does_not_count),
		cmocka_unit_test(what_is_not_plain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
