/* Any octets as a frame, of which only the front was kept: the line must stay one, and printable. Run by `make fuzz`. */
#include <stdlib.h>
#include <string.h>

#include "softnet/describe/describe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char text[DESCRIPTION_TEXT];
	if (n < 2)
		return 0;
	uint32_t lost = (uint32_t)data[0] << 8 | data[1], kept = (uint32_t)n - 2;
	describe_frame(data + 2, kept, kept + lost, text);
	if (!memchr(text, '\0', sizeof text))
		abort();
	for (const char *c = text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			abort();
	return 0;
}
