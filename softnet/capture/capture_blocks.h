/* The blocks of pcapng (draft-ietf-opsawg-pcapng) that a capture is made of, in the byte order of this machine. */
#pragma once
#include <stddef.h>
#include "core/guard.h"

enum {
	CAPTURE_COMMENT_MAX = 65535, /* an option's length has 16 bits */
	CAPTURE_NAME_MAX = 256,      /* of a port; what is longer is cut off */
	SECTION_OCTETS_MAX = 66 * 1024 + 256,
	FRAME_BLOCK_OCTETS_MAX = 67 * 1024 /* with the largest MTU */
};

/* What a section begins with: its header, and two interfaces, FROM_GUEST and TO_GUEST. */
struct capture_section {
	const char *comment;
	size_t comment_octets;
	const char *ports[DIRECTIONS]; /* how they were written; printable */
};

/* Each gives the octets of the block, a multiple of four. */
size_t put_section(const struct capture_section *, uint8_t to[SECTION_OCTETS_MAX]);
size_t frame_block_octets(uint32_t length, unsigned verdict);
size_t put_frame(enum direction, const struct frame *, unsigned verdict, uint64_t wall_ms, uint8_t *to);
