/* Addresses of names over a restart: in the state file, and back. */
#include <setjmp.h>
#include <stdarg.h>

#include "softnet/saved/state_text.h"
#include "world_names.h"

#include <cmocka.h>

enum { HOUR_MS = 3600000 };

static const struct named_rule rules[] = { { "good.example", NAMED_IN_TLS, 0, 0 },
					   { "*.zone.example", NAMED_IN_TLS, 0, 0 },
					   { NULL, 0, 0, 0 } };
static struct names_world nw;
static char text[STATE_TEXT_MAX];
static size_t length;

static struct moment at(uint64_t later_ms)
{
	return (struct moment){ nw.w.now_ms + later_ms, 1000 * (uint64_t)HOUR_MS + later_ms };
}

static struct state_owner owner_of(struct names *names)
{
	return (struct state_owner){ GUEST_MAC, 1, "boot", names };
}

/* Two addresses of two patterns are in the text. */
static int set_up(void **state)
{
	(void)state;
	start_names_world(&nw, rules);
	resolve(&nw, "good.example", CDN_IP);
	resolve(&nw, "a.zone.example", OTHER_CDN_IP);
	struct state_owner owner = owner_of(nw.names);
	length = write_state_text(&nw.w.state, &owner, at(0), text, sizeof text);
	assert_true(length > 0);
	return 0;
}

/* Starts anew, with these rules and so much later. The text can be read once. */
static const char *restart(const struct named_rule *now, uint64_t later_ms)
{
	struct moment moment = at(later_ms);
	start_names_world(&nw, now);
	nw.w.now_ms = moment.now_ms;
	struct state_owner owner = owner_of(nw.names);
	return read_state_text(text, length, &owner, &nw.w.config, &nw.w.state, moment);
}

static bool may_call(uint32_t address)
{
	struct tcp_segment s = { .flags = SYN, .peer = address };
	return move_segment(&nw, &s) == PASS;
}

static void addresses_come_back(void **state)
{
	struct octets o = { .length = 0 };
	(void)state;
	assert_null(restart(rules, 1000));
	assert_true(may_call(CDN_IP) && may_call(OTHER_CDN_IP));
	connect_to(&nw, CDN_IP, 443); /* and each for its own name alone */
	put_tls(&o, "a.zone.example");
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), DROP_NAME_DENIED);
}

static void nothing_comes_back_without_the_file(void **state)
{
	(void)state;
	start_names_world(&nw, rules);
	assert_false(may_call(CDN_IP) || may_call(OTHER_CDN_IP));
}

/* The time goes on while nobody is there. Five minutes: that is the least. */
static void they_end_when_they_would_have(void **state)
{
	(void)state;
	assert_null(restart(rules, NAME_TTL_FLOOR_MS - 1));
	assert_true(may_call(CDN_IP));
	nw.w.now_ms += 1;
	assert_false(may_call(OTHER_CDN_IP));
	set_up(NULL);
	assert_null(restart(rules, NAME_TTL_FLOOR_MS));
	assert_false(may_call(CDN_IP) || may_call(OTHER_CDN_IP));
}

/* A pattern comes back when a rule of now covers all of it. */
static void other_rules(void **state)
{
	static const struct named_rule wider[] = { { "*.example", NAMED_IN_TLS, 0, 0 }, { NULL, 0, 0, 0 } };
	static const struct named_rule narrower[] = { { "a.zone.example", NAMED_IN_TLS, 0, 0 },
						      { "*.other.example", NAMED_IN_TLS, 0, 0 },
						      { NULL, 0, 0, 0 } };
	static const struct named_rule none[] = { { NULL, 0, 0, 0 } };
	(void)state;
	assert_null(restart(wider, 0));
	assert_true(may_call(CDN_IP) && may_call(OTHER_CDN_IP));
	set_up(NULL);
	assert_null(restart(narrower, 0));
	assert_false(may_call(CDN_IP) || may_call(OTHER_CDN_IP));
	set_up(NULL);
	assert_null(restart(none, 0));
	assert_false(may_call(CDN_IP) || may_call(OTHER_CDN_IP));
}

/* What has become private since is not opened by a name. */
static void addresses_that_are_local_now(void **state)
{
	(void)state;
	start_names_world(&nw, rules);
	struct name_pattern good = { .name = { .length = 12, .text = "good.example" } };
	restore_address(nw.names, address_of_ipv4(0x0a000001), &good, UINT64_MAX - 1, nw.w.now_ms);
	assert_false(may_call(0x0a000001));
	restore_address(nw.names, address_of_ipv4(CDN_IP), &good, UINT64_MAX - 1, nw.w.now_ms);
	assert_true(may_call(CDN_IP));
	nw.w.now_ms += NAME_TTL_CEILING_MS + HOUR_MS; /* not longer than a day, whatever stands there */
	assert_false(may_call(CDN_IP));
}

static void broken_lines(void **state)
{
	static const char *const lines[] = { "name 1.1.1.1 good.example 5 5 5", "name 1.1.1.1 good.example 5",
					     "name - good.example 5 5",         "name 1.1.1.1 *.*.x 5 5",
					     "name 1.1.1.1 GOOD_.. 5 5",        "name 1 good.example 5 5",
					     "name 1.1.1.1 good.example x 5" };
	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		int octets = snprintf(text, sizeof text,
				      "softnet-state 2\nmac 52:54:00:00:00:0a\nboot boot\nconfig 1\nkey 1 2\n"
				      "name 23.23.23.23 good.example 9999999999 9999999999999\n%s\n",
				      lines[i]);
		octets += snprintf(text + octets, sizeof text - (size_t)octets, "sum %016llx\n",
				   (unsigned long long)hash_bytes(0, text, (size_t)octets));
		length = (size_t)octets;
		assert_string_equal(restart(rules, 0), "a line cannot be read");
		assert_false(may_call(CDN_IP)); /* all or nothing */
	}
}

/* A full table fits, whatever the names are. */
static void the_longest_text(void **state)
{
	static struct name_rules longest;
	(void)state;
	struct name name = { .length = NAME_MAX_OCTETS };
	struct name_use use = { .naming = NAMED_IN_TLS, .protocol = TCP, .first_port = 1, .last_port = 1 };
	clear_name_rules(&longest);
	for (uint32_t i = 0; i < NAME_MAX_OCTETS; i++)
		name.text[i] = i % 50 == 49 ? '.' : 'a';
	for (uint8_t i = 0; i < 4; i++) {
		name.text[0] = (uint8_t)('a' + i);
		assert_true(add_name_use(&longest, &name, true, &use));
	}
	link_patterns(&longest);
	start_names_world(&nw, rules);
	change_name_rules(nw.names, NULL, nw.w.now_ms);
	change_name_rules(nw.names, &longest, nw.w.now_ms);
	for (uint32_t i = 0; i < BOUND_MAX; i++)
		assert_true(bind_address(&nw.names->book, (struct address){ 0x20010db8ffffffffULL, ~(uint64_t)i },
					 (uint16_t)(i % 4), 1ULL << 62, nw.w.now_ms));
	struct state_owner owner = owner_of(nw.names);
	assert_true(write_state_text(&nw.w.state, &owner, at(0), text, sizeof text) > 4096ULL * 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(addresses_come_back, set_up),
		cmocka_unit_test_setup(nothing_comes_back_without_the_file, set_up),
		cmocka_unit_test_setup(they_end_when_they_would_have, set_up),
		cmocka_unit_test_setup(other_rules, set_up),
		cmocka_unit_test(addresses_that_are_local_now),
		cmocka_unit_test(broken_lines),
		cmocka_unit_test(the_longest_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
