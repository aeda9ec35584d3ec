/* A frame in a line, for people. */
#include "describe.h"
#include <inttypes.h>
#include <stdio.h>

const char *describe_frame(const uint8_t *bytes, uint32_t kept, uint32_t length, char text[DESCRIPTION_TEXT])
{
	unsigned type = kept >= 14 ? (unsigned)bytes[12] << 8 | bytes[13] : 0;
	snprintf(text, DESCRIPTION_TEXT, "type 0x%04x, %" PRIu32 " octets", type, length);
	return text;
}
