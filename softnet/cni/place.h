/* Where the guard of a container's interface stands: at the host's end of its veth, or at the tap in the container. */
#pragma once
#include <net/if.h>
#include <stdint.h>
#include "softnet/cni/call.h"

struct place {
	bool is_inside; /* in the container's network namespace */
	char interface[IF_NAMESIZE];
	unsigned number;   /* of the interface */
	uint64_t netspace; /* the number of the network namespace that it is in */
	uint64_t mac;      /* of the interface in the container */
};

/* Nothing is changed. False: the fault says why nothing can be guarded. */
bool find_port_of(const struct cni_call *, struct place *, struct fault *);

/* Into the namespace of the place, if it is not the host's: by its path, or where that is "", by its number. False: it is gone. */
bool enter_place(const struct place *, const char *path);
