/* The grammar of --allow and --block: what each text means, and what is said of those that mean nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "softnet/rules.h"

#include <cmocka.h>

enum { TCP = 6, UDP = 17, ICMP = 1, SCTP = 132 };

static struct rule_list list;
static struct policy policy;

/* What becomes of the address when the guest calls it, as far as rules and the table of special addresses go. */
static uint32_t class_at(const struct policy *of, struct address a)
{
	struct contact c = { .peer = a, .protocol = 6, .port = 80 };
	struct ruling ruling = rule_on(of, &c, 0);
	return ruling.special == CLASS_NEVER || ruling.class == CLASS_NONE ? ruling.special : ruling.class;
}

struct meaning {
	const char *text;
	enum rule_direction direction;
	enum rule_target target;
	const char *address;
	uint32_t prefix_length; /* in 128 bits */
	int protocol;           /* -1: any */
	uint16_t first_port, last_port;
};

static const struct meaning meanings[] = {
	{ "10.0.0.0/8", BOTH_WAYS, TARGET_PREFIX, "10.0.0.0", 104, -1, 0, 0 },
	{ "10.1.2.3/8", BOTH_WAYS, TARGET_PREFIX, "10.0.0.0", 104, -1, 0, 0 },
	{ "10.1.2.3", BOTH_WAYS, TARGET_PREFIX, "10.1.2.3", 128, -1, 0, 0 },
	{ "0.0.0.0/0", BOTH_WAYS, TARGET_PREFIX, "0.0.0.0", 96, -1, 0, 0 },
	{ "255.255.255.255/1", BOTH_WAYS, TARGET_PREFIX, "128.0.0.0", 97, -1, 0, 0 },
	{ "fd00::/8", BOTH_WAYS, TARGET_PREFIX, "fd00::", 8, -1, 0, 0 },
	{ "fd12:3456::1/8", BOTH_WAYS, TARGET_PREFIX, "fd00::", 8, -1, 0, 0 },
	{ "2001:db8::1", BOTH_WAYS, TARGET_PREFIX, "2001:db8::1", 128, -1, 0, 0 },
	{ "2001:db8:1:2:3::/65", BOTH_WAYS, TARGET_PREFIX, "2001:db8:1:2::", 65, -1, 0, 0 },
	{ "::/0", BOTH_WAYS, TARGET_PREFIX, "::", 0, -1, 0, 0 },
	{ "[fd00::]/8", BOTH_WAYS, TARGET_PREFIX, "fd00::", 8, -1, 0, 0 },
	{ "[fd00::]/8:443", BOTH_WAYS, TARGET_PREFIX, "fd00::", 8, -1, 443, 443 },
	{ "[fd00::1]:tcp/443", BOTH_WAYS, TARGET_PREFIX, "fd00::1", 128, TCP, 443, 443 },
	{ "in 10.0.0.0/8", INBOUND, TARGET_PREFIX, "10.0.0.0", 104, -1, 0, 0 },
	{ "out 10.0.0.0/8:443", OUTBOUND, TARGET_PREFIX, "10.0.0.0", 104, -1, 443, 443 },
	{ "out   @dns", OUTBOUND, TARGET_DNS, NULL, 0, -1, 0, 0 },
	{ "in @host:tcp/22", INBOUND, TARGET_HOST, NULL, 0, TCP, 22, 22 },
	{ "any:tcp/25", BOTH_WAYS, TARGET_ANY, NULL, 0, TCP, 25, 25 },
	{ "@dns:udp/53", BOTH_WAYS, TARGET_DNS, NULL, 0, UDP, 53, 53 },
	{ "@host:icmp", BOTH_WAYS, TARGET_HOST, NULL, 0, ICMP, 0, 0 },
	{ "1.2.3.4:5000-5010", BOTH_WAYS, TARGET_PREFIX, "1.2.3.4", 128, -1, 5000, 5010 },
	{ "1.2.3.0/24:udp/1-65535", BOTH_WAYS, TARGET_PREFIX, "1.2.3.0", 120, UDP, 1, 65535 },
	{ "@lan:sctp", BOTH_WAYS, TARGET_LAN, NULL, 0, SCTP, 0, 0 },
	{ "@gateway", BOTH_WAYS, TARGET_GATEWAY, NULL, 0, -1, 0, 0 },
	{ "@global", BOTH_WAYS, TARGET_GLOBAL, NULL, 0, -1, 0, 0 },
	{ "any", BOTH_WAYS, TARGET_ANY, NULL, 0, -1, 0, 0 },
};

static void every_rule_is_read_whole(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
		const struct meaning *m = &meanings[i];
		struct rule_text rule;
		struct usage_error error = { "" };
		struct address address = { 0, 0 };
		if (!parse_rule(m->text, &rule, &error))
			fail_msg("%s: %s", m->text, error.text);
		assert_int_equal(rule.direction, m->direction);
		assert_int_equal(rule.target, m->target);
		assert_true(m->address == NULL || parse_address(m->address, &address));
		if (!same_address(rule.address, address) || rule.prefix_length != m->prefix_length)
			fail_msg("%s: another prefix: /%u", m->text, rule.prefix_length);
		assert_int_equal(rule.has_protocol, m->protocol >= 0);
		assert_int_equal(rule.protocol, m->protocol >= 0 ? m->protocol : 0);
		assert_int_equal(rule.has_ports, m->first_port != 0);
		assert_int_equal(rule.first_port, m->first_port);
		assert_int_equal(rule.last_port, m->last_port);
	}
}

static void what_means_nothing_is_refused_by_name(void **unused)
{
	static const char *const bad[] = {
		"", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/8/8", "10.0.0", "10.0.0.256", "010.0.0.1x",
		"fd00::/129", "fd00:::/8", "fe80::1%eth0", "::ffff:10.0.0.1", "::ffff:0:0/96", "@", "@hosts", "@HOST", "Any",
		"host", "example.com", "in", "out", "into 10.0.0.0/8", "in in 10.0.0.0/8", "10.0.0.0/8 10.0.0.0/8",
		"10.0.0.0/8:", "10.0.0.0/8:0", "10.0.0.0/8:65536", "10.0.0.0/8:80-79", "10.0.0.0/8:80-", "10.0.0.0/8:-80",
		"10.0.0.0/8:tcp/", "10.0.0.0/8:tcp/x", "10.0.0.0/8:icmp/8", "10.0.0.0/8:tcpx", "10.0.0.0/8:80/tcp",
		"10.0.0.0/8:+80", "10.0.0.0/8: 80", "fd00::/8:443", "[fd00::/8:443", "[10.0.0.0]/8:443", "[]", "[", "]",
		"any:", "any/8", "@host/32", "1.2.3.4:tcp:80",
	};
	(void)unused;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct rule_text rule;
		struct usage_error error = { "" };
		char culprit[80];
		if (parse_rule(bad[i], &rule, &error))
			fail_msg("\"%s\" was taken", bad[i]);
		snprintf(culprit, sizeof culprit, "\"%s\": expected ", bad[i]);
		if (strncmp(error.text, culprit, strlen(culprit)) != 0)
			fail_msg("\"%s\": %s", bad[i], error.text);
	}
}

static void start_list(void)
{
	memset(&list, 0, sizeof list);
	memset(&policy, 0, sizeof policy);
}

static void add(const char *text, enum destination_class class)
{
	struct usage_error error = { "" };
	if (!add_rules(&list, text, class, &error))
		fail_msg("%s: %s", text, error.text);
}

static void qualified_rules_are_understood_but_not_available(void **unused)
{
	static const char *const cases[][2] = {
		{ "10.0.0.0/8:443", "\"10.0.0.0/8:443\": rules with ports are not available in this version" },
		{ "@host, any:tcp/25", "\"any:tcp/25\": rules with ports are not available in this version" },
		{ "@host:icmp", "\"@host:icmp\": rules with a protocol are not available in this version" },
		{ "in @host,out 10.0.0.0/8", "\"in @host\": rules with a direction are not available in this version" },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct usage_error error = { "" };
		start_list();
		assert_false(add_rules(&list, cases[i][0], CLASS_ALLOWED, &error));
		assert_string_equal(error.text, cases[i][1]);
	}
}

static void lists_have_no_empty_items(void **unused)
{
	static const char *const bad[] = { "", ",", "10.0.0.0/8,", ",10.0.0.0/8", "10.0.0.0/8,,@host", "@host, ", " " };
	(void)unused;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct usage_error error = { "" };
		start_list();
		if (add_rules(&list, bad[i], CLASS_ALLOWED, &error))
			fail_msg("\"%s\" was taken", bad[i]);
		assert_non_null(strstr(error.text, "empty items"));
	}
	start_list();
	add(" 10.0.0.0/8 ,\t@host", CLASS_ALLOWED); /* blanks around items do no harm */
	assert_int_equal(list.count, 2);
	assert_true(list.opens_host);
}

static uint32_t class_of(const char *text)
{
	struct address a;
	assert_true(parse_address(text, &a));
	return class_at(&policy, a);
}

static void lists_add_up_and_block_wins_at_equal_length(void **unused)
{
	(void)unused;
	start_list();
	add("10.0.0.0/8,192.168.1.0/24", CLASS_ALLOWED);
	add("10.1.0.0/16", CLASS_BLOCKED);
	add("10.1.2.0/24", CLASS_ALLOWED);
	add("192.168.1.77/24", CLASS_BLOCKED);
	assert_true(compile_rules(&list, &policy));
	assert_int_equal(class_of("10.9.9.9"), CLASS_ALLOWED);
	assert_int_equal(class_of("10.1.9.9"), CLASS_BLOCKED);
	assert_int_equal(class_of("10.1.2.9"), CLASS_ALLOWED);
	assert_int_equal(class_of("192.168.1.9"), CLASS_BLOCKED);
	assert_int_equal(class_of("192.168.2.9"), CLASS_PRIVATE);
	assert_int_equal(class_of("1.1.1.1"), CLASS_GLOBAL);
}

/* Of a global address that is in the alias's set and no other. */
static uint32_t class_of_alias(enum alias alias)
{
	struct contact c = { .peer = address_of_ipv4(0x01010101), .protocol = 6, .port = 80 };
	return rule_on(&policy, &c, 1u << alias).class;
}

static void aliases_block_before_allow_in_any_order(void **unused)
{
	(void)unused;
	start_list();
	add("@host,@gateway", CLASS_BLOCKED);
	add("@host,@dns,@global", CLASS_ALLOWED);
	add("@dns,@global", CLASS_BLOCKED);
	assert_true(compile_rules(&list, &policy));
	assert_int_equal(class_of_alias(ALIAS_HOST), CLASS_BLOCKED);
	assert_int_equal(class_of_alias(ALIAS_GATEWAY), CLASS_BLOCKED);
	assert_int_equal(class_of_alias(ALIAS_DNS), CLASS_BLOCKED);
	assert_int_equal(class_of_alias(ALIAS_GLOBAL), CLASS_BLOCKED);
	start_list();
	add("@global,@gateway", CLASS_ALLOWED);
	assert_true(compile_rules(&list, &policy));
	assert_int_equal(class_of_alias(ALIAS_GATEWAY), CLASS_ALLOWED);
	assert_int_equal(class_of_alias(ALIAS_HOST), CLASS_NONE);
	assert_int_equal(class_of_alias(ALIAS_GLOBAL), CLASS_ALLOWED);
}

static void lan_means_the_private_blocks(void **unused)
{
	static const char *const inside[] = { "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1",
					      "100.127.255.255", "169.254.1.1", "fc00::1", "fdff::1", "fe80::1" };
	static const char *const outside[] = { "11.0.0.1", "172.32.0.1", "100.128.0.1", "192.169.0.1", "2001:4860::1" };
	(void)unused;
	start_list();
	add("@lan", CLASS_ALLOWED);
	assert_true(compile_rules(&list, &policy));
	for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
		assert_int_equal(class_of(inside[i]), CLASS_ALLOWED);
	for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
		assert_int_not_equal(class_of(outside[i]), CLASS_ALLOWED);
}

static void zero_is_one_family_and_any_is_both(void **unused)
{
	(void)unused;
	start_list();
	add("0.0.0.0/0", CLASS_ALLOWED);
	assert_true(compile_rules(&list, &policy));
	assert_int_equal(class_of("10.0.0.1"), CLASS_ALLOWED);
	assert_int_equal(class_of("fd00::1"), CLASS_PRIVATE);
	start_list();
	add("::/0", CLASS_ALLOWED);
	assert_true(compile_rules(&list, &policy));
	assert_int_equal(class_of("10.0.0.1"), CLASS_PRIVATE);
	assert_int_equal(class_of("fd00::1"), CLASS_ALLOWED);
	start_list();
	add("any", CLASS_ALLOWED);
	assert_true(compile_rules(&list, &policy));
	assert_int_equal(class_of("10.0.0.1"), CLASS_ALLOWED);
	assert_int_equal(class_of("fd00::1"), CLASS_ALLOWED);
}

static void only_an_allow_of_all_ipv4_opens_it(void **unused)
{
	static const struct {
		const char *text;
		enum destination_class class;
		bool opens;
	} cases[] = {
		{ "0.0.0.0/0", CLASS_ALLOWED, true },      { "1.2.3.4/0", CLASS_ALLOWED, true },
		{ "any", CLASS_ALLOWED, true },            { "@host,0.0.0.0/0", CLASS_ALLOWED, true },
		{ "0.0.0.0/0", CLASS_BLOCKED, false },     { "::/0", CLASS_ALLOWED, false },
		{ "0.0.0.0/1,128.0.0.0/1", CLASS_ALLOWED, false }, { "@lan", CLASS_ALLOWED, false },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start_list();
		add(cases[i].text, cases[i].class);
		assert_int_equal(list.opens_ipv4, cases[i].opens);
	}
}

static void the_list_has_an_end(void **unused)
{
	struct usage_error error = { "" };
	(void)unused;
	start_list();
	for (int i = 0; i < RULES_MAX; i++)
		assert_true(add_rules(&list, "10.0.0.0/8", CLASS_ALLOWED, &error));
	assert_true(compile_rules(&list, &policy));
	assert_false(add_rules(&list, "10.0.0.0/8", CLASS_ALLOWED, &error));
	assert_string_equal(error.text, "more than 4096 rules");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule_is_read_whole),
		cmocka_unit_test(what_means_nothing_is_refused_by_name),
		cmocka_unit_test(qualified_rules_are_understood_but_not_available),
		cmocka_unit_test(lists_have_no_empty_items),
		cmocka_unit_test(lists_add_up_and_block_wins_at_equal_length),
		cmocka_unit_test(aliases_block_before_allow_in_any_order),
		cmocka_unit_test(lan_means_the_private_blocks),
		cmocka_unit_test(zero_is_one_family_and_any_is_both),
		cmocka_unit_test(only_an_allow_of_all_ipv4_opens_it),
		cmocka_unit_test(the_list_has_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
