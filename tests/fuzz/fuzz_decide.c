/*
 * Any octets, in any order, from both sides: the guard must neither read outside a frame nor leave its tables. The input is
 * a list of frames, each behind two octets: direction in the top bit, length in the rest. Run by `make fuzz`.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct rate rates[RATE_CLASSES_END]; /* no limits: every frame is to be looked at */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct config config;
	static struct buckets buckets;
	struct state state = { 0 };
	struct snoop snoop = { .config = &config, .state = &state, .buckets = &buckets };
	uint64_t now_ms = 1000000;
	if (config.vm_mac == 0) {
		config.vm_mac = 0x52540000000aULL;
		config.max_frame = 1514;
		config.isolation = 1;
		memcpy(config.rates, rates, sizeof rates);
		compile_policy(&config.policy, NULL, 0);
	}
	while (n >= 2) {
		uint32_t length = (uint32_t)(data[0] & 0x7f) << 8 | data[1];
		enum direction direction = data[0] & 0x80 ? TO_GUEST : FROM_GUEST;
		data += 2;
		n -= 2;
		if (length > n)
			length = (uint32_t)n;
		uint8_t *exact = malloc(length); /* so that the sanitizer sees a read behind the end */
		if (length > 0)
			memcpy(exact, data, length);
		struct frame frame = { exact, length };
		enum verdict verdict = decide(&snoop, direction, &frame, now_ms);
		if ((verdict != PASS && verdict < FIRST_DROP) || verdict >= VERDICTS)
			abort();
		free(exact);
		data += length;
		n -= length;
		now_ms += 700;
		expire_bindings(&snoop, now_ms);
	}
	return 0;
}
