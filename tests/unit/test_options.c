/* The command line: what each option leaves behind, and the exact line for each that is wrong. */
#include "command_line.h"
#include "softnet/options/help.h"

static void tart_form(void **unused)
{
	(void)unused;
	TAKEN("--vm-fd", "0", "--vm-mac-address", "52:54:0:0:0:a", "--vm-net-type", "host", "--allow",
	      "192.168.0.0/16, @host", "--block", "10.0.0.0/8", "--expose",
	      "2222:22,udp/127.0.0.1:53:5353,[::1]:80:8080", "--ipv6", "guard");
	assert_int_equal(options.wanted, WANT_GUARD);
	assert_int_equal(options.vm_fd, 0);
	assert_true(options.vm_mac == 0x52540000000aULL);
	assert_true(options.host_only);
	assert_int_equal(options.rules.count, 3);
	assert_int_equal(options.rules.rule[1].text.target, TARGET_HOST);
	assert_int_equal(options.rules.rule[1].class, CLASS_ALLOWED);
	assert_int_equal(options.rules.rule[2].class, CLASS_BLOCKED);
	assert_int_equal(options.expose_count, 3);
	assert_int_equal(options.exposes[0].expose.protocol, 6);
	assert_int_equal(options.exposes[0].expose.external_port, 2222);
	assert_int_equal(options.exposes[0].expose.internal_port, 22);
	assert_true(same_address(options.exposes[0].expose.external, address_of_ipv4(0)));
	assert_int_equal(options.exposes[0].expose.ports, 1);
	assert_string_equal(options.exposes[0].text, "2222:22");
	assert_int_equal(options.exposes[1].expose.protocol, 17);
	assert_true(same_address(options.exposes[1].expose.external, address_of_ipv4(0x7f000001)));
	assert_int_equal(options.exposes[1].expose.external_port, 53);
	assert_true(same_address(options.exposes[2].expose.external, (struct address){ 0, 1 }));
	assert_int_equal(options.exposes[2].expose.internal_port, 8080);
}

static void defaults(void **unused)
{
	(void)unused;
	TAKEN(TART);
	assert_int_equal(options.mtu, 1500);
	assert_false(options.host_only);
	assert_true(wants_isolation(&options));
	assert_null(options.uplink);
	assert_null(options.state_file);
	assert_int_equal(options.inbound, INBOUND_ANY);
	assert_false(options.inbound_given || options.reject);
	assert_int_equal(options.control_fd, -1);
	assert_null(options.control_path);
	assert_int_equal(options.rates[RATE_OF_DECLINE].refill, 1);
	assert_int_equal(options.rates[RATE_OF_DECLINE].burst, 3);
}

static void every_option_in_both_spellings(void **unused)
{
	(void)unused;
	TAKEN("--vm-fd=5", "--vm-mac-address=52-54-00-00-00-0A", "--vm-net-type=nat", "--allow=10.0.0.0/8",
	      "--block=@dns", "--gateway=10.0.0.1,fd00::1", "--gateway", "10.0.0.2", "--gateway-mac=02:00:00:00:00:01",
	      "--mtu=9000", "--dhcp-server=10.0.0.3", "--dns=8.8.8.8,8.8.4.4", "--ipv6=auto", "--isolation=off",
	      "--anchors=strict", "--dhcp-client-id=strict", "--arp-conflicts=pass", "--no-resync",
	      "--rate=newlease=0.5/8", "--rate=arp=0/0", "-vv", "--bootpd-lease-time=600", "--sandbox=off");
	assert_true(options.sandbox_off);
	assert_int_equal(options.vm_fd, 5);
	assert_int_equal(options.gateways.count, 3);
	assert_int_equal(options.gateway_macs.count, 1);
	assert_int_equal(options.servers.count, 1);
	assert_int_equal(options.resolvers.count, 2);
	assert_int_equal(options.mtu, 9000);
	assert_false(wants_isolation(&options));
	assert_true(options.strict_anchors && options.strict_client_id && options.arp_conflicts_pass && options.no_resync);
	assert_int_equal(options.rates[RATE_OF_NEW_LEASE].refill, 500);
	assert_int_equal(options.rates[RATE_OF_NEW_LEASE].burst, 8);
	assert_int_equal(options.rates[RATE_OF_ARP].burst, 0);
	assert_int_equal(options.verbose, 2);
	TAKEN("--guest", "stream:/x", MAC, "--vm-ip", "10.0.0.5/24,10.0.0.6", "--no-dhcp", "--state", "/f", "--user",
	      "u", "--group", "7", "--uplink", "tap:t0,bridge=br0", "--sudo-escalation-done", "--ipv6", "off", "-v",
	      "--verbose");
	assert_int_equal(options.ipv6, IPV6_OFF);
	assert_false(options.reject);
	assert_int_equal(options.static_count, 2);
	assert_int_equal(options.statics[0].prefix_length, 24);
	assert_true(same_address(options.statics[0].address, address_of_ipv4(0x0a000005)));
	assert_int_equal(options.statics[1].prefix_length, 32);
	assert_true(options.dhcp_off);
	assert_int_equal(options.verbose, 2);
}

static void host_names(void **unused)
{
	(void)unused;
	TAKEN(TART, "--dhcp-hostname", "Web1,www.Example.org.", "--dhcp-hostname=db-2");
	assert_int_equal(options.host_names.count, 3);
	assert_int_equal(options.host_names.item[0].octets, 4);
	assert_string_equal((char *)options.host_names.item[0].text, "web1");
	assert_string_equal((char *)options.host_names.item[1].text, "www.example.org");
	TAKEN(TART, "--dhcp-hostname", "none");
	assert_true(options.host_names.none && options.host_names.count == 0);
	TAKEN(TART, "--dhcp-hostname", "any");
	assert_false(options.host_names.none);
	REFUSED("--dhcp-hostname: \"db\": expected any or none alone, or names alone", TART, "--dhcp-hostname", "none",
		"--dhcp-hostname", "db");
	REFUSED("--dhcp-hostname: \"any\": expected any or none alone, or names alone", TART, "--dhcp-hostname", "db",
		"--dhcp-hostname", "any");
}

static void options_of_the_policy(void **unused)
{
	static const struct {
		const char *word;
		enum inbound inbound;
	} words[] = { { "any", INBOUND_ANY }, { "established", INBOUND_ESTABLISHED }, { "none", INBOUND_NONE } };
	(void)unused;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		TAKEN(TART, "--inbound", words[i].word);
		assert_true(options.inbound_given);
		assert_int_equal(options.inbound, words[i].inbound);
	}
	TAKEN(TART, "--reject", "--control-fd", "1", "--control=/run/x");
	assert_true(options.reject && !options.inbound_given);
	assert_int_equal(options.control_fd, 1);
	assert_string_equal(options.control_path, "/run/x");
	TAKEN(TART, "--block", "in @host,10.0.0.9/8", "--allow", "in @host", "--allow", "[fd00::]/8:tcp/443", "--block",
	      "10.0.0.0/8");
	assert_int_equal(options.rules.count, 4); /* normalized */
	assert_int_equal(options.rules.rule[0].class, CLASS_ALLOWED);
	assert_int_equal(options.rules.rule[0].text.prefix_length, 8);
	assert_int_equal(options.rules.rule[2].text.prefix_length, 104);
}

static void nobody_opens_with_inbound_none(void **unused)
{
	(void)unused;
	REFUSED("--inbound: \"none\": expected no allow rule such as \"in @host:tcp/22\" with it", TART, "--inbound",
		"none", "--allow", "@dns,in @host:tcp/22");
	REFUSED("--inbound: \"none\": expected no --expose with it", TART, "--expose", "80:80", "--inbound", "none");
	TAKEN(TART, "--inbound", "none", "--block", "in @host", "--allow", "out @host,@dns");
	TAKEN(TART, "--inbound", "established", "--allow", "in @host", "--expose", "80:80");
}

static void options_of_ipv6(void **unused)
{
	(void)unused;
	TAKEN(TART, "--ipv6=guard", "--ipv6-iid=eui64", "--nat64=2001:db8:64::/96,2001:db8:65::9/48", "--gateway",
	      "fe80::1,10.0.0.1,2001:db8::1", "--dhcp-server", "fe80::2,10.0.0.2", "--dns", "2001:db8::53", "--vm-ip",
	      "fd00::5/64,10.0.0.5/24,fd00::6,fd00::7/0", "--rate", "nd=1/2", "--rate", "rs=3/4", "--rate",
	      "newbind6=5/6", "--rate", "u-ra=7/8");
	assert_int_equal(options.ipv6, IPV6_GUARD);
	assert_true(options.ipv6_eui64_only);
	assert_int_equal(options.nat64.count, 2);
	assert_int_equal(options.nat64.item[0].length, 96);
	assert_int_equal(options.nat64.item[1].length, 48);
	assert_true(same_address(options.nat64.item[1].prefix, (struct address){ 0x20010db800650000ULL, 0 }));
	assert_int_equal(options.gateways.count, 3);
	assert_int_equal(options.servers.count, 2);
	assert_int_equal(options.resolvers.count, 1);
	assert_int_equal(options.static_count, 4);
	assert_true(same_address(options.statics[0].address, (struct address){ 0xfd00000000000000ULL, 5 }));
	assert_int_equal(options.statics[0].prefix_length, 64);
	assert_int_equal(options.statics[1].prefix_length, 24);
	assert_int_equal(options.statics[2].prefix_length, 128);
	assert_int_equal(options.statics[3].prefix_length, 0);
	assert_int_equal(options.rates[RATE_OF_ND].refill, 1000);
	assert_int_equal(options.rates[RATE_OF_ROUTER_SOLICITATION].burst, 4);
	assert_int_equal(options.rates[RATE_OF_NEW_ADDRESS].burst, 6);
	assert_int_equal(options.rates[RATE_OF_UPLINK_ROUTER].burst, 8);
	TAKEN(TART, "--vm-ip", "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4,fd00::1,fd00::2,fd00::3,fd00::4");
	assert_int_equal(options.static_count, STATICS_MAX);
}

/* docs/filter-ipv6.md: rules that were written for one family must not leave the other one open. */
static void ipv6_follows_the_rules_unless_told(void **unused)
{
	static const struct {
		const char *rules, *mode;
		bool guarded;
		const char *why;
	} cases[] = {
		{ "@host", "auto", true, "auto: no rule names a prefix of IPv4" },
		{ "@gateway,@dns,@global", "auto", true, "auto: no rule names a prefix of IPv4" },
		{ "10.0.0.0/8", "auto", false, "auto: rules name prefixes of IPv4 and none of IPv6" },
		{ "10.1.2.3,@host", "auto", false, "auto: rules name prefixes of IPv4 and none of IPv6" },
		{ "0.0.0.0/0", "auto", false, "auto: rules name prefixes of IPv4 and none of IPv6" },
		{ "0.0.0.0/0,::/0", "auto", true, "auto: a rule names a prefix of IPv6" },
		{ "fd00::/8", "auto", true, "auto: a rule names a prefix of IPv6" },
		{ "10.0.0.0/8,2001:db8::1", "auto", true, "auto: a rule names a prefix of IPv6" },
		{ "any", "auto", true, "auto: a rule names a prefix of IPv6" },
		{ "10.0.0.0/8,@lan", "auto", true, "auto: a rule names a prefix of IPv6" },
		{ "10.0.0.0/8:443", "auto", false, "auto: rules name prefixes of IPv4 and none of IPv6" },
		{ "in 10.0.0.0/8", "auto", false, "auto: rules name prefixes of IPv4 and none of IPv6" },
		{ "[fd00::]/8:443", "auto", true, "auto: a rule names a prefix of IPv6" },
		/* With a qualifier they say the same little of both. */
		{ "any:tcp/25", "auto", true, "auto: no rule names a prefix of IPv4" },
		{ "10.0.0.0/8,any:tcp/25", "auto", false, "auto: rules name prefixes of IPv4 and none of IPv6" },
		{ "10.0.0.0/8,@lan:tcp/25", "auto", false, "auto: rules name prefixes of IPv4 and none of IPv6" },
		/* Each direction that is open by itself is a set of its own. */
		{ "out 10.0.0.0/8,in fd00::/8", "auto", false,
		  "auto: rules of one direction name prefixes of IPv4 and none of IPv6" },
		{ "out 10.0.0.0/8,out fd00::/8", "auto", true, "auto: a rule names a prefix of IPv6" },
		{ "10.0.0.0/8,out fd00::/8", "auto", false,
		  "auto: rules of one direction name prefixes of IPv4 and none of IPv6" },
		{ "in 10.0.0.0/8,fd00::/8", "auto", true, "auto: a rule names a prefix of IPv6" },
		{ "10.0.0.0/8", "guard", true, "--ipv6" },
		{ "fd00::/8", "off", false, "--ipv6" },
	};
	const char *why;
	(void)unused;
	TAKEN(TART);
	assert_true(wants_ipv6(&options, &why));
	assert_string_equal(why, "auto: no rule names a prefix of IPv4");
	for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
		TAKEN(TART, i % 2 ? "--allow" : "--block", cases[i / 2].rules, "--ipv6", cases[i / 2].mode);
		if (wants_ipv6(&options, &why) != cases[i / 2].guarded || strcmp(why, cases[i / 2].why) != 0)
			fail_msg("%s, %s: %s", cases[i / 2].rules, cases[i / 2].mode, why);
	}
	TAKEN(TART, "--allow", "10.0.0.0/8", "--block", "fd00::/8");
	assert_true(wants_ipv6(&options, NULL));
	/* With --inbound a rule without direction is of one, and what nobody may open needs no rules. */
	TAKEN(TART, "--block", "10.0.0.0/8,out fd00::/8", "--inbound", "any");
	assert_true(wants_ipv6(&options, NULL));
	TAKEN(TART, "--block", "any", "--allow", "in 10.0.0.0/24", "--inbound", "established");
	assert_true(wants_ipv6(&options, NULL));
	TAKEN(TART, "--block", "any", "--block", "in 10.0.0.0/24", "--inbound", "any");
	assert_false(wants_ipv6(&options, NULL));
}

static void an_address_that_could_not_be_used(void **unused)
{
	(void)unused;
	REFUSED("--vm-ip: \"fd00::5\": expected --ipv6 guard with it: IPv6 is off by --ipv6", TART, "--vm-ip",
		"10.0.0.5,fd00::5/64", "--ipv6", "off");
	REFUSED("--vm-ip: \"fd00::5\": expected --ipv6 guard with it: IPv6 is off by the rules, which are all of IPv4",
		TART, "--vm-ip", "fd00::5", "--allow", "10.0.0.0/8");
	TAKEN(TART, "--vm-ip", "fd00::5", "--allow", "10.0.0.0/8", "--ipv6", "guard");
}

static void an_exposed_port_that_could_lead_nowhere(void **unused)
{
	(void)unused;
	REFUSED("--expose: \"[::1]:80:80\": expected --ipv6 guard with it: IPv6 is off by --ipv6", TART, "--expose",
		"80:80,[::1]:80:80", "--ipv6", "off");
	REFUSED(
	    "--expose: \"[::]:80:80\": expected --ipv6 guard with it: IPv6 is off by the rules, which are all of IPv4",
	    TART, "--expose", "[::]:80:80", "--allow", "10.0.0.0/8");
	TAKEN(TART, "--expose", "[::]:80:80", "--allow", "10.0.0.0/8", "--ipv6", "guard");
	TAKEN(TART, "--expose", "80:80", "--ipv6", "off");
}

static void addresses_may_be_shared(void **unused)
{
	(void)unused;
	TAKEN(TART, "--vm-ip", "10.0.0.5/24", "--shared-ip", "10.0.0.100/24,fd00::64/64");
	assert_int_equal(options.static_count, 3);
	assert_true(!options.statics[0].is_shared && options.statics[1].is_shared && options.statics[2].is_shared);
	assert_int_equal(options.statics[1].prefix_length, 24);
	assert_true(same_address(options.statics[2].address, (struct address){ 0xfd00000000000000ULL, 0x64 }));
	REFUSED("--shared-ip: more than 3 IPv4 addresses leave no place for a lease; expected --no-dhcp with it", TART,
		"--shared-ip", "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4");
	TAKEN(TART, "--no-dhcp", "--shared-ip", "10.0.0.1,10.0.0.2,10.0.0.3,10.0.0.4");
	REFUSED("--shared-ip: more than 4 IPv4 addresses", TART, "--vm-ip", "10.0.0.1,10.0.0.2", "--shared-ip",
		"10.0.0.3,10.0.0.4,10.0.0.5");
	REFUSED("--shared-ip: \"fd00::5\": expected --ipv6 guard with it: IPv6 is off by --ipv6", TART, "--shared-ip",
		"fd00::5", "--ipv6", "off");
}

/* A limit and its parts: what is written last counts. */
static void a_rate_is_that_of_its_parts(void **unused)
{
	(void)unused;
	TAKEN(TART, "--rate", "arp=5/6", "--rate", "uplink-bum=7/8", "--rate", "uplink-bum-ask=9/10");
	assert_int_equal(options.rates[RATE_OF_ARP].burst, 6);
	assert_int_equal(options.rates[RATE_OF_ARP_ANSWER].burst, 6);
	assert_int_equal(options.rates[RATE_OF_ARP_CLAIM].burst, 6);
	assert_int_equal(options.rates[RATE_OF_UPLINK_GATEWAY].burst, 8);
	assert_int_equal(options.rates[RATE_OF_UPLINK_ASK].burst, 10);
	assert_int_equal(options.rates[RATE_OF_ND].burst, 100);
	TAKEN(TART, "--rate", "arp-gateway=5/6");
	assert_int_equal(options.rates[RATE_OF_ARP_GATEWAY].burst, 6);
	assert_int_equal(options.rates[RATE_OF_ARP].burst, 100);
}

static void isolation_follows_the_rules_unless_told(void **unused)
{
	(void)unused;
	TAKEN(TART, "--allow", "10.0.0.0/8,0.0.0.0/0", "--block", "0.0.0.0/0");
	assert_false(wants_isolation(&options));
	TAKEN(TART, "--allow", "0.0.0.0/0", "--isolation", "on");
	assert_true(wants_isolation(&options));
	TAKEN(TART, "--allow", "::/0");
	assert_true(wants_isolation(&options));
	TAKEN(TART, "--allow", "in 0.0.0.0/0,0.0.0.0/0:443");
	assert_true(wants_isolation(&options));
	TAKEN(TART, "--allow", "out 0.0.0.0/0");
	assert_true(wants_isolation(&options));
	TAKEN(TART, "--allow", "out any,out ::/0,in any");
	assert_true(wants_isolation(&options));
	TAKEN(TART, "--allow", "out 0.0.0.0/0", "--allow", "any");
	assert_false(wants_isolation(&options));
}

static void questions_are_answered_from_anywhere(void **unused)
{
	(void)unused;
	TAKEN("--help");
	assert_int_equal(options.wanted, WANT_HELP);
	TAKEN("--nonsense", "--vm-fd", "x", "-h");
	assert_int_equal(options.wanted, WANT_HELP);
	TAKEN("run", "-vh");
	assert_int_equal(options.wanted, WANT_HELP);
	TAKEN("replay", "--version", "--allow");
	assert_int_equal(options.wanted, WANT_VERSION);
	TAKEN(TART, "-V");
	assert_int_equal(options.wanted, WANT_VERSION);
	TAKEN("--sudo-escalation-probing", TART);
	assert_int_equal(options.wanted, WANT_PROBE);
	TAKEN("run", MAC, "--", "vm", "--help", "--version"); /* but not from the command */
	assert_int_equal(options.wanted, WANT_RUN);
}

static void run_form(void **unused)
{
	(void)unused;
	TAKEN("run", MAC, "--allow", "@host", "--", "qemu", "-v", "--", "{fd}");
	assert_int_equal(options.wanted, WANT_RUN);
	assert_string_equal(options.command[0], "qemu");
	assert_string_equal(options.command[1], "-v");
	assert_string_equal(options.command[2], "--");
	assert_string_equal(options.command[3], "{fd}");
	assert_null(options.command[4]);
	TAKEN("run", "--", "vm", "{mac}"); /* its MAC address is made up later */
	REFUSED("run: expected a command: softnet run [options] -- COMMAND ARGS...", "run", MAC);
	REFUSED("run: expected a command: softnet run [options] -- COMMAND ARGS...", "run", MAC, "--");
	REFUSED("\"qemu\": expected \"--\" before the command of `softnet run`", "run", MAC, "qemu", "-x");
	REFUSED("--vm-fd: not with `softnet run`, which makes the socket itself", "run", TART, "--", "vm");
	REFUSED("--state: expected a value: FILE", "run", MAC, "--state", "--", "vm");
}

static void check_form(void **unused)
{
	(void)unused;
	TAKEN("policy", "check"); /* no guest is needed */
	assert_int_equal(options.wanted, WANT_CHECK);
	assert_null(options.tuples[0]);
	TAKEN("policy", "check", "--allow", "@host", "in", "10.0.0.1:tcp/22", "--block");
	assert_string_equal(options.tuples[0], "in");
	assert_string_equal(options.tuples[2], "--block"); /* options come first */
	assert_null(options.tuples[3]);
	assert_int_equal(options.rules.count, 1);
	TAKEN("policy", "check", TART, "--expose", "80:80"); /* somebody's whole command line */
	REFUSED("--inbound: \"none\": expected no allow rule such as \"in any\" with it", "policy", "check",
		"--inbound", "none", "--allow", "in any");
	TAKEN("policy", "check", "--help");
	assert_int_equal(options.wanted, WANT_HELP);
}

static void client_forms(void **unused)
{
	(void)unused;
	TAKEN("policy", "show", "--control", "/run/c");
	assert_int_equal(options.wanted, WANT_SHOW);
	assert_string_equal(options.control_path, "/run/c");
	TAKEN("policy", "set", "--control=/run/c", "--allow", "@host,10.0.0.1", "--block", "any");
	assert_int_equal(options.wanted, WANT_SET);
	assert_int_equal(options.rules.count, 3);
	TAKEN("policy", "show", "--vm", "web1");
	assert_string_equal(options.name, "web1");
	TAKEN("policy", "set", "--vm=web1", "--block", "any");
	REFUSED("policy show: expected --vm NAME, or --control and the PATH that the guard was given", "policy", "show");
	REFUSED("policy set: expected --vm NAME, or --control and the PATH that the guard was given", "policy", "set",
		"--block", "any");
	REFUSED("--vm: not together with --control", "policy", "show", "--vm", "a", "--control", "p");
	REFUSED("policy set: expected --allow, --block or --policy with it; an empty FILE takes all rules away",
		"policy", "set", "--vm=web1");
	REFUSED("--allow: not with `softnet policy show`", "policy", "show", "--control=/run/c", "--allow", "any");
	REFUSED("policy set: expected --allow, --block or --policy with it; an empty FILE takes all rules away",
		"policy", "set", "--control=/run/c");
	REFUSED("--mtu: not with `softnet policy set`", "policy", "set", "--control=/run/c", "--mtu=1500");
	REFUSED("\"1.1.1.1\": expected nothing behind the options", "policy", "set", "--control=/run/c", "1.1.1.1");
}

/* One descriptor cannot be both. */
static void control_and_network(void **unused)
{
	(void)unused;
	TAKEN("run", "--control-fd=0", MAC, "--", "qemu", "{fd}");
	TAKEN(TART, "--uplink", "fd:51", "--control-fd", "5");
	REFUSED("--control-fd: \"0\": expected another descriptor than that of --vm-fd", TART, "--control-fd", "0");
	REFUSED("--control-fd: \"5\": expected another descriptor than that of --guest", MAC, "--guest", "fd:5",
		"--control-fd", "5");
	REFUSED("--control-fd: \"5\": expected another descriptor than that of --uplink", TART, "--uplink", "fd:5",
		"--control-fd", "5");
	REFUSED("--control-fd: given twice", TART, "--control-fd", "1", "--control-fd", "3");
	REFUSED("--control: given twice", TART, "--control=a", "--control=a");
}

/* Whatever is written, --help answers every option that is not hidden with its name. */
static void help_names_every_option(void **unused)
{
	char *text = NULL;
	size_t length = 0;
	(void)unused;
	FILE *to = open_memstream(&text, &length);
	assert_non_null(to);
	print_help(to, WANT_HELP, false);
	fclose(to);
	for (int i = 0; i < option_line_count; i++) {
		char name[64];
		snprintf(name, sizeof name, "--%s", option_lines[i].name);
		bool is_shown = strstr(text, name) != NULL;
		if (is_shown != (option_lines[i].help != NULL))
			fail_msg("%s", name);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tart_form),
		cmocka_unit_test(client_forms),
		cmocka_unit_test(control_and_network),
		cmocka_unit_test(defaults),
		cmocka_unit_test(every_option_in_both_spellings),
		cmocka_unit_test(host_names),
		cmocka_unit_test(options_of_the_policy),
		cmocka_unit_test(nobody_opens_with_inbound_none),
		cmocka_unit_test(options_of_ipv6),
		cmocka_unit_test(ipv6_follows_the_rules_unless_told),
		cmocka_unit_test(an_address_that_could_not_be_used),
		cmocka_unit_test(an_exposed_port_that_could_lead_nowhere),
		cmocka_unit_test(addresses_may_be_shared),
		cmocka_unit_test(a_rate_is_that_of_its_parts),
		cmocka_unit_test(isolation_follows_the_rules_unless_told),
		cmocka_unit_test(questions_are_answered_from_anywhere),
		cmocka_unit_test(run_form),
		cmocka_unit_test(check_form),
		cmocka_unit_test(help_names_every_option),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
