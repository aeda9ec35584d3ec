/*
 * Where the guest may send to. The operator's rules and the table of special-purpose addresses (special.h) are compiled
 * once into one sorted list of intervals; a lookup is one binary search whatever the number of rules, in both families.
 */
#pragma once
#include "address.h"

enum {
	RULES_MAX = 4096,
	INTERVALS_MAX = 2 * (RULES_MAX + 64) + 2, /* each prefix starts one interval and ends one; 64: special.h */
	LOOKUP_STEPS = 14                         /* 2^14 > INTERVALS_MAX */
};

/* What a destination is by itself, or what a rule makes of it. */
enum destination_class {
	CLASS_NONE,          /* no rule speaks of it (only while compiling) */
	CLASS_ALLOWED,
	CLASS_BLOCKED,
	CLASS_NEVER,         /* not on any wire, whatever the rules say */
	CLASS_GLOBAL,
	CLASS_PRIVATE,       /* link-local included */
	CLASS_GROUP_LOCAL,   /* multicast that stays closed */
	CLASS_GROUP_WIDE,    /* multicast of global scope */
	CLASS_BROADCAST
};

/* From `first` to the next interval's first, exclusive. */
struct interval {
	struct address first;
	uint32_t class;
	uint32_t prefix_length; /* of the rule that decided, 0..128 (IPv4: 96 + n) */
};

/* Sets that change while the guard runs. A rule on one counts as a rule for each of its hosts. */
enum alias { ALIAS_HOST, ALIAS_GATEWAY, ALIAS_DNS, ALIASES };

struct policy {
	uint32_t interval_count;
	uint8_t alias[ALIASES];  /* enum destination_class: NONE, ALLOWED or BLOCKED */
	uint8_t global_blocked;  /* --block=@global */
	struct interval interval[INTERVALS_MAX];
};

/* The index of the interval that holds the address. */
SUBPROGRAM uint32_t find_interval(const struct policy *policy, uint64_t address_high, uint64_t address_low)
{
	struct address a = { address_high, address_low };
	if (!is_given(policy))
		return INTERVALS_MAX;
	/* Invariant: interval[low].first <= a < interval[high].first; the first interval starts at ::. */
	uint32_t low = 0, high = policy->interval_count;
	for (int i = 0; i < LOOKUP_STEPS && high - low > 1; i++) {
		uint32_t middle = low + (high - low) / 2;
		hide_from_optimizer(middle);
		if (middle >= INTERVALS_MAX)
			break;
		if (address_before(a, policy->interval[middle].first))
			high = middle;
		else
			low = middle;
	}
	return low;
}

/* Never NULL: the first interval, of ::, is CLASS_NEVER. */
INLINE const struct interval *policy_lookup(const struct policy *policy, struct address a)
{
	uint32_t index = find_interval(policy, a.high, a.low);
	hide_from_optimizer(index);
	return &policy->interval[index < INTERVALS_MAX ? index : 0];
}

/* A rule as the operator wrote it. prefix_length counts in 128 bits: an IPv4 /n is 96 + n. Host bits are ignored. */
struct rule {
	struct address address;
	uint8_t prefix_length;
	uint8_t class; /* CLASS_ALLOWED or CLASS_BLOCKED */
};

/*
 * Fills the intervals from the rules; sorts `rule` in place. Longest prefix decides, at equal prefix block. Aliases and
 * global_blocked are left as they are. False: more than RULES_MAX rules.
 */
bool compile_policy(struct policy *policy, struct rule *rule, uint32_t count);
