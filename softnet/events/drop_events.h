/* Drops as events: the first of each side and reason at once, then at most one a minute. */
#pragma once
#include "softnet/events/announce.h"
#include "softnet/counts/counters.h"

struct drop_events {
	uint64_t told[DIRECTIONS][VERDICTS];    /* of the drops, how many an event spoke of */
	uint64_t next_ms[DIRECTIONS][VERDICTS]; /* no event before */
};

/* This drop has been counted, its frame kept; called for the first of its kind. */
void announce_first_drop(struct drop_events *, struct announcer *, const struct counters *, enum direction,
			 unsigned verdict, uint64_t now_ms);
/* Called about once a second; at the end with `is_last`, then all that was held back is told. */
void announce_drops(struct drop_events *, struct announcer *, const struct counters *, bool is_last, uint64_t now_ms);

/* What the last minute's event holds back. */
bool has_drops_to_announce(const struct drop_events *, const struct announcer *, const struct counters *);

/* The source MAC address of what was dropped; MAC_NONE: no frame was kept. */
uint64_t source_of_specimen(const struct specimen *);
