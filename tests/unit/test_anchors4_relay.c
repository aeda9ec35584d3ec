/* Relays, and servers that speak as the router: who is heard where more than one machine brings a server's words. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/judge/trust.h"
#include "test_anchors4.h"

#include <cmocka.h>

enum { SECOND = 1000 };

/* What anchors name is the relay: the gateway, one of two, both. */
void relays_name_the_server(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		uint32_t relay = kind == 0 ? ROUTER_IP : SERVER_IP;
		uint64_t relay_mac = kind == 0 ? ROUTER_MAC : SERVER_MAC;
		start_world(&w, false);
		if (kind == 0) {
			set_add(&w.config.host, address_of_ipv4(ROUTER_IP));
			mac_set_add(&w.config.gateway_macs, ROUTER_MAC);
		}
		for (int i = 0; i < kind; i++)
			set_add(&w.config.servers, address_of_ipv4(i == 0 ? SERVER_IP : OTHER_SERVER_IP));
		struct dhcp_spec reply = { .type = 2,
					   .yiaddr = GUEST_IP,
					   .server = RELAYED_IP,
					   .lease_s = LEASE_S,
					   .mask = 0xffffff00,
					   .router = ROUTER_IP,
					   .giaddr = relay,
					   .ip_from = relay,
					   .mac_from = relay_mac };
		EXPECT(client((struct dhcp_spec){ .type = 1 }), PASS);
		EXPECT(server(reply), PASS);
		reply.ip_from = VICTIM_IP;
		EXPECT(server(reply), DROP_DHCP4_ROGUE_SERVER); /* the relay is proved by its address, not by what it says */
		reply.mac_from = VICTIM_MAC;
		EXPECT(server(reply), DROP_DHCP4_ROGUE_SERVER);
		reply.ip_from = relay;
		reply.mac_from = relay_mac;
		EXPECT(client((struct dhcp_spec){ .type = 3, .requested = GUEST_IP, .server = RELAYED_IP }), PASS);
		reply.type = 5;
		reply.server = VICTIM_IP;
		EXPECT(server(reply), DROP_DHCP4_ROGUE_SERVER); /* not the one that the guest has chosen */
		reply.server = RELAYED_IP;
		EXPECT(server(reply), PASS);
		if (kind > 0) {
			EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
			EXPECT(says(2, ROUTER_IP, ROUTER_MAC), PASS);
		}
		/* The renewal goes past the relay, and so does its answer. */
		w.now_ms += 300 * SECOND;
		EXPECT(renews(7, RELAYED_IP, ROUTER_MAC), PASS);
		EXPECT(acks(7, RELAYED_IP, ROUTER_MAC), PASS);
		EXPECT(rebinds(8), PASS);
		EXPECT(answers(5, 8, RELAYED_IP, RELAYED_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
		EXPECT(answers(5, 8, RELAYED_IP, kind == 2 ? OTHER_SERVER_IP : relay, kind == 2 ? NEW_MAC : relay_mac),
		       PASS);
	}
}

/* Two relays, and nobody has named them: no alarm, and no second voice. */
void a_copy_of_the_second_relay(void **state)
{
	(void)state;
	start_world(&w, false);
	struct dhcp_spec one = { .type = 2,
				 .yiaddr = GUEST_IP,
				 .server = RELAYED_IP,
				 .lease_s = LEASE_S,
				 .mask = 0xffffff00,
				 .router = ROUTER_IP,
				 .giaddr = SERVER_IP };
	struct dhcp_spec two = one;
	two.giaddr = two.ip_from = OTHER_SERVER_IP;
	two.mac_from = OTHER_SERVER_MAC;
	EXPECT(client((struct dhcp_spec){ .type = 1 }), PASS);
	EXPECT(server(one), PASS);
	EXPECT(server(two), PASS);
	EXPECT(client((struct dhcp_spec){ .type = 3, .requested = GUEST_IP, .server = RELAYED_IP }), PASS);
	one.type = two.type = 5;
	EXPECT(server(one), PASS);
	EXPECT(server(two), DROP_DHCP4_NO_TRANSACTION);
	two.server = OTHER_SERVER_IP; /* another server is no copy */
	EXPECT(server(two), DROP_DHCP4_ROGUE_SERVER);
	two.server = RELAYED_IP;
	two.yiaddr = VICTIM_IP;
	EXPECT(server(two), DROP_DHCP4_ROGUE_SERVER);
	two.yiaddr = GUEST_IP;
	/* The first one dies, and with it the way to the server. */
	w.now_ms += 300 * SECOND;
	EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
	EXPECT(says(2, ROUTER_IP, ROUTER_MAC), PASS);
	EXPECT(renews(7, RELAYED_IP, ROUTER_MAC), PASS);
	w.now_ms += 225 * SECOND;
	EXPECT(rebinds(8), PASS);
	two.xid = 8;
	EXPECT(server(two), PASS);
	w.now_ms += 100 * SECOND;
	assert_true(owns(GUEST_IP));
}

/* CARP: ARP says the group's MAC; packets, and DHCP from the router's address, come from the machine's own. */
void the_server_may_speak_as_the_router(void **state)
{
	(void)state;
	start_learning(LEASE_S);
	EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
	EXPECT(says(2, ROUTER_IP, ROUTER_MAC), PASS);
	EXPECT(hears(ROUTER_IP, SERVER_MAC), PASS);
	EXPECT(hears(ROUTER_IP, VICTIM_MAC), DROP_IP4_GATEWAY_SPOOF);
	EXPECT(says(2, ROUTER_IP, SERVER_MAC), DROP_ARP_GATEWAY_SPOOF);
	EXPECT(sends_by(SERVER_MAC), DROP_L2_NEXT_HOP);
	mac_set_add(&w.config.gateway_macs, ROUTER_MAC); /* what is named is named */
	EXPECT(hears(ROUTER_IP, SERVER_MAC), DROP_IP4_GATEWAY_SPOOF);

	/* The shared address is the server's, too: its real MAC is learned from the ACK, and never answers ARP. */
	start_world(&w, false);
	lease(&w, GUEST_IP, LEASE_S);
	for (int i = 0; i < 3; i++, w.now_ms += SECOND) {
		EXPECT(asks(GATEWAY_IP, MAC_BROADCAST), PASS);
		EXPECT(says(2, GATEWAY_IP, 0x00005e000133ULL), i < 2 ? DROP_ARP_GATEWAY_SPOOF : PASS);
	}
	EXPECT(sends_by(0x00005e000133ULL), PASS);
	EXPECT(hears(GATEWAY_IP, GATEWAY_MAC), PASS);
	EXPECT(rebinds(7), PASS);
	EXPECT(acks(7, GATEWAY_IP, GATEWAY_MAC), PASS);
}
