/* What the slow path shares of neighbor discovery. User space only. */
#pragma once
#include "core/wire/ethernet.h"
#include "core/wire/nd.h"
#include "core/guard.h"

/* The sum over the pseudo-header and the payload is right, RFC 8200 8.1. */
bool has_good_checksum6(const struct frame *frame, const struct ipv6 *ip, uint8_t protocol);

/* By Router Solicitation: three times, 4 s apart, then once a minute, however often it is called. */
void ask_for_router(struct guard *, uint64_t now_ms);
/* Asks for all routers whose MAC is wanted: those that are named, and any others. */
void seek_routers6(struct guard *, uint64_t now_ms);

/* With a wrong checksum nobody listens: no objection would come, and none would be heard. */
bool parse_nd_frame(const struct frame *frame, struct ethernet *eth, struct ipv6 *ip, struct nd *nd);
