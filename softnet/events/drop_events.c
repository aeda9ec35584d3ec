/* Drops as events. */
#include "softnet/events/drop_events.h"
#include <string.h>
#include "softnet/describe/describe.h"
#include "softnet/counts/state_json.h"

enum { REPEAT_MS = 60000 };

/* Drops of what the network sent that say more than their reason: somebody claims what is the guest's, or the network's. */
static const struct {
	unsigned verdict;
	const char *event;
} telling[] = {
	{ DROP_ETH_SRC_IS_GUEST, "binding-conflict" }, { DROP_ARP_CLAIMS_GUEST, "binding-conflict" },
	{ DROP_IP4_SRC_IS_GUEST, "binding-conflict" }, { DROP_IP6_SRC_IS_GUEST, "binding-conflict" },
	{ DROP_ND_CLAIMS_GUEST, "binding-conflict" },  { DROP_BINDING_CLAIMED, "binding-conflict" },
	{ DROP_DHCP4_ROGUE_SERVER, "rogue-server" },   { DROP_DHCP6_ROGUE_SERVER, "rogue-server" },
	{ DROP_RA_UNTRUSTED, "rogue-server" },         { DROP_ARP_GATEWAY_SPOOF, "rogue-server" },
	{ DROP_IP4_GATEWAY_SPOOF, "rogue-server" },    { DROP_IP6_GATEWAY_SPOOF, "rogue-server" },
	{ DROP_ND_GATEWAY_SPOOF, "rogue-server" },
};

/* NULL: a plain drop. */
static const char *telling_name(enum direction direction, unsigned verdict)
{
	for (size_t i = 0; direction == TO_GUEST && i < sizeof telling / sizeof *telling; i++)
		if (telling[i].verdict == verdict)
			return telling[i].event;
	return NULL;
}

uint64_t source_of_specimen(const struct specimen *specimen)
{
	struct frame frame = { .bytes = specimen->bytes, .length = specimen->kept };
	struct reader r = read_from(&frame, 0, specimen->kept);
	skip_bytes(&r, 6);
	uint64_t source = read_be48(&r);
	return r.ok ? source : MAC_NONE;
}

static json_t *keys_of(const struct counters *counters, enum direction direction, unsigned verdict, uint64_t fresh)
{
	const struct specimen *last = &counters->last[direction][verdict];
	char text[DESCRIPTION_TEXT];
	const char *frame = last->kept > 0 ? describe_frame(last->bytes, last->kept, last->length, text) : NULL;
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s?}", "side", side_names[direction], "reason",
			 verdict_name(verdict), "meaning", verdict_meaning(verdict), "count", json_number(fresh),
			 "total", json_number(counters->verdicts[direction][verdict]), "frame", frame);
}

static void announce_drop(struct drop_events *events, struct announcer *a, const struct counters *counters,
			  enum direction direction, unsigned verdict, uint64_t now_ms)
{
	uint64_t total = counters->verdicts[direction][verdict];
	const char *name = telling_name(direction, verdict);
	json_t *keys = keys_of(counters, direction, verdict, total - events->told[direction][verdict]);
	if (name && keys)
		json_object_set_new(keys, "source", json_mac(source_of_specimen(&counters->last[direction][verdict])));
	if (announce(a, name ? name : "drop", keys, name ? ALWAYS : IF_THERE_IS_ROOM, now_ms))
		events->told[direction][verdict] = total; /* else the next one counts these, too */
	events->next_ms[direction][verdict] = now_ms + REPEAT_MS;
}

void announce_first_drop(struct drop_events *events, struct announcer *a, const struct counters *counters,
			 enum direction direction, unsigned verdict, uint64_t now_ms)
{
	if (is_heard(a))
		announce_drop(events, a, counters, direction, verdict, now_ms);
}

void announce_drops(struct drop_events *events, struct announcer *a, const struct counters *counters, bool is_last,
		    uint64_t now_ms)
{
	if (!is_heard(a)) { /* a new listener is told what happens from then on; the status knows the rest */
		memcpy(events->told, counters->verdicts, sizeof events->told);
		return;
	}
	for (int side = 0; side < DIRECTIONS; side++)
		for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++)
			if (counters->verdicts[side][verdict] > events->told[side][verdict] &&
			    (is_last || now_ms >= events->next_ms[side][verdict]))
				announce_drop(events, a, counters, (enum direction)side, verdict, now_ms);
}

bool has_drops_to_announce(const struct drop_events *events, const struct announcer *a, const struct counters *counters)
{
	for (int side = 0; side < DIRECTIONS && is_heard(a); side++)
		for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++)
			if (counters->verdicts[side][verdict] > events->told[side][verdict])
				return true;
	return false;
}
