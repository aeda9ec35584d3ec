/*
 * The slow path: the only writer of state. It takes what the judge punted, parses it whole, and decides. State has changed
 * before it answers, so a guest can never be faster than its own lease. User space only.
 */
#pragma once
#include "core/guard.h"

/* Decides a frame that the judge punted: PASS or a DROP. */
enum verdict snoop_frame(struct guard *guard, enum verdict punted, const struct frame *frame, uint64_t now_ms);
