/* --names learn: everything passes as without names, nothing is sent twice, and what is told is what rules would need. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include "world_names.h"

#include <cmocka.h>

#include "core/names/read/dns.h"

static struct names_world nw;
static struct name_rules learned;
static const struct named_rule no_rules[] = { { .name = NULL } };

/* What was told, as lines: "KIND NAME WAY PORT REASON". */
static char told[4096];
static int tellings;

static void tell(void *context, const struct name_event *event)
{
	static const char *const kinds[] = { [NAME_ASKED_FOR] = "asked", [NAME_SEEN] = "seen" };
	static const char *const ways[] = { "tls", "quic", "http", "address" };
	(void)context;
	if (!event->is_learned)
		return;
	tellings++;
	size_t length = strlen(told);
	const struct name none = { .length = 1, .text = "-" }, *name = event->name ? event->name : &none;
	length += (size_t)snprintf(told + length, sizeof told - length, "%s %.*s", kinds[event->kind], name->length,
				   (const char *)name->text);
	if (event->kind == NAME_SEEN)
		length +=
		    (size_t)snprintf(told + length, sizeof told - length, " %s %u", ways[event->naming], event->port);
	if (event->verdict != PASS)
		length += (size_t)snprintf(told + length, sizeof told - length, " %s",
					   verdict_name((enum verdict)event->verdict));
	if (event->shown)
		length += (size_t)snprintf(told + length, sizeof told - length, " (%.*s)", event->shown->length,
					   (const char *)event->shown->text);
	if (event->pattern != NO_PATTERN)
		length += (size_t)snprintf(told + length, sizeof told - length, " by rule");
	snprintf(told + length, sizeof told - length, "\n");
}

static void forget_told(void)
{
	told[0] = '\0';
	tellings = 0;
}

static void start(const struct named_rule *rules)
{
	start_names_world(&nw, rules);
	clear_name_rules(&learned);
	nw.names->learned = &learned;
	nw.names->event = tell;
	forget_told();
}

/* A connection of its own, whose first octets are these. */
static void call(uint32_t peer, uint16_t port, const struct octets *first)
{
	connect_to(&nw, peer, port);
	struct tcp_segment s = { .peer = peer, .port = port, .data = first->bytes, .octets = first->length };
	assert_int_equal(move_segment(&nw, &s), PASS);
	assert_int_equal(nw.sent.count, 1); /* itself, and once */
}

static struct octets hello_of(const char *name)
{
	struct octets o = { .length = 0 };
	put_tls(&o, name);
	return o;
}

static void names_that_are_reached(void **state)
{
	(void)state;
	start(no_rules);
	struct octets good = hello_of("good.example"), evil = hello_of("evil.example"), request = { .length = 0 };
	put_octets(&request, "GET / HTTP/1.1\r\nHost: good.example\r\n\r\n", 38);
	resolve(&nw, "good.example", CDN_IP);
	resolve(&nw, "good.example", CDN_IP);
	assert_string_equal(told, "asked good.example\n");
	forget_told();
	call(CDN_IP, 443, &good);
	call(CDN_IP, 443, &good); /* told once */
	call(CDN_IP, 8080, &request);
	call(CDN_IP, 443, &evil);       /* a name of no question */
	call(OTHER_CDN_IP, 443, &good); /* of no question that gave this address */
	assert_string_equal(told, "seen good.example tls 443\nseen good.example http 8080\n"
				  "seen good.example address 443 (evil.example)\nseen - address 443 (good.example)\n");
}

/* The answer that enforcing gives is told: with which rule it would pass, and why it would not. */
static void with_rules(void **state)
{
	(void)state;
	static const struct named_rule rules[] = { { .name = "good.example" }, { .name = NULL } };
	start(rules);
	struct octets good = hello_of("good.example"), other = hello_of("other.example");
	resolve(&nw, "good.example", CDN_IP);
	resolve(&nw, "other.example", CDN_IP);
	call(CDN_IP, 443, &good);
	call(CDN_IP, 443, &other);
	call(CDN_IP, 444, &good);
	assert_string_equal(told, "asked good.example by rule\nasked other.example\nseen good.example tls 443 by rule\n"
				  "seen other.example tls 443\nseen good.example tls 444\n");
	static const struct named_rule others[] = { { .name = "*.github.com" }, { .name = NULL } };
	change_rules(&nw, others);
	forget_told();
	call(CDN_IP, 445, &good);
	assert_string_equal(told, "seen good.example tls 445\n");
}

static void what_would_be_refused(void **state)
{
	(void)state;
	start(no_rules);
	struct octets message = { .length = 0 }, hidden = { .length = 0 };
	put_hello(&message, &(struct hello_form){ .name = "good.example", .extra_type = 0xfe0d });
	put_records(&hidden, message.bytes, message.length, 16384);
	resolve(&nw, "good.example", CDN_IP);
	resolve(&nw, "inside.example", GATEWAY_IP); /* rebinding, and it passes */
	forget_told();
	call(CDN_IP, 443, &hidden);
	assert_string_equal(told, "seen good.example tls 443 hello-ech\n");
	/* What no name opens is closed by the same rule as ever. */
	struct tcp_segment s = { .flags = SYN, .peer = 0x0a000001 };
	assert_int_equal(move_segment(&nw, &s), DROP_DST_BLOCKED);
	assert_int_equal(ask(&nw, "good.example", 16), PASS);
	assert_int_equal(send_datagram(&nw, "\xc3nothing", 8), PASS);
}

static void narrower_blocks_hold(void **state)
{
	(void)state;
	for (int is_narrow = 0; is_narrow < 2; is_narrow++) {
		start(no_rules);
		struct rule rules[] = {
			rule_for(CLASS_BLOCKED, OUTWARD, (struct address){ 0, 0 }, 0),
			{ .class = CLASS_BLOCKED, .directions = OUTWARD, .alias = ALIAS_GLOBAL },
			rule_for(CLASS_BLOCKED, OUTWARD, address_of_ipv4(CDN_IP), is_narrow ? 97 : 96),
		};
		set_rules(&nw.w, rules, 3);
		struct tcp_segment s = { .flags = SYN };
		assert_int_equal(move_segment(&nw, &s), is_narrow ? DROP_DST_BLOCKED : PASS);
	}
}

/* Frames go on at once, and are not sent again when the hello is whole. */
static void nothing_waits(void **state)
{
	(void)state;
	start(no_rules);
	struct octets good = hello_of("good.example");
	resolve(&nw, "good.example", CDN_IP);
	forget_told();
	connect_to(&nw, CDN_IP, 443);
	uint32_t octets = 0;
	for (; octets < good.length; octets += 20) {
		uint32_t length = good.length - octets < 20 ? good.length - octets : 20;
		assert_int_equal(send_at(&nw, octets, good.bytes + octets, length), PASS);
	}
	assert_int_equal(nw.sent.count, (good.length + 19) / 20);
	assert_string_equal(told, "seen good.example tls 443\n");
	/* One that does not end, or says something else later, goes on as well. */
	connect_to(&nw, CDN_IP, 444);
	struct tcp_segment s = { .port = 444, .data = good.bytes, .octets = 50 };
	assert_int_equal(move_segment(&nw, &s), PASS);
	s.data = good.bytes + 1;
	assert_int_equal(move_segment(&nw, &s), PASS);
	s.sequence = 4000;
	assert_int_equal(move_segment(&nw, &s), PASS);
	nw.w.now_ms += 61000;
	expire_names(nw.names, nw.w.now_ms);
	assert_string_equal(told, "seen good.example tls 443\nseen good.example address 444\n");
	assert_int_equal(nw.names->hold.queue_count, 0);
}

static void silence(void **state)
{
	(void)state;
	start(no_rules);
	resolve(&nw, "good.example", CDN_IP);
	connect_to(&nw, CDN_IP, 22);
	resolve(&nw, "later.example", CDN_IP); /* asked for after the call, so it was not meant */
	forget_told();
	struct tcp_segment unanswered = { .flags = SYN, .peer = OTHER_CDN_IP };
	assert_int_equal(move_segment(&nw, &unanswered), PASS);
	finish_learning(nw.names, nw.w.now_ms);
	assert_string_equal(told, "seen good.example address 22\n");
	finish_learning(nw.names, nw.w.now_ms);
	assert_int_equal(tellings, 1);
}

/* UDP: a datagram that nobody answers has reached nobody. */
static void datagrams(void **state)
{
	(void)state;
	start(no_rules);
	resolve(&nw, "good.example", CDN_IP);
	forget_told();
	assert_int_equal(send_datagram(&nw, "hello", 5), PASS);
	assert_string_equal(told, "");
	assert_int_equal(receive_datagram(&nw, "hello", 5), PASS);
	assert_string_equal(told, "seen good.example address 443\n");
	assert_int_equal(send_datagram(&nw, "more", 4), PASS);
	assert_int_equal(tellings, 1);
}

static void tables_that_are_full(void **state)
{
	(void)state;
	start(no_rules);
	char name[32];
	for (uint32_t i = 0; i < NAME_PATTERNS_MAX + 2; i++) {
		snprintf(name, sizeof name, "n%u.example", i);
		assert_int_equal(ask(&nw, name, DNS_A), PASS);
		told[0] = '\0';
	}
	assert_int_equal(tellings, NAME_PATTERNS_MAX);
	forget_told();
	struct octets other = hello_of("other.example");
	for (uint32_t i = 0; i < LEARNED_ADDRESSES_MAX + 2; i++) {
		call(CDN_IP + i, 443, &other);
		told[0] = '\0';
	}
	assert_int_equal(tellings, LEARNED_ADDRESSES_MAX);
	/* The state is kept by names of now, and what is kept is learned again. */
	struct name_pattern kept = { .name = learned.pattern[0].name };
	clear_name_rules(&learned);
	restore_address(nw.names, address_of_ipv4(CDN_IP), &kept, nw.w.now_ms + 1000, nw.w.now_ms);
	assert_int_equal(learned.pattern_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_that_are_reached),
		cmocka_unit_test(with_rules),
		cmocka_unit_test(what_would_be_refused),
		cmocka_unit_test(narrower_blocks_hold),
		cmocka_unit_test(nothing_waits),
		cmocka_unit_test(silence),
		cmocka_unit_test(datagrams),
		cmocka_unit_test(tables_that_are_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
