/* The metrics of this guard: as a file, and for live control. */
#include "metrics_file.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "control_methods.h"
#include "log.h"
#include "metrics.h"
#include "replace_file.h"

enum { WRITE_INTERVAL_MS = 15000 };

/* NULL: no memory. */
static char *own_metrics(const struct live *live, enum metrics_form form)
{
	json_t *status = json_status(live), *guards = status != NULL ? json_pack("[o]", status) : NULL;
	char *text = guards != NULL ? metrics_text(guards, form) : NULL;
	json_decref(guards);
	return text;
}

json_t *guard_metrics(struct rpc_call *call)
{
	if (!rpc_takes_nothing(call))
		return NULL;
	char *text = own_metrics(call->context, METRICS_OPENMETRICS);
	json_t *result = text != NULL ? json_string(text) : NULL;
	free(text);
	return result != NULL ? result : rpc_refuse(call, RPC_INTERNAL, "out of memory");
}

/* Readable for all: node_exporter is somebody else, and nothing in it is secret. */
static bool write_metrics_file(struct metrics_file *file, uint64_t now_ms)
{
	char *text = own_metrics(file->live, METRICS_PROMETHEUS);
	errno = ENOMEM;
	bool is_written = text != NULL && replace_file(file->path, text, strlen(text), 0644, NULL);
	int saved = errno;
	free(text);
	errno = saved;
	file->written_ms = now_ms;
	return is_written;
}

const char *start_metrics_file(struct metrics_file *file, uint64_t now_ms)
{
	return file->path == NULL || write_metrics_file(file, now_ms) ? NULL : strerror(errno);
}

void follow_metrics_file(struct metrics_file *file, uint64_t now_ms)
{
	if (file->path == NULL || now_ms - file->written_ms < WRITE_INTERVAL_MS || write_metrics_file(file, now_ms))
		return;
	if (file->failed++ == 0)
		warning("--metrics: %s: cannot write: %s; it is tried again every 15 s", file->path, strerror(errno));
}

void remove_metrics_file(const struct metrics_file *file)
{
	if (file->path != NULL)
		unlink(file->path);
}
