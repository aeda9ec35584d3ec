/* The life of a lease, step by step and on a clock that the test moves: what is granted, when it ends, who may end it. */
#include "leases4.h"

static void lease_ends_by_the_clock_alone(void **state)
{
	(void)state;
	start_world(&w, true);
	uint64_t asked_ms = w.now_ms;
	lease(&w, GUEST_IP, 600);
	w.now_ms = asked_ms + 600 * 1000 - 101;
	assert_true(owns(GUEST_IP));
	w.now_ms += 1; /* a tenth of a second before the server's own reckoning */
	assert_false(owns(GUEST_IP));
	assert_int_equal(w.last_event.kind, EVENT_LEASE_NEW);
	assert_true(expire_bindings(&w.guard, w.now_ms) == NEVER_EXPIRES);
	assert_int_equal(w.last_event.kind, EVENT_LEASE_LOST);
}

/* RFC 2131 4.4.1: the lease counts from the REQUEST, however late the ACK. */
static void slow_ack_does_not_lengthen_the_lease(void **state)
{
	(void)state;
	start_world(&w, true);
	assert_int_equal(select_offer(XID, GUEST_IP), PASS);
	w.now_ms += 30000;
	assert_int_equal(select_offer(XID, GUEST_IP), PASS); /* a retransmission keeps the first time */
	w.now_ms += 20000;
	assert_int_equal(ack(XID, GUEST_IP, 60), PASS);
	w.now_ms += 9800;
	assert_true(owns(GUEST_IP));
	w.now_ms += 200;
	assert_false(owns(GUEST_IP));
}

static void infinite_lease_never_ends(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, UINT32_MAX);
	w.now_ms = UINT64_MAX - 1;
	assert_true(owns(GUEST_IP));
}

static void renewal_extends_and_silence_does_not(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	w.now_ms += 300 * 1000;
	uint64_t renewed_ms = w.now_ms;
	assert_int_equal(renew(7), PASS);
	assert_true(owns(GUEST_IP));
	assert_int_equal(ack(7, GUEST_IP, 600), PASS);
	assert_int_equal(w.last_event.kind, EVENT_LEASE_RENEWED);
	w.now_ms = renewed_ms + 599 * 1000;
	assert_true(owns(GUEST_IP));
	assert_int_equal(renew(8), PASS); /* unanswered */
	w.now_ms = renewed_ms + 600 * 1000;
	assert_false(owns(GUEST_IP));
}

static void nak_takes_the_address(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	struct dhcp_spec nak = { .type = 6, .xid = 7, .server = GATEWAY_IP };
	assert_int_equal(server(nak), DROP_DHCP4_NO_TRANSACTION); /* nobody asked */
	assert_true(owns(GUEST_IP));
	assert_int_equal(renew(7), PASS);
	nak.mac_from = VICTIM_MAC;
	assert_int_equal(server(nak), DROP_DHCP4_ROGUE_SERVER);
	assert_true(owns(GUEST_IP));
	nak.mac_from = 0;
	assert_int_equal(server(nak), PASS);
	assert_false(owns(GUEST_IP));
}

static void release_takes_it_before_the_message_leaves(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	struct dhcp_spec release = { .type = 7,
				     .ciaddr = GUEST_IP,
				     .ip_from = GUEST_IP,
				     .ip_to = GATEWAY_IP,
				     .mac_to = GATEWAY_MAC,
				     .server = GATEWAY_IP };
	assert_int_equal(client(release), PASS);
	assert_false(owns(GUEST_IP));
	assert_int_equal(client(release), DROP_DHCP4_NOT_OWNER);
	/* A copy of the old ACK does not bring it back: the exchange is done. */
	w.now_ms += 1000;
	assert_int_equal(ack(XID, GUEST_IP, 600), PASS);
	assert_false(owns(GUEST_IP));
}

/* A renewal, and a RELEASE right behind it: the server answers the first and frees the address; its ACK comes too late. */
static void release_overtakes_an_ack(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	assert_int_equal(renew(7), PASS);
	struct dhcp_spec release = { .type = 7,
				     .ciaddr = GUEST_IP,
				     .ip_from = GUEST_IP,
				     .ip_to = GATEWAY_IP,
				     .mac_to = GATEWAY_MAC,
				     .server = GATEWAY_IP };
	assert_int_equal(client(release), PASS);
	assert_int_equal(ack(7, GUEST_IP, 600), DROP_DHCP4_NO_TRANSACTION);
	assert_false(owns(GUEST_IP));

	/* Nor does another REQUEST of the same xid open the door for it, however many others came between. */
	for (uint32_t xid = 100; xid < 108; xid++) {
		struct dhcp_spec other = { .type = 3, .xid = xid, .requested = VICTIM_IP };
		assert_int_equal(client(other), PASS);
	}
	struct dhcp_spec once_more = { .type = 3, .xid = 7, .requested = GUEST_IP };
	assert_int_equal(client(once_more), DROP_DHCP4_SPENT_ID);
	assert_int_equal(ack(7, GUEST_IP, 600), DROP_DHCP4_NO_TRANSACTION);
	w.now_ms += 64000; /* no answer takes that long */
	assert_int_equal(client(once_more), PASS);

	/* The same with a DECLINE, and a REQUEST that asks for the address once more. */
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	struct dhcp_spec again = { .type = 3, .xid = 8, .requested = GUEST_IP };
	assert_int_equal(client(again), PASS);
	struct dhcp_spec decline = { .type = 4, .xid = 9, .requested = GUEST_IP, .server = GATEWAY_IP };
	assert_int_equal(client(decline), PASS);
	assert_int_equal(ack(8, GUEST_IP, 600), DROP_DHCP4_NO_TRANSACTION);
	assert_false(owns(GUEST_IP));
}

/* As systemd-networkd sends it: without option 54. */
static void release_needs_no_server_identifier(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	struct dhcp_spec release = {
		.type = 7, .ciaddr = GUEST_IP, .ip_from = GUEST_IP, .ip_to = VICTIM_IP, .mac_to = VICTIM_MAC
	};
	assert_int_equal(client(release), DROP_DHCP4_ADDRESSING); /* no server */
	assert_true(owns(GUEST_IP));
	release.ip_to = GATEWAY_IP;
	release.mac_to = GATEWAY_MAC;
	assert_int_equal(client(release), PASS);
	assert_false(owns(GUEST_IP));
}

/* systemd-networkd uses one xid for all: each answered REQUEST counts from itself, or a short lease would run out. */
static void renewal_may_repeat_the_xid(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 20);
	for (int i = 0; i < 5; i++) {
		w.now_ms += 8000; /* within the time that the answered exchange is kept */
		assert_int_equal(renew(XID), PASS);
		w.now_ms += 500;
		assert_int_equal(renew(XID), PASS); /* not answered yet: the same exchange */
		assert_int_equal(ack(XID, GUEST_IP, 20), PASS);
	}
	w.now_ms += 19000; /* 19.5 s after the first of the two */
	assert_true(owns(GUEST_IP));
	w.now_ms += 500;
	assert_false(owns(GUEST_IP));
}

static void decline_takes_it_and_is_limited(void **state)
{
	(void)state;
	start_world(&w, true);
	for (int i = 0; i < 4; i++) {
		w.now_ms += 1000;
		memset(w.state.request_ids, 0, sizeof w.state.request_ids); /* a client would take another xid now */
		lease(&w, GUEST_IP, 600);
		enum verdict verdict =
		    client((struct dhcp_spec){ .type = 4, .requested = GUEST_IP, .server = GATEWAY_IP });
		assert_int_equal(verdict, i < 3 ? PASS : DROP_RATE_DHCP);
		assert_int_equal(owns(GUEST_IP), i >= 3);
	}
}

static void state_changes_before_the_guest_sees_the_ack(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
	put_arp(&w, 1, GUEST_MAC, GUEST_IP, GATEWAY_IP);
	assert_int_equal(from_guest(&w), PASS);
}

/* A probe needs an offer: a guest chooses what it requests, and a probe can make another host give up its address. */
static void probe_needs_an_offer(void **state)
{
	(void)state;
	start_world(&w, true);
	assert_int_equal(client((struct dhcp_spec){ .type = 1, .requested = VICTIM_IP }), PASS);
	put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
	put_arp(&w, 1, GUEST_MAC, 0, VICTIM_IP);
	assert_int_equal(from_guest(&w), DROP_ARP_PROBE_TARGET);
	assert_int_equal(server((struct dhcp_spec){ .type = 2, .yiaddr = GUEST_IP, .server = GATEWAY_IP }), PASS);
	put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
	put_arp(&w, 1, GUEST_MAC, 0, GUEST_IP);
	assert_int_equal(from_guest(&w), PASS);
}

static void answer_comes_too_late(void **state)
{
	(void)state;
	start_world(&w, true);
	assert_int_equal(select_offer(XID, GUEST_IP), PASS);
	w.now_ms += 64001;
	assert_int_equal(ack(XID, GUEST_IP, 600), DROP_DHCP4_NO_TRANSACTION);
	assert_int_equal(select_offer(XID, GUEST_IP), PASS);
	assert_int_equal(client((struct dhcp_spec){ .type = 1, .xid = 9 }), PASS); /* the client began anew */
	assert_int_equal(ack(XID, GUEST_IP, 600), DROP_DHCP4_NO_TRANSACTION);
}

static void rapid_commit_needs_both_sides(void **state)
{
	(void)state;
	start_world(&w, true);
	struct dhcp_spec quick = { .type = 5, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 600 };
	assert_int_equal(client((struct dhcp_spec){ .type = 1 }), PASS);
	quick.rapid_commit = true;
	assert_int_equal(server(quick), DROP_DHCP4_NO_TRANSACTION);
	assert_int_equal(client((struct dhcp_spec){ .type = 1, .rapid_commit = true }), PASS);
	quick.rapid_commit = false;
	assert_int_equal(server(quick), DROP_DHCP4_NO_TRANSACTION);
	quick.rapid_commit = true;
	assert_int_equal(server(quick), PASS);
	assert_true(owns(GUEST_IP));
}

/* After a restart of the guard the guest renews what it still holds; only the ACK gives it a right. */
static void resync_binds_through_an_ack_only(void **state)
{
	(void)state;
	start_world(&w, true);
	assert_int_equal(renew(7), PASS);
	assert_false(owns(GUEST_IP));
	assert_int_equal(ack(8, GUEST_IP, 600), DROP_DHCP4_NO_TRANSACTION);
	assert_int_equal(ack(7, GUEST_IP, 600), PASS);
	assert_true(owns(GUEST_IP));
	/* With a lease in hand there is nothing to bring back. */
	assert_int_equal(client((struct dhcp_spec){ .type = 3, .ciaddr = VICTIM_IP, .ip_from = VICTIM_IP }),
			 DROP_DHCP4_NOT_OWNER);
	start_world(&w, true);
	w.config.no_resync = 1;
	assert_int_equal(renew(7), DROP_DHCP4_NOT_OWNER);
}

static void address_change_leaves_a_grace(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	w.now_ms += 60000;
	lease(&w, OTHER_IP, 600);
	assert_true(owns(GUEST_IP) && owns(OTHER_IP));
	w.now_ms += 30001;
	assert_false(owns(GUEST_IP));
	assert_true(owns(OTHER_IP));
}

/* Four client identifiers are free, whatever else is remembered; from the fifth on each costs a token. */
static void four_client_ids_are_free(void **state)
{
	(void)state;
	start_world(&w, true);
	empty_bucket(&w, RATE_OF_NEW_CLIENT);
	w.config.rates[RATE_OF_NEW_CLIENT].refill = 0;
	for (uint8_t i = 0; i < 5; i++) {
		const uint8_t id[] = { 61, 3, 0, 7, i };
		enum verdict verdict = client((struct dhcp_spec){ .type = 3,
								  .xid = 20u + i,
								  .requested = GUEST_IP,
								  .server = GATEWAY_IP,
								  .extra = id,
								  .extra_octets = sizeof id });
		assert_int_equal(verdict, i < 4 ? PASS : DROP_DHCP4_CLIENT_ID_LIMIT);
	}
}

/* After a NAK the guest may ask a server by unicast, by a next hop that is known: here that of the one router that was learned. */
static void resync_goes_by_a_known_next_hop(void **state)
{
	(void)state;
	start_world(&w, false);
	assert_int_equal(select_offer(XID, GUEST_IP), PASS);
	struct dhcp_spec reply = {
		.type = 5, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 600, .router = GATEWAY_IP
	};
	assert_int_equal(server(reply), PASS);
	assert_int_equal(renew(7), PASS);
	assert_int_equal(server((struct dhcp_spec){ .type = 6, .xid = 7, .server = GATEWAY_IP }), PASS);
	assert_false(owns(GUEST_IP));
	struct dhcp_spec ask = { .type = 3, .xid = 8, .ciaddr = GUEST_IP, .ip_from = GUEST_IP, .ip_to = OTHER_IP };
	for (int is_known = 0; is_known < 2; is_known++) {
		ask.mac_to = is_known ? GATEWAY_MAC : VICTIM_MAC;
		assert_int_equal(client(ask), is_known ? PASS : DROP_DHCP4_ADDRESSING);
	}
}

/* What was just acknowledged may be declined, whether it is bound still or not; what was not may not. */
static void what_was_acknowledged_may_be_declined(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	struct dhcp_spec spec = { .type = 4, .xid = 9, .requested = GUEST_IP, .server = GATEWAY_IP };
	assert_int_equal(client(spec), PASS);
	assert_false(owns(GUEST_IP));
	assert_int_equal(client(spec), PASS);
	spec.requested = VICTIM_IP;
	assert_int_equal(client(spec), DROP_DHCP4_NOT_OWNER);
	w.now_ms += 10000;
	spec.requested = GUEST_IP;
	assert_int_equal(client(spec), DROP_DHCP4_NOT_OWNER);
}

/* The first frame from the new address ends it, a question for a router whose MAC is learned as well as any other. */
static void grace_ends_with_the_first_frame(void **state)
{
	(void)state;
	for (int is_named = 0; is_named < 2; is_named++) {
		start_world(&w, true);
		w.config.gateway_macs.count = (uint32_t)is_named;
		lease(&w, GUEST_IP, 600);
		lease(&w, OTHER_IP, 600);
		assert_true(owns(GUEST_IP) && owns(OTHER_IP));
		put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
		put_arp(&w, 1, GUEST_MAC, OTHER_IP, GATEWAY_IP);
		assert_int_equal(from_guest(&w), PASS);
		assert_false(owns(GUEST_IP));
		assert_true(owns(OTHER_IP));
	}
}

static void inform_never_binds(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	w.now_ms += 20000;
	struct binding before = w.state.ipv4[0];
	assert_int_equal(client((struct dhcp_spec){ .type = 8, .ciaddr = GUEST_IP, .ip_from = GUEST_IP }), PASS);
	assert_int_equal(ack(XID, VICTIM_IP, 600), DROP_DHCP4_BAD_LEASE);
	assert_int_equal(server((struct dhcp_spec){ .type = 5, .server = GATEWAY_IP }), PASS);
	assert_memory_equal(&before, &w.state.ipv4[0], sizeof before);
}

static void static_address_is_for_ever(void **state)
{
	(void)state;
	start_world(&w, true);
	assert_true(add_static_binding(&w.state, address_of_ipv4(GUEST_IP), 24, w.now_ms));
	assert_false(add_static_binding(&w.state, address_of_ipv4(0x7f000001), 8, w.now_ms));
	assert_int_equal(select_offer(XID, OTHER_IP), PASS);
	assert_int_equal(ack(XID, OTHER_IP, 600), DROP_DHCP4_BAD_LEASE); /* only listed addresses */
	assert_int_equal(select_offer(9, GUEST_IP), PASS);
	assert_int_equal(ack(9, GUEST_IP, 60), PASS);
	w.now_ms += 3600 * 1000;
	assert_true(owns(GUEST_IP));
	assert_int_equal(renew(10), PASS);
	assert_int_equal(server((struct dhcp_spec){ .type = 6, .xid = 10, .server = GATEWAY_IP }), PASS);
	assert_true(owns(GUEST_IP));
}

/* Whatever octets arrive, in whatever order, tables stay in bounds and only an answered request grants an address. */
static void random_messages_grant_nothing(void **state)
{
	(void)state;
	uint64_t random = 88172645463325252ULL;
	start_world(&w, true);
	for (uint32_t i = 0; i < RATE_CLASSES_END; i++)
		w.config.rates[i].burst = 0;
	for (int i = 0; i < 200000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		put_client_message(
		    &w, &(struct dhcp_spec){ .type = (uint8_t)(random % 10), .xid = (uint32_t)random % 7 + 1 });
		if (random & 0x10000)
			put_server_message(&w, &(struct dhcp_spec){ .type = (uint8_t)(random % 10),
								    .lease_s = 600,
								    .yiaddr = GUEST_IP,
								    .server = VICTIM_IP,
								    .ip_from = VICTIM_IP,
								    .mac_from = VICTIM_MAC,
								    .xid = (uint32_t)random % 7 + 1 });
		for (uint32_t k = 0; k < (random >> 20) % 4; k++)
			w.frame[14 + (random >> (24 + 8 * k)) % (w.length - 14)] = (uint8_t)(random >> (8 + k));
		if (random & 0x10000)
			to_guest(&w);
		else
			from_guest(&w);
		w.now_ms += random % 50;
		/* No anchor ever acknowledged anything: VICTIM_IP is no server. */
		assert_false(has_lease4(&w.state, w.now_ms));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lease_ends_by_the_clock_alone),
		cmocka_unit_test(slow_ack_does_not_lengthen_the_lease),
		cmocka_unit_test(infinite_lease_never_ends),
		cmocka_unit_test(renewal_extends_and_silence_does_not),
		cmocka_unit_test(nak_takes_the_address),
		cmocka_unit_test(release_takes_it_before_the_message_leaves),
		cmocka_unit_test(release_overtakes_an_ack),
		cmocka_unit_test(release_needs_no_server_identifier),
		cmocka_unit_test(renewal_may_repeat_the_xid),
		cmocka_unit_test(decline_takes_it_and_is_limited),
		cmocka_unit_test(state_changes_before_the_guest_sees_the_ack),
		cmocka_unit_test(probe_needs_an_offer),
		cmocka_unit_test(answer_comes_too_late),
		cmocka_unit_test(rapid_commit_needs_both_sides),
		cmocka_unit_test(resync_binds_through_an_ack_only),
		cmocka_unit_test(address_change_leaves_a_grace),
		cmocka_unit_test(grace_ends_with_the_first_frame),
		cmocka_unit_test(what_was_acknowledged_may_be_declined),
		cmocka_unit_test(four_client_ids_are_free),
		cmocka_unit_test(resync_goes_by_a_known_next_hop),
		cmocka_unit_test(inform_never_binds),
		cmocka_unit_test(static_address_is_for_ever),
		cmocka_unit_test(random_messages_grant_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
