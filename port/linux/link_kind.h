/* What an interface is: a veth and where its other end is, a tap, or something else. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct link_kind {
	char kind[16];       /* "veth", "tun", ...; "" for a card */
	unsigned other;      /* of a veth: the number of its other end ... */
	int32_t other_space; /* ... in the network namespace that the own one knows by this number; -1: in the own one */
};

/* False: there is no such interface in this network namespace. */
bool read_link_kind(unsigned index, struct link_kind *);
/* By which number the own network namespace knows the one that is open as fd; -1: it does not. */
int32_t number_of_netspace(int fd);
