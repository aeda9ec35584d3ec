/* The door of the slow path: takes a punted frame apart again, hands it to the file of its protocol, and keeps time. */
#include "core/learn/snoop.h"
#include "core/wire/ethernet.h"
#include "core/wire/ipv4.h"
#include "core/wire/ipv6.h"
#include "core/learn4/lease.h"
#include "core/learn6/lease6.h"
#include "core/learn4/snoop_anchors4.h"
#include "core/learn6/snoop_nd.h"

void fill_buckets(const struct config *config, struct buckets *buckets, uint64_t now_ms)
{
	for (uint32_t i = 0; i < RATE_CLASSES_END; i++) {
		struct bucket full = { (uint64_t)config->rates[i].burst * 1000, now_ms };
		if (i < FIRST_PEER_RATE)
			buckets->of[i] = full;
		for (uint32_t peer = 0; peer < PEER_BUCKETS && i >= FIRST_PEER_RATE; peer++)
			buckets->of_peer[i - FIRST_PEER_RATE][peer] = full;
	}
}

void take_away(struct snoop *snoop, struct address a, const char *why, uint64_t now_ms)
{
	struct binding *lease = find_lease(snoop->state, a);
	struct binding6 *lease6 = find_lease6(snoop->state, a);
	if (lease)
		remove_lease(snoop, lease, why);
	if (lease6)
		remove_lease6(snoop, lease6, why, now_ms);
}

bool add_static_binding(struct state *state, struct address a, uint32_t prefix_length, uint64_t now_ms)
{
	return is_ipv4(a) ? add_static_binding4(state, a, prefix_length, now_ms)
			  : add_static_binding6(state, a, prefix_length, now_ms);
}

static uint64_t earlier(uint64_t a_ms, uint64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}

uint64_t expire_bindings(struct snoop *snoop, uint64_t now_ms)
{
	uint64_t next_ms = earlier(expire_bindings6(snoop, now_ms), ask_routers4(snoop, now_ms));
	return earlier(next_ms, expire_bindings4(snoop, now_ms));
}

void relearn(struct snoop *snoop)
{
	struct state *state = snoop->state;
	forget_anchors4(state);
	state->ipv6.server = (struct learned_server6){ 0 };
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++)
		state->ipv6.routers[i].locked_ms = 0;
	state->past = (struct past){ .had_lease = 0 };
}

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

enum verdict snoop_frame(struct snoop *snoop, enum verdict punted, const struct frame *frame, uint64_t now_ms)
{
	struct dhcp_frame f;
	if (punted == PUNT_GATEWAY_ARP)
		return snoop_router_arp(snoop, frame, now_ms);
	if (punted == PUNT_NEXT_HOP) {
		struct ipv6 six;
		if (parse_ipv6(frame, ETHERNET_HEADER, &six))
			seek_routers6(snoop, now_ms);
		else
			seek_routers4(snoop, now_ms);
		return DROP_L2_NEXT_HOP;
	}
	if (punted == PUNT_DAD)
		return snoop_dad(snoop, frame, now_ms);
	if (punted == PUNT_UNBOUND)
		return snoop_unbound(snoop, frame, now_ms);
	if (punted == PUNT_ND_CONFLICT)
		return snoop_nd_conflict(snoop, frame, now_ms);
	if (punted == PUNT_ROUTER_CLAIM)
		return snoop_router_claim(snoop, frame, now_ms);
	if (punted == PUNT_ROUTER)
		return snoop_router(snoop, frame, now_ms);
	if (punted == PUNT_DHCP6_CLIENT)
		return snoop_dhcp6_client(snoop, frame, now_ms);
	if (punted == PUNT_DHCP6_SERVER)
		return snoop_dhcp6_server(snoop, frame, now_ms);
	if (!parse_dhcp_frame(frame, &f))
		return DROP_DHCP4_MALFORMED;
	return punted == PUNT_DHCP4_CLIENT ? snoop_dhcp4_client(snoop, &f, now_ms)
					   : snoop_dhcp4_server(snoop, &f, now_ms);
}
