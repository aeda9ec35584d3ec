/*
 * The tick looks once a second at what no descriptor tells of. Most of that follows from frames and requests, so it is over a
 * few seconds behind the last of them; then the guard sleeps until the next one.
 */
#include "softnet/guard/resting.h"
#include "softnet/guard/rules_in_force.h"
#include "softnet/guard/claiming.h"

enum { SETTLE_MS = 3000 };

/* Files that are written by the clock, or wait for a disk, a parent that may end, and programs in the kernel, which wake nobody. */
static bool needs_clock(const struct relay *r)
{
	return r->capture->path || r->metrics->path || r->parent != 0 || r->kernel || has_deferred(r->queue) ||
	       has_deferred(r->state_queue) || is_reading(r);
}

bool may_rest(const struct relay *r)
{
	return r->now_ms - r->stirred_ms >= SETTLE_MS && !needs_clock(r) && r->asking.since_ms == 0 &&
	       !is_about_gateway(&r->gateway, r->now_ms) &&
	       !has_drops_to_announce(&r->drop_events, &r->announcer, &r->counters) && !has_uplink_news(r) &&
	       (!r->has_claims || claims_may_rest(&r->claims)) && other_vms_may_rest(r);
}

void end_rest(struct relay *r, uint64_t rested_since_ms)
{
	uint64_t seconds = (r->now_ms - rested_since_ms) / 1000;
	for (uint64_t ago = seconds < SAMPLES ? seconds : SAMPLES; ago > 0; ago--)
		take_sample(&r->counters, r->now_ms - ago * 1000);
}
