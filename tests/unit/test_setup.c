/* From options and what the uplink knows to a config: which anchors count, by family, and what rules make of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "softnet/setup/anchors.h"
#include "softnet/setup/setup.h"

#include <cmocka.h>

#define UPLINK_MAC 0x525400000001ULL
#define OTHER_MAC  0x525400000002ULL

static const struct address router4 = { 0, 0xffffc0a84001ULL }, router6 = { 0x20010db800000000ULL, 1 };
static const struct address link_local = { LINK_LOCAL_PREFIX, 1 }, other_link_local = { LINK_LOCAL_PREFIX, 2 };

static struct options options;
static struct config config;
static struct anchors anchors;
static struct error error;

/* What a bridge of both families knows. */
static int set_up(void **unused)
{
	(void)unused;
	memset(&anchors, 0, sizeof anchors);
	set_add(&anchors.host, router4);
	set_add(&anchors.host, link_local);
	set_add(&anchors.host, router6);
	mac_set_add(&anchors.gateway_macs, UPLINK_MAC);
	return 0;
}

static bool make(const char *const *words)
{
	static char text[20][256];
	static char *argv[22] = { "softnet", "--vm-fd=0", "--vm-mac-address=52:54:00:00:00:0a" };
	int argc = 3;
	for (; words[argc - 3]; argc++) {
		snprintf(text[argc - 3], sizeof text[0], "%s", words[argc - 3]);
		argv[argc] = text[argc - 3];
	}
	argv[argc] = NULL;
	error.text[0] = '\0';
	memset(&config, 0, sizeof config);
	return parse_options(argc, argv, &options, &error) && make_config(&options, &anchors, &config, &error);
}

#define MADE(...) \
	do { \
		if (!make((const char *const[]){ __VA_ARGS__, NULL })) \
			fail_msg("%s", error.text); \
	} while (0)

#define REFUSED(line, ...) \
	do { \
		assert_false(make((const char *const[]){ __VA_ARGS__, NULL })); \
		assert_string_equal(error.text, line); \
	} while (0)

static bool is_only(const struct address_set *set, struct address a)
{
	return set->count == 1 && set_has(set, a);
}

static void the_uplinks_anchors_are_split_by_family(void **unused)
{
	(void)unused;
	set_add(&anchors.servers, router4);
	set_add(&anchors.resolvers, router6);
	MADE("-v");
	assert_true(is_only(&config.host, router4) && is_only(&config.servers, router4));
	assert_true(config.host6.count == 2 && set_has(&config.host6, link_local) && set_has(&config.host6, router6));
	assert_true(is_only(&config.resolvers6, router6));
	assert_int_equal(config.servers6.count + config.resolvers.count, 0);
	assert_true(config.gateway_macs.count == 1 && !config.ipv6_off);
}

static void flags_win_in_their_family_only(void **unused)
{
	struct address flag4 = address_of_ipv4(0x0a000001);
	(void)unused;
	set_add(&anchors.servers, router4);
	set_add(&anchors.resolvers, router4);
	MADE("--gateway=10.0.0.1", "--dns=2001:db8::1", "--dhcp-server=fe80::2");
	assert_true(is_only(&config.host, flag4) && config.host6.count == 2);
	assert_true(is_only(&config.resolvers, router4) && is_only(&config.resolvers6, router6));
	assert_true(is_only(&config.servers, router4) && is_only(&config.servers6, other_link_local));
	MADE("--gateway=fe80::2");
	assert_true(is_only(&config.host, router4) && is_only(&config.host6, other_link_local));
	MADE("--gateway=fe80::2,10.0.0.1");
	assert_true(is_only(&config.host, flag4) && is_only(&config.host6, other_link_local));
}

/* A bridge with addresses, whose router is another machine and advertises itself from its own link-local address. */
static void the_host_is_no_router_beside_a_named_mac(void **unused)
{
	(void)unused;
	MADE("--gateway=192.168.64.9", "--gateway-mac=52:54:00:00:00:02");
	assert_int_equal(config.host6.count, 0);
	assert_true(config.gateway_macs.count == 1 && config.gateway_macs.item[0] == OTHER_MAC);
	MADE("--gateway-mac=52:54:00:00:00:02", "--gateway=fe80::2");
	assert_true(is_only(&config.host6, other_link_local));
	MADE("--gateway-mac=52:54:00:00:00:02,52:54:00:00:00:01");
	assert_int_equal(config.host6.count, 2);
}

static bool is_resident(struct address a)
{
	return set_has(&config.resident, a) && config.resident_mac == UPLINK_MAC;
}

/* The host's own default route leaves by the bridge, so the router is there. */
static void a_host_with_a_router_only_lives_there(void **unused)
{
	(void)unused;
	anchors.other_router4 = anchors.other_router6 = true;
	MADE("-v");
	assert_int_equal(config.host.count + config.host6.count + config.servers.count + config.gateway_macs.count, 0);
	assert_true(config.resident.count == 3 && is_resident(router4) && is_resident(router6) && is_resident(link_local));
	assert_string_equal(why_no_router(&options, &anchors, &config), "its default route leaves there");
	MADE("--gateway=192.168.64.9");
	assert_true(config.host.count == 1 && config.gateway_macs.count == 0 && !is_resident(router4) &&
		    is_resident(router6));
	MADE("--gateway=192.168.64.1"); /* the operator knows better */
	assert_true(is_only(&config.host, router4) && is_resident(router4));
	MADE("--gateway-mac=52:54:00:00:00:01");
	assert_true(is_only(&config.host, router4) && config.host6.count == 2 && config.resident.count == 0);
	REFUSED("--anchors: \"strict\": expected --gateway or --dhcp-server with this uplink", "--anchors=strict");
	REFUSED("--vm-ip: \"192.168.64.1\": expected another address than the host's", "--vm-ip=192.168.64.1");
	REFUSED("--shared-ip: \"192.168.64.1\": expected another address than the host's", "--shared-ip=192.168.64.1");
	anchors.gateway_macs.item[0] = 0x52540000000a;
	REFUSED("--vm-mac-address: expected another address than the gateway's", "-v");
}

/* One MAC address stands for both families, so it names no gateway where it is that of one family only. */
static void each_family_has_its_own_router(void **unused)
{
	(void)unused;
	for (int of_ipv6 = 0; of_ipv6 < 2; of_ipv6++) {
		anchors.other_router4 = !of_ipv6;
		anchors.other_router6 = of_ipv6;
		MADE("-v");
		assert_int_equal(config.gateway_macs.count, 0);
		assert_int_equal(config.host.count, of_ipv6 ? 1 : 0);
		assert_int_equal(config.host6.count, of_ipv6 ? 0 : 2);
		assert_true(config.resident.count == 3 && is_resident(router4));
	}
	MADE("--ipv6=off"); /* and then nobody asks who its router is */
	assert_true(is_only(&config.host, router4) && config.gateway_macs.count == 1);
}

/* With the router goes its MAC, and with the MAC what it vouched for. */
static void a_named_router_is_learned(void **unused)
{
	(void)unused;
	MADE("--gateway=192.168.64.9");
	assert_true(config.gateway_macs.count == 0 && config.host.count == 1 && config.host6.count == 2);
	assert_true(config.resident.count == 2 && is_resident(router6) && !is_resident(router4));
	MADE("--gateway=192.168.64.9,192.168.64.1", "--ipv6=off"); /* the host and another one */
	assert_true(config.gateway_macs.count == 1 && config.resident.count == 0);
	MADE("--gateway-mac=52:54:00:00:00:02");
	assert_int_equal(config.host.count + config.host6.count + config.servers.count, 0);
	assert_true(config.resident.count == 3 && is_resident(router4));
	assert_string_equal(why_no_router(&options, &anchors, &config), "--gateway-mac names another machine");
	memset(&anchors, 0, sizeof anchors);
	MADE("--gateway=192.168.64.9");
	assert_true(config.resident.count == 0 && config.resident_mac == 0 && !why_no_router(&options, &anchors, &config));
}

static void the_rest_of_ipv6_reaches_the_config(void **unused)
{
	(void)unused;
	MADE("--ipv6-iid=eui64", "--nat64=2001:db8:64::/96");
	assert_true(config.ipv6_eui64_only && !config.ipv6_off);
	assert_true(config.nat64.count == 1 && config.nat64.item[0].length == 96);
	MADE("--allow=10.0.0.0/8");
	assert_true(config.ipv6_off);
	MADE("--allow=10.0.0.0/8", "--ipv6=guard");
	assert_false(config.ipv6_off);
}

static void strict_wants_anchors_of_some_family(void **unused)
{
	static const char server[] = "--anchors: \"strict\": expected --gateway or --dhcp-server with this uplink";
	static const char mac[] = "--anchors: \"strict\": expected --gateway-mac with this uplink";
	(void)unused;
	MADE("--anchors=strict");
	memset(&anchors, 0, sizeof anchors);
	REFUSED(server, "--anchors=strict");
	REFUSED(server, "--anchors=strict", "--gateway-mac=52:54:00:00:00:02");
	REFUSED(mac, "--anchors=strict", "--gateway=10.0.0.1");
	REFUSED(mac, "--anchors=strict", "--gateway=fe80::2");
	MADE("--anchors=strict", "--gateway=10.0.0.1", "--gateway-mac=52:54:00:00:00:02");
	MADE("--anchors=strict", "--gateway=fe80::2", "--gateway-mac=52:54:00:00:00:02");
	MADE("--anchors=strict", "--dhcp-server=fe80::2", "--gateway-mac=52:54:00:00:00:02");
	REFUSED(server, "--anchors=strict", "--gateway=fe80::2", "--gateway-mac=52:54:00:00:00:02", "--ipv6=off");
}

static void the_networks_own_addresses_are_not_the_guests(void **unused)
{
	static const char *const taken[] = { "192.168.64.1", "2001:db8::1", "fe80::1", "fe80::2", "10.0.0.2" };
	(void)unused;
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
		char option[64], line[128];
		snprintf(option, sizeof option, "--vm-ip=%s", taken[i]);
		snprintf(line, sizeof line, "--vm-ip: \"%s\": expected another address than the host's", taken[i]);
		REFUSED(line, option, "--dhcp-server=fe80::2,10.0.0.2");
	}
}

static void static_addresses_of_both_families(void **unused)
{
	static struct state state;
	(void)unused;
	MADE("--vm-ip=192.168.64.5/24,fd00::5/64,2001:db8:1::5,fe80::5");
	assert_true(make_state(&options, &state, 1000, &error));
	assert_int_equal(state.ipv4[0].prefix_length, 24);
	assert_int_equal(state.ipv6.bindings[0].origin, ORIGIN_STATIC);
	assert_int_equal(status_of(&state.ipv6.bindings[2], NEVER_EXPIRES - 1), STATUS_VALID);
	assert_int_equal(state.ipv6.prefixes[0].length, 64);
	static const char *const bad[] = { "fe81::1", "ff02::1", "::1", "2001:db8::", "fd00::5,fd00::5/64" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char option[64];
		snprintf(option, sizeof option, "--vm-ip=%s", bad[i]);
		MADE(option);
		assert_false(make_state(&options, &state, 1000, &error));
		assert_non_null(strstr(error.text, "\": expected an address that a host may have, only once"));
	}
}

/* What the guest was given must be forgotten when its network is another, and only then. */
/* --inbound established lets them in; a guard that exposes another port keeps the leases of before. */
static void exposed_ports_reach_the_config(void **unused)
{
	(void)unused;
	MADE("--expose=8000-8010:9000-9010,udp/[::1]:53:5353", "--inbound=established");
	assert_int_equal(config.exposed.count, 2);
	assert_true(config.exposed.item[0].first_port == 9000 && config.exposed.item[0].last_port == 9010);
	assert_true(config.exposed.item[1].first_port == 5353 && config.exposed.item[1].protocol == 17);
	uint64_t hash = hash_setup(&options, &config);
	MADE("--inbound=established");
	assert_true(hash == hash_setup(&options, &config));
}

static void the_hash_is_of_what_counts(void **unused)
{
	(void)unused;
	MADE("-v");
	uint64_t plain = hash_setup(&options, &config);
	config.sites.item[0] = 0x20010db800010000ULL;
	config.sites.count = 1;
	set_add(&config.resident, router4);
	assert_true(hash_setup(&options, &config) == plain);
	MADE("--ipv6-iid=eui64");
	assert_true(hash_setup(&options, &config) != plain);
	MADE("--vm-ip=fd00::5");
	assert_true(hash_setup(&options, &config) != plain);
	MADE("--nat64=2001:db8:64::/96");
	assert_true(hash_setup(&options, &config) != plain);
	MADE("-vv");
	assert_true(hash_setup(&options, &config) == plain);
}

static bool apply(const char *allow, const char *block)
{
	static struct rule_list list;
	memset(&list, 0, sizeof list);
	if ((allow && !add_rules(&list, allow, CLASS_ALLOWED, &error)) ||
	    (block && !add_rules(&list, block, CLASS_BLOCKED, &error)))
		fail_msg("%s", error.text);
	normalize_rules(&list);
	return apply_rules(&options, &list, &config, &error);
}

/* docs/policy.md, Directions: which rules and options make the guard remember flows. */
static void flows_are_tracked_where_directions_count(void **unused)
{
	static const struct {
		const char *inbound, *allow;
		bool stateful;
	} cases[] = {
		{ NULL, "10.0.0.0/8", false },    { NULL, "10.0.0.0/8:tcp/443", false },
		{ NULL, "in 10.0.0.0/8", true },  { NULL, "out 10.0.0.0/8", true },
		{ "any", "10.0.0.0/8", false },   { "any", "in 10.0.0.0/8", true },
		{ "established", "@host", true }, { "none", "@host", true },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char option[32];
		snprintf(option, sizeof option, "--inbound=%s", cases[i].inbound);
		MADE("--allow", cases[i].allow, cases[i].inbound ? option : "-v");
		assert_int_equal(config.stateful, cases[i].stateful);
		assert_int_equal(config.inbound, options.inbound);
	}
}

static uint32_t ruling_on(const char *text, bool inward)
{
	struct contact c = { .inward = inward, .protocol = 6, .port = 80, .ports = PORTS_KNOWN };
	assert_true(parse_address(text, &c.peer));
	return rule_on(&config.policy, &c, 0).class;
}

static void rules_change_while_it_runs(void **unused)
{
	(void)unused;
	MADE("--allow=@host");
	assert_true(apply("10.0.0.0/8,fd00::/8", "10.1.0.0/16"));
	assert_int_equal(ruling_on("10.0.0.1", false), CLASS_ALLOWED);
	assert_int_equal(ruling_on("10.1.0.1", false), CLASS_BLOCKED);
	assert_int_equal(ruling_on("10.0.0.1", true), CLASS_NONE);
	assert_true(!config.stateful && !config.ipv6_off);
	assert_true(apply("10.0.0.0/8,in @host", NULL)); /* and IPv6 follows */
	assert_int_equal(ruling_on("10.1.0.1", true), CLASS_ALLOWED);
	assert_true(config.stateful && config.ipv6_off);
	assert_true(apply(NULL, NULL));
	assert_int_equal(ruling_on("10.1.0.1", false), CLASS_NONE);
	assert_true(!config.stateful && !config.ipv6_off);
	assert_int_equal(options.rules.count, 1); /* what was started with is not forgotten */
	MADE("--inbound=none");
	assert_false(apply("in @host", NULL)); /* as at the start */
	assert_string_equal(error.text, "nothing may be allowed in with --inbound none");
	assert_true(apply("out @host", "in 10.0.0.0/8"));
	MADE("--inbound=any");
	assert_true(apply("10.0.0.0/8,in @host", NULL));
	assert_int_equal(ruling_on("10.1.0.1", true), CLASS_NONE);
}

static void ipv6_that_was_off_stays_off(void **unused)
{
	(void)unused;
	MADE("--allow=10.0.0.0/8");
	assert_true(config.ipv6_off);
	assert_true(apply("fd00::/8", NULL) && config.ipv6_off);
	MADE("--ipv6=off");
	assert_true(apply("fd00::/8", NULL) && config.ipv6_off);
	MADE("--ipv6=guard");
	assert_true(apply("10.0.0.0/8", NULL) && !config.ipv6_off);
}

static void rules_that_cannot_be_change_nothing(void **unused)
{
	static struct config before;
	static struct rule_list list;
	(void)unused;
	MADE("--allow=in 10.0.0.0/8", "--ipv6=guard");
	memcpy(&before, &config, sizeof config);
	memset(&list, 0, sizeof list);
	for (int i = 0; i < RULES_MAX; i++)
		assert_true(add_rule(&list, "@lan", CLASS_BLOCKED, &error));
	assert_false(apply_rules(&options, &list, &config, &error));
	assert_string_equal(error.text, "\"@lan\": the rules stand for more than 8192 prefixes");
	assert_memory_equal(&before, &config, sizeof config);
}

/* A restart with the same rules in another order finds its leases. */
static void the_hash_is_of_normal_rules(void **unused)
{
	(void)unused;
	MADE("--allow=10.0.0.0/8,@host", "--block=any");
	uint64_t hash = hash_setup(&options, &config);
	MADE("--allow=@lan:80-90", "--block=@global");
	assert_true(hash_setup(&options, &config) != hash);
	MADE("--block=any", "--allow=@host", "--allow=10.0.0.9/8,@host");
	assert_true(hash_setup(&options, &config) == hash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_uplinks_anchors_are_split_by_family, set_up),
		cmocka_unit_test_setup(flags_win_in_their_family_only, set_up),
		cmocka_unit_test_setup(the_host_is_no_router_beside_a_named_mac, set_up),
		cmocka_unit_test_setup(a_host_with_a_router_only_lives_there, set_up),
		cmocka_unit_test_setup(each_family_has_its_own_router, set_up),
		cmocka_unit_test_setup(a_named_router_is_learned, set_up),
		cmocka_unit_test_setup(the_rest_of_ipv6_reaches_the_config, set_up),
		cmocka_unit_test_setup(strict_wants_anchors_of_some_family, set_up),
		cmocka_unit_test_setup(the_networks_own_addresses_are_not_the_guests, set_up),
		cmocka_unit_test_setup(static_addresses_of_both_families, set_up),
		cmocka_unit_test_setup(exposed_ports_reach_the_config, set_up),
		cmocka_unit_test_setup(the_hash_is_of_what_counts, set_up),
		cmocka_unit_test_setup(flows_are_tracked_where_directions_count, set_up),
		cmocka_unit_test_setup(rules_change_while_it_runs, set_up),
		cmocka_unit_test_setup(ipv6_that_was_off_stays_off, set_up),
		cmocka_unit_test_setup(rules_that_cannot_be_change_nothing, set_up),
		cmocka_unit_test_setup(the_hash_is_of_normal_rules, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
