/* What the programs have counted of a guard that was left to them. */
#pragma once
#include <jansson.h>
#include "ebpf/memory.h"

/* Into its status, in the place of what its process had counted. */
void put_counts(json_t *status, const struct kernel_memory *, uint64_t now_ms);
