/* What the blocks of pcapng hold (draft-ietf-opsawg-pcapng). Their bodies are in the buffer; nothing outside is read. */
#include "softnet/capture/pcap_blocks.h"
#include <stdlib.h>
#include <string.h>
#include "core/guard.h"

enum { NANO = 1000000000 };

static const char out_of_bounds[] = "broken: a block that does not hold what it says";

/* What is left of a body. */
struct rest {
	const uint8_t *at;
	size_t length;
};

static struct rest rest_behind(const struct block *block, size_t fixed)
{
	return (struct rest){ block->body + fixed, block->length - fixed };
}

struct option_found {
	uint16_t code, length;
	const uint8_t *value;
};

/* The next option. False: there is none, or *is_broken. */
static bool next_option(const struct pcap_file *file, struct rest *rest, struct option_found *option, bool *is_broken)
{
	*is_broken = rest->length > 0 && rest->length < OPTION_HEADER;
	if (rest->length < OPTION_HEADER)
		return false;
	*option =
	    (struct option_found){ number16(file, rest->at), number16(file, rest->at + 2), rest->at + OPTION_HEADER };
	if (option->code == OPTION_END)
		return false;
	size_t length = OPTION_HEADER + padded(option->length);
	*is_broken = length > rest->length;
	if (*is_broken)
		return false;
	rest->at += length;
	rest->length -= length;
	return true;
}

/* Sections */

/* Takes the text. One that says nothing, or the same as before, changes nothing. */
static void keep_comment(struct pcap_file *file, char *text, size_t length)
{
	bool is_same = file->comment && length == file->comment_length && memcmp(text, file->comment, length) == 0;
	if (length == 0 || is_same) {
		free(text);
		return;
	}
	free(file->comment);
	file->comment = text;
	file->comment_length = length;
	file->comments++;
}

static enum capture_step take_section(struct pcap_file *file, const struct block *block)
{
	struct option_found option;
	bool is_broken;
	if (block->length < SECTION_BODY)
		return capture_is_broken(file, out_of_bounds);
	if (number32(file, block->body) != BYTE_ORDER_MAGIC || number16(file, block->body + 4) != 1)
		return capture_is_broken(file, "broken: a section of no known byte order or version");
	file->interface_count = 0;
	char *text = malloc(block->length + 1);
	size_t length = 0;
	if (!text)
		return capture_is_broken(file, "no memory is left");
	struct rest rest = rest_behind(block, SECTION_BODY);
	while (next_option(file, &rest, &option, &is_broken))
		if (option.code == OPTION_COMMENT) {
			memcpy(text + length, option.value, option.length);
			length += option.length;
			text[length++] = '\n'; /* an option holds up to 65535 octets, a comment may be longer */
		}
	text[length] = '\0';
	keep_comment(file, text, length);
	return is_broken ? capture_is_broken(file, out_of_bounds) : CAPTURE_END;
}

/* Interfaces */

static bool is_text(const struct option_found *option, const char *text)
{
	return option->length == strlen(text) && memcmp(option->value, text, option->length) == 0;
}

static int64_t signed64(const struct pcap_file *file, const uint8_t *at)
{
	uint64_t first = number32(file, at), second = number32(file, at + 4);
	return (int64_t)(file->is_big_endian ? first << 32 | second : second << 32 | first);
}

static void take_interface_option(const struct pcap_file *file, struct capture_interface *link,
				  const struct option_found *option)
{
	if (option->code == INTERFACE_NAME && is_text(option, side_names[FROM_GUEST]))
		link->side = SIDE_GUEST;
	else if (option->code == INTERFACE_NAME && is_text(option, side_names[TO_GUEST]))
		link->side = SIDE_UPLINK;
	else if (option->code == INTERFACE_RESOLUTION && option->length == 1)
		link->resolution = option->value[0];
	else if (option->code == INTERFACE_OFFSET && option->length == 8)
		link->offset_s = signed64(file, option->value);
}

static enum capture_step take_interface(struct pcap_file *file, const struct block *block)
{
	struct option_found option;
	bool is_broken;
	if (block->length < INTERFACE_BODY)
		return capture_is_broken(file, out_of_bounds);
	if (file->interface_count == CAPTURE_INTERFACES_MAX)
		return capture_is_broken(file, "more interfaces than a capture has");
	struct capture_interface *link = &file->interfaces[file->interface_count++];
	*link = (struct capture_interface){ .link_type = number16(file, block->body),
					    .resolution = 6,
					    .snap_length = number32(file, block->body + 4) };
	struct rest rest = rest_behind(block, INTERFACE_BODY);
	while (next_option(file, &rest, &option, &is_broken))
		take_interface_option(file, link, &option);
	return is_broken ? capture_is_broken(file, out_of_bounds) : CAPTURE_END;
}

/* Packets */

/* Times that no clock shows become the first or the last that can be. */
static uint64_t nanoseconds(const struct capture_interface *link, uint64_t units)
{
	unsigned __int128 sum = units;
	uint32_t exponent = link->resolution & 0x7f;
	bool is_binary = (link->resolution & 0x80) != 0;
	if (is_binary)
		sum = sum * NANO >> exponent;
	for (; !is_binary && exponent < 9; exponent++)
		sum *= 10;
	for (; !is_binary && exponent > 9 && sum > 0; exponent--)
		sum /= 10;
	__int128 time = (__int128)sum + (__int128)link->offset_s * NANO;
	return time < 0 ? 0 : time > INT64_MAX ? INT64_MAX : (uint64_t)time;
}

static const struct capture_interface *find_interface(struct pcap_file *file, uint32_t index)
{
	if (index >= file->interface_count) {
		capture_is_broken(file, "broken: a frame of an interface that is nowhere described");
		return NULL;
	}
	const struct capture_interface *link = &file->interfaces[index];
	if (link->link_type != LINK_ETHERNET)
		capture_is_not_ethernet(file, link->link_type);
	return link->link_type == LINK_ETHERNET ? link : NULL;
}

/* The kept octets are the front of the rest, which then begins behind them. */
static bool take_octets(struct rest *rest, struct captured *captured)
{
	if (captured->kept > rest->length || captured->kept > CAPTURED_MAX)
		return false;
	size_t length = padded(captured->kept);
	captured->bytes = rest->at;
	rest->at += length < rest->length ? length : rest->length;
	rest->length -= length < rest->length ? length : rest->length;
	if (captured->length < captured->kept)
		captured->length = captured->kept;
	return true;
}

/* Flags are of a capture on the guest's interface on the host, to which what the guest sends comes in. */
static void take_packet_option(const struct pcap_file *file, struct captured *captured, const struct option_found *option)
{
	enum { DIRECTION_BITS = 3, COMES_IN = 1, GOES_OUT = 2 };
	if (option->code == OPTION_COMMENT && !captured->comment) {
		captured->comment = (const char *)option->value;
		captured->comment_length = option->length;
	} else if (option->code == PACKET_FLAGS && option->length == 4 && captured->side == SIDE_OF_FRAME) {
		uint32_t direction = number32(file, option->value) & DIRECTION_BITS;
		captured->side = direction == COMES_IN   ? SIDE_GUEST
				 : direction == GOES_OUT ? SIDE_UPLINK
							 : SIDE_OF_FRAME;
	}
}

static enum capture_step take_packet(struct pcap_file *file, const struct block *block, struct captured *captured)
{
	struct option_found option;
	bool is_broken;
	if (block->length < PACKET_BODY)
		return capture_is_broken(file, out_of_bounds);
	uint32_t index = block->type == BLOCK_PACKET ? number32(file, block->body) : number16(file, block->body);
	const struct capture_interface *link = find_interface(file, index);
	if (!link)
		return CAPTURE_BROKEN;
	uint64_t upper = number32(file, block->body + 4), lower = number32(file, block->body + 8);
	*captured = (struct captured){ .time_ns = nanoseconds(link, upper << 32 | lower),
				       .side = link->side,
				       .kept = number32(file, block->body + 12),
				       .length = number32(file, block->body + 16) };
	file->latest_ns = captured->time_ns;
	struct rest rest = rest_behind(block, PACKET_BODY);
	if (!take_octets(&rest, captured))
		return capture_is_broken(file, out_of_bounds);
	while (next_option(file, &rest, &option, &is_broken))
		take_packet_option(file, captured, &option);
	return is_broken ? capture_is_broken(file, out_of_bounds) : CAPTURE_FRAME;
}

/* Of the first interface, with neither a time nor a length of what was kept. */
static enum capture_step take_simple_packet(struct pcap_file *file, const struct block *block, struct captured *captured)
{
	if (block->length < SIMPLE_BODY)
		return capture_is_broken(file, out_of_bounds);
	const struct capture_interface *link = find_interface(file, 0);
	if (!link)
		return CAPTURE_BROKEN;
	uint32_t length = number32(file, block->body);
	*captured = (struct captured){ .time_ns = file->latest_ns, .side = link->side, .length = length, .kept = length };
	if (link->snap_length != 0 && length > link->snap_length)
		captured->kept = link->snap_length;
	struct rest rest = rest_behind(block, SIMPLE_BODY);
	return take_octets(&rest, captured) ? CAPTURE_FRAME : capture_is_broken(file, out_of_bounds);
}

enum capture_step take_capture_block(struct pcap_file *file, const struct block *block, struct captured *captured)
{
	switch ((enum block_type)block->type) {
	case BLOCK_SECTION:
		return take_section(file, block);
	case BLOCK_INTERFACE:
		return take_interface(file, block);
	case BLOCK_PACKET:
	case BLOCK_OLD_PACKET:
		return take_packet(file, block, captured);
	case BLOCK_SIMPLE_PACKET:
		return take_simple_packet(file, block, captured);
	}
	return CAPTURE_END;
}
