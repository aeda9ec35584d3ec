/* Which questions pass, what answers teach, and how much of it is remembered: at decide(), as frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "world_names.h"

#include <cmocka.h>

#include "core/names/read/dns.h"

static struct names_world nw;

static const struct named_rule two_names[] = { { .name = "api.example.com" },
					       { .name = "*.github.com" },
					       { .name = NULL } };

static enum verdict call(uint32_t peer, uint16_t port)
{
	struct tcp_segment s = { .flags = SYN, .peer = peer, .port = port };
	return move_segment(&nw, &s);
}

static void questions(void **state)
{
	(void)state;
	start_names_world(&nw, two_names);
	static const struct {
		const char *name;
		uint16_t type;
		enum verdict verdict;
	} cases[] = {
		{ "api.example.com", DNS_A, PASS },
		{ "API.Example.COM", DNS_AAAA, PASS },
		{ "api.example.com", DNS_HTTPS, PASS },
		{ "api.example.com", DNS_CNAME, PASS },
		{ "_http._tcp.api.example.com", DNS_SRV, PASS },
		{ "_8443._https.api.example.com", DNS_HTTPS, PASS },
		{ "_http._tcp.api.example.com", DNS_A, DROP_DNS_NAME },
		{ "_a._b._c.api.example.com", DNS_SRV, DROP_DNS_NAME },
		{ "a.api.example.com", DNS_A, DROP_DNS_NAME },
		{ "example.com", DNS_A, DROP_DNS_NAME },
		{ "a.github.com", DNS_A, PASS },
		{ "a.b.github.com", DNS_A, PASS },
		{ "github.com", DNS_A, DROP_DNS_NAME },
		{ "xgithub.com", DNS_A, DROP_DNS_NAME },
		{ "api.example.com", 16, DROP_DNS_NAME }, /* TXT */
		{ "api.example.com", 255, DROP_DNS_NAME },
		{ "api.example.com", 10, DROP_DNS_NAME }, /* NULL */
		{ "com", 2, DROP_DNS_NAME },
		{ "4.3.2.1.in-addr.arpa", 12, DROP_DNS_NAME },
	};
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(ask(&nw, cases[i].name, cases[i].type), cases[i].verdict);
	nw.names->settings.any_question = true;
	assert_int_equal(ask(&nw, "other.example", 16), PASS);
}

static void messages_that_are_none(void **state)
{
	(void)state;
	start_names_world(&nw, two_names);
	struct octets o;
	put_question(&o, "api.example.com", DNS_A);
	put_value(&o, 0, 1);
	struct tcp_segment nothing = { .flags = SYN };
	assert_int_equal(move_segment(&nw, &nothing), DROP_NAME_UNBOUND);
	put_ethernet(&nw.w, GATEWAY_MAC, GUEST_MAC, 0x0800);
	put_ipv4(&nw.w, GUEST_IP, RESOLVER_IP, UDP, 0, 8 + o.length);
	put_udp(&nw.w, GUEST_PORT, 53, o.length);
	put_bytes(&nw.w, o.bytes, o.length);
	assert_int_equal(send_frame(&nw), DROP_DNS_MALFORMED);
	o.length -= 4; /* an answer must be whole, too */
	o.bytes[2] = 0x81;
	assert_int_equal(answer_with(&nw, &o), DROP_DNS_MALFORMED);
	put_question(&o, "api.example.com", DNS_A);
	put_ethernet(&nw.w, GATEWAY_MAC, GUEST_MAC, 0x0800); /* the first piece of a question */
	put_ipv4(&nw.w, GUEST_IP, RESOLVER_IP, UDP, 0x2000, 8 + 24);
	put_udp(&nw.w, GUEST_PORT, 53, o.length);
	put_bytes(&nw.w, o.bytes, 24);
	assert_int_equal(send_frame(&nw), DROP_NAME_FRAGMENT);
	put_ethernet(&nw.w, GUEST_MAC, GATEWAY_MAC, 0x0800); /* and a later one of an answer */
	put_ipv4(&nw.w, RESOLVER_IP, GUEST_IP, UDP, 100, 64);
	put_zeros(&nw.w, 64);
	assert_int_equal(receive_frame(&nw), DROP_NAME_FRAGMENT);
}

static void addresses_open(void **state)
{
	(void)state;
	start_names_world(&nw, two_names);
	assert_int_equal(call(CDN_IP, 443), DROP_NAME_UNBOUND);
	resolve(&nw, "api.example.com", CDN_IP);
	assert_int_equal(nw.last_event.kind, NAME_LEARNED);
	assert_int_equal(call(CDN_IP, 443), PASS);
	assert_int_equal(call(CDN_IP, 80), DROP_NAME_UNBOUND);
	assert_int_equal(call(OTHER_CDN_IP, 443), DROP_NAME_UNBOUND);
	nw.w.now_ms += 299999; /* the floor of its life, not the 60 s of the record */
	assert_int_equal(call(CDN_IP, 443), PASS);
	nw.w.now_ms += 60002;
	assert_int_equal(call(CDN_IP, 443), DROP_NAME_UNBOUND);
}

/* Only what answers a question teaches: one field is another, and nothing is learned. */
static void answers_that_do_not_match(void **state)
{
	(void)state;
	for (int other = 0; other < 6; other++) {
		static const uint32_t address = CDN_IP;
		struct octets o;
		start_names_world(&nw, two_names);
		assert_int_equal(ask(&nw, "api.example.com", DNS_A), PASS);
		put_question(&o, other == 1 ? "b.github.com" : "api.example.com", other == 2 ? DNS_AAAA : DNS_A);
		o.bytes[0] = other == 3;
		o.bytes[2] = 0x81;
		o.bytes[7] = 1;
		put_hex(&o, "c00c000100010000003c0004");
		put_value(&o, address, 4);
		put_ethernet(&nw.w, GUEST_MAC, GATEWAY_MAC, 0x0800);
		put_ipv4(&nw.w, other == 4 ? RESOLVER_IP + 1 : RESOLVER_IP, GUEST_IP, UDP, 0, 8 + o.length);
		put_udp(&nw.w, 53, other == 5 ? GUEST_PORT + 1 : GUEST_PORT, o.length);
		put_bytes(&nw.w, o.bytes, o.length);
		assert_int_equal(receive_frame(&nw), PASS);
		assert_int_equal(call(CDN_IP, 443), other == 0 ? PASS : DROP_NAME_UNBOUND);
	}
	start_names_world(&nw, two_names);
	assert_int_equal(ask(&nw, "api.example.com", DNS_A), PASS);
	nw.w.now_ms += QUESTION_LIFE_MS;
	assert_int_equal(answer(&nw, "api.example.com", 60, (uint32_t[]){ CDN_IP }, 1), PASS); /* too late */
	assert_int_equal(call(CDN_IP, 443), DROP_NAME_UNBOUND);
}

static void private_answers(void **state)
{
	(void)state;
	static const uint32_t private[] = { 0x0a000001, 0xa9fea9fe, 0x7f000001, 0,         0xc0a80101,
					    0x64400001, GUEST_IP,   0xffffffff, 0xe0000001 };
	for (uint32_t i = 0; i < sizeof private / sizeof *private; i++) {
		start_names_world(&nw, two_names);
		assert_int_equal(ask(&nw, "api.example.com", DNS_A), PASS);
		uint32_t both[] = { CDN_IP, private[i] };
		assert_int_equal(answer(&nw, "api.example.com", 60, both, 2), DROP_DNS_REBIND);
		assert_int_equal(call(CDN_IP, 443), DROP_NAME_UNBOUND);
	}
	/* A rule for the address lets the answer through, and is what opens it: the name does not. */
	start_names_world(&nw, two_names);
	struct rule rules[] = {
		rule_for(CLASS_BLOCKED, OUTWARD, address_of_ipv4(0), 96),
		rule_for(CLASS_ALLOWED, OUTWARD, address_of_ipv4(0x0a000001), 128),
		{ .class = CLASS_ALLOWED, .directions = OUTWARD, .alias = ALIAS_DNS },
	};
	rules[1].only =
	    (struct qualifier){ .has_protocol = 1, .protocol = TCP, .has_ports = 1, .first_port = 22, .last_port = 22 };
	set_rules(&nw.w, rules, 3);
	resolve(&nw, "api.example.com", 0x0a000001);
	assert_int_equal(call(0x0a000001, 443), DROP_NAME_UNBOUND);
	assert_int_equal(call(0x0a000001, 22), PASS);
}

/* 64:ff9b::a.b.c.d: what the translator makes of it counts. */
static void translated_answers(void **state)
{
	(void)state;
	static const struct {
		const char *hex;
		enum verdict verdict;
	} cases[] = {
		{ "0064ff9b000000000000000008080808", PASS },
		{ "0064ff9b00000000000000000a000001", DROP_DNS_REBIND },
		{ "0064ff9b0000000000000000a9fea9fe", DROP_DNS_REBIND },
		{ "fd000000000000000000000000000001", DROP_DNS_REBIND },
		{ "00000000000000000000000000000001", DROP_DNS_REBIND },
		{ "00000000000000000000ffff08080808", PASS }, /* a call to it is a call to 8.8.8.8 */
		{ "00000000000000000000ffff0a000001", DROP_DNS_REBIND },
		{ "fe800000000000000000000000000001", DROP_DNS_REBIND },
		{ "26001234000000000000000000000001", PASS },
	};
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct octets o;
		start_names_world(&nw, two_names);
		assert_int_equal(ask(&nw, "api.example.com", DNS_AAAA), PASS);
		put_question(&o, "api.example.com", DNS_AAAA);
		o.bytes[2] = 0x81;
		o.bytes[7] = 1;
		put_hex(&o, "c00c001c00010000003c0010");
		put_hex(&o, cases[i].hex);
		assert_int_equal(answer_with(&nw, &o), cases[i].verdict);
	}
}

static enum verdict answer_in_hex(const char *name, uint16_t type, uint16_t answers, const char *hex)
{
	struct octets o;
	put_question(&o, name, type);
	o.bytes[2] = 0x81;
	o.bytes[7] = (uint8_t)answers;
	put_hex(&o, hex);
	return answer_with(&nw, &o);
}

static void chains_and_services(void **state)
{
	(void)state;
	start_names_world(&nw, two_names);
	assert_int_equal(ask(&nw, "cdn.example", DNS_A), DROP_DNS_NAME);
	assert_int_equal(ask(&nw, "api.example.com", DNS_A), PASS);
	/* A CNAME to cdn.example, which may be asked for now, and is api.example.com. */
	assert_int_equal(
	    answer_in_hex("api.example.com", DNS_A, 1, "c00c000500010000003c000d0363646e076578616d706c6500"), PASS);
	resolve(&nw, "cdn.example", CDN_IP);
	assert_int_equal(call(CDN_IP, 443), PASS);
	assert_int_equal(ask(&nw, "a.cdn.example", DNS_A), DROP_DNS_NAME);
	nw.w.now_ms += 300000;
	assert_int_equal(ask(&nw, "cdn.example", DNS_A), DROP_DNS_NAME);
	/* Hints of HTTPS records are addresses; keys that hide names are not for the guest. */
	assert_int_equal(ask(&nw, "api.example.com", DNS_HTTPS), PASS);
	assert_int_equal(answer_in_hex("api.example.com", DNS_HTTPS, 1,
				       "c00c004100010000003c000b"
				       "000100"
				       "0004000418181818"),
			 PASS);
	assert_int_equal(call(OTHER_CDN_IP, 443), PASS);
	assert_int_equal(ask(&nw, "api.example.com", DNS_HTTPS), PASS);
	static const char with_ech[] = "c00c004100010000003c0008"
				       "000100"
				       "0005000100";
	assert_int_equal(answer_in_hex("api.example.com", DNS_HTTPS, 1, with_ech), DROP_DNS_ECH);
	nw.names->settings.ech_passes = true;
	assert_int_equal(answer_in_hex("api.example.com", DNS_HTTPS, 1, with_ech), PASS);
}

/* Any number of names of one pattern at one address is one entry. */
static void many_names_one_address(void **state)
{
	(void)state;
	start_names_world(&nw, two_names);
	for (int i = 0; i < 3000; i++) {
		char name[32];
		snprintf(name, sizeof name, "h%d.github.com", i);
		resolve(&nw, name, CDN_IP);
	}
	assert_int_equal(nw.names->book.bound_count, 1);
}

static void many_addresses(void **state)
{
	(void)state;
	start_names_world(&nw, two_names);
	for (uint32_t i = 0; i < PATTERN_ADDRESSES_MAX; i++)
		resolve(&nw, "a.github.com", 0x08000000 + i);
	assert_int_equal(ask(&nw, "a.github.com", DNS_A), PASS);
	assert_int_equal(answer(&nw, "a.github.com", 60, (uint32_t[]){ CDN_IP }, 1), DROP_NAMES_FULL);
	assert_int_equal(nw.last_event.kind, NAMES_ARE_FULL);
	assert_int_equal(call(CDN_IP, 443), DROP_NAME_UNBOUND);
	resolve(&nw, "api.example.com", OTHER_CDN_IP); /* another pattern has room */
	assert_int_equal(call(0x08000000, 443), PASS); /* and so have those that were there */
	nw.w.now_ms += 300000;
	resolve(&nw, "a.github.com", CDN_IP); /* what has run out makes room */
	assert_int_equal(nw.names->book.bound_count, 1);
}

static void all_addresses(void **state)
{
	(void)state;
	static const struct named_rule five[] = { { .name = "*.a.example" }, { .name = "*.b.example" },
						  { .name = "*.c.example" }, { .name = "*.d.example" },
						  { .name = "*.e.example" }, { .name = NULL } };
	start_names_world(&nw, five);
	for (uint32_t i = 0; i < BOUND_MAX; i++) {
		char name[] = "x.a.example";
		name[2] = (char)('a' + i / PATTERN_ADDRESSES_MAX);
		resolve(&nw, name, 0x08000000 + i);
	}
	assert_int_equal(ask(&nw, "x.e.example", DNS_A), PASS);
	assert_int_equal(answer(&nw, "x.e.example", 60, (uint32_t[]){ CDN_IP }, 1), DROP_NAMES_FULL);
	assert_int_equal(ask(&nw, "x.a.example", DNS_A), PASS); /* one that is there is only made to last longer */
	assert_int_equal(answer(&nw, "x.a.example", 60, (uint32_t[]){ 0x08000000 }, 1), PASS);
	change_rules(&nw, two_names); /* which allow none of them: all are forgotten */
	assert_int_equal(nw.names->book.bound_count, 0);
}

/* More questions at a time than are remembered: the oldest teach nothing, and the guest hurts itself alone. */
static void many_questions(void **state)
{
	(void)state;
	start_names_world(&nw, two_names);
	assert_int_equal(ask(&nw, "api.example.com", DNS_A), PASS);
	for (int i = 0; i < QUESTIONS_MAX; i++) {
		char name[32];
		nw.w.now_ms++;
		snprintf(name, sizeof name, "h%d.github.com", i);
		assert_int_equal(ask(&nw, name, DNS_A), PASS);
	}
	assert_int_equal(answer(&nw, "api.example.com", 60, (uint32_t[]){ CDN_IP }, 1), PASS);
	assert_int_equal(call(CDN_IP, 443), DROP_NAME_UNBOUND);
}

static void live_changes(void **state)
{
	(void)state;
	static const struct named_rule wider[] = { { .name = "*.example.com" }, { .name = NULL } },
				       another[] = { { .name = "a.org" }, { .name = "*.example.com" }, { .name = NULL } },
				       none[] = { { .name = NULL } };
	start_names_world(&nw, two_names);
	resolve(&nw, "api.example.com", CDN_IP);
	resolve(&nw, "a.github.com", OTHER_CDN_IP);
	change_rules(&nw, wider);
	assert_int_equal(call(CDN_IP, 443), PASS); /* what covers it opens it */
	assert_int_equal(call(OTHER_CDN_IP, 443), DROP_NAME_UNBOUND);
	assert_int_equal(nw.names->book.bound_count, 1);
	/* What a name was said to stand for stays, too, as long as its rule does. */
	assert_int_equal(ask(&nw, "api.example.com", DNS_A), PASS);
	assert_int_equal(
	    answer_in_hex("api.example.com", DNS_A, 1, "c00c000500010000003c000d0363646e076578616d706c6500"), PASS);
	change_rules(&nw, another);
	assert_int_equal(ask(&nw, "cdn.example", DNS_A), PASS);
	change_rules(&nw, none);
	assert_int_equal(call(CDN_IP, 443), DROP_DST_BLOCKED);
	change_rules(&nw, wider);
	assert_int_equal(call(CDN_IP, 443), DROP_NAME_UNBOUND);
}

/* A block of one address stands before every name; that of a network does not. */
static void blocked_addresses(void **state)
{
	(void)state;
	for (uint8_t length = 120; length <= 128; length += 8) {
		start_names_world(&nw, two_names);
		struct rule rules[] = {
			rule_for(CLASS_BLOCKED, OUTWARD, address_of_ipv4(0), 96),
			rule_for(CLASS_BLOCKED, OUTWARD, address_of_ipv4(CDN_IP), length),
			{ .class = CLASS_ALLOWED, .directions = OUTWARD, .alias = ALIAS_DNS },
		};
		set_rules(&nw.w, rules, 3);
		resolve(&nw, "api.example.com", CDN_IP);
		assert_int_equal(call(CDN_IP, 443), length == 128 ? DROP_NAME_UNBOUND : PASS);
	}
}

/* A port behind a query of TCP: in pieces of any size; each question is judged before its last octet goes on. */
static void questions_over_tcp(void **state)
{
	(void)state;
	for (uint32_t size = 1; size < 70; size += 7) {
		struct octets o = { .length = 0 }, q;
		start_names_world(&nw, two_names);
		put_question(&q, "api.example.com", DNS_A);
		put_value(&o, q.length, 2);
		put_octets(&o, q.bytes, q.length);
		connect_to(&nw, RESOLVER_IP, 53);
		for (uint32_t at = 0; at < o.length; at += size) {
			uint32_t n = o.length - at < size ? o.length - at : size;
			bool is_last = at + n == o.length;
			struct tcp_segment s = {
				.peer = RESOLVER_IP, .port = 53, .sequence = at, .data = o.bytes + at, .octets = n
			};
			if (at / size >= NAMES_HELD_MAX)
				break; /* more pieces than are kept: the flow has ended */
			enum verdict verdict = move_segment(&nw, &s);
			assert_true(verdict == (is_last && at == 0 ? PASS : HELD) || at / size == NAMES_HELD_MAX);
			assert_int_equal(nw.sent.count, is_last ? (o.length + size - 1) / size : 0);
		}
		if ((o.length + size - 1) / size > NAMES_HELD_MAX)
			continue;
		q.bytes[2] = 0x81; /* the answer, in two segments */
		q.bytes[7] = 1;
		put_hex(&q, "c00c000100010000003c000417171717");
		struct octets a = { .length = 0 };
		put_value(&a, q.length, 2);
		put_octets(&a, q.bytes, q.length);
		struct tcp_segment s = { .to_guest = true,
					 .peer = RESOLVER_IP,
					 .port = 53,
					 .sequence = 10,
					 .acknowledged = o.length,
					 .data = a.bytes + 10,
					 .octets = a.length - 10 };
		assert_int_equal(move_segment(&nw, &s), DROP_HELLO_ORDER);
		s.sequence = 0, s.data = a.bytes, s.octets = 10;
		assert_int_equal(move_segment(&nw, &s), PASS);
		assert_int_equal(move_segment(&nw, &s), PASS); /* sent again */
		assert_int_equal(call(CDN_IP, 443), DROP_NAME_UNBOUND);
		s.sequence = 10, s.data = a.bytes + 10, s.octets = a.length - 10;
		assert_int_equal(move_segment(&nw, &s), PASS);
		assert_int_equal(call(CDN_IP, 443), PASS);
	}
	struct octets o = { .length = 0 }, q;
	start_names_world(&nw, two_names);
	connect_to(&nw, RESOLVER_IP, 53);
	put_question(&q, "evil.example", 16);
	put_value(&o, q.length, 2);
	put_octets(&o, q.bytes, q.length);
	struct tcp_segment s = { .peer = RESOLVER_IP, .port = 53, .data = o.bytes, .octets = o.length };
	assert_int_equal(move_segment(&nw, &s), DROP_DNS_NAME);
	assert_int_equal(move_segment(&nw, &s), DROP_DNS_NAME); /* and nothing else on this connection */
	assert_int_equal(nw.sent.count, 0);
}

/* A question over TCP has left; its answer comes octet by octet, or begins with a length that no message has. */
static void answers_in_pieces(void **state)
{
	(void)state;
	struct octets o = { .length = 0 }, q;
	put_question(&q, "api.example.com", DNS_A);
	put_value(&o, q.length, 2);
	put_octets(&o, q.bytes, q.length);
	for (int is_odd = 0; is_odd < 2; is_odd++) {
		start_names_world(&nw, two_names);
		connect_to(&nw, RESOLVER_IP, 53);
		struct tcp_segment s = { .peer = RESOLVER_IP, .port = 53, .data = o.bytes, .octets = o.length };
		assert_int_equal(move_segment(&nw, &s), PASS);
		s = (struct tcp_segment){ .to_guest = true, .peer = RESOLVER_IP, .port = 53, .acknowledged = o.length };
		s.data = is_odd ? "\xff\xff" : "\x3f";
		s.octets = is_odd ? 2 : 1;
		if (is_odd)
			assert_int_equal(move_segment(&nw, &s), DROP_DNS_MALFORMED);
		for (; !is_odd && s.sequence < NAMES_HELD_MAX; s.sequence++)
			assert_int_equal(move_segment(&nw, &s), PASS);
		if (!is_odd)
			assert_int_equal(move_segment(&nw, &s), DROP_HELLO_ORDER); /* more pieces than are kept */
	}
}

/* Names are in the first piece of a datagram, and UDP has no other way to a resolver; TCP is followed by its octets. */
static void pieces_for_a_resolver(void **state)
{
	(void)state;
	start_names_world(&nw, two_names);
	for (int is_udp = 0; is_udp < 2; is_udp++)
		for (uint16_t flags = 0x2000; flags > 0; flags = flags == 0x2000 ? 5 : 0) {
			put_ethernet(&nw.w, GATEWAY_MAC, GUEST_MAC, 0x0800);
			put_ipv4(&nw.w, GUEST_IP, RESOLVER_IP, is_udp ? 17 : 6, flags, 40);
			put_number(&nw.w, 0x9c400035, 4);
			put_number(&nw.w, is_udp ? 40 << 16 : 1, 4);
			put_number(&nw.w, 0x0000000150100000, 8);
			put_zeros(&nw.w, 24);
			assert_int_equal(send_frame(&nw), is_udp ? DROP_NAME_FRAGMENT : PASS);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions),           cmocka_unit_test(messages_that_are_none),
		cmocka_unit_test(answers_in_pieces),   cmocka_unit_test(pieces_for_a_resolver),
		cmocka_unit_test(addresses_open),      cmocka_unit_test(answers_that_do_not_match),
		cmocka_unit_test(private_answers),     cmocka_unit_test(translated_answers),
		cmocka_unit_test(chains_and_services), cmocka_unit_test(many_names_one_address),
		cmocka_unit_test(many_addresses),      cmocka_unit_test(all_addresses),
		cmocka_unit_test(many_questions),      cmocka_unit_test(live_changes),
		cmocka_unit_test(blocked_addresses),   cmocka_unit_test(questions_over_tcp),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
