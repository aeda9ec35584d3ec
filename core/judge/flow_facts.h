/* From a frame to what the table of flows asks of it. The judge has found the frame well-formed. */
#pragma once
#include "core/judge/destination.h"
#include "core/wire/ethernet.h"
#include "core/flows/flow.h"
#include "core/judge/icmp_error.h"

enum { ECHO_REPLY = 0, ECHO_REQUEST = 8, ECHO_REQUEST6 = 128, ECHO_REPLY6 = 129 };
enum { ASKED_BY_GUEST = 0, ASKED_BY_PEER = 1 };

/* One packet, the frame's own or one that an error quotes and that may be cut: where its upper layer is, and between whom. */
struct packet_place {
	struct address source, destination;
	uint32_t at, end;
	uint32_t datagram_id; /* as in struct packet_facts */
	uint8_t protocol;
	bool is_fragment;       /* the first one, too */
	bool is_later_fragment; /* what stands at `at` is no header */
};

INLINE bool is_echo(uint8_t protocol, uint8_t type)
{
	return protocol == PROTOCOL_ICMP6 ? type == ECHO_REQUEST6 || type == ECHO_REPLY6
					  : type == ECHO_REQUEST || type == ECHO_REPLY;
}

/* to_guest: the direction in which the packet went. */
PART void fill_key(const struct frame *frame, const struct packet_place *at, bool to_guest, struct packet_facts *p)
{
	struct reader r = read_from(frame, at->at, at->end);
	p->kind = PACKET_OF_FLOW;
	p->key = (struct flow_key){ .guest = to_guest ? at->destination : at->source,
				    .peer = to_guest ? at->source : at->destination,
				    .protocol = at->protocol };
	if (at->protocol == PROTOCOL_ICMP || at->protocol == PROTOCOL_ICMP6) {
		uint8_t type = read_u8(&r);
		skip_bytes(&r, 3);
		p->asks = type == ECHO_REQUEST || type == ECHO_REQUEST6;
		p->key.guest_port = read_be16(&r);
		p->key.peer_port = p->asks == to_guest ? ASKED_BY_PEER : ASKED_BY_GUEST;
		if (!r.ok || !is_echo(at->protocol, type))
			p->kind = r.ok && is_icmp_error(at->protocol, type) ? PACKET_OF_ERROR : PACKET_WITHOUT_FLOW;
	}
	if (!has_ports(at->protocol))
		return;
	uint16_t source = read_be16(&r), destination = read_be16(&r);
	p->key.guest_port = to_guest ? destination : source;
	p->key.peer_port = to_guest ? source : destination;
	if (!r.ok)
		p->kind = PACKET_WITHOUT_FLOW;
	skip_bytes(&r, 9);
	if (at->protocol == PROTOCOL_TCP)
		p->tcp_flags = read_u8(&r);
}

/* To the upper layer of a quoted packet. A quote may be cut, and its sender has been judged: only the way is looked for. */
SUBPROGRAM bool skip_extensions(frame_handle handle, struct packet_place *quoted)
{
	struct frame frame = frame_of(handle);
	if (!is_given(quoted))
		return false;
	struct reader r = read_from(&frame, quoted->at, quoted->end);
	for (uint32_t i = 0; i < EXTENSION_HEADERS_MAX && is_extension6(quoted->protocol); i++) {
		uint8_t type = quoted->protocol, next = read_u8(&r), length = read_u8(&r);
		uint16_t word = read_be16(&r);
		uint32_t octets = type == FRAGMENT_HEADER         ? 8
				  : type == AUTHENTICATION_HEADER ? 4 * (length + 2u)
								  : 8 * (length + 1u);
		skip_bytes(&r, octets - 4);
		if (type == FRAGMENT_HEADER && word & 0xfff8) /* behind a later fragment there are no ports */
			r.ok = false;
		quoted->protocol = next;
	}
	quoted->at = r.at;
	return r.ok;
}

/* A quote may be cut; that its addresses are there is the judge's matter already. */
PART bool find_quoted(const struct frame *frame, const struct packet_place *error, struct packet_place *place)
{
	struct quoted q;
	bool is_ipv6 = error->protocol == PROTOCOL_ICMP6;
	if (is_ipv6 ? !parse_quoted6(frame, error->at, error->end, &q) : !parse_quoted4(frame, error->at, error->end, &q))
		return false;
	*place = (struct packet_place){
		.source = q.source, .destination = q.destination, .at = q.behind, .end = error->end, .protocol = q.protocol
	};
	if (is_ipv6 && !skip_extensions(handle_of(frame), place))
		return false;
	return !q.is_later_fragment && place->at <= place->end;
}

/* The key becomes that of the flow which the error is about. */
PART void read_quoted(const struct frame *frame, const struct packet_place *error, bool to_guest, struct packet_facts *p)
{
	struct packet_place quoted = { .at = 0 };
	p->kind = PACKET_WITHOUT_FLOW;
	if (find_quoted(frame, error, &quoted))
		fill_key(frame, &quoted, !to_guest, p);
	p->asks = false;
	p->tcp_flags = 0;
	if (p->kind != PACKET_OF_FLOW) {
		p->kind = PACKET_WITHOUT_FLOW;
		return;
	}
	p->kind = PACKET_OF_ERROR;
	/* A router may speak about what the guest sent; the guest only as the destination, and to the sender. */
	p->quotes_receiver = same_address(error->destination, quoted.source) &&
			     (to_guest || same_address(error->source, quoted.destination));
}

SUBPROGRAM bool find_packet_of(frame_handle handle, struct packet_place *at)
{
	struct frame frame = frame_of(handle);
	struct ethernet eth;
	struct ipv4 ip4;
	struct ipv6 ip6;
	if (!is_given(at) || !parse_ethernet(&frame, &eth))
		return false;
	if (eth.type == ETHERTYPE_IPV4 && parse_ipv4(&frame, ETHERNET_HEADER, &ip4)) {
		*at = (struct packet_place){ ip4.source,
					     ip4.destination,
					     ip4.payload,
					     ip4.end,
					     ip4.identification | (uint32_t)ip4.protocol << 16,
					     ip4.protocol,
					     is_fragment(&ip4),
					     ip4.fragment_offset > 0 };
		return true;
	}
	if (eth.type != ETHERTYPE_IPV6 || !parse_ipv6(&frame, ETHERNET_HEADER, &ip6) ||
	    walk_headers(&frame, &ip6, false) != PASS)
		return false;
	*at = (struct packet_place){ ip6.source,         ip6.destination, ip6.payload,        ip6.end,
				     ip6.identification, ip6.protocol,    is_fragment6(&ip6), ip6.fragment_offset > 0 };
	return true;
}

/* The frame's own packet. False: it is not IP. */
INLINE bool find_packet(const struct frame *frame, struct packet_place *at)
{
	*at = (struct packet_place){ .at = 0 };
	return find_packet_of(handle_of(frame), at);
}

/* False: the frame is not IP. to_guest: the direction of the frame. */
PART bool read_facts(const struct frame *frame, bool to_guest, struct packet_facts *p)
{
	struct packet_place at;
	*p = (struct packet_facts){ .kind = PACKET_WITHOUT_FLOW };
	if (!find_packet(frame, &at))
		return false;
	p->datagram[0] = at.source;
	p->datagram[1] = at.destination;
	p->datagram_id = at.datagram_id;
	if (at.is_later_fragment)
		return true;
	fill_key(frame, &at, to_guest, p);
	if (p->kind == PACKET_OF_ERROR)
		read_quoted(frame, &at, to_guest, p);
	return true;
}
