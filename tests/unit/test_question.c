/* The questions that the guard asks in its guest's name: octet by octet, with sums that add up as a receiver adds them. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/made/question.h"
#include "world6.h"

#include <cmocka.h>

enum { ETHERNET = 14, HEADER = 40 };

static uint8_t frame[QUESTION_MAX];

/* RFC 1071: with the right sum in its place, everything adds up to ones. */
static uint32_t add_up(const uint8_t *bytes, uint32_t n, uint32_t sum)
{
	for (uint32_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void check_sum(uint32_t length)
{
	uint32_t octets = length - ETHERNET - HEADER;
	assert_int_equal(add_up(frame + ETHERNET + 8, 32 + octets, octets + 58), 0xffff);
}

static void duplicate_address_detection(void **unused)
{
	static const uint8_t expected[] = { 0x33, 0x33, 0xff, 0xe6, 0x07, 0x89, 0x52, 0x54, 0,  0,   0, 0x0a,
					    0x86, 0xdd, 0x60, 0,    0,    0,    0,    24,   58, 255, 0, 0,
					    0,    0,    0,    0,    0,    0,    0,    0,    0,  0,   0, 0,
					    0,    0,    0xff, 2,    0,    0,    0,    0,    0,  0,   0, 0,
					    0,    1,    0xff, 0xe6, 0x07, 0x89, 135,  0 };
	static const uint8_t target[] = { 0xfd, 0x64, 0, 0, 0, 0, 0, 0, 0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xe6, 0x07, 0x89 };
	struct address a = ADDRESS6(LOCAL_PREFIX, 0xa1b2c3d4e5e60789ULL);
	uint32_t length = make_dad_question(GUEST_MAC, a, frame);
	(void)unused;
	assert_int_equal(length, ETHERNET + HEADER + 24);
	assert_memory_equal(frame, expected, sizeof expected);
	assert_memory_equal(frame + length - 20, "\0\0\0\0", 4);
	assert_memory_equal(frame + length - 16, target, 16);
	check_sum(length);
}

static void who_has_it(void **unused)
{
	static const uint8_t option[] = { 1, 1, 0x52, 0x54, 0, 0, 0, 0x0a };
	uint32_t length = make_neighbor_question(GUEST_MAC, GUEST_LL, ROUTER_LL, frame);
	(void)unused;
	assert_int_equal(length, ETHERNET + HEADER + 32);
	assert_memory_equal(frame + length - 8, option, 8);
	assert_int_equal(frame[ETHERNET + HEADER], 135);
	check_sum(length);
}

static void router_solicitation(void **unused)
{
	static const uint8_t expected[] = { 0x33, 0x33, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0,    0x0a, 0x86, 0xdd,
					    0x60, 0,    0, 0, 0, 8, 58,   255,  0, 0, 0,    0,    0,    0,
					    0,    0,    0, 0, 0, 0, 0,    0,    0, 0, 0xff, 2,    0,    0,
					    0,    0,    0, 0, 0, 0, 0,    0,    0, 0, 0,    2,    133,  0 };
	uint32_t length = make_router_question(GUEST_MAC, frame);
	(void)unused;
	assert_int_equal(length, ETHERNET + HEADER + 8);
	assert_memory_equal(frame, expected, sizeof expected);
	assert_memory_equal(frame + length - 4, "\0\0\0\0", 4);
	check_sum(length);
}

/* What the guard may say in the guest's name is what the guest may say itself. */
static void guest_may_ask_the_same(void **unused)
{
	struct world w;
	uint32_t length = make_dad_question(GUEST_MAC, GUEST_PRIVACY, frame);
	(void)unused;
	start_world6(&w, true);
	announce(&w, LOCAL_PREFIX);
	w.length = 0;
	put_bytes(&w, frame, length);
	assert_int_equal(from_guest(&w), PASS);
	length = make_router_question(GUEST_MAC, frame);
	w.length = 0;
	put_bytes(&w, frame, length);
	assert_int_equal(from_guest(&w), PASS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(duplicate_address_detection),
		cmocka_unit_test(router_solicitation),
		cmocka_unit_test(who_has_it),
		cmocka_unit_test(guest_may_ask_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
