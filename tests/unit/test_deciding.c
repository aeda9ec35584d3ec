/* The rule that is shown beside a drop is the one by which the judge has refused the frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "softnet/hints/deciding.h"
#include "softnet/setup/setup.h"

#include <cmocka.h>

enum { NOW = 1000000, WORDS_MAX = 16 };

static struct options options;
static struct config config;
static struct state state;
static struct trust trust = { { &config, &state, NOW }, &options };
static char text[DECIDING_TEXT];

static void given(const char *const *words)
{
	static char *argv[WORDS_MAX + 8] = { "softnet", "--vm-fd=0", "--vm-mac-address=52:54:00:00:00:0a",
					     "--vm-ip=192.168.77.12/24,fd00::c/64", "--ipv6=guard" };
	static char copy[WORDS_MAX][64];
	static struct anchors nobody;
	struct error error;
	int count = 5;
	for (; *words; words++, count++)
		argv[count] = strcpy(copy[count - 5], *words);
	argv[count] = NULL;
	memset(&config, 0, sizeof config);
	if (!parse_options(count, argv, &options, &error) || !make_config(&options, &nobody, &config, &error) ||
	    !make_state(&options, &state, NOW, &error))
		fail_msg("%s", error.text);
}
#define GIVEN(...) given((const char *const[]){ __VA_ARGS__, NULL })

/* TCP to port 443, from the guest or to it. */
static struct specimen packet4(const uint8_t peer[4], bool inward)
{
	static const uint8_t front[] = { 0x52, 0x54, 0,  0,  0,  1, 0x52, 0x54, 0,    0,    0, 10,  8,
					 0,    0x45, 0,  0,  40, 0, 0,    0,    0,    64,   6, 0,   0,
					 192,  168,  77, 12, 0,  0, 0,    0,    0x9c, 0x40, 1, 0xbb };
	struct specimen s = { .dropped_ms = NOW, .length = 54, .kept = 54 };
	memcpy(s.bytes, front, sizeof front);
	memcpy(s.bytes + (inward ? 26 : 30), peer, 4);
	if (inward)
		memcpy(s.bytes + 30, front + 26, 4);
	s.bytes[46] = 0x50;
	return s;
}

/* UDP to port 53, behind as many hop-by-hop octets as are said. */
static struct specimen packet6(const uint8_t peer[16])
{
	struct specimen s = { .dropped_ms = NOW, .length = 62, .kept = 62 };
	static const uint8_t front[] = { 0x52, 0x54, 0,    0, 0, 1, 0x52, 0x54, 0,  0,  0,   10,
					 0x86, 0xdd, 0x60, 0, 0, 0, 0,    8,    17, 64, 0xfd };
	memcpy(s.bytes, front, sizeof front);
	s.bytes[37] = 12;
	memcpy(s.bytes + 38, peer, 16);
	memcpy(s.bytes + 54, (uint8_t[]){ 0x9c, 0x40, 0, 53, 0, 8 }, 6);
	return s;
}

static const char *decides(enum direction direction, unsigned verdict, struct specimen s)
{
	const char *rule = find_deciding(&trust, &options.rules, direction, verdict, &s, text);
	return rule ? rule : "-";
}

static const uint8_t private[] = { 10, 0, 0, 5 }, public[] = { 93, 184, 216, 34 };
static const uint8_t ula[16] = { 0xfd, 1, [15] = 5 };

static void the_rule_is_named(void **unused)
{
	(void)unused;
	GIVEN("--block=10.0.0.0/8,93.184.216.0/24:tcp/443,@global:udp", "--allow=any");
	assert_string_equal(decides(FROM_GUEST, DROP_DST_BLOCKED, packet4(private, false)), "block 10.0.0.0/8");
	assert_string_equal(decides(FROM_GUEST, DROP_DST_BLOCKED, packet4(public, false)),
			    "block 93.184.216.0/24:tcp/443");
	GIVEN("--block=fd01::/16", "--block=any");
	assert_string_equal(decides(FROM_GUEST, DROP_DST_BLOCKED, packet6(ula)), "block fd01::/16");
	GIVEN("--block=in 93.184.216.34", "--inbound=established");
	assert_string_equal(decides(TO_GUEST, DROP_SRC_BLOCKED, packet4(public, true)), "block in 93.184.216.34/32");
}

static void where_no_rule_speaks_of_it(void **unused)
{
	(void)unused;
	GIVEN("--block=93.184.216.0/24");
	assert_string_equal(decides(FROM_GUEST, DROP_DST_PRIVATE, packet4(private, false)), "default");
	assert_string_equal(decides(FROM_GUEST, DROP_DST_PRIVATE, packet6(ula)), "default");
	GIVEN("--inbound=established");
	assert_string_equal(decides(TO_GUEST, DROP_UNSOLICITED, packet4(public, true)), "default");
}

/* Rules that are no longer, drops that no rule decides, and frames of which too little is left. */
static void nothing_is_said_that_may_be_wrong(void **unused)
{
	struct specimen cut = packet4(private, false);
	(void)unused;
	GIVEN("--allow=10.0.0.0/8");
	assert_string_equal(decides(FROM_GUEST, DROP_DST_PRIVATE, packet4(private, false)), "-");
	assert_string_equal(decides(FROM_GUEST, DROP_ETH_SRC_SPOOF, packet4(private, false)), "-");
	GIVEN("--block=10.0.0.0/8");
	assert_string_equal(decides(FROM_GUEST, DROP_DST_PRIVATE, packet4(private, false)), "-");
	for (cut.kept = 0; cut.kept < 42; cut.kept++)
		assert_string_equal(decides(FROM_GUEST, DROP_DST_BLOCKED, cut), "-");
	assert_string_equal(decides(FROM_GUEST, DROP_DST_BLOCKED, cut), "block 10.0.0.0/8");
	for (int i = 0; i < 256; i++) /* whatever stands there, it is read within bounds */
		for (cut.kept = 0; cut.kept < SPECIMEN_MAX; cut.kept += 7) {
			memset(cut.bytes + 14, i, sizeof cut.bytes - 14);
			cut.length = UINT32_MAX;
			decides(TO_GUEST, DROP_UNSOLICITED, cut);
		}
}

static void a_question_of_arp(void **unused)
{
	static const uint8_t arp[] = { 255, 255, 255, 255, 255, 255, 0x52, 0x54, 0,    0,    0,   10,  8,  6,
				       0,   1,   8,   0,   6,   4,   0,    1,    0x52, 0x54, 0,   0,   0,  10,
				       192, 168, 77,  12,  0,   0,   0,    0,    0,    0,    192, 168, 77, 42 };
	struct specimen s = { .dropped_ms = NOW, .length = sizeof arp, .kept = sizeof arp };
	(void)unused;
	memcpy(s.bytes, arp, sizeof arp);
	GIVEN("--block=192.168.77.42");
	assert_string_equal(decides(FROM_GUEST, DROP_ARP_TARGET_DENIED, s), "block 192.168.77.42/32");
	GIVEN("--block=1.1.1.1");
	assert_string_equal(decides(FROM_GUEST, DROP_ARP_TARGET_DENIED, s), "default");
	GIVEN("--allow=192.168.77.42");
	assert_string_equal(decides(FROM_GUEST, DROP_ARP_TARGET_DENIED, s), "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rule_is_named),
		cmocka_unit_test(where_no_rule_speaks_of_it),
		cmocka_unit_test(nothing_is_said_that_may_be_wrong),
		cmocka_unit_test(a_question_of_arp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
