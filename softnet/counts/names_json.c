/* Counted when somebody asks, so that frames need not. */
#include "softnet/counts/names_json.h"
#include <stdio.h>
#include <string.h>
#include "softnet/counts/state_json.h"

const char *format_pattern(const struct name_pattern *p, char text[PATTERN_TEXT])
{
	snprintf(text, PATTERN_TEXT, "%s%.*s", p->is_zone ? "*." : "", (int)p->name.length, (const char *)p->name.text);
	return text;
}

static struct use_of_pattern {
	uint32_t addresses, flows;
} used[NAME_PATTERNS_MAX];

static uint32_t count_addresses(const struct name_book *book, uint64_t now_ms)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < book->bound_used; i++) {
		const struct bound *b = &book->bound[i];
		if (b->until_ms == 0 || (b->flows == 0 && b->until_ms <= now_ms))
			continue;
		used[b->pattern].addresses++;
		count++;
	}
	return count;
}

static uint32_t count_flows(const struct name_flows *flows, uint64_t now_ms)
{
	static const uint8_t live[] = { NAME_HOLDING, NAME_FOLLOWED, NAME_OPEN_UDP, NAME_OPEN_TCP };
	uint32_t count = 0;
	for (size_t i = 0; i < sizeof live; i++)
		for (uint16_t entry = flows->oldest[live[i]]; entry != 0; entry = flows->flow[entry - 1].newer) {
			const struct name_flow *f = &flows->flow[entry - 1];
			if (!f->is_named || has_run_out(f, now_ms))
				continue;
			used[f->pattern].flows++;
			count++;
		}
	return count;
}

static json_t *json_pattern(const struct names *names, uint32_t pattern)
{
	char text[PATTERN_TEXT];
	return json_pack("{s:s, s:o, s:o, s:o}", "name", format_pattern(&names->rules->pattern[pattern], text),
			 "addresses", json_number(used[pattern].addresses), "flows", json_number(used[pattern].flows),
			 "octets", json_number(names->octets[pattern]));
}

json_t *json_names(const struct names *names, uint64_t now_ms)
{
	if (!names || !names->rules)
		return json_null();
	memset(used, 0, sizeof used);
	uint32_t addresses = count_addresses(&names->book, now_ms), flows = count_flows(&names->flows, now_ms);
	json_t *list = json_array();
	for (uint32_t i = 0; i < names->rules->pattern_count; i++)
		if (used[i].addresses > 0 || used[i].flows > 0 || names->octets[i] > 0)
			json_array_append_new(list, json_pattern(names, i));
	return json_pack("{s:o, s:o, s:o, s:o}", "addresses", json_number(addresses), "flows", json_number(flows),
			 "waiting", json_number(names->flows.count[NAME_HOLDING]), "of", list);
}
