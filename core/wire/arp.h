/* ARP for IPv4 over Ethernet, RFC 826, and RARP, RFC 903: 28 octets; what follows them is padding. */
#pragma once
#include "core/wire/address.h"

enum { ARP_REQUEST = 1, ARP_REPLY = 2, RARP_REQUEST = 3 };

#define ARP_IPV4_ETHERNET 0x000108000604ULL /* htype 1, ptype 0x0800, hlen 6, plen 4 */

struct arp {
	uint16_t operation;
	uint64_t sender_mac;
	struct address sender, target;
};

/* False for other hardware or protocol types and for operations other than request and reply (RARP, InARP, ...). */
INLINE bool parse_arp(const struct frame *frame, uint32_t at, struct arp *arp)
{
	struct reader r = read_from(frame, at, frame->length);
	uint64_t types_and_lengths = read_be48(&r);
	arp->operation = read_be16(&r);
	arp->sender_mac = read_be48(&r);
	arp->sender = address_of_ipv4(read_be32(&r));
	skip_bytes(&r, 6); /* target MAC: unknown in a request, not believed in a reply */
	arp->target = address_of_ipv4(read_be32(&r));
	return r.ok && types_and_lengths == ARP_IPV4_ETHERNET &&
	       (arp->operation == ARP_REQUEST || arp->operation == ARP_REPLY);
}

/*
 * "Who am I?", asked about the sender itself: so hypervisors teach switches where a machine has moved to. It claims no
 * address, and nobody but a RARP server would answer.
 */
INLINE bool is_rarp_announcement(const struct frame *frame, uint32_t at, uint64_t mac)
{
	struct reader r = read_from(frame, at, frame->length);
	uint64_t types_and_lengths = read_be48(&r);
	uint16_t operation = read_be16(&r);
	uint64_t sender_mac = read_be48(&r);
	uint32_t sender = read_be32(&r);
	uint64_t target_mac = read_be48(&r);
	uint32_t target = read_be32(&r);
	return r.ok && types_and_lengths == ARP_IPV4_ETHERNET && operation == RARP_REQUEST && sender_mac == mac &&
	       target_mac == mac && sender == 0 && target == 0;
}
