/* What the uplink says of where it stands and of whom to trust there: at the start, and whenever that changes. */
#pragma once
#include "core/judge/rate.h"
#include "port/port.h"

struct relay;

struct uplink_watch {
	struct ground ground;        /* as it is; no interface: the port cannot tell */
	struct ground told;          /* as it was when the last event told of it ... */
	struct anchors told_anchors; /* ... and what it knew */
	uint64_t read_ms;
	uint64_t patience_ms; /* anchors that were lost hold until then; 0: none were, or for as long as it is away */
	struct bucket bucket; /* of events */
};

/* The first reading, when root's rights are gone. Nothing where the port cannot tell. */
void start_uplink(struct uplink_watch *, struct port *, struct anchors *, uint64_t now_ms);

/* For poll(2): readable when there is something to read; -1: nobody tells, or not so soon again. */
int uplink_fd(const struct uplink_watch *, const struct port *, uint64_t now_ms);
/* When to come back even if nobody tells. */
uint64_t uplink_deadline_ms(const struct uplink_watch *, uint64_t now_ms);

/* Between two frames: reads anew if `is_told` or it is time, and puts what has changed in force. */
void follow_uplink(struct relay *, bool is_told);
/* About once a second: what was held back, as far as it is still true. */
void tell_uplink(struct relay *);
/* Whether something is. */
bool has_uplink_news(const struct relay *);
