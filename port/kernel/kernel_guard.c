/* What the process does with its guard, without any privilege: it writes copies, and reads the ring. */
#include "port/kernel/kernel_guard.h"
#include <errno.h>
#include <linux/bpf.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

bool can_wait_for_programs(struct error *error)
{
	long commands = membarrier(MEMBARRIER_CMD_QUERY);
	if (commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL))
		return true;
	return report_failure(error, "this kernel has no membarrier(2) for all processes (it may run with nohz_full)");
}

/* Programs run to their end once they have begun. */
void wait_for_programs(struct kernel_guard *guard)
{
	membarrier(MEMBARRIER_CMD_GLOBAL);
	guard->new_states = guard->new_configs = 0;
}

bool is_still_ours(const struct kernel_guard *guard)
{
	return __atomic_load_n(&guard->memory->head.owner, __ATOMIC_RELAXED) == guard->owner;
}

/* Programs stamp apart, so that nobody but us writes a state: when a binding was used is no reason for a new copy. */
static bool is_same_state(const struct state *a, const struct state *b)
{
	static struct state c;
	c = *a;
	for (int i = 0; i < BINDINGS4_MAX; i++)
		c.ipv4[i].used_ms = b->ipv4[i].used_ms;
	for (int i = 0; i < BINDINGS6_MAX; i++)
		c.ipv6.bindings[i].used_ms = b->ipv6.bindings[i].used_ms;
	return memcmp(&c, b, sizeof c) == 0;
}

void publish_state(struct kernel_guard *guard, const struct state *state)
{
	struct kernel_memory *memory = guard->memory;
	uint32_t next = memory->state_at + 1;
	if (!is_still_ours(guard) || is_same_state(state, &memory->state[memory->state_at % STATE_COPIES]))
		return;
	if (guard->new_states >= STATE_COPIES - 1)
		wait_for_programs(guard);
	memory->state[next % STATE_COPIES] = *state;
	__atomic_store_n(&memory->state_at, next, __ATOMIC_RELEASE);
	guard->new_states++;
}

static bool is_same_but_policy(const struct config *a, const struct config *b)
{
	size_t behind = offsetof(struct config, policy) + sizeof(struct policy);
	return memcmp(a, b, offsetof(struct config, policy)) == 0 &&
	       memcmp((const char *)a + behind, (const char *)b + behind, sizeof *a - behind) == 0;
}

/* As much of it as is in use. */
static void copy_config(struct config *to, const struct config *from)
{
	size_t behind = offsetof(struct config, policy) + sizeof(struct policy);
	memcpy(to, from, offsetof(struct config, policy));
	copy_policy(&to->policy, &from->policy);
	memcpy((char *)to + behind, (const char *)from + behind, sizeof *to - behind);
}

void publish_config(struct kernel_guard *guard, const struct config *config, bool is_policy_new)
{
	struct kernel_memory *memory = guard->memory;
	uint32_t next = memory->config_at + 1;
	if (!is_still_ours(guard) ||
	    (!is_policy_new && is_same_but_policy(config, &guard->configs[memory->config_at % CONFIG_COPIES])))
		return;
	if (guard->new_configs >= CONFIG_COPIES - 1)
		wait_for_programs(guard);
	copy_config(&guard->configs[next % CONFIG_COPIES], config);
	if (config->followed.count > 0)
		__atomic_store_n(&memory->follows, 1,
				 __ATOMIC_RELEASE); /* and stays, as the process may end at any moment */
	__atomic_store_n(&memory->config_at, next, __ATOMIC_RELEASE);
	guard->new_configs++;
}

/*
 * A list of one robust futex, the attendant. It is ours and not pthread's: nobody may lock it, and where it stands in a mutex of
 * pthread's is nobody's business.
 */
static void leave_word(struct kernel_memory *memory)
{
	static struct robust_list_head head;
	static struct robust_list entry;
	entry.next = &head.list;
	head.list.next = &entry;
	head.futex_offset = (char *)&memory->attendant - (char *)&entry;
	syscall(SYS_set_robust_list, &head, sizeof head);
}

void attend_kernel_guard(struct kernel_guard *guard, uint64_t now_ms)
{
	struct kernel_memory *memory = guard->memory;
	uint32_t thread = (uint32_t)syscall(SYS_gettid);
	if (!is_still_ours(guard))
		return;
	__atomic_store_n(&memory->attended_ms, now_ms, __ATOMIC_RELAXED);
	if (guard->attends)
		return;
	leave_word(memory);
	__atomic_store_n(&memory->attendant, thread, __ATOMIC_RELEASE);
	guard->attends = true;
}

void forget_kernel_flows(struct kernel_guard *guard)
{
	__atomic_add_fetch(&guard->memory->flows_epoch, 1, __ATOMIC_RELEASE);
}

void open_kernel_guard(struct kernel_guard *guard)
{
	__atomic_store_n(&guard->memory->is_open, 1, __ATOMIC_RELEASE);
}

static const uint8_t *record_at(const struct kernel_guard *guard, uint64_t at)
{
	return guard->ring_octets + at % NEWS_OCTETS;
}

static uint64_t octets_of_record(uint32_t header)
{
	uint32_t length = header & ~(uint32_t)(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
	return (length + BPF_RINGBUF_HDR_SZ + 7ULL) / 8 * 8;
}

const struct news *next_news(const struct kernel_guard *guard)
{
	for (;;) {
		uint64_t at = *guard->ring_read;
		if (at >= __atomic_load_n(guard->ring_written, __ATOMIC_ACQUIRE))
			return NULL;
		const uint8_t *record = record_at(guard, at);
		uint32_t header = __atomic_load_n((const uint32_t *)(const void *)record, __ATOMIC_ACQUIRE);
		if (header & BPF_RINGBUF_BUSY_BIT)
			return NULL;
		if (!(header & BPF_RINGBUF_DISCARD_BIT))
			return (const struct news *)(const void *)(record + BPF_RINGBUF_HDR_SZ);
		__atomic_store_n(guard->ring_read, at + octets_of_record(header), __ATOMIC_RELEASE);
	}
}

void drop_news(struct kernel_guard *guard)
{
	uint64_t at = *guard->ring_read;
	uint32_t header = *(const uint32_t *)(const void *)record_at(guard, at);
	__atomic_store_n(guard->ring_read, at + octets_of_record(header), __ATOMIC_RELEASE);
}

void close_kernel_guard(struct kernel_guard *guard)
{
	int fds[] = { guard->ring, guard->socket[FROM_GUEST], guard->socket[TO_GUEST] };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	guard->ring = guard->socket[FROM_GUEST] = guard->socket[TO_GUEST] = -1;
}
