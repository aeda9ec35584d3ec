/* Rules that name hosts: a hash table of patterns, asked once for each name above the one in question. */
#include "core/names/rules.h"
#include "core/flows/siphash.h"

_Static_assert((int)NAME_SLOTS >= 4 * (int)NAME_PATTERNS_MAX && NAME_PATTERNS_MAX < NO_PATTERN, "chains stay short");

void clear_name_rules(struct name_rules *rules)
{
	rules->pattern_count = rules->use_count = 0;
	for (uint32_t i = 0; i < NAME_SLOTS; i++)
		rules->slot[i] = 0;
}

/*
 * Without a key: names are the operator's, and nobody can aim at the table. What a guest makes the guard learn is its own
 * loss: it alone waits for a long search.
 */
static uint32_t slot_of(const uint8_t *text, uint32_t length, bool is_zone)
{
	const uint64_t key[2] = { is_zone, 0 };
	return (uint32_t)siphash(key, text, length) % NAME_SLOTS;
}

/* The slot where it is, or a free one. */
static uint32_t find_slot(const struct name_rules *rules, const uint8_t *text, uint32_t length, bool is_zone)
{
	uint32_t slot = slot_of(text, length, is_zone);
	for (uint32_t i = 0; i < NAME_SLOTS && rules->slot[slot] != 0; i++) {
		const struct name_pattern *p = &rules->pattern[rules->slot[slot] - 1];
		if (p->is_zone == is_zone && p->name.length == length && same_octets(p->name.text, text, length))
			break;
		slot = (slot + 1) % NAME_SLOTS;
	}
	return slot;
}

static uint16_t find_exactly(const struct name_rules *rules, const uint8_t *text, uint32_t length, bool is_zone)
{
	uint16_t found = rules->slot[find_slot(rules, text, length, is_zone)];
	return found == 0 ? NO_PATTERN : (uint16_t)(found - 1);
}

uint16_t add_name_pattern(struct name_rules *rules, const struct name *name, bool is_zone)
{
	uint16_t *slot = &rules->slot[find_slot(rules, name->text, name->length, is_zone)];
	if (*slot == 0 && rules->pattern_count >= NAME_PATTERNS_MAX)
		return NO_PATTERN;
	if (*slot == 0) {
		rules->pattern[rules->pattern_count++] = (struct name_pattern){
			.name = *name, .is_zone = is_zone, .parent = NO_PATTERN, .first_use = NO_PATTERN
		};
		*slot = (uint16_t)rules->pattern_count;
	}
	return (uint16_t)(*slot - 1);
}

bool add_name_use(struct name_rules *rules, const struct name *name, bool is_zone, const struct name_use *use)
{
	if (rules->use_count >= NAME_USES_MAX)
		return false;
	uint16_t found = add_name_pattern(rules, name, is_zone);
	if (found == NO_PATTERN)
		return false;
	struct name_pattern *pattern = &rules->pattern[found];
	struct name_use *added = &rules->use[rules->use_count];
	*added = *use;
	added->next = pattern->first_use;
	pattern->first_use = (uint16_t)rules->use_count++;
	return true;
}

/* The narrowest zone that the name is below. */
static uint16_t find_zone(const struct name_rules *rules, const struct name *name)
{
	for (uint32_t at = 0; at < name->length; at++) {
		if (name->text[at] != '.')
			continue;
		uint16_t found = find_exactly(rules, name->text + at + 1, name->length - at - 1, true);
		if (found != NO_PATTERN)
			return found;
	}
	return NO_PATTERN;
}

void link_patterns(struct name_rules *rules)
{
	for (uint32_t i = 0; i < rules->pattern_count; i++)
		rules->pattern[i].parent = find_zone(rules, &rules->pattern[i].name);
}

uint16_t find_pattern(const struct name_rules *rules, const struct name *name)
{
	uint16_t exact = find_exactly(rules, name->text, name->length, false);
	return exact != NO_PATTERN ? exact : find_zone(rules, name);
}

uint16_t find_covering(const struct name_rules *rules, const struct name_pattern *pattern)
{
	uint16_t same = find_exactly(rules, pattern->name.text, pattern->name.length, pattern->is_zone != 0);
	return same != NO_PATTERN ? same : find_zone(rules, &pattern->name);
}

/* Of one pattern, without its parents. */
static uint32_t own_ways(const struct name_rules *rules, uint16_t pattern, uint8_t protocol, uint16_t port)
{
	uint32_t ways = 0;
	uint16_t next = rules->pattern[pattern].first_use;
	for (uint32_t i = 0; i < NAME_USES_MAX && next != NO_PATTERN; i++) {
		const struct name_use *use = &rules->use[next];
		if (use->protocol == protocol && port >= use->first_port && port <= use->last_port)
			ways |= BY(use->naming);
		next = use->next;
	}
	return ways;
}

static const struct name_use *find_own_use(const struct name_rules *rules, uint16_t pattern, uint8_t naming,
					   uint8_t protocol, uint16_t port)
{
	uint16_t next = rules->pattern[pattern].first_use;
	for (uint32_t i = 0; i < NAME_USES_MAX && next != NO_PATTERN; i++) {
		const struct name_use *use = &rules->use[next];
		if (use->naming == naming && use->protocol == protocol && port >= use->first_port &&
		    port <= use->last_port)
			return use;
		next = use->next;
	}
	return 0;
}

const struct name_use *find_name_use(const struct name_rules *rules, uint16_t pattern, uint8_t naming, uint8_t protocol,
				     uint16_t port)
{
	const struct name_use *use = 0;
	for (uint32_t i = 0; i <= NAME_LABELS_MAX && pattern != NO_PATTERN && use == 0; i++) {
		use = find_own_use(rules, pattern, naming, protocol, port);
		pattern = rules->pattern[pattern].parent;
	}
	return use;
}

uint32_t ways_to(const struct name_rules *rules, uint16_t pattern, uint8_t protocol, uint16_t port)
{
	uint32_t ways = 0;
	for (uint32_t i = 0; i <= NAME_LABELS_MAX && pattern != NO_PATTERN; i++) {
		ways |= own_ways(rules, pattern, protocol, port);
		pattern = rules->pattern[pattern].parent;
	}
	return ways;
}

/* The parents of a pattern, itself included: does it have that one? */
static bool is_within(const struct name_rules *rules, uint16_t pattern, uint16_t wider)
{
	for (uint32_t i = 0; i <= NAME_LABELS_MAX && pattern != NO_PATTERN; i++) {
		if (pattern == wider)
			return true;
		pattern = rules->pattern[pattern].parent;
	}
	return false;
}

uint16_t common_pattern(const struct name_rules *rules, uint16_t shown, uint16_t bound, uint8_t naming,
			uint8_t protocol, uint16_t port)
{
	for (uint32_t i = 0; i <= NAME_LABELS_MAX && shown != NO_PATTERN; i++) {
		if ((own_ways(rules, shown, protocol, port) & BY(naming)) && is_within(rules, bound, shown))
			return shown;
		shown = rules->pattern[shown].parent;
	}
	return NO_PATTERN;
}
