/*
 * The table of flows: a hash table with chains, and one list per class in the order of last use. Nothing is allocated. The
 * same text is compiled for the kernel, so loops are bounded, and an index that was read is bounded before it is used.
 */
#include "core/flows/flow.h"
#include "core/wire/ipv6.h"
#include "core/flows/siphash.h"

/* With no more flows than heads and a random key a longer chain is as good as impossible; it would be refused. */
enum { FLOW_CHAIN_MAX = 32 };
_Static_assert((int)FLOWS_MAX < (int)NO_FLOW, "indexes have 16 bits");
_Static_assert((FLOWS_MAX & (FLOWS_MAX - 1)) == 0 && (FLOW_CLASSES_END & (FLOW_CLASSES_END - 1)) == 0,
	       "bounded by a mask");

static struct flow *flow_at(struct flows *flows, uint16_t index)
{
	return &flows->flow[index % FLOWS_MAX];
}

static uint64_t timeout_ms(const struct flow *f)
{
	switch ((enum flow_class)f->class) {
#define X(name, text, timeout) \
	case FLOW_##name: \
		return timeout;
		FLOW_CLASSES(X)
#undef X
	case FLOW_CLASSES_END:
		break;
	}
	return 0;
}

static uint32_t class_of(const struct flow *f)
{
	return f->class % FLOW_CLASSES_END;
}

static bool same_key(const struct flow_key *a, const struct flow_key *b)
{
	return same_address(a->peer, b->peer) && a->peer_port == b->peer_port && a->guest_port == b->guest_port &&
	       a->protocol == b->protocol && same_address(a->guest, b->guest);
}

/* The two addresses of IPv4 are one word; the hash tells apart how many there were. */
static uint64_t hash_of(const struct flows *flows, const struct flow_key *key)
{
	uint64_t tail = key->guest_port | (uint64_t)key->peer_port << 16 | (uint64_t)key->protocol << 32;
	uint64_t both = (uint64_t)ipv4_of_address(key->guest) << 32 | ipv4_of_address(key->peer);
	const uint64_t words4[] = { both, tail };
	const uint64_t words[] = { key->guest.high, key->guest.low, key->peer.high, key->peer.low, tail };
	if (is_ipv4(key->guest) && is_ipv4(key->peer))
		return siphash_words(flows->hash_key, words4, 2);
	return siphash_words(flows->hash_key, words, 5);
}

/* A frame that is no answer is looked for twice, and frames of one flow come in runs. */
static uint32_t chain_of(struct flows *flows, const struct flow_key *key)
{
	if (flows->has_last && same_key(&flows->last, key))
		return flows->last_chain;
	flows->last = *key;
	flows->last_chain = hash_of(flows, key) % FLOW_HEADS;
	flows->has_last = true;
	return flows->last_chain;
}

/* The head of the key's chain, which is empty if it is of another epoch. */
static uint16_t *head_of(struct flows *flows, const struct flow_key *key)
{
	struct flow_head *head = &flows->head[chain_of(flows, key) % FLOW_HEADS];
	if (head->epoch != flows->epoch)
		*head = (struct flow_head){ flows->epoch, NO_FLOW, 0 };
	return &head->first;
}

static bool is_caller(const struct flow *f)
{
	return f->class == FLOW_ESTABLISHED && f->inward;
}

/* Lists of a class: the flow that was used longest ago is the oldest. */

static void leave_list(struct flows *flows, uint16_t index)
{
	const struct flow *f = flow_at(flows, index);
	uint32_t list = class_of(f);
	if (f->older != NO_FLOW)
		flow_at(flows, f->older)->newer = f->newer;
	else
		flows->oldest[list] = f->newer;
	if (f->newer != NO_FLOW)
		flow_at(flows, f->newer)->older = f->older;
	else
		flows->newest[list] = f->older;
	flows->count[list]--;
	flows->callers -= is_caller(f);
}

static void join_list(struct flows *flows, uint16_t index, uint8_t to)
{
	struct flow *f = flow_at(flows, index);
	uint32_t list = to % FLOW_CLASSES_END;
	f->class = (uint8_t)list;
	f->older = flows->newest[list];
	f->newer = NO_FLOW;
	if (f->older != NO_FLOW)
		flow_at(flows, f->older)->newer = index;
	else
		flows->oldest[list] = index;
	flows->newest[list] = index;
	flows->count[list]++;
	flows->callers += is_caller(f);
}

static void leave_chain(struct flows *flows, uint16_t index)
{
	const struct flow *f = flow_at(flows, index);
	uint16_t *link = head_of(flows, &f->key);
	for (uint32_t i = 0; i < FLOW_CHAIN_MAX && *link != index && *link != NO_FLOW; i++)
		link = &flow_at(flows, *link)->next;
	if (*link == index)
		*link = f->next;
}

static void remove_flow(struct flows *flows, uint16_t index)
{
	struct flow *f = flow_at(flows, index);
	leave_chain(flows, index);
	leave_list(flows, index);
	f->next = flows->free;
	flows->free = index;
}

static bool has_run_out(const struct flow *f, uint64_t now_ms)
{
	return now_ms >= f->used_ms + timeout_ms(f);
}

/* The live flow of the key, or NO_FLOW. */
static uint16_t find_flow(struct flows *flows, const struct flow_key *key, uint64_t now_ms)
{
	uint16_t index = *head_of(flows, key);
	for (uint32_t i = 0; i < FLOW_CHAIN_MAX && index != NO_FLOW && !same_key(&flow_at(flows, index)->key, key); i++)
		index = flow_at(flows, index)->next;
	if (index == NO_FLOW || !same_key(&flow_at(flows, index)->key, key))
		return NO_FLOW;
	if (!has_run_out(flow_at(flows, index), now_ms))
		return index;
	remove_flow(flows, index);
	return NO_FLOW;
}

static bool has_room(const struct flows *flows)
{
	return flows->free != NO_FLOW || flows->fresh < FLOWS_MAX;
}

/* Which class goes first when there is no room: never one that is established. */
static bool make_room(struct flows *flows, uint64_t now_ms)
{
	static const uint8_t order[] = { FLOW_HALF_OPEN, FLOW_CLOSING, FLOW_DATAGRAM };
	for (uint32_t list = 0; list < FLOW_CLASSES_END; list++) {
		uint16_t oldest = flows->oldest[list];
		if (oldest != NO_FLOW && has_run_out(flow_at(flows, oldest), now_ms))
			remove_flow(flows, oldest);
	}
	for (uint32_t i = 0; i < sizeof order && !has_room(flows); i++)
		if (flows->oldest[order[i]] != NO_FLOW)
			remove_flow(flows, flows->oldest[order[i]]);
	return has_room(flows);
}

enum { CLOSED_BY_GUEST = 1, CLOSED_BY_PEER = 2, CLOSED_BY_BOTH = 3 };

/* RFC 9293 3.3.2, as far as a witness between the two can tell. Who only spoofs the opener never sees the answer. */
static uint8_t next_class(const struct flows *flows, const struct flow *f, uint8_t tcp_flags, bool by_opener)
{
	bool has_ended = (tcp_flags & TCP_RST) || f->closed == CLOSED_BY_BOTH;
	/* Where there are too many callers, the next ones have the rights of datagrams. */
	uint8_t settled = f->inward && flows->callers >= CALLERS_MAX ? FLOW_DATAGRAM : FLOW_ESTABLISHED;
	if (f->key.protocol != PROTOCOL_TCP)
		return f->answered ? FLOW_DATAGRAM : FLOW_HALF_OPEN;
	switch ((enum flow_class)f->class) {
	case FLOW_HALF_OPEN:
		if (has_ended)
			return FLOW_CLOSING;
		return f->answered && by_opener && !(tcp_flags & TCP_SYN) ? settled : FLOW_HALF_OPEN;
	case FLOW_ESTABLISHED:
		return has_ended ? FLOW_CLOSING : FLOW_ESTABLISHED;
	case FLOW_DATAGRAM:
		return has_ended ? FLOW_CLOSING : settled;
	case FLOW_CLOSING:
	case FLOW_CLASSES_END:
		break;
	}
	return FLOW_CLOSING;
}

static bool is_bare_syn(const struct packet_facts *p)
{
	return p->key.protocol == PROTOCOL_TCP && (p->tcp_flags & TCP_SYN) && !(p->tcp_flags & TCP_ACK);
}

static void use_flow(struct flows *flows, uint16_t index, const struct packet_facts *p, bool to_guest, uint64_t now_ms)
{
	struct flow *f = flow_at(flows, index);
	bool by_opener = f->inward == to_guest;
	f->answered |= !by_opener;
	if (p->tcp_flags & TCP_FIN)
		f->closed |= to_guest ? CLOSED_BY_PEER : CLOSED_BY_GUEST;
	uint8_t list = next_class(flows, f, p->tcp_flags, by_opener);
	f->used_ms = now_ms;
	if (list == class_of(f) && flows->newest[list % FLOW_CLASSES_END] == index)
		return; /* it is there */
	leave_list(flows, index);
	join_list(flows, index, list);
}

bool is_answer(struct flows *flows, const struct packet_facts *p, bool to_guest, uint64_t now_ms)
{
	if (!is_given(flows) || !is_given(p) || p->kind == PACKET_WITHOUT_FLOW || is_bare_syn(p))
		return false;
	uint16_t index = find_flow(flows, &p->key, now_ms);
	if (index == NO_FLOW)
		return false;
	if (p->kind == PACKET_OF_ERROR)
		return p->quotes_receiver;
	if (flow_at(flows, index)->inward == to_guest)
		return false;
	use_flow(flows, index, p, to_guest, now_ms);
	return true;
}

/* As if nobody had opened it before. */
static void start_flow(struct flow *f, bool to_guest)
{
	f->inward = to_guest;
	f->answered = f->closed = 0;
}

static bool is_chain_full(struct flows *flows, const struct flow_key *key)
{
	uint16_t index = *head_of(flows, key);
	for (uint32_t i = 0; i < FLOW_CHAIN_MAX && index != NO_FLOW; i++)
		index = flow_at(flows, index)->next;
	return index != NO_FLOW;
}

static uint16_t insert_flow(struct flows *flows, const struct flow_key *key, bool to_guest)
{
	uint16_t index = flows->free != NO_FLOW ? flows->free : flows->fresh++, *head = head_of(flows, key);
	struct flow *f = flow_at(flows, index);
	if (index == flows->free)
		flows->free = f->next;
	*f = (struct flow){ .key = *key, .next = *head };
	*head = index;
	start_flow(f, to_guest);
	join_list(flows, index, FLOW_HALF_OPEN);
	return index;
}

bool open_flow(struct flows *flows, const struct packet_facts *p, bool to_guest, uint64_t now_ms)
{
	if (!is_given(flows) || !is_given(p))
		return false;
	bool is_echo = p->key.protocol == PROTOCOL_ICMP || p->key.protocol == PROTOCOL_ICMP6;
	if (p->kind != PACKET_OF_FLOW || (is_echo && !p->asks))
		return true;
	uint16_t index = find_flow(flows, &p->key, now_ms);
	if (index == NO_FLOW) {
		if (is_chain_full(flows, &p->key) || !make_room(flows, now_ms))
			return false;
		index = insert_flow(flows, &p->key, to_guest);
	}
	struct flow *f = flow_at(flows, index);
	bool by_opener = f->inward == to_guest;
	/* Ports are used again, by whichever side. What is established is no less so because somebody sends a SYN. */
	if (f->class == FLOW_ESTABLISHED && !by_opener)
		return true;
	if (!by_opener || (f->class == FLOW_CLOSING && is_bare_syn(p))) {
		start_flow(f, to_guest);
		leave_list(flows, index);
		join_list(flows, index, FLOW_HALF_OPEN);
	}
	use_flow(flows, index, p, to_guest, now_ms);
	return true;
}

uint32_t empty_flows(struct flows *flows)
{
	if (!is_given(flows))
		return 0;
	flows->epoch++;
	flows->has_last = false; /* the key of the hash may be another one */
	for (uint32_t i = 0; i < FLOW_CLASSES_END; i++) {
		flows->count[i] = 0;
		flows->oldest[i] = flows->newest[i] = NO_FLOW;
	}
	flows->free = NO_FLOW;
	flows->fresh = 0;
	flows->callers = 0;
	for (uint32_t i = 0; i < DATAGRAMS_MAX; i++)
		flows->datagram[0][i].until_ms = flows->datagram[1][i].until_ms = 0;
	return flows->epoch;
}

/* In one piece: there are many in a row, and the verifier would follow each way through all of them. */
static bool is_datagram(const struct datagram *d, const struct packet_facts *p, uint64_t now_ms)
{
	uint64_t differs = (d->id ^ p->datagram_id) | (d->source.high ^ p->datagram[0].high) |
			   (d->source.low ^ p->datagram[0].low) | (d->destination.high ^ p->datagram[1].high) |
			   (d->destination.low ^ p->datagram[1].low);
	return differs == 0 && now_ms < d->until_ms;
}

uint32_t remember_datagram(struct flows *flows, const struct packet_facts *p, bool to_guest, uint64_t now_ms)
{
	uint32_t direction = to_guest;
	uint64_t least = UINT64_MAX; /* time and place as one number: its own place, else the one that is over first */
	hide_from_optimizer(direction);
	if (!is_given(flows) || !is_given(p))
		return 0;
	struct datagram *list = flows->datagram[direction % 2];
	for (uint32_t i = 0; i < DATAGRAMS_MAX; i++) {
		uint64_t number = is_datagram(&list[i], p, now_ms) ? i : (list[i].until_ms + 1) * DATAGRAMS_MAX + i;
		if (number < least)
			least = number;
	}
	/* Read from memory again it is any place; the verifier would follow each of them through all of the loop. */
	flows->datagram_place = least % DATAGRAMS_MAX;
	__asm__ volatile("" ::: "memory");
	list[flows->datagram_place % DATAGRAMS_MAX] =
	    (struct datagram){ p->datagram[0], p->datagram[1], now_ms + DATAGRAM_LIFE_MS, p->datagram_id, 0 };
	return flows->datagram_place;
}

bool is_known_datagram(const struct flows *flows, const struct packet_facts *p, bool to_guest, uint64_t now_ms)
{
	uint32_t direction = to_guest;
	hide_from_optimizer(direction);
	if (!is_given(flows) || !is_given(p))
		return false;
	for (uint32_t i = 0; i < DATAGRAMS_MAX; i++)
		if (is_datagram(&flows->datagram[direction % 2][i], p, now_ms))
			return true;
	return false;
}
