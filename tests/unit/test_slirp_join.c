/* Segments that slirp's worker joins to long frames, and the notes with which such frames go to the guard and come from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "core/guard.h"
#include "port/checksum.h"
#include "port/io.h"
#include "port/slirp/slirp_join.h"
#include "port/slirp/slirp_octets.h"

#include <cmocka.h>

enum {
	ETHERNET = 14,
	MSS = 1460,
	ROW = 44,
	ACK = 0x10,
	PUSH = 0x08,
	ID = 18,
	V4_SUM = 24,
	HEADERS4 = 54,
	HEADERS6 = 74
};

struct row {
	uint8_t bytes[2000];
	uint32_t length;
};

static uint8_t room[SLIRP_JOINED_MAX + 4];
static struct packet joined;

/* A plain sum, beside which the fast one stands. */
static uint32_t plain_sum(const uint8_t *bytes, uint32_t n, uint32_t sum)
{
	for (uint32_t i = 0; i < n; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static struct row row_of(bool is_v4, uint32_t number, uint32_t payload, uint8_t flags)
{
	struct row s = { .length = (is_v4 ? HEADERS4 : HEADERS6) + payload };
	uint8_t *at = put(put(s.bytes, 0x52540000000aULL, 6), 0x52550a000202ULL, 6);
	if (is_v4) {
		at = put(put(put(at, 0x08004500, 4), 40 + payload, 2), number & 0xffff, 2);
		at = put(put(put(put(at, 0, 2), 64, 1), 6, 1), 0, 2);
		at = put(put(at, 0x01010101, 4), 0x0a00020f, 4);
	} else {
		at = put(put(put(at, 0x86dd60000000ULL, 6), 20 + payload, 2), 0x0640, 2);
		at = put(put(put(put(at, 0x20010db8ULL << 32, 8), 1, 8), 0xfd00001000000002ULL, 8), 2, 8);
	}
	at = put(put(put(put(at, 80, 2), 40000, 2), number, 4), 7777, 4);
	at = put(put(put(put(at, 0x50, 1), flags, 1), 8760, 2), 0, 4);
	for (uint32_t i = 0; i < payload; i++)
		at[i] = (uint8_t)((number + i) * 31 >> 3);
	if (is_v4)
		put(s.bytes + V4_SUM, checksum_of(plain_sum(s.bytes + ETHERNET, 20, 0)), 2);
	uint32_t tcp = s.length - payload - 20, addresses = is_v4 ? 8 : 32;
	put(s.bytes + tcp + 16,
	    checksum_of(plain_sum(s.bytes + tcp - addresses, addresses + 20 + payload, 26 + payload)), 2);
	return s;
}

static void begin(const struct row *s)
{
	memcpy(room, s->bytes, s->length);
	joined = (struct packet){ .bytes = room, .length = s->length };
}

static enum slirp_joined add(const struct row *s)
{
	return slirp_join(&joined, room, s->bytes, s->length);
}

/* What a card makes of the frame is what came, except the numbers of packets of IPv4, which a card counts. */
static void expect_parts(bool is_v4, uint32_t number, uint32_t total, bool is_pushed)
{
	struct frame frame = { .bytes = room, .length = joined.length };
	struct cut cut = joined.cut;
	uint32_t headers = is_v4 ? HEADERS4 : HEADERS6, tcp = headers - 20, addresses = is_v4 ? 8 : 32;
	assert_int_equal(joined.length, headers + total);
	assert_true(measure_parts(&frame, &cut));
	assert_int_equal(frame.parts, (total + MSS - 1) / MSS);
	assert_int_equal(cut.kind, is_v4 ? CUT_TCP4 : CUT_TCP6);
	for (uint32_t at = 0; at < total; at += MSS) {
		uint32_t payload = total - at < MSS ? total - at : MSS;
		bool is_last = at + MSS >= total;
		struct row came = row_of(is_v4, number + at, payload, ACK | (is_last && is_pushed ? PUSH : 0));
		assert_memory_equal(came.bytes + headers, room + headers + at, payload);
	}
	if (is_v4)
		assert_int_equal(plain_sum(room + ETHERNET, 20, 0), 0xffff);
	assert_int_equal(get(room + (is_v4 ? 16 : 18), 2), (is_v4 ? 40 : 20) + total);
	assert_int_equal(get(room + tcp + 4, 4), number);
	assert_int_equal(room[tcp + 13], ACK | (is_pushed ? PUSH : 0));
	/* Filled in, the checksum is right for the whole. */
	assert_true(fill_in_checksum(room, joined.length, joined.cut.checksum_start, joined.cut.checksum_offset));
	assert_int_equal(plain_sum(room + tcp - addresses, addresses + 20 + total, 26 + total), 0xffff);
}

static void rows_are_joined(bool is_v4, uint32_t number)
{
	struct row s = row_of(is_v4, number, MSS, ACK);
	begin(&s);
	for (uint32_t i = 1; i < ROW; i++) {
		s = row_of(is_v4, number + i * MSS, MSS, ACK);
		assert_int_equal(add(&s), JOINED);
	}
	s = row_of(is_v4, number + ROW * MSS, 333, ACK | PUSH);
	assert_int_equal(add(&s), JOINED);
	expect_parts(is_v4, number, ROW * MSS + 333, true);
}

static void a_row_is_one_frame(void **state)
{
	(void)state;
	rows_are_joined(true, 1000);
	rows_are_joined(false, 1000);
	rows_are_joined(true, 0xffffff00); /* numbers begin again */
}

static void nothing_follows_a_short_one_nor_one_that_is_too_long(void **state)
{
	(void)state;
	struct row first = row_of(true, 0, MSS, ACK), last = row_of(true, MSS, 10, ACK);
	struct row next = row_of(true, MSS + 10, 10, ACK), longer = row_of(true, MSS, MSS + 1, ACK);
	begin(&first);
	assert_int_equal(add(&longer), SAME_CONNECTION);
	assert_int_equal(add(&last), JOINED);
	assert_int_equal(add(&next), SAME_CONNECTION);
	expect_parts(true, 0, MSS + 10, false);
}

static void a_frame_is_no_longer_than_a_packet_can_be(void **state)
{
	(void)state;
	struct row s = row_of(true, 0, MSS, ACK);
	uint32_t number = 0;
	begin(&s);
	do {
		number += MSS;
		s = row_of(true, number, MSS, ACK);
	} while (add(&s) == JOINED);
	assert_int_equal(number, 44 * MSS); /* 65535 - 40 are 44.8 of them */
	expect_parts(true, 0, number, false);
}

static void changed(uint32_t at, uint8_t by, enum slirp_joined wanted)
{
	for (int which = 0; which < 2; which++) {
		struct row s[] = { row_of(true, 0, MSS, ACK), row_of(true, MSS, MSS, ACK) };
		s[which].bytes[at] = (uint8_t)(s[which].bytes[at] ^ by);
		begin(&s[0]);
		if (add(&s[1]) != wanted)
			fail_msg("octet %u, %s: not %d", (unsigned)at, which ? "second" : "first", wanted);
		assert_int_equal(joined.cut.kind, NOT_CUT);
		assert_memory_equal(room, s[0].bytes, s[0].length);
	}
}

static void what_is_not_a_row_stays_as_it_is(void **state)
{
	(void)state;
	static const uint8_t same[] = { 0, 11, 15, 16, 17, 20, 21, 22, 38, 41, 42, 45, 46, 48, 49, 52, 53 };
	static const uint8_t other[] = { 12, 13, 14, 23, 26, 30, 33, 34, 37 };
	for (size_t i = 0; i < sizeof same; i++)
		changed(same[i], 1, SAME_CONNECTION); /* 20: a fragment; 46: options; 47: below */
	for (size_t i = 0; i < sizeof other; i++)
		changed(other[i], 1, OTHER_CONNECTION);
	for (uint8_t flag = 1; flag != 0; flag = (uint8_t)(flag << 1))
		if (flag != PUSH)
			changed(47, flag, SAME_CONNECTION);
}

static void what_stands_behind_the_packet_is_not_joined(void **state)
{
	(void)state;
	struct row first = row_of(true, 0, 100, ACK), next = row_of(true, 100, 100, ACK);
	next.length += 2;
	begin(&first);
	assert_int_equal(add(&next), SAME_CONNECTION);
	next.length -= 2;
	joined.length += 2;
	assert_int_equal(add(&next), SAME_CONNECTION);
	for (uint32_t length = 0; length < HEADERS4 + 100; length++) {
		begin(&first);
		next.length = length;
		assert_int_not_equal(add(&next), JOINED);
	}
}

static void checksums_are_those_of_the_plain_sum(void **state)
{
	(void)state;
	uint32_t seed = 1;
	for (uint32_t i = 0; i < sizeof room; i++)
		room[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
	for (uint32_t n = 0; n < 300; n++)
		for (uint32_t from = 0; from < 9; from++)
			assert_int_equal(add_up(room + from, n, n * 77777), plain_sum(room + from, n, n * 77777));
	memset(room, 0xff, sizeof room);
	assert_int_equal(add_up(room, sizeof room, 0xffff), plain_sum(room, sizeof room, 0xffff));
}

/* Notes */

static void send_octets(int fd, const void *octets, size_t n)
{
	assert_int_equal(send(fd, octets, n, 0), (ssize_t)n);
}

static void a_note_goes_with_each_frame(void **state)
{
	(void)state;
	int pair[2];
	uint32_t got = 0;
	struct batch batch;
	struct packet in[BATCH_MAX];
	struct send_result result = { 0 };
	const struct packet out[] = {
		{ .bytes = (const uint8_t *)"frame",
		  .length = 5,
		  .cut = { .kind = CUT_TCP6, .payload = 2, .checksum_start = 3, .checksum_offset = 4 } },
		{ .bytes = (const uint8_t *)"plain", .length = 5 },
	};
	assert_true(unix_pair(SOCK_DGRAM, pair) && batch_new(&batch, 5, WITH_NOTES));
	assert_int_equal(batch_send_noted(pair[0], out, 2, &result), 0);
	assert_int_equal(result.sent, 2);
	/* Somebody who has broken into the worker may send anything. */
	send_octets(pair[0], "\xff\xff\1\0\2\0\3\0too long", 16);
	send_octets(pair[0], "\4\0\0\0\0\0\0", 7);
	send_octets(pair[0], "", 0);
	assert_int_equal(batch_receive(&batch, pair[1], in, BATCH_MAX, &got), 0);
	assert_int_equal(got, 5);
	for (int i = 0; i < 2; i++)
		assert_true(in[i].length == 5 && !in[i].truncated && memcmp(in[i].bytes, out[i].bytes, 5) == 0);
	assert_int_equal(in[0].cut.kind, CUT_TCP6);
	assert_true(in[0].cut.payload == 2 && in[0].cut.checksum_start == 3 && in[0].cut.checksum_offset == 4);
	assert_int_equal(in[1].cut.kind, NOT_CUT);
	assert_true(in[2].truncated && in[2].cut.kind == CUT_UNKNOWN);
	for (int i = 3; i < 5; i++)
		assert_true(in[i].length == 0 && in[i].cut.kind == NOT_CUT);
	batch_free(&batch);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_is_one_frame),
		cmocka_unit_test(nothing_follows_a_short_one_nor_one_that_is_too_long),
		cmocka_unit_test(a_frame_is_no_longer_than_a_packet_can_be),
		cmocka_unit_test(what_is_not_a_row_stays_as_it_is),
		cmocka_unit_test(what_stands_behind_the_packet_is_not_joined),
		cmocka_unit_test(checksums_are_those_of_the_plain_sum),
		cmocka_unit_test(a_note_goes_with_each_frame),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
