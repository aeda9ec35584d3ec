/* A guard's file: its octets, as its guard writes them and as anybody may have, and which claims exclude each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "softnet/claims/claims_page.h"

#include <cmocka.h>

static struct address address(uint32_t n)
{
	return (struct address){ 0x20010db800000000ULL, n };
}

static void pages_of_any_octets(void **unused)
{
	static uint8_t octets[PAGE_OCTETS];
	struct claims_page page = { .pid = 77, .looks = 9, .segment = "bridge 1:7", .vm = "a\nb" }, back;
	(void)unused;
	page.item[3] = (struct claim){ address(8), CLAIM_HELD, 128, 0x12345678 };
	write_claims_page(&page, octets);
	assert_true(read_claims_page(octets, sizeof octets, &back));
	assert_true(back.pid == 77 && back.looks == 9);
	assert_string_equal(back.segment, "bridge 1:7");
	assert_string_equal(back.vm, "a?b");
	assert_true(same_address(back.item[3].address, address(8)) && back.item[3].kind == CLAIM_HELD);
	assert_int_equal(back.item[3].end_s, 0x12345678);
	for (size_t length = 0; length < sizeof octets; length++)
		assert_false(read_claims_page(octets, length, &back));
	srand(1);
	for (int i = 0; i < 2000; i++) {
		for (size_t k = 16; k < sizeof octets; k++)
			octets[k] = (uint8_t)rand();
		assert_true(read_claims_page(octets, sizeof octets, &back));
		for (int k = 0; k < ITEMS_MAX; k++)
			assert_true(back.item[k].kind == CLAIM_NONE ||
				    (back.item[k].kind <= CLAIM_WANTED && back.item[k].prefix_length <= 128));
		assert_non_null(memchr(back.vm, 0, sizeof back.vm));
		assert_non_null(memchr(back.segment, 0, sizeof back.segment));
	}
	octets[0] ^= 1;
	assert_false(read_claims_page(octets, sizeof octets, &back));
}

static void what_the_operator_gave(void **unused)
{
	static uint8_t octets[GIVEN_OCTETS];
	static struct given_page given = { .page = { .pid = 77, .vm = "db" }, .labels = { "", "sql", "a\nb" } }, back;
	(void)unused;
	memset(given.labels[7], 'x', VM_NAME_MAX);
	write_given_page(&given, octets);
	assert_true(read_given_page(octets, sizeof octets, &back));
	assert_string_equal(back.page.vm, "db");
	assert_string_equal(back.labels[0], "");
	assert_string_equal(back.labels[1], "sql");
	assert_string_equal(back.labels[2], "a?b");
	assert_string_equal(back.labels[7], given.labels[7]);
	assert_true(read_given_page(octets, PAGE_OCTETS, &back)); /* of an older version */
	assert_string_equal(back.page.vm, "db");
	assert_string_equal(back.labels[1], "");
	for (size_t length = 0; length < sizeof octets; length++)
		assert_int_equal(read_given_page(octets, length, &back), length == PAGE_OCTETS);
	srand(2);
	for (int i = 0; i < 500; i++) {
		for (size_t k = PAGE_OCTETS; k < sizeof octets; k++)
			octets[k] = (uint8_t)rand();
		assert_true(read_given_page(octets, sizeof octets, &back));
		for (int k = 0; k < LABELS_MAX; k++)
			assert_non_null(memchr(back.labels[k], 0, sizeof back.labels[k]));
	}
}

static void which_claims_exclude_each_other(void **unused)
{
	const struct address prefix6 = { 0x20010db800000000ULL, 0 }, inside = { 0x20010db8000000ffULL, 1 };
	const struct claim held = { inside, CLAIM_HELD, 128, 0 }, shared = { inside, CLAIM_SHARED, 128, 0 };
	const struct claim wanted = { inside, CLAIM_WANTED, 128, 0 }, none = { inside, CLAIM_NONE, 128, 0 };
	const struct claim network = { prefix6, CLAIM_HELD, 56, 0 }, longer = { prefix6, CLAIM_HELD, 64, 0 };
	(void)unused;
	assert_true(excludes(&held, &held) && excludes(&held, &shared) && excludes(&shared, &held));
	assert_false(excludes(&shared, &shared) || excludes(&held, &wanted) || excludes(&wanted, &held));
	assert_false(excludes(&held, &none) || excludes(&none, &none) || excludes(&wanted, &wanted));
	assert_true(excludes(&held, &network) && excludes(&network, &held) && excludes(&network, &longer));
	assert_false(excludes(&held, &longer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_of_any_octets),
		cmocka_unit_test(what_the_operator_gave),
		cmocka_unit_test(which_claims_exclude_each_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
