/*
 * Duplicate address detection as the guard sees it: first come, first served (RFC 6620), but only by a claim that others
 * could contradict.
 */
#include "core/learn4/lease.h"
#include "core/learn6/lease6.h"
#include "core/learn6/snoop_nd.h"
#include "core/judge/own6.h"
#include "core/made/question.h"

#include <stddef.h>

enum {
	ROUTER_QUESTIONS = 3,
	ROUTER_QUESTION_MS = 4000, /* RFC 4861 10 */
	ROUTER_QUESTION_LATER_MS = 60000
};

bool has_good_checksum6(const struct frame *frame, const struct ipv6 *ip, uint8_t protocol)
{
	struct reader addresses = read_from(frame, ETHERNET_HEADER + 8, ETHERNET_HEADER + IPV6_HEADER);
	struct reader message = read_from(frame, ip->payload, ip->end);
	uint64_t sum = payload_octets6(ip) + protocol;
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

bool parse_nd_frame(const struct frame *frame, struct ethernet *eth, struct ipv6 *ip, struct nd *nd)
{
	return parse_ethernet(frame, eth) && parse_ipv6(frame, ETHERNET_HEADER, ip) && parse_nd(frame, ip, nd) &&
	       has_good_checksum6(frame, ip, PROTOCOL_ICMP6);
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

/* The judge has found nothing against the address but that the guest does not hold it yet. asks: the guard itself claims it. */
static enum verdict claim(struct guard *s, struct address a, bool asks, uint64_t now_ms)
{
	uint8_t question[QUESTION_MAX];
	uint64_t expires_ms = end_of_prefix(s->state, a, now_ms);
	if (expires_ms == 0)
		return DROP_ND_PREFIX_UNKNOWN;
	if (!may_spend(s, RATE_OF_NEW_ADDRESS, now_ms))
		return DROP_BINDING_CHURN;
	if (s->claim && !s->claim(s->context, a))
		return DROP_BINDING_CLAIMED;
	enum origin6 origin = is_link_local(a) ? ORIGIN_LINK_LOCAL : ORIGIN_SLAAC;
	bool asked = !asks || !s->ask || s->ask(s->context, question, make_dad_question(s->config->vm_mac, a, question));
	struct binding6 *b = asked ? bind_address6(s, a, origin, expires_ms, now_ms) : NULL;
	if (b) {
		report6(s, EVENT_LEASE_NEW, b, origin == ORIGIN_LINK_LOCAL ? "link-local" : "slaac");
		return PASS;
	}
	if (s->release)
		s->release(s->context, a);
	return asked ? DROP_BINDING_LIMIT : DROP_IP6_SRC_UNBOUND;
}

enum verdict snoop_dad(struct guard *s, const struct frame *frame, uint64_t now_ms)
{
	struct ethernet eth;
	struct ipv6 ip;
	struct nd nd;
	if (!parse_nd_frame(frame, &eth, &ip, &nd))
		return DROP_ND_MALFORMED;
	return claim(s, nd.target, false, now_ms);
}

/* RFC 4861 6.3.7: three, 4 s apart; then now and then, for a guest that goes on. */
void ask_for_router(struct guard *s, uint64_t now_ms)
{
	struct router_question *q = &s->state->ipv6.router_question;
	uint8_t question[QUESTION_MAX];
	uint64_t interval_ms = q->count < ROUTER_QUESTIONS ? ROUTER_QUESTION_MS : ROUTER_QUESTION_LATER_MS;
	if (q->asked_ms != 0 && now_ms < q->asked_ms + interval_ms)
		return;
	q->asked_ms = now_ms;
	q->count++;
	if (s->ask)
		s->ask(s->context, question, make_router_question(s->config->vm_mac, question));
}

/*
 * The guest uses an address that the guard has not seen it claim. The frame is lost; in the guest's name the guard asks who
 * has the address, as the guest would, and holds it as the guest's when nobody objects (RFC 6620 3.2.3).
 */
enum verdict snoop_unbound(struct guard *s, const struct frame *frame, uint64_t now_ms)
{
	struct ipv6 ip;
	if (!parse_ipv6(frame, ETHERNET_HEADER, &ip))
		return DROP_IP6_MALFORMED;
	if (end_of_prefix(s->state, ip.source, now_ms) == 0) {
		ask_for_router(s, now_ms);
		return DROP_IP6_SRC_UNBOUND;
	}
	enum verdict verdict = claim(s, ip.source, true, now_ms);
	return verdict == PASS ? DROP_IP6_SRC_UNBOUND : verdict;
}

/*
 * A neighbor holds the address (RFC 4862 5.4.4), or is doing DAD for it (5.4.3). Of two that do, both give way; but only
 * while the guest's is surely not over, as what it took for its own by then would be lost to it without a word.
 */
enum verdict snoop_nd_conflict(struct guard *s, const struct frame *frame, uint64_t now_ms)
{
	struct ethernet eth;
	struct ipv6 ip;
	struct nd nd;
	if (!parse_nd_frame(frame, &eth, &ip, &nd))
		return DROP_ND_MALFORMED;
	struct binding6 *b = find_lease6(s->state, nd.target);
	bool dad = is_dad(&nd, &ip);
	if (dad)
		remember6(s->state->ipv6.claims, NEIGHBOR_CLAIMS_MAX, nd.target, now_ms + NEIGHBOR_CLAIM_MS);
	if (b && now_ms < (dad ? b->valid_ms : b->conflict_ms) && b->origin != ORIGIN_DHCP) {
		remember_lost(&s->state->ipv6, b->address, now_ms + LOST_CLAIM_MS);
		remove_lease6(s, b, "claimed by another host", now_ms);
	}
	return PASS;
}
