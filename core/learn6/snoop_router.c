/* Router advertisements (RFC 4861 4.2) of routers that the judge trusts: next hops, prefixes, resolvers, translators. */
#include "core/learn6/lease6.h"
#include "core/wire/ethernet.h"
#include "core/wire/nd.h"
#include "core/judge/own6.h"
#include "core/judge/trust6.h"

#include <stddef.h>

enum {
	OPTIONS_MAX = 64,
	TWO_HOURS_MS = 2 * 3600 * 1000, /* RFC 4862 5.5.3 e */
	CLOCK_DIFFERENCE_MS = 1000      /* the guest reads the same advertisement a moment later */
};

struct announced_prefix {
	struct address prefix;
	uint32_t length, valid_s, preferred_s;
	bool on_link, autonomous;
};

/* What does not fit is ignored. */
struct advertisement {
	struct address router;
	uint64_t mac;
	uint64_t link_address; /* of the option; MAC_NONE: absent */
	uint32_t lifetime_s;
	uint32_t prefix_count, resolver_count, translator_count;
	struct announced_prefix prefixes[PREFIXES_MAX];
	struct resolver6 resolvers[RESOLVERS6_MAX];     /* expires_ms holds seconds */
	struct translator translators[TRANSLATORS_MAX]; /* the same */
};

/* RFC 4861 4.6.2. Prefixes that are nobody's to give are ignored; RFC 4862 5.5.3 c, d: addresses are made in 64 bits. */
static bool read_prefix(struct reader *r, struct advertisement *ra)
{
	struct announced_prefix p = { .length = read_u8(r) };
	uint8_t flags = read_u8(r);
	p.valid_s = read_be32(r);
	p.preferred_s = read_be32(r);
	skip_bytes(r, 4);
	p.prefix = read_address6(r);
	p.on_link = (flags & 0x80) != 0;
	p.autonomous = (flags & 0x40) != 0 && p.length == 64;
	if (!r->ok || r->at != r->end)
		return false;
	bool sane = p.length <= 128 && p.preferred_s <= p.valid_s && (is_unique_local(p.prefix) || is_global6(p.prefix));
	if (sane && ra->prefix_count < PREFIXES_MAX)
		ra->prefixes[ra->prefix_count++] = p;
	return true;
}

/* RFC 8106 5.1. */
static bool read_resolvers(struct reader *r, struct advertisement *ra)
{
	skip_bytes(r, 2);
	uint32_t lifetime_s = read_be32(r);
	if (octets_left(r) == 0 || octets_left(r) % 16 != 0)
		return false;
	while (octets_left(r) > 0) {
		struct address a = read_address6(r);
		if (!is_group6(a) && a.high != 0 && ra->resolver_count < RESOLVERS6_MAX)
			ra->resolvers[ra->resolver_count++] = (struct resolver6){ a, lifetime_s };
	}
	return r->ok;
}

/* RFC 8781 4: the lifetime counts in units of eight seconds; a code tells the length. */
static bool read_translator(struct reader *r, struct advertisement *ra)
{
	static const uint32_t lengths[] = { 96, 64, 56, 48, 40, 32 };
	uint16_t word = read_be16(r);
	struct address prefix = { .high = read_be64(r) };
	prefix.low = (uint64_t)read_be32(r) << 32;
	uint32_t code = word & 7;
	bool sane = is_unique_local(prefix) || is_global6(prefix) || prefix.high >> 32 == 0x0064ff9b; /* RFC 8215, too */
	if (!r->ok || r->at != r->end)
		return false;
	if (sane && code < sizeof lengths / sizeof lengths[0] && ra->translator_count < TRANSLATORS_MAX)
		ra->translators[ra->translator_count++] =
		    (struct translator){ { prefix, lengths[code], 0 }, word & 0xfff8u };
	return true;
}

static bool read_option(uint8_t type, struct reader *r, struct advertisement *ra)
{
	switch (type) {
	case SOURCE_LINK_ADDRESS:
		ra->link_address = read_be48(r);
		return r->ok && r->at == r->end;
	case PREFIX_INFORMATION:
		return read_prefix(r, ra);
	case RDNSS:
		return read_resolvers(r, ra);
	case PREF64:
		return read_translator(r, ra);
	default:
		return true;
	}
}

static bool parse_advertisement(const struct frame *frame, struct advertisement *ra)
{
	struct ethernet eth;
	struct ipv6 ip;
	*ra = (struct advertisement){ 0 };
	if (!parse_ethernet(frame, &eth) || !parse_ipv6(frame, ETHERNET_HEADER, &ip))
		return false;
	struct reader r = read_from(frame, ip.payload, ip.end);
	skip_bytes(&r, 1);
	uint8_t code = read_u8(&r);
	skip_bytes(&r, 4);
	ra->router = ip.source;
	ra->mac = eth.source;
	ra->lifetime_s = read_be16(&r);
	skip_bytes(&r, 8);
	for (uint32_t i = 0; i < OPTIONS_MAX && octets_left(&r) > 0; i++) {
		uint8_t type = read_u8(&r), length = read_u8(&r);
		if (length == 0 || 8u * length - 2 > octets_left(&r))
			return false;
		struct reader value = read_from(frame, r.at, r.at + 8u * length - 2);
		if (!read_option(type, &value, ra))
			return false;
		skip_bytes(&r, 8u * length - 2);
	}
	return r.ok && code == 0 && r.at == r.end;
}

static struct router6 *entry_for(struct state6 *state, struct address a, uint64_t now_ms)
{
	struct router6 *free = NULL;
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++) {
		struct router6 *r = &state->routers[i];
		if (is_locked_router6(r, now_ms) && same_address(r->address, a))
			return r;
		if (!is_locked_router6(r, now_ms))
			free = r;
	}
	return free;
}

/* The lock lasts as long as the router is of use; a prefix counts for as long as forged news could take from it. */
static uint64_t lock_of(const struct advertisement *ra, uint64_t now_ms)
{
	uint64_t longest_ms = ra->lifetime_s * 1000ULL;
	for (uint32_t i = 0; i < ra->prefix_count; i++) {
		uint64_t valid_ms = ra->prefixes[i].valid_s * 1000ULL;
		if (valid_ms > TWO_HOURS_MS)
			valid_ms = TWO_HOURS_MS;
		if (valid_ms > longest_ms)
			longest_ms = valid_ms;
	}
	return now_ms + longest_ms;
}

/* The MAC of a router that is gone stays the only next hop (trust6.h) until another router is heard. */
static void forget_old_routers(struct state6 *state, uint64_t now_ms)
{
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++)
		if (!is_locked_router6(&state->routers[i], now_ms))
			state->routers[i] = (struct router6){ 0 };
}

/* Gives the end of the router's lock; not behind now_ms: it is not to be learned from. */
static uint64_t learn_router(struct guard *s, const struct advertisement *ra, uint64_t now_ms)
{
	uint64_t locked_ms = lock_of(ra, now_ms);
	struct router6 *r = entry_for(&s->state->ipv6, ra->router, now_ms);
	bool known = r && is_locked_router6(r, now_ms);
	if (!r || (!known && locked_ms <= now_ms))
		return locked_ms;
	struct mac_set macs = known ? r->macs : (struct mac_set){ .count = 0 };
	mac_set_add(&macs, ra->mac);
	if (!known && ra->link_address != MAC_NONE)
		mac_set_add(&macs, ra->link_address);
	forget_old_routers(&s->state->ipv6, now_ms);
	/* One that never was a next hop stays at 0: see is_trusted_router_of6(). */
	bool routes = ra->lifetime_s > 0 || (known && r->expires_ms > 0);
	*r = (struct router6){ .address = ra->router,
			       .macs = macs,
			       .doubt_ms = known ? r->doubt_ms : 0,
			       .questions = known ? r->questions : 0,
			       .expires_ms = routes ? now_ms + ra->lifetime_s * 1000ULL : 0,
			       .locked_ms = known && r->locked_ms > locked_ms ? r->locked_ms : locked_ms };
	end_doubt6(r, now_ms);
	s->state->ipv6.router_question = (struct router_question){ 0 };
	struct event event = {
		.kind = EVENT_GATEWAY_LEARNED, .address = ra->router, .mac = ra->mac, .expires_ms = r->locked_ms
	};
	if (!known && s->event)
		s->event(s->context, &event);
	return r->locked_ms;
}

static void set_end_of_addresses(struct state6 *state, const struct prefix6 *p, uint64_t now_ms)
{
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++) {
		struct binding6 *b = &state->bindings[i];
		if (now_ms < b->expires_ms && b->origin == ORIGIN_SLAAC && b->address.high == p->prefix.high)
			b->expires_ms = p->expires_ms;
	}
}

static uint64_t end_of(uint32_t valid_s, uint64_t now_ms)
{
	uint64_t end_ms = lifetime_from(now_ms, valid_s);
	return valid_s == 0 || end_ms == NEVER_EXPIRES ? end_ms : end_ms + CLOCK_DIFFERENCE_MS;
}

/* RFC 4862 5.5.3 e: news can lengthen what is left, and shorten it to two hours. Each flag speaks only for itself. */
static void renew_prefix(struct state6 *state, struct prefix6 *p, const struct announced_prefix *news, uint64_t now_ms)
{
	uint64_t end_ms = end_of(news->valid_s, now_ms);
	if (news->on_link)
		p->on_link = news->valid_s > 0;
	if (!p->autonomous && !news->autonomous) {
		p->expires_ms = end_ms;
		return;
	}
	if (!news->autonomous)
		return;
	uint64_t two_hours_ms = now_ms + TWO_HOURS_MS + CLOCK_DIFFERENCE_MS;
	if (!p->autonomous || end_ms > two_hours_ms || end_ms > p->expires_ms)
		p->expires_ms = end_ms;
	else if (p->expires_ms > two_hours_ms)
		p->expires_ms = two_hours_ms;
	p->autonomous = 1;
	set_end_of_addresses(state, p, now_ms);
}

static struct prefix6 *find_prefix(struct state6 *state, const struct announced_prefix *news, uint64_t now_ms)
{
	for (uint32_t i = 0; i < PREFIXES_MAX; i++) {
		struct prefix6 *p = &state->prefixes[i];
		if (is_live_prefix(p, now_ms) && !p->is_static && p->length == news->length &&
		    is_in_prefix(p->prefix, news->prefix, p->length))
			return p;
	}
	return NULL;
}

static void learn_prefix(struct guard *s, const struct announced_prefix *news, uint64_t now_ms)
{
	struct state6 *state = &s->state->ipv6;
	struct prefix6 *p = find_prefix(state, news, now_ms);
	if (p) {
		renew_prefix(state, p, news, now_ms);
		return;
	}
	for (uint32_t i = 0; i < PREFIXES_MAX && news->valid_s > 0;
	     i++) { /* a free one, else the one that is over longest */
		struct prefix6 *slot = &state->prefixes[i];
		if (!is_live_prefix(slot, now_ms) && (!p || slot->expires_ms < p->expires_ms))
			p = slot;
	}
	if (!p)
		return;
	*p = (struct prefix6){ .prefix = news->prefix,
			       .length = news->length,
			       .on_link = news->on_link,
			       .autonomous = news->autonomous,
			       .expires_ms = end_of(news->valid_s, now_ms) };
	struct event event = { .kind = EVENT_PREFIX_LEARNED,
			       .address = p->prefix,
			       .prefix_length = p->length,
			       .expires_ms = p->expires_ms };
	if (s->event)
		s->event(s->context, &event);
}

/* One that has run out keeps its place, and comes to life in it: a second entry behind it would not be found. */
static void learn_translator(struct state6 *state, const struct translator *news, uint64_t end_ms, uint64_t now_ms)
{
	struct translator *slot = NULL;
	for (uint32_t i = 0; i < TRANSLATORS_MAX; i++) {
		struct translator *t = &state->translators[i];
		bool is_known = t->expires_ms != 0 && t->nat64.length == news->nat64.length &&
				same_address(t->nat64.prefix, news->nat64.prefix);
		if (is_known) {
			slot = t;
			break;
		}
		if (now_ms >= t->expires_ms && (!slot || t->expires_ms < slot->expires_ms))
			slot = t;
	}
	if (slot)
		*slot = (struct translator){ news->nat64, end_ms };
}

/* A router that was only the first one heard is believed no longer than it is locked. */
static uint64_t believed_until(const struct guard *s, uint64_t end_ms, uint64_t locked_ms)
{
	return s->config->gateway_macs.count == 0 && end_ms > locked_ms ? locked_ms : end_ms;
}

static void learn_resolvers(struct guard *s, const struct advertisement *ra, uint64_t locked_ms, uint64_t now_ms)
{
	for (uint32_t i = 0; i < ra->resolver_count; i++) {
		uint32_t seconds = (uint32_t)ra->resolvers[i].expires_ms;
		uint64_t end_ms = seconds > 0 ? lifetime_from(now_ms, seconds) : 0;
		remember_resolver6(s->state, ra->resolvers[i].address, believed_until(s, end_ms, locked_ms), now_ms);
	}
}

/*
 * The guest would send to the MAC of the option. A router that shares its address with others names the shared one and
 * sends from its own (VRRP): what it names at first is as good as itself; later it stays with these.
 */
static bool may_name(const struct guard *s, const struct advertisement *ra, uint64_t now_ms)
{
	uint64_t mac = ra->link_address;
	if (mac == MAC_NONE || mac == ra->mac || mac_set_has(&s->config->gateway_macs, mac))
		return true;
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++) {
		const struct router6 *r = &s->state->ipv6.routers[i];
		if (is_locked_router6(r, now_ms) && same_address(r->address, ra->router))
			return mac_set_has(&r->macs, mac);
	}
	return s->config->gateway_macs.count == 0 && mac != s->config->vm_mac && !mac_is_group(mac);
}

enum verdict snoop_router(struct guard *s, const struct frame *frame, uint64_t now_ms)
{
	struct advertisement ra;
	if (!parse_advertisement(frame, &ra))
		return DROP_ND_MALFORMED;
	if (!may_name(s, &ra, now_ms))
		return DROP_ND_GATEWAY_SPOOF;
	uint64_t locked_ms = learn_router(s, &ra, now_ms);
	if (locked_ms <= now_ms)
		return PASS; /* no router, no prefix: what else it says is not worth believing */
	for (uint32_t i = 0; i < ra.prefix_count; i++)
		learn_prefix(s, &ra.prefixes[i], now_ms);
	learn_resolvers(s, &ra, locked_ms, now_ms);
	for (uint32_t i = 0; i < ra.translator_count; i++)
		learn_translator(&s->state->ipv6, &ra.translators[i],
				 believed_until(s, now_ms + ra.translators[i].expires_ms * 1000, locked_ms), now_ms);
	return PASS;
}
