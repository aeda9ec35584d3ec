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

enum {
	ALIGNMENT = 16,
	MUCH = DEFERRED_OCTETS / 8,
	FRONT = 64 * 1024,
	RESERVED = DEFERRED_OCTETS / 4,
	SECOND_MS = 1000
};

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
	uint32_t is_busy;     /* with the entry at `done` */
	_Alignas(ALIGNMENT) uint8_t octets[DEFERRED_OCTETS];
};

struct deferred_queue {
	struct ring *ring;
	int fd; /* -1: this process does the work itself */
	void (*forget)(void *context);
	void *context;
	bool is_slow; /* we have waited for room in vain, and the ring is still more than half full */
	bool is_late; /* we have waited for the end of it in vain, and it has not come to it since */
	bool is_told;
	uint64_t second_ms, waited_ms; /* when a second began, and how long we have waited for room since */
	uint64_t seen_done, seen_ms;   /* how far it was, and since when; 0: that is not known */
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
		__atomic_store_n(&ring->is_busy, 1, __ATOMIC_SEQ_CST);
		entry->run(entry->object, (const uint8_t *)(entry + 1), entry->count);
		__atomic_store_n(&ring->is_busy, 0, __ATOMIC_SEQ_CST);
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
	if (__atomic_exchange_n(&q->ring->is_busy, 0, __ATOMIC_SEQ_CST) != 0)
		store(&q->ring->done, done + begun->octets);
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
	ssize_t n = -1;
	struct pollfd answer = { .fd = q->fd, .events = POLLIN };
	if (poll(&answer, 1, patience_ms) == 1)
		do
			n = recv(q->fd, octets, sizeof octets, MSG_DONTWAIT);
		while (n > 0);
	if (n == 0)
		lose_process(q);
}

void attend_deferred(struct deferred_queue *q)
{
	if (q && q->fd >= 0)
		hear(q, 0);
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

/* Until so many octets fit into what may be full; not at all where that was `in_vain` before. */
static bool await_room(struct deferred_queue *q, size_t octets, size_t most, uint64_t patience_ms, bool *in_vain)
{
	uint64_t begin_ms = clock_ms();
	while (q->fd >= 0 && octets_waiting(q->ring) + octets > most) {
		uint64_t waited_ms = clock_ms() - begin_ms;
		*in_vain |= waited_ms >= patience_ms;
		if (*in_vain)
			return false;
		wake(q);
		if (q->fd >= 0)
			hear(q, octets < DEFERRED_OCTETS ? 1 : (int)(patience_ms - waited_ms));
	}
	return true;
}

bool await_deferred(struct deferred_queue *q, int patience_ms)
{
	if (!q || q->fd < 0)
		return true;
	look_whether_it_goes_on(q);
	return await_room(q, DEFERRED_OCTETS, DEFERRED_OCTETS, (uint64_t)patience_ms, &q->is_late);
}

bool finish_deferred(struct deferred_queue *q, int patience_ms)
{
	if (q)
		q->is_late = false;
	return await_deferred(q, patience_ms);
}

/* A disk that is only slow must not hold each frame for a while. */
static bool make_room(struct deferred_queue *q, size_t octets, size_t most)
{
	look_whether_it_goes_on(q);
	if (octets_waiting(q->ring) + octets <= most)
		return true;
	uint64_t begin_ms = clock_ms();
	if (begin_ms - q->second_ms >= SECOND_MS) {
		q->second_ms = begin_ms;
		q->waited_ms = 0;
	}
	uint64_t left_ms = q->waited_ms < DEFERRED_PATIENCE_MS ? DEFERRED_PATIENCE_MS - q->waited_ms : 0;
	bool has_room = await_room(q, octets, most, left_ms, &q->is_slow);
	q->waited_ms += clock_ms() - begin_ms + 1;
	return has_room;
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
	if (octets > DEFERRED_OCTETS / 4) /* so that it always fits where nothing else waits */
		return false;
	if (!q || q->fd < 0) {
		run_now(work, count);
		return true;
	}
	size_t at = q->ring->given % DEFERRED_OCTETS, rest = DEFERRED_OCTETS - at;
	bool is_idle = is_empty(q->ring);
	bool goes_to_front = rest < octets + sizeof(struct entry) || (is_idle && at > FRONT && at >= octets);
	size_t needed =
	    octets + (goes_to_front ? rest : 0); /* what is skipped counts as full, so all of an idle ring may be */
	if (!make_room(q, needed, DEFERRED_OCTETS - (work->may_wait && !is_idle ? RESERVED : 0)))
		return false;
	if (q->fd < 0) {
		run_now(work, count);
		return true;
	}
	if (is_empty(q->ring))
		q->seen_ms = 0; /* it has not been looked at for as long as nothing was there */
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
	if (!q || q->fd < 0)
		return NULL;
	uint64_t done = load(&q->ring->done);
	if (is_empty(q->ring) || done != q->seen_done || q->seen_ms == 0) {
		q->seen_done = done;
		q->seen_ms = now_ms;
		q->is_told = false;
	}
	if (q->is_told || now_ms - q->seen_ms < patience_ms)
		return NULL;
	q->is_told = true;
	const struct entry *next = (const void *)(q->ring->octets + done % DEFERRED_OCTETS);
	return next->run ? next->name : ((const struct entry *)(const void *)q->ring->octets)->name;
}
