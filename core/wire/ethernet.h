/* Ethernet II (IEEE 802.3 3.2.6: a length/type field from 0x0600 on is a type). */
#pragma once
#include "core/wire/address.h"

enum { ETHERNET_HEADER = 14, ETHERTYPE_MIN = 0x0600 };
enum { ETHERTYPE_IPV4 = 0x0800, ETHERTYPE_ARP = 0x0806, ETHERTYPE_RARP = 0x8035, ETHERTYPE_IPV6 = 0x86dd };

struct ethernet {
	uint64_t destination, source;
	uint16_t type;
};

INLINE bool parse_ethernet(const struct frame *frame, struct ethernet *eth)
{
	struct reader r = read_from(frame, 0, frame->length);
	eth->destination = read_be48(&r);
	eth->source = read_be48(&r);
	eth->type = outer_type(frame, read_be16(&r));
	return r.ok;
}

/* 802.1Q, 802.1ad and the TPIDs that were in use before it. */
INLINE bool is_vlan_tag(uint16_t type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100 || type == 0x9200 || type == 0x9300;
}

/* IEEE 802.1Q table 8-1: 01:80:c2:00:00:00 to 0f, never forwarded by a bridge, and the GMRP/GVRP groups behind them. */
INLINE bool is_bridge_group(uint64_t mac)
{
	return mac >> 8 == 0x0180c20000ULL && (mac & 0xff) <= 0x2f;
}

/* The MAC of an IPv4 group, RFC 1112 6.4: the low 23 bits behind 01:00:5e. */
INLINE uint64_t mac_of_group4(uint32_t group)
{
	return 0x01005e000000ULL | (group & 0x7fffff);
}
