/* A domain of libvirt as its hook is told of it: its interfaces, and what its metadata wants of softnet. */
#pragma once
#include <net/if.h>
#include <stdint.h>
#include "system/error.h"
#include "system/text.h"

/* The metadata of softnet is one element <guard> of this namespace. */
#define SOFTNET_NAMESPACE "urn:softnet:libvirt"

enum { PORTS_MAX = 32, WORDS_MAX = 64, UUID_TEXT = 37, RECORD_TEXT = UUID_TEXT + 12 };

/* An interface to guard, and how: the words of a `softnet attach`. */
struct port_wanted {
	char interface[IF_NAMESIZE];
	uint64_t mac;
	uint32_t count;
	char *words[WORDS_MAX + 1]; /* ends in NULL */
};

struct domain {
	void *document;
	char uuid[UUID_TEXT];
	char record[RECORD_TEXT]; /* its name: that of the domain, or of cards that were plugged in */
	uint32_t port_count;
	struct port_wanted ports[PORTS_MAX];
};

/* Reads it and its uuid, no more. False: the error says why. To be closed in any case. */
bool open_domain(struct domain *, const char *xml, size_t octets, struct error *);
/* Fills the ports of a domain that starts, called `name`: none where nobody has asked softnet. False: the error says why. */
bool find_ports(struct domain *, const char *name, struct error *);
/* Leaves out those that are guarded already. */
void keep_new_ports(struct domain *, bool (*is_known)(const char *uuid, const char *interface));
/* As it is called in its XML. */
enum { DOMAIN_NAME = 256 };
const char *find_name(const struct domain *, char name[DOMAIN_NAME]);
void close_domain(struct domain *);
