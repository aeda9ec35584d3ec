/* What the guard knows, as JSON: what several methods, events and the status have in common. */
#pragma once
#include <jansson.h>
#include "softnet/counts/counters.h"
#include "system/text.h"

json_t *json_number(uint64_t);
/* Of a path, say: what is not printable ASCII is shown as "?", for JSON knows UTF-8 alone. */
json_t *json_text(const char *);
json_t *json_address(struct address); /* null: unset */
json_t *json_mac(uint64_t mac);       /* null: MAC_NONE */
/* What is left in seconds; null: without end. */
json_t *json_seconds_left(uint64_t expires_ms, uint64_t now_ms);

json_t *json_passed(const struct counters *, int side);
json_t *json_flows(const struct flows *);
json_t *json_addresses(const struct config *, const struct state *, uint64_t now_ms);
/* Those that were learned. */
json_t *json_servers(const struct state *, uint64_t now_ms);
json_t *json_routers(const struct state *, uint64_t now_ms);
