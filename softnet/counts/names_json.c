/* Counted when somebody asks, so that frames need not. */
#include "softnet/counts/names_json.h"
#include <netinet/in.h>
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

const char *word_of_use(enum naming naming, uint8_t protocol)
{
	static const char *const words[] = { [NAMED_IN_TLS] = "tls", [NAMED_IN_QUIC] = "quic", [NAMED_IN_HTTP] = "http" };
	if (naming < sizeof words / sizeof *words)
		return words[naming];
	return protocol == IPPROTO_TCP ? "tcp" : "udp";
}

/* How it was reached: "tls/443". */
static json_t *json_ways(const struct name_rules *learned, const struct name_pattern *pattern)
{
	char text[16];
	json_t *ways = json_array();
	for (uint16_t next = pattern->first_use; next != NO_PATTERN; next = learned->use[next].next) {
		const struct name_use *use = &learned->use[next];
		snprintf(text, sizeof text, "%s/%u", word_of_use((enum naming)use->naming, use->protocol),
			 use->first_port);
		json_array_insert_new(ways, 0, json_string(text));
	}
	return ways;
}

static json_t *json_pattern(const struct names *names, uint32_t pattern)
{
	char text[PATTERN_TEXT];
	const struct name_pattern *p = &patterns_of(names)->pattern[pattern];
	json_t *one = json_pack("{s:s, s:o, s:o, s:o}", "name", format_pattern(p, text), "addresses",
				json_number(used[pattern].addresses), "flows", json_number(used[pattern].flows),
				"octets", json_number(names->octets[pattern]));
	if (names->learned)
		json_object_set_new(one, "reached", json_ways(names->learned, p));
	return one;
}

json_t *json_names(const struct names *names, uint64_t now_ms)
{
	const struct name_rules *patterns = names ? patterns_of(names) : NULL;
	if (!patterns)
		return json_null();
	memset(used, 0, sizeof used);
	uint32_t addresses = count_addresses(&names->book, now_ms), flows = count_flows(&names->flows, now_ms);
	json_t *list = json_array();
	for (uint32_t i = 0; i < patterns->pattern_count; i++)
		if (used[i].addresses > 0 || used[i].flows > 0 || names->octets[i] > 0)
			json_array_append_new(list, json_pattern(names, i));
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "mode", names->learned ? "learn" : "enforce", "addresses",
			 json_number(addresses), "flows", json_number(flows), "waiting",
			 json_number(names->flows.count[NAME_HOLDING]), "of", list);
}
