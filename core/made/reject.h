/* The answer to a refused frame of the guest, for --reject: docs/policy.md. It goes to the guest and nowhere else. */
#pragma once
#include "core/wire/frame.h"
#include "core/wire/verdict.h"

enum { REJECTION_MAX = 14 + 1280 }; /* octets; RFC 4443 2.4 (c) */

/* Drops for which the guest is told. */
bool is_rejected(enum verdict verdict);

/*
 * Writes the frame that tells the guest: TCP RST (RFC 9293 3.10.7.1), ICMP type 3 code 13 (RFC 1812 5.2.7.1) or ICMPv6 type
 * 1 code 1 (RFC 4443 3.1), source and destination turned round. Gives its length, or 0 when none is due: groups,
 * broadcast, later fragments, RST, ICMP other than echo requests. `frame` is one that the judge has found well-formed.
 */
uint32_t make_rejection(const struct frame *frame, uint8_t to[REJECTION_MAX]);
