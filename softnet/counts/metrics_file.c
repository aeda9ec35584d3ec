/* The metrics of this guard, as a file. */
#include "softnet/counts/metrics_file.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "system/log.h"
#include "softnet/counts/metrics.h"
#include "system/files/replace_file.h"

enum { WRITE_INTERVAL_MS = 15000 };

/* Readable for all: node_exporter is somebody else, and nothing in it is secret. */
static bool replace(const struct metrics_file *file, const void *text, size_t octets)
{
	return replace_file(file->path, text, octets, 0644, NULL);
}

static char *make_text(struct metrics_file *file, uint64_t now_ms)
{
	file->written_ms = now_ms;
	return metrics_of_guard(file->status(file->context), METRICS_PROMETHEUS);
}

static void fail_to_write(struct metrics_file *file, const char *why)
{
	add_shared(&file->failed, 1);
	if (!file->has_warned)
		warning("--metrics: %s: cannot write: %s; it is tried again every 15 s", file->path, why);
	file->has_warned = true;
}

static void take_text(void *object, const uint8_t *text, size_t octets)
{
	if (!replace(object, text, octets))
		fail_to_write(object, strerror(errno));
}

static void take_away(void *object, const uint8_t *unused, size_t none)
{
	const struct metrics_file *file = object;
	(void)unused;
	(void)none;
	unlink(file->path);
}

const char *start_metrics_file(struct metrics_file *file, uint64_t now_ms)
{
	if (!file->path)
		return NULL;
	remove_torn(file->path);
	char *text = make_text(file, now_ms);
	errno = ENOMEM;
	const char *cause = text && replace(file, text, strlen(text)) ? NULL : strerror(errno);
	free(text);
	return cause;
}

void follow_metrics_file(struct metrics_file *file, uint64_t now_ms)
{
	if (!file->path || now_ms - file->written_ms < WRITE_INTERVAL_MS)
		return;
	char *text = make_text(file, now_ms);
	if (!text)
		fail_to_write(file, strerror(ENOMEM));
	else if (!defer(file->queue,
			&(struct deferred){
			    .run = take_text, .object = file, .name = file->path, .parts = { { text, strlen(text) } } }))
		fail_to_write(file, "its disk does not keep pace, or does not answer");
	free(text);
}

void remove_metrics_file(struct metrics_file *file)
{
	if (file->path)
		defer(file->queue, &(struct deferred){ .run = take_away, .object = file, .name = file->path });
}
