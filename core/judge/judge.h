/*
 * The fast path: a pure function of (config, state, frame, now). It reads as the list of rules, the first that is broken
 * decides. What it cannot decide without changing state it punts to the snooper. The same text is compiled for user space
 * and for eBPF, so every loop is bounded and nothing is written.
 */
#pragma once
#include "core/judge/decision.h"
#include "core/judge/destination.h"
#include "core/wire/ethernet.h"
#include "core/judge/icmp_error.h"
#include "core/judge/judge_arp.h"
#include "core/judge/judge_ipv6.h"

/* --- guest to uplink --------------------------------------------------------------------------------------------- */

/* RFC 3376 4: reports and leaves of IGMP 1 to 3, TTL 1. A query would make the guest the segment's querier. */
INLINE bool is_plain_igmp(const struct frame *frame, const struct ipv4 *ip)
{
	struct reader r = read_from(frame, ip->payload, ip->end);
	uint8_t type = read_u8(&r);
	return r.ok && payload_octets(ip) >= 8 && ip->ttl == 1 && !is_fragment(ip) && is_group4(ip->destination) &&
	       (type == 0x12 || type == 0x16 || type == 0x17 || type == 0x22);
}

/* IGMP carries Router Alert (RFC 2113) as its only option. */
INLINE bool has_forbidden_options(const struct frame *frame, const struct ipv4 *ip)
{
	if (ip->header == 20)
		return false;
	struct reader r = read_from(frame, ip->payload - ip->header + 20, ip->end);
	uint32_t option = read_be32(&r);
	return ip->header != 24 || ip->protocol != PROTOCOL_IGMP || !r.ok || option != 0x94040000U;
}

INLINE bool is_bad_fragment(const struct ipv4 *ip)
{
	uint32_t payload = payload_octets(ip), need = transport_header(ip->protocol);
	if (ip->fragment_offset + payload > 65535)
		return true;
	if (ip->more_fragments && payload % 8 != 0) /* RFC 791 3.2 */
		return true;
	if (ip->more_fragments && ip->fragment_offset == 0)
		return payload < need;
	return ip->fragment_offset > 0 && ip->fragment_offset < need;
}

/* ICMP that steers routing: redirect, router advertisement, mask reply. The guest is no router. */
INLINE bool is_icmp_control(const struct frame *frame, const struct ipv4 *ip)
{
	struct reader r = read_from(frame, ip->payload, ip->end);
	uint8_t type = read_u8(&r);
	return r.ok && ip->fragment_offset == 0 && (type == 5 || type == 9 || type == 18);
}

INLINE bool is_error4(const struct frame *frame, const struct ipv4 *ip)
{
	struct reader r = read_from(frame, ip->payload, ip->end);
	return ip->protocol == PROTOCOL_ICMP && ip->fragment_offset == 0 && is_icmp_error(PROTOCOL_ICMP, read_u8(&r));
}

/*
 * RFC 1122 3.2.2: a host errs about what was sent to it, and tells the sender. Anything else would be about the flows of
 * others: "port unreachable" ends them, "fragmentation needed" makes them slow. In fragments it cannot be looked at.
 */
INLINE bool is_about_guest4(const struct state *state, const struct frame *frame, const struct ipv4 *ip, uint64_t now_ms)
{
	struct quoted q;
	return !is_fragment(ip) && parse_quoted4(frame, ip->payload, ip->end, &q) &&
	       same_address(q.source, ip->destination) && owns_address4(state, q.destination, now_ms);
}

/* The other way: about what somebody else has sent. Whether the guest sent just that only flows can tell. */
INLINE bool is_about_others4(const struct state *state, const struct frame *frame, const struct ipv4 *ip, uint64_t now_ms)
{
	struct quoted q;
	return parse_quoted4(frame, ip->payload, ip->end, &q) && !owns_address4(state, q.source, now_ms);
}

/* Hop-by-hop, routing, fragment, ICMPv6, no next header, destination options: nothing that IPv4 carries. */
INLINE bool is_ipv6_header_type(uint8_t protocol)
{
	return protocol == 0 || protocol == 43 || protocol == 44 || protocol == 58 || protocol == 59 || protocol == 60;
}

/* A group address needs the MAC of that group, broadcast the broadcast MAC, a unicast address a unicast MAC. */
INLINE bool mac_fits_ipv4(const struct state *state, uint64_t mac, struct address destination, uint64_t now_ms)
{
	uint32_t to = ipv4_of_address(destination);
	if (is_group4(destination))
		return mac == mac_of_group4(to);
	if (to == IPV4_BROADCAST || is_directed_broadcast(state, destination, now_ms))
		return mac == MAC_BROADCAST;
	return !mac_is_group(mac);
}

INLINE bool is_on_link(const struct binding *b, struct address a)
{
	uint32_t mask = ipv4_mask(b->prefix_length);
	return (ipv4_of_address(a) & mask) == (ipv4_of_address(b->address) & mask);
}

/* With isolation the next hop is a router, whatever the IP destination says (RFC 4562 2). Resolvers may be neighbors. */
INLINE uint32_t next_hop4(struct view view, uint64_t mac, uint32_t binding, struct address to)
{
	if (!view.config->isolation || mac_is_group(mac) || is_gateway_mac(view, mac) ||
	    is_to_resident(view.config, to, mac) || !needs_router4(view.config, view.state, view.now_ms))
		return HOP_ROUTER;
	limit_for_verifier(binding, BINDINGS4_MAX);
	if (binding >= BINDINGS4_MAX || !is_on_link(&view.state->ipv4[binding], to))
		return HOP_WRONG;
	return is_resolver4(view, to) ? HOP_ROUTER : HOP_NEIGHBOR;
}

INLINE struct contact contact4(struct address peer, bool inward, const struct ipv4 *ip, const struct udp *ports)
{
	return (struct contact){ .peer = peer,
				 .inward = inward,
				 .protocol = ip->protocol,
				 .ports = ip->fragment_offset > 0 ? PORTS_UNKNOWN : PORTS_KNOWN,
				 .source_port = ports->source,
				 .port = ports->destination };
}

/* Ports 67 and 68 are reserved towards every destination: an answer to port 68 would look like a DHCP reply. */
INLINE struct decision judge_dhcp4_from_guest(const struct config *config, const struct ipv4 *ip, const struct udp *udp)
{
	if (udp->source == DHCP_SERVER_PORT || udp->destination == DHCP_CLIENT_PORT)
		return drop(DROP_DHCP4_SERVER);
	if (udp->source != DHCP_CLIENT_PORT ||
	    (udp->destination != DHCP_SERVER_PORT && udp->destination != BOOT_SERVER_PORT))
		return drop(DROP_DHCP4_PORT_MISUSE);
	if (is_fragment(ip))
		return drop(DROP_DHCP4_MALFORMED);
	if (config->dhcp_off)
		return drop(DROP_DHCP4_DISABLED);
	return punt(PUNT_DHCP4_CLIENT, RATE_OF_DHCP);
}

INLINE bool is_dhcp_port(uint16_t port)
{
	return port == DHCP_SERVER_PORT || port == DHCP_CLIENT_PORT;
}

/* Source, protocol and destination of a well-formed datagram that is not DHCP. */
INLINE struct decision judge_data4_from_guest(struct view view, struct packet4 p)
{
	uint32_t binding = find_binding4(view.state, p.ip->source, view.now_ms);
	if (binding == NO_BINDING)
		return drop(has_lease4(view.state, view.now_ms) ? DROP_IP4_SRC_SPOOF : DROP_IP4_NO_LEASE);
	if (p.ip->protocol == PROTOCOL_IGMP) {
		if (!is_plain_igmp(p.frame, p.ip))
			return drop(DROP_IGMP_INVALID);
		if (!mac_fits_ipv4(view.state, p.eth->destination, p.ip->destination, view.now_ms))
			return drop(DROP_L2L3_MISMATCH);
		return pass(RATE_OF_REPORT, binding);
	}
	bool to_group = is_group4(p.ip->destination);
	if (p.ip->protocol == PROTOCOL_ICMP && (is_icmp_control(p.frame, p.ip) || (to_group && is_fragment(p.ip))))
		return drop(DROP_ICMP_CONTROL);
	if (is_ipv6_header_type(p.ip->protocol))
		return drop(DROP_IP4_MALFORMED);
	if (!mac_fits_ipv4(view.state, p.eth->destination, p.ip->destination, view.now_ms))
		return drop(DROP_L2L3_MISMATCH);
	struct contact to = contact4(p.ip->destination, false, p.ip, p.ports);
	struct permission permission = may_contact4(view, &to);
	uint32_t hop = next_hop4(view, p.eth->destination, binding, p.ip->destination);
	bool link_scope = p.eth->destination == MAC_BROADCAST || ipv4_of_address(p.ip->destination) >> 8 == 0xe00000U;
	bool group_frame = mac_is_group(p.eth->destination);
	uint8_t bucket = group_frame ? bucket_of_group(&permission, link_scope) : RATE_FREE;
	struct data_frame data = { hop, portion_of(p.ip->more_fragments, p.ip->fragment_offset), group_frame, bucket,
				   binding };
	struct decision d = decide_data(view.config, permission, data);
	if (may_pass(d) && is_error4(p.frame, p.ip) && !is_about_guest4(view.state, p.frame, p.ip, view.now_ms))
		return refuse_finally(d, DROP_ICMP_ERROR_QUOTE);
	bool seeks = d.verdict == DROP_L2_NEXT_HOP && d.flow == 0 && may_seek_routers4(view);
	return seeks ? punt(PUNT_NEXT_HOP, RATE_FREE) : d;
}

INLINE struct decision judge_ipv4_from_guest(struct view view, const struct frame *frame, const struct ethernet *eth)
{
	struct ipv4 ip;
	if (!parse_ipv4(frame, ETHERNET_HEADER, &ip) || ip.ttl == 0 || ip.reserved_flag)
		return drop(DROP_IP4_MALFORMED);
	if (has_forbidden_options(frame, &ip))
		return drop(DROP_IP4_OPTIONS);
	if (is_fragment(&ip) && is_bad_fragment(&ip))
		return drop(DROP_IP4_FRAGMENT);
	if (!is_fragment(&ip) && payload_octets(&ip) < transport_header(ip.protocol))
		return drop(DROP_L4_MALFORMED);

	/* TCP and SCTP have their ports where UDP has them. A later fragment has none. */
	struct udp ports = { 0, 0, 0 };
	bool ports_there = has_ports(ip.protocol) && ip.fragment_offset == 0;
	if (ports_there && !parse_udp(frame, ip.payload, ip.end, &ports))
		return drop(DROP_L4_MALFORMED);
	if (ports_there && ip.protocol == PROTOCOL_UDP) {
		bool too_long = !is_fragment(&ip) && ports.length > payload_octets(&ip);
		if (ports.length < 8 || too_long)
			return drop(DROP_L4_MALFORMED);
		if (is_dhcp_port(ports.source) || is_dhcp_port(ports.destination))
			return judge_dhcp4_from_guest(view.config, &ip, &ports);
	}
	return judge_data4_from_guest(view, (struct packet4){ frame, eth, &ip, &ports });
}

INLINE struct decision judge_from_guest(struct view view, const struct frame *frame)
{
	struct ethernet eth;
	if (!parse_ethernet(frame, &eth))
		return drop(DROP_FRAME_RUNT);
	if (octets_on_wire(frame) > view.config->max_frame)
		return drop(DROP_FRAME_OVERSIZE);
	if (eth.source != view.config->vm_mac)
		return drop(DROP_ETH_SRC_SPOOF);
	if (eth.destination == MAC_NONE || eth.destination == view.config->vm_mac)
		return drop(DROP_ETH_DST_INVALID);
	if (is_bridge_group(eth.destination))
		return drop(DROP_ETH_DST_RESERVED);
	if (eth.type == ETHERTYPE_ARP)
		return judge_arp_from_guest(view, frame, &eth);
	if (eth.type == ETHERTYPE_IPV4)
		return judge_ipv4_from_guest(view, frame, &eth);
	if (eth.type == ETHERTYPE_IPV6)
		return judge_ipv6_from_guest(view, frame, &eth);
	if (eth.type == ETHERTYPE_RARP)
		return judge_rarp_from_guest(view.config, frame, &eth);
	return drop(is_vlan_tag(eth.type) ? DROP_ETHERTYPE_VLAN : DROP_ETHERTYPE_UNKNOWN);
}

/* --- uplink to guest --------------------------------------------------------------------------------------------- */

/*
 * Not one of the trusted, but the snooper has to look: those are silent; the server knows an id that no other knows; or a
 * second relay brings a copy of the answer, which is no answer any more and no sign of a rogue.
 */
INLINE bool may_be_server4(struct view view, uint32_t source, uint64_t mac, uint32_t transaction, struct address given)
{
	if (may_succeed_server4(view.config, view.state, source, mac, view.now_ms))
		return true;
	limit_for_verifier(transaction, TRANSACTIONS_MAX);
	if (transaction >= TRANSACTIONS_MAX)
		return false;
	const struct transaction *t = &view.state->dhcp4[transaction];
	return (t->secret && may_vouch_server4(view.config, view.state, source, mac, view.now_ms)) ||
	       (t->done && same_address(t->acked, given));
}

/*
 * What is wrong with a reply that the fixed fields already tell (RFC 2131 2). Only what is left costs a token of the
 * snooper: a flood of forged replies must not drown the one that the guest waits for.
 */
INLINE uint8_t fault_of_reply(struct view view, struct packet4 p)
{
	struct reader r = read_from(p.frame, p.ip->payload + 8, p.ip->end);
	skip_bytes(&r, 4);
	uint32_t transaction_id = read_be32(&r);
	skip_bytes(&r, 8);
	struct address given = address_of_ipv4(read_be32(&r));
	skip_bytes(&r, 8);
	uint64_t client_mac = read_be48(&r);
	if (!r.ok)
		return DROP_DHCP4_MALFORMED;
	uint32_t transaction = find_transaction4(view.state, transaction_id, view.now_ms);
	if (!is_trusted_server4(view.config, view.state, ipv4_of_address(p.ip->source), p.eth->source, view.now_ms) &&
	    !may_be_server4(view, ipv4_of_address(p.ip->source), p.eth->source, transaction, given))
		return DROP_DHCP4_ROGUE_SERVER;
	if (client_mac != view.config->vm_mac)
		return DROP_DHCP4_NOT_FOR_GUEST;
	return transaction < TRANSACTIONS_MAX ? PASS : DROP_DHCP4_NO_TRANSACTION;
}

INLINE struct decision judge_dhcp4_to_guest(struct view view, struct packet4 p)
{
	if (p.ports->source != DHCP_SERVER_PORT && p.ports->destination != DHCP_CLIENT_PORT)
		return drop(DROP_DHCP4_CLIENT);
	if (is_fragment(p.ip))
		return drop(DROP_DHCP4_MALFORMED);
	if (p.ports->destination != DHCP_CLIENT_PORT) /* it may come from any: RFC 2131 4.1 fixes only this one */
		return drop(DROP_DHCP4_PORT_MISUSE);
	if (view.config->dhcp_off)
		return drop(DROP_DHCP4_DISABLED);
	if (p.eth->destination != view.config->vm_mac && p.eth->destination != MAC_BROADCAST)
		return drop(DROP_L2_NOT_FOR_GUEST);
	uint8_t fault = fault_of_reply(view, p);
	return fault == PASS ? punt(PUNT_DHCP4_SERVER, RATE_OF_UPLINK_DHCP) : drop(fault);
}

/* The guest answers a query with a report for each of its groups. */
INLINE uint8_t bucket_of_igmp(const struct frame *frame, const struct ipv4 *ip)
{
	struct reader r = read_from(frame, ip->payload, ip->end);
	return read_u8(&r) == IGMP_QUERY ? RATE_OF_UPLINK_QUERY : RATE_OF_UPLINK_GROUP;
}

/*
 * What comes from the network and is well-formed so far. Where flows are tracked its transport header must stand where it was
 * judged; IGMP keeps the guest in its groups and is nobody's call.
 */
INLINE struct decision judge_data4_to_guest(struct view view, const struct frame *frame, const struct ethernet *eth,
					    const struct ipv4 *ip)
{
	bool to_group = mac_is_group(eth->destination);
	uint8_t bucket = to_group ? bucket_of_uplink(view, eth->source, false) : RATE_FREE;
	struct udp ports = { 0, 0, 0 };
	if (ip->protocol == PROTOCOL_IGMP)
		return pass(bucket == RATE_OF_UPLINK_GATEWAY ? bucket : bucket_of_igmp(frame, ip), NO_BINDING);
	if (!view.config->stateful)
		return pass(bucket, NO_BINDING);
	if (is_fragment(ip) && is_bad_fragment(ip))
		return drop(DROP_IP4_FRAGMENT);
	if (!is_fragment(ip) && payload_octets(ip) < transport_header(ip->protocol))
		return drop(DROP_L4_MALFORMED);
	if (ip->fragment_offset == 0 && has_ports(ip->protocol) && !parse_udp(frame, ip->payload, ip->end, &ports))
		return drop(DROP_L4_MALFORMED);
	struct contact from = contact4(ip->source, true, ip, &ports);
	enum portion portion = portion_of(ip->more_fragments, ip->fragment_offset);
	return decide_data(view.config, may_contact4(view, &from),
			   (struct data_frame){ HOP_ROUTER, portion, to_group, bucket, NO_BINDING });
}

INLINE struct decision judge_ipv4_to_guest(struct view view, const struct frame *frame, const struct ethernet *eth)
{
	struct ipv4 ip;
	if (!parse_ipv4(frame, ETHERNET_HEADER, &ip) || ip.reserved_flag)
		return drop(DROP_IP4_MALFORMED);
	if (ip.protocol == PROTOCOL_UDP && ip.fragment_offset == 0) {
		struct udp udp;
		if (!parse_udp(frame, ip.payload, ip.end, &udp))
			return drop(DROP_L4_MALFORMED);
		/* The guest's client message comes back to it only from another machine: port 68 as source. */
		if (is_dhcp_port(udp.source) || is_dhcp_port(udp.destination))
			return judge_dhcp4_to_guest(view, (struct packet4){ frame, eth, &ip, &udp });
	}
	if (is_sole4(view, ip.source))
		return drop(DROP_IP4_SRC_IS_GUEST);
	if (is_impossible_source4(ip.source, ip.protocol))
		return drop(DROP_IP4_SRC_INVALID);
	if (speaks_as_router4(view, ip.source, eth->source))
		return drop(DROP_IP4_GATEWAY_SPOOF);
	if (mac_is_group(eth->destination) && mac_fits_ipv4(view.state, MAC_NONE, ip.destination, view.now_ms))
		return drop(DROP_L2L3_MISMATCH); /* a unicast datagram in a group frame, RFC 1122 3.3.6 */
	if (ip.protocol == PROTOCOL_ICMP && is_icmp_control(frame, &ip))
		return drop(DROP_ICMP_CONTROL);
	if (is_error4(frame, &ip) && is_about_others4(view.state, frame, &ip, view.now_ms))
		return drop(DROP_ICMP_ERROR_QUOTE);
	return judge_data4_to_guest(view, frame, eth, &ip);
}

INLINE struct decision judge_to_guest(struct view view, const struct frame *frame)
{
	struct ethernet eth;
	if (!parse_ethernet(frame, &eth))
		return drop(DROP_FRAME_RUNT);
	if (octets_on_wire(frame) > view.config->max_frame)
		return drop(DROP_FRAME_OVERSIZE);
	if (mac_is_group(eth.source) || eth.source == MAC_NONE)
		return drop(DROP_ETH_SRC_INVALID);
	if (eth.source == view.config->vm_mac)
		return drop(DROP_ETH_SRC_IS_GUEST);
	if (!mac_is_group(eth.destination) && eth.destination != view.config->vm_mac)
		return drop(DROP_L2_NOT_FOR_GUEST);
	if (is_bridge_group(eth.destination))
		return drop(DROP_ETH_DST_RESERVED);
	if (eth.type == ETHERTYPE_ARP)
		return judge_arp_to_guest(view, frame, &eth);
	if (eth.type == ETHERTYPE_IPV4)
		return judge_ipv4_to_guest(view, frame, &eth);
	if (eth.type == ETHERTYPE_IPV6)
		return judge_ipv6_to_guest(view, frame, &eth);
	return drop(is_vlan_tag(eth.type) ? DROP_ETHERTYPE_VLAN : DROP_ETHERTYPE_UNKNOWN);
}
