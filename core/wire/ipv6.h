/* IPv6 (RFC 8200): the fixed header, the walk over the extension headers, and the first octets of what they lead to. */
#pragma once
#include "core/wire/address.h"
#include "core/wire/ipv4.h"
#include "core/wire/verdict.h"

enum {
	IPV6_HEADER = 40,
	HOP_BY_HOP = 0,
	ROUTING_HEADER = 43,
	FRAGMENT_HEADER = 44,
	AUTHENTICATION_HEADER = 51,
	PROTOCOL_ICMP6 = 58,
	NO_NEXT_HEADER = 59,
	DESTINATION_OPTIONS = 60
};

enum {
	EXTENSION_HEADERS_MAX = 6,
	DESTINATION_OPTIONS_MAX = 2, /* RFC 8200 4.1 */
	FRAGMENT_OFFSET_MIN = 24,    /* behind any transport header that was judged */
	OPTION_JUMBO_PAYLOAD = 0xc2  /* RFC 2675 2 */
};

struct ipv6 {
	struct address source, destination;
	uint32_t payload;         /* offset in the frame of what stands behind the last header that was walked */
	uint32_t end;             /* offset behind the packet: padding starts here */
	uint32_t fragment_offset; /* octets */
	uint32_t identification;  /* of the Fragment header */
	uint8_t protocol;         /* the upper layer; in a later fragment what its header claims */
	uint8_t hop_limit;
	bool extended; /* any header stood between, a Fragment header included */
	bool has_fragment_header;
	bool more_fragments;
	bool router_alert; /* exactly one header stood between: Hop-by-Hop, 8 octets, Router Alert for MLD */
};

/* As struct packet4. */
struct packet6 {
	const struct frame *frame;
	const struct ethernet *eth;
	const struct ipv6 *ip;
	const struct udp *ports;
};

INLINE uint64_t read_be64(struct reader *r)
{
	uint64_t high = read_be32(r);
	return high << 32 | read_be32(r);
}

INLINE struct address read_address6(struct reader *r)
{
	uint64_t high = read_be64(r);
	return (struct address){ high, read_be64(r) };
}

SUBPROGRAM bool parse_ipv6_at(frame_handle handle, uint32_t at, struct ipv6 *ip)
{
	struct frame frame = frame_of(handle);
	struct reader r = read_from(&frame, at, frame.length);
	if (!is_given(ip))
		return false;
	uint32_t version = read_be32(&r) >> 28;
	uint32_t octets = read_be16(&r);
	ip->protocol = read_u8(&r);
	ip->hop_limit = read_u8(&r);
	ip->source = read_address6(&r);
	ip->destination = read_address6(&r);
	ip->payload = at + IPV6_HEADER;
	ip->end = ip->payload + octets;
	return r.ok && version == 6 && octets > 0 && ip->end <= frame.length; /* 0: a jumbogram, or nothing */
}

/* False when the header is cut, lies about its length, or is not version 6. */
INLINE bool parse_ipv6(const struct frame *frame, uint32_t at, struct ipv6 *ip)
{
	*ip = (struct ipv6){ 0 };
	return parse_ipv6_at(handle_of(frame), at, ip);
}

INLINE bool is_fragment6(const struct ipv6 *ip)
{
	return ip->more_fragments || ip->fragment_offset != 0;
}

INLINE uint32_t payload_octets6(const struct ipv6 *ip)
{
	return ip->end - ip->payload;
}

/* Octets that a whole packet or a first fragment must hold of its upper layer. */
INLINE uint32_t transport_header6(uint8_t protocol)
{
	return protocol == PROTOCOL_ICMP6 ? 8 : protocol == PROTOCOL_ICMP ? 0 : transport_header(protocol);
}

/* The headers that may be walked. */
INLINE bool is_extension6(uint8_t protocol)
{
	return protocol == HOP_BY_HOP || protocol == DESTINATION_OPTIONS || protocol == FRAGMENT_HEADER ||
	       protocol == AUTHENTICATION_HEADER || protocol == ROUTING_HEADER;
}

/* IANA's other extension headers (Mobility, HIP, Shim6, experiments): what stands behind them cannot be seen. */
INLINE bool is_opaque6(uint8_t protocol)
{
	return protocol == NO_NEXT_HEADER || protocol == 135 || protocol == 139 || protocol == 140 || protocol >= 253;
}

/*
 * RFC 7112: the whole chain is in the first fragment; here it even ends with the Fragment header. The next header field of a
 * later fragment is not bound to the first one's, so its offset must lie behind every header that could have been judged.
 */
INLINE uint8_t fault_of_fragment6(const struct ipv6 *ip, uint8_t next)
{
	uint32_t octets = payload_octets6(ip);
	bool too_long = ip->fragment_offset + octets > 65535, ragged = ip->more_fragments && octets % 8 != 0;
	bool overlaps = ip->fragment_offset > 0 && ip->fragment_offset < FRAGMENT_OFFSET_MIN;
	bool hides = is_fragment6(ip) && (is_extension6(next) || is_opaque6(next));
	return too_long || ragged || overlaps || hides ? DROP_IP6_FRAGMENT : PASS;
}

SUBPROGRAM uint32_t walk_headers_of(frame_handle handle, struct ipv6 *ip, uint32_t strict)
{
	struct frame frame = frame_of(handle);
	uint32_t walked = 0, options = 0;
	if (!is_given(ip))
		return DROP_IP6_MALFORMED;
	for (; walked <= EXTENSION_HEADERS_MAX && ip->fragment_offset == 0 && is_extension6(ip->protocol); walked++) {
		struct reader r = read_from(&frame, ip->payload, ip->end);
		uint8_t type = ip->protocol, next = read_u8(&r), length = read_u8(&r);
		uint16_t word = read_be16(&r);
		uint32_t rest = read_be32(&r), octets = 8 * (length + 1u);
		if (!r.ok)
			return DROP_IP6_MALFORMED;
		if (type == ROUTING_HEADER)
			return DROP_IP6_ROUTING_HEADER;
		if (walked == EXTENSION_HEADERS_MAX || (type == HOP_BY_HOP && walked > 0) ||
		    (type == HOP_BY_HOP && word >> 8 == OPTION_JUMBO_PAYLOAD) ||
		    (type == DESTINATION_OPTIONS && ++options > DESTINATION_OPTIONS_MAX) ||
		    (type == FRAGMENT_HEADER && ip->has_fragment_header) ||
		    (type == AUTHENTICATION_HEADER && length == 0) ||
		    (strict && type != FRAGMENT_HEADER && type != AUTHENTICATION_HEADER && length > 0))
			return DROP_IP6_EXT_HEADER;
		if (type == AUTHENTICATION_HEADER)
			octets = 4 * (length + 2u); /* RFC 4302 2.2 */
		if (type == FRAGMENT_HEADER)
			octets = 8;
		/* RFC 2711 2.1, and two octets of padding behind or before it. */
		ip->router_alert = walked == 0 && type == HOP_BY_HOP && length == 0 &&
				   ((word == 0x0502 && (rest == 0x0100 || rest == 0)) ||
				    ((word == 0x0100 || word == 0) && rest == 0x05020000U));
		ip->extended = true;
		ip->protocol = next;
		ip->payload += octets;
		if (ip->payload > ip->end)
			return DROP_IP6_MALFORMED;
		if (type == FRAGMENT_HEADER) {
			ip->has_fragment_header = true;
			ip->identification = rest;
			ip->fragment_offset = word & 0xfff8u;
			ip->more_fragments = (word & 1) != 0;
			uint8_t fault = fault_of_fragment6(ip, next);
			if (fault != PASS)
				return fault;
		}
	}
	return is_opaque6(ip->protocol) ? DROP_IP6_EXT_HEADER : PASS;
}

/*
 * Walks to the upper layer, or stops behind the Fragment header of a later fragment. Answers PASS or the reason to drop.
 * strict: Hop-by-Hop and Destination Options are 8 octets at most, as a guest may send them.
 */
INLINE uint8_t walk_headers(const struct frame *frame, struct ipv6 *ip, bool strict)
{
	return (uint8_t)walk_headers_of(handle_of(frame), ip, strict);
}
