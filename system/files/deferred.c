/*
 * A ring of entries with one writer and one reader, who each move their own end. Both ends only grow. When nothing is left the next
 * entry begins at the front again, so that what never gets far touches few pages of the ring.
 */
#include "system/files/deferred.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "system/clock.h"
#include "system/log.h"

enum { ALIGNMENT = 16, MUCH = DEFERRED_OCTETS / 8, FRONT = 64 * 1024 };

struct entry {
	size_t octets;                                                  /* with this header and what fills it up */
	size_t count;                                                   /* of what follows */
	void (*run)(void *object, const uint8_t *octets, size_t count); /* NULL: go on at the front */
	void *object;
	const char *name;
	uint64_t padding;
};

_Static_assert(sizeof(struct entry) % ALIGNMENT == 0, "entries stand at even places");

/* Shared. */
struct ring {
	uint64_t given, done; /* where the ends are */
	uint32_t sleeps;      /* the process waits for an octet */
	uint64_t began_ms;    /* the entry that is being done; 0: none is */
	const char *name;     /* of its file */
	_Alignas(ALIGNMENT) uint8_t octets[DEFERRED_OCTETS];
};

struct deferred_queue {
	struct ring *ring;
	int fd; /* -1: this process does the work itself */
	void (*forget)(void *context);
	void *context;
	bool is_slow; /* we have waited for room in vain, and the ring is still more than half full */
	bool is_late; /* we have waited for the end of it in vain, and it has not come to it since */
	uint64_t told_ms;
};

void *share_memory(size_t octets)
{
	void *memory = mmap(NULL, octets, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

void *share_or_die(size_t octets)
{
	void *memory = share_memory(octets);
	if (!memory)
		die("out of memory");
	return memory;
}

struct deferred_queue *make_deferred_queue(void (*forget)(void *context), void *context)
{
	struct deferred_queue *q = share_memory(sizeof *q);
	struct ring *ring = share_memory(sizeof *ring);
	if (!q || !ring)
		return NULL;
	*q = (struct deferred_queue){ .ring = ring, .fd = -1, .forget = forget, .context = context };
	return q;
}

static uint64_t load(const uint64_t *end)
{
	return __atomic_load_n(end, __ATOMIC_ACQUIRE);
}

static void store(uint64_t *end, uint64_t value)
{
	__atomic_store_n(end, value, __ATOMIC_SEQ_CST);
}

/* --- the process --- */

static void do_next(struct ring *ring)
{
	uint64_t done = load(&ring->done);
	const struct entry *entry = (const void *)(ring->octets + done % DEFERRED_OCTETS);
	if (entry->run) {
		ring->name = entry->name;
		store(&ring->began_ms, clock_ms());
		entry->run(entry->object, (const uint8_t *)(entry + 1), entry->count);
		store(&ring->began_ms, 0);
	}
	store(&ring->done, done + entry->octets);
}

static bool is_empty(const struct ring *ring)
{
	return load(&ring->done) == load(&ring->given);
}

_Noreturn void serve_deferred(struct deferred_queue *q, int fd)
{
	char octet;
	struct ring *ring = q->ring;
	for (;;) {
		while (!is_empty(ring))
			do_next(ring);
		send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		__atomic_store_n(&ring->sleeps, 1, __ATOMIC_SEQ_CST);
		if (is_empty(ring) && read(fd, &octet, 1) == 0)
			_exit(0);
		__atomic_store_n(&ring->sleeps, 0, __ATOMIC_SEQ_CST);
	}
}

/* --- the guard --- */

void hand_deferred_to(struct deferred_queue *q, int fd)
{
	q->fd = fd;
}

/* What it has begun may be what has ended it, and is left out. */
static void lose_process(struct deferred_queue *q)
{
	uint64_t done = load(&q->ring->done);
	const struct entry *begun = (const void *)(q->ring->octets + done % DEFERRED_OCTETS);
	if (load(&q->ring->began_ms) != 0)
		store(&q->ring->done, done + begun->octets);
	store(&q->ring->began_ms, 0);
	close(q->fd);
	q->fd = -1;
	warning("the process that writes files has ended; this one writes them from now on, and frames wait meanwhile");
	q->forget(q->context);
	while (!is_empty(q->ring))
		do_next(q->ring);
}

static void wake(struct deferred_queue *q)
{
	if (q->fd >= 0 && __atomic_exchange_n(&q->ring->sleeps, 0, __ATOMIC_SEQ_CST) == 1 &&
	    send(q->fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && (errno == EPIPE || errno == ECONNRESET))
		lose_process(q);
}

/* Octets that say "all is done": how often does not matter. */
static void hear(struct deferred_queue *q, int patience_ms)
{
	char octets[64];
	struct pollfd answer = { .fd = q->fd, .events = POLLIN };
	if (poll(&answer, 1, patience_ms) == 1 && recv(q->fd, octets, sizeof octets, MSG_DONTWAIT) == 0)
		lose_process(q);
}

static size_t octets_waiting(const struct ring *ring)
{
	return load(&ring->given) - load(&ring->done);
}

static void look_whether_it_goes_on(struct deferred_queue *q)
{
	size_t waiting = octets_waiting(q->ring);
	q->is_slow &= waiting > DEFERRED_OCTETS / 2;
	q->is_late &= waiting > 0;
}

/* Until there is so much room, or all is done; not at all where that was `in_vain` before. */
static bool await_room(struct deferred_queue *q, size_t octets, int patience_ms, bool *in_vain)
{
	uint64_t end_ms = 0;
	while (q->fd >= 0 && octets_waiting(q->ring) + octets > DEFERRED_OCTETS) {
		uint64_t now_ms = clock_ms();
		end_ms = end_ms == 0 ? now_ms + (uint64_t)patience_ms : end_ms;
		*in_vain |= now_ms >= end_ms;
		if (*in_vain)
			return false;
		wake(q);
		if (q->fd >= 0)
			hear(q, octets < DEFERRED_OCTETS ? 1 : (int)(end_ms - now_ms));
	}
	return true;
}

bool await_deferred(struct deferred_queue *q, int patience_ms)
{
	if (!q || q->fd < 0)
		return true;
	look_whether_it_goes_on(q);
	return await_room(q, DEFERRED_OCTETS, patience_ms, &q->is_late);
}

static void put_entry(struct deferred_queue *q, const struct deferred *work, size_t octets, size_t count)
{
	uint64_t given = q->ring->given;
	uint8_t *place = q->ring->octets + given % DEFERRED_OCTETS;
	struct entry entry = {
		octets, count, work ? work->run : NULL, work ? work->object : NULL, work ? work->name : NULL, 0
	};
	memcpy(place, &entry, sizeof entry);
	place += sizeof entry;
	for (size_t i = 0; work && i < sizeof work->parts / sizeof *work->parts; i++) {
		if (work->parts[i].count > 0)
			memcpy(place, work->parts[i].octets, work->parts[i].count);
		place += work->parts[i].count;
	}
	store(&q->ring->given, given + octets);
}

static void run_now(const struct deferred *work, size_t count)
{
	static uint8_t whole[DEFERRED_OCTETS];
	if (work->parts[1].count == 0) {
		work->run(work->object, work->parts[0].octets, count);
		return;
	}
	memcpy(whole, work->parts[0].octets, work->parts[0].count);
	memcpy(whole + work->parts[0].count, work->parts[1].octets, work->parts[1].count);
	work->run(work->object, whole, count);
}

bool defer(struct deferred_queue *q, const struct deferred *work)
{
	size_t count = work->parts[0].count + work->parts[1].count;
	size_t octets = (sizeof(struct entry) + count + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (octets > DEFERRED_OCTETS / 2)
		return false;
	if (!q || q->fd < 0) {
		run_now(work, count);
		return true;
	}
	size_t at = q->ring->given % DEFERRED_OCTETS, rest = DEFERRED_OCTETS - at;
	bool goes_to_front = rest < octets + sizeof(struct entry) || (at > FRONT && is_empty(q->ring));
	size_t needed = octets + (goes_to_front ? rest : 0);
	look_whether_it_goes_on(q);
	if (!await_room(q, needed, DEFERRED_PATIENCE_MS, &q->is_slow))
		return false;
	if (q->fd < 0) {
		run_now(work, count);
		return true;
	}
	if (goes_to_front)
		put_entry(q, NULL, rest, 0);
	put_entry(q, work, octets, count);
	if (!work->may_wait || octets_waiting(q->ring) > MUCH)
		wake(q);
	return true;
}

bool has_deferred(const struct deferred_queue *q)
{
	return q && !is_empty(q->ring);
}

const char *hanging_file(struct deferred_queue *q, uint64_t now_ms, uint64_t patience_ms)
{
	uint64_t began_ms = q && q->fd >= 0 ? load(&q->ring->began_ms) : 0;
	if (began_ms == 0 || now_ms < began_ms + patience_ms || began_ms == q->told_ms)
		return NULL;
	q->told_ms = began_ms;
	return q->ring->name;
}
