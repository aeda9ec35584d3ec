/*
 * Connections: a host is known before anything goes on, and what a server can see is what was judged. At decide(), as frames.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "vectors.h"
#include "world_names.h"

#include <cmocka.h>

static struct names_world nw;

static const struct named_rule rules[] = {
	{ .name = "good.example", .naming = NAMED_IN_TLS },
	{ .name = "*.zone.example", .naming = NAMED_IN_TLS },
	{ .name = "web.example", .naming = NAMED_IN_HTTP, .port = 80 },
	{ .name = "both.example", .naming = NAMED_IN_HTTP },
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

static void one_segment(void **state)
{
	(void)state;
	struct octets o = { .length = 0 };
	start();
	put_tls(&o, "GOOD.example");
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
	assert_int_equal(nw.last_event.kind, NAME_SEEN);
	assert_int_equal(nw.last_event.naming, NAMED_IN_TLS);
	assert_int_equal(nw.sent.count, 1);
}

static void refused(void **state)
{
	(void)state;
	static const struct {
		struct hello_form form;
		enum verdict verdict;
	} cases[] = {
		{ { .name = "evil.example" }, DROP_NAME_DENIED },
		{ { .name = "a.zone.example" }, DROP_NAME_DENIED }, /* allowed, but not at this address */
		{ { .name = "both.example" }, DROP_NAME_DENIED },
		{ { .name = NULL }, DROP_NAME_DENIED },
		{ { .name = "23.23.23.23" }, DROP_NAME_DENIED },
		{ { .name = "good.example", .second_name = "evil.example" }, DROP_HELLO_MALFORMED },
		{ { .name = "good.example", .name_twice = "evil.example" }, DROP_HELLO_MALFORMED },
		{ { .name = "good.example", .extra_type = 0xfe0d }, DROP_HELLO_ECH },
	};
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct octets message = { .length = 0 }, o = { .length = 0 };
		start();
		put_hello(&message, &cases[i].form);
		put_records(&o, message.bytes, message.length, 16384);
		assert_int_equal(send_at(&nw, 0, o.bytes, o.length), cases[i].verdict);
		assert_int_equal(nw.last_event.kind,
				 cases[i].verdict == DROP_HELLO_MALFORMED ? NAME_LEARNED : NAME_REFUSED);
		o.length = 0; /* the connection has ended for good */
		put_tls(&o, "good.example");
		assert_int_equal(send_at(&nw, 0, o.bytes, o.length), cases[i].verdict);
		assert_int_equal(nw.sent.count, 0);
	}
	static const char *const others[] = { "SSH-2.0-x\r\n", "GET / HTTP/1.1\r\n", "\x80\x2e\x01\x03\x01",
					      "\x17\x03\x03" };
	for (uint32_t i = 0; i < sizeof others / sizeof *others; i++) {
		start();
		assert_int_equal(send_at(&nw, 0, others[i], (uint32_t)strlen(others[i])), DROP_HELLO_MALFORMED);
	}
	nw.names->settings.ech_passes = true;
	struct octets message = { .length = 0 }, o = { .length = 0 };
	put_hello(&message, &(struct hello_form){ .name = "good.example", .extra_type = 0xfe0d });
	put_records(&o, message.bytes, message.length, 16384);
	resolve(&nw, "good.example", CDN_IP);
	connect_to(&nw, CDN_IP, 443);
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
}

/* In pieces of any size, over records of any size: nothing goes on before the last one, and then all of it in order. */
static void in_pieces(void **state)
{
	(void)state;
	struct octets message = { .length = 0 };
	put_hello(&message, &(struct hello_form){ .name = "good.example", .padding = 900 });
	for (uint32_t record = 80; record < 1200; record += 400)
		for (uint32_t size = 36; size < 1200; size += 97) {
			struct octets o = { .length = 0 }, seen = { .length = 0 };
			start();
			put_records(&o, message.bytes, message.length, record);
			for (uint32_t at = 0; at < o.length; at += size) {
				uint32_t n = o.length - at < size ? o.length - at : size;
				assert_int_equal(nw.sent.count, 0);
				assert_int_equal(send_at(&nw, at, o.bytes + at, n), o.length <= size ? PASS : HELD);
			}
			for (uint32_t i = 0; i < nw.sent.count; i++)
				put_octets(&seen, nw.sent.frames[i].bytes + 54, nw.sent.frames[i].length - 54);
			assert_int_equal(seen.length, o.length);
			assert_memory_equal(seen.bytes, o.bytes, o.length);
		}
}

static void out_of_order(void **state)
{
	(void)state;
	struct octets o = { .length = 0 };
	start();
	put_tls(&o, "good.example");
	assert_int_equal(send_at(&nw, 50, o.bytes + 50, o.length - 50), DROP_HELLO_ORDER);
	assert_int_equal(send_at(&nw, 0, o.bytes, 50), HELD);
	assert_int_equal(send_at(&nw, 0, o.bytes, 50),
			 DROP_HELLO_ORDER); /* nobody has answered: it is sent again, and waits already */
	assert_int_equal(send_at(&nw, 20, o.bytes + 20, o.length - 20), HELD); /* overlaps, with the same octets */
	assert_int_equal(nw.sent.count, 2);
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS); /* lost on the way: the same once more */
	assert_int_equal(send_at(&nw, 10, o.bytes + 10, 30), PASS);
}

/* The first copy dies on its way, say by its TTL; the second one says something else. */
static void other_octets_later(void **state)
{
	(void)state;
	struct octets o = { .length = 0 }, evil = { .length = 0 };
	put_tls(&o, "good.example");
	put_tls(&evil, "evil.example");
	assert_int_equal(o.length, evil.length);
	start();
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
	assert_int_equal(send_at(&nw, 0, evil.bytes, evil.length), DROP_HELLO_CONFLICT);
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), DROP_HELLO_CONFLICT); /* it has ended */
	start();
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length - 4), HELD);
	assert_int_equal(send_at(&nw, 20, evil.bytes + 20, evil.length - 20), DROP_HELLO_CONFLICT);
	assert_int_equal(nw.sent.dropped, 1);
	assert_int_equal(nw.sent.why, DROP_HELLO_CONFLICT);
	start();
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
	assert_int_equal(send_at(&nw, o.length - 1, "x", 1), DROP_HELLO_CONFLICT);
	start();
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
	acknowledge(&nw, o.length);
	assert_int_equal(send_at(&nw, 0, evil.bytes, evil.length),
			 PASS); /* the server has all of it: it looks at it no more */
}

/* Urgent octets are taken out of the stream by some servers. */
static void urgent_octets(void **state)
{
	(void)state;
	struct octets o = { .length = 0 };
	start();
	put_tls(&o, "good.example");
	struct tcp_segment s = { .flags = ACK | SEGMENT_URGENT, .data = o.bytes, .octets = o.length };
	assert_int_equal(move_segment(&nw, &s), DROP_HELLO_MALFORMED);
	assert_int_equal(nw.sent.count, 0);
	for (s.octets = 0; s.octets < 2; s.octets++) { /* a single one is enough to end it */
		start();
		assert_int_equal(move_segment(&nw, &s), DROP_HELLO_MALFORMED);
		assert_int_equal(send_at(&nw, 0, o.bytes, o.length), s.octets == 0 ? PASS : DROP_HELLO_MALFORMED);
	}
}

static void begins(void **state)
{
	(void)state;
	struct octets o = { .length = 0 };
	put_tls(&o, "good.example");
	start_names_world(&nw, rules);
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), DROP_NAME_UNBOUND);
	resolve(&nw, "good.example", CDN_IP);
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), DROP_NAME_UNBOUND); /* no SYN was seen */
	struct tcp_segment s = { .flags = SYN, .data = o.bytes, .octets = o.length };
	assert_int_equal(move_segment(&nw, &s), DROP_HELLO_MALFORMED); /* RFC 7413 */
	s = (struct tcp_segment){ .flags = SYN };
	assert_int_equal(move_segment(&nw, &s), PASS);
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), DROP_NAME_UNBOUND); /* not answered yet */
	s = (struct tcp_segment){ .to_guest = true, .flags = SYN | ACK };
	assert_int_equal(move_segment(&nw, &s), PASS);
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
}

/*
 * Two SYNs, of which the server sees the first; the second would make octets of the first connection look like ones that are
 * known. What the server says in its SYN-ACK counts.
 */
static void two_beginnings(void **state)
{
	(void)state;
	struct octets o = { .length = 0 }, evil = { .length = 0 };
	put_tls(&o, "good.example");
	put_tls(&evil, "evil.example");
	start();
	struct tcp_segment s = { .flags = SYN, .sequence = 0u - o.length };
	assert_int_equal(move_segment(&nw, &s),
			 PASS); /* as a second one: where it would end is where the first one begins */
	assert_int_equal(send_at(&nw, 0u - o.length, o.bytes, o.length), DROP_NAME_UNBOUND);
	assert_int_equal(acknowledge(&nw, 0), PASS); /* RFC 5961 4: the server speaks of the first */
	assert_int_equal(send_at(&nw, 0, evil.bytes, evil.length), DROP_NAME_UNBOUND);
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), DROP_NAME_UNBOUND);
	s = (struct tcp_segment){ .to_guest = true, .flags = SYN | ACK };
	assert_int_equal(move_segment(&nw, &s), PASS);
	assert_int_equal(send_at(&nw, 0u - o.length, o.bytes, o.length),
			 PASS); /* before its first octet: the server has no use for it */
	assert_int_equal(send_at(&nw, 0, evil.bytes, evil.length), DROP_NAME_DENIED);
}

/* RFC 8446 4.1.4: the server asks again, and the second hello is judged like the first. */
static void second_hellos(void **state)
{
	(void)state;
	struct octets o = { .length = 0 }, again = { .length = 0 }, evil = { .length = 0 }, retry = { .length = 0 };
	put_tls(&o, "good.example");
	put_hex(&again, "140303000101");
	put_hex(&evil, "140303000101");
	put_tls(&again, "good.example");
	put_tls(&evil, "evil.example");
	put_hex(&retry, tls_hello_retry);
	for (int is_told = 0; is_told < 2; is_told++) { /* the server may answer in pieces too small to tell */
		start();
		assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
		if (is_told)
			serve(&nw, &retry, o.length);
		assert_int_equal(send_at(&nw, o.length, evil.bytes, evil.length), DROP_NAME_DENIED);
		start();
		assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
		if (is_told)
			serve(&nw, &retry, o.length);
		assert_int_equal(send_at(&nw, o.length, again.bytes, 60), HELD);
		assert_int_equal(send_at(&nw, o.length + 60, again.bytes + 60, again.length - 60), HELD);
		assert_int_equal(nw.sent.count, 3);
		acknowledge(&nw, o.length + again.length);
		assert_int_equal(send_at(&nw, o.length + again.length, "anything", 8), PASS);
	}
	start(); /* other octets in the place of the second one, later */
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
	serve(&nw, &retry, o.length);
	assert_int_equal(send_at(&nw, o.length, again.bytes, again.length), PASS);
	assert_int_equal(send_at(&nw, o.length, evil.bytes, evil.length), DROP_HELLO_CONFLICT);
	start(); /* a server that was asked to go on does not */
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
	serve(&nw, &retry, o.length);
	assert_int_equal(send_at(&nw, o.length, "\x16\x03\x03\x00\x04\x10\x00\x00\x00", 9), DROP_HELLO_MALFORMED);
}

static void servers_that_go_on(void **state)
{
	(void)state;
	struct octets o = { .length = 0 }, hello = { .length = 0 };
	put_tls(&o, "good.example");
	put_hex(&hello, tls_server_hello);
	start();
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
	assert_int_equal(serve(&nw, &hello, o.length), PASS);
	assert_int_equal(nw.names->flows.count[NAME_OPEN_TCP], 1);
	assert_int_equal(send_at(&nw, 5000, "anything, in any order", 22), PASS);
	start(); /* without the server's word: the handshake goes on, which shows it as well */
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
	assert_int_equal(send_at(&nw, o.length, "\x16\x03\x03\x00\x04\x10\x00\x00\x00", 9), PASS);
	assert_int_equal(nw.names->flows.count[NAME_OPEN_TCP], 0);
	assert_int_equal(send_at(&nw, o.length + 9, "\x16\x03\x03\x00\x04\x01\x00\x00\x00", 9), PASS);
	assert_int_equal(send_at(&nw, 0, "x", 1), DROP_HELLO_CONFLICT);
	start();
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
	assert_int_equal(send_at(&nw, o.length, "\x17\x03\x03\x00\x04xxxx", 9), PASS);
	acknowledge(&nw, o.length + 9);
	assert_int_equal(nw.names->flows.count[NAME_OPEN_TCP], 1);
}

/* RFC 8446 4.2.10: behind early data a second hello may still come, and records go on until the server has answered. */
static void early_data(void **state)
{
	(void)state;
	struct octets message = { .length = 0 }, o = { .length = 0 }, evil = { .length = 0 };
	static uint8_t data[1000];
	put_hello(&message, &(struct hello_form){ .name = "good.example", .extra_type = 42 });
	put_records(&o, message.bytes, message.length, 16384);
	put_tls(&evil, "evil.example");
	start();
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
	uint32_t at = o.length;
	assert_int_equal(send_at(&nw, at, "\x17\x03\x03\x03\xe8", 5), PASS);
	assert_int_equal(send_at(&nw, at + 5, data, 500), PASS);
	assert_int_equal(send_at(&nw, at + 505, data, 500), PASS);
	acknowledge(&nw, at + 1005);
	assert_int_equal(send_at(&nw, at + 1005, evil.bytes, evil.length), DROP_NAME_DENIED);
	start(); /* the end of a record is not where the guest would like to have it */
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
	assert_int_equal(send_at(&nw, at, "\x17\x03\x03\x03\xe8", 5), PASS);
	assert_int_equal(send_at(&nw, at, "\x17\x03\x03\x00\x00", 5), DROP_HELLO_CONFLICT);
	start(); /* more than any server skips */
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
	enum verdict verdict = PASS;
	for (uint32_t i = 0; i < 70 && verdict == PASS; i++, at += 1000) {
		memcpy(data, "\x17\x03\x03\x03\xe3", 5);
		verdict = send_at(&nw, at, data, 1000);
		acknowledge(&nw, at + 1000);
		nw.sent.count = 0;
	}
	assert_int_equal(verdict, DROP_HELLO_LIMIT);
}

static void requests(void **state)
{
	(void)state;
	static const char good[] = "GET / HTTP/1.1\r\nHost: web.example\r\n\r\n",
			  evil[] = "GET / HTTP/1.1\r\nHost: x.example\r\n\r\n";
	for (int i = 0; i < 3; i++) {
		start_names_world(&nw, rules);
		resolve(&nw, "web.example", CDN_IP);
		connect_to(&nw, CDN_IP, 80);
		struct tcp_segment s = { .port = 80, .data = i == 0 ? evil : good, .octets = i == 2 ? 20 : 36 };
		assert_int_equal(move_segment(&nw, &s), i == 0 ? DROP_NAME_DENIED : HELD);
		if (i == 0)
			continue;
		s.sequence = s.octets;
		s.data = good + s.octets;
		s.octets = sizeof good - 1 - s.octets;
		assert_int_equal(move_segment(&nw, &s), HELD);
		assert_int_equal(nw.sent.count, 2);
	}
	start_names_world(&nw, rules); /* the other one is not this address's */
	resolve(&nw, "web.example", CDN_IP);
	connect_to(&nw, CDN_IP, 80);
	static const char other[] = "GET / HTTP/1.1\r\nHost: both.example\r\n\r\n";
	struct tcp_segment s = { .port = 80, .data = other, .octets = sizeof other - 1 };
	assert_int_equal(move_segment(&nw, &s), DROP_NAME_DENIED);
	start_names_world(&nw, rules); /* one port, two ways: the first octet tells */
	resolve(&nw, "good.example", CDN_IP);
	resolve(&nw, "both.example", CDN_IP);
	connect_to(&nw, CDN_IP, 443);
	assert_int_equal(send_at(&nw, 0, other, sizeof other - 1), PASS);
	connect_to(&nw, CDN_IP, 443);
	struct octets o = { .length = 0 };
	put_tls(&o, "good.example");
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), PASS);
	connect_to(&nw, CDN_IP, 443);
	o.length = 0;
	put_tls(&o, "both.example");
	assert_int_equal(send_at(&nw, 0, o.bytes, o.length), DROP_NAME_DENIED);
}

static void by_address_alone(void **state)
{
	(void)state;
	start_names_world(&nw, rules);
	resolve(&nw, "ssh.example", CDN_IP);
	connect_to(&nw, CDN_IP, 22);
	struct tcp_segment s = { .port = 22, .data = "SSH-2.0-x\r\n", .octets = 11 };
	assert_int_equal(move_segment(&nw, &s), PASS);
	s.port = 443;
	s.flags = SYN;
	assert_int_equal(move_segment(&nw, &s), DROP_NAME_UNBOUND);
	nw.w.now_ms += 3600000; /* the connection keeps its address */
	s = (struct tcp_segment){ .port = 22, .sequence = 11, .data = "x", .octets = 1 };
	assert_int_equal(move_segment(&nw, &s), PASS);
	s = (struct tcp_segment){ .flags = SYN, .port = 22, .guest_port = 41000 };
	assert_int_equal(move_segment(&nw, &s), PASS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_segment),
		cmocka_unit_test(refused),
		cmocka_unit_test(in_pieces),
		cmocka_unit_test(out_of_order),
		cmocka_unit_test(other_octets_later),
		cmocka_unit_test(urgent_octets),
		cmocka_unit_test(begins),
		cmocka_unit_test(two_beginnings),
		cmocka_unit_test(second_hellos),
		cmocka_unit_test(servers_that_go_on),
		cmocka_unit_test(early_data),
		cmocka_unit_test(requests),
		cmocka_unit_test(by_address_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
