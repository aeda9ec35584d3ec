/*
 * What ADD has done, for DEL, CHECK and GC: a file for each interface of a container, /run/softnet/cni/NETWORK/CONTAINER:INTERFACE.
 * It is written before the guard is made, so that whatever ends the plug-in meanwhile, DEL finds what there is.
 */
#pragma once
#include <jansson.h>
#include "softnet/cni/place.h"

/* Until the process ends, other calls wait. */
bool enter_calls_alone(struct fault *);

bool write_attachment(const struct cni_call *, const struct place *, json_t *addresses, struct fault *);
/* What was written; NULL: nobody has. To be given back. */
json_t *read_attachment(const struct cni_call *);
struct place place_of(const json_t *attachment);

/* False: a guard stands at the port that ADD has made for another container, and the fault says for which. */
bool is_nobody_elses(const struct cni_call *, const struct place *, struct fault *);

/* Takes the guard away, and the record. What has gone by itself need not be taken away. False: the fault says why the guard stays. */
bool undo_attachment(const struct cni_call *, struct fault *);
/* The same with all of the network that `valid` does not list: an array of objects with containerID and ifname. */
bool undo_others(struct cni_call *, const json_t *valid, struct fault *);
