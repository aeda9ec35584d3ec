/* The fast path (being written): a pure function of config, state, frame and time. */
#pragma once
#include "config.h"
#include "state.h"
#include "verdict.h"

struct decision judge_from_guest(const struct config *config, const struct state *state, const struct frame *frame,
				 uint64_t now_ms);
struct decision judge_to_guest(const struct config *config, const struct state *state, const struct frame *frame,
			       uint64_t now_ms);
