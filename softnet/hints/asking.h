/* Whether the VM's DHCP questions go unanswered, and why: read off the state and the counters once a second. IPv4 alone. */
#pragma once
#include "softnet/counts/counters.h"
#include "softnet/hints/hints.h"

enum { ASKING_PATIENCE_MS = 10000, ASKING_REPEAT_MS = 60000 };

struct asking {
	uint64_t since_ms;                    /* 0: nothing is asked, or all is answered */
	uint64_t told_ms;                     /* 0: this time nothing was told */
	uint64_t answered_ms;                 /* when an answer was there last */
	uint64_t arrived, arrived_ms;         /* frames of the network: how many, and when that last grew */
	uint64_t refused, refused_ms;         /* frames of the guest that the uplink's port did not take, the same */
	uint64_t undelivered, undelivered_ms; /* frames of the network that the guest's port did not take */
};

enum asking_news { NO_NEWS, STILL_UNANSWERED, ANSWERED_AT_LAST };

/* Called about once a second. STILL_UNANSWERED: it is time to tell; ANSWERED_AT_LAST: it was told, and is over. */
enum asking_news follow_questions(struct asking *, const struct state *, const struct counters *, uint64_t now_ms);

/* While since_ms is set: what the evidence says, as a sentence. */
const char *why_unanswered(const struct asking *, const struct trust *, const struct counters *, char hint[HINT_TEXT]);
