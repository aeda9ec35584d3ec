/* The judge for user space, compiled once: all of it is inlined here, which takes a compiler ten seconds. */
#include "core/judge/judge.h"
#include "core/guard.h"

struct decision judge_frame(const struct config *config, const struct state *state, enum direction direction,
			    const struct frame *frame, uint64_t now_ms)
{
	struct view view = { config, state, now_ms };
	return direction == TO_GUEST ? judge_to_guest(view, frame) : judge_from_guest(view, frame);
}
