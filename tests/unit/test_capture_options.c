/* The comment of a capture: options of many kinds, with what an uplink knows, come back as the same config. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "softnet/capture/capture_options.h"
#include "softnet/setup/setup.h"

#include <cmocka.h>

enum { WORDS_MAX = 64, COMMENT_MAX = 65535 };

static struct options options, options_again;
static struct config config, config_again;
static struct anchors anchors;
static struct exposes exposes;
static struct vm_addresses vms;
static struct in_force now = { &options, &config, &options.rules, &vms, &exposes };
static struct error error;
static char comment[COMMENT_MAX + 1];

/* As a bridge of both families would know them; slirp's DHCPv6 server is at no link-local address. */
static void know_uplink(void)
{
	memset(&anchors, 0, sizeof anchors);
	set_add(&anchors.host, address_of_ipv4(0xc0a84d01));
	set_add(&anchors.host, (struct address){ LINK_LOCAL_PREFIX, 1 });
	set_add(&anchors.servers, address_of_ipv4(0xc0a84d02));
	set_add(&anchors.servers, (struct address){ 0xfd00001000000002ULL, 2 });
	set_add(&anchors.resolvers, (struct address){ 0x20010db800000000ULL, 0x53 });
	mac_set_add(&anchors.gateway_macs, 0x525400000001ULL);
}

static void start(const char *const *words)
{
	static char text[WORDS_MAX][256];
	static char *argv[WORDS_MAX] = { "softnet", "--vm-fd=0", "--vm-mac-address=52:54:00:00:00:0a" };
	int argc = 3;
	for (; words[argc - 3]; argc++) {
		snprintf(text[argc], sizeof text[0], "%s", words[argc - 3]);
		argv[argc] = text[argc];
	}
	argv[argc] = NULL;
	memset(&config, 0, sizeof config);
	if (!parse_options(argc, argv, &options, &error) || !make_config(&options, &anchors, &config, &error))
		fail_msg("%s", error.text);
	exposes.count = options.expose_count;
	memcpy(exposes.items, options.exposes, sizeof options.exposes);
	now.rules = &options.rules;
}

/* What softnet replay does with it. */
static void read_back(void)
{
	static char *argv[COMMENT_MAX / 4] = { "softnet", "replay" };
	const struct anchors nobody = { .host.count = 0 };
	int argc = 2;
	char *rest = comment, *line = strsep(&rest, "\n");
	assert_string_equal(line, "softnet " SOFTNET_VERSION);
	while ((line = strsep(&rest, "\n")))
		if (*line != '\0')
			argv[argc++] = line;
	argv[argc++] = "-";
	argv[argc] = NULL;
	memset(&config_again, 0, sizeof config_again);
	if (!parse_options(argc, argv, &options_again, &error) ||
	    !make_config(&options_again, &nobody, &config_again, &error))
		fail_msg("%s", error.text);
	config_again.sites = options_again.sites;
	config_again.resident = options_again.resident;
	config_again.resident_mac = options_again.resident_mac;
}

static void write_comment(void)
{
	comment[format_capture_options(&now, comment, COMMENT_MAX)] = '\0';
}

static void must_come_back(void)
{
	write_comment();
	read_back();
	assert_memory_equal(&config_again, &config, sizeof config);
	assert_int_equal(options_again.reject, options.reject);
}

#define COMES_BACK(...) \
	do { \
		start((const char *const[]){ __VA_ARGS__, NULL }); \
		must_come_back(); \
		assert_int_equal(options_again.static_count, options.static_count); \
		assert_memory_equal(options_again.statics, options.statics, sizeof options.statics); \
	} while (0)

static void options_come_back(void **unused)
{
	(void)unused;
	for (int knows = 0; knows < 2; knows++) {
		memset(&anchors, 0, sizeof anchors);
		if (knows)
			know_uplink();
		COMES_BACK("-v");
		COMES_BACK("--mtu=9000", "--vm-ip=10.0.0.5/24,10.0.0.6", "--no-dhcp");
		COMES_BACK("--vm-ip=10.0.0.5/24", "--shared-ip=10.0.0.100/24,fd00::64/64", "--ipv6=guard");
		COMES_BACK("--vm-ip=2001:db8::5/64", "--ipv6=guard", "--ipv6-iid=eui64", "--no-resync");
		COMES_BACK("--gateway=10.0.0.1,fe80::9,2001:db8::1", "--gateway-mac=52:54:00:00:00:02,52:54:00:00:00:03",
			   "--dhcp-server=10.0.0.2,fe80::2", "--dns=9.9.9.9,2620:fe::9", "--anchors=strict");
		COMES_BACK("--nat64=2001:db8:64::/96,2a0e::/40", "--dhcp-client-id=strict", "--arp-conflicts=pass",
			   "--reject", "--dhcp-hostname=web1,www.example.org");
		COMES_BACK("--dhcp-hostname=none");
		COMES_BACK("--expose=8080:80,udp/127.0.0.1:53:53,tcp/[::1]:2000-2010:3000-3010", "--ipv6=guard");
		COMES_BACK("--rate=arp=0.001/7", "--rate=dhcp=0/0", "--rate=uplink-bum=1000000/1000000");
		COMES_BACK("--allow=10.0.0.0/8,any:tcp/22,@lan:udp/1000-2000", "--block=[fd00::]/8:icmp,@host,8.8.8.8");
		COMES_BACK("--allow=0.0.0.0/0", "--isolation=on");
		COMES_BACK("--allow=0.0.0.0/0");
		COMES_BACK("--block=10.0.0.0/8", "--ipv6=auto");
		COMES_BACK("--allow=in 10.0.0.0/8:tcp/22,out 10.0.0.0/8", "--block=1.1.1.1");
		COMES_BACK("--allow=in 10.0.0.0/8:tcp/22", "--block=1.1.1.1", "--inbound=any");
		COMES_BACK("--inbound=established");
		COMES_BACK("--inbound=none", "--ipv6=off");
	}
}

static void what_an_uplink_knows_is_written(void **unused)
{
	(void)unused;
	know_uplink();
	start((const char *const[]){ NULL });
	write_comment();
	assert_non_null(strstr(comment, "\n--gateway=192.168.77.1,fe80::1\n--gateway-mac=52:54:00:00:00:01\n"
					"--dhcp-server=192.168.77.2,fd00:10:0:2::2\n--dns=2001:db8::53\n"));
}

static void a_host_that_is_no_router_comes_back(void **unused)
{
	(void)unused;
	memset(&anchors, 0, sizeof anchors);
	know_uplink();
	anchors.other_router4 = anchors.other_router6 = true;
	COMES_BACK("-v");
	assert_true(config.resident.count > 0);
	anchors.other_router6 = false;
	COMES_BACK("-v");
	COMES_BACK("--gateway=192.168.77.9");
	COMES_BACK("--gateway-mac=52:54:00:00:00:02");
}

static void sites_of_the_host_come_back(void **unused)
{
	(void)unused;
	start((const char *const[]){ NULL });
	config.sites.item[config.sites.count++] = 0x20010db800010000ULL;
	config.sites.item[config.sites.count++] = 0x2a02000000000000ULL;
	must_come_back();
}

static void rules_and_ports_of_live_control_come_back(void **unused)
{
	static struct rule_list rules;
	(void)unused;
	start((const char *const[]){ "--block=1.1.1.1,2606:4700::/32", "--expose=1:1", "--vm-ip=2001:db8::5", NULL });
	rules.count = 0;
	assert_true(add_rules(&rules, "in any:tcp/443,10.0.0.0/8", CLASS_ALLOWED, &error));
	normalize_rules(&rules);
	memset(&config.policy, 0, sizeof config.policy); /* what earlier rules leave behind means nothing */
	assert_true(apply_rules(&options, &rules, &config, &error));
	now.rules = &rules;
	assert_true(append_expose(exposes.items, &exposes.count, "[::]:99:99", &error));
	config.exposed.count = exposed_ports(&exposes, config.exposed.item, EXPOSED_MAX);
	/* These rules are of IPv4: it has switched IPv6 off, and the comment must be one that can be read all the same. */
	assert_true(config.ipv6_off);
	write_comment();
	read_back();
	assert_true(config_again.ipv6_off && config_again.stateful);
	assert_memory_equal(&config_again.policy, &config.policy, sizeof config.policy);
	assert_int_equal(config_again.exposed.count, 1);
}

/* Nobody can ask for them later. */
static void a_vm_comes_back_as_the_addresses_that_it_had(void **unused)
{
	(void)unused;
	start((const char *const[]){ "--block=any", "--allow=in vm:db:tcp/80,vm:web", NULL });
	vms.count = 2;
	memcpy(vms.item[0].vm, "db", 3);
	memcpy(vms.item[1].vm, "db", 3);
	assert_true(parse_address("10.0.0.5", &vms.item[0].address) && parse_address("fd00::5", &vms.item[1].address));
	write_comment();
	assert_non_null(strstr(comment, "\n--allow=in 10.0.0.5/32:tcp/80,in [fd00::5]/128:tcp/80\n"));
	vms.count = 0;
	write_comment();
	assert_null(strstr(comment, "--allow"));
}

static void rules_that_do_not_fit_are_said_to_be_missing(void **unused)
{
	static struct rule_list rules;
	(void)unused;
	start((const char *const[]){ "--expose=1:1", NULL });
	rules.count = 0;
	for (uint32_t i = 0; i < RULES_MAX; i++) {
		char text[RULE_TEXT];
		snprintf(text, sizeof text, "100.100.%u.%u/32", 100 + i / 100, 100 + i % 100);
		assert_true(add_rule(&rules, text, CLASS_BLOCKED, &error));
	}
	now.rules = &rules;
	write_comment();
	size_t length = strlen(comment);
	assert_true(length < 4096);
	assert_string_equal(comment + length - 23, "# the rules do not fit\n");
	assert_null(strstr(comment, "--block"));
	assert_non_null(strstr(comment, "\n--expose=1:1\n"));

	rules.count = 3000;
	assert_true(apply_rules(&options, &rules, &config, &error));
	must_come_back();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_come_back),
		cmocka_unit_test(what_an_uplink_knows_is_written),
		cmocka_unit_test(a_host_that_is_no_router_comes_back),
		cmocka_unit_test(sites_of_the_host_come_back),
		cmocka_unit_test(rules_and_ports_of_live_control_come_back),
		cmocka_unit_test(a_vm_comes_back_as_the_addresses_that_it_had),
		cmocka_unit_test(rules_that_do_not_fit_are_said_to_be_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
