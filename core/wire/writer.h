/* Frames that softnet makes itself, written octet by octet as the header diagrams of the RFCs stand. User space only. */
#pragma once
#include "core/wire/address.h"

struct writer {
	uint8_t *to;
	uint32_t at;
};

/* The low octets of a number, in network order. */
INLINE void put(struct writer *w, uint64_t value, uint32_t octets)
{
	for (uint32_t i = octets; i > 0; i--)
		w->to[w->at++] = (uint8_t)(value >> (8 * (i - 1)));
}

INLINE void put_address(struct writer *w, struct address a)
{
	if (is_ipv4(a)) {
		put(w, ipv4_of_address(a), 4);
		return;
	}
	put(w, a.high, 8);
	put(w, a.low, 8);
}

/* RFC 1071: the sum of 16-bit words, folded by checksum(). */
INLINE uint32_t sum_of(const uint8_t *bytes, uint32_t n, uint32_t sum)
{
	for (uint32_t i = 0; i < n; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	return sum;
}

INLINE uint16_t checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}
