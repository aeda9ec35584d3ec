/*
 * What a hint says about a refused machine is what was refused, and the options in it, typed as they stand there, let
 * that machine in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/judge/trust6.h"
#include "softnet/hints/hints.h"
#include "softnet/setup/setup.h"

#include <cmocka.h>

#define HOST_MAC  0x525400000001ULL
#define OTHER_MAC 0x525400000002ULL

enum { START = 1000000, SECOND = 1000, WORDS_MAX = 16 };
enum { HOST = 0xc0a84d01, OTHER = 0xc0a84d09, THIRD = 0xc0a84d08 }; /* 192.168.77.1, .9, .8 */

static struct options options;
static struct config config;
static struct state state;
static struct anchors anchors;
static struct counters counters;
static struct trust trust = { { &config, &state, START }, &options };
static char words[WORDS_MAX][256], hint[HINT_TEXT];
static int word_count;

static int set_up(void **unused)
{
	(void)unused;
	memset(&anchors, 0, sizeof anchors);
	memset(&state, 0, sizeof state);
	memset(&counters, 0, sizeof counters);
	trust.view.now_ms = START;
	word_count = 0;
	return 0;
}

/* A bridge with the host's address, who is taken for the router. */
static int set_up_bridge(void **unused)
{
	set_up(unused);
	set_add(&anchors.host, address_of_ipv4(HOST));
	mac_set_add(&anchors.gateway_macs, HOST_MAC);
	return 0;
}

static void make(void)
{
	static char *argv[WORDS_MAX + 4] = { "softnet", "--vm-fd=0", "--vm-mac-address=52:54:00:00:00:0a" };
	struct error error = { 0 };
	for (int i = 0; i < word_count; i++)
		argv[3 + i] = words[i];
	argv[3 + word_count] = NULL;
	memset(&config, 0, sizeof config);
	if (!parse_options(3 + word_count, argv, &options, &error) || !make_config(&options, &anchors, &config, &error))
		fail_msg("%s", error.text);
}

static void give(const char *line)
{
	int length;
	for (const char *at = line; sscanf(at, " %255s%n", words[word_count], &length) == 1; at += length)
		word_count++;
	make();
}

/* In the place of what was given before by this name: "--gateway". */
static void put_word(const char *name, const char *value)
{
	int place = word_count;
	for (int i = 0; i < word_count; i++)
		if (strncmp(words[i], name, strlen(name)) == 0 && words[i][strlen(name)] == '=')
			place = i;
	if (place == word_count)
		word_count++;
	snprintf(words[place], sizeof words[0], "%s=%s", name, value);
}

/* What was typed before, changed as the hint has it; `only`: of two alternatives the one by this name. */
static void follow(const char *only)
{
	char name[64], value[160];
	int followed = 0;
	for (const char *at = hint; (at = strstr(at, "--")); at += 2)
		if (sscanf(at, "%63[a-z-]%*1[ ]%159[0-9a-z.:,/]", name, value) == 2 &&
		    (!only || strcmp(only, name) == 0)) {
			put_word(name, value);
			followed++;
		}
	assert_int_not_equal(followed, 0);
	make();
}

static void must_say(const char *part)
{
	assert_true(strlen(hint) < HINT_TEXT - 1);
	if (!strstr(hint, part))
		fail_msg("\"%s\" is not in: %s", part, hint);
}

/* A restart knows nothing of before. */
static void forget(void)
{
	memset(&state, 0, sizeof state);
}

static bool is_server(uint32_t ipv4, uint64_t mac)
{
	return is_trusted_server4(&config, &state, ipv4, mac, trust.view.now_ms);
}

static void refuse_server(uint32_t ipv4, uint64_t mac)
{
	assert_false(is_server(ipv4, mac));
	explain_server(&trust, ipv4, mac, ipv4, hint);
}

static void lease_from(uint32_t server, uint32_t router)
{
	state.ipv4[0] = (struct binding){ .address = address_of_ipv4(0xc0a84d0c),
					  .state = BINDING_BOUND,
					  .prefix_length = 24,
					  .server = address_of_ipv4(server),
					  .expires_ms = START + 3600 * SECOND };
	set_add(&state.ipv4[0].routers, address_of_ipv4(router));
}

static void learn_server(uint32_t ipv4, uint64_t mac)
{
	state.learned.servers[0] = (struct locked){ .address = address_of_ipv4(ipv4), .until_ms = START + 3600 * SECOND };
	mac_set_add(&state.learned.servers[0].macs, mac);
}

static void put_ipv4(uint8_t *at, uint32_t ipv4)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(ipv4 >> (24 - 8 * i));
}

static void learn_router(uint32_t ipv4, uint64_t mac)
{
	struct locked *l = &state.learned.routers[0].lock;
	*l = (struct locked){ .address = address_of_ipv4(ipv4), .until_ms = START + 3600 * SECOND };
	mac_set_add(&l->macs, mac);
}

static bool poses(uint32_t ipv4, uint64_t mac)
{
	return poses_as_router4((struct view){ &config, &state, trust.view.now_ms }, address_of_ipv4(ipv4), mac);
}

static void refuse_router(uint32_t ipv4, uint64_t mac)
{
	assert_true(poses(ipv4, mac));
	explain_gateway(&trust, address_of_ipv4(ipv4), mac, DROP_ARP_GATEWAY_SPOOF, hint);
}

/* --- servers --- */

static void another_server_than_the_host(void **unused)
{
	static const char *const ways[] = { "--gateway", "--dhcp-server" };
	for (int i = 0; i < 2; i++) {
		set_up_bridge(unused);
		make();
		refuse_server(OTHER, OTHER_MAC);
		must_say("its address 192.168.77.9 is not this host's (192.168.77.1)");
		follow(ways[i]);
		assert_true(is_server(OTHER, OTHER_MAC));
	}
	assert_false(is_server(THIRD, OTHER_MAC));
}

static void another_server_than_is_named(void **unused)
{
	(void)unused;
	give("--dhcp-server=192.168.77.8");
	refuse_server(OTHER, OTHER_MAC);
	must_say("its address 192.168.77.9 is none of --dhcp-server");
	follow(NULL);
	assert_true(is_server(OTHER, OTHER_MAC) && is_server(THIRD, OTHER_MAC));
	set_up(unused);
	give("--gateway=192.168.77.8");
	refuse_server(OTHER, OTHER_MAC);
	must_say("its address 192.168.77.9 is none of --gateway");
	follow(NULL);
	assert_true(is_server(OTHER, OTHER_MAC));
}

static void a_named_server_at_another_mac(void **unused)
{
	(void)unused;
	give("--gateway=192.168.77.9 --gateway-mac=52:54:00:00:00:03");
	refuse_server(OTHER, OTHER_MAC);
	must_say("52:54:00:00:00:02 answers as the gateway 192.168.77.9, and is none of --gateway-mac");
	follow(NULL);
	assert_true(is_server(OTHER, OTHER_MAC) && is_server(OTHER, 0x525400000003ULL));
	/* Its MAC address is learned: no option changes that. */
	set_up(unused);
	give("--dhcp-server=192.168.77.9");
	learn_server(OTHER, HOST_MAC);
	refuse_server(OTHER, OTHER_MAC);
	must_say("the MAC address of 192.168.77.9 is 52:54:00:00:00:02, and was 52:54:00:00:00:01");
	must_say("or at once with guard.relearn");
	give("--anchors=strict --gateway=192.168.77.8 --gateway-mac=52:54:00:00:00:03");
	refuse_server(OTHER, OTHER_MAC);
	must_say("believed only with guard.relearn");
	forget();
	assert_true(is_server(OTHER, OTHER_MAC));
}

static void another_server_than_was_learned(void **unused)
{
	(void)unused;
	make();
	learn_server(HOST, HOST_MAC);
	refuse_server(OTHER, OTHER_MAC);
	must_say("it is 192.168.77.9 at 52:54:00:00:00:02, and 192.168.77.1 at 52:54:00:00:00:01 was learned");
	must_say("guard.relearn");
	follow(NULL);
	forget();
	assert_true(is_server(OTHER, OTHER_MAC) && !is_server(HOST, HOST_MAC));
}

static void strict_learns_nobody(void **unused)
{
	(void)unused;
	give("--anchors=strict --dhcp-server=fe80::9 --gateway-mac=52:54:00:00:00:02");
	refuse_server(OTHER, OTHER_MAC);
	must_say("nobody is learned (--anchors strict)");
	follow("--dhcp-server");
	assert_true(is_server(OTHER, OTHER_MAC));
}

/* The host lives on the LAN, and is a DHCP server only if that is said. */
static void the_host_itself_serves(void **unused)
{
	(void)unused;
	give("--gateway=192.168.77.9");
	refuse_server(HOST, HOST_MAC);
	must_say("its address 192.168.77.1 is none of --gateway");
	follow(NULL);
	assert_true(is_server(HOST, HOST_MAC));
	set_up_bridge(unused);
	anchors.other_router4 = true; /* and where it is no router, nobody else has its address */
	make();
	refuse_server(HOST, OTHER_MAC);
	must_say("52:54:00:00:00:02 answers as 192.168.77.1, which is this host's own address");
}

static void the_option_is_named(void **unused)
{
	(void)unused;
	give("--dhcp-server=192.168.77.9");
	assert_true(is_server(OTHER, OTHER_MAC));
	explain_server(&trust, OTHER, OTHER_MAC, 0x0a090001, hint);
	must_say(
	    "the answer of the server 192.168.77.9 (dhcp4-rogue-server): its server identifier (option 54, 10.9.0.1)");
}

/* --- gateways --- */

static void another_gateway_than_the_host(void **unused)
{
	(void)unused;
	make();
	lease_from(HOST, OTHER);
	refuse_router(OTHER, OTHER_MAC);
	must_say("52:54:00:00:00:02 answers as the gateway 192.168.77.9, but this host is taken for the gateway");
	follow(NULL);
	assert_true(!poses(OTHER, OTHER_MAC) && is_server(HOST, HOST_MAC)); /* who may go on to serve */
	set_up_bridge(unused);
	give("--gateway=192.168.77.1");
	lease_from(HOST, OTHER);
	refuse_router(OTHER, OTHER_MAC);
	must_say("this host's MAC address alone is trusted"); /* the host is a router, too: it was said */
	follow(NULL);
	assert_true(!poses(OTHER, OTHER_MAC) && is_server(HOST, HOST_MAC));
}

static void the_gateway_at_another_mac(void **unused)
{
	(void)unused;
	make(); /* the host at another of its cards, or a machine that has taken over from it */
	refuse_router(HOST, OTHER_MAC);
	must_say("52:54:00:00:00:02 answers as the gateway 192.168.77.1, and this host's MAC address alone is trusted");
	follow(NULL);
	assert_true(!poses(HOST, OTHER_MAC) && !poses(HOST, HOST_MAC) && poses(HOST, 0x525400000003ULL));
	set_up(unused);
	give("--gateway=192.168.77.9 --gateway-mac=52:54:00:00:00:03");
	refuse_router(OTHER, OTHER_MAC);
	must_say("is none of --gateway-mac");
	follow(NULL);
	assert_true(!poses(OTHER, OTHER_MAC) && !poses(OTHER, 0x525400000003ULL));
}

/* No more than four may be named. */
static void as_many_macs_as_may_be_named(void **unused)
{
	(void)unused;
	give("--gateway=192.168.77.9 "
	     "--gateway-mac=52:54:00:00:00:03,52:54:00:00:00:04,52:54:00:00:00:05,52:54:00:00:00:06");
	refuse_router(OTHER, OTHER_MAC);
	follow(NULL);
	assert_true(!poses(OTHER, OTHER_MAC));
}

static void a_learned_gateway_at_another_mac(void **unused)
{
	(void)unused;
	make();
	lease_from(OTHER, OTHER);
	learn_router(OTHER, HOST_MAC);
	refuse_router(OTHER, OTHER_MAC);
	must_say("answers as the gateway 192.168.77.9, which was learned at 52:54:00:00:00:01: it is believed when "
		 "that one");
	must_say("at once with guard.relearn");
	explain_gateway(&trust, address_of_ipv4(OTHER), OTHER_MAC, DROP_ARP_SHA_SPOOF, hint);
	must_say("names another MAC address in it than its own");
}

static void a_gateway_of_ipv6(void **unused)
{
	static const struct address router = { LINK_LOCAL_PREFIX, 1 };
	(void)unused;
	make();
	state.ipv6.routers[0] =
	    (struct router6){ router, { { HOST_MAC }, 1, 0 }, .expires_ms = NEVER_EXPIRES, .locked_ms = NEVER_EXPIRES };
	assert_true(poses_as_router6((struct view){ &config, &state, START }, router, OTHER_MAC) &&
		    is_mac_of(&trust, router, HOST_MAC));
	explain_gateway(&trust, router, OTHER_MAC, DROP_ND_GATEWAY_SPOOF, hint);
	must_say("52:54:00:00:00:02 answers as the gateway fe80::1, which had another MAC address");
	give("--gateway-mac=52:54:00:00:00:01");
	assert_true(poses_as_router6((struct view){ &config, &state, START }, router, OTHER_MAC));
	explain_gateway(&trust, router, OTHER_MAC, DROP_ND_GATEWAY_SPOOF, hint);
	follow(NULL);
	assert_false(poses_as_router6((struct view){ &config, &state, START }, router, OTHER_MAC));
}

/* --- DHCP messages --- */

/* Drops a message with these options behind its type. */
static void drop(enum direction direction, unsigned verdict, uint8_t type, const uint8_t *more, size_t octets)
{
	uint8_t bytes[400] = { 255, 255, 255, 255, 255, 255, 0x52, 0x54, 0, 0, 0, 2, 8, 0, 0x45 };
	bool is_question = direction == FROM_GUEST;
	uint32_t length = 14 + 20 + 8 + 240 + 3 + (uint32_t)octets + 1;
	bytes[16] = (uint8_t)((length - 14) >> 8);
	bytes[17] = (uint8_t)(length - 14);
	bytes[23] = 17;
	put_ipv4(bytes + 26, is_question ? 0 : OTHER);
	bytes[35] = is_question ? 68 : 67;
	bytes[37] = is_question ? 67 : 68;
	bytes[42] = is_question ? 1 : 2;
	put_ipv4(bytes + 58, is_question ? 0 : THIRD);
	memcpy(bytes + 278, (uint8_t[]){ 99, 130, 83, 99, 53, 1, type }, 7);
	memcpy(bytes + 285, more, octets);
	bytes[length - 1] = 255;
	keep_specimen(&counters, direction, verdict, &(struct frame){ .bytes = bytes, .length = length }, START);
	explain_message(&trust, &counters, direction, verdict, hint);
}

#define DROP(direction, verdict, type, ...) \
	drop(direction, verdict, type, (const uint8_t[]){ __VA_ARGS__ }, sizeof(uint8_t[]){ __VA_ARGS__ })

static void the_option_that_cannot_be_read(void **unused)
{
	(void)unused;
	make();
	DROP(TO_GUEST, DROP_DHCP4_MALFORMED, 2, 54, 4, 192, 168, 77, 9, 51, 4, 0, 0, 2, 88, 51, 4, 0, 0, 14, 16);
	must_say("a server answers, and the guard drops it (dhcp4-malformed): option 51 is cut");
	DROP(TO_GUEST, DROP_DHCP4_MALFORMED, 2, 1, 3, 255, 255, 255);
	must_say("option 1 is cut");
	DROP(FROM_GUEST, DROP_DHCP4_MALFORMED, 1, 61, 3, 0, 1, 2, 61, 3, 0, 1, 3);
	must_say("the VM's questions (dhcp4-malformed): option 61 is cut, too long or too short, is there twice");
	DROP(FROM_GUEST, DROP_DHCP4_MALFORMED, 1, 12, 200, 'a');
	must_say("option 12 is cut");
	DROP(TO_GUEST, DROP_DHCP4_MALFORMED, 2, 54, 4, 192, 168, 77, 9); /* a fragment, or another reason than its options */
	must_say("DHCP message that cannot be parsed, or a fragment of one");
	DROP(TO_GUEST, DROP_DHCP4_MALFORMED, 2, 52, 1, 4); /* each option by itself can be read */
	must_say("DHCP message that cannot be parsed, or a fragment of one");
}

static void the_lease_that_cannot_be(void **unused)
{
	(void)unused;
	give("--vm-ip=192.168.77.7/24,2001:db8::7");
	DROP(TO_GUEST, DROP_DHCP4_BAD_LEASE, 2, 51, 4, 0, 0, 2, 88);
	must_say("it leases 192.168.77.8, which is not in --vm-ip: if");
	follow(NULL);
	assert_int_equal(options.static_count, 3);
	assert_true(same_address(options.statics[0].address, address_of_ipv4(0xc0a84d07)));
	assert_int_equal(options.statics[0].prefix_length, 24);
	set_up(unused);
	make();
	DROP(TO_GUEST, DROP_DHCP4_BAD_LEASE, 5, 54, 4, 192, 168, 77, 9);
	must_say("it leases 192.168.77.8 for no time (option 51)");
	DROP(TO_GUEST, DROP_DHCP4_BAD_LEASE, 2, 159, 4, 0, 0, 0, 0);
	must_say("(option 159)");
	DROP(TO_GUEST, DROP_DHCP4_BAD_LEASE, 2, 51, 4, 0, 0, 2, 88);
	must_say("take it out of the server's pool");
}

static void the_host_name_that_is_not_allowed(void **unused)
{
	static const struct name_option web9 = { true, 4, "WEB9" };
	(void)unused;
	give("--dhcp-hostname=web1,web2.example.org");
	DROP(FROM_GUEST, DROP_DHCP_HOSTNAME, 1, 12, 4, 'W', 'E', 'B', '9');
	must_say("their host name (option 12) is none of --dhcp-hostname: if the VM may have it");
	must_say(", --dhcp-hostname web1,web2.example.org,web9");
	follow(NULL);
	assert_true(may_have_host_name(&config.host_names, &web9) && config.host_names.count == 3);
	DROP(FROM_GUEST, DROP_DHCP_HOSTNAME, 1, 12, 4, 'W', 'E', 'B', '9', 81, 8, 4, 0, 0, 3, 'o', 'w', 'n', 0);
	must_say("(option 81) is none of --dhcp-hostname: if");
	must_say(", --dhcp-hostname web1,web2.example.org,web9,own");
	/* What a guest may write there is not for a terminal, nor for a command line. */
	DROP(FROM_GUEST, DROP_DHCP_HOSTNAME, 1, 12, 5, 'a', ' ', '-', '-', 'x');
	must_say("(option 12) is no plain name");
	DROP(FROM_GUEST, DROP_DHCP_HOSTNAME, 1, 12, 4, 'a', 27, '[', 'J');
	must_say("(option 12) is no plain name");
	set_up(unused);
	give("--dhcp-hostname=none");
	DROP(FROM_GUEST, DROP_DHCP_HOSTNAME, 1, 81, 6, 0, 0, 0, 'b', 'o', 'x');
	must_say("--dhcp-hostname box");
}

#define ON_A_WIRE(name)   cmocka_unit_test_setup(name, set_up)
#define ON_A_BRIDGE(name) cmocka_unit_test_setup(name, set_up_bridge)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_A_BRIDGE(another_server_than_the_host),
		ON_A_WIRE(another_server_than_is_named),
		ON_A_WIRE(a_named_server_at_another_mac),
		ON_A_WIRE(another_server_than_was_learned),
		ON_A_WIRE(strict_learns_nobody),
		ON_A_BRIDGE(the_host_itself_serves),
		ON_A_WIRE(the_option_is_named),
		ON_A_BRIDGE(another_gateway_than_the_host),
		ON_A_BRIDGE(the_gateway_at_another_mac),
		ON_A_WIRE(as_many_macs_as_may_be_named),
		ON_A_WIRE(a_learned_gateway_at_another_mac),
		ON_A_WIRE(a_gateway_of_ipv6),
		ON_A_WIRE(the_option_that_cannot_be_read),
		ON_A_WIRE(the_lease_that_cannot_be),
		ON_A_WIRE(the_host_name_that_is_not_allowed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
