/* Which server and which router the guard believes, where nobody has named them. */
#include "leases4.h"

/* Some servers write 0.0.0.0 where they have none to name. It is nobody's address, and takes no one's place. */
static void unset_routers_and_resolvers_are_skipped(void **state)
{
	static const uint8_t lists[] = {
		3, 12, 0, 0, 0, 0, 192, 168, 64, 1,  192, 168, 64, 77, /* only the first two would fit */
		6, 8,  0, 0, 0, 0, 192, 168, 64, 77,
	};
	const struct dhcp_spec ack = { .type = 5,
				       .yiaddr = GUEST_IP,
				       .server = GATEWAY_IP,
				       .lease_s = 600,
				       .extra = lists,
				       .extra_octets = sizeof lists };
	(void)state;
	start_world(&w, true);
	put_client_message(&w, &(struct dhcp_spec){ .type = 3, .requested = GUEST_IP, .server = GATEWAY_IP });
	assert_int_equal(from_guest(&w), PASS);
	put_server_message(&w, &ack);
	assert_int_equal(to_guest(&w), PASS);
	const struct binding *b = &w.state.ipv4[0];
	assert_int_equal(b->routers.count, 2);
	assert_true(set_has(&b->routers, address_of_ipv4(GATEWAY_IP)) && set_has(&b->routers, address_of_ipv4(OTHER_IP)));
	assert_true(b->resolvers.count == 1 && set_has(&b->resolvers, address_of_ipv4(OTHER_IP)));
}

/* As systemd-networkd does it; by unicast the source must be the guest's address. */
static void rebinding_from_nobody(void **state)
{
	(void)state;
	struct dhcp_spec rebind = { .type = 3, .xid = 7, .ciaddr = GUEST_IP };
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	w.now_ms += 550 * 1000;
	assert_int_equal(client(rebind), PASS);
	assert_int_equal(ack(7, GUEST_IP, 600), PASS);
	w.now_ms += 100 * 1000;
	assert_true(owns(GUEST_IP));
	rebind.xid = 8;
	rebind.ciaddr = VICTIM_IP;
	assert_int_equal(client(rebind), DROP_DHCP4_NOT_OWNER);
	rebind.ciaddr = GUEST_IP;
	rebind.ip_from = VICTIM_IP;
	assert_int_equal(client(rebind), DROP_DHCP4_NOT_OWNER);
	rebind.ip_from = 0;
	rebind.ip_to = GATEWAY_IP;
	rebind.mac_to = GATEWAY_MAC;
	assert_int_not_equal(client(rebind), PASS);
}

/* The trusted server's ACK may come again. What it says beside it under the same id is no answer any more. */
static void one_answer_to_a_question(void **state)
{
	(void)state;
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	struct binding before = w.state.ipv4[0];
	assert_int_equal(ack(XID, GUEST_IP, 600), PASS);
	assert_int_equal(ack(XID, OTHER_IP, 600), DROP_DHCP4_NO_TRANSACTION);
	assert_int_equal(server((struct dhcp_spec){ .type = 6, .server = GATEWAY_IP }), DROP_DHCP4_NO_TRANSACTION);
	assert_int_equal(server((struct dhcp_spec){ .type = 5, .yiaddr = GUEST_IP, .server = OTHER_IP, .lease_s = 600 }),
			 DROP_DHCP4_NO_TRANSACTION);
	assert_memory_equal(&before, &w.state.ipv4[0], sizeof before);
	w.now_ms += 9999;
	assert_int_equal(ack(XID, GUEST_IP, 600), PASS);
	w.now_ms += 1;
	assert_int_equal(ack(XID, GUEST_IP, 600), DROP_DHCP4_NO_TRANSACTION);
}

/* Without anchors the first server that completes an exchange is the only one, until its lease has run out. */
static void first_server_is_locked(void **state)
{
	(void)state;
	start_world(&w, false);
	lease(&w, GUEST_IP, 600);
	struct dhcp_spec rogue = { .type = 5,
				   .xid = 7,
				   .yiaddr = GUEST_IP,
				   .server = VICTIM_IP,
				   .lease_s = 600,
				   .ip_from = VICTIM_IP,
				   .mac_from = VICTIM_MAC };
	w.now_ms += 300 * 1000;
	assert_int_equal(client((struct dhcp_spec){ .type = 3, .xid = 7, .ciaddr = GUEST_IP, .ip_from = GUEST_IP }),
			 PASS);
	assert_int_equal(server(rogue), DROP_DHCP4_ROGUE_SERVER);
	rogue.ip_from = GATEWAY_IP; /* the address alone is not enough */
	assert_int_equal(server(rogue), DROP_DHCP4_ROGUE_SERVER);
	w.now_ms += 301 * 1000;
	rogue.ip_from = VICTIM_IP;
	assert_int_equal(client((struct dhcp_spec){ .type = 3, .xid = 7, .requested = GUEST_IP, .server = VICTIM_IP }),
			 PASS);
	assert_int_equal(server(rogue), PASS);
}

/* The operator says that the network has changed. */
static void relearning_keeps_the_lease(void **state)
{
	(void)state;
	start_world(&w, false);
	lease(&w, GUEST_IP, 600);
	struct dhcp_spec other = { .type = 5,
				   .xid = 7,
				   .yiaddr = GUEST_IP,
				   .server = VICTIM_IP,
				   .lease_s = 600,
				   .ip_from = VICTIM_IP,
				   .mac_from = VICTIM_MAC };
	assert_int_equal(client((struct dhcp_spec){ .type = 3, .xid = 7, .ciaddr = GUEST_IP, .ip_from = GUEST_IP }),
			 PASS);
	assert_int_equal(server(other), DROP_DHCP4_ROGUE_SERVER);
	struct binding before = w.state.ipv4[0];
	int events = w.events;
	relearn(&w.state);
	assert_memory_equal(&before, &w.state.ipv4[0], sizeof before);
	assert_int_equal(w.events, events);
	assert_true(owns(GUEST_IP));
	assert_int_equal(server(other), PASS);
	other.ip_from = other.server = GATEWAY_IP; /* now it is this one alone */
	other.mac_from = GATEWAY_MAC;
	other.xid = 8;
	assert_int_equal(client((struct dhcp_spec){ .type = 3, .xid = 8, .ciaddr = GUEST_IP, .ip_from = GUEST_IP }),
			 PASS);
	assert_int_equal(server(other), DROP_DHCP4_ROGUE_SERVER);
}

/* Only the relay is named: the server behind it answers a rebinding through it, under the identifier of the lease. */
static void server_behind_a_named_relay_may_rebind(void **state)
{
	(void)state;
	start_world(&w, true);
	struct dhcp_spec answer = {
		.type = 5, .yiaddr = GUEST_IP, .server = GLOBAL_IP, .lease_s = 600, .mask = 0xffffff00, .router = GATEWAY_IP
	};
	assert_int_equal(client((struct dhcp_spec){ .type = 3, .requested = GUEST_IP, .server = GLOBAL_IP }), PASS);
	assert_int_equal(server(answer), PASS);
	answer.xid = 7;
	assert_int_equal(client((struct dhcp_spec){ .type = 3, .xid = 7, .ciaddr = GUEST_IP, .ip_from = GUEST_IP }),
			 PASS);
	answer.server = OTHER_IP; /* any server may answer a rebinding (RFC 2131 4.4.5); the relay vouches for it */
	assert_int_equal(server(answer), PASS);
}

static void strict_anchors_learn_nobody(void **state)
{
	(void)state;
	start_world(&w, false);
	w.config.strict_anchors = 1;
	assert_int_equal(select_offer(XID, GUEST_IP), PASS);
	assert_int_equal(ack(XID, GUEST_IP, 600), DROP_DHCP4_ROGUE_SERVER);
}

/* The router is another machine than the server: its MAC is learned from its answer to the guest's own question. */
static void router_is_learned_from_its_answer(void **state)
{
	(void)state;
	start_world(&w, false);
	assert_int_equal(select_offer(XID, GUEST_IP), PASS);
	assert_int_equal(
	    server((struct dhcp_spec){
		.type = 5, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 600, .mask = 0xffffff00, .router = OTHER_IP }),
	    PASS);
	put_ethernet(&w, GUEST_MAC, VICTIM_MAC, 0x0806);
	put_arp(&w, 2, VICTIM_MAC, OTHER_IP, GUEST_IP); /* speaks before it was asked: passes, nothing learned */
	assert_int_equal(to_guest(&w), PASS);
	assert_false(is_learned_router_mac(&w.state, VICTIM_MAC, w.now_ms));
	put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
	put_arp(&w, 1, GUEST_MAC, GUEST_IP, OTHER_IP);
	assert_int_equal(from_guest(&w), PASS);
	put_ethernet(&w, GUEST_MAC, FOREIGN_MAC, 0x0806);
	put_arp(&w, 2, FOREIGN_MAC, OTHER_IP, GUEST_IP);
	assert_int_equal(to_guest(&w), PASS);
	assert_int_equal(w.last_event.kind, EVENT_GATEWAY_LEARNED);
	put_ethernet(&w, GUEST_MAC, VICTIM_MAC, 0x0806);
	put_arp(&w, 2, VICTIM_MAC, OTHER_IP, GUEST_IP);
	assert_int_equal(to_guest(&w), DROP_ARP_GATEWAY_SPOOF);
}

/* Answers that nobody asked for cost the snooper nothing: a flood of them must not drown the ACK of a renewal. */
static void unasked_arp_answers_do_not_drown_dhcp(void **state)
{
	(void)state;
	start_world(&w, false);
	lease(&w, GUEST_IP, 600);
	w.state.ipv4[0].routers.item[0] = address_of_ipv4(OTHER_IP); /* a router whose MAC is still to be learned */
	w.now_ms += 400 * 1000;
	assert_int_equal(renew(9), PASS);
	for (int i = 0; i < 1000; i++) {
		put_ethernet(&w, GUEST_MAC, VICTIM_MAC, 0x0806);
		put_arp(&w, 2, VICTIM_MAC, OTHER_IP, GUEST_IP);
		to_guest(&w);
	}
	assert_int_equal(ack(9, GUEST_IP, 600), PASS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_answer_to_a_question),
		cmocka_unit_test(first_server_is_locked),
		cmocka_unit_test(relearning_keeps_the_lease),
		cmocka_unit_test(server_behind_a_named_relay_may_rebind),
		cmocka_unit_test(strict_anchors_learn_nobody),
		cmocka_unit_test(router_is_learned_from_its_answer),
		cmocka_unit_test(unasked_arp_answers_do_not_drown_dhcp),
		cmocka_unit_test(rebinding_from_nobody),
		cmocka_unit_test(unset_routers_and_resolvers_are_skipped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
