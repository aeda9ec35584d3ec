/* Compiled policies against the model of model_policy.h, on random rule sets and on every edge of prefixes and ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/policy/special.h"
#include "amount.h"
#include "test_policy.h"

#include <cmocka.h>

enum { RULES = 32, ROUNDS = 150 };

struct policy policy;
static struct rule rule[RULES];
static uint32_t count;

static void show_rules(const struct rule *rules, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct rule *r = &rules[i];
		print_error("%s %s%s alias %u %016llx%016llx/%u", r->class == CLASS_ALLOWED ? "allow" : "block",
			    r->directions & OUTWARD ? "out" : "", r->directions & INWARD ? "in" : "", r->alias,
			    (unsigned long long)r->address.high, (unsigned long long)r->address.low, r->prefix_length);
		print_error(" protocol %d ports %d-%d\n", r->only.has_protocol ? r->only.protocol : -1,
			    r->only.has_ports ? r->only.first_port : -1, r->only.has_ports ? r->only.last_port : -1);
	}
}

static void fail_contact(const struct rule *rules, uint32_t n, const struct contact *c, uint32_t aliases,
			 const char *what, uint32_t wanted, uint32_t got)
{
	show_rules(rules, n);
	fail_msg("%016llx%016llx %s protocol %u port %u knowledge %u aliases %x: %s %u, compiled %u",
		 (unsigned long long)c->peer.high, (unsigned long long)c->peer.low, c->inward ? "in" : "out",
		 c->protocol, c->port, c->ports, aliases, what, wanted, got);
}

void compile(const struct rule *rules, uint32_t n)
{
	static struct rule copy[RULE_PREFIXES_MAX];
	memcpy(copy, rules, n * sizeof *rules);
	assert_true(compile_policy(&policy, copy, n));
}

/* Some rule of the winning class is as strong as the ruling says, and it is the one whose number came back. */
static bool is_origin(const struct rule *rules, uint32_t n, const struct contact *c, uint32_t aliases, uint16_t origin)
{
	struct model_ruling strongest = model_of(rules, n, c, aliases);
	for (uint32_t i = 0; i < n; i++) {
		struct model_ruling alone = model_of(&rules[i], 1, c, aliases);
		if (rules[i].origin == origin && alone.class == strongest.class && alone.place == strongest.place &&
		    alone.breadth == strongest.breadth)
			return true;
	}
	return false;
}

void check_known(const struct rule *rules, uint32_t n, const struct contact *c, uint32_t aliases)
{
	struct model_ruling wanted = model_of(rules, n, c, aliases);
	struct ruling got = rule_on(&policy, c, aliases);
	if (wanted.class != got.class)
		fail_contact(rules, n, c, aliases, "class", wanted.class, got.class);
	if (got.special != model_special(c->peer))
		fail_contact(rules, n, c, aliases, "special", model_special(c->peer), got.special);
	if (wanted.class == CLASS_NONE)
		return;
	if (got.prefix_length != wanted.place / 2)
		fail_contact(rules, n, c, aliases, "prefix length", wanted.place / 2, got.prefix_length);
	if (!is_origin(rules, n, c, aliases, got.origin))
		fail_contact(rules, n, c, aliases, "not the origin of the ruling", 0, got.origin);
}

/* P49: sure of itself only where all ports fare alike. */
static void check_unknown(struct contact c, uint32_t aliases)
{
	c.ports = PORTS_UNKNOWN;
	c.port = 0;
	uint32_t classes = model_classes(rule, count, &c, aliases), got = rule_on(&policy, &c, aliases).class;
	if (got != CLASS_UNCERTAIN && classes != 1u << got)
		fail_contact(rule, count, &c, aliases, "classes of its ports", classes, got);
	bool by_port = false;
	for (uint32_t i = 0; i < count; i++) {
		struct contact some = c;
		some.port = rule[i].only.first_port;
		by_port |= rule[i].only.has_ports && model_holds(&rule[i], &some, aliases);
	}
	if (got == CLASS_UNCERTAIN && !by_port)
		fail_contact(rule, count, &c, aliases, "no rule with ports speaks of it", classes, got);
}

/* "Could any protocol and port be had?" Never no where one could; yes only where some rule that allows speaks of it. */
static void check_any(struct contact c, uint32_t aliases)
{
	static const uint8_t protocols[] = { TCP, UDP, SCTP, ICMP4, ICMP6, ESP, GRE, 103, 200 };
	uint32_t classes = 0;
	bool some_allow = false;
	for (uint32_t p = 0; p < sizeof protocols; p++) {
		c.protocol = protocols[p];
		classes |= model_classes(rule, count, &c, aliases);
	}
	for (uint32_t i = 0; i < count; i++) {
		struct contact some = c;
		some.protocol = rule[i].only.has_protocol ? rule[i].only.protocol : TCP;
		some.port = rule[i].only.has_ports ? rule[i].only.first_port : 0;
		some_allow |= rule[i].class == CLASS_ALLOWED && model_holds(&rule[i], &some, aliases);
	}
	c.ports = PORTS_ANY;
	c.port = c.protocol = 0;
	uint32_t got = rule_on(&policy, &c, aliases).class;
	bool right = got == CLASS_ALLOWED   ? some_allow
		     : got == CLASS_BLOCKED ? classes == 1u << CLASS_BLOCKED
					    : got == CLASS_NONE && !(classes >> CLASS_ALLOWED & 1);
	if (!right)
		fail_contact(rule, count, &c, aliases, "any: classes", classes, got);
}

static void check_ways(struct address peer, uint8_t protocol, uint16_t port)
{
	for (uint8_t inward = 0; inward < 2; inward++) {
		uint32_t aliases = next_random() % 3 ? 1u << ALIAS_GLOBAL : next_random() & 0x1e;
		struct contact c = { .peer = peer,
				     .inward = inward,
				     .protocol = protocol,
				     .port = model_has_ports(protocol) ? port : 0,
				     .source_port = (uint16_t)next_random() };
		check_known(rule, count, &c, aliases);
		if (next_random() % 4 == 0)
			check_unknown(c, aliases);
		if (next_random() % 16 == 0)
			check_any(c, aliases);
	}
}

static uint16_t near_port(void)
{
	return (uint16_t)(next_random() % 8 ? next_random() % 24 : 65533 + next_random() % 3);
}

static void check_address(struct address peer)
{
	check_ways(peer, random_protocol(), near_port());
}

static void check_edges(struct address a, uint32_t length)
{
	uint64_t host = length >= 128 ? 0 : length <= 64 ? UINT64_MAX : UINT64_MAX >> (length - 64);
	uint64_t above = length >= 64 ? 0 : length == 0 ? UINT64_MAX : UINT64_MAX >> length;
	struct address first = { a.high & ~above, a.low & ~host }, last = { a.high | above, a.low | host };
	check_address(first);
	check_address((struct address){ first.high - (first.low == 0), first.low - 1 });
	check_address((struct address){ first.high, first.low + 1 });
	check_address(last);
	check_address((struct address){ last.high, last.low - 1 });
	check_address((struct address){ last.high + (last.low == UINT64_MAX), last.low + 1 });
}

static void set_random_rules(void)
{
	count = next_random() % (next_random() % 2 ? RULES : 6);
	for (uint32_t i = 0; i < count; i++) {
		rule[i] = random_rule();
		rule[i].origin = (uint16_t)(1000 + i);
	}
	compile(rule, count);
}

static void random_rules_equal_the_naive_reading(void **state)
{
	(void)state;
	for (int round = 0; round < (int)amount(ROUNDS); round++) {
		set_random_rules();
		for (uint32_t i = 0; i < count; i++)
			if (rule[i].alias == ALIAS_NONE)
				check_edges(rule[i].address, rule[i].prefix_length);
		for (uint32_t i = 0; i < SPECIAL_PURPOSE_COUNT; i += 1 + next_random() % 8)
			check_edges(special_purpose[i].address, special_purpose[i].prefix_length);
		for (int i = 0; i < 100; i++)
			check_address(random_peer(rule, count));
	}
}

/* At one peer all ports of all protocols that rules can tell apart. */
static void every_edge_of_every_port_range(void **state)
{
	(void)state;
	static const uint8_t protocols[] = { TCP, UDP, SCTP, ICMP4, ICMP6, ESP, 103 };
	for (int round = 0; round < (int)amount(ROUNDS); round++) {
		uint16_t port[MODEL_PORTS_MAX];
		set_random_rules();
		uint32_t ports = model_ports(rule, count, port);
		struct address peer = random_peer(rule, count);
		for (uint32_t p = 0; p < sizeof protocols; p++)
			for (uint32_t i = 0; i < ports; i++)
				check_ways(peer, protocols[p], port[i]);
	}
}

static void all_ports_of_a_few_rules(void **state)
{
	(void)state;
	for (int round = 0; round < 4; round++) {
		count = 6;
		for (uint32_t i = 0; i < count; i++) {
			do
				rule[i] = random_rule();
			while (!rule[i].only.has_ports || rule[i].alias != ALIAS_NONE);
			rule[i].address = address_of_ipv4(0x0a000001);
			rule[i].prefix_length = (uint8_t)(128 - i % 2);
			rule[i].only.first_port = (uint16_t)next_random();
			rule[i].only.last_port =
			    (uint16_t)(rule[i].only.first_port + next_random() % (65536 - rule[i].only.first_port));
		}
		compile(rule, count);
		struct contact c = { .peer = address_of_ipv4(0x0a000001),
				     .inward = round & 1,
				     .protocol = round & 2 ? TCP : UDP };
		for (uint32_t port = 0; port < 65536; port++) {
			c.port = (uint16_t)port;
			check_known(rule, count, &c, 0);
		}
	}
}

/* Every /16 edge and its neighbors: finer blocks are edges of the table and tested above. */
static void special_purpose_equals_the_naive_reading(void **state)
{
	(void)state;
	count = 0;
	compile(rule, 0);
	for (uint64_t a = 0; a <= 0xffffffff; a += 0x10000)
		for (uint64_t b = a == 0 ? 0 : a - 1; b < a + 1; b++) {
			struct contact c = { .peer = address_of_ipv4((uint32_t)b), .protocol = TCP, .port = 1 };
			check_known(rule, 0, &c, 1u << ALIAS_GLOBAL);
		}
}

/* P42, in both directions: a rule more moves the answer its own way only, and only where it speaks. */
static void one_rule_more_moves_one_way(void **state)
{
	(void)state;
	static struct policy before;
	for (int round = 0; round < (int)amount(ROUNDS); round++) {
		set_random_rules();
		before = policy;
		struct rule more = random_rule();
		rule[count] = more;
		compile(rule, count + 1);
		for (int i = 0; i < 200; i++) {
			struct contact c = { .peer = random_peer(rule, count + 1),
					     .inward = next_random() & 1,
					     .protocol = random_protocol() };
			c.port = model_has_ports(c.protocol) ? near_port() : 0;
			uint32_t aliases = next_random() & 0x1e;
			uint8_t old = rule_on(&before, &c, aliases).class, new = rule_on(&policy, &c, aliases).class;
			if (old != new && (new != more.class || !model_holds(&more, &c, aliases)))
				fail_contact(rule, count + 1, &c, aliases, "one rule more: before", old, new);
		}
	}
}

/* P43 */
static void order_and_repetition_change_nothing(void **state)
{
	(void)state;
	static struct policy first;
	static struct rule mixed[3 * RULES];
	for (int round = 0; round < (int)amount(ROUNDS); round++) {
		set_random_rules();
		first = policy;
		uint32_t n = 0;
		for (uint32_t i = 0; i < count; i++)
			for (uint32_t times = 1 + next_random() % 3; times > 0; times--)
				mixed[n++] = rule[i];
		for (uint32_t i = n; i > 1; i--) {
			uint32_t k = next_random() % i;
			struct rule r = mixed[k];
			mixed[k] = mixed[i - 1];
			mixed[i - 1] = r;
		}
		compile(mixed, n);
		for (int i = 0; i < 200; i++) {
			struct contact c = { .peer = random_peer(rule, count),
					     .inward = next_random() & 1,
					     .protocol = random_protocol(),
					     .ports = (uint8_t)(next_random() % 3) };
			c.port = model_has_ports(c.protocol) && c.ports == PORTS_KNOWN ? near_port() : 0;
			uint32_t aliases = next_random() & 0x1e;
			struct ruling a = rule_on(&first, &c, aliases), b = rule_on(&policy, &c, aliases);
			if (a.class != b.class || (a.class != CLASS_NONE && a.prefix_length != b.prefix_length))
				fail_contact(rule, count, &c, aliases, "another order: before", a.class, b.class);
		}
	}
}

/* docs/policy.md, Rules 2: each line is narrower than the next, at the same prefix. */
static void the_narrower_qualifier_decides(void **state)
{
	(void)state;
	static const struct qualifier ladder[] = {
		{ 1, TCP, 1, 0, 443, 443 }, { 0, 0, 1, 0, 443, 443 },   { 1, TCP, 1, 0, 443, 453 },
		{ 0, 0, 1, 0, 440, 453 },   { 1, TCP, 1, 0, 1, 65535 }, { 1, TCP, 0, 0, 0, 0 },
		{ 0, 0, 1, 0, 1, 65535 },   { 0, 0, 0, 0, 0, 0 },
	};
	enum { RUNGS = sizeof ladder / sizeof ladder[0] };
	for (uint32_t narrow = 0; narrow < RUNGS; narrow++)
		for (uint32_t wide = narrow; wide < RUNGS; wide++)
			for (uint8_t class = CLASS_ALLOWED; class <= CLASS_BLOCKED; class ++) {
				uint8_t other = class == CLASS_ALLOWED ? CLASS_BLOCKED : CLASS_ALLOWED;
				struct rule two[2] = { { .address = address_of_ipv4(0x0a000000),
							 .prefix_length = 104,
							 .class = class,
							 .directions = 3,
							 .only = ladder[narrow] } };
				two[1] = two[0];
				two[1].class = other;
				two[1].only = ladder[wide];
				two[0].directions = OUTWARD; /* a direction does not make a rule narrower */
				compile(two, 2);
				struct contact c = { .peer = address_of_ipv4(0x0a010203), .protocol = TCP, .port = 443 };
				assert_int_equal(rule_on(&policy, &c, 0).class, narrow == wide ? CLASS_BLOCKED : class);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_rules_equal_the_naive_reading),
		cmocka_unit_test(every_edge_of_every_port_range),
		cmocka_unit_test(all_ports_of_a_few_rules),
		cmocka_unit_test(special_purpose_equals_the_naive_reading),
		cmocka_unit_test(one_rule_more_moves_one_way),
		cmocka_unit_test(order_and_repetition_change_nothing),
		cmocka_unit_test(the_narrower_qualifier_decides),
		cmocka_unit_test(full_tables_are_reached_and_not_passed),
		cmocka_unit_test(thousands_of_ports_on_one_prefix),
		cmocka_unit_test(prefixes_of_all_lengths_with_ports),
		cmocka_unit_test(every_prefix_with_ports_of_its_own),
		cmocka_unit_test(every_address_is_found),
		cmocka_unit_test(thousands_of_addresses_are_as_near_as_a_few),
		cmocka_unit_test(thousands_of_ports_are_as_near_as_a_few),
		cmocka_unit_test(a_policy_has_a_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
