#include "port/checksum.h"
#include <arpa/inet.h>
#include <string.h>

/* RFC 1071 2: words may be added in the order that the processor has them, and many of them at once. */
uint32_t add_up(const uint8_t *octets, uint32_t n, uint32_t sum)
{
	uint64_t total = 0, eight = 0;
	uint32_t at = 0;
	for (; n - at >= sizeof eight; at += sizeof eight) {
		memcpy(&eight, octets + at, sizeof eight);
		total += (eight & 0xffffffff) + (eight >> 32);
	}
	eight = 0;
	memcpy(&eight, octets + at, n - at);
	total += (eight & 0xffffffff) + (eight >> 32);
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	sum += ntohs((uint16_t)total);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

uint16_t checksum_of(uint32_t sum)
{
	return (uint16_t)~sum;
}

bool fill_in_checksum(uint8_t *frame, uint32_t length, uint32_t start, uint32_t offset)
{
	if (start > length || start + offset + 2 > length)
		return false;
	uint16_t sum = checksum_of(add_up(frame + start, length - start, 0));
	if (sum == 0)
		sum = 0xffff; /* RFC 768: 0 would mean that there is none. Elsewhere it is the same number */
	frame[start + offset] = (uint8_t)(sum >> 8);
	frame[start + offset + 1] = (uint8_t)sum;
	return true;
}
