/*
 * Frames that are not yet as they will be on the wire: long ones that will be cut (GSO), and such whose checksum the host is to
 * fill in. A guest says with each frame where that checksum goes, and it need not tell the truth: two octets would be
 * written wherever it likes, after the frame was judged.
 */
#pragma once
#include <bpf/bpf_core_read.h>
#include "core/judge/flow_facts.h"

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

/* As the kernel has it; where its fields are is asked when the program is loaded. */
struct sk_buff {
	unsigned char *head, *data;
	uint16_t csum_start, csum_offset;
	uint8_t ip_summed : 2;
} __attribute__((preserve_access_index));

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

INLINE bool has_honest_checksum(const struct frame *frame)
{
	const struct sk_buff *skb = (const struct sk_buff *)frame->skb;
	if (BPF_CORE_READ_BITFIELD_PROBED(skb, ip_summed) != CHECKSUM_IS_PARTIAL)
		return true;
	uint64_t headroom = (uint64_t)BPF_CORE_READ(skb, data) - (uint64_t)BPF_CORE_READ(skb, head);
	uint64_t place = (uint64_t)BPF_CORE_READ(skb, csum_start) + BPF_CORE_READ(skb, csum_offset) - headroom;
	return place < frame->length && is_honest_place(frame, (uint32_t)place);
}
