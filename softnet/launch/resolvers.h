/* The host's own resolvers, which slirp hands the guest's questions to: of which families they are. */
#pragma once
#include <stdbool.h>

struct resolver_families {
	bool ipv4, ipv6;
};

/* As the file (resolv.conf(5)) has them. False: it cannot be read. */
bool read_resolvers(const char *path, struct resolver_families *);

/* With the uplink slirp: says which of the guest's resolvers will not answer. */
void tell_of_resolvers(bool wants_ipv6);
