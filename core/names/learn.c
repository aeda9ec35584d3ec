/*
 * --names learn: what the guest asks for and reaches, in the form of rules that would let it. Nothing is refused, and no
 * frame waits: the readers of names.c work as ever, on copies, and what they say is noted instead of obeyed. Each thing is
 * told once. The tables are bounded: what finds no room is not told, and the guest has lost nothing by it.
 */
#include "core/names/address_kinds.h"
#include "core/names/inside.h"

static bool is_blocked_narrowly(const struct names *names, const struct contact *c, uint64_t now_ms)
{
	return blocked_prefix(names, c, now_ms) > (is_ipv4(c->peer) ? 96 : 0);
}

bool may_learn(const struct names *names, const struct name_packet *p, uint64_t now_ms)
{
	struct contact c = {
		.peer = p->key.peer, .protocol = p->key.protocol, .ports = PORTS_KNOWN, .port = p->key.peer_port
	};
	uint64_t ipv4 = behind_translator(names, c.peer, now_ms);
	struct contact behind = c;
	behind.peer = address_of_ipv4((uint32_t)ipv4);
	return is_nameable(names, c.peer, now_ms) && !is_blocked_narrowly(names, &c, now_ms) &&
	       (ipv4 == NOT_TRANSLATED || !is_blocked_narrowly(names, &behind, now_ms));
}

/* Which of the operator's rules would let it pass. */
static uint16_t pattern_of_rule(const struct names *names, const struct name_event *event)
{
	uint16_t pattern = names->rules != 0 && event->name != 0 ? find_pattern(names->rules, event->name) : NO_PATTERN;
	bool is_question = event->protocol == 0;
	bool is_open = pattern != NO_PATTERN &&
		       (is_question || find_name_use(names->rules, pattern, event->naming, event->protocol, event->port));
	return is_open ? pattern : NO_PATTERN;
}

static void tell(struct names *names, struct name_event event)
{
	event.is_learned = true;
	event.pattern = pattern_of_rule(names, &event);
	if (names->event != 0)
		names->event(names->context, &event);
}

static uint16_t learn_name(struct names *names, const struct name *name, uint64_t now_ms)
{
	uint32_t known = names->learned->pattern_count;
	uint16_t pattern = add_name_pattern(names->learned, name, false);
	if (pattern == NO_PATTERN)
		return NO_PATTERN;
	names->asked_ms[pattern] = now_ms;
	if (pattern >= known)
		tell(names, (struct name_event){ .kind = NAME_ASKED_FOR, .name = name });
	return pattern;
}

uint16_t learn_question(struct names *names, const struct name *name, uint64_t now_ms)
{
	return is_host_name(name) ? learn_name(names, name, now_ms) : NO_PATTERN;
}

void learn_kept_address(struct names *names, struct address a, const struct name_pattern *kept, uint64_t until_ms,
			uint64_t now_ms)
{
	uint16_t pattern = kept->is_zone ? NO_PATTERN : learn_name(names, &kept->name, now_ms);
	if (pattern != NO_PATTERN)
		bind_address(&names->book, a, pattern, until_ms, now_ms);
}

/* False: it is known, or there is no room. */
static bool note_use(struct names *names, uint16_t pattern, enum naming naming, const struct flow_key *key)
{
	struct name_rules *learned = names->learned;
	struct name_use use = { .naming = (uint8_t)naming,
				.protocol = key->protocol,
				.first_port = key->peer_port,
				.last_port = key->peer_port };
	return !find_name_use(learned, pattern, use.naming, use.protocol, key->peer_port) &&
	       add_name_use(learned, &learned->pattern[pattern].name, false, &use);
}

/* The same for an address that no name opens. */
static bool note_address(struct names *names, const struct flow_key *key)
{
	for (uint32_t i = 0; i < names->learned_count; i++) {
		const struct learned_address *a = &names->learned_addresses[i];
		if (same_address(a->address, key->peer) && a->port == key->peer_port && a->protocol == key->protocol)
			return false;
	}
	if (names->learned_count >= LEARNED_ADDRESSES_MAX)
		return false;
	names->learned_addresses[names->learned_count++] =
	    (struct learned_address){ .address = key->peer, .port = key->peer_port, .protocol = key->protocol };
	return true;
}

/* The flow is one of the entry's name; rules for it would let it pass, unless `verdict` says why not. */
static void note_named(struct names *names, struct name_flow *f, uint32_t entry, struct name_event event, uint64_t now_ms)
{
	uint16_t pattern = names->book.bound[entry - 1].pattern;
	bool is_private = !is_nameable(names, f->key.peer, now_ms);
	bool is_new = note_use(names, pattern, (enum naming)event.naming, &f->key);
	if (is_private)
		is_new |= note_address(names, &f->key);
	event.name = &names->learned->pattern[pattern].name;
	if (is_private)
		event.verdict = DROP_DNS_REBIND;
	name_flow(names, f, entry, pattern, (enum naming)event.naming);
	if (is_new)
		tell(names, event);
}

static struct name_event event_of(const struct name_flow *f, enum naming naming)
{
	return (struct name_event){ .kind = NAME_SEEN,
				    .peer = f->key.peer,
				    .port = f->key.peer_port,
				    .protocol = f->key.protocol,
				    .naming = (uint8_t)naming };
}

bool learn_flow(struct names *names, struct name_flow *f, const struct name *name, enum naming naming,
		enum verdict verdict, uint64_t now_ms)
{
	for (uint32_t entry = next_bound(&names->book, f->key.peer, 0, now_ms); entry != 0 && name != 0;
	     entry = next_bound(&names->book, f->key.peer, entry, now_ms)) {
		uint16_t pattern = names->book.bound[entry - 1].pattern;
		if (!same_name(&names->learned->pattern[pattern].name, name))
			continue;
		struct name_event event = event_of(f, naming);
		event.verdict = (uint8_t)verdict;
		note_named(names, f, entry, event, now_ms);
		return true;
	}
	learn_address_of(names, f, name, now_ms);
	return false;
}

/* The entry of the address whose name was asked for last; 0: it has none. */
static uint32_t entry_asked_last(const struct names *names, struct address a, uint64_t now_ms)
{
	uint32_t last = 0;
	for (uint32_t entry = next_bound(&names->book, a, 0, now_ms); entry != 0;
	     entry = next_bound(&names->book, a, entry, now_ms))
		if (last == 0 || names->asked_ms[names->book.bound[entry - 1].pattern] >
				     names->asked_ms[names->book.bound[last - 1].pattern])
			last = entry;
	return last;
}

/* By the time the flow says something the guest may have asked for more names. */
void learn_call(struct names *names, struct name_flow *f, uint64_t now_ms)
{
	uint32_t entry = entry_asked_last(names, f->key.peer, now_ms);
	f->pattern = entry != 0 ? names->book.bound[entry - 1].pattern : NO_PATTERN;
}

static uint32_t entry_of_call(const struct names *names, const struct name_flow *f, uint64_t now_ms)
{
	uint32_t entry = next_bound(&names->book, f->key.peer, 0, now_ms);
	while (entry != 0 && names->book.bound[entry - 1].pattern != f->pattern)
		entry = next_bound(&names->book, f->key.peer, entry, now_ms);
	return entry;
}

void learn_address_of(struct names *names, struct name_flow *f, const struct name *shown, uint64_t now_ms)
{
	if (f->stage != STAGE_ANSWERED || f->is_named || (f->ways & BY(NAMED_IN_DNS))) {
		free_flow(names, f, now_ms);
		return;
	}
	struct name_event event = event_of(f, NAMED_BY_ADDRESS);
	event.shown = shown;
	uint32_t entry = entry_of_call(names, f, now_ms);
	if (entry != 0)
		note_named(names, f, entry, event, now_ms);
	else if (note_address(names, &f->key))
		tell(names, event);
	free_flow(names, f, now_ms);
}

/* Of UDP, one that was never answered has reached nobody. */
void learn_silent_flow(struct names *names, struct name_flow *f, uint64_t now_ms)
{
	bool is_silent = f->class == NAME_ASKED || f->class == NAME_HOLDING;
	if (names->learned != 0 && is_silent && f->key.protocol == PROTOCOL_TCP)
		learn_address_of(names, f, 0, now_ms);
}

void finish_learning(struct names *names, uint64_t now_ms)
{
	static const uint8_t silent[] = { NAME_ASKED, NAME_HOLDING };
	for (uint32_t i = 0; i < sizeof silent && names->learned != 0; i++) {
		struct name_flow *f = oldest_of(&names->flows, (enum name_class)silent[i]);
		while (f != 0) {
			struct name_flow *next = newer_than(&names->flows, f);
			learn_silent_flow(names, f, now_ms);
			f = next;
		}
	}
}
