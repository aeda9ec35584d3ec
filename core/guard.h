/*
 * The guard of one VM: what it knows, whom it tells, and what it can be told. All of it is here; what is behind it is in the
 * rooms of core. User space only.
 */
#pragma once
#include "core/flows/flow.h"
#include "core/judge/config.h"
#include "core/judge/rate.h"
#include "core/judge/state.h"
#include "core/learn/event.h"
#include "core/wire/verdict.h"

struct guard {
	const struct config *config; /* what it was told. Nobody in core writes it */
	struct state *state;         /* what it has learned. Only the slow path writes it */
	struct buckets *buckets;
	struct flows *flows;
	struct names *names; /* names/names.h; asked where the config has names. NULL: never */
	/* The host-wide registry of addresses: false when another guard holds it. NULL: always yes. */
	bool (*claim)(void *context, struct address);
	void (*release)(void *context, struct address);
	/*
	 * Sends a question of the guard's own to the network (question.h). False: it did not leave, so silence tells nothing.
	 * NULL: there is no network, in replay and in tests; it counts as sent. Not for ARP: nobody could have answered.
	 */
	bool (*ask)(void *context, const uint8_t *frame, uint32_t length);
	/* Told after state changed and before the frame is delivered. May be NULL. */
	void (*event)(void *context, const struct event *);
	void *context;
};

INLINE struct view view_of(const struct guard *guard, uint64_t now_ms)
{
	return (struct view){ guard->config, guard->state, now_ms };
}

/*
 * Once, before the first frame: fills the buckets by the rates of the config, and empties the table of flows, keyed as the
 * state is, and names with it. The pointers above are set, and config and state are ready.
 */
void start_guard(struct guard *guard, uint64_t now_ms);

/* PASS or a DROP. State has changed when it returns. */
enum verdict decide(struct guard *guard, enum direction direction, const struct frame *frame, uint64_t now_ms);

/*
 * The judge alone, for tests and for callers that ask before anything is charged: changes nothing (core/judge/judge.h).
 * Compiled once, in core/decide/judge.c.
 */
struct decision judge_frame(const struct config *, const struct state *, enum direction, const struct frame *,
			    uint64_t now_ms);

/* Fills the buckets by the rates of the config. */
void fill_buckets(const struct config *config, struct buckets *buckets, uint64_t now_ms);

/*
 * Adds a binding that never expires (--vm-ip), of either family; prefix_length is that of its subnet, 0..32 or 0..128.
 * False: no room, or not an address a guest may have.
 */
bool add_static_binding(struct state *state, struct address a, uint32_t prefix_length, uint64_t now_ms);

/*
 * Removes and reports what has expired. Rights end by themselves when the clock says so; this is for logs, exposes and the
 * registry. Gives the time of the next expiry, or NEVER_EXPIRES.
 */
uint64_t expire_bindings(struct guard *guard, uint64_t now_ms);

/* Takes an address from the guest that is another one's, and reports why. Static ones stay. */
void take_away(struct guard *guard, struct address a, const char *why, uint64_t now_ms);

/*
 * Forgets whom it has learned to trust: the next server and the next routers are learned as the first ones were. Leases and
 * addresses stay; a router of IPv6 stays a next hop, with its MAC, until another one is heard.
 */
void relearn(struct state *state);

/* The same for one that was judged, and has paid, when it came in. It was kept since, and state may have changed. */
enum verdict decide_again(struct guard *guard, enum direction direction, const struct frame *frame, uint64_t now_ms);

/* A frame has passed from the address of this binding; index as in struct decision. */
void stamp_binding(struct guard *, uint32_t index, uint64_t now_ms);

/*
 * Before a frame that will be cut is decided about: fills in how long the parts are, how many, and how long their headers. False: what the sender says of the frame is not what stands in it, or it is
 * nothing that is cut. A fragment is none, and behind the packet there is nothing: it would become a part of one.
 */
bool measure_parts(struct frame *frame, struct cut *cut);

/* Neither on its way nor waiting. */
INLINE bool is_drop(enum verdict verdict)
{
	return (int)verdict >= (int)FIRST_DROP;
}

/* Names from the one table; "pass" for PASS. */
const char *verdict_name(enum verdict verdict);
const char *verdict_meaning(enum verdict verdict);
/* Who sent it: "guest", "uplink". */
extern const char *const side_names[DIRECTIONS];
