/*
 * May the guest call this peer, and may this peer call the guest? The rules, the special-purpose table and what the lease
 * said, in that order: docs/policy.md.
 */
#pragma once
#include "core/judge/decision.h"
#include "core/wire/ipv4.h"
#include "core/judge/trust.h"
#include "core/wire/verdict.h"

struct permission {
	uint8_t verdict;
	bool by_rule;    /* an operator's rule decided ... */
	bool names_peer; /* ... that speaks of this peer, and not of the whole world ... */
	uint16_t origin; /* ... and which */
};

/* What a rule makes of it. `any`, a prefix of length 0 and @global name nobody: a neighbor stays behind isolation. */
INLINE struct permission by_ruling(const struct config *config, const struct contact *c, struct ruling ruling)
{
	uint8_t verdict = PASS;
	if (ruling.class == CLASS_BLOCKED)
		verdict = c->inward ? DROP_SRC_BLOCKED : DROP_DST_BLOCKED;
	else if (ruling.class == CLASS_UNCERTAIN)
		verdict = DROP_PORTS_UNKNOWN;
	else if (c->inward && config->inbound == INBOUND_NONE)
		verdict = DROP_UNSOLICITED;
	bool names_peer = ruling.prefix_length > (is_ipv4(c->peer) ? 96 : 0);
	return (struct permission){ verdict, true, names_peer, ruling.origin };
}

/* The sets behind the aliases are only searched when a rule names one. */
INLINE uint32_t aliases_of4(struct view view, struct address a)
{
	const uint32_t *alias = view.config->policy.alias;
	uint32_t found = 1u << ALIAS_GLOBAL;
	if (alias[ALIAS_HOST] != NO_NODE && is_host4(view.config, a))
		found |= 1u << ALIAS_HOST;
	if (alias[ALIAS_GATEWAY] != NO_NODE && is_router4(view, a))
		found |= 1u << ALIAS_GATEWAY;
	if (alias[ALIAS_DNS] != NO_NODE && is_resolver4(view, a))
		found |= 1u << ALIAS_DNS;
	return found;
}

/* The network's own broadcast address in one of the guest's subnets (RFC 1812 5.3.5.2); /31 and /32 have none. */
INLINE bool is_broadcast_ipv4(const struct state *state, uint32_t ipv4, uint64_t now_ms)
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

/* RFC 6762 3: guests are found by mDNS. */
INLINE bool is_mdns(const struct contact *c)
{
	return c->protocol == PROTOCOL_UDP && c->source_port == MDNS_PORT && c->port == MDNS_PORT;
}

/* What a resolver may be asked for. A later fragment is left to its first one. */
INLINE uint8_t verdict_of_resolver(const struct contact *to)
{
	if (to->ports == PORTS_ANY)
		return PASS;
	if (to->protocol != PROTOCOL_UDP && to->protocol != PROTOCOL_TCP)
		return DROP_DST_PRIVATE;
	if (to->ports == PORTS_UNKNOWN)
		return DROP_PORTS_UNKNOWN;
	return to->port == DNS_PORT ? PASS : DROP_DST_PRIVATE;
}

/* What the guest may reach where no rule decides. */
INLINE uint8_t verdict_of_unruled4(struct view view, const struct contact *to, uint8_t special)
{
	if (special == CLASS_GROUP)
		return to->peer.low == (MAPPED_IPV4 | 0xe00000fbU) && is_mdns(to) ? PASS : DROP_DST_MULTICAST;
	if (special == CLASS_BROADCAST || is_directed_broadcast(view.state, to->peer, view.now_ms))
		return DROP_DST_BROADCAST;
	if (special == CLASS_GLOBAL || is_host4(view.config, to->peer))
		return PASS;
	return is_resolver4(view, to->peer) ? verdict_of_resolver(to) : DROP_DST_PRIVATE;
}

/* --expose is a promise to the clients of that port. */
SUBPROGRAM bool is_exposed(const struct config *config, const struct contact *from)
{
	if (!is_given(config) || !is_given(from))
		return false;
	for (uint32_t i = 0; i < EXPOSED_MAX && i < config->exposed.count; i++) {
		const struct exposed_port *e = &config->exposed.item[i];
		if (e->protocol == from->protocol && (e->is_ipv6 == 0) == is_ipv4(from->peer) &&
		    from->port >= e->first_port && from->port <= e->last_port)
			return true;
	}
	return false;
}

/* Who may open towards the guest where no rule decides. */
INLINE uint8_t verdict_of_stranger(const struct config *config, const struct contact *from)
{
	bool exposed = config->inbound == INBOUND_ESTABLISHED && from->ports == PORTS_KNOWN && is_exposed(config, from);
	return config->inbound == INBOUND_ANY || exposed ? PASS : DROP_UNSOLICITED;
}

/* A permission as a number, which a subprogram may return. */
enum {
	BY_RULE = 0x100,
	NAMES_PEER = 0x200,
	IS_FINAL = 0x400,
	ORIGIN_SHIFT = 16
}; /* IS_FINAL: a translator changes nothing */

INLINE uint32_t permission_number(struct permission p)
{
	return p.verdict | (p.by_rule ? BY_RULE : 0) | (p.names_peer ? NAMES_PEER : 0) |
	       (uint32_t)p.origin << ORIGIN_SHIFT;
}

INLINE struct permission permission_of(uint32_t number)
{
	return (struct permission){ (uint8_t)number, (number & BY_RULE) != 0, (number & NAMES_PEER) != 0,
				    (uint16_t)(number >> ORIGIN_SHIFT) };
}

SUBPROGRAM uint32_t reach_of4(const struct config *config, const struct state *state, const struct contact *c,
			      uint64_t now_ms)
{
	if (!is_given(config) || !is_given(state) || !is_given(c))
		return DROP_DST_INVALID;
	struct view view = { config, state, now_ms };
	struct ruling ruling = rule_on(&config->policy, c, aliases_of4(view, c->peer));
	if (!c->inward && (ruling.special == CLASS_NEVER || is_sole4(view, c->peer)))
		return DROP_DST_INVALID;
	if (ruling.class != CLASS_NONE)
		return permission_number(by_ruling(config, c, ruling));
	return c->inward ? verdict_of_stranger(config, c) : verdict_of_unruled4(view, c, ruling.special);
}

/* For both directions, by contact->inward. A later fragment has DROP_PORTS_UNKNOWN where its ports would decide. */
INLINE struct permission may_contact4(struct view view, const struct contact *c)
{
	return permission_of(reach_of4(view.config, view.state, c, view.now_ms));
}

/* Sources that no host on any network has (RFC 1122 3.2.1.3). 0.0.0.0 is left to IGMP queries (RFC 4541 2.1.1). */
INLINE bool is_impossible_source4(struct address a, uint8_t protocol)
{
	uint32_t source = ipv4_of_address(a);
	return source >> 24 == 127 || !is_unicast4(a) || (source >> 24 == 0 && protocol != PROTOCOL_IGMP);
}

/* Could the guest talk to the peer in any way, or the peer call the guest? Else nobody needs to know its MAC. */
APART bool has_business_with4(struct view view, struct address peer)
{
	struct contact c = { .peer = peer, .ports = PORTS_ANY };
	if ((uint8_t)reach_of4(view.config, view.state, &c, view.now_ms) == PASS)
		return true;
	if (!view.config->stateful || is_impossible_source4(peer, 0))
		return false;
	c.inward = 1;
	return (uint8_t)reach_of4(view.config, view.state, &c, view.now_ms) == PASS;
}

/* What part of its datagram a packet is. Ports are in the first. */
enum portion { PORTION_WHOLE, PORTION_FIRST, PORTION_LATER };

INLINE enum portion portion_of(bool more_fragments, uint32_t fragment_offset)
{
	return fragment_offset > 0 ? PORTION_LATER : more_fragments ? PORTION_FIRST : PORTION_WHOLE;
}

/* What flows and datagrams may change about what the policy says: bits of enum flow_part. Not for groups. */
INLINE uint8_t flow_part(const struct config *config, uint8_t allowed, enum portion portion)
{
	if (allowed == DROP_DST_INVALID)
		return 0;
	if (portion == PORTION_LATER)
		return allowed != PASS && (config->stateful || allowed == DROP_PORTS_UNKNOWN) ? FLOW_LATER_FRAGMENT : 0;
	if (allowed != PASS && !config->stateful)
		return 0;
	uint8_t part = portion == PORTION_FIRST ? FLOW_FIRST_FRAGMENT : 0;
	if (config->stateful)
		part |= allowed == PASS ? FLOW_OPENS : FLOW_ANSWERS;
	return part;
}

/* Where the frame goes on the link. A neighbor may be spoken to when a rule names it, and be answered. */
enum next_hop { HOP_ROUTER, HOP_NEIGHBOR, HOP_WRONG };

/*
 * What a frame to a group costs. One that everybody on the link hears (RFC 4541 2.1.2: bridges flood these) and one that no
 * rule opened are rare from an honest guest; a group that a rule opened beyond them may be a stream.
 */
INLINE uint8_t bucket_of_group(const struct permission *permission, bool link_scope)
{
	return permission->by_rule && !link_scope ? RATE_OF_STREAM : RATE_OF_MULTICAST;
}

/* A frame that carries neither DHCP nor what a link needs to work. */
struct data_frame {
	uint32_t hop; /* enum next_hop */
	enum portion portion;
	bool to_group;
	uint8_t bucket;
	uint32_t binding;
};

/* Puts together what the policy and the next hop say. */
INLINE struct decision decide_data(const struct config *config, struct permission permission, struct data_frame f)
{
	uint8_t allowed = permission.verdict;
	if (allowed == PASS && (f.hop == HOP_WRONG || (f.hop == HOP_NEIGHBOR && !permission.names_peer)))
		allowed = DROP_L2_NEXT_HOP;
	uint8_t flow = f.to_group || f.hop == HOP_WRONG ? 0 : flow_part(config, allowed, f.portion);
	if (config->has_names && allowed == DROP_DST_BLOCKED && f.hop == HOP_ROUTER && !f.to_group &&
	    f.portion != PORTION_LATER)
		flow |= FLOW_BY_NAME;
	if (allowed != PASS && flow == 0)
		return drop(allowed);
	return (struct decision){ allowed, f.bucket, (uint8_t)f.binding, flow };
}

/* Flows may yet let it pass. */
INLINE bool may_pass(struct decision d)
{
	return d.verdict == PASS || d.flow != 0;
}

/* No flow may. What the policy refuses keeps the policy's reason. */
INLINE struct decision refuse_finally(struct decision d, uint8_t reason)
{
	return drop(d.verdict == PASS ? reason : d.verdict);
}

INLINE bool has_ports(uint8_t protocol)
{
	return protocol == PROTOCOL_UDP || protocol == PROTOCOL_TCP || protocol == PROTOCOL_SCTP;
}
