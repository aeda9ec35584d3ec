/* Fragments where ports or flows decide: docs/policy.md, Fragments. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "world_flow.h"

#include <cmocka.h>

static struct world w;
static uint32_t last_id;

static const uint8_t protocols[] = { TCP, UDP, SCTP };
enum { WAYS = 2 * 2 * 3, ALLOWED_PORT = 443, REFUSED_PORT = 444, FIRST = 64 };

/* Way number i: family, direction, protocol. The called port is the given one. */
static struct call way(uint32_t i, uint16_t port)
{
	struct call c = { .v6 = i & 1, .to_guest = i & 2, .protocol = protocols[i / 4], .flags = SYN };
	c.guest_port = c.to_guest ? port : 40000;
	c.peer_port = c.to_guest ? 40000 : port;
	return c;
}

#define PIECE(c, wanted, ...) \
	expect_verdict(&w, send_piece(&w, &(c), &(struct piece){ __VA_ARGS__ }), wanted, __FILE__, __LINE__)

static enum verdict refusal(const struct call *c)
{
	return c->to_guest ? DROP_SRC_BLOCKED : DROP_DST_BLOCKED;
}

/* Everything but one port is refused, both ways, in both families; that of SCTP must be said apart. */
static void allow_one_port(bool stateful)
{
	struct rule rules[6];
	start_flow_world(&w, stateful, INBOUND_ANY);
	for (int v6 = 0; v6 < 2; v6++) {
		struct rule *r = &rules[3 * v6];
		r[0] = r[1] =
		    rule_for(CLASS_BLOCKED, OUTWARD | INWARD, v6 ? ADDRESS6(0, 0) : address_of_ipv4(0), v6 ? 0 : 96);
		r[1].class = CLASS_ALLOWED;
		r[1].only = (struct qualifier){ .has_ports = 1, .first_port = ALLOWED_PORT, .last_port = ALLOWED_PORT };
		r[2] = r[1];
		r[2].only.has_protocol = 1;
		r[2].only.protocol = SCTP;
	}
	set_rules(&w, rules, 6);
}

static void later_ones_follow_their_first(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WAYS; i++)
		for (int stateful = i & 2 ? 1 : 0; stateful < 2;
		     stateful++) { /* without flows nothing is asked of the network */
			struct call good = way(i, ALLOWED_PORT), bad = way(i, REFUSED_PORT);
			allow_one_port(stateful);
			PIECE(good, DROP_PORTS_UNKNOWN, 1, FIRST, 16, false); /* it overtakes its first */
			PIECE(bad, refusal(&bad), 1, 0, FIRST, true);
			PIECE(good, DROP_PORTS_UNKNOWN, 1, FIRST, 16, false);
			PIECE(good, PASS, 1, 0, FIRST, true);
			PIECE(good, PASS, 1, FIRST, 16, true);
			PIECE(good, PASS, 1, FIRST + 16, 16, false);
			PIECE(good, PASS, 1, FIRST, 16, true); /* twice */
			PIECE(bad, refusal(&bad), 1, 0, FIRST, true);
			PIECE(good, DROP_PORTS_UNKNOWN, 2, FIRST, 16, false);
			struct call other = good;
			other.peer = good.v6 ? ADDRESS6(0x2a00000000000000ULL, 1) : address_of_ipv4(0x09090909);
			PIECE(other, DROP_PORTS_UNKNOWN, 1, FIRST, 16, false);
			other = good;
			other.protocol = protocols[(i / 4 + 1) % 3];
			if (!good.v6) /* RFC 791 3.2; not so in RFC 8200 4.5 */
				PIECE(other, DROP_PORTS_UNKNOWN, 1, FIRST, 16, false);
			w.now_ms += 60000 - 1;
			PIECE(good, PASS, 1, FIRST, 16, false);
			w.now_ms += 1;
			PIECE(good, DROP_PORTS_UNKNOWN, 1, FIRST, 16, false);
			struct call back = good; /* the same datagram the other way is another one */
			PIECE(good, PASS, 3, 0, FIRST, true);
			back.to_guest = !good.to_guest;
			if (stateful)
				PIECE(back, DROP_PORTS_UNKNOWN, 3, FIRST, 16, false);
		}
}

static void sixty_four_are_remembered(void **state)
{
	(void)state;
	enum { REMEMBERED = 64 };
	for (uint32_t i = 0; i < WAYS; i++) {
		struct call c = way(i, ALLOWED_PORT), other = way(i ^ 2, ALLOWED_PORT);
		allow_one_port(true);
		for (uint32_t id = 100; id < 100 + REMEMBERED; id++, w.now_ms += 10)
			PIECE(c, PASS, id, 0, FIRST, true);
		for (uint32_t id = 500; id < 500 + 2 * REMEMBERED; id++) /* each direction has its own */
			PIECE(other, PASS, id, 0, FIRST, true);
		for (uint32_t id = 100; id < 100 + REMEMBERED; id++)
			PIECE(c, PASS, id, FIRST, 16, false);
		PIECE(c, PASS, 100, 0, FIRST, true); /* seen again: now it is the newest */
		w.now_ms += 10;
		for (uint32_t id = 300; id < 300 + REMEMBERED - 1; id++, w.now_ms += 10)
			PIECE(c, PASS, id, 0, FIRST, true);
		PIECE(c, PASS, 100, FIRST, 16, false);
		for (uint32_t id = 101; id < 100 + REMEMBERED; id++)
			PIECE(c, DROP_PORTS_UNKNOWN, id, FIRST, 16, false);
		for (uint32_t id = 300; id < 300 + REMEMBERED - 1; id++)
			PIECE(c, PASS, id, FIRST, 16, false);
	}
}

/* Where the ports make no difference a later fragment passes by itself, or is refused by itself. */
static void ports_that_make_no_difference(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WAYS; i++) {
		struct call c = way(i, ALLOWED_PORT);
		if (c.to_guest)
			continue;
		start_flow_world(&w, false, INBOUND_ANY);
		PIECE(c, PASS, 1, FIRST, 16, false);
		struct rule rule = rule_for(CLASS_BLOCKED, OUTWARD, peer_of(&c), 128);
		set_rules(&w, &rule, 1);
		PIECE(c, DROP_DST_BLOCKED, 1, FIRST, 16, false);
		rule.only = (struct qualifier){ .has_protocol = 1, .protocol = c.protocol };
		set_rules(&w, &rule, 1);
		PIECE(c, DROP_DST_BLOCKED, 1, FIRST, 16, false);
		rule.only = (struct qualifier){ .has_protocol = 1,
						.protocol = protocols[(i / 4 + 1) % 3],
						.has_ports = 1,
						.first_port = 1,
						.last_port = 9 };
		set_rules(&w, &rule, 1);
		PIECE(c, PASS, 1, FIRST, 16, false);
		c.protocol = ICMP4; /* no ports, so no doubt */
		PIECE(c, PASS, 1, FIRST, 16, false);
	}
	struct call private = { .protocol = UDP, .guest_port = 40000, .peer_port = 53, .peer = address_of_ipv4(VICTIM_IP) };
	start_flow_world(&w, false, INBOUND_ANY);
	PIECE(private, DROP_DST_PRIVATE, 1, FIRST, 16, false);
}

/* The fragments of an answer follow its first one, whatever the rules say of calls in that direction. */
static void fragments_of_answers(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < WAYS; i++) {
		struct call call = way(i, ALLOWED_PORT), answer = answer_to(call);
		start_flow_world(&w, true, INBOUND_ESTABLISHED);
		struct rule rules[2] = {
			rule_for(call.to_guest ? CLASS_BLOCKED : CLASS_ALLOWED, OUTWARD, peer_of(&call), 128),
			rule_for(call.to_guest ? CLASS_ALLOWED : CLASS_BLOCKED, INWARD, peer_of(&call), 128)
		};
		set_rules(&w, rules, 2);
		assert_int_not_equal(send_piece(&w, &answer, &(struct piece){ 1, 0, FIRST, true }), PASS);
		assert_int_not_equal(send_piece(&w, &answer, &(struct piece){ 1, FIRST, 16, false }), PASS);
		expect_verdict(&w, make_call(&w, &call), PASS, __FILE__, __LINE__);
		assert_int_not_equal(send_piece(&w, &answer, &(struct piece){ 1, FIRST, 16, false }), PASS);
		PIECE(answer, PASS, 1, 0, FIRST, true);
		PIECE(answer, PASS, 1, FIRST, 16, false);
		assert_int_not_equal(send_piece(&w, &answer, &(struct piece){ 2, FIRST, 16, false }), PASS);
	}
	struct call stranger = way(2, ALLOWED_PORT);
	start_flow_world(&w, true, INBOUND_ESTABLISHED);
	PIECE(stranger, DROP_UNSOLICITED, 1, 0, FIRST, true);
	assert_int_not_equal(send_piece(&w, &stranger, &(struct piece){ 1, FIRST, 16, false }), PASS);
}

/* All pieces that can be cut at octets 0, 8, 16, 24, 32: with one of two ports in those that hold them. */
enum { BLOCK = 8, BLOCKS = 6, PIECES_MAX = 64, STEPS = 3 };

struct slice {
	struct piece piece;
	uint16_t port;
};

static struct slice cuts[PIECES_MAX];
static uint32_t cut_count;

static void list_cuts(void)
{
	static const uint32_t ends[] = { 3, 4, 6 };
	cut_count = 0;
	for (uint32_t first = 0; first < 4; first++)
		for (uint32_t e = 0; e < 3; e++)
			for (uint32_t kind = 0; kind < 4; kind++) {
				if (first > 0 && kind / 2)
					continue;
				if (ends[e] <= first)
					continue;
				cuts[cut_count++] =
				    (struct slice){ { 0, first * BLOCK, (ends[e] - first) * BLOCK, kind % 2 },
						    kind / 2 ? REFUSED_PORT : ALLOWED_PORT };
			}
}

/* The port of what a receiver puts together; 0: nothing yet. last_wins: which of two copies of a block it takes. */
static uint16_t port_of_datagram(const struct slice *const *got, uint32_t n, bool last_wins)
{
	const struct slice *block[BLOCKS] = { NULL };
	uint32_t end = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct piece *p = &got[i]->piece;
		for (uint32_t b = p->offset / BLOCK; b < (p->offset + p->octets) / BLOCK; b++)
			if (last_wins || !block[b])
				block[b] = got[i];
		if (!p->more && (last_wins || end == 0))
			end = (p->offset + p->octets) / BLOCK;
	}
	for (uint32_t b = 0; b < end; b++)
		if (!block[b])
			return 0;
	return end > 0 ? block[0]->port : 0;
}

static void try_sequence(uint32_t way_number, const uint32_t *order)
{
	const struct slice *got[STEPS];
	uint32_t n = 0;
	bool may_follow = false;
	last_id = (last_id + 1) & 0xffff;
	for (uint32_t i = 0; i < STEPS; i++) {
		struct slice *cut = &cuts[order[i]];
		struct call c = way(way_number, cut->port);
		cut->piece.id = last_id;
		enum verdict verdict = send_piece(&w, &c, &cut->piece);
		bool is_first = cut->piece.offset == 0;
		if (verdict == PASS && (is_first ? cut->port != ALLOWED_PORT : !may_follow))
			expect_verdict(&w, verdict, DROP_PORTS_UNKNOWN, __FILE__, __LINE__);
		may_follow |= verdict == PASS && is_first;
		if (verdict == PASS)
			got[n++] = cut;
	}
	if (port_of_datagram(got, n, true) == REFUSED_PORT || port_of_datagram(got, n, false) == REFUSED_PORT)
		fail_msg("way %u, pieces %u %u %u", way_number, order[0], order[1], order[2]);
}

/* P23: whatever order, whatever overlaps, whichever copy counts: what is refused whole cannot be brought in pieces. */
static void no_pieces_make_what_is_refused(void **state)
{
	(void)state;
	list_cuts();
	for (uint32_t i = 0; i < WAYS; i++) {
		allow_one_port((i & 2) != 0);
		uint32_t order[STEPS], whole = 0;
		for (order[0] = 0; order[0] < cut_count; order[0]++)
			for (order[1] = 0; order[1] < cut_count; order[1]++)
				for (order[2] = 0; order[2] < cut_count; order[2]++, whole++)
					try_sequence(i, order);
		assert_true(whole > 1000);
	}
}

/* The flags of a TCP header are as well guarded as its ports: no pieces make a SYN of an answer. */
static void no_pieces_make_a_syn(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct call call = { .v6 = v6, .protocol = TCP, .guest_port = 40000, .peer_port = 443, .flags = SYN };
		struct call answer = answer_to(call), syn = answer;
		start_flow_world(&w, true, INBOUND_ESTABLISHED);
		expect_verdict(&w, make_call(&w, &call), PASS, __FILE__, __LINE__);
		syn.flags = SYN;
		for (uint32_t octets = 8; octets <= 40; octets += 8)
			assert_int_not_equal(send_piece(&w, &syn, &(struct piece){ 9, 0, octets, true }), PASS);
		PIECE(answer, PASS, 9, 0, 40, true);
		for (uint32_t octets = 8; octets <= 40; octets += 8) {
			assert_int_not_equal(send_piece(&w, &syn, &(struct piece){ 9, 0, octets, true }), PASS);
			assert_int_not_equal(send_piece(&w, &syn, &(struct piece){ 9, 8, octets, false }), PASS);
			assert_int_not_equal(send_piece(&w, &syn, &(struct piece){ 9, 16, octets, false }), PASS);
		}
		PIECE(answer, PASS, 9, 40, 16, false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(later_ones_follow_their_first),  cmocka_unit_test(sixty_four_are_remembered),
		cmocka_unit_test(ports_that_make_no_difference),  cmocka_unit_test(fragments_of_answers),
		cmocka_unit_test(no_pieces_make_what_is_refused), cmocka_unit_test(no_pieces_make_a_syn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
