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

/* The addresses of other VMs that rules name (vm:NAME), as the registry has them. */

/* Behind join_claims(): those of now. Says so where no VM can be found. */
void join_other_vms(struct relay *);
/* Looks again, and puts in force what has changed. */
void follow_other_vms(struct relay *);
/* Once a second: the same, where nothing tells of changes, or for a network that has changed. */
void tick_other_vms(struct relay *);
/* Nothing of it needs the clock now. */
bool other_vms_may_rest(const struct relay *);
