/* What a pod may say: what it closes is closed, whatever the network's rules are, and nothing opens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "amount.h"
#include "softnet/cni/narrowing.h"
#include "softnet/rules/rule_overlap.h"
#include "softnet/setup/setup.h"

#include <cmocka.h>

enum { RULES_EACH = 5, CONTACTS = 300, ROUNDS = 16 * 60 };

static struct options network, narrowed;
static struct narrowing narrowing;
static struct ready_rules before, after, alone;
static struct words words;

static unsigned draw(unsigned below)
{
	return (unsigned)rand() % below;
}

#define PICK(list) list[draw(sizeof list / sizeof *list)]

static const char *draw_rule(bool with_direction)
{
	static const char *const directions[] = { "", "", "in ", "out " };
	static const char *const plain[] = { "any",      "@lan",      "@global", "10.0.0.0/8", "10.1.0.0/16",
					     "10.1.2.3", "0.0.0.0/0", "8.8.8.8", "8.0.0.0/7",  "192.168.1.0/24" };
	static const char *const six[] = { "fd00::/8", "fd00::1", "2001:db8::/32", "::/0" };
	static const char *const qualifiers[] = { "",         "",     ":tcp",  ":443",     ":tcp/443", ":tcp/400-500",
						  ":440-450", ":udp", ":icmp", ":sctp/443" };
	static char rule[64];
	const char *direction = with_direction ? PICK(directions) : "", *qualifier = PICK(qualifiers);
	if (draw(4) > 0)
		snprintf(rule, sizeof rule, "%s%s%s", direction, PICK(plain), qualifier);
	else
		snprintf(rule, sizeof rule, qualifier[0] ? "%s[%s]%s" : "%s%s%s", direction, "fd00::1", qualifier);
	if (draw(8) == 0)
		snprintf(rule, sizeof rule, "%s%s", direction, PICK(six));
	return rule;
}

static void parse(struct options *options)
{
	struct error error;
	if (!parse_options(words.count, words.all, options, &error))
		fail_msg("%s", error.text);
}

static void compile(const struct options *options, const struct rule_list *rules, struct ready_rules *ready)
{
	struct error error;
	if (!make_ready(options, rules, NULL, ready, &error))
		fail_msg("%s", error.text);
}

static void begin(bool with_inbound)
{
	forget_words(&words);
	add_word(&words, NULL, "softnet");
	add_word(&words, NULL, "attach");
	add_word(&words, NULL, "eth0");
	add_word(&words, "vm-mac-address", "52:54:00:00:00:0a");
	if (with_inbound)
		add_word(&words, "inbound", "established");
}

/* The network's rules, then the same narrowed. */
static void make_both(bool with_inbound)
{
	static char rules[RULES_EACH][64];
	bool blocks[RULES_EACH];
	struct fault fault;
	begin(with_inbound);
	for (int i = 0; i < RULES_EACH; i++) {
		blocks[i] = draw(3) == 0;
		strcpy(rules[i], draw_rule(with_inbound));
		add_word(&words, blocks[i] ? "block" : "allow", rules[i]);
	}
	parse(&network);
	begin(false); /* in place of which the narrowing has its own */
	for (int i = 0; i < RULES_EACH; i++)
		add_word(&words, blocks[i] ? "block" : "allow", rules[i]);
	if (!add_narrowing(&narrowing, &network, &words, &fault))
		fail_msg("%s", fault.error.text);
	parse(&narrowed);
	compile(&network, &network.rules, &before);
	compile(&narrowed, &narrowed.rules, &after);
	compile(&narrowed, &narrowing.blocks, &alone);
}

static void narrow_by(const char *json)
{
	struct fault fault;
	struct cni_call call = { .arguments = "", .config = json_loads(json, 0, NULL) };
	assert_non_null(call.config);
	if (!read_narrowing(&call, &narrowing, &fault))
		fail_msg("%s: %s", json, fault.error.text);
	json_decref(call.config);
}

static struct contact draw_contact(void)
{
	static const char *const peers[] = { "10.1.2.3", "10.1.2.4",    "10.2.0.1",    "8.8.8.8",
					     "9.9.9.9",  "192.168.1.1", "192.168.2.1", "fd00::1",
					     "fd00::2",  "2001:db8::1", "2600::1" };
	static const uint8_t protocols[] = { 6, 17, 1, 132, 47 };
	static const uint16_t ports[] = { 443, 445, 80, 400, 500 };
	struct contact contact = { .inward = draw(2) == 0, .protocol = PICK(protocols), .ports = PORTS_KNOWN };
	assert_true(parse_address(PICK(peers), &contact.peer));
	bool has_ports = contact.protocol == 6 || contact.protocol == 17 || contact.protocol == 132;
	contact.port = has_ports ? PICK(ports) : 0;
	return contact;
}

static void compare(const struct contact *contact)
{
	uint32_t aliases = 1 << ALIAS_GLOBAL; /* of addresses that special.h does not call global it says nothing */
	struct ruling was = rule_on(&before.policy, contact, aliases), is = rule_on(&after.policy, contact, aliases);
	struct ruling wanted = rule_on(&alone.policy, contact, aliases);
	if (is.class != was.class)
		assert_int_equal(is.class, CLASS_BLOCKED); /* never wider */
	if (wanted.class == CLASS_BLOCKED)
		assert_int_equal(is.class, CLASS_BLOCKED); /* what the pod closes is closed */
}

static void a_pod_closes_and_opens_nothing(void **unused)
{
	(void)unused;
	char json[300];
	for (uint32_t round = 0; round < amount(ROUNDS); round++) {
		bool with_directions = draw(2) == 0;
		int length = snprintf(json, sizeof json, "{\"runtimeConfig\":{\"softnet\":{\"block\":[\"%s\"",
				      draw_rule(with_directions));
		snprintf(json + length, sizeof json - (size_t)length, ",\"%s\"]}}}", draw_rule(with_directions));
		narrow_by(json);
		make_both(with_directions);
		for (int i = 0; i < CONTACTS; i++) {
			struct contact contact = draw_contact();
			compare(&contact);
		}
		assert_int_equal(before.stateful, after.stateful);
		assert_int_equal(before.ipv6_off, after.ipv6_off);
		assert_int_equal(wants_isolation(&network), wants_isolation(&narrowed));
	}
}

/* Rules of IPv6 would open that family where the network's are all of IPv4. */
static void a_block_rule_opens_no_family(void **unused)
{
	(void)unused;
	struct fault fault;
	narrow_by("{\"runtimeConfig\":{\"softnet\":{\"block\":\"fd00::/8\"}}}");
	begin(false);
	add_word(&words, "allow", "10.0.0.0/8");
	parse(&network);
	assert_false(wants_ipv6(&network, NULL));
	assert_true(add_narrowing(&narrowing, &network, &words, &fault));
	parse(&narrowed);
	assert_false(wants_ipv6(&narrowed, NULL));
}

static void the_strictest_counts(void **unused)
{
	(void)unused;
	struct fault fault;
	narrow_by(
	    "{\"runtimeConfig\":{\"softnet\":{\"inbound\":\"established\",\"isolation\":\"on\",\"ipv6\":\"off\"}},"
	    "\"args\":{\"cni\":{\"softnet\":{\"inbound\":\"any\"}}}}");
	begin(false);
	add_word(&words, "allow", "any");
	parse(&network);
	assert_false(wants_isolation(&network));
	assert_true(add_narrowing(&narrowing, &network, &words, &fault));
	parse(&narrowed);
	assert_int_equal(narrowed.inbound, INBOUND_ESTABLISHED);
	assert_true(wants_isolation(&narrowed));
	assert_false(wants_ipv6(&narrowed, NULL));
}

static void narrow_by_arguments(const char *arguments)
{
	struct fault fault;
	struct cni_call call = { .arguments = arguments };
	if (!read_narrowing(&call, &narrowing, &fault))
		fail_msg("%.100s: %s", arguments, fault.error.text);
}

static void arguments_all_count(void **unused)
{
	static char arguments[8000] = "SOFTNET_BLOCK=";
	(void)unused;
	while (strlen(arguments) < 7000)
		strcat(arguments, "10.0.0.0/8,@lan:22,");
	strcat(arguments, "any");
	narrow_by_arguments(arguments);
	assert_int_equal(narrowing.blocks.rule[narrowing.blocks.count - 1].text.target, TARGET_ANY);
	narrow_by_arguments(";SOFTNET_BLOCK=@lan;;SOFTNET_INBOUND=none;SOFTNET_BLOCK=any;SOFTNET_INBOUND=any;");
	assert_int_equal(narrowing.blocks.count, 2);
	assert_int_equal(narrowing.inbound, INBOUND_NONE);
	narrow_by_arguments("SOFTNET_BLOCK=@lan;K8S_POD_NAME=\xc6;SOFTNETBLOCK=x");
	assert_int_equal(narrowing.blocks.count, 1);
}

static void wrong_arguments(void **unused)
{
	static const char *const rows[][2] = {
		{ "SOFTNET_BLOCK=@lan\xc6", "CNI_ARGS: block: not in UTF-8" },
		{ "SOFTNET_BLOCK",
		  "CNI_ARGS: \"SOFTNET_BLOCK\": a pod may only narrow, by SOFTNET_BLOCK, SOFTNET_INBOUND, "
		  "SOFTNET_ISOLATION and SOFTNET_IPV6" },
		{ "SOFTNET_BLOCK=any;SOFTNET_BLOCKS=any",
		  "CNI_ARGS: \"SOFTNET_BLOCKS\": a pod may only narrow, by SOFTNET_BLOCK, SOFTNET_INBOUND, "
		  "SOFTNET_ISOLATION and SOFTNET_IPV6" },
		{ "SOFTNET_IPV6=;", "CNI_ARGS: ipv6: \"\": a pod may say off and nothing else" },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct fault fault = { .code = 0 };
		struct cni_call call = { .arguments = rows[i][0] };
		assert_false(read_narrowing(&call, &narrowing, &fault));
		assert_string_equal(fault.error.text, rows[i][1]);
	}
}

static void a_network_of_vms(void **unused)
{
	(void)unused;
	struct fault fault;
	narrow_by("{\"runtimeConfig\":{\"softnet\":{\"inbound\":\"established\"}}}");
	begin(false);
	add_word(&words, "isolation", "vms");
	parse(&network);
	begin(false);
	assert_true(add_narrowing(&narrowing, &network, &words, &fault));
	parse(&narrowed);
	assert_true(narrowed.hears_vms && wants_isolation(&narrowed));
	narrow_by("{\"runtimeConfig\":{\"softnet\":{\"block\":\"any\"}}}");
	begin(false);
	add_word(&words, "allow", "vm:web1");
	parse(&network);
	assert_false(add_narrowing(&narrowing, &network, &words, &fault));
	assert_non_null(strstr(fault.error.text, "a pod cannot block"));
}

static void what_two_rules_are_about(void **unused)
{
	(void)unused;
	static const struct {
		const char *outer, *inner, *both;
	} rows[] = {
		{ "any", "10.0.0.1:tcp/443", "10.0.0.1/32:tcp/443" },
		{ "any:22", "10.0.0.1", "10.0.0.1/32:22" },
		{ "any:20-30", "10.0.0.0/8:tcp/25-443", "10.0.0.0/8:tcp/25-30" },
		{ "any:443", "10.0.0.0/8:sctp", "" },
		{ "any:icmp", "10.0.0.0/8:53", "" },
		{ "any:tcp", "10.0.0.0/8:53", "10.0.0.0/8:tcp/53" },
		{ "10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/16" },
		{ "10.1.0.0/16", "10.0.0.0/8", "" },
		{ "10.0.0.0/8", "fd00::/8", "" },
		{ "10.0.0.0/8", "@lan:53", "10.0.0.0/8:53" },
		{ "0.0.0.0/0", "@lan", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 169.254.0.0/16" },
		{ "@lan", "192.168.1.0/24", "192.168.1.0/24" },
		{ "@global", "8.8.8.8", "8.8.8.8/32" },
		{ "@global", "10.0.0.1", "" },
		{ "any", "@dns:53", "@dns:53" },
		{ "0.0.0.0/0", "@host", "@host" },
		{ "10.0.0.0/8", "@host", "" },
		{ "@host:22", "@host", "@host:22" },
		{ "in any", "10.0.0.0/8", "in 10.0.0.0/8" },
		{ "in any", "out 10.0.0.0/8", "" },
	};
	struct rule_text outer, inner, both[LAN_PREFIXES];
	struct error error;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char said[300] = "", text[RULE_TEXT];
		assert_true(parse_rule(rows[i].outer, &outer, &error) && parse_rule(rows[i].inner, &inner, &error));
		uint32_t count = find_overlaps(&outer, &inner, both);
		for (uint32_t j = 0; j < count; j++) {
			strcat(said, j > 0 ? " " : "");
			strcat(said, format_rule(&both[j], text));
		}
		assert_string_equal(said, rows[i].both);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod_closes_and_opens_nothing),
		cmocka_unit_test(a_block_rule_opens_no_family),
		cmocka_unit_test(the_strictest_counts),
		cmocka_unit_test(a_network_of_vms),
		cmocka_unit_test(what_two_rules_are_about),
		cmocka_unit_test(arguments_all_count),
		cmocka_unit_test(wrong_arguments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
