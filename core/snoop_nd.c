/*
 * Duplicate address detection as the guard sees it: first come, first served (RFC 6620), but only by a claim that others
 * could contradict.
 */
#include "lease.h"
#include "lease6.h"
#include "ethernet.h"
#include "nd.h"
#include "own6.h"

#include <stddef.h>

static bool parse_nd_frame(const struct frame *frame, struct nd *nd)
{
	struct ethernet eth;
	struct ipv6 ip;
	return parse_ethernet(frame, &eth) && parse_ipv6(frame, ETHERNET_HEADER, &ip) && parse_nd(frame, &ip, nd);
}

/* An address lives as long as its prefix. */
static uint64_t end_of_prefix(const struct state *state, struct address a, uint64_t now_ms)
{
	if (is_link_local(a))
		return NEVER_EXPIRES;
	for (uint32_t i = 0; i < PREFIXES_MAX; i++) {
		const struct prefix6 *p = &state->ipv6.prefixes[i];
		if (is_live_prefix(p, now_ms) && p->autonomous && p->prefix.high == a.high)
			return p->expires_ms;
	}
	return 0;
}

/* The judge has found nothing against the address but that the guest does not hold it yet. */
enum verdict snoop_dad(struct snoop *s, const struct frame *frame, uint64_t now_ms)
{
	struct nd nd;
	if (!parse_nd_frame(frame, &nd))
		return DROP_ND_MALFORMED;
	uint64_t expires_ms = end_of_prefix(s->state, nd.target, now_ms);
	if (expires_ms == 0)
		return DROP_ND_PREFIX_UNKNOWN;
	if (!may_spend(s, RATE_OF_NEW_ADDRESS, now_ms))
		return DROP_BINDING_CHURN;
	if (s->claim && !s->claim(s->context, nd.target))
		return DROP_BINDING_CLAIMED;
	bool link_local = is_link_local(nd.target);
	struct binding6 *b = bind_address6(s, nd.target, link_local ? ORIGIN_LINK_LOCAL : ORIGIN_SLAAC, expires_ms, now_ms);
	if (b) {
		report6(s, EVENT_LEASE_NEW, b, link_local ? "link-local" : "slaac");
		return PASS;
	}
	if (s->release)
		s->release(s->context, nd.target);
	return DROP_BINDING_LIMIT;
}

/* A neighbor holds the address: RFC 4862 5.4.4. The guest gives it up, or must. */
enum verdict snoop_nd_conflict(struct snoop *s, const struct frame *frame, uint64_t now_ms)
{
	struct nd nd;
	if (!parse_nd_frame(frame, &nd))
		return DROP_ND_MALFORMED;
	struct binding6 *b = find_lease6(s->state, nd.target);
	if (b && now_ms < b->conflict_ms && b->origin != ORIGIN_DHCP)
		remove_lease6(s, b, "claimed by another host");
	return PASS;
}
