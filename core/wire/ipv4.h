/* IPv4 (RFC 791) and the first octets of what it carries. */
#pragma once
#include "core/wire/address.h"

enum { PROTOCOL_ICMP = 1, PROTOCOL_IGMP = 2, PROTOCOL_TCP = 6, PROTOCOL_UDP = 17, PROTOCOL_SCTP = 132 };

#define IPV4_BROADCAST 0xffffffffU

enum { IGMP_QUERY = 0x11 };

struct ipv4 {
	struct address source, destination;
	uint32_t header;          /* octets, 20..60 */
	uint32_t payload;         /* offset in the frame */
	uint32_t end;             /* offset behind the datagram: padding starts here */
	uint32_t fragment_offset; /* octets */
	uint16_t identification;
	uint8_t protocol, ttl;
	bool reserved_flag, more_fragments;
};

/* False when the header is cut, lies about its length, or is not version 4. */
INLINE bool parse_ipv4(const struct frame *frame, uint32_t at, struct ipv4 *ip)
{
	struct reader r = read_from(frame, at, frame->length);
	uint8_t version_ihl = read_u8(&r);
	skip_bytes(&r, 1);
	uint32_t total = read_be16(&r);
	ip->identification = read_be16(&r);
	uint16_t flags_offset = read_be16(&r);
	ip->ttl = read_u8(&r);
	ip->protocol = read_u8(&r);
	skip_bytes(&r, 2); /* checksum: a wrong one dies at the next hop */
	ip->source = address_of_ipv4(read_be32(&r));
	ip->destination = address_of_ipv4(read_be32(&r));
	ip->header = 4u * (version_ihl & 15);
	ip->payload = at + ip->header;
	ip->end = at + total;
	ip->fragment_offset = 8u * (flags_offset & 0x1fff);
	ip->more_fragments = (flags_offset & 0x2000) != 0;
	ip->reserved_flag = (flags_offset & 0x8000) != 0;
	return r.ok && version_ihl >> 4 == 4 && ip->header >= 20 && total >= ip->header && total <= frame->length - at;
}

INLINE bool is_fragment(const struct ipv4 *ip)
{
	return ip->more_fragments || ip->fragment_offset != 0;
}

INLINE uint32_t payload_octets(const struct ipv4 *ip)
{
	return ip->end - ip->payload;
}

/* Octets that a first fragment must hold so that a later one cannot rewrite what was judged (RFC 1858, RFC 3128). */
INLINE uint32_t transport_header(uint8_t protocol)
{
	switch (protocol) {
	case PROTOCOL_TCP:
		return 20;
	case PROTOCOL_UDP:
	case PROTOCOL_ICMP:
		return 8;
	case PROTOCOL_SCTP: /* RFC 9260 3.1 */
		return 12;
	default:
		return 0;
	}
}

struct udp {
	uint16_t source, destination, length;
};

/* False when the eight octets are not there. Not to be asked of a fragment with an offset. */
INLINE bool parse_udp(const struct frame *frame, uint32_t at, uint32_t end, struct udp *udp)
{
	struct reader r = read_from(frame, at, end);
	udp->source = read_be16(&r);
	udp->destination = read_be16(&r);
	udp->length = read_be16(&r);
	skip_bytes(&r, 2);
	return r.ok;
}

/* A frame whose headers have been read. */
struct packet4 {
	const struct frame *frame;
	const struct ethernet *eth;
	const struct ipv4 *ip;
	const struct udp *ports; /* zeros where there are none */
};

/* 4011 is where PXE's boot servers listen (Preboot Execution Environment 2.1, 2.2.1). */
enum { DHCP_SERVER_PORT = 67, DHCP_CLIENT_PORT = 68, BOOT_SERVER_PORT = 4011, MDNS_PORT = 5353, DNS_PORT = 53 };
