/* One line for each address of each pattern. Connections are not kept: what was read of them is gone. */
#include "softnet/saved/state_names.h"
#include <string.h>

void put_names(struct writer *w, const struct names *names, struct moment moment)
{
	if (!names || !patterns_of(names))
		return;
	for (uint32_t i = 0; i < names->book.bound_used; i++) {
		const struct bound *b = &names->book.bound[i];
		uint64_t until_ms = b->until_ms;
		if (until_ms != 0 && b->flows > 0 && until_ms < moment.now_ms + BOUND_RESERVE_MS)
			until_ms = moment.now_ms + BOUND_RESERVE_MS;
		if (until_ms <= moment.now_ms)
			continue;
		const struct name_pattern *p = &patterns_of(names)->pattern[b->pattern];
		put(w, "name");
		put_address(w, b->address);
		put(w, " %s%.*s", p->is_zone ? "*." : "", (int)p->name.length, (const char *)p->name.text);
		put_end(w, until_ms, moment);
		put(w, "\n");
	}
}

static bool take_pattern(const char *word, struct name_pattern *p)
{
	*p = (struct name_pattern){ .is_zone = strncmp(word, "*.", 2) == 0 };
	for (const char *at = word + (p->is_zone ? 2 : 0); *at != '\0'; at++)
		if (!add_to_name(&p->name, (uint8_t)*at))
			return false;
	return is_host_name(&p->name);
}

bool take_name_line(char *const *words, int count, struct names_read *read, struct moment moment)
{
	if (count != 5 || read->count >= BOUND_MAX)
		return false;
	struct address *a = &read->item[read->count].address;
	uint64_t *until_ms = &read->item[read->count].until_ms;
	if (!take_address(words[1], a) || is_unset(*a) || !take_pattern(words[2], &read->item[read->count].pattern) ||
	    !take_end(words + 3, moment, until_ms))
		return false;
	read->count += *until_ms != 0;
	return true;
}

void restore_names(struct names *names, const struct names_read *read, uint64_t now_ms)
{
	for (uint32_t i = 0; names && i < read->count; i++)
		restore_address(names, read->item[i].address, &read->item[i].pattern, read->item[i].until_ms, now_ms);
}
