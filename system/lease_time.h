/*
 * How the system's own DHCP server (macOS: bootpd) leases the addresses that its virtual networks have: for how long
 * (--bootpd-lease-time), and by MAC address.
 */
#pragma once
#include "system/text.h"

enum { LEASE_TIME_S = 600 }; /* unless the user says another; the system's is a day, and a host has but 253 addresses */

/* False: the cause says why it stays as it was. Wants root. It counts for networks that start afterwards. */
bool set_bootpd(uint32_t seconds, struct error *cause);

/* Whether all that set_bootpd() would set stands there already. Anybody may ask. */
bool is_bootpd_set(uint32_t seconds);
