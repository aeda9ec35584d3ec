/*
 * Questions that the guard asks the network in its guest's name, where a guest that lost nothing has no reason to ask again:
 * docs/filter-ipv6.md, docs/filter.md. They say no more than the guest could say itself. User space only.
 */
#pragma once
#include "core/wire/address.h"

enum { QUESTION_MAX = 14 + 40 + 32 };

/* ARP, RFC 826: who has the target? To one machine, or to all. Gives the length. */
uint32_t make_arp_question(uint64_t vm_mac, uint64_t to_mac, struct address sender, struct address target,
			   uint8_t to[QUESTION_MAX]);

/* Duplicate address detection, RFC 4862 5.4.2: from ::, to the solicited-node group, no option. Gives the length. */
uint32_t make_dad_question(uint64_t vm_mac, struct address target, uint8_t to[QUESTION_MAX]);

/* Neighbor Solicitation, RFC 4861 4.3: who has it? From an address of the guest's, with its MAC. */
uint32_t make_neighbor_question(uint64_t vm_mac, struct address source, struct address target, uint8_t to[QUESTION_MAX]);

/* Router Solicitation, RFC 4861 4.1: from ::, so without a link-layer address. Gives the length. */
uint32_t make_router_question(uint64_t vm_mac, uint8_t to[QUESTION_MAX]);
