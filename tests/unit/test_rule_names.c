/* Rules that name hosts: as they are written, and as the guard has them in force. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "softnet/names/quic_crypto.h"
#include "softnet/rules/rule_names.h"
#include "softnet/setup/setup.h"

#include <cmocka.h>

enum { TCP = 6, UDP = 17 };

static struct rule_list list;
static struct name_rules compiled;
static struct error error;

static void write_rules(const char *text)
{
	list.count = 0;
	error.text[0] = '\0';
	if (!add_rules(&list, text, CLASS_ALLOWED, &error))
		fail_msg("%s", error.text);
	normalize_rules(&list);
	compile_names(&list, &compiled);
}

static struct name name_of(const char *text)
{
	struct name name = { .length = 0 };
	for (; *text != '\0'; text++)
		assert_true(add_to_name(&name, (uint8_t)*text));
	return name;
}

static uint32_t ways(const char *text, uint8_t protocol, uint16_t port)
{
	struct name name = name_of(text);
	return ways_to(&compiled, find_pattern(&compiled, &name), protocol, port);
}

static void there_is_one_way_to_write_each(void **unused)
{
	static const char *const forms[][2] = {
		{ "github.com", "github.com" },
		{ "GitHub.Com.", "github.com" },
		{ "*.GitHub.com:tls", "*.github.com:tls" },
		{ "out a_b-c.x1:tls/8443", "out a_b-c.x1:tls/8443" },
		{ "xn--mnchen-3ya.de:quic/443-445", "xn--mnchen-3ya.de:quic/443-445" },
		{ "a.b:http", "a.b:http" },
		{ "a.b:tcp/22", "a.b:tcp/22" },
		{ "a.b:udp/1-2", "a.b:udp/1-2" },
		{ "1.2.3.example", "1.2.3.example" },
	};
	char text[RULE_TEXT];
	(void)unused;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct rule_text rule;
		if (!parse_rule(forms[i][0], &rule, &error))
			fail_msg("%s", error.text);
		assert_int_equal(rule.target, TARGET_NAME);
		assert_string_equal(format_rule(&rule, text), forms[i][1]);
	}
}

/* RFC 1035 2.3.4: 255 octets on the wire are 253 of text; a label has 63. */
static void the_longest_names(void **unused)
{
	char text[400], back[RULE_TEXT];
	struct rule_text rule;
	(void)unused;
	for (int label = 63; label <= 64; label++) {
		snprintf(text, sizeof text, "%.*s.org", label,
			 "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd");
		assert_int_equal(parse_rule(text, &rule, &error), label == 63);
	}
	for (int length = NAME_MAX_OCTETS; length <= NAME_MAX_OCTETS + 1; length++) {
		for (int i = 0; i < length; i++)
			text[i] = i % 50 == 49 ? '.' : 'a';
		snprintf(text + length, sizeof text - (size_t)length, ":quic/10000-65535");
		assert_int_equal(parse_rule(text, &rule, &error), length == NAME_MAX_OCTETS);
	}
	memmove(text + 6, text, strlen(text) + 1);
	memcpy(text, "out *.", 6);
	text[6 + NAME_MAX_OCTETS - 1] = 'b'; /* 254 were tried last */
	memmove(text + 6 + NAME_MAX_OCTETS, text + 6 + NAME_MAX_OCTETS + 1, strlen(text + 6 + NAME_MAX_OCTETS));
	assert_true(parse_rule(text, &rule, &error));
	assert_string_equal(format_rule(&rule, back), text);
}

static void names_are_allowed_and_outward(void **unused)
{
	(void)unused;
	list.count = 0;
	assert_false(add_rule(&list, "a.org", CLASS_BLOCKED, &error));
	assert_string_equal(error.text,
			    "\"a.org\": a name can be allowed, and not blocked: the VM would use another name for "
			    "the same address");
	assert_false(add_rule(&list, "in a.org", CLASS_ALLOWED, &error));
	assert_string_equal(error.text,
			    "\"in a.org\": a name says whom the VM calls, and not who calls the VM: not with `in`");
	assert_int_equal(list.count, 0);
}

static void each_opens_what_it_says(void **unused)
{
	(void)unused;
	write_rules("a.org,*.b.org:tls/8443,c.org:http,d.org:tcp/22,d.org:udp/5000-5001,1.1.1.1,@dns:53");
	assert_int_equal(ways("a.org", TCP, 443), BY(NAMED_IN_TLS));
	assert_int_equal(ways("a.org", UDP, 443), BY(NAMED_IN_QUIC));
	assert_int_equal(ways("a.org", TCP, 80), 0);
	assert_int_equal(ways("x.b.org", TCP, 8443), BY(NAMED_IN_TLS));
	assert_int_equal(ways("x.b.org", TCP, 443), 0);
	assert_int_equal(ways("c.org", TCP, 80), BY(NAMED_IN_HTTP));
	assert_int_equal(ways("d.org", TCP, 22), BY(NAMED_BY_ADDRESS));
	assert_int_equal(ways("d.org", UDP, 22), 0);
	assert_int_equal(ways("d.org", UDP, 5001), BY(NAMED_BY_ADDRESS));
	assert_int_equal(ways("d.org", TCP, 443), 0);
	struct name apex = name_of("b.org"), other = name_of("other.org");
	assert_int_equal(find_pattern(&compiled, &apex), NO_PATTERN);
	assert_int_equal(find_pattern(&compiled, &other), NO_PATTERN);
	assert_int_equal(compiled.pattern_count, 4);
}

/* A user who asks which rule decided is given its place in the list. */
static void the_rule_is_told(void **unused)
{
	char text[RULE_TEXT];
	(void)unused;
	write_rules("10.0.0.1,a.org:tls,*.a.org:tls/443-500");
	struct name name = name_of("a.org"), below = name_of("x.a.org");
	const struct name_use *use = find_name_use(&compiled, find_pattern(&compiled, &name), NAMED_IN_TLS, TCP, 443);
	assert_string_equal(format_rule(&list.rule[use->origin].text, text), "a.org:tls");
	use = find_name_use(&compiled, find_pattern(&compiled, &below), NAMED_IN_TLS, TCP, 500);
	assert_string_equal(format_rule(&list.rule[use->origin].text, text), "*.a.org:tls/443-500");
	assert_null(find_name_use(&compiled, find_pattern(&compiled, &below), NAMED_IN_TLS, TCP, 501));
}

/* As many as there may be, all with a name of their own. */
static void there_is_room_for_all_rules(void **unused)
{
	char text[32];
	(void)unused;
	list.count = 0;
	for (int i = 0; i < RULES_MAX; i++) {
		snprintf(text, sizeof text, "n%d.example.org", i);
		assert_true(add_rule(&list, text, CLASS_ALLOWED, &error));
	}
	compile_names(&list, &compiled);
	for (int i = 0; i < RULES_MAX; i++) {
		snprintf(text, sizeof text, "n%d.example.org", i);
		assert_int_equal(ways(text, TCP, 443), BY(NAMED_IN_TLS));
		assert_int_equal(ways(text, UDP, 443), BY(NAMED_IN_QUIC));
	}
}

static struct options options;
static struct guard_memory memory;

static bool change_to(const char *text)
{
	write_rules(text);
	return change_rules(&memory, &options, &list, NULL, 1000, &error);
}

/* The set that is in force is never the one that is written. */
static void rules_are_compiled_aside(void **unused)
{
	(void)unused;
	const struct name_rules *before = memory.names.rules;
	assert_null(before);
	assert_true(change_to("a.org:tls"));
	assert_int_equal(memory.config.has_names, 1);
	for (int i = 0; i < 3; i++) {
		before = memory.names.rules;
		assert_non_null(before);
		assert_true(change_to(i % 2 ? "a.org:tls" : "a.org:tls,b.org:tls"));
		assert_ptr_not_equal(memory.names.rules, before);
		assert_int_equal(memory.names.rules->pattern_count, i % 2 ? 1 : 2);
	}
	assert_true(change_to("any"));
	assert_int_equal(memory.config.has_names, 0);
	assert_null(memory.names.rules);
}

/* A rule for QUIC is a promise that nobody could keep without the library. */
static void quic_takes_a_library(void **unused)
{
	static const char *const rules[] = { "a.org", "*.a.org:quic", "a.org:quic/8443" };
	(void)unused;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
		bool is_taken = change_to(rules[i]);
		assert_int_equal(is_taken, client_initial_opener() != NULL);
		if (!is_taken)
			assert_non_null(strstr(error.text, "built without nettle, so it cannot read QUIC"));
	}
	assert_true(change_to("a.org:tls,a.org:http,a.org:udp/443"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_is_one_way_to_write_each),
		cmocka_unit_test(the_longest_names),
		cmocka_unit_test(names_are_allowed_and_outward),
		cmocka_unit_test(each_opens_what_it_says),
		cmocka_unit_test(the_rule_is_told),
		cmocka_unit_test(there_is_room_for_all_rules),
		cmocka_unit_test(rules_are_compiled_aside),
		cmocka_unit_test(quic_takes_a_library),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
