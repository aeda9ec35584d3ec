/* How much of a long test ./check does: a sixteenth of its rounds. `make check-long` does them all. */
#pragma once
#include <stdint.h>
#include <stdlib.h>

static inline uint32_t amount(uint32_t all)
{
	return getenv("SOFTNET_LONG") ? all : all / 16;
}
