/* May the guest send to this IPv6 address? As destination.h, with what only IPv6 has: sites, translators, scopes. */
#pragma once
#include "core/judge/destination.h"
#include "core/wire/ipv6.h"
#include "core/judge/own6.h"
#include "core/judge/trust6.h"

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
SUBPROGRAM uint64_t translated_ipv4(const struct config *config, const struct state6 *state, uint64_t high,
				    uint64_t low, uint64_t now_ms)
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
	for (uint32_t i = 0; i < BINDINGS6_MAX && i < state->bindings_end;
	     i++) { /* a leased or static address may lie in no prefix */
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

/* As aliases_of4() of destination.h. */
INLINE uint32_t aliases_of6(struct view view, struct address a)
{
	const uint32_t *alias = view.config->policy.alias;
	uint32_t found = 0;
	if (alias[ALIAS_HOST] != NO_NODE && is_host6(view.config, a))
		found |= 1u << ALIAS_HOST;
	if (alias[ALIAS_GATEWAY] != NO_NODE && is_router6(view, a))
		found |= 1u << ALIAS_GATEWAY;
	if (alias[ALIAS_DNS] != NO_NODE && is_resolver6(view, a))
		found |= 1u << ALIAS_DNS;
	if (alias[ALIAS_GLOBAL] != NO_NODE && !is_in_site(view.config, &view.state->ipv6, a.high))
		found |= 1u << ALIAS_GLOBAL;
	return found;
}

/* As verdict_of_unruled4() of destination.h. */
INLINE uint8_t verdict_of_unruled6(struct view view, const struct contact *to, uint8_t special)
{
	struct address a = to->peer;
	if (special == CLASS_GROUP)
		return a.high == 0xff02000000000000ULL && a.low == 0xfb && is_mdns(to) ? PASS : DROP_DST_MULTICAST;
	if (is_host6(view.config, a))
		return PASS;
	uint8_t verdict = is_resolver6(view, a) ? verdict_of_resolver(to) : DROP_DST_PRIVATE;
	if (verdict == PASS)
		return PASS;
	if (special == CLASS_GLOBAL && !is_in_site(view.config, &view.state->ipv6, a.high))
		return PASS;
	/* RFC 4443: of ICMPv6 only echo and errors come here. A router's link-local address is no way to anywhere. */
	if (is_link_local(a) && to->protocol == PROTOCOL_ICMP6 && is_router6(view, a))
		return PASS;
	return special == CLASS_GLOBAL && verdict != DROP_PORTS_UNKNOWN ? DROP_DST_LOCAL_NET : verdict;
}

enum { TRANSLATED_PREFIX_MIN = 96 };

SUBPROGRAM uint32_t reach_of6(const struct config *config, const struct state *state, const struct contact *c,
			      uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state) || !is_given(c))
		return DROP_DST_INVALID | IS_FINAL;
	struct view view = { config, state, now_ms };
	bool is_sole = is_held6(view, c->peer) && !is_shared(config, c->peer);
	if (!c->inward && (is_ipv4(c->peer) || is_sole))
		return DROP_DST_INVALID | IS_FINAL;
	struct ruling ruling = rule_on(&config->policy, c, aliases_of6(view, c->peer));
	if (!c->inward && ruling.special == CLASS_NEVER)
		return DROP_DST_INVALID | IS_FINAL;
	if (ruling.class == CLASS_NONE)
		return c->inward ? verdict_of_stranger(config, c) : verdict_of_unruled6(view, c, ruling.special);
	struct permission permission = by_ruling(config, c, ruling);
	bool final = permission.verdict != PASS || ruling.prefix_length >= TRANSLATED_PREFIX_MIN;
	return permission_number(permission) | (final ? IS_FINAL : 0);
}

/* The policy of IPv4 for what a translator would make of the address. */
SUBPROGRAM uint32_t reach_of_translated(const struct config *config, const struct state *state, const struct contact *c,
					uint32_t ipv4, uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state) || !is_given(c))
		return DROP_DST_INVALID;
	struct contact behind = *c;
	behind.peer = address_of_ipv4(ipv4);
	if (!is_unicast4(behind.peer)) /* RFC 6146 translates unicast */
		return DROP_DST_NAT64_PRIVATE;
	uint8_t verdict = (uint8_t)reach_of4(config, state, &behind, now_ms);
	bool private = verdict != PASS && verdict != DROP_PORTS_UNKNOWN && !c->inward;
	return private ? DROP_DST_NAT64_PRIVATE : verdict;
}

BIG_SUBPROGRAM uint32_t reach_with_translators(const struct config *config, const struct state *state,
					       const struct contact *c, uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state) || !is_given(c))
		return DROP_DST_INVALID;
	uint32_t reach = reach_of6(config, state, c, now_ms);
	if (reach & IS_FINAL)
		return reach;
	uint64_t ipv4 = translated_ipv4(config, &state->ipv6, c->peer.high, c->peer.low, now_ms);
	if (ipv4 == NOT_TRANSLATED || ((uint8_t)reach != PASS && (ipv4 & ONLY_CLOSES)))
		return reach;
	return reach_of_translated(config, state, c, (uint32_t)ipv4, now_ms);
}

/* As may_contact4() of destination.h. */
INLINE struct permission may_contact6(struct view view, const struct contact *c)
{
	return permission_of(reach_with_translators(view.config, view.state, c, view.now_ms));
}

/* As has_business_with4() of destination.h. */
APART bool has_business_with6(struct view view, struct address peer)
{
	struct contact c = { .peer = peer, .ports = PORTS_ANY };
	if ((uint8_t)reach_with_translators(view.config, view.state, &c, view.now_ms) == PASS)
		return true;
	if (!view.config->stateful || is_ipv4(peer) || (peer.high == 0 && peer.low >> 32 == 0)) /* nobody calls from there */
		return false;
	c.inward = 1;
	return (uint8_t)reach_with_translators(view.config, view.state, &c, view.now_ms) == PASS;
}
