/* One way for all events: time and name are added, one bucket holds most of them, and each goes to all listeners. */
#include "softnet/events/announce.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "system/clock.h"
#include "softnet/counts/state_json.h"

/* Per 1000 s, and at once. */
static const struct rate rate = { 1000, 100 };
/* A port that comes and goes must leave room for the others. */
static const struct rate port_rate = { 100, 8 };
/* And so must a guest that calls many names. */
static const struct rate name_rate = { 500, 50 };

bool start_announcer(struct announcer *a, struct control *control, const struct options *options, uint64_t now_ms,
		     struct error *error)
{
	char mac[MAC_TEXT];
	*a = (struct announcer){ .control = control,
				 .bucket = { rate.burst * 1000, now_ms },
				 .port_bucket = { port_rate.burst * 1000, now_ms },
				 .name_bucket = { name_rate.burst * 1000, now_ms } };
	snprintf(a->vm, sizeof a->vm, "%s", options->name ? options->name : format_mac(options->vm_mac, mac));
	if (options->event_count > 0 && !(a->sinks = share_memory(options->event_count * sizeof *a->sinks)))
		return report_failure(error, "out of memory");
	for (; a->sink_count < options->event_count; a->sink_count++)
		if (!open_event_sink(&a->sinks[a->sink_count], options->events[a->sink_count], error))
			return false;
	return true;
}

void close_announcer(struct announcer *a)
{
	for (uint32_t i = 0; i < a->sink_count; i++)
		close_event_sink(&a->sinks[i]);
	a->sink_count = 0;
}

bool is_heard(const struct announcer *a)
{
	return a->sink_count > 0 || (a->control && has_subscribers(a->control));
}

/* What one needs to act upon; the rest is for the record. */
static bool is_warning(const char *event)
{
	static const char *const names[] = { "binding-conflict",  "rogue-server",  "binding-claimed", "no-dhcp-answer",
					     "no-gateway-answer", "port",          "uplink",          "state-file",
					     "server-changed",    "router-changed" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(event, names[i]) == 0)
			return true;
	return false;
}

static void write_sinks(struct announcer *a, const char *event, const json_t *object)
{
	char line[EVENT_LINE_MAX];
	if (a->sink_count == 0)
		return;
	size_t octets = json_dumpb(object, line, sizeof line - 1, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (octets == 0 || octets >= sizeof line)
		octets = sizeof line - 1; /* no memory, or too long: counted below */
	line[octets] = '\n';
	for (uint32_t i = 0; i < a->sink_count; i++)
		write_event(&a->sinks[i], line, octets + 1, is_warning(event));
}

/* Keys in the order in which people read them. */
static json_t *make_object(struct announcer *a, const char *event, json_t *keys)
{
	char time[TIME_TEXT];
	json_t *object = !keys ? NULL
			       : json_pack("{s:s, s:s, s:s}", "time", format_time(wall_clock_ms(), time), "vm", a->vm,
					   "event", event);
	if (object && (json_object_update(object, keys) < 0 ||
		       (a->untold > 0 && json_object_set_new(object, "withheld", json_number(a->untold)) < 0))) {
		json_decref(object);
		object = NULL;
	}
	json_decref(keys);
	return object;
}

static bool withhold(struct announcer *a, json_t *keys)
{
	a->withheld++;
	a->untold++;
	json_decref(keys);
	return false;
}

bool announce(struct announcer *a, const char *event, json_t *keys, enum announced announced, uint64_t now_ms)
{
	if (announced == IF_THERE_IS_ROOM && !take_token(&rate, &a->bucket, now_ms))
		return withhold(a, keys);
	json_t *object = make_object(a, event, keys);
	if (!object)
		return withhold(a, NULL);
	a->told++;
	a->untold = 0;
	write_sinks(a, event, object);
	if (a->control)
		tell_subscribers(a->control, object);
	else
		json_decref(object);
	return true;
}

static json_t *keys_of(const struct event *event, uint64_t now_ms)
{
	json_t *seconds = json_seconds_left(event->expires_ms, now_ms);
	if (event->kind == EVENT_PREFIX_LEARNED)
		return json_pack("{s:o, s:i, s:o}", "address", json_address(event->address), "length",
				 (int)event->prefix_length, "seconds", seconds);
	bool has_changed = event->kind == EVENT_SERVER_CHANGED || event->kind == EVENT_GATEWAY_CHANGED;
	if (has_changed)
		return json_pack("{s:o, s:o, s:o, s:o}", "address", json_address(event->address), "mac",
				 json_mac(event->mac), "old", json_mac(event->old_mac), "seconds", seconds);
	return json_pack("{s:o, s:o, s:o, s:o, s:s?}", "address", json_address(event->address), "server",
			 json_address(event->server), "mac", json_mac(event->mac), "seconds", seconds, "why", event->why);
}

void announce_learned(struct announcer *a, const struct event *event, uint64_t now_ms)
{
	static const char *const names[] = {
		[EVENT_LEASE_NEW] = "lease-new",
		[EVENT_LEASE_RENEWED] = "lease-renewed",
		[EVENT_LEASE_LOST] = "lease-lost",
		[EVENT_LEASE_GRACE] = "lease-grace",
		[EVENT_SERVER_LEARNED] = "server-learned",
		[EVENT_SERVER_CHANGED] = "server-changed",
		[EVENT_GATEWAY_LEARNED] = "router-learned",
		[EVENT_GATEWAY_CHANGED] = "router-changed",
		[EVENT_PREFIX_LEARNED] = "prefix-learned",
	};
	if (is_heard(a))
		announce(a, names[event->kind], keys_of(event, now_ms), IF_THERE_IS_ROOM, now_ms);
}

void announce_port(struct announcer *a, const char *port, const char *what, uint64_t now_ms)
{
	if (!is_heard(a))
		return;
	json_t *keys = json_pack("{s:o, s:o}", "port", json_text(port), "what", json_text(what));
	if (take_token(&port_rate, &a->port_bucket, now_ms))
		announce(a, "port", keys, IF_THERE_IS_ROOM, now_ms);
	else
		withhold(a, keys);
}

void announce_name(struct announcer *a, const char *event, json_t *keys, uint64_t now_ms)
{
	if (take_token(&name_rate, &a->name_bucket, now_ms))
		announce(a, event, keys, IF_THERE_IS_ROOM, now_ms);
	else
		withhold(a, keys);
}

void announce_start(struct announcer *a, uint64_t vm_mac, const char *guest, const char *uplink, uint64_t now_ms)
{
	if (is_heard(a))
		announce(a, "started",
			 json_pack("{s:o, s:o, s:o, s:s, s:i}", "mac", json_mac(vm_mac), "guest", json_text(guest),
				   "uplink", json_text(uplink), "version", SOFTNET_VERSION, "pid", (int)getpid()),
			 ALWAYS, now_ms);
}

void announce_stop(struct announcer *a, const char *why, uint64_t now_ms)
{
	if (is_heard(a))
		announce(a, "stopped", json_pack("{s:o}", "why", json_text(why)), ALWAYS, now_ms);
}

void announce_policy(struct announcer *a, int allowing, int blocking, uint64_t now_ms)
{
	if (is_heard(a))
		announce(a, "policy-changed", json_pack("{s:i, s:i}", "allow", allowing, "block", blocking), ALWAYS,
			 now_ms);
}

void announce_no_answer(struct announcer *a, uint64_t seconds, const char *hint, uint64_t now_ms)
{
	if (is_heard(a))
		announce(a, "no-dhcp-answer", json_pack("{s:o, s:s}", "seconds", json_number(seconds), "hint", hint),
			 ALWAYS, now_ms);
}

void announce_gateway(struct announcer *a, struct address router, const char *hint, uint64_t now_ms)
{
	if (!is_heard(a))
		return;
	if (hint)
		announce(a, "no-gateway-answer", json_pack("{s:o, s:s}", "address", json_address(router), "hint", hint),
			 ALWAYS, now_ms);
	else
		announce(a, "gateway-answered", json_pack("{s:o}", "address", json_address(router)), ALWAYS, now_ms);
}

void announce_answer(struct announcer *a, uint64_t seconds, uint64_t now_ms)
{
	if (is_heard(a))
		announce(a, "dhcp-answered", json_pack("{s:o}", "seconds", json_number(seconds)), ALWAYS, now_ms);
}

void announce_claim(struct announcer *a, const struct claim_conflict *conflict, uint64_t now_ms)
{
	if (is_heard(a))
		announce(a, "binding-claimed",
			 json_pack("{s:o, s:s, s:s, s:i, s:i}", "address", json_address(conflict->address), "holder",
				   conflict->is_ours ? "this" : "other", "guard", conflict->vm, "pid",
				   (int)conflict->pid, "user", (int)conflict->user),
			 IF_THERE_IS_ROOM, now_ms);
}

void announce_state_file(struct announcer *a, const struct state_file *file, uint64_t now_ms)
{
	if (is_heard(a))
		announce(a, "state-file",
			 json_pack("{s:o, s:s, s:s}", "file", json_text(file->path), "kept", kept_name(file->kept),
				   "what", describe_kept(file->kept)),
			 IF_THERE_IS_ROOM, now_ms);
}

uint64_t lost_events(const struct announcer *a)
{
	uint64_t lost = 0;
	for (uint32_t i = 0; i < a->sink_count; i++)
		lost += a->sinks[i].lost;
	return lost;
}

json_t *json_events(const struct announcer *a)
{
	return json_pack("{s:o, s:o, s:o}", "told", json_number(a->told), "withheld", json_number(a->withheld), "lost",
			 json_number(lost_events(a)));
}
