/*
 * Frames that are not yet as they will be on the wire: long ones that will be cut (GSO), and such whose checksum the host is to
 * fill in. A guest says with each frame where that checksum goes, and it need not tell the truth: two octets would be
 * written wherever it likes, after the frame was judged.
 */
#pragma once
#include "core/judge/flow_facts.h"
#include "ebpf/kernel_frame.h"

/* Each part of a frame that will be cut has its headers again. */
PART uint32_t longest_part(const struct frame *frame, uint32_t payload)
{
	struct packet_place t;
	if (!find_packet(frame, &t) || t.is_later_fragment)
		return frame->length;
	struct reader r = read_from(frame, t.at, frame->length);
	skip_bytes(&r, 12);
	uint32_t header = t.protocol == PROTOCOL_TCP ? (read_u8(&r) >> 4) * 4u : 8;
	return r.ok ? t.at + header + payload : frame->length;
}

enum { CHECKSUM_IS_PARTIAL = 3 };

INLINE uint32_t checksum_offset(uint8_t protocol)
{
	return protocol == PROTOCOL_TCP ? 16 : protocol == PROTOCOL_UDP ? 6 : protocol == PROTOCOL_SCTP ? 8 : 2;
}

/* In its protocol's own field, or in a payload that nobody has looked into. */
PART bool is_honest_place(const struct frame *frame, uint32_t place)
{
	struct packet_place t;
	if (!find_packet(frame, &t) || t.is_later_fragment)
		return false;
	if (t.protocol == PROTOCOL_TCP || t.protocol == PROTOCOL_UDP || t.protocol == PROTOCOL_SCTP)
		return place == t.at + checksum_offset(t.protocol) || place >= t.at + transport_header(t.protocol);
	return (t.protocol == PROTOCOL_ICMP || t.protocol == PROTOCOL_ICMP6) && place == t.at + checksum_offset(t.protocol);
}

/* Where a checksum is to be written, or NO_CHECKSUM. */
#define NO_CHECKSUM UINT64_MAX

INLINE uint64_t place_of(uint64_t head, uint64_t data, uint64_t start, uint64_t offset)
{
	return start + offset - (data - head);
}

INLINE bool is_checksum_partial(struct __sk_buff *handle)
{
	const struct sk_buff *skb = bpf_cast_to_kern_ctx(handle);
	return BPF_CORE_READ_BITFIELD(skb, ip_summed) == CHECKSUM_IS_PARTIAL;
}

INLINE uint64_t find_checksum(struct __sk_buff *handle, bool may_look)
{
	const struct sk_buff *skb = may_look ? bpf_cast_to_kern_ctx(handle) : (const struct sk_buff *)handle;
	if (may_look)
		return is_checksum_partial(handle)
			   ? place_of((uint64_t)skb->head, (uint64_t)skb->data, skb->csum_start, skb->csum_offset)
			   : NO_CHECKSUM;
	if (BPF_CORE_READ_BITFIELD_PROBED(skb, ip_summed) != CHECKSUM_IS_PARTIAL)
		return NO_CHECKSUM;
	return place_of((uint64_t)BPF_CORE_READ(skb, head), (uint64_t)BPF_CORE_READ(skb, data), BPF_CORE_READ(skb, csum_start),
			BPF_CORE_READ(skb, csum_offset));
}
