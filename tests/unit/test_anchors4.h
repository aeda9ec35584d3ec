/* What the files of the test of learned anchors share: a segment whose server, router and neighbors the test speaks for. */
#pragma once
#include "world.h"

extern struct world w;

/* The DHCP server is another machine than the routers. */
#define SERVER_MAC       0x525400000002ULL
#define ROUTER_MAC       0x525400000001ULL
#define NEW_MAC          0x525400000003ULL
#define OTHER_SERVER_MAC NEW_MAC
enum {
	SERVER_IP = 0xc0a84002,
	ROUTER_IP = GATEWAY_IP,
	ROUTER2_IP = 0xc0a840fe,
	RELAYED_IP = 0x0a090909,
	OTHER_SERVER_IP = 0xc0a84003
};
enum { LEASE_S = 600 };

#define EXPECT(got, wanted) expect_verdict(&w, got, wanted, __FILE__, __LINE__)

/* A world without anchors and a lease of GUEST_IP from SERVER_IP, whose router is ROUTER_IP. */
void start_learning(uint32_t lease_s);
void start_learned(uint32_t lease_s); /* and the router's MAC is ROUTER_MAC */
enum verdict client(struct dhcp_spec spec);
enum verdict server(struct dhcp_spec spec); /* from SERVER_IP at SERVER_MAC, unless it says otherwise */

/* ARP of the guest for a router, and in a router's name. */
enum verdict asks(uint32_t router, uint64_t to_mac);
enum verdict says(uint16_t operation, uint32_t router, uint64_t mac);
/* IP of the guest to the world by this next hop, and of a router to the guest. */
enum verdict sends_by(uint64_t mac);
enum verdict hears(uint32_t from, uint64_t mac);

/* DHCP about GUEST_IP: the guest's questions, and what a server says to them. test_anchors4_server.c */
bool owns(uint32_t address);
enum verdict renews(uint32_t xid, uint32_t to, uint64_t mac);
enum verdict rebinds(uint32_t xid);
enum verdict answers(uint8_t type, uint32_t xid, uint32_t identifier, uint32_t from, uint64_t mac);
enum verdict acks(uint32_t xid, uint32_t from, uint64_t mac);

/* test_anchors4_ask.c */
void the_guard_asks_for_a_guest_that_does_not(void **state);
void a_live_router_answers_the_guard(void **state);
void what_did_not_leave_was_not_asked(void **state);
void the_guard_seeks_a_router_that_it_does_not_know(void **state);
void the_guard_tells_the_server_who_rebinds(void **state);
/* test_anchors4_server.c */
void a_server_that_died_is_succeeded(void **state);
void a_live_server_is_not_succeeded(void **state);
void what_is_no_question_to_a_server(void **state);
void checksums_of_questions(void **state);
void a_server_that_hears_no_unicast(void **state);
void a_named_server_may_change_its_mac(void **state);
void a_secret_id_proves_the_receiver(void **state);
void an_overheard_id_proves_nothing_for_long(void **state);
void named_macs_count_everywhere(void **state);
/* test_anchors4_relay.c */
void relays_name_the_server(void **state);
void a_copy_of_the_second_relay(void **state);
void the_server_may_speak_as_the_router(void **state);
/* test_anchors4_routes.c */
void routes_name_routers(void **state);
void broken_routes_name_none(void **state);
void next_hops_of_routes_are_routers(void **state);
