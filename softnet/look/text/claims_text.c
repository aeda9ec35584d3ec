/* Addresses that two VMs want, and those that two have. */
#include "softnet/look/text/claims_text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 8 };

static const json_t *conflicts_of(const json_t *status)
{
	return json_object_get(json_object_get(status, "claims"), "conflicts");
}

static bool is_ours(const json_t *conflict)
{
	return strcmp(word_of(conflict, "holder").text, "this") == 0;
}

struct word format_claims(const json_t *status)
{
	struct word w = { "" };
	const json_t *first = json_array_get(conflicts_of(status), 0);
	if (json_is_object(first))
		snprintf(w.text, sizeof w.text,
			 is_ours(first) ? "; %.40s is wanted by %.63s too" : "; %.40s is held by %.63s",
			 word_of(first, "address").text, word_of(first, "guard").text);
	return w;
}

void write_claims(struct sheet *sheet, const json_t *status)
{
	size_t i;
	const json_t *one;
	json_array_foreach(conflicts_of(status), i, one) if (i < SHOWN_MAX)
	    write_to(sheet, "%-10s %.40s is %s %.63s (guard %.20s), %s ago\n", i == 0 ? "claims" : "",
		     word_of(one, "address").text, is_ours(one) ? "also wanted by" : "held by",
		     word_of(one, "guard").text, word_of(one, "pid").text, format_span(number_of(one, "seconds")).text);
}

/* An address on a network that others can be on. */
struct holding {
	const char *segment, *address;
	const json_t *status;
	bool is_own, is_shared;
};

static int compare_holdings(const void *a, const void *b)
{
	const struct holding *left = a, *right = b;
	int order = strcmp(left->segment, right->segment);
	if (order == 0)
		order = strcmp(left->address, right->address);
	return order != 0 ? order : (int)right->is_own - (int)left->is_own;
}

static size_t add_holdings(struct holding *list, size_t count, size_t max, const struct stated_claims *guard)
{
	size_t i;
	const json_t *one;
	const char *segment = json_string_value(json_object_get(json_object_get(guard->status, "claims"), "segment"));
	json_array_foreach(json_object_get(guard->status, "addresses"), i, one)
	{
		const char *address = json_string_value(json_object_get(one, "address"));
		if (segment && address && count < max)
			list[count++] = (struct holding){ segment, address, guard->status, guard->is_own,
							  json_is_true(json_object_get(one, "shared")) };
	}
	return count;
}

/* One of them is the caller's own, so that no stranger's guard can fill the page. What both share is no double. */
static bool are_doubles(const struct holding *one, const struct holding *next)
{
	return one->is_own && !(one->is_shared && next->is_shared) && one->status != next->status &&
	       strcmp(one->segment, next->segment) == 0 && strcmp(one->address, next->address) == 0;
}

void write_doubles(struct sheet *sheet, const struct stated_claims *guards, size_t count)
{
	size_t max = 0, held = 0, lines = 0;
	for (size_t i = 0; i < count; i++)
		max += json_array_size(json_object_get(guards[i].status, "addresses"));
	struct holding *list = max > 0 ? calloc(max, sizeof *list) : NULL;
	for (size_t i = 0; list && i < count; i++)
		held = add_holdings(list, held, max, &guards[i]);
	if (held > 0)
		qsort(list, held, sizeof *list, compare_holdings);
	for (size_t i = 0; i + 1 < held; i++)
		if (are_doubles(&list[i], &list[i + 1]))
			write_to(sheet, "%s%.40s is held by two: %.63s and %.63s\n", lines++ == 0 ? "\n" : "",
				 word("%s", list[i].address).text, word_of(list[i].status, "name").text,
				 word_of(list[i + 1].status, "name").text);
	free(list);
}
