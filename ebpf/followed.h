/*
 * Is the peer of a frame one that the policy opens only as long as somebody follows who has its address? The programs in the kernel
 * ask this when their process is gone. The judge has found the frame well-formed.
 */
#pragma once
#include "core/judge/config.h"
#include "core/wire/ethernet.h"
#include "core/wire/ipv6.h"

SUBPROGRAM bool is_followed(const struct config *config, uint64_t high, uint64_t low)
{
	if (is_given(config))
		for (uint32_t i = 0; i < FOLLOWED_MAX && i < config->followed.count; i++)
			if (config->followed.item[i].low == low && config->followed.item[i].high == high)
				return true;
	return false;
}

INLINE struct address peer4(const struct frame *frame, bool to_guest)
{
	enum { SOURCE = ETHERNET_HEADER + 12, DESTINATION = ETHERNET_HEADER + 16 };
	struct reader r = read_from(frame, to_guest ? SOURCE : DESTINATION, frame->length);
	return address_of_ipv4(read_be32(&r));
}

INLINE struct address peer6(const struct frame *frame, bool to_guest)
{
	enum { SOURCE = ETHERNET_HEADER + 8, DESTINATION = ETHERNET_HEADER + 24 };
	struct reader r = read_from(frame, to_guest ? SOURCE : DESTINATION, frame->length);
	return read_address6(&r);
}

INLINE bool has_followed_peer(const struct config *config, const struct frame *frame, bool to_guest)
{
	struct ethernet eth;
	struct address peer = { 0, 0 };
	if (config->followed.count == 0 || !parse_ethernet(frame, &eth))
		return false;
	if (eth.type == ETHERTYPE_IPV4)
		peer = peer4(frame, to_guest);
	else if (eth.type == ETHERTYPE_IPV6)
		peer = peer6(frame, to_guest);
	return is_followed(config, peer.high, peer.low);
}
