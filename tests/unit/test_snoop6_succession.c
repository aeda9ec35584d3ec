/* Routers and DHCPv6 servers that are replaced, and neighbors that only say so: docs/filter-ipv6.md, Trust anchors. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/guard.h"
#include "core/learn6/lease6.h"
#include "core/made/question.h"
#include "world_dhcp6.h"

#include <cmocka.h>

#define RIVAL_MAC  0x525400000002ULL
#define RIVAL_LL   ADDRESS6(LINK_LOCAL_PREFIX, 0x505400fffe000002ULL)
#define SHARED_MAC 0x00005e000201ULL

#define GUEST_SENDS(wanted) expect_verdict(&w, from_guest(&w), wanted, __FILE__, __LINE__)
#define GUEST_GETS(wanted)  expect_verdict(&w, to_guest(&w), wanted, __FILE__, __LINE__)

static struct world w;
static uint32_t questions, router_questions;
static bool router_lives, is_asked;

static void put_claim(uint64_t mac, uint64_t link_address)
{
	put_nd_to_guest(&w, &(struct nd_spec){ .type = NA,
					       .mac_from = mac,
					       .from = ROUTER_LL,
					       .to = GUEST_LL,
					       .target = ROUTER_LL,
					       .flags = NA_ROUTER | NA_SOLICITED | NA_OVERRIDE,
					       .target_lla = link_address });
}

static bool on_ask(void *context, const uint8_t *frame, uint32_t length)
{
	uint8_t expected[QUESTION_MAX];
	uint32_t octets = make_neighbor_question(GUEST_MAC, GUEST_LL, ROUTER_LL, expected);
	(void)context;
	if (length == octets && memcmp(frame, expected, length) == 0)
		questions++;
	else
		router_questions++;
	is_asked = true;
	return true;
}

static void start(void)
{
	start_world6(&w, false);
	w.guard.ask = on_ask;
	announce(&w, LOCAL_PREFIX);
	questions = router_questions = 0;
	is_asked = false;
	router_lives = true;
}

/* Time passes as the relay sees it. */
static void wait_ms(uint32_t ms)
{
	for (uint32_t i = 0; i < ms; i += 100) {
		w.now_ms += 100;
		expire_bindings(&w.guard, w.now_ms);
		if (is_asked && router_lives) { /* it answers the guard */
			is_asked = false;
			put_claim(GATEWAY_MAC, GATEWAY_MAC);
			GUEST_GETS(PASS);
		}
	}
}

static enum verdict send_by(uint64_t mac)
{
	put_udp6(&w, GUEST_SLAAC, GLOBAL_IP6, 4000, 4000, 4);
	for (uint32_t k = 0; k < 6; k++)
		w.frame[k] = (uint8_t)(mac >> (40 - 8 * k));
	return from_guest(&w);
}

static enum verdict hear(struct ra_spec spec)
{
	put_ra(&w, &spec);
	put_checksum6(&w);
	return to_guest(&w);
}

static const struct ra_spec rival = { .from = { LINK_LOCAL_PREFIX, 0x505400fffe000002ULL },
				      .mac = RIVAL_MAC,
				      .router_s = 1800,
				      .source_lla = RIVAL_MAC,
				      .prefix = { LOCAL_PREFIX, 0 },
				      .valid_s = 86400 };

/* A neighbor that shouts for an hour, by both means: the router answers the guard each time, and keeps its place. */
static void a_living_router_keeps_its_place(void **state)
{
	(void)state;
	start();
	for (int i = 0; i < 36000; i++) {
		put_claim(RIVAL_MAC, RIVAL_MAC);
		GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
		put_claim(GATEWAY_MAC, RIVAL_MAC); /* from its MAC, with the other one inside */
		GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
		enum verdict got = hear(rival);
		assert_true(got == DROP_RA_UNTRUSTED || got == DROP_RATE_UPLINK);
		wait_ms(100);
		if (i % 9000 == 0)
			announce(&w, LOCAL_PREFIX);
	}
	assert_int_equal(send_by(GATEWAY_MAC), PASS);
	assert_int_equal(send_by(RIVAL_MAC), DROP_L2_NEXT_HOP);
	assert_in_range(questions, 300, 400); /* one each ten seconds, however loud it is */
	assert_int_equal(router_questions, 0);
}

/* The router is gone, and its address has another MAC: the claim is believed as soon as four questions were in vain. */
static void its_address_moves(void **state)
{
	(void)state;
	start();
	router_lives = false;
	uint32_t ms = 0;
	for (; ms < 60000; ms += 500) {
		put_claim(RIVAL_MAC, RIVAL_MAC);
		enum verdict got = to_guest(&w);
		if (got == PASS)
			break;
		assert_int_equal(got, DROP_ND_GATEWAY_SPOOF);
		wait_ms(500);
	}
	assert_in_range(ms, 4000, 5000); /* the last question has its second, too */
	assert_int_equal(w.last_event.kind, EVENT_GATEWAY_LEARNED);
	assert_true(w.last_event.mac == RIVAL_MAC && same_address(w.last_event.address, ROUTER_LL));
	assert_int_equal(send_by(RIVAL_MAC), PASS);
	assert_int_equal(send_by(GATEWAY_MAC), DROP_L2_NEXT_HOP);
	assert_int_equal(hear((struct ra_spec){ .mac = RIVAL_MAC, .source_lla = RIVAL_MAC, .router_s = 1800 }), PASS);
	put_claim(GATEWAY_MAC, GATEWAY_MAC); /* and back again, when it is the other one that is gone */
	GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
}

/* Another router, of another address. It may route for the guest when the first one is gone, and not before. */
static void another_router_takes_over(void **state)
{
	(void)state;
	for (int shared = 0; shared < 2; shared++) { /* of the same address, too */
		struct ra_spec news = rival;
		start();
		if (shared)
			news.from = ROUTER_LL;
		router_lives = false;
		uint32_t ms = 0;
		while (ms < 60000 && hear(news) != PASS) {
			wait_ms(3000);
			ms += 3000;
		}
		assert_in_range(ms, 3000, 6000);
		assert_true(router_questions > 0); /* so that it need not wait for its next advertisement */
		assert_int_equal(send_by(RIVAL_MAC), PASS);
		assert_int_equal(send_by(GATEWAY_MAC), DROP_L2_NEXT_HOP);
		assert_int_equal(hear((struct ra_spec){ .router_s = 1800 }), DROP_RA_UNTRUSTED);
	}
}

/* What takes nobody's place, however silent the router is. */
static void claims_that_are_worth_nothing(void **state)
{
	(void)state;
	start();
	router_lives = false;
	put_claim(RIVAL_MAC, RIVAL_MAC);
	GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
	wait_ms(10000);
	assert_in_range(questions, 4, 8);
	struct state before = w.state;
	put_claim(RIVAL_MAC, RIVAL_MAC);
	w.frame[57] ^= 1; /* its checksum */
	GUEST_GETS(DROP_ND_MALFORMED);
	put_claim(RIVAL_MAC, GUEST_MAC);
	GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
	put_claim(RIVAL_MAC, 0x333300000001ULL);
	GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
	put_nd_to_guest(&w,
			&(struct nd_spec){ .type = NS, .mac_from = RIVAL_MAC, .from = ROUTER_LL, .target = GUEST_LL });
	GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
	struct ra_spec news = rival;
	news.router_s = 0;
	assert_int_equal(hear(news), DROP_RA_UNTRUSTED);
	w.config.strict_anchors = 1;
	put_claim(RIVAL_MAC, RIVAL_MAC);
	GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
	assert_int_equal(hear(rival), DROP_RA_UNTRUSTED);
	w.config.strict_anchors = 0;
	set_add(&w.config.host6, ROUTER_LL); /* its address is named: no other address routes */
	assert_int_equal(hear(rival), DROP_RA_UNTRUSTED);
	mac_set_add(&w.config.gateway_macs, GATEWAY_MAC);
	put_claim(RIVAL_MAC, RIVAL_MAC);
	GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
	assert_memory_equal(&before.ipv6.routers, &w.state.ipv6.routers, sizeof before.ipv6.routers);
	w.guard.ask = NULL;
}

/* The host was learned as a router. Its own addresses have one MAC, however silent it is. */
static void the_host_keeps_its_addresses(void **state)
{
	(void)state;
	start_world6(&w, false);
	w.guard.ask = on_ask;
	set_add(&w.config.resident, ROUTER_LL);
	w.config.resident_mac = GATEWAY_MAC;
	announce(&w, LOCAL_PREFIX);
	router_lives = is_asked = false;
	for (int i = 0; i < 20; i++) {
		put_claim(RIVAL_MAC, RIVAL_MAC);
		GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
		wait_ms(500);
	}
	assert_int_equal(send_by(RIVAL_MAC), DROP_L2_NEXT_HOP);
	assert_int_equal(send_by(GATEWAY_MAC), PASS);
}

/* A late sign of life ends the doubt as well as a prompt one. */
static void a_slow_router(void **state)
{
	(void)state;
	for (int advertises = 0; advertises < 2; advertises++) {
		start();
		router_lives = false;
		put_claim(RIVAL_MAC, RIVAL_MAC);
		GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
		wait_ms(6000);
		if (advertises) {
			announce(&w, LOCAL_PREFIX);
		} else {
			put_claim(GATEWAY_MAC, GATEWAY_MAC);
			GUEST_GETS(PASS);
		}
		put_claim(RIVAL_MAC, RIVAL_MAC);
		GUEST_GETS(DROP_ND_GATEWAY_SPOOF);
		assert_int_equal(send_by(GATEWAY_MAC), PASS);
		assert_int_equal(send_by(RIVAL_MAC), DROP_L2_NEXT_HOP);
	}
}

/* VRRP: the option names a MAC that routers share. Both are the router's from then on, and no third one is. */
static void a_shared_mac(void **state)
{
	(void)state;
	start_world6(&w, false);
	w.guard.ask = on_ask;
	const struct ra_spec shares = {
		.source_lla = SHARED_MAC, .router_s = 1800, .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 86400
	};
	assert_int_equal(hear(shares), PASS);
	assert_int_equal(send_by(SHARED_MAC), PASS);
	assert_int_equal(send_by(GATEWAY_MAC), PASS);
	assert_int_equal(send_by(RIVAL_MAC), DROP_L2_NEXT_HOP);
	assert_int_equal(hear(shares), PASS);
	put_claim(SHARED_MAC, SHARED_MAC);
	GUEST_GETS(PASS);
	put_claim(GATEWAY_MAC, SHARED_MAC);
	GUEST_GETS(PASS);
	struct ra_spec third = shares;
	third.source_lla = RIVAL_MAC;
	assert_int_equal(hear(third), DROP_ND_GATEWAY_SPOOF);
	start_world6(&w, false);
	third.source_lla = GUEST_MAC;
	assert_int_equal(hear(third), DROP_ND_GATEWAY_SPOOF);
	third.source_lla = 0x333300000001ULL;
	assert_int_equal(hear(third), DROP_ND_GATEWAY_SPOOF);
}

/* --- DHCPv6 servers ------------------------------------------------------------------------------------------------ */

static enum verdict offer_of_rival(uint32_t id)
{
	return answer6(&w, (struct dhcp6_spec){ .type = ADVERTISE,
						.id = id,
						.mac_from = RIVAL_MAC,
						.ip_from = RIVAL_LL,
						.address = GUEST_LEASED,
						.valid_s = 600 });
}

static void put_checksum_of_udp(void)
{
	uint32_t sum = 0, octets = w.length - 54;
	w.frame[60] = w.frame[61] = 0;
	for (uint32_t i = 22; i + 1 < w.length; i += 2)
		sum += (uint32_t)w.frame[i] << 8 | w.frame[i + 1];
	sum += (w.length % 2 ? (uint32_t)w.frame[w.length - 1] << 8 : 0) + octets + 17;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	w.frame[60] = (uint8_t)(~sum >> 8);
	w.frame[61] = (uint8_t)~sum;
}

/* The checksum is wrong, or only right with what stands behind the datagram; or an option that Kea cannot read. */
enum form { WELL_FORMED, WRONG_SUM, SUM_WITH_REST, SHORT_TIME, LONG_REQUEST, FORMS };

static enum verdict solicit(uint32_t id, enum form form)
{
	static const uint8_t short_time[] = { 0, 8, 0, 1, 0 }, long_request[] = { 0, 6, 0, 3, 0, 23, 0 };
	struct dhcp6_spec spec = { .type = SOLICIT, .id = id };
	spec.extra = form == SHORT_TIME ? short_time : long_request;
	spec.extra_octets = form == SHORT_TIME ? sizeof short_time : form == LONG_REQUEST ? sizeof long_request : 0;
	put_client_message6(&w, &spec);
	if (form == SUM_WITH_REST) {
		put_number(&w, 0xabcd, 2);
		w.frame[19] += 2; /* the payload of IP, and not the length of UDP */
	}
	put_checksum_of_udp();
	w.frame[60] ^= form == WRONG_SUM;
	return from_guest(&w);
}

static void a_silent_server_gives_way(void **state)
{
	(void)state;
	for (enum form form = FORMS; form-- > WELL_FORMED;) {
		start();
		lease6(&w, GUEST_LEASED, 86400, 7);
		w.now_ms += 3600 * 1000;
		announce(&w, LOCAL_PREFIX);
		questions = 0;
		for (uint32_t i = 0; i < 3; i++) {
			assert_int_equal(solicit(8, form), PASS);
			enum verdict got = offer_of_rival(8);
			assert_int_equal(got, i == 2 && form == WELL_FORMED ? PASS : DROP_DHCP6_ROGUE_SERVER);
			w.now_ms += 2000;
		}
		/* Each that counts tells the server the guest's MAC, which the guest might keep to itself. */
		assert_int_equal(questions, form == WELL_FORMED ? 3 : 0);
	}
	assert_int_equal(ask6(&w, (struct dhcp6_spec){ .type = REQUEST, .id = 9, .address = GUEST_LEASED }), PASS);
	assert_int_equal(answer6(&w, (struct dhcp6_spec){ .type = REPLY,
							  .id = 9,
							  .mac_from = RIVAL_MAC,
							  .ip_from = RIVAL_LL,
							  .address = GUEST_LEASED,
							  .valid_s = 600 }),
			 PASS);
	assert_true(w.state.ipv6.server.mac == RIVAL_MAC && w.state.ipv6.server.questions == 0);
	/* The old one is back, and is the other one now. */
	assert_int_equal(ask6(&w, (struct dhcp6_spec){ .type = RENEW, .id = 10, .address = GUEST_LEASED }), PASS);
	assert_int_equal(
	    answer6(&w, (struct dhcp6_spec){ .type = REPLY, .id = 10, .address = GUEST_LEASED, .valid_s = 600 }),
	    DROP_DHCP6_ROGUE_SERVER);
}

/* It answers: nobody is let in, whatever the guest sends that no server answers. */
static void a_living_server_keeps_its_place(void **state)
{
	(void)state;
	start();
	w.config.rates[RATE_OF_DHCP].burst = 0;
	lease6(&w, GUEST_LEASED, 86400, 7);
	w.now_ms += 20000;
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(solicit(8, WELL_FORMED), PASS);
		assert_int_equal(
		    answer6(&w,
			    (struct dhcp6_spec){ .type = ADVERTISE, .id = 8, .address = GUEST_LEASED, .valid_s = 600 }),
		    PASS);
		ask6(&w, (struct dhcp6_spec){ .type = SOLICIT, .id = 9, .no_ia = true });
		ask6(&w, (struct dhcp6_spec){ .type = RENEW, .id = 11, .address = GUEST_LEASED });
		ask6(&w, (struct dhcp6_spec){ .type = CONFIRM, .id = 12, .address = GUEST_LEASED });
		ask6(&w, (struct dhcp6_spec){ .type = INFORMATION_REQUEST, .id = 13 });
		w.now_ms += 2500;
		assert_int_equal(offer_of_rival(8), DROP_DHCP6_ROGUE_SERVER);
	}
	/* A server that knows nothing of the link leaves a Confirm unanswered (RFC 8415 18.3.3). */
	start();
	lease6(&w, GUEST_LEASED, 86400, 7);
	for (uint32_t i = 0; i < 3; i++, w.now_ms += 2500) {
		put_client_message6(&w, &(struct dhcp6_spec){ .type = CONFIRM, .id = 12, .address = GUEST_LEASED });
		put_checksum_of_udp();
		assert_int_equal(from_guest(&w), PASS);
	}
	assert_int_equal(solicit(8, WELL_FORMED), PASS);
	assert_int_equal(offer_of_rival(8), DROP_DHCP6_ROGUE_SERVER);
	/* Named servers: every gateway's MAC is good for each of them. */
	start();
	set_add(&w.config.servers6, ROUTER_LL);
	lease6(&w, GUEST_LEASED, 86400, 7);
	ask6(&w, (struct dhcp6_spec){ .type = RENEW, .id = 8, .address = GUEST_LEASED });
	struct dhcp6_spec other_card = {
		.type = REPLY, .id = 8, .mac_from = RIVAL_MAC, .address = GUEST_LEASED, .valid_s = 600
	};
	assert_int_equal(answer6(&w, other_card), DROP_DHCP6_ROGUE_SERVER);
	mac_set_add(&w.config.gateway_macs, GATEWAY_MAC);
	mac_set_add(&w.config.gateway_macs, RIVAL_MAC);
	assert_int_equal(answer6(&w, other_card), PASS);
}

/* --- RFC 9686, and servers that may be written to -------------------------------------------------------------------- */

static enum verdict tell(struct address from, struct address named, uint8_t type)
{
	uint8_t option[28] = { 0, 5, 0, 24 };
	for (uint32_t k = 0; k < 8; k++) {
		option[4 + k] = (uint8_t)(named.high >> (56 - 8 * k));
		option[12 + k] = (uint8_t)(named.low >> (56 - 8 * k));
	}
	struct dhcp6_spec spec = { .type = type,
				   .id = 77,
				   .no_ia = true,
				   .extra = option,
				   .extra_octets = sizeof option,
				   .ip_from = type == 36 ? from : ROUTER_LL,
				   .ip_to = type == 36 ? DHCP6_SERVERS : from };
	return type == 36 ? ask6(&w, spec) : answer6(&w, spec);
}

static void addresses_are_registered(void **state)
{
	(void)state;
	start();
	assert_int_equal(tell(GUEST_SLAAC, GUEST_SLAAC, 37), DROP_DHCP6_NO_TRANSACTION);
	assert_int_equal(tell(GUEST_SLAAC, VICTIM_LEASED, 36), DROP_DHCP6_NOT_OWNER);
	assert_int_equal(tell(GUEST_SLAAC, GUEST_LL, 36), DROP_DHCP6_NOT_OWNER);
	assert_int_equal(tell(GUEST_LL, GUEST_LL, 36), DROP_DHCP6_ADDRESSING);
	assert_int_equal(tell(GUEST_LL, GUEST_SLAAC, 36), DROP_DHCP6_ADDRESSING);
	assert_int_equal(tell(VICTIM_LEASED, VICTIM_LEASED, 36), DROP_IP6_SRC_UNBOUND);
	assert_int_equal(ask6(&w, (struct dhcp6_spec){ .type = SOLICIT, .ip_from = GUEST_SLAAC }), DROP_DHCP6_ADDRESSING);
	assert_int_equal(tell(GUEST_SLAAC, GUEST_SLAAC, 36), PASS);
	assert_int_equal(tell(GUEST_SLAAC, VICTIM_LEASED, 37), DROP_DHCP6_NO_TRANSACTION);
	assert_int_equal(tell(GUEST_SLAAC, GUEST_SLAAC, 37), PASS);
	assert_int_equal(
	    answer6(&w, (struct dhcp6_spec){ .type = REPLY, .id = 77, .address = GUEST_LEASED, .valid_s = 600 }),
	    DROP_DHCP6_NO_TRANSACTION);
	/* They do not push out what is being asked. */
	for (uint32_t id = 1; id <= 4; id++, w.now_ms++)
		assert_int_equal(ask6(&w, (struct dhcp6_spec){ .type = SOLICIT, .id = id, .ia = { { .iaid = id } } }),
				 PASS);
	assert_int_equal(tell(GUEST_SLAAC, GUEST_SLAAC, 36), PASS);
	assert_int_equal(ask6(&w, (struct dhcp6_spec){ .type = SOLICIT, .id = 5, .ia = { { .iaid = 5 } } }), PASS);
	for (uint32_t id = 2; id <= 5; id++)
		assert_true(awaits_answer6(&w.state.ipv6, id, w.now_ms));
}

static void servers_that_may_be_written_to(void **state)
{
	static const uint8_t unicast[20] = { 0, 12, 0,    16,   0xfe, 0x80, 0,    0, 0, 0,
					     0, 0,  0x50, 0x54, 0,    0xff, 0xfe, 0, 0, 1 };
	(void)state;
	for (int allowed = 0; allowed < 2; allowed++) {
		start();
		assert_int_equal(ask6(&w, (struct dhcp6_spec){ .type = REQUEST, .id = 7 }), PASS);
		assert_int_equal(answer6(&w, (struct dhcp6_spec){ .type = REPLY,
								  .id = 7,
								  .address = GUEST_LEASED,
								  .valid_s = 600,
								  .extra = unicast,
								  .extra_octets = allowed ? 20 : 0 }),
				 PASS);
		struct dhcp6_spec renewal = { .type = RENEW, .id = 8, .address = GUEST_LEASED, .ip_to = ROUTER_LL };
		enum verdict wanted = allowed ? PASS : DROP_DHCP6_ADDRESSING;
		assert_int_equal(ask6(&w, renewal), wanted);
		renewal.ip_from = GUEST_LEASED;
		assert_int_equal(ask6(&w, renewal), wanted);
		renewal.mac_to = RIVAL_MAC;
		assert_int_equal(ask6(&w, renewal), DROP_DHCP6_ADDRESSING);
		renewal.mac_to = 0;
		renewal.type = SOLICIT;
		assert_int_equal(ask6(&w, renewal), DROP_DHCP6_ADDRESSING);
		renewal.type = RENEW;
		renewal.ip_to = RIVAL_LL;
		assert_int_equal(ask6(&w, renewal), DROP_DHCP6_ADDRESSING);
		if (!allowed)
			continue;
		assert_int_equal(
		    answer6(&w,
			    (struct dhcp6_spec){
				.type = REPLY, .id = 8, .address = GUEST_LEASED, .valid_s = 600, .ip_to = GUEST_LEASED }),
		    PASS);
		w.now_ms += 600 * 1000;
		renewal.ip_to = ROUTER_LL;
		renewal.ip_from = GUEST_LL;
		assert_int_equal(ask6(&w, renewal), DROP_DHCP6_ADDRESSING);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_living_router_keeps_its_place),
		cmocka_unit_test(its_address_moves),
		cmocka_unit_test(another_router_takes_over),
		cmocka_unit_test(claims_that_are_worth_nothing),
		cmocka_unit_test(the_host_keeps_its_addresses),
		cmocka_unit_test(a_slow_router),
		cmocka_unit_test(a_shared_mac),
		cmocka_unit_test(a_silent_server_gives_way),
		cmocka_unit_test(a_living_server_keeps_its_place),
		cmocka_unit_test(addresses_are_registered),
		cmocka_unit_test(servers_that_may_be_written_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
