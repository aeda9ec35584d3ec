/* Ports of this host that --expose wants, before anything is started. */
#pragma once
#include "softnet/rules/expose_text.h"

/*
 * NULL, or what is wrong with the first port that somebody else has, or that this process may not have. A guard that ended a
 * moment ago may still hold them, so it waits a little.
 */
enum { TAKEN_TEXT = 256 };
const char *find_taken(const struct exposed *, uint32_t count, char text[TAKEN_TEXT]);
