/* Builds the directory of a compiled policy: what it is good for says directory.h. */
#include "core/policy/policy.h"

enum keys { INTERVAL_KEYS, SEGMENT_KEYS };

static struct address key_at(const struct policy *policy, enum keys keys, uint32_t index)
{
	if (keys == INTERVAL_KEYS)
		return (struct address){ policy->start_high[index], policy->start_low[index] };
	return (struct address){ 0, policy->segment[index].first_key };
}

/* The narrowest slots of which `most` are enough for the keys up to `last`. */
static void choose_width(struct branch *branch, struct address last, uint32_t most)
{
	branch->slots = most + 1;
	while (place_in(branch, last, true) >= most)
		branch->shift++;
	branch->slots = place_in(branch, last, true) + 1;
}

/* A branch without any below it; gives its number, or 0: no room. */
static uint32_t add_branch(struct policy *policy, enum keys keys, struct key_range of, uint32_t most)
{
	struct directory *d = &policy->directory;
	struct branch branch = { .base = key_at(policy, keys, of.first), .slot = d->slot_count };
	choose_width(&branch, key_at(policy, keys, of.end - 1), most);
	if (d->branch_count >= BRANCHES_MAX || branch.slots >= PLACES_MAX - d->slot_count)
		return 0;
	uint32_t index = of.first;
	for (uint32_t place = 0; place < branch.slots; place++) {
		d->slot[d->slot_count++] = index;
		while (index < of.end && place_in(&branch, key_at(policy, keys, index), true) <= place)
			index++;
	}
	d->slot[d->slot_count++] = of.end;
	d->branch[d->branch_count] = branch;
	return d->branch_count++;
}

/* Gives each slot of the branch with many keys a branch of its own. */
static void divide(struct policy *policy, enum keys keys, const struct branch *branch)
{
	uint32_t *slot = &policy->directory.slot[branch->slot];
	for (uint32_t i = 0; i < branch->slots; i++) {
		struct key_range of = { slot[i], slot[i + 1] & FIRST_MASK };
		if (of.end - of.first > KEYS_APART)
			slot[i] |= add_branch(policy, keys, of, of.end - of.first) << FIRST_BITS;
	}
}

static uint32_t make_branches(struct policy *policy, enum keys keys, struct key_range of, uint32_t most)
{
	const struct directory *d = &policy->directory;
	uint32_t root = add_branch(policy, keys, of, most), next = root;
	if (root == 0)
		return 0;
	for (uint32_t level = 1; level < BRANCH_LEVELS; level++)
		for (uint32_t end = d->branch_count; next < end; next++)
			divide(policy, keys, &d->branch[next]);
	return root;
}

void build_directory(struct policy *policy)
{
	enum { FIRST_SLOTS = 256, SEGMENT_SLOTS = 512 }; /* directions and protocols are 512 */
	struct directory *d = &policy->directory;
	struct key_range all = { 0, policy->interval_count }, ipv4 = { 0, 0 };
	while (!is_ipv4(key_at(policy, INTERVAL_KEYS, ipv4.first))) /* there are some: special.h */
		ipv4.first++;
	for (ipv4.end = ipv4.first; ipv4.end < all.end && is_ipv4(key_at(policy, INTERVAL_KEYS, ipv4.end));)
		ipv4.end++;
	d->branch_count = 1; /* 0 is none */
	d->slot_count = 0;
	policy->root = make_branches(policy, INTERVAL_KEYS, all, FIRST_SLOTS);
	policy->root4 = make_branches(policy, INTERVAL_KEYS, ipv4, FIRST_SLOTS);
	for (uint32_t i = 0; i < policy->node_count; i++) {
		struct node *node = &policy->node[i];
		if (node->segments > KEYS_APART)
			node->branch = (uint16_t)make_branches(policy, SEGMENT_KEYS, segments_of(node), SEGMENT_SLOTS);
	}
}
