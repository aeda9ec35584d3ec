/*
 * Questions that the guard asks the network in its guest's name, where a guest that lost nothing has no reason to ask again:
 * docs/filter-ipv6.md. They say no more than the guest could say itself. User space only.
 */
#pragma once
#include "address.h"

enum { QUESTION_MAX = 14 + 40 + 24 };

/* Duplicate address detection, RFC 4862 5.4.2: from ::, to the solicited-node group, no option. Gives the length. */
uint32_t make_dad_question(uint64_t vm_mac, struct address target, uint8_t to[QUESTION_MAX]);

/* Router Solicitation, RFC 4861 4.1: from ::, so without a link-layer address. Gives the length. */
uint32_t make_router_question(uint64_t vm_mac, uint8_t to[QUESTION_MAX]);
