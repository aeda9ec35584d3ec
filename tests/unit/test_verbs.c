/* The verbs that look at guards and captures, and the options of what is told and kept. */
#include "command_line.h"

static void verbs(void **unused)
{
	(void)unused;
	TAKEN("status");
	assert_int_equal(options.wanted, WANT_STATUS);
	assert_null(options.name);
	TAKEN("status", "--json", "--vm", "ci-7");
	assert_true(options.json);
	assert_string_equal(options.name, "ci-7");
	TAKEN("watch", "--control", "/run/x.sock");
	assert_int_equal(options.wanted, WANT_WATCH);
	REFUSED("\"now\": expected nothing behind the options", "status", "now");
	REFUSED("--openmetrics: not together with --json", "status", "--json", "--openmetrics");
	REFUSED("--json: not with `softnet watch`", "watch", "--json");
	REFUSED("--allow: not with `softnet status`", "status", "--allow", "any");
	REFUSED("--json: only with `softnet status`, `watch` or `replay`", TART, "--json");
	REFUSED("--vm: only with `softnet status`, `watch` or `replay`", TART, "--vm", "x");
	REFUSED("--json: not with `softnet policy show`", "policy", "show", "--control", "p", "--json");
}

static void attaching(void **unused)
{
	(void)unused;
	TAKEN("attach", "vnet0", MAC, "--allow", "10.0.0.0/8", "--control", "p", "--state", "f", "--reject");
	assert_int_equal(options.wanted, WANT_ATTACH);
	assert_string_equal(options.interface, "vnet0");
	TAKEN("attach", "vnet0", MAC, "--segment", "lab", "--name", "vm", "--pcap", "p", "--metrics", "m");
	TAKEN("detach", "vnet0");
	assert_int_equal(options.wanted, WANT_DETACH);
	assert_string_equal(options.interface, "vnet0");
	REFUSED("attach: expected an interface: softnet attach IFACE [options]", "attach");
	REFUSED("attach: expected an interface: softnet attach IFACE [options]", "attach", MAC);
	REFUSED("--vm-mac-address: missing; it is the one that the hypervisor gives to the VM", "attach", "vnet0");
	REFUSED("--uplink: not with `softnet attach`", "attach", "vnet0", MAC, "--uplink", "slirp");
	REFUSED("--guest: not with `softnet attach`", "attach", "vnet0", MAC, "--guest", "fd:3");
	REFUSED("--vm-fd: not with `softnet attach`", "attach", "vnet0", TART);
	REFUSED("--expose: not with `softnet attach`", "attach", "vnet0", MAC, "--expose", "2222:22");
	REFUSED("\"more\": expected nothing behind the options", "attach", "vnet0", MAC, "more");
	REFUSED("--allow: not with `softnet detach`", "detach", "vnet0", "--allow", "any");
	REFUSED("detach: expected an interface: softnet detach IFACE [options]", "detach");
}

static void captures(void **unused)
{
	(void)unused;
	TAKEN("replay", "one.pcapng", "two.pcap");
	assert_int_equal(options.wanted, WANT_REPLAY);
	assert_int_equal(options.capture_count, 2);
	assert_string_equal(options.captures[1].path, "two.pcap");
	assert_int_equal(options.captures[1].side, SIDE_OF_FRAME);
	assert_false(decides_something(&options));
	TAKEN("replay", MAC, "--guest-pcap", "g", "--uplink-pcap", "u", "--diff", "new", "--frames", "none", "--json",
	      "--site", "2001:db8:1::/48,2001:db8:2::/48");
	assert_int_equal(options.captures[0].side, SIDE_GUEST);
	assert_int_equal(options.captures[1].side, SIDE_UPLINK);
	assert_string_equal(options.diff, "new");
	assert_int_equal(options.frames, FRAMES_NONE);
	assert_int_equal(options.sites.count, 2);
	assert_true(options.sites.item[1] == 0x20010db800020000ULL);
	assert_true(decides_something(&options));
	REFUSED("replay: expected a capture: softnet replay [options] FILE...", "replay");
	REFUSED("--vm-mac-address: missing; whose frames are the VM's?", "replay", "--allow", "any", "f");
	REFUSED("--uplink: not with `softnet replay`", "replay", "--uplink", "slirp", "f");
	REFUSED("--site: \"10.0.0.0/48\": expected an IPv6 prefix of 48 bits", "replay", "--site", "10.0.0.0/48", "f");
	REFUSED("--site: \"2001:db8::/64\": expected an IPv6 prefix of 48 bits", "replay", "--site", "2001:db8::/64",
		"f");
	REFUSED("--diff: only with `softnet status`, `watch` or `replay`", TART, "--diff", "f");
}

static void files(void **unused)
{
	(void)unused;
	TAKEN(TART);
	assert_true(options.pcap_size == 64 << 20);
	assert_int_equal(options.pcap_files, 2);
	TAKEN(TART, "--name", "ci-7.b_c", "--events", "e.json", "--events", "stderr", "--pcap", "c.pcapng", "--frames",
	      "all", "--pcap-size", "2G", "--pcap-files", "9", "--metrics", "m.prom");
	assert_string_equal(options.name, "ci-7.b_c");
	assert_int_equal(options.event_count, 2);
	assert_string_equal(options.events[1], "stderr");
	assert_string_equal(options.pcap, "c.pcapng");
	assert_int_equal(options.frames, FRAMES_ALL);
	assert_true(options.pcap_size == 2ULL << 30);
	assert_int_equal(options.pcap_files, 9);
	assert_string_equal(options.metrics, "m.prom");
	TAKEN(TART, "--pcap", "c", "--pcap-size", "1048576");
	assert_true(options.pcap_size == 1 << 20);
	TAKEN(TART, "--pcap", "c", "--pcap-size", "1024G");
	assert_true(options.pcap_size == 1ULL << 40);
}

static void wrong_values(void **unused)
{
	(void)unused;
	REFUSED("\"f\": expected another file for each of --events, --pcap, --metrics and --state", TART, "--pcap", "f",
		"--events", "f");
	REFUSED("\"stderr\": expected another file for each of --events, --pcap, --metrics and --state", TART,
		"--events", "stderr", "--events", "stderr");
	REFUSED("--name: \"a b\": expected 1 to 63 letters, digits, dots, dashes and underscores", TART, "--name", "a b");
	REFUSED("--name: \"\": expected 1 to 63 letters, digits, dots, dashes and underscores", TART, "--name", "");
	REFUSED("--events: \"\": expected the path of a file, stderr or syslog", TART, "--events", "");
	REFUSED("--events: \"5\": more than 4", TART, "--events", "1", "--events", "2", "--events", "3", "--events",
		"4", "--events", "5");
	REFUSED("--frames: \"some\": expected drops, all or none", TART, "--pcap", "c", "--frames", "some");
	REFUSED("--frames: \"none\": expected drops or all", TART, "--pcap", "c", "--frames", "none");
	REFUSED("--frames: expected --pcap with it", TART, "--frames", "all");
	REFUSED("--pcap-files: expected --pcap with it", TART, "--pcap-files", "3");
	REFUSED("--pcap-files: \"0\": expected a number from 1 to 1000", TART, "--pcap", "c", "--pcap-files", "0");
	static const char *const sizes[] = { "",   "K",    "1K",  "1023K", "1025G",  "9999999999999999G",
					     "1T", "64MM", "-1M", "1.5G",  "1048575" };
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		char line[80];
		snprintf(line, sizeof line, "--pcap-size: \"%s\": expected a size from 1M to 1024G", sizes[i]);
		REFUSED(line, TART, "--pcap", "c", "--pcap-size", sizes[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verbs), cmocka_unit_test(attaching),    cmocka_unit_test(captures),
		cmocka_unit_test(files), cmocka_unit_test(wrong_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
