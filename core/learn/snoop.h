/*
 * The slow path: the only writer of state. It takes what the judge punted, parses it whole, and decides. State has changed
 * before it answers, so a guest can never be faster than its own lease. User space only.
 */
#pragma once
#include "core/judge/config.h"
#include "core/flows/flow.h"
#include "core/judge/rate.h"
#include "core/judge/state.h"
#include "core/wire/verdict.h"

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

struct snoop {
	const struct config *config;
	struct state *state;
	struct buckets *buckets;
	struct flows *flows;
	struct names *names; /* names/names.h; NULL: they decide nothing */
	/* The host-wide registry of addresses: false when another guard holds it. NULL: always yes. */
	bool (*claim)(void *context, struct address);
	void (*release)(void *context, struct address);
	/*
	 * Sends a question of the guard's own to the network (question.h). False: it did not leave, so silence tells nothing.
	 * NULL: there is no network, in replay and in tests; it counts as sent. Not for ARP: nobody could have answered.
	 */
	bool (*ask)(void *context, const uint8_t *frame, uint32_t length);
	/* Told after state changed and before the frame is delivered. May be NULL. */
	void (*event)(void *context, const struct event *);
	void *context;
};

/* Fills the buckets; to be called once with the config that holds the rates. */
void fill_buckets(const struct config *config, struct buckets *buckets, uint64_t now_ms);

/*
 * Adds a binding that never expires (--vm-ip), of either family; prefix_length is that of its subnet, 0..32 or 0..128.
 * False: no room, or not an address a guest may have.
 */
bool add_static_binding(struct state *state, struct address a, uint32_t prefix_length, uint64_t now_ms);

/* Decides a frame that the judge punted: PASS or a DROP. */
enum verdict snoop_frame(struct snoop *snoop, enum verdict punt, const struct frame *frame, uint64_t now_ms);

/*
 * Removes and reports what has expired. Rights end by themselves when the clock says so; this is for logs, exposes and the
 * registry. Gives the time of the next expiry, or NEVER_EXPIRES.
 */
uint64_t expire_bindings(struct snoop *snoop, uint64_t now_ms);

/* Takes an address from the guest that is another one's, and reports why. Static ones stay. */
void take_away(struct snoop *snoop, struct address a, const char *why, uint64_t now_ms);

/*
 * Forgets whom it has learned to trust: the next server and the next routers are learned as the first ones were. Leases and
 * addresses stay; a router of IPv6 stays a next hop, with its MAC, until another one is heard.
 */
void relearn(struct snoop *snoop);

/* True for an address that a server may lease: not the network's own machines, nor one that no host may have. */
bool is_leasable4(const struct config *config, const struct state *state, struct address a, uint64_t now_ms);
