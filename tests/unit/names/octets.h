/* Octets that tests put together, and what reads them out of memory of exactly that size. */
#pragma once
#include "core/wire/frame.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct octets {
	uint32_t length;
	uint8_t bytes[20000];
};

static inline void put_value(struct octets *o, uint64_t value, uint32_t octets)
{
	for (uint32_t i = octets; i > 0; i--)
		o->bytes[o->length++] = (uint8_t)(value >> 8 * (i - 1));
}

static inline void put_octets(struct octets *o, const void *bytes, uint32_t octets)
{
	memcpy(o->bytes + o->length, bytes, octets);
	o->length += octets;
}

static inline void put_string(struct octets *o, const char *text)
{
	put_octets(o, text, (uint32_t)strlen(text));
}

static inline void put_hex(struct octets *o, const char *text)
{
	unsigned value = 0;
	for (; sscanf(text, "%2x", &value) == 1; text += 2)
		put_value(o, value, 1);
}

/* Fills in what stands in front of it: a length of that many octets, of all that was put since. */
static inline void end_length(struct octets *o, uint32_t at, uint32_t octets)
{
	uint32_t length = o->length, value = length - at - octets;
	o->length = at;
	put_value(o, value, octets);
	o->length = length;
}

/* A copy in memory of its own, so that a sanitizer sees a read behind its end. To be freed: `bytes`. */
static inline struct frame exact_frame(const uint8_t *bytes, uint32_t length)
{
	uint8_t *copy = malloc(length > 0 ? length : 1);
	assert(copy != NULL);
	memcpy(copy, bytes, length);
	return (struct frame){ .bytes = copy, .length = length };
}
