/* Which hosts the guest has called, and which it could not. */
#pragma once
#include "core/names/names.h"
#include "softnet/events/announce.h"

enum { NAMES_TOLD = 256, NAME_REPEAT_MS = 60000 };

/* What was told in the last minute, so that a connection a second is not an event a second. Zeroed. */
struct name_events {
	struct {
		uint64_t hash, until_ms;
	} told[NAMES_TOLD];
};

/* rules: those of the pattern in the event. */
void tell_name(struct name_events *, struct announcer *, const struct name_event *, const struct name_rules *,
	       uint64_t now_ms);
