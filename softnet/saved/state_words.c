/* Values as words of the state file, and back. */
#include "softnet/saved/state_words.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "core/judge/state.h"

void put(struct writer *w, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = w->full ? -1 : vsnprintf(w->text + w->length, w->size - w->length, format, arguments);
	va_end(arguments);
	w->full = length < 0 || (size_t)length >= w->size - w->length;
	if (!w->full)
		w->length += (size_t)length;
}

void put_address(struct writer *w, struct address a)
{
	char text[ADDRESS_TEXT];
	put(w, " %s", is_unset(a) ? "-" : format_address(a, text));
}

void put_addresses(struct writer *w, const struct address_set *set)
{
	char text[ADDRESS_TEXT];
	for (uint32_t i = 0; i < set->count && i < ADDRESS_SET_MAX; i++)
		put(w, "%s%s", i == 0 ? " " : ",", format_address(set->item[i], text));
	if (set->count == 0)
		put(w, " -");
}

void put_mac(struct writer *w, const char *before, uint64_t mac)
{
	char text[MAC_TEXT];
	put(w, "%s%s", before, format_mac(mac, text));
}

void put_end(struct writer *w, uint64_t end_ms, struct moment moment)
{
	if (end_ms == NEVER_EXPIRES)
		put(w, " never never");
	else
		put(w, " %" PRIu64 " %" PRIu64, end_ms,
		    moment.wall_ms == 0 ? 0 : moment.wall_ms + (end_ms - moment.now_ms));
}

bool take_address(const char *word, struct address *a)
{
	*a = (struct address){ 0, 0 };
	return strcmp(word, "-") == 0 || parse_address(word, a);
}

bool take_addresses(const char *word, struct address_set *set)
{
	char item[ADDRESS_TEXT];
	const char *rest = word;
	struct address a;
	*set = (struct address_set){ 0 };
	if (strcmp(word, "-") == 0)
		return true;
	while (next_item(&rest, item, sizeof item))
		if (!parse_address(item, &a) || !set_add(set, a))
			return false;
	return !rest;
}

bool take_macs(const char *word, struct mac_set *set)
{
	char item[MAC_TEXT];
	const char *rest = word;
	uint64_t mac;
	*set = (struct mac_set){ 0 };
	if (strcmp(word, "-") == 0)
		return true;
	while (next_item(&rest, item, sizeof item))
		if (!parse_mac(item, &mac) || !mac_set_add(set, mac))
			return false;
	return !rest;
}

bool take_choice(const char *word, const char *yes, const char *no, bool *chosen)
{
	*chosen = strcmp(word, yes) == 0;
	return *chosen || strcmp(word, no) == 0;
}

bool take_end(char *const *words, struct moment moment, uint64_t *end_ms)
{
	uint64_t end = NEVER_EXPIRES, wall_end = NEVER_EXPIRES;
	*end_ms = NEVER_EXPIRES;
	if (strcmp(words[0], "never") == 0)
		return strcmp(words[1], "never") == 0;
	if (!parse_number(words[0], 0, NEVER_EXPIRES - 1, &end) ||
	    !parse_number(words[1], 0, NEVER_EXPIRES - 1, &wall_end))
		return false;
	uint64_t left = end > moment.now_ms ? end - moment.now_ms : 0;
	uint64_t wall_left = wall_end > moment.wall_ms ? wall_end - moment.wall_ms : 0;
	if (wall_left < left)
		left = wall_left;
	*end_ms = left == 0 ? 0 : moment.now_ms + left;
	return true;
}
