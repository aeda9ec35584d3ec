/*
 * What the metadata of a domain says to softnet:
 *
 *     <softnet:guard xmlns:softnet='urn:softnet:libvirt'>
 *       <softnet:interface mac='52:54:00:00:00:0a' block='any' allow='@dns:53' reject='yes'/>
 *     </softnet:guard>
 */
#pragma once
#include <libxml/tree.h>
#include "softnet/libvirt/domain.h"

enum { OPTIONS_MAX = WORDS_MAX - 5 }; /* room for the words that are not options of the metadata */

/* An element <interface>: about the interface that has the MAC address, or about all that no other is about. */
struct wish {
	bool has_mac, has_name, is_unguarded, is_used;
	uint64_t mac;
	uint32_t option_count;
	char *options[OPTIONS_MAX]; /* --NAME or --NAME=VALUE */
};

struct wishes {
	bool is_there; /* the domain has metadata of softnet */
	uint32_t count;
	struct wish all[PORTS_MAX];
};

/* The next element, `node` included; and the first of this name in the namespace of libvirt, which is none. */
const struct _xmlNode *first_element(const struct _xmlNode *node);
const struct _xmlNode *find_element(const struct _xmlNode *parent, const char *name);

/* `metadata` may be NULL. False: the error says why. To be forgotten in any case. */
bool read_wishes(const struct _xmlNode *metadata, struct wishes *, struct error *);
struct wish *find_wish(struct wishes *, uint64_t mac);
/* False: an element is about no interface of the domain. */
bool check_used(const struct wishes *, struct error *);
void forget_wishes(struct wishes *);
