/* The registry of claims as this guard has part in it: when it begins, and what follows from a conflict. */
#pragma once
#include "softnet/guard/loop.h"
#include "softnet/options/options.h"

/*
 * Before privileges go, for root's folder is root's; or with the uplink, when that is opened afterwards. NULL: it is not
 * open yet. Nothing where nobody else can be on the uplink's network.
 */
void prepare_claims(struct relay *, const struct options *, const struct port *uplink);

/* Claims what the VM has by now, and then what it gets. Ends the program where another VM was given the same address. */
void join_claims(struct relay *);
