/* Captures of both formats and byte orders: what is read of them. Broken ones: test_pcap_broken.c. */
#include "pcap_writer.h"

/* pcap */

static void pcap_has_two_resolutions_and_orders(void **unused)
{
	(void)unused;
	FOR_BOTH_ORDERS
	{
		pcap(0xa1b2c3d4, ETHERNET);
		record(1790000000, 999999, 60, 60);
		record(1789999999, 1, 61, 1514); /* cut, and earlier */
		record(0, 0, 0, 0);
		record(UINT32_MAX, UINT32_MAX, 5, 4); /* longer than it was */
		open_written();
		assert_frame(1790000000999999000, 60, 60);
		assert_true(frame.side == SIDE_OF_FRAME && !frame.comment);
		assert_frame(1789999999000001000, 61, 1514);
		assert_frame(0, 0, 0);
		assert_frame(UINT32_MAX * 1000000000ULL + UINT32_MAX * 1000ULL, 5, 5);
		assert_end();
		written = 0;
		pcap(0xa1b23c4d, ETHERNET | 0xfc000000); /* with the length of a check sequence */
		record(1790000000, 999999999, 14, 14);
		open_written();
		assert_frame(1790000000999999999, 14, 14);
		assert_end();
		LAST_ORDER;
	}
}

/* pcapng */

static void sections_have_orders_and_interfaces_of_their_own(void **unused)
{
	(void)unused;
	for (int i = 0; i < 4; i++) {
		is_big = i % 2 != 0;
		section(i < 2 ? "softnet 1" : i == 2 ? NULL : "other");
		interface(i == 0 ? "uplink" : "guest");
		if (i == 1)
			interface("eth0");
		packet(i == 1, 1000000, (uint32_t)(60 + i));
	}
	open_written();
	assert_frame(1000000000, 60, 60);
	assert_true(frame.side == SIDE_UPLINK && file.comments == 1);
	assert_string_equal(file.comment, "softnet 1\n");
	assert_frame(1000000000, 61, 61);
	assert_true(frame.side == SIDE_OF_FRAME && file.comments == 1); /* the same again is no news */
	assert_frame(1000000000, 62, 62);
	assert_true(frame.side == SIDE_GUEST && file.comments == 1); /* nor is silence */
	assert_string_equal(file.comment, "softnet 1\n");
	assert_frame(1000000000, 63, 63);
	assert_string_equal(file.comment, "other\n");
	assert_int_equal(file.comments, 2);
	assert_end();
}

static void resolutions_and_offsets_make_nanoseconds(void **unused)
{
	static const struct {
		uint8_t resolution;
		int64_t offset_s;
		uint64_t units, nanoseconds;
	} rows[] = {
		{ 0, 0, 1790000000, 1790000000000000000 },
		{ 3, 0, 1790000000123, 1790000000123000000 },
		{ 6, 0, 1790000000123456, 1790000000123456000 },
		{ 9, 0, 1790000000123456789, 1790000000123456789 },
		{ 12, 0, 1790000123456789, 1790000123456 },
		{ 127, 0, UINT64_MAX, 0 },
		{ 0x80, 0, 5, 5000000000 },
		{ 0x80 | 1, 0, 5, 2500000000 },
		{ 0x80 | 30, 0, 3ULL << 29, 1500000000 },
		{ 0x80 | 63, 0, UINT64_MAX, 1999999999 },
		{ 0xff, 0, UINT64_MAX, 0 },
		{ 0, 0, UINT64_MAX, INT64_MAX },
		{ 6, 1790000000, 7, 1790000000000007000 },
		{ 6, -1, 2500000, 1500000000 },
		{ 6, -3, 2500000, 0 },
		{ 6, INT64_MIN, 0, 0 },
		{ 6, INT64_MAX, 0, INT64_MAX },
		{ 9, INT64_MAX, UINT64_MAX, INT64_MAX },
	};
	(void)unused;
	FOR_BOTH_ORDERS
	{
		section(NULL);
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			size_t start = begin_interface(ETHERNET, 0);
			option(RESOLUTION, &rows[i].resolution, 1);
			number(OFFSET, 2);
			number(8, 2);
			number((uint64_t)rows[i].offset_s, 8);
			option(END, "", 0);
			put("rubbish", 7); /* behind the end of options nobody looks */
			end(start);
			packet((uint32_t)i, rows[i].units, 60);
		}
		open_written();
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
			assert_frame(rows[i].nanoseconds, 60, 60);
		assert_end();
		LAST_ORDER;
	}
}

static void packets_of_all_three_kinds_are_read(void **unused)
{
	(void)unused;
	FOR_BOTH_ORDERS
	{
		section(NULL);
		end(begin_interface(ETHERNET, 96));
		interface("guest");
		size_t start = begin_packet(OLD_PACKET, 1, 5000000, 61, 1514);
		octets(61);
		end(start);
		for (uint32_t length = 60; length <= 1514;
		     length += 1454) { /* short of the snapping length, and beyond it */
			start = begin(SIMPLE_PACKET);
			number(length, 4);
			octets(length < 96 ? length : 96);
			end(start);
		}
		open_written();
		assert_frame(5000000000, 61, 1514);
		assert_int_equal(frame.side, SIDE_GUEST);
		assert_frame(5000000000, 60, 60); /* of no time of its own */
		assert_int_equal(frame.side, SIDE_OF_FRAME);
		assert_frame(5000000000, 96, 1514);
		assert_end();
		LAST_ORDER;
	}
}

static void flags_and_comments_are_read(void **unused)
{
	static const struct {
		uint32_t link, flags;
		enum capture_side side;
	} rows[] = { { 0, 1, SIDE_GUEST },    { 0, 2, SIDE_UPLINK },         { 0, 0, SIDE_OF_FRAME },
		     { 0, 3, SIDE_OF_FRAME }, { 0, 0xfffffffd, SIDE_GUEST }, { 1, 2, SIDE_GUEST },
		     { 2, 1, SIDE_UPLINK } };
	(void)unused;
	FOR_BOTH_ORDERS
	{
		section(NULL);
		interface("Guest");
		interface("guest");
		interface("uplink");
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			size_t start = begin_packet(PACKET, rows[i].link, i, 3, 3);
			octets(3);
			pad();
			option(2989, "\0\0", 3);
			option(COMMENT, "pass", 4);
			number(FLAGS, 2);
			number(4, 2);
			number(rows[i].flags, 4);
			option(COMMENT, "second", 6);
			option(END, "", 0);
			end(start);
		}
		open_written();
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			assert_frame(i * 1000, 3, 3);
			assert_int_equal(frame.side, rows[i].side);
			assert_int_equal(frame.comment_length, 4);
			assert_memory_equal(frame.comment, "pass", 4);
		}
		assert_end();
		LAST_ORDER;
	}
}

static void a_long_comment_has_several_options(void **unused)
{
	static char text[65535];
	(void)unused;
	memset(text, 'x', sizeof text);
	size_t start = begin(SECTION);
	number(0x1a2b3c4d, 4);
	number(1, 4);
	number(UINT64_MAX, 8);
	option(COMMENT, text, sizeof text);
	option(4, "program", 7);
	option(COMMENT, "", 0);
	option(COMMENT, text, sizeof text);
	end(start);
	open_written();
	assert_end();
	assert_int_equal(file.comment_length, 2 * sizeof text + 3);
	assert_true(strlen(file.comment) == file.comment_length && file.comment[65536] == '\n');
}

static void what_is_unknown_is_passed_over(void **unused)
{
	(void)unused;
	section(NULL);
	for (size_t length = 0; length <= 2 * PCAP_BUFFER;
	     length = length == 0 ? PCAP_BUFFER - 8 : length + PCAP_BUFFER / 2) {
		size_t start = begin(UNKNOWN);
		assert_true(length <= sizeof bytes - written);
		memset(bytes + written, 0xaa, length);
		written += length;
		end(start);
	}
	interface(NULL);
	packet(0, 1, 60);
	end(begin(UNKNOWN | 0x80000000));
	open_written();
	assert_frame(1000, 60, 60);
	assert_end();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(pcap_has_two_resolutions_and_orders),
		TEST(sections_have_orders_and_interfaces_of_their_own),
		TEST(resolutions_and_offsets_make_nanoseconds),
		TEST(packets_of_all_three_kinds_are_read),
		TEST(flags_and_comments_are_read),
		TEST(a_long_comment_has_several_options),
		TEST(what_is_unknown_is_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
