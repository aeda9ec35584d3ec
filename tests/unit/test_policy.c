/* Compiled policies against a deliberately naive reading of the same rules, on random rule sets and on every edge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "core/special.h"
#include "world.h"

#include <cmocka.h>

static struct policy policy;

/* What becomes of the address when the guest calls it, as far as rules and the table of special addresses go. */
static uint32_t class_at(const struct policy *of, struct address a)
{
	struct contact c = { .peer = a, .protocol = 6, .port = 80 };
	struct ruling ruling = rule_on(of, &c, 0);
	return ruling.special == CLASS_NEVER || ruling.class == CLASS_NONE ? ruling.special : ruling.class;
}

static bool covers(const struct rule *r, struct address a)
{
	for (uint32_t bit = 0; bit < r->prefix_length; bit++) {
		uint64_t x = bit < 64 ? r->address.high : r->address.low, y = bit < 64 ? a.high : a.low;
		if ((x >> (63 - bit % 64) & 1) != (y >> (63 - bit % 64) & 1))
			return false;
	}
	return true;
}

/* The longest rule of the address's own family; at equal length the larger class, which is block. */
static uint32_t longest(const struct rule *rule, uint32_t count, struct address a)
{
	int best = -1;
	uint32_t class = CLASS_NONE;
	for (uint32_t i = 0; i < count; i++) {
		if (!covers(&rule[i], a) || (is_ipv4(a) && rule[i].prefix_length < 96))
			continue;
		if (rule[i].prefix_length > best || (rule[i].prefix_length == best && rule[i].class > class)) {
			best = rule[i].prefix_length;
			class = rule[i].class;
		}
	}
	return class;
}

static uint32_t naive(const struct rule *rule, uint32_t count, struct address a)
{
	uint32_t special = longest(special_purpose, SPECIAL_PURPOSE_COUNT, a);
	uint32_t own = longest(rule, count, a);
	return special == CLASS_NEVER || own == CLASS_NONE ? special : own;
}

static uint64_t random64(void)
{
	uint64_t r = 0;
	for (int i = 0; i < 5; i++)
		r = r << 15 ^ (uint64_t)(rand() & 0x7fff);
	return r;
}

static struct rule random_rule(void)
{
	struct rule r = { .directions = OUTWARD, .class = rand() % 2 ? CLASS_ALLOWED : CLASS_BLOCKED };
	if (rand() % 3 == 0) {
		r.address = (struct address){ random64(), random64() };
		r.prefix_length = (uint8_t)(rand() % 129);
	} else {
		/* few bits vary, so that rules nest and meet */
		r.address = address_of_ipv4((uint32_t)(random64() & 0xc0ff00ff));
		r.prefix_length = (uint8_t)(96 + rand() % 33);
	}
	return r;
}

static void check(const struct rule *rule, uint32_t count, struct address a)
{
	uint32_t wanted = naive(rule, count, a), got = class_at(&policy, a);
	if (wanted != got)
		fail_msg("%016llx%016llx: naive %u, compiled %u", (unsigned long long)a.high,
			 (unsigned long long)a.low, wanted, got);
}

static void check_edges(const struct rule *rule, uint32_t count, const struct rule *at)
{
	struct address a = at->address;
	for (int step = -1; step <= 1; step++)
		check(rule, count, (struct address){ a.high, a.low + (uint64_t)step });
	uint64_t host = at->prefix_length >= 128 ? 0 : at->prefix_length <= 64 ? UINT64_MAX
									       : UINT64_MAX >> (at->prefix_length - 64);
	uint64_t above = at->prefix_length >= 64 ? 0 : at->prefix_length == 0 ? UINT64_MAX : UINT64_MAX >> at->prefix_length;
	struct address last = { a.high | above, a.low | host };
	check(rule, count, last);
	check(rule, count, (struct address){ last.high, last.low - 1 });
	check(rule, count, (struct address){ last.high + (last.low == UINT64_MAX), last.low + 1 });
}

static void random_rules_equal_the_naive_reading(void **state)
{
	(void)state;
	static struct rule rule[64], sorted[64];
	srand(20261123);
	for (int round = 0; round < 300; round++) {
		uint32_t count = (uint32_t)rand() % 64;
		for (uint32_t i = 0; i < count; i++)
			sorted[i] = rule[i] = random_rule();
		assert_true(compile_policy(&policy, sorted, count));
		for (uint32_t i = 0; i < count; i++)
			check_edges(rule, count, &sorted[i]);
		for (uint32_t i = 0; i < SPECIAL_PURPOSE_COUNT; i++)
			check_edges(rule, count, &special_purpose[i]);
		for (int i = 0; i < 200; i++) {
			check(rule, count, address_of_ipv4((uint32_t)random64()));
			check(rule, count, (struct address){ random64(), random64() });
		}
	}
}

/* Every /16 edge and its neighbours: finer blocks are edges of the table and tested above. */
static void special_purpose_equals_the_naive_reading(void **state)
{
	(void)state;
	assert_true(compile_policy(&policy, NULL, 0));
	for (uint64_t a = 0; a <= 0xffffffff; a += 0x10000)
		for (uint64_t b = a == 0 ? 0 : a - 2; b < a + 2; b++)
			check(NULL, 0, address_of_ipv4((uint32_t)b));
}

static void order_and_repetition_change_nothing(void **state)
{
	(void)state;
	struct rule a[] = { { address_of_ipv4(0x0a000000), 104, .class = CLASS_ALLOWED, .directions = OUTWARD }, { address_of_ipv4(0x0a000000), 104, .class = CLASS_BLOCKED, .directions = OUTWARD },
			    { address_of_ipv4(0x0a010203), 112, .class = CLASS_ALLOWED, .directions = OUTWARD } };
	struct rule b[] = { a[2], a[1], a[0], a[0], a[1] };
	struct policy first;
	assert_true(compile_policy(&policy, a, 3));
	first = policy;
	assert_true(compile_policy(&policy, b, 5));
	assert_int_equal(first.interval_count, policy.interval_count);
	assert_memory_equal(first.interval, policy.interval, first.interval_count * sizeof(struct interval));
	assert_int_equal(class_at(&policy, address_of_ipv4(0x0a020000)), CLASS_BLOCKED);
	assert_int_equal(class_at(&policy, address_of_ipv4(0x0a01ffff)), CLASS_ALLOWED); /* host bits masked */
}

static void full_table_is_reached_and_not_passed(void **state)
{
	(void)state;
	static struct rule rule[RULE_PREFIXES_MAX + 1];
	for (uint32_t i = 0; i <= RULE_PREFIXES_MAX; i++)
		rule[i] = (struct rule){ address_of_ipv4(0x0a000001 + 2 * i), 128, .class = CLASS_BLOCKED, .directions = OUTWARD };
	assert_true(compile_policy(&policy, rule, RULE_PREFIXES_MAX));
	assert_true(policy.interval_count <= INTERVALS_MAX);
	for (uint32_t i = 0; i < 2 * RULE_PREFIXES_MAX; i++)
		assert_int_equal(class_at(&policy, address_of_ipv4(0x0a000001 + i)),
				 i % 2 ? CLASS_PRIVATE : CLASS_BLOCKED);
	assert_false(compile_policy(&policy, rule, RULE_PREFIXES_MAX + 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_rules_equal_the_naive_reading),
		cmocka_unit_test(special_purpose_equals_the_naive_reading),
		cmocka_unit_test(order_and_repetition_change_nothing),
		cmocka_unit_test(full_table_is_reached_and_not_passed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
