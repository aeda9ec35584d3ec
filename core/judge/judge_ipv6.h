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
INLINE struct decision judge_dhcp6_from_guest(const struct config *config, const struct state *state,
					      const struct ipv6 *ip, const struct udp *udp, uint64_t now_ms)
{
	if (udp->source == DHCP6_SERVER_PORT || udp->destination == DHCP6_CLIENT_PORT)
		return drop(DROP_DHCP6_SERVER);
	if (udp->destination != DHCP6_SERVER_PORT)
		return drop(DROP_DHCP6_PORT_MISUSE);
	if (ip->has_fragment_header)
		return drop(DROP_DHCP6_MALFORMED);
	if (config->dhcp_off)
		return drop(DROP_DHCP6_DISABLED);
	struct holding source = holding_of(config, state, ip->source, now_ms);
	if (source.status == STATUS_FOREIGN)
		return judge_unbound(config, state, ip->source, DROP_DHCP6_ADDRESSING, now_ms);
	/* From a wider address: to the server itself (RFC 8415 21.12), or to register it (RFC 9686). */
	if (!is_link_local(ip->source) && source.status != STATUS_VALID)
		return drop(DROP_IP6_SRC_TENTATIVE);
	return punt(PUNT_DHCP6_CLIENT, RATE_OF_DHCP);
}

/* As next_hop4() of judge.h. */
INLINE uint32_t next_hop6(const struct config *config, const struct state *state, uint64_t mac, struct address to,
			  uint64_t now_ms)
{
	uint32_t known = gateway_mac6(config, &state->ipv6, mac);
	if (!config->isolation || mac_is_group(mac) || known == GATEWAY_MAC || is_to_resident(config, to, mac) ||
	    (known == GATEWAY_UNKNOWN && !needs_router6(config, &state->ipv6, now_ms)))
		return HOP_ROUTER;
	if (!is_link_local(to) && !is_on_link6(&state->ipv6, to.high, to.low, now_ms))
		return HOP_WRONG;
	return is_resolver6(config, state, to, now_ms) ? HOP_ROUTER : HOP_NEIGHBOR;
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
INLINE bool is_about_guest6(const struct config *config, const struct state *state, const struct frame *frame,
			    const struct ipv6 *ip, uint64_t now_ms)
{
	struct quoted q;
	return !is_fragment6(ip) && parse_quoted6(frame, ip->payload, ip->end, &q) &&
	       same_address(q.source, ip->destination) && is_own6(config, state, q.destination, now_ms);
}

INLINE bool is_about_others6(const struct config *config, const struct state *state, const struct frame *frame,
			     const struct ipv6 *ip, uint64_t now_ms)
{
	struct quoted q;
	return parse_quoted6(frame, ip->payload, ip->end, &q) && !is_held6(config, state, q.source, now_ms);
}

/* Source and destination of a well-formed packet that is neither DHCPv6 nor neighbor discovery. */
INLINE struct decision judge_data6_from_guest(const struct config *config, const struct state *state,
					      const struct ethernet *eth, const struct ipv6 *ip,
					      const struct udp *ports, uint64_t now_ms)
{
	struct holding source = holding_of(config, state, ip->source, now_ms);
	if (source.status == STATUS_FOREIGN)
		return judge_unbound(config, state, ip->source, DROP_IP6_SRC_UNBOUND, now_ms);
	if (source.status == STATUS_TENTATIVE)
		return drop(DROP_IP6_SRC_TENTATIVE);
	if (!mac_fits_ipv6(eth->destination, ip->destination))
		return drop(DROP_L2L3_MISMATCH);
	struct contact to = contact6(ip->destination, false, ip, ports);
	struct permission permission = may_contact6(config, state, &to, now_ms);
	uint32_t hop = next_hop6(config, state, eth->destination, ip->destination, now_ms);
	bool to_group = is_group6(ip->destination);
	uint8_t bucket = to_group ? bucket_of_group(&permission, is_narrow_group6(ip->destination)) : RATE_FREE;
	enum portion portion = portion_of(ip->more_fragments, ip->fragment_offset);
	struct decision d =
	    decide_data(config, permission, (struct data_frame){ hop, portion, to_group, bucket, source.binding });
	/* RFC 4007 9: a router must not forward it, so there is no honest reason to try. */
	if (may_pass(d) && is_link_local(ip->source) && !is_narrow_group6(ip->destination) &&
	    !is_link_local(ip->destination) && !is_host6(config, ip->destination))
		return drop(DROP_IP6_SRC_SCOPE);
	bool seeks = d.verdict == DROP_L2_NEXT_HOP && d.flow == 0 && may_seek_routers6(config, &state->ipv6, now_ms);
	return seeks ? punt(PUNT_NEXT_HOP, RATE_FREE) : d;
}

APART struct decision judge_ipv6_from_guest(const struct config *config, const struct state *state,
					    const struct frame *frame, const struct ethernet *eth, uint64_t now_ms)
{
	struct ipv6 ip;
	struct udp ports = { 0, 0, 0 };
	if (config->ipv6_off)
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
			return judge_dhcp6_from_guest(config, state, &ip, &ports, now_ms);
	}
	if (ip.fragment_offset == 0 && ip.protocol == PROTOCOL_ICMP6) {
		struct reader r = read_from(frame, ip.payload, ip.end);
		uint8_t type = read_u8(&r);
		if (!is_icmp6_data(type))
			return judge_icmp6_from_guest(config, state, frame, eth, &ip, type, now_ms);
	}
	struct decision d = judge_data6_from_guest(config, state, eth, &ip, &ports, now_ms);
	if (may_pass(d) && is_error6(frame, &ip) && !is_about_guest6(config, state, frame, &ip, now_ms))
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
INLINE uint8_t fault_of_source6(const struct config *config, const struct state *state, const struct ethernet *eth,
				const struct ipv6 *ip, uint32_t allowed, uint64_t now_ms)
{
	struct address a = ip->source;
	bool nobody = is_unspecified6(a);
	if (is_group6(a) || is_ipv4(a) || (nobody ? !(allowed & OF_NOBODY) : a.high == 0 && a.low >> 32 == 0))
		return DROP_IP6_SRC_INVALID;
	if (!(allowed & OF_GUEST) && !is_shared(config, a) && is_own6(config, state, a, now_ms))
		return DROP_IP6_SRC_IS_GUEST;
	if (poses_as_router6(config, state, a, eth->source, now_ms))
		return DROP_IP6_GATEWAY_SPOOF;
	if (mac_is_group(eth->destination) && !is_group6(ip->destination))
		return DROP_L2L3_MISMATCH; /* RFC 2464 7 */
	return PASS;
}

/* As fault_of_reply() of judge.h: what the fixed fields tell already costs the snooper no token. */
INLINE struct decision judge_dhcp6_to_guest(const struct config *config, const struct state *state,
					    const struct frame *frame, const struct ethernet *eth,
					    const struct ipv6 *ip, const struct udp *udp, uint64_t now_ms)
{
	struct reader r = read_from(frame, ip->payload + 8, ip->end);
	uint32_t id = read_be32(&r) & 0xffffff;
	if (udp->destination == DHCP6_SERVER_PORT)
		return drop(DROP_DHCP6_CLIENT);
	if (ip->has_fragment_header || !r.ok)
		return drop(DROP_DHCP6_MALFORMED);
	if (config->dhcp_off)
		return drop(DROP_DHCP6_DISABLED);
	if (!is_trusted_server6(config, state, ip->source, eth->source, now_ms))
		return drop(DROP_DHCP6_ROGUE_SERVER);
	if (!awaits_answer6(&state->ipv6, id, now_ms))
		return drop(DROP_DHCP6_NO_TRANSACTION);
	uint8_t fault = fault_of_source6(config, state, eth, ip, OF_A_HOST, now_ms);
	if (fault != PASS)
		return drop(fault);
	return punt(PUNT_DHCP6_SERVER, RATE_OF_UPLINK_DHCP);
}

/* As judge_data4_to_guest() of judge.h; transport headers were looked at with the chain. */
INLINE struct decision judge_data6_to_guest(const struct config *config, const struct state *state,
					    const struct ethernet *eth, const struct ipv6 *ip, const struct udp *ports,
					    uint64_t now_ms)
{
	bool to_group = mac_is_group(eth->destination);
	uint8_t bucket = to_group ? bucket_of_uplink(config, state, eth->source, false, now_ms) : RATE_FREE;
	if (!config->stateful)
		return pass(bucket, NO_BINDING);
	struct contact from = contact6(ip->source, true, ip, ports);
	enum portion portion = portion_of(ip->more_fragments, ip->fragment_offset);
	return decide_data(config, may_contact6(config, state, &from, now_ms),
			   (struct data_frame){ HOP_ROUTER, portion, to_group, bucket, NO_BINDING });
}

INLINE struct decision judge_icmp6_to_guest(const struct config *config, const struct state *state,
					    const struct frame *frame, const struct ethernet *eth,
					    const struct ipv6 *ip, uint64_t now_ms)
{
	struct reader r = read_from(frame, ip->payload, ip->end);
	uint8_t type = read_u8(&r);
	struct nd nd = { 0 };
	bool conflict = false;
	if (type == ICMP6_REDIRECT)
		return drop(DROP_ICMP6_REDIRECT);
	bool neighbor = type == NEIGHBOR_SOLICITATION || type == NEIGHBOR_ADVERTISEMENT;
	bool router = type == ROUTER_ADVERTISEMENT;
	if (!neighbor && !router && !is_mld(type) && !is_icmp6_data(type))
		return drop(DROP_ICMP6_TYPE);
	uint8_t fault = PASS;
	if (neighbor)
		fault = fault_of_neighbor(config, state, frame, eth, ip, &nd, &conflict, now_ms);
	if (router)
		fault = fault_of_router(config, state, eth, ip, now_ms);
	if (is_about_router(config, state, eth, ip, &nd, type, fault, now_ms))
		return punt(PUNT_ROUTER_CLAIM, RATE_OF_UPLINK_ROUTER);
	uint32_t allowed = (is_mld(type) || is_dad(&nd, ip) ? OF_NOBODY : 0) | (conflict ? OF_GUEST : 0);
	if (fault == PASS)
		fault = fault_of_source6(config, state, eth, ip, allowed, now_ms);
	if (fault != PASS)
		return drop(fault);
	if (router)
		return punt(PUNT_ROUTER, RATE_OF_UPLINK_ROUTER);
	if (is_error6(frame, ip) && is_about_others6(config, state, frame, ip, now_ms))
		return drop(DROP_ICMP_ERROR_QUOTE);
	struct udp no_ports = { 0, 0, 0 };
	if (is_icmp6_data(type))
		return judge_data6_to_guest(config, state, eth, ip, &no_ports, now_ms);
	bool concerns_guest = !mac_is_group(eth->destination) || (neighbor && is_held6(config, state, nd.target, now_ms));
	uint8_t bucket = bucket_of_uplink(config, state, eth->source, concerns_guest, now_ms);
	if (type == MLD_QUERY && bucket != RATE_OF_UPLINK_GATEWAY)
		bucket = RATE_OF_UPLINK_QUERY;
	if (conflict && !is_leased6(state, nd.target, now_ms))
		return punt(PUNT_ND_CONFLICT, bucket);
	if (is_dad(&nd, ip) && is_slaac_prefix(&state->ipv6, nd.target.high, now_ms) &&
	    !is_own6(config, state, nd.target, now_ms))
		return punt(PUNT_ND_CONFLICT, RATE_OF_UPLINK_DAD);
	return pass(bucket, NO_BINDING);
}

APART struct decision judge_ipv6_to_guest(const struct config *config, const struct state *state,
					  const struct frame *frame, const struct ethernet *eth, uint64_t now_ms)
{
	struct ipv6 ip;
	struct udp ports = { 0, 0, 0 };
	if (config->ipv6_off)
		return drop(DROP_IP6_DISABLED);
	if (!parse_ipv6(frame, ETHERNET_HEADER, &ip))
		return drop(DROP_IP6_MALFORMED);
	uint8_t fault = walk_headers(frame, &ip, false);
	if (fault == PASS)
		fault = fault_of_transport6(&ip);
	if (fault != PASS)
		return drop(fault);
	if (ip.fragment_offset == 0 && ip.protocol == PROTOCOL_ICMP6)
		return judge_icmp6_to_guest(config, state, frame, eth, &ip, now_ms);
	if (ip.fragment_offset == 0 && has_ports(ip.protocol) && !parse_udp(frame, ip.payload, ip.end, &ports))
		return drop(DROP_L4_MALFORMED);
	bool dhcp = is_dhcp6_port(ports.destination) || ports.source == DHCP6_SERVER_PORT;
	if (dhcp && ip.fragment_offset == 0 && ip.protocol == PROTOCOL_UDP)
		return judge_dhcp6_to_guest(config, state, frame, eth, &ip, &ports, now_ms);
	fault = fault_of_source6(config, state, eth, &ip, OF_A_HOST, now_ms);
	if (fault != PASS)
		return drop(fault);
	return judge_data6_to_guest(config, state, eth, &ip, &ports, now_ms);
}
