/* Neighbor discovery, MLD and the rest of ICMPv6 but echo and errors: docs/filter-ipv6.md. */
#pragma once
#include "core/judge/decision.h"
#include "core/judge/destination6.h"
#include "core/wire/ethernet.h"
#include "core/wire/nd.h"

/* The groups of RFC 4291 2.7.1 and RFC 3810 5.2.14. */
#define LINK_SCOPE       0xff02000000000000ULL
#define ALL_NODES        ((struct address){ LINK_SCOPE, 1 })
#define ALL_ROUTERS      ((struct address){ LINK_SCOPE, 2 })
#define ALL_MLD2_ROUTERS ((struct address){ LINK_SCOPE, 0x16 })

/* RFC 2464 7: a group needs the MAC of its low 32 bits, a unicast address a unicast MAC. */
INLINE bool mac_fits_ipv6(uint64_t mac, struct address destination)
{
	return is_group6(destination) ? mac == (0x333300000000ULL | (destination.low & 0xffffffff)) : !mac_is_group(mac);
}

/* What neighbor discovery must look like before its fields count: RFC 4861 6.1, 7.1, RFC 6980 5. */
INLINE uint8_t fault_of_nd_carrier(const struct ipv6 *ip)
{
	if (ip->extended)
		return DROP_ND_EXT_HEADER;
	return ip->hop_limit == 255 ? PASS : DROP_ND_HOP_LIMIT;
}

/* --- guest to uplink --------------------------------------------------------------------------------------------- */

INLINE struct decision pass_nd(struct packet6 p, uint8_t bucket, uint32_t binding)
{
	return mac_fits_ipv6(p.eth->destination, p.ip->destination) ? pass(bucket, binding) : drop(DROP_L2L3_MISMATCH);
}

/* What speaks against it that the guest claims this address by DAD (RFC 4862 5.4); others may still object. */
SUBPROGRAM uint32_t fault_of_claim(const struct config *config, const struct state *state, uint64_t high, uint64_t low,
				   uint64_t now_ms)
{
	struct address a = { high, low };
	if (!is_given(config) || !is_given(state))
		return DROP_ND_PREFIX_UNKNOWN;
	if (is_reserved6((struct view){ config, state, now_ms }, a) ||
	    is_wanted_by_neighbor(&state->ipv6, high, low, now_ms) || is_made_from_other_mac(config, low))
		return DROP_ND_TARGET_RESERVED;
	if (config->ipv6_eui64_only || is_anycast_id(low) || !is_slaac_prefix(&state->ipv6, high, now_ms))
		return DROP_ND_PREFIX_UNKNOWN;
	return PASS;
}

/*
 * The frame's only fault so far is that this address is not the guest's. The guard may have missed the guest's claim: it was
 * restarted, or the guest came from another host, or the claim was lost. One that the guest could claim the snooper asks for
 * on the link (RFC 6620 3.2.3); without any router it asks for one, which may announce the prefix. An address that was taken
 * from the guest is no such one: by DAD of its own it may still claim it.
 */
INLINE struct decision judge_unbound(struct view view, struct address a, uint8_t otherwise)
{
	bool lacks_router = (is_global6(a) || is_unique_local(a)) && !has_heard_router6(&view.state->ipv6, view.now_ms) &&
			    !is_slaac_prefix(&view.state->ipv6, a.high, view.now_ms);
	if (is_lost6(&view.state->ipv6, a.high, a.low, view.now_ms))
		return drop(otherwise);
	if (lacks_router || fault_of_claim(view.config, view.state, a.high, a.low, view.now_ms) == PASS)
		return punt(PUNT_UNBOUND, RATE_OF_UNBOUND);
	return drop(otherwise);
}

INLINE struct decision judge_solicitation_of_router(struct view view, struct packet6 p, const struct nd *nd)
{
	struct holding source = holding_of(view, p.ip->source);
	if (!same_address(p.ip->destination, ALL_ROUTERS) || (is_unspecified6(p.ip->source) && nd->has_link_address))
		return drop(DROP_ND_FORM);
	if (!is_unspecified6(p.ip->source) && !is_link_local(p.ip->source))
		return drop(DROP_ND_FORM);
	if (!is_unspecified6(p.ip->source) && source.status == STATUS_FOREIGN)
		return judge_unbound(view, p.ip->source, DROP_ND_FORM);
	if (source.status == STATUS_TENTATIVE && nd->has_link_address) /* RFC 4429 3.2 */
		return drop(DROP_IP6_SRC_TENTATIVE);
	return pass_nd(p, RATE_OF_ROUTER_SOLICITATION, source.binding);
}

INLINE struct decision judge_dad(struct view view, struct packet6 p, const struct nd *nd)
{
	struct holding target = holding_of(view, nd->target);
	if (!same_address(p.ip->destination, solicited_node_of(nd->target)) || nd->has_link_address)
		return drop(DROP_ND_FORM);
	if (target.status != STATUS_FOREIGN)
		return pass_nd(p, RATE_OF_ND_CLAIM, target.binding);
	uint32_t fault = fault_of_claim(view.config, view.state, nd->target.high, nd->target.low, view.now_ms);
	if (fault != PASS)
		return drop((uint8_t)fault);
	if (!mac_fits_ipv6(p.eth->destination, p.ip->destination))
		return drop(DROP_L2L3_MISMATCH);
	return punt(PUNT_DAD, RATE_OF_ND_CLAIM);
}

/* As may_ask_for() of judge.h. */
INLINE bool may_solicit(struct view view, struct address target)
{
	return !has_router6(view.config, &view.state->ipv6, view.now_ms) || is_reserved6(view, target) ||
	       is_held6(view, target) || has_business_with6(view, target);
}

INLINE struct decision judge_solicitation(struct view view, struct packet6 p, const struct nd *nd)
{
	struct holding source = holding_of(view, p.ip->source);
	bool well_formed = same_address(p.ip->destination, nd->target) ||
			   same_address(p.ip->destination, solicited_node_of(nd->target));
	if (source.status == STATUS_FOREIGN && well_formed)
		return judge_unbound(view, p.ip->source, DROP_IP6_SRC_UNBOUND);
	if (source.status == STATUS_FOREIGN)
		return drop(DROP_IP6_SRC_UNBOUND);
	if (source.status == STATUS_TENTATIVE && nd->has_link_address) /* RFC 4429 3.2: it would become known */
		return drop(DROP_IP6_SRC_TENTATIVE);
	if (!well_formed)
		return drop(DROP_ND_FORM);
	if (!may_solicit(view, nd->target))
		return drop(DROP_ND_TARGET_DENIED);
	bool about_network = is_reserved6(view, nd->target);
	return pass_nd(p, about_network ? RATE_OF_ND_GATEWAY : RATE_OF_ND, source.binding);
}

/* RFC 4861 4.4, and RFC 9131 6.1: a host announces itself to the routers, so that they need not ask. */
INLINE bool may_hear_advertisement(struct address to, const struct nd *nd)
{
	return !is_group6(to) || (!nd->is_solicited && (same_address(to, ALL_NODES) || same_address(to, ALL_ROUTERS)));
}

INLINE struct decision judge_advertisement(struct view view, struct packet6 p, const struct nd *nd)
{
	struct holding target = holding_of(view, nd->target);
	if (target.status == STATUS_FOREIGN && !same_address(nd->target, p.ip->source))
		return drop(DROP_ND_TARGET_FOREIGN);
	/* The R flag is let be: a guest that forwards sets it, and it makes nobody a default router (RFC 4861 6.3.4). */
	if (!may_hear_advertisement(p.ip->destination, nd) || (target.status == STATUS_TENTATIVE && nd->overrides))
		return drop(target.status == STATUS_FOREIGN ? DROP_ND_TARGET_FOREIGN : DROP_ND_FORM);
	if (target.status == STATUS_FOREIGN)
		return judge_unbound(view, nd->target, DROP_ND_TARGET_FOREIGN);
	if (!is_held6(view, p.ip->source))
		return judge_unbound(view, p.ip->source, DROP_ND_FORM);
	bool to_gateway = is_known_mac(view.config, view.state, p.eth->destination, view.now_ms);
	return pass_nd(p, to_gateway ? RATE_OF_ND_GATEWAY : RATE_OF_ND_ANSWER, target.binding);
}

INLINE struct decision judge_nd_from_guest(struct view view, struct packet6 p)
{
	struct nd nd;
	uint8_t fault = fault_of_nd_carrier(p.ip);
	if (fault != PASS)
		return drop(fault);
	if (payload_octets6(p.ip) > ND_OCTETS_MAX || !parse_nd(p.frame, p.ip, &nd))
		return drop(DROP_ND_MALFORMED);
	if (nd.has_link_address && nd.link_address != view.config->vm_mac)
		return drop(DROP_ND_LLA_SPOOF);
	if (nd.type == ROUTER_SOLICITATION)
		return judge_solicitation_of_router(view, p, &nd);
	if (nd.type == NEIGHBOR_ADVERTISEMENT)
		return judge_advertisement(view, p, &nd);
	if (is_dad(&nd, p.ip))
		return judge_dad(view, p, &nd);
	return judge_solicitation(view, p, &nd);
}

/* RFC 2710 3, 4 and RFC 3810 5.2: hop limit 1, Router Alert, and a fixed destination. */
INLINE bool is_plain_mld(const struct frame *frame, const struct ipv6 *ip, uint8_t type)
{
	struct reader r = read_from(frame, ip->payload + 8, ip->end);
	if (ip->hop_limit != 1 || !ip->router_alert || (!is_unspecified6(ip->source) && !is_link_local(ip->source)))
		return false;
	if (type == MLD_REPORT_2)
		return same_address(ip->destination, ALL_MLD2_ROUTERS);
	struct address group = read_address6(&r);
	if (!r.ok || !is_group6(group))
		return false;
	return type == MLD_DONE ? same_address(ip->destination, ALL_ROUTERS) : same_address(ip->destination, group);
}

/* From a link-local address, or from none yet. */
INLINE struct decision judge_mld(struct view view, struct packet6 p, uint8_t type)
{
	if (!is_plain_mld(p.frame, p.ip, type))
		return drop(DROP_MLD_INVALID);
	if (!is_unspecified6(p.ip->source) && !is_held6(view, p.ip->source))
		return judge_unbound(view, p.ip->source, DROP_MLD_INVALID);
	return pass_nd(p, RATE_OF_REPORT, NO_BINDING);
}

INLINE struct decision judge_icmp6_from_guest(struct view view, struct packet6 p, uint8_t type)
{
	switch (type) {
	case ROUTER_ADVERTISEMENT:
		return drop(DROP_RA_FROM_GUEST);
	case ICMP6_REDIRECT:
		return drop(DROP_ICMP6_REDIRECT);
	case ROUTER_SOLICITATION:
	case NEIGHBOR_SOLICITATION:
	case NEIGHBOR_ADVERTISEMENT:
		return judge_nd_from_guest(view, p);
	case MLD_QUERY:
		return drop(DROP_MLD_INVALID); /* it would make the guest the segment's querier */
	case MLD_REPORT:
	case MLD_DONE:
	case MLD_REPORT_2:
		return judge_mld(view, p, type);
	default:
		return drop(DROP_ICMP6_TYPE);
	}
}

/* --- uplink to guest --------------------------------------------------------------------------------------------- */

INLINE uint8_t fault_of_router(struct view view, struct packet6 p)
{
	uint8_t fault = fault_of_nd_carrier(p.ip);
	if (fault != PASS)
		return fault;
	if (payload_octets6(p.ip) < ROUTER_ADVERTISEMENT_HEADER)
		return DROP_ND_MALFORMED;
	return is_trusted_router6(view, p.ip->source, p.eth->source) ? PASS : DROP_RA_UNTRUSTED;
}

/* The guest still listens for others that hold this address: it is one of its young bindings. */
INLINE bool is_young_binding(const struct state *state, struct address a, uint64_t now_ms)
{
	uint32_t index = find_binding_of6(&state->ipv6, a.high, a.low, now_ms);
	limit_for_verifier(index, BINDINGS6_MAX);
	return index < BINDINGS6_MAX && now_ms < state->ipv6.bindings[index].conflict_ms;
}

INLINE bool is_leased6(const struct state *state, struct address a, uint64_t now_ms)
{
	uint32_t index = find_binding_of6(&state->ipv6, a.high, a.low, now_ms);
	limit_for_verifier(index, BINDINGS6_MAX);
	return index < BINDINGS6_MAX && state->ipv6.bindings[index].origin == ORIGIN_DHCP;
}

/* What a neighbor says of the guest's addresses and of its router's. *conflict: it holds one that the guest wants. */
INLINE uint8_t fault_of_neighbor(struct view view, struct packet6 p, struct nd *nd, bool *conflict)
{
	uint8_t fault = fault_of_nd_carrier(p.ip);
	if (fault != PASS)
		return fault;
	if (!parse_nd(p.frame, p.ip, nd))
		return DROP_ND_MALFORMED;
	bool advertises = nd->type == NEIGHBOR_ADVERTISEMENT;
	struct address claimed = advertises ? nd->target : p.ip->source;
	uint64_t mac = nd->has_link_address ? nd->link_address : p.eth->source;
	/* Without the R flag even the right MAC would cost the guest its router (RFC 4861 7.2.5), so the sender counts, too. */
	if (poses_as_router6(view, claimed, mac) || poses_as_router6(view, claimed, p.eth->source))
		return DROP_ND_GATEWAY_SPOOF;
	*conflict = advertises && is_young_binding(view.state, nd->target, view.now_ms);
	if (advertises && !*conflict && !is_shared(view.config, nd->target) && is_own6(view, nd->target))
		return DROP_ND_CLAIMS_GUEST;
	return PASS;
}

/*
 * A frame in a router's name that the snooper has to look at, whatever else is wrong with it: a claim of somebody else to
 * its place, or its answer to the guard. Such a claim never passes; where it is believed the next one does.
 */
INLINE bool is_about_router(struct view view, struct packet6 p, const struct nd *nd, uint8_t type, uint8_t fault)
{
	if (type == ROUTER_ADVERTISEMENT)
		return fault == DROP_RA_UNTRUSTED && may_claim_to_route6(view, p.ip->source) &&
		       !is_own6(view, p.ip->source) &&
		       (is_group6(p.ip->destination) || !mac_is_group(p.eth->destination));
	if (type != NEIGHBOR_ADVERTISEMENT || !is_link_local(nd->target))
		return false;
	if (fault == DROP_ND_GATEWAY_SPOOF)
		return worth_of_claim6(view.config, &view.state->ipv6, nd->target.low, view.now_ms) != CLAIM_REFUSED;
	return fault == PASS && (is_asked_for_router6(&view.state->ipv6, nd->target.low, view.now_ms) ||
				 is_sought_router6(view.config, &view.state->ipv6, nd->target, view.now_ms));
}
