/* The blocks of pcapng. Each has its length in front and behind, and is padded to 32 bits, as are the options inside. */
#include "softnet/capture/capture_blocks.h"
#include <string.h>
#include "softnet/capture/pcapng.h"

enum { MILLISECONDS = 3 };

static const char comment_of_pass[] = "pass", comment_of_drop[] = "drop ", before_meaning[] = ": ";

struct block_writer {
	uint8_t *to;
	size_t at;
};

static void put(struct block_writer *w, const void *octets, size_t n)
{
	memcpy(w->to + w->at, octets, n);
	w->at += n;
}

static void put16(struct block_writer *w, unsigned value)
{
	uint16_t number = (uint16_t)value;
	put(w, &number, sizeof number);
}

static void put32(struct block_writer *w, uint32_t value)
{
	put(w, &value, sizeof value);
}

/* To 32 bits, counted from the start of the first block: they all are multiples of that. */
static void pad(struct block_writer *w)
{
	while (w->at % 4 != 0)
		w->to[w->at++] = 0;
}

static void put_option(struct block_writer *w, enum option_code code, const void *value, size_t octets)
{
	put16(w, code);
	put16(w, (unsigned)octets);
	put(w, value, octets);
	pad(w);
}

static void put_text(struct block_writer *w, enum option_code code, const char *text)
{
	put_option(w, code, text, strnlen(text, CAPTURE_NAME_MAX));
}

static size_t begin_block(struct block_writer *w, enum block_type type)
{
	size_t start = w->at;
	put32(w, type);
	put32(w, 0);
	return start;
}

static void end_block(struct block_writer *w, size_t start)
{
	put16(w, OPTION_END);
	put16(w, 0);
	uint32_t octets = (uint32_t)(w->at - start + BLOCK_END);
	memcpy(w->to + start + 4, &octets, sizeof octets);
	put32(w, octets);
}

static void put_interface(struct block_writer *w, const char *name, const char *port)
{
	const uint8_t resolution = MILLISECONDS;
	size_t start = begin_block(w, BLOCK_INTERFACE);
	put16(w, LINK_ETHERNET);
	put16(w, 0);
	put32(w, 0); /* frames are whole, however long */
	put_text(w, INTERFACE_NAME, name);
	put_text(w, INTERFACE_DESCRIPTION, port);
	put_option(w, INTERFACE_RESOLUTION, &resolution, 1);
	end_block(w, start);
}

size_t put_section(const struct capture_section *section, uint8_t to[SECTION_OCTETS_MAX])
{
	struct block_writer w = { to, 0 };
	size_t start = begin_block(&w, BLOCK_SECTION);
	put32(&w, BYTE_ORDER_MAGIC);
	put16(&w, 1); /* version 1.0 */
	put16(&w, 0);
	put32(&w, UINT32_MAX); /* how long the section will be is not known */
	put32(&w, UINT32_MAX);
	put_option(&w, OPTION_COMMENT, section->comment, section->comment_octets);
	put_text(&w, SECTION_PROGRAM, "softnet " SOFTNET_VERSION);
	end_block(&w, start);
	put_interface(&w, side_names[FROM_GUEST], section->ports[FROM_GUEST]);
	put_interface(&w, side_names[TO_GUEST], section->ports[TO_GUEST]);
	return w.at;
}

static size_t comment_octets(unsigned verdict)
{
	return verdict == PASS   ? sizeof comment_of_pass - 1
	       : verdict == HELD ? strlen(verdict_name(HELD))
				 : sizeof comment_of_drop - 1 + strlen(verdict_name(verdict)) + sizeof before_meaning -
				       1 + strlen(verdict_meaning(verdict));
}

size_t frame_block_octets(uint32_t length, unsigned verdict)
{
	return BLOCK_HEADER + PACKET_BODY + padded(length) + OPTION_HEADER + padded(comment_octets(verdict)) +
	       OPTION_HEADER + BLOCK_END;
}

size_t put_frame(enum direction direction, const struct frame *frame, unsigned verdict, uint64_t wall_ms, uint8_t *to)
{
	struct block_writer w = { to, 0 };
	size_t start = begin_block(&w, BLOCK_PACKET);
	put32(&w, direction); /* the interface */
	put32(&w, (uint32_t)(wall_ms >> 32));
	put32(&w, (uint32_t)wall_ms);
	put32(&w, frame->length); /* captured, */
	put32(&w, frame->length); /* and as long as it was */
	put(&w, frame->bytes, frame->length);
	pad(&w);
	put16(&w, OPTION_COMMENT);
	put16(&w, (unsigned)comment_octets(verdict));
	if (verdict == PASS) {
		put(&w, comment_of_pass, sizeof comment_of_pass - 1);
	} else if (verdict == HELD) {
		put(&w, verdict_name(HELD), strlen(verdict_name(HELD)));
	} else {
		put(&w, comment_of_drop, sizeof comment_of_drop - 1);
		put(&w, verdict_name(verdict), strlen(verdict_name(verdict)));
		put(&w, before_meaning, sizeof before_meaning - 1);
		put(&w, verdict_meaning(verdict), strlen(verdict_meaning(verdict)));
	}
	pad(&w);
	end_block(&w, start);
	return w.at;
}
