/* What is written and told when the state changes. */
#include "softnet/guard/keeping.h"
#include "system/clock.h"
#include "softnet/events/events.h"
#include "system/log.h"
#include "system/platform.h"
#include "softnet/setup/setup.h"

void keep_state(struct relay *r, bool at_once)
{
	struct moment moment = { r->now_ms, wall_clock_ms() };
	save_state_file(r->file, r->guard.state, moment, at_once);
	tell_of_state_file(r);
}

void tell_of_state_file(struct relay *r)
{
	if (has_news_of_kept(r->file))
		announce_state_file(&r->announcer, r->file, r->now_ms);
}

/* A renewal may be for a shorter time; and what has run out, has run out in the file as well. */
static bool may_take_a_right(const struct event *event, uint64_t now_ms)
{
	switch (event->kind) {
	case EVENT_LEASE_LOST:
		return event->expires_ms > now_ms;
	case EVENT_LEASE_GRACE:
	case EVENT_LEASE_RENEWED:
	case EVENT_SERVER_CHANGED:
	case EVENT_GATEWAY_CHANGED:
		return true;
	case EVENT_LEASE_NEW:
	case EVENT_SERVER_LEARNED:
	case EVENT_GATEWAY_LEARNED:
	case EVENT_PREFIX_LEARNED:
		return false;
	}
	return true;
}

/* A right that is taken away is on disk before a frame or an event tells anybody: we may be killed at any moment. */
void follow_event(void *context, const struct event *event)
{
	struct relay *r = context;
	if (may_take_a_right(event, r->now_ms))
		keep_state(r, true);
	r->file->has_changed = true; /* there may be more to it */
	if (event->kind == EVENT_LEASE_NEW)
		note_lease(&r->lease_questions);
	tell_event(event, r->now_ms);
	announce_learned(&r->announcer, event, r->now_ms);
}

void start_keeping(struct relay *r, const struct options *options, const struct config *config, struct state *state)
{
	static char boot_id[BOOT_ID_TEXT];
	r->file = share_or_die(sizeof *r->file);
	if (!options->state_file)
		return;
	platform_boot_id(boot_id);
	*r->file = (struct state_file){
		.path = options->state_file,
		.fd = -1,
		.owner = { config->vm_mac, hash_setup(options, config), boot_id, r->guard.names },
	};
	struct moment moment = { clock_ms(), wall_clock_ms() };
	const char *cause = load_state_file(r->file, config, state, moment);
	if (!cause)
		info("--state: %s: taken over", options->state_file);
	if (cause && cause[0] != '\0')
		warning("--state: %s: not used: %s; starting without leases", options->state_file, cause);
	/* What was not used must not be used later on; and whether it can be kept is told at once. */
	save_state_file(r->file, state, moment, true);
	if (has_news_of_kept(r->file))
		announce_state_file(&r->announcer, r->file, moment.now_ms);
	r->file->saved_ms = 0; /* the first lease need not wait */
}
