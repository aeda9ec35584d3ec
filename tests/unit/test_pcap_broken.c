/* Captures that end too soon, or whose numbers lie: what came before is given, then one error, and nothing else happens. */
#include "pcap_writer.h"

static void pcap_that_is_none_is_refused(void **unused)
{
	(void)unused;
	assert_refused("FILE: empty");
	put("\xd4\xc3\xb2", 3);
	assert_refused("FILE: expected pcap or pcapng");
	put("\xa1", 1);
	assert_refused("FILE: cut off in the midst of a frame");
	written = 0;
	pcap(0xa1b2c3d4, ETHERNET);
	bytes[4] = 1;
	assert_refused("FILE: broken: a version of pcap that nobody writes");
	written = 0;
	pcap(0xa1b2c3d4, 113);
	assert_refused("FILE: link type 113 (Linux `any`): expected Ethernet, which is 1");
	written = 0;
	pcap(0xa1b2c3d4, 147);
	assert_refused("FILE: link type 147: expected Ethernet, which is 1");
	written = 0;
	put("{\"number\":1}\n", 13);
	assert_refused("FILE: expected pcap or pcapng");
}

static void what_is_compressed_is_said_to_be(void **unused)
{
	static const char *const fronts[] = { "\x1f\x8b\x08 ", "\x28\xb5\x2f\xfd", "\3757zXZ", "BZh9" };
	(void)unused;
	for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++) {
		written = 0;
		put(fronts[i], 4);
		assert_refused("FILE: compressed: unpack it first; - reads standard input");
	}
}

static void a_record_too_long_is_broken(void **unused)
{
	(void)unused;
	pcap(0xa1b2c3d4, ETHERNET);
	record(1, 0, CAPTURED_MAX, CAPTURED_MAX);
	number(2, 8);
	number(CAPTURED_MAX + 1, 4);
	number(CAPTURED_MAX + 1, 4);
	open_written();
	assert_frame(1000000000, CAPTURED_MAX, CAPTURED_MAX);
	assert_broken("FILE: broken: a frame that is too long");
}

/* Lengths that lie */

static void set32(size_t at, uint32_t value)
{
	size_t place = written;
	written = at;
	number(value, 4);
	written = place;
}

#define OUT_OF_BOUNDS "FILE: broken: a block that does not hold what it says"

/* A packet of 60 octets in which the number at `at` is another. */
static void assert_packet_lies(size_t at, uint32_t value, const char *how)
{
	FOR_BOTH_ORDERS
	{
		section(NULL);
		interface(NULL);
		packet(0, 1000000, 60);
		size_t start = begin_packet(PACKET, 0, 1, 60, 60);
		octets(60);
		option(COMMENT, "pass", 4);
		end(start);
		set32(start + at, value);
		open_written();
		assert_frame(1000000000, 60, 60);
		assert_broken(how);
		LAST_ORDER;
	}
}

static void lengths_that_lie_are_found(void **unused)
{
	static const char of_block[] = "FILE: broken: the length of a block",
			  cut[] = "FILE: cut off in the midst of a frame",
			  of_end[] = "FILE: broken: a block that does not end with its length";
	(void)unused;
	assert_packet_lies(4, 0, of_block);
	assert_packet_lies(4, 8, of_block);
	assert_packet_lies(4, 102, of_block);
	assert_packet_lies(4, 12, of_end);
	assert_packet_lies(4, 96, of_end);
	assert_packet_lies(4, 104, cut);
	assert_packet_lies(4, PCAP_BUFFER, cut);
	assert_packet_lies(4, PCAP_BUFFER + 4, "FILE: broken: a block that is too long");
	assert_packet_lies(4, UINT32_MAX - 3, "FILE: broken: a block that is too long");
	assert_packet_lies(96, 0, of_end);
	assert_packet_lies(8, 1, "FILE: broken: a frame of an interface that is nowhere described");
	assert_packet_lies(8, UINT32_MAX, "FILE: broken: a frame of an interface that is nowhere described");
	assert_packet_lies(20, 69, OUT_OF_BOUNDS);
	assert_packet_lies(20, UINT32_MAX, OUT_OF_BOUNDS);
	assert_packet_lies(20, INT32_MAX, OUT_OF_BOUNDS);
	assert_packet_lies(88, 0x00ff00ff, OUT_OF_BOUNDS); /* an option of 255 octets */
}

static void blocks_too_short_for_what_they_are_are_broken(void **unused)
{
	static const struct {
		uint32_t type, least;
	} rows[] = { { SECTION, 16 }, { INTERFACE, 8 }, { OLD_PACKET, 20 }, { SIMPLE_PACKET, 4 }, { PACKET, 20 } };
	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (uint32_t length = 0; length < rows[i].least; length += 4) {
			written = 0;
			section(NULL);
			interface(NULL);
			size_t start = begin(rows[i].type);
			for (uint32_t n = 0; n < length; n += 4)
				number(n == 0 && rows[i].type == SECTION ? 0x1a2b3c4d : 0, 4);
			end(start);
			open_written();
			assert_broken(OUT_OF_BOUNDS);
		}
}

/* Cut off, anywhere */

enum { ENDS_MAX = 16 };

static size_t ends[ENDS_MAX]; /* of frames, or of blocks that hold none */
static bool holds_frame[ENDS_MAX];
static unsigned end_count;

static void note_end(bool is_frame)
{
	ends[end_count] = written;
	holds_frame[end_count++] = is_frame;
}

/* What is whole is given, then an error; at the end of a block there is none. */
static void assert_cut_anywhere(size_t front)
{
	for (size_t n = front; n < written; n++) {
		unsigned frames = 0, expected = 0;
		enum capture_step step;
		bool is_whole = false;
		for (unsigned i = 0; i < end_count; i++) {
			expected += holds_frame[i] && ends[i] <= n;
			is_whole |= ends[i] == n;
		}
		assert_true(open_octets(n));
		while ((step = read_captured(&file, &frame)) == CAPTURE_FRAME)
			frames++;
		assert_int_equal(frames, expected);
		assert_int_equal(step, is_whole ? CAPTURE_END : CAPTURE_BROKEN);
		assert_string_equal(file.error.text, is_whole ? "" : "FILE: cut off in the midst of a frame");
	}
}

static void pcap_may_end_anywhere(void **unused)
{
	(void)unused;
	end_count = 0;
	pcap(0xa1b2c3d4, ETHERNET);
	for (size_t n = 0; n < written; n++)
		assert_false(open_octets(n));
	note_end(false);
	for (uint32_t i = 0; i < 3; i++) {
		record(i, 0, 14 + i, 60);
		note_end(true);
	}
	assert_cut_anywhere(24);
}

static void pcapng_may_end_anywhere(void **unused)
{
	(void)unused;
	FOR_BOTH_ORDERS
	{
		end_count = 0;
		for (uint32_t i = 0; i < 2; i++) {
			section("softnet 1");
			note_end(false);
			interface("guest");
			note_end(false);
			end(begin_interface(ETHERNET, 64));
			note_end(false);
			packet(0, i, 15 + i);
			note_end(true);
			end(begin(UNKNOWN));
			note_end(false);
			packet(1, i, 60);
			note_end(true);
		}
		for (size_t n = 0; n < 4; n++)
			assert_false(open_octets(n));
		assert_cut_anywhere(4);
		LAST_ORDER;
	}
}

/* One octet that is another, everywhere: it ends, with no more frames than there are. */
static void any_octet_may_be_another(void **unused)
{
	(void)unused;
	section("softnet 1");
	interface("guest");
	packet(0, 1, 15);
	section(NULL);
	is_big = true;
	section("softnet 2");
	interface("uplink");
	packet(0, 1, 60);
	for (size_t i = 0; i < written; i++)
		for (unsigned flip = 1; flip < 256; flip = flip == 1 ? 0x80 : flip + 0x7f) {
			unsigned steps = 0;
			bytes[i] ^= (uint8_t)flip;
			if (open_octets(written))
				while (read_captured(&file, &frame) == CAPTURE_FRAME)
					assert_true(++steps <= 2 && frame.kept <= frame.length);
			bytes[i] ^= (uint8_t)flip;
		}
}

static void an_interface_of_something_else_is_refused_when_it_has_a_frame(void **unused)
{
	(void)unused;
	section(NULL);
	interface(NULL);
	end(begin_interface(127, 0));
	packet(0, 1, 60);
	packet(1, 1, 60);
	open_written();
	assert_frame(1000, 60, 60);
	assert_broken("FILE: link type 127 (802.11): expected Ethernet, which is 1");
}

static void interfaces_have_an_end(void **unused)
{
	(void)unused;
	section(NULL);
	for (int i = 0; i < CAPTURE_INTERFACES_MAX; i++)
		interface(NULL);
	packet(CAPTURE_INTERFACES_MAX - 1, 1, 60);
	interface(NULL);
	open_written();
	assert_frame(1000, 60, 60);
	assert_broken("FILE: more interfaces than a capture has");
}

static void sections_of_another_kind_are_broken(void **unused)
{
	(void)unused;
	section(NULL);
	set32(8, 0x1a2b3c4e);
	open_written();
	assert_broken("FILE: broken: a section of no known byte order or version");
	set32(8, 0x1a2b3c4d);
	set32(12, 2);
	open_written();
	assert_broken("FILE: broken: a section of no known byte order or version");
}

static void what_cannot_be_read_is_said(void **unused)
{
	(void)unused;
	memset(&file, 0, sizeof file);
	assert_false(open_capture(&file, "/nowhere/at/all"));
	assert_string_equal(file.error.text, "/nowhere/at/all: No such file or directory");
	close_capture(&file);
	memset(&file, 0, sizeof file);
	assert_false(open_capture(&file, "/"));
	assert_string_equal(file.error.text, "/: Is a directory");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(pcap_that_is_none_is_refused),
		TEST(what_is_compressed_is_said_to_be),
		TEST(a_record_too_long_is_broken),
		TEST(lengths_that_lie_are_found),
		TEST(blocks_too_short_for_what_they_are_are_broken),
		TEST(pcap_may_end_anywhere),
		TEST(pcapng_may_end_anywhere),
		TEST(any_octet_may_be_another),
		TEST(an_interface_of_something_else_is_refused_when_it_has_a_frame),
		TEST(interfaces_have_an_end),
		TEST(sections_of_another_kind_are_broken),
		TEST(what_cannot_be_read_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
