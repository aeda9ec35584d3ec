/*
 * Who opened what, docs/policy.md: a fixed table of flows, and of datagrams whose first fragment has passed. A flow gives a right
 * only to the side that answers. The judge says what a frame would be, settle.h asks and tells this.
 */
#pragma once
#include "core/policy/policy.h"
#include "core/wire/verdict.h"

/*        NAME         name           idle timeout, ms */
// clang-format off
#define FLOW_CLASSES(X) \
	X(HALF_OPEN,   "half-open",   60000)   /* not answered; TCP until the opener has spoken after the answer */ \
	X(CLOSING,     "closing",     120000)  /* TCP: FIN from both sides, or RST */ \
	X(DATAGRAM,    "datagram",    300000)  /* answered, not TCP; RFC 4787 REQ-5 */ \
	X(ESTABLISHED, "established", 7440000) /* TCP; RFC 5382 REQ-5: 2 hours 4 minutes */
// clang-format on

enum flow_class {
#define X(name, text, timeout_ms) FLOW_##name,
	FLOW_CLASSES(X)
#undef X
	    FLOW_CLASSES_END
};

enum { FLOWS_MAX = 32768, FLOW_HEADS = 32768, DATAGRAMS_MAX = 64, DATAGRAM_LIFE_MS = 60000 };

/* Established flows that the network has opened: it must not use up the table, or the guest could open nothing any more. */
enum { CALLERS_MAX = FLOWS_MAX / 2 };

/* Addresses of both families. */
struct flow_key {
	struct address guest, peer;
	uint16_t guest_port, peer_port; /* ICMP echo: the identifier, and who asks */
	uint8_t protocol, reserved[3];
};

enum segment_flags { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

enum packet_kind {
	PACKET_OF_FLOW,     /* its key is that of a flow */
	PACKET_OF_ERROR,    /* ICMP error; the key is that of the packet it quotes */
	PACKET_WITHOUT_FLOW /* ICMP that is neither echo nor error: rules alone decide */
};

struct packet_facts {
	struct flow_key key;
	struct address datagram[2]; /* source and destination, of a fragment */
	uint32_t datagram_id;       /* of a fragment: RFC 8200 4.5; in IPv4 with the protocol above it (RFC 791 3.2) */
	uint8_t kind;               /* enum packet_kind */
	uint8_t tcp_flags;          /* enum segment_flags */
	bool quotes_receiver;       /* an error: it quotes what its receiver has sent, to where the error comes from */
	bool asks;                  /* ICMP echo: a request */
};

struct flow {
	struct flow_key key;
	uint64_t used_ms;
	uint16_t older, newer; /* neighbors in the list of its class */
	uint16_t next;         /* in its hash chain, or in the list of free ones */
	uint8_t class;         /* enum flow_class */
	uint8_t inward;        /* who opened: 1 the peer */
	uint8_t answered;
	uint8_t closed; /* bit 0: FIN from the guest, bit 1: from the peer */
	uint8_t reserved[6];
};

/* Of a chain: of another epoch than the table's it is empty, so that all can be forgotten at once. */
struct flow_head {
	uint32_t epoch;
	uint16_t first, reserved;
};

struct datagram {
	struct address source, destination;
	uint64_t until_ms; /* 0: free */
	uint32_t id, reserved;
};

/* All zero, or used before, when clear_flows() makes it anew. */
struct flows {
	uint64_t hash_key[2];
	uint32_t count[FLOW_CLASSES_END];
	uint16_t oldest[FLOW_CLASSES_END], newest[FLOW_CLASSES_END];
	uint32_t callers; /* established flows that the network has opened */
	uint32_t epoch;
	uint16_t free;           /* one that was given back, the first of a list */
	uint16_t fresh;          /* how many were ever taken since all was forgotten */
	uint32_t datagram_place; /* that was taken last */
	struct flow_key last; /* that was looked for, and where its chain begins; a hash costs more than all else here */
	uint32_t last_chain;
	bool has_last;
	struct flow_head head[FLOW_HEADS];
	struct flow flow[FLOWS_MAX];
	struct datagram datagram[2][DATAGRAMS_MAX]; /* per direction: from the guest, to the guest */
};
_Static_assert(sizeof(struct flows) < 4 << 20, "docs/policy.md");

enum { NO_FLOW = 0xffff };

/* Forgets everything. Gives the new epoch. (A function of the kernel's programs must give something.) */
WHOLE uint32_t empty_flows(struct flows *);

/* The same, and hashes by another key from now on: random, so that nobody can aim at a chain. */
INLINE void clear_flows(struct flows *flows, const uint64_t hash_key[2])
{
	flows->hash_key[0] = hash_key[0];
	flows->hash_key[1] = hash_key[1];
	empty_flows(flows);
}

/* True when the packet is an answer in a live flow, or an error about one; refreshes it. */
WHOLE bool is_answer(struct flows *, const struct packet_facts *, bool to_guest, uint64_t now_ms);
/* Its sender may open: makes, refreshes or turns round the flow. False: no room. */
WHOLE bool open_flow(struct flows *, const struct packet_facts *, bool to_guest, uint64_t now_ms);

/* A first fragment has passed: gives its place / may a later one follow it? */
WHOLE uint32_t remember_datagram(struct flows *, const struct packet_facts *, bool to_guest, uint64_t now_ms);
WHOLE bool is_known_datagram(const struct flows *, const struct packet_facts *, bool to_guest, uint64_t now_ms);
