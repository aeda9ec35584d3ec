/* The frames of core/made/question.h. */
#include "core/made/question.h"
#include "core/wire/arp.h"
#include "core/wire/ethernet.h"
#include "core/wire/nd.h"
#include "core/wire/writer.h"

enum { SOLICITATION_OCTETS = 8, WITH_TARGET_OCTETS = 24, LINK_OPTION_OCTETS = 8 };

static const struct address nobody, all_routers = { 0xff02000000000000ULL, 2 };

/* RFC 2464 7: the MAC of a group. RFC 4861 4: hop limit 255. */
static void put_headers(struct writer *w, uint64_t vm_mac, struct address source, struct address group, uint32_t payload)
{
	put(w, 0x333300000000ULL | (group.low & 0xffffffff), 6);
	put(w, vm_mac, 6);
	put(w, ETHERTYPE_IPV6, 2);
	put(w, 0x60000000u, 4);
	put(w, payload, 2);
	put(w, PROTOCOL_ICMP6, 1);
	put(w, 255, 1);
	put_address(w, source);
	put_address(w, group);
}

/* RFC 4443 2.3. The addresses stand in front of the message, so they are summed where they are. */
static void put_checksum(struct writer *w, uint32_t start)
{
	uint32_t octets = w->at - start;
	struct writer field = { w->to, start + 2 };
	put(&field, checksum(sum_of(w->to + start - 32, 32 + octets, octets + PROTOCOL_ICMP6)), 2);
}

uint32_t make_arp_question(uint64_t vm_mac, uint64_t to_mac, struct address sender, struct address target,
			   uint8_t to[QUESTION_MAX])
{
	struct writer w = { to, 0 };
	put(&w, to_mac, 6);
	put(&w, vm_mac, 6);
	put(&w, ETHERTYPE_ARP, 2);
	put(&w, 0x000108000604, 6); /* IPv4 over Ethernet */
	put(&w, ARP_REQUEST, 2);
	put(&w, vm_mac, 6);
	put_address(&w, sender);
	put(&w, MAC_NONE, 6);
	put_address(&w, target);
	return w.at;
}

uint32_t make_dad_question(uint64_t vm_mac, struct address target, uint8_t to[QUESTION_MAX])
{
	struct writer w = { to, 0 };
	put_headers(&w, vm_mac, nobody, solicited_node_of(target), WITH_TARGET_OCTETS);
	uint32_t start = w.at;
	put(&w, (uint64_t)NEIGHBOR_SOLICITATION << 56, 8);
	put_address(&w, target);
	put_checksum(&w, start);
	return w.at;
}

uint32_t make_neighbor_question(uint64_t vm_mac, struct address source, struct address target, uint8_t to[QUESTION_MAX])
{
	struct writer w = { to, 0 };
	put_headers(&w, vm_mac, source, solicited_node_of(target), WITH_TARGET_OCTETS + LINK_OPTION_OCTETS);
	uint32_t start = w.at;
	put(&w, (uint64_t)NEIGHBOR_SOLICITATION << 56, 8);
	put_address(&w, target);
	put(&w, SOURCE_LINK_ADDRESS << 8 | 1, 2);
	put(&w, vm_mac, 6);
	put_checksum(&w, start);
	return w.at;
}

uint32_t make_router_question(uint64_t vm_mac, uint8_t to[QUESTION_MAX])
{
	struct writer w = { to, 0 };
	put_headers(&w, vm_mac, nobody, all_routers, SOLICITATION_OCTETS);
	uint32_t start = w.at;
	put(&w, (uint64_t)ROUTER_SOLICITATION << 56, 8);
	put_checksum(&w, start);
	return w.at;
}
