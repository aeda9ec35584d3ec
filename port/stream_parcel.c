/* Frames of a batch, put together for one call of the kernel. */
#include "port/stream_parcel.h"

uint32_t length_at(const uint8_t *prefix)
{
	return (uint32_t)prefix[0] << 24 | (uint32_t)prefix[1] << 16 | (uint32_t)prefix[2] << 8 | prefix[3];
}

void write_length(uint8_t *prefix, uint32_t length)
{
	prefix[0] = (uint8_t)(length >> 24);
	prefix[1] = (uint8_t)(length >> 16);
	prefix[2] = (uint8_t)(length >> 8);
	prefix[3] = (uint8_t)length;
}

static bool lies_behind(const struct iovec *part, const struct packet *packet)
{
	const uint8_t *end = (const uint8_t *)part->iov_base + part->iov_len;
	return end + PREFIX == packet->bytes && length_at(end) == packet->length;
}

void add_frame(struct parcel *parcel, const struct packet *packet)
{
	uint8_t *prefix = parcel->prefixes[parcel->frame_count];
	struct iovec *part = &parcel->parts[parcel->part_count];
	parcel->frames[parcel->frame_count++] = packet;
	if (parcel->part_count > 0 && lies_behind(part - 1, packet)) {
		part[-1].iov_len += PREFIX + packet->length;
		return;
	}
	write_length(prefix, packet->length);
	part[0] = (struct iovec){ prefix, PREFIX };
	part[1] = (struct iovec){ (void *)(uintptr_t)packet->bytes, packet->length };
	parcel->part_count += 2;
}
