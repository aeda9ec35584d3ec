/* The door of the slow path: takes a punted frame apart again, hands it to the file of its protocol, and keeps time. */
#include "snoop.h"
#include "arp.h"
#include "ethernet.h"
#include "ipv4.h"
#include "lease.h"
#include "trust.h"

#include <stddef.h>

void fill_buckets(const struct config *config, struct buckets *buckets, uint64_t now_ms)
{
	for (uint32_t i = 0; i < RATE_CLASSES_END; i++)
		buckets->of[i] = (struct bucket){ (uint64_t)config->rates[i].burst * 1000, now_ms };
}

bool is_leasable4(const struct config *config, const struct state *state, struct address a, uint64_t now_ms)
{
	uint32_t host = ipv4_of_address(a);
	if (!is_ipv4(a) || host >> 24 == 0 || host >> 24 == 127 || host >> 29 == 7) /* 224.0.0.0/3 */
		return false;
	if (host >> 16 == 0xa9fe) /* 169.254/16: self-assigned, never leased (RFC 3927 1.6) */
		return false;
	bool learned_server = anchors_are_locked(state, now_ms) && same_address(state->learned.server, a);
	return !is_router4(config, state, a, now_ms) && !set_has(&config->servers, a) && !learned_server;
}

bool add_static_binding(struct state *state, struct address a, uint32_t prefix_length, uint64_t now_ms)
{
	static const struct config no_anchors;
	if (prefix_length > 32 || !is_leasable4(&no_anchors, state, a, now_ms) || find_lease(state, a))
		return false;
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) {
		if (state->ipv4[i].state != BINDING_NONE)
			continue;
		state->ipv4[i] = (struct binding){ .address = a, .since_ms = now_ms, .expires_ms = NEVER_EXPIRES,
						   .used_ms = now_ms, .state = BINDING_STATIC,
						   .prefix_length = prefix_length };
		return true;
	}
	return false;
}

void relearn_anchors(struct state *state)
{
	state->learned = (struct learned){ 0 };
}

void forget_old_lock(struct state *state, uint64_t now_ms)
{
	struct learned *lock = &state->learned;
	if (!anchors_are_locked(state, now_ms))
		*lock = (struct learned){ .asked = lock->asked, .asked_ms = lock->asked_ms };
}

uint64_t expire_bindings(struct snoop *snoop, uint64_t now_ms)
{
	uint64_t next_ms = NEVER_EXPIRES;
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) {
		struct binding *b = &snoop->state->ipv4[i];
		if (b->state == BINDING_NONE)
			continue;
		if (!is_live(b, now_ms))
			remove_lease(snoop, b, "expired");
		else if (b->expires_ms < next_ms)
			next_ms = b->expires_ms;
	}
	return next_ms;
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
	bool asked = same_address(lock->asked, arp.sender) && now_ms < lock->asked_ms + GATEWAY_ANSWER_MS;
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
	return parse_dhcp(frame, ip.payload + 8, ip.payload + udp.length, &f->message);
}

enum verdict snoop_frame(struct snoop *snoop, enum verdict punted, const struct frame *frame, uint64_t now_ms)
{
	struct dhcp_frame f;
	if (punted == PUNT_GATEWAY_ARP) {
		snoop_gateway_arp(snoop, frame, now_ms);
		return PASS;
	}
	if (!parse_dhcp_frame(frame, &f))
		return DROP_DHCP4_MALFORMED;
	return punted == PUNT_DHCP4_CLIENT ? snoop_dhcp4_client(snoop, &f, now_ms)
					   : snoop_dhcp4_server(snoop, &f, now_ms);
}
