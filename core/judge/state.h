/*
 * What the guard has learned of its guest. Only the snooper (snoop.c) writes it; the judge reads it. All tables are fixed;
 * each says what happens when it is full. Times are milliseconds of one clock that counts suspend and never goes back.
 */
#pragma once
#include "core/wire/address.h"
#include "core/judge/state6.h"
#include "core/wire/verdict.h"

enum {
	BINDINGS4_MAX = 4,
	TRANSACTIONS_MAX = 4,
	ROUTERS4_MAX = 8,
	SERVERS4_MAX = 4,
	REQUEST_IDS4_MAX = 32,
	SERVED_MAX = 8
};

enum binding_state {
	BINDING_NONE,
	BINDING_BOUND,
	BINDING_GRACE, /* replaced by a newer lease of the same client: lives for half a minute */
	BINDING_STATIC /* --vm-ip, --shared-ip */
};

/* An address the guest holds while now_ms < expires_ms. Expiry is that comparison, never a timer. */
struct binding {
	struct address address;
	uint64_t since_ms;   /* first ACK of this address; renewals keep it */
	uint64_t expires_ms; /* 0: no binding */
	uint64_t used_ms;    /* last frame from it, to the second */
	uint64_t client_id;  /* keyed hash of option 61 */
	uint64_t server_mac;
	struct address server;  /* server identifier, option 54 */
	uint32_t state;         /* enum binding_state */
	uint32_t prefix_length; /* of its subnet, 0..32 */
	uint16_t server_port;   /* that the ACK came from: 67 with most servers */
	uint8_t ends_grace;     /* the first frame from it ends the grace of what it has replaced */
	uint8_t has_public_id;
	uint32_t public_id; /* transaction id of the last exchange by broadcast: everybody has heard it */
	struct address_set routers, resolvers;
};

enum transaction_kind {
	TRANSACTION_DISCOVER = 1, /* 0: free */
	TRANSACTION_SELECT,       /* REQUEST that names a server */
	TRANSACTION_REBOOT,       /* REQUEST in INIT-REBOOT */
	TRANSACTION_RENEW,        /* RENEWING or REBINDING */
	TRANSACTION_INFORM,
	TRANSACTION_BOOT /* REQUEST to a boot server's port: never binds */
};

/* A client message the guest sent and may get an answer to. Full: the entry nearest to its deadline goes. */
struct transaction {
	uint64_t client_id;
	uint64_t requested_ms; /* first REQUEST (rapid commit: DISCOVER): the lease counts from here */
	uint64_t deadline_ms;  /* 0: free */
	struct address requested, server, offered, acked;
	uint32_t id;  /* xid */
	uint8_t kind; /* enum transaction_kind */
	uint8_t rapid_commit;
	uint8_t done;         /* answered; kept for a while so that duplicates of the ACK pass */
	uint8_t prefers_ipv6; /* an offer said that the network does (option 108) */
	uint8_t broadcast;    /* the last message was for all to hear */
	uint8_t secret;       /* its id was never broadcast: only the receiver of the message knows it */
	uint8_t reserved[6];
	uint64_t vouched_mac; /* a MAC that was believed for knowing the id; MAC_NONE: none */
};

/*
 * The id of REQUESTs that left, while an answer may still come. It is spent when the guest gives an address back: a late
 * answer could not be told from one to a new REQUEST of the same id. Full: the one whose time is over first goes.
 */
struct request_id4 {
	uint32_t id;
	uint16_t unanswered; /* of them */
	uint8_t to_all;      /* one went to all servers, and more than one may answer */
	uint8_t is_spent;
	uint64_t until_ms; /* 0: free */
};

/* What RESYNC (docs/filter.md) goes by: what became of the leases that the guard has seen. */
struct past {
	struct address ran_out; /* the last lease that ended by the clock or a NAK, if nothing came after it; unset: none */
	uint32_t had_lease;
	uint32_t reserved;
};

/* Questions without an answer: evidence that the machine that was asked is gone. */
struct silence {
	uint64_t since_ms; /* the first question that is unanswered yet */
	uint64_t last_ms;  /* the last question, answered or not; 0: never */
	uint32_t count;    /* of the unanswered ones */
	uint32_t unicasts; /* among them, DHCP */
};

/* A machine whose MACs were learned, since nobody named them: until the lock ends its address comes from them alone. */
struct locked {
	struct address address; /* unset: free */
	struct mac_set macs;    /* the newest last; full: the oldest goes */
	uint64_t until_ms; /* until the leases behind it have run out; never released by the guest or a single frame */
};

/* A router that the guest has asked for, or whose MAC is known. Full: one whose lock is over goes, else none is added. */
struct router4 {
	struct locked lock;
	struct silence asked; /* by ARP */
	uint64_t run_ms; /* when somebody was last suspected of posing as it, and the guard began to ask; 0: never */
	uint32_t rounds; /* that are left of it */
	uint32_t reserved;
};

/* Anchors learned from traffic where neither flags nor platform gave any: docs/filter.md, Trust anchors. */
struct learned {
	struct router4 routers[ROUTERS4_MAX];
	struct locked servers[SERVERS4_MAX]; /* full: the one whose lock ends first goes */
	struct silence asked;                /* the servers, by DHCP */
	uint64_t sought_ms;                  /* when the guard last asked for routers that it does not know */
	uint64_t served[SERVED_MAX]; /* keyed hashes of the client identifiers that had leases; full: the oldest goes */
	uint32_t hears_no_unicast;   /* the server answers broadcasts alone: what it does not get proves nothing */
	uint32_t reserved;
};

struct state {
	struct binding ipv4[BINDINGS4_MAX];
	struct transaction dhcp4[TRANSACTIONS_MAX];
	struct client_id client_ids[CLIENT_IDS_MAX]; /* each until its lease ends; full: no further one */
	struct request_id4 request_ids[REQUEST_IDS4_MAX];
	struct past past;
	struct learned learned;
	struct state6 ipv6;
	uint64_t hash_key[2]; /* of the client id hash: random at start */
};

/*
 * What the judge looks at beside the frame: what the operator and the platform say, what was learned, and the time. A SUBPROGRAM
 * takes the three one by one: behind a pointer to a struct the verifier would lose the pointers.
 */
struct view {
	const struct config *config;
	const struct state *state;
	uint64_t now_ms;
};

INLINE bool is_live(const struct binding *b, uint64_t now_ms)
{
	return now_ms < b->expires_ms;
}

/* The index of the live binding of this address, or NO_BINDING. */
INLINE uint32_t find_binding_of(const struct state *state, uint64_t high, uint64_t low, uint64_t now_ms)
{
	if (is_given(state))
		for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
			if (is_live(&state->ipv4[i], now_ms) && state->ipv4[i].address.low == low &&
			    state->ipv4[i].address.high == high)
				return i;
	return NO_BINDING;
}

INLINE uint32_t find_binding4(const struct state *state, struct address a, uint64_t now_ms)
{
	return find_binding_of(state, a.high, a.low, now_ms);
}

/* The transaction of a message that the guest sent and that may still be answered, or TRANSACTIONS_MAX. */
SUBPROGRAM uint32_t find_transaction4(const struct state *state, uint32_t transaction_id, uint64_t now_ms)
{
	if (is_given(state))
		for (uint32_t i = 0; i < TRANSACTIONS_MAX; i++)
			if (now_ms < state->dhcp4[i].deadline_ms && state->dhcp4[i].id == transaction_id)
				return i;
	return TRANSACTIONS_MAX;
}

INLINE bool owns_address4(const struct state *state, struct address a, uint64_t now_ms)
{
	return find_binding4(state, a, now_ms) != NO_BINDING;
}

SUBPROGRAM bool has_lease4(const struct state *state, uint64_t now_ms)
{
	if (is_given(state))
		for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
			if (is_live(&state->ipv4[i], now_ms))
				return true;
	return false;
}
