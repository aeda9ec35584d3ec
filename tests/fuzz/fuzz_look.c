/*
 * Any JSON as what guards say of themselves, other users' and those of root that left a record: what people read of it is a text
 * of printable lines, and so is what they are as metrics. Run by `make fuzz`.
 */
#include <stdlib.h>
#include <string.h>

#include "softnet/counts/metrics.h"
#include "softnet/look/text/claims_text.h"
#include "softnet/look/text/status_text.h"
#include "softnet/look/text/trusted_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { TEXT_MAX = 16 << 10, GUARDS_MAX = 4, NARROW = 80 };

static char text[TEXT_MAX];

static struct sheet new_sheet(size_t size)
{
	text[0] = '\0';
	return (struct sheet){ .text = text, .size = size };
}

static void check_lines(const char *lines)
{
	for (; *lines != '\0'; lines++)
		if (*lines != '\n' && (*lines < ' ' || *lines > '~'))
			abort();
}

/* Colors are off, so there is nothing but ASCII in it. */
static void check_sheet(const struct sheet *sheet)
{
	if (sheet->length >= sheet->size || memchr(text, 0, sheet->size) != text + sheet->length)
		abort();
	check_lines(text);
}

/* Every line is a sample or a comment, up to the end. */
static void check_metrics(const json_t *guards)
{
	static const char end[] = "# EOF\n";
	char *metrics = metrics_text(guards, METRICS_OPENMETRICS);
	size_t length = metrics ? strlen(metrics) : 0;
	if (length < sizeof end - 1 || strcmp(metrics + length - (sizeof end - 1), end) != 0)
		abort();
	check_lines(metrics);
	for (const char *line = metrics; *line != '\0'; line = strchr(line, '\n') + 1)
		if (strncmp(line, "softnet_", 8) != 0 && strncmp(line, "# ", 2) != 0)
			abort();
	free(metrics);
}

static void show(const json_t *status, size_t size)
{
	size_t i;
	const json_t *drop;
	struct sheet sheet = new_sheet(size);
	write_page(&sheet, status, "alice");
	write_table_head(&sheet, true, 0);
	write_table_row(&sheet, status, "alice", 0);
	write_table_row(&sheet, status, NULL, NARROW);
	check_sheet(&sheet);
	sheet = new_sheet(size);
	write_summary(&sheet, status, NULL);
	write_claims(&sheet, status);
	write_trusted(&sheet, status);
	json_array_foreach(json_object_get(status, "drops"), i, drop)
	{
		write_drop(&sheet, drop, "web1", i % 2 == 0);
	}
	check_sheet(&sheet);
}

/* Guards of one network, the first the caller's own. */
static void show_doubles(const json_t *list)
{
	struct stated_claims guards[GUARDS_MAX];
	size_t count = json_array_size(list) < GUARDS_MAX ? json_array_size(list) : GUARDS_MAX;
	struct sheet sheet = new_sheet(sizeof text);
	for (size_t i = 0; i < count; i++)
		guards[i] = (struct stated_claims){ json_array_get(list, i), i == 0 };
	write_doubles(&sheet, guards, count);
	check_sheet(&sheet);
}

/* An object is a guard, an array guards. The first octet: how much room there is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	json_t *guards, *said = n > 0 ? json_loadb((const char *)data + 1, n - 1, 0, NULL) : NULL;
	if (json_is_object(said)) {
		show(said, data[0] % 4 == 0 ? 1u + data[0] : sizeof text);
		guards = json_pack("[O]", said);
		check_metrics(guards);
		json_decref(guards);
	}
	if (json_is_array(said))
		show_doubles(said);
	json_decref(said);
	return 0;
}
