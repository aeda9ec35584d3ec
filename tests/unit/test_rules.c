/* The grammar of rules: what each text means, its normal form, and what is said of those that mean nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "softnet/rules.h"

#include <cmocka.h>

enum { TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58, SCTP = 132 };

static struct rule_list list;
static struct policy policy;

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
	{ "10.0.0.0/8", WITHOUT_DIRECTION, TARGET_PREFIX, "10.0.0.0", 104, -1, 0, 0 },
	{ "10.1.2.3/8", WITHOUT_DIRECTION, TARGET_PREFIX, "10.0.0.0", 104, -1, 0, 0 },
	{ "10.1.2.3", WITHOUT_DIRECTION, TARGET_PREFIX, "10.1.2.3", 128, -1, 0, 0 },
	{ "0.0.0.0/0", WITHOUT_DIRECTION, TARGET_PREFIX, "0.0.0.0", 96, -1, 0, 0 },
	{ "255.255.255.255/1", WITHOUT_DIRECTION, TARGET_PREFIX, "128.0.0.0", 97, -1, 0, 0 },
	{ "fd00::/8", WITHOUT_DIRECTION, TARGET_PREFIX, "fd00::", 8, -1, 0, 0 },
	{ "fd12:3456::1/8", WITHOUT_DIRECTION, TARGET_PREFIX, "fd00::", 8, -1, 0, 0 },
	{ "2001:db8::1", WITHOUT_DIRECTION, TARGET_PREFIX, "2001:db8::1", 128, -1, 0, 0 },
	{ "2001:db8:1:2:3::/65", WITHOUT_DIRECTION, TARGET_PREFIX, "2001:db8:1:2::", 65, -1, 0, 0 },
	{ "::/0", WITHOUT_DIRECTION, TARGET_PREFIX, "::", 0, -1, 0, 0 },
	{ "[fd00::]/8", WITHOUT_DIRECTION, TARGET_PREFIX, "fd00::", 8, -1, 0, 0 },
	{ "[fd00::]/8:443", WITHOUT_DIRECTION, TARGET_PREFIX, "fd00::", 8, -1, 443, 443 },
	{ "[fd00::1]:tcp/443", WITHOUT_DIRECTION, TARGET_PREFIX, "fd00::1", 128, TCP, 443, 443 },
	{ "in 10.0.0.0/8", INBOUND, TARGET_PREFIX, "10.0.0.0", 104, -1, 0, 0 },
	{ "out 10.0.0.0/8:443", OUTBOUND, TARGET_PREFIX, "10.0.0.0", 104, -1, 443, 443 },
	{ "out   @dns", OUTBOUND, TARGET_DNS, NULL, 0, -1, 0, 0 },
	{ "in @host:tcp/22", INBOUND, TARGET_HOST, NULL, 0, TCP, 22, 22 },
	{ "any:tcp/25", WITHOUT_DIRECTION, TARGET_ANY, NULL, 0, TCP, 25, 25 },
	{ "@dns:udp/53", WITHOUT_DIRECTION, TARGET_DNS, NULL, 0, UDP, 53, 53 },
	{ "@host:icmp", WITHOUT_DIRECTION, TARGET_HOST, NULL, 0, ICMP, 0, 0 },
	{ "1.2.3.4:5000-5010", WITHOUT_DIRECTION, TARGET_PREFIX, "1.2.3.4", 128, -1, 5000, 5010 },
	{ "1.2.3.0/24:udp/1-65535", WITHOUT_DIRECTION, TARGET_PREFIX, "1.2.3.0", 120, UDP, 1, 65535 },
	{ "@lan:sctp", WITHOUT_DIRECTION, TARGET_LAN, NULL, 0, SCTP, 0, 0 },
	{ "@gateway", WITHOUT_DIRECTION, TARGET_GATEWAY, NULL, 0, -1, 0, 0 },
	{ "@global", WITHOUT_DIRECTION, TARGET_GLOBAL, NULL, 0, -1, 0, 0 },
	{ "any", WITHOUT_DIRECTION, TARGET_ANY, NULL, 0, -1, 0, 0 },
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

static const char *text_of(uint32_t index)
{
	static char text[RULE_TEXT];
	assert_true(index < list.count);
	return format_rule(&list.rule[index].text, text);
}

static void the_normal_form(void **unused)
{
	static const char *const cases[][2] = {
		{ "10.1.2.3", "10.1.2.3/32" },
		{ "10.1.2.3/8", "10.0.0.0/8" },
		{ "1.2.3.4/0", "0.0.0.0/0" },
		{ "255.255.255.255/31", "255.255.255.254/31" },
		{ "10.1.2.3:443", "10.1.2.3/32:443" },
		{ "10.1.2.3/24:tcp/443-443", "10.1.2.0/24:tcp/443" },
		{ "10.1.2.3/24:443-444", "10.1.2.0/24:443-444" },
		{ "10.0.0.0/8:udp", "10.0.0.0/8:udp" },
		{ "fd00::1", "fd00::1/128" },
		{ "FD00:0:0::1/8", "fd00::/8" },
		{ "[fd00::]/8", "fd00::/8" },
		{ "[fd00::1]/8:tcp/443", "[fd00::]/8:tcp/443" },
		{ "[fd00::1]:icmp", "[fd00::1]/128:icmp" },
		{ "::/0", "::/0" },
		{ "in   10.1.2.3/8", "in 10.0.0.0/8" },
		{ "out\t@dns:udp/053", "out @dns:udp/53" },
		{ "any", "any" },
		{ "any:esp", "any:esp" },
		{ "@lan:gre", "@lan:gre" },
		{ "in @host:tcp/22", "in @host:tcp/22" },
		{ "@gateway:sctp/1-65535", "@gateway:sctp/1-65535" },
		{ "@global", "@global" },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start_list();
		add(cases[i][0], CLASS_ALLOWED);
		assert_string_equal(text_of(0), cases[i][1]);
		add(cases[i][1], CLASS_ALLOWED); /* and it means the same */
		assert_string_equal(text_of(1), cases[i][1]);
	}
}

static void the_longest_rule_fits(void **unused)
{
	static const char longest[] = "out [ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1]/128:sctp/10000-65535";
	(void)unused;
	start_list();
	add(longest, CLASS_BLOCKED);
	assert_string_equal(text_of(0), longest);
}

static void lists_are_sorted_and_say_things_once(void **unused)
{
	static struct rule_list other;
	static const char *const expected[] = { "10.0.0.0/8", "10.0.0.0/8:443", "any", "in @host", "10.0.0.0/8", "@dns" };
	(void)unused;
	start_list();
	add("@dns,10.9.9.9/8", CLASS_BLOCKED);
	add("in @host,10.0.0.0/8:443,10.0.0.0/8,any,10.1.0.0/8", CLASS_ALLOWED);
	add("@dns", CLASS_BLOCKED);
	normalize_rules(&list);
	assert_int_equal(list.count, 6);
	/* By octets, so '@' stands behind digits and before letters. */
	for (uint32_t i = 0; i < 6; i++) {
		assert_string_equal(text_of(i), expected[i]);
		assert_int_equal(list.rule[i].class, i < 4 ? CLASS_ALLOWED : CLASS_BLOCKED);
	}
	other = list;
	start_list();
	add("any,10.0.0.0/8,in @host,10.0.0.0/8:443", CLASS_ALLOWED);
	add("10.0.0.0/8,@dns", CLASS_BLOCKED);
	assert_false(same_rules(&list, &other));
	normalize_rules(&list);
	assert_true(same_rules(&list, &other));
	list.rule[4].class = CLASS_ALLOWED;
	assert_false(same_rules(&list, &other));
	list.rule[4].class = CLASS_BLOCKED;
	list.rule[1].text.last_port++;
	assert_false(same_rules(&list, &other));
}

static void exactly_one_rule_where_one_is_asked_for(void **unused)
{
	static const char *const bad[] = { "@host,@dns", " @host", "@host ", "", "@host," };
	struct usage_error error = { "" };
	(void)unused;
	start_list();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (add_rule(&list, bad[i], CLASS_ALLOWED, &error))
			fail_msg("\"%s\" was taken", bad[i]);
	assert_int_equal(list.count, 0);
	assert_true(add_rule(&list, "in @host", CLASS_BLOCKED, &error));
	assert_int_equal(list.count, 1);
	assert_int_equal(list.rule[0].class, CLASS_BLOCKED);
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
	assert_string_equal(text_of(1), "@host");
}

enum { HOST = 1 << ALIAS_HOST, GATEWAY = 1 << ALIAS_GATEWAY, DNS = 1 << ALIAS_DNS, GLOBAL = 1 << ALIAS_GLOBAL };

static void compile(bool both_ways)
{
	struct usage_error error = { "" };
	if (!compile_rules(&list, both_ways, &policy, &error))
		fail_msg("%s", error.text);
}

static struct ruling ask(const char *text, bool inward, uint8_t protocol, uint16_t port, uint32_t aliases)
{
	struct contact c = { .inward = inward, .protocol = protocol, .port = port, .ports = PORTS_KNOWN };
	assert_true(parse_address(text, &c.peer));
	return rule_on(&policy, &c, aliases);
}

static uint32_t class_of(const char *text)
{
	return ask(text, false, TCP, 80, GLOBAL).class;
}

static void lists_add_up_and_block_wins_at_equal_length(void **unused)
{
	(void)unused;
	start_list();
	add("10.0.0.0/8,192.168.1.0/24", CLASS_ALLOWED);
	add("10.1.0.0/16", CLASS_BLOCKED);
	add("10.1.2.0/24", CLASS_ALLOWED);
	add("192.168.1.77/24", CLASS_BLOCKED);
	compile(false);
	assert_int_equal(class_of("10.9.9.9"), CLASS_ALLOWED);
	assert_int_equal(class_of("10.1.9.9"), CLASS_BLOCKED);
	assert_int_equal(class_of("10.1.2.9"), CLASS_ALLOWED);
	assert_int_equal(class_of("192.168.1.9"), CLASS_BLOCKED);
	assert_int_equal(class_of("192.168.2.9"), CLASS_NONE);
	assert_int_equal(class_of("1.1.1.1"), CLASS_NONE);
}

static void aliases_block_before_allow_in_any_order(void **unused)
{
	(void)unused;
	start_list();
	add("@host,@gateway", CLASS_BLOCKED);
	add("@host,@dns,@global", CLASS_ALLOWED);
	add("@dns,@global", CLASS_BLOCKED);
	compile(false);
	assert_int_equal(ask("10.0.0.1", false, TCP, 80, HOST).class, CLASS_BLOCKED);
	assert_int_equal(ask("10.0.0.1", false, TCP, 80, GATEWAY).class, CLASS_BLOCKED);
	assert_int_equal(ask("10.0.0.1", false, TCP, 80, DNS).class, CLASS_BLOCKED);
	assert_int_equal(class_of("1.1.1.1"), CLASS_BLOCKED);
	start_list();
	add("@global,@gateway", CLASS_ALLOWED);
	compile(false);
	assert_int_equal(ask("10.0.0.1", false, TCP, 80, GATEWAY).class, CLASS_ALLOWED);
	assert_int_equal(ask("10.0.0.1", false, TCP, 80, HOST).class, CLASS_NONE);
	assert_int_equal(class_of("1.1.1.1"), CLASS_ALLOWED);
}

static void lan_means_the_private_blocks(void **unused)
{
	static const char *const inside[] = { "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1",
					      "100.127.255.255", "169.254.1.1", "fc00::1", "fdff::1", "fe80::1" };
	static const char *const outside[] = { "11.0.0.1", "172.32.0.1", "100.128.0.1", "192.169.0.1", "2001:4860::1" };
	(void)unused;
	start_list();
	add("@lan", CLASS_ALLOWED);
	compile(false);
	for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
		assert_int_equal(class_of(inside[i]), CLASS_ALLOWED);
	for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
		assert_int_equal(class_of(outside[i]), CLASS_NONE);
}

static void zero_is_one_family_and_any_is_both(void **unused)
{
	static const struct {
		const char *text;
		uint32_t ipv4, ipv6;
	} cases[] = {
		{ "0.0.0.0/0", CLASS_ALLOWED, CLASS_NONE },
		{ "::/0", CLASS_NONE, CLASS_ALLOWED },
		{ "any", CLASS_ALLOWED, CLASS_ALLOWED },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start_list();
		add(cases[i].text, CLASS_ALLOWED);
		compile(false);
		assert_int_equal(class_of("10.0.0.1"), cases[i].ipv4);
		assert_int_equal(class_of("fd00::1"), cases[i].ipv6);
	}
}

static void qualifiers_reach_the_policy(void **unused)
{
	(void)unused;
	start_list();
	add("10.0.0.0/8:443,10.0.0.0/8:tcp/8000-8009,10.0.0.0/8:icmp,[fd00::]/8:icmp,@dns:udp/53", CLASS_ALLOWED);
	add("10.0.0.0/8:tcp/8005", CLASS_BLOCKED);
	compile(false);
	assert_int_equal(ask("10.0.0.1", false, TCP, 443, 0).class, CLASS_ALLOWED);
	assert_int_equal(ask("10.0.0.1", false, UDP, 443, 0).class, CLASS_ALLOWED);
	assert_int_equal(ask("10.0.0.1", false, SCTP, 443, 0).class, CLASS_NONE);
	assert_int_equal(ask("10.0.0.1", false, TCP, 444, 0).class, CLASS_NONE);
	assert_int_equal(ask("10.0.0.1", false, TCP, 8000, 0).class, CLASS_ALLOWED);
	assert_int_equal(ask("10.0.0.1", false, TCP, 8009, 0).class, CLASS_ALLOWED);
	assert_int_equal(ask("10.0.0.1", false, TCP, 8010, 0).class, CLASS_NONE);
	assert_int_equal(ask("10.0.0.1", false, UDP, 8001, 0).class, CLASS_NONE);
	assert_int_equal(ask("10.0.0.1", false, TCP, 8005, 0).class, CLASS_BLOCKED);
	assert_int_equal(ask("10.0.0.1", false, ICMP, 0, 0).class, CLASS_ALLOWED);
	assert_int_equal(ask("fd00::1", false, ICMP6, 0, 0).class, CLASS_ALLOWED);
	assert_int_equal(ask("fd00::1", false, TCP, 443, 0).class, CLASS_NONE);
	assert_int_equal(ask("1.1.1.1", false, UDP, 53, DNS).class, CLASS_ALLOWED);
	assert_int_equal(ask("1.1.1.1", false, UDP, 54, DNS).class, CLASS_NONE);
}

static void directions_reach_the_policy(void **unused)
{
	(void)unused;
	for (int both_ways = 0; both_ways < 2; both_ways++) {
		start_list();
		add("in 10.0.0.0/8,out 172.16.0.0/12,192.168.0.0/16", CLASS_ALLOWED);
		compile(both_ways);
		assert_int_equal(ask("10.0.0.1", true, TCP, 22, 0).class, CLASS_ALLOWED);
		assert_int_equal(ask("10.0.0.1", false, TCP, 22, 0).class, CLASS_NONE);
		assert_int_equal(ask("172.16.0.1", true, TCP, 22, 0).class, CLASS_NONE);
		assert_int_equal(ask("172.16.0.1", false, TCP, 22, 0).class, CLASS_ALLOWED);
		assert_int_equal(ask("192.168.0.1", true, TCP, 22, 0).class, both_ways ? CLASS_ALLOWED : CLASS_NONE);
		assert_int_equal(ask("192.168.0.1", false, TCP, 22, 0).class, CLASS_ALLOWED);
	}
}

/* So that whoever asks can be told the rule as it was written. */
static void the_origin_is_the_place_in_the_list(void **unused)
{
	static const char *const rules[] = { "@host", "any", "@lan", "10.1.0.0/16", "10.1.0.0/16:443", "@global" };
	enum { RULES = sizeof rules / sizeof *rules };
	static const struct {
		const char *address;
		uint16_t port;
		uint32_t aliases;
		uint16_t origin;
	} cases[] = {
		{ "10.1.0.1", 80, HOST, 0 },   { "192.0.2.1", 80, 0, 1 },   { "3fff::1", 80, 0, 1 },
		{ "fe80::1", 80, 0, 2 },       { "10.2.0.1", 80, 0, 2 },    { "10.1.0.1", 80, 0, 3 },
		{ "10.1.0.1", 443, 0, 4 },     { "1.1.1.1", 80, GLOBAL, 5 },
	};
	(void)unused;
	start_list();
	for (int i = 0; i < RULES; i++)
		add(rules[i], CLASS_ALLOWED);
	compile(false);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ruling ruling = ask(cases[i].address, false, TCP, cases[i].port, cases[i].aliases);
		assert_int_equal(ruling.class, CLASS_ALLOWED);
		if (ruling.origin != cases[i].origin)
			fail_msg("%s:%u: rule %u", cases[i].address, cases[i].port, ruling.origin);
	}
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
		{ "out 0.0.0.0/0", CLASS_ALLOWED, true },  { "out any", CLASS_ALLOWED, true },
		{ "in 0.0.0.0/0", CLASS_ALLOWED, false },  { "in any", CLASS_ALLOWED, false },
		{ "0.0.0.0/0:443", CLASS_ALLOWED, false }, { "any:tcp", CLASS_ALLOWED, false },
		{ "0.0.0.0/0", CLASS_BLOCKED, false },     { "::/0", CLASS_ALLOWED, false },
		{ "0.0.0.0/1,128.0.0.0/1", CLASS_ALLOWED, false }, { "@lan", CLASS_ALLOWED, false },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start_list();
		add(cases[i].text, cases[i].class);
		assert_int_equal(opens_ipv4(&list), cases[i].opens);
	}
}

/* Services of the host that listen on its loopback address are opened by its name, and never more of them than written. */
static void the_host_is_opened_by_name(void **unused)
{
	static const struct {
		const char *allow, *block;
		bool opens;
	} cases[] = {
		{ "@host", NULL, true },               { "out @host", NULL, true },
		{ "in @host", NULL, false },           { "@gateway", NULL, false },
		{ "0.0.0.0/0", NULL, false },          { "@host", "@host", false },
		{ "@host", "@host:tcp/22", true },     { "@host", "in @host", true },
		{ "@host:tcp/80", NULL, false },       { "@host:tcp/80", "any", false },
		{ "@host:tcp/80", "@host", true },     { "in @host:tcp/80", "@host", false },
		{ "@host:tcp/80", "@host:tcp/22", false },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start_list();
		add(cases[i].allow, CLASS_ALLOWED);
		if (cases[i].block != NULL)
			add(cases[i].block, CLASS_BLOCKED);
		if (opens_host(&list) != cases[i].opens)
			fail_msg("allow %s, block %s", cases[i].allow, cases[i].block);
	}
}

static void who_says_in_or_out(void **unused)
{
	(void)unused;
	start_list();
	assert_false(has_directional_rules(&list) || has_bare_rules(&list));
	add("10.0.0.0/8:443", CLASS_ALLOWED);
	assert_true(!has_directional_rules(&list) && has_bare_rules(&list));
	add("in @host", CLASS_BLOCKED);
	add("out @dns", CLASS_ALLOWED);
	assert_true(has_directional_rules(&list) && has_bare_rules(&list));
	assert_null(find_inbound_allow(&list));
	add("in @dns", CLASS_ALLOWED);
	assert_ptr_equal(find_inbound_allow(&list), &list.rule[3]);
	start_list();
	add("in @host", CLASS_BLOCKED);
	assert_true(has_directional_rules(&list) && !has_bare_rules(&list));
}

static void the_list_has_an_end(void **unused)
{
	struct usage_error error = { "" };
	(void)unused;
	start_list();
	for (int i = 0; i < RULES_MAX; i++)
		assert_true(add_rules(&list, "any", CLASS_ALLOWED, &error));
	compile(true);
	assert_false(add_rules(&list, "10.0.0.0/8", CLASS_ALLOWED, &error));
	assert_string_equal(error.text, "\"10.0.0.0/8\": more than 4096 rules");
	assert_int_equal(list.count, RULES_MAX);
}

static void prefixes_have_an_end_too(void **unused)
{
	struct usage_error error = { "" };
	(void)unused;
	start_list();
	for (int i = 0; i < 8192 / 7 + 1; i++) {
		char text[32];
		snprintf(text, sizeof text, "@lan:%d", i + 1);
		add(text, CLASS_ALLOWED);
	}
	assert_false(compile_rules(&list, false, &policy, &error));
	assert_string_equal(error.text, "\"@lan:1171\": the rules stand for more than 8192 prefixes");
	list.count--;
	compile(false);
	assert_int_equal(ask("fe80::1", false, TCP, 1170, 0).class, CLASS_ALLOWED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule_is_read_whole),
		cmocka_unit_test(what_means_nothing_is_refused_by_name),
		cmocka_unit_test(the_normal_form),
		cmocka_unit_test(the_longest_rule_fits),
		cmocka_unit_test(lists_are_sorted_and_say_things_once),
		cmocka_unit_test(exactly_one_rule_where_one_is_asked_for),
		cmocka_unit_test(lists_have_no_empty_items),
		cmocka_unit_test(lists_add_up_and_block_wins_at_equal_length),
		cmocka_unit_test(aliases_block_before_allow_in_any_order),
		cmocka_unit_test(lan_means_the_private_blocks),
		cmocka_unit_test(zero_is_one_family_and_any_is_both),
		cmocka_unit_test(qualifiers_reach_the_policy),
		cmocka_unit_test(directions_reach_the_policy),
		cmocka_unit_test(the_origin_is_the_place_in_the_list),
		cmocka_unit_test(only_an_allow_of_all_ipv4_opens_it),
		cmocka_unit_test(the_host_is_opened_by_name),
		cmocka_unit_test(who_says_in_or_out),
		cmocka_unit_test(the_list_has_an_end),
		cmocka_unit_test(prefixes_have_an_end_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
