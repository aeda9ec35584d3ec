/* The door of the slow path: takes a punted frame apart again, hands it to the file of its protocol, and keeps time. */
#include "snoop.h"
#include "arp.h"
#include "ethernet.h"
#include "ipv4.h"
#include "lease.h"
#include "lease6.h"
#include "trust.h"

#include <stddef.h>

void fill_buckets(const struct config *config, struct buckets *buckets, uint64_t now_ms)
{
	for (uint32_t i = 0; i < RATE_CLASSES_END; i++)
		buckets->of[i] = (struct bucket){ (uint64_t)config->rates[i].burst * 1000, now_ms };
}

/*
 * A router's MAC is learned from its answer to the guest's own question, so that nobody can speak first. Both frames pass
 * whatever is learned: the judge has found nothing against them.
 */
static void snoop_gateway_arp(struct snoop *snoop, const struct frame *frame, uint64_t now_ms)
{
	struct learned *lock = &snoop->state->learned;
	struct ethernet eth;
	struct arp arp;
	if (!parse_ethernet(frame, &eth) || !parse_arp(frame, ETHERNET_HEADER, &arp))
		return;
	if (eth.source == snoop->config->vm_mac) {
		lock->asked = arp.target;
		lock->asked_ms = now_ms;
		return;
	}
	bool asked = was_asked_for(snoop->state, arp.sender, now_ms);
	if (asked)
		forget_old_lock(snoop->state, now_ms);
	if (!asked || !mac_set_add(&lock->gateway_macs, arp.sender_mac))
		return;
	set_add(&lock->gateways, arp.sender);
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) /* without DHCP no ACK has set the lock */
		if (is_live(&snoop->state->ipv4[i], now_ms) && snoop->state->ipv4[i].expires_ms > lock->until_ms)
			lock->until_ms = snoop->state->ipv4[i].expires_ms;
	struct event event = { .kind = EVENT_GATEWAY_LEARNED, .address = arp.sender, .mac = arp.sender_mac,
			       .expires_ms = lock->until_ms };
	if (snoop->event)
		snoop->event(snoop->context, &event);
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
	if (punted == PUNT_GATEWAY_ARP) {
		snoop_gateway_arp(snoop, frame, now_ms);
		return PASS;
	}
	if (punted == PUNT_DAD)
		return snoop_dad(snoop, frame, now_ms);
	if (punted == PUNT_ND_CONFLICT)
		return snoop_nd_conflict(snoop, frame, now_ms);
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
