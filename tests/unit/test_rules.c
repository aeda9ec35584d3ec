/* The grammar of rules: what each text means, its normal form, and what is said of those that mean nothing. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "softnet/rules/rules.h"

#include <cmocka.h>

enum { TCP = 6, UDP = 17, ICMP = 1, SCTP = 132 };

static struct rule_list list;

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
	{ "vm:db", WITHOUT_DIRECTION, TARGET_VM, NULL, 0, -1, 0, 0 },
	{ "vm:Web-1.a_b:tcp/5432", WITHOUT_DIRECTION, TARGET_VM, NULL, 0, TCP, 5432, 5432 },
	{ "in vm:db:icmp", INBOUND, TARGET_VM, NULL, 0, ICMP, 0, 0 },
};

static void every_rule_is_read_whole(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
		const struct meaning *m = &meanings[i];
		struct rule_text rule;
		struct error error = { 0 };
		struct address address = { 0, 0 };
		if (!parse_rule(m->text, &rule, &error))
			fail_msg("%s: %s", m->text, error.text);
		assert_int_equal(rule.direction, m->direction);
		assert_int_equal(rule.target, m->target);
		assert_true(!m->address || parse_address(m->address, &address));
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
		"",
		"10.0.0.0/33",
		"10.0.0.0/",
		"10.0.0.0/-1",
		"10.0.0.0/8x",
		"10.0.0.0/8/8",
		"10.0.0",
		"10.0.0.256",
		"010.0.0.1x",
		"fd00::/129",
		"fd00:::/8",
		"fe80::1%eth0",
		"::ffff:10.0.0.1",
		"::ffff:0:0/96",
		"@",
		"@hosts",
		"@HOST",
		"Any",
		"host",
		"example.com:443",
		"in example.com",
		"example",
		"*.com",
		"a.*.com",
		"*a.com",
		"*",
		"*.",
		"exa mple.com",
		"example..com",
		".example.com",
		"1.2.3.4x",
		"example.com/24",
		"example.com:icmp",
		"example.com:tcp",
		"example.com:tcp/",
		"example.com:tls/0",
		"example.com:tls/",
		"example.com:TLS",
		"example.com:sctp/1",
		"in",
		"out",
		"into 10.0.0.0/8",
		"in in 10.0.0.0/8",
		"10.0.0.0/8 10.0.0.0/8",
		"10.0.0.0/8:",
		"10.0.0.0/8:0",
		"10.0.0.0/8:65536",
		"10.0.0.0/8:80-79",
		"10.0.0.0/8:80-",
		"10.0.0.0/8:-80",
		"10.0.0.0/8:tcp/",
		"10.0.0.0/8:tcp/x",
		"10.0.0.0/8:icmp/8",
		"10.0.0.0/8:tcpx",
		"10.0.0.0/8:80/tcp",
		"10.0.0.0/8:+80",
		"10.0.0.0/8: 80",
		"fd00::/8:443",
		"[fd00::/8:443",
		"[10.0.0.0]/8:443",
		"[]",
		"[",
		"]",
		"[fd00::1]2:443",
		"any:",
		"any/8",
		"@host/32",
		"1.2.3.4:tcp:80",
		"vm:",
		"vm::tcp/80",
		"vm:a b",
		"vm:db/32",
		"vm:db:",
		"vm:db:tls",
		"vm:52:54:00:00:00:0a", /* a VM without a name has none that could be written */
		"VM:db",
	};
	(void)unused;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct rule_text rule;
		struct error error = { 0 };
		char culprit[80];
		if (parse_rule(bad[i], &rule, &error))
			fail_msg("\"%s\" was taken", bad[i]);
		snprintf(culprit, sizeof culprit, "\"%s\": ", bad[i]);
		if (strncmp(error.text, culprit, strlen(culprit)) != 0)
			fail_msg("\"%s\": %s", bad[i], error.text);
	}
	struct rule_text rule;
	struct error error;
	assert_false(parse_rule("vm:0123456789012345678901234567890123456789012345678901234567890123", &rule, &error));
	assert_true(parse_rule("vm:012345678901234567890123456789012345678901234567890123456789012", &rule, &error));
}

static void start_list(void)
{
	memset(&list, 0, sizeof list);
}

static void add(const char *text, enum destination_class class)
{
	struct error error = { 0 };
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
		{ "in  vm:Db.1:5432-5432", "in vm:Db.1:5432" },
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

/* A small generator of our own, so that every machine tries the same rules. */
static uint64_t seed = 1;

static uint32_t random_below(uint32_t end)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 33) % end;
}

static struct rule_text random_rule(void)
{
	static const uint8_t protocols[] = { TCP, UDP, SCTP, ICMP, 50, 47 };
	struct rule_text rule;
	memset(&rule, 0, sizeof rule);
	rule.direction = (enum rule_direction)random_below(3);
	rule.target = (enum rule_target)random_below(TARGET_GLOBAL + 1);
	if (rule.target == TARGET_PREFIX && random_below(2)) {
		rule.prefix_length = 96 + random_below(33);
		rule.address = mask_address(address_of_ipv4(random_below(UINT32_MAX)), rule.prefix_length);
	} else if (rule.target == TARGET_PREFIX) {
		struct address a = { (uint64_t)(0x2000 + random_below(0xdfff)) << 48 | random_below(UINT32_MAX),
				     random_below(UINT32_MAX) };
		rule.prefix_length = random_below(129);
		rule.address = mask_address(a, rule.prefix_length);
	}
	rule.has_protocol = random_below(2);
	if (rule.has_protocol)
		rule.protocol = protocols[random_below(sizeof protocols)];
	rule.has_ports = random_below(2) &&
			 (!rule.has_protocol || rule.protocol == TCP || rule.protocol == UDP || rule.protocol == SCTP);
	if (rule.has_ports) {
		rule.first_port = (uint16_t)(1 + random_below(65535));
		rule.last_port = (uint16_t)(rule.first_port + random_below(65536u - rule.first_port));
	}
	return rule;
}

static bool same_text(const struct rule_text *a, const struct rule_text *b)
{
	return a->direction == b->direction && a->target == b->target && same_address(a->address, b->address) &&
	       a->prefix_length == b->prefix_length && a->has_protocol == b->has_protocol && a->protocol == b->protocol &&
	       a->has_ports == b->has_ports && a->first_port == b->first_port && a->last_port == b->last_port;
}

static void what_is_shown_can_be_read_back(void **unused)
{
	enum { TRIES = 100000 };
	(void)unused;
	for (int i = 0; i < TRIES; i++) {
		struct rule_text rule = random_rule(), again;
		struct error error = { 0 };
		char text[RULE_TEXT];
		if (!parse_rule(format_rule(&rule, text), &again, &error))
			fail_msg("%s", error.text);
		if (!same_text(&rule, &again))
			fail_msg("\"%s\" is read as another rule", text);
	}
}

/* Groups of zeros at every place, and all that may look like IPv4. */
static struct address random_address(void)
{
	uint64_t half[2] = { 0, 0 };
	for (int i = 0; i < 8; i++)
		half[i / 4] = half[i / 4] << 16 | (random_below(2)   ? 0
						   : random_below(2) ? 0xffff
								     : random_below(0x10000));
	return (struct address){ random_below(4) ? half[0] : 0, half[1] };
}

static void addresses_are_written_as_libc_does(void **unused)
{
	enum { TRIES = 100000 };
	(void)unused;
	for (int i = 0; i < TRIES; i++) {
		struct address a = random_address();
		char text[ADDRESS_TEXT], expected[ADDRESS_TEXT];
		uint8_t octets[16];
		int family = octets_of_address(a, octets) == 4 ? AF_INET : AF_INET6;
		assert_string_equal(format_address(a, text), inet_ntop(family, octets, expected, sizeof expected));
	}
}

static void the_longest_name_fits(void **unused)
{
	char name[NAME_MAX_OCTETS + 1], longest[RULE_TEXT], text[RULE_TEXT];
	struct rule_text rule;
	struct error error;
	(void)unused;
	for (int i = 0; i < NAME_MAX_OCTETS; i++)
		name[i] = i % 50 == 49 ? '.' : 'a';
	name[NAME_MAX_OCTETS] = '\0';
	snprintf(longest, sizeof longest, "out *.%s:quic/10000-65535", name);
	assert_true(parse_rule(longest, &rule, &error));
	assert_string_equal(format_rule(&rule, text), longest);
}

/* More than the octets that are compared first, and fewer; a text that begins another comes before it. */
static void rules_are_sorted_by_the_whole_text(void **unused)
{
	static const char *const expected[] = { "a.org",         "a.org:http",     "aaaaaaa.org",   "aaaaaaaa.org",
						"in 10.0.0.0/8", "out 10.0.0.0/8", "out a.org:http" };
	enum { COUNT = sizeof expected / sizeof *expected };
	(void)unused;
	start_list();
	for (int i = 0; i < COUNT; i++)
		add(expected[i * 3 % COUNT], CLASS_ALLOWED);
	normalize_rules(&list);
	assert_int_equal(list.count, COUNT);
	for (uint32_t i = 0; i < COUNT; i++)
		assert_string_equal(text_of(i), expected[i]);
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
	struct error error = { 0 };
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
		struct error error = { 0 };
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule_is_read_whole),
		cmocka_unit_test(what_means_nothing_is_refused_by_name),
		cmocka_unit_test(the_normal_form),
		cmocka_unit_test(the_longest_rule_fits),
		cmocka_unit_test(what_is_shown_can_be_read_back),
		cmocka_unit_test(addresses_are_written_as_libc_does),
		cmocka_unit_test(the_longest_name_fits),
		cmocka_unit_test(rules_are_sorted_by_the_whole_text),
		cmocka_unit_test(lists_are_sorted_and_say_things_once),
		cmocka_unit_test(exactly_one_rule_where_one_is_asked_for),
		cmocka_unit_test(lists_have_no_empty_items),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
