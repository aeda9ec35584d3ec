/* May the guest send to this IPv6 address? As destination.h, with what only IPv6 has: sites, translators, scopes. */
#pragma once
#include "destination.h"
#include "ipv6.h"
#include "own6.h"
#include "trust6.h"

INLINE uint64_t octet_of(struct address a, uint32_t index)
{
	return (index < 8 ? a.high >> (56 - 8 * index) : a.low >> (56 - 8 * (index - 8))) & 0xff;
}

#define NOT_TRANSLATED UINT64_MAX

/* RFC 6052 2.2: the IPv4 address stands behind the prefix, and octet 8 is left out. NOT_TRANSLATED: another prefix. */
INLINE uint64_t translated_by(const struct nat64_prefix *p, struct address a)
{
	uint64_t ipv4 = 0;
	uint32_t length = p->length;
	hide_from_optimizer(length);
	if (length < 32 || length > 96 || !is_in_prefix(a, p->prefix, length))
		return NOT_TRANSLATED;
	for (uint32_t i = 0, at = length / 8; i < 4; i++, at++) {
		at += at == 8;
		ipv4 = ipv4 << 8 | octet_of(a, at & 15);
	}
	return ipv4;
}

#define WELL_KNOWN_PREFIX 0x0064ff9b00000000ULL /* 64:ff9b::/96 */

#define ONLY_CLOSES (1ULL << 32)

/* The IPv4 address that a translator would make of it, perhaps with ONLY_CLOSES; or NOT_TRANSLATED. */
SUBPROGRAM uint64_t translated_ipv4(const struct config *config, const struct state6 *state, uint64_t high, uint64_t low,
				    uint64_t now_ms)
{
	struct address a = { high, low };
	uint64_t ipv4 = NOT_TRANSLATED;
	if (!is_given(config) || !is_given(state))
		return 0;
	if (high == WELL_KNOWN_PREFIX && low >> 32 == 0)
		return low;
	for (uint32_t i = 0; i < NAT64_PREFIXES_MAX && i < config->nat64.count && ipv4 == NOT_TRANSLATED; i++)
		ipv4 = translated_by(&config->nat64.item[i], a);
	/* One that has run out still closes, but opens no more. What is on the link does not go through a router. */
	for (uint32_t i = 0; i < TRANSLATORS_MAX && ipv4 == NOT_TRANSLATED; i++)
		if (state->translators[i].expires_ms != 0 && !is_on_link6(state, high, low, now_ms)) {
			ipv4 = translated_by(&state->translators[i].nat64, a);
			if (ipv4 != NOT_TRANSLATED && now_ms >= state->translators[i].expires_ms)
				ipv4 |= ONLY_CLOSES;
		}
	return ipv4;
}

SUBPROGRAM bool is_in_site(const struct config *config, const struct state6 *state, uint64_t high)
{
	if (!is_given(config) || !is_given(state))
		return true;
	for (uint32_t i = 0; i < SITES_MAX && i < config->sites.count; i++)
		if (config->sites.item[i] == (high & SITE_MASK))
			return true;
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++) { /* a leased or static address may lie in no prefix */
		struct address own = state->bindings[i].address;
		if (is_global6(own) && !((own.high ^ high) & SITE_MASK))
			return true;
	}
	for (uint32_t i = 0; i < PREFIXES_MAX; i++) { /* also one that has run out: a LAN may outlive its announcement */
		const struct prefix6 *p = &state->prefixes[i];
		if (p->expires_ms != 0 && is_global6(p->prefix) && !((p->prefix.high ^ high) & SITE_MASK))
			return true;
	}
	return false;
}

/* As host_rule() of destination.h. */
INLINE uint32_t host_rule6(const struct config *config, const struct state *state, struct address a,
			   const struct interval *found, uint64_t now_ms)
{
	const uint8_t *alias = config->policy.alias;
	uint32_t class = CLASS_NONE;
	if (found->prefix_length == 128 && (found->class == CLASS_ALLOWED || found->class == CLASS_BLOCKED))
		class = found->class;
	if (class != CLASS_BLOCKED && alias[ALIAS_HOST] != CLASS_NONE && set_has(&config->host6, a))
		class = alias[ALIAS_HOST];
	if (class != CLASS_BLOCKED && alias[ALIAS_GATEWAY] != CLASS_NONE && is_router6(config, state, a, now_ms))
		class = alias[ALIAS_GATEWAY];
	if (class != CLASS_BLOCKED && alias[ALIAS_DNS] != CLASS_NONE && is_resolver6(config, state, a, now_ms))
		class = alias[ALIAS_DNS];
	return class;
}

/* What no rule decides. RFC 6762 3: guests are found by mDNS; nothing else of the local groups is theirs. */
INLINE uint8_t fault_of_unruled6(const struct config *config, const struct state *state, const struct destination *to,
				 uint32_t class, uint64_t now_ms)
{
	struct address a = to->address;
	bool has_ports = to->protocol == PROTOCOL_UDP || to->protocol == PROTOCOL_TCP;
	if (class == CLASS_GROUP_WIDE)
		return PASS;
	if (is_group6(a)) {
		bool mdns = a.high == 0xff02000000000000ULL && a.low == 0xfb && to->protocol == PROTOCOL_UDP &&
			    to->source_port == MDNS_PORT && to->port == MDNS_PORT;
		return mdns ? PASS : DROP_DST_MULTICAST;
	}
	if (set_has(&config->host6, a))
		return PASS;
	if (has_ports && to->port == DNS_PORT && is_resolver6(config, state, a, now_ms))
		return PASS;
	if (class == CLASS_GLOBAL) {
		if (is_in_site(config, &state->ipv6, a.high))
			return DROP_DST_LOCAL_NET;
		return config->policy.global_blocked ? DROP_DST_BLOCKED : PASS;
	}
	/* RFC 4443: of ICMPv6 only echo and errors come here. A router's link-local address is no way to anywhere. */
	if (is_link_local(a) && to->protocol == PROTOCOL_ICMP6 && is_router6(config, state, a, now_ms))
		return PASS;
	return DROP_DST_PRIVATE;
}

enum { TRANSLATED_PREFIX_MIN = 96 };

/* Flags beside a verdict: a rule opened it; it holds whatever a translator would make of the address. */
enum { OPENED_BY_RULE = 0x100, IS_FINAL = 0x200 };

SUBPROGRAM uint32_t reach_of6(const struct config *config, const struct state *state, const struct destination *to,
			      uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state) || !is_given(to))
		return DROP_DST_INVALID | IS_FINAL;
	const struct interval *found = policy_lookup(&config->policy, to->address);
	if (found->class == CLASS_NEVER || is_ipv4(to->address) || is_held6(config, state, to->address, now_ms))
		return DROP_DST_INVALID | IS_FINAL;
	uint32_t rule = host_rule6(config, state, to->address, found, now_ms);
	uint32_t length = rule == CLASS_NONE ? found->prefix_length : 128;
	if (rule == CLASS_NONE && (found->class == CLASS_ALLOWED || found->class == CLASS_BLOCKED))
		rule = found->class;
	if (rule == CLASS_BLOCKED)
		return DROP_DST_BLOCKED | IS_FINAL;
	if (rule == CLASS_ALLOWED)
		return PASS | OPENED_BY_RULE | (length >= TRANSLATED_PREFIX_MIN ? IS_FINAL : 0);
	return fault_of_unruled6(config, state, to, found->class, now_ms);
}

/* The policy of IPv4 for what a translator would make of the address. */
SUBPROGRAM uint32_t reach_of_translated(const struct config *config, const struct state *state,
					const struct destination *to, uint32_t ipv4, uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state) || !is_given(to))
		return DROP_DST_INVALID;
	if (ipv4 >> 28 >= 14) /* RFC 6146 translates unicast */
		return DROP_DST_NAT64_PRIVATE;
	struct destination behind = { address_of_ipv4(ipv4), to->protocol, to->source_port, to->port };
	return may_reach(config, state, &behind, now_ms).verdict == PASS ? PASS : DROP_DST_NAT64_PRIVATE;
}

INLINE struct permission may_reach6(const struct config *config, const struct state *state, const struct destination *to,
				    uint64_t now_ms)
{
	uint32_t reach = reach_of6(config, state, to, now_ms);
	uint64_t ipv4 = NOT_TRANSLATED;
	if (!(reach & IS_FINAL))
		ipv4 = translated_ipv4(config, &state->ipv6, to->address.high, to->address.low, now_ms);
	if (ipv4 != NOT_TRANSLATED && ((uint8_t)reach == PASS || !(ipv4 & ONLY_CLOSES)))
		reach = reach_of_translated(config, state, to, (uint32_t)ipv4, now_ms);
	return (struct permission){ (uint8_t)reach, (reach & OPENED_BY_RULE) != 0 };
}
