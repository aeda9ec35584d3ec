/*
 * Rules that name hosts, compiled: docs/names.md. A pattern is a name, or all names below one; it has uses: how a host
 * that it covers may be talked to. A name has one pattern, the narrowest that covers it, and with it the uses of every
 * wider one, which are its parents: allow is the only word, so all of them count.
 */
#pragma once
#include "core/policy/policy.h"
#include "core/names/read/name.h"

enum {
	NAME_PATTERNS_MAX = RULES_MAX,
	NAME_USES_MAX = 2 * RULES_MAX, /* a bare name is two: TLS and QUIC */
	NAME_SLOTS = 16384,            /* of the hash table: a quarter is used at most */
	NAME_LABELS_MAX = 127,         /* so many names there are above one */
};
#define NO_PATTERN 0xffff

/* How the client shows the name. NAMED_IN_DNS is no rule's: it is how a connection to a resolver is read. */
enum naming { NAMED_IN_TLS, NAMED_IN_QUIC, NAMED_IN_HTTP, NAMED_BY_ADDRESS, NAMED_IN_DNS };

/* Bits of a set of ways. */
#define BY(naming) (1u << (naming))

struct name_use {
	uint8_t naming, protocol; /* PROTOCOL_TCP or PROTOCOL_UDP */
	uint16_t first_port, last_port;
	uint16_t origin; /* the caller's number of the rule */
	uint16_t next;   /* of the same pattern, or NO_PATTERN */
};

struct name_pattern {
	struct name name;
	uint8_t is_zone; /* what is below the name, never itself */
	uint16_t parent; /* the next wider pattern, or NO_PATTERN */
	uint16_t first_use;
};

/* Zero it, or clear_name_rules(): it is large. */
struct name_rules {
	uint32_t pattern_count, use_count;
	uint16_t slot[NAME_SLOTS]; /* pattern + 1; 0: free */
	struct name_pattern pattern[NAME_PATTERNS_MAX];
	struct name_use use[NAME_USES_MAX];
};

void clear_name_rules(struct name_rules *);

/* The pattern of this name, which is made where there is none; NO_PATTERN: no room. */
uint16_t add_name_pattern(struct name_rules *, const struct name *, bool is_zone);

/* False: no room. */
bool add_name_use(struct name_rules *, const struct name *, bool is_zone, const struct name_use *);

/* To be called when all are added. */
void link_patterns(struct name_rules *);

/* The narrowest pattern that covers the name, or NO_PATTERN. */
uint16_t find_pattern(const struct name_rules *, const struct name *);

/* The narrowest pattern of `rules` that covers all that the pattern does. */
uint16_t find_covering(const struct name_rules *rules, const struct name_pattern *);

/* A use of the pattern or of its parents that opens the port in this way, or NULL. */
const struct name_use *find_name_use(const struct name_rules *, uint16_t pattern, uint8_t naming, uint8_t protocol,
				     uint16_t port);

/* The ways, as bits, in which the rules of a pattern and of its parents open a port. */
uint32_t ways_to(const struct name_rules *, uint16_t pattern, uint8_t protocol, uint16_t port);

/*
 * A host that shows a name of the pattern `shown`, at an address that names of the pattern `bound` have: the pattern whose
 * rule opens the port to both, or NO_PATTERN.
 */
uint16_t common_pattern(const struct name_rules *, uint16_t shown, uint16_t bound, uint8_t naming, uint8_t protocol,
			uint16_t port);
