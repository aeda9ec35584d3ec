/*
 * Questions of the guard's own about routers, by ARP and in the guest's name. Some guests keep what ARP told them for twenty
 * minutes, or without end, and would neither find a new router nor let the guard find it.
 */
#include "core/made/question.h"
#include "core/learn4/snoop_anchors4.h"
#include "core/judge/trust.h"

#include <stddef.h>

enum {
	ROUND_MS = 1000,
	ROUNDS = ROUTER_QUESTIONS + 1 /* each of its MACs three times; then everybody, so that the new one speaks up */
};

/* From the address that has to do with the router, so that it answers. */
static struct address sender_for(const struct state *state, struct address router, uint64_t now_ms)
{
	struct address sender = { 0, 0 };
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++) {
		const struct binding *b = &state->ipv4[i];
		if (reaches_router4(b, router, now_ms))
			return b->address;
		if (is_live(b, now_ms) && is_unset(sender))
			sender = b->address;
	}
	return sender;
}

static bool ask(struct guard *guard, struct address router, uint64_t mac, uint64_t now_ms)
{
	uint8_t frame[QUESTION_MAX];
	struct address sender = sender_for(guard->state, router, now_ms);
	return !is_unset(sender) &&
	       guard->ask(guard->context, frame, make_arp_question(guard->config->vm_mac, mac, sender, router, frame));
}

/* The server's kernel takes the MAC of a machine that asks for it (RFC 826), and then it need not ask. */
void tell_servers4(struct guard *guard, const struct binding *b, uint64_t now_ms)
{
	uint8_t frame[QUESTION_MAX];
	for (uint32_t i = 0; guard->ask && i < SERVERS4_MAX; i++) {
		const struct locked *l = &guard->state->learned.servers[i];
		if (!is_locked(l, now_ms) || !reaches_router4(b, l->address, now_ms))
			continue;
		for (uint32_t k = 0; k < l->macs.count; k++)
			guard->ask(
			    guard->context, frame,
			    make_arp_question(guard->config->vm_mac, l->macs.item[k], b->address, l->address, frame));
	}
}

static void ask_round(struct guard *guard, struct router4 *r, uint64_t now_ms)
{
	bool is_asked = true;
	r->rounds--;
	if (r->rounds == 0)
		is_asked = ask(guard, r->lock.address, MAC_BROADCAST, now_ms);
	for (uint32_t i = 0; r->rounds > 0 && i < r->lock.macs.count; i++)
		is_asked &= ask(guard, r->lock.address, r->lock.macs.item[i], now_ms);
	if (is_asked)
		note_router_question(r, now_ms);
}

static uint64_t next_round_ms(const struct router4 *r)
{
	return r->run_ms + (uint64_t)(ROUNDS - r->rounds) * ROUND_MS;
}

uint64_t ask_routers4(struct guard *guard, uint64_t now_ms)
{
	uint64_t next_ms = NEVER_EXPIRES;
	for (uint32_t i = 0; i < ROUTERS4_MAX; i++) {
		struct router4 *r = &guard->state->learned.routers[i];
		if (!is_locked(&r->lock, now_ms))
			r->rounds = 0;
		if (r->rounds > 0 && now_ms >= next_round_ms(r))
			ask_round(guard, r, now_ms);
		if (r->rounds > 0 && next_round_ms(r) < next_ms)
			next_ms = next_round_ms(r);
	}
	return next_ms;
}

void suspect_router4(struct guard *guard, struct router4 *r, uint64_t now_ms)
{
	r->run_ms = now_ms;
	r->rounds = guard->ask ? ROUNDS : 0;
	ask_routers4(guard, now_ms);
}

static void seek(struct guard *guard, struct address router, uint64_t now_ms)
{
	if (!is_ipv4(router) ||
	    router_mac4(guard->config, guard->state, ipv4_of_address(router), MAC_NONE, now_ms) != ROUTER_UNLEARNED)
		return;
	struct router4 *r = entry_of_router4(guard->state, router, now_ms);
	bool is_due = r && (r->asked.last_ms == 0 || now_ms >= r->asked.last_ms + ROUND_MS);
	if (is_due && ask(guard, router, MAC_BROADCAST, now_ms))
		note_router_question(r, now_ms);
}

void seek_routers4(struct guard *guard, uint64_t now_ms)
{
	const struct config *config = guard->config;
	guard->state->learned.sought_ms = now_ms;
	if (!guard->ask)
		return;
	for (uint32_t i = 0; i < config->host.count; i++)
		seek(guard, config->host.item[i], now_ms);
	for (uint32_t i = 0; i < BINDINGS4_MAX; i++)
		for (uint32_t k = 0; is_live(&guard->state->ipv4[i], now_ms) && k < guard->state->ipv4[i].routers.count;
		     k++)
			seek(guard, guard->state->ipv4[i].routers.item[k], now_ms);
}
