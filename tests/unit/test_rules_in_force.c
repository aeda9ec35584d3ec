/* A change of rules at a guard that runs: what the kernel's guard cannot keep is refused, and nothing has changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include "softnet/guard/hold_relay.h"
#include "softnet/guard/rules_in_force.h"
#include "softnet/setup/setup.h"

static struct options options;
static struct guard_memory memory;
static struct relay relay;
static struct rule_list before;

static void start(const char *const *words, int count)
{
	struct error error;
	const char *line[8] = { "softnet", "--guest", "fd:9", "--vm-mac-address", "52:54:00:00:00:0a" };
	for (int i = 0; i < count; i++)
		line[5 + i] = words[i];
	memset(&memory, 0, sizeof memory);
	static struct capture no_capture;
	memset(&relay, 0, sizeof relay);
	relay.capture = &no_capture;
	assert_true(parse_options(5 + count, (char **)(uintptr_t)line, &options, &error));
	static const struct anchors nobody;
	assert_true(make_guard(&relay.guard, &memory, &options, &nobody, 1000, &error));
	relay.options = &options;
	relay.memory = &memory;
	relay.rules = &before;
	relay.now_ms = 1000;
	before = options.rules;
}

static bool change(const char *allow, struct error *error)
{
	struct rule_list *rules = next_rules(&relay);
	assert_true(add_rule(rules, allow, CLASS_ALLOWED, error));
	normalize_rules(rules);
	return put_in_force(&relay, rules, "test", error);
}

static void names_in_the_kernel(void **state)
{
	(void)state;
	struct error error;
	int kernel;
	start(NULL, 0);
	relay.kernel = (struct kernel_guard *)(void *)&kernel; /* never looked into: the rules are refused before */
	assert_false(change("a.example.org:tls", &error));
	assert_string_equal(error.text, NAMES_WITH_ATTACH);
	assert_ptr_equal(relay.rules, &before);
	assert_false(memory.config.has_names);
}

static void names_in_user_space(void **state)
{
	(void)state;
	struct error error;
	start(NULL, 0);
	assert_true(change("a.example.org:tls", &error));
	assert_true(memory.config.has_names && relay.rules->count == 1 && memory.names.rules);
	assert_true(change("10.0.0.0/8", &error));
	assert_false(memory.config.has_names || memory.names.rules);
}

/* While names are learned other rules are in force, and what was learned stays. */
static void rules_while_learning(void **state)
{
	(void)state;
	struct error error;
	static const char *const words[] = { "--names", "learn" };
	start(words, 2);
	const struct name name = { 9, "a.example" };
	assert_ptr_equal(memory.names.learned, &memory.learned);
	assert_int_equal(add_name_pattern(&memory.learned, &name, false), 0);
	assert_true(change("a.example.org:tls", &error) && change("10.0.0.0/8", &error));
	assert_true(memory.config.has_names && memory.learned.pattern_count == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_in_the_kernel),
		cmocka_unit_test(names_in_user_space),
		cmocka_unit_test(rules_while_learning),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
