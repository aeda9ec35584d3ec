/* Who can empty which bucket: nobody one that another's frames need. Both families. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/guard.h"
#include "amount.h"
#include "world_flow.h"

#include <cmocka.h>

static struct world w;

enum { SECONDS = 30, FLOOD = 1000 /* a second */, OTHERS = 20 };
#define ATTACKER_MAC 0x52540000001fULL
#define PEER_MAC(n)  (0x525400010000ULL + (n))

static void start(bool gateway_known)
{
	start_flow_world(&w, false, INBOUND_ANY);
	struct rule lan[2] = { rule_for(CLASS_ALLOWED, OUTWARD, address_of_ipv4(0xc0a84000), 120),
			       rule_for(CLASS_ALLOWED, OUTWARD, ADDRESS6(LOCAL_PREFIX, 0), 64) };
	set_rules(&w, lan, 2);
	if (!gateway_known) {
		w.config.gateway_macs.count = 0;
		memset(&w.state.learned, 0, sizeof w.state.learned);
		memset(w.state.ipv6.routers, 0, sizeof w.state.ipv6.routers);
	}
}

static uint64_t group_or(bool unicast, uint64_t group)
{
	return unicast ? GUEST_MAC : group;
}

/* "Who has the guest's address?", and the guest's answer to it. */
static void put_question(bool v6, bool unicast, uint64_t mac, uint32_t number)
{
	if (v6) {
		struct address from = mac == GATEWAY_MAC ? ROUTER_LL : ADDRESS6(LINK_LOCAL_PREFIX, 0x1000 + number);
		put_nd_to_guest(&w, &(struct nd_spec){ .type = NS,
						       .from = from,
						       .mac_from = mac,
						       .target = GUEST_PRIVACY,
						       .source_lla = mac,
						       .to = unicast ? GUEST_PRIVACY : ADDRESS6(0, 0),
						       .mac_to = unicast ? GUEST_MAC : 0 });
		return;
	}
	put_ethernet(&w, group_or(unicast, MAC_BROADCAST), mac, 0x0806);
	put_arp(&w, 1, mac, mac == GATEWAY_MAC ? GATEWAY_IP : 0xc0a84080 + number % 64, GUEST_IP);
}

static void put_answer(bool v6, uint64_t mac, uint32_t number)
{
	if (v6) {
		struct address to = mac == GATEWAY_MAC ? ROUTER_LL : ADDRESS6(LINK_LOCAL_PREFIX, 0x1000 + number);
		put_nd(&w, &(struct nd_spec){ .type = NA,
					      .from = GUEST_PRIVACY,
					      .to = to,
					      .mac_to = mac,
					      .target = GUEST_PRIVACY,
					      .flags = NA_SOLICITED,
					      .target_lla = GUEST_MAC });
		return;
	}
	put_ethernet(&w, mac, GUEST_MAC, 0x0806);
	put_arp(&w, 2, GUEST_MAC, GUEST_IP, mac == GATEWAY_MAC ? GATEWAY_IP : 0xc0a84080 + number % 64);
}

/* A question is asked and answered; a guest answers all that it hears. */
static bool ask(bool v6, bool unicast, uint64_t mac, uint32_t number)
{
	put_question(v6, unicast, mac, number);
	if (to_guest(&w) != PASS)
		return false;
	put_answer(v6, mac, number);
	return from_guest(&w) == PASS;
}

/* The guest's own questions for its gateway, and its claims. */
static bool find_gateway(bool v6)
{
	if (v6)
		put_nd(&w, &(struct nd_spec){
			       .type = NS, .from = GUEST_PRIVACY, .target = ROUTER_LL, .source_lla = GUEST_MAC });
	else {
		put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
		put_arp(&w, 1, GUEST_MAC, GUEST_IP, GATEWAY_IP);
	}
	return from_guest(&w) == PASS;
}

static bool claim(bool v6)
{
	if (v6)
		return solicit_dad(&w, GUEST_PRIVACY) == PASS;
	put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
	put_arp(&w, 1, GUEST_MAC, 0, GUEST_IP);
	return from_guest(&w) == PASS;
}

/* One neighbor floods as in docs/filter.md; each second the gateway asks once, and others do. Nothing of theirs is lost. */
static void flood(bool v6, bool unicast, bool gateway_known)
{
	uint32_t heard = 0, others_lost = 0;
	start(gateway_known);
	for (int second = 0; second < SECONDS; second++) {
		for (uint32_t i = 0; i < FLOOD; i++) {
			heard += ask(v6, unicast, ATTACKER_MAC, i);
			w.now_ms += i % (FLOOD / 500) == 0 ? 1 : 0;
		}
		w.now_ms += 500;
		assert_true(ask(v6, unicast, GATEWAY_MAC, 0));
		assert_true(find_gateway(v6));
		assert_true(claim(v6));
		for (uint32_t n = 0; n < OTHERS; n++)
			others_lost += !ask(v6, unicast, PEER_MAC(n), n);
	}
	assert_true(heard > SECONDS && heard <= SECONDS * 20 + 100); /* it is heard, too, as often as anybody needs */
	assert_int_equal(others_lost, 0); /* with this key none of them shares its place; one of 256 would */
}

static void a_neighbor_that_asks_starves_nobody(void **state)
{
	(void)state;
	for (int way = 0; way < 8; way++)
		flood(way & 1, way & 2, way & 4);
}

/* What everybody on the link hears, of which there is the most. */
static void put_group(bool v6, uint64_t mac)
{
	if (v6)
		put_udp6_to_guest(&w, mac, VICTIM_LL, MDNS_GROUP, 5353, 5353, 20);
	else {
		put_ethernet(&w, 0x01005e0000fbULL, mac, 0x0800);
		put_ipv4(&w, VICTIM_IP, 0xe00000fb, UDP, 0, 28);
		put_udp(&w, 5353, 5353, 20);
		put_zeros(&w, 20);
	}
	if (v6) {
		w.frame[0] = w.frame[1] = 0x33;
		w.frame[2] = w.frame[3] = w.frame[4] = 0;
		w.frame[5] = 0xfb;
	}
}

static void a_flood_of_groups_starves_nobody(void **state)
{
	(void)state;
	uint32_t seconds = amount(SECONDS);
	for (int way = 0; way < 4; way++) {
		bool v6 = way & 1;
		uint32_t passed = 0;
		start(way & 2);
		for (int second = 0; second < (int)seconds; second++) {
			for (uint32_t i = 0; i < 30000; i++) {
				put_group(v6, ATTACKER_MAC);
				passed += to_guest(&w) == PASS;
				w.now_ms += i % 60 == 0;
			}
			w.now_ms += 500;
			put_group(v6, GATEWAY_MAC);
			assert_int_equal(to_guest(&w), PASS);
			put_group(v6, PEER_MAC(1));
			assert_int_equal(to_guest(&w), PASS);
			assert_true(ask(v6, false, GATEWAY_MAC, 0));
			assert_true(find_gateway(v6));
		}
		assert_true(passed <= 2000 + seconds * 1000);
	}
}

/* A stranger with many addresses makes the guest ask for each; it still finds its gateway and keeps its address. */
static void strangers_that_are_many_keep_no_guest_from_its_gateway(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		uint32_t asked = 0;
		start(true);
		for (int second = 0; second < SECONDS; second++) {
			for (uint32_t i = 0; i < FLOOD; i++) {
				if (v6)
					put_nd(&w, &(struct nd_spec){ .type = NS,
								      .from = GUEST_PRIVACY,
								      .source_lla = GUEST_MAC,
								      .target = ADDRESS6(LOCAL_PREFIX, 0x9000 + i) });
				else {
					put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
					put_arp(&w, 1, GUEST_MAC, GUEST_IP, 0xc0a84080 + i % 64);
				}
				asked += from_guest(&w) == PASS;
			}
			w.now_ms += 1000;
			assert_true(find_gateway(v6));
			assert_true(claim(v6));
			assert_true(ask(v6, true, GATEWAY_MAC, 0));
		}
		assert_true(asked <= 100 + SECONDS * 50); /* and the link hears no more of it than before */
	}
}

/* Queries make the guest report its groups; what it reports is its own affair. */
static void queries_are_few(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		uint32_t passed = 0;
		start(true);
		for (uint32_t i = 0; i < 1000; i++) {
			if (v6) {
				put_mld(&w, 130, VICTIM_LL, NODES_GROUP, ADDRESS6(0, 0));
				w.frame[6] = 0x52, w.frame[7] = 0x54, w.frame[11] = 0x1f;
			} else {
				put_ethernet(&w, 0x01005e000001ULL, ATTACKER_MAC, 0x0800);
				put_ipv4(&w, VICTIM_IP, 0xe0000001, IGMP, 0, 8);
				put_number(&w, 0x1100000000000000ULL, 8);
			}
			passed += to_guest(&w) == PASS;
		}
		assert_int_equal(passed, w.config.rates[RATE_OF_UPLINK_QUERY].burst);
	}
}

/* The snooper: what each machine may say to it is counted for that machine, so no sum of others' can reach the bound. */
static void no_bound_of_the_snooper_is_met_before_its_own(void **state)
{
	static const enum rate_class punted_from_guest[] = { RATE_OF_DHCP, RATE_OF_ARP_GATEWAY, RATE_OF_ND_CLAIM };
	static const enum rate_class punted_to_guest[] = { RATE_OF_UPLINK_DHCP, RATE_OF_UPLINK_ROUTER,
							   RATE_OF_UPLINK_DAD, RATE_OF_UPLINK_ASK };
	uint32_t refill = 0, burst = 0;
	(void)state;
	start(true);
	const struct rate *rates = w.config.rates;
	for (int i = 0; i < 3; i++) {
		refill += rates[punted_from_guest[i]].refill;
		burst += rates[punted_from_guest[i]].burst;
	}
	assert_true(refill < rates[RATE_OF_FROM_GUEST].refill && burst < rates[RATE_OF_FROM_GUEST].burst);
	refill = burst = 0;
	for (int i = 0; i < 4; i++) {
		assert_true(punted_to_guest[i] >= FIRST_PEER_RATE);
		refill += rates[punted_to_guest[i]].refill;
		burst += rates[punted_to_guest[i]].burst;
	}
	assert_true(RATE_OF_FROM_UPLINK >= FIRST_PEER_RATE);
	assert_true(refill < rates[RATE_OF_FROM_UPLINK].refill && burst < rates[RATE_OF_FROM_UPLINK].burst);
	assert_true(rates[RATE_OF_ARP_ANSWER].refill >= rates[RATE_OF_UPLINK_ASK].refill);
	assert_true(rates[RATE_OF_ND_ANSWER].refill >= rates[RATE_OF_UPLINK_ASK].refill);
}

/* Forged answers of a known server, from another machine: the true one's are still heard. */
static void forged_answers_starve_no_server(void **state)
{
	(void)state;
	start_world(&w, true);
	w.config.gateway_macs.count = 0; /* the server's MAC is not known yet */
	put_client_message(&w, &(struct dhcp_spec){ .type = 1 });
	assert_int_equal(from_guest(&w), PASS);
	struct dhcp_spec offer = {
		.type = 2, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 600, .mask = 0xffffff00, .router = GATEWAY_IP
	};
	for (int i = 0; i < 1000; i++) {
		offer.mac_from = ATTACKER_MAC;
		offer.yiaddr = 0xc0a84063;
		put_server_message(&w, &offer);
		to_guest(&w);
	}
	offer.mac_from = GATEWAY_MAC;
	offer.yiaddr = GUEST_IP;
	put_server_message(&w, &offer);
	expect_verdict(&w, to_guest(&w), PASS, __FILE__, __LINE__);
}

/* The attacker may have as many MAC addresses as it likes: the known gateway is in none of those places. */
static void many_macs_do_not_reach_the_known_gateway(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		start(true);
		for (uint32_t i = 0; i < amount(100000); i++) {
			ask(v6, true, PEER_MAC(i), i);
			put_group(v6, PEER_MAC(i));
			to_guest(&w);
		}
		assert_true(ask(v6, true, GATEWAY_MAC, 0));
		assert_true(ask(v6, false, GATEWAY_MAC, 0));
		put_group(v6, GATEWAY_MAC);
		assert_int_equal(to_guest(&w), PASS);
		assert_true(find_gateway(v6));
		assert_true(claim(v6));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_neighbor_that_asks_starves_nobody),
		cmocka_unit_test(a_flood_of_groups_starves_nobody),
		cmocka_unit_test(strangers_that_are_many_keep_no_guest_from_its_gateway),
		cmocka_unit_test(queries_are_few),
		cmocka_unit_test(no_bound_of_the_snooper_is_met_before_its_own),
		cmocka_unit_test(forged_answers_starve_no_server),
		cmocka_unit_test(many_macs_do_not_reach_the_known_gateway),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
