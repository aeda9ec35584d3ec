/* Frames that tell the guest no. */
#include "core/made/reject.h"
#include "core/made/refused.h"

enum {
	REJECT_TTL = 64,
	QUOTED4_MAX = 576 - 28,
	QUOTED6_MAX = 1280 - 48,
	FLAG_FIN = 1,
	FLAG_SYN = 2,
	FLAG_RST = 4,
	FLAG_ACK = 16
};

bool is_rejected(enum verdict verdict)
{
	switch ((int)verdict) {
	case DROP_DST_BLOCKED:
	case DROP_DST_PRIVATE:
	case DROP_DST_LOCAL_NET:
	case DROP_DST_NAT64_PRIVATE:
	case DROP_DNS_NAME:
	case DROP_DNS_MALFORMED:
	case DROP_DNS_REBIND:
	case DROP_NAME_UNBOUND:
	case DROP_NAME_DENIED:
	case DROP_HELLO_MALFORMED:
	case DROP_HELLO_ECH:
	case DROP_HELLO_CONFLICT:
	case DROP_HELLO_LIMIT:
	case DROP_QUIC_VERSION:
		return true;
	default: /* also what honest clients send again, and what ends nothing: HELLO_ORDER, QUIC_INITIAL */
		return false;
	}
}

bool read_refused(const struct frame *frame, struct refused *r)
{
	struct ipv4 ip4;
	struct ipv6 ip6;
	*r = (struct refused){ .frame = frame, .packet = ETHERNET_HEADER };
	if (!parse_ethernet(frame, &r->eth) || mac_is_group(r->eth.destination))
		return false;
	if (r->eth.type == ETHERTYPE_IPV4 && parse_ipv4(frame, ETHERNET_HEADER, &ip4)) {
		r->source = ip4.source;
		r->destination = ip4.destination;
		r->payload = ip4.payload;
		r->end = ip4.end;
		r->protocol = ip4.protocol;
		r->is_later_fragment = ip4.fragment_offset > 0;
		return true;
	}
	r->is_ipv6 = true;
	if (r->eth.type != ETHERTYPE_IPV6 || !parse_ipv6(frame, ETHERNET_HEADER, &ip6) ||
	    walk_headers(frame, &ip6, true) != PASS)
		return false;
	r->source = ip6.source;
	r->destination = ip6.destination;
	r->payload = ip6.payload;
	r->end = ip6.end;
	r->protocol = ip6.protocol;
	r->is_later_fragment = ip6.fragment_offset > 0;
	return true;
}

void put_transport_checksum(struct writer *w, const struct refused *r, uint32_t start, uint32_t at, uint8_t protocol)
{
	uint8_t addresses[32];
	struct writer pseudo = { addresses, 0 };
	put_address(&pseudo, r->destination);
	put_address(&pseudo, r->source);
	uint32_t sum = sum_of(addresses, pseudo.at, 0) + (w->at - start) + protocol;
	struct writer field = { w->to, at };
	put(&field, checksum(sum_of(w->to + start, w->at - start, sum)), 2);
}

void put_headers(struct writer *w, const struct refused *r, uint8_t protocol, uint32_t payload)
{
	put(w, r->eth.source, 6);
	put(w, r->eth.destination, 6);
	put(w, r->eth.type, 2);
	if (r->is_ipv6) {
		put(w, 0x60000000u, 4);
		put(w, payload, 2);
		put(w, protocol, 1);
		put(w, REJECT_TTL, 1);
	} else {
		put(w, 0x4500, 2);
		put(w, 20 + payload, 2);
		put(w, 0x00004000u, 4); /* don't fragment, so no identification is needed (RFC 6864 4.1) */
		put(w, REJECT_TTL, 1);
		put(w, protocol, 1);
		put(w, 0, 2);
	}
	put_address(w, r->destination);
	put_address(w, r->source);
	if (!r->is_ipv6) {
		struct writer field = { w->to, ETHERNET_HEADER + 10 };
		put(&field, checksum(sum_of(w->to + ETHERNET_HEADER, 20, 0)), 2);
	}
}

/* RFC 9293 3.10.7.1: from a connection that does not exist. */
static uint32_t make_reset(const struct refused *refused, uint8_t *to)
{
	struct reader r = read_from(refused->frame, refused->payload, refused->end);
	uint16_t source = read_be16(&r), destination = read_be16(&r);
	uint32_t sequence = read_be32(&r), acknowledged = read_be32(&r);
	uint32_t header = 4u * (read_u8(&r) >> 4);
	uint8_t flags = read_u8(&r);
	uint32_t octets = refused->end - refused->payload;
	if (!r.ok || (flags & FLAG_RST) || header < 20 || header > octets)
		return 0;
	uint32_t length = octets - header + ((flags & FLAG_SYN) != 0) + ((flags & FLAG_FIN) != 0);
	bool has_ack = (flags & FLAG_ACK) != 0;
	struct writer w = { to, 0 };
	put_headers(&w, refused, PROTOCOL_TCP, 20);
	uint32_t start = w.at;
	put(&w, destination, 2);
	put(&w, source, 2);
	put(&w, has_ack ? acknowledged : 0, 4);
	put(&w, has_ack ? 0 : sequence + length, 4);
	put(&w, 0x5000u | FLAG_RST | (has_ack ? 0 : FLAG_ACK), 2);
	put(&w, 0, 6); /* window, checksum, urgent pointer */
	put_transport_checksum(&w, refused, start, start + 16, PROTOCOL_TCP);
	return w.at;
}

/* RFC 1122 3.2.2, RFC 4443 2.4 (e): no error about an error. Of the rest only echo requests wait for an answer. */
static bool is_mute(const struct refused *refused)
{
	struct reader r = read_from(refused->frame, refused->payload, refused->end);
	uint8_t type = read_u8(&r);
	if (refused->protocol == PROTOCOL_ICMP)
		return !r.ok || type != 8;
	return refused->protocol == PROTOCOL_ICMP6 && (!r.ok || type != 128);
}

/* Administratively prohibited, with as much of the packet as is customary. */
static uint32_t make_unreachable(const struct refused *refused, uint8_t *to)
{
	uint32_t octets = refused->end - refused->packet, most = refused->is_ipv6 ? QUOTED6_MAX : QUOTED4_MAX;
	uint32_t quoted = octets < most ? octets : most;
	struct writer w = { to, 0 };
	if (is_mute(refused))
		return 0;
	put_headers(&w, refused, refused->is_ipv6 ? PROTOCOL_ICMP6 : PROTOCOL_ICMP, 8 + quoted);
	uint32_t start = w.at;
	put(&w, refused->is_ipv6 ? 0x0101u : 0x030du, 2);
	put(&w, 0, 6);
	if (!frame_copy(refused->frame, refused->packet, to + w.at, quoted))
		return 0;
	w.at += quoted;
	if (refused->is_ipv6) {
		put_transport_checksum(&w, refused, start, start + 2, PROTOCOL_ICMP6);
	} else {
		struct writer field = { to, start + 2 };
		put(&field, checksum(sum_of(to + start, w.at - start, 0)), 2);
	}
	return w.at;
}

uint32_t make_rejection(const struct frame *frame, uint8_t to[REJECTION_MAX])
{
	struct refused refused;
	if (!read_refused(frame, &refused) || refused.is_later_fragment)
		return 0;
	return refused.protocol == PROTOCOL_TCP ? make_reset(&refused, to) : make_unreachable(&refused, to);
}
