/*
 * The judge in the kernel: the same text as in user space, once per direction. It answers with the whole decision, so that
 * the two builds can be compared; attaching it to an interface is another matter.
 */
#define FRAME_OF_XDP
#include "core/judge/judge.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct config);
} configs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct state);
} states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, uint64_t);
} clocks SEC(".maps");

enum { NO_MAPS = -1 };

SEC("xdp") int from_guest(struct xdp_md *xdp)
{
	uint32_t zero = 0;
	const struct config *config = bpf_map_lookup_elem(&configs, &zero);
	const struct state *state = bpf_map_lookup_elem(&states, &zero);
	const uint64_t *now_ms = bpf_map_lookup_elem(&clocks, &zero);
	struct frame frame = { xdp, (uint32_t)bpf_xdp_get_buff_len(xdp) };
	return config && state && now_ms ? (int)number_of(judge_from_guest((struct view){ config, state, *now_ms }, &frame)) : NO_MAPS;
}

SEC("xdp") int to_guest(struct xdp_md *xdp)
{
	uint32_t zero = 0;
	const struct config *config = bpf_map_lookup_elem(&configs, &zero);
	const struct state *state = bpf_map_lookup_elem(&states, &zero);
	const uint64_t *now_ms = bpf_map_lookup_elem(&clocks, &zero);
	struct frame frame = { xdp, (uint32_t)bpf_xdp_get_buff_len(xdp) };
	return config && state && now_ms ? (int)number_of(judge_to_guest((struct view){ config, state, *now_ms }, &frame)) : NO_MAPS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
