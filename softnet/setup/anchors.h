/* Whom the guard trusts on the segment: the operator's word, else the uplink's; what neither says is learned. */
#pragma once
#include "softnet/options/options.h"

/*
 * Puts them into the config. True: routers or servers are others than before, so what was learned beside the old ones does
 * not hold.
 */
bool choose_anchors(const struct options *, const struct anchors *, struct config *);

/* Where options and uplink do not go together. */
bool check_anchors(const struct options *, const struct config *, struct error *);

/* Why the host that lives on the segment is not its router; NULL: it is, or none lives there. */
const char *why_no_router(const struct options *, const struct anchors *, const struct config *);

/* With -v: whom the guard trusts, and on whose word. */
void tell_anchors(const struct options *, const struct anchors *, const struct config *);
