/* When the relay needs no clock: nothing has happened for a while, and nothing waits to be told or looked at. */
#pragma once
#include "softnet/guard/loop.h"

/* Until something happens nobody needs the tick. */
bool may_rest(const struct relay *);

/* Behind a rest: the seconds without a tick leave the samples that their ticks would have taken. */
void end_rest(struct relay *, uint64_t rested_since_ms);
