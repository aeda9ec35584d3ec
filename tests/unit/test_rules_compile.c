/* What a list of rules means as a whole: what reaches the policy, what it opens, and where it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "softnet/rules/rule_vms.h"

#include <cmocka.h>

enum { TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58, SCTP = 132 };

static struct rule_list list;
static struct policy policy;

static void start_list(void)
{
	memset(&list, 0, sizeof list);
	memset(&policy, 0, sizeof policy);
}

static void add(const char *text, enum destination_class class)
{
	struct error error = { 0 };
	if (!add_rules(&list, text, class, &error))
		fail_msg("%s: %s", text, error.text);
}

enum { HOST = 1 << ALIAS_HOST, GATEWAY = 1 << ALIAS_GATEWAY, DNS = 1 << ALIAS_DNS, GLOBAL = 1 << ALIAS_GLOBAL };

static void compile(bool both_ways)
{
	struct error error = { 0 };
	if (!compile_rules(&list, both_ways, NULL, &policy, &error))
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

static struct vm_addresses vms;

static void put_vm(const char *vm, const char *text)
{
	snprintf(vms.item[vms.count].vm, sizeof vms.item[0].vm, "%s", vm);
	assert_true(parse_address(text, &vms.item[vms.count++].address));
}

static void a_vm_is_the_addresses_that_it_has(void **unused)
{
	struct error error;
	(void)unused;
	start_list();
	vms.count = 0;
	add("vm:db:tcp/80", CLASS_ALLOWED);
	add("10.0.0.0/8", CLASS_BLOCKED);
	assert_true(compile_rules(&list, false, NULL, &policy, &error));
	assert_int_equal(class_of("10.0.0.5"), CLASS_BLOCKED);
	put_vm("db", "10.0.0.5");
	put_vm("db", "fd00::5");
	put_vm("db2", "10.0.0.6");
	assert_true(compile_rules(&list, false, &vms, &policy, &error));
	assert_int_equal(class_of("10.0.0.5"), CLASS_ALLOWED);
	assert_int_equal(ask("10.0.0.5", false, TCP, 81, 0).class, CLASS_BLOCKED);
	assert_int_equal(ask("10.0.0.5", true, TCP, 80, 0).class, CLASS_NONE); /* what the guest opens, only */
	assert_int_equal(class_of("fd00::5"), CLASS_ALLOWED);
	assert_int_equal(ask("10.0.0.5", false, TCP, 80, 0).origin, 0);
	assert_int_equal(class_of("10.0.0.6"), CLASS_BLOCKED);
	assert_int_equal(class_of("10.0.0.4"), CLASS_BLOCKED);
}

static void vms_with_more_addresses_than_there_is_room_for(void **unused)
{
	struct error error;
	char text[ADDRESS_TEXT], rule[RULE_TEXT];
	(void)unused;
	start_list();
	vms.count = 0;
	for (uint32_t i = 0; i < VM_ADDRESSES_MAX; i++) {
		snprintf(text, sizeof text, "10.0.%u.%u", i / 250, i % 250 + 1);
		put_vm("db", text);
	}
	for (uint32_t i = 0; i <= RULE_PREFIXES_MAX / VM_ADDRESSES_MAX; i++) {
		snprintf(rule, sizeof rule, "vm:db:tcp/%u", i + 1);
		add(rule, CLASS_ALLOWED);
	}
	assert_false(compile_rules(&list, false, &vms, &policy, &error));
	assert_string_equal(error.text, "\"vm:db:tcp/33\": the rules stand for more than 8192 prefixes");
	assert_true(compile_rules(&list, false, NULL, &policy, &error));
}

static void a_vm_cannot_be_blocked(void **unused)
{
	struct error error;
	(void)unused;
	start_list();
	assert_false(add_rules(&list, "vm:db", CLASS_BLOCKED, &error));
	assert_string_equal(error.text,
			    "\"vm:db\": a VM can be allowed, and not blocked: nobody knows what it has while its "
			    "guard does not run");
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
	static const char *const inside[] = { "10.0.0.1",   "172.16.0.1",      "172.31.255.255", "192.168.0.1",
					      "100.64.0.1", "100.127.255.255", "169.254.1.1",    "fc00::1",
					      "fdff::1",    "fe80::1" };
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

/* So that a user who asks can be told the rule as it was written. */
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
		{ "10.1.0.1", 80, HOST, 0 }, { "192.0.2.1", 80, 0, 1 },    { "3fff::1", 80, 0, 1 },
		{ "fe80::1", 80, 0, 2 },     { "10.2.0.1", 80, 0, 2 },     { "10.1.0.1", 80, 0, 3 },
		{ "10.1.0.1", 443, 0, 4 },   { "1.1.1.1", 80, GLOBAL, 5 },
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
		{ "0.0.0.0/0", CLASS_ALLOWED, true },
		{ "1.2.3.4/0", CLASS_ALLOWED, true },
		{ "any", CLASS_ALLOWED, true },
		{ "@host,0.0.0.0/0", CLASS_ALLOWED, true },
		{ "out 0.0.0.0/0", CLASS_ALLOWED, false },
		{ "out any", CLASS_ALLOWED, false },
		{ "out 0.0.0.0/0,0.0.0.0/0", CLASS_ALLOWED, true },
		{ "out ::/0", CLASS_ALLOWED, false },
		{ "in 0.0.0.0/0", CLASS_ALLOWED, false },
		{ "in any", CLASS_ALLOWED, false },
		{ "0.0.0.0/0:443", CLASS_ALLOWED, false },
		{ "any:tcp", CLASS_ALLOWED, false },
		{ "0.0.0.0/0", CLASS_BLOCKED, false },
		{ "::/0", CLASS_ALLOWED, false },
		{ "0.0.0.0/1,128.0.0.0/1", CLASS_ALLOWED, false },
		{ "@lan", CLASS_ALLOWED, false },
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
		{ "@host", NULL, true },
		{ "out @host", NULL, true },
		{ "in @host", NULL, false },
		{ "@gateway", NULL, false },
		{ "0.0.0.0/0", NULL, false },
		{ "@host", "@host", false },
		{ "@host", "@host:tcp/22", true },
		{ "@host", "in @host", true },
		{ "@host:tcp/80", NULL, false },
		{ "@host:tcp/80", "any", false },
		{ "@host:tcp/80", "@host", true },
		{ "in @host:tcp/80", "@host", false },
		{ "@host:tcp/80", "@host:tcp/22", false },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start_list();
		add(cases[i].allow, CLASS_ALLOWED);
		if (cases[i].block)
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
	struct error error = { 0 };
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
	struct error error = { 0 };
	(void)unused;
	start_list();
	for (int i = 0; i < 8192 / 7 + 1; i++) {
		char text[32];
		snprintf(text, sizeof text, "@lan:%d", i + 1);
		add(text, CLASS_ALLOWED);
	}
	assert_false(compile_rules(&list, false, NULL, &policy, &error));
	assert_string_equal(error.text, "\"@lan:1171\": the rules stand for more than 8192 prefixes");
	list.count--;
	compile(false);
	assert_int_equal(ask("fe80::1", false, TCP, 1170, 0).class, CLASS_ALLOWED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_vm_is_the_addresses_that_it_has),
		cmocka_unit_test(vms_with_more_addresses_than_there_is_room_for),
		cmocka_unit_test(a_vm_cannot_be_blocked),
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
