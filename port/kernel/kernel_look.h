/* Looking at a guard in the kernel from outside, as its records and its counters are all that can be asked where it has no process. */
#pragma once
#include "port/kernel/kernel_guard.h"

enum guard_sight {
	SIGHT_GONE,  /* the port has vanished, or is in another network namespace */
	SIGHT_BARE,  /* the port is there, and no program of a guard stands at it: everything passes */
	SIGHT_STANDS /* as far as can be seen: programs are only looked for in the own network namespace */
};

struct kernel_sight {
	enum guard_sight sight;
	const struct kernel_memory *memory; /* to be read; NULL: there is none, or it is of another version */
};

/* A number that the kernel gives once. 0: it cannot be known. */
uint64_t namespace_cookie(void);

/* Programs of a guard at a port of the own network namespace: DIRECTIONS where it is whole. */
int count_kernel_programs(unsigned interface);

/* The port by its number in the network namespace of that cookie. */
struct kernel_sight look_at_kernel_guard(uint64_t cookie, unsigned interface);
void end_kernel_sight(struct kernel_sight *);
