/*
 * What a client of DNS is told when names decide against it, for --reject: docs/names.md. It goes to the guest and nowhere
 * else.
 */
#pragma once
#include "core/wire/frame.h"
#include "core/wire/verdict.h"

enum { DNS_REFUSAL_MAX = 14 + 40 + 8 + 512 }; /* octets */

/* Drops that are told in this way, where they are of UDP. */
bool is_dns_refusal(enum verdict);

/*
 * Writes the answer to a refused question, or the one that takes the place of a refused answer: REFUSED with the Extended DNS
 * Error 15, Blocked (RFC 8914), or no data. Gives its length, or 0 when none is due.
 */
uint32_t make_dns_refusal(const struct frame *, enum direction, enum verdict, uint8_t to[DNS_REFUSAL_MAX]);
