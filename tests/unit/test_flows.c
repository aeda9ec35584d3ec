/* The table of flows by itself: who answers, how long, and who goes when it is full. docs/policy.md, Flows. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "test_flows.h"

#include <cmocka.h>

enum { GUEST, PEER }; /* who sends; as a bool: to the guest */
enum { NOBODY = 0xffff };

static uint64_t now_ms;

static const uint64_t timeout_ms[FLOW_CLASSES_END] = {
	[FLOW_HALF_OPEN] = 60000, [FLOW_CLOSING] = 120000, [FLOW_DATAGRAM] = 300000, [FLOW_ESTABLISHED] = 7440000
};

static void start(void)
{
	forget_flows();
	now_ms = 1000000;
}

static bool opens(struct packet_facts f, bool to_guest)
{
	return open_flow(&flows, &f, to_guest, now_ms);
}

static bool answers(struct packet_facts f, bool to_guest)
{
	return is_answer(&flows, &f, to_guest, now_ms);
}

#define assert_class(f, wanted) assert_int_equal(class_of(&(struct packet_facts[]){ f }[0]), wanted)

/* From nothing to the class, opened by `opener`; the last packet at now_ms. */
static void bring_to(enum flow_class class, uint32_t n, bool opener)
{
	uint8_t protocol = class == FLOW_DATAGRAM ? UDP : TCP;
	assert_true(opens(packet(n, protocol, protocol == TCP ? TCP_SYN : 0), opener));
	if (class != FLOW_HALF_OPEN)
		assert_true(answers(packet(n, protocol, protocol == TCP ? TCP_SYN | TCP_ACK : 0), !opener));
	if (class == FLOW_CLOSING || class == FLOW_ESTABLISHED)
		assert_true(opens(packet(n, TCP, TCP_ACK), opener));
	if (class == FLOW_CLOSING)
		assert_true(answers(packet(n, TCP, TCP_RST), !opener));
	if (flows.count[class] < 64) /* it is looked for one by one */
		assert_class(packet(n, protocol, 0), class);
}

static void handshake_of_tcp(void **state)
{
	(void)state;
	for (int opener = GUEST; opener <= PEER; opener++) {
		start();
		for (uint8_t flags = 0; flags < 32; flags++) {
			assert_false(answers(packet(1, TCP, flags), opener)); /* nobody opened */
			assert_false(answers(packet(1, TCP, flags), !opener));
		}
		assert_true(opens(packet(1, TCP, TCP_SYN), opener));
		assert_class(packet(1, TCP, 0), FLOW_HALF_OPEN);
		for (uint8_t flags = 0; flags < 32; flags++) {
			assert_false(answers(packet(1, TCP, flags), opener)); /* who opened is asked for its right each time */
			assert_false(answers(packet(2, TCP, flags), !opener));
			assert_false(answers(packet(1, UDP, flags), !opener));
			if ((flags & TCP_SYN) && !(flags & TCP_ACK))
				assert_false(answers(packet(1, TCP, flags), !opener));
		}
		assert_true(answers(packet(1, TCP, TCP_SYN | TCP_ACK), !opener));
		assert_class(packet(1, TCP, 0), FLOW_HALF_OPEN);
		assert_true(answers(packet(1, TCP, TCP_ACK), !opener)); /* however much it answers */
		assert_class(packet(1, TCP, 0), FLOW_HALF_OPEN);
		assert_true(opens(packet(1, TCP, TCP_ACK), opener));
		assert_class(packet(1, TCP, 0), FLOW_ESTABLISHED);
		for (uint8_t flags = 0; flags < 32; flags++)
			if (!(flags & TCP_RST) && !(flags & TCP_FIN)) {
				assert_false(answers(packet(1, TCP, flags), opener));
				assert_int_equal(answers(packet(1, TCP, flags), !opener),
						 !(flags & TCP_SYN) || (flags & TCP_ACK));
			}
		check_tables();
	}
}

static void no_answer_makes_nothing_of_a_half_open_flow(void **state)
{
	(void)state;
	start();
	for (int i = 0; i < 10; i++) {
		assert_true(opens(packet(1, TCP, i == 0 ? TCP_SYN : TCP_ACK), GUEST));
		assert_true(opens(packet(1, UDP, 0), GUEST));
		assert_class(packet(1, TCP, 0), FLOW_HALF_OPEN);
		assert_class(packet(1, UDP, 0), FLOW_HALF_OPEN);
	}
	assert_int_equal(flows.count[FLOW_HALF_OPEN], 2);
}

/* Each class, opened by either side, lives to the last millisecond and no longer; a packet of either side begins it anew. */
static void timeouts(void **state)
{
	(void)state;
	for (int class = 0; class < FLOW_CLASSES_END; class ++)
		for (int opener = GUEST; opener <= PEER; opener++)
			for (int who = 0; who < 2; who++) {
				uint8_t protocol = class == FLOW_DATAGRAM ? UDP : TCP,
					ack = protocol == TCP ? TCP_ACK : 0;
				start();
				bring_to((enum flow_class) class, 1, opener);
				now_ms += timeout_ms[class] - 1;
				if (who == 0) {
					assert_true(answers(packet(1, protocol, ack), !opener));
				} else {
					assert_true(opens(packet(1, protocol, ack), opener));
					assert_class(packet(1, protocol, 0), class); /* not as if it were new */
				}
				now_ms += timeout_ms[class] - 1;
				assert_true(answers(packet(1, protocol, ack), !opener));
				now_ms += timeout_ms[class];
				assert_false(answers(packet(1, protocol, ack), !opener));
				check_tables();
			}
}

/* After its time a flow is as if it had never been: the other side may even open one the other way. */
static void what_is_over_does_not_come_back(void **state)
{
	(void)state;
	for (int class = 0; class < FLOW_CLASSES_END; class ++)
		for (int opener = GUEST; opener <= PEER; opener++) {
			uint8_t protocol = class == FLOW_DATAGRAM ? UDP : TCP, ack = protocol == TCP ? TCP_ACK : 0;
			start();
			bring_to((enum flow_class) class, 1, opener);
			now_ms += timeout_ms[class];
			assert_true(opens(packet(1, protocol, ack), !opener));
			assert_class(packet(1, protocol, 0), FLOW_HALF_OPEN);
			assert_false(answers(packet(1, protocol, ack), !opener));
			assert_true(answers(packet(1, protocol, ack), opener));
			check_tables();
		}
}

static void end_of_tcp(void **state)
{
	(void)state;
	for (int opener = GUEST; opener <= PEER; opener++)
		for (int first = GUEST; first <= PEER; first++) {
			start();
			bring_to(FLOW_ESTABLISHED, 1, opener);
			for (int i = 0; i < 3; i++) /* one side's FIN, however often, is half of it */
				assert_true(first == opener ? opens(packet(1, TCP, TCP_FIN | TCP_ACK), first)
							    : answers(packet(1, TCP, TCP_FIN | TCP_ACK), first));
			assert_class(packet(1, TCP, 0), FLOW_ESTABLISHED);
			assert_true(first != opener ? opens(packet(1, TCP, TCP_FIN | TCP_ACK), !first)
						    : answers(packet(1, TCP, TCP_FIN | TCP_ACK), !first));
			assert_class(packet(1, TCP, 0), FLOW_CLOSING);
			assert_true(opens(packet(1, TCP, TCP_ACK), opener)); /* the last word of the one who closed first */
			assert_true(answers(packet(1, TCP, TCP_ACK), !opener));
			assert_class(packet(1, TCP, 0), FLOW_CLOSING);
			start();
			bring_to(FLOW_ESTABLISHED, 1, opener);
			assert_true(first == opener ? opens(packet(1, TCP, TCP_RST), first)
						    : answers(packet(1, TCP, TCP_RST), first));
			assert_class(packet(1, TCP, 0), FLOW_CLOSING);
			check_tables();
		}
	start();
	bring_to(FLOW_HALF_OPEN, 1, GUEST);
	assert_true(answers(packet(1, TCP, TCP_RST | TCP_ACK), PEER)); /* connection refused */
	assert_class(packet(1, TCP, 0), FLOW_CLOSING);
}

/* A new connection on the ports of one that closed, opened by the same side and by the other. */
static void ports_are_used_again(void **state)
{
	(void)state;
	for (int opener = GUEST; opener <= PEER; opener++)
		for (int next = GUEST; next <= PEER; next++) {
			start();
			bring_to(FLOW_CLOSING, 1, opener);
			assert_false(answers(packet(1, TCP, TCP_SYN), next));
			assert_true(opens(packet(1, TCP, TCP_SYN), next));
			assert_false(answers(packet(1, TCP, TCP_ACK), next));
			assert_true(answers(packet(1, TCP, TCP_SYN | TCP_ACK), !next));
			assert_class(packet(1, TCP, 0), FLOW_HALF_OPEN);
			assert_true(opens(packet(1, TCP, TCP_ACK), next));
			assert_class(packet(1, TCP, 0), FLOW_ESTABLISHED);
			assert_true(opens(packet(1, TCP, TCP_FIN | TCP_ACK), next));
			assert_class(packet(1, TCP, 0), FLOW_ESTABLISHED); /* no FIN is left over from the old one */
			check_tables();
		}
}

/* The answering side opens, where it may. No SYN of its own makes less of an established connection. */
static void the_other_side_opens(void **state)
{
	(void)state;
	for (int opener = GUEST; opener <= PEER; opener++) {
		start();
		bring_to(FLOW_HALF_OPEN, 1, opener);
		assert_false(answers(packet(1, TCP, TCP_SYN), !opener));
		assert_true(opens(packet(1, TCP, TCP_SYN), !opener));
		assert_class(packet(1, TCP, 0), FLOW_HALF_OPEN);
		assert_true(answers(packet(1, TCP, TCP_SYN | TCP_ACK), opener));
		assert_false(answers(packet(1, TCP, TCP_ACK), !opener));
		check_tables();
		start();
		bring_to(FLOW_ESTABLISHED, 1, opener);
		assert_false(answers(packet(1, TCP, TCP_SYN), !opener));
		assert_true(opens(packet(1, TCP, TCP_SYN), !opener));
		assert_true(opens(packet(1, TCP, TCP_SYN), opener));
		assert_class(packet(1, TCP, 0), FLOW_ESTABLISHED);
		assert_true(answers(packet(1, TCP, TCP_ACK), !opener));
		check_tables();
	}
}

static void datagrams(void **state)
{
	(void)state;
	static const uint8_t protocols[] = { UDP, 1, 58, 47, 50, 132, 136, 255 };
	for (uint32_t i = 0; i < sizeof protocols; i++)
		for (int opener = GUEST; opener <= PEER; opener++)
			for (uint32_t n = 0; n < 2; n++) {
				start();
				assert_false(answers(packet(n, protocols[i], 0), !opener));
				assert_true(opens(packet(n, protocols[i], 0), opener));
				assert_false(answers(packet(n, protocols[i], 0), opener));
				assert_class(packet(n, protocols[i], 0), FLOW_HALF_OPEN);
				assert_true(answers(packet(n, protocols[i], 0), !opener));
				assert_class(packet(n, protocols[i], 0), FLOW_DATAGRAM);
				assert_true(opens(packet(n, protocols[i], 0), opener));
				assert_class(packet(n, protocols[i], 0), FLOW_DATAGRAM);
				assert_false(answers(packet(n, protocols[i] - 1, 0), !opener));
				check_tables();
			}
}

/* Every part of the key tells flows apart. */
static void what_a_flow_is_known_by(void **state)
{
	(void)state;
	start();
	struct packet_facts f = packet(1, UDP, 0);
	assert_true(opens(f, GUEST));
	for (int part = 0; part < 6; part++) {
		struct packet_facts other = f;
		other.key.guest.low ^= part == 0;
		other.key.peer.low ^= part == 1;
		other.key.peer.high ^= part == 2;
		other.key.guest_port ^= part == 3;
		other.key.peer_port ^= part == 4;
		other.key.protocol ^= part == 5;
		assert_false(answers(other, PEER));
	}
	struct packet_facts turned = f;
	turned.key.guest_port = f.key.peer_port;
	turned.key.peer_port = f.key.guest_port;
	assert_false(answers(turned, PEER));
	assert_true(answers(f, PEER));
}

static void errors_quote_known_flows(void **state)
{
	(void)state;
	for (int opener = GUEST; opener <= PEER; opener++)
		for (int receiver = GUEST; receiver <= PEER; receiver++) {
			struct packet_facts error = packet(1, TCP, 0);
			error.kind = PACKET_OF_ERROR;
			error.quotes_receiver = true;
			start();
			assert_false(answers(error, receiver == GUEST));
			bring_to(FLOW_ESTABLISHED, 1, opener);
			assert_true(answers(error, receiver == GUEST));
			assert_class(error, FLOW_ESTABLISHED);
			error.quotes_receiver = false;
			assert_false(answers(error, receiver == GUEST));
			error.quotes_receiver = true;
			error.key.guest_port++;
			assert_false(answers(error, receiver == GUEST));
			error.key.guest_port--;
			now_ms += timeout_ms[FLOW_ESTABLISHED];
			assert_false(answers(error, receiver == GUEST));
		}
	start();
	struct packet_facts none = packet(1, 1, 0);
	none.kind = PACKET_WITHOUT_FLOW;
	assert_false(answers(none, PEER));
	assert_true(opens(none, PEER)); /* rules alone decide; nothing is remembered */
	assert_false(answers(none, GUEST));
	none.kind = PACKET_OF_ERROR;
	none.quotes_receiver = true;
	assert_true(opens(none, PEER));
	assert_false(answers(none, GUEST));
	for (int class = 0; class < FLOW_CLASSES_END; class ++)
		assert_int_equal(flows.count[class], 0);
	check_tables();
}

static void half_open_flows_push_each_other_out(void **state)
{
	(void)state;
	start();
	bring_to(FLOW_ESTABLISHED, 0, GUEST);
	bring_to(FLOW_DATAGRAM, 1, GUEST);
	bring_to(FLOW_CLOSING, 2, PEER);
	for (uint32_t n = 3; n < FLOWS_MAX; n++, now_ms += n % 2)
		assert_true(opens(packet(n, n % 3 ? TCP : UDP, n % 3 ? TCP_SYN : 0), n % 5 == 0));
	check_tables();
	for (uint32_t n = 3; n < FLOWS_MAX; n++) { /* twice as many again: each takes the place of the oldest */
		uint32_t more = FLOWS_MAX + n;
		if (n % 1024 == 3) {
			assert_class(packet(n, n % 3 ? TCP : UDP, 0), FLOW_HALF_OPEN);
			assert_class(packet(FLOWS_MAX - 1, (FLOWS_MAX - 1) % 3 ? TCP : UDP, 0), FLOW_HALF_OPEN);
		}
		assert_true(opens(packet(more, UDP, 0), more % 2));
		if (n % 1024 == 3) {
			assert_class(packet(n, n % 3 ? TCP : UDP, 0), FLOW_CLASSES_END);
			assert_false(answers(packet(n, n % 3 ? TCP : UDP, n % 3 ? TCP_ACK : 0), n % 5 != 0));
		}
	}
	assert_class(packet(0, TCP, 0), FLOW_ESTABLISHED);
	assert_class(packet(1, UDP, 0), FLOW_DATAGRAM);
	assert_class(packet(2, TCP, 0), FLOW_CLOSING);
	assert_int_equal(flows.count[FLOW_HALF_OPEN], FLOWS_MAX - 3);
	check_tables();
}

/* Five of each of the classes that may go, the rest established; newcomers become established at once and stay. */
static void who_goes_first(void **state)
{
	(void)state;
	static const enum flow_class order[] = { FLOW_HALF_OPEN, FLOW_CLOSING, FLOW_DATAGRAM };
	enum { EACH = 5, GOING = 3 * EACH };
	start();
	for (uint32_t n = 0; n < GOING; n++, now_ms += 10) /* datagrams are made first, half-open ones last */
		bring_to(order[2 - n / EACH], n, n % 2);
	for (uint32_t n = GOING; n < FLOWS_MAX; n++)
		bring_to(FLOW_ESTABLISHED, n, n % 2);
	for (uint32_t n = 0; n < EACH - 1; n++, now_ms += 10) /* the last datagram is now the one longest idle */
		assert_true(answers(packet(n, UDP, 0), n % 2 == 0));
	check_tables();
	static const uint32_t victims[GOING] = { 10, 11, 12, 13, 14, 5, 6, 7, 8, 9, 4, 0, 1, 2, 3 };
	for (uint32_t i = 0; i < GOING; i++, now_ms++) {
		enum flow_class class = order[i / EACH];
		assert_class(packet(victims[i], class == FLOW_DATAGRAM ? UDP : TCP, 0), class);
		bring_to(FLOW_ESTABLISHED, FLOWS_MAX + i, i % 2);
		assert_class(packet(victims[i], class == FLOW_DATAGRAM ? UDP : TCP, 0), FLOW_CLASSES_END);
	}
	check_tables();
	assert_int_equal(flows.count[FLOW_ESTABLISHED], FLOWS_MAX);
	assert_false(opens(packet(2 * FLOWS_MAX, UDP, 0), GUEST));
	assert_false(opens(packet(2 * FLOWS_MAX, TCP, TCP_SYN), PEER));
	assert_false(answers(packet(2 * FLOWS_MAX, TCP, TCP_ACK), GUEST));
	assert_true(opens(packet(GOING + 1, TCP, TCP_ACK), (GOING + 1) % 2)); /* who is in may go on */
	assert_true(answers(packet(GOING + 1, TCP, TCP_RST), (GOING + 1) % 2 == 0));
	assert_true(opens(packet(2 * FLOWS_MAX, UDP, 0), GUEST)); /* the closed one made room */
	assert_class(packet(GOING + 1, TCP, 0), FLOW_CLASSES_END);
	check_tables();
}

/* A flow out of time is none: it makes room before any live one has to go. */
static void what_is_over_makes_room(void **state)
{
	(void)state;
	for (int class = 0; class < FLOW_CLASSES_END; class ++) {
		enum { LIVE = 16, MORE = 64 };
		start();
		for (uint32_t n = LIVE; n < FLOWS_MAX; n++)
			bring_to((enum flow_class) class, n, GUEST);
		now_ms += timeout_ms[class] - 10;
		for (uint32_t n = 0; n < LIVE; n++)
			assert_true(opens(packet(n, UDP, 0), GUEST));
		now_ms += 10;
		for (uint32_t n = 0; n < MORE; n++)
			assert_true(opens(packet(FLOWS_MAX + n, UDP, 0), PEER));
		for (uint32_t n = 0; n < LIVE; n++)
			assert_true(answers(packet(n, UDP, 0), PEER));
		check_tables();
	}
}

static void forgetting_everything(void **state)
{
	(void)state;
	start();
	check_tables();
	for (uint32_t n = 0; n < 100; n++)
		bring_to((enum flow_class)(n % FLOW_CLASSES_END), n, n % 2);
	struct packet_facts f = packet(1, UDP, 0);
	remember_datagram(&flows, &f, GUEST, now_ms);
	start();
	check_tables();
	for (uint32_t n = 0; n < 100; n++)
		assert_false(answers(packet(n, n % FLOW_CLASSES_END == FLOW_DATAGRAM ? UDP : TCP, TCP_ACK), n % 2 == 0));
	assert_false(is_known_datagram(&flows, &f, GUEST, now_ms));
}

/* What the table keeps of the last key that it looked for would be wrong then. */
static void a_new_hash_key_finds_what_it_has_put(void **unused)
{
	static const uint64_t other_key[2] = { 1, 2 };
	struct packet_facts one = packet(1, UDP, 0), two = packet(2, UDP, 0);
	(void)unused;
	forget_flows();
	assert_true(open_flow(&flows, &one, false, 1000));
	clear_flows(&flows, other_key);
	assert_false(is_answer(&flows, &one, true, 1001));
	assert_true(open_flow(&flows, &one, false, 1002));
	assert_false(is_answer(&flows, &two, true, 1003));
	assert_true(is_answer(&flows, &one, true, 1004));
	check_tables();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_hash_key_finds_what_it_has_put),
		cmocka_unit_test(handshake_of_tcp),
		cmocka_unit_test(no_answer_makes_nothing_of_a_half_open_flow),
		cmocka_unit_test(timeouts),
		cmocka_unit_test(what_is_over_does_not_come_back),
		cmocka_unit_test(end_of_tcp),
		cmocka_unit_test(ports_are_used_again),
		cmocka_unit_test(the_other_side_opens),
		cmocka_unit_test(datagrams),
		cmocka_unit_test(what_a_flow_is_known_by),
		cmocka_unit_test(errors_quote_known_flows),
		cmocka_unit_test(half_open_flows_push_each_other_out),
		cmocka_unit_test(who_goes_first),
		cmocka_unit_test(what_is_over_makes_room),
		cmocka_unit_test(forgetting_everything),
		cmocka_unit_test(a_long_run_equals_the_model),
		cmocka_unit_test(a_full_table_equals_the_model),
		cmocka_unit_test(both_directions_have_one_key),
		cmocka_unit_test(facts_of_icmp_errors),
		cmocka_unit_test(what_errors_quote_may_be_in_pieces),
		cmocka_unit_test(extension_headers_are_walked),
		cmocka_unit_test(what_has_no_flow),
		cmocka_unit_test(random_frames_have_facts_or_none),
		cmocka_unit_test(rows_of_directions),
		cmocka_unit_test(answers_pass_whatever_the_rules_say),
		cmocka_unit_test(exposed_ports_are_open),
		cmocka_unit_test(errors_about_flows_pass),
		cmocka_unit_test(both_sides_ping_with_one_identifier),
		cmocka_unit_test(groups_have_no_answers),
		cmocka_unit_test(what_rules_do_not_touch),
		cmocka_unit_test(a_full_table_refuses),
		cmocka_unit_test(random_calls_equal_the_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
