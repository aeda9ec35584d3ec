/* Neighbor Discovery and MLD from the guest, and every type of ICMPv6 in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "test_judge6.h"

#include <cmocka.h>

#define TENTATIVE    ADDRESS6(LOCAL_PREFIX, 0x7777)
#define TENTATIVE_LL ADDRESS6(LINK_LOCAL_PREFIX, 0x7777)
#define RESOLVER     ADDRESS6(LOCAL_PREFIX, 0x53)
#define SERVER_LL    ADDRESS6(LINK_LOCAL_PREFIX, 0x547)

struct nd_row {
	struct nd_spec spec;
	enum verdict wanted;
};

/* As bound6(), with two more addresses that are tentative, a resolver and a server, and no limits. */
static void settled(void)
{
	bound6();
	put_ra(&w, &(struct ra_spec){ .router_s = 1800, .resolver = RESOLVER, .resolver_s = 600 });
	GUEST_GETS(PASS);
	set_add(&w.config.servers6, SERVER_LL);
	assert_int_equal(solicit_dad(&w, TENTATIVE), PASS);
	assert_int_equal(solicit_dad(&w, TENTATIVE_LL), PASS);
	memset(w.config.rates, 0, sizeof w.config.rates);
}

static void send_rows(const struct nd_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		settled();
		put_nd(&w, &rows[i].spec);
		expect_verdict(&w, from_guest(&w), rows[i].wanted, "row", (int)i);
	}
}

/* N7, N8 */
void solicitations_of_routers(void **state)
{
	(void)state;
	const struct nd_row rows[] = {
		{ { .type = RS, .from = GUEST_LL, .source_lla = GUEST_MAC }, PASS },
		{ { .type = RS, .from = GUEST_LL }, PASS },
		{ { .type = RS }, PASS },
		{ { .type = RS, .source_lla = GUEST_MAC }, DROP_ND_FORM },
		{ { .type = RS, .from = GUEST_LL, .to = NODES_GROUP }, DROP_ND_FORM },
		{ { .type = RS, .from = GUEST_LL, .to = ROUTER_LL }, DROP_ND_FORM },
		{ { .type = RS, .from = GUEST_PRIVACY }, DROP_ND_FORM },
		{ { .type = RS, .from = VICTIM_LL }, DROP_ND_FORM },
		{ { .type = RS, .from = TENTATIVE_LL }, PASS },
		{ { .type = RS, .from = TENTATIVE_LL, .source_lla = GUEST_MAC }, DROP_IP6_SRC_TENTATIVE },
		{ { .type = RS, .from = GUEST_LL, .mac_to = GATEWAY_MAC }, DROP_L2L3_MISMATCH },
	};
	send_rows(rows, sizeof rows / sizeof rows[0]);
}

/* N9 to N13; what becomes of a claim is test_snoop6.c's. */
void duplicate_address_detection(void **state)
{
	(void)state;
	const struct address anycast = ADDRESS6(LOCAL_PREFIX, 0xfdffffffffffff80ULL);
	const struct address far = ADDRESS6(0xfd65000000000000ULL, 77), new = ADDRESS6(LOCAL_PREFIX, 0x8888);
	const struct nd_row rows[] = {
		{ { .type = NS, .target = new }, PASS },
		{ { .type = NS, .target = ADDRESS6(LINK_LOCAL_PREFIX, 0x8888) }, PASS },
		{ { .type = NS, .target = new, .to = NODES_GROUP }, DROP_ND_FORM },
		{ { .type = NS, .target = new, .to = new }, DROP_ND_FORM },
		{ { .type = NS, .target = new, .source_lla = GUEST_MAC }, DROP_ND_FORM },
		{ { .type = NS, .target = new, .mac_to = GATEWAY_MAC }, DROP_L2L3_MISMATCH },
		{ { .type = NS, .target = GUEST_LL }, PASS },
		{ { .type = NS, .target = GUEST_SLAAC }, PASS },
		{ { .type = NS, .target = GUEST_PRIVACY }, PASS },
		{ { .type = NS, .target = TENTATIVE }, PASS },
		{ { .type = NS, .target = ROUTER_LL }, DROP_ND_TARGET_RESERVED },
		{ { .type = NS, .target = RESOLVER }, DROP_ND_TARGET_RESERVED },
		{ { .type = NS, .target = SERVER_LL }, DROP_ND_TARGET_RESERVED },
		{ { .type = NS, .target = far }, DROP_ND_PREFIX_UNKNOWN },
		{ { .type = NS, .target = GLOBAL_IP6 }, DROP_ND_PREFIX_UNKNOWN },
		{ { .type = NS, .target = ADDRESS6(LOCAL_PREFIX + 1, 77) }, DROP_ND_PREFIX_UNKNOWN },
		{ { .type = NS, .target = ADDRESS6(0xfe80000000000001ULL, 77) }, DROP_ND_PREFIX_UNKNOWN },
		{ { .type = NS, .target = ADDRESS6(LOCAL_PREFIX, 0) }, DROP_ND_PREFIX_UNKNOWN },
		{ { .type = NS, .target = anycast }, DROP_ND_PREFIX_UNKNOWN },
		{ { .type = NS, .target = ADDRESS6(LOCAL_PREFIX, anycast.low + 0x7f) }, DROP_ND_PREFIX_UNKNOWN },
		{ { .type = NS, .target = ADDRESS6(LOCAL_PREFIX, anycast.low - 1) }, PASS },
		{ { .type = NS, .target = ADDRESS6(LOCAL_PREFIX, anycast.low + 0x80) }, PASS },
		{ { .type = NS, .target = ADDRESS6(LINK_LOCAL_PREFIX, anycast.low) }, DROP_ND_PREFIX_UNKNOWN },
	};
	send_rows(rows, sizeof rows / sizeof rows[0]);
	settled();
	w.config.ipv6_eui64_only = 1;
	expect_verdict(&w, solicit_dad(&w, new), DROP_ND_PREFIX_UNKNOWN, __FILE__, __LINE__);
	expect_verdict(&w, solicit_dad(&w, GUEST_SLAAC), PASS, __FILE__, __LINE__);
	settled();
	put_nd(&w, &(struct nd_spec){ .type = NS, .target = new });
	JUDGED_FROM_GUEST(PUNT_DAD);
	w.claim_refused = true;
	GUEST_SENDS(DROP_BINDING_CLAIMED);
}

/* N14 to N16 */
void solicitations_of_neighbors(void **state)
{
	(void)state;
	const struct nd_row rows[] = {
		{ { .type = NS, .from = GUEST_LL, .target = ROUTER_LL, .source_lla = GUEST_MAC }, PASS },
		{ { .type = NS, .from = GUEST_PRIVACY, .target = ROUTER_LL, .to = ROUTER_LL }, PASS },
		{ { .type = NS, .from = GUEST_SLAAC, .target = RESOLVER }, PASS },
		{ { .type = NS, .from = GUEST_LL, .target = SERVER_LL }, PASS },
		{ { .type = NS, .from = GUEST_LL, .target = GUEST_PRIVACY }, PASS },
		{ { .type = NS, .from = GUEST_PRIVACY, .target = GLOBAL_IP6 }, PASS },
		{ { .type = NS, .from = VICTIM_LL, .target = ROUTER_LL }, DROP_IP6_SRC_UNBOUND },
		{ { .type = NS, .from = ADDRESS6(LOCAL_PREFIX, 0x9999), .target = ROUTER_LL }, DROP_IP6_SRC_UNBOUND },
		{ { .type = NS, .from = TENTATIVE, .target = ROUTER_LL }, PASS },
		{ { .type = NS, .from = TENTATIVE, .target = ROUTER_LL, .source_lla = GUEST_MAC },
		  DROP_IP6_SRC_TENTATIVE },
		{ { .type = NS, .from = GUEST_LL, .target = ROUTER_LL, .to = NODES_GROUP }, DROP_ND_FORM },
		{ { .type = NS, .from = GUEST_LL, .target = ROUTER_LL, .to = VICTIM_LL }, DROP_ND_FORM },
		{ { .type = NS, .from = GUEST_LL, .target = VICTIM_LEASED }, DROP_ND_TARGET_DENIED },
		{ { .type = NS, .from = GUEST_LL, .target = VICTIM_LL }, DROP_ND_TARGET_DENIED },
		{ { .type = NS, .from = GUEST_LL, .target = ROUTER_LL, .mac_to = GATEWAY_MAC }, DROP_L2L3_MISMATCH },
		{ { .type = NS, .from = GUEST_LL, .target = ROUTER_LL, .to = ROUTER_LL, .mac_to = 0x333300000001ULL },
		  DROP_L2L3_MISMATCH },
	};
	send_rows(rows, sizeof rows / sizeof rows[0]);
	start_world6(&w, false); /* no router is known: it has to be found */
	put_nd(&w, &(struct nd_spec){ .type = NS, .from = GUEST_LL, .target = VICTIM_LL });
	GUEST_SENDS(PASS);
	bound6();
	w.config.stateful = 1; /* what may call the guest may be asked for; from ::/96 nobody calls */
	put_nd(&w, &(struct nd_spec){ .type = NS, .from = GUEST_LL, .target = VICTIM_LL });
	GUEST_SENDS(PASS);
	const struct address nobodys[] = { ADDRESS6(0, 5), address_of_ipv4(VICTIM_IP) };
	for (uint32_t i = 0; i < 2; i++) {
		put_nd(&w, &(struct nd_spec){ .type = NS, .from = GUEST_LL, .target = nobodys[i] });
		GUEST_SENDS(DROP_ND_TARGET_DENIED);
	}
}

/* N17, N18 */
void advertisements_of_neighbors(void **state)
{
	(void)state;
	const struct address all_routers = ROUTERS_GROUP, solicited = ADDRESS6(0xff02000000000000ULL, 0x1ff00000aULL);
	const struct nd_row rows[] = {
		{ { .type = NA, .from = GUEST_LL, .target = GUEST_LL, .flags = NA_OVERRIDE, .target_lla = GUEST_MAC },
		  PASS },
		{ { .type = NA, .from = GUEST_LL, .target = GUEST_PRIVACY, .target_lla = GUEST_MAC }, PASS },
		{ { .type = NA, .from = GUEST_PRIVACY, .target = GUEST_SLAAC }, PASS },
		{ { .type = NA,
		    .from = GUEST_LL,
		    .to = VICTIM_LL,
		    .target = GUEST_LL,
		    .mac_to = VICTIM_MAC,
		    .flags = NA_SOLICITED | NA_OVERRIDE,
		    .target_lla = GUEST_MAC },
		  PASS },
		{ { .type = NA, .from = GUEST_LL, .target = TENTATIVE }, PASS },
		{ { .type = NA, .from = GUEST_LL, .target = TENTATIVE, .flags = NA_OVERRIDE }, DROP_ND_FORM },
		{ { .type = NA, .from = TENTATIVE, .target = TENTATIVE }, PASS },
		{ { .type = NA, .from = GUEST_LL, .target = ROUTER_LL }, DROP_ND_TARGET_FOREIGN },
		{ { .type = NA, .from = GUEST_LL, .target = VICTIM_LEASED }, DROP_ND_TARGET_FOREIGN },
		{ { .type = NA, .from = GUEST_LL, .target = GLOBAL_IP6 }, DROP_ND_TARGET_FOREIGN },
		{ { .type = NA, .from = GUEST_LL, .target = GUEST_LL, .flags = NA_ROUTER },
		  PASS }, /* of a guest that forwards */
		{ { .type = NA, .from = VICTIM_LL, .target = GUEST_LL }, DROP_ND_FORM },
		{ { .type = NA, .target = GUEST_LL }, DROP_ND_FORM },
		{ { .type = NA, .from = GUEST_LL, .to = all_routers, .target = GUEST_LL }, PASS }, /* RFC 9131 6.1 */
		{ { .type = NA, .from = GUEST_LL, .to = all_routers, .target = GUEST_LL, .flags = NA_SOLICITED },
		  DROP_ND_FORM },
		{ { .type = NA, .from = GUEST_LL, .to = solicited, .target = GUEST_LL }, DROP_ND_FORM },
		{ { .type = NA, .from = GUEST_LL, .target = GUEST_LL, .flags = NA_SOLICITED }, DROP_ND_FORM },
		{ { .type = NA, .from = GUEST_LL, .target = GUEST_LL, .mac_to = MAC_BROADCAST }, DROP_L2L3_MISMATCH },
		{ { .type = NA, .from = GUEST_LL, .to = VICTIM_LL, .target = GUEST_LL, .mac_to = 0x333300000001ULL },
		  DROP_L2L3_MISMATCH },
	};
	send_rows(rows, sizeof rows / sizeof rows[0]);
}

/* N1 to N6 */
void options_of_neighbor_discovery(void **state)
{
	(void)state;
	static const uint8_t nonce[8] = { 14, 1, 1, 2, 3, 4, 5, 6 }, zero[8] = { 14, 0 }, past[8] = { 14, 2 };
	static const uint8_t wide_lla[16] = { 1, 2, 0x52, 0x54, 0, 0, 0, 0x0a };
	static const uint8_t second_lla[8] = { 1, 1, 0x52, 0x54, 0, 0, 0, 0x0a };
	static const uint8_t five[40] = { 14, 1, [8] = 14, 1, [16] = 14, 1, [24] = 14, 1, [32] = 14, 1 };
	static const uint8_t long_option[112] = { 14, 14 }; /* 24 octets and 112 are 136 */
	const struct nd_row rows[] = {
		{ { .type = NS, .target = GUEST_PRIVACY, .extra = nonce, .extra_octets = 8 }, PASS }, /* RFC 7527 */
		{ { .type = NA, .from = GUEST_LL, .target = GUEST_LL, .extra = five, .extra_octets = 32 }, PASS },
		{ { .type = NA, .from = GUEST_LL, .target = GUEST_LL, .extra = five, .extra_octets = 40 },
		  DROP_ND_MALFORMED },
		{ { .type = NS, .from = GUEST_LL, .target = ROUTER_LL, .extra = long_option, .extra_octets = 112 },
		  DROP_ND_MALFORMED },
		{ { .type = RS, .from = GUEST_LL, .extra = long_option, .extra_octets = 112 }, PASS },
		{ { .type = NS, .from = GUEST_LL, .target = ROUTER_LL, .extra = zero, .extra_octets = 8 },
		  DROP_ND_MALFORMED },
		{ { .type = RS, .from = GUEST_LL, .extra = past, .extra_octets = 8 }, DROP_ND_MALFORMED },
		{ { .type = RS, .from = GUEST_LL, .extra = nonce, .extra_octets = 1 }, DROP_ND_MALFORMED },
		{ { .type = NS, .from = GUEST_LL, .target = ROUTER_LL, .extra = wide_lla, .extra_octets = 16 },
		  DROP_ND_MALFORMED },
		{ { .type = NS,
		    .from = GUEST_LL,
		    .target = ROUTER_LL,
		    .source_lla = GUEST_MAC,
		    .extra = second_lla,
		    .extra_octets = 8 },
		  DROP_ND_MALFORMED },
		{ { .type = NS, .from = GUEST_LL, .target = ROUTER_LL, .source_lla = VICTIM_MAC }, DROP_ND_LLA_SPOOF },
		{ { .type = NS, .from = GUEST_LL, .target = ROUTER_LL, .target_lla = VICTIM_MAC }, DROP_ND_LLA_SPOOF },
		{ { .type = NA, .from = GUEST_LL, .target = GUEST_LL, .target_lla = MAC_BROADCAST }, DROP_ND_LLA_SPOOF },
		{ { .type = NA, .from = GUEST_LL, .target = GUEST_LL, .source_lla = VICTIM_MAC }, DROP_ND_LLA_SPOOF },
		{ { .type = RS, .from = GUEST_LL, .source_lla = VICTIM_MAC }, DROP_ND_LLA_SPOOF },
		{ { .type = NS, .from = GUEST_LL, .target = ROUTER_LL, .code = 1 }, DROP_ND_MALFORMED },
		{ { .type = NS, .from = GUEST_LL, .target = ROUTER_LL, .hop_limit = 254 }, DROP_ND_HOP_LIMIT },
		{ { .type = NA, .from = GUEST_LL, .target = GUEST_LL, .hop_limit = 1 }, DROP_ND_HOP_LIMIT },
		{ { .type = RS, .hop_limit = 64 }, DROP_ND_HOP_LIMIT },
		{ { .type = NS, .from = GUEST_LL, .target = NODES_GROUP, .to = NODES_GROUP }, DROP_ND_MALFORMED },
		{ { .type = NS, .from = GUEST_LL, .target = UNSPECIFIED6 }, DROP_ND_MALFORMED },
		{ { .type = NS, .from = GUEST_LL, .target = ADDRESS6(0, 1) }, DROP_ND_MALFORMED },
		{ { .type = RA, .from = GUEST_LL, .hop_limit = 1, .code = 9 }, DROP_RA_FROM_GUEST },
		{ { .type = REDIRECT, .from = GUEST_LL, .hop_limit = 1 }, DROP_ICMP6_REDIRECT },
	};
	send_rows(rows, sizeof rows / sizeof rows[0]);
	for (uint32_t octets = 0; octets < 24; octets++) {
		put_icmp6(&w, GUEST_LL, NODES_GROUP, NA, 8 + octets % 16);
		set_hop_limit(&w, 255);
		GUEST_SENDS(DROP_ND_MALFORMED);
	}
	for (int wrapped = 0; wrapped < 4; wrapped++) {
		put_nd(&w, &(struct nd_spec){ .type = NS, .from = GUEST_LL, .target = ROUTER_LL });
		if (wrapped < 2)
			insert_fragment(&w, 0, wrapped == 1);
		else
			insert_options(&w, wrapped == 2 ? 0 : 60, 8);
		GUEST_SENDS(DROP_ND_EXT_HEADER);
	}
}

static void report_group(uint8_t type, struct address from, struct address to, enum verdict wanted, int line)
{
	put_mld(&w, type, from, to, ADDRESS6(0xff02000000000000ULL, 0x1ff00000a));
	expect_verdict(&w, from_guest(&w), wanted, __FILE__, line);
}

/* N19 to N21 */
void reports_of_listeners(void **state)
{
	(void)state;
	const struct address group = ADDRESS6(0xff02000000000000ULL, 0x1ff00000a);
	settled();
	report_group(143, GUEST_LL, MLD_REPORTS, PASS, __LINE__);
	report_group(143, UNSPECIFIED6, MLD_REPORTS, PASS, __LINE__);
	report_group(143, TENTATIVE_LL, MLD_REPORTS, PASS, __LINE__);
	report_group(132, GUEST_LL, ROUTERS_GROUP, PASS, __LINE__);
	report_group(131, GUEST_LL, group, PASS, __LINE__);
	report_group(143, GUEST_PRIVACY, MLD_REPORTS, DROP_MLD_INVALID, __LINE__);
	report_group(143, VICTIM_LL, MLD_REPORTS, DROP_MLD_INVALID, __LINE__);
	report_group(143, GUEST_LL, ROUTERS_GROUP, DROP_MLD_INVALID, __LINE__);
	report_group(143, GUEST_LL, ROUTER_LL, DROP_MLD_INVALID, __LINE__);
	report_group(132, GUEST_LL, MLD_REPORTS, DROP_MLD_INVALID, __LINE__);
	report_group(131, GUEST_LL, MLD_REPORTS, DROP_MLD_INVALID, __LINE__);
	report_group(130, GUEST_LL, NODES_GROUP, DROP_MLD_INVALID, __LINE__);
	put_mld(&w, 143, GUEST_LL, MLD_REPORTS, group);
	w.frame[5]++;
	GUEST_SENDS(DROP_L2L3_MISMATCH);
	for (uint32_t hops = 1; hops < 256; hops++) {
		put_mld(&w, 143, GUEST_LL, MLD_REPORTS, group);
		set_hop_limit(&w, (uint8_t)hops);
		GUEST_SENDS(hops == 1 ? PASS : DROP_MLD_INVALID);
	}
	/* RFC 2711 2.1: the alert may stand behind padding, and its value says MLD */
	static const struct {
		uint8_t header[8];
		enum verdict wanted;
	} alerts[] = {
		{ { 0, 0, 1, 0, 5, 2, 0, 0 }, PASS },
		{ { 0, 0, 5, 2, 0, 0, 0, 0 }, PASS },
		{ { 0, 0, 5, 2, 0, 1, 1, 0 }, DROP_MLD_INVALID },
		{ { 0, 0, 1, 4 }, DROP_MLD_INVALID },
		{ { 0, 0, 5, 2, 0, 0, 0x18, 0x87 }, DROP_MLD_INVALID }, /* an option that runs past the header */
	};
	for (size_t i = 0; i < sizeof alerts / sizeof alerts[0]; i++) {
		put_mld(&w, 143, GUEST_LL, MLD_REPORTS, group);
		memcpy(w.frame + 55, alerts[i].header + 1, 7);
		GUEST_SENDS(alerts[i].wanted);
	}
	for (uint32_t octets = 8; octets < 28; octets++) {
		put_icmp6(&w, GUEST_LL, group, 131, octets);
		if (octets >= 24)
			memcpy(w.frame + 62, w.frame + 38, 16);
		set_hop_limit(&w, 1);
		insert_router_alert(&w);
		GUEST_SENDS(octets < 24 ? DROP_MLD_INVALID : PASS);
	}
	put_icmp6(&w, GUEST_LL, MLD_REPORTS, 143, 28);
	set_hop_limit(&w, 1);
	GUEST_SENDS(DROP_MLD_INVALID);
	insert_options(&w, 60, 8);
	insert_router_alert(&w);
	GUEST_SENDS(DROP_MLD_INVALID);
}

static enum verdict verdict_of_type_from_guest(uint32_t type)
{
	if (type == RA)
		return DROP_RA_FROM_GUEST;
	if (type == REDIRECT)
		return DROP_ICMP6_REDIRECT;
	if (type == RS || type == NS || type == NA)
		return DROP_ND_HOP_LIMIT;
	if ((type >= 130 && type <= 132) || type == 143)
		return DROP_MLD_INVALID;
	if (type >= 1 && type <= 4) /* without a quote: test_icmp_errors.c */
		return DROP_ICMP_ERROR_QUOTE;
	return type == 128 || type == 129 ? PASS : DROP_ICMP6_TYPE;
}

static enum verdict verdict_of_type_to_guest(uint32_t type)
{
	if (type == REDIRECT)
		return DROP_ICMP6_REDIRECT;
	if (type == RS)
		return DROP_RS_TO_GUEST;
	if (type == RA || type == NS || type == NA)
		return DROP_ND_HOP_LIMIT;
	return (type >= 1 && type <= 4) || (type >= 128 && type <= 132) || type == 143 ? PASS : DROP_ICMP6_TYPE;
}

void every_type_of_icmp6(void **state)
{
	(void)state;
	settled();
	for (uint32_t type = 0; type < 256; type++) {
		put_icmp6(&w, GUEST_PRIVACY, GLOBAL_IP6, (uint8_t)type, 32);
		GUEST_SENDS(verdict_of_type_from_guest(type));
		put_icmp6_to_guest(&w, GATEWAY_MAC, GLOBAL_IP6, GUEST_PRIVACY, (uint8_t)type, 32);
		GUEST_GETS(verdict_of_type_to_guest(type));
		put_icmp6(&w, VICTIM_LL, GLOBAL_IP6, (uint8_t)type, 32); /* N22 leads back to the rows of any packet */
		if ((type >= 1 && type <= 4) || type == 128 || type == 129)
			GUEST_SENDS(DROP_IP6_SRC_UNBOUND);
		put_icmp6_to_guest(&w, GATEWAY_MAC, UNSPECIFIED6, GUEST_PRIVACY, (uint8_t)type, 32);
		if (verdict_of_type_to_guest(type) == PASS) /* only DAD and MLD have no source */
			GUEST_GETS(type >= 130 ? PASS : DROP_IP6_SRC_INVALID);
	}
}

void rates_of_neighbor_discovery(void **state)
{
	(void)state;
	bound6();
	for (int i = 0; i < 5; i++) {
		put_nd(&w, &(struct nd_spec){ .type = RS, .from = GUEST_LL });
		GUEST_SENDS(i < 4 ? PASS : DROP_RATE_ND);
	}
	w.now_ms += 1000;
	GUEST_SENDS(PASS);
	fill_buckets(&w.config, &w.buckets, w.now_ms);
	for (int i = 0; i < 101; i++) {
		put_nd(&w, &(struct nd_spec){ .type = NS, .from = GUEST_LL, .target = VICTIM_LEASED });
		GUEST_SENDS(DROP_ND_TARGET_DENIED); /* what is dropped costs nothing */
		put_nd(&w, &(struct nd_spec){ .type = NA, .from = GUEST_LL, .target = GUEST_LL });
		GUEST_SENDS(i < 100 ? PASS : DROP_RATE_ND);
	}
	for (int i = 0; i < 151; i++) {
		put_mld(&w, 143, GUEST_LL, MLD_REPORTS, GUEST_LL);
		GUEST_SENDS(i < 150 ? PASS : DROP_RATE_MULTICAST);
	}
	for (int i = 0; i < 41; i++) {
		put_ra(&w, &(struct ra_spec){ .router_s = 1800 });
		GUEST_GETS(i < 40 ? PASS : DROP_RATE_UPLINK);
	}
}

/* N13: the bucket first, then the table. */
void too_many_claims(void **state)
{
	(void)state;
	bound6();
	w.config.rates[RATE_OF_NEW_ADDRESS].burst = BINDINGS6_MAX;
	w.config.rates[RATE_OF_ND_CLAIM].burst = 0;
	fill_buckets(&w.config, &w.buckets, w.now_ms);
	for (uint64_t i = 0; i < BINDINGS6_MAX - 1; i++)
		assert_int_equal(solicit_dad(&w, ADDRESS6(LOCAL_PREFIX, 2000 + i)), PASS);
	expect_verdict(&w, solicit_dad(&w, ADDRESS6(LOCAL_PREFIX, 1015)), DROP_BINDING_LIMIT, __FILE__, __LINE__);
	expect_verdict(&w, solicit_dad(&w, ADDRESS6(LOCAL_PREFIX, 1015)), DROP_BINDING_CHURN, __FILE__, __LINE__);
	w.now_ms += 5000;
	expect_verdict(&w, solicit_dad(&w, ADDRESS6(LOCAL_PREFIX, 1015)), DROP_BINDING_LIMIT, __FILE__, __LINE__);
	w.now_ms += 55000;
	expect_verdict(&w, solicit_dad(&w, ADDRESS6(LOCAL_PREFIX, 1015)), PASS, __FILE__, __LINE__);
}
