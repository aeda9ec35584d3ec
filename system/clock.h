/* The only clock of the program. */
#pragma once
#include <stdint.h>

/* Milliseconds; counts suspend, because leases run out while the host sleeps too; never goes back. */
uint64_t clock_ms(void);
/* Milliseconds since 1970, for what must be compared over restarts of the program. */
uint64_t wall_clock_ms(void);
