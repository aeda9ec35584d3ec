/* The rules of ARP and RARP. Part of the judge: judge.h includes it. */
#pragma once
#include "core/judge/decision.h"
#include "core/judge/destination.h"
#include "core/judge/trust6.h"
#include "core/wire/arp.h"
#include "core/wire/ethernet.h"

/* --- guest to uplink --------------------------------------------------------------------------------------------- */

/* RFC 5227 2.1.1: a probe claims nothing, but another host that probes the address at the same time gives it up. */
INLINE bool may_probe(const struct state *state, struct address target, uint64_t now_ms)
{
	if (owns_address4(state, target, now_ms))
		return true;
	for (uint32_t i = 0; i < TRANSACTIONS_MAX; i++) {
		const struct transaction *t = &state->dhcp4[i];
		if (now_ms < t->deadline_ms && (same_address(t->offered, target) || same_address(t->acked, target)))
			return true;
	}
	return false;
}

/* The network's own machines. */
INLINE bool is_reserved4(struct view view, struct address a)
{
	return is_router4(view, a) || is_resolver4(view, a) || is_dhcp_server4(view, a) || is_resident(view.config, a);
}

/* Asking for a host that the policy refuses anyway is a scan. Next hops, servers and resolvers may always be asked for. */
INLINE bool may_ask_for(struct view view, struct address target)
{
	return !needs_router4(view.config, view.state, view.now_ms) || is_reserved4(view, target) ||
	       owns_address4(view.state, target, view.now_ms) || has_business_with4(view, target);
}

/*
 * Nobody may keep the guest from its gateway, or from an address: a neighbor that asks in a flood uses up what answers to it
 * cost, and one that makes the guest ask for many what questions for neighbors cost. RFC 5227 3: a claim asks for its sender.
 */
INLINE uint8_t bucket_of_arp(struct view view, const struct ethernet *eth, const struct arp *arp)
{
	if (is_unset(arp->sender) || same_address(arp->sender, arp->target))
		return RATE_OF_ARP_CLAIM;
	if (arp->operation == ARP_REPLY)
		return is_known_mac(view.config, view.state, eth->destination, view.now_ms) ? RATE_OF_ARP_GATEWAY
											    : RATE_OF_ARP_ANSWER;
	return is_reserved4(view, arp->target) ? RATE_OF_ARP_GATEWAY : RATE_OF_ARP;
}

INLINE struct decision judge_arp_from_guest(struct view view, const struct frame *frame, const struct ethernet *eth)
{
	struct arp arp;
	if (!parse_arp(frame, ETHERNET_HEADER, &arp))
		return drop(DROP_ARP_MALFORMED);
	if (arp.sender_mac != view.config->vm_mac)
		return drop(DROP_ARP_SHA_SPOOF);
	if (mac_is_group(eth->destination) && eth->destination != MAC_BROADCAST)
		return drop(DROP_L2L3_MISMATCH);
	uint8_t bucket = bucket_of_arp(view, eth, &arp);
	if (is_unset(arp.sender)) {
		if (arp.operation != ARP_REQUEST || !may_probe(view.state, arp.target, view.now_ms))
			return drop(DROP_ARP_PROBE_TARGET);
		return pass(bucket, NO_BINDING);
	}
	if (!has_lease4(view.state, view.now_ms))
		return drop(DROP_ARP_NO_LEASE);
	uint32_t binding = find_binding4(view.state, arp.sender, view.now_ms);
	if (binding == NO_BINDING)
		return drop(DROP_ARP_SPA_SPOOF);
	if (arp.operation == ARP_REQUEST && !may_ask_for(view, arp.target))
		return drop(DROP_ARP_TARGET_DENIED);
	uint8_t verdict = arp.operation == ARP_REQUEST && is_learnable_router4(view, arp.target) ? PUNT_GATEWAY_ARP
												 : PASS;
	return (struct decision){ verdict, bucket, (uint8_t)binding, 0 };
}

/* Behind a migration: the hypervisor's own frame, or the guest's. It must reach the switches, so it goes to all. */
INLINE struct decision judge_rarp_from_guest(const struct config *config, const struct frame *frame,
					     const struct ethernet *eth)
{
	if (eth->destination != MAC_BROADCAST || !is_rarp_announcement(frame, ETHERNET_HEADER, config->vm_mac))
		return drop(DROP_RARP_FORM);
	return pass(RATE_OF_ARP_CLAIM, NO_BINDING);
}

/* --- uplink to guest --------------------------------------------------------------------------------------------- */

/* RFC 5227: a client must see a conflict while it still probes. Later claims would only evict an honest guest. */
enum { CONFLICT_WINDOW_MS = 10000 };

/*
 * RFC 826 does not ask that the sender's MAC be the frame's: load balancers and proxies answer for another. For the
 * addresses that matter it has to be, but where both MACs are a router's own.
 */
INLINE bool may_answer_for(struct view view, const struct arp *arp, uint64_t source)
{
	if (mac_is_group(arp->sender_mac) || arp->sender_mac == MAC_NONE || arp->sender_mac == view.config->vm_mac)
		return false;
	uint32_t sender = ipv4_of_address(arp->sender);
	if (is_router4(view, arp->sender))
		return router_mac4(view.config, view.state, sender, source, view.now_ms) == ROUTER_MAC &&
		       router_mac4(view.config, view.state, sender, arp->sender_mac, view.now_ms) == ROUTER_MAC;
	return !is_sole4(view, arp->sender) && !is_resident(view.config, arp->sender) &&
	       !is_dhcp_server4(view, arp->sender) && !is_resolver4(view, arp->sender);
}

/* What the network says in a router's name. */
INLINE struct decision judge_router_arp(struct view view, const struct arp *arp, uint8_t bucket)
{
	uint32_t lesson = LESSON_NONE;
	bool is_learnable = is_learnable_router4(view, arp->sender) &&
			    !poses_as_resident(view.config, arp->sender, arp->sender_mac);
	if (is_learnable)
		lesson = lesson_of_arp(view.state, ipv4_of_address(arp->sender), arp->sender_mac,
				       arp->operation == ARP_REPLY, view.now_ms);
	else if (poses_as_router4(view, arp->sender, arp->sender_mac))
		lesson = LESSON_SPOOF;
	if (lesson == LESSON_SPOOF)
		return drop(DROP_ARP_GATEWAY_SPOOF);
	return lesson == LESSON_NONE ? pass(bucket, NO_BINDING) : punt(PUNT_GATEWAY_ARP, bucket);
}

INLINE struct decision judge_arp_to_guest(struct view view, const struct frame *frame, const struct ethernet *eth)
{
	struct arp arp;
	if (!parse_arp(frame, ETHERNET_HEADER, &arp))
		return drop(DROP_ARP_MALFORMED);
	if (arp.sender_mac != eth->source && !may_answer_for(view, &arp, eth->source))
		return drop(DROP_ARP_SHA_SPOOF);
	uint32_t binding = find_binding4(view.state, arp.sender, view.now_ms);
	bool concerns_guest = !mac_is_group(eth->destination) || binding != NO_BINDING ||
			      may_probe(view.state, arp.target, view.now_ms);
	uint8_t bucket = bucket_of_uplink(view, eth->source, concerns_guest);
	limit_for_verifier(binding, BINDINGS4_MAX);
	if (binding < BINDINGS4_MAX && !view.config->arp_conflicts_pass && !is_shared(view.config, arp.sender) &&
	    view.now_ms >= view.state->ipv4[binding].since_ms + CONFLICT_WINDOW_MS)
		return drop(DROP_ARP_CLAIMS_GUEST);
	return judge_router_arp(view, &arp, bucket);
}
