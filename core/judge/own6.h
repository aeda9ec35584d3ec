/* Which IPv6 addresses are the guest's. */
#pragma once
#include "core/judge/config.h"
#include "core/judge/state.h"

INLINE bool is_live_prefix(const struct prefix6 *p, uint64_t now_ms)
{
	return now_ms < p->expires_ms;
}

/* In fe80::/64, or in a prefix that a router announced for SLAAC (RFC 4862 5.5.3): 64 bits, so the upper half decides. */
SUBPROGRAM bool is_slaac_prefix(const struct state6 *state, uint64_t high, uint64_t now_ms)
{
	if (!is_given(state))
		return false;
	if (high == LINK_LOCAL_PREFIX)
		return true;
	for (uint32_t i = 0; i < PREFIXES_MAX; i++)
		if (is_live_prefix(&state->prefixes[i], now_ms) && state->prefixes[i].autonomous &&
		    state->prefixes[i].prefix.high == high)
			return true;
	return false;
}

/* RFC 5942 4: on the link is what a router said to be, and the subnets of static addresses. */
SUBPROGRAM bool is_on_link6(const struct state6 *state, uint64_t high, uint64_t low, uint64_t now_ms)
{
	struct address a = { high, low };
	if (is_given(state))
		for (uint32_t i = 0; i < PREFIXES_MAX; i++)
			if (is_live_prefix(&state->prefixes[i], now_ms) && state->prefixes[i].on_link &&
			    is_in_prefix(a, state->prefixes[i].prefix, state->prefixes[i].length))
				return true;
	return false;
}

/*
 * Made from the MAC address of another machine (RFC 4291 appendix A): ff:fe in the middle, and the bit of group addresses
 * off, which no machine's own MAC has on. One random identifier in 131,072 looks so, too.
 */
INLINE bool is_made_from_other_mac(const struct config *config, uint64_t id)
{
	return (id >> 24 & 0xffff) == 0xfffe && (id >> 56 & 1) == 0 && id != interface_id_of(config->vm_mac);
}

/* binding: index of the entry, or NO_BINDING; the addresses that are made from vm_mac are own without one. */
struct holding {
	uint32_t status; /* enum binding_status */
	uint32_t binding;
};

INLINE struct holding holding_of(struct view view, struct address a)
{
	uint32_t index = find_binding_of6(&view.state->ipv6, a.high, a.low, view.now_ms);
	limit_for_verifier(index, BINDINGS6_MAX);
	if (index < BINDINGS6_MAX)
		return (struct holding){ status_of(&view.state->ipv6.bindings[index], view.now_ms),
					 BINDINGS4_MAX + index };
	bool own = a.low == interface_id_of(view.config->vm_mac) &&
		   is_slaac_prefix(&view.state->ipv6, a.high, view.now_ms);
	return (struct holding){ own ? STATUS_VALID : STATUS_FOREIGN, NO_BINDING };
}

INLINE bool is_own6(struct view view, struct address a)
{
	return holding_of(view, a).status == STATUS_VALID;
}

/* Own or on the way to it. */
INLINE bool is_held6(struct view view, struct address a)
{
	return holding_of(view, a).status != STATUS_FOREIGN;
}
