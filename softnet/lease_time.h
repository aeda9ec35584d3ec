/* --bootpd-lease-time: how long the system's own DHCP server leases the addresses that its virtual networks have. */
#pragma once
#include "text.h"

enum { LEASE_TIME_S = 600 }; /* unless the user says another; the system's is a day, and a host has but 253 addresses */

/* False: the cause says why it stays as it was. Wants root. It counts for networks that start afterwards. */
bool set_lease_time(uint32_t seconds, struct usage_error *cause);
