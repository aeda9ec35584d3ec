/*
 * Is the peer of a frame one that the policy opens only as long as somebody follows who has its address? The programs in the kernel
 * ask this when their process is gone. The judge has found the frame well-formed.
 */
#pragma once
#include "core/judge/destination6.h"
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

/* By itself, or behind a translator, where the policy of IPv4 has decided. */
INLINE bool is_followed6(struct view view, struct address peer)
{
	uint64_t ipv4 = translated_ipv4(view.config, &view.state->ipv6, peer.high, peer.low, view.now_ms);
	struct address behind = address_of_ipv4((uint32_t)ipv4);
	return is_followed(view.config, peer.high, peer.low) ||
	       (ipv4 != NOT_TRANSLATED && is_followed(view.config, behind.high, behind.low));
}

INLINE bool has_followed_peer(struct view view, const struct frame *frame, bool to_guest)
{
	struct ethernet eth;
	if (view.config->followed.count == 0 || !parse_ethernet(frame, &eth))
		return false;
	if (eth.type == ETHERTYPE_IPV6)
		return is_followed6(view, peer6(frame, to_guest));
	struct address peer = peer4(frame, to_guest);
	return eth.type == ETHERTYPE_IPV4 && is_followed(view.config, peer.high, peer.low);
}
