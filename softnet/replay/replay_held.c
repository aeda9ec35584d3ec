/* A list of copies, in the order in which the frames came. */
#include "softnet/replay/replay_held.h"
#include <stdlib.h>
#include <string.h>

struct waiting {
	struct replayed replayed;
	struct captured captured;
	struct waiting *next;
	uint8_t bytes[];
};

static struct waiting *first, **end = &first;

bool keep_replayed(const struct replayed *r)
{
	const struct captured *c = r->captured;
	struct waiting *w = malloc(sizeof *w + c->kept);
	if (!w)
		return false;
	*w = (struct waiting){ .replayed = *r, .captured = *c };
	memcpy(w->bytes, c->bytes, c->kept);
	w->captured.bytes = w->bytes;
	w->captured.comment = NULL;
	w->captured.comment_length = 0;
	w->replayed.captured = &w->captured;
	*end = w;
	end = &w->next;
	return true;
}

static struct waiting *find_waiting(uint64_t number)
{
	struct waiting *w = first;
	while (w && w->replayed.number != number)
		w = w->next;
	return w;
}

void follow_fates(struct replay_guard *replay, bool is_other)
{
	struct frame frame;
	enum verdict fate;
	while (take_from_hold(replay->guard.names, &frame, &fate)) {
		struct waiting *w = find_waiting(replay->memory.names.hold.number_left);
		if (w)
			*(is_other ? &w->replayed.other : &w->replayed.verdict) = (unsigned)fate;
	}
}

static bool is_known(const struct replayed *r)
{
	return r->verdict != HELD && r->other != HELD;
}

struct replayed *take_known(bool is_end)
{
	struct waiting **link = &first;
	while (*link && !is_end && !is_known(&(*link)->replayed))
		link = &(*link)->next;
	struct waiting *w = *link;
	if (!w)
		return NULL;
	*link = w->next;
	if (!w->next)
		end = link;
	return &w->replayed;
}
