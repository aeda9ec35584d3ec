/* Learned DHCP servers: who may take over, and who is heard for what it knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/judge/trust.h"
#include "test_anchors4.h"

#include <cmocka.h>

enum { SECOND = 1000 };

bool owns(uint32_t address)
{
	return owns_address4(&w.state, address_of_ipv4(address), w.now_ms);
}

enum verdict renews(uint32_t xid, uint32_t to, uint64_t mac)
{
	return client((struct dhcp_spec){
	    .type = 3, .xid = xid, .ciaddr = GUEST_IP, .ip_from = GUEST_IP, .ip_to = to, .mac_to = mac });
}

enum verdict rebinds(uint32_t xid)
{
	return client((struct dhcp_spec){ .type = 3, .xid = xid, .ciaddr = GUEST_IP, .ip_from = GUEST_IP });
}

enum verdict answers(uint8_t type, uint32_t xid, uint32_t identifier, uint32_t from, uint64_t mac)
{
	return server((struct dhcp_spec){ .type = type,
					  .xid = xid,
					  .yiaddr = type == 6 ? 0 : GUEST_IP,
					  .server = identifier,
					  .lease_s = LEASE_S,
					  .mask = 0xffffff00,
					  .router = ROUTER_IP,
					  .ip_from = from,
					  .mac_from = mac });
}

enum verdict acks(uint32_t xid, uint32_t from, uint64_t mac)
{
	return answers(5, xid, from, from, mac);
}

/* A pair of servers: the renewal finds its own dead, the rebinding is answered by the other one at once. */
void a_server_that_died_is_succeeded(void **state)
{
	(void)state;
	start_learning(LEASE_S);
	w.now_ms += 300 * SECOND;
	EXPECT(renews(7, SERVER_IP, SERVER_MAC), PASS);
	w.now_ms += 225 * SECOND;
	EXPECT(rebinds(7), PASS);
	EXPECT(acks(7, OTHER_SERVER_IP, OTHER_SERVER_MAC), PASS);
	assert_int_equal(w.last_event.kind, EVENT_SERVER_CHANGED);
	w.now_ms += 500 * SECOND;
	assert_true(owns(GUEST_IP));
	/* It is a server from now on, and nobody else is. The old one may come back. */
	EXPECT(renews(8, OTHER_SERVER_IP, OTHER_SERVER_MAC), PASS);
	EXPECT(acks(8, VICTIM_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	EXPECT(acks(8, OTHER_SERVER_IP, OTHER_SERVER_MAC), PASS);
	EXPECT(client((struct dhcp_spec){ .type = 1, .xid = 9 }), PASS);
	EXPECT(answers(2, 9, VICTIM_IP, VICTIM_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	EXPECT(answers(2, 9, SERVER_IP, SERVER_IP, SERVER_MAC), PASS);

	/* A guest that boots: its second DISCOVER is answered by the other one, and so is what follows. */
	start_learning(LEASE_S);
	w.now_ms += 100 * SECOND;
	EXPECT(client((struct dhcp_spec){ .type = 1, .xid = 20 }), PASS);
	EXPECT(answers(2, 20, OTHER_SERVER_IP, OTHER_SERVER_IP, OTHER_SERVER_MAC), DROP_DHCP4_ROGUE_SERVER);
	w.now_ms += 4 * SECOND;
	EXPECT(client((struct dhcp_spec){ .type = 1, .xid = 20 }), PASS);
	EXPECT(answers(2, 20, OTHER_SERVER_IP, OTHER_SERVER_IP, OTHER_SERVER_MAC), PASS);
	EXPECT(client((struct dhcp_spec){ .type = 3, .xid = 20, .requested = GUEST_IP, .server = OTHER_SERVER_IP }),
	       PASS);
	EXPECT(acks(20, OTHER_SERVER_IP, OTHER_SERVER_MAC), PASS);
	EXPECT(acks(20, OTHER_SERVER_IP, VICTIM_MAC), DROP_DHCP4_NO_TRANSACTION);

	/* The new one knows nothing of the lease, and says so. */
	start_learning(LEASE_S);
	w.now_ms += 300 * SECOND;
	EXPECT(renews(7, SERVER_IP, SERVER_MAC), PASS);
	w.now_ms += 225 * SECOND;
	EXPECT(rebinds(8), PASS);
	EXPECT(answers(6, 8, OTHER_SERVER_IP, OTHER_SERVER_IP, OTHER_SERVER_MAC), PASS);
	assert_false(owns(GUEST_IP));
	EXPECT(client((struct dhcp_spec){ .type = 1, .xid = 9 }), PASS);
	EXPECT(answers(2, 9, OTHER_SERVER_IP, OTHER_SERVER_IP, OTHER_SERVER_MAC), PASS);
}

/* A neighbor that is always faster, over some hundred exchanges of every kind. */
void a_live_server_is_not_succeeded(void **state)
{
	(void)state;
	start_learning(LEASE_S);
	for (uint32_t xid = 100; xid < 300; xid++) {
		w.now_ms += 300 * SECOND;
		bool discovers = xid % 3 == 0, unicast = xid % 3 == 1;
		if (discovers)
			EXPECT(client((struct dhcp_spec){ .type = 1, .xid = xid }), PASS);
		else
			EXPECT(unicast ? renews(xid, SERVER_IP, SERVER_MAC) : rebinds(xid), PASS);
		for (uint8_t type = 2; type <= 6; type++)
			if (type == 2 || type >= 5)
				EXPECT(answers(type, xid, VICTIM_IP, VICTIM_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
		EXPECT(answers(5, xid, SERVER_IP, SERVER_IP, VICTIM_MAC), unicast ? PASS : DROP_DHCP4_ROGUE_SERVER);
		w.now_ms += 50;
		EXPECT(answers(discovers ? 2 : 5, xid, SERVER_IP, SERVER_IP, SERVER_MAC), PASS);
		EXPECT(answers(2, xid, VICTIM_IP, VICTIM_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
		if (discovers) { /* one lost OFFER, and then the real one again */
			w.now_ms += 100 * SECOND;
			EXPECT(client((struct dhcp_spec){ .type = 1, .xid = xid + 1000 }), PASS);
			EXPECT(answers(2, xid + 1000, VICTIM_IP, VICTIM_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
			w.now_ms += 3 * SECOND;
			EXPECT(client((struct dhcp_spec){ .type = 1, .xid = xid + 1000 }), PASS);
			EXPECT(answers(2, xid + 1000, SERVER_IP, SERVER_IP, SERVER_MAC), PASS);
			w.now_ms += 10 * SECOND;
			EXPECT(client((struct dhcp_spec){ .type = 1, .xid = xid + 1000 }), PASS);
			EXPECT(answers(2, xid + 1000, VICTIM_IP, VICTIM_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
			EXPECT(answers(2, xid + 1000, SERVER_IP, SERVER_IP, SERVER_MAC), PASS);
			EXPECT(renews(xid + 2000, SERVER_IP, SERVER_MAC), PASS);
			EXPECT(acks(xid + 2000, SERVER_IP, SERVER_MAC), PASS);
		}
		assert_true(owns(GUEST_IP));
	}
}

/* RFC 768 and RFC 1071, of messages of even and of odd length: with the right one a message counts, with another it does not. */
void checksums_of_questions(void **state)
{
	static const uint8_t name[] = { 60, 2, 'a', 'b' }, odd_name[] = { 60, 3, 'a', 'b', 0xfe };
	(void)state;
	for (int odd = 0; odd < 2; odd++)
		for (uint32_t error = 0; error < 3; error++) {
			start_learning(36000);
			struct dhcp_spec spec = { .type = 3,
						  .xid = 50,
						  .ciaddr = GUEST_IP,
						  .ip_from = GUEST_IP,
						  .extra = odd ? odd_name : name,
						  .extra_octets = odd ? 5 : 4 };
			put_client_message(&w, &spec);
			uint32_t octets = w.length - 34, sum = 17 + octets;
			for (uint32_t i = 26; i < w.length; i++)
				sum += (uint32_t)w.frame[i] << (i % 2 ? 0 : 8);
			while (sum >> 16)
				sum = (sum & 0xffff) + (sum >> 16);
			w.frame[40] = (uint8_t)((~sum >> 8) ^ (error == 1));
			w.frame[41] = (uint8_t)(~sum ^ (error == 2));
			uint32_t before = w.state.learned.asked.count;
			EXPECT(from_guest(&w), PASS);
			assert_int_equal(w.state.learned.asked.count, before + (error == 0));
		}
}

/* With a wrong checksum of IP or UDP; with an option that Kea cannot read; under a client identifier that has no lease. */
static enum verdict discovers_oddly(int how, uint32_t xid)
{
	static const uint8_t short_size[] = { 57, 1, 0 }, other_client[] = { 61, 3, 0, 'b', 'c' };
	struct dhcp_spec spec = { .type = 1, .xid = xid };
	spec.extra = how == 2 ? short_size : other_client;
	spec.extra_octets = how == 2 ? sizeof short_size : how == 3 ? sizeof other_client : 0;
	put_client_message(&w, &spec);
	w.frame[how == 0 ? 24 : 40] ^= how < 2;
	return from_guest(&w);
}

/* A hostile guest asks what no server answers, or where none hears it, and a friend of it answers. */
void what_is_no_question_to_a_server(void **state)
{
	(void)state;
	for (int kind = 0; kind < 9; kind++) {
		start_learning(36000);
		for (uint32_t i = 0; i < 4; i++, w.now_ms += 10 * SECOND) {
			if (kind == 0) /* by unicast, to a MAC that is not the server's */
				EXPECT(renews(50 + i, SERVER_IP, VICTIM_MAC), PASS);
			else if (kind == 1) /* a server that knows nothing of the lease is silent: RFC 2131 4.3.2 */
				EXPECT(client((struct dhcp_spec){ .type = 3, .xid = 50 + i, .requested = VICTIM_IP }),
				       PASS);
			else if (kind == 2) /* a server that was not chosen */
				EXPECT(client((struct dhcp_spec){
					   .type = 3, .xid = 50 + i, .requested = VICTIM_IP, .server = VICTIM_IP }),
				       PASS);
			else if (kind == 3)
				EXPECT(client((struct dhcp_spec){
					   .type = 8, .xid = 50 + i, .ciaddr = GUEST_IP, .ip_from = GUEST_IP }),
				       PASS);
			else if (kind >= 5)
				EXPECT(discovers_oddly(kind - 5, 50 + i), PASS);
			else /* attempts that lie minutes apart */
				EXPECT(client((struct dhcp_spec){ .type = 1, .xid = 50 + i }), PASS);
			if (kind == 4)
				w.now_ms += 60 * SECOND;
		}
		EXPECT(client((struct dhcp_spec){ .type = 3, .xid = 99, .requested = VICTIM_IP }), PASS);
		struct dhcp_spec ack = { .type = 5,
					 .xid = 99,
					 .yiaddr = VICTIM_IP,
					 .server = VICTIM_IP,
					 .lease_s = 600,
					 .mask = 0xffffff00,
					 .ip_from = VICTIM_IP,
					 .mac_from = VICTIM_MAC };
		EXPECT(server(ack), DROP_DHCP4_ROGUE_SERVER);
		assert_false(owns(VICTIM_IP));
	}
	/* An INFORM brings no new server in, even where the old one is silent. */
	start_learning(36000);
	for (int i = 0; i < 3; i++, w.now_ms += 10 * SECOND)
		EXPECT(client((struct dhcp_spec){ .type = 1, .xid = 60 }), PASS);
	EXPECT(client((struct dhcp_spec){ .type = 8, .xid = 61, .ciaddr = GUEST_IP, .ip_from = GUEST_IP }), PASS);
	EXPECT(server((struct dhcp_spec){
		   .type = 5, .xid = 61, .server = VICTIM_IP, .ip_from = VICTIM_IP, .mac_from = VICTIM_MAC }),
	       DROP_DHCP4_ROGUE_SERVER);
	EXPECT(answers(2, 60, OTHER_SERVER_IP, OTHER_SERVER_IP, OTHER_SERVER_MAC), PASS); /* a DISCOVER does */
	/* And nobody comes in as a router that answers ARP. */
	EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
	EXPECT(says(2, ROUTER_IP, ROUTER_MAC), PASS);
	EXPECT(answers(2, 60, ROUTER_IP, ROUTER_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
}

/* Behind a relay and a firewall: each renewal is lost, each rebinding is answered, and a neighbor knows when. */
void a_server_that_hears_no_unicast(void **state)
{
	(void)state;
	start_learning(LEASE_S);
	for (uint32_t xid = 200; xid < 220; xid += 2) {
		w.now_ms += 300 * SECOND;
		EXPECT(renews(xid, SERVER_IP, SERVER_MAC), PASS);
		w.now_ms += 225 * SECOND;
		EXPECT(rebinds(xid + 1), PASS);
		if (xid > 200)
			EXPECT(acks(xid + 1, VICTIM_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
		EXPECT(acks(xid + 1, SERVER_IP, SERVER_MAC), PASS);
	}
	/* When it dies it takes a second rebinding. */
	w.now_ms += 300 * SECOND;
	EXPECT(renews(301, SERVER_IP, SERVER_MAC), PASS);
	w.now_ms += 225 * SECOND;
	EXPECT(rebinds(302), PASS);
	EXPECT(acks(302, OTHER_SERVER_IP, OTHER_SERVER_MAC), DROP_DHCP4_ROGUE_SERVER);
	w.now_ms += 37 * SECOND;
	EXPECT(rebinds(302), PASS);
	EXPECT(acks(302, OTHER_SERVER_IP, OTHER_SERVER_MAC), PASS);
	/* One that hears unicast after all is believed to. */
	w.now_ms += 300 * SECOND;
	EXPECT(renews(303, OTHER_SERVER_IP, OTHER_SERVER_MAC), PASS);
	EXPECT(acks(303, OTHER_SERVER_IP, OTHER_SERVER_MAC), PASS);
	assert_int_equal(w.state.learned.hears_no_unicast, 0);
}

void a_named_server_may_change_its_mac(void **state)
{
	(void)state;
	start_world(&w, false);
	set_add(&w.config.servers, address_of_ipv4(SERVER_IP));
	set_add(&w.config.servers, address_of_ipv4(OTHER_SERVER_IP));
	EXPECT(client((struct dhcp_spec){ .type = 3, .requested = GUEST_IP }), PASS);
	EXPECT(acks(XID, SERVER_IP, SERVER_MAC), PASS);
	w.now_ms += 300 * SECOND;
	EXPECT(rebinds(7), PASS);
	EXPECT(acks(7, SERVER_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	EXPECT(acks(7, OTHER_SERVER_IP, OTHER_SERVER_MAC), PASS); /* each that is named counts */
	w.now_ms += 300 * SECOND;
	EXPECT(rebinds(8), PASS);
	w.now_ms += 10 * SECOND;
	EXPECT(rebinds(8), PASS);
	EXPECT(acks(8, VICTIM_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER); /* it is not named */
	EXPECT(acks(8, SERVER_IP, ROUTER_MAC), PASS);
	assert_true(w.last_event.kind == EVENT_LEASE_RENEWED || w.last_event.kind == EVENT_SERVER_CHANGED);
	/* Both have a lock. */
	EXPECT(rebinds(9), PASS);
	EXPECT(acks(9, OTHER_SERVER_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	EXPECT(acks(9, SERVER_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	EXPECT(acks(9, SERVER_IP, ROUTER_MAC), PASS);
}

/* The gateway with two network cards, which is the server, too. */
static void lease_from_gateway(void)
{
	start_world(&w, false);
	lease(&w, GUEST_IP, LEASE_S);
	w.now_ms += 300 * SECOND;
}

void a_secret_id_proves_the_receiver(void **state)
{
	(void)state;
	lease_from_gateway();
	EXPECT(hears(GATEWAY_IP, NEW_MAC), DROP_IP4_GATEWAY_SPOOF);
	EXPECT(renews(7, GATEWAY_IP, GATEWAY_MAC), PASS);
	EXPECT(acks(8, GATEWAY_IP, NEW_MAC), DROP_DHCP4_ROGUE_SERVER); /* who guesses */
	EXPECT(acks(7, VICTIM_IP, NEW_MAC), DROP_DHCP4_ROGUE_SERVER);  /* no server of the lease */
	struct dhcp_spec another = { .type = 5,
				     .xid = 7,
				     .yiaddr = VICTIM_IP,
				     .server = GATEWAY_IP,
				     .lease_s = 600,
				     .mask = 0xffffff00,
				     .ip_from = GATEWAY_IP,
				     .mac_from = NEW_MAC };
	EXPECT(server(another), DROP_DHCP4_ROGUE_SERVER); /* another address than was to be renewed */
	struct dhcp_spec refusal = { .type = 6, .xid = 7, .server = GATEWAY_IP, .ip_from = GATEWAY_IP, .mac_from = NEW_MAC };
	EXPECT(server(refusal), DROP_DHCP4_ROGUE_SERVER); /* it would end the lease, and no second answer could heal that */
	assert_true(owns(GUEST_IP));
	EXPECT(acks(7, GATEWAY_IP, NEW_MAC), PASS);
	EXPECT(hears(GATEWAY_IP, NEW_MAC), PASS);
	EXPECT(says(2, GATEWAY_IP, NEW_MAC), PASS);
	EXPECT(says(2, GATEWAY_IP, GATEWAY_MAC), PASS);
	EXPECT(rebinds(9), PASS);
	EXPECT(acks(9, GATEWAY_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	EXPECT(acks(9, GATEWAY_IP, NEW_MAC), PASS);

	/* An id that all have heard is no secret: of the exchange that made the lease, and of a broadcast before. */
	lease_from_gateway();
	EXPECT(renews(XID, GATEWAY_IP, GATEWAY_MAC), PASS);
	EXPECT(acks(XID, GATEWAY_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	lease_from_gateway();
	EXPECT(rebinds(7), PASS);
	EXPECT(renews(7, GATEWAY_IP, GATEWAY_MAC), PASS);
	EXPECT(acks(7, GATEWAY_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	EXPECT(acks(7, GATEWAY_IP, GATEWAY_MAC), PASS);
	lease_from_gateway();
	EXPECT(renews(7, GATEWAY_IP, GATEWAY_MAC), PASS);
	EXPECT(rebinds(7), PASS); /* now it is out */
	EXPECT(acks(7, GATEWAY_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	/* What a guest renews that the guard knows nothing of proves nothing, nor does a lease of unknown making. */
	lease_from_gateway();
	w.state.ipv4[0].has_public_id = 0;
	EXPECT(renews(7, GATEWAY_IP, GATEWAY_MAC), PASS);
	EXPECT(acks(7, GATEWAY_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	/* A guest chooses the MAC that it sends to: what it tells a friend is no secret of the server's. */
	lease_from_gateway();
	EXPECT(renews(7, GATEWAY_IP, VICTIM_MAC), PASS);
	EXPECT(acks(7, GATEWAY_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	EXPECT(sends_by(VICTIM_MAC), DROP_L2_NEXT_HOP);
	/* Nor is it one, when it goes to the server afterwards. */
	EXPECT(renews(7, GATEWAY_IP, GATEWAY_MAC), PASS);
	EXPECT(acks(7, GATEWAY_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	/* Nor where it sees to it that the server never hears it, or has no lease to renew. */
	lease_from_gateway();
	put_client_message(
	    &w,
	    &(struct dhcp_spec){
		.type = 3, .xid = 7, .ciaddr = GUEST_IP, .ip_from = GUEST_IP, .ip_to = GATEWAY_IP, .mac_to = GATEWAY_MAC });
	w.frame[24] ^= 1;
	EXPECT(from_guest(&w), PASS);
	EXPECT(acks(7, GATEWAY_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	lease_from_gateway();
	static const uint8_t other_client[] = { 61, 3, 0, 'b', 'c' };
	EXPECT(client((struct dhcp_spec){ .type = 3,
					  .xid = 7,
					  .ciaddr = GUEST_IP,
					  .ip_from = GUEST_IP,
					  .ip_to = GATEWAY_IP,
					  .mac_to = GATEWAY_MAC,
					  .extra = other_client,
					  .extra_octets = sizeof other_client }),
	       PASS);
	EXPECT(acks(7, GATEWAY_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	/* What is named stays as it is named. */
	lease_from_gateway();
	mac_set_add(&w.config.gateway_macs, GATEWAY_MAC);
	EXPECT(renews(7, GATEWAY_IP, GATEWAY_MAC), PASS);
	EXPECT(acks(7, GATEWAY_IP, NEW_MAC), DROP_DHCP4_ROGUE_SERVER);
}

/* A switch that floods: a neighbor reads the renewal, and is faster than the server. */
void an_overheard_id_proves_nothing_for_long(void **state)
{
	(void)state;
	lease_from_gateway();
	EXPECT(renews(7, GATEWAY_IP, GATEWAY_MAC), PASS);
	struct dhcp_spec forged = { .type = 5,
				    .xid = 7,
				    .yiaddr = GUEST_IP,
				    .server = GATEWAY_IP,
				    .lease_s = 600,
				    .mask = 0xffffff00,
				    .router = VICTIM_IP,
				    .ip_from = GATEWAY_IP,
				    .mac_from = VICTIM_MAC };
	EXPECT(server(forged), PASS);
	w.now_ms += 5;
	EXPECT(acks(7, GATEWAY_IP, GATEWAY_MAC), PASS); /* the server's own: what came before it is void */
	EXPECT(hears(GATEWAY_IP, VICTIM_MAC), DROP_IP4_GATEWAY_SPOOF);
	EXPECT(says(2, GATEWAY_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
	EXPECT(sends_by(VICTIM_MAC), DROP_L2_NEXT_HOP);
	assert_true(set_has(&w.state.ipv4[0].routers, address_of_ipv4(GATEWAY_IP)) &&
		    !set_has(&w.state.ipv4[0].routers, address_of_ipv4(VICTIM_IP)));
	EXPECT(rebinds(8), PASS);
	EXPECT(acks(8, GATEWAY_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
	EXPECT(acks(8, GATEWAY_IP, GATEWAY_MAC), PASS);
}

void named_macs_count_everywhere(void **state)
{
	(void)state;
	start_world(&w, false);
	mac_set_add(&w.config.gateway_macs, GATEWAY_MAC);
	mac_set_add(&w.config.gateway_macs, NEW_MAC);
	for (int named = 0; named < 3; named++) {
		if (named > 0)
			set_add(&w.config.host, address_of_ipv4(GATEWAY_IP));
		if (named > 1)
			set_add(&w.config.servers, address_of_ipv4(GATEWAY_IP));
		memset(&w.state.ipv4, 0, sizeof w.state.ipv4);
		memset(&w.state.learned, 0, sizeof w.state.learned);
		w.now_ms += 100 * SECOND;
		lease(&w, GUEST_IP, LEASE_S);
		EXPECT(rebinds(7), PASS);
		EXPECT(acks(7, GATEWAY_IP, VICTIM_MAC), DROP_DHCP4_ROGUE_SERVER);
		EXPECT(acks(7, GATEWAY_IP, NEW_MAC), PASS);
		EXPECT(hears(GATEWAY_IP, NEW_MAC), PASS);
		EXPECT(sends_by(NEW_MAC), PASS);
		/* An ARP answer whose two MACs are both the router's; and one with a stranger in either place. */
		put_ethernet(&w, GUEST_MAC, NEW_MAC, 0x0806);
		put_arp(&w, 2, GATEWAY_MAC, GATEWAY_IP, GUEST_IP);
		EXPECT(to_guest(&w), PASS);
		put_ethernet(&w, GUEST_MAC, VICTIM_MAC, 0x0806);
		put_arp(&w, 2, GATEWAY_MAC, GATEWAY_IP, GUEST_IP);
		EXPECT(to_guest(&w), DROP_ARP_SHA_SPOOF);
		put_ethernet(&w, GUEST_MAC, NEW_MAC, 0x0806);
		put_arp(&w, 2, VICTIM_MAC, GATEWAY_IP, GUEST_IP);
		EXPECT(to_guest(&w), DROP_ARP_SHA_SPOOF);
	}
}
