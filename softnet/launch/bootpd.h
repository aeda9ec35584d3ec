/* The lease time of macOS' own DHCP server, where it leases to the guest. */
#pragma once
#include <stdint.h>

/* As root it is set; others are told which command sets it. */
void set_or_ask_for_bootpd(uint32_t lease_time_s);
