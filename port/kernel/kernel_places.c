/* The table is mapped, and changed by plain stores under a lock. Whether a process or a port is there the kernel knows. */
#include "port/kernel/kernel_places.h"
#include <bpf/bpf.h>
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>
#include "ebpf/memory.h"

enum { LOCK_WORD = 0, LOCK_TRIES = 10000, LOCK_WAIT_MS = 1 };

bool open_places(struct kernel_places *p, const struct kernel_programs *programs, int life)
{
	void *at = mmap(NULL, SLOTS_MAX * sizeof *p->at, PROT_READ | PROT_WRITE, MAP_SHARED, programs->places, 0);
	p->own = number_of_map(life);
	p->alive = programs->alive;
	p->at = at == MAP_FAILED ? NULL : at;
	return p->at && p->own != 0;
}

void close_places(struct kernel_places *p)
{
	if (p->at)
		munmap(p->at, SLOTS_MAX * sizeof *p->at);
	p->at = NULL;
}

static uint64_t claim_of(const struct kernel_places *p, uint32_t slot)
{
	return __atomic_load_n(&p->at[slot].claim, __ATOMIC_SEQ_CST);
}

/* Of the process that claimed; a number is not used again. */
static bool is_living(uint64_t claim)
{
	int fd = claim != 0 ? bpf_map_get_fd_by_id((uint32_t)claim) : -1;
	bool is_gone = claim == 0 || (fd < 0 && errno == ENOENT);
	if (fd >= 0)
		close(fd);
	return !is_gone;
}

bool lock_places(struct kernel_places *p)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		uint64_t holder = claim_of(p, LOCK_WORD);
		if (!is_living(holder) && __atomic_compare_exchange_n(&p->at[LOCK_WORD].claim, &holder, p->own, false,
								      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return true;
		poll(NULL, 0, LOCK_WAIT_MS);
	}
	errno = EBUSY;
	return false;
}

void unlock_places(struct kernel_places *p)
{
	__atomic_store_n(&p->at[LOCK_WORD].claim, 0, __ATOMIC_SEQ_CST);
}

uint32_t find_place(const struct kernel_places *p, const struct port_key *key)
{
	for (uint32_t probe = 0; probe < PROBES_MAX; probe++) {
		uint32_t slot = probed_slot(key->cookie, key->interface, probe);
		if (slot != LOCK_WORD && is_place_of(&p->at[slot], key->cookie, key->interface))
			return slot;
	}
	return 0;
}

bool is_claimed_by_other(const struct kernel_places *p, uint32_t slot)
{
	uint64_t claim = claim_of(p, slot);
	return claim != p->own && is_living(claim);
}

bool is_port_alive(const struct kernel_places *p, uint32_t slot)
{
	uint32_t interface;
	return bpf_map_lookup_elem(p->alive, &slot, &interface) == 0 || errno != ENOENT;
}

void claim_place(struct kernel_places *p, uint32_t slot)
{
	__atomic_store_n(&p->at[slot].claim, p->own, __ATOMIC_SEQ_CST);
}

uint32_t take_free_place(struct kernel_places *p, const struct port_key *key)
{
	for (uint32_t probe = 0; probe < PROBES_MAX; probe++) {
		uint32_t slot = probed_slot(key->cookie, key->interface, probe);
		if (slot == LOCK_WORD || claim_of(p, slot) != 0)
			continue;
		if (bpf_map_update_elem(p->alive, &slot, &key->interface, BPF_ANY) != 0)
			return 0;
		claim_place(p, slot);
		p->at[slot].interface = key->interface;
		__atomic_store_n(&p->at[slot].cookie, key->cookie, __ATOMIC_SEQ_CST);
		return slot;
	}
	errno = ENOSPC;
	return 0;
}

void abandon_place(struct kernel_places *p, uint32_t slot)
{
	__atomic_store_n(&p->at[slot].cookie, 0, __ATOMIC_SEQ_CST);
	claim_place(p, slot);
}

static bool is_stale(const struct kernel_places *p, uint32_t slot)
{
	uint64_t claim = claim_of(p, slot);
	return claim != 0 && !is_living(claim) && (p->at[slot].cookie == 0 || !is_port_alive(p, slot));
}

void abandon_stale_places(struct kernel_places *p)
{
	for (uint32_t slot = 1; slot < SLOTS_MAX; slot++)
		if (is_stale(p, slot))
			abandon_place(p, slot);
}

bool is_abandoned(const struct kernel_places *p, uint32_t slot)
{
	return claim_of(p, slot) == p->own && p->at[slot].cookie == 0;
}

void free_abandoned_places(struct kernel_places *p)
{
	for (uint32_t slot = 1; slot < SLOTS_MAX; slot++)
		if (is_abandoned(p, slot)) {
			bpf_map_delete_elem(p->alive, &slot);
			__atomic_store_n(&p->at[slot].claim, 0, __ATOMIC_SEQ_CST);
		}
}
