/* The only clock of the program. */
#include "system/clock.h"
#include <time.h>
#include "system/platform.h"

uint64_t clock_ms(void)
{
	static uint64_t latest;
	uint64_t now = platform_clock_ms();
	if (now > latest)
		latest = now;
	return latest;
}

uint64_t wall_clock_ms(void)
{
	struct timespec t = { 0, 0 };
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec < 0 ? 0 : (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}
