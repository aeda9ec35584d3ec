/* Which addresses DNS may give a name, and which a name may open. */
#pragma once
#include "core/judge/destination6.h"
#include "core/names/names.h"

INLINE struct view view_of_names(const struct names *names, uint64_t now_ms)
{
	return (struct view){ names->config, names->state, now_ms };
}

INLINE uint8_t special_class(const struct config *config, struct address a)
{
	return (uint8_t)config->policy.interval[find_interval(&config->policy, a.high, a.low)].special;
}

/* The IPv4 address that a translator makes of it, or NOT_TRANSLATED. */
INLINE uint64_t behind_translator(const struct names *names, struct address a, uint64_t now_ms)
{
	if (is_ipv4(a))
		return NOT_TRANSLATED;
	uint64_t ipv4 = translated_ipv4(names->config, &names->state->ipv6, a.high, a.low, now_ms);
	return ipv4 == NOT_TRANSLATED || (ipv4 & ONLY_CLOSES) ? NOT_TRANSLATED : ipv4;
}

/* Names open global addresses alone. Whether one is private does not depend on who answers a question. */
INLINE bool is_nameable(const struct names *names, struct address a, uint64_t now_ms)
{
	uint64_t ipv4 = behind_translator(names, a, now_ms);
	if (ipv4 != NOT_TRANSLATED)
		a = address_of_ipv4((uint32_t)ipv4);
	if (special_class(names->config, a) != CLASS_GLOBAL)
		return false;
	return is_ipv4(a) ? !owns_address4(names->state, a, now_ms)
			  : !is_in_site(names->config, &names->state->ipv6, a.high) &&
				!is_held6(view_of_names(names, now_ms), a);
}

/* Rules of addresses, or their defaults, let the guest reach it anyway in some way. */
INLINE bool is_open_by_address(const struct names *names, struct address a, uint64_t now_ms)
{
	return is_ipv4(a) ? has_business_with4(view_of_names(names, now_ms), a)
			  : has_business_with6(view_of_names(names, now_ms), a);
}

/* The length of the prefix that is blocked for this contact; 0: none is, or everything is. */
INLINE uint32_t blocked_prefix(const struct names *names, const struct contact *c, uint64_t now_ms)
{
	uint32_t aliases = is_ipv4(c->peer) ? aliases_of4(view_of_names(names, now_ms), c->peer)
					    : aliases_of6(view_of_names(names, now_ms), c->peer);
	struct ruling ruling = rule_on(&names->config->policy, c, aliases);
	return ruling.class != CLASS_NONE && ruling.class != CLASS_ALLOWED ? ruling.prefix_length : 0;
}

/* A block of exactly this address stands before every name. */
INLINE bool is_blocked_itself(const struct names *names, const struct contact *c, uint64_t now_ms)
{
	return blocked_prefix(names, c, now_ms) >= 128;
}
