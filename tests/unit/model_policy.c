/* The model of model_policy.h. It shares nothing with core/policy/policy.c but the structs. */
#include <setjmp.h>
#include <stdarg.h>

#include "core/policy/special.h"
#include "model_policy.h"
#include "world.h"

#include <cmocka.h>

static bool model_covers(struct address prefix, uint32_t length, struct address a)
{
	for (uint32_t bit = 0; bit < length; bit++) {
		uint64_t x = bit < 64 ? prefix.high : prefix.low, y = bit < 64 ? a.high : a.low;
		if ((x >> (63 - bit % 64) & 1) != (y >> (63 - bit % 64) & 1))
			return false;
	}
	return length >= 96 || !is_ipv4(a); /* a short prefix of IPv6 says nothing of IPv4 */
}

uint8_t model_special(struct address a)
{
	int longest = -1;
	uint8_t class = CLASS_NONE;
	for (uint32_t i = 0; i < SPECIAL_PURPOSE_COUNT; i++)
		if (special_purpose[i].prefix_length > longest &&
		    model_covers(special_purpose[i].address, special_purpose[i].prefix_length, a)) {
			longest = special_purpose[i].prefix_length;
			class = special_purpose[i].class;
		}
	return class;
}

bool model_has_ports(uint8_t protocol)
{
	return protocol == TCP || protocol == UDP || protocol == SCTP;
}

static bool holds_target(const struct rule *r, struct address peer, uint32_t aliases)
{
	if (r->alias == ALIAS_NONE)
		return model_covers(r->address, r->prefix_length, peer);
	if (r->alias == ALIAS_GLOBAL && model_special(peer) != CLASS_GLOBAL)
		return false;
	return (aliases >> r->alias & 1) != 0;
}

static bool holds_protocol(const struct qualifier *q, uint8_t protocol)
{
	if (!q->has_protocol)
		return !q->has_ports || protocol == TCP || protocol == UDP;
	return protocol == q->protocol || (q->protocol == ICMP4 && protocol == ICMP6);
}

bool model_holds(const struct rule *r, const struct contact *c, uint32_t aliases)
{
	return (r->directions & (c->inward ? INWARD : OUTWARD)) != 0 && holds_target(r, c->peer, aliases) &&
	       holds_protocol(&r->only, c->protocol) &&
	       (!r->only.has_ports || (c->port >= r->only.first_port && c->port <= r->only.last_port));
}

static uint32_t breadth_of(const struct qualifier *q)
{
	uint32_t ports = q->has_ports ? q->last_port - q->first_port + 1u : 65536;
	if (!q->has_protocol)
		return q->has_ports ? 2 * ports : 3 * 65536 + 253;
	return model_has_ports(q->protocol) ? ports : 1;
}

static uint32_t place_of(const struct rule *r, struct address peer)
{
	if (r->alias == ALIAS_GLOBAL)
		return 2 * (is_ipv4(peer) ? 96 : 0) + 1;
	return 2 * (r->alias == ALIAS_NONE ? r->prefix_length : 128u);
}

struct model_ruling model_of(const struct rule *rule, uint32_t count, const struct contact *c, uint32_t aliases)
{
	struct model_ruling best = { .class = CLASS_NONE };
	for (uint32_t i = 0; i < count; i++) {
		struct model_ruling m = { rule[i].class, place_of(&rule[i], c->peer), breadth_of(&rule[i].only) };
		if (!model_holds(&rule[i], c, aliases))
			continue;
		if (best.class == CLASS_NONE || m.place > best.place ||
		    (m.place == best.place && m.breadth < best.breadth) ||
		    (m.place == best.place && m.breadth == best.breadth && m.class == CLASS_BLOCKED))
			best = m;
	}
	return best;
}

uint32_t model_ports(const struct rule *rule, uint32_t count, uint16_t port[MODEL_PORTS_MAX])
{
	uint32_t n = 0;
	port[n++] = 0;
	port[n++] = 65535;
	for (uint32_t i = 0; i < count; i++) {
		if (!rule[i].only.has_ports)
			continue;
		assert_true(n + 4 <= MODEL_PORTS_MAX);
		port[n++] = (uint16_t)(rule[i].only.first_port - 1);
		port[n++] = rule[i].only.first_port;
		port[n++] = rule[i].only.last_port;
		port[n++] = (uint16_t)(rule[i].only.last_port + 1);
	}
	return n;
}

uint32_t model_classes(const struct rule *rule, uint32_t count, const struct contact *c, uint32_t aliases)
{
	uint16_t port[MODEL_PORTS_MAX] = { 0 };
	uint32_t classes = 0, ports = model_has_ports(c->protocol) ? model_ports(rule, count, port) : 1;
	struct contact one = *c;
	for (uint32_t i = 0; i < ports; i++) {
		one.port = port[i];
		classes |= 1u << model_of(rule, count, &one, aliases).class;
	}
	return classes;
}

uint8_t random_protocol(void)
{
	static const uint8_t protocols[] = { TCP, TCP, UDP, UDP, SCTP, ESP, GRE, 103 };
	return protocols[next_random() % sizeof protocols];
}

static struct qualifier random_qualifier(void)
{
	static const uint8_t named[] = { TCP, TCP, UDP, SCTP };
	struct qualifier q = { 0 };
	uint32_t kind = next_random() % 8;
	if (kind < 2)
		return q;
	q.has_protocol = kind > 3;
	q.has_ports = kind != 7;
	if (q.has_protocol)
		q.protocol = q.has_ports         ? named[next_random() % sizeof named]
			     : next_random() % 4 ? random_protocol()
						 : ICMP4;
	if (q.has_ports) {
		q.first_port = (uint16_t)(1 + next_random() % 12);
		if (next_random() % 16 == 0)
			q.first_port = (uint16_t)(65535 - next_random() % 3);
		q.last_port = q.first_port;
		if (next_random() % 2)
			q.last_port = (uint16_t)(next_random() % 8 == 0 || q.first_port > 60000
						     ? 65535
						     : q.first_port + next_random() % 8);
	}
	return q;
}

static struct address random_prefix(uint8_t *length)
{
	if (next_random() % 2) {
		*length = (uint8_t)(next_random() % 5 == 0 ? 96 : 96 + next_random() % 33);
		return address_of_ipv4(next_random() % 3 ? next_random() & 0xc0010003 : next_random());
	}
	*length = (uint8_t)(next_random() % 5 == 0 ? 0 : next_random() % 129);
	uint64_t low = (uint64_t)next_random() << 32 | next_random();
	if (next_random() % 4 == 0)
		return (struct address){ low, low };
	return (struct address){ 0x2600000000000000ULL | (next_random() & 3), low & 0x8000000000000003ULL };
}

struct rule random_rule(void)
{
	struct rule r = { .class = next_random() % 2 ? CLASS_ALLOWED : CLASS_BLOCKED,
			  .only = random_qualifier(),
			  .directions = (uint8_t)(1 + next_random() % 3) };
	if (next_random() % 5 == 0)
		r.alias = (uint8_t)(1 + next_random() % (ALIASES - 1));
	else
		r.address = random_prefix(&r.prefix_length);
	return r;
}

/* Mostly in or next to what some rule names. */
struct address random_peer(const struct rule *rule, uint32_t count)
{
	uint8_t length;
	struct address a = random_prefix(&length);
	if (count > 0 && next_random() % 4) {
		const struct rule *r = &rule[next_random() % count];
		if (r->alias == ALIAS_NONE)
			a = r->address;
		if (next_random() % 2)
			a.low ^= 1ULL << next_random() % (is_ipv4(a) ? 32 : 64);
	}
	return a;
}
