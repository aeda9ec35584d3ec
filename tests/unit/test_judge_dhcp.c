/* One frame for every reason that DHCP knows in IPv4, and the messages beside them that must pass. */
#include <setjmp.h>
#include <stdarg.h>

#include "test_judge.h"

#include <cmocka.h>

void dhcp_of_guest(void **state)
{
	(void)state;
	static const uint8_t other_id[] = { 61, 7, 1, 0x52, 0x54, 0, 0, 0, 0x0b }, opt82[] = { 82, 2, 1, 0 };
	static const uint8_t wpad[] = { 12, 4, 'w', 'p', 'a', 'd' }, fqdn[] = { 81, 8, 4, 0, 0, 4, 'w', 'p', 'a', 'd' };
	struct {
		struct dhcp_spec spec;
		enum verdict wanted;
	} rows[] = {
		{ { .type = 1 }, PASS },
		{ { .type = 1, .op = 2 }, DROP_DHCP4_MALFORMED },
		{ { .type = 1, .chaddr = VICTIM_MAC }, DROP_DHCP4_CHADDR },
		{ { .type = 1, .hops = 1 }, DROP_DHCP4_RELAY_FIELDS },
		{ { .type = 1, .giaddr = GATEWAY_IP }, DROP_DHCP4_RELAY_FIELDS },
		{ { .type = 1, .extra = opt82, .extra_octets = 4 }, DROP_DHCP4_RELAY_FIELDS },
		{ { .type = 0 }, DROP_DHCP4_TYPE },
		{ { .type = 2 }, DROP_DHCP4_TYPE },
		{ { .type = 1, .mac_to = VICTIM_MAC }, DROP_DHCP4_ADDRESSING },
		{ { .type = 1, .ip_to = GATEWAY_IP }, DROP_DHCP4_ADDRESSING },
		{ { .type = 1, .extra = other_id, .extra_octets = 9 }, DROP_DHCP4_CLIENT_ID_SPOOF },
		{ { .type = 1, .extra = wpad, .extra_octets = 6 }, DROP_DHCP_HOSTNAME },
		{ { .type = 1, .extra = fqdn, .extra_octets = 10 }, DROP_DHCP_HOSTNAME },
		{ { .type = 3, .requested = GUEST_IP, .extra = wpad, .extra_octets = 6 }, DROP_DHCP_HOSTNAME },
		{ { .type = 1, .server = GATEWAY_IP }, DROP_DHCP4_FORM },
		{ { .type = 1, .ip_from = VICTIM_IP }, DROP_DHCP4_FORM },
		{ { .type = 3 }, DROP_DHCP4_FORM },
		{ { .type = 3, .ciaddr = VICTIM_IP, .ip_from = GUEST_IP }, DROP_DHCP4_NOT_OWNER },
		{ { .type = 4, .requested = VICTIM_IP, .server = GATEWAY_IP }, DROP_DHCP4_NOT_OWNER },
		{ { .type = 7, .ciaddr = VICTIM_IP, .ip_from = VICTIM_IP, .server = GATEWAY_IP }, DROP_DHCP4_NOT_OWNER },
		{ { .type = 8, .ciaddr = VICTIM_IP, .ip_from = VICTIM_IP }, DROP_DHCP4_NOT_OWNER },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		start_world(&w, true);
		put_client_message(&w, &rows[i].spec);
		GUEST_SENDS(rows[i].wanted);
	}
	put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0800);
	put_ipv4(&w, 0, 0xffffffff, 17, 0, 8);
	put_udp(&w, 67, 68, 0);
	GUEST_SENDS(DROP_DHCP4_SERVER);
	put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0800);
	put_ipv4(&w, 0, 0xffffffff, 17, 0, 8);
	put_udp(&w, 1067, 67, 0);
	GUEST_SENDS(DROP_DHCP4_PORT_MISUSE);
	w.config.dhcp_off = 1;
	put_client_message(&w, &(struct dhcp_spec){ .type = 1 });
	GUEST_SENDS(DROP_DHCP4_DISABLED);
}

void dhcp_limits_of_guest(void **state)
{
	(void)state;
	start_world(&w, true);
	for (uint8_t i = 0; i < 10; i++) {
		uint8_t id[] = { 61, 3, 0, 'x', i };
		put_client_message(&w, &(struct dhcp_spec){ .type = 1, .extra = id, .extra_octets = sizeof id });
		GUEST_SENDS(i < 8 ? PASS : DROP_DHCP4_CLIENT_ID_LIMIT);
	}
	for (int i = 0; i < 20; i++) {
		put_client_message(&w, &(struct dhcp_spec){ .type = 1 });
		from_guest(&w);
	}
	GUEST_SENDS(DROP_RATE_DHCP);
	w.config.rates[RATE_OF_DHCP].burst = 0; /* no limit of its own: the slow path's is next */
	for (int i = 0; i < 500; i++)
		from_guest(&w);
	GUEST_SENDS(DROP_RATE_SLOW_PATH);
}

void dhcp_to_guest(void **state)
{
	(void)state;
	struct dhcp_spec ack = { .type = 5, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 600 };
	struct {
		struct dhcp_spec change;
		uint32_t xid;
		enum verdict wanted;
	} rows[] = {
		{ ack, 0, PASS },
		{ ack, 0x99, DROP_DHCP4_NO_TRANSACTION },
		{ { .type = 5, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 600, .op = 1 },
		  0,
		  DROP_DHCP4_MALFORMED },
		{ { .type = 5, .yiaddr = GUEST_IP, .server = VICTIM_IP, .lease_s = 600 }, 0, DROP_DHCP4_ROGUE_SERVER },
		{ { .type = 5, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 600, .ip_from = VICTIM_IP },
		  0,
		  DROP_DHCP4_ROGUE_SERVER },
		{ { .type = 5, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 600, .mac_from = VICTIM_MAC },
		  0,
		  DROP_DHCP4_ROGUE_SERVER },
		{ { .type = 5, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 600, .chaddr = VICTIM_MAC },
		  0,
		  DROP_DHCP4_NOT_FOR_GUEST },
		{ { .type = 9, .server = GATEWAY_IP }, 0, DROP_DHCP4_TYPE },
		{ { .type = 2, .yiaddr = GUEST_IP, .server = GATEWAY_IP }, 0, DROP_DHCP4_NO_TRANSACTION },
		{ { .type = 5, .yiaddr = GATEWAY_IP, .server = GATEWAY_IP, .lease_s = 600 }, 0, DROP_DHCP4_BAD_LEASE },
		{ { .type = 5, .yiaddr = SUBNET_BROADCAST, .server = GATEWAY_IP, .lease_s = 600, .mask = 0xffffff00 },
		  0,
		  DROP_DHCP4_BAD_LEASE },
		{ { .type = 5, .yiaddr = GUEST_IP, .server = GATEWAY_IP }, 0, DROP_DHCP4_BAD_LEASE },
		{ { .type = 5, .yiaddr = 0xe0000001, .server = GATEWAY_IP, .lease_s = 600 }, 0, DROP_DHCP4_BAD_LEASE },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		start_world(&w, true);
		put_client_message(&w, &(struct dhcp_spec){ .type = 3, .requested = GUEST_IP, .server = GATEWAY_IP });
		assert_int_equal(from_guest(&w), PASS);
		struct dhcp_spec spec = rows[i].change;
		spec.xid = rows[i].xid;
		put_server_message(&w, &spec);
		GUEST_GETS(rows[i].wanted);
		assert_int_equal(has_lease4(&w.state, w.now_ms), rows[i].wanted == PASS);
	}
	put_ethernet(&w, MAC_BROADCAST, VICTIM_MAC, 0x0800); /* a peer's DISCOVER */
	put_ipv4(&w, 0, 0xffffffff, 17, 0, 8);
	put_udp(&w, 68, 67, 0);
	GUEST_GETS(DROP_DHCP4_CLIENT);
	put_ethernet(&w, MAC_BROADCAST, GATEWAY_MAC, 0x0800);
	put_ipv4(&w, GATEWAY_IP, 0xffffffff, 17, 0, 8);
	put_udp(&w, 67, 67, 0);
	GUEST_GETS(DROP_DHCP4_PORT_MISUSE);
}

/* Peers that flood the segment with forged replies take no token from the real one. */
void forged_replies_do_not_drown_the_real_one(void **state)
{
	(void)state;
	start_world(&w, true);
	put_client_message(&w, &(struct dhcp_spec){ .type = 3, .requested = GUEST_IP, .server = GATEWAY_IP });
	assert_int_equal(from_guest(&w), PASS);
	struct dhcp_spec forged[] = {
		{ .type = 6, .server = GATEWAY_IP, .ip_from = VICTIM_IP, .mac_from = VICTIM_MAC },
		{ .type = 6, .server = GATEWAY_IP, .mac_from = VICTIM_MAC },
		{ .type = 6, .server = GATEWAY_IP, .xid = 99 },
		{ .type = 6, .server = GATEWAY_IP, .chaddr = VICTIM_MAC },
	};
	for (int i = 0; i < 1000; i++) {
		put_server_message(&w, &forged[i % 4]);
		assert_true(to_guest(&w) != PASS);
	}
	put_server_message(&w, &(struct dhcp_spec){ .type = 5, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 60 });
	GUEST_GETS(PASS);
}

/* A renewal, a RELEASE behind it, and a REQUEST of the same id before the server has answered. */
static void request_of_a_spent_id(void)
{
	start_world(&w, true);
	lease(&w, GUEST_IP, 600);
	put_client_message(
	    &w, &(struct dhcp_spec){
		    .type = 7, .ciaddr = GUEST_IP, .ip_from = GUEST_IP, .ip_to = GATEWAY_IP, .mac_to = GATEWAY_MAC });
	GUEST_SENDS(PASS);
	put_client_message(&w, &(struct dhcp_spec){ .type = 3, .requested = GUEST_IP });
	GUEST_SENDS(DROP_DHCP4_SPENT_ID);
}

void claims_and_churn(void **state)
{
	(void)state;
	request_of_a_spent_id();
	start_world(&w, true);
	w.claim_refused = true;
	put_client_message(&w, &(struct dhcp_spec){ .type = 3, .requested = GUEST_IP, .server = GATEWAY_IP });
	assert_int_equal(from_guest(&w), PASS);
	put_server_message(&w, &(struct dhcp_spec){ .type = 5, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 60 });
	GUEST_GETS(DROP_BINDING_CLAIMED);
	start_world(&w, true);
	for (uint32_t i = 0; i < 9; i++) {
		w.now_ms += 2000;
		put_client_message(
		    &w, &(struct dhcp_spec){ .type = 3, .xid = 1 + i, .requested = GUEST_IP + i, .server = GATEWAY_IP });
		assert_int_equal(from_guest(&w), PASS);
		put_server_message(
		    &w, &(struct dhcp_spec){
			    .type = 5, .xid = 1 + i, .yiaddr = GUEST_IP + i, .server = GATEWAY_IP, .lease_s = 60 });
		GUEST_GETS(i < 8 ? PASS : DROP_BINDING_CHURN);
	}
}
