/* DHCPv6 messages to the guest: believed only in answer to what the guest asked. The judge knows the sender. */
#include "core/learn4/lease.h"
#include "core/learn6/snoop_dhcp6.h"
#include "core/judge/trust6.h"

#include <stddef.h>

enum {
	REFRESH_DEFAULT_S = 86400,
	REFRESH_MINIMUM_S = 600,        /* RFC 8415 7.6 */
	STATELESS_LOCK_MS = 7200 * 1000 /* of a server that leased nothing */
};

/* RFC 8415 21.23, and a minute in which the guest asks again. */
static uint64_t refresh_of(const struct dhcp6 *m, uint64_t now_ms)
{
	uint32_t seconds = m->has_refresh ? m->refresh_s : REFRESH_DEFAULT_S;
	uint64_t refresh_ms = lifetime_from(now_ms, seconds < REFRESH_MINIMUM_S ? REFRESH_MINIMUM_S : seconds);
	return refresh_ms == NEVER_EXPIRES ? NEVER_EXPIRES : refresh_ms + TRANSACTION_LIFE_MS;
}

/* ::/64 has loopback and the mapped IPv4 addresses. A guest that is the resolver itself does not ask itself. */
static void learn_resolvers(struct guard *s, const struct dhcp6 *m, uint64_t until_ms, uint64_t now_ms)
{
	for (uint32_t i = 0; i < m->resolvers.count; i++) {
		struct address a = m->resolvers.item[i];
		if (a.high != 0 && !is_group6(a) && !find_live(s->state, a, now_ms))
			remember_resolver6(s->state, a, until_ms, now_ms);
	}
}

/* First use: this server is the one from now on, until what it leased is over. */
static void learn_server(struct guard *s, const struct dhcp6_frame *f, uint64_t until_ms, uint64_t now_ms)
{
	const struct config *config = s->config;
	struct learned_server6 *lock = &s->state->ipv6.server;
	if (config->strict_anchors || until_ms <= now_ms)
		return;
	if (is_locked_server6(s->state, now_ms) && !is_silent_server6(lock, now_ms)) {
		bool same = same_address(lock->address, f->source) && lock->mac == f->source_mac;
		if (same && lock->until_ms < until_ms)
			lock->until_ms = until_ms;
		return;
	}
	*lock = (struct learned_server6){ .address = f->source, .mac = f->source_mac, .until_ms = until_ms };
	struct event event = { .kind = EVENT_SERVER_LEARNED,
			       .address = f->source,
			       .server = f->source,
			       .mac = f->source_mac,
			       .expires_ms = until_ms };
	if (s->event && config->servers6.count == 0 && config->gateway_macs.count == 0)
		s->event(s->context, &event);
}

/* What it says counts for questions to itself only; where else it would be believed is another matter (trust6.h). */
static void learn_unicast(struct guard *s, const struct dhcp6_frame *f, uint64_t until_ms, uint64_t now_ms)
{
	struct address a = f->message.unicast;
	bool is_sane = is_link_local(a) || is_global6(a) || is_unique_local(a);
	if (f->message.has_unicast && is_sane && until_ms > now_ms && !find_live(s->state, a, now_ms))
		s->state->ipv6.unicast = (struct unicast_server6){ a, f->source_mac, until_ms };
}

static void hear_sign_of_life(struct learned_server6 *lock, const struct dhcp6_frame *f)
{
	if (same_address(lock->address, f->source) && lock->mac == f->source_mac)
		lock->questions = 0;
}

/* RFC 9686 4.3: to the address that was registered, with the same IA Address option. */
static enum verdict hear_registration(const struct dhcp6_frame *f, const struct transaction6 *t)
{
	const struct dhcp6 *m = &f->message;
	bool is_answer = t && t->kind == DHCP6_REGISTRATION && same_address(m->registered, f->destination);
	return is_answer ? PASS : DROP_DHCP6_NO_TRANSACTION;
}

static bool answers(const struct dhcp6 *m, const struct transaction6 *t)
{
	if (t->kind == DHCP6_REGISTRATION)
		return false;
	if (m->type == DHCP6_ADVERTISE)
		return t->kind == DHCP6_SOLICIT && !t->done;
	return t->kind != DHCP6_SOLICIT || (t->rapid_commit && m->rapid_commit);
}

/*
 * What a refused one says is not done, and the exchange goes on: a client repeats its message under the same id (RFC
 * 8415 18.2.10). So does one whose IAs were all refused, since another server may do better.
 */
static enum verdict accept_reply(struct guard *s, struct transaction6 *t, const struct grants *g, uint64_t now_ms)
{
	const struct dhcp6 *m = &g->frame->message;
	uint64_t until_ms = 0;
	bool leases = may_lead_to_lease(t->kind, t->rapid_commit);
	enum verdict verdict = leases && m->status == 0 ? bind_grants(s, g, &until_ms, now_ms) : PASS;
	if (verdict == PASS && leases)
		learn_leased(s->state, t, m, now_ms);
	if (t->kind == DHCP6_RELEASE || t->kind == DHCP6_DECLINE)
		learn_given_back(s->state, t, m);
	if (m->status != 0)
		return PASS;
	if (verdict != PASS || (leases && m->association_count > 0 && g->count == 0))
		return verdict;
	/* An answer about prefixes only has no lifetime that the guard knows. */
	bool stateless = t->kind == DHCP6_INFORMATION_REQUEST || (leases && m->association_count == 0);
	if (stateless || until_ms > now_ms)
		learn_resolvers(s, m, stateless ? refresh_of(m, now_ms) : until_ms, now_ms);
	learn_server(s, g->frame, stateless ? now_ms + STATELESS_LOCK_MS : until_ms, now_ms);
	if (until_ms > 0 && until_ms != NEVER_EXPIRES)
		remember_client_id(s->state->ipv6.client_ids, t->client_id, until_ms, now_ms);
	learn_unicast(s, g->frame, until_ms, now_ms);
	t->done = 1;
	t->deadline_ms = now_ms + TRANSACTION_DONE_MS;
	return PASS;
}

static enum verdict accept_offer(struct guard *s, const struct transaction6 *t, const struct grants *g, uint64_t now_ms)
{
	enum verdict verdict = check_addresses(s, g, now_ms);
	if (verdict == PASS)
		learn_offer(s->state, t);
	return verdict;
}

enum verdict snoop_dhcp6_server(struct guard *s, const struct frame *frame, uint64_t now_ms)
{
	struct dhcp6_frame f;
	if (!parse_dhcp6_frame(frame, &f))
		return DROP_DHCP6_MALFORMED;
	const struct dhcp6 *m = &f.message;
	if (m->type == DHCP6_REGISTRATION_REPLY)
		return hear_registration(&f, find_transaction6(s->state, m->id, now_ms));
	if (m->type != DHCP6_ADVERTISE && m->type != DHCP6_REPLY)
		return DROP_DHCP6_TYPE;
	if (!m->has_server_id) /* RFC 8415 16.3, 16.10 */
		return DROP_DHCP6_MALFORMED;
	struct transaction6 *t = find_transaction6(s->state, m->id, now_ms);
	uint64_t client_id = hash_of_client_id(s->state, m);
	if (!t || t->client_id != client_id || !answers(m, t))
		return DROP_DHCP6_NO_TRANSACTION;
	hear_sign_of_life(&s->state->ipv6.server, &f);
	struct grants g = grants_of(s->state, &f, t, now_ms);
	if (m->type == DHCP6_ADVERTISE)
		return accept_offer(s, t, &g, now_ms);
	if (t->done)
		return tells_nothing_new(s, m, &g, now_ms) ? PASS : DROP_DHCP6_NO_TRANSACTION;
	return accept_reply(s, t, &g, now_ms);
}
