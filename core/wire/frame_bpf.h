/*
 * How the kernel's programs read a frame: by its helpers, so that no octet leaves it but by copy. core/wire/frame.h has this in
 * the place of its own. FRAME_OF_XDP: for the programs that are only compared with user space; those that guard are of tc.
 */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#if !defined(NULL)
#define NULL ((void *)0)
#endif

#if defined(FRAME_OF_XDP)
struct frame {
	struct xdp_md *xdp;
	uint32_t length;
};

typedef struct xdp_md *frame_handle;

INLINE frame_handle handle_of(const struct frame *frame)
{
	return frame->xdp;
}

INLINE struct frame frame_of(frame_handle xdp)
{
	return (struct frame){ xdp, (uint32_t)bpf_xdp_get_buff_len(xdp) };
}

INLINE bool frame_copy(const struct frame *frame, uint32_t at, uint8_t *to, uint32_t n)
{
	return bpf_xdp_load_bytes(frame->xdp, at, to, n) == 0;
}

INLINE uint16_t outer_type(const struct frame *frame, uint16_t type)
{
	(void)frame;
	return type;
}

INLINE uint32_t octets_on_wire(const struct frame *frame)
{
	return frame->length;
}

INLINE uint32_t frames_on_wire(const struct frame *frame)
{
	(void)frame;
	return 1;
}
#else
struct frame {
	struct __sk_buff *skb;
	uint32_t length, longest;
};

typedef struct __sk_buff *frame_handle;

INLINE frame_handle handle_of(const struct frame *frame)
{
	return frame->skb;
}

INLINE struct frame frame_of(frame_handle skb)
{
	uint32_t length = skb->len + (skb->vlan_present ? 4 : 0);
	return (struct frame){ skb, length, length };
}

INLINE bool frame_copy(const struct frame *frame, uint32_t at, uint8_t *to, uint32_t n)
{
	return bpf_skb_load_bytes(frame->skb, at, to, n) == 0;
}

/* The kernel has taken the tag out of the octets, and keeps it beside them. */
INLINE uint16_t outer_type(const struct frame *frame, uint16_t type)
{
	return frame->skb->vlan_present ? 0x8100 : type; /* IEEE 802.1Q */
}

INLINE uint32_t octets_on_wire(const struct frame *frame)
{
	return frame->longest;
}

/* One more at most: the headers are not subtracted. */
INLINE uint32_t frames_on_wire(const struct frame *frame)
{
	uint32_t payload = frame->skb->gso_size;
	return payload > 0 ? frame->length / payload + 1 : 1;
}
#endif
