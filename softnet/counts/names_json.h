/* What the guard knows of names, as JSON: docs/names.md, docs/observability.md. */
#pragma once
#include <jansson.h>
#include "core/names/names.h"

/* How a pattern is written in rules. */
enum { PATTERN_TEXT = NAME_MAX_OCTETS + 3 };
const char *format_pattern(const struct name_pattern *, char text[PATTERN_TEXT]);

/* "tls", "quic", "http", and "tcp" or "udp" where the address alone decides. */
const char *word_of_use(enum naming, uint8_t protocol);

/* null: no rule names a host. */
json_t *json_names(const struct names *, uint64_t now_ms);
