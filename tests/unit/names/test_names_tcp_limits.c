/* Connections: silence, crowds, other rules meanwhile, and whatever a guest may send. At decide(), as frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "vectors.h"
#include "world_names.h"

#include <cmocka.h>

static struct names_world nw;

static const struct named_rule rules[] = {
	{ .name = "good.example", .naming = NAMED_IN_TLS },
	{ .name = "ssh.example", .naming = NAMED_BY_ADDRESS, .port = 22 },
	{ .name = NULL },
};

/* A connection to an address that good.example has. */
static void start(void)
{
	start_names_world(&nw, rules);
	resolve(&nw, "good.example", CDN_IP);
	connect_to(&nw, CDN_IP, 443);
}

static void silence(void **state)
{
	(void)state;
	struct octets o = { .length = 0 };
	start();
	put_tls(&o, "good.example");
	assert_int_equal(send_at(&nw, 0, o.bytes, 50), HELD);
	nw.w.now_ms += 9000;
	assert_int_equal(send_at(&nw, 50, o.bytes + 50, 10), HELD);
	assert_true(expire_names(nw.names, nw.w.now_ms) == nw.w.now_ms + 1000);
	nw.w.now_ms += 1000; /* counted from the first on */
	expire_names(nw.names, nw.w.now_ms);
	assert_int_equal(send_at(&nw, 60, o.bytes + 60, o.length - 60), DROP_HELLO_LIMIT);
	assert_int_equal(nw.sent.count, 0);
	assert_int_equal(nw.sent.dropped, 2);
}

static void long_hellos(void **state)
{
	(void)state;
	struct octets message = { .length = 0 }, o = { .length = 0 };
	put_hello(&message, &(struct hello_form){ .name = "good.example", .padding = 16000 });
	put_records(&o, message.bytes, message.length, 16384);
	start();
	for (uint32_t at = 0; at < o.length; at += 1400)
		assert_int_equal(send_at(&nw, at, o.bytes + at, o.length - at < 1400 ? o.length - at : 1400), HELD);
	assert_int_equal(nw.sent.count, 12);
	start(); /* one octet at a time is more frames than are kept */
	enum verdict verdict = HELD;
	uint32_t at = 0;
	for (; verdict == HELD; at++)
		verdict = send_at(&nw, at, o.bytes + at, 1);
	assert_int_equal(verdict, DROP_HELLO_LIMIT);
	assert_int_equal(at, NAMES_HELD_MAX + 1);
}

/* 300 connections that do not end their hello: those that began first end, and nobody else. */
static void many_that_wait(void **state)
{
	(void)state;
	struct octets o = { .length = 0 };
	start();
	put_tls(&o, "good.example");
	for (uint16_t i = 0; i < 300; i++) {
		struct tcp_segment s = { .flags = SYN, .guest_port = (uint16_t)(1000 + i) };
		assert_int_equal(move_segment(&nw, &s), PASS);
		s = (struct tcp_segment){ .to_guest = true, .flags = SYN | ACK, .guest_port = (uint16_t)(1000 + i) };
		assert_int_equal(move_segment(&nw, &s), PASS);
		s = (struct tcp_segment){ .guest_port = (uint16_t)(1000 + i), .data = o.bytes, .octets = 50 };
		assert_int_equal(move_segment(&nw, &s), HELD);
		nw.sent.count = 0;
	}
	assert_int_equal(nw.names->flows.count[NAME_HOLDING], NAMES_HOLDING_MAX);
	assert_int_equal(nw.sent.dropped, 300 - NAMES_HOLDING_MAX);
	struct tcp_segment s = { .guest_port = 1299, .sequence = 50, .data = o.bytes + 50, .octets = o.length - 50 };
	assert_int_equal(move_segment(&nw, &s), HELD);
	assert_int_equal(nw.sent.count, 2);
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
}

/* More flows than there is room for: those that live stay. */
static void many_flows(void **state)
{
	(void)state;
	start_names_world(&nw, rules);
	resolve(&nw, "ssh.example", CDN_IP);
	resolve(&nw, "good.example", OTHER_CDN_IP);
	for (uint32_t i = 0; i < NAME_FLOWS_MAX; i++) {
		struct tcp_segment s = { .flags = SYN, .port = 22, .guest_port = (uint16_t)(1 + i) };
		assert_int_equal(move_segment(&nw, &s), PASS);
		nw.sent.count = 0;
	}
	struct tcp_segment s = { .flags = SYN, .port = 22, .guest_port = 50000 };
	assert_int_equal(move_segment(&nw, &s), DROP_FLOW_LIMIT);
	for (uint16_t i = 0; i < 3; i++) {
		s = (struct tcp_segment){ .flags = FIN | ACK, .port = 22, .guest_port = (uint16_t)(77 + i) };
		assert_int_equal(move_segment(&nw, &s), PASS);
	}
	for (uint16_t i = 0; i <= 3; i++) { /* each place that was given back is taken once */
		s = (struct tcp_segment){ .flags = SYN, .port = 22, .guest_port = (uint16_t)(50000 + i) };
		assert_int_equal(move_segment(&nw, &s), i < 3 ? PASS : DROP_FLOW_LIMIT);
	}
	for (uint32_t i = 0; i < NAME_FLOWS_MAX; i++) { /* and all the others go on */
		s = (struct tcp_segment){ .port = 22, .guest_port = (uint16_t)(1 + i) };
		nw.sent.count = 0;
		assert_true(move_segment(&nw, &s) == PASS || (1 + i >= 77 && 1 + i <= 79));
	}
}

static struct flow_key key_of_port(uint32_t port)
{
	return (struct flow_key){ .guest_port = (uint16_t)port, .peer_port = 443, .protocol = 6 };
}

/* At the table itself: the guard gives back a place when it needs it, so at most one is free there. */
static void places_that_were_given_back(void **state)
{
	enum { GIVEN_BACK = 5 };
	static const uint64_t hash_key[2] = { 1, 2 };
	static struct name_flows flows;
	(void)state;
	for (uint32_t port = 0; port <= NAME_FLOWS_MAX; port++) {
		struct flow_key key = key_of_port(port);
		assert_true(!make_name_flow(&flows, hash_key, &key, 0) == (port == NAME_FLOWS_MAX));
	}
	for (uint32_t port = 0; port < GIVEN_BACK; port++) {
		struct flow_key key = key_of_port(port);
		remove_name_flow(&flows, hash_key, find_name_flow(&flows, hash_key, &key));
	}
	for (uint32_t port = 0; port <= GIVEN_BACK; port++) {
		struct flow_key key = key_of_port(NAME_FLOWS_MAX + port);
		assert_true(!make_name_flow(&flows, hash_key, &key, 0) == (port == GIVEN_BACK));
	}
	for (uint32_t port = 0; port < NAME_FLOWS_MAX + GIVEN_BACK; port++) {
		struct flow_key key = key_of_port(port);
		assert_true(!find_name_flow(&flows, hash_key, &key) == (port < GIVEN_BACK));
	}
}

static void live_changes(void **state)
{
	(void)state;
	static const struct named_rule others[] = { { .name = "*.example" }, { .name = NULL } },
				       without[] = { { .name = "else.example" }, { .name = NULL } };
	struct octets o = { .length = 0 }, hello = { .length = 0 };
	put_tls(&o, "good.example");
	put_hex(&hello, tls_server_hello);
	for (int goes_on = 0; goes_on < 2; goes_on++) {
		start();
		assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
		serve(&nw, &hello, o.length);
		change_rules(&nw, goes_on ? others : without);
		assert_int_equal(send_at(&nw, o.length, "x", 1), goes_on ? PASS : DROP_NAME_UNBOUND);
	}
}

/* A connection that has not shown its name when the rules change is judged by the new ones; so is a frame that waits. */
static void changes_before_a_name(void **state)
{
	(void)state;
	static const struct named_rule others[] = { { .name = "*.example" }, { .name = NULL } },
				       without[] = { { .name = "else.example" }, { .name = NULL } };
	struct octets o = { .length = 0 };
	put_tls(&o, "good.example");
	for (int goes_on = 0; goes_on < 2; goes_on++)
		for (uint32_t first = 0; first <= 50; first += 50) {
			start();
			if (first > 0)
				assert_int_equal(send_at(&nw, 0, o.bytes, first), HELD);
			change_rules(&nw, goes_on ? others : without);
			enum verdict verdict = send_at(&nw, first, o.bytes + first, o.length - first);
			assert_int_equal(verdict, !goes_on ? DROP_NAME_UNBOUND : first > 0 ? HELD : PASS);
			assert_int_equal(nw.sent.count, !goes_on ? 0 : first > 0 ? 2 : 1);
		}
}

/* What was sent is the pattern's, wherever it stands among the rules of now. */
static void octets_follow_their_pattern(void **state)
{
	(void)state;
	static const struct named_rule first[] = { { .name = "good.example" }, { .name = NULL } },
				       later[] = { { .name = "else.example" }, { .name = "*.example" }, { .name = NULL } },
				       none[] = { { .name = "else.example" }, { .name = NULL } };
	struct octets o = { .length = 0 }, hello = { .length = 0 };
	put_tls(&o, "good.example");
	put_hex(&hello, tls_server_hello);
	start();
	change_rules(&nw, first);
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
	serve(&nw, &hello, o.length);
	assert_int_equal(send_at(&nw, o.length, "x", 1), PASS);
	uint64_t sent = nw.names->octets[0];
	assert_int_equal(sent, 14 + 20 + 20 + 1);
	change_rules(&nw, later);
	assert_int_equal(nw.names->octets[0], 0);
	assert_int_equal(nw.names->octets[1], sent);
	change_rules(&nw, none);
	assert_int_equal(nw.names->octets[0] + nw.names->octets[1], 0);
}

/*
 * Whatever the guest sends, on each sequence number one octet alone gets out, and the stream that they make names an
 * allowed host. Without acknowledgments, for what the server has does not matter any more.
 */
static void whatever_is_sent(void **state)
{
	(void)state;
	struct octets good = { .length = 0 }, evil = { .length = 0 };
	static struct hello_room room;
	uint32_t named = 0;
	put_tls(&good, "good.example");
	put_tls(&evil, "evil.example");
	for (int round = 0; round < 4000; round++) {
		uint8_t seen[600];
		bool is_seen[600] = { false };
		start();
		for (int i = 0; i < 12; i++) {
			const struct octets *from = next_random() % 4 == 0 ? &evil : &good;
			uint32_t at = next_random() % 3 ? next_random() % 5 * 20 : 0,
				 n = 1 + next_random() % (from->length - at);
			if (next_random() % 4 == 0)
				n = from->length - at;
			nw.sent.count = 0;
			send_at(&nw, at, from->bytes + at, n);
			for (uint32_t f = 0; f < nw.sent.count; f++) {
				const struct octets *frame = &nw.sent.frames[f];
				uint32_t offset = ((uint32_t)frame->bytes[38] << 24 | (uint32_t)frame->bytes[39] << 16 |
						   (uint32_t)frame->bytes[40] << 8 | frame->bytes[41]) +
						  15u;
				for (uint32_t k = 54; k < frame->length; k++, offset++) {
					assert_true(offset < sizeof seen);
					assert_true(!is_seen[offset] || seen[offset] == frame->bytes[k]);
					is_seen[offset] = true;
					seen[offset] = frame->bytes[k];
				}
			}
		}
		uint32_t length = 0;
		while (length < sizeof seen && is_seen[length])
			length++;
		struct frame stream = { .bytes = seen, .length = length };
		struct hello hello;
		if (length == 0)
			continue;
		assert_int_equal(read_hello_records(&stream, 0, &room, &hello), READING_WHOLE);
		assert_int_equal(hello.name.length, 12);
		assert_memory_equal(hello.name.text, "good.example", 12);
		named++;
	}
	assert_true(named > 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence),
		cmocka_unit_test(long_hellos),
		cmocka_unit_test(many_that_wait),
		cmocka_unit_test(many_flows),
		cmocka_unit_test(places_that_were_given_back),
		cmocka_unit_test(live_changes),
		cmocka_unit_test(changes_before_a_name),
		cmocka_unit_test(octets_follow_their_pattern),
		cmocka_unit_test(whatever_is_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
