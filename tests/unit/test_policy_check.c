/* --policy files, and `softnet policy check`: every line that they print or refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "softnet/policy/policy_check.h"
#include "softnet/rules/policy_file.h"

#include <cmocka.h>

enum { WORDS_MAX = 40 };

static struct options options;
static struct error error;
static char *output;
static char path[] = "/tmp/softnet-policy-XXXXXX";

static int make_file(void **unused)
{
	(void)unused;
	int fd = mkstemp(path);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

static int remove_file(void **unused)
{
	(void)unused;
	free(output);
	return unlink(path);
}

static void write_octets(const char *text, size_t length)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, length, f), length);
	assert_int_equal(fclose(f), 0);
}

static bool reads(const char *text)
{
	memset(&options, 0, sizeof options);
	error.text[0] = '\0';
	write_octets(text, strlen(text));
	return read_policy_file(path, &options.rules, &error);
}

static void expect_rule(uint32_t index, enum destination_class class, const char *expected)
{
	char text[RULE_TEXT];
	assert_true(index < options.rules.count);
	assert_int_equal(options.rules.rule[index].class, class);
	assert_string_equal(format_rule(&options.rules.rule[index].text, text), expected);
}

static void a_file_is_read_line_by_line(void **unused)
{
	(void)unused;
	assert_true(reads("# an agent's sandbox\n"
			  "block any\n"
			  "\n"
			  " \t allow \t @dns:53   # its resolver\n"
			  "allow in @host:tcp/22\r\n"
			  "#allow any\n"
			  "allow  out  [fd00::1]/8:443#no blank"));
	assert_int_equal(options.rules.count, 4);
	expect_rule(0, CLASS_BLOCKED, "any");
	expect_rule(1, CLASS_ALLOWED, "@dns:53");
	expect_rule(2, CLASS_ALLOWED, "in @host:tcp/22");
	expect_rule(3, CLASS_ALLOWED, "out [fd00::]/8:443");
	assert_true(reads(""));
	assert_int_equal(options.rules.count, 0);
}

static void what_is_wrong_is_told_by_line_and_word(void **unused)
{
	static const char *const cases[][2] = {
		{ "alow any\n", ":1: \"alow\": expected allow or block" },
		{ "block any\n\n# x\nallow 10.0.0.0/33 # y\n",
		  ":4: \"10.0.0.0/33\": behind the slash stands a length of 0 to 32 bits" },
		{ "block any\nallow", ":2: \"allow\": expected a rule behind it" },
		{ "block any\nblock # any", ":2: \"block\": expected a rule behind it" },
		{ "allow @host,@dns\n",
		  ":1: \"@host,@dns\": expected a CIDR, an address, a host name, vm:NAME, any, @host, "
		  "@gateway, @dns, @lan or @global" },
		{ "Allow any\n", ":1: \"Allow\": expected allow or block" },
		{ "\033[2Jany\n", ":1: \"?[2Jany\": expected allow or block" },
		{ "block any\rallow any\n", ":1: \"any?allow any\": these are two rules: a comma stands between them, "
					    "in a file the end of a line" },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char line[320];
		assert_false(reads(cases[i][0]));
		snprintf(line, sizeof line, "%s%s", path, cases[i][1]);
		assert_string_equal(error.text, line);
	}
}

static void octets_that_are_no_text(void **unused)
{
	static char large[POLICY_FILE_MAX + 1];
	char line[320];
	(void)unused;
	write_octets("block any\n\0allow any\n", 21);
	memset(&options, 0, sizeof options);
	assert_false(read_policy_file(path, &options.rules, &error));
	snprintf(line, sizeof line, "%s: expected text: it holds an octet of zero", path);
	assert_string_equal(error.text, line);
	memset(large, '\n', sizeof large);
	write_octets(large, sizeof large - 1);
	assert_true(read_policy_file(path, &options.rules, &error));
	write_octets(large, sizeof large);
	assert_false(read_policy_file(path, &options.rules, &error));
	snprintf(line, sizeof line, "%s: longer than 1048576 octets", path);
	assert_string_equal(error.text, line);
}

static void a_pipe_will_do(void **unused)
{
	int ends[2];
	char name[32];
	static const char text[] = "block @lan\n";
	(void)unused;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], text, sizeof text - 1), sizeof text - 1);
	close(ends[1]);
	snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
	memset(&options, 0, sizeof options);
	assert_true(read_policy_file(name, &options.rules, &error));
	close(ends[0]);
	expect_rule(0, CLASS_BLOCKED, "@lan");
}

static bool check(const char *const *words)
{
	static char text[WORDS_MAX][256];
	static char *argv[WORDS_MAX + 4] = { "softnet", "policy", "check" };
	int argc = 3;
	size_t length;
	for (; words[argc - 3]; argc++) {
		snprintf(text[argc - 3], sizeof text[0], "%s", words[argc - 3]);
		argv[argc] = text[argc - 3];
	}
	argv[argc] = NULL;
	error.text[0] = '\0';
	free(output);
	FILE *to = open_memstream(&output, &length);
	assert_non_null(to);
	bool ok = parse_options(argc, argv, &options, &error) &&
		  check_policy(&options, to, (struct check_manner){ false, false }, &error);
	fclose(to);
	return ok;
}

#define PRINTED(expected, ...) \
	do { \
		if (!check((const char *const[]){ __VA_ARGS__, NULL })) \
			fail_msg("%s", error.text); \
		assert_string_equal(output, expected); \
	} while (0)

#define REFUSED(line, ...) \
	do { \
		assert_false(check((const char *const[]){ __VA_ARGS__, NULL })); \
		assert_string_equal(error.text, line); \
	} while (0)

static void rules_come_first_and_are_normal(void **unused)
{
	(void)unused;
	PRINTED("", "--inbound=any");
	PRINTED("allow @dns:53\nallow in @host:tcp/22\nblock 10.0.0.0/8\nblock any\n", "--block", "any,10.9.9.9/8,any",
		"--allow", "in  @host:tcp/22-22,@dns:53");
	write_octets("block any\nallow @dns\n", 21);
	PRINTED("allow @dns\nallow @host\nblock any\n", "--policy", path, "--allow", "@host");
}

static void the_default_is_told_as_such(void **unused)
{
	(void)unused;
	PRINTED("out 1.1.1.1:tcp/443\tpass\tdefault\n"
		"out 10.0.0.1\tdst-private\tdefault\n"
		"out 127.0.0.1:icmp\tdst-invalid\tdefault\n"
		"out [2606:4700::1111]:udp/53\tpass\tdefault\n"
		"out fd00::1\tdst-private\tdefault\n"
		"out 224.0.0.251:udp/5353\tpass\tdefault\n"
		"out 224.0.0.251:udp/53\tdst-multicast\tdefault\n"
		"in 10.0.0.1:tcp/22\tpass\tdefault\n"
		"in 127.0.0.1:tcp/22\tip4-src-invalid\tdefault\n"
		"in [ff02::1]:icmp\tip6-src-invalid\tdefault\n",
		"1.1.1.1:tcp/443", "10.0.0.1", "out 127.0.0.1:icmp", "[2606:4700::1111]:udp/53", "FD00::1",
		"224.0.0.251:udp/5353", "224.0.0.251:udp/53", "in", "10.0.0.1:tcp/22", "in 127.0.0.1:tcp/22",
		"in [ff02::1]:icmp");
	PRINTED("out 10.0.0.53:udp/53\tpass\tdefault\nout 10.0.0.53:udp/54\tdst-private\tdefault\n"
		"out 10.0.0.1:gre\tpass\tdefault\n",
		"--dns", "10.0.0.53", "--gateway", "10.0.0.1", "10.0.0.53:udp/53", "10.0.0.53:udp/54", "10.0.0.1:gre");
}

static void what_differs_by_port_is_said_so(void **unused)
{
	static const char rules[] = "allow 10.0.0.0/8\nallow 192.168.0.0/16:tcp\nblock 10.0.0.0/8:tcp/25\n";
	char expected[1024];
	(void)unused;
	snprintf(expected, sizeof expected, "%s%s", rules,
		 "out 10.0.0.1\tports-unknown\tseveral\n"
		 "out 10.0.0.1:tcp\tports-unknown\tseveral\n"
		 "out 10.0.0.1:udp\tpass\tallow 10.0.0.0/8\n"
		 "out 10.0.0.1:tcp/25\tdst-blocked\tblock 10.0.0.0/8:tcp/25\n"
		 "out 192.168.0.1:tcp\tpass\tallow 192.168.0.0/16:tcp\n"
		 "out 192.168.0.1\tports-unknown\tseveral\n"
		 "out 1.1.1.1\tpass\tdefault\n");
	PRINTED(expected, "--allow", "10.0.0.0/8,192.168.0.0/16:tcp", "--block", "10.0.0.0/8:tcp/25", "10.0.0.1",
		"10.0.0.1:tcp", "10.0.0.1:udp", "10.0.0.1:tcp/25", "192.168.0.1:tcp", "192.168.0.1", "1.1.1.1");
}

static void inbound_is_judged_as_started(void **unused)
{
	(void)unused;
	PRINTED("allow in 10.0.0.0/8:tcp/22\n"
		"in 10.0.0.1:tcp/22\tpass\tallow in 10.0.0.0/8:tcp/22\n"
		"in 10.0.0.1:tcp/23\tunsolicited\tdefault\n"
		"out 10.0.0.1:tcp/22\tdst-private\tdefault\n",
		"--inbound=established", "--allow", "in 10.0.0.0/8:tcp/22", "in 10.0.0.1:tcp/22", "in 10.0.0.1:tcp/23",
		"10.0.0.1:tcp/22");
	/* Another direction somewhere means that a bare rule is about both, unless --inbound is given. */
	PRINTED("block 10.0.0.0/8\nblock out @dns\n"
		"in 10.0.0.1:tcp/22\tsrc-blocked\tblock 10.0.0.0/8\n",
		"--block", "10.0.0.0/8,out @dns", "in 10.0.0.1:tcp/22");
	PRINTED("block 10.0.0.0/8\nblock out @dns\n"
		"in 10.0.0.1:tcp/22\tpass\tdefault\n",
		"--block", "10.0.0.0/8,out @dns", "--inbound=any", "in 10.0.0.1:tcp/22");
	PRINTED("in 1.1.1.1:tcp/22\tpass\tdefault\nin 1.1.1.1:tcp/2222\tunsolicited\tdefault\n"
		"in 1.1.1.1:udp/22\tunsolicited\tdefault\n",
		"--inbound=established", "--expose=2222:22", "in 1.1.1.1:tcp/22", "in 1.1.1.1:tcp/2222",
		"in 1.1.1.1:udp/22");
	PRINTED("in 1.1.1.1:udp/9\tunsolicited\tdefault\n", "--inbound=none", "in 1.1.1.1:udp/9");
}

static void ipv6_may_be_off(void **unused)
{
	(void)unused;
	PRINTED("block 10.0.0.0/8\n"
		"out 2606:4700::1111\tip6-disabled\t--ipv6\n"
		"in [fd00::1]:tcp/22\tip6-disabled\t--ipv6\n",
		"--block", "10.0.0.0/8", "2606:4700::1111", "in [fd00::1]:tcp/22");
	PRINTED("block 10.0.0.0/8\nout 2606:4700::1111\tpass\tdefault\n", "--block", "10.0.0.0/8", "--ipv6=guard",
		"2606:4700::1111");
}

static void names_are_asked_for_by_way(void **unused)
{
	(void)unused;
	PRINTED("allow *.b.org:tls\nallow a.org:http/8080\nallow a.org:tcp/22\nallow a.org:tls\nblock any\n"
		"a.org:tls\tpass\tallow a.org:tls\n"
		"a.org:tls/443\tpass\tallow a.org:tls\n"
		"a.org:tls/444\tname-denied\tdefault\n"
		"a.org:quic\tname-denied\tdefault\n"
		"a.org\tports-unknown\tseveral\n"
		"a.org:http\tname-denied\tdefault\n"
		"a.org:http/8080\tpass\tallow a.org:http/8080\n"
		"a.org:tcp/22\tpass\tallow a.org:tcp/22\n"
		"a.org:udp/22\tname-denied\tdefault\n"
		"a.org:tls/22\tpass\tallow a.org:tcp/22\n"
		"x.y.b.org:tls\tpass\tallow *.b.org:tls\n"
		"b.org:tls\tdns-name\tdefault\n"
		"out 1.1.1.1:tcp/443\tdst-blocked\tblock any\n",
		"--block=any", "--allow=a.org:tls,a.org:http/8080,a.org:tcp/22,*.b.org:tls", "a.org:tls",
		"A.org:tls/443", "a.org:tls/444", "a.org:quic", "a.org", "a.org:http", "a.org:http/8080",
		"a.org:tcp/22", "a.org:udp/22", "a.org:tls/22", "x.y.b.org:tls", "b.org:tls", "1.1.1.1:tcp/443");
}

static void tuples_that_mean_nothing(void **unused)
{
	static const char *const bad[] = { "@host",
					   "any",
					   "10.0.0.0/8",
					   "10.0.0.1:443",
					   "10.0.0.1:tcp/1-2",
					   "x",
					   "10.0.0.1:",
					   "fd00::1:tcp/x",
					   "in",
					   "in in 10.0.0.1",
					   "*.a.org",
					   "in a.org",
					   "a.org:443",
					   "a.org:tls/1-2",
					   "" };
	(void)unused;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char line[320];
		snprintf(
		    line,
		    sizeof line, "\"%s\": expected [in|out] ADDRESS[:PROTO[/PORT]] or NAME[:tls[/PORT]], with one protocol: tcp/PORT or udp/PORT",
		    bad[i]);
		REFUSED(line, "1.1.1.1", bad[i]);
		assert_string_equal(output, ""); /* the error stands alone */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_read_line_by_line),
		cmocka_unit_test(what_is_wrong_is_told_by_line_and_word),
		cmocka_unit_test(octets_that_are_no_text),
		cmocka_unit_test(a_pipe_will_do),
		cmocka_unit_test(rules_come_first_and_are_normal),
		cmocka_unit_test(the_default_is_told_as_such),
		cmocka_unit_test(what_differs_by_port_is_said_so),
		cmocka_unit_test(inbound_is_judged_as_started),
		cmocka_unit_test(ipv6_may_be_off),
		cmocka_unit_test(names_are_asked_for_by_way),
		cmocka_unit_test(tuples_that_mean_nothing),
	};
	return cmocka_run_group_tests(tests, make_file, remove_file);
}
