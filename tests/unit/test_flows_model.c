/* Long random runs of the table of flows against an array with one place for every flow there could be. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "amount.h"
#include "test_flows.h"

#include <cmocka.h>

enum { FEW = 40, MANY = 40000 };

struct model_flow {
	bool exists, inward, answered;
	uint8_t closed; /* bit 0: FIN from the guest, bit 1: from the peer */
	enum flow_class class;
	uint64_t used_ms;
	uint64_t turn; /* in which it last moved */
};

static struct model_flow model[MANY];
static uint32_t live;
static uint64_t now_ms, turn;

static uint8_t protocol_of(uint32_t n)
{
	static const uint8_t protocols[] = { TCP, UDP, TCP, 1, TCP };
	return protocols[n % sizeof protocols];
}

static bool is_live_flow(const struct model_flow *m)
{
	static const uint64_t timeout_ms[] = {
		[FLOW_HALF_OPEN] = 60000, [FLOW_CLOSING] = 120000, [FLOW_DATAGRAM] = 300000, [FLOW_ESTABLISHED] = 7440000
	};
	return m->exists && now_ms < m->used_ms + timeout_ms[m->class];
}

static void touch(struct model_flow *m, bool to_guest, uint8_t flags, bool tcp)
{
	m->used_ms = now_ms;
	m->turn = ++turn;
	if (m->inward != to_guest)
		m->answered = true;
	if (!tcp) {
		m->class = m->answered ? FLOW_DATAGRAM : FLOW_HALF_OPEN;
		return;
	}
	if (m->class == FLOW_HALF_OPEN && m->answered && m->inward == to_guest)
		m->class = FLOW_ESTABLISHED;
	if (flags & TCP_FIN)
		m->closed |= to_guest ? 2 : 1;
	if (m->closed == 3 || (flags & TCP_RST))
		m->class = FLOW_CLOSING;
}

static bool model_answers(uint32_t n, bool to_guest, uint8_t flags)
{
	struct model_flow *m = &model[n];
	bool tcp = protocol_of(n) == TCP, first = tcp && (flags & TCP_SYN) && !(flags & TCP_ACK);
	if (!is_live_flow(m) || m->inward == to_guest || first)
		return false;
	touch(m, to_guest, flags, tcp);
	return true;
}

/* The one that goes: by class, then the one that moved longest ago. NULL: none may. */
static struct model_flow *victim(uint32_t count)
{
	static const enum flow_class order[] = { FLOW_HALF_OPEN, FLOW_CLOSING, FLOW_DATAGRAM };
	for (int i = 0; i < 3; i++) {
		struct model_flow *found = NULL;
		for (uint32_t n = 0; n < count; n++)
			if (is_live_flow(&model[n]) && model[n].class == order[i] &&
			    (!found || model[n].turn < found->turn))
				found = &model[n];
		if (found)
			return found;
	}
	return NULL;
}

static bool model_opens(uint32_t n, uint32_t count, bool to_guest, uint8_t flags)
{
	struct model_flow *m = &model[n];
	bool tcp = protocol_of(n) == TCP, first = tcp && (flags & TCP_SYN) && !(flags & TCP_ACK);
	if (!is_live_flow(m)) {
		live = 0;
		for (uint32_t i = 0; i < count; i++)
			live += is_live_flow(&model[i]);
		struct model_flow *going = live == FLOWS_MAX ? victim(count) : NULL;
		if (live == FLOWS_MAX && !going)
			return false;
		if (going)
			going->exists = false;
		m->exists = false;
	}
	if (m->exists && m->class == FLOW_ESTABLISHED && m->inward != to_guest)
		return true; /* what is established is no less so */
	if (!m->exists || m->inward != to_guest || (first && m->class == FLOW_CLOSING))
		*m = (struct model_flow){ .exists = true, .inward = to_guest, .class = FLOW_HALF_OPEN };
	touch(m, to_guest, flags, tcp);
	return true;
}

/* What the contract leaves open is left out: whether a second SYN of the same side is a word after the answer. */
static bool is_left_open(uint32_t n, bool to_guest, uint8_t flags)
{
	const struct model_flow *m = &model[n];
	return protocol_of(n) == TCP && is_live_flow(m) && m->inward == to_guest && m->answered &&
	       m->class == FLOW_HALF_OPEN && (flags & TCP_SYN);
}

static void fail_step(uint32_t n, bool to_guest, uint8_t flags, const char *what, bool wanted)
{
	const struct model_flow *m = &model[n];
	fail_msg("turn %llu: flow %u protocol %u flags %u %s: %s should be %d; now %s class %d, opened %s",
		 (unsigned long long)turn, n, protocol_of(n), flags, to_guest ? "to the guest" : "from the guest", what,
		 wanted, m->exists ? "exists" : "is none", m->class, m->inward ? "in" : "out");
}

/* As the guard does: an answer passes; else its sender opens, if some rule lets it. */
static void step(uint32_t n, uint32_t count)
{
	static const uint8_t flags_of_tcp[] = { TCP_SYN, TCP_SYN | TCP_ACK, TCP_ACK, TCP_ACK,
						TCP_ACK, TCP_FIN | TCP_ACK, TCP_RST, 0 };
	bool tcp = protocol_of(n) == TCP, to_guest = next_random() & 1, allowed = next_random() % 8 != 0;
	uint8_t flags = tcp ? flags_of_tcp[next_random() % sizeof flags_of_tcp] : 0;
	struct packet_facts f = packet(n, protocol_of(n), flags);
	if (next_random() % 16 == 0) {
		f.kind = PACKET_OF_ERROR;
		f.tcp_flags = 0;
		f.quotes_receiver = next_random() & 1;
		bool wanted = f.quotes_receiver && is_live_flow(&model[n]);
		if (is_answer(&flows, &f, to_guest, now_ms) != wanted)
			fail_step(n, to_guest, flags, "error is_answer", wanted);
		return;
	}
	if (is_left_open(n, to_guest, flags))
		return;
	bool wanted = model_answers(n, to_guest, flags);
	if (is_answer(&flows, &f, to_guest, now_ms) != wanted)
		fail_step(n, to_guest, flags, "is_answer", wanted);
	if (wanted || !allowed)
		return;
	wanted = model_opens(n, count, to_guest, flags);
	if (open_flow(&flows, &f, to_guest, now_ms) != wanted)
		fail_step(n, to_guest, flags, "open_flow", wanted);
}

static void compare_all(uint32_t count)
{
	uint32_t by_class[FLOW_CLASSES_END + 1] = { 0 };
	check_tables();
	if (count > FEW) {
		for (uint32_t n = 0; n < count; n++)
			by_class[is_live_flow(&model[n]) ? model[n].class : FLOW_CLASSES_END]++;
		for (int class = 0; class < FLOW_CLASSES_END; class ++)
			assert_true(flows.count[class] >=
				    by_class[class]); /* and those out of time that nobody has asked for */
		return;
	}
	for (uint32_t n = 0; n < count; n++) {
		struct packet_facts f = packet(n, protocol_of(n), 0);
		if (is_live_flow(&model[n]))
			assert_int_equal(class_of(&f), model[n].class);
	}
}

static void start_run(void)
{
	forget_flows();
	memset(model, 0, sizeof model);
	now_ms = 1000000;
	turn = 0;
}

void a_long_run_equals_the_model(void **state)
{
	(void)state;
	static const uint64_t pauses_ms[] = { 0, 0, 0, 1, 59999, 60000, 119999, 120000, 299999, 300000, 7439999, 7440000 };
	start_run();
	for (uint32_t i = 0; i < amount(3000000); i++) {
		step(next_random() % FEW, FEW);
		if (next_random() % 8 == 0)
			now_ms += next_random() % 16 ? next_random() % 20000 : pauses_ms[next_random() % 12];
		if (i % 4096 == 0)
			compare_all(FEW);
	}
	compare_all(FEW);
}

/* Thousands of steps behind the point where there is no room left. */
void a_full_table_equals_the_model(void **state)
{
	(void)state;
	start_run();
	for (uint32_t n = 0; n < FLOWS_MAX; n++) {
		struct packet_facts f = packet(n, protocol_of(n), protocol_of(n) == TCP ? TCP_SYN : 0);
		assert_true(open_flow(&flows, &f, n & 1, now_ms));
		model[n] = (struct model_flow){ .exists = true, .inward = n & 1, .used_ms = now_ms, .turn = ++turn };
	}
	for (uint32_t i = 0; i < 8000; i++) {
		step(next_random() % MANY, MANY);
		now_ms += next_random() % 8 == 0;
		if (i % 2048 == 0)
			compare_all(MANY);
	}
	compare_all(MANY);
}
