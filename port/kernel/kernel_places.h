/*
 * Which port has which slot of the tables that all guards of a host share (softnet_places), and when a slot is free again. A slot
 * belongs to the process that makes a guard as long as that lives, and then to the guard's port as long as that is where it is.
 */
#pragma once
#include "port/kernel/kernel_programs.h"

/* A port that moves to another network namespace is another one there. */
struct port_key {
	uint64_t cookie; /* of its network namespace */
	uint32_t interface;
};

struct kernel_places {
	struct guard_place *at; /* by slot */
	int alive;              /* by slot: whether the port is there */
	uint64_t own;           /* what we claim slots by: the number of a map that lives as long as we keep it open */
};

bool open_places(struct kernel_places *, const struct kernel_programs *, int life);
void close_places(struct kernel_places *);

/* One process at a time looks for slots and claims them. False: somebody else has been doing so for seconds. */
bool lock_places(struct kernel_places *);
void unlock_places(struct kernel_places *);

/* The port's slot, or 0. */
uint32_t find_place(const struct kernel_places *, const struct port_key *);
/* A process is at work on it. */
bool is_claimed_by_other(const struct kernel_places *, uint32_t slot);
bool is_port_alive(const struct kernel_places *, uint32_t slot);
void claim_place(struct kernel_places *, uint32_t slot);
/* Gives the port a slot that was free: errno where it cannot. */
uint32_t take_free_place(struct kernel_places *, const struct port_key *);

/* No port has it any more; it is ours until free_place(), for its tables are to be emptied before. */
void abandon_place(struct kernel_places *, uint32_t slot);
/* The same with those whose port has vanished, and those that a process has left so. */
void abandon_stale_places(struct kernel_places *);
bool is_abandoned(const struct kernel_places *, uint32_t slot);
void free_abandoned_places(struct kernel_places *);
