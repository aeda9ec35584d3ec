/* As many rules as there may be, in the shapes that need most room: nothing is written past a table, no answer is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "test_policy.h"

#include <cmocka.h>

static struct rule rule[RULE_PREFIXES_MAX + 1];

/* Both ways, TCP and UDP: starts and ends at four places. */
static struct rule rule_of_port(struct address a, bool allowed, uint16_t first, uint16_t last, uint32_t origin)
{
	return (struct rule){ .address = a,
			      .prefix_length = 128,
			      .directions = OUTWARD | INWARD,
			      .class = allowed ? CLASS_ALLOWED : CLASS_BLOCKED,
			      .origin = (uint16_t)origin,
			      .only = { .has_ports = 1, .first_port = first, .last_port = last } };
}

static void check_samples(uint32_t count, int samples, struct address (*peer)(void))
{
	assert_true(policy.interval_count <= INTERVALS_MAX);
	assert_true(policy.segment_count <= SEGMENTS_MAX);
	for (int i = 0; i < samples; i++) {
		struct contact c = { .peer = peer(), .inward = next_random() & 1, .protocol = random_protocol() };
		if (model_has_ports(c.protocol))
			c.port = (uint16_t)next_random();
		check_known(rule, count, &c, next_random() & 0x1e);
	}
}

/* On the heap, so that the sanitizer sees what is read or written behind the last rule. */
static bool compiles_exactly(uint32_t count)
{
	struct rule *exact = malloc(count * sizeof *exact);
	assert_non_null(exact);
	memcpy(exact, rule, count * sizeof *exact);
	bool done = compile_policy(&policy, exact, count);
	free(exact);
	return done;
}

void full_tables_are_reached_and_not_passed(void **state)
{
	(void)state;
	for (uint32_t i = 0; i <= RULE_PREFIXES_MAX; i++)
		rule[i] = (struct rule){ .address = address_of_ipv4(0x0a000001 + 2 * i),
					 .prefix_length = 128,
					 .class = CLASS_BLOCKED,
					 .directions = OUTWARD,
					 .origin = (uint16_t)i };
	assert_true(compiles_exactly(RULE_PREFIXES_MAX));
	assert_true(policy.interval_count <= INTERVALS_MAX);
	for (uint32_t i = 0; i < 2 * RULE_PREFIXES_MAX; i++) {
		struct contact c = { .peer = address_of_ipv4(0x0a000001 + i), .protocol = TCP, .port = 1 };
		struct ruling got = rule_on(&policy, &c, 0);
		assert_int_equal(got.class, i % 2 ? CLASS_NONE : CLASS_BLOCKED);
		assert_int_equal(got.special, CLASS_PRIVATE);
		if (i % 2 == 0)
			assert_int_equal(got.origin, i / 2);
		c.inward = 1;
		assert_int_equal(rule_on(&policy, &c, 0).class, CLASS_NONE);
	}
	assert_false(compiles_exactly(RULE_PREFIXES_MAX + 1));
	assert_true(compiles_exactly(RULES_MAX));
}

static struct address one_peer(void)
{
	return address_of_ipv4(0x0a000000 | (next_random() % 16 ? 1 : next_random() & 0xffff));
}

/* Every rule both ways and for both protocols: four starts and four ends each, all apart from each other. */
void thousands_of_ports_on_one_prefix(void **state)
{
	(void)state;
	for (uint32_t kind = 0; kind < 4; kind++) {
		uint32_t count = kind < 2 ? RULES_MAX : RULE_PREFIXES_MAX, gap = 65534 / count;
		for (uint32_t i = 0; i < count; i++) {
			uint16_t port = (uint16_t)(1 + gap * i);
			rule[i] = rule_of_port(address_of_ipv4(0x0a000001), i % 2, port, port, i);
			if (kind % 2) /* ranges that overlap: each is wider than the one inside it */
				rule[i].only.last_port = (uint16_t)(65535 - i);
			if (kind % 2 && port > 65535 - i)
				rule[i].only.first_port = rule[i].only.last_port;
		}
		assert_true(compiles_exactly(count));
		check_samples(count, 100, one_peer);
	}
}

static struct address nested_peer(void)
{
	struct address a = next_random() % 2 ? address_of_ipv4(0x0a010203) : (struct address){ 0x20010db8deadbeefULL, 1 };
	uint32_t bits = is_ipv4(a) ? 32 : 128, bit = next_random() % bits;
	if (next_random() % 8)
		*(bit < 64 ? &a.low : &a.high) ^= 1ULL << bit % 64;
	return a;
}

void prefixes_of_all_lengths_with_ports(void **state)
{
	(void)state;
	uint32_t n = 0;
	for (uint32_t port = 1; n < RULE_PREFIXES_MAX; port += 3)
		for (uint32_t length = 0; length <= 128 + 33 && n < RULE_PREFIXES_MAX; length++, n++) {
			uint16_t first = (uint16_t)(400 * port);
			rule[n] = rule_of_port(address_of_ipv4(0x0a010203), (port + length) % 2, first,
					       (uint16_t)(first + length), n);
			rule[n].prefix_length = (uint8_t)(length <= 128 ? length : length - 33);
			if (length <= 128)
				rule[n].address = (struct address){ 0x20010db8deadbeefULL, 1 };
		}
	assert_true(compiles_exactly(n));
	check_samples(n, 150, nested_peer);
}

static struct address scattered_peer(void)
{
	return address_of_ipv4(0x0a000000 + next_random() % (3 * RULE_PREFIXES_MAX));
}

/* Disjoint, so that each starts and ends an interval, and with 9 segments each. */
void every_prefix_with_ports_of_its_own(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < RULE_PREFIXES_MAX; i++)
		rule[i] = rule_of_port(address_of_ipv4(0x0a000001 + 2 * i), i % 2, (uint16_t)(100 + i),
				       (uint16_t)(40000 + i), i);
	assert_true(compiles_exactly(RULE_PREFIXES_MAX));
	check_samples(RULE_PREFIXES_MAX, 100, scattered_peer);
}
