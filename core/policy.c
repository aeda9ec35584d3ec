/* Compiles rules and the special-purpose table into the sorted intervals that policy_lookup() searches. */
#include "policy.h"
#include "special.h"

#include <stddef.h>

/*
 * Two prefixes either nest or do not touch. So a walk over all of them in order of their first address needs only a stack
 * of those that cover the current point, and the top of the stack is the longest. There are two such walks at once, one
 * over the operator's rules and one over the special-purpose table; wherever either changes, an interval starts.
 */
enum { NESTING_MAX = 129 }; /* prefix lengths 0..128 */

struct walk {
	const struct rule *rule;
	uint32_t count, next, depth;
	const struct rule *covering[NESTING_MAX];
};

static struct address prefix_mask(uint8_t length)
{
	uint64_t ones = UINT64_MAX;
	if (length >= 64)
		return (struct address){ ones, length == 64 ? 0 : ones << (128 - length) };
	return (struct address){ length == 0 ? 0 : ones << (64 - length), 0 };
}

static struct address last_address(const struct rule *r)
{
	struct address mask = prefix_mask(r->prefix_length);
	return (struct address){ r->address.high | ~mask.high, r->address.low | ~mask.low };
}

/* The address behind `a`; ok is cleared when there is none. */
static struct address next_address(struct address a, bool *ok)
{
	a.low++;
	if (a.low == 0)
		a.high++;
	*ok = a.low != 0 || a.high != 0;
	return a;
}

/* Order of the walk: by first address, then the wider prefix, then block (which so wins over an equal allow). */
static bool rule_before(const struct rule *a, const struct rule *b)
{
	if (!same_address(a->address, b->address))
		return address_before(a->address, b->address);
	if (a->prefix_length != b->prefix_length)
		return a->prefix_length < b->prefix_length;
	return a->class > b->class;
}

static void sift_down(struct rule *rule, uint32_t root, uint32_t count)
{
	for (uint32_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
		if (child + 1 < count && rule_before(&rule[child], &rule[child + 1]))
			child++;
		if (!rule_before(&rule[root], &rule[child]))
			return;
		struct rule swapped = rule[root];
		rule[root] = rule[child];
		rule[child] = swapped;
		root = child;
	}
}

/* Heap sort: in place, no recursion, the same cost for any order that the operator chose. */
static void sort_rules(struct rule *rule, uint32_t count)
{
	for (uint32_t root = count / 2; root > 0; root--)
		sift_down(rule, root - 1, count);
	for (uint32_t end = count; end > 1; end--) {
		struct rule largest = rule[0];
		rule[0] = rule[end - 1];
		rule[end - 1] = largest;
		sift_down(rule, 0, end - 1);
	}
}

/* Moves the walk to the point: leaves prefixes that ended before it, enters those that start at it. */
static void walk_to(struct walk *w, struct address point)
{
	while (w->depth > 0 && address_before(last_address(w->covering[w->depth - 1]), point))
		w->depth--;
	for (; w->next < w->count && same_address(w->rule[w->next].address, point); w->next++) {
		const struct rule *r = &w->rule[w->next];
		bool repeated = w->depth > 0 && same_address(w->covering[w->depth - 1]->address, r->address) &&
				w->covering[w->depth - 1]->prefix_length == r->prefix_length;
		if (!repeated && w->depth < NESTING_MAX)
			w->covering[w->depth++] = r;
	}
}

/* The next point at which this walk changes, if it is nearer than *nearest. */
static void next_change(const struct walk *w, struct address *nearest, bool *any)
{
	bool ok = false;
	struct address at = { 0, 0 };
	if (w->depth > 0)
		at = next_address(last_address(w->covering[w->depth - 1]), &ok);
	if (w->next < w->count && (!ok || address_before(w->rule[w->next].address, at))) {
		at = w->rule[w->next].address;
		ok = true;
	}
	if (ok && (!*any || address_before(at, *nearest))) {
		*nearest = at;
		*any = true;
	}
}

static struct interval interval_at(struct address point, const struct walk *rules, const struct walk *special)
{
	const struct rule *decides = special->covering[special->depth - 1]; /* ::/0 is in the table */
	const struct rule *rule = rules->depth > 0 ? rules->covering[rules->depth - 1] : NULL;
	/* ::/0 and its like speak of IPv6 alone, although IPv4 lives inside it here. */
	bool other_family = rule && is_ipv4(point) && rule->prefix_length < 96;
	if (rule && !other_family && decides->class != CLASS_NEVER)
		decides = rule;
	return (struct interval){ point, decides->class, decides->prefix_length };
}

bool compile_policy(struct policy *policy, struct rule *rule, uint32_t count)
{
	if (count > RULES_MAX)
		return false;
	for (uint32_t i = 0; i < count; i++) {
		struct address mask = prefix_mask(rule[i].prefix_length);
		rule[i].address.high &= mask.high;
		rule[i].address.low &= mask.low;
	}
	sort_rules(rule, count);
	struct rule special[SPECIAL_PURPOSE_COUNT];
	for (uint32_t i = 0; i < SPECIAL_PURPOSE_COUNT; i++)
		special[i] = special_purpose[i];
	sort_rules(special, SPECIAL_PURPOSE_COUNT);

	struct walk rules = { .rule = rule, .count = count };
	struct walk table = { .rule = special, .count = SPECIAL_PURPOSE_COUNT };
	struct address point = { 0, 0 };
	uint32_t n = 0;
	for (bool more = true; more && n < INTERVALS_MAX;) {
		walk_to(&rules, point);
		walk_to(&table, point);
		policy->interval[n++] = interval_at(point, &rules, &table);
		more = false;
		next_change(&rules, &point, &more);
		next_change(&table, &point, &more);
	}
	policy->interval_count = n;
	return true;
}
