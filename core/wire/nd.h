/* Neighbor discovery (RFC 4861 4) and MLD (RFC 2710 3, RFC 3810 5) messages, as far as a guard needs them. */
#pragma once
#include "core/wire/ipv6.h"

enum icmp6_type {
	ICMP6_UNREACHABLE = 1,
	ICMP6_PARAMETER_PROBLEM = 4,
	ICMP6_ECHO_REQUEST = 128,
	ICMP6_ECHO_REPLY = 129,
	MLD_QUERY = 130,
	MLD_REPORT = 131,
	MLD_DONE = 132,
	ROUTER_SOLICITATION = 133,
	ROUTER_ADVERTISEMENT = 134,
	NEIGHBOR_SOLICITATION = 135,
	NEIGHBOR_ADVERTISEMENT = 136,
	ICMP6_REDIRECT = 137,
	MLD_REPORT_2 = 143
};

/* Echo and errors: they are judged like data. */
INLINE bool is_icmp6_data(uint8_t type)
{
	return (type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER_PROBLEM) || type == ICMP6_ECHO_REQUEST ||
	       type == ICMP6_ECHO_REPLY;
}

INLINE bool is_mld(uint8_t type)
{
	return (type >= MLD_QUERY && type <= MLD_DONE) || type == MLD_REPORT_2;
}

enum { ND_OCTETS_MAX = 128, ND_OPTIONS_MAX = 4, ROUTER_ADVERTISEMENT_HEADER = 16 };
enum nd_option { SOURCE_LINK_ADDRESS = 1, TARGET_LINK_ADDRESS = 2, PREFIX_INFORMATION = 3, RDNSS = 25, PREF64 = 38 };

struct nd {
	struct address target; /* unset in a Router Solicitation */
	uint64_t link_address; /* of the option; MAC_NONE: absent */
	uint8_t type;
	bool is_solicited, overrides; /* S and O of a Neighbor Advertisement */
	bool has_link_address;
};

/* At most ND_OPTIONS_MAX options, of them at most one link-layer address of six octets. */
INLINE bool read_nd_options(struct reader *r, struct nd *nd)
{
	for (uint32_t i = 0; i < ND_OPTIONS_MAX && octets_left(r) > 0; i++) {
		uint8_t type = read_u8(r), length = read_u8(r);
		if (length == 0) /* RFC 4861 4.6: such a packet is discarded */
			return false;
		if (type != SOURCE_LINK_ADDRESS && type != TARGET_LINK_ADDRESS) {
			skip_bytes(r, 8u * length - 2);
			continue;
		}
		if (length != 1 || nd->has_link_address)
			return false;
		nd->has_link_address = true;
		nd->link_address = read_be48(r);
	}
	return r->ok && r->at == r->end;
}

SUBPROGRAM bool parse_nd_at(frame_handle handle, uint32_t at, uint32_t end, struct nd *nd)
{
	struct frame frame = frame_of(handle);
	struct reader r = read_from(&frame, at, end);
	if (!is_given(nd))
		return false;
	nd->type = read_u8(&r);
	uint8_t code = read_u8(&r);
	skip_bytes(&r, 2);
	uint8_t flags = read_u8(&r);
	skip_bytes(&r, 3);
	if (nd->type != ROUTER_SOLICITATION) {
		nd->target = read_address6(&r);
		if (is_group6(nd->target) || (nd->target.high == 0 && nd->target.low <= 1))
			return false;
	}
	nd->is_solicited = (flags & 0x40) != 0;
	nd->overrides = (flags & 0x20) != 0;
	return r.ok && code == 0 && read_nd_options(&r, nd);
}

/* A Router Solicitation, Neighbor Solicitation or Neighbor Advertisement. False: RFC 4861 7.1 says to discard it. */
INLINE bool parse_nd(const struct frame *frame, const struct ipv6 *ip, struct nd *nd)
{
	*nd = (struct nd){ 0 };
	return parse_nd_at(handle_of(frame), ip->payload, ip->end, nd);
}

/* Duplicate address detection: a solicitation from nobody, RFC 4862 5.4.2. */
INLINE bool is_dad(const struct nd *nd, const struct ipv6 *ip)
{
	return nd->type == NEIGHBOR_SOLICITATION && is_unspecified6(ip->source);
}
