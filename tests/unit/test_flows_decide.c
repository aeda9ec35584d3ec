/* Whole frames of both sides through decide(): docs/policy.md, Directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "test_flows.h"

#include <cmocka.h>

static struct world w, quoted;

static const uint8_t protocols[] = { TCP, UDP, SCTP, ICMP4, ESP, GRE };
enum { PROTOCOLS = sizeof protocols };

#define CALL(c, wanted) expect_verdict(&w, make_call(&w, (c)), wanted, __FILE__, __LINE__)

static uint32_t count_flows(void)
{
	uint32_t n = 0;
	for (int class = 0; class < FLOW_CLASSES_END; class ++)
		n += w.guard.flows->count[class];
	return n;
}

static struct call first_call(uint32_t i, bool to_guest)
{
	return (struct call){ .v6 = i % 2,
			      .protocol = protocols[i / 2 % PROTOCOLS],
			      .to_guest = to_guest,
			      .guest_port = 40000,
			      .peer_port = 443,
			      .flags = SYN };
}

/* For the peer alone, as rules of host length; 0: no rule in that direction. */
static void set_peer_rules(bool v6, uint8_t outward, uint8_t inward)
{
	struct call c = { .v6 = v6 };
	struct rule rules[2];
	uint32_t n = 0;
	if (outward)
		rules[n++] = rule_for(outward, OUTWARD, peer_of(&c), 128);
	if (inward)
		rules[n++] = rule_for(inward, INWARD, peer_of(&c), 128);
	set_rules(&w, rules, n);
}

struct row {
	bool stateful;
	enum inbound inbound;
	uint8_t outward, inward; /* class of the rule */
	enum verdict guest_opens, peer_opens, guest_answers, peer_answers;
};

static const struct row rows[] = {
	{ false, INBOUND_ANY, 0, 0, PASS, PASS, PASS, PASS },
	{ false, INBOUND_ANY, CLASS_BLOCKED, 0, DROP_DST_BLOCKED, PASS, DROP_DST_BLOCKED, PASS },
	{ false, INBOUND_ANY, CLASS_ALLOWED, 0, PASS, PASS, PASS, PASS },
	{ true, INBOUND_ANY, 0, 0, PASS, PASS, PASS, PASS },
	{ true, INBOUND_ANY, CLASS_BLOCKED, CLASS_BLOCKED, DROP_DST_BLOCKED, DROP_SRC_BLOCKED, 0, 0 },
	{ true, INBOUND_ANY, CLASS_BLOCKED, 0, DROP_DST_BLOCKED, PASS, PASS, PASS },
	{ true, INBOUND_ANY, 0, CLASS_BLOCKED, PASS, DROP_SRC_BLOCKED, PASS, PASS },
	{ true, INBOUND_ANY, CLASS_BLOCKED, CLASS_ALLOWED, DROP_DST_BLOCKED, PASS, PASS, PASS },
	{ true, INBOUND_ESTABLISHED, 0, 0, PASS, DROP_UNSOLICITED, PASS, PASS },
	{ true, INBOUND_ESTABLISHED, CLASS_BLOCKED, 0, DROP_DST_BLOCKED, DROP_UNSOLICITED, 0, 0 },
	{ true, INBOUND_ESTABLISHED, CLASS_BLOCKED, CLASS_ALLOWED, DROP_DST_BLOCKED, PASS, PASS, PASS },
	{ true, INBOUND_ESTABLISHED, CLASS_ALLOWED, CLASS_BLOCKED, PASS, DROP_SRC_BLOCKED, PASS, PASS },
	{ true, INBOUND_NONE, 0, 0, PASS, DROP_UNSOLICITED, PASS, PASS },
	{ true, INBOUND_NONE, CLASS_ALLOWED, CLASS_ALLOWED, PASS, DROP_UNSOLICITED, PASS, PASS },
	{ true, INBOUND_NONE, 0, CLASS_BLOCKED, PASS, DROP_SRC_BLOCKED, PASS, PASS },
	{ true, INBOUND_NONE, CLASS_BLOCKED, CLASS_ALLOWED, DROP_DST_BLOCKED, DROP_UNSOLICITED, 0, 0 },
};

static void check_row(const struct row *r, uint32_t i)
{
	struct call guest = first_call(i, false), peer = first_call(i, true);
	struct call guest_answers = answer_to(peer), peer_answers = answer_to(guest);
	w.config.stateful = r->stateful;
	w.config.inbound = (uint8_t)r->inbound;
	set_peer_rules(guest.v6, r->outward, r->inward);
	CALL(&guest, r->guest_opens);
	if (r->guest_opens == PASS) {
		CALL(&peer_answers, r->peer_answers);
		CALL(&guest, PASS); /* and goes on */
		CALL(&peer_answers, r->peer_answers);
	} else {
		CALL(&peer_answers, r->peer_opens); /* an answer to nothing is a first packet */
	}
	assert_int_equal(count_flows() > 0,
			 r->stateful && (r->guest_opens == PASS || (r->peer_opens == PASS && guest.protocol != ICMP4)));
	set_peer_rules(guest.v6, r->outward, r->inward);
	CALL(&peer, r->peer_opens);
	if (r->peer_opens == PASS) {
		CALL(&guest_answers, r->guest_answers);
		CALL(&peer, PASS);
		CALL(&guest_answers, r->guest_answers);
	} else {
		CALL(&guest_answers, r->guest_opens);
	}
}

void rows_of_directions(void **state)
{
	(void)state;
	start_flow_world(&w, false, INBOUND_ANY);
	for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
		for (uint32_t i = 0; i < 2 * PROTOCOLS; i++)
			check_row(&rows[r], i);
}

/* Long after, and only as long as the table says; a SYN is never an answer; each side's rights are its own. */
void answers_pass_whatever_the_rules_say(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2 * PROTOCOLS; i++) {
		struct call guest = first_call(i, false), answer = answer_to(guest), more = guest;
		start_flow_world(&w, true, INBOUND_ESTABLISHED);
		more.flags = ACK;
		CALL(&guest, PASS);
		CALL(&answer, PASS);
		CALL(&more, PASS);
		w.now_ms += guest.protocol == TCP ? 7440000 - 1 : 300000 - 1;
		CALL(&answer, PASS);
		if (guest.protocol == TCP) {
			struct call syn = answer;
			syn.flags = SYN;
			CALL(&syn, DROP_UNSOLICITED);
		}
		w.now_ms += guest.protocol == TCP ? 7440000 : 300000;
		CALL(&answer, DROP_UNSOLICITED);
		CALL(&more, PASS); /* the guest goes on as if nothing had been forgotten */
		CALL(&answer, PASS);
		set_peer_rules(guest.v6, CLASS_BLOCKED, 0); /* a live change forgets the flows */
		CALL(&more, DROP_DST_BLOCKED);
		CALL(&answer, DROP_UNSOLICITED);
		set_peer_rules(guest.v6, 0, 0);
		CALL(&guest, PASS);
		struct call other = answer;
		other.peer = guest.v6 ? ADDRESS6(0x2a00000000000000ULL, 1) : address_of_ipv4(0x09090909);
		CALL(&other, DROP_UNSOLICITED);
		CALL(&answer, PASS);
	}
}

void exposed_ports_are_open(void **state)
{
	(void)state;
	start_flow_world(&w, true, INBOUND_ESTABLISHED);
	w.config.exposed.item[0] = (struct exposed_port){ 8080, 8082, .protocol = TCP };
	w.config.exposed.item[1] = (struct exposed_port){ 53, 53, .protocol = UDP, .is_ipv6 = 1 };
	w.config.exposed.count = 2;
	for (uint32_t v6 = 0; v6 < 2; v6++)
		for (uint32_t protocol = 0; protocol < 3; protocol++)
			for (uint16_t port = 1; port < 9000; port++) {
				struct call c = { .v6 = v6,
						  .to_guest = true,
						  .protocol = protocols[protocol],
						  .guest_port = port,
						  .peer_port = 40000,
						  .flags = SYN };
				bool dhcp = c.protocol == UDP && (port == 67 || port == 68 || port == 546 || port == 547);
				bool open = v6 ? c.protocol == UDP && port == 53
					       : c.protocol == TCP && port >= 8080 && port <= 8082;
				if (!dhcp)
					CALL(&c, open ? PASS : DROP_UNSOLICITED);
			}
	struct call c = { .to_guest = true, .protocol = TCP, .guest_port = 8080, .peer_port = 40000, .flags = SYN };
	set_peer_rules(false, CLASS_BLOCKED, CLASS_BLOCKED);
	CALL(&c, DROP_SRC_BLOCKED); /* a rule comes before what no rule decides */
	set_peer_rules(false, CLASS_BLOCKED, 0);
	CALL(&c, PASS);
	struct call answer = answer_to(c);
	CALL(&answer, PASS);
}

static void put_error_about(const struct call *c, struct address from, struct address to)
{
	put_call(&quoted, c);
	put_error(&w, &(struct error_spec){
			  .v6 = c->v6, .to_guest = !c->to_guest, .from = from, .to = to, .quoted = &quoted });
}

#define TOLD(wanted)  expect_verdict(&w, to_guest(&w), wanted, __FILE__, __LINE__)
#define TELLS(wanted) expect_verdict(&w, from_guest(&w), wanted, __FILE__, __LINE__)

void errors_about_flows_pass(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 8; i++) {
		struct call guest = first_call(i, false), peer = first_call(i, true);
		struct address own = guest_of(guest.v6), remote = peer_of(&guest);
		struct address router = guest.v6 ? ADDRESS6(0x2a00000000000000ULL, 1) : address_of_ipv4(0x09090909);
		start_flow_world(&w, true, INBOUND_ESTABLISHED);
		put_error_about(&guest, router, own);
		TOLD(DROP_UNSOLICITED);
		CALL(&guest, PASS);
		put_error_about(&guest, router, own); /* port or path MTU, from the first packet on: a SYN is quoted */
		TOLD(PASS);
		put_error_about(&guest, remote, own);
		TOLD(PASS);
		struct call other = guest;
		other.guest_port++;
		put_error_about(&other, router, own);
		TOLD(DROP_UNSOLICITED);
		set_peer_rules(guest.v6, CLASS_BLOCKED, CLASS_ALLOWED); /* now it may only answer */
		put_error_about(&peer, own, remote);
		TELLS(DROP_DST_BLOCKED);
		CALL(&peer, PASS);
		put_error_about(&peer, own, remote); /* nobody listens there */
		TELLS(PASS);
		peer.guest_port++;
		put_error_about(&peer, own, remote);
		TELLS(DROP_DST_BLOCKED);
	}
	/* Towards the network only to the peer of the flow. */
	struct call peer = first_call(2, true);
	start_flow_world(&w, true, INBOUND_ANY);
	struct rule block = rule_for(CLASS_BLOCKED, OUTWARD, address_of_ipv4(0), 96);
	set_rules(&w, &block, 1);
	CALL(&peer, PASS);
	put_error_about(&peer, guest_of(false), address_of_ipv4(0x09090909));
	TELLS(DROP_DST_BLOCKED);
	put_error_about(&peer, guest_of(false), peer_of(&peer));
	TELLS(PASS);
}

void both_sides_ping_with_one_identifier(void **state)
{
	(void)state;
	for (uint32_t v6 = 0; v6 < 2; v6++) {
		struct call guest = { .v6 = v6, .protocol = ICMP4, .guest_port = 77 }, peer = guest;
		peer.to_guest = true;
		struct call to_peer = answer_to(peer), to_guest_ = answer_to(guest);
		start_flow_world(&w, true, INBOUND_ESTABLISHED);
		CALL(&to_guest_, DROP_UNSOLICITED);
		CALL(&guest, PASS);
		CALL(&peer, DROP_UNSOLICITED); /* a request is no answer */
		CALL(&to_guest_, PASS);
		CALL(&to_guest_, PASS);
		set_peer_rules(v6, CLASS_BLOCKED, CLASS_ALLOWED);
		CALL(&to_peer, DROP_DST_BLOCKED);
		CALL(&peer, PASS);
		CALL(&guest, DROP_DST_BLOCKED);
		CALL(&to_peer, PASS);
		set_peer_rules(v6, CLASS_ALLOWED, CLASS_ALLOWED);
		CALL(&guest, PASS);
		CALL(&peer, PASS);
		CALL(&to_peer, PASS);
		CALL(&to_guest_, PASS);
		assert_int_equal(count_flows(), 2);
	}
}

static void put_mdns(bool v6, bool inward)
{
	struct address group = v6 ? MDNS_GROUP : address_of_ipv4(0xe00000fb);
	uint64_t mac = v6 ? mac_for6(group) : 0x01005e0000fbULL;
	put_ethernet(&w, mac, inward ? GATEWAY_MAC : GUEST_MAC, v6 ? 0x86dd : 0x0800);
	if (v6)
		put_ipv6(&w, inward ? VICTIM_LEASED : GUEST_PRIVACY, group, UDP, 255, 12);
	else
		put_ipv4(&w, inward ? VICTIM_IP : GUEST_IP, 0xe00000fb, UDP, 0, 12);
	put_udp(&w, 5353, 5353, 4);
	put_zeros(&w, 4);
}

/* Judged by the rules alone, from the network by their source; nothing is remembered of them. */
void groups_have_no_answers(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct address neighbor = v6 ? VICTIM_LEASED : address_of_ipv4(VICTIM_IP);
		start_flow_world(&w, true, INBOUND_ESTABLISHED);
		put_mdns(v6, false);
		TELLS(PASS);
		put_mdns(v6, true);
		TOLD(DROP_UNSOLICITED);
		struct rule rules[2] = { rule_for(CLASS_ALLOWED, INWARD, neighbor, 128) };
		set_rules(&w, rules, 1);
		put_mdns(v6, true);
		TOLD(PASS);
		rules[0].class = CLASS_BLOCKED;
		set_rules(&w, rules, 1);
		put_mdns(v6, true);
		TOLD(DROP_SRC_BLOCKED);
		w.config.inbound = INBOUND_ANY;
		TOLD(DROP_SRC_BLOCKED);
		set_rules(&w, rules, 0);
		TOLD(PASS);
		put_mdns(v6, false);
		TELLS(PASS);
		assert_int_equal(count_flows(), 0);
	}
}

/* P46, in both directions: IGMP, MLD, neighbor discovery, router advertisements, DHCP and ARP, with everything blocked. */
void what_rules_do_not_touch(void **state)
{
	(void)state;
	for (int inbound = INBOUND_ANY; inbound <= INBOUND_NONE; inbound++) {
		struct rule all[2] = { rule_for(CLASS_BLOCKED, OUTWARD | INWARD, ADDRESS6(0, 0), 0),
				       rule_for(CLASS_BLOCKED, OUTWARD | INWARD, address_of_ipv4(0), 96) };
		start_world6(&w, true);
		w.config.stateful = 1;
		w.config.inbound = (uint8_t)inbound;
		set_rules(&w, all, 2);
		lease(&w, GUEST_IP, 86400); /* asserts that all four messages pass */
		announce(&w, LOCAL_PREFIX); /* and this, and DAD */
		claim_address(&w, GUEST_PRIVACY);
		w.now_ms += 20000;
		put_nd_to_guest(&w,
				&(struct nd_spec){
				    .type = NS, .from = ROUTER_LL, .target = GUEST_PRIVACY, .source_lla = GATEWAY_MAC });
		TOLD(PASS);
		put_nd_to_guest(
		    &w, &(struct nd_spec){ .type = NA, .from = ROUTER_LL, .target = ROUTER_LL, .flags = NA_ROUTER });
		TOLD(PASS);
		put_nd(&w, &(struct nd_spec){
			       .type = NA, .from = GUEST_PRIVACY, .target = GUEST_PRIVACY, .target_lla = GUEST_MAC });
		TELLS(PASS);
		put_nd(&w, &(struct nd_spec){
			       .type = NS, .from = GUEST_PRIVACY, .target = ROUTER_LL, .source_lla = GUEST_MAC });
		TELLS(PASS);
		put_ethernet(&w, MAC_BROADCAST, GATEWAY_MAC, 0x0806);
		put_arp(&w, 1, GATEWAY_MAC, GATEWAY_IP, GUEST_IP);
		TOLD(PASS);
		put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
		put_arp(&w, 1, GUEST_MAC, GUEST_IP, GATEWAY_IP);
		TELLS(PASS);
		put_ethernet(&w, MAC_BROADCAST, GUEST_MAC, 0x0806);
		put_arp(&w, 2, GUEST_MAC, VICTIM_IP, GATEWAY_IP);
		TELLS(DROP_ARP_SPA_SPOOF);
		put_ethernet(&w, 0x01005e000001ULL, GATEWAY_MAC, 0x0800); /* IGMP query */
		put_ipv4(&w, GATEWAY_IP, 0xe0000001, IGMP, 0, 8);
		put_number(&w, 0x1164ee9b00000000ULL, 8);
		TOLD(PASS);
		put_icmp6_to_guest(&w, GATEWAY_MAC, ROUTER_LL, NODES_GROUP, 130, 24); /* MLD query */
		set_hop_limit(&w, 1);
		TOLD(PASS);
		struct call c = { .protocol = UDP, .guest_port = 40000, .peer_port = 40000 };
		CALL(&c, DROP_DST_BLOCKED);
		c.to_guest = true;
		CALL(&c, DROP_SRC_BLOCKED);
	}
}

void a_full_table_refuses(void **state)
{
	(void)state;
	start_flow_world(&w, true, INBOUND_ANY);
	struct call known = { .protocol = TCP, .guest_port = 1, .peer_port = 1, .flags = SYN };
	struct call answer = answer_to(known), last = known;
	last.flags = ACK;
	CALL(&known, PASS);
	CALL(&answer, PASS);
	CALL(&last, PASS);
	for (uint32_t n = 1; n < FLOWS_MAX; n++) {
		struct packet_facts f = packet(n, TCP, SYN), a = packet(n, TCP, SYN | ACK), b = packet(n, TCP, ACK);
		assert_true(open_flow(w.guard.flows, &f, false, w.now_ms) &&
			    is_answer(w.guard.flows, &a, true, w.now_ms) &&
			    open_flow(w.guard.flows, &b, false, w.now_ms));
	}
	for (uint32_t i = 0; i < 2 * PROTOCOLS; i++) {
		struct call c = first_call(i, i & 4);
		CALL(&c, DROP_FLOW_LIMIT);
	}
	CALL(&last, PASS);
	answer.flags = ACK;
	CALL(&answer, PASS);
	answer.flags = RST;
	CALL(&answer, PASS);
	struct call c = first_call(0, false);
	CALL(&c, PASS); /* in the place of the one that was reset */
}

enum { TUPLES = 2 * 4 * 3 };

static struct call tuple(uint32_t n)
{
	struct call c = {
		.v6 = n % 2, .protocol = protocols[n / 2 % 4], .guest_port = (uint16_t)(1000 + n / 8), .peer_port = 443
	};
	return c;
}

/* Who has opened what, without time: all that passes towards the guest is an answer, or a rule opens it. */
void random_calls_equal_the_model(void **state)
{
	(void)state;
	uint8_t opened[TUPLES] = { 0 }; /* OUTWARD, INWARD; INWARD of another echo is its own */
	start_flow_world(&w, true, INBOUND_ESTABLISHED);
	uint8_t out[2] = { 0 }, in[2] = { 0 };
	for (uint32_t i = 0; i < 400000; i++) {
		if (i % 256 == 0) {
			memset(opened, 0, sizeof opened);
			struct rule rules[4];
			uint32_t n = 0;
			for (uint32_t v6 = 0; v6 < 2; v6++) {
				struct call c = { .v6 = v6 };
				out[v6] = next_random() % 2 ? CLASS_BLOCKED : CLASS_NONE;
				in[v6] = next_random() % 2 ? CLASS_ALLOWED : CLASS_NONE;
				if (out[v6])
					rules[n++] = rule_for(out[v6], OUTWARD, peer_of(&c), 128);
				if (in[v6])
					rules[n++] = rule_for(in[v6], INWARD, peer_of(&c), 128);
			}
			set_rules(&w, rules, n);
		}
		uint32_t n = next_random() % TUPLES;
		static const uint8_t flags[] = { SYN, SYN | ACK, ACK, FIN | ACK };
		struct call c = tuple(n);
		c.to_guest = next_random() & 1;
		c.flags = flags[next_random() % 4];
		c.reply = next_random() & 1;
		bool echo = c.protocol == ICMP4, first = c.protocol == TCP && c.flags == SYN;
		uint8_t own = c.to_guest ? INWARD : OUTWARD, other = own ^ 3;
		bool answer = (opened[n] & other) && !first && (!echo || c.reply);
		bool may = c.to_guest ? in[c.v6] == CLASS_ALLOWED : out[c.v6] == CLASS_NONE;
		CALL(&c, answer || may ? PASS : c.to_guest ? DROP_UNSOLICITED : DROP_DST_BLOCKED);
		if (answer || !may || (echo && c.reply))
			continue;
		if (echo)
			opened[n] |= own;
		else if (!(opened[n] & other))
			opened[n] = own;
		else
			opened[n] = 3; /* a SYN the other way: then either side has a right of its own */
	}
}
