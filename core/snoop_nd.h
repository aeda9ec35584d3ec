/* What the slow path shares of neighbor discovery. User space only. */
#pragma once
#include "ethernet.h"
#include "nd.h"

/* The sum over the pseudo-header and the payload is right, RFC 8200 8.1. */
bool has_good_checksum6(const struct frame *frame, const struct ipv6 *ip, uint8_t protocol);

/* With a wrong checksum nobody listens: no objection would come, and none would be heard. */
bool parse_nd_frame(const struct frame *frame, struct ethernet *eth, struct ipv6 *ip, struct nd *nd);
