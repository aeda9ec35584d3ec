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

/* The sum over the pseudo-header and the message, RFC 8200 8.1. */
static bool has_good_checksum(const struct frame *frame, const struct ipv6 *ip)
{
	struct reader addresses = read_from(frame, ETHERNET_HEADER + 8, ETHERNET_HEADER + IPV6_HEADER);
	struct reader message = read_from(frame, ip->payload, ip->end);
	uint64_t sum = payload_octets6(ip) + PROTOCOL_ICMP6;
	while (octets_left(&addresses) > 0)
		sum += read_be16(&addresses);
	while (octets_left(&message) > 1)
		sum += read_be16(&message);
	if (octets_left(&message) > 0)
		sum += (uint64_t)read_u8(&message) << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* With a wrong checksum nobody listens: no objection would come, and none would be heard. */
static bool parse_nd_frame(const struct frame *frame, struct ipv6 *ip, struct nd *nd)
{
	struct ethernet eth;
	return parse_ethernet(frame, &eth) && parse_ipv6(frame, ETHERNET_HEADER, ip) && parse_nd(frame, ip, nd) &&
	       has_good_checksum(frame, ip);
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
	struct ipv6 ip;
	struct nd nd;
	if (!parse_nd_frame(frame, &ip, &nd))
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

static void remember_claim(struct state6 *state, struct address a, uint64_t now_ms)
{
	struct neighbor_claim *slot = &state->claims[0];
	for (uint32_t i = 0; i < NEIGHBOR_CLAIMS_MAX; i++) {
		if (same_address(state->claims[i].address, a)) {
			slot = &state->claims[i];
			break;
		}
		if (state->claims[i].until_ms < slot->until_ms)
			slot = &state->claims[i];
	}
	*slot = (struct neighbor_claim){ a, now_ms + NEIGHBOR_CLAIM_MS };
}

/*
 * A neighbor holds the address (RFC 4862 5.4.4), or is doing DAD for it (5.4.3). Of two that do, both give way; but only
 * while the guest's is surely not over, as what it took for its own by then would be lost to it without a word.
 */
enum verdict snoop_nd_conflict(struct snoop *s, const struct frame *frame, uint64_t now_ms)
{
	struct ipv6 ip;
	struct nd nd;
	if (!parse_nd_frame(frame, &ip, &nd))
		return DROP_ND_MALFORMED;
	struct binding6 *b = find_lease6(s->state, nd.target);
	bool dad = is_dad(&nd, &ip);
	if (dad)
		remember_claim(&s->state->ipv6, nd.target, now_ms);
	if (b && now_ms < (dad ? b->valid_ms : b->conflict_ms) && b->origin != ORIGIN_DHCP)
		remove_lease6(s, b, "claimed by another host");
	return PASS;
}
