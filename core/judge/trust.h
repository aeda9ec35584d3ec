/* Who is trusted on the segment: the operator's word, else the platform's, else what was learned and is still locked. */
#pragma once
#include "core/judge/config.h"
#include "core/judge/state.h"

/* --shared-ip: an address that the guest may use, and other machines as well. */
INLINE bool is_shared(const struct config *config, struct address a)
{
	return config->shared.count > 0 && set_has(&config->shared, a);
}

/* The guest's, and nobody else's. --arp-conflicts pass says that others may have what --vm-ip lists, as well. */
SUBPROGRAM bool is_sole_ipv4(const struct config *config, const struct state *state, uint32_t ipv4, uint64_t now_ms)
{
	struct address a = address_of_ipv4(ipv4);
	if (!is_given(config) || !is_given(state))
		return true;
	uint32_t binding = find_binding4(state, a, now_ms);
	limit_for_verifier(binding, BINDINGS4_MAX);
	if (binding >= BINDINGS4_MAX || is_shared(config, a))
		return false;
	return !config->arp_conflicts_pass || state->ipv4[binding].state != BINDING_STATIC;
}

INLINE bool is_sole4(struct view view, struct address a)
{
	return is_ipv4(a) && is_sole_ipv4(view.config, view.state, ipv4_of_address(a), view.now_ms);
}

INLINE bool is_locked(const struct locked *l, uint64_t now_ms)
{
	return now_ms < l->until_ms && l->macs.count > 0;
}

/* The entry of the router, whether its MAC is known or not; ROUTERS4_MAX: none. */
SUBPROGRAM uint32_t find_router_entry4(const struct state *state, uint32_t ipv4)
{
	if (is_given(state))
		for (uint32_t i = 0; i < ROUTERS4_MAX; i++)
			if (state->learned.routers[i].lock.address.low == (MAPPED_IPV4 | ipv4))
				return i;
	return ROUTERS4_MAX;
}

/* The MAC of some router that was learned. */
SUBPROGRAM bool is_learned_router_mac(const struct state *state, uint64_t mac, uint64_t now_ms)
{
	if (is_given(state))
		for (uint32_t i = 0; i < ROUTERS4_MAX; i++)
			if (is_locked(&state->learned.routers[i].lock, now_ms) &&
			    mac_set_has(&state->learned.routers[i].lock.macs, mac))
				return true;
	return false;
}

/* The MAC of a DHCP server that has completed an exchange. */
SUBPROGRAM bool is_learned_server_mac(const struct state *state, uint64_t mac, uint64_t now_ms)
{
	if (is_given(state))
		for (uint32_t i = 0; i < SERVERS4_MAX; i++)
			if (is_locked(&state->learned.servers[i], now_ms) &&
			    mac_set_has(&state->learned.servers[i].macs, mac))
				return true;
	return false;
}

/* A next hop. What is named is named for all routers; what was learned of one is good for frames to any. */
INLINE bool is_gateway_mac(struct view view, uint64_t mac)
{
	return view.config->gateway_macs.count > 0 ? mac_set_has(&view.config->gateway_macs, mac)
						   : is_learned_router_mac(view.state, mac, view.now_ms);
}

/* Some next hop's MAC is known. */
SUBPROGRAM bool knows_gateway(const struct config *config, const struct state *state, uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state))
		return true;
	for (uint32_t i = 0; i < ROUTERS4_MAX; i++)
		if (is_locked(&state->learned.routers[i].lock, now_ms))
			return true;
	return config->gateway_macs.count > 0;
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

INLINE bool is_router4(struct view view, struct address a)
{
	return is_ipv4(a) && is_router_ipv4(view.config, view.state, ipv4_of_address(a), view.now_ms);
}

enum router_mac { ROUTER_UNLEARNED, ROUTER_MAC, ROUTER_OTHER_MAC };

/* What this MAC is to this router. One router's learned MAC says nothing of another router. */
SUBPROGRAM uint32_t router_mac4(const struct config *config, const struct state *state, uint32_t ipv4, uint64_t mac,
				uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state))
		return ROUTER_OTHER_MAC;
	if (config->gateway_macs.count > 0)
		return mac_set_has(&config->gateway_macs, mac) ? ROUTER_MAC : ROUTER_OTHER_MAC;
	for (uint32_t i = 0; i < ROUTERS4_MAX; i++) {
		const struct locked *l = &state->learned.routers[i].lock;
		if (l->address.low == (MAPPED_IPV4 | ipv4) && is_locked(l, now_ms))
			return mac_set_has(&l->macs, mac) ? ROUTER_MAC : ROUTER_OTHER_MAC;
	}
	return ROUTER_UNLEARNED;
}

/* Somebody at `mac` uses the address of a router, or of the host, whose MAC is another. */
INLINE bool poses_as_router4(struct view view, struct address a, uint64_t mac)
{
	return poses_as_resident(view.config, a, mac) ||
	       (is_router4(view, a) &&
		router_mac4(view.config, view.state, ipv4_of_address(a), mac, view.now_ms) == ROUTER_OTHER_MAC);
}

/*
 * The same for packets and DHCP. A router of a VRRP or CARP group answers ARP with the group's MAC, and speaks from its own;
 * where it is the DHCP server, too, that one is known. Who holds such a MAC is trusted with more than this.
 */
INLINE bool speaks_as_router4(struct view view, struct address a, uint64_t mac)
{
	return poses_as_resident(view.config, a, mac) ||
	       (poses_as_router4(view, a, mac) &&
		(view.config->gateway_macs.count > 0 || !is_learned_server_mac(view.state, mac, view.now_ms)));
}

/* The MAC of the router is learned, not named: its ARP teaches. */
INLINE bool is_learnable_router4(struct view view, struct address a)
{
	return !view.config->strict_anchors && view.config->gateway_macs.count == 0 && is_router4(view, a);
}

enum {
	GATEWAY_ANSWER_MS = 3000, /* only an answer to a question that was just asked teaches a MAC */
	ROUTER_QUESTIONS = 3, /* NUD asks three times by unicast, a second apart, and then everybody (RFC 4861 10, Linux) */
	ROUTER_SILENCE_MS = 2000,
	SUSPECT_MS = 10000, /* a neighbor that goes on claiming costs the router one answer in this time */
	SEEK_MS = 1000,
	SERVER_QUESTIONS = 2,    /* a renewal and a rebinding, or two DISCOVERs ... */
	SERVER_SILENCE_MS = 4000 /* ... between which clients wait four seconds and more (RFC 2131 4.1) */
};

INLINE bool is_silent(const struct silence *s, uint32_t questions, uint64_t silence_ms, uint64_t now_ms)
{
	return s->count >= questions && now_ms >= s->since_ms + silence_ms;
}

INLINE bool was_just_asked(const struct silence *s, uint64_t now_ms)
{
	return s->last_ms != 0 && now_ms < s->last_ms + GATEWAY_ANSWER_MS;
}

enum arp_lesson { LESSON_NONE, LESSON_LEARN, LESSON_ALIVE, LESSON_SUCCEED, LESSON_SUSPECT, LESSON_SPOOF };

/*
 * What an ARP frame in the name of a router whose MAC is learned tells: its MAC, that it lives, or, when it has left
 * questions unanswered, that another MAC has its address now. Else somebody poses as it, and now and then the guard asks.
 */
SUBPROGRAM uint32_t lesson_of_arp(const struct state *state, uint32_t ipv4, uint64_t mac, uint32_t is_reply,
				  uint64_t now_ms)
{
	uint32_t index = find_router_entry4(state, ipv4);
	limit_for_verifier(index, ROUTERS4_MAX);
	if (!is_given(state) || index >= ROUTERS4_MAX)
		return LESSON_NONE;
	const struct router4 *r = &state->learned.routers[index];
	if (!is_locked(&r->lock, now_ms))
		return is_reply && was_just_asked(&r->asked, now_ms) ? LESSON_LEARN : LESSON_NONE;
	if (mac_set_has(&r->lock.macs, mac))
		return r->asked.count > 0 ? LESSON_ALIVE : LESSON_NONE;
	if (is_silent(&r->asked, ROUTER_QUESTIONS, ROUTER_SILENCE_MS, now_ms) && was_just_asked(&r->asked, now_ms))
		return LESSON_SUCCEED;
	return r->run_ms == 0 || now_ms >= r->run_ms + SUSPECT_MS ? LESSON_SUSPECT : LESSON_SPOOF;
}

/* A packet that found no next hop may be worth a question of the guard's own. */
INLINE bool may_seek_routers4(struct view view)
{
	return !view.config->strict_anchors && view.config->gateway_macs.count == 0 &&
	       view.now_ms >= view.state->learned.sought_ms + SEEK_MS;
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

/*
 * Is there a router that unicast must go through? A guest that leases an address chooses which options it asks for, so a
 * lease without a router is no leave to use any machine as one, and neither is a shared address while it has no lease.
 * Only where all is static and no router is named is nothing known that the guest could be held to.
 */
SUBPROGRAM bool needs_router4(const struct config *config, const struct state *state, uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state))
		return true;
	if (config->gateway_macs.count > 0 || has_router4(config, state, now_ms))
		return true;
	bool is_static = config->dhcp_off;
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) {
		const struct binding *b = &state->ipv4[i];
		if (is_live(b, now_ms) && b->state != BINDING_STATIC)
			return true;
		is_static = is_static || (b->state == BINDING_STATIC && !is_shared(config, b->address));
	}
	return !is_static;
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

INLINE bool is_resolver4(struct view view, struct address a)
{
	return is_ipv4(a) && is_resolver_ipv4(view.config, view.state, ipv4_of_address(a), view.now_ms);
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

/* The learned server of this address, or SERVERS4_MAX. */
SUBPROGRAM uint32_t find_server_entry4(const struct state *state, uint32_t ipv4, uint64_t now_ms)
{
	if (is_given(state))
		for (uint32_t i = 0; i < SERVERS4_MAX; i++)
			if (state->learned.servers[i].address.low == (MAPPED_IPV4 | ipv4) &&
			    is_locked(&state->learned.servers[i], now_ms))
				return i;
	return SERVERS4_MAX;
}

SUBPROGRAM bool has_learned_server4(const struct state *state, uint64_t now_ms)
{
	if (is_given(state))
		for (uint32_t i = 0; i < SERVERS4_MAX; i++)
			if (is_locked(&state->learned.servers[i], now_ms))
				return true;
	return false;
}

/* Servers that a client message may be sent to by unicast. */
SUBPROGRAM bool is_server_ipv4(const struct config *config, const struct state *state, uint32_t ipv4, uint64_t now_ms)
{
	struct address a = address_of_ipv4(ipv4);
	if (!is_given(config) || !is_given(state))
		return false;
	return set_has(anchored_servers(config), a) || serves_a_lease(state, a, now_ms) ||
	       find_server_entry4(state, ipv4, now_ms) < SERVERS4_MAX;
}

INLINE bool is_dhcp_server4(struct view view, struct address a)
{
	return is_ipv4(a) && is_server_ipv4(view.config, view.state, ipv4_of_address(a), view.now_ms);
}

/* This MAC is one of those that the machine at this address has had, as a server or as a router. */
INLINE bool has_had_mac4(struct view view, uint32_t ipv4, uint64_t mac)
{
	uint32_t entry = find_server_entry4(view.state, ipv4, view.now_ms);
	limit_for_verifier(entry, SERVERS4_MAX);
	if (entry < SERVERS4_MAX && mac_set_has(&view.state->learned.servers[entry].macs, mac))
		return true;
	return is_router_ipv4(view.config, view.state, ipv4, view.now_ms) &&
	       router_mac4(view.config, view.state, ipv4, mac, view.now_ms) == ROUTER_MAC;
}

/*
 * Is this the server? With anchors its address is one of theirs. Without, it is one that completed an exchange, by MAC and
 * address. Or it is the server identifier of a lease (RFC 2131 4.3.6: renewals go past the relay), at the MAC of a router
 * or of a server. A router's address comes with a router's MAC, and a server's with one that it has had.
 */
SUBPROGRAM bool is_trusted_server4(const struct config *config, const struct state *state, uint32_t ipv4, uint64_t mac,
				   uint64_t now_ms)
{
	struct address source = address_of_ipv4(ipv4);
	struct view view = { config, state, now_ms };
	if (!is_given(config) || !is_given(state) || speaks_as_router4(view, source, mac))
		return false;
	bool is_learned = find_server_entry4(state, ipv4, now_ms) < SERVERS4_MAX;
	bool has_good_mac = has_had_mac4(view, ipv4, mac);
	if (anchored_servers(config)->count > 0 && set_has(anchored_servers(config), source))
		return !is_learned || has_good_mac;
	if (anchored_servers(config)->count == 0 && !config->strict_anchors &&
	    (!has_learned_server4(state, now_ms) || (is_learned && has_good_mac)))
		return true;
	return serves_a_lease(state, source, now_ms) &&
	       (is_gateway_mac(view, mac) || is_learned_server_mac(state, mac, now_ms));
}

/*
 * The trusted servers have left the guest's messages unanswered: another one may answer now, and a named one from another
 * MAC. Not in the name of a router that nobody has seen to be silent.
 */
SUBPROGRAM bool may_succeed_server4(const struct config *config, const struct state *state, uint32_t ipv4, uint64_t mac,
				    uint64_t now_ms)
{
	struct address source = address_of_ipv4(ipv4);
	struct view view = { config, state, now_ms };
	if (!is_given(config) || !is_given(state) || config->strict_anchors ||
	    !is_silent(&state->learned.asked, SERVER_QUESTIONS, SERVER_SILENCE_MS, now_ms))
		return false;
	if (speaks_as_router4(view, source, mac) &&
	    (config->gateway_macs.count > 0 || find_server_entry4(state, ipv4, now_ms) == SERVERS4_MAX))
		return false;
	return anchored_servers(config)->count == 0 || set_has(anchored_servers(config), source);
}

/*
 * The server of a lease answers from another MAC a message that it got by unicast, under an id that nobody else has heard:
 * a second network card, or another machine of its group. What is named does not change by that.
 */
SUBPROGRAM bool may_vouch_server4(const struct config *config, const struct state *state, uint32_t ipv4, uint64_t mac,
				  uint64_t now_ms)
{
	struct address source = address_of_ipv4(ipv4);
	struct view view = { config, state, now_ms };
	if (!is_given(config) || !is_given(state) || config->strict_anchors)
		return false;
	if (config->gateway_macs.count > 0 && speaks_as_router4(view, source, mac))
		return false;
	return serves_a_lease(state, source, now_ms);
}
