/*
 * Work on files that a process of its own does, in the order in which it was given. A disk may hang for minutes, as one behind a
 * network does, and frames do not wait for it.
 *
 *   guard ── what is to be done, in memory that both share; an octet wakes ──▶ softnet-files
 *   guard ◀── an octet when all of it is done ──┘
 *
 * What the work changes must be in memory of share_memory(). Without the process, and when it has died, the work is done at once.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DEFERRED_OCTETS = 4 << 20, DEFERRED_PATIENCE_MS = 50 };

struct deferred_part {
	const void *octets;
	size_t count;
};

struct deferred {
	void (*run)(void *object, const uint8_t *octets, size_t count);
	void *object;
	const char *name; /* of the file, for who asks what hangs */
	bool may_wait; /* until other work comes, or there is much of it; it leaves a quarter of the ring to other work */
	struct deferred_part parts[2]; /* copied, one behind the other */
};

struct deferred_queue;

/* Zeroed, and the same for all processes that are forked later. NULL: out of memory. */
void *share_memory(size_t octets);
/* The same, for what nothing goes without. */
void *share_or_die(size_t octets);

/* NULL: out of memory. `forget` is called for what the process had open when it has died: its descriptors are no longer ours. */
struct deferred_queue *make_deferred_queue(void (*forget)(void *context), void *context);
/* The process: does the work until its parent has ended, or the socket is closed. */
_Noreturn void serve_deferred(struct deferred_queue *, int fd);
/* From now on that process does it; `fd` is the other end. */
void hand_deferred_to(struct deferred_queue *, int fd);

/*
 * False: there is no room, because the disk does not keep pace or hangs. It waits for room, but in each second not for longer than
 * DEFERRED_PATIENCE_MS, and once that was in vain, not at all until half of the ring is free. A queue that is NULL has no process.
 */
bool defer(struct deferred_queue *, const struct deferred *);
/* True: all of it is done. Waits at most so long, and not at all where that was in vain before. */
bool await_deferred(struct deferred_queue *, int patience_ms);
/* The same for the last time, so whatever was before. */
bool finish_deferred(struct deferred_queue *, int patience_ms);
/* Called now and then, and when a child has ended: notices that it was the process. */
void attend_deferred(struct deferred_queue *);
/* There is work that is not done. */
bool has_deferred(const struct deferred_queue *);
/* Called once a second. The name of the file that nothing has been done for in `patience_ms`, each time only once; or NULL. */
const char *hanging_file(struct deferred_queue *, uint64_t now_ms, uint64_t patience_ms);

/* For counters that both processes write. */
static inline void add_shared(uint64_t *counter, uint64_t more)
{
	__atomic_add_fetch(counter, more, __ATOMIC_RELAXED);
}
