/* The directory of a policy: of large sets of keys, however they lie, it leads to the same place as a walk over all of them. */
#include <setjmp.h>
#include <stdarg.h>

#include "test_policy.h"

#include <cmocka.h>

static struct rule rule[RULE_PREFIXES_MAX];

static struct rule rule_about(struct address a, uint32_t length, uint32_t origin)
{
	return (struct rule){ .address = a,
			      .prefix_length = (uint8_t)length,
			      .class = CLASS_ALLOWED,
			      .directions = OUTWARD,
			      .origin = (uint16_t)origin };
}

static struct address start_of(uint32_t interval)
{
	return (struct address){ policy.start_high[interval], policy.start_low[interval] };
}

static struct address beside(struct address a, int64_t by)
{
	struct address moved = { a.high, a.low + (uint64_t)by };
	moved.high += by > 0 ? moved.low < a.low : 0;
	moved.high -= by < 0 ? moved.low > a.low : 0;
	return moved;
}

static void check_interval(struct address a)
{
	uint32_t wanted = 0;
	for (uint32_t i = 0; i < policy.interval_count && !address_before(a, start_of(i)); i++)
		wanted = i;
	assert_int_equal(find_interval(&policy, a.high, a.low), wanted);
}

/* At the edges of many of them, and anywhere. */
static void check_intervals(uint32_t samples)
{
	check_interval((struct address){ 0, 0 });
	check_interval((struct address){ UINT64_MAX, UINT64_MAX });
	check_interval(address_of_ipv4(0));
	check_interval(address_of_ipv4(UINT32_MAX));
	for (uint32_t i = 0; i < samples; i++) {
		struct address start = start_of(next_random() % policy.interval_count);
		for (int64_t by = -1; by <= 1; by++)
			check_interval(beside(start, by));
		check_interval(address_of_ipv4(next_random()));
		check_interval((struct address){ (uint64_t)next_random() << 32 | next_random(), next_random() });
	}
	assert_true(policy.directory.branch_count <= BRANCHES_MAX);
	assert_true(policy.directory.slot_count <= PLACES_MAX);
}

static struct address shaped(uint32_t shape, uint32_t i, uint32_t *length)
{
	uint64_t n = i;
	*length = 128;
	switch (shape) {
	case 0: /* side by side */
		return address_of_ipv4(0x0b000001 + 2 * i);
	case 1: /* anywhere */
		return address_of_ipv4(next_random());
	case 2: /* bunches, far apart */
		return address_of_ipv4((i / 64) * 0x01010100 + i % 64 * 2);
	case 3: /* anywhere in IPv6 */
		return (struct address){ 0x2000000000000000ULL | (uint64_t)next_random() << 29, next_random() };
	case 4: /* one network of IPv6, in its lower half */
		return (struct address){ 0x20010db800000000ULL, (uint64_t)next_random() << 32 | next_random() };
	case 5: /* side by side over the middle of an address */
		return (struct address){ 0x2600000000000000ULL + n / 2, n % 2 ? 0 : UINT64_MAX };
	case 6: /* each half as far as the one before, again and again */
		return (struct address){ 0x2600000000000000ULL + (1ULL << i % 57), n / 57 * 2 };
	default: /* nested, of all lengths */
		*length = i % 129;
		return (struct address){ 0x2600aaaa5555ffffULL ^ n << 3, 0x123456789abcdef0ULL ^ n };
	}
}

void every_address_is_found(void **state)
{
	(void)state;
	enum { SHAPES = 8 };
	static const uint32_t counts[] = { 1, 9, 100, RULES_MAX, RULE_PREFIXES_MAX };
	for (uint32_t shape = 0; shape < SHAPES; shape++)
		for (uint32_t k = 0; k < sizeof counts / sizeof *counts; k++) {
			for (uint32_t i = 0; i < counts[k]; i++) {
				uint32_t length;
				struct address a = shaped(shape, i, &length);
				rule[i] = rule_about(a, length, i);
			}
			compile(rule, counts[k]);
			check_intervals(40);
		}
}

/* How many keys are left to be halved, for those that were looked for. */
static uint32_t most_left(uint32_t root)
{
	uint32_t most = 0;
	for (uint32_t i = 0; i < policy.interval_count; i++) {
		struct key_range left = narrow(&policy.directory, root, start_of(i), true);
		most = left.end - left.first > most ? left.end - left.first : most;
	}
	return most;
}

void thousands_of_addresses_are_as_near_as_a_few(void **state)
{
	(void)state;
	for (uint32_t shape = 0; shape < 4; shape++) {
		for (uint32_t i = 0; i < RULES_MAX; i++) {
			uint32_t length;
			struct address a = shaped(shape, i, &length);
			rule[i] = rule_about(a, length, i);
		}
		compile(rule, RULES_MAX);
		assert_in_range(most_left(shape < 3 ? policy.root4 : policy.root), 1, 2 * KEYS_APART);
	}
}

/* Ports in one prefix have branches, too; that they decide rightly is what the model says of them in test_policy_limits.c. */
void thousands_of_ports_are_as_near_as_a_few(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < RULES_MAX; i++) {
		rule[i] = rule_about(address_of_ipv4(0x0a000001), 128, i);
		rule[i].only = (struct qualifier){ .has_ports = 1,
						   .first_port = (uint16_t)(1 + 15 * i),
						   .last_port = (uint16_t)(1 + 15 * i) };
	}
	compile(rule, RULES_MAX);
	const struct node *node =
	    &policy.node[policy.interval[find_interval(&policy, 0, address_of_ipv4(0x0a000001).low)].node];
	assert_int_not_equal(node->branch, 0);
	for (uint32_t i = 0; i < RULES_MAX; i++) {
		uint32_t key = (uint32_t)TCP << KEY_PROTOCOL | rule[i].only.first_port;
		struct key_range left = narrow(&policy.directory, node->branch, (struct address){ 0, key }, false);
		assert_in_range(left.end - left.first, 1, 2 * KEYS_APART);
		assert_int_equal(policy.segment[find_segment(&policy, node, key)].origin, i);
	}
}

/* Memory of a policy is bounded, whatever the rules are: docs/architecture.md says how much. */
void a_policy_has_a_size(void **state)
{
	(void)state;
	assert_true(sizeof(struct policy) < 1900 * 1024);
}
