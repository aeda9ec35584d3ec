/* What the guard has learned of its guest's IPv6. All tables are fixed; each says what happens when it is full. */
#pragma once
#include "core/wire/address.h"

#define NEVER_EXPIRES UINT64_MAX

enum {
	BINDINGS6_MAX = 64,
	PREFIXES_MAX = 8,
	ROUTERS6_MAX = 4,
	RESOLVERS6_MAX = 8,
	TRANSLATORS_MAX = 2,
	NEIGHBOR_CLAIMS_MAX = 16,
	LOST_MAX = 8,
	TRANSACTIONS6_MAX = 4,
	IDENTITIES_MAX = 8,
	CLIENT_IDS_MAX = 32,
	REQUEST_IDS_MAX = 32,
	LEASES6_MAX = 4,
	DELEGATIONS_MAX = 2,
	WANTED6_MAX = LEASES6_MAX + DELEGATIONS_MAX
};

enum origin6 {
	ORIGIN_LINK_LOCAL, /* claimed by duplicate address detection (DAD, RFC 4862 5.4) in fe80::/64 */
	ORIGIN_SLAAC,      /* the same in a prefix that a trusted router announced for it */
	ORIGIN_DHCP,
	ORIGIN_STATIC /* --vm-ip, --shared-ip */
};

/*
 * An address that the guest holds while now_ms < expires_ms, and may send data from when now_ms >= valid_ms, too. Full: an
 * expired entry goes, then the SLAAC one that was used least recently if it is a minute old, but never the oldest of a
 * prefix: temporary addresses come and go (RFC 8981), a stable one may be silent for weeks. Else the claim is refused.
 */
struct binding6 {
	struct address address;
	uint64_t since_ms;
	uint64_t valid_ms;     /* until then tentative: DAD is going on */
	uint64_t conflict_ms;  /* until then the guest listens for others that hold the address, so their claims pass */
	uint64_t expires_ms;   /* 0: free. SLAAC: when the prefix does */
	uint64_t used_ms;      /* last frame from it, to the second */
	uint64_t client_id;    /* ORIGIN_DHCP: keyed hash of the DUID */
	uint64_t identity;     /* ORIGIN_DHCP: keyed hash of DUID, kind of IA and IAID */
	struct address server; /* ORIGIN_DHCP: who leased it */
	uint32_t origin;       /* enum origin6 */
	uint32_t reserved;
};

/* Prefix Information of a trusted router (RFC 4861 4.6.2). Full: the one nearest to its end goes if it is over. */
struct prefix6 {
	struct address prefix;
	uint64_t expires_ms; /* 0: free */
	uint32_t length;     /* 0..128 */
	uint8_t autonomous, on_link;
	uint8_t is_static; /* of a --vm-ip: no router has a say in it */
	uint8_t reserved;
};

/*
 * A router that advertised itself and was trusted. Without anchors the first one is the only one (docs/filter.md) until
 * locked_ms has passed, and its MACs the only ones that its address may come from; unless another claims its place, the
 * guard asks for it, and it does not answer.
 */
struct router6 {
	struct address address; /* link-local */
	struct mac_set macs;    /* those of its first advertisement: the frame's, and that of the option (VRRP) */
	uint64_t expires_ms;    /* as a next hop */
	uint64_t locked_ms;     /* 0: free */
	uint64_t doubt_ms;      /* when the guard last began to ask for it; 0: never */
	uint64_t asked_ms;      /* the last question */
	uint32_t questions;     /* that it has not answered */
	uint32_t reserved;
};

/* As many questions, a second apart, and a second behind the last: it is silent. */
enum { ROUTER_SILENT = 4, ROUTER_ANSWER_MS = 1000, DOUBT_AGAIN_MS = 10000 };

struct resolver6 {
	struct address address;
	uint64_t expires_ms; /* 0: free */
};

struct translator {
	struct nat64_prefix nat64;
	uint64_t expires_ms; /* 0: free */
};

/* A DHCPv6 message the guest sent and may get an answer to. Full: the entry nearest to its deadline goes. */
struct transaction6 {
	uint64_t client_id;    /* keyed hash of the DUID; 0: the message had none */
	uint64_t requested_ms; /* first message of this id: a lease counts from here */
	uint64_t deadline_ms;  /* 0: free */
	uint32_t id;           /* 24 bits */
	uint8_t kind;          /* message type, RFC 8415 7.3 */
	uint8_t rapid_commit;
	uint8_t done; /* answered; kept for a while so that duplicates of the Reply pass */
	uint8_t identity_count;
	uint64_t identities[IDENTITIES_MAX]; /* of its IAs: keyed hashes of DUID, kind and IAID */
};

/*
 * What a server may have leased to the guest: an address or a prefix of an IA. It counts from the question on, as the lease
 * does, whether the answer is seen or not. LEASES6_MAX addresses and DELEGATIONS_MAX prefixes. Full: the one that was used
 * least recently gives its place, at a low rate; else the question is dropped.
 */
struct wanted6 {
	uint64_t identity;
	struct address address; /* unset: whatever the server chooses */
	uint64_t since_ms, used_ms;
	uint64_t until_ms; /* 0: free */
	uint32_t message;  /* type and id of the first message that asked, or of the one that gave it back */
	uint8_t length;    /* of the prefix; 128: an address */
	uint8_t is_prefix;
	uint8_t is_leased; /* a Reply said so */
	uint8_t is_mixed;  /* another message asked, too: no single answer tells what became of it */
	uint8_t is_given_back;
	uint8_t messages; /* how many asked, up to 255 */
	uint8_t reserved[2];
};

struct client_id {
	uint64_t hash;
	uint64_t until_ms; /* 0: free */
};

/*
 * The id of a request that left. It is spent when the guest gives an address back: an answer that is still on its way
 * could not be told from one to a later request of the same id. Full: the oldest goes; the rate of DHCP sees to it that
 * this takes longer than an answer.
 */
struct request_id {
	uint32_t id;
	uint32_t spent;
	uint64_t until_ms; /* 0: free */
};

/* An address of which something is known for a while. Full: the one nearest to its end goes. */
struct known6 {
	struct address address;
	uint64_t until_ms; /* 0: free */
};

/* When the guard last asked for a router in the guest's name, and how often since one was heard. */
struct router_question {
	uint64_t asked_ms;  /* 0: never */
	uint64_t sought_ms; /* when a packet last found no next hop, since none is known; 0: never */
	uint32_t count, reserved;
};

/* The DHCPv6 server of the first Reply that completed an exchange, where nothing names one. */
struct learned_server6 {
	struct address address;
	uint64_t mac;
	uint64_t until_ms;  /* the lock holds until the leases behind it have run out, or it is silent */
	uint64_t asked_ms;  /* the first question that it has not answered */
	uint32_t questions; /* how many */
	uint32_t reserved;
};

/* Where a server said that it may be written to (RFC 8415 21.12), while its lease runs. */
struct unicast_server6 {
	struct address address;
	uint64_t mac;
	uint64_t until_ms; /* 0: nowhere */
};

/* RFC 8415 15: a client repeats a Solicit after about 1, 2 and 4 s, a Rebind after 10 s. */
enum { SERVER_SILENT = 2, SERVER_SILENT_MS = 4000 };

struct state6 {
	struct binding6 bindings[BINDINGS6_MAX];
	uint32_t bindings_end; /* all behind it are free: most guests have a handful, and each frame is looked up */
	uint32_t reserved;
	struct prefix6 prefixes[PREFIXES_MAX];
	struct router6 routers[ROUTERS6_MAX];
	struct resolver6 resolvers[RESOLVERS6_MAX];
	struct translator translators[TRANSLATORS_MAX];
	struct transaction6 transactions[TRANSACTIONS6_MAX];
	struct client_id client_ids[CLIENT_IDS_MAX];
	struct wanted6 wanted[WANTED6_MAX];
	struct request_id request_ids[REQUEST_IDS_MAX];
	struct learned_server6 server;
	struct unicast_server6 unicast;
	struct router_question router_question;
	struct known6 claims[NEIGHBOR_CLAIMS_MAX]; /* a neighbor did DAD for it a moment ago */
	struct known6 lost[LOST_MAX];              /* it was taken from the guest: using it brings it not back */
};

enum binding_status { STATUS_FOREIGN, STATUS_TENTATIVE, STATUS_VALID };

INLINE enum binding_status status_of(const struct binding6 *b, uint64_t now_ms)
{
	if (now_ms >= b->expires_ms)
		return STATUS_FOREIGN;
	return now_ms < b->valid_ms ? STATUS_TENTATIVE : STATUS_VALID;
}

/* The index of the live binding of the address, tentative ones included; BINDINGS6_MAX: none. */
SUBPROGRAM uint32_t find_binding_of6(const struct state6 *state, uint64_t high, uint64_t low, uint64_t now_ms)
{
	if (is_given(state))
		for (uint32_t i = 0; i < BINDINGS6_MAX && i < state->bindings_end; i++)
			if (now_ms < state->bindings[i].expires_ms && state->bindings[i].address.low == low &&
			    state->bindings[i].address.high == high)
				return i;
	return BINDINGS6_MAX;
}

INLINE bool is_known6(const struct known6 *list, uint32_t count, uint64_t high, uint64_t low, uint64_t now_ms)
{
	for (uint32_t i = 0; i < count; i++)
		if (now_ms < list[i].until_ms && list[i].address.low == low && list[i].address.high == high)
			return true;
	return false;
}

/* Else a guest could answer a neighbor's DAD with its own, and get the address that the neighbor then gives up. */
SUBPROGRAM bool is_wanted_by_neighbor(const struct state6 *state, uint64_t high, uint64_t low, uint64_t now_ms)
{
	return is_given(state) && is_known6(state->claims, NEIGHBOR_CLAIMS_MAX, high, low, now_ms);
}

/* It was the guest's, and its lease is over, or another machine has it. */
SUBPROGRAM bool is_lost6(const struct state6 *state, uint64_t high, uint64_t low, uint64_t now_ms)
{
	return is_given(state) && is_known6(state->lost, LOST_MAX, high, low, now_ms);
}

/* The guest sent a DHCPv6 message with this transaction id that may still be answered. */
SUBPROGRAM bool awaits_answer6(const struct state6 *state, uint32_t transaction_id, uint64_t now_ms)
{
	if (is_given(state))
		for (uint32_t i = 0; i < TRANSACTIONS6_MAX; i++)
			if (now_ms < state->transactions[i].deadline_ms && state->transactions[i].id == transaction_id)
				return true;
	return false;
}
