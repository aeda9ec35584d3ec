/* The checksum of IP, TCP and UDP (RFC 1071), over frames that may be long. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* The sum of 16-bit words, the highest octet first, folded to 16 bits; `sum` is what was added up before. */
uint32_t add_up(const uint8_t *octets, uint32_t n, uint32_t sum);
uint16_t checksum_of(uint32_t sum);
/*
 * Fills in the checksum of all from `start` on, which stands `offset` octets behind that. The field itself holds the sum of the
 * pseudo-header. False: there is no such field in the frame.
 */
bool fill_in_checksum(uint8_t *frame, uint32_t length, uint32_t start, uint32_t offset);
