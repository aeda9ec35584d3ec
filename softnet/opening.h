/* What a guard writes for its operators, opened with the rights that are left. */
#pragma once
#include "softnet/guard/loop.h"

/* NULL, or why it cannot be written. */
const char *prepare_capture(struct relay *);
const char *prepare_metrics(struct relay *);
