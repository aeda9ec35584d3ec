/* Where a guest may send to in IPv6: special-purpose blocks, groups, translators, sites, rules and aliases. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include "test_judge6.h"

#include <cmocka.h>

static void send_to(struct address to, enum verdict wanted, int line)
{
	put_udp6(&w, GUEST_PRIVACY, to, 4000, 4000, 4);
	expect_verdict(&w, from_guest(&w), wanted, __FILE__, line);
}
#define SENT_TO(high, low, wanted) send_to(ADDRESS6(high, low), wanted, __LINE__)

static void send_to_port(struct address to, uint16_t port, enum verdict wanted, int line)
{
	put_udp6(&w, GUEST_PRIVACY, to, 4000, port, 4);
	expect_verdict(&w, from_guest(&w), wanted, __FILE__, line);
}

static struct rule kept[16];
static uint32_t kept_count;
static enum destination_class class_of_alias[ALIASES];

static void set_policy(void)
{
	struct rule copy[16 + ALIASES];
	uint32_t count = kept_count;
	memcpy(copy, kept, kept_count * sizeof *kept);
	for (uint8_t i = 0; i < ALIASES; i++)
		if (class_of_alias[i] != CLASS_NONE)
			copy[count++] =
			    (struct rule){ .alias = i, .class = (uint8_t)class_of_alias[i], .directions = OUTWARD };
	assert_true(compile_policy(&w.config.policy, copy, count));
}

/* Rules of prefixes alone: aliases are forgotten. */
static void set_rules(const struct rule *rules, uint32_t count)
{
	if (count > 0)
		memcpy(kept, rules, count * sizeof *rules);
	memset(class_of_alias, 0, sizeof class_of_alias);
	kept_count = count;
	set_policy();
}

static void set_alias(enum alias alias, enum destination_class class)
{
	class_of_alias[alias] = class;
	set_policy();
}

struct block {
	uint64_t high, low;
	uint32_t length;
	enum verdict wanted;
};

/* IANA's registries of special-purpose addresses and of multicast, and RFC 4291; the longest prefix counts. */
static const struct block blocks[] = {
	{ 0, 0, 0, DROP_DST_PRIVATE },
	{ 0, 0, 96, DROP_DST_INVALID },
	{ 0, 0xffff00000000, 96, DROP_DST_INVALID },
	{ 0x0064ff9b00000000, 0, 96, DROP_DST_NAT64_PRIVATE }, /* its first and last: 0.0.0.0 and 255.255.255.255 */
	{ 0x0064ff9b00010000, 0, 48, DROP_DST_PRIVATE },
	{ 0x0100000000000000, 0, 64, DROP_DST_PRIVATE },
	{ 0x0100000000000001, 0, 64, DROP_DST_PRIVATE },
	{ 0x2000000000000000, 0, 3, PASS },
	{ 0x2001000000000000, 0, 23, DROP_DST_PRIVATE },
	{ 0x2001000000000000, 0, 32, DROP_DST_PRIVATE }, /* Teredo */
	{ 0x2001000100000000, 1, 128, PASS },
	{ 0x2001000100000000, 2, 128, PASS },
	{ 0x2001000100000000, 3, 128, PASS },
	{ 0x2001000200000000, 0, 48, DROP_DST_PRIVATE },
	{ 0x2001000300000000, 0, 32, PASS },
	{ 0x2001000401120000, 0, 48, PASS },
	{ 0x2001001000000000, 0, 28, DROP_DST_PRIVATE },
	{ 0x2001002000000000, 0, 28, PASS },
	{ 0x2001003000000000, 0, 28, PASS },
	{ 0x20010db800000000, 0, 32, DROP_DST_PRIVATE },
	{ 0x2002000000000000, 0, 16, DROP_DST_PRIVATE },
	{ 0x2620004f80000000, 0, 48, PASS },
	{ 0x3fff000000000000, 0, 20, DROP_DST_PRIVATE },
	{ 0x5f00000000000000, 0, 16, DROP_DST_PRIVATE },
	{ 0xfc00000000000000, 0, 7, DROP_DST_PRIVATE },
	{ 0xfe80000000000000, 0, 10, DROP_DST_PRIVATE },
	{ 0xfec0000000000000, 0, 10, DROP_DST_PRIVATE },
	{ 0xff00000000000000, 0, 8, DROP_DST_MULTICAST },
};

static struct address mask_of(uint32_t length)
{
	struct address mask = { 0, 0 };
	for (uint32_t bit = 0; bit < length; bit++)
		*(bit < 64 ? &mask.high : &mask.low) |= 1ULL << (63 - bit % 64);
	return mask;
}

static enum verdict verdict_of_address(struct address a)
{
	enum verdict wanted = DROP_DST_PRIVATE;
	uint32_t longest = 0;
	for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
		struct address mask = mask_of(blocks[i].length);
		bool inside = (a.high & mask.high) == blocks[i].high && (a.low & mask.low) == blocks[i].low;
		if (inside && blocks[i].length >= longest) {
			longest = blocks[i].length;
			wanted = blocks[i].wanted;
		}
	}
	return wanted;
}

/* G1, G3, G8, G10 */
void special_purpose_blocks(void **state)
{
	(void)state;
	bound6();
	set_rules(NULL, 0);
	for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
		struct address mask = mask_of(blocks[i].length), first = { blocks[i].high, blocks[i].low };
		struct address last = { first.high | ~mask.high, first.low | ~mask.low };
		struct address before = { first.high - (first.low == 0), first.low - 1 };
		struct address behind = { last.high + (last.low == UINT64_MAX), last.low + 1 };
		const struct address edges[] = { before, first, last, behind };
		for (int e = 0; e < 4; e++)
			send_to(edges[e], verdict_of_address(edges[e]), __LINE__);
	}
	SENT_TO(LOCAL_PREFIX, GUEST_PRIVACY.low, DROP_DST_INVALID);
	SENT_TO(LOCAL_PREFIX, GUEST_ID, DROP_DST_INVALID);
	SENT_TO(LINK_LOCAL_PREFIX, GUEST_ID, DROP_DST_INVALID);
	assert_int_equal(solicit_dad(&w, ADDRESS6(LOCAL_PREFIX, 77)), PASS);
	SENT_TO(LOCAL_PREFIX, 77, DROP_DST_INVALID); /* tentative */
	set_alias(ALIAS_GLOBAL, CLASS_BLOCKED);
	send_to(GLOBAL_IP6, DROP_DST_BLOCKED, __LINE__);
	SENT_TO(0xfd00000000000000, 1, DROP_DST_PRIVATE);
}

/* G3 */
void scopes_of_groups(void **state)
{
	(void)state;
	bound6();
	for (uint32_t octet = 0; octet < 256; octet++) {
		SENT_TO(0xff00000000000000ULL | (uint64_t)octet << 48, 0x1234, DROP_DST_MULTICAST);
		put_udp6(&w, GUEST_PRIVACY, ADDRESS6(0xff00000000000000ULL | (uint64_t)octet << 48, 0xfb), 5353, 5353, 4);
		GUEST_SENDS(octet == 2 ? PASS : DROP_DST_MULTICAST);
	}
	put_udp6(&w, GUEST_PRIVACY, MDNS_GROUP, 5353, 53, 4);
	GUEST_SENDS(DROP_DST_MULTICAST);
	put_udp6(&w, GUEST_PRIVACY, MDNS_GROUP, 4000, 5353, 4);
	GUEST_SENDS(DROP_DST_MULTICAST);
	put_packet6(&w, GUEST_PRIVACY, MDNS_GROUP, 6, 20);
	w.frame[54] = w.frame[56] = 5353 >> 8;
	w.frame[55] = w.frame[57] = 5353 & 0xff;
	GUEST_SENDS(DROP_DST_MULTICAST);
	put_icmp6(&w, GUEST_PRIVACY, NODES_GROUP, ECHO, 8);
	GUEST_SENDS(DROP_DST_MULTICAST);
}

/* RFC 6052 2.2, by octets: octet 8 is left out. */
static struct address translated(struct address prefix, uint32_t bits, uint32_t ipv4)
{
	uint8_t octets[16];
	for (uint32_t i = 0; i < 16; i++)
		octets[i] = (uint8_t)((i < 8 ? prefix.high >> (56 - 8 * i) : prefix.low >> (120 - 8 * i)));
	for (uint32_t i = 0, at = bits / 8; i < 4; i++, at++) {
		if (at == 8)
			at++;
		octets[at] = (uint8_t)(ipv4 >> (24 - 8 * i));
	}
	struct address a = { 0, 0 };
	for (uint32_t i = 0; i < 8; i++) {
		a.high = a.high << 8 | octets[i];
		a.low = a.low << 8 | octets[i + 8];
	}
	return a;
}

/* docs/filter.md, Destinations, for one who holds no IPv4 address; 0.0.0.0/0 is global except for these. */
static const struct {
	uint32_t ipv4;
	enum verdict wanted;
} behind_translators[] = {
	{ 0x01010101, PASS },
	{ 0x08080808, PASS },
	{ 0xdfffffff, PASS },
	{ 0xc0a84001, PASS }, /* the host */
	{ 0x00000000, DROP_DST_NAT64_PRIVATE },
	{ 0x00ffffff, DROP_DST_NAT64_PRIVATE },
	{ 0x01000000, PASS },
	{ 0x0a000000, DROP_DST_NAT64_PRIVATE },
	{ 0x0affffff, DROP_DST_NAT64_PRIVATE },
	{ 0x0b000000, PASS },
	{ 0x64400000, DROP_DST_NAT64_PRIVATE },
	{ 0x7f000001, DROP_DST_NAT64_PRIVATE },
	{ 0xa9fea9fe, DROP_DST_NAT64_PRIVATE },
	{ 0xac100001, DROP_DST_NAT64_PRIVATE },
	{ 0xac200000, PASS },
	{ 0xc0000201, DROP_DST_NAT64_PRIVATE },
	{ 0xc0a8400b, DROP_DST_NAT64_PRIVATE },
	{ 0xc6120001, DROP_DST_NAT64_PRIVATE },
	{ 0xe00000fb, DROP_DST_NAT64_PRIVATE },
	{ 0xefffffff, DROP_DST_NAT64_PRIVATE },
	{ 0xf0000000, DROP_DST_NAT64_PRIVATE },
	{ 0xffffffff, DROP_DST_NAT64_PRIVATE },
};

static void send_behind(struct address prefix, uint32_t bits)
{
	for (size_t i = 0; i < sizeof behind_translators / sizeof behind_translators[0]; i++)
		send_to(translated(prefix, bits, behind_translators[i].ipv4), behind_translators[i].wanted, __LINE__);
}

/* G4: the well-known prefix, prefixes of every length that the operator names, and those that a router announces */
void translated_addresses(void **state)
{
	(void)state;
	static const uint32_t lengths[] = { 32, 40, 48, 56, 64, 96 };
	const struct address base = ADDRESS6(0x2a0e123400a5b6c7ULL, 0x0011223300000000ULL);
	bound6();
	send_behind(ADDRESS6(0x0064ff9b00000000ULL, 0), 96);
	SENT_TO(0x0064ff9b00000000, 0x10a000001, DROP_DST_PRIVATE); /* no longer in the /96 */
	for (size_t i = 0; i < 6; i++) {
		struct address mask = mask_of(lengths[i]);
		struct address prefix = { base.high & mask.high, base.low & mask.low };
		bound6();
		send_to(translated(prefix, lengths[i], 0x0a000001), PASS, __LINE__); /* any global address, so far */
		w.config.nat64.item[0] = (struct nat64_prefix){ .prefix = prefix, .length = lengths[i] };
		w.config.nat64.count = 1;
		send_behind(prefix, lengths[i]);
		bound6();
		put_ra(&w,
		       &(struct ra_spec){ .router_s = 1800, .nat64 = prefix, .nat64_bits = lengths[i], .nat64_s = 1800 });
		GUEST_GETS(PASS);
		send_behind(prefix, lengths[i]);
	}
}

/* G2, G4 */
void rules_and_translators(void **state)
{
	(void)state;
	const struct address well_known = { 0x0064ff9b00000000ULL, 0 };
	const struct address private = translated(well_known, 96, 0x0a000001);
	const struct address global = translated(well_known, 96, 0x01010101);
	bound6();
	for (uint8_t length = 0; length <= 128; length++) {
		const struct rule allow = { private, length, .class = CLASS_ALLOWED, .directions = OUTWARD },
				  block = { global, length, .class = CLASS_BLOCKED, .directions = OUTWARD };
		set_rules(&allow, 1);
		send_to(private, length < 96 ? DROP_DST_NAT64_PRIVATE : PASS, __LINE__);
		set_rules(&block, 1);
		send_to(global, DROP_DST_BLOCKED, __LINE__);
	}
	const struct rule ipv4[] = { { address_of_ipv4(0x0a000000), 104, .class = CLASS_ALLOWED, .directions = OUTWARD },
				     { address_of_ipv4(0x01010101), 128, .class = CLASS_BLOCKED, .directions = OUTWARD } };
	set_rules(ipv4, 2);
	send_to(private, PASS, __LINE__);
	send_to(global, DROP_DST_NAT64_PRIVATE, __LINE__);
	set_rules(ipv4, 0);
	set_alias(ALIAS_GLOBAL, CLASS_BLOCKED);
	send_to(global, DROP_DST_NAT64_PRIVATE, __LINE__);
}

/* G2 */
void rules_of_every_length(void **state)
{
	(void)state;
	const struct address private = ADDRESS6(0xfd77123456789abcULL, 0xdef0123456789abcULL);
	bound6();
	for (uint8_t length = 0; length <= 128; length++) {
		struct rule rules[] = { { private, length, .class = CLASS_ALLOWED, .directions = OUTWARD },
					{ private, (uint8_t)(length + 1), .class = CLASS_BLOCKED,
					  .directions = OUTWARD } };
		struct address other = private; /* differs in the first bit behind the prefix */
		*(length < 64 ? &other.high : &other.low) ^= length < 128 ? 1ULL << (63 - length % 64) : 0;
		set_rules(rules, 1);
		send_to(private, PASS, __LINE__);
		if (length < 128) {
			set_rules(rules, 2);
			send_to(private, DROP_DST_BLOCKED, __LINE__);
			bool group = other.high >> 56 == 0xff;
			if (!group)
				send_to(other, PASS, __LINE__);
		}
		rules[1].prefix_length = length; /* block wins over an equal allow */
		set_rules(rules, 2);
		send_to(private, DROP_DST_BLOCKED, __LINE__);
	}
	const struct rule all = { { 0, 0 }, 0, .class = CLASS_ALLOWED, .directions = OUTWARD },
			  none = { { 0, 0 }, 0, .class = CLASS_BLOCKED, .directions = OUTWARD };
	set_rules(&all, 1);
	SENT_TO(0xfd00000000000000, 1, PASS);
	SENT_TO(0xff02000000000000, 1, PASS);
	SENT_TO(0, 1, DROP_DST_INVALID); /* no rule opens these */
	SENT_TO(0, 0, DROP_DST_INVALID);
	send_to(address_of_ipv4(GLOBAL_IP), DROP_DST_INVALID, __LINE__);
	send_to(GUEST_SLAAC, DROP_DST_INVALID, __LINE__);
	set_rules(&none, 1);
	send_to(GLOBAL_IP6, DROP_DST_BLOCKED, __LINE__);
	send_to(ROUTER_LL, DROP_DST_BLOCKED, __LINE__);
	put_udp6(&w, GUEST_PRIVACY, MDNS_GROUP, 5353, 5353, 4);
	GUEST_SENDS(DROP_DST_BLOCKED);
	const struct rule ipv4_only = { address_of_ipv4(0), 96, .class = CLASS_ALLOWED, .directions = OUTWARD };
	set_rules(&ipv4_only, 1);
	SENT_TO(0xfd00000000000000, 1, DROP_DST_PRIVATE);
}

/* G2: aliases count at full length */
void aliases(void **state)
{
	(void)state;
	const struct address resolver = ADDRESS6(0xfd65000000000000ULL, 0x53);
	struct rule block = { resolver, 64, .class = CLASS_BLOCKED, .directions = OUTWARD };
	bound6();
	set_rules(NULL, 0);
	put_ra(&w, &(struct ra_spec){ .router_s = 1800, .resolver = resolver, .resolver_s = 600 });
	GUEST_GETS(PASS);
	send_to_port(resolver, 80, DROP_DST_PRIVATE, __LINE__);
	set_rules(&block, 1);
	send_to_port(resolver, 53, DROP_DST_BLOCKED, __LINE__);
	set_alias(ALIAS_DNS, CLASS_ALLOWED);
	send_to_port(resolver, 80, PASS, __LINE__);
	block.prefix_length = 128;
	set_rules(&block, 1);
	set_alias(ALIAS_DNS, CLASS_ALLOWED);
	send_to_port(resolver, 80, DROP_DST_BLOCKED, __LINE__);
	set_rules(&block, 0);
	set_alias(ALIAS_DNS, CLASS_BLOCKED);
	send_to_port(resolver, 53, DROP_DST_BLOCKED, __LINE__);
	send_to(ROUTER_LL, PASS, __LINE__);
	set_alias(ALIAS_GATEWAY, CLASS_BLOCKED);
	send_to(ROUTER_LL, DROP_DST_BLOCKED, __LINE__);
	set_alias(ALIAS_GATEWAY, CLASS_NONE);
	set_alias(ALIAS_HOST, CLASS_BLOCKED);
	send_to(ROUTER_LL, DROP_DST_BLOCKED, __LINE__);
	start_world6(&w, false);
	set_rules(NULL, 0);
	announce(&w, LOCAL_PREFIX);
	claim_address(&w, GUEST_PRIVACY);
	set_alias(ALIAS_HOST, CLASS_ALLOWED); /* nobody knows the host */
	send_to(ROUTER_LL, DROP_DST_PRIVATE, __LINE__);
	set_alias(ALIAS_GATEWAY, CLASS_ALLOWED);
	send_to(ROUTER_LL, PASS, __LINE__);
	w.now_ms += 1800 * 1000;
	send_to(ROUTER_LL, DROP_DST_PRIVATE, __LINE__); /* no next hop any more */
}

/* G7 */
void sites(void **state)
{
	(void)state;
	const uint64_t site = 0x2a02aaaabbbb0000ULL;
	const struct rule allow = { { site, 0 }, 48, .class = CLASS_ALLOWED, .directions = OUTWARD };
	bound6();
	set_rules(NULL, 0);
	SENT_TO(site | 7, 1, PASS);
	w.config.sites.item[w.config.sites.count++] = site;
	SENT_TO(site, 0, DROP_DST_LOCAL_NET);
	SENT_TO(site | 0xffff, UINT64_MAX, DROP_DST_LOCAL_NET);
	SENT_TO(site - 1, UINT64_MAX, PASS);
	SENT_TO(site + 0x10000, 0, PASS);
	set_alias(ALIAS_GLOBAL, CLASS_BLOCKED);
	SENT_TO(site, 0, DROP_DST_LOCAL_NET);
	set_alias(ALIAS_GLOBAL, CLASS_NONE);
	put_ra(&w, &(struct ra_spec){ .router_s = 1800, .resolver = ADDRESS6(site, 0x53), .resolver_s = 600 });
	GUEST_GETS(PASS);
	send_to_port(ADDRESS6(site, 0x53), 53, PASS, __LINE__);
	send_to_port(ADDRESS6(site, 0x53), 80, DROP_DST_LOCAL_NET, __LINE__);
	set_add(&w.config.host6, ADDRESS6(site, 1));
	SENT_TO(site, 1, PASS);
	set_rules(&allow, 1);
	SENT_TO(site, 2, PASS);
	bound6();
	announce(&w, site | 9); /* what a router announces tells the site, too */
	SENT_TO(site | 7, 1, DROP_DST_LOCAL_NET);
	SENT_TO(site + 0x10000, 1, PASS);
	announce(&w, 0xfd66000000000000ULL);
	SENT_TO(0xfd66000000000001, 1, DROP_DST_PRIVATE);
	for (uint32_t i = 0; i < SITES_MAX; i++)
		w.config.sites.item[i] = 0x2a03000000000000ULL + ((uint64_t)i << 16);
	w.config.sites.count = SITES_MAX;
	SENT_TO(0x2a03000000000000ULL + (31ULL << 16), 1, DROP_DST_LOCAL_NET);
	SENT_TO(0x2a03000000000000ULL + (32ULL << 16), 1, PASS);
}

/* G5, G6, G9 */
void hosts_routers_and_resolvers(void **state)
{
	(void)state;
	const struct address resolver = ADDRESS6(0xfd65000000000000ULL, 0x53);
	start_world6(&w, false);
	announce(&w, LOCAL_PREFIX);
	put_ra(&w, &(struct ra_spec){ .router_s = 1800, .resolver = resolver, .resolver_s = 600 });
	GUEST_GETS(PASS);
	claim_address(&w, GUEST_PRIVACY);
	send_to(ROUTER_LL, DROP_DST_PRIVATE, __LINE__);
	put_icmp6(&w, GUEST_LL, ROUTER_LL, ECHO, 8);
	GUEST_SENDS(PASS);
	put_icmp6(&w, GUEST_LL, ROUTER_LL, 3, 8);
	put_ipv6(&w, ROUTER_LL, GUEST_LL, 17, 64, 8); /* what it is about */
	w.frame[19] = 48;
	GUEST_SENDS(PASS);
	put_icmp6(&w, GUEST_LL, VICTIM_LL, ECHO, 8);
	GUEST_SENDS(DROP_DST_PRIVATE);
	send_to_port(resolver, 53, PASS, __LINE__);
	send_to_port(resolver, 54, DROP_DST_PRIVATE, __LINE__);
	put_packet6(&w, GUEST_PRIVACY, resolver, 6, 20);
	w.frame[57] = 53;
	GUEST_SENDS(PASS);
	put_packet6(&w, GUEST_PRIVACY, resolver, 136, 20); /* UDP-Lite is another protocol */
	w.frame[57] = 53;
	GUEST_SENDS(DROP_DST_PRIVATE);
	set_add(&w.config.resolvers6, ADDRESS6(0xfd65000000000000ULL, 0x54)); /* --dns is the last word */
	send_to_port(resolver, 53, DROP_DST_PRIVATE, __LINE__);
	send_to_port(ADDRESS6(0xfd65000000000000ULL, 0x54), 53, PASS, __LINE__);
	set_add(&w.config.host6, ADDRESS6(0xfd65000000000000ULL, 1));
	SENT_TO(0xfd65000000000000ULL, 1, PASS);
}
