/*
 * What the judge has said of a frame, for the next one like it. The judge is a pure function of config, state, time, and what it
 * reads of the frame. Where all of these are the same, it would say the same again, and need not be asked. The time is that of the
 * kernel's tick, so nothing is remembered for longer; a flow sends many frames in a tick. Each processor remembers by itself.
 */
#pragma once
#include "ebpf/likeness.h"
#include "ebpf/memory.h"

enum { RECALLED_MAX = 64, RECALLED_BITS = 6 };

/* All that an answer of the judge hangs on beside the frame's octets. */
struct circumstances {
	uint32_t mark, whose;         /* slot and direction; the mark is random, for a slot may be another guard's later */
	uint32_t config_at, state_at; /* the copies that count */
	uint64_t now_ms, length;      /* of the frame */
};

struct recalled {
	uint64_t turn; /* odd while it is being written: on some kernels another frame may come in between */
	uint64_t word[LIKENESS_WORDS];
	struct circumstances were;
	uint64_t judged;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RECALLED_MAX);
	__type(key, uint32_t);
	__type(value, struct recalled);
} softnet_recalled SEC(".maps");

/* Reads and writes in front of it come before those behind it; nobody but this processor sees them. */
#define in_this_order() __asm__ volatile("" ::: "memory")

/* Above the number of a decision: the frame goes to the guest; or where the checksum of a plain frame stands. */
enum { INWARD_BIT = 32, CHECKSUM_BIT = 32 };

/* The numbers of the copies of config and state that count. */
INLINE uint64_t copies_of(const struct kernel_memory *memory)
{
	return (uint64_t)memory->config_at << 32 | memory->state_at;
}

INLINE struct circumstances circumstances_of(const struct frame *frame, const struct kernel_memory *memory, uint64_t copies,
					     bool to_guest, uint64_t now_ms)
{
	uint32_t slot = frame->handle->cb[0]; /* not the memory's: its process could pose as another guard */
	return (struct circumstances){
		memory->mark, slot << 1 | to_guest, (uint32_t)(copies >> 32), (uint32_t)copies, now_ms, frame->length
	};
}

/* Where the answer is, if it is anywhere. Flows that meet in one place cost each other time, and nothing else. */
INLINE struct recalled *find_recalled(const struct frame *frame, enum plain_kind kind)
{
	uint64_t ports = read_ports_word(frame, kind) & mask_of_ports(kind);
	uint32_t at = (uint32_t)(ports * 0x9e3779b97f4a7c15ULL >> (64 - RECALLED_BITS));
	return bpf_map_lookup_elem(&softnet_recalled, &at);
}

#define NOTHING_RECALLED UINT32_MAX /* no decision has this number */

INLINE uint32_t recall(const struct frame *frame, enum plain_kind kind, const struct circumstances *are)
{
	const struct recalled *kept = find_recalled(frame, kind);
	if (!kept)
		return NOTHING_RECALLED;
	const struct circumstances *were = &kept->were;
	uint64_t turn = kept->turn;
	in_this_order();
	bool is_same = (turn & 1) == 0 && were->mark == are->mark && were->whose == are->whose &&
		       were->config_at == are->config_at && were->state_at == are->state_at &&
		       were->now_ms == are->now_ms && were->length == are->length && is_alike(frame, kind, kept->word);
	uint32_t judged = (uint32_t)kept->judged;
	in_this_order();
	return is_same && kept->turn == turn ? judged : NOTHING_RECALLED;
}

INLINE void remember(const struct frame *frame, enum plain_kind kind, const struct circumstances *are, uint32_t judged)
{
	struct recalled *kept = find_recalled(frame, kind);
	uint64_t turn = kept ? kept->turn : 1;
	if ((turn & 1) != 0 || __sync_val_compare_and_swap(&kept->turn, turn, turn + 1) != turn)
		return;
	in_this_order();
	copy_likeness(frame, kind, kept->word);
	kept->were = *are;
	kept->judged = judged;
	in_this_order();
	kept->turn = turn + 2;
}

/* Both have a stack of their own, for that of the judge is deep. */
PART uint64_t find_answer(struct __sk_buff *skb, const struct kernel_memory *memory, uint64_t copies, uint32_t to_guest,
			  uint64_t now_ms)
{
	struct frame frame = frame_of(skb);
	enum plain_kind kind = plain_kind_of(&frame);
	struct circumstances are = circumstances_of(&frame, memory, copies, to_guest != 0, now_ms);
	uint64_t answer = (uint64_t)usual_checksum(kind) << CHECKSUM_BIT;
	if (kind == NOT_PLAIN || skb->gso_size > 0)
		return answer | NOTHING_RECALLED;
	return answer | recall(&frame, kind, &are);
}

PART void keep_answer(struct __sk_buff *skb, const struct kernel_memory *memory, uint64_t copies, uint64_t judged,
		      uint64_t now_ms)
{
	struct frame frame = frame_of(skb);
	enum plain_kind kind = plain_kind_of(&frame);
	struct circumstances are = circumstances_of(&frame, memory, copies, judged >> INWARD_BIT != 0, now_ms);
	if (kind != NOT_PLAIN && skb->gso_size == 0)
		remember(&frame, kind, &are, (uint32_t)judged);
}
