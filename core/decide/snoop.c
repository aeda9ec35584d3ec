/* The door of the slow path: takes a punted frame apart again, and hands it to the file of its protocol. */
#include "core/decide/snoop.h"
#include "core/wire/ethernet.h"
#include "core/wire/ipv4.h"
#include "core/wire/ipv6.h"
#include "core/learn4/lease.h"
#include "core/learn6/lease6.h"
#include "core/learn4/snoop_anchors4.h"
#include "core/learn6/snoop_nd.h"

static uint64_t sum_of_words(const struct frame *frame, uint32_t at, uint32_t end, uint64_t sum)
{
	struct reader r = read_from(frame, at, end);
	while (octets_left(&r) > 1)
		sum += read_be16(&r);
	if (octets_left(&r) > 0)
		sum += (uint64_t)read_u8(&r) << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* RFC 791 3.1, RFC 768: what has a wrong checksum nobody hears. 0: it has none. */
static bool has_good_checksums4(const struct frame *frame, const struct ipv4 *ip, const struct udp *udp)
{
	struct reader r = read_from(frame, ip->payload + 6, ip->end);
	uint32_t end = ip->payload + udp->length;
	if (sum_of_words(frame, ETHERNET_HEADER, ip->payload, 0) != 0xffff)
		return false;
	uint64_t addresses = sum_of_words(frame, ETHERNET_HEADER + 12, ETHERNET_HEADER + 20, 0);
	return read_be16(&r) == 0 ||
	       sum_of_words(frame, ip->payload, end, addresses + PROTOCOL_UDP + udp->length) == 0xffff;
}

enum { TTL_OF_CLIENTS_MIN = 16 }; /* the lowest that a client is known to use; below it a router may end the way */

static bool parse_dhcp_frame(const struct frame *frame, struct dhcp_frame *f)
{
	struct ethernet eth;
	struct ipv4 ip;
	struct udp udp;
	if (!parse_ethernet(frame, &eth) || !parse_ipv4(frame, ETHERNET_HEADER, &ip) ||
	    !parse_udp(frame, ip.payload, ip.end, &udp) || udp.length < 8 || udp.length > payload_octets(&ip))
		return false;
	f->source_mac = eth.source;
	f->destination_mac = eth.destination;
	f->source = ip.source;
	f->destination = ip.destination;
	f->source_port = udp.source;
	f->destination_port = udp.destination;
	f->is_heard = ip.ttl >= TTL_OF_CLIENTS_MIN && has_good_checksums4(frame, &ip, &udp);
	return parse_dhcp(frame, ip.payload + 8, ip.payload + udp.length, &f->message);
}

enum verdict snoop_frame(struct guard *guard, enum verdict punted, const struct frame *frame, uint64_t now_ms)
{
	struct dhcp_frame f;
	if (punted == PUNT_GATEWAY_ARP)
		return snoop_router_arp(guard, frame, now_ms);
	if (punted == PUNT_NEXT_HOP) {
		struct ipv6 six;
		if (parse_ipv6(frame, ETHERNET_HEADER, &six))
			seek_routers6(guard, now_ms);
		else
			seek_routers4(guard, now_ms);
		return DROP_L2_NEXT_HOP;
	}
	if (punted == PUNT_DAD)
		return snoop_dad(guard, frame, now_ms);
	if (punted == PUNT_UNBOUND)
		return snoop_unbound(guard, frame, now_ms);
	if (punted == PUNT_ND_CONFLICT)
		return snoop_nd_conflict(guard, frame, now_ms);
	if (punted == PUNT_ROUTER_CLAIM)
		return snoop_router_claim(guard, frame, now_ms);
	if (punted == PUNT_ROUTER)
		return snoop_router(guard, frame, now_ms);
	if (punted == PUNT_DHCP6_CLIENT)
		return snoop_dhcp6_client(guard, frame, now_ms);
	if (punted == PUNT_DHCP6_SERVER)
		return snoop_dhcp6_server(guard, frame, now_ms);
	if (!parse_dhcp_frame(frame, &f))
		return DROP_DHCP4_MALFORMED;
	return punted == PUNT_DHCP4_CLIENT ? snoop_dhcp4_client(guard, &f, now_ms)
					   : snoop_dhcp4_server(guard, &f, now_ms);
}
