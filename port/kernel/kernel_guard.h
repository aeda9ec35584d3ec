/*
 * A guard in the kernel, at a port that somebody else made: its maps, its place among the programs of the port, the ring by
 * which it tells, and the sockets by which frames are given back to it. All of it hangs on the port: when that vanishes, so does
 * the rest; when the process ends, nothing changes.
 */
#pragma once
#include <net/if.h>
#include "ebpf/memory.h"
#include "port/port.h"

struct kernel_guard {
	char interface[IFNAMSIZ];
	unsigned index;
	bool is_taken_over; /* an earlier process had it: state and counters are there */
	struct kernel_memory *memory;
	struct config *configs;       /* CONFIG_COPIES */
	int ring;                     /* readable when there is news */
	volatile uint64_t *ring_read; /* octets that were taken so far */
	const volatile uint64_t *ring_written;
	const uint8_t *ring_octets;
	int socket[DIRECTIONS];           /* frames of that direction are given back by it */
	uint32_t new_states, new_configs; /* copies since programs were waited for */
	uint64_t owner;                   /* as in the memory, as long as we are it */
	bool attends;
};

/* Else copies could not be written again. */
bool can_wait_for_programs(struct error *);

/* With all privileges; what is opened needs none later. The port is closed until open_kernel_guard(). */
bool attach_kernel_guard(struct kernel_guard *, const char *interface, struct error *);

/* The copies that count for every frame that comes from now on, where they differ from those that count already. */
void publish_state(struct kernel_guard *, const struct state *);
void publish_config(struct kernel_guard *, const struct config *, bool is_policy_new);
/* Behind it no program runs that has begun before. */
void wait_for_programs(struct kernel_guard *);
void forget_kernel_flows(struct kernel_guard *);
void open_kernel_guard(struct kernel_guard *);
/* From now on this thread follows what other VMs have, and each call says that it still does. Its end the kernel itself notes. */
void attend_kernel_guard(struct kernel_guard *, uint64_t now_ms);
/* Another process has taken it over, or it was detached. */
bool is_still_ours(const struct kernel_guard *);

/* The next record, or NULL; drop_news() takes it away, so that what was not finished is there for the next process. */
const struct news *next_news(const struct kernel_guard *);
void drop_news(struct kernel_guard *);

void close_kernel_guard(struct kernel_guard *);

/* Takes the guard away from the port, which then lets everything pass. */
bool detach_kernel_guard(const char *interface, struct error *);
