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
static bool write_metrics_file(struct metrics_file *file, uint64_t now_ms)
{
	char *text = metrics_of_guard(file->status(file->context), METRICS_PROMETHEUS);
	errno = ENOMEM;
	bool is_written = text && replace_file(file->path, text, strlen(text), 0644, NULL);
	int saved = errno;
	free(text);
	errno = saved;
	file->written_ms = now_ms;
	return is_written;
}

const char *start_metrics_file(struct metrics_file *file, uint64_t now_ms)
{
	if (!file->path)
		return NULL;
	remove_torn(file->path);
	return write_metrics_file(file, now_ms) ? NULL : strerror(errno);
}

void follow_metrics_file(struct metrics_file *file, uint64_t now_ms)
{
	if (!file->path || now_ms - file->written_ms < WRITE_INTERVAL_MS || write_metrics_file(file, now_ms))
		return;
	if (file->failed++ == 0)
		warning("--metrics: %s: cannot write: %s; it is tried again every 15 s", file->path, strerror(errno));
}

void remove_metrics_file(const struct metrics_file *file)
{
	if (file->path)
		unlink(file->path);
}
