/*
 * What one call of the kernel writes to a stream: each frame behind its length. Where the length lies in front of a frame already, and
 * behind the frame before, as in the buffer of another stream, both are one part: so a run of frames that passed goes out as
 * it came, whatever their number.
 */
#pragma once
#include <sys/uio.h>
#include "port/port.h"

enum { PREFIX = 4 };

struct parcel {
	struct iovec parts[2 * RUN_MAX];
	int part_count;
	const struct packet *frames[RUN_MAX];
	uint32_t frame_count;
	uint8_t prefixes[RUN_MAX][PREFIX];
};

/* What stands in front of a frame: its length, the highest octet first. */
uint32_t length_at(const uint8_t *prefix);
void write_length(uint8_t *prefix, uint32_t length);

/* Packet and octets must stay where they are; there is room for RUN_MAX of them. */
void add_frame(struct parcel *, const struct packet *);
