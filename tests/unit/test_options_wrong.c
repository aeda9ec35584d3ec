/* Command lines that are refused, and how that is said. */
#include "command_line.h"

static void wrong_words(void **unused)
{
	(void)unused;
	REFUSED("--nonsense: unknown option; softnet --help lists them", "--nonsense=7", TART);
	REFUSED("--allo: unknown option; did you mean --allow?", TART, "--allo", "@host"); /* no abbreviations */
	REFUSED("--help: takes no value", "--help=yes");
}

static void wrong_forms(void **unused)
{
	(void)unused;
	REFUSED("-x: unknown option; softnet --help lists them", "-x");
	REFUSED("-vm-fd: unknown option; did you mean --vm-fd?", "-vm-fd", "0");
	REFUSED("--no-dhcp: takes no value", "--no-dhcp=1");
	REFUSED("--vm-fd: expected a value: FD", MAC, "--vm-fd");
	REFUSED("--allow: expected a value: RULE,...", TART, "--allow", "--block", "@host");
	REFUSED("\"run\": expected an option, or " VERBS " as the first word", TART, "run");
	REFUSED("\"extra\": expected an option, or " VERBS " as the first word", TART, "extra", "--mtu", "1");
	REFUSED("\"get\": expected softnet policy check, show, set or suggest, and options", "policy", "get");
	REFUSED("\"policy\": expected softnet policy check, show, set or suggest, and options", "policy");
	REFUSED("--policy: expected a value: FILE", "policy", "check", "--policy");
	REFUSED("--reject: takes no value", TART, "--reject=yes");
}

static void missing_and_twice(void **unused)
{
	(void)unused;
	assert_false(parse((const char *const[]){ NULL }));
	assert_string_equal(error.text, "--vm-fd: missing; give --vm-fd or --guest, or see softnet --help");
	REFUSED("--vm-mac-address: missing; it is the one that the hypervisor gives to the VM", "--vm-fd", "0");
	REFUSED("--vm-mac-address: given twice", TART, MAC);
	REFUSED("--vm-fd: given twice", TART, "--vm-fd", "3");
	REFUSED("--mtu: given twice", TART, "--mtu", "1500", "--mtu", "1500");
	REFUSED("--guest: not together with --vm-fd", TART, "--guest", "fd:3");
	REFUSED("--vm-net-type: \"host\": expected --uplink slirp with it", TART, "--vm-net-type", "host", "--uplink",
		"tap:x");
	REFUSED("--no-dhcp: expected --vm-ip with it, or the VM could never send anything", TART, "--no-dhcp");
}

/* option, value, what the line says behind the option's name */
static const char *const bad_values[][3] = {
	{ "--vm-fd", "-1", "\"-1\": expected the number of an open descriptor" },
	{ "--vm-fd", "0x0", "\"0x0\": expected the number of an open descriptor" },
	{ "--vm-fd", "99999999999999999999", "\"99999999999999999999\": expected the number of an open descriptor" },
	{ "--vm-mac-address", "52:54:00:00:00", "\"52:54:00:00:00\": expected a MAC address such as 52:54:00:12:34:56" },
	{ "--vm-mac-address", "52:54:00:00:00:0a:0b",
	  "\"52:54:00:00:00:0a:0b\": expected a MAC address such as 52:54:00:12:34:56" },
	{ "--vm-mac-address", "00:00:00:00:00:00",
	  "\"00:00:00:00:00:00\": expected a unicast MAC address: not zero, first octet even" },
	{ "--vm-mac-address", "01:00:5e:00:00:01",
	  "\"01:00:5e:00:00:01\": expected a unicast MAC address: not zero, first octet even" },
	{ "--vm-net-type", "bridged", "\"bridged\": expected host or nat" },
	{ "--allow", "10.0.0.0/33", "\"10.0.0.0/33\": behind the slash stands a length of 0 to 32 bits" },
	{ "--allow", "10.0.0.0/8,", "\"10.0.0.0/8,\": expected a comma list of rules without empty items" },
	{ "--block", "", "\"\": expected a comma list of rules without empty items" },
	{ "--block", "in @hosts",
	  "\"in @hosts\": did you mean @host? A target is a CIDR, an address, a host name, vm:NAME, any, @host, "
	  "@gateway, @dns, @lan or @global" },
	{ "--block", "@dns:tcp/0", "\"@dns:tcp/0\": a port is 1 to 65535" },
	{ "--policy", "/no/such/file", "/no/such/file: No such file or directory" },
	{ "--policy", "/", "/: expected a regular file or a pipe" },
	{ "--policy", "/dev/null", "/dev/null: expected a regular file or a pipe" },
	{ "--inbound", "all", "\"all\": expected any, established or none" },
	{ "--control-fd", "x", "\"x\": expected the number of an open descriptor" },
	{ "--control", "", "\"\": expected the path of a socket" },
	{ "--expose", "80", "\"80\": expected [tcp/|udp/][ADDR:]EXT[-EXT]:INT[-INT] with ports 1-65535" },
	{ "--expose", "80:81,1.2.3.4:80:81", "\"1.2.3.4:80:81\": port 80 is exposed already, by \"80:81\"" },
	{ "--expose", "80:80,", "\"80:80,\": expected a comma list without empty items" },
	{ "--guest", "", "\"\": expected KIND:ARGUMENT, see --help" },
	{ "--uplink", "", "\"\": expected KIND or KIND:ARGUMENT, see --help" },
	{ "--gateway", "10.0.0.0/8", "\"10.0.0.0/8\": expected an IP address" },
	{ "--gateway", "0.0.0.0", "\"0.0.0.0\": expected an IP address" },
	{ "--gateway", "1.1.1.1,,2.2.2.2", "\"1.1.1.1,,2.2.2.2\": expected a comma list without empty items" },
	{ "--dns", "1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,1.1.1.6,1.1.1.7,1.1.1.8,1.1.1.9", "more than 8 addresses" },
	{ "--dhcp-server", "x", "\"x\": expected an IP address" },
	{ "--dhcp-server", "10.0.0.1,fd00::1",
	  "\"fd00::1\": expected an IPv4 or a link-local address: DHCPv6 servers answer from those" },
	{ "--gateway", "::", "\"::\": expected an IP address" },
	{ "--gateway", "fe80::1%eth0", "\"fe80::1%eth0\": expected an IP address" },
	{ "--nat64", "64:ff9b:1::/95",
	  "\"64:ff9b:1::/95\": expected an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits (RFC 6052)" },
	{ "--nat64",
	  "64:ff9b:1::", "\"64:ff9b:1::\": expected an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits (RFC 6052)" },
	{ "--nat64", "2001:db8:0:0:100::/96",
	  "\"2001:db8:0:0:100::/96\": expected an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits (RFC 6052)" },
	{ "--nat64", "10.0.0.0/32",
	  "\"10.0.0.0/32\": expected an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits (RFC 6052)" },
	{ "--nat64", "::/96", "\"::/96\": expected an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits (RFC 6052)" },
	{ "--nat64", "1::/96,2::/96,3::/96,4::/96,5::/96", "more than 4 prefixes" },
	{ "--nat64", "1::/96,", "\"1::/96,\": expected a comma list without empty items" },
	{ "--gateway-mac", "ff:ff:ff:ff:ff:ff", "\"ff:ff:ff:ff:ff:ff\": expected a unicast MAC address" },
	{ "--vm-ip", "10.0.0.1/33", "\"10.0.0.1/33\": expected ADDRESS or ADDRESS/LENGTH" },
	{ "--vm-ip", "fd00::1/129", "\"fd00::1/129\": expected ADDRESS or ADDRESS/LENGTH" },
	{ "--vm-ip", "fd00::g", "\"fd00::g\": expected ADDRESS or ADDRESS/LENGTH" },
	{ "--vm-ip", "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5", "more than 4 IPv4 addresses" },
	{ "--vm-ip", "10.0.0.1,fd00::1,fd00::2,fd00::3,fd00::4,fd00::5", "more than 4 IPv6 addresses" },
	{ "--mtu", "575", "\"575\": expected a number of octets from 576 to 65535" },
	{ "--mtu", "65536", "\"65536\": expected a number of octets from 576 to 65535" },
	{ "--mtu", "1500 ", "\"1500 \": expected a number of octets from 576 to 65535" },
	{ "--ipv6", "on", "\"on\": expected auto, guard or off" },
	{ "--ipv6-iid", "stable", "\"stable\": expected eui64 or any" },
	{ "--isolation", "yes", "\"yes\": expected on, off or vms" },
	{ "--anchors", "", "\"\": expected strict or learn" },
	{ "--dhcp-client-id", "duid", "\"duid\": expected strict or any" },
	{ "--dhcp-hostname", "web1,", "\"web1,\": expected a comma list without empty items" },
	{ "--dhcp-hostname", "web 1", "\"web 1\": expected any, none or a host name" },
	{ "--dhcp-hostname", "web1..lan", "\"web1..lan\": expected any, none or a host name" },
	{ "--dhcp-hostname", ".", "\".\": expected any, none or a host name" },
	{ "--dhcp-hostname", "a,b,c,d,e,f,g,h,i", "more than 8 names" },
	{ "--arp-conflicts", "x", "\"x\": expected pass or drop" },
	{ "--rate", "dhcp", "\"dhcp\": expected one NAME=PERSECOND/BURST; --rate may be repeated" },
	{ "--rate", "arp=1/1,dhcp=1/1",
	  "\"arp=1/1,dhcp=1/1\": expected one NAME=PERSECOND/BURST; --rate may be repeated" },
	{ "--rate", "dhcp/2=3", "\"dhcp/2=3\": expected one NAME=PERSECOND/BURST; --rate may be repeated" },
	{ "--rate", "tcp=1/1", "\"tcp=1/1\": expected a rate that --help names" },
	{ "--rate", "dhcp=1.2345/1",
	  "\"dhcp=1.2345/1\": expected PERSECOND from 0.001 to 1000000 and BURST from 0 (no limit) to 1000000" },
	{ "--rate", "dhcp=/1",
	  "\"dhcp=/1\": expected PERSECOND from 0.001 to 1000000 and BURST from 0 (no limit) to 1000000" },
	{ "--rate", "dhcp=0/1", "\"dhcp=0/1\": expected PERSECOND of at least 0.001, or BURST 0 for no limit" },
	{ "--state", "", "\"\": expected the path of a file" },
	{ "--segment", "a b", "\"a b\": expected auto, none, or 1 to 48 letters, digits, dots, dashes and underscores" },
	{ "--user", "", "\"\": expected a user's name or number" },
	{ "--group", "", "\"\": expected a group's name or number" },
	{ "--bootpd-lease-time", "0", "\"0\": expected a number of seconds from 1 to 2147483647" },
	{ "--bootpd-lease-time", "4294967296", "\"4294967296\": expected a number of seconds from 1 to 2147483647" },
};

static void each_bad_value_is_named(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < sizeof bad_values / sizeof *bad_values; i++) {
		char line[320];
		snprintf(line, sizeof line, "%s: %s", bad_values[i][0], bad_values[i][2]);
		REFUSED(line, bad_values[i][0], bad_values[i][1]);
		snprintf(line, sizeof line, "%s=%s", bad_values[i][0], bad_values[i][1]);
		assert_false(PARSE(line));
		assert_memory_equal(error.text, bad_values[i][0], strlen(bad_values[i][0]));
	}
}

static void errors_stay_on_one_short_line(void **unused)
{
	char value[4000];
	(void)unused;
	memset(value, 'a', sizeof value);
	value[sizeof value - 1] = '\0';
	assert_false(PARSE(TART, "--allow", value));
	assert_true(strlen(error.text) < sizeof error.text);
	assert_false(PARSE(TART, "--mtu", "1\n2\033[2J"));
	assert_null(strchr(error.text, '\n'));
	assert_null(strchr(error.text, '\033'));
	assert_false(PARSE(value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_words),
		cmocka_unit_test(wrong_forms),
		cmocka_unit_test(missing_and_twice),
		cmocka_unit_test(each_bad_value_is_named),
		cmocka_unit_test(errors_stay_on_one_short_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
