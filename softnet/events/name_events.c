/* One event a minute for the same thing of the same name. */
#include "softnet/events/name_events.h"
#include "core/guard.h"
#include "softnet/counts/names_json.h"
#include "softnet/counts/state_json.h"

static uint64_t hash_event(const struct name_event *event)
{
	const uint64_t words[] = { event->peer.high, event->peer.low, event->port,
				   event->kind,      event->verdict,  event->naming };
	uint64_t hash = hash_bytes(0, words, sizeof words);
	return event->name ? hash_bytes(hash, event->name->text, event->name->length) : hash;
}

/* The place goes to the next that comes: told once more is better than never. */
static bool was_just_told(struct name_events *events, const struct name_event *event, uint64_t now_ms)
{
	uint64_t hash = hash_event(event);
	uint32_t place = (uint32_t)(hash % NAMES_TOLD);
	bool is_known = events->told[place].hash == hash && now_ms < events->told[place].until_ms;
	if (!is_known) {
		events->told[place].hash = hash;
		events->told[place].until_ms = now_ms + NAME_REPEAT_MS;
	}
	return is_known;
}

/* NULL: it was about DNS. */
static const char *word_of_way(const struct name_event *event)
{
	bool is_by_address = event->naming == NAMED_BY_ADDRESS;
	return event->port == 0 ? NULL
	       : is_by_address  ? "address"
				: word_of_use((enum naming)event->naming, event->protocol);
}

static json_t *json_host(const struct name *name)
{
	return name ? json_stringn((const char *)name->text, name->length) : json_null();
}

static json_t *keys_of(const struct name_event *event, const struct name_rules *rules)
{
	char rule[PATTERN_TEXT];
	bool has_rule = rules && event->pattern < rules->pattern_count;
	json_t *keys = json_pack("{s:o, s:o, s:s?, s:o, s:s?, s:s?, s:s?}", "name", json_host(event->name), "address",
				 json_address(event->peer), "protocol",
				 event->port == 0 ? NULL : word_of_use(NAMED_BY_ADDRESS, event->protocol), "port",
				 event->port != 0 ? json_number(event->port) : json_null(), "by", word_of_way(event),
				 "reason", event->verdict != PASS ? verdict_name((enum verdict)event->verdict) : NULL,
				 "rule", has_rule ? format_pattern(&rules->pattern[event->pattern], rule) : NULL);
	if (keys && event->shown)
		json_object_set_new(keys, "shown", json_host(event->shown));
	return keys;
}

void tell_name(struct name_events *events, struct announcer *a, const struct name_event *event,
	       const struct name_rules *rules, uint64_t now_ms)
{
	static const char *const names[] = { [NAME_ASKED_FOR] = "name-asked",
					     [NAME_LEARNED] = "name-learned",
					     [NAME_SEEN] = "name-seen",
					     [NAME_REFUSED] = "name-refused",
					     [NAMES_ARE_FULL] = "names-full" };
	if (!is_heard(a) || (!event->is_learned && was_just_told(events, event, now_ms)))
		return;
	if (event->is_learned) /* told once, and the tables are bounded: nothing is withheld */
		announce(a, names[event->kind], keys_of(event, rules), ALWAYS, now_ms);
	else
		announce_name(a, names[event->kind], keys_of(event, rules), now_ms);
}
