/* Addresses are values in host byte order, so that equality is ==, a prefix is a mask, and eBPF needs no memcmp. */
#pragma once
#include "frame.h"

/* A MAC address is a uint64_t whose upper 16 bits are zero. */
#define MAC_BROADCAST 0xffffffffffffULL
#define MAC_NONE      0ULL

INLINE bool mac_is_group(uint64_t mac)
{
	return (mac >> 40 & 1) != 0; /* IEEE 802.3 3.2.3: the I/G bit */
}

/* An IPv6 address, or an IPv4 address in its IPv4-mapped form ::ffff:a.b.c.d (RFC 4291 2.5.5.2). */
struct address {
	uint64_t high, low;
};

#define MAPPED_IPV4 0xffff00000000ULL

INLINE struct address address_of_ipv4(uint32_t ipv4)
{
	return (struct address){ 0, MAPPED_IPV4 | ipv4 };
}

INLINE bool is_ipv4(struct address a)
{
	return a.high == 0 && a.low >> 32 == MAPPED_IPV4 >> 32;
}

/* Only the low 32 bits: ask is_ipv4() first where the family is not known. */
INLINE uint32_t ipv4_of_address(struct address a)
{
	return (uint32_t)a.low;
}

INLINE bool same_address(struct address a, struct address b)
{
	return a.high == b.high && a.low == b.low;
}

INLINE bool address_before(struct address a, struct address b)
{
	return a.high < b.high || (a.high == b.high && a.low < b.low);
}

INLINE bool is_unset(struct address a)
{
	return a.high == 0 && (a.low == 0 || a.low == MAPPED_IPV4);
}

/* prefix_length is 0..32; the result has that many leading ones. */
INLINE uint32_t ipv4_mask(uint32_t prefix_length)
{
	return prefix_length == 0 ? 0 : 0xffffffffU << (32 - prefix_length);
}

/*
 * Sets hold both families. They are small, so they are scanned; an addition beyond the bound is refused.
 * The counts are 32 bits wide so that the structs have no padding: they are compared and hashed as bytes.
 */
enum { ADDRESS_SET_MAX = 8, MAC_SET_MAX = 4 };

struct address_set {
	struct address item[ADDRESS_SET_MAX];
	uint32_t count, reserved;
};

struct mac_set {
	uint64_t item[MAC_SET_MAX];
	uint32_t count, reserved;
};

SUBPROGRAM bool is_in_set(const struct address_set *set, uint64_t high, uint64_t low)
{
	if (is_given(set))
		for (uint32_t i = 0; i < ADDRESS_SET_MAX && i < set->count; i++)
			if (set->item[i].low == low && set->item[i].high == high)
				return true;
	return false;
}

INLINE bool set_has(const struct address_set *set, struct address a)
{
	return is_in_set(set, a.high, a.low);
}

/* True when the set now holds the address. */
INLINE bool set_add(struct address_set *set, struct address a)
{
	if (set_has(set, a))
		return true;
	if (set->count >= ADDRESS_SET_MAX)
		return false;
	set->item[set->count++] = a;
	return true;
}

SUBPROGRAM bool mac_set_has(const struct mac_set *set, uint64_t mac)
{
	if (is_given(set))
		for (uint32_t i = 0; i < MAC_SET_MAX && i < set->count; i++)
			if (set->item[i] == mac)
				return true;
	return false;
}

INLINE bool mac_set_add(struct mac_set *set, uint64_t mac)
{
	if (mac_set_has(set, mac))
		return true;
	if (set->count >= MAC_SET_MAX)
		return false;
	set->item[set->count++] = mac;
	return true;
}
