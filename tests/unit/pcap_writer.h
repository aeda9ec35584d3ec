/* Captures written by hand into memory, and the assertions about what is read of them. One test program has one. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <unistd.h>

#include "softnet/capture/pcap_file.h"

#include <cmocka.h>

enum {
	SECTION = 0x0a0d0d0a,
	INTERFACE = 1,
	OLD_PACKET = 2,
	SIMPLE_PACKET = 3,
	PACKET = 6,
	UNKNOWN = 0x0bad,
	ETHERNET = 1,
	ROOM = 8 << 20
};
enum { END, COMMENT, NAME, FLAGS = NAME, RESOLUTION = 9, OFFSET = 14 };

/* The writer */

static uint8_t bytes[ROOM];
static size_t written;
static bool is_big;

static inline void put(const void *octets, size_t n)
{
	assert_true(n <= sizeof bytes - written);
	memcpy(bytes + written, octets, n);
	written += n;
}

static inline void number(uint64_t value, size_t octets)
{
	uint8_t text[8];
	for (size_t i = 0; i < octets; i++)
		text[is_big ? octets - 1 - i : i] = (uint8_t)(value >> 8 * i);
	put(text, octets);
}

static inline void pad(void)
{
	while (written % 4 != 0)
		put("", 1);
}

static inline void option(unsigned code, const void *value, size_t octets)
{
	number(code, 2);
	number(octets, 2);
	put(value, octets);
	pad();
}

static inline size_t begin(uint32_t type)
{
	number(type, 4);
	number(0, 4);
	return written - 8;
}

static inline void end(size_t start)
{
	pad();
	uint64_t length = written - start + 4;
	size_t place = written;
	number(length, 4);
	memcpy(bytes + start + 4, bytes + place, 4);
}

static inline void section(const char *comment)
{
	size_t start = begin(SECTION);
	number(0x1a2b3c4d, 4);
	number(1, 2);
	number(0, 2);
	number(UINT64_MAX, 8);
	if (comment)
		option(COMMENT, comment, strlen(comment));
	end(start);
}

static inline size_t begin_interface(unsigned link_type, uint32_t snap_length)
{
	size_t start = begin(INTERFACE);
	number(link_type, 2);
	number(0, 2);
	number(snap_length, 4);
	return start;
}

static inline void interface(const char *name)
{
	size_t start = begin_interface(ETHERNET, 0);
	if (name)
		option(NAME, name, strlen(name));
	end(start);
}

/* Octets of a frame are 0, 1, 2 and so on. */
static inline void octets(size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(&(uint8_t){ (uint8_t)i }, 1);
}

static inline size_t begin_packet(uint32_t type, uint32_t link, uint64_t time, uint32_t kept, uint32_t length)
{
	size_t start = begin(type);
	number(link, type == PACKET ? 4 : 2);
	if (type == OLD_PACKET)
		number(7, 2); /* frames lost */
	number(time >> 32, 4);
	number(time & UINT32_MAX, 4);
	number(kept, 4);
	number(length, 4);
	return start;
}

static inline void packet(uint32_t link, uint64_t time, uint32_t n)
{
	size_t start = begin_packet(PACKET, link, time, n, n);
	octets(n);
	end(start);
}

static inline void pcap(uint32_t magic, uint32_t link_type)
{
	number(magic, 4);
	number(2, 2);
	number(4, 2);
	number(0, 8);
	number(65535, 4);
	number(link_type, 4);
}

static inline void record(uint32_t seconds, uint32_t fraction, uint32_t kept, uint32_t length)
{
	number(seconds, 4);
	number(fraction, 4);
	number(kept, 4);
	number(length, 4);
	octets(kept);
}

/* The reader */

static struct pcap_file file;
static struct captured frame;

static inline int set_up(void **unused)
{
	(void)unused;
	written = 0;
	is_big = false;
	return 0;
}

static inline int tear_down(void **unused)
{
	(void)unused;
	close_capture(&file);
	return 0;
}

static inline bool open_octets(size_t n)
{
	char path[] = "/tmp/test_pcap_file.XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0 && unlink(path) == 0 && write(fd, bytes, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0);
	close_capture(&file);
	memset(&file, 0, sizeof file);
	return open_capture_descriptor(&file, fd, "FILE");
}

static inline void open_written(void)
{
	if (!open_octets(written))
		fail_msg("%s", file.error.text);
}

static inline void assert_refused(const char *how)
{
	assert_false(open_octets(written));
	assert_string_equal(file.error.text, how);
}

/* The next frame, of `kept` octets. */
static inline void assert_frame(uint64_t time_ns, uint32_t kept, uint32_t length)
{
	if (read_captured(&file, &frame) != CAPTURE_FRAME)
		fail_msg("no frame: %s", file.error.text);
	assert_int_equal(frame.time_ns, time_ns);
	assert_int_equal(frame.kept, kept);
	assert_int_equal(frame.length, length);
	for (uint32_t i = 0; i < kept; i++)
		assert_int_equal(frame.bytes[i], i & 0xff);
}

static inline void assert_end(void)
{
	assert_int_equal(read_captured(&file, &frame), CAPTURE_END);
	assert_int_equal(read_captured(&file, &frame), CAPTURE_END);
}

static inline void assert_broken(const char *how)
{
	assert_int_equal(read_captured(&file, &frame), CAPTURE_BROKEN);
	assert_string_equal(file.error.text, how);
}

#define FOR_BOTH_ORDERS for (written = 0, is_big = false;; written = 0, is_big = true)
#define LAST_ORDER \
	if (is_big) \
	break
