/* Who is trusted on the segment in IPv6: the operator's word, else the platform's, else what was learned. */
#pragma once
#include "core/judge/config.h"
#include "core/judge/trust.h"

/* As is_host4() of trust.h. */
INLINE bool is_host6(const struct config *config, struct address a)
{
	return set_has(&config->host6, a) || is_resident(config, a);
}

INLINE bool is_live_router6(const struct router6 *r, uint64_t now_ms)
{
	return now_ms < r->expires_ms;
}

INLINE bool is_locked_router6(const struct router6 *r, uint64_t now_ms)
{
	return now_ms < r->locked_ms;
}

/* A next hop: the host, or a router whose advertisement still holds. */
SUBPROGRAM bool is_router_of6(const struct config *config, const struct state6 *state, uint64_t high, uint64_t low,
			      uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state))
		return false;
	if (is_in_set(&config->host6, high, low))
		return true;
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++)
		if (is_live_router6(&state->routers[i], now_ms) && state->routers[i].address.low == low &&
		    state->routers[i].address.high == high)
			return true;
	return false;
}

INLINE bool is_router6(struct view view, struct address a)
{
	return is_router_of6(view.config, &view.state->ipv6, a.high, a.low, view.now_ms);
}

SUBPROGRAM bool has_router6(const struct config *config, const struct state6 *state, uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state))
		return false;
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++)
		if (is_live_router6(&state->routers[i], now_ms))
			return true;
	return config->host6.count > 0;
}

/* One was heard whose word still counts, next hop or not. */
SUBPROGRAM bool has_heard_router6(const struct state6 *state, uint64_t now_ms)
{
	if (is_given(state))
		for (uint32_t i = 0; i < ROUTERS6_MAX; i++)
			if (is_locked_router6(&state->routers[i], now_ms))
				return true;
	return false;
}

enum gateway_mac { GATEWAY_UNKNOWN, GATEWAY_MAC, OTHER_MAC };

/*
 * What is known of a MAC: a next hop, none of them, or nothing since no next hop's MAC is known. A router's lock may end
 * before the addresses that it gave; until another one is heard its MAC stays the only one.
 */
SUBPROGRAM uint32_t gateway_mac6(const struct config *config, const struct state6 *state, uint64_t mac)
{
	bool any = false;
	if (!is_given(config) || !is_given(state))
		return OTHER_MAC;
	if (config->gateway_macs.count > 0)
		return mac_set_has(&config->gateway_macs, mac) ? GATEWAY_MAC : OTHER_MAC;
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++) {
		if (state->routers[i].macs.count == 0)
			continue;
		if (mac_set_has(&state->routers[i].macs, mac))
			return GATEWAY_MAC;
		any = true;
	}
	return any ? OTHER_MAC : GATEWAY_UNKNOWN;
}

/*
 * Must unicast go through a router, though none's MAC is known? So it is where one is named, and where a server leased an
 * address. Only where all is static and no router is named is nothing known that the guest could be held to.
 */
SUBPROGRAM bool needs_router6(const struct config *config, const struct state6 *state, uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state))
		return true;
	for (uint32_t i = 0; i < ADDRESS_SET_MAX && i < config->host6.count; i++)
		if (is_link_local(config->host6.item[i]))
			return true;
	for (uint32_t i = 0; i < BINDINGS6_MAX && i < state->bindings_end; i++)
		if (state->bindings[i].origin == ORIGIN_DHCP && now_ms < state->bindings[i].expires_ms)
			return true;
	return false;
}

enum { SEEK6_MS = 1000, SOUGHT6_MS = 3000 }; /* between questions; how long an answer is one */

/* The first router that is named and whose MAC is wanted; ADDRESS_SET_MAX: none. Of several each has one of its own. */
SUBPROGRAM uint32_t find_unlearned_router6(const struct config *config, const struct state6 *state, uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state) || config->gateway_macs.count > 0)
		return ADDRESS_SET_MAX;
	for (uint32_t i = 0; i < ADDRESS_SET_MAX && i < config->host6.count; i++) {
		bool learned = !is_link_local(config->host6.item[i]);
		for (uint32_t k = 0; k < ROUTERS6_MAX; k++)
			learned = learned || (is_locked_router6(&state->routers[k], now_ms) &&
					      state->routers[k].address.low == config->host6.item[i].low);
		if (!learned)
			return i;
	}
	return ADDRESS_SET_MAX;
}

/* A packet that found no next hop may be worth a question of the guard's own. */
INLINE bool may_seek_routers6(const struct config *config, const struct state6 *state, uint64_t now_ms)
{
	uint64_t sought_ms = state->router_question.sought_ms;
	bool is_due = sought_ms == 0 || now_ms >= sought_ms + SEEK6_MS;
	return !config->strict_anchors && is_due &&
	       (gateway_mac6(config, state, MAC_NONE) == GATEWAY_UNKNOWN ||
		find_unlearned_router6(config, state, now_ms) < ADDRESS_SET_MAX);
}

/* The guard has just asked for this named router, whose MAC it does not know. */
INLINE bool is_sought_router6(const struct config *config, const struct state6 *state, struct address a, uint64_t now_ms)
{
	uint64_t sought_ms = state->router_question.sought_ms;
	return sought_ms != 0 && now_ms < sought_ms + SOUGHT6_MS && set_has(&config->host6, a) &&
	       config->gateway_macs.count == 0;
}

/* A next hop of either family, or the host: nobody else's flood may use up what is theirs. */
SUBPROGRAM bool is_known_mac(const struct config *config, const struct state *state, uint64_t mac, uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state))
		return false;
	return mac == config->resident_mac || is_gateway_mac((struct view){ config, state, now_ms }, mac) ||
	       gateway_mac6(config, &state->ipv6, mac) == GATEWAY_MAC;
}

/* What a frame to the guest costs that is more than data for it alone; concerns_guest: it asks the guest, or tells it. */
INLINE uint8_t bucket_of_uplink(struct view view, uint64_t mac, bool concerns_guest)
{
	if (is_known_mac(view.config, view.state, mac, view.now_ms))
		return RATE_OF_UPLINK_GATEWAY;
	return concerns_guest ? RATE_OF_UPLINK_ASK : RATE_OF_UPLINK_GROUP;
}

/* Somebody at `mac` uses the link-local address of a router, or of the host, whose MAC is another. */
SUBPROGRAM bool is_pose_of_router6(const struct config *config, const struct state6 *state, uint64_t low, uint64_t mac,
				   uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state))
		return true;
	if (poses_as_resident(config, (struct address){ LINK_LOCAL_PREFIX, low }, mac))
		return true;
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++)
		if (is_locked_router6(&state->routers[i], now_ms) && state->routers[i].address.low == low)
			return !mac_set_has(&state->routers[i].macs, mac) && !mac_set_has(&config->gateway_macs, mac);
	return false;
}

/* The same, for the host's addresses, too. */
INLINE bool poses_as_router6(struct view view, struct address a, uint64_t mac)
{
	if (view.config->gateway_macs.count > 0 && set_has(&view.config->host6, a))
		return !mac_set_has(&view.config->gateway_macs, mac);
	return poses_as_resident(view.config, a, mac) ||
	       (is_link_local(a) && is_pose_of_router6(view.config, &view.state->ipv6, a.low, mac, view.now_ms));
}

SUBPROGRAM bool has_link_local(const struct address_set *set)
{
	if (is_given(set))
		for (uint32_t i = 0; i < ADDRESS_SET_MAX && i < set->count; i++)
			if (is_link_local(set->item[i]))
				return true;
	return false;
}

/*
 * May this router be believed (RFC 6105)? Its MAC is a known gateway's; its address is one of the host's, where link-local
 * ones are named. Where nothing is named it is the router that was heard first, until its lock is over.
 */
SUBPROGRAM bool is_trusted_router_of6(const struct config *config, const struct state6 *state, uint64_t low,
				      uint64_t mac, uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state))
		return false;
	if (config->gateway_macs.count > 0 && !mac_set_has(&config->gateway_macs, mac))
		return false;
	if (has_link_local(&config->host6) && !is_in_set(&config->host6, LINK_LOCAL_PREFIX, low))
		return false;
	if (poses_as_resident(config, (struct address){ LINK_LOCAL_PREFIX, low }, mac))
		return false;
	bool anchored = config->gateway_macs.count > 0 || has_link_local(&config->host6), any = false;
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++) {
		const struct router6 *r = &state->routers[i];
		if (!is_locked_router6(r, now_ms))
			continue;
		if (r->address.low == low)
			return mac_set_has(&r->macs, mac) || config->gateway_macs.count > 0;
		/* Border routers of a home's radio network announce a prefix and no route: they must not keep a router out. */
		any = any || r->expires_ms != 0;
	}
	return anchored || (!any && !config->strict_anchors);
}

enum router_claim { CLAIM_REFUSED, CLAIM_RAISES_DOUBT, CLAIM_SUCCEEDS };

INLINE bool is_in_doubt6(const struct router6 *r, uint64_t now_ms)
{
	return r->questions > 0 || (r->doubt_ms != 0 && now_ms < r->doubt_ms + DOUBT_AGAIN_MS);
}

/* All questions were in vain, the last one, too. */
INLINE bool is_silent_router6(const struct router6 *r, uint64_t now_ms)
{
	return r->questions > ROUTER_SILENT ||
	       (r->questions == ROUTER_SILENT && now_ms >= r->asked_ms + ROUTER_ANSWER_MS);
}

/*
 * Somebody else claims the place of a router that was learned: of the one of this address, or, when it is 0, of all that
 * route. A claim alone is worth nothing. It makes the guard ask; where no question was answered it is believed.
 */
SUBPROGRAM uint32_t worth_of_claim6(const struct config *config, const struct state6 *state, uint64_t low, uint64_t now_ms)
{
	bool any = false, silent = true, doubted = true;
	if (!is_given(config) || !is_given(state) || config->gateway_macs.count > 0 || config->strict_anchors)
		return CLAIM_REFUSED;
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++) {
		const struct router6 *r = &state->routers[i];
		if (!is_locked_router6(r, now_ms) || (low != 0 ? r->address.low != low : r->expires_ms == 0))
			continue;
		any = true;
		silent = silent && is_silent_router6(r, now_ms);
		doubted = doubted && is_in_doubt6(r, now_ms);
	}
	if (!any)
		return CLAIM_REFUSED;
	return silent ? CLAIM_SUCCEEDS : doubted ? CLAIM_REFUSED : CLAIM_RAISES_DOUBT;
}

/* The guard is asking for this router, and waits for a sign of life. */
SUBPROGRAM bool is_asked_for_router6(const struct state6 *state, uint64_t low, uint64_t now_ms)
{
	if (is_given(state))
		for (uint32_t i = 0; i < ROUTERS6_MAX; i++)
			if (is_locked_router6(&state->routers[i], now_ms) && state->routers[i].address.low == low &&
			    state->routers[i].questions > 0)
				return true;
	return false;
}

/* An advertisement that is not trusted, but may succeed: where routers are named, of one of them. */
INLINE bool may_claim_to_route6(struct view view, struct address source)
{
	return is_link_local(source) && (!has_link_local(&view.config->host6) || set_has(&view.config->host6, source)) &&
	       !is_resident(view.config, source) &&
	       worth_of_claim6(view.config, &view.state->ipv6, 0, view.now_ms) != CLAIM_REFUSED;
}

INLINE bool is_trusted_router6(struct view view, struct address source, uint64_t mac)
{
	return is_link_local(source) &&
	       is_trusted_router_of6(view.config, &view.state->ipv6, source.low, mac, view.now_ms);
}

/* --dns, else what routers and servers named. */
SUBPROGRAM bool is_resolver_of6(const struct config *config, const struct state6 *state, uint64_t high, uint64_t low,
				uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state))
		return false;
	if (config->resolvers6.count > 0)
		return is_in_set(&config->resolvers6, high, low);
	for (uint32_t i = 0; i < RESOLVERS6_MAX; i++)
		if (now_ms < state->resolvers[i].expires_ms && state->resolvers[i].address.low == low &&
		    state->resolvers[i].address.high == high)
			return true;
	return false;
}

INLINE bool is_resolver6(struct view view, struct address a)
{
	return is_resolver_of6(view.config, &view.state->ipv6, a.high, a.low, view.now_ms);
}

INLINE bool is_locked_server6(const struct state *state, uint64_t now_ms)
{
	return now_ms < state->ipv6.server.until_ms;
}

INLINE bool is_dhcp_server6(struct view view, struct address a)
{
	return set_has(&view.config->servers6, a) ||
	       (is_locked_server6(view.state, view.now_ms) && same_address(view.state->ipv6.server.address, a));
}

/* The network's own machines: nobody else claims or leases their addresses. */
INLINE bool is_reserved6(struct view view, struct address a)
{
	return is_router6(view, a) || is_resolver6(view, a) || is_dhcp_server6(view, a) ||
	       poses_as_router6(view, a, view.config->vm_mac); /* one that is no next hop just now */
}

/* It has left questions unanswered that it had to answer. */
INLINE bool is_silent_server6(const struct learned_server6 *lock, uint64_t now_ms)
{
	return lock->questions >= SERVER_SILENT && now_ms >= lock->asked_ms + SERVER_SILENT_MS;
}

/*
 * RFC 8415: answers come from a link-local address, a relay's included. With named servers it is one of theirs, and from
 * the MAC that it had at first, or a named gateway's; with known gateways it is theirs; else the first server that
 * completed an exchange. A server that has fallen silent holds no other one off.
 */
SUBPROGRAM bool is_trusted_server_of6(const struct config *config, const struct state6 *state, uint64_t low,
				      uint64_t mac, uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state) || is_pose_of_router6(config, state, low, mac, now_ms))
		return false;
	const struct learned_server6 *lock = &state->server;
	bool locked = now_ms < lock->until_ms && !is_silent_server6(lock, now_ms);
	bool same_server = lock->address.low == low, same_mac = lock->mac == mac;
	if (config->servers6.count > 0)
		return !locked || !same_server || same_mac || mac_set_has(&config->gateway_macs, mac);
	if (config->gateway_macs.count > 0)
		return mac_set_has(&config->gateway_macs, mac);
	return locked ? same_server && same_mac : !config->strict_anchors;
}

/* At this address, and by this way to it, a server said that it may be written to. */
INLINE bool is_unicast_server6(struct view view, struct address a, uint64_t mac)
{
	const struct unicast_server6 *u = &view.state->ipv6.unicast;
	return view.now_ms < u->until_ms && same_address(u->address, a) &&
	       (u->mac == mac || gateway_mac6(view.config, &view.state->ipv6, mac) == GATEWAY_MAC);
}

INLINE bool is_trusted_server6(struct view view, struct address source, uint64_t mac)
{
	if (is_unicast_server6(view, source, mac))
		return true;
	/* libslirp answers from a wider address: only one that is named may. */
	bool named = set_has(&view.config->servers6, source);
	if (view.config->servers6.count > 0 ? !named : !is_link_local(source))
		return false;
	return is_trusted_server_of6(view.config, &view.state->ipv6, source.low, mac, view.now_ms);
}
