/*
 * The guard in the kernel: the judge, then the tables, as guard.c does it in user space, at the ingress (from the guest) and
 * the egress (to the guest) of a port that somebody else made. They are loaded once for all guards of a host. Which one a frame
 * belongs to says the table of ports; where a port is not in it, or its process has not opened it yet, nothing passes.
 *
 * What the snooper must decide goes to the process through a ring, and does not pass. The process gives it back through a
 * socket of its own, which is known by its cookie: towards the guest it then passes; from the guest it is turned round
 * into the port, with a mark that no guest can give a frame.
 */
#include "ebpf/attended.h"
#include "ebpf/memory.h"
#include "ebpf/offload.h"
#include "ebpf/recall.h"
#include "core/judge/judge.h"
#include "core/judge/settle.h"
#include "core/flows/flow.c"

struct memory_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(uint32_t));
	__uint(value_size, sizeof(struct kernel_memory));
};

struct config_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, CONFIG_COPIES);
	__uint(key_size, sizeof(uint32_t));
	__uint(value_size, sizeof(struct config));
};

struct ring_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, NEWS_OCTETS);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLOTS_MAX);
	__type(key, uint32_t);
	__array(values, struct memory_map);
} softnet_memory SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLOTS_MAX);
	__type(key, uint32_t);
	__array(values, struct config_map);
} softnet_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SLOTS_MAX);
	__type(key, uint32_t);
	__array(values, struct ring_map);
} softnet_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SLOTS_MAX);
	__type(key, uint32_t);
	__type(value, struct guard_place);
} softnet_places SEC(".maps");

/*
 * By slot, too: its port. The kernel itself takes that out when the port vanishes or leaves its network namespace, and so every
 * process of the host can see that the slot is free. No program reads it, and nothing is sent by it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, SLOTS_MAX);
	__type(key, uint32_t);
	__type(value, uint32_t);
} softnet_alive SEC(".maps");

/* Of the frame that this processor is busy with, for which a stack of 512 octets has no room. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct packet_facts);
} softnet_facts SEC(".maps");

/* Filled by who loads them. */
const volatile struct guard_constants softnet_constants = { 0, 0 };

enum { NEXT = -1, SHOT = 2 }; /* TC_ACT_UNSPEC, or TCX_NEXT: whatever else stands at the port has its say; TC_ACT_SHOT */

/* Where ports have met in one place. */
SUBPROGRAM uint32_t probe_on(uint64_t cookie, uint32_t interface)
{
	for (uint32_t probe = 1; probe < PROBES_MAX; probe++) {
		uint32_t slot = probed_slot(cookie, interface, probe);
		const struct guard_place *place = bpf_map_lookup_elem(&softnet_places, &slot);
		if (place && is_place_of(place, cookie, interface))
			return slot;
	}
	return 0;
}

/* 0: it is nobody's. */
INLINE uint32_t find_slot(struct __sk_buff *skb)
{
	uint64_t cookie = namespace_of(skb, softnet_constants.may_look != 0);
	uint32_t slot = probed_slot(cookie, skb->ifindex, 0);
	const struct guard_place *place = bpf_map_lookup_elem(&softnet_places, &slot);
	return place && is_place_of(place, cookie, skb->ifindex) ? slot : probe_on(cookie, skb->ifindex);
}

/* Those of the port, or NULL where nothing may pass. The slot stands beside the frame as long as the programs have it. */
INLINE struct kernel_memory *find_memory(struct __sk_buff *skb)
{
	uint32_t slot = find_slot(skb), zero = 0;
	skb->cb[0] = slot;
	void *memories = bpf_map_lookup_elem(&softnet_memory, &slot);
	struct kernel_memory *memory = memories ? bpf_map_lookup_elem(memories, &zero) : NULL;
	return memory && memory->is_open ? memory : NULL;
}

/* The copy of this number: an older one may be written again. */
INLINE const struct config *find_config(struct __sk_buff *skb, uint32_t number)
{
	uint32_t slot = skb->cb[0], at = number % CONFIG_COPIES;
	void *configs = bpf_map_lookup_elem(&softnet_config, &slot);
	return configs ? bpf_map_lookup_elem(configs, &at) : NULL;
}

/*
 * To the millisecond, once in a tick of the kernel: to ask costs as much as a third of the rest. Another processor may write at
 * the same time, so the two fields say whether they belong together.
 */
INLINE uint64_t read_clock(struct kernel_memory *memory)
{
	uint64_t tick = bpf_jiffies64(), clock_ms = memory->clock_ms;
	if (memory->clock_tick == (tick ^ clock_ms << 24))
		return clock_ms;
	uint64_t now_ms = bpf_ktime_get_boot_ns() / 1000000;
	memory->clock_ms = now_ms;
	memory->clock_tick = tick ^ now_ms << 24;
	return now_ms;
}

/*
 * Each of the following is a step that the verifier checks by itself, for whatever the one before has left: a walk through
 * all of them together would be too long for it.
 */

SUBPROGRAM uint32_t measure_longest(struct __sk_buff *skb)
{
	struct frame frame = frame_of(skb);
	return longest_part(&frame, skb->gso_size);
}

SUBPROGRAM uint32_t judge_outward(struct __sk_buff *skb, const struct config *config, const struct state *state, uint64_t now_ms,
				  uint32_t longest)
{
	if (!is_given(config) || !is_given(state))
		return DROP_QUEUE_FULL;
	struct frame frame = { skb, frame_of(skb).length, longest };
	return number_of(judge_from_guest((struct view){ config, state, now_ms }, &frame));
}

SUBPROGRAM uint32_t judge_inward(struct __sk_buff *skb, const struct config *config, const struct state *state, uint64_t now_ms,
				 uint32_t longest)
{
	if (!is_given(config) || !is_given(state))
		return DROP_QUEUE_FULL;
	struct frame frame = { skb, frame_of(skb).length, longest };
	return number_of(judge_to_guest((struct view){ config, state, now_ms }, &frame));
}

INLINE uint32_t longest_of(struct __sk_buff *skb)
{
	return skb->gso_size > 0 ? measure_longest(skb) : frame_of(skb).length;
}

INLINE struct packet_facts *facts_here(void)
{
	uint32_t zero = 0;
	return bpf_map_lookup_elem(&softnet_facts, &zero);
}

/* False: its headers cannot be found again. */
SUBPROGRAM bool find_facts(struct __sk_buff *skb, uint32_t to_guest)
{
	struct frame frame = frame_of(skb);
	struct packet_facts *facts = facts_here();
	return facts && read_facts(&frame, to_guest != 0, facts);
}

SUBPROGRAM bool has_checksum_in_place(struct __sk_buff *skb, uint32_t usual)
{
	struct frame frame = frame_of(skb);
	uint64_t place = find_checksum(skb, softnet_constants.may_look != 0);
	return place == NO_CHECKSUM ||
	       (place < frame.length && (place == usual || is_honest_place(&frame, (uint32_t)place)));
}

/* usual: where it is in a plain frame, for which no header has to be walked; 0: it is no plain one. */
INLINE bool has_honest_checksum(struct __sk_buff *skb, uint32_t usual)
{
	if (softnet_constants.may_look != 0) {
		uint64_t place = find_checksum(skb, true);
		if (place == NO_CHECKSUM || (place == usual && usual < skb->len))
			return true;
	}
	return has_checksum_in_place(skb, usual);
}

/* Buckets and flows are small work; who holds them is never held up itself. */
enum { LOCK_TRIES = 1 << 15 };

struct attempt {
	struct kernel_memory *memory;
	uint64_t locked;
};

static int try_lock(uint32_t number, struct attempt *attempt)
{
	(void)number;
	attempt->locked = __sync_val_compare_and_swap(&attempt->memory->lock, 0, 1) == 0;
	return attempt->locked ? 1 : 0;
}

INLINE bool lock_tables(struct kernel_memory *memory)
{
	struct attempt attempt = { memory, 0 };
	if (__sync_val_compare_and_swap(&memory->lock, 0, 1) == 0)
		return true;
	bpf_loop(LOCK_TRIES, try_lock, &attempt, 0);
	return attempt.locked;
}

INLINE void unlock_tables(struct kernel_memory *memory)
{
	__sync_lock_test_and_set(&memory->lock, 0);
}

INLINE struct decision decision_of(uint32_t number)
{
	return (struct decision){ (uint8_t)number, (uint8_t)(number >> 8), (uint8_t)(number >> 16), (uint8_t)(number >> 24) };
}

/* As decide() of guard.c: gives the verdict. The facts are there if the decision asks for flows. */
SUBPROGRAM uint32_t settle(struct __sk_buff *skb, struct kernel_memory *memory, const struct config *config, uint64_t judged,
			   uint64_t now_ms)
{
	struct packet_facts *facts = facts_here();
	struct decision d = decision_of((uint32_t)judged);
	bool to_guest = judged >> INWARD_BIT != 0;
	struct frame frame = frame_of(skb);
	if (!is_given(memory) || !is_given(config) || !facts || !lock_tables(memory))
		return DROP_QUEUE_FULL;
	if (memory->flows.epoch != memory->flows_epoch) {
		memory->flows.epoch = memory->flows_epoch - 1;
		empty_flows(&memory->flows);
	}
	if (d.flow != 0)
		d.verdict = ask_flows(&memory->flows, d, to_guest, facts, now_ms);
	const struct state *state = &memory->state[memory->state_at % STATE_COPIES];
	d.verdict = charge((struct view){ config, state, now_ms }, &memory->buckets, &frame, d, to_guest);
	unlock_tables(memory);
	return d.verdict;
}

/* Most frames are decided by the judge alone. */
INLINE bool needs_tables(struct decision d)
{
	return d.flow != 0 || (d.verdict == PASS ? d.bucket != RATE_FREE : d.verdict < FIRST_DROP);
}

INLINE uint64_t count(struct kernel_memory *memory, uint32_t verdict, bool to_guest, uint32_t octets)
{
	uint32_t direction = to_guest ? TO_GUEST : FROM_GUEST;
	limit_for_verifier(verdict, VERDICTS);
	if (verdict >= VERDICTS)
		return 0;
	if (verdict == PASS)
		__sync_fetch_and_add(&memory->counted[direction].octets, octets);
	return __sync_fetch_and_add(&memory->counted[direction].verdicts[verdict], 1);
}

/* The reservation must be of a constant length; the frame has no more octets. */
#define SUBMIT(octets) \
	({ \
		struct news *news = bpf_ringbuf_reserve(ring, sizeof(struct news) + (octets), 0); \
		bool is_whole = false; \
		if (news) { \
			uint64_t copied = length; \
			limit_for_verifier(copied, octets); \
			not_zero_for_verifier(copied); \
			*news = (struct news){ now_ms, length, (uint8_t)verdict, to_guest, { 0 } }; \
			is_whole = bpf_skb_load_bytes(skb, 0, news + 1, (uint32_t)copied) == 0; \
			if (is_whole) \
				bpf_ringbuf_submit(news, 0); \
			else \
				bpf_ringbuf_discard(news, 0); \
		} \
		is_whole; \
	})

enum { SMALL_NEWS = 616, LONG_NEWS = 2032, LONGEST_NEWS = 66000 };

/* Half of the ring is for frames that wait for the snooper alone: nobody may drown those. */
SUBPROGRAM bool tell(struct __sk_buff *skb, uint32_t verdict, uint32_t to_guest, uint64_t now_ms)
{
	uint32_t slot = skb->cb[0], length = skb->len;
	bool waits = verdict != PASS && verdict < FIRST_DROP;
	void *ring = bpf_map_lookup_elem(&softnet_ring, &slot);
	if (!ring || (!waits && bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) > NEWS_OCTETS / 2))
		return false;
	if (length <= SMALL_NEWS)
		return SUBMIT(SMALL_NEWS);
	if (length <= LONG_NEWS)
		return SUBMIT(LONG_NEWS);
	return length <= LONGEST_NEWS && SUBMIT(LONGEST_NEWS);
}

/* One at a time, and one a millisecond of each reason. */
INLINE void keep_specimen(struct __sk_buff *skb, struct kernel_memory *memory, uint32_t verdict, bool to_guest, uint64_t now_ms)
{
	limit_for_verifier(verdict, VERDICTS);
	if (verdict >= VERDICTS)
		return;
	struct specimen *last = &memory->last[to_guest ? TO_GUEST : FROM_GUEST][verdict];
	if (last->dropped_ms == now_ms || __sync_val_compare_and_swap(&memory->specimen_lock, 0, 1) != 0)
		return;
	uint32_t length = skb->len, kept = length;
	limit_for_verifier(kept, SPECIMEN_MAX);
	not_zero_for_verifier(kept);
	last->dropped_ms = now_ms;
	last->length = length;
	last->kept = bpf_skb_load_bytes(skb, 0, last->bytes, kept) == 0 ? kept : 0;
	__sync_lock_test_and_set(&memory->specimen_lock, 0);
}

/* A frame that does not pass now. The first of a reason is told at once, others when somebody wants to see them. */
SUBPROGRAM int turn_away(struct __sk_buff *skb, struct kernel_memory *memory, uint32_t verdict, uint32_t to_guest, uint64_t now_ms)
{
	if (!is_given(memory))
		return SHOT;
	bool is_left = memory->is_left != 0;
	if (verdict < FIRST_DROP) {
		if (!is_left && tell(skb, verdict, to_guest, now_ms))
			return SHOT;
		verdict = is_left ? DROP_UNATTENDED : DROP_QUEUE_FULL;
	}
	bool is_first = count(memory, verdict, to_guest, 0) == 0 && !is_left;
	keep_specimen(skb, memory, verdict, to_guest, now_ms);
	bool is_wanted = (memory->wants & WANTS_DROPS) || ((memory->wants & WANTS_REJECTED) && !to_guest);
	if ((is_first || is_wanted) && !tell(skb, verdict, to_guest, now_ms))
		__sync_fetch_and_add(&memory->lost, 1);
	return SHOT;
}

INLINE uint32_t judge(struct __sk_buff *skb, const struct kernel_memory *memory, uint64_t copies, bool to_guest, uint64_t now_ms)
{
	const struct config *config = find_config(skb, (uint32_t)(copies >> 32));
	const struct state *state = &memory->state[copies % STATE_COPIES];
	uint32_t judged = to_guest ? judge_inward(skb, config, state, now_ms, longest_of(skb))
				   : judge_outward(skb, config, state, now_ms, longest_of(skb));
	if (may_pass(decision_of(judged)))
		keep_answer(skb, memory, copies, judged | (uint64_t)to_guest << INWARD_BIT, now_ms);
	return judged;
}

/* Nobody knows who has the peer's address now. */
SUBPROGRAM bool is_lost_sight_of(struct __sk_buff *skb, const struct kernel_memory *memory, uint64_t copies, uint64_t now_ms,
				 uint32_t to_guest)
{
	if (!is_given(memory))
		return true;
	struct frame frame = frame_of(skb);
	const struct config *config = find_config(skb, (uint32_t)(copies >> 32));
	const struct state *state = &memory->state[copies % STATE_COPIES];
	return lacks_attendant(memory, now_ms) && config &&
	       has_followed_peer((struct view){ config, state, now_ms }, &frame, to_guest != 0);
}

/* What needs no judge, as find_answer() gives it. A part of its own, because guard() has no stack left. */
PART uint64_t answer_at_once(struct __sk_buff *skb, const struct kernel_memory *memory, uint64_t copies, uint32_t to_guest,
			     uint64_t now_ms)
{
	if (memory->follows != 0 && is_lost_sight_of(skb, memory, copies, now_ms, to_guest))
		return number_of(drop(DROP_UNATTENDED));
	return find_answer(skb, memory, copies, to_guest, now_ms);
}

INLINE int guard(struct __sk_buff *skb, struct kernel_memory *memory, bool to_guest)
{
	uint64_t now_ms = read_clock(memory), copies = copies_of(memory);
	uint64_t answer = answer_at_once(skb, memory, copies, to_guest, now_ms);
	uint32_t judged = (uint32_t)answer;
	struct decision d = decision_of(judged != NOTHING_RECALLED ? judged : judge(skb, memory, copies, to_guest, now_ms));
	if (d.flow != 0 && !find_facts(skb, to_guest))
		d.flow = 0;
	if (needs_tables(d))
		d.verdict = (uint8_t)settle(skb, memory, find_config(skb, memory->config_at),
					    number_of(d) | (uint64_t)to_guest << INWARD_BIT, now_ms);
	if (d.verdict == PASS && !has_honest_checksum(skb, (uint32_t)(answer >> CHECKSUM_BIT)))
		d.verdict = DROP_L4_MALFORMED;
	if (d.verdict < FIRST_DROP && d.binding != NO_BINDING)
		stamp(&memory->used_ms[d.binding % STAMPS_MAX], now_ms);
	if (d.verdict != PASS)
		return turn_away(skb, memory, d.verdict, to_guest, now_ms);
	count(memory, PASS, to_guest, skb->len);
	if ((memory->wants & WANTS_PASSED) && !tell(skb, PASS, to_guest, now_ms))
		__sync_fetch_and_add(&memory->lost, 1);
	skb->cb[0] = 0;
	return NEXT;
}

SEC("tc") int softnet_outward(struct __sk_buff *skb)
{
	struct kernel_memory *memory = find_memory(skb);
	if (!memory)
		return SHOT;
	if (skb->mark != 0 && skb->mark == memory->mark) {
		skb->mark = skb->cb[0] = 0;
		return NEXT;
	}
	return guard(skb, memory, false);
}

SEC("tc") int softnet_inward(struct __sk_buff *skb)
{
	struct kernel_memory *memory = find_memory(skb);
	if (!memory)
		return SHOT;
	uint64_t sender = skb->sk ? bpf_get_socket_cookie(skb) : 0;
	if (sender != 0 && sender == memory->injector[TO_GUEST]) {
		skb->cb[0] = 0;
		return NEXT;
	}
	if (sender != 0 && sender == memory->injector[FROM_GUEST]) {
		skb->mark = memory->mark;
		return (int)bpf_redirect(skb->ifindex, BPF_F_INGRESS);
	}
	return guard(skb, memory, true);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
