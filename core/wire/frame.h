/* A frame is untrusted bytes. They leave it only by copy, through frame_number() and frame_copy(). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Inlined to the last function, the judge is the fastest; under the sanitizers that takes a compiler minutes. */
#if defined(__has_feature)
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer) /* gcc, clang */
#define INLINE static inline
#else
#define INLINE static inline __attribute__((always_inline))
#endif

/* The compiler may prove a bound and drop its test, or test a copy; the verifier then misses the test that it needs. */
#define hide_from_optimizer(x) __asm__ volatile("" : "+r"(x))

/*
 * An index that is tested next. Older verifiers (Linux 6.1) do not know that a copy of it is as small as what was tested; so
 * this makes it smaller before there are copies: what is above `end` becomes `end`.
 */
#if defined(__bpf__)
#define limit_for_verifier(x, end) __asm__ volatile("if %0 < %1 goto +1\n\t%0 = %1" : "+r"(x) : "i"(end))
#define not_zero_for_verifier(x)   __asm__ volatile("if %0 > 0 goto +1\n\t%0 = 1" : "+r"(x))
#else
#define limit_for_verifier(x, end) ((void)0)
#endif

/*
 * What a virtual card leaves to the one who sends a frame on (OASIS virtio 1.2, 5.1.6.2): to cut it into frames of the wire's
 * length, and to fill in the checksum of each. It stands beside the frame, and its sender need not tell the truth.
 */
enum cut_kind { NOT_CUT, CUT_TCP4, CUT_TCP6, CUT_UDP, CUT_UNKNOWN };

/* Places are octets from the destination MAC on. All zero: the frame goes as it is. */
struct cut {
	enum cut_kind kind;
	bool marks_congestion;    /* TCP: CWR is set in the first part alone (RFC 3168) */
	uint16_t headers;         /* octets in front of the payload; the guard's own, not what the sender says */
	uint16_t payload;         /* octets in each part but the last */
	uint16_t checksum_start;  /* the checksum is of all from here on */
	uint16_t checksum_offset; /* and stands so far behind that */
};

/*
 * The kernel's verifier walks every path through an inlined function again at every call, and gives up after a million
 * instructions. A SUBPROGRAM it checks once, by itself, for any arguments: these are numbers and pointers to whole structs,
 * and a pointer may be NULL as far as it knows, which is_given() asks. A PART is walked like an inlined function but has
 * a stack frame of its own, of the 512 octets that a call chain has. A WHOLE one is a SUBPROGRAM that other files call in
 * user space. There all of this costs nothing.
 */
#define WHOLE __attribute__((noinline))
#if defined(__bpf__)
#include "core/wire/frame_bpf.h"

#define SUBPROGRAM        __attribute__((noinline))
#define BIG_SUBPROGRAM    INLINE /* a frame less */
#define PART              static __attribute__((noinline))
#define APART             INLINE
#define is_given(pointer) ((pointer) != 0)

#else
#define SUBPROGRAM        static inline
#define BIG_SUBPROGRAM    static __attribute__((noinline, unused)) /* many callers: inlined it takes compilers a minute */
#define PART              INLINE
#define APART             static __attribute__((noinline, unused)) /* inlined, one family costs the other a tenth of its speed */
#define is_given(pointer) true

/* length is in octets, from the destination MAC to the last octet read; there is no frame check sequence. */
struct frame {
	const uint8_t *bytes;
	uint32_t length;
	uint32_t longest, parts; /* where it will be cut: octets of its longest part, and how many there are; else 0 */
};

/* In the kernel a VLAN tag may stand beside the octets. */
INLINE uint16_t outer_type(const struct frame *frame, uint16_t type)
{
	(void)frame;
	return type;
}

/* Octets of the longest frame that it is on the wire. It may be cut into many on its way (measure_parts()). */
INLINE uint32_t octets_on_wire(const struct frame *frame)
{
	return frame->parts > 0 ? frame->longest : frame->length;
}

INLINE uint32_t frames_on_wire(const struct frame *frame)
{
	return frame->parts > 0 ? frame->parts : 1;
}

/* How a SUBPROGRAM gets a frame: it takes no pointer to what has pointers in it. */
typedef const struct frame *frame_handle;

INLINE frame_handle handle_of(const struct frame *frame)
{
	return frame;
}

INLINE struct frame frame_of(frame_handle handle)
{
	return *handle;
}

INLINE bool frame_copy(const struct frame *frame, uint32_t at, uint8_t *to, uint32_t n)
{
	if (at > frame->length || n > frame->length - at) /* subtract: a sum could wrap */
		return false;
	for (uint32_t i = 0; i < n; i++)
		to[i] = frame->bytes[at + i];
	return true;
}

/* n octets in network order, 1, 2, 4, 6 or 8. */
INLINE bool frame_number(const struct frame *frame, uint32_t at, uint32_t n, uint64_t *number)
{
	if (at > frame->length || n > frame->length - at)
		return false;
	for (uint32_t i = 0; i < n; i++)
		*number = *number << 8 | frame->bytes[at + i];
	return true;
}
#endif

/*
 * A place in a frame, and where the data it may read ends. The first short read makes it fail, and so every later
 * one: a parser reads like the header diagram in the RFC and asks once, at the end, whether all of it was there.
 */
struct reader {
	const struct frame *frame;
	uint32_t at, end;
	bool ok;
};

INLINE struct reader read_from(const struct frame *frame, uint32_t at, uint32_t end)
{
	return (struct reader){ frame, at, end, at <= end && end <= frame->length };
}

INLINE uint32_t octets_left(const struct reader *r)
{
	return r->ok ? r->end - r->at : 0;
}

#if !defined(__bpf__)
/* On failure `to` is unchanged. n is in octets and must be at least 1. */
INLINE void read_bytes(struct reader *r, uint8_t *to, uint32_t n)
{
	r->ok = r->ok && r->at <= r->end && n <= r->end - r->at && frame_copy(r->frame, r->at, to, n);
	if (r->ok)
		r->at += n;
}
#endif

INLINE void skip_bytes(struct reader *r, uint32_t n)
{
	r->ok = r->ok && r->at <= r->end && n <= r->end - r->at;
	if (r->ok)
		r->at += n;
}

INLINE uint64_t read_number(struct reader *r, uint32_t n)
{
	uint64_t number = 0;
	r->ok = r->ok && r->at <= r->end && n <= r->end - r->at && frame_number(r->frame, r->at, n, &number);
	if (r->ok)
		r->at += n;
	return number;
}

INLINE uint8_t read_u8(struct reader *r)
{
	return (uint8_t)read_number(r, 1);
}

INLINE uint16_t read_be16(struct reader *r)
{
	return (uint16_t)read_number(r, 2);
}

INLINE uint32_t read_be32(struct reader *r)
{
	return (uint32_t)read_number(r, 4);
}

INLINE uint64_t read_be48(struct reader *r)
{
	return read_number(r, 6);
}
