/* --metrics FILE: the guard's metrics for node_exporter's textfile collector. */
#pragma once
#include <jansson.h>
#include <stdint.h>
#include "system/files/deferred.h"

struct metrics_file {
	const char *path;                       /* NULL: none */
	json_t *(*status)(const void *context); /* as guard.status gives it; NULL: no memory */
	const void *context;
	struct deferred_queue *queue; /* whose process writes it; NULL: it is written at once */
	uint64_t written_ms;          /* when it was, or was tried, last */
	uint64_t failed;              /* how often it could not be written */
	bool has_warned;
};

/* NULL, or why it cannot be written. */
const char *start_metrics_file(struct metrics_file *, uint64_t now_ms);
/* Every 15 s; called about once a second. Warns once, and is then counted. */
void follow_metrics_file(struct metrics_file *, uint64_t now_ms);
/* What has ended has no metrics: an old file would always be exported. */
void remove_metrics_file(struct metrics_file *);
