/* What names have let through, or while they are learned, what was reached by them. */
#include <stdio.h>
#include <string.h>
#include "softnet/look/status_text.h"

enum { NAMES_SHOWN = 16, WAYS_SHOWN = 4, WAYS_TEXT = 80 };

/* "by tls/443 quic/443, " while it is learned. */
static const char *format_ways(const json_t *one, char text[WAYS_TEXT])
{
	size_t i, length = 0;
	const json_t *way, *ways = json_object_get(one, "reached");
	text[0] = '\0';
	json_array_foreach(ways, i, way)
	{
		if (i < WAYS_SHOWN && json_is_string(way))
			length += (size_t)snprintf(text + length, WAYS_TEXT - length, "%s%.12s", i == 0 ? "by " : " ",
						   json_string_value(way));
	}
	if (length > 0)
		snprintf(text + length, WAYS_TEXT - length, "%s", i > WAYS_SHOWN ? " ..., " : ", ");
	make_printable(text);
	return text;
}

void write_names(struct sheet *sheet, const json_t *status)
{
	char ways[WAYS_TEXT];
	size_t i;
	const json_t *one, *names = json_object_get(status, "names"), *list = json_object_get(names, "of");
	bool learns = strcmp(word_of(names, "mode").text, "learn") == 0;
	if (learns)
		write_to(sheet, "%-10s learned: nothing is refused because of names\n", "names");
	json_array_foreach(list, i, one)
	{
		if (i < NAMES_SHOWN)
			write_to(sheet, "%-10s %.80s: %saddresses %.20s, flows %.20s, sent %.20s octets\n",
				 i == 0 && !learns ? "names" : "", word_of(one, "name").text, format_ways(one, ways),
				 word_of(one, "addresses").text, word_of(one, "flows").text,
				 format_amount(number_of(one, "octets")).text);
	}
	if (i > NAMES_SHOWN)
		write_to(sheet, "%10s %zu more: --json has them\n", "", i - NAMES_SHOWN);
}
