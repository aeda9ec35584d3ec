/* Bindings and transactions of IPv4: the operations on state that the snooper is made of. User space only. */
#pragma once
#include "core/guard.h"
#include "core/wire/dhcp.h"

enum {
	CLOCK_ERROR_MS = 100,           /* a lease is cut by this much, for what reading the clock once a turn costs */
	TRANSACTION_LIFE_MS = 64000,    /* the largest retransmission gap of RFC 2131 4.1 */
	TRANSACTION_DONE_MS = 10000,    /* duplicates of the ACK pass without effect */
	GRACE_MS = 30000,               /* closes the connections of the replaced address */
	CLIENT_ID_LIFE_MS = 3600 * 1000 /* without a lease; with one until that has run out */
};

/* True for an address that a server may lease: not the network's own machines, nor one that no host may have. */
bool is_leasable4(const struct config *config, const struct state *state, struct address a, uint64_t now_ms);

/* True when the bucket of the class still had a token. */
bool may_spend(struct guard *guard, enum rate_class class, uint64_t now_ms);

void report(const struct guard *guard, enum event_kind kind, const struct binding *b, const char *why);

/* The entry of the address, live or run out but not yet reused; NULL: none. */
struct binding *find_lease(struct state *state, struct address a);

/* Takes the address from the guest at once. Static bindings stay. */
void remove_lease(struct guard *guard, struct binding *b, const char *why);
bool add_static_binding4(struct state *, struct address, uint32_t prefix_length, uint64_t now_ms);
/* Ends what has run out. Gives the time when the next one does. */
uint64_t expire_bindings4(struct guard *, uint64_t now_ms);

/*
 * Binds what an ACK gave: updates the binding of the address, or makes one; an older lease of the same client goes into
 * its grace. Full: an expired entry goes, then one in grace, then the one that was used least recently; never a static one.
 */
void bind_lease(struct guard *guard, const struct dhcp *ack, const struct transaction *t, uint64_t server_mac,
		uint64_t now_ms);

/* The live transaction of the id; NULL: none. */
struct transaction *find_transaction(struct state *state, uint32_t id, uint64_t now_ms);

/* Opens or refreshes the transaction of a client message. Full: the entry nearest to its deadline goes. */
struct transaction *open_transaction(struct state *state, uint32_t id, enum transaction_kind kind, uint64_t client_id,
				     uint64_t now_ms);

/* Nothing that the guest asked for so far may still be given: it is giving back an address, and the server will too. */
void close_transactions(struct state *state);

/* Bound again from a saved state: which of the bindings ends whose grace. */
void find_graces(struct state *state);

/* The guest uses the address that has replaced another: that one is over. */
void end_grace(struct guard *guard, struct binding *b);

/* DHCPv6 only. The ids of requests, and those among them that may not be used again; see struct request_id. */
void remember_request_id(struct request_id table[REQUEST_IDS_MAX], uint32_t id, uint64_t now_ms);
void spend_request_ids(struct request_id table[REQUEST_IDS_MAX]);
bool is_spent_request_id(const struct request_id table[REQUEST_IDS_MAX], uint32_t id, uint64_t now_ms);

enum { CLIENT_IDS_FREE = 4 }; /* each further one costs a token */

/*
 * True when the guest may send under this identifier: it did so before, or there is room for one more. Servers lease an
 * address to each, so this bounds how many of them a guest can hold at a time, whatever it sends. One that was sent is
 * remembered by remember_client_id().
 */
bool may_use_client_id(struct guard *guard, struct client_id table[CLIENT_IDS_MAX], enum rate_class class,
		       uint64_t hash, uint64_t now_ms);
void remember_client_id(struct client_id table[CLIENT_IDS_MAX], uint64_t hash, uint64_t until_ms, uint64_t now_ms);

/* snoop_client.c and snoop_server.c: one direction each. */
struct dhcp_frame {
	uint64_t source_mac, destination_mac;
	struct address source, destination; /* of the IP header */
	uint16_t source_port, destination_port;
	bool is_heard; /* its checksums are right, and it goes as far as a server may be */
	struct dhcp message;
};

/* RESYNC: this address may be the guest's, though the guard does not know it. Only an ACK gives the right to it. */
bool may_resync4(const struct guard *guard, struct address a, uint64_t now_ms);
enum verdict snoop_dhcp4_client(struct guard *guard, const struct dhcp_frame *f, uint64_t now_ms);
enum verdict snoop_dhcp4_server(struct guard *guard, const struct dhcp_frame *f, uint64_t now_ms);
