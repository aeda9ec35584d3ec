/* ICMP errors of both families, and the front of the packet that one quotes. */
#pragma once
#include "core/wire/ipv6.h"

enum { ICMP_ERROR_HEADER = 8 };

/* RFC 1122 3.2.2: unreachable, source quench, time exceeded, parameter problem. RFC 4443 2.1: below 128. */
INLINE bool is_icmp_error(uint8_t protocol, uint8_t type)
{
	if (protocol == PROTOCOL_ICMP6)
		return type < 128;
	return type == 3 || type == 4 || type == 11 || type == 12;
}

/* What an error says that it is about. Of the packet no more than its fixed header need be there. */
struct quoted {
	struct address source, destination;
	uint32_t behind; /* offset in the frame of what stands behind the header */
	uint8_t protocol;
	bool is_later_fragment;
};

/* RFC 792: behind eight octets the header of the datagram in question. at: of the error. False: no such header. */
SUBPROGRAM bool parse_quoted4_at(frame_handle handle, uint32_t at, uint32_t end, struct quoted *q)
{
	struct frame frame = frame_of(handle);
	struct reader r = read_from(&frame, at, end);
	if (!is_given(q))
		return false;
	skip_bytes(&r, ICMP_ERROR_HEADER);
	uint8_t version_ihl = read_u8(&r);
	skip_bytes(&r, 5);
	uint16_t flags_offset = read_be16(&r);
	skip_bytes(&r, 1);
	q->protocol = read_u8(&r);
	skip_bytes(&r, 2);
	q->source = address_of_ipv4(read_be32(&r));
	q->destination = address_of_ipv4(read_be32(&r));
	q->is_later_fragment = (flags_offset & 0x1fff) != 0;
	uint32_t header = 4u * (version_ihl & 15);
	q->behind = at + ICMP_ERROR_HEADER + header;
	return r.ok && version_ihl >> 4 == 4 && header >= 20 && q->behind <= end;
}

/* RFC 4443 3: the same; extension headers are left to the caller. */
SUBPROGRAM bool parse_quoted6_at(frame_handle handle, uint32_t at, uint32_t end, struct quoted *q)
{
	struct frame frame = frame_of(handle);
	struct reader r = read_from(&frame, at, end);
	if (!is_given(q))
		return false;
	skip_bytes(&r, ICMP_ERROR_HEADER);
	uint8_t version = read_u8(&r) >> 4;
	skip_bytes(&r, 5);
	q->protocol = read_u8(&r);
	skip_bytes(&r, 1);
	q->source = read_address6(&r);
	q->destination = read_address6(&r);
	q->is_later_fragment = false;
	q->behind = r.at;
	return r.ok && version == 6;
}

INLINE bool parse_quoted4(const struct frame *frame, uint32_t at, uint32_t end, struct quoted *q)
{
	*q = (struct quoted){ .behind = 0 };
	return parse_quoted4_at(handle_of(frame), at, end, q);
}

INLINE bool parse_quoted6(const struct frame *frame, uint32_t at, uint32_t end, struct quoted *q)
{
	*q = (struct quoted){ .behind = 0 };
	return parse_quoted6_at(handle_of(frame), at, end, q);
}
