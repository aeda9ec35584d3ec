/*
 * Frames of the guest that wait until it is known which host they are for, and copies of those that have left but may be
 * sent again. One block of memory in slots of the longest frame's size. Frames that are to leave, on or away, stand in a
 * queue that the relay empties after each decision.
 */
#pragma once
#include "core/wire/frame.h"
#include "core/wire/verdict.h"

enum { HOLD_OCTETS = 1 << 20, HELD_MAX = 1024 };

/* A frame, and where in it the octets are that count. */
struct held {
	uint16_t next; /* in its list, or in that of free slots: slot + 1; 0: the end */
	uint8_t is_listed;
	uint8_t has_left; /* it is a copy: what was sent */
	uint8_t is_queued;
	uint8_t verdict; /* of one in the queue: PASS or why not */
	uint8_t reserved[2];
	uint32_t length;
	uint64_t number;     /* the caller's */
	uint32_t at, octets; /* payload: offset in the frame */
	uint32_t sequence;   /* TCP: of its first octet */
};

/* In the order of their arrival. */
struct held_list {
	uint16_t first, last, count;
};

/* Zeroed before start_hold(). */
struct hold {
	uint32_t slot_octets, slots;
	uint64_t number, number_left; /* the caller's for the next frame that comes, and that of the last one that left */
	uint32_t used;                /* slots behind have never been used */
	uint16_t free;
	uint16_t queue_first, queue_count;
	uint16_t queue[HELD_MAX];
	struct held held[HELD_MAX];
	uint8_t bytes[HOLD_OCTETS];
};

/* max_frame: longer ones never come. */
void start_hold(struct hold *, uint32_t max_frame);

/* Where the payload is, and its place in the stream. */
struct payload {
	uint32_t at, octets, sequence;
};

/* Takes the frame to the end of the list, to wait or, has_left, as a copy of one that goes on. False: no room. */
bool keep_frame(struct hold *, struct held_list *, const struct frame *, struct payload, bool has_left);

INLINE const struct held *held_at(const struct hold *hold, uint16_t entry)
{
	return &hold->held[entry - 1];
}

INLINE struct frame frame_of_held(const struct hold *hold, uint16_t entry)
{
	return (struct frame){ .bytes = hold->bytes + (uint32_t)(entry - 1) * hold->slot_octets,
			       .length = held_at(hold, entry)->length };
}

/* Those of the list that wait are to go on; copies of them stay. */
void release_list(struct hold *, struct held_list *);
/* Those that wait are to be dropped; the list is empty then. */
void drop_list(struct hold *, struct held_list *, enum verdict);
/* The same, and copies stay. */
void drop_waiting(struct hold *, struct held_list *, enum verdict);
/* A copy that is needed no more. */
void forget_first(struct hold *, struct held_list *);

/* The next frame that is to leave, and how; false: none. The frame is good until the next decision. */
bool take_queued(struct hold *, struct frame *, enum verdict *);
