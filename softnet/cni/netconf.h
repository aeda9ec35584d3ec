/* What the network's configuration says to softnet: any option of `softnet attach` without its dashes. */
#pragma once
#include "softnet/cni/call.h"
#include "softnet/cni/narrowing.h"
#include "softnet/cni/place.h"
#include "softnet/cni/result.h"
#include "softnet/cni/words.h"

/* "leave": false: a process stays with the guard, as for addresses of DHCP. */
bool has_process(const struct cni_call *);

/*
 * A whole `softnet attach` for the place: the network's options, narrowed by what the pod says, and what the plug-in knows itself.
 * It has been tried on softnet's own options. False: the fault says what is wrong.
 */
bool write_words(const struct cni_call *, const struct place *, const struct cni_result *, struct words *,
		 struct fault *);
/* The same of a configuration alone: no pod is there yet. */
bool check_config(const struct cni_call *, struct fault *);
