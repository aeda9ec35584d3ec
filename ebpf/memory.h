/*
 * What a guard in the kernel and its process have in common. The process writes config and state, each into a copy that
 * no program reads, and then says which copy counts; the programs write the rest. Nobody waits for the other: a process that
 * was killed leaves its guard as it is.
 */
#pragma once
#include "core/judge/config.h"
#include "core/flows/flow.h"
#include "core/learn/specimen.h"
#include "core/judge/state.h"

enum {
	SLOTS_MAX = 8192,       /* of guards on a host; slot 0 is nobody's */
	PROBES_MAX = 16,        /* slots that a port may have */
	CONFIG_COPIES = 2,
	STATE_COPIES = 8,
	STAMPS_MAX = 128,        /* of bindings of both families, by the judge's index */
	NEWS_OCTETS = 512 << 10 /* the ring to the process */
};
_Static_assert(BINDINGS4_MAX + BINDINGS6_MAX <= STAMPS_MAX, "one each");

/* What the process wants to hear of, as bits. */
enum { WANTS_REJECTED = 1, WANTS_DROPS = 2, WANTS_PASSED = 4 };

#define OWN_LINE __attribute__((aligned(64)))

/* Of the programs, filled by who loads them. */
struct guard_constants {
	uint64_t build;    /* what was built, so that the next guard finds its own version */
	uint64_t may_look; /* they may look at the kernel's own structs (Linux 6.2) */
};

/*
 * By slot: which port has it, and whose it is. Only processes write this, under a lock, which is the claim of slot 0. The
 * same in all versions.
 */
struct guard_place {
	uint64_t claim;     /* the number of a map that lives as long as the process that makes the guard; 0: it is free */
	uint64_t cookie;    /* of the port's network namespace, a number that the kernel gives once; 0: of no port */
	uint32_t interface; /* its number there */
	uint32_t reserved;
};

/* Where to look for a port's slot, one after the other. Neighbors by number do not meet. */
INLINE uint32_t probed_slot(uint64_t cookie, uint32_t interface, uint32_t probe)
{
	return ((uint32_t)cookie * 0x9e3779b1 + interface + probe) % SLOTS_MAX;
}

INLINE bool is_place_of(const struct guard_place *place, uint64_t cookie, uint32_t interface)
{
	return place->cookie == cookie && place->interface == interface;
}

/* First in the memory, and the same in all versions. */
struct guard_head {
	uint64_t build;               /* whose layout the rest has */
	uint64_t owner;               /* a number that the process made up; 0: nobody's, the guard was taken away */
	uint64_t pid_started;         /* as /proc/PID/stat says */
	uint32_t pid, slot;
};

struct kernel_memory {
	struct guard_head head;

	/* Of the process. */
	uint32_t config_at, state_at; /* how many were published: the last ones, by their number, count ... */
	uint32_t is_open;             /* ... once this is 1; until then nothing passes */
	uint32_t wants;
	uint32_t mark;                /* of a frame that the process gave back, on its way into the port */
	uint32_t flows_epoch;         /* the flows of another one are forgotten */
	uint64_t injector[DIRECTIONS]; /* cookies of the sockets that frames are given back by */
	uint64_t setup_hash;          /* of the options that the state was learned under */
	uint32_t has_other_flows;     /* they may be of other rules than those that the next process begins with */
	uint32_t is_left;             /* no process will come: what only one could decide is dropped */
	uint32_t follows;             /* the config may have other VMs' addresses, which somebody must follow: attended.h */
	uint32_t attendant;           /* the thread that does; the kernel marks it when that ends */
	uint64_t attended_ms;         /* when it last did */
	struct state state[STATE_COPIES];

	/* Of the programs. */
	OWN_LINE uint32_t lock;       /* of buckets and flows; only programs take it, which always end */
	uint32_t specimen_lock;
	uint64_t clock_ms, clock_tick; /* the time, and the kernel's tick in which it was read */
	uint64_t used_ms[STAMPS_MAX];
	struct buckets buckets;       /* those that the snooper spends from are the process's */
	struct {
		OWN_LINE uint64_t verdicts[VERDICTS];
		uint64_t octets;
	} counted[DIRECTIONS];
	uint64_t lost;                /* news for which the ring had no room */
	struct specimen last[DIRECTIONS][VERDICTS];
	struct flows flows;
};
_Static_assert(sizeof(struct kernel_memory) < 4 << 20, "the longest value that a map takes on older kernels");

/* One record of the ring: a frame that waits for the snooper, or one that the process wants to know of. */
struct news {
	uint64_t at_ms;
	uint32_t length;        /* octets of the frame, all of which stand behind */
	uint8_t verdict, direction;
	uint8_t reserved[2];
};
