/* --expose: what is written, which address it leads to, and what becomes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <errno.h>
#include <netinet/in.h>

#include "softnet/setup/exposes.h"

#include <cmocka.h>

#define NOW    100000ULL
#define LATER  UINT64_MAX
#define VM_MAC 0x525400123456ULL
#define PREFIX 0xfd00001000000002ULL
#define OTHER  0x2a00770000010001ULL

static struct error error;

/* An uplink that writes down what it is asked for, and answers what the test wants. */

static char asked[4096];
static struct expose_result results[EXPOSES_MAX];
static uint32_t result_count;
static int busy_port; /* refused with EADDRINUSE; 0: none is */
static bool answers;

static void fake_expose(struct port *port, const struct expose *e, struct address guest, bool add)
{
	char text[ADDRESS_TEXT];
	size_t at = strlen(asked);
	(void)port;
	snprintf(asked + at, sizeof asked - at, "%c%u:%s ", add ? '+' : '-', e->external_port,
		 format_address(guest, text));
	bool is_busy = busy_port >= e->external_port && busy_port < e->external_port + e->ports;
	if (add && answers)
		results[result_count++] = (struct expose_result){ *e, is_busy ? EADDRINUSE : 0, (uint16_t)busy_port };
}

static bool fake_exposed(struct port *port, struct expose_result *result)
{
	(void)port;
	if (result_count == 0)
		return false;
	*result = results[--result_count];
	return true;
}

static const struct port_kind fake_kind = { .name = "fake", .expose = fake_expose, .exposed = fake_exposed };
static const struct port_kind plain_kind = { .name = "plain" };
static struct port uplink;
static struct exposes exposes;
static struct config config;
static struct state state;

static int set_up(void **unused)
{
	(void)unused;
	memset(&state, 0, sizeof state);
	memset(&config, 0, sizeof config);
	config.vm_mac = VM_MAC;
	uplink = (struct port){ .kind = &fake_kind, .name = "fake:x" };
	memset(&exposes, 0, sizeof exposes);
	exposes.uplink = &uplink;
	result_count = 0;
	busy_port = 0;
	answers = true;
	return 0;
}

static void lease(uint32_t index, uint32_t ipv4, enum binding_state kind)
{
	state.ipv4[index] = (struct binding){ .address = address_of_ipv4(ipv4), .state = kind, .expires_ms = LATER };
}

static void claim(uint32_t index, uint64_t high, uint64_t low, uint64_t since_ms)
{
	state.ipv6.bindings[index] =
	    (struct binding6){ .address = { high, low }, .since_ms = since_ms, .expires_ms = LATER };
}

static void announce(uint64_t high)
{
	state.ipv6.prefixes[0] =
	    (struct prefix6){ .prefix = { high, 0 }, .length = 64, .autonomous = 1, .on_link = 1, .expires_ms = LATER };
}

/* A turn in which exactly this is asked of the uplink. */
#define TURN(expected) \
	do { \
		asked[0] = '\0'; \
		follow_address(&exposes, &config, &state, NOW); \
		assert_string_equal(asked, expected); \
	} while (0)

#define ADDED(written) \
	do { \
		if (!add_expose(&exposes, written, &error)) \
			fail_msg("%s", error.text); \
	} while (0)

#define REFUSED(call, line) \
	do { \
		assert_false(call); \
		assert_string_equal(error.text, line); \
	} while (0)

/* What is written */

static void each_form_is_understood(void **unused)
{
	static const struct {
		const char *text;
		struct address external;
		unsigned external_port, internal_port, ports, protocol;
	} forms[] = {
		{ "8080:80", { 0, MAPPED_IPV4 }, 8080, 80, 1, IPPROTO_TCP },
		{ "tcp/8080:80", { 0, MAPPED_IPV4 }, 8080, 80, 1, IPPROTO_TCP },
		{ "udp/127.0.0.1:53:5353", { 0, MAPPED_IPV4 | 0x7f000001 }, 53, 5353, 1, IPPROTO_UDP },
		{ "0.0.0.0:1:65535", { 0, MAPPED_IPV4 }, 1, 65535, 1, IPPROTO_TCP },
		{ "[::1]:8080:80", { 0, 1 }, 8080, 80, 1, IPPROTO_TCP },
		{ "[::]:8080:80", { 0, 0 }, 8080, 80, 1, IPPROTO_TCP },
		{ "udp/[2001:db8::5]:8000-8010:9000-9010", { 0x20010db800000000ULL, 5 }, 8000, 9000, 11, IPPROTO_UDP },
		{ "1-1024:64512-65535", { 0, MAPPED_IPV4 }, 1, 64512, 1024, IPPROTO_TCP },
		{ "5-5:6", { 0, MAPPED_IPV4 }, 5, 6, 1, IPPROTO_TCP },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct expose e;
		if (!parse_expose(forms[i].text, &e, &error))
			fail_msg("%s", error.text);
		assert_true(same_address(e.external, forms[i].external));
		assert_int_equal(e.external_port, forms[i].external_port);
		assert_int_equal(e.internal_port, forms[i].internal_port);
		assert_int_equal(e.ports, forms[i].ports);
		assert_int_equal(e.protocol, forms[i].protocol);
	}
}

static void what_is_wrong_is_named(void **unused)
{
	static const char form[] = "[tcp/|udp/][ADDR:]EXT[-EXT]:INT[-INT] with ports 1-65535";
	static const char listener[] = "an IPv4 address, or an IPv6 address in brackets, that can be listened on";
	static const char alike[] = "as many ports on both sides";
	static const char *const wrong[][2] = {
		{ "", form },
		{ "80", form },
		{ ":80", form },
		{ "80:", form },
		{ "0:80", form },
		{ "80:65536", form },
		{ "80:-80", form },
		{ "80-79:80-79", form },
		{ "80-:80", form },
		{ "-80:80", form },
		{ "1-2-3:1-3", form },
		{ "icmp/80:80", form },
		{ "tcp/udp/80:80", form },
		{ "UDP/80:80", form },
		{ " 80:80", form },
		{ "[::1]:80", form },
		{ "70000-70001:80-81", form },
		{ ":80:80", listener },
		{ "::1:80:80", listener },
		{ "[127.0.0.1]:80:80", listener },
		{ "[]:80:80", listener },
		{ "[::1:80:80", listener },
		{ "host:80:80", listener },
		{ "127.0.0:80:80", listener },
		{ "[fe80::1]:80:80", listener },
		{ "[fe80::1%eth0]:80:80", listener },
		{ "[ff02::1]:80:80", listener },
		{ "224.0.0.1:80:80", listener },
		{ "255.255.255.255:80:80", listener },
		{ "[::ffff:1.2.3.4]:80:80", listener },
		{ "8000-8010:9000-9009", alike },
		{ "8000:9000-9001", alike },
		{ "8000-8001:9000", alike },
	};
	(void)unused;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		char line[sizeof error.text];
		struct expose unwanted;
		snprintf(line, sizeof line, "\"%s\": expected %s", wrong[i][0], wrong[i][1]);
		if (parse_expose(wrong[i][0], &unwanted, &error) || strcmp(error.text, line) != 0)
			fail_msg("%s: %s", wrong[i][0], error.text);
	}
	char text[400];
	memset(text, '8', sizeof text);
	text[sizeof text - 1] = '\0';
	assert_false(add_expose(&exposes, text, &error));
	assert_int_equal(exposes.count, 0);
}

static void two_that_overlap_are_refused(void **unused)
{
	(void)unused;
	ADDED("8000-8010:80-90");
	ADDED("[::]:8000:80");
	ADDED("udp/127.0.0.1:8000:80");
	ADDED("udp/127.0.0.2:8000:81");
	ADDED("7999:79");
	ADDED("8011:91");
	REFUSED(add_expose(&exposes, "8000-8010:80-90", &error),
		"\"8000-8010:80-90\": port 8000 is exposed already, by \"8000-8010:80-90\"");
	REFUSED(add_expose(&exposes, "127.0.0.1:8005-8020:5-20", &error),
		"\"127.0.0.1:8005-8020:5-20\": port 8005 is exposed already, by \"8000-8010:80-90\"");
	REFUSED(add_expose(&exposes, "tcp/127.0.0.1:7000-8000:1000-2000", &error),
		"\"tcp/127.0.0.1:7000-8000:1000-2000\": port 8000 is exposed already, by \"8000-8010:80-90\"");
	REFUSED(add_expose(&exposes, "[::1]:8000:1", &error),
		"\"[::1]:8000:1\": port 8000 is exposed already, by \"[::]:8000:80\"");
	REFUSED(add_expose(&exposes, "udp/8000:1", &error),
		"\"udp/8000:1\": port 8000 is exposed already, by \"udp/127.0.0.1:8000:80\"");
	assert_int_equal(exposes.count, 6);
}

static void there_is_an_end_to_them(void **unused)
{
	char text[32];
	(void)unused;
	ADDED("1-961:1-961");
	for (int i = 1; i < EXPOSES_MAX; i++) {
		snprintf(text, sizeof text, "%d:80", 2000 + i);
		ADDED(text); /* 961 and 63 ports are 1024 */
	}
	REFUSED(add_expose(&exposes, "80:80", &error), "\"80:80\": port 80 is exposed already, by \"1-961:1-961\"");
	REFUSED(add_expose(&exposes, "3000:80", &error), "\"3000:80\": more than 64 forwardings");
	assert_true(remove_expose(&exposes, "2001:80", &error));
	REFUSED(add_expose(&exposes, "3000-3001:80-81", &error), "\"3000-3001:80-81\": more than 1024 ports in all");
	ADDED("3000:80");
}

static void the_ports_of_the_guest_are_listed(void **unused)
{
	struct exposed_port ports[4];
	(void)unused;
	ADDED("8080:80");
	ADDED("udp/[::]:7000-7010:53-63");
	assert_int_equal(exposed_ports(&exposes, ports, 4), 2);
	assert_true(ports[0].first_port == 80 && ports[0].last_port == 80 && ports[0].protocol == IPPROTO_TCP);
	assert_true(ports[1].first_port == 53 && ports[1].last_port == 63 && ports[1].protocol == IPPROTO_UDP);
	assert_int_equal(exposed_ports(&exposes, ports, 1), 1);
}

/* Which address */

static void forwardings_wait_for_an_address_of_their_family(void **unused)
{
	(void)unused;
	ADDED("80:80");
	ADDED("[::]:81:80");
	TURN("");
	assert_int_equal(exposes.items[0].state, EXPOSE_WAITING);
	lease(0, 0x0a00020f, BINDING_BOUND);
	TURN("+80:10.0.2.15 ");
	assert_int_equal(exposes.items[0].state, EXPOSE_INSTALLED);
	assert_int_equal(exposes.items[1].state, EXPOSE_WAITING);
	TURN("");
	claim(0, LINK_LOCAL_PREFIX, 5, NOW); /* nobody outside can reach that */
	TURN("");
	claim(1, PREFIX, 5, NOW);
	TURN("+81:fd00:10:0:2::5 ");
	state.ipv4[0].expires_ms = NOW;
	TURN("-80:10.0.2.15 ");
	assert_int_equal(exposes.items[0].state, EXPOSE_WAITING);
	assert_int_equal(exposes.items[1].state, EXPOSE_INSTALLED);
}

static void the_old_one_goes_before_the_new_one_comes(void **unused)
{
	(void)unused;
	ADDED("80:80");
	ADDED("udp/81:81");
	lease(0, 0x0a00020f, BINDING_BOUND);
	TURN("+80:10.0.2.15 +81:10.0.2.15 ");
	lease(1, 0x0a000210, BINDING_BOUND); /* a second one changes nothing */
	TURN("");
	state.ipv4[0].state = BINDING_GRACE;
	TURN("-80:10.0.2.15 -81:10.0.2.15 +80:10.0.2.16 +81:10.0.2.16 ");
	state.ipv4[1].state = BINDING_GRACE; /* both on their way out: no reason to change */
	TURN("");
}

static void an_address_of_the_networks_prefix_is_preferred(void **unused)
{
	(void)unused;
	ADDED("[::]:80:80");
	claim(0, OTHER, 1, NOW - 9);
	TURN("+80:2a00:7700:1:1::1 ");
	announce(PREFIX);
	claim(1, PREFIX, 2, NOW - 5);
	TURN("-80:2a00:7700:1:1::1 +80:fd00:10:0:2::2 ");
	claim(2, PREFIX, 3, NOW - 7); /* older, and not what we have */
	TURN("");
	state.ipv6.bindings[1].expires_ms = NOW;
	TURN("-80:fd00:10:0:2::2 +80:fd00:10:0:2::3 ");
}

static void the_oldest_address_is_taken(void **unused)
{
	(void)unused;
	ADDED("[::1]:80:80");
	announce(PREFIX);
	claim(0, PREFIX, 1, NOW - 1);
	claim(1, PREFIX, 2, NOW - 9);
	claim(2, PREFIX, 3, NOW - 5);
	claim(3, PREFIX, 4, NOW - 20);
	state.ipv6.bindings[3].valid_ms = NOW + 1; /* still tentative */
	claim(4, OTHER, 5, NOW - 30);              /* of no prefix here */
	TURN("+80:fd00:10:0:2::2 ");
}

/* A guest that has its address from before we came did not claim it before our eyes. */
static void without_a_claim_it_is_the_address_of_the_mac(void **unused)
{
	(void)unused;
	ADDED("[::1]:80:80");
	announce(PREFIX);
	TURN("+80:fd00:10:0:2:5054:ff:fe12:3456 ");
	claim(0, PREFIX, 1, NOW);
	TURN("-80:fd00:10:0:2:5054:ff:fe12:3456 +80:fd00:10:0:2::1 ");
}

/* What becomes of them */

static void a_failure_is_described(void **unused)
{
	char text[FAILURE_TEXT];
	(void)unused;
	lease(0, 0x0a00020f, BINDING_BOUND);
	busy_port = 8003;
	ADDED("127.0.0.1:8000-8010:9000-9010");
	ADDED("udp/[::1]:53:53");
	assert_string_equal(describe_failure(&exposes.items[0], text), "");
	TURN("+8000:10.0.2.15 ");
	const struct exposed *item = find_expose(&exposes, "tcp/127.0.0.1:8000-8010:9000-9010");
	assert_non_null(item);
	assert_int_equal(item->state, EXPOSE_FAILED);
	assert_string_equal(describe_failure(item, text), "tcp port 8003 on 127.0.0.1: Address already in use");
	busy_port = 53;
	claim(0, PREFIX, 1, NOW);
	TURN("+53:fd00:10:0:2::1 ");
	assert_string_equal(describe_failure(&exposes.items[1], text), "udp port 53 on ::1: Address already in use");
	assert_null(find_expose(&exposes, "127.0.0.1:8000:9000"));
	assert_null(find_expose(&exposes, "nonsense"));
}

static void what_failed_is_tried_again_after_a_change(void **unused)
{
	(void)unused;
	busy_port = 80;
	ADDED("80:80");
	lease(0, 0x0a00020f, BINDING_BOUND);
	TURN("+80:10.0.2.15 ");
	TURN("");
	ADDED("81:80"); /* live */
	TURN("+80:10.0.2.15 +81:10.0.2.15 ");
	assert_true(remove_expose(&exposes, "81:80", &error));
	busy_port = 0;
	TURN("+80:10.0.2.15 ");
	assert_int_equal(exposes.items[0].state, EXPOSE_INSTALLED);
	busy_port = 80;
	lease(0, 0x0a000210, BINDING_BOUND);
	TURN("-80:10.0.2.15 +80:10.0.2.16 ");
	assert_int_equal(exposes.items[0].state, EXPOSE_FAILED);
	lease(0, 0x0a000211, BINDING_BOUND);
	TURN("+80:10.0.2.17 "); /* nothing was there to be removed */
}

static void the_uplink_may_answer_late_and_again(void **unused)
{
	(void)unused;
	answers = false;
	ADDED("80:80");
	lease(0, 0x0a00020f, BINDING_BOUND);
	TURN("+80:10.0.2.15 ");
	assert_int_equal(exposes.items[0].state, EXPOSE_ASKED);
	TURN("");
	results[result_count++] = (struct expose_result){ .expose = exposes.items[0].expose };
	TURN("");
	assert_int_equal(exposes.items[0].state, EXPOSE_INSTALLED);
	results[result_count++] = (struct expose_result){ exposes.items[0].expose, EADDRINUSE, 80 }; /* it started again */
	TURN("");
	assert_int_equal(exposes.items[0].state, EXPOSE_FAILED);
}

static void live_removal(void **unused)
{
	(void)unused;
	lease(0, 0x0a00020f, BINDING_BOUND);
	ADDED("80:80");
	ADDED("81:81");
	ADDED("82:82");
	TURN("+80:10.0.2.15 +81:10.0.2.15 +82:10.0.2.15 ");
	REFUSED(remove_expose(&exposes, "83:83", &error), "\"83:83\": not exposed");
	REFUSED(remove_expose(&exposes, "udp/81:81", &error), "\"udp/81:81\": not exposed");
	REFUSED(remove_expose(&exposes, "81:82", &error), "\"81:82\": not exposed");
	assert_false(remove_expose(&exposes, "81", &error));
	asked[0] = '\0';
	assert_true(remove_expose(&exposes, "tcp/0.0.0.0:81:81", &error)); /* another spelling of the same */
	assert_string_equal(asked, "-81:10.0.2.15 ");
	assert_int_equal(exposes.count, 2);
	assert_string_equal(exposes.items[0].text, "80:80");
	assert_string_equal(exposes.items[1].text, "82:82");
	TURN("");
	assert_true(remove_expose(&exposes, "80:80", &error));
	assert_true(remove_expose(&exposes, "82:82", &error));
	TURN("");
	lease(0, 0x0a000210, BINDING_BOUND);
	TURN("");
	ADDED("80:80"); /* with none in between, the address was not followed; it is now */
	TURN("+80:10.0.2.16 ");
}

static void not_every_uplink_forwards(void **unused)
{
	(void)unused;
	exposes.ipv6_off = true;
	REFUSED(add_expose(&exposes, "[::1]:80:80", &error), "\"[::1]:80:80\": expected an IPv4 address: IPv6 is off");
	uplink.kind = &plain_kind;
	REFUSED(add_expose(&exposes, "80:80", &error), "the uplink \"fake:x\" cannot forward ports");
	lease(0, 0x0a00020f, BINDING_BOUND);
	TURN("");
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_form_is_understood),
		TEST(what_is_wrong_is_named),
		TEST(two_that_overlap_are_refused),
		TEST(there_is_an_end_to_them),
		TEST(the_ports_of_the_guest_are_listed),
		TEST(forwardings_wait_for_an_address_of_their_family),
		TEST(the_old_one_goes_before_the_new_one_comes),
		TEST(an_address_of_the_networks_prefix_is_preferred),
		TEST(the_oldest_address_is_taken),
		TEST(without_a_claim_it_is_the_address_of_the_mac),
		TEST(a_failure_is_described),
		TEST(what_failed_is_tried_again_after_a_change),
		TEST(the_uplink_may_answer_late_and_again),
		TEST(live_removal),
		TEST(not_every_uplink_forwards),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
