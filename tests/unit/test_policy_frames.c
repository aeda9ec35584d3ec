/* The policy as whole frames meet it: the judge's verdict against the model, and the properties that hold for any rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/guard.h"
#include "amount.h"
#include "test_policy.h"
#include "world_flow.h"

#include <cmocka.h>

enum { RULES = 12, ROUNDS = 250, FRAMES = 120 };

static struct world w;
static struct rule rule[RULES + 1];
static uint32_t count;

#define RESOLVER_IP  0xc0a84035
#define RESOLVER_IP6 ADDRESS6(0xfd65000000000000ULL, 0x53)
#define SITE         ADDRESS6(0x2a02aaaabbbb0000ULL, 7)
#define WELL_KNOWN   0x0064ff9b00000000ULL

static void start(void)
{
	start_flow_world(&w, false, INBOUND_ANY);
	set_add(&w.config.resolvers, address_of_ipv4(RESOLVER_IP));
	set_add(&w.config.resolvers6, RESOLVER_IP6);
	w.config.sites.item[w.config.sites.count++] = SITE.high;
}

static void set_inbound(void)
{
	w.config.stateful = next_random() % 4 != 0;
	w.config.inbound = (uint8_t)(w.config.stateful ? next_random() % 3 : INBOUND_ANY);
}

static void compile_into_config(uint32_t n)
{
	struct rule copy[RULES + 1];
	memcpy(copy, rule, sizeof copy);
	assert_true(compile_policy(&w.config.policy, copy, n));
}

/* Half of the rules name one of the addresses that mean something in this world. */
static struct address known_peer(void)
{
	static const struct address known[] = {
		{ 0, MAPPED_IPV4 | GATEWAY_IP },
		{ 0, MAPPED_IPV4 | RESOLVER_IP },
		{ 0, MAPPED_IPV4 | VICTIM_IP },
		{ 0, MAPPED_IPV4 | GLOBAL_IP },
		{ 0, MAPPED_IPV4 | 0x0a000001 },
		{ 0, MAPPED_IPV4 | GUEST_IP },
		{ 0, MAPPED_IPV4 | 0x7f000001 },
		{ 0, MAPPED_IPV4 | 0x00000001 },
		{ LINK_LOCAL_PREFIX, 0x505400fffe000001ULL },
		{ 0xfd65000000000000ULL, 0x53 },
		{ 0x2606470047000000ULL, 0x1111 },
		{ 0x2a02aaaabbbb0000ULL, 9 },
		{ 0xfd77000000000000ULL, 1 },
		{ LOCAL_PREFIX, 0xa1b2c3d4e5f60789ULL },
		{ 0, 1 },
		{ WELL_KNOWN, 0x0a000001 },
	};
	return known[next_random() % (sizeof known / sizeof known[0])];
}

static void set_random_rules(void)
{
	count = next_random() % RULES;
	for (uint32_t i = 0; i <= count; i++) { /* one more, for later */
		rule[i] = random_rule();
		if (rule[i].alias == ALIAS_NONE && next_random() % 2) {
			rule[i].address = known_peer();
			uint32_t shortest = is_ipv4(rule[i].address) ? 96 : 0;
			rule[i].prefix_length =
			    (uint8_t)(next_random() % 2 ? 128 : shortest + next_random() % (129 - shortest));
		}
	}
	compile_into_config(count);
}

static bool is_group_address(struct address a)
{
	return is_ipv4(a) ? ipv4_of_address(a) >> 28 >= 14 : a.high >> 56 == 0xff;
}

static struct call random_call(void)
{
	static const uint8_t protocols[] = { TCP, TCP, UDP, UDP, SCTP, ICMP4, ESP, 103 };
	struct call c = { .protocol = protocols[next_random() % sizeof protocols],
			  .flags = SYN,
			  .to_guest = next_random() & 1 };
	do
		c.peer = next_random() % 2 ? known_peer() : random_peer(rule, count);
	while (is_group_address(c.peer) || is_unset(c.peer));
	c.v6 = !is_ipv4(c.peer);
	c.guest_port = (uint16_t)(c.to_guest ? next_random() % 24 : 40000);
	c.peer_port = (uint16_t)(c.to_guest ? 40000 : next_random() % 4 ? next_random() % 24 : 53);
	return c;
}

static struct decision judge(const struct call *c)
{
	struct frame frame = { .bytes = w.frame, .length = w.length };
	return judge_frame(&w.config, &w.state, c->to_guest ? TO_GUEST : FROM_GUEST, &frame, w.now_ms);
}

static struct decision judge_call(const struct call *c)
{
	put_call(&w, c);
	return judge(c);
}

static bool is_own(struct address a)
{
	return same_address(a, address_of_ipv4(GUEST_IP)) || same_address(a, GUEST_PRIVACY) ||
	       same_address(a, GUEST_SLAAC) || same_address(a, GUEST_LL);
}

static uint32_t aliases_of(struct address a)
{
	bool host = same_address(a, address_of_ipv4(GATEWAY_IP)) || same_address(a, ROUTER_LL);
	bool resolver = same_address(a, address_of_ipv4(RESOLVER_IP)) || same_address(a, RESOLVER_IP6);
	bool local = !is_ipv4(a) && (a.high ^ SITE.high) >> 16 == 0;
	return (host ? 1u << ALIAS_HOST | 1u << ALIAS_GATEWAY : 0) | (resolver ? 1u << ALIAS_DNS : 0) |
	       (local ? 0 : 1u << ALIAS_GLOBAL);
}

static struct model_ruling ruling_on(const struct call *c)
{
	struct contact contact = { .peer = c->peer,
				   .inward = c->to_guest,
				   .protocol = c->v6 && c->protocol == ICMP4 ? ICMP6 : c->protocol };
	if (model_has_ports(c->protocol))
		contact.port = c->to_guest ? c->guest_port : c->peer_port;
	return model_of(rule, count, &contact, aliases_of(c->peer));
}

/* docs/filter.md, Destinations, and docs/filter-ipv6.md, for unicast addresses without a translator. */
static enum verdict default_of(const struct call *c)
{
	uint32_t aliases = aliases_of(c->peer);
	if (aliases >> ALIAS_HOST & 1)
		return PASS;
	if ((aliases >> ALIAS_DNS & 1) && (c->protocol == TCP || c->protocol == UDP) && c->peer_port == 53)
		return PASS;
	if (model_special(c->peer) == CLASS_GLOBAL)
		return aliases >> ALIAS_GLOBAL & 1 ? PASS : DROP_DST_LOCAL_NET;
	return DROP_DST_PRIVATE;
}

static enum verdict model_outward(const struct call *c)
{
	uint8_t class = ruling_on(c).class;
	if (model_special(c->peer) == CLASS_NEVER || is_own(c->peer))
		return DROP_DST_INVALID;
	if (class != CLASS_NONE)
		return class == CLASS_ALLOWED ? PASS : DROP_DST_BLOCKED;
	return default_of(c);
}

static enum verdict model_inward(const struct call *c)
{
	uint8_t class = ruling_on(c).class;
	if (is_own(c->peer))
		return c->v6 ? DROP_IP6_SRC_IS_GUEST : DROP_IP4_SRC_IS_GUEST;
	if (model_special(c->peer) == CLASS_NEVER)
		return c->v6 ? DROP_IP6_SRC_INVALID : DROP_IP4_SRC_INVALID;
	if (!w.config.stateful)
		return PASS;
	if (class == CLASS_BLOCKED)
		return DROP_SRC_BLOCKED;
	bool open = w.config.inbound == INBOUND_ANY ||
		    (class == CLASS_ALLOWED && w.config.inbound == INBOUND_ESTABLISHED);
	return open ? PASS : DROP_UNSOLICITED;
}

/* Of first packets: what passes opens, and what is dropped may at most be an answer. */
static void verdicts_equal_the_model(void **state)
{
	(void)state;
	start();
	for (int round = 0; round < (int)amount(8 * ROUNDS); round++) {
		set_random_rules();
		set_inbound();
		for (int i = 0; i < FRAMES; i++) {
			struct call c = random_call();
			if (c.v6 && c.peer.high == WELL_KNOWN)
				continue;
			struct decision d = judge_call(&c);
			expect_verdict(&w, d.verdict, c.to_guest ? model_inward(&c) : model_outward(&c), __FILE__,
				       __LINE__);
			if (!w.config.stateful)
				assert_int_equal(d.flow & (FLOW_OPENS | FLOW_ANSWERS), 0);
			else if (d.verdict == PASS)
				assert_int_equal(d.flow, FLOW_OPENS);
		}
	}
}

/* A frame of any kind that rules are asked about: whole, a first or a later fragment. Gives whether it is a later one. */
static bool put_any(struct call *c)
{
	*c = random_call();
	uint32_t kind = next_random() % 6;
	if (kind == 0) {
		put_piece(&w, c, &(struct piece){ 7, 64, 16, next_random() & 1 });
		return true;
	}
	put_call(&w, c);
	if (kind == 1)
		put_piece(&w, c, &(struct piece){ 7, 0, 64, true });
	return false;
}

/* P42: a block rule more opens nothing, an allow rule more closes nothing, in either direction, with any --inbound. */
static void one_rule_more_moves_one_way(void **state)
{
	(void)state;
	static struct policy policies[2];
	start();
	for (int round = 0; round < (int)amount(8 * ROUNDS); round++) {
		set_random_rules();
		policies[0] = w.config.policy;
		compile_into_config(count + 1);
		policies[1] = w.config.policy;
		set_inbound();
		for (int i = 0; i < FRAMES / 4; i++) {
			struct call c;
			bool later = put_any(&c), passed[2];
			for (int p = 0; p < 2; p++) {
				w.config.policy = policies[p];
				passed[p] = judge(&c).verdict == PASS;
			}
			bool wrong = rule[count].class == CLASS_BLOCKED ? !passed[0] && passed[1]
									: passed[0] && !passed[1];
			/* A rule for some ports makes a later fragment wait for its first, also where it allows. */
			if (later && rule[count].class == CLASS_ALLOWED && rule[count].only.has_ports)
				continue;
			if (wrong)
				fail_msg("round %d: a rule more to %s: passed %d, then %d", round,
					 rule[count].class == CLASS_BLOCKED ? "block" : "allow", passed[0], passed[1]);
		}
	}
}

/* P47 */
static void never_list_stays_closed(void **state)
{
	(void)state;
	static const struct address closed[] = {
		{ 0, MAPPED_IPV4 | 1 },
		{ 0, MAPPED_IPV4 | 0x00ffffff },
		{ 0, MAPPED_IPV4 | 0x7f000001 },
		{ 0, MAPPED_IPV4 | 0x7fffffff },
		{ 0, MAPPED_IPV4 | GUEST_IP },
		{ 0, 1 },
		{ 0, 2 },
		{ 0, 0xffffffffULL },
		{ LOCAL_PREFIX, 0xa1b2c3d4e5f60789ULL },
		{ LOCAL_PREFIX, GUEST_ID },
		{ LINK_LOCAL_PREFIX, GUEST_ID },
	};
	start();
	for (int round = 0; round < ROUNDS; round++) {
		set_random_rules();
		rule[0] = rule_for(CLASS_ALLOWED, OUTWARD | INWARD, address_of_ipv4(0), 96);
		rule[1] = rule_for(CLASS_ALLOWED, OUTWARD | INWARD, ADDRESS6(0, 0), 0);
		rule[2] = rule_for(CLASS_ALLOWED, OUTWARD | INWARD, closed[round % 11], 128);
		compile_into_config(count < 3 ? 3 : count);
		set_inbound();
		for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++)
			for (int inward = 0; inward < 2; inward++) {
				struct call c = random_call();
				c.peer = closed[i];
				c.v6 = !is_ipv4(closed[i]);
				c.to_guest = inward;
				struct decision d = judge_call(&c);
				assert_true(d.verdict >= FIRST_DROP);
				assert_int_equal(d.flow, 0); /* not as an answer either */
			}
	}
}

/* P48: behind a translator only what the rules of IPv4 let through, or what a rule of 96 bits or more names. */
static void translators_open_nothing(void **state)
{
	(void)state;
	uint32_t passed = 0;
	start();
	w.config.nat64.item[w.config.nat64.count++] = (struct nat64_prefix){ { WELL_KNOWN | 0x12340000, 0 }, 96, 0 };
	for (int round = 0; round < (int)amount(8 * ROUNDS); round++) {
		set_random_rules();
		for (int i = 0; i < FRAMES / 4; i++) {
			struct call c = random_call(), behind;
			c.to_guest = false;
			if (c.v6)
				continue;
			c.guest_port = 40000;
			behind = c;
			c.v6 = true;
			c.peer =
			    ADDRESS6(WELL_KNOWN | (next_random() & 1 ? 0x12340000 : 0), ipv4_of_address(behind.peer));
			if (judge_call(&c).verdict != PASS)
				continue;
			passed++;
			struct model_ruling ruling = ruling_on(&c);
			bool named = ruling.class == CLASS_ALLOWED && ruling.place >= 2 * 96;
			if (!named && judge_call(&behind).verdict != PASS)
				expect_verdict(&w, PASS, judge(&behind).verdict, __FILE__, __LINE__);
		}
	}
	assert_true(passed > 100);
}

/* P49: a later fragment passes by itself only where whole packets do, to every port of its protocol. */
static void later_fragments_pass_where_all_ports_do(void **state)
{
	(void)state;
	uint32_t passed = 0, waited = 0;
	start();
	for (int round = 0; round < (int)amount(8 * ROUNDS); round++) {
		uint16_t port[MODEL_PORTS_MAX];
		set_random_rules();
		set_inbound();
		uint32_t ports = model_ports(rule, count, port);
		for (int i = 0; i < FRAMES / 4; i++) {
			struct call c = random_call();
			put_piece(&w, &c, &(struct piece){ 7, 64, 16, false });
			struct decision d = judge(&c);
			if (d.flow & FLOW_LATER_FRAGMENT)
				waited++;
			if (d.verdict != PASS)
				continue;
			passed++;
			assert_int_equal(d.flow, 0); /* it opens no flow, and what follows it is not remembered */
			for (uint32_t p = 0; p < ports; p++) {
				*(c.to_guest ? &c.guest_port : &c.peer_port) = port[p];
				expect_verdict(&w, judge_call(&c).verdict, PASS, __FILE__, __LINE__);
			}
		}
	}
	assert_true(passed > 1000 && waited > 1000);
}

enum { CONTROLS = 13 };

/* P46: frames that no rule touches. True: towards the guest. */
static bool put_control(uint32_t i)
{
	struct dhcp_spec server = {
		.type = 2, .yiaddr = GUEST_IP, .server = GATEWAY_IP, .lease_s = 600, .mac_to = GUEST_MAC
	};
	if (i < 4) {
		put_ethernet(&w, MAC_BROADCAST, i < 3 ? GUEST_MAC : GATEWAY_MAC, 0x0806);
		put_arp(&w, (uint16_t)(1 + (i == 2)), i < 3 ? GUEST_MAC : GATEWAY_MAC,
			(uint32_t[]){ 0, VICTIM_IP, GUEST_IP, GATEWAY_IP }[i],
			i == 3   ? GUEST_IP
			: i == 0 ? GUEST_IP
				 : GATEWAY_IP);
		return i == 3;
	}
	switch (i) {
	case 4:
		put_client_message(&w, &(struct dhcp_spec){ .type = 1 });
		return false;
	case 5:
		put_client_message(
		    &w,
		    &(struct dhcp_spec){
			.type = 3, .ciaddr = GUEST_IP, .ip_from = GUEST_IP, .ip_to = GATEWAY_IP, .mac_to = GATEWAY_MAC });
		return false;
	case 6:
		put_server_message(&w, &server);
		return true;
	case 7:
		put_ra(&w, &(struct ra_spec){ .router_s = 1800, .prefix = { LOCAL_PREFIX, 0 }, .valid_s = 86400 });
		return true;
	case 8:
		put_nd(&w, &(struct nd_spec){ .type = NS, .target = GUEST_LEASED });
		return false;
	case 9:
		put_nd(&w, &(struct nd_spec){
			       .type = NA, .from = GUEST_PRIVACY, .target = GUEST_PRIVACY, .target_lla = GUEST_MAC });
		return false;
	case 10:
		put_nd(&w, &(struct nd_spec){ .type = RS, .from = GUEST_LL, .source_lla = GUEST_MAC });
		return false;
	case 11:
		put_nd_to_guest(&w,
				&(struct nd_spec){
				    .type = NS, .from = ROUTER_LL, .target = GUEST_PRIVACY, .source_lla = GATEWAY_MAC });
		return true;
	default:
		put_nd_to_guest(
		    &w, &(struct nd_spec){ .type = NA, .from = ROUTER_LL, .target = ROUTER_LL, .flags = NA_ROUTER });
		return true;
	}
}

static void rules_touch_no_control_traffic(void **state)
{
	(void)state;
	struct decision before[CONTROLS];
	start();
	compile_into_config(0);
	for (uint32_t i = 0; i < CONTROLS; i++) {
		struct call c = { .to_guest = put_control(i) };
		before[i] = judge(&c);
	}
	for (int round = 0; round < ROUNDS; round++) {
		set_random_rules();
		set_inbound();
		for (uint32_t i = 0; i < CONTROLS; i++) {
			struct call c = { .to_guest = put_control(i) };
			struct decision d = judge(&c);
			expect_verdict(&w, d.verdict, before[i].verdict, __FILE__, __LINE__);
			assert_int_equal(d.bucket, before[i].bucket);
			assert_int_equal(d.flow, 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts_equal_the_model),
		cmocka_unit_test(one_rule_more_moves_one_way),
		cmocka_unit_test(never_list_stays_closed),
		cmocka_unit_test(translators_open_nothing),
		cmocka_unit_test(later_fragments_pass_where_all_ports_do),
		cmocka_unit_test(rules_touch_no_control_traffic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
