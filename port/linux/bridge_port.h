/* An interface as a port of a Linux bridge, and what the host has on that segment. */
#pragma once
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/wire/address.h"

/* An interface as the kernel has it. */
struct link {
	unsigned index;
	char name[IFNAMSIZ];
	uint64_t mac;
	uint32_t mtu;
	unsigned master; /* the bridge that it is a port of, or another master; 0: none */
	bool is_up, has_carrier;
	bool is_port; /* of a bridge. Then: */
	bool is_isolated;
	bool is_forwarding; /* no frames pass while the spanning tree protocol thinks about it */
};

/* By index, or by name where that is 0. False: there is none in this network namespace; errno says why. */
bool read_link(unsigned index, const char *name, struct link *);

/* 0 or an errno. */
int set_down(unsigned index);
/* No frames between isolated ports. 0 or an errno. */
int set_isolation(unsigned port_index, bool isolated);
/* The kernel makes no IPv6 address for the interface by itself. 0 or an errno. */
int make_no_addresses(unsigned index);

/* The interface's own addresses. Link-local ones are apart. False: errno. */
bool read_addresses(unsigned index, struct address_set *links, struct address_set *others);

/* Where the host's own default route of a family leaves, the best one of the main table. */
enum way_out { NO_WAY_OUT, OUT_HERE, OUT_ELSEWHERE };

enum way_out read_way_out(int family, unsigned index);
