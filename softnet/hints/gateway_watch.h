/*
 * Is the gateway heard? That some machine answers in its name, and is refused, says nothing yet: the gateway may answer,
 * too. So from a refusal on the guard looks whether the VM wants it, and whether it speaks. IPv4 and IPv6.
 */
#pragma once
#include "softnet/hints/hints.h"

enum { GATEWAY_DOUBT_MS = 3000, GATEWAY_RECENT_MS = 10000, GATEWAY_PATIENCE_MS = 10000, GATEWAY_REPEAT_MS = 60000 };

struct gateway_watch {
	struct address router; /* in whose name somebody was refused */
	uint64_t mac;          /* who that was, */
	unsigned verdict;      /* why, */
	uint64_t refused_ms;   /* and when last; it is over GATEWAY_RECENT_MS after */
	uint64_t since_ms;     /* the first time since the gateway was heard; 0: it was heard after all */
	bool is_wanted;        /* the VM has asked for it, or sent to it, since then */
	uint64_t told_ms;      /* 0: not, or it is over */
};

/* Looks at a frame, which passed or was dropped. Costs nothing while nobody is refused. */
void look_for_gateway(struct gateway_watch *, const struct trust *, enum direction, const struct frame *,
		      unsigned verdict);

/* The VM wants the gateway, somebody answers and is refused, and the gateway itself says nothing. */
bool is_gateway_unheard(const struct gateway_watch *, uint64_t now_ms);

/* Whether there may be something to tell yet. */
bool is_about_gateway(const struct gateway_watch *, uint64_t now_ms);

enum gateway_news { GATEWAY_NO_NEWS, GATEWAY_UNHEARD, GATEWAY_HEARD_AGAIN };

/* Called about once a second: whether it is time to tell. */
enum gateway_news follow_gateway(struct gateway_watch *, uint64_t now_ms);
