/* Targets, then qualifiers, then directions. */
#include "softnet/rules/rule_overlap.h"
#include "core/wire/ipv4.h"

static uint32_t shortest(struct address address)
{
	return is_ipv4(address) ? 96 : 0;
}

static bool is_prefix_inside(const struct rule_text *outer, const struct rule_text *inner)
{
	return inner->prefix_length >= outer->prefix_length && is_ipv4(inner->address) == is_ipv4(outer->address) &&
	       same_address(mask_address(inner->address, outer->prefix_length), outer->address);
}

static bool is_in_lan(const struct rule_text *inner)
{
	struct rule_text lan = { .target = TARGET_PREFIX };
	for (int i = 0; i < LAN_PREFIXES; i++)
		if (parse_prefix(lan_prefixes[i], &lan.address, &lan.prefix_length) && is_prefix_inside(&lan, inner))
			return true;
	return false;
}

static bool is_inside(const struct rule_text *outer, const struct rule_text *inner)
{
	switch (outer->target) {
	case TARGET_ANY:
		return true;
	case TARGET_PREFIX:
		return inner->target == TARGET_PREFIX ? is_prefix_inside(outer, inner)
						      : outer->prefix_length <= shortest(outer->address);
	case TARGET_LAN:
		return inner->target == TARGET_LAN || (inner->target == TARGET_PREFIX && is_in_lan(inner));
	case TARGET_GLOBAL:
		return inner->target == TARGET_GLOBAL || (inner->target == TARGET_PREFIX && !is_in_lan(inner));
	case TARGET_HOST:
	case TARGET_GATEWAY:
	case TARGET_DNS:
	case TARGET_NAME:
	case TARGET_VM:
		break;
	}
	return outer->target == inner->target && outer->target != TARGET_NAME && outer->target != TARGET_VM;
}

/* Ports without a protocol are those of TCP and UDP. */
static bool share_protocol(const struct rule_text *a, const struct rule_text *b)
{
	if (a->has_protocol && b->has_protocol)
		return a->protocol == b->protocol;
	const struct rule_text *with = a->has_protocol ? a : b, *without = a->has_protocol ? b : a;
	return !with->has_protocol || !without->has_ports || with->protocol == PROTOCOL_TCP ||
	       with->protocol == PROTOCOL_UDP;
}

static bool share_ports(const struct rule_text *a, const struct rule_text *b, struct rule_text *both)
{
	both->has_protocol = a->has_protocol || b->has_protocol;
	both->protocol = a->has_protocol ? a->protocol : b->protocol;
	both->has_ports = a->has_ports || b->has_ports;
	both->first_port = a->has_ports && (!b->has_ports || a->first_port > b->first_port) ? a->first_port
											    : b->first_port;
	both->last_port = a->has_ports && (!b->has_ports || a->last_port < b->last_port) ? a->last_port : b->last_port;
	return share_protocol(a, b) && (!both->has_ports || both->first_port <= both->last_port);
}

static bool share_direction(const struct rule_text *a, const struct rule_text *b, struct rule_text *both)
{
	both->direction = a->direction != WITHOUT_DIRECTION ? a->direction : b->direction;
	return a->direction == b->direction || a->direction == WITHOUT_DIRECTION || b->direction == WITHOUT_DIRECTION;
}

static uint32_t find_overlap(const struct rule_text *outer, const struct rule_text *inner, struct rule_text *both)
{
	*both = *inner;
	return is_inside(outer, inner) && share_ports(outer, inner, both) && share_direction(outer, inner, both);
}

uint32_t find_overlaps(const struct rule_text *outer, const struct rule_text *inner, struct rule_text both[LAN_PREFIXES])
{
	struct rule_text part = *inner;
	uint32_t count = 0;
	if (inner->target != TARGET_LAN || outer->target != TARGET_PREFIX)
		return find_overlap(outer, inner, both);
	part.target = TARGET_PREFIX;
	for (int i = 0; i < LAN_PREFIXES; i++)
		if (parse_prefix(lan_prefixes[i], &part.address, &part.prefix_length))
			count += find_overlap(outer, &part, &both[count]);
	return count;
}
