/* Numbers in frames, the highest octet first. */
#pragma once
#include <stdint.h>

static inline uint64_t get(const uint8_t *at, uint32_t octets)
{
	uint64_t value = 0;
	for (uint32_t i = 0; i < octets; i++)
		value = value << 8 | at[i];
	return value;
}

static inline uint8_t *put(uint8_t *at, uint64_t value, uint32_t octets)
{
	for (uint32_t i = 0; i < octets; i++)
		at[i] = (uint8_t)(value >> (8 * (octets - 1 - i)));
	return at + octets;
}
