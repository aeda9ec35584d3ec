/* Frames that waited for a name: docs/names.md. */
#pragma once
#include "core/names/names.h"
#include "softnet/guard/loop.h"

/* The decision before has ended a wait. */
INLINE bool is_hold_left(const struct relay *r)
{
	return r->guard.config->has_names && r->guard.names->hold.queue_count > 0;
}

/* To be called before the next decision. What may go on is sent, so what passed before it must have been. False: the uplink is gone. */
bool leave_hold(struct relay *);

/* What names have found out: struct names.event. */
void follow_name(void *context, const struct name_event *);

/* Ends what has waited too long. Gives when that is to be done again, or NEVER_EXPIRES. */
uint64_t follow_hold(struct relay *);
