/* The table of flows: a hash table with chains, and one list per class in the order of last use. Nothing is allocated. */
#include "flow.h"
#include "ipv6.h"
#include "siphash.h"

#include <stddef.h>

enum { NO_FLOW = 0xffff };
_Static_assert((int)FLOWS_MAX < (int)NO_FLOW && FLOW_HEADS == 65536, "indexes have 16 bits");

static const uint64_t timeout_ms[FLOW_CLASSES_END] = {
#define X(name, text, timeout) [FLOW_##name] = timeout,
	FLOW_CLASSES(X)
#undef X
};

void clear_flows(struct flows *flows, const uint64_t hash_key[2])
{
	flows->hash_key[0] = hash_key[0];
	flows->hash_key[1] = hash_key[1];
	for (uint32_t i = 0; i < FLOW_CLASSES_END; i++) {
		flows->count[i] = 0;
		flows->oldest[i] = flows->newest[i] = NO_FLOW;
	}
	for (uint32_t i = 0; i < FLOW_HEADS; i++)
		flows->head[i] = NO_FLOW;
	for (uint32_t i = 0; i < FLOWS_MAX; i++)
		flows->flow[i] = (struct flow){ .next = (uint16_t)(i + 1 < FLOWS_MAX ? i + 1 : NO_FLOW) };
	flows->free = 0;
	flows->callers = 0;
	for (uint32_t i = 0; i < DATAGRAMS_MAX; i++)
		flows->datagram[0][i] = flows->datagram[1][i] = (struct datagram){ .until_ms = 0 };
}

static bool same_key(const struct flow_key *a, const struct flow_key *b)
{
	return same_address(a->peer, b->peer) && a->peer_port == b->peer_port && a->guest_port == b->guest_port &&
	       a->protocol == b->protocol && same_address(a->guest, b->guest);
}

static uint16_t *head_of(struct flows *flows, const struct flow_key *key)
{
	uint64_t tail = key->guest_port | (uint64_t)key->peer_port << 16 | (uint64_t)key->protocol << 32;
	const uint64_t words[] = { key->guest.high, key->guest.low, key->peer.high, key->peer.low, tail };
	return &flows->head[siphash_words(flows->hash_key, words, 5) % FLOW_HEADS];
}

static bool is_caller(const struct flow *f)
{
	return f->class == FLOW_ESTABLISHED && f->inward;
}

/* Lists of a class: the flow that was used longest ago is the oldest. */

static void leave_list(struct flows *flows, uint16_t index)
{
	const struct flow *f = &flows->flow[index];
	if (f->older != NO_FLOW)
		flows->flow[f->older].newer = f->newer;
	else
		flows->oldest[f->class] = f->newer;
	if (f->newer != NO_FLOW)
		flows->flow[f->newer].older = f->older;
	else
		flows->newest[f->class] = f->older;
	flows->count[f->class]--;
	flows->callers -= is_caller(f);
}

static void join_list(struct flows *flows, uint16_t index, uint8_t class)
{
	struct flow *f = &flows->flow[index];
	f->class = class;
	f->older = flows->newest[class];
	f->newer = NO_FLOW;
	if (f->older != NO_FLOW)
		flows->flow[f->older].newer = index;
	else
		flows->oldest[class] = index;
	flows->newest[class] = index;
	flows->count[class]++;
	flows->callers += is_caller(f);
}

static void remove_flow(struct flows *flows, uint16_t index)
{
	struct flow *f = &flows->flow[index];
	uint16_t *link = head_of(flows, &f->key);
	while (*link != index)
		link = &flows->flow[*link].next;
	*link = f->next;
	leave_list(flows, index);
	f->next = flows->free;
	flows->free = index;
}

static bool has_run_out(const struct flow *f, uint64_t now_ms)
{
	return now_ms >= f->used_ms + timeout_ms[f->class];
}

/* The live flow of the key, or NO_FLOW. */
static uint16_t find_flow(struct flows *flows, const struct flow_key *key, uint64_t now_ms)
{
	for (uint16_t i = *head_of(flows, key); i != NO_FLOW; i = flows->flow[i].next)
		if (same_key(&flows->flow[i].key, key)) {
			if (!has_run_out(&flows->flow[i], now_ms))
				return i;
			remove_flow(flows, i);
			return NO_FLOW;
		}
	return NO_FLOW;
}

/* Which class goes first when there is no room: never one that is established. */
static bool make_room(struct flows *flows, uint64_t now_ms)
{
	static const uint8_t order[] = { FLOW_HALF_OPEN, FLOW_CLOSING, FLOW_DATAGRAM };
	for (uint32_t class = 0; class < FLOW_CLASSES_END; class++) {
		uint16_t oldest = flows->oldest[class];
		if (oldest != NO_FLOW && has_run_out(&flows->flow[oldest], now_ms))
			remove_flow(flows, oldest);
	}
	for (uint32_t i = 0; i < sizeof order && flows->free == NO_FLOW; i++)
		if (flows->oldest[order[i]] != NO_FLOW)
			remove_flow(flows, flows->oldest[order[i]]);
	return flows->free != NO_FLOW;
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
	struct flow *f = &flows->flow[index];
	bool by_opener = f->inward == to_guest;
	f->answered |= !by_opener;
	if (p->tcp_flags & TCP_FIN)
		f->closed |= to_guest ? CLOSED_BY_PEER : CLOSED_BY_GUEST;
	uint8_t class = next_class(flows, f, p->tcp_flags, by_opener);
	f->used_ms = now_ms;
	leave_list(flows, index);
	join_list(flows, index, class);
}

bool is_answer(struct flows *flows, const struct packet_facts *p, bool to_guest, uint64_t now_ms)
{
	if (p->kind == PACKET_WITHOUT_FLOW || is_bare_syn(p))
		return false;
	uint16_t index = find_flow(flows, &p->key, now_ms);
	if (index == NO_FLOW)
		return false;
	if (p->kind == PACKET_OF_ERROR)
		return p->quotes_receiver;
	if (flows->flow[index].inward == to_guest)
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

static uint16_t insert_flow(struct flows *flows, const struct flow_key *key, bool to_guest)
{
	uint16_t index = flows->free, *head = head_of(flows, key);
	struct flow *f = &flows->flow[index];
	flows->free = f->next;
	*f = (struct flow){ .key = *key, .next = *head };
	*head = index;
	start_flow(f, to_guest);
	join_list(flows, index, FLOW_HALF_OPEN);
	return index;
}

bool open_flow(struct flows *flows, const struct packet_facts *p, bool to_guest, uint64_t now_ms)
{
	bool is_echo = p->key.protocol == PROTOCOL_ICMP || p->key.protocol == PROTOCOL_ICMP6;
	if (p->kind != PACKET_OF_FLOW || (is_echo && !p->asks))
		return true;
	uint16_t index = find_flow(flows, &p->key, now_ms);
	if (index == NO_FLOW) {
		if (!make_room(flows, now_ms))
			return false;
		index = insert_flow(flows, &p->key, to_guest);
	}
	struct flow *f = &flows->flow[index];
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

static bool is_datagram(const struct datagram *d, const struct packet_facts *p, uint64_t now_ms)
{
	return now_ms < d->until_ms && d->id == p->datagram_id && same_address(d->source, p->datagram[0]) &&
	       same_address(d->destination, p->datagram[1]);
}

void remember_datagram(struct flows *flows, const struct packet_facts *p, bool to_guest, uint64_t now_ms)
{
	struct datagram *list = flows->datagram[to_guest], *place = &list[0];
	for (uint32_t i = 0; i < DATAGRAMS_MAX; i++) {
		if (list[i].until_ms < place->until_ms)
			place = &list[i];
		if (is_datagram(&list[i], p, now_ms)) {
			place = &list[i];
			break;
		}
	}
	*place = (struct datagram){ p->datagram[0], p->datagram[1], now_ms + DATAGRAM_LIFE_MS, p->datagram_id, 0 };
}

bool is_known_datagram(const struct flows *flows, const struct packet_facts *p, bool to_guest, uint64_t now_ms)
{
	for (uint32_t i = 0; i < DATAGRAMS_MAX; i++)
		if (is_datagram(&flows->datagram[to_guest][i], p, now_ms))
			return true;
	return false;
}
