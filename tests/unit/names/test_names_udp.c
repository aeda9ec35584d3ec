/* QUIC: hellos in any order, connections of all kinds, and what a client could do against a reader. At decide(), as frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include "seal.h"
#include "world_names.h"

#include <cmocka.h>

static struct names_world nw;

static const struct named_rule rules[] = {
	{ .name = "good.example", .naming = NAMED_IN_QUIC, .protocol = UDP },
	{ .name = "also.example", .naming = NAMED_IN_QUIC, .protocol = UDP },
	{ .name = "time.example", .naming = NAMED_BY_ADDRESS, .protocol = UDP, .port = 123 },
	{ .name = NULL },
};

#define ID    "8394c8f03e515708"
#define OTHER "0102030405060708"

static struct octets good, evil, also, datagram, frames;

static void start(void)
{
	start_names_world(&nw, rules);
	resolve(&nw, "good.example", CDN_IP);
	resolve(&nw, "also.example", CDN_IP);
	good.length = evil.length = also.length = 0;
	put_hello(&good, &(struct hello_form){ .name = "good.example", .padding = 600 });
	put_hello(&evil, &(struct hello_form){ .name = "evil.example", .padding = 600 });
	put_hello(&also, &(struct hello_form){ .name = "also.example", .padding = 600 });
	nw.sent.count = 0;
}

static enum verdict send_it(void)
{
	return send_datagram(&nw, datagram.bytes, datagram.length);
}

/* A datagram with one packet that has [from, to) of the message. */
static enum verdict send_part(const char *id, uint32_t number, const struct octets *message, uint32_t from, uint32_t to)
{
	datagram.length = frames.length = 0;
	put_crypto(&frames, message, from, to);
	put_initial(&datagram, &(struct initial_form){ .id = id, .number = number }, &frames);
	return send_it();
}

static enum verdict send_form(const struct initial_form *form, const char *hex)
{
	datagram.length = frames.length = 0;
	put_hex(&frames, hex);
	put_initial(&datagram, form, &frames);
	return send_it();
}

static enum verdict send_hex(const char *hex)
{
	datagram.length = 0;
	put_hex(&datagram, hex);
	return send_it();
}

/* A Handshake packet: the server has read the hello. */
static void go_on(void)
{
	datagram.length = 0;
	put_hex(&datagram, "e00000000100000199");
	assert_int_equal(receive_datagram(&nw, datagram.bytes, datagram.length), PASS);
}

static void one_datagram(void **state)
{
	(void)state;
	for (int second = 0; second < 2; second++) {
		start();
		assert_int_equal(send_hex("40aabbcc"), DROP_QUIC_INITIAL); /* nothing before the hello */
		datagram.length = frames.length = 0;
		put_crypto(&frames, &good, 0, good.length);
		put_initial(&datagram, &(struct initial_form){ .id = ID, .version = second ? QUIC_VERSION_2 : 1 },
			    &frames);
		assert_int_equal(send_it(), PASS);
		assert_int_equal(nw.last_event.kind, NAME_SEEN);
		assert_int_equal(nw.last_event.naming, NAMED_IN_QUIC);
		assert_int_equal(send_hex("40aabbcc"), PASS);
		assert_int_equal(send_hex("d00000000100000199"), PASS);
		assert_int_equal(send_hex("e00000000100000199"), PASS);
		go_on();
		assert_int_equal(send_hex("40aabbcc"), PASS);
		assert_int_equal(nw.names->flows.count[NAME_OPEN_UDP], 1);
	}
}

static void refused(void **state)
{
	(void)state;
	start();
	assert_int_equal(send_part(ID, 0, &evil, 0, evil.length), DROP_NAME_DENIED);
	assert_int_equal(send_hex("40aabbcc"), DROP_QUIC_INITIAL);
	assert_int_equal(send_hex("c0ff00001d08"), DROP_QUIC_VERSION);
	assert_int_equal(send_hex("c0000000000000"), DROP_QUIC_VERSION);
	assert_int_equal(send_hex("c051303433"), DROP_QUIC_VERSION);
	assert_int_equal(send_hex("f00000000100000199"), DROP_QUIC_INITIAL);
	assert_int_equal(send_hex(""), DROP_QUIC_INITIAL);
	datagram.length = frames.length = 0;
	put_crypto(&frames, &good, 0, good.length);
	put_initial(&datagram, &(struct initial_form){ .id = ID, .octets = 1199 }, &frames);
	assert_int_equal(send_it(), DROP_QUIC_INITIAL); /* RFC 9000 14.1 */
	datagram.length = 0;
	put_initial(&datagram, &(struct initial_form){ .id = ID, .destination = OTHER }, &frames);
	assert_int_equal(send_it(), DROP_QUIC_INITIAL);                                           /* it does not open */
	assert_int_equal(send_form(&(struct initial_form){ .id = ID }, "01"), DROP_QUIC_INITIAL); /* a PING, and no hello */
	assert_int_equal(send_hex("40aabbcc"), DROP_QUIC_INITIAL);
	assert_int_equal(nw.sent.count, 0);
	start();
	assert_int_equal(send_part(ID, 0, &good, 0, good.length), PASS);
}

/* RFC 9287 3: those who agree on it set the fixed bit to anything, and a client that comes again in its first packet too. */
static void without_the_fixed_bit(void **state)
{
	(void)state;
	for (int is_good = 0; is_good < 2; is_good++) {
		start();
		datagram.length = frames.length = 0;
		put_crypto(&frames, is_good ? &good : &evil, 0, is_good ? good.length : evil.length);
		put_initial(&datagram, &(struct initial_form){ .id = ID, .no_fixed_bit = true }, &frames);
		assert_int_equal(send_it(), is_good ? PASS : DROP_NAME_DENIED);
	}
	start();
	assert_int_equal(send_part(ID, 0, &good, 0, good.length), PASS);
	assert_int_equal(send_hex("a00000000100000199"), PASS); /* Handshake */
	assert_int_equal(send_hex("00aabbcc"), PASS);
}

static void in_pieces(void **state)
{
	(void)state;
	start(); /* in any order, in one datagram: two frames */
	datagram.length = frames.length = 0;
	put_crypto(&frames, &good, 300, good.length);
	put_crypto(&frames, &good, 0, 320);
	put_initial(&datagram, &(struct initial_form){ .id = ID }, &frames);
	assert_int_equal(send_it(), PASS);
	start(); /* two packets in a datagram */
	datagram.length = frames.length = 0;
	put_crypto(&frames, &good, 300, good.length);
	put_initial(&datagram, &(struct initial_form){ .id = ID, .octets = 600 }, &frames);
	frames.length = 0;
	put_crypto(&frames, &good, 0, 300);
	put_initial(&datagram, &(struct initial_form){ .id = ID, .number = 1, .octets = 700 }, &frames);
	assert_int_equal(send_it(), PASS);
	start(); /* two datagrams, and both go on together */
	assert_int_equal(send_part(ID, 1, &good, 300, good.length), HELD);
	assert_int_equal(nw.sent.count, 0);
	assert_int_equal(send_part(ID, 0, &good, 0, 300), HELD);
	assert_int_equal(nw.sent.count, 2);
	start(); /* the name in the last one is another */
	assert_int_equal(send_part(ID, 0, &evil, 300, evil.length), HELD);
	assert_int_equal(send_part(ID, 1, &evil, 0, 300), DROP_NAME_DENIED);
	assert_int_equal(nw.sent.dropped, 1);
	assert_int_equal(nw.sent.why, DROP_NAME_DENIED);
	start(); /* five pieces are too many */
	for (uint32_t i = 0; i < NAMES_DATAGRAMS_MAX; i++)
		assert_int_equal(send_part(ID, i, &good, 50 * i, 50 * i + 50), HELD);
	assert_int_equal(send_part(ID, 5, &good, 300, 350), DROP_HELLO_LIMIT);
	assert_int_equal(nw.sent.dropped, NAMES_DATAGRAMS_MAX);
	start(); /* of two connections before the first is known */
	assert_int_equal(send_part(ID, 0, &good, 0, 300), HELD);
	assert_int_equal(send_part(OTHER, 0, &good, 0, good.length), DROP_QUIC_INITIAL);
	start(); /* never the rest: it ends after its time, which the guest cannot lengthen */
	assert_int_equal(send_part(ID, 0, &good, 0, 300), HELD);
	nw.w.now_ms += 10000;
	expire_names(nw.names, nw.w.now_ms);
	assert_int_equal(nw.names->flows.count[NAME_HOLDING], 0);
}

/* Lost packets are sent again, as they were; other octets in their place are not. */
static void sent_again(void **state)
{
	(void)state;
	start();
	assert_int_equal(send_part(ID, 0, &good, 0, good.length), PASS);
	assert_int_equal(send_part(ID, 1, &good, 0, good.length), PASS);
	assert_int_equal(send_part(ID, 2, &good, 100, 200), PASS);
	assert_int_equal(send_form(&(struct initial_form){ .id = ID, .number = 3 }, "0200000000"), PASS); /* an ACK */
	assert_int_equal(send_part(ID, 4, &evil, 0, evil.length), DROP_HELLO_CONFLICT);
	assert_int_equal(send_part(ID, 5, &good, 100, 200), PASS);
	/* With the id that the server has chosen, but with the keys of the first one (RFC 9001 5.2). */
	assert_int_equal(send_form(&(struct initial_form){ .id = ID, .destination = OTHER, .number = 6 }, "0200000000"),
			 PASS);
	datagram.length = frames.length = 0;
	put_crypto(&frames, &evil, 0, evil.length);
	put_initial(&datagram, &(struct initial_form){ .id = ID, .destination = OTHER, .number = 7 }, &frames);
	assert_int_equal(send_it(), DROP_HELLO_CONFLICT);
	go_on(); /* the server has it: nothing to compare with any more, and nothing to send */
	assert_int_equal(send_part(ID, 8, &good, 0, good.length), DROP_QUIC_INITIAL);
	assert_int_equal(send_form(&(struct initial_form){ .id = ID, .number = 9 }, "0200000000"), PASS);
}

/* In the same flow: behind Retry, or a second connection to the same server. */
static void other_connections(void **state)
{
	(void)state;
	start();
	assert_int_equal(send_part(ID, 0, &good, 0, good.length), PASS);
	assert_int_equal(send_part(OTHER, 1, &good, 0, good.length), PASS);
	start();
	assert_int_equal(send_part(ID, 0, &good, 0, good.length), PASS);
	assert_int_equal(send_part(OTHER, 0, &evil, 0, evil.length), DROP_NAME_DENIED);
	assert_int_equal(send_hex("40aabbcc"), PASS); /* that the other one may not begin is not the first one's fault */
	assert_int_equal(send_form(&(struct initial_form){ .id = ID, .number = 1 }, "0200000000"), PASS);
	assert_int_equal(send_part(OTHER, 0, &also, 0, also.length), PASS);
	start();
	assert_int_equal(send_part(ID, 0, &good, 0, good.length), PASS);
	go_on();
	assert_int_equal(send_part(OTHER, 0, &also, 300, also.length), HELD);
	assert_int_equal(send_hex("40aabbcc"), PASS); /* the first one goes on meanwhile */
	assert_int_equal(send_part(OTHER, 1, &also, 0, 300), HELD);
	assert_int_equal(nw.sent.count, 4);
	start(); /* one id, two hellos that are allowed: their halves together might name a third */
	assert_int_equal(send_part(ID, 0, &good, 0, good.length), PASS);
	assert_int_equal(send_part(OTHER, 0, &also, 0, also.length), PASS);
	assert_int_equal(send_part(ID, 0, &also, 0, also.length), DROP_HELLO_CONFLICT);
	nw.w.now_ms += NAMES_ID_LIFE_MS;
	assert_int_equal(send_part(ID, 0, &also, 0, also.length), PASS);
}

/* One id from two ports: the server may put the pieces together. */
static void one_id_from_two_ports(void **state)
{
	(void)state;
	start();
	assert_int_equal(send_part(ID, 0, &good, 0, good.length), PASS);
	datagram.length = frames.length = 0;
	put_crypto(&frames, &also, 0, also.length);
	put_initial(&datagram, &(struct initial_form){ .id = ID }, &frames);
	put_ethernet(&nw.w, GATEWAY_MAC, GUEST_MAC, 0x0800);
	put_ipv4(&nw.w, GUEST_IP, CDN_IP, UDP, 0, 8 + datagram.length);
	put_udp(&nw.w, GUEST_PORT + 1, 443, datagram.length);
	put_bytes(&nw.w, datagram.bytes, datagram.length);
	assert_int_equal(send_frame(&nw), DROP_HELLO_CONFLICT);
}

/* A number that one receiver would read otherwise than another opens another text. */
static void cut_numbers(void **state)
{
	(void)state;
	start();
	datagram.length = frames.length = 0;
	put_crypto(&frames, &good, 0, good.length);
	put_initial(&datagram, &(struct initial_form){ .id = ID, .number = 200, .number_octets = 1 }, &frames);
	assert_int_equal(send_it(), PASS);
	datagram.length = 0;
	put_initial(&datagram, &(struct initial_form){ .id = ID, .number = 3, .number_octets = 1 }, &frames);
	assert_int_equal(send_it(), DROP_QUIC_INITIAL); /* 3, or 259 */
	datagram.length = 0;
	put_initial(&datagram, &(struct initial_form){ .id = ID, .number = 201, .number_octets = 1 }, &frames);
	assert_int_equal(send_it(), PASS);
}

/* RFC 9001 4.1.3 and HelloRetryRequest: a second hello behind the first one, in the same stream of octets. */
static void second_hellos(void **state)
{
	(void)state;
	for (int is_evil = 0; is_evil < 2; is_evil++) {
		struct octets both = { .length = 0 };
		start();
		put_octets(&both, good.bytes, good.length);
		put_octets(&both, is_evil ? evil.bytes : good.bytes, good.length);
		assert_int_equal(send_part(ID, 0, &both, 0, good.length), PASS);
		assert_int_equal(send_part(ID, 1, &both, good.length, good.length + 300), HELD);
		assert_int_equal(send_part(ID, 2, &both, good.length + 300, both.length),
				 is_evil ? DROP_NAME_DENIED : HELD);
		assert_int_equal(nw.sent.count, is_evil ? 1 : 3);
	}
}

static void by_address_alone(void **state)
{
	(void)state;
	start();
	resolve(&nw, "time.example", OTHER_CDN_IP);
	put_ethernet(&nw.w, GATEWAY_MAC, GUEST_MAC, 0x0800);
	put_ipv4(&nw.w, GUEST_IP, OTHER_CDN_IP, UDP, 0, 8 + 48);
	put_udp(&nw.w, GUEST_PORT, 123, 48);
	put_zeros(&nw.w, 48);
	assert_int_equal(send_frame(&nw), PASS);
	put_ethernet(&nw.w, GATEWAY_MAC, GUEST_MAC, 0x0800);
	put_ipv4(&nw.w, GUEST_IP, OTHER_CDN_IP, UDP, 0x2000, 8 + 48);
	put_udp(&nw.w, GUEST_PORT, 123, 48);
	put_zeros(&nw.w, 48);
	assert_int_equal(send_frame(&nw), DROP_NAME_FRAGMENT);
}

/* As many hellos at a time as are remembered; one more waits for room. */
static void many_hellos(void **state)
{
	(void)state;
	start();
	for (uint32_t i = 0; i <= NAMES_IDS_MAX; i++) {
		char id[17];
		snprintf(id, sizeof id, "00000000%08x", i);
		nw.sent.count = 0;
		assert_int_equal(send_part(id, 0, &good, 0, good.length), i < NAMES_IDS_MAX ? PASS : DROP_HELLO_CONFLICT);
	}
	go_on();
	nw.w.now_ms += NAMES_ID_LIFE_MS;
	assert_int_equal(send_part(ID, 0, &good, 0, good.length), PASS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_datagram),
		cmocka_unit_test(refused),
		cmocka_unit_test(in_pieces),
		cmocka_unit_test(without_the_fixed_bit),
		cmocka_unit_test(sent_again),
		cmocka_unit_test(other_connections),
		cmocka_unit_test(one_id_from_two_ports),
		cmocka_unit_test(cut_numbers),
		cmocka_unit_test(second_hellos),
		cmocka_unit_test(by_address_alone),
		cmocka_unit_test(many_hellos),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
