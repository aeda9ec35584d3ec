/* Compiles rules and the special-purpose table into what find_ruling() searches. */
#include "core/policy/policy.h"
#include "core/wire/ipv6.h"
#include "core/policy/special.h"

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
	uint32_t node[NESTING_MAX]; /* of the operator's rules */
	struct policy *policy;      /* where nodes are made; NULL: none are */
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

/* PROTOCOL_ICMP stands for both ICMPs. Ports without a protocol are those of TCP and UDP. */
static uint32_t protocols_of(const struct qualifier *only, uint32_t protocol[2])
{
	bool both_icmp = only->has_protocol && only->protocol == PROTOCOL_ICMP;
	protocol[0] = only->has_protocol ? only->protocol : PROTOCOL_TCP;
	protocol[1] = both_icmp ? PROTOCOL_ICMP6 : PROTOCOL_UDP;
	return both_icmp || !only->has_protocol ? 2 : 1;
}

/* How many (protocol, port) pairs the rule covers. */
static uint32_t breadth_of(const struct rule *r)
{
	const struct qualifier *only = &r->only;
	uint32_t protocol[2], protocols = protocols_of(only, protocol);
	if (!only->has_protocol && !only->has_ports)
		return KEY_INWARD;
	return protocols * (only->has_ports ? only->last_port - only->first_port + 1u : 0x10000u);
}

/*
 * Order of the walk: by first address, then the wider prefix; aliases behind all prefixes. Within a prefix the rule that
 * wins comes first: the narrower one, then block. The number the caller gave makes the order the same for any input.
 */
static bool rule_before(const struct rule *a, const struct rule *b)
{
	if (a->alias != b->alias)
		return a->alias < b->alias;
	if (!same_address(a->address, b->address))
		return address_before(a->address, b->address);
	if (a->prefix_length != b->prefix_length)
		return a->prefix_length < b->prefix_length;
	uint32_t breadth_a = breadth_of(a), breadth_b = breadth_of(b);
	if (breadth_a != breadth_b)
		return breadth_a < breadth_b;
	return a->class != b->class ? a->class > b->class : a->origin < b->origin;
}

static void sift_down(struct rule *rule, uint32_t root, uint32_t count)
{
	struct rule sinking = rule[root];
	for (uint32_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
		if (child + 1 < count && rule_before(&rule[child], &rule[child + 1]))
			child++;
		if (!rule_before(&sinking, &rule[child]))
			break;
		rule[root] = rule[child];
		root = child;
	}
	rule[root] = sinking;
}

/* Heap sort: in place, no recursion, the same cost for any order that the operator chose. */
static void sort_rules(struct rule *rule, uint32_t count)
{
	for (uint32_t root = count / 2; root > 0; root--)
		sift_down(rule, root - 1, count);
	for (uint32_t end = count; end > 1; end--) {
		struct rule greatest = rule[0];
		rule[0] = rule[end - 1];
		rule[end - 1] = greatest;
		sift_down(rule, 0, end - 1);
	}
}

static void insertion_sort(struct segment *segment, uint32_t first, uint32_t end)
{
	for (uint32_t i = first + 1; i < end; i++) {
		struct segment moved = segment[i];
		uint32_t at = i;
		for (; at > first && moved.first_key < segment[at - 1].first_key; at--)
			segment[at] = segment[at - 1];
		segment[at] = moved;
	}
}

/* Those without the bit first; gives where the others begin. */
static uint32_t part_by_bit(struct segment *segment, uint32_t first, uint32_t end, uint32_t bit)
{
	for (;;) {
		while (first < end && !(segment[first].first_key & bit))
			first++;
		while (first < end && (segment[end - 1].first_key & bit))
			end--;
		if (first >= end)
			return first;
		struct segment kept = segment[first];
		segment[first++] = segment[--end];
		segment[end] = kept;
	}
}

/* By one bit of the keys after the other, the highest first: never more steps than keys have bits, whatever the ports are. */
static void sort_segments(struct segment *segment, uint32_t count)
{
	enum { KEY_BITS = 26, FEW = 12 };
	struct {
		uint32_t first, end, bit;
	} left[KEY_BITS + 1];
	uint32_t depth = 0;
	left[depth++] = (typeof(left[0])){ 0, count, 1u << (KEY_BITS - 1) };
	while (depth > 0) {
		typeof(left[0]) now = left[--depth];
		if (now.end - now.first <= FEW || now.bit == 0) {
			insertion_sort(segment, now.first, now.end);
			continue;
		}
		uint32_t middle = part_by_bit(segment, now.first, now.end, now.bit);
		left[depth++] = (typeof(now)){ middle, now.end, now.bit / 2 };
		left[depth++] = (typeof(now)){ now.first, middle, now.bit / 2 };
	}
}

static bool same_target(const struct rule *a, const struct rule *b)
{
	return a->alias == b->alias && same_address(a->address, b->address) && a->prefix_length == b->prefix_length;
}

/*
 * The segments of a node come from a sweep over its keys. An edge is where a range of some rule starts or ends; it
 * is kept as a segment whose `breadth` is the rule's place in the group. The rules of a group stand in the order in which they
 * win, so at each point the first of those that are open does.
 */
static void add_edges(struct policy *policy, uint32_t *end, uint32_t place, const struct rule *r)
{
	uint32_t protocol[2], protocols = protocols_of(&r->only, protocol);
	bool whole = !r->only.has_protocol && !r->only.has_ports;
	for (uint32_t direction = OUTWARD; direction <= INWARD; direction++)
		for (uint32_t i = 0; i < (whole ? 1 : protocols); i++) {
			uint32_t base = direction == INWARD ? KEY_INWARD : 0, first = base, behind = base + KEY_INWARD;
			if (!(r->directions & direction))
				continue;
			if (!whole) {
				base |= protocol[i] << KEY_PROTOCOL;
				first = base | (r->only.has_ports ? r->only.first_port : 0u);
				behind = base + (r->only.has_ports ? r->only.last_port + 1u : 0x10000u);
			}
			policy->segment[(*end)++] = (struct segment){ .first_key = first, .breadth = place };
			policy->segment[(*end)++] = (struct segment){ .first_key = behind, .breadth = place };
		}
}

enum { WORD = 64, WORDS = RULE_PREFIXES_MAX / WORD };

/* The rules of a group whose ranges hold the key that the sweep has come to, by their place. */
struct open_rules {
	uint64_t bits[WORDS];
	uint64_t filled[WORDS / WORD]; /* words in which some bit is set */
};

static void turn_over(struct open_rules *open, uint32_t place)
{
	uint32_t word = place / WORD;
	open->bits[word] ^= 1ULL << place % WORD;
	uint64_t bit = 1ULL << word % WORD;
	open->filled[word / WORD] = (open->filled[word / WORD] & ~bit) | (open->bits[word] != 0 ? bit : 0);
}

static uint32_t first_open(const struct open_rules *open)
{
	for (uint32_t i = 0; i < WORDS / WORD; i++)
		if (open->filled[i] != 0) {
			uint32_t word = i * WORD + (uint32_t)__builtin_ctzll(open->filled[i]);
			return word * WORD + (uint32_t)__builtin_ctzll(open->bits[word]);
		}
	return UINT32_MAX;
}

static void note_directions(const struct policy *policy, struct node *node)
{
	node->covers = OUTWARD | INWARD;
	for (uint32_t i = node->segment; i < node->segment + node->segments; i++) {
		const struct segment *s = &policy->segment[i];
		uint32_t behind = i + 1 < node->segment + node->segments ? s[1].first_key : KEYS_END;
		uint8_t directions =
		    (uint8_t)((s->first_key < KEY_INWARD ? OUTWARD : 0) | (behind > KEY_INWARD ? INWARD : 0));
		if (s->class == CLASS_ALLOWED)
			node->allows |= directions;
		if (s->class == CLASS_NONE)
			node->covers &= (uint8_t)~directions;
		for (uint32_t way = 0; way < 2; way++) {
			uint32_t first = way * KEY_INWARD;
			if (s->first_key > first || behind < first + KEY_INWARD)
				continue;
			node->wholly |= way == 0 ? OUTWARD : INWARD;
			node->class[way] = s->class;
			node->origin[way] = s->origin;
		}
	}
}

/* Edges become segments in their own place: there are never more of these. */
static void sweep(struct policy *policy, struct node *node, const struct rule *group, uint32_t end)
{
	struct open_rules open = { .bits = { 0 } };
	uint32_t written = node->segment, winner = UINT32_MAX;
	policy->segment[written++] = (struct segment){ .class = CLASS_NONE };
	for (uint32_t i = node->segment + 1; i < end;) {
		uint32_t key = policy->segment[i].first_key;
		for (; i < end && policy->segment[i].first_key == key; i++)
			turn_over(&open, policy->segment[i].breadth); /* the end of one range may be the start of the next */
		uint32_t first = first_open(&open);
		if (first == winner || key >= KEYS_END)
			continue;
		winner = first;
		struct segment s = { .first_key = key, .class = CLASS_NONE };
		if (first != UINT32_MAX)
			s = (struct segment){ key, breadth_of(&group[first]), group[first].origin, group[first].class, 0 };
		written -= key == 0;
		policy->segment[written++] = s;
	}
	node->segments = written - node->segment;
	policy->segment_count = written;
}

/* The node of a group of rules with one target; gives its index. */
static uint32_t make_node(struct policy *policy, const struct rule *group, uint32_t count, uint32_t parent)
{
	uint32_t index = policy->node_count++, end = policy->segment_count + 1;
	struct node *node = &policy->node[index];
	*node = (struct node){ .segment = policy->segment_count,
			       .parent = (uint16_t)parent,
			       .prefix_length = group->alias == ALIAS_NONE ? group->prefix_length : 128 };
	for (uint32_t i = 0; i < count; i++)
		add_edges(policy, &end, i, &group[i]);
	sort_segments(&policy->segment[node->segment + 1], end - node->segment - 1);
	sweep(policy, node, group, end);
	note_directions(policy, node);
	return index;
}

/* ::/0 and its like speak of IPv6 alone, although IPv4 lives inside it here. */
static bool is_of_other_family(struct address a, uint32_t prefix_length)
{
	return is_ipv4(a) && prefix_length < 96;
}

static uint32_t enclosing_node(const struct walk *w, struct address a)
{
	if (w->depth == 0 || is_of_other_family(a, w->covering[w->depth - 1]->prefix_length))
		return NO_NODE;
	return w->node[w->depth - 1];
}

/* Moves the walk to the point: leaves prefixes that ended before it, enters those that start at it. */
static void walk_to(struct walk *w, struct address point)
{
	while (w->depth > 0 && address_before(last_address(w->covering[w->depth - 1]), point))
		w->depth--;
	while (w->next < w->count && same_address(w->rule[w->next].address, point) && w->depth < NESTING_MAX) {
		const struct rule *group = &w->rule[w->next];
		uint32_t count = 1;
		while (w->next + count < w->count && same_target(group, &group[count]))
			count++;
		if (w->policy)
			w->node[w->depth] = make_node(w->policy, group, count, enclosing_node(w, point));
		w->covering[w->depth++] = group;
		w->next += count;
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

static void mask_rules(struct rule *rule, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct address mask = prefix_mask(rule[i].prefix_length);
		rule[i].address.high &= mask.high;
		rule[i].address.low &= mask.low;
		if (rule[i].alias != ALIAS_NONE) {
			rule[i].address = (struct address){ 0, 0 };
			rule[i].prefix_length = 0;
		}
	}
}

static void compile_aliases(struct policy *policy, const struct rule *rule, uint32_t count)
{
	for (uint32_t alias = 0; alias < ALIASES; alias++)
		policy->alias[alias] = NO_NODE;
	for (uint32_t i = 0, n; i < count; i += n) {
		for (n = 1; i + n < count && same_target(&rule[i], &rule[i + n]);)
			n++;
		policy->alias[rule[i].alias] = make_node(policy, &rule[i], n, NO_NODE);
	}
}

static void compile_intervals(struct policy *policy, const struct rule *rule, uint32_t count)
{
	struct rule special[SPECIAL_PURPOSE_COUNT];
	for (uint32_t i = 0; i < SPECIAL_PURPOSE_COUNT; i++)
		special[i] = special_purpose[i];
	sort_rules(special, SPECIAL_PURPOSE_COUNT);
	struct walk rules = { .rule = rule, .count = count, .policy = policy };
	struct walk table = { .rule = special, .count = SPECIAL_PURPOSE_COUNT };
	struct address point = { 0, 0 };
	uint32_t n = 0;
	for (bool more = true; more && n < INTERVALS_MAX;) {
		walk_to(&rules, point);
		walk_to(&table, point);
		/* ::/0 is in the table, so something always covers the point. */
		policy->interval[n] = (struct interval){ .node = (uint16_t)enclosing_node(&rules, point),
							 .special = table.covering[table.depth - 1]->class };
		policy->start_high[n] = point.high;
		policy->start_low[n++] = point.low;
		more = false;
		next_change(&rules, &point, &more);
		next_change(&table, &point, &more);
	}
	policy->interval_count = n;
}

bool compile_policy(struct policy *policy, struct rule *rule, uint32_t count)
{
	uint32_t prefixes = 0;
	if (count > RULE_PREFIXES_MAX)
		return false;
	mask_rules(rule, count);
	sort_rules(rule, count);
	while (prefixes < count && rule[prefixes].alias == ALIAS_NONE)
		prefixes++;
	policy->node_count = policy->segment_count = 0;
	compile_intervals(policy, rule, prefixes);
	compile_aliases(policy, rule + prefixes, count - prefixes);
	build_directory(policy);
	return true;
}

static void copy_directory(struct directory *to, const struct directory *from)
{
	to->branch_count = from->branch_count;
	to->slot_count = from->slot_count;
	for (uint32_t i = 0; i < from->branch_count; i++)
		to->branch[i] = from->branch[i];
	for (uint32_t i = 0; i < from->slot_count; i++)
		to->slot[i] = from->slot[i];
}

void copy_policy(struct policy *to, const struct policy *from)
{
	to->interval_count = from->interval_count;
	to->node_count = from->node_count;
	to->segment_count = from->segment_count;
	to->root = from->root;
	to->root4 = from->root4;
	for (uint32_t i = 0; i < ALIASES; i++)
		to->alias[i] = from->alias[i];
	for (uint32_t i = 0; i < from->interval_count; i++) {
		to->interval[i] = from->interval[i];
		to->start_high[i] = from->start_high[i];
		to->start_low[i] = from->start_low[i];
	}
	for (uint32_t i = 0; i < from->node_count; i++)
		to->node[i] = from->node[i];
	for (uint32_t i = 0; i < from->segment_count; i++)
		to->segment[i] = from->segment[i];
	copy_directory(&to->directory, &from->directory);
}
