/* The ground under a tap: its interface and bridge, what the host has there, and a feed that tells of changes. */
#pragma once
#include "port/linux/bridge_port.h"
#include "port/port.h"

struct ground_watch {
	unsigned index;           /* of the interface */
	char interface[IFNAMSIZ]; /* its name, as it was last seen */
	char bridge[IFNAMSIZ];    /* the one that was named; "": none, so it stands for itself */
	bool wants_isolation;
	int fd;                            /* readable when something may have changed; -1: nobody tells */
	uint64_t mac;                      /* of the interface itself */
	unsigned filtered[2];              /* the interface and bridge that the feed speaks of */
	bool other_router4, other_router6; /* as they were when the host last had a way out */
	char segment[IFNAMSIZ];            /* of which that was true */
};

/* `bridge` may be "". Opens nothing: that is left until root's rights are gone. */
void init_ground(struct ground_watch *, const char *interface, const char *bridge, bool wants_isolation);
void close_ground(struct ground_watch *);

/* Takes off what the feed has told so far, which it opens at the first call, and reads everything anew. */
void survey_ground(struct ground_watch *, struct ground *, struct anchors *);
