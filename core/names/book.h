/*
 * What the guest has asked for and been told: questions that wait for an answer, names that stand for others, and the
 * addresses of names. Fixed tables; each says what happens when it is full.
 */
#pragma once
#include "core/wire/address.h"
#include "core/names/rules.h"

enum {
	QUESTIONS_MAX = 256, /* full: the oldest goes; it teaches nothing any more */
	QUESTION_LIFE_MS = 10000,
	ALIASES_MAX = 256, /* full: the one that ends first goes; it may not be asked for any more */
	BOUND_MAX = 4096,  /* addresses of patterns; full: see bind_address() */
	BOUND_HEADS = 4096,
	PATTERN_ADDRESSES_MAX = 1024, /* of one pattern */
	BOUND_RESERVE_MS = 60000,     /* after its last flow a binding is kept so long */
	SWEEP_INTERVAL_MS = 1000,
};

struct question {
	struct address guest, resolver;
	uint64_t until_ms; /* 0: free */
	uint64_t name_hash;
	uint16_t guest_port, id, type;
	uint16_t pattern;
	uint8_t protocol, reserved[7];
};

struct alias_name {
	uint64_t name_hash;
	uint64_t until_ms;
	uint16_t pattern; /* of the name that it stands for */
	uint8_t reserved[6];
};

/* Names of the pattern have the address. */
struct bound {
	struct address address;
	uint64_t until_ms; /* 0: free */
	uint16_t pattern;
	uint16_t flows; /* that began by it and are alive */
	uint16_t next;  /* in its chain, or in the list of free ones: entry + 1; 0: the end */
	uint8_t reserved[2];
};

/* All zero except the key. The key is random, so that nobody can aim at a chain. */
struct name_book {
	uint64_t hash_key[2];
	struct question questions[QUESTIONS_MAX];
	struct alias_name aliases[ALIASES_MAX];
	uint64_t swept_ms;    /* when what had run out was last looked for */
	uint32_t bound_count; /* alive, or not looked at since */
	uint16_t bound_used;  /* entries behind have never been used */
	uint16_t bound_free;
	uint16_t head[BOUND_HEADS];
	uint16_t of_pattern[NAME_PATTERNS_MAX]; /* how many addresses each has */
	struct bound bound[BOUND_MAX];
};

uint64_t hash_name(const struct name_book *, const struct name *);

/* `q` says all but until_ms. The same question again is the same entry. */
void remember_question(struct name_book *, const struct question *q, uint64_t now_ms);

/* The pattern that was asked for by a question of all these fields, or NO_PATTERN. */
uint16_t find_question(const struct name_book *, const struct question *q, uint64_t now_ms);

void remember_alias(struct name_book *, uint64_t name_hash, uint16_t pattern, uint64_t until_ms, uint64_t now_ms);
uint16_t find_alias(const struct name_book *, uint64_t name_hash, uint64_t now_ms);

/*
 * The address is one of the pattern's until then, at least. False: no room, for all or for this pattern. What has run out
 * and has no flow makes room; what lives does not.
 */
bool bind_address(struct name_book *, struct address, uint16_t pattern, uint64_t until_ms, uint64_t now_ms);

/*
 * The live entries of an address, one after the other; `after` 0 gives the first. 0: no more. An entry lives until its time, and
 * as long as it has flows.
 */
uint32_t next_bound(const struct name_book *, struct address, uint32_t after, uint64_t now_ms);
INLINE struct bound *bound_at(struct name_book *book, uint32_t entry)
{
	return &book->bound[entry - 1];
}

/* A flow has begun by it, or has ended. */
void hold_bound(struct bound *);
void release_bound(struct bound *, uint64_t now_ms);

/* Other rules: patterns become what covers them in the new ones; what nothing covers any more is forgotten. */
void follow_rules(struct name_book *, const struct name_rules *before, const struct name_rules *after);
