/* What the slow path reports when it has changed the state. */
#pragma once
#include "core/wire/address.h"

enum event_kind {
	EVENT_LEASE_NEW,
	EVENT_LEASE_RENEWED,
	EVENT_LEASE_LOST,      /* why says how: released, declined, refused by the server, expired, replaced */
	EVENT_LEASE_GRACE,     /* replaced by a newer lease, still usable for a moment */
	EVENT_SERVER_LEARNED,  /* first DHCP server seen is now the only one */
	EVENT_SERVER_CHANGED,  /* it fell silent, and another one, or another MAC, has taken over */
	EVENT_GATEWAY_LEARNED, /* MAC of the router */
	EVENT_GATEWAY_CHANGED, /* the same for a router */
	EVENT_PREFIX_LEARNED   /* an IPv6 prefix that the guest may make addresses in */
};

/* What changed. Valid during the call only. */
struct event {
	enum event_kind kind;
	struct address address;
	struct address server;  /* of the lease */
	uint64_t mac;           /* of a learned server or gateway */
	uint64_t old_mac;       /* that a changed one had before; MAC_NONE: it is another server */
	uint64_t expires_ms;    /* same clock as now_ms; NEVER_EXPIRES */
	uint32_t prefix_length; /* EVENT_PREFIX_LEARNED */
	/* EVENT_LEASE_LOST: one word or two. IPv6 EVENT_LEASE_NEW: "link-local", "slaac", "dhcp"; NULL for IPv4. */
	const char *why;
};
