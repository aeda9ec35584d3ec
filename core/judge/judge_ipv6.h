/* The judge of IPv6: docs/filter-ipv6.md. Extension headers are walked once; what they lead to is judged by its kind. */
#pragma once
#include "core/judge/icmp_error.h"
#include "core/judge/judge_icmp6.h"

enum { DHCP6_CLIENT_PORT = 546, DHCP6_SERVER_PORT = 547 };

/* The transport header is there as far as something was judged in it. */
INLINE uint8_t fault_of_transport6(const struct ipv6 *ip)
{
	if (ip->fragment_offset > 0 || payload_octets6(ip) >= transport_header6(ip->protocol))
		return PASS;
	return is_fragment6(ip) ? DROP_IP6_FRAGMENT : DROP_L4_MALFORMED;
}

INLINE bool is_dhcp6_port(uint16_t port)
{
	return port == DHCP6_CLIENT_PORT || port == DHCP6_SERVER_PORT;
}

/* --- guest to uplink --------------------------------------------------------------------------------------------- */

/*
 * RFC 8415 7.2 binds the destination ports; a client's source port may be another. Port 546 is kept for it towards every
 * destination: an answer to it would look like a DHCPv6 answer.
 */
INLINE struct decision judge_dhcp6_from_guest(struct view view, const struct ipv6 *ip, const struct udp *udp)
{
	if (udp->source == DHCP6_SERVER_PORT || udp->destination == DHCP6_CLIENT_PORT)
		return drop(DROP_DHCP6_SERVER);
	if (udp->destination != DHCP6_SERVER_PORT)
		return drop(DROP_DHCP6_PORT_MISUSE);
	if (ip->has_fragment_header)
		return drop(DROP_DHCP6_MALFORMED);
	if (view.config->dhcp_off)
		return drop(DROP_DHCP6_DISABLED);
	struct holding source = holding_of(view, ip->source);
	if (source.status == STATUS_FOREIGN)
		return judge_unbound(view, ip->source, DROP_DHCP6_ADDRESSING);
	/* From a wider address: to the server itself (RFC 8415 21.12), or to register it (RFC 9686). */
	if (!is_link_local(ip->source) && source.status != STATUS_VALID)
		return drop(DROP_IP6_SRC_TENTATIVE);
	return punt(PUNT_DHCP6_CLIENT, RATE_OF_DHCP);
}

/* As next_hop4() of judge.h. */
INLINE uint32_t next_hop6(struct view view, uint64_t mac, struct address to)
{
	uint32_t known = gateway_mac6(view.config, &view.state->ipv6, mac);
	if (!view.config->isolation || mac_is_group(mac) || known == GATEWAY_MAC || is_to_resident(view.config, to, mac) ||
	    (known == GATEWAY_UNKNOWN && !needs_router6(view.config, &view.state->ipv6, view.now_ms)))
		return HOP_ROUTER;
	if (!is_link_local(to) && !is_on_link6(&view.state->ipv6, to.high, to.low, view.now_ms))
		return HOP_WRONG;
	return is_resolver6(view, to) ? HOP_ROUTER : HOP_NEIGHBOR;
}

INLINE struct contact contact6(struct address peer, bool inward, const struct ipv6 *ip, const struct udp *ports)
{
	return (struct contact){ .peer = peer,
				 .inward = inward,
				 .protocol = ip->protocol,
				 .ports = ip->fragment_offset > 0 ? PORTS_UNKNOWN : PORTS_KNOWN,
				 .source_port = ports->source,
				 .port = ports->destination };
}

/* Interface-local and link-local groups, RFC 4291 2.7. */
INLINE bool is_narrow_group6(struct address a)
{
	uint64_t scope = a.high >> 48 & 15;
	return is_group6(a) && scope <= 2;
}

INLINE bool is_error6(const struct frame *frame, const struct ipv6 *ip)
{
	struct reader r = read_from(frame, ip->payload, ip->end);
	return ip->protocol == PROTOCOL_ICMP6 && ip->fragment_offset == 0 && is_icmp_error(PROTOCOL_ICMP6, read_u8(&r));
}

/* As is_about_guest4() of judge.h. RFC 4443 2.4 e would have some errors about groups; a host has no need of them. */
INLINE bool is_about_guest6(struct view view, const struct frame *frame, const struct ipv6 *ip)
{
	struct quoted q;
	return !is_fragment6(ip) && parse_quoted6(frame, ip->payload, ip->end, &q) &&
	       same_address(q.source, ip->destination) && is_own6(view, q.destination);
}

INLINE bool is_about_others6(struct view view, const struct frame *frame, const struct ipv6 *ip)
{
	struct quoted q;
	return parse_quoted6(frame, ip->payload, ip->end, &q) && !is_held6(view, q.source);
}

/* Source and destination of a well-formed packet that is neither DHCPv6 nor neighbor discovery. */
INLINE struct decision judge_data6_from_guest(struct view view, struct packet6 p)
{
	struct holding source = holding_of(view, p.ip->source);
	if (source.status == STATUS_FOREIGN)
		return judge_unbound(view, p.ip->source, DROP_IP6_SRC_UNBOUND);
	if (source.status == STATUS_TENTATIVE)
		return drop(DROP_IP6_SRC_TENTATIVE);
	if (!mac_fits_ipv6(p.eth->destination, p.ip->destination))
		return drop(DROP_L2L3_MISMATCH);
	struct contact to = contact6(p.ip->destination, false, p.ip, p.ports);
	struct permission permission = may_contact6(view, &to);
	uint32_t hop = next_hop6(view, p.eth->destination, p.ip->destination);
	bool to_group = is_group6(p.ip->destination);
	uint8_t bucket = to_group ? bucket_of_group(&permission, is_narrow_group6(p.ip->destination)) : RATE_FREE;
	enum portion portion = portion_of(p.ip->more_fragments, p.ip->fragment_offset);
	struct decision d =
	    decide_data(view.config, permission, (struct data_frame){ hop, portion, to_group, bucket, source.binding });
	/* RFC 4007 9: a router must not forward it, so there is no honest reason to try. */
	if (may_pass(d) && is_link_local(p.ip->source) && !is_narrow_group6(p.ip->destination) &&
	    !is_link_local(p.ip->destination) && !is_host6(view.config, p.ip->destination))
		return drop(DROP_IP6_SRC_SCOPE);
	bool seeks = d.verdict == DROP_L2_NEXT_HOP && d.flow == 0 &&
		     may_seek_routers6(view.config, &view.state->ipv6, view.now_ms);
	return seeks ? punt(PUNT_NEXT_HOP, RATE_FREE) : d;
}

APART struct decision judge_ipv6_from_guest(struct view view, const struct frame *frame, const struct ethernet *eth)
{
	struct ipv6 ip;
	struct udp ports = { 0, 0, 0 };
	struct packet6 p = { frame, eth, &ip, &ports };
	if (view.config->ipv6_off)
		return drop(DROP_IP6_DISABLED);
	if (!parse_ipv6(frame, ETHERNET_HEADER, &ip) || ip.hop_limit == 0)
		return drop(DROP_IP6_MALFORMED);
	uint8_t fault = walk_headers(frame, &ip, true);
	if (fault == PASS)
		fault = fault_of_transport6(&ip);
	if (fault != PASS)
		return drop(fault);
	if (ip.fragment_offset == 0 && has_ports(ip.protocol) && !parse_udp(frame, ip.payload, ip.end, &ports))
		return drop(DROP_L4_MALFORMED);
	if (ip.fragment_offset == 0 && ip.protocol == PROTOCOL_UDP) {
		if (ports.length < 8 || (!is_fragment6(&ip) && ports.length > payload_octets6(&ip)))
			return drop(DROP_L4_MALFORMED);
		if (is_dhcp6_port(ports.source) || is_dhcp6_port(ports.destination))
			return judge_dhcp6_from_guest(view, &ip, &ports);
	}
	if (ip.fragment_offset == 0 && ip.protocol == PROTOCOL_ICMP6) {
		struct reader r = read_from(frame, ip.payload, ip.end);
		uint8_t type = read_u8(&r);
		if (!is_icmp6_data(type))
			return judge_icmp6_from_guest(view, p, type);
	}
	struct decision d = judge_data6_from_guest(view, p);
	if (may_pass(d) && is_error6(frame, &ip) && !is_about_guest6(view, frame, &ip))
		return refuse_finally(d, DROP_ICMP_ERROR_QUOTE);
	return d;
}

/* --- uplink to guest --------------------------------------------------------------------------------------------- */

/*
 * What else a source may be. :: is nobody's: only a host without an address yet uses it, for DAD and MLD. And where somebody
 * uses the address that the guest wants, the guest must hear of it.
 */
enum source_allowance { OF_A_HOST = 0, OF_NOBODY = 1, OF_GUEST = 2 };

/* Sources that no host has (RFC 4291 2.5). allowed: bits of enum source_allowance. */
INLINE uint8_t fault_of_source6(struct view view, struct packet6 p, uint32_t allowed)
{
	struct address a = p.ip->source;
	bool nobody = is_unspecified6(a);
	if (is_group6(a) || is_ipv4(a) || (nobody ? !(allowed & OF_NOBODY) : a.high == 0 && a.low >> 32 == 0))
		return DROP_IP6_SRC_INVALID;
	if (!(allowed & OF_GUEST) && !is_shared(view.config, a) && is_own6(view, a))
		return DROP_IP6_SRC_IS_GUEST;
	if (poses_as_router6(view, a, p.eth->source))
		return DROP_IP6_GATEWAY_SPOOF;
	if (mac_is_group(p.eth->destination) && !is_group6(p.ip->destination))
		return DROP_L2L3_MISMATCH; /* RFC 2464 7 */
	return PASS;
}

/* As fault_of_reply() of judge.h: what the fixed fields tell already costs the snooper no token. */
INLINE struct decision judge_dhcp6_to_guest(struct view view, struct packet6 p)
{
	struct reader r = read_from(p.frame, p.ip->payload + 8, p.ip->end);
	uint32_t id = read_be32(&r) & 0xffffff;
	if (p.ports->destination == DHCP6_SERVER_PORT)
		return drop(DROP_DHCP6_CLIENT);
	if (p.ip->has_fragment_header || !r.ok)
		return drop(DROP_DHCP6_MALFORMED);
	if (view.config->dhcp_off)
		return drop(DROP_DHCP6_DISABLED);
	if (!is_trusted_server6(view, p.ip->source, p.eth->source))
		return drop(DROP_DHCP6_ROGUE_SERVER);
	if (!awaits_answer6(&view.state->ipv6, id, view.now_ms))
		return drop(DROP_DHCP6_NO_TRANSACTION);
	uint8_t fault = fault_of_source6(view, p, OF_A_HOST);
	if (fault != PASS)
		return drop(fault);
	return punt(PUNT_DHCP6_SERVER, RATE_OF_UPLINK_DHCP);
}

/* As judge_data4_to_guest() of judge.h; transport headers were looked at with the chain. */
INLINE struct decision judge_data6_to_guest(struct view view, struct packet6 p)
{
	bool to_group = mac_is_group(p.eth->destination);
	uint8_t bucket = to_group ? bucket_of_uplink(view, p.eth->source, false) : RATE_FREE;
	if (!view.config->stateful)
		return pass(bucket, NO_BINDING);
	struct contact from = contact6(p.ip->source, true, p.ip, p.ports);
	enum portion portion = portion_of(p.ip->more_fragments, p.ip->fragment_offset);
	return decide_data(view.config, may_contact6(view, &from),
			   (struct data_frame){ HOP_ROUTER, portion, to_group, bucket, NO_BINDING });
}

INLINE struct decision judge_icmp6_to_guest(struct view view, struct packet6 p)
{
	struct reader r = read_from(p.frame, p.ip->payload, p.ip->end);
	uint8_t type = read_u8(&r);
	struct nd nd = { 0 };
	bool conflict = false;
	if (type == ICMP6_REDIRECT)
		return drop(DROP_ICMP6_REDIRECT);
	if (type == ROUTER_SOLICITATION)
		return drop(DROP_RS_TO_GUEST);
	bool neighbor = type == NEIGHBOR_SOLICITATION || type == NEIGHBOR_ADVERTISEMENT;
	bool router = type == ROUTER_ADVERTISEMENT;
	if (!neighbor && !router && !is_mld(type) && !is_icmp6_data(type))
		return drop(DROP_ICMP6_TYPE);
	uint8_t fault = PASS;
	if (neighbor)
		fault = fault_of_neighbor(view, p, &nd, &conflict);
	if (router)
		fault = fault_of_router(view, p);
	if (is_about_router(view, p, &nd, type, fault))
		return punt(PUNT_ROUTER_CLAIM, RATE_OF_UPLINK_ROUTER);
	uint32_t allowed = (is_mld(type) || is_dad(&nd, p.ip) ? OF_NOBODY : 0) | (conflict ? OF_GUEST : 0);
	if (fault == PASS)
		fault = fault_of_source6(view, p, allowed);
	if (fault != PASS)
		return drop(fault);
	if (router)
		return punt(PUNT_ROUTER, RATE_OF_UPLINK_ROUTER);
	if (is_error6(p.frame, p.ip) && is_about_others6(view, p.frame, p.ip))
		return drop(DROP_ICMP_ERROR_QUOTE);
	if (is_icmp6_data(type))
		return judge_data6_to_guest(view, p);
	bool concerns_guest = !mac_is_group(p.eth->destination) || (neighbor && is_held6(view, nd.target));
	uint8_t bucket = bucket_of_uplink(view, p.eth->source, concerns_guest);
	if (type == MLD_QUERY && bucket != RATE_OF_UPLINK_GATEWAY)
		bucket = RATE_OF_UPLINK_QUERY;
	if (conflict && !is_leased6(view.state, nd.target, view.now_ms))
		return punt(PUNT_ND_CONFLICT, bucket);
	if (is_dad(&nd, p.ip) && is_slaac_prefix(&view.state->ipv6, nd.target.high, view.now_ms) &&
	    !is_own6(view, nd.target))
		return punt(PUNT_ND_CONFLICT, RATE_OF_UPLINK_DAD);
	return pass(bucket, NO_BINDING);
}

APART struct decision judge_ipv6_to_guest(struct view view, const struct frame *frame, const struct ethernet *eth)
{
	struct ipv6 ip;
	struct udp ports = { 0, 0, 0 };
	struct packet6 p = { frame, eth, &ip, &ports };
	if (view.config->ipv6_off)
		return drop(DROP_IP6_DISABLED);
	if (!parse_ipv6(frame, ETHERNET_HEADER, &ip))
		return drop(DROP_IP6_MALFORMED);
	uint8_t fault = walk_headers(frame, &ip, false);
	if (fault == PASS)
		fault = fault_of_transport6(&ip);
	if (fault != PASS)
		return drop(fault);
	if (ip.fragment_offset == 0 && ip.protocol == PROTOCOL_ICMP6)
		return judge_icmp6_to_guest(view, p);
	if (ip.fragment_offset == 0 && has_ports(ip.protocol) && !parse_udp(frame, ip.payload, ip.end, &ports))
		return drop(DROP_L4_MALFORMED);
	bool dhcp = is_dhcp6_port(ports.destination) || ports.source == DHCP6_SERVER_PORT;
	if (dhcp && ip.fragment_offset == 0 && ip.protocol == PROTOCOL_UDP)
		return judge_dhcp6_to_guest(view, p);
	fault = fault_of_source6(view, p, OF_A_HOST);
	if (fault != PASS)
		return drop(fault);
	return judge_data6_to_guest(view, p);
}
