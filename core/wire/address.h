/* Addresses are values in host byte order, so that equality is ==, a prefix is a mask, and eBPF needs no memcmp. */
#pragma once
#include "core/wire/frame.h"

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

/* RFC 1112 4: 224.0.0.0/4. */
INLINE bool is_group4(struct address a)
{
	return ipv4_of_address(a) >> 28 == 14;
}

/* Below the groups. Above them stand 240.0.0.0/4, which is reserved, and broadcast. 0.0.0.0 is no group: is_unset() knows it. */
INLINE bool is_unicast4(struct address a)
{
	return ipv4_of_address(a) >> 28 < 14;
}

/* Octets in network order, as the system hands addresses over: 4 or 16. What a frame holds is read by struct reader. */
INLINE struct address address_of_octets(const uint8_t *octets, uint32_t count)
{
	uint64_t halves[2] = { 0, 0 };
	for (uint32_t i = 0; i < count; i++)
		halves[i / 8] = halves[i / 8] << 8 | octets[i];
	return count == 4 ? address_of_ipv4((uint32_t)halves[0]) : (struct address){ halves[0], halves[1] };
}

/* The same back: how many were written. */
INLINE uint32_t octets_of_address(struct address a, uint8_t octets[16])
{
	uint32_t count = is_ipv4(a) ? 4 : 16;
	for (uint32_t i = 0; i < count; i++)
		octets[i] = (uint8_t)((count == 16 && i < 8 ? a.high : a.low) >> 8 * ((count - 1 - i) % 8));
	return count;
}

INLINE bool same_address(struct address a, struct address b)
{
	return a.high == b.high && a.low == b.low;
}

INLINE bool address_before(struct address a, struct address b)
{
	return a.high < b.high || (a.high == b.high && a.low < b.low);
}

#define LINK_LOCAL_PREFIX 0xfe80000000000000ULL

/* RFC 4291 2.5.6: fe80::/64. The 54 bits behind fe80::/10 are zero on every link. */
INLINE bool is_link_local(struct address a)
{
	return a.high == LINK_LOCAL_PREFIX;
}

/* The only delegated block of global unicast addresses, 2000::/3 (RFC 4291 2.4 and IANA's registry). */
INLINE bool is_global6(struct address a)
{
	return a.high >> 61 == 1;
}

/* RFC 4193 3.1: fc00::/7. */
INLINE bool is_unique_local(struct address a)
{
	return a.high >> 57 == 0xfc >> 1;
}

INLINE bool is_group6(struct address a)
{
	return a.high >> 56 == 0xff;
}

/* RFC 4291 appendix A: the modified EUI-64 interface identifier of a MAC. */
INLINE uint64_t interface_id_of(uint64_t mac)
{
	return ((mac & 0xffffff000000ULL) << 16 ^ 0x0200000000000000ULL) | 0xfffe000000ULL | (mac & 0xffffff);
}

/* RFC 4291 2.7.1: ff02::1:ff00:0/104 and the low 24 bits of the address. */
INLINE struct address solicited_node_of(struct address a)
{
	return (struct address){ 0xff02000000000000ULL, 0x1ff000000ULL | (a.low & 0xffffff) };
}

/* RFC 4291 2.5.2: nobody. The IPv4-mapped 0.0.0.0 is another address. */
INLINE bool is_unspecified6(struct address a)
{
	return a.high == 0 && a.low == 0;
}

/* RFC 4291 2.6.1: every router of the subnet. RFC 2526 2: reserved for anycast. No host has such an identifier. */
INLINE bool is_anycast_id(uint64_t id)
{
	return id == 0 || (id >= 0xfdffffffffffff80ULL && id <= 0xfdffffffffffffffULL);
}

/* length is 0..128. */
INLINE bool is_in_prefix(struct address a, struct address prefix, uint32_t length)
{
	uint64_t high = a.high ^ prefix.high, low = a.low ^ prefix.low;
	if (length == 0)
		return true;
	if (length <= 64)
		return high >> (64 - length) == 0;
	return high == 0 && (length > 128 || low >> (128 - length) == 0);
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

/* Prefixes behind which a translator puts IPv4 addresses, RFC 6052 2.2: 32, 40, 48, 56, 64 or 96 bits. */
enum { NAT64_PREFIXES_MAX = 4 };

struct nat64_prefix {
	struct address prefix;
	uint32_t length, reserved;
};

struct nat64_set {
	struct nat64_prefix item[NAT64_PREFIXES_MAX];
	uint32_t count, reserved;
};

INLINE bool mac_set_has(const struct mac_set *set, uint64_t mac)
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
