/* May the guest send to this address? The rules, the special-purpose table and what the lease said, in that order. */
#pragma once
#include "ipv4.h"
#include "trust.h"
#include "verdict.h"

/* A destination as the policy sees it. Ports are 0 in a later fragment and in protocols without ports. */
struct destination {
	struct address address;
	uint8_t protocol;
	uint16_t source_port, port;
};

struct permission {
	uint8_t verdict;
	bool by_rule; /* an operator's rule opened it */
};

/*
 * Rules at host length, the aliases among them: block before allow. CLASS_NONE: none of them speaks of the address.
 * The sets behind the aliases are only searched when a rule names an alias.
 */
INLINE uint32_t host_rule(const struct config *config, const struct state *state, struct address a,
			  const struct interval *found, uint64_t now_ms)
{
	const uint8_t *alias = config->policy.alias;
	uint32_t class = CLASS_NONE;
	if (found->prefix_length == 128 && (found->class == CLASS_ALLOWED || found->class == CLASS_BLOCKED))
		class = found->class;
	if (class != CLASS_BLOCKED && alias[ALIAS_HOST] != CLASS_NONE && set_has(&config->host, a))
		class = alias[ALIAS_HOST];
	if (class != CLASS_BLOCKED && alias[ALIAS_GATEWAY] != CLASS_NONE && is_router4(config, state, a, now_ms))
		class = alias[ALIAS_GATEWAY];
	if (class != CLASS_BLOCKED && alias[ALIAS_DNS] != CLASS_NONE && is_resolver4(config, state, a, now_ms))
		class = alias[ALIAS_DNS];
	return class;
}

/* The network's own broadcast address in one of the guest's subnets (RFC 1812 5.3.5.2); /31 and /32 have none. */
SUBPROGRAM bool is_broadcast_ipv4(const struct state *state, uint32_t ipv4, uint64_t now_ms)
{
	if (!is_given(state))
		return false;
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) {
		const struct binding *b = &state->ipv4[i];
		if (!is_live(b, now_ms) || b->prefix_length > 30)
			continue;
		uint32_t mask = ipv4_mask(b->prefix_length);
		if (ipv4 == (ipv4_of_address(b->address) | ~mask))
			return true;
	}
	return false;
}

INLINE bool is_directed_broadcast(const struct state *state, struct address a, uint64_t now_ms)
{
	return is_ipv4(a) && is_broadcast_ipv4(state, ipv4_of_address(a), now_ms);
}

INLINE struct permission may_reach(const struct config *config, const struct state *state, const struct destination *to,
				   uint64_t now_ms)
{
	const struct interval *found = policy_lookup(&config->policy, to->address);
	if (found->class == CLASS_NEVER || owns_address4(state, to->address, now_ms))
		return (struct permission){ DROP_DST_INVALID, false };
	uint32_t rule = host_rule(config, state, to->address, found, now_ms);
	if (rule == CLASS_NONE && (found->class == CLASS_ALLOWED || found->class == CLASS_BLOCKED))
		rule = found->class;
	if (rule == CLASS_BLOCKED)
		return (struct permission){ DROP_DST_BLOCKED, false };
	if (rule == CLASS_ALLOWED)
		return (struct permission){ PASS, true };
	if (found->class == CLASS_GROUP_WIDE)
		return (struct permission){ PASS, false };
	if (found->class == CLASS_GROUP_LOCAL) {
		/* RFC 6762 3: guests are found by mDNS; nothing else of the local blocks is theirs. */
		bool mdns = to->address.low == (MAPPED_IPV4 | 0xe00000fbU) && to->protocol == PROTOCOL_UDP &&
			    to->source_port == MDNS_PORT && to->port == MDNS_PORT;
		return (struct permission){ mdns ? PASS : DROP_DST_MULTICAST, false };
	}
	if (found->class == CLASS_BROADCAST || is_directed_broadcast(state, to->address, now_ms))
		return (struct permission){ DROP_DST_BROADCAST, false };
	if (set_has(&config->host, to->address))
		return (struct permission){ PASS, false };
	if (found->class == CLASS_GLOBAL)
		return (struct permission){ config->policy.global_blocked ? DROP_DST_BLOCKED : PASS, false };
	if ((to->protocol == PROTOCOL_UDP || to->protocol == PROTOCOL_TCP) && to->port == DNS_PORT &&
	    is_resolver4(config, state, to->address, now_ms))
		return (struct permission){ PASS, false };
	return (struct permission){ DROP_DST_PRIVATE, false };
}
