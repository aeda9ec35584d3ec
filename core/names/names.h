/*
 * Names decide: docs/names.md. Which questions may be asked, which answers are believed, and which host the first octets
 * of a flow name. The clock is a parameter; what is not pure, the cryptography of QUIC, is brought by the caller.
 */
#pragma once
#include "core/judge/config.h"
#include "core/judge/state.h"
#include "core/names/book.h"
#include "core/names/read/dns.h"
#include "core/names/flows.h"
#include "core/names/hold.h"
#include "core/names/read/quic.h"

enum {
	NAMES_HOLDING_MAX = 256,  /* flows whose frames wait; one more ends the oldest */
	NAMES_HELD_MAX = 32,      /* frames kept of one flow */
	NAMES_EARLY_MAX = 65536,  /* octets before the server has answered: RFC 8446 4.2.10 */
	NAMES_DATAGRAMS_MAX = 4,  /* of a hello in QUIC */
	NAMES_HELLOS_MAX = 2,     /* RFC 8446 4.1.4: a server asks again once */
	NAMES_IDS_MAX = 512,      /* hellos of QUIC that may be on their way; full: the next one waits for room */
	NAMES_ID_LIFE_MS = 30000, /* no server waits longer for the rest of a hello */
	DNS_MESSAGE_MAX = 16384   /* of TCP; in UDP what a frame holds */
};

/* How long an address is a name's, whatever its time to live says. */
enum { NAME_TTL_FLOOR_MS = 300000, NAME_TTL_CEILING_MS = 86400000 };

/* The bounds of a time to live; --ech, --dns-questions. */
struct name_settings {
	uint64_t ttl_floor_ms, ttl_ceiling_ms;
	bool ech_passes, any_question;
};

/* A hello of QUIC that has passed: its octets may not come as others from another port. */
struct name_id {
	uint64_t id_hash, hello_hash, until_ms; /* 0: free */
};

/* Addresses that were called and have no name, as far as DNS has said: what learning keeps of them. */
enum { LEARNED_ADDRESSES_MAX = 1024 }; /* full: no further one is told */

struct learned_address {
	struct address address;
	uint16_t port;
	uint8_t protocol, reserved[5];
};

enum name_event_kind {
	NAME_ASKED_FOR, /* learning: the guest has asked DNS for it */
	NAME_LEARNED,   /* an address was bound */
	NAME_SEEN,      /* a flow was named, or learning: begins by the address alone */
	NAME_REFUSED,   /* `verdict` says why */
	NAMES_ARE_FULL
};

/* Valid during the call only. */
struct name_event {
	enum name_event_kind kind;
	const struct name *name; /* NULL: none was shown */
	struct address peer;
	uint16_t port, pattern;
	uint8_t naming;           /* enum naming */
	uint8_t protocol;         /* of the flow; 0: it is about DNS */
	uint8_t verdict;          /* learning: NAME_SEEN by what rules for the name would not let pass */
	bool is_learned;          /* told once, and never again */
	const struct name *shown; /* learning: what the flow has shown, where that is no name of its address; NULL: nothing */
};

/* Octets of a stream, put together for a reader. */
enum { NAMES_STREAM_MAX = HELLO_MAX + 65536 };

struct names {
	/* To be set by the caller; the rest zeroed. */
	const struct config *config;
	const struct state *state;
	const struct name_rules *rules; /* NULL: none, and nothing here is asked */
	/* Not NULL: nothing is refused, and what the guest asks for and reaches is noted there: learn.c. */
	struct name_rules *learned;
	struct name_settings settings;
	quic_opener *open_initial;                               /* NULL: QUIC cannot be read, and no rule may say so */
	void (*event)(void *context, const struct name_event *); /* may be NULL */
	void *context;

	struct name_book book;
	struct name_flows flows;
	struct hold hold;
	struct name_id ids[NAMES_IDS_MAX];
	uint64_t octets[NAME_PATTERNS_MAX];        /* that the guest has sent by each */
	uint64_t octets_before[NAME_PATTERNS_MAX]; /* room, while rules change */
	uint64_t asked_ms[NAME_PATTERNS_MAX];      /* learning: when each was asked for last */
	uint32_t learned_count;
	struct learned_address learned_addresses[LEARNED_ADDRESSES_MAX];

	/* Rooms to read in. */
	struct hello_room hello_room;
	struct crypto_stream crypto;
	struct dns_answer answer;
	uint8_t stream[NAMES_STREAM_MAX];
	uint8_t plain[65536];
};

/* hash_key: random. */
void start_names(struct names *, const uint64_t hash_key[2]);

/*
 * A frame of the guest. judged: what the judge and the flows say, PASS or the drop that names may lift. PASS, a drop, or
 * HELD: then the frame leaves by take_from_hold() or later. Frames that left the hold by this decision are to be taken
 * from it before the next one.
 */
enum verdict names_from_guest(struct names *, const struct frame *, enum verdict judged, uint64_t now_ms);
/* A frame to the guest that passes so far. */
enum verdict names_to_guest(struct names *, const struct frame *, uint64_t now_ms);

/* Ends what has waited too long. Gives when that is to be done again, or NEVER_EXPIRES. */
uint64_t expire_names(struct names *, uint64_t now_ms);

/* What is known by the end: flows in which nobody has said anything yet. */
void finish_learning(struct names *, uint64_t now_ms);

/* What the patterns in the tables are of; NULL: nothing. */
INLINE const struct name_rules *patterns_of(const struct names *names)
{
	return names->learned ? names->learned : names->rules;
}

/* The next frame that is to leave; false: none. */
bool take_from_hold(struct names *, struct frame *, enum verdict *);

/* What was learned before a restart. Nothing happens where the rules do not cover all of the pattern any more. */
void restore_address(struct names *, struct address, const struct name_pattern *, uint64_t until_ms, uint64_t now_ms);

/* Other rules are in force; `rules` NULL: none with names. What they do not allow any more ends. */
void change_name_rules(struct names *, const struct name_rules *rules, uint64_t now_ms);
