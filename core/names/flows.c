/* The table of flows that names open: a hash table with chains, and a list for each class in the order of time. */
#include "core/names/flows.h"
#include "core/flows/siphash.h"

_Static_assert(NAME_FLOWS_MAX < 0xffff, "entries have 16 bits");

static const uint64_t timeout_ms[NAME_CLASSES_END] = {
#define X(name, timeout) [NAME_##name] = timeout,
	NAME_CLASSES(X)
#undef X
};

static struct name_flow *flow_at(struct name_flows *flows, uint16_t entry)
{
	return entry == 0 ? 0 : &flows->flow[entry - 1];
}

static uint16_t entry_of(const struct name_flows *flows, const struct name_flow *flow)
{
	return (uint16_t)(flow - flows->flow + 1);
}

static uint16_t *head_of(struct name_flows *flows, const uint64_t hash_key[2], const struct flow_key *key)
{
	uint64_t tail = key->guest_port | (uint64_t)key->peer_port << 16 | (uint64_t)key->protocol << 32;
	const uint64_t words[] = { key->guest.high, key->guest.low, key->peer.high, key->peer.low, tail };
	return &flows->head[siphash_words(hash_key, words, 5) % NAME_FLOW_HEADS];
}

static bool same_key(const struct flow_key *a, const struct flow_key *b)
{
	return same_address(a->peer, b->peer) && a->peer_port == b->peer_port && a->guest_port == b->guest_port &&
	       a->protocol == b->protocol && same_address(a->guest, b->guest);
}

static void leave_list(struct name_flows *flows, struct name_flow *f)
{
	if (f->older != 0)
		flow_at(flows, f->older)->newer = f->newer;
	else
		flows->oldest[f->class] = f->newer;
	if (f->newer != 0)
		flow_at(flows, f->newer)->older = f->older;
	else
		flows->newest[f->class] = f->older;
	flows->count[f->class]--;
}

static void join_list(struct name_flows *flows, struct name_flow *f, enum name_class list, uint64_t now_ms)
{
	uint16_t entry = entry_of(flows, f);
	f->used_ms = now_ms;
	f->class = (uint8_t)list;
	f->older = flows->newest[list];
	f->newer = 0;
	if (f->older != 0)
		flow_at(flows, f->older)->newer = entry;
	else
		flows->oldest[list] = entry;
	flows->newest[list] = entry;
	flows->count[list]++;
}

struct name_flow *find_name_flow(struct name_flows *flows, const uint64_t hash_key[2], const struct flow_key *key)
{
	uint16_t entry = *head_of(flows, hash_key, key);
	while (entry != 0 && !same_key(&flow_at(flows, entry)->key, key))
		entry = flow_at(flows, entry)->next;
	return flow_at(flows, entry);
}

struct name_flow *make_name_flow(struct name_flows *flows, const uint64_t hash_key[2], const struct flow_key *key,
				 uint64_t now_ms)
{
	uint16_t entry = flows->free, *head = head_of(flows, hash_key, key);
	if (entry != 0)
		flows->free = flow_at(flows, entry)->next;
	else if (flows->used < NAME_FLOWS_MAX)
		entry = ++flows->used;
	else
		return 0;
	struct name_flow *f = flow_at(flows, entry);
	*f = (struct name_flow){ .key = *key, .next = *head, .pattern = NO_PATTERN };
	*head = entry;
	join_list(flows, f, NAME_ASKED, now_ms);
	return f;
}

void remove_name_flow(struct name_flows *flows, const uint64_t hash_key[2], struct name_flow *f)
{
	uint16_t entry = entry_of(flows, f), *link = head_of(flows, hash_key, &f->key);
	while (*link != entry)
		link = &flow_at(flows, *link)->next;
	*link = f->next;
	leave_list(flows, f);
	f->next = flows->free;
	flows->free = entry;
}

void set_name_class(struct name_flows *flows, struct name_flow *f, enum name_class list, uint64_t now_ms)
{
	if (f->class == list && list == NAME_HOLDING) /* it waits since the first frame */
		return;
	leave_list(flows, f);
	join_list(flows, f, list, now_ms);
}

void use_name_flow(struct name_flows *flows, struct name_flow *f, uint64_t now_ms)
{
	set_name_class(flows, f, (enum name_class)f->class, now_ms);
}

struct name_flow *oldest_of(struct name_flows *flows, enum name_class list)
{
	return flow_at(flows, flows->oldest[list]);
}

struct name_flow *newer_than(struct name_flows *flows, const struct name_flow *f)
{
	return flow_at(flows, f->newer);
}

uint64_t ends_ms(const struct name_flow *f)
{
	return f->used_ms + timeout_ms[f->class];
}

bool has_run_out(const struct name_flow *f, uint64_t now_ms)
{
	return now_ms >= ends_ms(f);
}
