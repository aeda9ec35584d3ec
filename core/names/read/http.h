/* The first request of HTTP/1 (RFC 9112): which host it asks for. */
#pragma once
#include "core/names/read/tls.h"

enum { HTTP_REQUEST_MAX = 8192, HTTP_FIELDS_MAX = 128 };

/* The request line and all fields, from `at` on; the name is that of the one Host field. */
enum reading read_http_host(const struct frame *stream, uint32_t at, struct name *name);
