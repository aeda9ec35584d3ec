/*
 * How the kernel's programs read a frame: what stands in its first piece of memory by one load, the rest by a helper; no octet
 * leaves it but by copy. core/wire/frame.h has this in the place of its own. FRAME_OF_XDP: for the programs that are only compared
 * with user space; those that guard are of tc.
 */
#pragma once
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#if !defined(NULL)
#define NULL ((void *)0)
#endif

#if defined(FRAME_OF_XDP)
typedef struct xdp_md *frame_handle;

struct frame {
	frame_handle handle;
	uint32_t length;
};

INLINE struct frame frame_of(frame_handle xdp)
{
	return (struct frame){ xdp, (uint32_t)bpf_xdp_get_buff_len(xdp) };
}

INLINE bool load_far(frame_handle xdp, uint32_t at, uint8_t *to, uint32_t n)
{
	return bpf_xdp_load_bytes(xdp, at, to, n) == 0;
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
typedef struct __sk_buff *frame_handle;

struct frame {
	frame_handle handle;
	uint32_t length, longest;
};

INLINE struct frame frame_of(frame_handle skb)
{
	uint32_t length = skb->len + (skb->vlan_present ? 4 : 0);
	return (struct frame){ skb, length, length };
}

/*
 * They are brought into the first piece before. Else they might stand in memory that a sender still has (packet(7),
 * PACKET_TX_RING): it could change what was judged.
 */
INLINE bool load_far(frame_handle skb, uint32_t at, uint8_t *to, uint32_t n)
{
	return bpf_skb_pull_data(skb, at + n) == 0 && bpf_skb_load_bytes(skb, at, to, n) == 0;
}

/* The kernel has taken the tag out of the octets, and keeps it beside them. */
INLINE uint16_t outer_type(const struct frame *frame, uint16_t type)
{
	return frame->handle->vlan_present ? 0x8100 : type; /* IEEE 802.1Q */
}

INLINE uint32_t octets_on_wire(const struct frame *frame)
{
	return frame->longest;
}

/* One more at most: the headers are not subtracted. */
INLINE uint32_t frames_on_wire(const struct frame *frame)
{
	uint32_t payload = frame->handle->gso_size;
	return payload > 0 ? frame->length / payload + 1 : 1;
}
#endif

INLINE frame_handle handle_of(const struct frame *frame)
{
	return frame->handle;
}

enum { NEAR_MAX = 0x7fff }; /* the verifier wants a bound */

#define NOT_THERE UINT64_MAX

#define SUBPROGRAM __attribute__((noinline)) /* as frame.h says behind this */

/* One to six octets as a number. */
SUBPROGRAM uint64_t read_far(frame_handle handle, uint32_t at, uint32_t n)
{
	uint8_t octets[8] = { 0 };
	uint64_t number = 0, wanted = n;
	limit_for_verifier(wanted, 6);
	not_zero_for_verifier(wanted);
	if (at > NEAR_MAX || !load_far(handle, at, octets, (uint32_t)wanted))
		return NOT_THERE;
	for (uint32_t i = 0; i < 6 && i < wanted; i++)
		number = number << 8 | octets[i];
	return number;
}

/* n is constant, and the verifier has been shown that so many octets are there. */
INLINE uint64_t read_near(const uint8_t *from, uint32_t n)
{
	if (n == 1)
		return *from;
	if (n == 2)
		return __builtin_bswap16(*(const uint16_t *)from);
	if (n == 8)
		return __builtin_bswap64(*(const uint64_t *)from);
	uint64_t first = __builtin_bswap32(*(const uint32_t *)from);
	return n == 4 ? first : first << 16 | __builtin_bswap16(*(const uint16_t *)(from + 4));
}

/* A compiler would compute addresses of its own, which the verifier does not take. */
#define load_field(to, handle, field) \
	__asm__ volatile("%0 = *(u32 *)(%1 + %2)" \
			 : "=r"(to) \
			 : "r"(handle), "i"(__builtin_offsetof(typeof(*(handle)), field)))

/* Eight octets are read where they are near, and nowhere else. */
INLINE bool frame_number(const struct frame *frame, uint32_t at, uint32_t n, uint64_t *number)
{
	const uint8_t *from, *end;
	load_field(from, frame->handle, data);
	load_field(end, frame->handle, data_end);
	if (at <= NEAR_MAX) {
		from += at;
		hide_from_optimizer(from);
		if (from + n <= end) {
			*number = read_near(from, n);
			return true;
		}
	}
	if (n == 8)
		return false;
	uint64_t far = read_far(frame->handle, at, n);
	if (far == NOT_THERE)
		return false;
	*number = far & (UINT64_MAX >> (64 - 8 * n)); /* as wide as read_near()'s, for the verifier */
	return true;
}
