/* Whom the guard trusts. */
#pragma once
#include "softnet/look/status_text.h"

void write_trusted(struct sheet *, const json_t *status);
