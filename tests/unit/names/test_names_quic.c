/* The reader of QUIC: packets, what opens them, and the frames of Initial packets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "hello.h"
#include "softnet/names/quic_crypto.h"
#include "vectors.h"

#include <cmocka.h>

static struct octets o;
static struct crypto_stream crypto;

static struct quic_packet parse(uint32_t at)
{
	struct frame frame = exact_frame(o.bytes, o.length);
	struct quic_packet p = parse_quic_packet(&frame, at, frame.length);
	free((void *)frame.bytes);
	assert_true(p.end <= o.length && p.end >= at);
	return p;
}

static bool open_packet(const struct connection_id *id, const struct quic_packet *p, uint8_t *plain,
			struct quic_opened *opened)
{
	struct frame frame = exact_frame(o.bytes, o.length);
	bool is_open = client_initial_opener()(id, p, frame.bytes, plain, opened);
	free((void *)frame.bytes);
	return is_open;
}

/* RFC 9001 A.2, RFC 9369 A.2. */
static void examples_of_the_rfcs(void **state)
{
	(void)state;
	static const char *const packets[] = { quic_initial_v1, quic_initial_v2 };
	struct octets frames = { .length = 0 };
	put_hex(&frames, quic_initial_frame);
	for (int i = 0; i < 2; i++) {
		uint8_t plain[1200];
		struct quic_opened opened;
		struct hello hello;
		o.length = 0;
		put_hex(&o, packets[i]);
		assert_int_equal(o.length, QUIC_DATAGRAM_MIN);
		struct quic_packet p = parse(0);
		assert_int_equal(p.kind, QUIC_INITIAL);
		assert_int_equal(p.version, i == 0 ? QUIC_VERSION_1 : QUIC_VERSION_2);
		assert_int_equal(p.end, o.length);
		assert_true(open_packet(&p.destination, &p, plain, &opened));
		assert_int_equal(opened.octets, 1162);
		assert_int_equal(opened.packet_number, 2);
		assert_int_equal(opened.packet_number_octets, 4);
		assert_memory_equal(plain, frames.bytes, frames.length);
		struct frame content = { .bytes = plain, .length = opened.octets };
		clear_crypto(&crypto);
		assert_int_equal(read_initial_frames(&content, &crypto), CRYPTO_TAKEN);
		struct frame message = { .bytes = crypto.octets, .length = crypto.prefix };
		assert_int_equal(read_hello(&message, 0, &hello), READING_WHOLE);
		assert_int_equal(hello.end, crypto.prefix);
		assert_memory_equal(hello.name.text, "example.com", 11);
		for (uint32_t at = 0; at < o.length; at += at < 64 ? 1 : 97) { /* whatever is changed, it does not open */
			o.bytes[at] ^= 0x10;
			struct quic_packet changed = parse(0);
			assert_true(changed.kind != QUIC_INITIAL ||
				    !open_packet(&p.destination, &changed, plain, &opened));
			o.bytes[at] ^= 0x10;
		}
		struct connection_id other = p.destination;
		other.octets[0] ^= 1;
		assert_false(open_packet(&other, &p, plain, &opened));
	}
}

/* No octet is read that is not there: every cut is broken or does not open. */
static void cut_packets(void **state)
{
	(void)state;
	uint8_t plain[1200];
	struct quic_opened opened;
	struct octets whole = { .length = 0 };
	put_hex(&whole, quic_initial_v1);
	for (uint32_t n = 0; n < 64; n++) {
		o.length = 0;
		put_octets(&o, whole.bytes, n);
		assert_int_equal(parse(0).kind, QUIC_BROKEN);
	}
	for (uint32_t n = 0; n < 48; n++) { /* shorter by its own account */
		o.length = 0;
		put_hex(&o, "c000000001088394c8f03e5157080000");
		put_value(&o, 0x4000 + n, 2);
		put_octets(&o, whole.bytes, n);
		struct quic_packet p = parse(0);
		assert_int_equal(p.kind, QUIC_INITIAL);
		assert_false(open_packet(&p.destination, &p, plain, &opened));
	}
}

static void kinds(void **state)
{
	(void)state;
	static const struct {
		const char *hex;
		enum quic_kind kind;
		uint32_t end;
	} cases[] = {
		{ "", QUIC_BROKEN, 0 },
		{ "40", QUIC_SHORT, 1 },
		{ "00", QUIC_SHORT, 1 },
		{ "c0000000", QUIC_BROKEN, 4 },
		{ "c00000000100000000", QUIC_INITIAL, 9 },
		{ "c0000000010000000204", QUIC_BROKEN, 10 },  /* longer than there is */
		{ "c0000000010000010400", QUIC_INITIAL, 10 }, /* with a token */
		{ "d000000001000001aabb", QUIC_ZERO_RTT, 9 }, /* something behind the packet */
		{ "e00000000100000199", QUIC_HANDSHAKE, 9 },
		{ "f0000000010000aa", QUIC_RETRY, 8 },
		{ "c06b3343cf0000aa", QUIC_RETRY, 8 },
		{ "d06b3343cf00000000", QUIC_INITIAL, 9 },
		{ "e06b3343cf000000", QUIC_ZERO_RTT, 8 },
		{ "f06b3343cf000000", QUIC_HANDSHAKE, 8 },
		{ "800000000100000000", QUIC_INITIAL, 9 }, /* without the fixed bit: RFC 9287 */
		{ "a00000000100000199", QUIC_HANDSHAKE, 9 },
		{ "c0000000000000", QUIC_OTHER_VERSION, 7 }, /* version negotiation */
		{ "c0ff00001d0000", QUIC_OTHER_VERSION, 7 },
		{ "c051303436500000", QUIC_OTHER_VERSION, 8 },
		{ "c00000000115000000000000000000000000000000000000000000000000000000", QUIC_BROKEN, 33 },
	};
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		o.length = 0;
		put_hex(&o, cases[i].hex);
		struct quic_packet p = parse(0);
		assert_int_equal(p.kind, cases[i].kind);
		assert_int_equal(p.end, cases[i].end);
	}
	o.length = 0;
	put_hex(&o, "c00000000100000000"
		    "e00000000100000199"
		    "40aa");
	struct frame frame = { .bytes = o.bytes, .length = o.length };
	assert_true(has_handshake_packet(&frame, 0, o.length));
	assert_false(has_handshake_packet(&frame, 0, 9));
	assert_int_equal(parse(9).kind, QUIC_HANDSHAKE);
	assert_int_equal(parse(18).kind, QUIC_SHORT);
}

static enum crypto_reading add(const char *hex)
{
	o.length = 0;
	put_hex(&o, hex);
	struct frame frame = exact_frame(o.bytes, o.length);
	enum crypto_reading reading = read_initial_frames(&frame, &crypto);
	free((void *)frame.bytes);
	return reading;
}

static void frames_in_any_order(void **state)
{
	(void)state;
	clear_crypto(&crypto);
	assert_int_equal(add("06"
			     "04"
			     "02"
			     "6566"
			     "00"
			     "01"),
			 CRYPTO_TAKEN);
	assert_int_equal(crypto.prefix, 0);
	assert_int_equal(add("0201000000"
			     "06"
			     "00"
			     "03"
			     "616263"),
			 CRYPTO_TAKEN);
	assert_int_equal(crypto.prefix, 3);
	assert_int_equal(add("06"
			     "02"
			     "03"
			     "636465"),
			 CRYPTO_TAKEN); /* overlaps on both sides, the same octets */
	assert_int_equal(crypto.prefix, 6);
	assert_int_equal(crypto.end, 6);
	assert_memory_equal(crypto.octets, "abcdef", 6);
	assert_int_equal(add("06"
			     "01"
			     "01"
			     "58"),
			 CRYPTO_CONFLICT);
	assert_memory_equal(crypto.octets, "abcdef", 6);
	assert_int_equal(add("1c4001000461626364"
			     "06"
			     "06"
			     "01"
			     "67"),
			 CRYPTO_TAKEN); /* what looks like a frame in a reason */
	assert_int_equal(crypto.prefix, 7);
}

static void frames_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"",           /* an empty packet */
		"04",         /* RESET_STREAM */
		"08",         /* STREAM */
		"1d0000",     /* CONNECTION_CLOSE of an application */
		"4006000161", /* a type in more octets than it needs */
		"060002aa",   /* cut */
		"06",
		"06600001aa", /* offset 8192 */
		"06ffffffffffffffff01aa",
		"0600ffffffffffffffffaa",
		"02010000",
		"0201003fff000000", /* more ranges than there are */
		"020100ffffffffffffffff00",
		"1c000005aabb",
	};
	for (uint32_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		clear_crypto(&crypto);
		assert_int_equal(add(wrong[i]), CRYPTO_REFUSED);
	}
	clear_crypto(&crypto);
	assert_int_equal(add("065fff01aa"), CRYPTO_TAKEN); /* the last octet there is room for */
	assert_int_equal(crypto.end, CRYPTO_MAX);
}

/* RFC 9000 A.3, as a receiver computes it that knows of `largest`. */
static uint64_t decode_number(int64_t largest, uint64_t truncated, uint32_t octets)
{
	int64_t expected = largest + 1, window = (int64_t)1 << 8 * octets, half = window / 2;
	int64_t candidate = (expected & ~(window - 1)) | (int64_t)truncated;
	if (candidate <= expected - half && candidate < ((int64_t)1 << 62) - window)
		return (uint64_t)(candidate + window);
	if (candidate > expected + half && candidate >= window)
		return (uint64_t)(candidate - window);
	return (uint64_t)candidate;
}

static void packet_numbers(void **state)
{
	(void)state;
	for (uint32_t octets = 1; octets <= 2; octets++)
		for (int64_t largest = -1; largest < 1000; largest += octets == 1 ? 1 : 37)
			for (uint32_t number = 0; number < 1u << 8 * octets; number += octets == 1 ? 1 : 37) {
				struct quic_opened opened = { .packet_number = number, .packet_number_octets = octets };
				bool any_receiver = true;
				for (int64_t known = -1; known <= largest; known++)
					any_receiver &= decode_number(known, number, octets) == number;
				assert_int_equal(is_whole_number(&opened, largest), any_receiver);
			}
	struct quic_opened opened = { .packet_number = 0, .packet_number_octets = 4 };
	assert_true(is_whole_number(&opened, INT32_MAX - 1));
	assert_false(is_whole_number(&opened, INT32_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_of_the_rfcs),
		cmocka_unit_test(cut_packets),
		cmocka_unit_test(kinds),
		cmocka_unit_test(frames_in_any_order),
		cmocka_unit_test(frames_refused),
		cmocka_unit_test(packet_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
