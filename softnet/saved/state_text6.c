/*
 * IPv6 in the state file. Addresses that duplicate address detection has not settled yet stay behind, as do exchanges
 * that wait for an answer: the guest repeats both. --vm-ip comes from the command line.
 */
#include "softnet/saved/state_text6.h"
#include <inttypes.h>
#include <string.h>
#include "core/learn6/lease6.h"

/* --- writing ----------------------------------------------------------------------------------------------------- */

static void put_routers(struct writer *w, const struct state6 *state, struct moment moment)
{
	for (int i = 0; i < ROUTERS6_MAX; i++) {
		const struct router6 *r = &state->routers[i];
		if (r->locked_ms <= moment.now_ms)
			continue;
		put(w, "router6");
		put_address(w, r->address);
		for (uint32_t k = 0; k < r->macs.count && k < MAC_SET_MAX; k++)
			put_mac(w, k == 0 ? " " : ",", r->macs.item[k]);
		put_end(w, r->expires_ms, moment);
		put_end(w, r->locked_ms, moment);
		put(w, "\n");
	}
}

static void put_server(struct writer *w, const struct learned_server6 *server, struct moment moment)
{
	if (server->until_ms <= moment.now_ms)
		return;
	put(w, "server6");
	put_address(w, server->address);
	put_mac(w, " ", server->mac);
	put_end(w, server->until_ms, moment);
	put(w, "\n");
}

static void put_resolvers(struct writer *w, const struct state6 *state, struct moment moment)
{
	for (int i = 0; i < RESOLVERS6_MAX; i++)
		if (state->resolvers[i].expires_ms > moment.now_ms) {
			put(w, "resolver6");
			put_address(w, state->resolvers[i].address);
			put_end(w, state->resolvers[i].expires_ms, moment);
			put(w, "\n");
		}
	for (int i = 0; i < TRANSLATORS_MAX; i++)
		if (state->translators[i].expires_ms > moment.now_ms) {
			put(w, "translator6");
			put_address(w, state->translators[i].nat64.prefix);
			put(w, " %" PRIu32, state->translators[i].nat64.length);
			put_end(w, state->translators[i].expires_ms, moment);
			put(w, "\n");
		}
}

static void put_prefixes(struct writer *w, const struct state6 *state, struct moment moment)
{
	for (int i = 0; i < PREFIXES_MAX; i++) {
		const struct prefix6 *p = &state->prefixes[i];
		if (p->is_static || p->expires_ms <= moment.now_ms)
			continue;
		put(w, "prefix6");
		put_address(w, p->prefix);
		put(w, " %" PRIu32 " %s %s", p->length, p->autonomous ? "slaac" : "-", p->on_link ? "on-link" : "-");
		put_end(w, p->expires_ms, moment);
		put(w, "\n");
	}
}

static void put_binding(struct writer *w, const struct binding6 *b, struct moment moment)
{
	put(w, "address6");
	put_address(w, b->address);
	put(w, " %s", b->origin == ORIGIN_SLAAC ? "slaac" : "link-local");
	put_end(w, b->expires_ms, moment);
	put(w, " %" PRIu64 "\n", b->since_ms);
}

static void put_lease6(struct writer *w, const struct binding6 *b, struct moment moment)
{
	put(w, "lease6");
	put_address(w, b->address);
	put_end(w, b->expires_ms, moment);
	put(w, " %" PRIu64 " %016" PRIx64, b->since_ms, b->client_id);
	put_address(w, b->server);
	put(w, " %" PRIx64 "\n", b->identity);
}

/* What was asked for and what was given back counts like what was leased: who knows what the server made of it? */
static void put_wanted(struct writer *w, const struct state6 *state, struct moment moment)
{
	for (int i = 0; i < WANTED6_MAX; i++) {
		const struct wanted6 *wanted = &state->wanted[i];
		if (wanted->until_ms <= moment.now_ms)
			continue;
		put(w, "wanted6 %016" PRIx64, wanted->identity);
		put_address(w, wanted->address);
		put(w, " %u %s %s", wanted->length, wanted->is_prefix ? "prefix" : "address",
		    wanted->is_leased && !wanted->is_given_back ? "leased" : "-");
		put_end(w, wanted->until_ms, moment);
		put(w, " %" PRIu64 "\n", wanted->since_ms);
	}
}

void put_state6(struct writer *w, const struct state6 *state, struct moment moment)
{
	put_routers(w, state, moment);
	put_server(w, &state->server, moment);
	put_resolvers(w, state, moment);
	put_prefixes(w, state, moment);
	for (int i = 0; i < BINDINGS6_MAX; i++) {
		const struct binding6 *b = &state->bindings[i];
		if (status_of(b, moment.now_ms) != STATUS_VALID || b->origin == ORIGIN_STATIC)
			continue;
		if (b->origin == ORIGIN_DHCP)
			put_lease6(w, b, moment);
		else
			put_binding(w, b, moment);
	}
	put_wanted(w, state, moment);
	for (int i = 0; i < LOST_MAX; i++)
		if (state->lost[i].until_ms > moment.now_ms) {
			put(w, "lost6");
			put_address(w, state->lost[i].address);
			put_end(w, state->lost[i].until_ms, moment);
			put(w, "\n");
		}
	put_clients(w, "client6", state->client_ids, CLIENT_IDS_MAX, moment);
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static bool is_announceable(struct address a)
{
	return is_global6(a) || is_unique_local(a);
}

/* The rest of the program takes what it learns only from frames that it has checked; so much of that is done here. */
static bool take_neighbor(char *const *words, struct address *a, uint64_t *mac)
{
	return take_address(words[0], a) && (is_link_local(*a) || is_announceable(*a)) && parse_mac(words[1], mac) &&
	       *mac != MAC_NONE && !mac_is_group(*mac);
}

static bool are_routers_macs(const struct mac_set *macs)
{
	for (uint32_t i = 0; i < macs->count; i++)
		if (macs->item[i] == MAC_NONE || mac_is_group(macs->item[i]))
			return false;
	return macs->count > 0;
}

static bool take_router(char *const *words, int count, struct state6 *state, struct moment moment)
{
	struct router6 r = { .locked_ms = 0 };
	if (count != 7 || !take_address(words[1], &r.address) || !is_link_local(r.address) ||
	    !take_macs(words[2], &r.macs) || !are_routers_macs(&r.macs) ||
	    !take_end(words + 3, moment, &r.expires_ms) || !take_end(words + 5, moment, &r.locked_ms))
		return false;
	for (int i = 0; i < ROUTERS6_MAX && r.locked_ms != 0; i++)
		if (state->routers[i].locked_ms == 0) {
			state->routers[i] = r;
			break;
		}
	return true;
}

static bool take_server(char *const *words, int count, struct state6 *state, struct moment moment)
{
	struct learned_server6 server = { .until_ms = 0 };
	if (count != 5 || !take_neighbor(words + 1, &server.address, &server.mac) ||
	    !take_end(words + 3, moment, &server.until_ms))
		return false;
	if (server.until_ms != 0)
		state->server = server;
	return true;
}

static bool take_resolver(char *const *words, int count, struct state6 *state, struct moment moment)
{
	struct resolver6 r;
	if (count != 4 || !take_address(words[1], &r.address) || is_ipv4(r.address) || is_unset(r.address) ||
	    is_group6(r.address) || !take_end(words + 2, moment, &r.expires_ms))
		return false;
	for (int i = 0; i < RESOLVERS6_MAX && r.expires_ms != 0; i++)
		if (state->resolvers[i].expires_ms == 0) {
			state->resolvers[i] = r;
			break;
		}
	return true;
}

static bool take_translator(char *const *words, int count, struct state6 *state, struct moment moment)
{
	struct translator t = { .expires_ms = 0 };
	uint64_t length;
	if (count != 5 || !take_address(words[1], &t.nat64.prefix) || is_ipv4(t.nat64.prefix) ||
	    !parse_number(words[2], 0, 128, &length) || !is_nat64_length((uint32_t)length) ||
	    !take_end(words + 3, moment, &t.expires_ms))
		return false;
	t.nat64.length = (uint32_t)length;
	for (int i = 0; i < TRANSLATORS_MAX && t.expires_ms != 0; i++)
		if (state->translators[i].expires_ms == 0) {
			state->translators[i] = t;
			break;
		}
	return true;
}

static bool take_prefix(char *const *words, int count, struct state6 *state, struct moment moment)
{
	struct prefix6 p = { .expires_ms = 0 };
	bool autonomous, on_link;
	uint64_t length;
	if (count != 7 || !take_address(words[1], &p.prefix) || !is_announceable(p.prefix) ||
	    !parse_number(words[2], 0, 128, &length) || !take_choice(words[3], "slaac", "-", &autonomous) ||
	    !take_choice(words[4], "on-link", "-", &on_link) || (autonomous && length != 64) ||
	    !take_end(words + 5, moment, &p.expires_ms))
		return false;
	p.length = (uint32_t)length;
	p.autonomous = autonomous;
	p.on_link = on_link;
	for (int i = 0; i < PREFIXES_MAX && p.expires_ms != 0; i++)
		if (state->prefixes[i].expires_ms == 0) {
			state->prefixes[i] = p;
			break;
		}
	return true;
}

/* The end of the prefix that addresses may be made in; 0: there is none. */
static uint64_t end_of_prefix(const struct state6 *state, struct address a, uint64_t now_ms)
{
	for (int i = 0; i < PREFIXES_MAX; i++) {
		const struct prefix6 *p = &state->prefixes[i];
		if (p->autonomous && now_ms < p->expires_ms && p->prefix.high == a.high)
			return p->expires_ms;
	}
	return 0;
}

/* The times of duplicate address detection are those of bind_address6(). */
static void restore_binding(struct binding6 b, const struct config *config, struct state *state, struct moment moment)
{
	bool leased = b.origin == ORIGIN_DHCP;
	uint64_t prefix_ms = NEVER_EXPIRES;
	if (b.origin == ORIGIN_SLAAC)
		prefix_ms = end_of_prefix(&state->ipv6, b.address, moment.now_ms);
	if (b.expires_ms > prefix_ms)
		b.expires_ms = prefix_ms;
	b.used_ms = moment.now_ms;
	b.valid_ms = b.since_ms + (leased ? 0 : DAD_MS);
	b.conflict_ms = b.since_ms + (leased ? LEASED_CONFLICT_MS : DAD_CONFLICT_MS);
	if (b.expires_ms == 0 || !is_claimable6(config, state, b.address, moment.now_ms) || find_lease6(state, b.address))
		return; /* over, or somebody else's address now */
	for (int i = 0; i < BINDINGS6_MAX; i++)
		if (state->ipv6.bindings[i].expires_ms == 0) {
			state->ipv6.bindings[i] = b;
			settle_bindings6(&state->ipv6);
			return;
		}
}

static bool take_binding(char *const *words, int count, const struct config *config, struct state *state,
			 struct moment moment)
{
	struct binding6 b = { .origin = ORIGIN_LINK_LOCAL };
	bool slaac;
	if (count != 6 || !take_address(words[1], &b.address) || is_ipv4(b.address) ||
	    !take_choice(words[2], "slaac", "link-local", &slaac) || slaac == is_link_local(b.address) ||
	    !take_end(words + 3, moment, &b.expires_ms) || !parse_number(words[5], 0, moment.now_ms, &b.since_ms))
		return false;
	if (slaac)
		b.origin = ORIGIN_SLAAC;
	restore_binding(b, config, state, moment);
	return true;
}

static bool take_lease6(char *const *words, int count, const struct config *config, struct state *state,
			struct moment moment)
{
	struct binding6 b = { .origin = ORIGIN_DHCP };
	if (count != 8 || !take_address(words[1], &b.address) || is_ipv4(b.address) || is_link_local(b.address) ||
	    !take_end(words + 2, moment, &b.expires_ms) || !parse_number(words[4], 0, moment.now_ms, &b.since_ms) ||
	    !parse_hex(words[5], &b.client_id) || !take_address(words[6], &b.server) || !parse_hex(words[7], &b.identity))
		return false;
	restore_binding(b, config, state, moment);
	return true;
}

static bool take_wanted(char *const *words, int count, struct state6 *state, struct moment moment)
{
	struct wanted6 wanted = { .is_mixed = 1, .used_ms = moment.now_ms };
	bool is_prefix, is_leased;
	uint64_t length;
	if (count != 9 || !parse_hex(words[1], &wanted.identity) || !take_address(words[2], &wanted.address) ||
	    !parse_number(words[3], 0, 128, &length) || !take_choice(words[4], "prefix", "address", &is_prefix) ||
	    !take_choice(words[5], "leased", "-", &is_leased) || !take_end(words + 6, moment, &wanted.until_ms) ||
	    !parse_number(words[8], 0, moment.now_ms, &wanted.since_ms))
		return false;
	wanted.length = (uint8_t)length;
	wanted.is_prefix = is_prefix;
	wanted.is_leased = is_leased;
	for (int i = 0; i < WANTED6_MAX && wanted.until_ms != 0; i++)
		if (state->wanted[i].until_ms == 0) {
			state->wanted[i] = wanted;
			break;
		}
	return true;
}

static bool take_lost(char *const *words, int count, struct state6 *state, struct moment moment)
{
	struct known6 lost;
	if (count != 4 || !take_address(words[1], &lost.address) || is_ipv4(lost.address) || is_unset(lost.address) ||
	    !take_end(words + 2, moment, &lost.until_ms))
		return false;
	for (int i = 0; i < LOST_MAX && lost.until_ms != 0; i++)
		if (state->lost[i].until_ms == 0) {
			state->lost[i] = lost;
			break;
		}
	return true;
}

bool take_line6(char *const *words, int count, const struct config *config, struct state *state, struct moment moment)
{
	struct state6 *ipv6 = &state->ipv6;
	if (strcmp(words[0], "router6") == 0)
		return take_router(words, count, ipv6, moment);
	if (strcmp(words[0], "server6") == 0)
		return take_server(words, count, ipv6, moment);
	if (strcmp(words[0], "resolver6") == 0)
		return take_resolver(words, count, ipv6, moment);
	if (strcmp(words[0], "translator6") == 0)
		return take_translator(words, count, ipv6, moment);
	if (strcmp(words[0], "prefix6") == 0)
		return take_prefix(words, count, ipv6, moment);
	if (strcmp(words[0], "address6") == 0)
		return take_binding(words, count, config, state, moment);
	if (strcmp(words[0], "lease6") == 0)
		return take_lease6(words, count, config, state, moment);
	if (strcmp(words[0], "wanted6") == 0)
		return take_wanted(words, count, ipv6, moment);
	if (strcmp(words[0], "lost6") == 0)
		return take_lost(words, count, ipv6, moment);
	return strcmp(words[0], "client6") == 0 && take_client(words, count, ipv6->client_ids, CLIENT_IDS_MAX, moment);
}
