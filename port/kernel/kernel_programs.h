/*
 * The programs that all guards of a host share (ebpf/guard.bpf.c), and the tables in which they find a guard by its slot.
 * Checking them takes the kernel seconds, so they are loaded once: the next guard finds those of its own version that still stand
 * at some port. With the last of these ports they go.
 */
#pragma once
#include "port/kernel/kernel_hook.h"
#include "port/port.h"

/* What each guard has of its own. */
enum guard_map { GUARD_MEMORY, GUARD_CONFIG, GUARD_RING, GUARD_MAPS };

/* Descriptors. A process that has these owns all guards of the host. */
struct kernel_programs {
	int judge[DIRECTIONS];
	int table[GUARD_MAPS]; /* by slot: the maps of each guard */
	int places, alive;     /* whose the slots are: kernel_places.h */
};

void forget_kernel_programs(struct kernel_programs *);
/* It complains to us, and not to the standard error. */
void listen_to_libbpf(void);
/* Finds them, or loads them: those that a judge belongs to which is there already, if there is one. */
bool open_kernel_programs(struct kernel_programs *, struct error *);
/* Of the judge of frames from the guest. */
bool find_tables(struct kernel_programs *);
void close_kernel_programs(struct kernel_programs *);

/* -1: errno is ENOENT where the program is gone. */
int open_program(uint32_t id, char name[16]);
/* 0: there is none. */
uint32_t number_of_map(int fd);
uint32_t number_of_program(int fd);

/* A judge's, of any version. */
bool is_judge(const char *name);
/* Of our version? */
bool is_ours(int program_fd);
