/* DHCP that the guard says in its guest's name: docs/filter.md, A lease that the guard does not know. User space only. */
#pragma once
#include "core/wire/address.h"

enum { LEASE_QUESTION_MAX = 14 + 20 + 8 + 300 };

/*
 * A REQUEST in INIT-REBOOT (RFC 2131 4.3.2): is this address still mine? It goes to all servers, and their answer to all. Gives
 * the length.
 */
uint32_t make_lease_question(uint64_t vm_mac, uint32_t xid, struct address requested, uint8_t to[LEASE_QUESTION_MAX]);
