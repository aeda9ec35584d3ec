/* The IPv6 bindings: the operations on state6 that the snooper is made of. User space only. */
#pragma once
#include "core/guard.h"

enum {
	DAD_MS = 500,           /* RFC 6620 3.3.1: TENT_LT; the guest itself waits a second */
	DAD_CONFLICT_MS = 1000, /* as long as a guest listens: RFC 4861 10, RetransTimer */
	LEASED_CONFLICT_MS = 10000,
	NEIGHBOR_CLAIM_MS = 1500, /* a neighbor's DAD, and its first advertisement */
	EVICTION_AGE_MS = 60000,
	LOST_LEASE_MS = 24 * 3600 * 1000, /* for so long the use of an address is no claim to it when its lease is over ... */
	LOST_CLAIM_MS = 60000,            /* ... or somebody else has it */
	LINK_LOCALS_MAX = 2               /* besides the one that is made from vm_mac */
};

/* Only live entries or ones that have run out and not been reused; NULL: none. */
struct binding6 *find_lease6(struct state *state, struct address a);

/*
 * True for an address that a guest may claim or a server may lease: unicast, no anycast of the subnet (RFC 4291 2.6.1,
 * RFC 2526), and not that of a router, the host, a resolver or a server.
 */
bool is_claimable6(const struct config *config, const struct state *state, struct address a, uint64_t now_ms);

/* Finds bindings_end again. To be called when an entry was filled or freed. */
void settle_bindings6(struct state6 *state);

/* A SLAAC binding that gives its place to another address: a minute old, and not the oldest of its prefix. */
bool may_give_place(const struct state6 *state, const struct binding6 *b, uint64_t now_ms);

/*
 * Makes a binding, or renews the one of this address; a live one keeps its times of DAD. NULL: no room. It is reported when
 * it is new. server and client_id are the caller's to fill in, before report6().
 */
struct binding6 *bind_address6(struct guard *guard, struct address a, enum origin6 origin, uint64_t expires_ms,
			       uint64_t now_ms);

void remember6(struct known6 *list, uint32_t count, struct address a, uint64_t until_ms);

/* That the guest goes on using the address is no claim to it until then. */
void remember_lost(struct state6 *state, struct address a, uint64_t until_ms);

/* Takes the address from the guest at once, a lease for long. Static bindings stay. */
void remove_lease6(struct guard *guard, struct binding6 *b, const char *why, uint64_t now_ms);

void report6(const struct guard *guard, enum event_kind kind, const struct binding6 *b, const char *why);

/* As add_static_binding(), for this family. */
bool add_static_binding6(struct state *state, struct address a, uint32_t prefix_length, uint64_t now_ms);

/* snoop_succession6.c: asks on for routers that are in doubt. Gives the time of the next question, or NEVER_EXPIRES. */
uint64_t continue_doubts6(struct guard *guard, uint64_t now_ms);

/* It has given a sign of life. */
void end_doubt6(struct router6 *r, uint64_t now_ms);

/* As expire_bindings(), for this family. */
uint64_t expire_bindings6(struct guard *guard, uint64_t now_ms);

/* Keeps a resolver until then; 0 forgets it. No room: it is ignored. */
void remember_resolver6(struct state *state, struct address a, uint64_t expires_ms, uint64_t now_ms);

/* Where expires is `seconds` after start; UINT32_MAX is without end (RFC 4861 4.6.2, RFC 8415 7.7). */
uint64_t lifetime_from(uint64_t start_ms, uint32_t seconds);

/* snoop_nd.c: DAD and claims. snoop_router.c: advertisements. snoop_dhcp6.c: both directions of DHCPv6. */
enum verdict snoop_dad(struct guard *guard, const struct frame *frame, uint64_t now_ms);
enum verdict snoop_unbound(struct guard *guard, const struct frame *frame, uint64_t now_ms);
enum verdict snoop_nd_conflict(struct guard *guard, const struct frame *frame, uint64_t now_ms);
enum verdict snoop_router_claim(struct guard *guard, const struct frame *frame, uint64_t now_ms);
enum verdict snoop_router(struct guard *guard, const struct frame *frame, uint64_t now_ms);
enum verdict snoop_dhcp6_client(struct guard *guard, const struct frame *frame, uint64_t now_ms);
enum verdict snoop_dhcp6_server(struct guard *guard, const struct frame *frame, uint64_t now_ms);
