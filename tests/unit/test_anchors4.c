/* Learned routers of IPv4: who is one, what opens a lock, and what does not. Each attack stands beside its honest sister. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/judge/trust.h"
#include "test_anchors4.h"

#include <cmocka.h>

struct world w;

enum { SECOND = 1000, HOUR = 3600 * SECOND };
#define DAY (24ULL * HOUR)

enum verdict client(struct dhcp_spec spec)
{
	put_client_message(&w, &spec);
	return from_guest(&w);
}

enum verdict server(struct dhcp_spec spec)
{
	if (spec.ip_from == 0)
		spec.ip_from = SERVER_IP;
	if (spec.mac_from == 0)
		spec.mac_from = SERVER_MAC;
	put_server_message(&w, &spec);
	return to_guest(&w);
}

static struct dhcp_spec lease_of(uint8_t type, uint32_t lease_s, uint32_t router)
{
	return (struct dhcp_spec){
		.type = type, .yiaddr = GUEST_IP, .server = SERVER_IP, .lease_s = lease_s, .mask = 0xffffff00, .router = router
	};
}

static void take_lease(uint32_t lease_s, uint32_t router)
{
	EXPECT(client((struct dhcp_spec){ .type = 1 }), PASS);
	EXPECT(server(lease_of(2, lease_s, router)), PASS);
	EXPECT(client((struct dhcp_spec){ .type = 3, .requested = GUEST_IP, .server = SERVER_IP }), PASS);
	EXPECT(server(lease_of(5, lease_s, router)), PASS);
}

void start_learning(uint32_t lease_s)
{
	start_world(&w, false);
	take_lease(lease_s, ROUTER_IP);
}

enum verdict asks(uint32_t router, uint64_t to_mac)
{
	put_ethernet(&w, to_mac, GUEST_MAC, 0x0806);
	put_arp(&w, 1, GUEST_MAC, GUEST_IP, router);
	return from_guest(&w);
}

enum verdict says(uint16_t operation, uint32_t router, uint64_t mac)
{
	put_ethernet(&w, operation == 2 ? GUEST_MAC : MAC_BROADCAST, mac, 0x0806);
	put_arp(&w, operation, mac, router, operation == 2 ? GUEST_IP : router);
	return to_guest(&w);
}

enum verdict sends_by(uint64_t mac)
{
	put_ethernet(&w, mac, GUEST_MAC, 0x0800);
	put_ipv4(&w, GUEST_IP, GLOBAL_IP, 17, 0, 12);
	put_udp(&w, 40000, 40000, 4);
	put_zeros(&w, 4);
	return from_guest(&w);
}

enum verdict hears(uint32_t from, uint64_t mac)
{
	put_ethernet(&w, GUEST_MAC, mac, 0x0800);
	put_ipv4(&w, from, GUEST_IP, 17, 0, 12);
	put_udp(&w, 40000, 40000, 4);
	put_zeros(&w, 4);
	return to_guest(&w);
}

/* As Linux does it: three times the MAC that it has, then everybody; the answers come from `mac`, none: nobody. */
static enum verdict probe_unreachable(uint64_t old_mac, uint64_t mac)
{
	enum verdict verdict = PASS;
	for (int i = 0; i < 3; i++, w.now_ms += SECOND)
		EXPECT(asks(ROUTER_IP, old_mac), PASS);
	for (int i = 0; i < 3; i++, w.now_ms += SECOND) {
		EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
		w.now_ms++;
		verdict = mac == MAC_NONE ? PASS : says(2, ROUTER_IP, mac);
		if (verdict == PASS)
			break;
	}
	return verdict;
}

void start_learned(uint32_t lease_s)
{
	start_learning(lease_s);
	EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
	EXPECT(says(2, ROUTER_IP, ROUTER_MAC), PASS);
	EXPECT(sends_by(ROUTER_MAC), PASS);
}

/* The guest cannot choose not to learn. */
static void unlearned_is_closed(void **state)
{
	(void)state;
	start_learning(600);
	for (int i = 0; i < 2; i++, w.now_ms += 300 * SECOND) {
		EXPECT(sends_by(VICTIM_MAC), DROP_L2_NEXT_HOP);
		EXPECT(sends_by(ROUTER_MAC), DROP_L2_NEXT_HOP);
		EXPECT(sends_by(SERVER_MAC), DROP_L2_NEXT_HOP);
	}
	start_learned(600);
	EXPECT(sends_by(VICTIM_MAC), DROP_L2_NEXT_HOP);

	/* Who leaves option 3 out of the request gets a lease without a router, and no next hop. */
	start_world(&w, false);
	take_lease(600, 0);
	EXPECT(sends_by(VICTIM_MAC), DROP_L2_NEXT_HOP);
	EXPECT(asks(VICTIM_IP, MAC_BROADCAST), DROP_ARP_TARGET_DENIED);
	w.config.isolation = 0;
	EXPECT(sends_by(VICTIM_MAC), PASS);

	/* A router that is named without a MAC is known, whatever the guest's address is from. */
	start_world(&w, false);
	set_add(&w.config.host, address_of_ipv4(ROUTER_IP));
	assert_true(add_static_binding(&w.state, address_of_ipv4(GUEST_IP), 24, w.now_ms));
	EXPECT(sends_by(VICTIM_MAC), DROP_L2_NEXT_HOP);
	EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
	EXPECT(says(2, ROUTER_IP, ROUTER_MAC), PASS);
	EXPECT(sends_by(ROUTER_MAC), PASS);
	EXPECT(sends_by(VICTIM_MAC), DROP_L2_NEXT_HOP);

	/* Only where nothing at all is known of routers there is nothing to hold to. */
	start_world(&w, false);
	assert_true(add_static_binding(&w.state, address_of_ipv4(GUEST_IP), 24, w.now_ms));
	EXPECT(sends_by(VICTIM_MAC), PASS);
}

/* Neighbors that a rule opens, and resolvers, are spoken to without any router. */
static void neighbors_need_no_router(void **state)
{
	struct rule rule = { address_of_ipv4(VICTIM_IP), 128, .class = CLASS_ALLOWED, .directions = OUTWARD };
	(void)state;
	start_learning(600);
	assert_true(compile_policy(&w.config.policy, &rule, 1));
	put_ethernet(&w, VICTIM_MAC, GUEST_MAC, 0x0800);
	put_ipv4(&w, GUEST_IP, VICTIM_IP, 17, 0, 12);
	put_udp(&w, 40000, 40000, 4);
	put_zeros(&w, 4);
	EXPECT(from_guest(&w), PASS);
}

static void each_router_has_its_own_mac(void **state)
{
	static const uint8_t second[] = { 3, 8, 192, 168, 64, 1, 192, 168, 64, 254 };
	struct dhcp_spec ack = lease_of(5, 600, 0);
	(void)state;
	start_world(&w, false);
	ack.extra = second;
	ack.extra_octets = sizeof second;
	EXPECT(client((struct dhcp_spec){ .type = 3, .requested = GUEST_IP, .server = SERVER_IP }), PASS);
	EXPECT(server(ack), PASS);
	EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
	EXPECT(says(2, ROUTER_IP, ROUTER_MAC), PASS);
	EXPECT(asks(ROUTER2_IP, MAC_BROADCAST), PASS);
	EXPECT(says(2, ROUTER2_IP, VICTIM_MAC), PASS); /* it is away, and a neighbor says that it is it */
	EXPECT(says(2, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
	EXPECT(says(1, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
	EXPECT(hears(ROUTER_IP, VICTIM_MAC), DROP_IP4_GATEWAY_SPOOF);
	EXPECT(says(2, ROUTER2_IP, ROUTER_MAC), DROP_ARP_GATEWAY_SPOOF);
	EXPECT(says(2, ROUTER_IP, ROUTER_MAC), PASS);
	EXPECT(hears(ROUTER2_IP, VICTIM_MAC), PASS);
	EXPECT(sends_by(ROUTER_MAC), PASS);
	EXPECT(sends_by(VICTIM_MAC), PASS); /* as a next hop any router's will do */
}

static void a_silent_router_is_replaced(void **state)
{
	(void)state;
	start_learned(3600);
	w.now_ms += 100 * SECOND;
	EXPECT(says(1, ROUTER_IP, NEW_MAC), DROP_ARP_GATEWAY_SPOOF);
	EXPECT(sends_by(NEW_MAC), DROP_L2_NEXT_HOP);
	EXPECT(probe_unreachable(ROUTER_MAC, NEW_MAC), PASS);
	assert_int_equal(w.last_event.kind, EVENT_GATEWAY_CHANGED);
	assert_true(w.last_event.mac == NEW_MAC && w.last_event.old_mac == ROUTER_MAC);
	EXPECT(sends_by(NEW_MAC), PASS);
	EXPECT(hears(ROUTER_IP, NEW_MAC), PASS);
	EXPECT(says(2, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);

	/* It takes its address back, and is heard at once. */
	w.now_ms += 60 * SECOND;
	EXPECT(says(1, ROUTER_IP, ROUTER_MAC), PASS);
	EXPECT(sends_by(ROUTER_MAC), PASS);

	/* An entry that had run out is asked for by broadcast alone. */
	start_learned(3600);
	for (int i = 0; i < 3; i++, w.now_ms += SECOND) {
		EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
		EXPECT(says(2, ROUTER_IP, NEW_MAC), i < 2 ? DROP_ARP_GATEWAY_SPOOF : PASS);
	}
}

/* A neighbor that answers each question before the router does, for a day, and announces itself all the while. */
static void a_live_router_is_not_replaced(void **state)
{
	(void)state;
	start_learned(UINT32_MAX);
	for (uint64_t end_ms = w.now_ms + DAY; w.now_ms < end_ms; w.now_ms += 10 * SECOND) {
		EXPECT(says(1, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
		EXPECT(asks(ROUTER_IP, w.now_ms % 20000 ? ROUTER_MAC : MAC_BROADCAST), PASS);
		EXPECT(says(2, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
		w.now_ms += 2;
		EXPECT(says(2, ROUTER_IP, ROUTER_MAC), PASS);
		EXPECT(says(2, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
	}
	/* Two answers in a row are lost: the third question still finds it first, and all begins anew. */
	for (int i = 0; i < 3; i++, w.now_ms += 900) {
		EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
		EXPECT(says(2, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
	}
	EXPECT(says(2, ROUTER_IP, ROUTER_MAC), PASS);
	EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
	EXPECT(says(2, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
	EXPECT(sends_by(VICTIM_MAC), DROP_L2_NEXT_HOP);
}

/* The lock of a router that died in the third hour, over a day of renewals from a third machine. */
static void renewals_do_not_keep_a_dead_router(void **state)
{
	(void)state;
	start_learned(3600);
	uint64_t mac = ROUTER_MAC;
	for (uint32_t half = 1; half <= 48; half++) {
		w.now_ms += 1800 * SECOND;
		EXPECT(client((struct dhcp_spec){ .type = 3,
						  .xid = 100 + half,
						  .ciaddr = GUEST_IP,
						  .ip_from = GUEST_IP,
						  .ip_to = SERVER_IP,
						  .mac_to = SERVER_MAC }),
		       PASS);
		struct dhcp_spec ack = lease_of(5, 3600, ROUTER_IP);
		ack.xid = 100 + half;
		EXPECT(server(ack), PASS);
		if (half == 6) {
			EXPECT(probe_unreachable(ROUTER_MAC, NEW_MAC), PASS);
			mac = NEW_MAC;
		}
		EXPECT(asks(ROUTER_IP, mac), PASS);
		EXPECT(says(2, ROUTER_IP, mac), PASS);
		EXPECT(sends_by(mac), PASS);
		EXPECT(says(2, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
	}
	/* And where all is static, and the lock has no end, after twenty days. */
	start_world(&w, false);
	set_add(&w.config.host, address_of_ipv4(ROUTER_IP));
	assert_true(add_static_binding(&w.state, address_of_ipv4(GUEST_IP), 24, w.now_ms));
	EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
	EXPECT(says(2, ROUTER_IP, ROUTER_MAC), PASS);
	w.now_ms += 20 * DAY;
	EXPECT(says(2, ROUTER_IP, NEW_MAC), DROP_ARP_GATEWAY_SPOOF);
	EXPECT(probe_unreachable(ROUTER_MAC, NEW_MAC), PASS);
	EXPECT(sends_by(NEW_MAC), PASS);
}

static void expect_still_locked(int line)
{
	EXPECT(asks(ROUTER_IP, VICTIM_MAC), PASS);
	expect_verdict(&w, says(2, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF, __FILE__, line);
}

/* A hostile guest asks so that the router is silent, and a friend of it answers. */
static void what_is_no_question_to_a_router(void **state)
{
	(void)state;
	start_learned(3600);
	for (int i = 0; i < 10; i++, w.now_ms += SECOND)
		EXPECT(asks(ROUTER_IP, VICTIM_MAC), PASS); /* the router does not hear it */
	expect_still_locked(__LINE__);

	/* From an address that the router may not answer: one in another subnet, of another router. */
	assert_true(add_static_binding(&w.state, address_of_ipv4(0x0a000005), 24, w.now_ms));
	for (int i = 0; i < 10; i++, w.now_ms += SECOND) {
		put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
		put_arp(&w, 1, GUEST_MAC, 0x0a000005, ROUTER_IP);
		EXPECT(from_guest(&w), PASS);
	}
	expect_still_locked(__LINE__);

	/* At the MAC that the router had before, which is dead. */
	start_learned(3600);
	EXPECT(probe_unreachable(ROUTER_MAC, NEW_MAC), PASS);
	for (int i = 0; i < 10; i++, w.now_ms += SECOND)
		EXPECT(asks(ROUTER_IP, ROUTER_MAC), PASS);
	expect_still_locked(__LINE__);

	/* What the guest asked an hour ago. */
	start_learned(36000);
	EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
	EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
	w.now_ms += HOUR;
	EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
	EXPECT(says(2, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);

	/* Evidence is no letter of credit: long after the last question nobody may speak up. */
	start_learned(3600);
	for (int i = 0; i < 5; i++, w.now_ms += SECOND)
		EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
	w.now_ms += 3 * SECOND;
	EXPECT(says(2, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
}

static void named_macs_never_open(void **state)
{
	(void)state;
	start_learned(3600);
	mac_set_add(&w.config.gateway_macs, ROUTER_MAC);
	for (int i = 0; i < 60; i++, w.now_ms += SECOND) {
		EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
		EXPECT(says(2, ROUTER_IP, NEW_MAC), DROP_ARP_GATEWAY_SPOOF);
	}
	mac_set_add(&w.config.gateway_macs, NEW_MAC);
	EXPECT(says(2, ROUTER_IP, NEW_MAC), PASS);
	/* Strict: nothing is learned, so without a named MAC there is no next hop. */
	start_world(&w, false);
	w.config.strict_anchors = 1;
	set_add(&w.config.host, address_of_ipv4(ROUTER_IP));
	assert_true(add_static_binding(&w.state, address_of_ipv4(GUEST_IP), 24, w.now_ms));
	EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
	EXPECT(says(2, ROUTER_IP, VICTIM_MAC), PASS);
	EXPECT(sends_by(VICTIM_MAC), DROP_L2_NEXT_HOP);
}

/* However full the buckets are: a router that lives is known to live. */
static void floods_do_not_hide_a_sign_of_life(void **state)
{
	(void)state;
	start_learned(3600);
	for (int i = 0; i < 20; i++, w.now_ms += SECOND) {
		EXPECT(asks(ROUTER_IP, MAC_BROADCAST), PASS);
		empty_bucket(&w, RATE_OF_FROM_UPLINK);
		empty_bucket(&w, RATE_OF_UPLINK_GROUP);
		EXPECT(says(2, ROUTER_IP, ROUTER_MAC), PASS);
		EXPECT(says(2, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
	}
}

/* More routers than fit, and an old one that gives its place when its lease is over. */
static void tables_that_are_full(void **state)
{
	uint8_t routes[2 + 8 * 9] = { 121, 72 };
	(void)state;
	start_world(&w, false);
	for (uint8_t i = 0; i < 8; i++) {
		const uint8_t route[] = { 32, 10, 0, 0, i, 192, 168, 64, (uint8_t)(100 + i) };
		memcpy(routes + 2 + 9 * i, route, sizeof route);
	}
	struct dhcp_spec ack = lease_of(5, 600, ROUTER_IP);
	ack.extra = routes;
	ack.extra_octets = sizeof routes;
	EXPECT(client((struct dhcp_spec){ .type = 3, .requested = GUEST_IP, .server = SERVER_IP }), PASS);
	EXPECT(server(ack), PASS);
	assert_int_equal(w.state.ipv4[0].routers.count, ADDRESS_SET_MAX);
	for (uint32_t i = 0; i < ADDRESS_SET_MAX; i++) {
		uint32_t router = ipv4_of_address(w.state.ipv4[0].routers.item[i]);
		EXPECT(asks(router, MAC_BROADCAST), PASS);
		EXPECT(says(2, router, 0x020000000000ULL + i), PASS);
	}
	set_add(&w.config.host, address_of_ipv4(OTHER_IP)); /* a ninth */
	set_add(&w.config.servers, address_of_ipv4(SERVER_IP));
	EXPECT(asks(OTHER_IP, MAC_BROADCAST), PASS);
	EXPECT(says(2, OTHER_IP, VICTIM_MAC), PASS); /* not learned, so no next hop */
	EXPECT(sends_by(VICTIM_MAC), DROP_L2_NEXT_HOP);
	EXPECT(says(2, ROUTER_IP, VICTIM_MAC), DROP_ARP_GATEWAY_SPOOF);
	w.now_ms += 601 * SECOND;
	take_lease(600, ROUTER_IP);
	EXPECT(asks(OTHER_IP, MAC_BROADCAST), PASS);
	EXPECT(says(2, OTHER_IP, NEW_MAC), PASS);
	EXPECT(sends_by(NEW_MAC), PASS);

	/* A router's MACs: the oldest goes. */
	start_learned(UINT32_MAX);
	for (uint64_t mac = 0x020000000010ULL; mac < 0x020000000014ULL; mac++)
		EXPECT(probe_unreachable(ROUTER_MAC, mac), PASS);
	EXPECT(says(2, ROUTER_IP, 0x020000000010ULL), PASS);
	EXPECT(says(2, ROUTER_IP, ROUTER_MAC), DROP_ARP_GATEWAY_SPOOF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unlearned_is_closed),
		cmocka_unit_test(neighbors_need_no_router),
		cmocka_unit_test(each_router_has_its_own_mac),
		cmocka_unit_test(a_silent_router_is_replaced),
		cmocka_unit_test(a_live_router_is_not_replaced),
		cmocka_unit_test(renewals_do_not_keep_a_dead_router),
		cmocka_unit_test(what_is_no_question_to_a_router),
		cmocka_unit_test(named_macs_never_open),
		cmocka_unit_test(floods_do_not_hide_a_sign_of_life),
		cmocka_unit_test(tables_that_are_full),
		cmocka_unit_test(the_guard_asks_for_a_guest_that_does_not),
		cmocka_unit_test(a_live_router_answers_the_guard),
		cmocka_unit_test(what_did_not_leave_was_not_asked),
		cmocka_unit_test(the_guard_seeks_a_router_that_it_does_not_know),
		cmocka_unit_test(a_server_that_died_is_succeeded),
		cmocka_unit_test(a_live_server_is_not_succeeded),
		cmocka_unit_test(what_is_no_question_to_a_server),
		cmocka_unit_test(checksums_of_questions),
		cmocka_unit_test(a_server_that_hears_no_unicast),
		cmocka_unit_test(a_named_server_may_change_its_mac),
		cmocka_unit_test(a_secret_id_proves_the_receiver),
		cmocka_unit_test(the_guard_tells_the_server_who_rebinds),
		cmocka_unit_test(an_overheard_id_proves_nothing_for_long),
		cmocka_unit_test(named_macs_count_everywhere),
		cmocka_unit_test(relays_name_the_server),
		cmocka_unit_test(a_copy_of_the_second_relay),
		cmocka_unit_test(the_server_may_speak_as_the_router),
		cmocka_unit_test(routes_name_routers),
		cmocka_unit_test(broken_routes_name_none),
		cmocka_unit_test(next_hops_of_routes_are_routers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
