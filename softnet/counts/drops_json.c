/* Drops as JSON: each reason with its last frame in a line. */
#include "softnet/counts/drops_json.h"
#include <stdlib.h>
#include "softnet/counts/state_json.h"
#include "softnet/describe/describe.h"

enum { MS = 1000 };

struct drop_count {
	int side;
	unsigned verdict;
	uint64_t count;
};

static int compare_counts(const void *a, const void *b)
{
	const struct drop_count *left = a, *right = b;
	return left->count < right->count ? 1 : left->count > right->count ? -1 : 0;
}

static json_t *json_drop(const struct drop_count *drop, const struct specimen *last, uint64_t now_ms, const char *rule)
{
	char text[DESCRIPTION_TEXT];
	const char *frame = last->kept > 0 ? describe_frame(last->bytes, last->kept, last->length, text) : NULL;
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s?, s:s?}", "side", side_names[drop->side], "reason",
			 verdict_name(drop->verdict), "meaning", verdict_meaning(drop->verdict), "count",
			 json_number(drop->count), "seconds",
			 last->dropped_ms > 0 ? json_number((now_ms - last->dropped_ms) / MS) : json_null(), "frame",
			 frame, "rule", rule);
}

json_t *json_drops(const struct counters *counters, uint64_t now_ms, rule_finder find_rule, const void *context)
{
	struct drop_count drops[(int)DIRECTIONS * (int)VERDICTS];
	size_t n = 0;
	json_t *list = json_array();
	for (int side = 0; side < DIRECTIONS; side++)
		for (unsigned verdict = FIRST_DROP; verdict < VERDICTS; verdict++)
			if (counters->verdicts[side][verdict] > 0)
				drops[n++] = (struct drop_count){ side, verdict, counters->verdicts[side][verdict] };
	qsort(drops, n, sizeof *drops, compare_counts);
	for (size_t i = 0; i < n; i++) {
		enum direction side = (enum direction)drops[i].side;
		const struct specimen *last = &counters->last[side][drops[i].verdict];
		const char *rule = find_rule ? find_rule(context, side, drops[i].verdict, last) : NULL;
		json_array_append_new(list, json_drop(&drops[i], last, now_ms, rule));
	}
	return list;
}
