/* Both formats of capture files. A file is a row of blocks (pcapng) or of records (pcap); each is in the buffer as a whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "softnet/capture/pcap_blocks.h"

enum { PCAP_HEADER = 24, RECORD_HEADER = 16, BLOCK_LEAST = BLOCK_HEADER + BLOCK_END, PATH_SHOWN = 120 };

enum capture_step capture_is_broken(struct pcap_file *file, const char *how)
{
	refuse(&file->error, "%.*s: %s", PATH_SHOWN, file->path, how);
	return CAPTURE_BROKEN;
}

enum capture_step capture_is_not_ethernet(struct pcap_file *file, uint32_t link_type)
{
	static const struct {
		uint32_t type;
		const char *name;
	} names[] = { { 0, " (BSD loopback)" }, { 101, " (IP)" },   { 105, " (802.11)" }, { 113, " (Linux `any`)" },
		      { 127, " (802.11)" },     { 228, " (IPv4)" }, { 229, " (IPv6)" },   { 276, " (Linux `any`)" } };
	const char *name = "";
	char text[96];
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].type == link_type)
			name = names[i].name;
	snprintf(text, sizeof text, "link type %u%s: expected Ethernet, which is 1", (unsigned)link_type, name);
	return capture_is_broken(file, text);
}

/* Why there are fewer octets than there should be. */
static enum capture_step cut_off(struct pcap_file *file)
{
	return capture_is_broken(file, file->read_error != 0 ? strerror(file->read_error)
							     : "cut off in the midst of a frame");
}

/* The buffer */

static void read_more(struct pcap_file *file)
{
	ssize_t got = read(file->fd, file->buffer + file->end, PCAP_BUFFER - file->end);
	if (got < 0 && errno == EINTR)
		return;
	file->read_error = got < 0 ? errno : 0;
	file->has_ended = got <= 0;
	file->end += got > 0 ? (size_t)got : 0;
}

/* True when the next n octets are there, in one piece. */
static bool fill(struct pcap_file *file, size_t n)
{
	if (file->end - file->at >= n)
		return true;
	memmove(file->buffer, file->buffer + file->at, file->end - file->at);
	file->end -= file->at;
	file->at = 0;
	while (file->end < n && !file->has_ended)
		read_more(file);
	return file->end >= n;
}

static bool skip_octets(struct pcap_file *file, size_t n)
{
	for (size_t step; n > 0; n -= step) {
		step = n < PCAP_BUFFER ? n : PCAP_BUFFER;
		if (!fill(file, step))
			return false;
		file->at += step;
	}
	return true;
}

/* True at the end of the file: nothing is left, and nothing has gone wrong. */
static bool is_at_end(struct pcap_file *file)
{
	return !fill(file, 1) && file->read_error == 0;
}

/* pcap */

static enum capture_step read_record(struct pcap_file *file, struct captured *captured)
{
	const struct capture_interface *link = &file->interfaces[0];
	if (is_at_end(file))
		return CAPTURE_END;
	if (!fill(file, RECORD_HEADER))
		return cut_off(file);
	const uint8_t *header = file->buffer + file->at;
	uint32_t kept = number32(file, header + 8), length = number32(file, header + 12);
	uint64_t seconds = number32(file, header), fraction = number32(file, header + 4);
	if (kept > CAPTURED_MAX)
		return capture_is_broken(file, "broken: a frame that is too long");
	if (!fill(file, RECORD_HEADER + kept))
		return cut_off(file);
	file->latest_ns = seconds * 1000000000 + fraction * (link->resolution == 6 ? 1000 : 1);
	*captured = (struct captured){ .time_ns = file->latest_ns,
				       .bytes = file->buffer + file->at + RECORD_HEADER,
				       .kept = kept,
				       .length = length > kept ? length : kept,
				       .side = SIDE_OF_FRAME };
	file->at += RECORD_HEADER + kept;
	return CAPTURE_FRAME;
}

static bool open_pcap(struct pcap_file *file, uint8_t resolution)
{
	if (!fill(file, PCAP_HEADER))
		return cut_off(file) != CAPTURE_BROKEN;
	const uint8_t *header = file->buffer + file->at;
	uint32_t link_type = number32(file, header + 20) & 0x03ffffff; /* above: how long a frame check sequence is */
	if (number16(file, header + 4) != 2)
		return capture_is_broken(file, "broken: a version of pcap that nobody writes") != CAPTURE_BROKEN;
	if (link_type != LINK_ETHERNET)
		return capture_is_not_ethernet(file, link_type) != CAPTURE_BROKEN;
	file->interfaces[0] = (struct capture_interface){ .link_type = LINK_ETHERNET, .resolution = resolution };
	file->at += PCAP_HEADER;
	return true;
}

/* pcapng */

static enum capture_step skip_block(struct pcap_file *file, uint32_t length)
{
	return skip_octets(file, length) ? CAPTURE_END : cut_off(file);
}

/* One block. CAPTURE_END: it held no frame. */
static enum capture_step read_block(struct pcap_file *file, struct captured *captured)
{
	if (!fill(file, BLOCK_LEAST))
		return cut_off(file);
	const uint8_t *start = file->buffer + file->at;
	struct block block = { .type = number32(file, start) };
	if (block.type == BLOCK_SECTION) /* the magic follows, in the order of the section */
		file->is_big_endian = start[BLOCK_HEADER] == BYTE_ORDER_MAGIC >> 24;
	uint32_t length = number32(file, start + 4);
	if (length < BLOCK_LEAST || length % 4 != 0)
		return capture_is_broken(file, "broken: the length of a block");
	switch (block.type) {
	case BLOCK_INTERFACE:
	case BLOCK_OLD_PACKET:
	case BLOCK_SIMPLE_PACKET:
	case BLOCK_PACKET:
	case BLOCK_SECTION:
		break;
	default:
		return skip_block(file, length);
	}
	if (length > PCAP_BUFFER)
		return capture_is_broken(file, "broken: a block that is too long");
	if (!fill(file, length))
		return cut_off(file);
	start = file->buffer + file->at;
	if (number32(file, start + length - BLOCK_END) != length)
		return capture_is_broken(file, "broken: a block that does not end with its length");
	block.body = start + BLOCK_HEADER;
	block.length = length - BLOCK_LEAST;
	file->at += length;
	return take_capture_block(file, &block, captured);
}

/* Both */

enum capture_step read_captured(struct pcap_file *file, struct captured *captured)
{
	if (!file->is_pcapng)
		return read_record(file, captured);
	while (!is_at_end(file)) {
		enum capture_step step = read_block(file, captured);
		if (step != CAPTURE_END)
			return step;
	}
	return CAPTURE_END;
}

static bool has_magic(const struct pcap_file *file, uint32_t magic)
{
	return number32(file, file->buffer + file->at) == magic;
}

/* zlib, zstd, xz, bzip2 */
static bool is_compressed(const struct pcap_file *file)
{
	const uint8_t *at = file->buffer + file->at;
	return (at[0] == 0x1f && at[1] == 0x8b) || memcmp(at, "\x28\xb5\x2f\xfd", 4) == 0 ||
	       memcmp(at,
		      "\xfd"
		      "7zX",
		      4) == 0 ||
	       memcmp(at, "BZh", 3) == 0;
}

static bool find_format(struct pcap_file *file)
{
	if (!fill(file, 4) && file->read_error != 0)
		return cut_off(file) != CAPTURE_BROKEN;
	if (file->end < 4)
		return capture_is_broken(file, file->end == 0 ? "empty" : "expected pcap or pcapng") != CAPTURE_BROKEN;
	file->is_pcapng = has_magic(file, BLOCK_SECTION);
	for (int order = 0; order < 2 && !file->is_pcapng; order++) {
		file->is_big_endian = order != 0;
		if (has_magic(file, 0xa1b2c3d4))
			return open_pcap(file, 6);
		if (has_magic(file, 0xa1b23c4d))
			return open_pcap(file, 9);
	}
	if (is_compressed(file))
		return capture_is_broken(file, "compressed: unpack it first; - reads standard input") != CAPTURE_BROKEN;
	return file->is_pcapng || capture_is_broken(file, "expected pcap or pcapng") != CAPTURE_BROKEN;
}

bool open_capture_descriptor(struct pcap_file *file, int fd, const char *path)
{
	file->path = path;
	file->fd = fd;
	file->buffer = malloc(PCAP_BUFFER);
	if (fd < 0 || !file->buffer) {
		capture_is_broken(file, strerror(fd < 0 ? errno : ENOMEM));
		return false;
	}
	return find_format(file);
}

bool open_capture(struct pcap_file *file, const char *path)
{
	if (strcmp(path, "-") == 0)
		return open_capture_descriptor(file, dup(STDIN_FILENO), "standard input");
	return open_capture_descriptor(file, open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), path);
}

void close_capture(struct pcap_file *file)
{
	if (file->buffer && file->fd >= 0)
		close(file->fd);
	free(file->buffer);
	free(file->comment);
	file->buffer = NULL;
	file->comment = NULL;
}
