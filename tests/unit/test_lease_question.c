/* A lease that the guard does not know: when it asks for it in the guest's name, what it says, and what an answer gives. */
#include "leases4.h"
#include "softnet/own/lease_questions.h"

enum { SECOND = 1000 };

static struct lease_questions questions;
static uint8_t asked[LEASE_QUESTION_MAX];

static void start(void)
{
	start_world(&w, true);
	note_lease(&questions);
}

static void put_packet_of(uint32_t source)
{
	put_ethernet(&w, GATEWAY_MAC, GUEST_MAC, 0x0800);
	put_ipv4(&w, source, GLOBAL_IP, 17, 0, 8);
	put_udp(&w, 40000, 9, 0);
}

/* What is asked after such a packet was dropped. */
static uint32_t ask_after_packet_of(uint32_t source)
{
	put_packet_of(source);
	enum verdict verdict = from_guest(&w);
	struct frame frame = { .bytes = w.frame, .length = w.length };
	assert_int_not_equal(verdict, PASS);
	return make_due_lease_question(&questions, &w.guard, &frame, verdict, w.now_ms, asked);
}

static uint32_t id_asked(void)
{
	return (uint32_t)asked[46] << 24 | (uint32_t)asked[47] << 16 | (uint32_t)asked[48] << 8 | asked[49];
}

static void what_is_asked_and_answered(void **state)
{
	(void)state;
	static const uint8_t begins[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0,  0,  0,    0x0a, 8, 0,
					  0x45, 0,    1,    0x48, 0,    0,    0x40, 0,    64, 17, 0x39, 0xa6, 0, 0,
					  0,    0,    0xff, 0xff, 0xff, 0xff, 0,    68,   0,  67, 1,    0x34 };
	static const uint8_t options[] = { 0x63, 0x82, 0x53, 0x63, 53, 1, 3, 50, 4,  192, 168,
					   64,   10,   55,   6,    1,  3, 6, 51, 54, 121, 255 };
	start();
	assert_int_equal(ask_after_packet_of(GUEST_IP), 342);
	assert_memory_equal(asked, begins, sizeof begins);
	assert_memory_equal(asked + 42 + 236, options, sizeof options);
	/* The snooper has found its checksums right, and knows the exchange. */
	uint32_t known = find_transaction4(&w.state, id_asked(), w.now_ms);
	assert_true(known < TRANSACTIONS_MAX);
	assert_int_equal(w.state.dhcp4[known].kind, TRANSACTION_REBOOT);
	assert_false(owns(GUEST_IP));
	assert_int_equal(ack(id_asked(), GUEST_IP, 600), PASS);
	assert_true(owns(GUEST_IP));
	/* By ARP, too; and another's answer gives nothing. */
	start();
	put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
	put_arp(&w, 1, GUEST_MAC, GUEST_IP, GATEWAY_IP);
	struct frame frame = { .bytes = w.frame, .length = w.length };
	assert_int_equal(from_guest(&w), DROP_ARP_NO_LEASE);
	assert_int_equal(make_due_lease_question(&questions, &w.guard, &frame, DROP_ARP_NO_LEASE, w.now_ms, asked), 342);
	assert_int_equal(server((struct dhcp_spec){ .type = 5,
						    .xid = id_asked(),
						    .yiaddr = GUEST_IP,
						    .server = VICTIM_IP,
						    .lease_s = 600,
						    .mac_from = VICTIM_MAC,
						    .ip_from = VICTIM_IP }),
			 DROP_DHCP4_ROGUE_SERVER);
	assert_false(owns(GUEST_IP));
}

/* At once, and then after 2, 4, 8 ... 64 s, refused or not answered. */
static void how_often(void **state)
{
	(void)state;
	start();
	uint64_t gap_ms = 2 * SECOND;
	for (int i = 0; i < 10; i++) {
		assert_true(ask_after_packet_of(GUEST_IP) > 0);
		if (i % 2 == 0)
			assert_int_equal(
			    server((struct dhcp_spec){ .type = 6, .xid = id_asked(), .server = GATEWAY_IP }), PASS);
		w.now_ms += gap_ms - 1;
		assert_int_equal(ask_after_packet_of(GUEST_IP), 0);
		w.now_ms += 1;
		gap_ms = gap_ms < 64 * SECOND ? 2 * gap_ms : gap_ms;
	}
	note_lease(&questions);
	assert_true(ask_after_packet_of(GUEST_IP) > 0);
}

/* What else a guest sends does not keep its own address from being asked for; and nothing makes it ask in a flood. */
static void several_addresses(void **state)
{
	(void)state;
	start();
	assert_true(ask_after_packet_of(OTHER_IP) > 0);
	w.now_ms += 999;
	assert_int_equal(ask_after_packet_of(GUEST_IP), 0);
	w.now_ms += 1;
	assert_int_equal(ask_after_packet_of(OTHER_IP), 0);
	assert_true(ask_after_packet_of(GUEST_IP) > 0);
	assert_int_equal(ack(id_asked(), GUEST_IP, 600), PASS);
	start();
	int count = 0;
	for (uint32_t i = 0; i < 10000; i++, w.now_ms += 10)
		count += ask_after_packet_of(GUEST_IP + i % 200) > 0;
	assert_in_range(count, 50, 100);
}

static void when_it_does_not_ask(void **state)
{
	(void)state;
	start();
	assert_int_equal(ask_after_packet_of(GATEWAY_IP), 0);
	assert_int_equal(ask_after_packet_of(0xa9fe0101), 0);
	/* The guest is at it itself. */
	assert_int_equal(client((struct dhcp_spec){ .type = 1 }), PASS);
	assert_int_equal(ask_after_packet_of(OTHER_IP), 0);
	/* It has a lease. */
	start();
	lease(&w, GUEST_IP, 600);
	w.now_ms += 65 * SECOND;
	assert_int_equal(ask_after_packet_of(OTHER_IP), 0);
	/* What it gave back. */
	assert_int_equal(client((struct dhcp_spec){ .type = 7,
						    .ciaddr = GUEST_IP,
						    .server = GATEWAY_IP,
						    .ip_from = GUEST_IP,
						    .ip_to = GATEWAY_IP,
						    .mac_to = GATEWAY_MAC }),
			 PASS);
	assert_int_equal(ask_after_packet_of(GUEST_IP), 0);
	/* Nobody wants it. */
	start();
	w.config.no_resync = 1;
	assert_int_equal(ask_after_packet_of(GUEST_IP), 0);
	start();
	w.config.dhcp_off = 1;
	assert_int_equal(ask_after_packet_of(GUEST_IP), 0);
}

/* It slept for longer than its lease: that address, and no other. */
static void a_lease_that_ran_out(void **state)
{
	(void)state;
	start();
	lease(&w, GUEST_IP, 600);
	w.now_ms += 700 * SECOND;
	expire_bindings(&w.guard, w.now_ms);
	assert_int_equal(ask_after_packet_of(OTHER_IP), 0);
	assert_true(ask_after_packet_of(GUEST_IP) > 0);
	assert_int_equal(ack(id_asked(), GUEST_IP, 600), PASS);
	assert_true(owns(GUEST_IP));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_asked_and_answered), cmocka_unit_test(how_often),
		cmocka_unit_test(several_addresses),          cmocka_unit_test(when_it_does_not_ask),
		cmocka_unit_test(a_lease_that_ran_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
