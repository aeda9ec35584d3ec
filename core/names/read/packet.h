/* What names ask of a packet of TCP or UDP that the judge has found well-formed. */
#pragma once
#include "core/wire/ipv6.h"
#include "core/wire/ethernet.h"
#include "core/flows/flow.h"

struct name_packet {
	const struct frame *frame;
	struct flow_key key;
	bool to_guest, is_fragment;
	uint8_t flags;                   /* TCP: enum segment_flags, and more */
	uint32_t sequence, acknowledged; /* TCP */
	uint32_t at, end;                /* of the payload, in the frame */
};

enum { SEGMENT_URGENT = 32 };

INLINE uint32_t octets_in(const struct name_packet *p)
{
	return p->end - p->at;
}

/* To the transport header. False: neither TCP nor UDP. A later fragment has no ports. */
INLINE bool find_transport(const struct frame *frame, struct name_packet *p, struct address *source,
			   struct address *destination)
{
	struct ethernet eth;
	struct ipv4 ip4;
	struct ipv6 ip6;
	if (!parse_ethernet(frame, &eth))
		return false;
	if (eth.type == ETHERTYPE_IPV4 && parse_ipv4(frame, ETHERNET_HEADER, &ip4)) {
		p->at = ip4.payload;
		p->end = ip4.end;
		p->key.protocol = ip4.protocol;
		p->is_fragment = is_fragment(&ip4);
		*source = ip4.source;
		*destination = ip4.destination;
	} else if (eth.type == ETHERTYPE_IPV6 && parse_ipv6(frame, ETHERNET_HEADER, &ip6) &&
		   walk_headers(frame, &ip6, false) == PASS) {
		p->at = ip6.payload;
		p->end = ip6.end;
		p->key.protocol = ip6.protocol;
		p->is_fragment = is_fragment6(&ip6);
		*source = ip6.source;
		*destination = ip6.destination;
	} else {
		return false;
	}
	return p->key.protocol == PROTOCOL_TCP || p->key.protocol == PROTOCOL_UDP;
}

INLINE bool read_segment(struct reader *r, struct name_packet *p)
{
	p->sequence = read_be32(r);
	p->acknowledged = read_be32(r);
	uint32_t header = 4u * (read_u8(r) >> 4);
	p->flags = read_u8(r);
	if (!r->ok || header < 20 || header > p->end - p->at)
		return false;
	p->at += header;
	return true;
}

/* RFC 768: the length says where the datagram ends; what is behind it is of no protocol. */
INLINE bool read_datagram(struct reader *r, struct name_packet *p)
{
	uint32_t length = read_be16(r);
	if (!r->ok || length < 8 || length > p->end - p->at)
		return false;
	p->end = p->at + length;
	p->at += 8;
	return true;
}

/* False: no packet of TCP or UDP, or a transport header that cannot be read. Of a fragment only addresses are read. */
INLINE bool read_name_packet(const struct frame *frame, bool to_guest, struct name_packet *p)
{
	struct address source, destination;
	*p = (struct name_packet){ .frame = frame, .to_guest = to_guest };
	if (!find_transport(frame, p, &source, &destination))
		return false;
	p->key.guest = to_guest ? destination : source;
	p->key.peer = to_guest ? source : destination;
	if (p->is_fragment)
		return true;
	struct reader r = read_from(frame, p->at, p->end);
	uint16_t from = read_be16(&r), to = read_be16(&r);
	p->key.guest_port = to_guest ? to : from;
	p->key.peer_port = to_guest ? from : to;
	return p->key.protocol == PROTOCOL_TCP ? read_segment(&r, p) : read_datagram(&r, p);
}
