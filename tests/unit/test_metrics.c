/* Metrics of honest guards and of hostile ones: one text that its reader takes whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "softnet/counts/metrics.h"
#include "system/files/replace_file.h"

#include <cmocka.h>

static char *text;

static void show(const char *guards, enum metrics_form form)
{
	json_error_t error;
	json_t *array = json_loads(guards, JSON_ALLOW_NUL, &error);
	if (!array)
		fail_msg("%s", error.text);
	free(text);
	text = metrics_text(array, form);
	json_decref(array);
	assert_non_null(text);
}

static unsigned count(const char *what)
{
	unsigned n = 0;
	for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
		n++;
	return n;
}

#define HAS(line)     assert_int_equal(count("\n" line "\n"), 1)
#define HAS_NOT(part) assert_int_equal(count(part), 0)
#define AB            "vm=\"a\",mac=\"b\""
#define SHOW(keys)    show("[{\"name\":\"a\",\"mac\":\"b\"," keys "}]", METRICS_OPENMETRICS)

static void both_forms(void **unused)
{
	static const char guards[] =
	    "[{\"name\":\"a\",\"mac\":\"b\",\"version\":\"1\",\"guest\":\"g\",\"uplink\":\"u\","
	    "\"started\":\"2026-11-24T03:50:31.123Z\",\"rejections\":7}]";
	(void)unused;
	show(guards, METRICS_OPENMETRICS);
	assert_string_equal(text, "# HELP softnet A guard, its version and its two ports.\n"
				  "# TYPE softnet info\n"
				  "softnet_info{" AB ",version=\"1\",guest=\"g\",uplink=\"u\"} 1\n"
				  "# HELP softnet_start_time_seconds When the guard was started, since 1970 in UTC.\n"
				  "# TYPE softnet_start_time_seconds gauge\n"
				  "# UNIT softnet_start_time_seconds seconds\n"
				  "softnet_start_time_seconds{" AB "} 1795492231\n"
				  "# HELP softnet_rejections Answers that --reject sent to the VM.\n"
				  "# TYPE softnet_rejections counter\n"
				  "softnet_rejections_total{" AB "} 7\n"
				  "# EOF\n");
	show(guards, METRICS_PROMETHEUS);
	assert_string_equal(text, "# HELP softnet_info A guard, its version and its two ports.\n"
				  "# TYPE softnet_info gauge\n"
				  "softnet_info{" AB ",version=\"1\",guest=\"g\",uplink=\"u\"} 1\n"
				  "# HELP softnet_start_time_seconds When the guard was started, since 1970 in UTC.\n"
				  "# TYPE softnet_start_time_seconds gauge\n"
				  "softnet_start_time_seconds{" AB "} 1795492231\n"
				  "# HELP softnet_rejections_total Answers that --reject sent to the VM.\n"
				  "# TYPE softnet_rejections_total counter\n"
				  "softnet_rejections_total{" AB "} 7\n");
}

static void what_each_key_becomes(void **unused)
{
	(void)unused;
	SHOW("\"passed\":{\"guest\":{\"frames\":1,\"octets\":2},\"uplink\":{\"frames\":3,\"octets\":4}},"
	     "\"drops\":[{\"side\":\"guest\",\"reason\":\"dst-private\",\"count\":5}],\"flows\":{\"datagram\":6},"
	     "\"policy\":{\"allow\":7,\"block\":8},\"policy_digest\":\"c0ffee\",\"asking\":{\"seconds\":9},\"gateway\":"
	     "{\"seconds\":19},\"events\":{"
	     "\"told\":10,\"lost\":11},"
	     "\"capture\":{\"lost\":12},\"metrics\":{\"failed\":13},\"state_file\":{\"failed\":18},\"addresses\":["
	     "{\"address\":\"10.0.0.1\",\"origin\":\"dhcp\",\"seconds\":14},"
	     "{\"address\":\"10.0.0.2\",\"origin\":\"static\",\"seconds\":null},"
	     "{\"address\":\"fe80::1\",\"origin\":\"link-local\",\"seconds\":15},"
	     "{\"address\":\"2a00::1\",\"origin\":\"slaac\",\"seconds\":16},"
	     "{\"address\":\"2a00::2\",\"origin\":\"slaac\",\"seconds\":17}]");
	HAS("softnet_frames_total{" AB ",side=\"guest\"} 1");
	HAS("softnet_frames_total{" AB ",side=\"uplink\"} 3");
	HAS("softnet_bytes_total{" AB ",side=\"guest\"} 2");
	HAS("softnet_bytes_total{" AB ",side=\"uplink\"} 4");
	HAS("softnet_drops_total{" AB ",side=\"guest\",reason=\"dst-private\"} 5");
	HAS("softnet_flows{" AB ",class=\"datagram\"} 6");
	HAS("softnet_policy_info{" AB ",digest=\"c0ffee\"} 1");
	HAS("softnet_rules{" AB ",action=\"allow\"} 7");
	HAS("softnet_rules{" AB ",action=\"block\"} 8");
	HAS("softnet_dhcp_unanswered_seconds{" AB "} 9");
	HAS("softnet_gateway_unheard_seconds{" AB "} 19");
	HAS("softnet_events_total{" AB "} 10");
	HAS("softnet_events_lost_total{" AB "} 11");
	HAS("softnet_capture_lost_total{" AB "} 12");
	HAS("softnet_metrics_failed_total{" AB "} 13");
	HAS("softnet_state_failed_total{" AB "} 18");
	HAS("softnet_addresses{" AB ",family=\"ipv4\",origin=\"dhcp\"} 1");
	HAS("softnet_addresses{" AB ",family=\"ipv4\",origin=\"static\"} 1");
	HAS("softnet_addresses{" AB ",family=\"ipv6\",origin=\"link-local\"} 1");
	HAS("softnet_addresses{" AB ",family=\"ipv6\",origin=\"slaac\"} 2");
	HAS("softnet_addresses{" AB ",family=\"ipv6\",origin=\"dhcp\"} 0");
	HAS("softnet_lease_seconds{" AB ",address=\"10.0.0.1\"} 14");
	assert_int_equal(count("\nsoftnet_lease_seconds{"),
			 1); /* what a guest makes itself has no series, which would stay */
	SHOW("\"asking\":null,\"gateway\":null,\"capture\":null,\"metrics\":null,\"addresses\":[]");
	HAS("softnet_dhcp_unanswered_seconds{" AB "} 0");
	HAS("softnet_gateway_unheard_seconds{" AB "} 0");
	HAS("softnet_addresses{" AB ",family=\"ipv4\",origin=\"dhcp\"} 0");
	HAS_NOT("capture");
	HAS_NOT("failed");
}

static void numbers_are_exact(void **unused)
{
	(void)unused;
	SHOW("\"rejections\":9007199254740993"); /* 2^53 + 1 */
	HAS("softnet_rejections_total{" AB "} 9007199254740993");
	SHOW("\"rejections\":9223372036854775807");
	HAS("softnet_rejections_total{" AB "} 9223372036854775807");
}

/* Each family in one piece, whatever the number of guards, and announced once. */
static void families_are_contiguous(void **unused)
{
	static char finished[64][64];
	char family[64], *line, *rest;
	unsigned families = 0;
	(void)unused;
	show("[{\"name\":\"a\",\"mac\":\"1\",\"rejections\":1,\"flows\":{\"x\":1},\"policy\":{\"allow\":1}},"
	     "{\"name\":\"b\",\"mac\":\"2\",\"rejections\":1,\"flows\":{\"x\":1}},"
	     "{\"name\":\"c\",\"mac\":\"3\",\"rejections\":1,\"policy\":{\"allow\":1}}]",
	     METRICS_PROMETHEUS);
	assert_int_equal(count("# TYPE "), 3);
	assert_int_equal(count("\nsoftnet_"), 7);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (sscanf(line, "# TYPE %63s", family) != 1 && sscanf(line, "softnet_%63[a-z_]", family) != 1)
			continue;
		if (line[0] != '#') {
			snprintf(family, sizeof family, "%.*s", (int)strcspn(line, "{"), line);
			assert_string_equal(family, finished[families - 1]);
			continue;
		}
		for (unsigned i = 0; i < families; i++)
			assert_string_not_equal(family, finished[i]);
		strcpy(finished[families++], family);
	}
	assert_int_equal(families, 3);
}

static void labels_are_escaped(void **unused)
{
	(void)unused;
	show("[{\"name\":\"a\\\"} 1\\nsoftnet_evil 2\\\\\",\"mac\":\"\\u001b[31m\\u00e9\\u2028\",\"rejections\":1}]",
	     METRICS_PROMETHEUS);
	HAS("softnet_rejections_total{vm=\"a\\\"} 1?softnet_evil 2\\\\\",mac=\"?[31m?????\"} 1");
	assert_int_equal(count("\n"), 3);
	for (const char *c = text; *c != '\0'; c++)
		assert_true(*c == '\n' || (' ' <= *c && *c <= '~'));
}

/* A reason, a class, an address: every label that a guard names itself. */
static void no_label_makes_a_line(void **unused)
{
#define EVIL "\"x\\\"} 1\\nsoftnet_evil{a=\\\"\""
	(void)unused;
	SHOW("\"version\":" EVIL ",\"guest\":" EVIL ",\"uplink\":" EVIL ",\"drops\":[{\"side\":" EVIL
	     ",\"reason\":" EVIL ",\"count\":1}],\"flows\":{" EVIL ":1},\"policy\":{" EVIL
	     ":1},\"addresses\":[{\"address\":" EVIL ",\"origin\":\"dhcp\",\"seconds\":1}]");
	assert_int_equal(count("\nsoftnet_evil"), 0);
	assert_int_equal(count("?softnet_evil"), 8);
	assert_int_equal(count("\nsoftnet_"), 1 + 1 + 1 + 6 + 1 + 1);
#undef EVIL
}

static void the_longest_labels(void **unused)
{
	static char guards[16384], octets[2001];
	(void)unused;
	for (int i = 0; i < 2000; i += 2)
		memcpy(octets + i, "\\\"", 2);
	snprintf(guards, sizeof guards,
		 "[{\"name\":\"%s\",\"mac\":\"%s\",\"version\":\"%s\",\"guest\":\"%s\","
		 "\"uplink\":\"%s\"}]",
		 octets, octets, octets, octets, octets);
	show(guards, METRICS_OPENMETRICS);
	assert_int_equal(count("\\\""), 5 * 256);
	assert_non_null(strstr(text, "\"} 1\n# EOF\n"));
}

static void no_sample_twice(void **unused)
{
	(void)unused;
	show("[{\"name\":\"a\",\"mac\":\"b\",\"rejections\":1,\"drops\":[{\"side\":\"s\",\"reason\":\"r\",\"count\":1},"
	     "{\"side\":\"s\",\"reason\":\"r\",\"count\":2}]},{\"name\":\"a\",\"mac\":\"b\",\"rejections\":2}]",
	     METRICS_OPENMETRICS);
	HAS("softnet_rejections_total{" AB "} 1");
	HAS("softnet_drops_total{" AB ",side=\"s\",reason=\"r\"} 1");
	assert_int_equal(count("\nsoftnet_"), 2);
}

/* Every key with every wrong type: nothing is shown, nothing breaks. */
static void wrong_types_give_nothing(void **unused)
{
	static const char *const keys[] = { "version", "started",    "passed",    "drops",     "flows",  "addresses",
					    "policy",  "rejections", "questions", "away",      "asking", "gateway",
					    "events",  "capture",    "metrics",   "state_file" };
	static const char *const values[] = { "-1",
					      "1.5",
					      "true",
					      "\"x\"",
					      "[1]",
					      "[[]]",
					      "[{}]",
					      "[null]",
					      "{\"x\":{}}",
					      "{\"guest\":true,\"uplink\":[]}",
					      "{\"guest\":{\"frames\":\"1\",\"octets\":-1}}",
					      "{\"seconds\":\"1\"}",
					      "{\"told\":null,\"lost\":-5,\"failed\":{}}",
					      "[{\"side\":1,\"reason\":\"r\",\"count\":1}]",
					      "[{\"side\":\"s\",\"reason\":null,\"count\":1}]",
					      "[{\"side\":\"s\",\"reason\":\"r\",\"count\":1.0}]",
					      "[{\"address\":1,\"origin\":\"dhcp\",\"seconds\":1}]",
					      "[{\"address\":\"a\",\"origin\":[],\"seconds\":1}]",
					      "\"2026-11-24\"",
					      "\"1969-11-24T00:00:00Z\"",
					      "\"\"",
					      "{}",
					      "[]" };
	char guards[256];
	(void)unused;
	for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
		for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
			snprintf(guards, sizeof guards, "[{\"name\":\"a\",\"mac\":\"b\",\"%s\":%s}]", keys[k], values[v]);
			show(guards, METRICS_OPENMETRICS);
			/* Addresses of no known kind are none. */
			bool has_zeros = strcmp(keys[k], "addresses") == 0 && values[v][0] == '[';
			assert_int_equal(count("softnet_addresses{"), has_zeros ? 6 : 0);
			assert_int_equal(count("{"), has_zeros ? 6 : 0);
			assert_int_equal(count("} 0\n"), has_zeros ? 6 : 0);
		}
}

static void guards_that_are_none(void **unused)
{
	static const char *const arrays[] = { "[]", "{}", "[1,\"x\",null,[],{}]", "[{\"name\":\"a\",\"rejections\":1}]",
					      "[{\"name\":1,\"mac\":\"b\",\"rejections\":1,\"addresses\":[]}]" };
	(void)unused;
	for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
		show(arrays[i], METRICS_OPENMETRICS);
		assert_string_equal(text, "# EOF\n");
		show(arrays[i], METRICS_PROMETHEUS);
		assert_string_equal(text, "");
	}
}

static void a_file_has_its_mode_whatever_the_umask(void **unused)
{
	char directory[] = "/tmp/softnet-metrics-XXXXXX", path[64];
	struct stat status;
	(void)unused;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/a.prom", directory);
	mode_t before = umask(077);
	assert_true(replace_file(path, "one\n", 4, 0644, NULL));
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0644);
	assert_true(replace_file(path, "two\n", 4, 0600, NULL));
	umask(before);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	unlink(path);
	assert_int_equal(rmdir(directory), 0); /* no temporary is left */
}

static int end(void **unused)
{
	(void)unused;
	free(text);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms),
		cmocka_unit_test(what_each_key_becomes),
		cmocka_unit_test(numbers_are_exact),
		cmocka_unit_test(families_are_contiguous),
		cmocka_unit_test(labels_are_escaped),
		cmocka_unit_test(no_label_makes_a_line),
		cmocka_unit_test(the_longest_labels),
		cmocka_unit_test(no_sample_twice),
		cmocka_unit_test(wrong_types_give_nothing),
		cmocka_unit_test(guards_that_are_none),
		cmocka_unit_test(a_file_has_its_mode_whatever_the_umask),
	};
	return cmocka_run_group_tests(tests, NULL, end);
}
