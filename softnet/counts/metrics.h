/* Guards as metrics, for Prometheus and whatever else reads its text. docs/observability.md has the table. */
#pragma once
#include <jansson.h>

enum metrics_form {
	METRICS_OPENMETRICS, /* 1.0, with the "# EOF" at its end */
	METRICS_PROMETHEUS   /* the text format 0.0.4, which node_exporter's textfile collector reads */
};

/*
 * An array of objects as guard.status gives them; what is missing there, or is no count, gives no sample. The text is
 * printable ASCII, whatever the objects hold, and free()d by the caller. NULL: no memory.
 */
char *metrics_text(const json_t *guards, enum metrics_form);

/* Of one guard: takes the reference to its status, which may be NULL for want of memory. */
char *metrics_of_guard(json_t *status, enum metrics_form);
