/*
 * Does a process follow what other VMs have? The kernel says at once that it has ended, in whatever way: `attendant` is a robust
 * futex of its thread (set_robust_list(2)). That it still works says the clock.
 */
#pragma once
#include <linux/futex.h>
#include "ebpf/followed.h"
#include "ebpf/memory.h"

enum { ATTENDED_MS = 10000 };

INLINE bool lacks_attendant(const struct kernel_memory *memory, uint64_t now_ms)
{
	uint32_t thread = memory->attendant;
	return (thread & FUTEX_TID_MASK) == 0 || (thread & FUTEX_OWNER_DIED) != 0 ||
	       now_ms >= memory->attended_ms + ATTENDED_MS;
}
