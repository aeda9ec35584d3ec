/* The door of the slow path: takes a punted frame apart again, hands it to the file of its protocol, and keeps time. */
#include "snoop.h"
#include "ethernet.h"
#include "ipv4.h"
#include "lease.h"
#include "lease6.h"
#include "snoop_anchors4.h"

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
	return parse_dhcp(frame, ip.payload + 8, ip.payload + udp.length, &f->message);
}

enum verdict snoop_frame(struct snoop *snoop, enum verdict punted, const struct frame *frame, uint64_t now_ms)
{
	struct dhcp_frame f;
	if (punted == PUNT_GATEWAY_ARP)
		return snoop_router_arp(snoop, frame, now_ms);
	if (punted == PUNT_NEXT_HOP) {
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
