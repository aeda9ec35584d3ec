/* Between kernel_attach.c, which finds a guard or wants a new one, and kernel_making.c, which makes it. */
#pragma once
#include "port/kernel/kernel_guard.h"
#include "port/kernel/kernel_programs.h"

/* Descriptors that are closed when the guard stands; -1 where there is none. */
struct making {
	struct kernel_programs programs;
	int memory, config, ring, slot_program, life; /* life: says whose the slot is */
	uint32_t slot;
	struct error *error;
};

extern const char slot_name[], memory_name[], config_name[], ring_name[], life_name[];

/* What failed, and errno. */
bool refuse_kernel(struct making *, const char *what);
bool find_interface(struct kernel_guard *, const char *interface, struct error *);
bool map_memory(struct kernel_guard *, struct making *);
bool make_kernel_guard(struct kernel_guard *, struct making *);
