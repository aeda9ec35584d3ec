/*
 * Routers that were learned and give way: docs/filter-ipv6.md, Trust anchors. A claim to a router's place makes the guard ask
 * for the router. One that lives answers, and nothing has happened. Of one that leaves every question unanswered the next
 * claim is believed. The questions are the guard's own, so the guest has no part in the evidence.
 */
#include "core/learn6/lease6.h"
#include "core/judge/own6.h"
#include "core/made/question.h"
#include "core/learn6/snoop_nd.h"
#include "core/judge/trust6.h"

#include <stddef.h>

enum {
	QUESTION_INTERVAL_MS = 1000, /* RetransTimer, RFC 4861 10 */
	SILENT_INTERVAL_MS = 4000,   /* for the successor: it may not have heard the last one */
	QUESTIONS_MAX = 8
};

/* The guest's own, so that the answer finds its way: one that it uses, else the one that is made from its MAC. */
static struct address source_of_questions(const struct guard *s, uint64_t now_ms)
{
	for (uint32_t i = 0; i < s->state->ipv6.bindings_end; i++) {
		const struct binding6 *b = &s->state->ipv6.bindings[i];
		if (is_link_local(b->address) && status_of(b, now_ms) == STATUS_VALID)
			return b->address;
	}
	return (struct address){ LINK_LOCAL_PREFIX, interface_id_of(s->config->vm_mac) };
}

static void ask_for(struct guard *s, struct router6 *r, uint64_t now_ms)
{
	uint8_t question[QUESTION_MAX];
	uint32_t length = make_neighbor_question(s->config->vm_mac, source_of_questions(s, now_ms), r->address, question);
	bool left = !s->ask || s->ask(s->context, question, length);
	r->asked_ms = now_ms;
	if (left) /* else silence tells nothing */
		r->questions++;
	if (r->questions == ROUTER_SILENT && s->ask) /* another router, which has another address, may be there */
		s->ask(s->context, question, make_router_question(s->config->vm_mac, question));
}

static void begin_doubt(struct guard *s, struct router6 *r, uint64_t now_ms)
{
	if (is_in_doubt6(r, now_ms))
		return;
	r->doubt_ms = now_ms;
	r->questions = 0;
	ask_for(s, r, now_ms);
}

void end_doubt6(struct router6 *r, uint64_t now_ms)
{
	if (r->questions > 0)
		r->doubt_ms = now_ms;
	r->questions = 0;
}

uint64_t continue_doubts6(struct guard *s, uint64_t now_ms)
{
	uint64_t next_ms = NEVER_EXPIRES;
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++) {
		struct router6 *r = &s->state->ipv6.routers[i];
		if (r->questions == 0 || r->questions >= QUESTIONS_MAX || !is_locked_router6(r, now_ms))
			continue;
		uint64_t due_ms =
		    r->asked_ms + (r->questions < ROUTER_SILENT ? QUESTION_INTERVAL_MS : SILENT_INTERVAL_MS);
		if (now_ms >= due_ms) {
			ask_for(s, r, now_ms);
			due_ms = now_ms + QUESTION_INTERVAL_MS;
		}
		if (due_ms < next_ms)
			next_ms = due_ms;
	}
	return next_ms;
}

static bool is_routers_mac(const struct config *config, uint64_t mac)
{
	return mac != MAC_NONE && mac != config->vm_mac && !mac_is_group(mac);
}

static struct router6 *locked_router(struct state6 *state, struct address a, uint64_t now_ms)
{
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++)
		if (is_locked_router6(&state->routers[i], now_ms) && same_address(state->routers[i].address, a))
			return &state->routers[i];
	return NULL;
}

static void take_macs(struct guard *s, struct router6 *r, uint64_t mac, uint64_t link_address)
{
	struct event event = {
		.kind = EVENT_GATEWAY_LEARNED, .address = r->address, .mac = mac, .expires_ms = r->locked_ms
	};
	r->macs = (struct mac_set){ .count = 0 };
	mac_set_add(&r->macs, mac);
	mac_set_add(&r->macs, link_address);
	if (s->event)
		s->event(s->context, &event);
}

/* Its address has another MAC now. What is said next from there is the router's own; the guard asks, so that it is said soon. */
static void succeed(struct guard *s, struct router6 *r, uint64_t mac, uint64_t link_address, uint64_t now_ms)
{
	uint8_t question[QUESTION_MAX];
	take_macs(s, r, mac, link_address);
	r->questions = 0;
	r->doubt_ms = now_ms;
	if (s->ask)
		s->ask(s->context, question,
		       make_neighbor_question(s->config->vm_mac, source_of_questions(s, now_ms), r->address, question));
}

void seek_routers6(struct guard *s, uint64_t now_ms)
{
	uint8_t question[QUESTION_MAX];
	struct address source = source_of_questions(s, now_ms);
	s->state->ipv6.router_question.sought_ms = now_ms;
	for (uint32_t i = 0; s->ask && i < s->config->host6.count; i++)
		if (is_link_local(s->config->host6.item[i]))
			s->ask(s->context, question,
			       make_neighbor_question(s->config->vm_mac, source, s->config->host6.item[i], question));
	ask_for_router(s, now_ms);
}

/*
 * A named router that advertises nothing, or not yet: the first answer to the guard's own question teaches its MAC. The lock
 * has no end, since no lifetime was heard; as every other one it opens to a successor when the router is silent.
 */
static void learn_named(struct guard *s, const struct nd *nd, uint64_t mac, uint64_t link_address)
{
	struct router6 *r = &s->state->ipv6.routers[0];
	for (uint32_t i = 1; i < ROUTERS6_MAX && r->locked_ms != 0; i++)
		r = &s->state->ipv6.routers[i];
	if (r->locked_ms != 0 || !nd->is_solicited || !is_routers_mac(s->config, mac) ||
	    !is_routers_mac(s->config, link_address))
		return;
	*r = (struct router6){ .address = nd->target, .locked_ms = NEVER_EXPIRES };
	take_macs(s, r, mac, link_address);
}

static enum verdict hear_advertisement(struct guard *s, const struct frame *frame, uint64_t now_ms)
{
	struct ethernet eth;
	struct ipv6 ip;
	struct nd nd;
	if (!parse_nd_frame(frame, &eth, &ip, &nd))
		return DROP_ND_MALFORMED;
	struct router6 *r = locked_router(&s->state->ipv6, nd.target, now_ms);
	uint64_t link_address = nd.has_link_address ? nd.link_address : eth.source;
	if (!r && is_sought_router6(s->config, &s->state->ipv6, nd.target, now_ms)) {
		learn_named(s, &nd, eth.source, link_address);
		return PASS;
	}
	if (!r)
		return DROP_ND_GATEWAY_SPOOF;
	if (mac_set_has(&r->macs, eth.source) && mac_set_has(&r->macs, link_address)) {
		end_doubt6(r, now_ms);
		return PASS;
	}
	if (is_resident(s->config, nd.target)) /* the host's own address: its MAC is known, and nobody takes its place */
		return DROP_ND_GATEWAY_SPOOF;
	uint32_t worth = worth_of_claim6(s->config, &s->state->ipv6, nd.target.low, now_ms);
	if (worth == CLAIM_RAISES_DOUBT)
		begin_doubt(s, r, now_ms);
	else if (worth == CLAIM_SUCCEEDS && is_routers_mac(s->config, link_address))
		succeed(s, r, eth.source, link_address, now_ms);
	return DROP_ND_GATEWAY_SPOOF;
}

/* A farewell, or a prefix without a route, takes nobody's place. */
static bool announces_route(const struct frame *frame, const struct ipv6 *ip)
{
	struct reader r = read_from(frame, ip->payload + 6, ip->end);
	return read_be16(&r) > 0 && r.ok && has_good_checksum6(frame, ip, PROTOCOL_ICMP6);
}

static enum verdict hear_rival(struct guard *s, const struct frame *frame, const struct ipv6 *ip, uint64_t now_ms)
{
	uint32_t worth = worth_of_claim6(s->config, &s->state->ipv6, 0, now_ms);
	if (worth == CLAIM_REFUSED || !announces_route(frame, ip))
		return DROP_RA_UNTRUSTED;
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++) {
		struct router6 *r = &s->state->ipv6.routers[i];
		bool routes = is_locked_router6(r, now_ms) && r->expires_ms != 0;
		if (routes && worth == CLAIM_RAISES_DOUBT)
			begin_doubt(s, r, now_ms);
		else if (routes)
			*r = (struct router6){ 0 };
	}
	return worth == CLAIM_SUCCEEDS ? snoop_router(s, frame, now_ms) : DROP_RA_UNTRUSTED;
}

enum verdict snoop_router_claim(struct guard *s, const struct frame *frame, uint64_t now_ms)
{
	struct ipv6 ip;
	if (!parse_ipv6(frame, ETHERNET_HEADER, &ip))
		return DROP_ND_MALFORMED;
	struct reader r = read_from(frame, ip.payload, ip.end);
	return read_u8(&r) == ROUTER_ADVERTISEMENT ? hear_rival(s, frame, &ip, now_ms)
						   : hear_advertisement(s, frame, now_ms);
}
