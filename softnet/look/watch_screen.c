/* What softnet watch shows: the page of one guard, or a table of several, and what was dropped last. */
#include "softnet/look/watch_screen.h"
#include <stdlib.h>
#include <string.h>
#include "port/io.h"
#include "system/clock.h"

enum { MS = 1000, LATEST_MAX = 128, LABELS = 38, SHEET_MAX = ROWS_MAX * COLUMNS_MAX, HEIGHTS = 7, SILENT_SHOWN = 3 };

static const char *const side_keys[] = { "guest", "uplink" };

static uint64_t octets_of(const json_t *status, int side)
{
	return number_of(json_object_get(json_object_get(status, "passed"), side_keys[side]), "octets");
}

/* Another guard has a history of its own. */
static void note_history(struct scene *scene, const json_t *status, uint64_t now_ms)
{
	json_t *pid = json_object_get(status, "pid");
	uint64_t ms = now_ms - scene->noted_ms;
	bool is_same = scene->subject && json_equal(scene->subject, pid);
	for (int side = 0; side < 2; side++) {
		uint64_t octets = octets_of(status, side), before = scene->octets[side];
		if (is_same && ms > 0)
			scene->rates[side][scene->next] =
			    octets > before ? (uint64_t)((double)(octets - before) * (double)MS / (double)ms) : 0;
		scene->octets[side] = octets;
	}
	scene->noted_ms = now_ms;
	if (is_same && ms > 0) {
		scene->next = (scene->next + 1) % HISTORY_MAX;
		scene->count += scene->count < HISTORY_MAX;
		return;
	}
	scene->next = scene->count = 0;
	json_decref(scene->subject);
	scene->subject = json_incref(pid);
}

static bool is_there(const struct guard_list *list, struct word name)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(word_of(list->views[i].status, "name").text, name.text) == 0)
			return true;
	return false;
}

void note_change(struct scene *scene, const struct guard_list *before, const struct guard_list *list, uint64_t now_ms)
{
	scene->now_ms = now_ms;
	for (size_t i = 0; i < before->count; i++) {
		struct word name = word_of(before->views[i].status, "name");
		if (!is_there(list, name)) {
			scene->gone = name;
			scene->gone_ms = now_ms;
		}
	}
	if (is_there(list, scene->gone))
		scene->gone.text[0] = '\0';
	if (list->count == 1)
		note_history(scene, list->views[0].status, now_ms);
}

static uint64_t rate_at(const struct scene *scene, int side, unsigned ago)
{
	return scene->rates[side][(scene->next + HISTORY_MAX - ago) % HISTORY_MAX];
}

/* A second for each character, the latest on the right. */
static void write_history(struct sheet *sheet, const struct scene *scene, int columns)
{
	static const char levels[HEIGHTS + 1] = ".:-=+*#";
	unsigned shown = columns > LABELS ? (unsigned)(columns - LABELS) : 0;
	if (shown > scene->count)
		shown = scene->count;
	for (int side = 0; side < 2; side++) {
		char bar[HISTORY_MAX + 1];
		uint64_t most = 0;
		for (unsigned ago = shown; ago > 0; ago--)
			most = rate_at(scene, side, ago) > most ? rate_at(scene, side, ago) : most;
		for (unsigned ago = shown; ago > 0; ago--) {
			uint64_t rate = rate_at(scene, side, ago);
			bar[shown - ago] = rate == 0 ? ' ' : levels[(int)((double)rate / (double)most * (HEIGHTS - 1))];
		}
		bar[shown] = '\0';
		write_to(sheet, "%-10s %-4s the VM [%s] up to %s/s\n", side == 0 ? "history" : "",
			 side == 0 ? "from" : "to", bar, format_bits(most).text);
	}
}

struct latest {
	const json_t *drop;
	const char *name; /* NULL: there is but one guard */
};

static int compare_latest(const void *a, const void *b)
{
	const struct latest *left = a, *right = b;
	uint64_t ago = number_of(left->drop, "seconds"), other = number_of(right->drop, "seconds");
	return ago < other ? -1 : ago > other;
}

static void write_latest(struct sheet *sheet, const struct guard_list *list)
{
	static struct latest latest[LATEST_MAX];
	size_t n = 0, i;
	const json_t *drop;
	for (size_t view = 0; view < list->count; view++)
		json_array_foreach(json_object_get(list->views[view].status, "drops"), i,
				   drop) if (n < LATEST_MAX &&
					     json_is_integer(json_object_get(drop, "seconds"))) latest[n++] =
		    (struct latest){ drop, list->count == 1
					       ? NULL
					       : json_string_value(json_object_get(list->views[view].status, "name")) };
	qsort(latest, n, sizeof *latest, compare_latest);
	if (n > 0)
		write_to(sheet, "\nlatest drops\n");
	for (i = 0; i < n; i++)
		write_drop(sheet, latest[i].drop, latest[i].name, false);
}

static void write_table(struct sheet *sheet, const struct guard_list *list, int columns)
{
	write_table_head(sheet, list->has_users, columns);
	for (size_t i = 0; i < list->count; i++)
		write_table_row(sheet, list->views[i].status, list->has_users ? user_name(list->views[i].user) : NULL,
				columns);
}

/* What is above the drops must leave them a third of the screen, where they need that much. */
static void make_place(struct sheet *sheet, const struct sheet *drops, int rows)
{
	int lines = 0, needed = 0;
	for (const char *c = drops->text; *c != '\0'; c++)
		needed += *c == '\n';
	int room = rows - (needed < rows / 3 ? needed : rows / 3);
	for (char *c = sheet->text; *c != '\0'; c++)
		if (*c == '\n' && ++lines == room) {
			c[1] = '\0';
			sheet->length = (size_t)(c + 1 - sheet->text);
			return;
		}
}

static void write_silent(struct sheet *sheet, const struct guard_list *list)
{
	size_t n = 0;
	for (size_t i = 0; i < list->call_count; i++) {
		struct word why = { "" };
		if (!why_silent(list, i) || n++ >= SILENT_SHOWN)
			continue;
		copy_text(why.text, sizeof why.text, why_silent(list, i));
		make_printable(why.text);
		write_to(sheet, "%s: %s\n", list->calls[i].path, why.text);
	}
	if (n > SILENT_SHOWN)
		write_to(sheet, "and %zu more that are silent\n", n - SILENT_SHOWN);
}

static void write_gone(struct sheet *sheet, const struct scene *scene, const struct guard_list *list)
{
	uint64_t ago_s = (scene->now_ms - scene->gone_ms) / MS;
	bool is_awaited = scene->name || list->count == 0;
	if (scene->gone.text[0] != '\0' && (is_awaited || ago_s < GONE_SHOWN_S))
		write_to(sheet, "the guard of %s has gone %s ago%s\n", scene->gone.text, format_span(ago_s).text,
			 is_awaited ? "; waiting for it to come back" : "");
	else if (list->count == 0)
		write_to(sheet, "no guard answers%s; waiting for one\n", scene->name ? " for that VM" : "");
}

const char *compose_screen(const struct scene *scene, const struct guard_list *list, int rows, int columns)
{
	static char text[2 * SHEET_MAX], below[SHEET_MAX];
	char time[TIME_TEXT];
	struct sheet sheet = { .text = text, .size = SHEET_MAX }, drops = { .text = below, .size = sizeof below };
	write_to(&sheet, "softnet watch  %.19sZ  q quits\n", format_time(wall_clock_ms(), time));
	write_gone(&sheet, scene, list);
	write_silent(&sheet, list);
	if (list->count == 1) {
		write_summary(&sheet, list->views[0].status, user_name(list->views[0].user));
		write_history(&sheet, scene, columns);
	} else if (list->count > 1)
		write_table(&sheet, list, columns);
	below[0] = '\0';
	write_latest(&drops, list);
	make_place(&sheet, &drops, rows);
	memcpy(text + sheet.length, below, drops.length + 1);
	return text;
}
