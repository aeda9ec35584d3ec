/* Neighbor Discovery from the network: who may speak for a router, and who may object to an address of the guest. */
#include <setjmp.h>
#include <stdarg.h>

#include "core/learn6/lease6.h"
#include "test_judge6.h"

#include <cmocka.h>

#define YOUNG ADDRESS6(LOCAL_PREFIX, 0x7777)

static void get_nd(struct nd_spec spec, enum verdict wanted, int line)
{
	if (spec.mac_from == 0)
		spec.mac_from = VICTIM_MAC;
	put_nd_to_guest(&w, &spec);
	expect_verdict(&w, to_guest(&w), wanted, __FILE__, line);
}

/* Y3, Y6, Y9 */
void neighbors_from_the_network(void **state)
{
	(void)state;
	static const uint8_t long_option[248] = { 14, 31 }, zero[8] = { 14, 0 };
	bound6();
	struct nd_spec ask = { .type = NS, .from = VICTIM_LL, .target = GUEST_PRIVACY, .source_lla = VICTIM_MAC };
	get_nd(ask, PASS, __LINE__);
	get_nd((struct nd_spec){ .type = NS, .target = GUEST_PRIVACY }, PASS, __LINE__); /* DAD: the guest can defend it */
	get_nd((struct nd_spec){ .type = NA, .from = VICTIM_LL, .target = VICTIM_LL }, PASS, __LINE__);
	ask.extra = long_option;
	ask.extra_octets = 248;
	get_nd(ask, PASS, __LINE__);
	ask.extra = zero;
	ask.extra_octets = 8;
	get_nd(ask, DROP_ND_MALFORMED, __LINE__);
	get_nd((struct nd_spec){ .type = NS, .from = VICTIM_LL, .target = NODES_GROUP }, DROP_ND_MALFORMED, __LINE__);
	get_nd((struct nd_spec){ .type = NA, .from = VICTIM_LL, .target = VICTIM_LL, .code = 1 }, DROP_ND_MALFORMED,
	       __LINE__);
	get_nd((struct nd_spec){ .type = NS, .from = VICTIM_LL, .target = GUEST_LL, .hop_limit = 254 },
	       DROP_ND_HOP_LIMIT, __LINE__);
	put_nd_to_guest(&w, &(struct nd_spec){ .type = NS, .from = ROUTER_LL, .target = GUEST_LL });
	insert_options(&w, 60, 8);
	GUEST_GETS(DROP_ND_EXT_HEADER);
	get_nd((struct nd_spec){ .type = RS, .from = VICTIM_LL }, DROP_RS_TO_GUEST, __LINE__);
	get_nd((struct nd_spec){ .type = REDIRECT, .from = ROUTER_LL, .mac_from = GATEWAY_MAC }, DROP_ICMP6_REDIRECT,
	       __LINE__);

	struct nd_spec router = { .type = NA,
				  .from = ROUTER_LL,
				  .target = ROUTER_LL,
				  .flags = NA_ROUTER,
				  .target_lla = GATEWAY_MAC,
				  .mac_from = GATEWAY_MAC };
	get_nd(router, PASS, __LINE__);
	router.target_lla = 0;
	get_nd(router, PASS, __LINE__);
	router.mac_from = VICTIM_MAC;
	get_nd(router, DROP_ND_GATEWAY_SPOOF, __LINE__);
	router.from = VICTIM_LL;
	get_nd(router, DROP_ND_GATEWAY_SPOOF, __LINE__);
	router.target_lla = GATEWAY_MAC; /* the right MAC, but no router any more: RFC 4861 7.2.5 */
	router.flags = NA_OVERRIDE;
	get_nd(router, DROP_ND_GATEWAY_SPOOF, __LINE__);
	router.mac_from = GATEWAY_MAC;
	router.target_lla = VICTIM_MAC;
	get_nd(router, DROP_ND_GATEWAY_SPOOF, __LINE__);
	struct nd_spec question = {
		.type = NS, .from = ROUTER_LL, .target = GUEST_LL, .source_lla = GATEWAY_MAC, .mac_from = GATEWAY_MAC
	};
	get_nd(question, PASS, __LINE__);
	question.source_lla = VICTIM_MAC;
	get_nd(question, DROP_ND_GATEWAY_SPOOF, __LINE__);
	question.source_lla = 0;
	question.mac_from = VICTIM_MAC;
	get_nd(question, DROP_ND_GATEWAY_SPOOF, __LINE__);
}

/* Y3 to Y5; what is learned is test_snoop6.c's. */
void routers_from_the_network(void **state)
{
	(void)state;
	struct ra_spec ra = { .router_s = 1800, .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 600 };
	start_world6(&w, true);
	put_ra(&w, &ra);
	JUDGED_TO_GUEST(PUNT_ROUTER);
	GUEST_GETS(PASS);
	set_hop_limit(&w, 254);
	GUEST_GETS(DROP_ND_HOP_LIMIT);
	put_ra(&w, &ra);
	w.frame[55] = 1;
	GUEST_GETS(DROP_ND_MALFORMED);
	put_ra(&w, &ra);
	insert_options(&w, 0, 8);
	GUEST_GETS(DROP_ND_EXT_HEADER);
	put_ra(&w, &ra);
	insert_fragment(&w, 0, false);
	GUEST_GETS(DROP_ND_EXT_HEADER);
	for (uint32_t octets = 8; octets < 16; octets++) {
		put_icmp6_to_guest(&w, GATEWAY_MAC, ROUTER_LL, NODES_GROUP, RA, octets);
		set_hop_limit(&w, 255);
		GUEST_GETS(DROP_ND_MALFORMED);
	}
	ra.mac = VICTIM_MAC;
	put_ra(&w, &ra);
	GUEST_GETS(DROP_RA_UNTRUSTED);
	ra.from = VICTIM_LL;
	put_ra(&w, &ra);
	GUEST_GETS(DROP_RA_UNTRUSTED);
	ra.mac = GATEWAY_MAC; /* the host's link-local address is known, and it is another */
	put_ra(&w, &ra);
	GUEST_GETS(DROP_RA_UNTRUSTED);
	ra.from = ADDRESS6(LOCAL_PREFIX, 1);
	put_ra(&w, &ra);
	GUEST_GETS(DROP_RA_UNTRUSTED);
	w.config.host6.count = 0;
	put_ra(&w, &ra); /* RFC 4861 6.1.2: from a link-local address */
	GUEST_GETS(DROP_RA_UNTRUSTED);
	ra.from = VICTIM_LL;
	put_ra(&w, &ra);
	GUEST_GETS(PASS);
	start_world6(&w, false);
	w.config.strict_anchors = 1;
	put_ra(&w, &(struct ra_spec){ .router_s = 1800 });
	GUEST_GETS(DROP_RA_UNTRUSTED);
}

/* Y7, Y8 */
void conflicts_from_the_network(void **state)
{
	(void)state;
	const struct nd_spec claim = {
		.type = NA, .from = GUEST_PRIVACY, .target = GUEST_PRIVACY, .flags = NA_OVERRIDE, .target_lla = VICTIM_MAC
	};
	const struct nd_spec own[] = { { .type = NA, .from = VICTIM_LL, .target = GUEST_LL },
				       { .type = NA, .from = GUEST_SLAAC, .target = GUEST_SLAAC } };
	bound6();
	get_nd(claim, DROP_ND_CLAIMS_GUEST, __LINE__);
	get_nd(own[0], DROP_ND_CLAIMS_GUEST, __LINE__);
	get_nd(own[1], DROP_ND_CLAIMS_GUEST, __LINE__);
	for (int i = 0; i < 4; i++) {
		start_world6(&w, true);
		announce(&w, LOCAL_PREFIX);
		assert_int_equal(solicit_dad(&w, GUEST_PRIVACY), PASS);
		w.now_ms += i < 2 ? 999 : 1000;
		if (i % 2 == 0)
			put_nd_to_guest(
			    &w, &(struct nd_spec){
				    .type = NA, .mac_from = VICTIM_MAC, .from = GUEST_PRIVACY, .target = GUEST_PRIVACY });
		else
			put_nd_to_guest(
			    &w, &(struct nd_spec){ .type = NS, .mac_from = VICTIM_MAC, .target = GUEST_PRIVACY });
		JUDGED_TO_GUEST(i == 0 ? PUNT_ND_CONFLICT : i == 2 ? DROP_ND_CLAIMS_GUEST : PASS);
	}
	bound6(); /* X4, X6 and X7 hold in the window, too */
	assert_int_equal(solicit_dad(&w, YOUNG), PASS);
	struct nd_spec young = { .type = NA, .from = ADDRESS6(0, 1), .target = YOUNG };
	get_nd(young, DROP_IP6_SRC_INVALID, __LINE__);
	young.from = ROUTER_LL;
	young.target_lla = VICTIM_MAC;
	get_nd(young, DROP_IP6_GATEWAY_SPOOF, __LINE__);
	young.from = VICTIM_LL;
	young.to = GUEST_LL;
	young.mac_to = MAC_BROADCAST;
	get_nd(young, DROP_L2L3_MISMATCH, __LINE__);
	get_nd((struct nd_spec){ .type = NA, .from = YOUNG, .target = YOUNG }, PASS, __LINE__);
}

/* Y8: a leased address is the server's word; the guest hears of the conflict and may decline. */
void conflicts_of_leases(void **state)
{
	(void)state;
	bound6();
	w.state.ipv6.bindings[BINDINGS6_MAX - 1] = (struct binding6){ .address = GUEST_LEASED,
								      .since_ms = w.now_ms,
								      .valid_ms = w.now_ms,
								      .conflict_ms = w.now_ms + 10000,
								      .expires_ms = w.now_ms + 600000,
								      .origin = ORIGIN_DHCP };
	settle_bindings6(&w.state.ipv6);
	const struct nd_spec claim = { .type = NA, .from = GUEST_LEASED, .target = GUEST_LEASED };
	w.now_ms += 9999;
	struct state before = w.state;
	get_nd(claim, PASS, __LINE__);
	get_nd((struct nd_spec){ .type = NS, .target = GUEST_LEASED }, PASS, __LINE__);
	assert_memory_equal(&before, &w.state, sizeof before);
	w.now_ms += 1;
	get_nd(claim, DROP_ND_CLAIMS_GUEST, __LINE__);
	get_nd((struct nd_spec){ .type = NS, .target = GUEST_LEASED }, PASS, __LINE__);
}
