/* Frames from the guest and to it, with all that is judged in IPv6: headers, neighbors, destinations, ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "core/policy/special.h"
#include "frames6.h"
#include "test_attacks.h"

#include <cmocka.h>

#define RESOLVER   ADDRESS6(LOCAL_PREFIX, 0x53)
#define TENTATIVE  ADDRESS6(LOCAL_PREFIX, 0x7777)
#define TRANSLATED 0x2a0e123400a50000ULL /* a prefix that stands for IPv4 addresses */
#define SITE       0x2a02aaaabbbb0000ULL

static void learn(struct world *w)
{
	put_ra(w, &(struct ra_spec){ .router_s = 1800,
				     .prefix = { LOCAL_PREFIX, 0 },
				     .valid_s = 86400,
				     .resolver = RESOLVER,
				     .resolver_s = 600,
				     .nat64 = { TRANSLATED, 0 },
				     .nat64_bits = 64,
				     .nat64_s = 600 });
	assert_int_equal(to_guest(w), PASS);
	announce(w, SITE | 9);
	assert_true(add_static_binding(&w->state, ADDRESS6(0xfd70000000000000ULL, 5), 64, w->now_ms));
	claim_address(w, GUEST_PRIVACY);
	claim_address(w, ADDRESS6(LINK_LOCAL_PREFIX, 0x7777));
	assert_int_equal(solicit_dad(w, TENTATIVE), PASS);
}

static void add_rules(struct world *w)
{
	struct rule rules[] = {
		{ ADDRESS6(0xfd00000000000000ULL, 0), 8, .class = CLASS_ALLOWED, .directions = OUTWARD },
		{ ADDRESS6(0xfd64000000000000ULL, 0x100), 120, .class = CLASS_BLOCKED, .directions = OUTWARD },
		{ VICTIM_LEASED, 128, .class = CLASS_ALLOWED, .directions = OUTWARD },
		{ ADDRESS6(0x0064ff9b00000000ULL, 0x0a000000), 104, .class = CLASS_ALLOWED, .directions = OUTWARD },
		{ ADDRESS6(0x2600000000000000ULL, 0), 9, .class = CLASS_BLOCKED, .directions = OUTWARD },
		{ ADDRESS6(0xff00000000000000ULL, 0), 8, .class = CLASS_ALLOWED, .directions = OUTWARD },
		{ address_of_ipv4(0x01010101), 128, .class = CLASS_BLOCKED, .directions = OUTWARD },
		{ .alias = ALIAS_DNS, .class = CLASS_ALLOWED, .directions = OUTWARD },
		{ .alias = ALIAS_GATEWAY, .class = CLASS_BLOCKED, .directions = OUTWARD }
	};
	assert_true(compile_policy(&w->config.policy, rules, 9));
	w->config.sites.item[w->config.sites.count++] = 0x2a03000000000000ULL;
	set_add(&w->config.host6, ADDRESS6(LOCAL_PREFIX, 1));
}

static void add_translators(struct world *w)
{
	static const uint32_t lengths[] = { 32, 40, 48, 56 };
	struct rule global = { .alias = ALIAS_GLOBAL, .class = CLASS_BLOCKED, .directions = OUTWARD };
	for (uint32_t i = 0; i < 4; i++) {
		struct address prefix = ADDRESS6(0x2a0f000000000000ULL + ((uint64_t)i << 32), 0);
		w->config.nat64.item[i] = (struct nat64_prefix){ .prefix = prefix, .length = lengths[i] };
	}
	w->config.nat64.count = 4;
	assert_true(compile_policy(&w->config.policy, &global, 1));
	w->config.isolation = 0;
}

void start_numbered_world6(struct world *w, int number)
{
	static const char *const states[WORLDS6] = { "INIT6", "BOUND6", NULL, NULL, NULL, NULL, "REQ6" };
	if (states[number])
		assert_true(bring_into_state(w, states[number]));
	else
		start_world6(w, number % 2 == 0);
	if (number == 0)
		w->config.strict_anchors = 1;
	if (number >= 2 && number < 6)
		learn(w);
	if (number == 1)
		announce(w, LOCAL_PREFIX);
	if (number == 3)
		add_rules(w);
	if (number == 4)
		add_translators(w);
	if (number == 5) {
		w->now_ms += 7300 * 1000;
		w->config.dhcp_off = 1;
	}
	if (number == 6)
		w->config.ipv6_eui64_only = 1;
}

static const struct address people[] = {
	{ LINK_LOCAL_PREFIX, GUEST_ID },
	{ LOCAL_PREFIX, GUEST_ID },
	{ LOCAL_PREFIX, 0xa1b2c3d4e5f60789ULL },
	{ LOCAL_PREFIX, 0x7777 },
	{ LINK_LOCAL_PREFIX, 0x7777 },
	{ LOCAL_PREFIX, 0x10a },
	{ LOCAL_PREFIX, 0x10b },
	{ LINK_LOCAL_PREFIX, 0x505400fffe000001ULL },
	{ LINK_LOCAL_PREFIX, 0x505400fffe00000bULL },
	{ LOCAL_PREFIX, 0x53 },
	{ LOCAL_PREFIX, 1 },
	{ 0xfd70000000000000ULL, 5 },
	{ 0, 0 },
	{ 0, 1 },
	{ 0, 0xffffc0a8400aULL },
	{ 0xff02000000000000ULL, 1 },
	{ 0x2606470047000000ULL, 0x1111 },
	{ SITE | 9, GUEST_ID },
};
enum { PEOPLE = sizeof people / sizeof people[0] };
static const uint64_t macs[] = { 0, GATEWAY_MAC, VICTIM_MAC, MAC_BROADCAST, 0x333300000001ULL };

static void show_neighbors(struct world *w, show_frame *show)
{
	static const uint8_t nonce[8] = { 14, 1 };
	for (uint32_t i = 0; i < 5 * PEOPLE * PEOPLE * 3; i++) {
		struct nd_spec spec = { .type = (uint8_t)(RS + i % 5),
					.from = people[i / 5 % PEOPLE],
					.target = people[i / 5 / PEOPLE % PEOPLE],
					.flags = (uint8_t)(i % 8 << 5),
					.source_lla = i % 3 == 1   ? GUEST_MAC
						      : i % 7 == 1 ? GATEWAY_MAC
								   : 0,
					.mac_to = i % 11 == 0 ? macs[i % 5] : 0,
					.extra = nonce,
					.extra_octets = i % 13 == 0 ? 8 : 0,
					.code = i % 97 == 0 };
		if (i / 5 / PEOPLE / PEOPLE == 2)
			spec.to = people[i / 3 % PEOPLE];
		put_nd(w, &spec);
		show(w, FROM_GUEST);
		spec.mac_from = i % 2 ? GATEWAY_MAC : VICTIM_MAC;
		put_nd_to_guest(w, &spec);
		show(w, TO_GUEST);
	}
}

static void show_both_ways(struct world *w, show_frame *show)
{
	show(w, FROM_GUEST);
	memcpy(w->frame, (uint8_t[]){ 0x52, 0x54, 0, 0, 0, 0x0a, 0x52, 0x54, 0, 0, 0, 1 }, 12);
	show(w, TO_GUEST);
}

static void insert_of_type(struct world *w, uint8_t type, uint32_t chance)
{
	uint8_t header[16] = { 0, type == 51 ? 2 : 0, 5, 2 };
	if (type == 44)
		insert_fragment(w, chance % 16 == 15 ? 1024 : 0, chance % 3 == 1);
	else if (type == 60 || chance % 3 == 2)
		insert_options(w, type, chance % 13 == 12 ? 16 : 8);
	else
		insert_header(w, type, header, type == 51 ? 16 : 8);
}

/* All chains of up to three headers, and deeper ones here and there, in front of each kind of transport. */
static void show_headers(struct world *w, show_frame *show)
{
	static const uint8_t kinds[] = { 0, 60, 44, 51, 43, 135, 139, 140, 59, 253 };
	for (uint32_t n = 0; n < 11 * 11 * 11 * 4; n++) {
		uint32_t depth = n % 5 == 4 ? 7 : 3, number = n / 4;
		if (n % 4 == 0)
			put_udp6(w, people[1], people[16], 4000, 53, 16);
		else if (n % 4 == 1)
			put_icmp6(w, people[0], NODES_GROUP, (uint8_t)(128 + n / 4 % 16), 32);
		else
			put_packet6(w, people[n / 4 % PEOPLE], people[16], n % 4 == 2 ? 6 : 50, 24);
		for (uint32_t i = 0; i < depth; i++, number /= 11)
			if (number % 11 < 10)
				insert_of_type(w, kinds[number % 11 % (i < 3 ? 10 : 4)], n + i);
		show_both_ways(w, show);
	}
}

static void show_destination(struct world *w, show_frame *show, struct address to, uint32_t n)
{
	static const uint16_t ports[] = { 53, 4000, 5353, 547 };
	if (n % 5 == 0)
		put_icmp6(w, people[n % 4], to, ECHO, 8);
	else
		put_udp6(w, people[n % 4], to, n % 2 ? 5353 : 4000, ports[n % 4], 0);
	if (n % 7 == 0)
		w->frame[5] ^= 0x0a; /* the victim's MAC, or no group's */
	show_both_ways(w, show);
}

/* Steps over the whole range, the edges of all blocks, what people hold, and what translators make of them. */
static void show_destinations(struct world *w, show_frame *show)
{
	for (uint32_t i = 0; i < 4096; i++)
		show_destination(w, show, ADDRESS6((uint64_t)i << 52 | (uint64_t)i * 0x1234567, i), i);
	for (uint32_t i = 0; i < 1024; i++) /* groups of all scopes and flags */
		show_destination(w, show, ADDRESS6(0xff00000000000000ULL | (uint64_t)(i % 256) << 48, 0xf9 + i / 256), i);
	for (uint32_t i = 0; i < SPECIAL_PURPOSE_COUNT; i++) {
		struct address first = special_purpose[i].address;
		uint32_t length = special_purpose[i].prefix_length;
		uint64_t width = length == 0 ? 0 : length <= 64 ? 1ULL << (64 - length) : 0;
		for (uint32_t n = 0; n < 7; n++) {
			show_destination(w, show, first, n);
			show_destination(w, show, ADDRESS6(first.high - (first.low == 0), first.low - 1), n);
			show_destination(w, show, ADDRESS6(first.high + width, first.low), n);
			show_destination(w, show, ADDRESS6(first.high + width - 1, UINT64_MAX), n);
		}
	}
	for (uint32_t i = 0; i < PEOPLE * 20; i++)
		show_destination(w, show, people[i % PEOPLE], i);
	static const uint64_t translators[] = { 0x0064ff9b00000000ULL, TRANSLATED,
						0x2a0f000000000000ULL, 0x2a0f000100000000ULL,
						0x2a0f000200000000ULL, 0x2a0f000300000000ULL };
	for (uint64_t ipv4 = 0; ipv4 < 0x100000000ULL; ipv4 += 0x00fedcb7)
		for (uint32_t i = 0; i < 6; i++) {
			struct address to = ADDRESS6(translators[i], i == 0 ? ipv4 : ipv4 << 24);
			if (i > 1)
				to.high |= ipv4 >> (8 * (i - 2));
			show_destination(w, show, to, (uint32_t)ipv4 + i);
		}
}

static void show_listeners_and_clients(struct world *w, show_frame *show)
{
	static const uint8_t types[] = { 130, 131, 132, 143 };
	static const uint16_t ports[] = { 546, 547, 53, 4000 };
	for (uint32_t i = 0; i < 4 * PEOPLE * 4; i++) {
		const struct address groups[] = { NODES_GROUP, ROUTERS_GROUP, MLD_REPORTS, MDNS_GROUP };
		put_mld(w, types[i % 4], people[i / 4 % PEOPLE], groups[i / 4 / PEOPLE],
			groups[(i / 4 / PEOPLE + i % 2) % 4]);
		show(w, FROM_GUEST);
		memcpy(w->frame + 6, (uint8_t[]){ 0x52, 0x54, 0, 0, 0, 0x0b }, 6);
		show(w, TO_GUEST);
		put_udp6(w, people[i / 4 % PEOPLE], DHCP6_SERVERS, ports[i % 4], ports[i / 4 / PEOPLE], 8);
		show(w, FROM_GUEST);
		put_udp6_to_guest(w, i % 3 ? GATEWAY_MAC : VICTIM_MAC, people[i / 4 % PEOPLE], GUEST_LL, ports[i % 4],
				  ports[i / 4 / PEOPLE], 8);
		memcpy(w->frame + 62, (uint8_t[]){ 7, 0x12, 0x34, (uint8_t)(0x56 + i % 2) }, 4);
		show(w, TO_GUEST);
	}
	for (uint32_t i = 0; i < 64; i++) {
		put_ra(w, &(struct ra_spec){ .from = people[i % PEOPLE], .mac = macs[1 + i % 2], .router_s = 60 });
		if (i % 16 == 15)
			set_hop_limit(w, 64);
		show(w, TO_GUEST);
	}
}

static void show_fragments(struct world *w, show_frame *show)
{
	static const uint8_t protocols[] = { 6, 17, 58, 60, 50 };
	for (uint32_t i = 0; i < 4000; i++) {
		put_packet6(w, GUEST_SLAAC, GLOBAL_IP6, protocols[i % 5], 1 + i % 33);
		insert_fragment(w, i % 2 ? i / 2 % 8 * 8 : i * 8 % 65536, i / 2 % 2 != 0);
		show_both_ways(w, show);
	}
}

void show_all_frames6(struct world *w, show_frame *show)
{
	show_neighbors(w, show);
	show_headers(w, show);
	show_destinations(w, show);
	show_listeners_and_clients(w, show);
	show_fragments(w, show);
}
