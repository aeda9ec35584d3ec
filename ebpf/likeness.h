/*
 * All that the judge reads of a plain frame: TCP or UDP right behind IPv6, or behind IPv4 without options and fragments. Of two
 * frames that are alike it says the same, as long as config, state and time are the same. It reads nothing of what differs from one
 * frame of a flow to the next: traffic class, flow label, identification, the checksum of the header, and what stands behind the
 * ports of TCP and the length of UDP. What a flow needs of that is read apart (core/judge/flow_facts.h).
 */
#pragma once
#include "core/wire/ethernet.h"
#include "core/wire/ipv6.h"

enum plain_kind { NOT_PLAIN, PLAIN_TCP4, PLAIN_UDP4, PLAIN_TCP6, PLAIN_UDP6 };

enum { LIKENESS_WORDS = 8 };

/* Eight octets each: where they begin, and what of them the judge reads. */
#define WORDS_OF_IPV4(X, ports) \
	X(0, 0, UINT64_MAX) \
	X(1, 8, 0xffffffffffffff00) /* type of service */ \
	X(2, 16, 0xffff0000ffffffff) /* identification */ \
	X(3, 24, 0x0000ffffffffffff) /* checksum */ \
	X(4, 32, ports)
#define WORDS_OF_IPV6(X, ports) \
	X(0, 0, UINT64_MAX) \
	X(1, 8, 0xfffffffffffff000) /* traffic class */ \
	X(2, 16, 0x0000ffffffffffff) /* flow label */ \
	X(3, 24, UINT64_MAX) \
	X(4, 32, UINT64_MAX) \
	X(5, 40, UINT64_MAX) \
	X(6, 48, UINT64_MAX) \
	X(7, 52, ports)

INLINE uint64_t read_word(const struct frame *frame, uint32_t at)
{
	uint64_t word = 0;
	return frame_number(frame, at, 8, &word) ? word : 0;
}

INLINE bool is_kind_of_ipv6(enum plain_kind kind)
{
	return kind == PLAIN_TCP6 || kind == PLAIN_UDP6;
}

/* Both ports stand in it, and behind them the length of UDP, but a part of TCP's sequence number. */
INLINE uint64_t read_ports_word(const struct frame *frame, enum plain_kind kind)
{
	return read_word(frame, is_kind_of_ipv6(kind) ? 52 : 32);
}

INLINE uint64_t mask_of_ports(enum plain_kind kind)
{
	return kind == PLAIN_TCP4 || kind == PLAIN_TCP6 ? ~0xffffULL : UINT64_MAX;
}

/* NOT_PLAIN, too, where its headers are not in the first piece of its memory. */
INLINE enum plain_kind plain_kind_of(const struct frame *frame)
{
	uint64_t second = read_word(frame, 8), third = read_word(frame, 16), last;
	uint16_t type = outer_type(frame, (uint16_t)(second >> 16)), flags_offset = (uint16_t)(third >> 16);
	bool is_ipv6 = type == ETHERTYPE_IPV6 && (second >> 12 & 15) == 6;
	if (!is_ipv6 && (type != ETHERTYPE_IPV4 || (second >> 8 & 0xff) != 0x45 || (flags_offset & 0x3fff) != 0))
		return NOT_PLAIN;
	uint8_t protocol = (uint8_t)(is_ipv6 ? third >> 24 : third);
	if (!frame_number(frame, is_ipv6 ? 52 : 32, 8, &last))
		return NOT_PLAIN;
	if (protocol == PROTOCOL_TCP)
		return is_ipv6 ? PLAIN_TCP6 : PLAIN_TCP4;
	if (protocol == PROTOCOL_UDP)
		return is_ipv6 ? PLAIN_UDP6 : PLAIN_UDP4;
	return NOT_PLAIN;
}

INLINE void copy_likeness(const struct frame *frame, enum plain_kind kind, uint64_t word[LIKENESS_WORDS])
{
#define X(index, at, mask) word[index] = read_word(frame, at) & (mask);
	if (is_kind_of_ipv6(kind)) {
		WORDS_OF_IPV6(X, mask_of_ports(kind))
	} else {
		WORDS_OF_IPV4(X, mask_of_ports(kind))
	}
#undef X
}

INLINE bool is_alike(const struct frame *frame, enum plain_kind kind, const uint64_t word[LIKENESS_WORDS])
{
	uint64_t differs = 0;
#define X(index, at, mask) differs |= (read_word(frame, at) & (mask)) ^ word[index];
	if (is_kind_of_ipv6(kind)) {
		WORDS_OF_IPV6(X, mask_of_ports(kind))
	} else {
		WORDS_OF_IPV4(X, mask_of_ports(kind))
	}
#undef X
	return differs == 0;
}

/* Where the checksum of its TCP or UDP stands; 0: it is not plain. */
INLINE uint32_t usual_checksum(enum plain_kind kind)
{
	uint32_t upper = ETHERNET_HEADER + (is_kind_of_ipv6(kind) ? IPV6_HEADER : 20);
	return kind == NOT_PLAIN ? 0 : upper + (kind == PLAIN_TCP4 || kind == PLAIN_TCP6 ? 16 : 6);
}
