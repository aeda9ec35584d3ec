/*
 * The sites of this host (struct site_set), as its interfaces have them now. Where private addresses would name an IPv4
 * LAN, only the host's own global ones name an IPv6 LAN, and they change while the guard runs.
 */
#pragma once
#include "core/judge/config.h"

struct site_watch {
	struct site_set *set; /* the config's; its owner gives us this member */
	int fd;               /* readable when addresses have changed; -1: nobody tells */
	bool is_stale;        /* the last reading failed, and that was said */
	bool is_cut;          /* there were more than fit, and that was said */
};

/* Opens the feed, if IPv6 is wanted. */
void open_sites(struct site_watch *, bool is_wanted);

/* The first reading. False: this host's addresses cannot be read, errno says why. */
bool start_sites(struct site_watch *, struct site_set *);

/* When fd has something to tell. What cannot be read stays as it was. True: the sites are others now. */
bool follow_sites(struct site_watch *);
