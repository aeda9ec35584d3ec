/* Questions of the guard's own about routers: when it asks, whom, and what an answer and none mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/learn4/snoop_anchors4.h"
#include "test_anchors4.h"

#include <cmocka.h>

enum { SECOND = 1000 };

static struct {
	int count, to_all;
	uint64_t to, at_ms;
	bool refuses;
	uint8_t frame[64];
} asked;

static bool on_ask(void *context, const uint8_t *frame, uint32_t length)
{
	(void)context;
	if (asked.refuses)
		return false;
	assert_int_equal(length, 42);
	memcpy(asked.frame, frame, length);
	asked.to = 0;
	for (int i = 0; i < 6; i++)
		asked.to = asked.to << 8 | frame[i];
	asked.to_all += asked.to == MAC_BROADCAST;
	asked.count++;
	asked.at_ms = w.now_ms;
	return true;
}

static void start_asking(void)
{
	start_learned(UINT32_MAX);
	w.guard.ask = on_ask;
	memset(&asked, 0, sizeof asked);
}

/* As the relay does: it wakes when it is told to. */
static void let_pass(uint64_t ms)
{
	for (uint64_t end_ms = w.now_ms + ms; w.now_ms < end_ms;) {
		uint64_t next_ms = expire_bindings(&w.guard, w.now_ms);
		assert_true(next_ms > w.now_ms);
		w.now_ms = next_ms < end_ms ? next_ms : end_ms;
	}
	expire_bindings(&w.guard, w.now_ms);
}

/* A guest that keeps what ARP told it, and asks nobody, hears of its new router in some seconds. */
void the_guard_asks_for_a_guest_that_does_not(void **state)
{
	static const uint8_t question[] = { 0x52, 0x54, 0,  0,  0, 1, 0x52, 0x54, 0,    0,    0,   0x0a, 8,  6,
					    0,    1,    8,  0,  6, 4, 0,    1,    0x52, 0x54, 0,   0,    0,  0x0a,
					    192,  168,  64, 10, 0, 0, 0,    0,    0,    0,    192, 168,  64, 1 };
	(void)state;
	start_asking();
	EXPECT(says(1, ROUTER_IP, NEW_MAC), DROP_ARP_GATEWAY_SPOOF);
	assert_memory_equal(asked.frame, question, sizeof question);
	let_pass(2500);
	assert_int_equal(asked.count, 3);
	assert_int_equal(asked.to_all, 0);
	let_pass(500); /* nobody answers: now everybody is asked */
	assert_true(asked.count == 4 && asked.to_all == 1 && asked.to == MAC_BROADCAST);
	EXPECT(says(2, ROUTER_IP, NEW_MAC), PASS);
	assert_int_equal(w.last_event.kind, EVENT_GATEWAY_CHANGED);
	EXPECT(sends_by(NEW_MAC), PASS);
	let_pass(60 * SECOND);
	assert_int_equal(asked.count, 4);
}

void a_live_router_answers_the_guard(void **state)
{
	(void)state;
	start_asking();
	uint64_t begin_ms = w.now_ms;
	for (int i = 0; i < 600; i++) { /* a neighbor shouts ten times a second */
		int before = asked.count;
		EXPECT(says(i % 2 ? 2 : 1, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
		let_pass(1);
		if (asked.count > before)
			EXPECT(says(2, ROUTER_IP, ROUTER_MAC), PASS);
		let_pass(99);
	}
	assert_int_equal(asked.to_all, 0);
	assert_true(asked.count <= 1 + (int)((w.now_ms - begin_ms) / 10000));
}

/* A question that did not leave proves nothing, neither the guard's nor the guest's. */
void what_did_not_leave_was_not_asked(void **state)
{
	(void)state;
	start_asking();
	asked.refuses = true;
	for (int i = 0; i < 30; i++) {
		EXPECT(says(2, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
		let_pass(SECOND);
	}
	for (int i = 0; i < 5; i++, w.now_ms += SECOND) {
		EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
		EXPECT(says(2, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
		forget_silence4(&w.state); /* the uplink's queue was full */
	}
}

/* The guest kept its ARP entry over a restart of the guard, and sends at once. */
void the_guard_seeks_a_router_that_it_does_not_know(void **state)
{
	(void)state;
	start_learning(600);
	w.guard.ask = on_ask;
	memset(&asked, 0, sizeof asked);
	EXPECT(sends_by(ROUTER_MAC), DROP_L2_NEXT_HOP);
	assert_true(asked.count == 1 && asked.to_all == 1);
	EXPECT(sends_by(ROUTER_MAC), DROP_L2_NEXT_HOP);
	assert_int_equal(asked.count, 1); /* once in a second */
	w.now_ms += 999;
	EXPECT(sends_by(ROUTER_MAC), DROP_L2_NEXT_HOP);
	assert_int_equal(asked.count, 1);
	w.now_ms += 1;
	EXPECT(sends_by(ROUTER_MAC), DROP_L2_NEXT_HOP);
	assert_int_equal(asked.count, 2);
	EXPECT(says(2, ROUTER_IP, ROUTER_MAC), PASS);
	EXPECT(sends_by(ROUTER_MAC), PASS);
	EXPECT(sends_by(VICTIM_MAC), DROP_L2_NEXT_HOP);
	assert_int_equal(asked.count, 2); /* there is nothing to find out */
	/* The operator says that the network has changed: the next packet finds the router again. */
	relearn(&w.state);
	EXPECT(sends_by(ROUTER_MAC), DROP_L2_NEXT_HOP);
	EXPECT(says(2, ROUTER_IP, NEW_MAC), PASS);
	EXPECT(sends_by(NEW_MAC), PASS);
}

/* A guest rebinds, and answers no ARP, so that the server cannot send the ACK that would show that it lives. */
void the_guard_tells_the_server_who_rebinds(void **state)
{
	static const uint8_t question[] = { 0x52, 0x54, 0,  0,  0, 2, 0x52, 0x54, 0,    0,    0,   0x0a, 8,  6,
					    0,    1,    8,  0,  6, 4, 0,    1,    0x52, 0x54, 0,   0,    0,  0x0a,
					    192,  168,  64, 10, 0, 0, 0,    0,    0,    0,    192, 168,  64, 2 };
	(void)state;
	start_asking();
	for (uint32_t xid = 7; xid < 9; xid++) {
		EXPECT(client((struct dhcp_spec){ .type = 3, .xid = xid, .ciaddr = GUEST_IP, .ip_from = GUEST_IP }),
		       PASS);
		assert_memory_equal(asked.frame, question, sizeof question);
	}
	assert_int_equal(asked.count, 2);
	EXPECT(client((struct dhcp_spec){ .type = 1, .xid = 9 }), PASS); /* an OFFER needs no ARP */
	assert_int_equal(asked.count, 2);
	w.state.learned.servers[0].address = address_of_ipv4(RELAYED_IP); /* no ARP goes there */
	EXPECT(client((struct dhcp_spec){ .type = 3, .xid = 10, .ciaddr = GUEST_IP, .ip_from = GUEST_IP }), PASS);
	assert_int_equal(asked.count, 2);
}
