/*
 * The programs that all guards of a host share (ebpf/guard.bpf.c), and the tables in which they find a guard by its slot.
 * Checking them takes the kernel seconds, so they are loaded once: the next guard finds those of its own version that still stand
 * at some port. With the last of these ports they go.
 */
#pragma once
#include "port/kernel/kernel_hook.h"
#include "port/port.h"

/* Descriptors. A process that has these owns all guards of the host. */
struct kernel_programs {
	int judge[DIRECTIONS];
	int memories, configs, rings; /* by slot: of each guard's own */
	int claims;                   /* by slot: whose it is */
};

/* It complains to us, and not to the standard error. */
void listen_to_libbpf(void);
/* Finds them, or loads them. */
bool open_kernel_programs(struct kernel_programs *, struct error *);
/* Of the judges that are there. */
bool find_tables(struct kernel_programs *);
void close_kernel_programs(struct kernel_programs *);

/*
 * A slot that was nobody's, after those of ports that have vanished were given back. `life` is the map that says how long it is
 * the caller's. 0: there is none.
 */
uint32_t claim_slot(const struct kernel_programs *, int life);
/* Nothing happens where it is not the one of `life`. */
void give_back_slot(const struct kernel_programs *, uint32_t slot, int life);

/* A map by its name among those that a program uses: a descriptor, or -1. */
int map_of_program(int program_fd, const char *name);
/* -1: errno is ENOENT where the program is gone. */
int open_program(uint32_t id, char name[16]);
