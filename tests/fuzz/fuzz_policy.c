/*
 * Any list of rules against a reading of docs/policy.md that walks over all of them: the longest prefix, then the narrower
 * qualifier, then block. Each twelve octets are a rule, and a contact beside what that rule names. Run by `make fuzz`.
 */
#include <stdlib.h>

#include "core/policy/policy.h"
#include "core/wire/ipv6.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { OCTETS = 12, MOST = 300, EVERY_PROTOCOL = 1 << 24 };
enum {
	ALLOWS = 1,
	IS_OUTWARD = 2,
	IS_INWARD = 4,
	HAS_PROTOCOL = 8,
	HAS_PORTS = 16,
	OF_IPV4 = 32,
	IS_NEAR = 64,
	IS_LOW = 128
};

static struct rule rules[MOST];
static struct contact contacts[MOST];

static uint32_t number_at(const uint8_t *octets)
{
	return (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 | octets[3];
}

/* A bit of the address before, or one of its own. */
static struct address read_address(const uint8_t *octets, struct address before)
{
	uint32_t bits = number_at(octets + 8);
	if (octets[0] & IS_NEAR) {
		uint64_t *half = bits & 64 && !is_ipv4(before) ? &before.high : &before.low;
		*half ^= 1ULL << (bits & (is_ipv4(before) ? 31 : 63));
		return before;
	}
	if (octets[0] & OF_IPV4)
		return address_of_ipv4(bits);
	return octets[0] & IS_LOW ? (struct address){ 0x20010db800000000ULL, bits }
				  : (struct address){ 0x2000000000000000ULL | (uint64_t)bits << 8, 0 };
}

static void read_rule(const uint8_t *octets, uint16_t number)
{
	struct address before = number > 0 ? contacts[number - 1].peer : (struct address){ 0, 0 };
	struct address a = read_address(octets, before);
	uint16_t first = (uint16_t)(octets[4] << 8 | octets[5]), width = (uint16_t)(octets[6] << 8 | octets[7]);
	uint8_t flags = octets[0];
	rules[number] = (struct rule){
		.address = a,
		.prefix_length = (uint8_t)(is_ipv4(a) ? 96 + octets[1] % 33 : octets[1] % 129),
		.class = flags & ALLOWS ? CLASS_ALLOWED : CLASS_BLOCKED,
		.directions = flags & (IS_OUTWARD | IS_INWARD) ? flags >> 1 & 3 : OUTWARD | INWARD,
		.only = { flags & HAS_PROTOCOL ? 1 : 0, octets[2], flags & HAS_PORTS ? 1 : 0, 0, first,
			  (uint16_t)(first > 65535 - width ? 65535 : first + width) },
		.origin = number,
	};
	contacts[number] = (struct contact){ .peer = a,
					     .protocol = flags & HAS_PROTOCOL ? octets[2] : PROTOCOL_TCP,
					     .inward = flags >> 2 & 1,
					     .port = (uint16_t)(first + octets[3] - 128) };
}

static bool is_in(const struct rule *r, struct address a)
{
	for (uint32_t bit = 0; bit < r->prefix_length; bit++) {
		uint64_t differ = bit < 64 ? r->address.high ^ a.high : r->address.low ^ a.low;
		if (differ >> (63 - bit % 64) & 1)
			return false;
	}
	return r->prefix_length >= 96 || !is_ipv4(a);
}

static bool is_about(const struct rule *r, const struct contact *c)
{
	const struct qualifier *q = &r->only;
	bool is_protocol = q->has_protocol ? c->protocol == q->protocol ||
						 (q->protocol == PROTOCOL_ICMP && c->protocol == PROTOCOL_ICMP6)
					   : !q->has_ports || c->protocol == PROTOCOL_TCP || c->protocol == PROTOCOL_UDP;
	return is_protocol && (r->directions & (c->inward ? INWARD : OUTWARD)) && is_in(r, c->peer) &&
	       (!q->has_ports || (c->port >= q->first_port && c->port <= q->last_port));
}

/* Pairs of protocol and port: PROTOCOL_ICMP means both ICMPs, ports alone those of TCP and UDP. */
static uint32_t breadth_of(const struct rule *r)
{
	uint32_t ports = r->only.has_ports ? r->only.last_port - r->only.first_port + 1u : 65536;
	if (!r->only.has_protocol)
		return r->only.has_ports ? 2 * ports : EVERY_PROTOCOL;
	return r->only.protocol == PROTOCOL_ICMP ? 2 * ports : ports;
}

/* The greatest decides. */
static uint64_t strength_of(const struct rule *r)
{
	return (uint64_t)r->prefix_length << 32 | (uint64_t)(EVERY_PROTOCOL - breadth_of(r)) << 1 |
	       (r->class == CLASS_BLOCKED);
}

static void check(const struct policy *policy, uint32_t count, const struct contact *c)
{
	const struct rule *best = NULL;
	struct ruling got = rule_on(policy, c, 0);
	for (uint32_t i = 0; i < count; i++)
		if (is_about(&rules[i], c) && (!best || strength_of(&rules[i]) > strength_of(best)))
			best = &rules[i];
	if (got.class != (best ? best->class : CLASS_NONE))
		abort();
	if (best && got.prefix_length != best->prefix_length)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct policy policy;
	uint32_t count = 0;
	for (; count < MOST && n >= OCTETS; data += OCTETS, n -= OCTETS)
		read_rule(data, (uint16_t)count++);
	if (!compile_policy(&policy, rules, count))
		abort();
	for (uint32_t i = 0; i < count; i++)
		check(&policy, count, &contacts[i]);
	return 0;
}
