/* The last frame that was dropped for a reason: its front says what it was. Of what a port refuses, only the time. */
#pragma once
#include <stdint.h>

/* Up to the first option of DHCP, 282 octets in, which is the message's type. */
enum { SPECIMEN_MAX = 288 };

struct specimen {
	uint64_t dropped_ms;
	uint32_t length, kept; /* octets; 0: none was kept */
	uint8_t bytes[SPECIMEN_MAX];
};
