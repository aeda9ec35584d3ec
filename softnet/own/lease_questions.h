/*
 * A guest that came from another host, or from a snapshot, has a lease that this guard has not seen, and its client asks nobody
 * for hours. So the guard asks the servers in its name: docs/filter.md, A lease that the guard does not know.
 */
#pragma once
#include "core/guard.h"
#include "core/made/lease_question.h"
#include "port/port.h"

enum { ADDRESSES_ASKED_MAX = 4 };

/* An address that was asked for, and before when it is not asked for again. Full: the one that is due first goes. */
struct address_asked {
	struct address address;
	uint64_t next_ms, delay_ms;
};

struct lease_questions {
	struct address_asked asked[ADDRESSES_ASKED_MAX];
	bool is_free;     /* it costs no token: those of the kernel's programs only they may take */
	uint64_t next_ms; /* for any */
	uint32_t id;      /* of the last one; 0: none */
};

/*
 * A frame of the guest was dropped for this reason: gives the length of the question that is due, which the snooper knows from
 * then on as one of the guest's own; 0: none is.
 */
uint32_t make_due_lease_question(struct lease_questions *, struct guard *, const struct frame *dropped,
				 unsigned verdict, uint64_t now_ms, uint8_t to[LEASE_QUESTION_MAX]);

/* There is a lease: the next time it asks at once. */
void note_lease(struct lease_questions *);
