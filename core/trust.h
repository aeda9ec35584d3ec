/* Who is trusted on the segment: the operator's word, else the platform's, else what was learned and is still locked. */
#pragma once
#include "config.h"
#include "state.h"

INLINE bool anchors_are_locked(const struct state *state, uint64_t now_ms)
{
	return now_ms < state->learned.until_ms;
}

/* Next-hop MACs are known, so frames to other MACs can be told. */
INLINE bool knows_gateway(const struct config *config, const struct state *state, uint64_t now_ms)
{
	return config->gateway_macs.count > 0 ||
	       (anchors_are_locked(state, now_ms) && state->learned.gateway_macs.count > 0);
}

INLINE bool is_gateway_mac(const struct config *config, const struct state *state, uint64_t mac, uint64_t now_ms)
{
	if (config->gateway_macs.count > 0)
		return mac_set_has(&config->gateway_macs, mac);
	return anchors_are_locked(state, now_ms) && mac_set_has(&state->learned.gateway_macs, mac);
}

/* The host's own address, where the host only lives on the segment and the router may be another machine. */
INLINE bool is_resident(const struct config *config, struct address a)
{
	return set_has(&config->resident, a);
}

/* @host, whether it is the router or not. */
INLINE bool is_host4(const struct config *config, struct address a)
{
	return set_has(&config->host, a) || is_resident(config, a);
}

/* To the host itself: it is no router, but what is sent to its own addresses goes no further. */
INLINE bool is_to_resident(const struct config *config, struct address a, uint64_t mac)
{
	return mac == config->resident_mac && is_resident(config, a);
}

INLINE bool poses_as_resident(const struct config *config, struct address a, uint64_t mac)
{
	return mac != config->resident_mac && is_resident(config, a);
}

/* The next-hop routers: the host, and option 3 of the live leases. */
SUBPROGRAM bool is_router_ipv4(const struct config *config, const struct state *state, uint32_t ipv4, uint64_t now_ms)
{
	struct address a = address_of_ipv4(ipv4);
	if (!is_given(config) || !is_given(state))
		return false;
	if (set_has(&config->host, a))
		return true;
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		if (is_live(&state->ipv4[i], now_ms) && set_has(&state->ipv4[i].routers, a))
			return true;
	return false;
}

INLINE bool is_router4(const struct config *config, const struct state *state, struct address a, uint64_t now_ms)
{
	return is_ipv4(a) && is_router_ipv4(config, state, ipv4_of_address(a), now_ms);
}

/* The MAC of this router is known, by anchors that hold for all of them or because it was learned. */
INLINE bool knows_mac_of(const struct config *config, const struct state *state, struct address router, uint64_t now_ms)
{
	return config->gateway_macs.count > 0 ||
	       (anchors_are_locked(state, now_ms) && set_has(&state->learned.gateways, router));
}

/* Somebody at `mac` uses the address of a router, or of the host, whose MAC is another. */
INLINE bool poses_as_router4(const struct config *config, const struct state *state, struct address a, uint64_t mac,
			     uint64_t now_ms)
{
	return poses_as_resident(config, a, mac) ||
	       (!is_gateway_mac(config, state, mac, now_ms) && is_router4(config, state, a, now_ms) &&
		knows_mac_of(config, state, a, now_ms));
}

/* A router whose MAC is still to be learned from its answer to the guest's question. */
INLINE bool is_unlearned_router4(const struct config *config, const struct state *state, struct address a,
				 uint64_t now_ms)
{
	return !config->strict_anchors && is_router4(config, state, a, now_ms) &&
	       !knows_mac_of(config, state, a, now_ms);
}

enum { GATEWAY_ANSWER_MS = 3000 };

/* The guest asked ARP for this router a moment ago: only an answer to its own question teaches a MAC. */
INLINE bool was_asked_for(const struct state *state, struct address a, uint64_t now_ms)
{
	return same_address(state->learned.asked, a) && now_ms < state->learned.asked_ms + GATEWAY_ANSWER_MS;
}

SUBPROGRAM bool has_router4(const struct config *config, const struct state *state, uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state))
		return false;
	for (uint32_t i = 0; i < ADDRESS_SET_MAX && i < config->host.count; i++)
		if (is_ipv4(config->host.item[i]))
			return true;
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		if (is_live(&state->ipv4[i], now_ms) && state->ipv4[i].routers.count > 0)
			return true;
	return false;
}

/* Resolvers: --dns, or option 6 of the live leases. */
SUBPROGRAM bool is_resolver_ipv4(const struct config *config, const struct state *state, uint32_t ipv4, uint64_t now_ms)
{
	struct address a = address_of_ipv4(ipv4);
	if (!is_given(config) || !is_given(state))
		return false;
	if (config->resolvers.count > 0)
		return set_has(&config->resolvers, a);
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		if (is_live(&state->ipv4[i], now_ms) && set_has(&state->ipv4[i].resolvers, a))
			return true;
	return false;
}

INLINE bool is_resolver4(const struct config *config, const struct state *state, struct address a, uint64_t now_ms)
{
	return is_ipv4(a) && is_resolver_ipv4(config, state, ipv4_of_address(a), now_ms);
}

/* The servers that anchors name; none: they are learned. */
INLINE const struct address_set *anchored_servers(const struct config *config)
{
	return config->servers.count > 0 ? &config->servers : &config->host;
}

/* The address of a server whose answers the guest holds a lease from: a relay may have stood in between at first. */
INLINE bool serves_a_lease(const struct state *state, struct address a, uint64_t now_ms)
{
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		if (is_live(&state->ipv4[i], now_ms) && same_address(state->ipv4[i].server, a))
			return true;
	return false;
}

/* Servers that a client message may be sent to by unicast. */
SUBPROGRAM bool is_server_ipv4(const struct config *config, const struct state *state, uint32_t ipv4, uint64_t now_ms)
{
	struct address a = address_of_ipv4(ipv4);
	if (!is_given(config) || !is_given(state))
		return false;
	if (set_has(anchored_servers(config), a) || (anchors_are_locked(state, now_ms) && same_address(state->learned.server, a)))
		return true;
	return serves_a_lease(state, a, now_ms);
}

INLINE bool is_dhcp_server4(const struct config *config, const struct state *state, struct address a, uint64_t now_ms)
{
	return is_ipv4(a) && is_server_ipv4(config, state, ipv4_of_address(a), now_ms);
}

/*
 * Is this the server? With anchors its address is one of theirs. Without, it is the first one that completed an exchange,
 * by MAC and address, or the server identifier of a lease (RFC 2131 4.3.6: renewals go past the relay). In both cases a
 * router's address comes with a router's MAC, and a server's with the MAC it had at its first ACK.
 */
SUBPROGRAM bool is_trusted_server4(const struct config *config, const struct state *state, uint32_t ipv4, uint64_t mac,
				   uint64_t now_ms)
{
	struct address source = address_of_ipv4(ipv4);
	if (!is_given(config) || !is_given(state) || poses_as_router4(config, state, source, mac, now_ms))
		return false;
	const struct learned *lock = &state->learned;
	bool locked = anchors_are_locked(state, now_ms) && !is_unset(lock->server);
	bool same_server = same_address(lock->server, source), same_mac = lock->server_mac == mac;
	if (anchored_servers(config)->count > 0)
		return set_has(anchored_servers(config), source) && (!locked || !same_server || same_mac);
	if (config->strict_anchors)
		return false;
	return !locked || (same_mac && (same_server || serves_a_lease(state, source, now_ms)));
}
