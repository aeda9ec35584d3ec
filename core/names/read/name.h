/*
 * Host names, as rules, DNS, TLS, QUIC and HTTP say them: letters, digits, '-' and '_' in labels, in lower case, without
 * the final dot. User space only.
 */
#pragma once
#include "core/wire/frame.h"

enum { NAME_MAX_OCTETS = 253, LABEL_MAX_OCTETS = 63 }; /* RFC 1035 2.3.4: 255 with the first length and the root */

struct name {
	uint8_t length;
	uint8_t text[NAME_MAX_OCTETS];
};

INLINE uint8_t to_lower_case(uint8_t octet)
{
	return octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet + ('a' - 'A')) : octet;
}

INLINE bool is_digit(uint8_t octet)
{
	return octet >= '0' && octet <= '9';
}

/* RFC 1123 2.1 and the '_' of service names; in lower case. */
INLINE bool is_label_octet(uint8_t octet)
{
	return (octet >= 'a' && octet <= 'z') || is_digit(octet) || octet == '-' || octet == '_';
}

/* False: it is full. */
INLINE bool add_to_name(struct name *name, uint8_t octet)
{
	if (name->length >= NAME_MAX_OCTETS)
		return false;
	name->text[name->length++] = to_lower_case(octet);
	return true;
}

/* Labels of 1 to 63 octets, and not all digits in the last one: that would be an address (RFC 1123 2.1). */
INLINE bool is_host_name(const struct name *name)
{
	uint32_t label = 0, digits = 0;
	for (uint32_t i = 0; i < name->length; i++) {
		uint8_t octet = name->text[i];
		if (octet == '.') {
			if (label == 0)
				return false;
			label = digits = 0;
			continue;
		}
		if (!is_label_octet(octet) || ++label > LABEL_MAX_OCTETS)
			return false;
		digits += is_digit(octet);
	}
	return label > digits;
}

/* All octets that are left in r, as a host name. */
INLINE bool read_host_name(struct reader *r, struct name *name)
{
	uint32_t octets = octets_left(r);
	name->length = 0;
	if (octets > NAME_MAX_OCTETS)
		return false;
	for (uint32_t i = 0; i < octets; i++)
		add_to_name(name, read_u8(r));
	return r->ok && is_host_name(name);
}

INLINE bool same_octets(const uint8_t *a, const uint8_t *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

INLINE bool same_name(const struct name *a, const struct name *b)
{
	return a->length == b->length && same_octets(a->text, b->text, a->length);
}

/* Is it at least one label below the zone? The zone itself is not. */
INLINE bool is_below(const struct name *name, const struct name *zone)
{
	uint32_t front = (uint32_t)name->length - zone->length;
	return name->length > zone->length + 1 && name->text[front - 1] == '.' &&
	       same_octets(name->text + front, zone->text, zone->length);
}
