/*
 * What the operator's rules say of a peer. Rules are compiled once: every prefix is a node, every node holds the rules of
 * its prefix as one sorted list of segments, and all prefixes together with the table of special-purpose addresses
 * (special.h) make one sorted list of intervals of addresses. A lookup finds the interval, then the segment in each prefix
 * from the longest on until a rule decides. Both are found by a directory: thousands of rules cost hardly more than one.
 */
#pragma once
#include "core/policy/directory.h"

enum {
	RULES_MAX = 4096,                                          /* as written */
	RULE_PREFIXES_MAX = 2 * RULES_MAX,                         /* what they stand for: "any" is two, "@lan" seven */
	SPECIAL_MAX = 64,                                          /* special.h */
	INTERVALS_MAX = 2 * (RULE_PREFIXES_MAX + SPECIAL_MAX) + 2, /* each prefix starts one interval and ends one */
	LOOKUP_STEPS = 16,                    /* 2^15 > INTERVALS_MAX, and one to find that nothing is left */
	SEGMENTS_MAX = 9 * RULE_PREFIXES_MAX, /* a rule starts and ends at most four; one more starts the node */
	SEGMENT_STEPS = 18,                   /* 2^17 > SEGMENTS_MAX */
	PREFIX_CHAIN_MAX = 130                /* prefixes of all lengths around one address */
};

/* What a destination is by itself, or what a rule makes of it. */
enum destination_class {
	CLASS_NONE, /* no rule is about it */
	CLASS_ALLOWED,
	CLASS_BLOCKED,
	CLASS_UNCERTAIN, /* rules differ by ports, and the ports are not known */
	CLASS_NEVER,     /* not on any wire, whatever the rules say */
	CLASS_GLOBAL,
	CLASS_PRIVATE, /* link-local included */
	CLASS_GROUP,   /* multicast of any scope */
	CLASS_BROADCAST
};

/* Targets that are no prefix: sets that change while the guard runs, and the global addresses. */
enum alias { ALIAS_NONE, ALIAS_HOST, ALIAS_GATEWAY, ALIAS_DNS, ALIAS_GLOBAL, ALIASES };

enum { OUTWARD = 1, INWARD = 2 }; /* directions that a rule is about, as bits: who opens is the guest, the network */

/* PROTOCOL_ICMP means ICMP and ICMPv6. Ports without a protocol are those of TCP and UDP. */
struct qualifier {
	uint8_t has_protocol, protocol;
	uint8_t has_ports, reserved;
	uint16_t first_port, last_port;
};

/* A rule as compile_policy() takes it. prefix_length counts in 128 bits: an IPv4 /n is 96 + n. Host bits are ignored. */
struct rule {
	struct address address;
	uint8_t prefix_length;
	uint8_t class;      /* CLASS_ALLOWED or CLASS_BLOCKED */
	uint8_t alias;      /* enum alias; address and prefix_length count with ALIAS_NONE only */
	uint8_t directions; /* OUTWARD, INWARD or both */
	struct qualifier only;
	uint16_t origin; /* the caller's number of it: given back to callers that ask which rule decided */
	uint16_t reserved[3];
};

/*
 * What a rule may tell apart at one prefix: the direction, the protocol, the port, in one number. Protocols without
 * ports have port 0.
 */
#define KEY_INWARD   (1u << 24)
#define KEY_PROTOCOL 16
#define KEYS_END     (1u << 25)

/* From first_key to the next segment's first_key, exclusive. */
struct segment {
	uint32_t first_key;
	uint32_t breadth; /* keys that the rule covers in a direction: less is narrower */
	uint16_t origin;
	uint8_t class; /* CLASS_NONE, CLASS_ALLOWED or CLASS_BLOCKED */
	uint8_t reserved;
};

#define NO_NODE 0xffffu

/* One prefix, or one alias. Its first segment starts at key 0. Where there are two of something, the first is outward. */
struct node {
	uint32_t segment, segments;
	uint16_t parent;    /* the next shorter prefix around it that has rules, of the same family; or NO_NODE */
	uint16_t branch;    /* of the directory, over its segments; 0: they are few */
	uint16_t origin[2]; /* of directions that are in `wholly` */
	uint8_t class[2];
	uint8_t prefix_length;
	uint8_t allows; /* directions in which some rule allows something */
	uint8_t covers; /* directions in which no key is left to shorter prefixes */
	uint8_t wholly; /* directions in which all keys fare alike */
	uint8_t reserved[2];
};

/* From its start to that of the next one, exclusive. */
struct interval {
	uint16_t node;   /* of the longest prefix, or NO_NODE */
	uint8_t special; /* class by special.h */
	uint8_t reserved;
};

struct policy {
	uint32_t interval_count, node_count, segment_count;
	uint32_t alias[ALIASES]; /* nodes, or NO_NODE; a rule on one counts as a rule for each of its hosts */
	uint32_t root, root4;    /* branches over all intervals, and over those of IPv4 */
	uint32_t reserved;
	struct interval interval[INTERVALS_MAX];
	uint64_t start_high[INTERVALS_MAX], start_low[INTERVALS_MAX]; /* apart, as those of IPv4 need one of them only */
	struct node node[RULE_PREFIXES_MAX + ALIASES];
	struct segment segment[SEGMENTS_MAX];
	struct directory directory;
};

/*
 * Fills the policy from the rules; sorts `rule` in place. False, with the policy as it was: more rules than RULE_PREFIXES_MAX.
 * Takes some milliseconds for thousands of rules.
 */
bool compile_policy(struct policy *policy, struct rule *rule, uint32_t count);

/* A part of it: policy.c has made all else. */
void build_directory(struct policy *policy);

/* What is in use, so that a policy of a few rules costs a few pages. */
void copy_policy(struct policy *to, const struct policy *from);

/* One way of contact between the guest and a peer: who is called, by whom, on which port. */
struct contact {
	struct address peer;
	uint8_t inward; /* the peer calls the guest */
	uint8_t protocol;
	uint8_t ports; /* enum port_knowledge */
	uint8_t reserved;
	uint16_t source_port; /* of the caller */
	uint16_t port;        /* that is called; 0 in protocols without ports */
};

enum port_knowledge {
	PORTS_KNOWN,
	PORTS_UNKNOWN, /* a later fragment */
	PORTS_ANY      /* could any protocol and port be had? */
};

/* Which of the rules decides, or that none does. */
struct ruling {
	uint8_t class;         /* CLASS_NONE, CLASS_ALLOWED, CLASS_BLOCKED or CLASS_UNCERTAIN */
	uint8_t prefix_length; /* of the rule, where one decides */
	uint8_t special;       /* what the address is by itself */
	uint16_t origin;
};

INLINE uint32_t key_of(const struct contact *c)
{
	return (c->inward ? KEY_INWARD : 0) | (uint32_t)c->protocol << KEY_PROTOCOL | c->port;
}

/* All bits where a < b, else none: without a branch, for half of them would be guessed wrong, and the verifier follows both ways. */
INLINE uint64_t mask_if_below(uint64_t a, uint64_t b)
{
	hide_from_optimizer(a);
	return 0 - (((~a & b) | ((~a | b) & (a - b))) >> 63);
}

/* A step of a search by halves: what is looked for is before `middle` (all bits), or it or behind it (none). */
INLINE struct key_range halve(struct key_range range, uint32_t middle, uint64_t is_before)
{
	uint32_t before = (uint32_t)is_before;
	return (struct key_range){ (range.first & before) | ((middle + 1) & ~before),
				   (middle & before) | (range.end & ~before) };
}

/* The last interval of the range that does not start behind the address. */
INLINE uint32_t find_start(const struct policy *policy, struct key_range range, struct address a, bool is_long)
{
	for (int i = 0; i < LOOKUP_STEPS && range.first < range.end; i++) {
		uint32_t middle = range.first + (range.end - range.first) / 2;
		limit_for_verifier(middle, INTERVALS_MAX);
		if (middle >= INTERVALS_MAX)
			break;
		uint64_t is_before = mask_if_below(a.low, policy->start_low[middle]);
		if (is_long) {
			uint64_t high = policy->start_high[middle];
			is_before &= ~mask_if_below(high, a.high);
			is_before |= mask_if_below(a.high, high);
		}
		range = halve(range, middle, is_before);
	}
	return range.first > 0 ? range.first - 1 : 0; /* the first one starts at :: */
}

/* Two functions, for the stack of the kernel's programs. */
SUBPROGRAM uint32_t find_interval4(const struct policy *policy, uint64_t address_low)
{
	struct address a = { 0, address_low };
	if (!is_given(policy))
		return INTERVALS_MAX;
	return find_start(policy, narrow(&policy->directory, policy->root4, a, false), a, false);
}

SUBPROGRAM uint32_t find_interval6(const struct policy *policy, uint64_t address_high, uint64_t address_low)
{
	struct address a = { address_high, address_low };
	if (!is_given(policy))
		return INTERVALS_MAX;
	return find_start(policy, narrow(&policy->directory, policy->root, a, true), a, true);
}

/* The index of the interval that holds the address. */
INLINE uint32_t find_interval(const struct policy *policy, uint64_t address_high, uint64_t address_low)
{
	struct address a = { address_high, address_low };
	return is_ipv4(a) ? find_interval4(policy, a.low) : find_interval6(policy, a.high, a.low);
}

INLINE struct key_range segments_of(const struct node *node)
{
	return (struct key_range){ node->segment, node->segment + node->segments };
}

/* The index of the node's segment that holds the key. Its first one starts at key 0. */
INLINE uint32_t find_segment(const struct policy *policy, const struct node *node, uint32_t key)
{
	struct key_range s = segments_of(node);
	if (node->branch != 0)
		s = narrow(&policy->directory, node->branch, (struct address){ 0, key }, false);
	for (int i = 0; i < SEGMENT_STEPS && s.first < s.end; i++) {
		uint32_t middle = s.first + (s.end - s.first) / 2;
		limit_for_verifier(middle, SEGMENTS_MAX);
		if (middle >= SEGMENTS_MAX)
			break;
		s = halve(s, middle, mask_if_below(key, policy->segment[middle].first_key));
	}
	return s.first > 0 ? s.first - 1 : 0;
}

/*
 * What one node says, as a number: class in the lowest octet, origin in the next two, breadth above. Smaller breadth
 * comes first, then block before allow.
 */
#define OPINION_NONE ((uint64_t)UINT32_MAX << 32)

INLINE uint64_t opinion(uint8_t class, uint16_t origin, uint32_t breadth)
{
	return class == CLASS_NONE ? OPINION_NONE : (uint64_t)breadth << 32 | (uint32_t)origin << 8 | class;
}

SUBPROGRAM uint64_t opinion_of(const struct policy *policy, uint32_t index, const struct contact *c)
{
	if (!is_given(policy) || !is_given(c) || index >= RULE_PREFIXES_MAX + ALIASES)
		return OPINION_NONE;
	const struct node *node = &policy->node[index];
	uint8_t direction = c->inward ? INWARD : OUTWARD;
	if (c->ports == PORTS_ANY) {
		if (node->allows & direction)
			return opinion(CLASS_ALLOWED, 0, 0);
		return node->covers & direction ? opinion(CLASS_BLOCKED, 0, 1) : OPINION_NONE;
	}
	uint32_t way = c->inward ? 1 : 0;
	if (node->wholly & direction)
		return opinion(node->class[way], node -> origin[way], KEY_INWARD);
	uint32_t key = key_of(c);
	uint32_t i = find_segment(policy, node, key);
	limit_for_verifier(i, SEGMENTS_MAX - 1);
	if (i >= SEGMENTS_MAX - 1)
		return OPINION_NONE;
	uint32_t next = i + 1 < node->segment + node->segments ? policy->segment[i + 1].first_key : KEYS_END;
	if (c->ports == PORTS_UNKNOWN && next <= (key | 0xffff))
		return opinion(CLASS_UNCERTAIN, 0, 0);
	return opinion(policy->segment[i].class, policy->segment[i].origin, policy->segment[i].breadth);
}

INLINE uint64_t stronger(uint64_t a, uint64_t b)
{
	if (a >> 32 != b >> 32)
		return a >> 32 < b >> 32 ? a : b;
	return (uint8_t)a == CLASS_BLOCKED || (uint8_t)a == CLASS_UNCERTAIN ? a : b;
}

/* Every alias node of the bits in `aliases`; they count as full length. ALIAS_GLOBAL is another matter. */
INLINE uint64_t opinion_of_aliases(const struct policy *policy, uint32_t aliases, const struct contact *c)
{
	uint64_t best = OPINION_NONE;
	for (uint32_t alias = ALIAS_HOST; alias <= ALIAS_DNS; alias++)
		if (aliases >> alias & 1)
			best = stronger(best, opinion_of(policy, policy->alias[alias], c));
	return best;
}

INLINE uint64_t ruling_number(uint64_t said, uint8_t prefix_length, uint32_t special)
{
	return (said & 0xffffff) | (uint64_t)prefix_length << 24 | (uint64_t)special << 32;
}

/*
 * aliases: a bit for each enum alias whose set holds the peer; that of ALIAS_GLOBAL is cleared for addresses that are not
 * global although special.h says so. The result is that of ruling_number().
 */
SUBPROGRAM uint64_t find_ruling(const struct policy *policy, const struct contact *c, uint32_t aliases)
{
	if (!is_given(policy) || !is_given(c))
		return ruling_number(CLASS_BLOCKED, 128, CLASS_NEVER);
	uint32_t i = find_interval(policy, c->peer.high, c->peer.low);
	limit_for_verifier(i, INTERVALS_MAX);
	if (i >= INTERVALS_MAX)
		return ruling_number(CLASS_BLOCKED, 128, CLASS_NEVER);
	uint32_t special = policy->interval[i].special, next = policy->interval[i].node;
	uint32_t family_wide = is_ipv4(c->peer) ? 96 : 0;
	uint64_t said = opinion_of_aliases(policy, aliases, c);
	uint8_t length = 128;
	for (int step = 0; step < PREFIX_CHAIN_MAX; step++) {
		uint32_t at = next;
		limit_for_verifier(at, RULE_PREFIXES_MAX + ALIASES);
		if (at >= RULE_PREFIXES_MAX + ALIASES)
			break;
		uint32_t node_length = policy->node[at].prefix_length;
		if (node_length < 128 && said != OPINION_NONE)
			break;
		if (node_length <= family_wide)
			break;
		uint64_t node_said = opinion_of(policy, at, c);
		if (said == OPINION_NONE)
			length = (uint8_t)node_length;
		said = stronger(said, node_said);
		next = policy->node[at].parent;
	}
	if (said == OPINION_NONE && special == CLASS_GLOBAL && (aliases >> ALIAS_GLOBAL & 1)) {
		length = (uint8_t)family_wide;
		said = opinion_of(policy, policy->alias[ALIAS_GLOBAL], c);
	}
	if (said == OPINION_NONE && next != NO_NODE) {
		length = (uint8_t)family_wide;
		said = opinion_of(policy, next, c);
	}
	return ruling_number(said, length, special);
}

INLINE struct ruling rule_on(const struct policy *policy, const struct contact *c, uint32_t aliases)
{
	uint64_t number = find_ruling(policy, c, aliases);
	return (struct ruling){ .class = (uint8_t)number,
				.origin = (uint16_t)(number >> 8),
				.prefix_length = (uint8_t)(number >> 24),
				.special = (uint8_t)(number >> 32) };
}
