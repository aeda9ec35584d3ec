/* What the guard knows of the segment, as status and events tell it: whom it trusts there, and where its port stands. */
#pragma once
#include <jansson.h>
#include "softnet/setup/anchors.h"

json_t *json_anchors(const struct options *, const struct anchors *, const struct config *);
/* null: no port of a bridge, nor an interface, or one that cannot be seen. */
json_t *json_ground(const struct ground *);
