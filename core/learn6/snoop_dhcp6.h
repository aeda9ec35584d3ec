/* What both directions of DHCPv6 share: a message with its addresses, and the transactions. User space only. */
#pragma once
#include "core/wire/dhcp6.h"
#include "core/learn6/lease6.h"

struct dhcp6_frame {
	uint64_t source_mac, destination_mac;
	struct address source, destination; /* of the IPv6 header */
	struct dhcp6 message;
};

/* False: the message cannot be parsed, or a header in front of it. */
bool parse_dhcp6_frame(const struct frame *frame, struct dhcp6_frame *f);

/* The binding of the address, of whatever origin; NULL: none that is live. */
struct binding6 *find_live(struct state *state, struct address a, uint64_t now_ms);

/* 0 where the message has none. */
uint64_t hash_of_client_id(const struct state *state, const struct dhcp6 *message);

/* The answer to such a message may give the guest an address. */
bool may_lead_to_lease(uint8_t type, bool rapid_commit);

/* The live transaction of the id; NULL: none. */
struct transaction6 *find_transaction6(struct state *state, uint32_t id, uint64_t now_ms);

/*
 * Opens or refreshes the transaction of a client message; client_id is 0 where it has none. Full: the entry nearest
 * to its deadline goes.
 */
struct transaction6 *open_transaction6(struct state *state, const struct dhcp6 *message, uint64_t client_id,
				       uint64_t now_ms);

/* As close_transactions(): nothing that the guest asked for so far may still be given. */
void close_transactions6(struct state *state);

/* A keyed hash of the DUID, the kind of the IA and its IAID: what a server knows a lease by. */
uint64_t hash_of_identity(const struct state *state, const struct dhcp6 *message, uint32_t association);

/* The IA is one that the guest asked for. */
bool has_identity(const struct transaction6 *t, uint64_t identity);

/*
 * snoop_dhcp6_wanted.c: what a message may make a server lease is counted before it leaves. PASS: it may leave, and what
 * is new is counted.
 */
enum verdict want_leases(struct guard *s, const struct dhcp6 *message, uint64_t now_ms);

/* What an Advertise or a Reply tells of it. A Reply that was not accepted tells nothing. */
void learn_offer(struct state *state, const struct transaction6 *t);
void learn_leased(struct state *state, const struct transaction6 *t, const struct dhcp6 *reply, uint64_t now_ms);

/* The guest was delegated this prefix, by the same IA. */
bool has_delegated(const struct state *state, uint64_t identity, const struct dhcp6_address *prefix, uint64_t now_ms);

/* A RELEASE or DECLINE of these leaves; its Reply says that the server has taken them back. */
void give_back_wanted(struct state *state, const struct dhcp6 *message, uint64_t now_ms);
void learn_given_back(struct state *state, const struct transaction6 *t, const struct dhcp6 *reply);

/*
 * RELEASE and DECLINE: what they gave back, as a keyed hash, so that a repeated one can be told. Their transactions
 * lease nothing, so the hash stands in the place of an IA's.
 */
void remember_given_back(struct transaction6 *t, uint64_t hash);
bool has_given_back(const struct transaction6 *t, uint64_t hash);

/* snoop_dhcp6_grant.c. What a Reply says of one address that the guest asked for. valid_s 0: it is over. */
struct grant {
	struct address address;
	uint64_t identity;
	uint32_t valid_s, reserved;
};

struct grants {
	const struct dhcp6_frame *frame;
	uint64_t client_id, start_ms;
	uint32_t count;
	struct grant item[DHCP6_ADDRESSES_MAX];
};

/* Of those IAs that the guest asked for, and that the server did not refuse. */
struct grants grants_of(const struct state *state, const struct dhcp6_frame *f, const struct transaction6 *t,
			uint64_t now_ms);

/* PASS where the guest may have all of the addresses, whether there is room for them or not. */
enum verdict check_addresses(struct guard *s, const struct grants *g, uint64_t now_ms);

/* Binds all of them or none, and takes what is over. until_ms: the end of the one that lasts longest, or as it was. */
enum verdict bind_grants(struct guard *s, const struct grants *g, uint64_t *until_ms, uint64_t now_ms);

/* A copy of the Reply that was accepted, as far as the guard is concerned: what it says is so already. */
bool tells_nothing_new(struct guard *s, const struct dhcp6 *m, const struct grants *g, uint64_t now_ms);
