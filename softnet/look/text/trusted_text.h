/* Whom a guard trusts, as people read it. */
#pragma once
#include "softnet/look/text/words.h"

/* A line for each machine, with all that it is trusted to be. */
void write_trusted(struct sheet *, const json_t *status);
