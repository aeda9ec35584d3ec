/* At the end, for people: what passed, what was dropped and why, and which addresses the VM had. */
#pragma once
#include "softnet/counts/counters.h"

void print_report(const struct counters *, const struct state *, uint64_t now_ms);
