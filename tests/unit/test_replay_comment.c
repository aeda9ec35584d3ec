/* The comment of a capture, as somebody wrote it who wants more than a replay: it gives what decides, or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softnet/replay/replay_comment.h"

#include <cmocka.h>

#define START     "softnet 9.9\n--vm-mac-address=52:54:00:00:00:0a\n"
#define NO_OPTION ": expected an option that decides something"

static struct options options;
static struct error error;

static bool take(const char *comment)
{
	return read_guards_comment(comment, strlen(comment), &options, &error);
}

static void what_a_guard_writes_is_taken(void **unused)
{
	(void)unused;
	assert_true(take(START "--allow=10.0.0.0/8\n--allow=1.1.1.1\n--site=2001:db8:1::/48\n\n--no-resync\n"));
	assert_true(options.wanted == WANT_REPLAY && options.vm_mac == 0x52540000000aULL && options.no_resync);
	assert_true(options.rules.count == 2 && options.sites.count == 1 && decides_something(&options));
	assert_null(options.captures[0].path);
	assert_true(take("softnet \n--vm-mac-address\n52:54:00:00:00:0a") == false); /* each line is an option */
	assert_true(take("softnet x\n--vm-mac-address=52:54:00:00:00:0b"));          /* without an end of line */
	assert_true(options.vm_mac == 0x52540000000bULL && options.rules.count == 0);
}

static void only_what_decides_may_stand_there(void **unused)
{
	static const char *const lines[] = {
		"--policy=/etc/shadow",
		"--policy",
		"--control=/tmp/x",
		"--control-fd=3",
		"--state=/tmp/x",
		"--pcap=/tmp/x",
		"--events=/tmp/x",
		"--metrics=/tmp/x",
		"--diff=/etc/shadow",
		"--guest-pcap=/etc/shadow",
		"--uplink-pcap=/etc/shadow",
		"--user=root",
		"--vm=x",
		"--frames=none",
		"--json",
		"--verbose",
		"--vm-fd=0",
		"--vm-net=x",
		"--help",
		"--version",
		"--help=1",
		"-v",
		"-h",
		"-",
		"--",
		"--=x",
		"---allow=any",
		"run",
		"replay",
		"/etc/shadow",
		"x",
		" --allow=any",
		"--allow =any",
		"--all=any",
		"--unheard-of=1",
		"-- vm-mac-address=1",
		"--vm-mac-address vm-ip=10.0.0.1/24",
		"--block policy=/etc/shadow",
		"# a remark",
		"\r",
		"\033[2J",
		"--a234567890123456789012345678901234567890123456789012345678901234567890123456789=1",
	};
	char text[512];
	(void)unused;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		snprintf(text, sizeof text, START "%s\n--mtu=1400\n", lines[i]);
		if (take(text) || !strstr(error.text, NO_OPTION))
			fail_msg("%s: %s", lines[i], error.text);
	}
}

static void values_are_those_of_the_command_line(void **unused)
{
	(void)unused;
	assert_false(take(START "--allow=nonsense\n"));
	assert_non_null(strstr(error.text, "nonsense"));
	assert_false(take(START "--mtu=0\n"));
	assert_false(take(START "--mtu=1500\n--mtu=1500\n"));
	assert_false(take(START "--no-dhcp=yes\n"));
	assert_false(take("softnet 9.9\n--allow=any\n"));
	assert_non_null(strstr(error.text, "--vm-mac-address: missing"));
	assert_false(take("softnet "));
	/* At the end, a value that is missing must not be the capture that replay needs. */
	assert_false(take(START "--allow"));
	assert_false(take(START "--mtu\n"));
}

static void an_octet_of_zero_hides_nothing(void **unused)
{
	static const char comment[] = START "--mtu=1400\0\n--policy=/etc/shadow\n";
	(void)unused;
	assert_false(read_guards_comment(comment, sizeof comment - 1, &options, &error));
	assert_string_equal(error.text, "expected text: it holds an octet of zero");
}

static void rules_that_did_not_fit_are_said_to_be_missing(void **unused)
{
	(void)unused;
	assert_false(take(START "# the rules do not fit\n"));
	assert_string_equal(error.text,
			    "the guard's rules did not fit into it; give its options, the rules with --policy");
}

static void other_comments_are_no_guards(void **unused)
{
	(void)unused;
	assert_false(is_guards_comment(NULL, 0));
	assert_false(is_guards_comment("softnet", 7));
	assert_false(is_guards_comment("softnet 1", 7));
	assert_false(is_guards_comment(" softnet 1", 10));
	assert_false(is_guards_comment("a capture", 9));
	assert_true(is_guards_comment("softnet 1", 9));
}

/* A megabyte, as long as a block may be: of one line over and over. */
static void repeat(const char *line)
{
	enum { LONG = 1 << 20 };
	size_t length = strlen(line), at = strlen(START);
	char *text = malloc(LONG + 1);
	assert_non_null(text);
	memcpy(text, START, at);
	for (; at + length <= LONG; at += length)
		memcpy(text + at, line, length);
	text[at] = '\0';
	read_guards_comment(text, at, &options, &error);
	free(text);
}

static void a_megabyte_is_read_in_no_time(void **unused)
{
	static const char *const lines[] = { "\n",
					     "x",
					     "--allow=1.2.3.4\n",
					     "--allow\n",
					     "--block=any\n--allow=@lan\n",
					     "--rate=arp=1/1\n",
					     "--nat64=64:ff9b::/96\n",
					     "--reject\n",
					     "--expose=1:1\n" };
	(void)unused;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
		repeat(lines[i]);
	repeat("\n");
	assert_true(take(START));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_guard_writes_is_taken),
		cmocka_unit_test(only_what_decides_may_stand_there),
		cmocka_unit_test(values_are_those_of_the_command_line),
		cmocka_unit_test(an_octet_of_zero_hides_nothing),
		cmocka_unit_test(rules_that_did_not_fit_are_said_to_be_missing),
		cmocka_unit_test(other_comments_are_no_guards),
		cmocka_unit_test(a_megabyte_is_read_in_no_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
