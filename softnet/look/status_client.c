/* softnet status: one guard's page, or a line for each of several. */
#include "softnet/look/status_client.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "softnet/look/text/claims_text.h"
#include "softnet/look/guard_list.h"
#include "system/log.h"
#include "softnet/counts/metrics.h"
#include "system/process/privileges.h"
#include "system/process/terminal.h"
#include "softnet/look/text/status_text.h"

enum { TIMEOUT_MS = 2000, SHEET_MAX = 512 << 10 };

/* Jansson writes no other octet of foreign origin that a terminal would heed. */
static char *json_text(const json_t *guards)
{
	char *text = json_dumps(guards, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	for (char *c = text; c && *c != '\0'; c++)
		if (*c == '\x7f')
			*c = '?';
	return text;
}

/* For programs: all of them, in one of the two forms. */
static bool print_array(const struct guard_list *list, bool is_json, FILE *to)
{
	json_t *guards = json_array();
	for (size_t i = 0; i < list->count; i++)
		json_array_append(guards, list->views[i].status);
	char *text = is_json ? json_text(guards) : metrics_text(guards, METRICS_OPENMETRICS);
	bool is_printed = text && fputs(text, to) >= 0 && (!is_json || fputc('\n', to) >= 0);
	json_decref(guards);
	free(text);
	return is_printed;
}

static void print_doubles(struct sheet *sheet, const struct guard_list *list)
{
	struct stated_claims *guards = calloc(list->count, sizeof *guards);
	for (size_t i = 0; guards && i < list->count; i++)
		guards[i] = (struct stated_claims){ list->views[i].status, list->views[i].user == getuid() };
	if (guards)
		write_doubles(sheet, guards, list->count);
	free(guards);
}

static bool print_text(const struct guard_list *list, const struct options *options, FILE *to)
{
	struct sheet sheet = { .text = malloc(SHEET_MAX), .size = SHEET_MAX, .is_colored = has_colors(fileno(to)) };
	bool has_pages = list->count == 1 || options->name;
	if (!sheet.text)
		return false;
	sheet.text[0] = '\0';
	if (!has_pages)
		write_table_head(&sheet, list->has_users, 0);
	for (size_t i = 0; i < list->count; i++) {
		const struct guard_view *view = &list->views[i];
		if (has_pages) {
			write_to(&sheet, "%s", i > 0 ? "\n" : "");
			write_page(&sheet, view->status, user_name(view->user));
		} else
			write_table_row(&sheet, view->status, list->has_users ? user_name(view->user) : NULL, 0);
	}
	print_doubles(&sheet, list);
	bool is_printed = fputs(sheet.text, to) >= 0;
	free(sheet.text);
	return is_printed;
}

int show_status(const struct options *options, FILE *to, struct error *error)
{
	struct guard_list list;
	if (!become_caller())
		die("cannot become its caller again: %s", strerror(errno));
	if (!ask_guards(options, &list, TIMEOUT_MS, NULL, error))
		return EXIT_USAGE;
	tell_silent(&list);
	bool is_printed = options->json || options->openmetrics ? print_array(&list, options->json, to)
			  : list.count > 0                      ? print_text(&list, options, to)
								: false;
	if (list.count == 0)
		tell_nothing(options);
	int status = is_printed && list.count > 0 && fflush(to) == 0 ? EXIT_OK : EXIT_RUNTIME;
	forget_guards(&list);
	return status;
}
