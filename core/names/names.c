/* Where frames come in, and what the ways of showing a name have in common. */
#include "core/names/address_kinds.h"
#include "core/names/inside.h"

void start_names(struct names *names, const uint64_t hash_key[2])
{
	names->book.hash_key[0] = hash_key[0];
	names->book.hash_key[1] = hash_key[1];
	start_hold(&names->hold, names->config->max_frame);
}

/* --- flows ------------------------------------------------------------------------------------------------------- */

static void let_go_of_address(struct names *names, struct name_flow *f, uint64_t now_ms)
{
	if (f->bound != 0)
		release_bound(bound_at(&names->book, f->bound), now_ms);
	f->bound = 0;
}

void forget_copies(struct names *names, struct name_flow *f)
{
	while (f->held.first != 0 && held_at(&names->hold, f->held.first)->has_left)
		forget_first(&names->hold, &f->held);
}

static void remove_flow(struct names *names, struct name_flow *f, uint64_t now_ms)
{
	learn_silent_flow(names, f, now_ms);
	drop_list(&names->hold, &f->held, DROP_HELLO_LIMIT);
	drop_list(&names->hold, &f->answers, PASS);
	let_go_of_address(names, f, now_ms);
	remove_name_flow(&names->flows, names->book.hash_key, f);
}

struct name_flow *live_flow(struct names *names, const struct flow_key *key, uint64_t now_ms)
{
	struct name_flow *f = find_name_flow(&names->flows, names->book.hash_key, key);
	if (f == 0 || !has_run_out(f, now_ms))
		return f;
	remove_flow(names, f, now_ms);
	return 0;
}

/* Who goes when there is no room: never a connection that lives. */
static struct name_flow *flow_to_go(struct names *names, uint64_t now_ms)
{
	static const uint8_t order[] = { NAME_ENDED, NAME_ASKED, NAME_HOLDING, NAME_OPEN_UDP, NAME_FOLLOWED };
	for (uint32_t list = 0; list < NAME_CLASSES_END; list++) {
		struct name_flow *f = oldest_of(&names->flows, (enum name_class)list);
		if (f != 0 && has_run_out(f, now_ms))
			return f;
	}
	for (uint32_t i = 0; i < sizeof order; i++)
		if (names->flows.count[order[i]] > 0)
			return oldest_of(&names->flows, (enum name_class)order[i]);
	return 0;
}

struct name_flow *new_flow(struct names *names, const struct flow_key *key, uint64_t now_ms)
{
	struct name_flow *f = make_name_flow(&names->flows, names->book.hash_key, key, now_ms);
	if (f != 0)
		return f;
	struct name_flow *gone = flow_to_go(names, now_ms);
	if (gone == 0)
		return 0;
	remove_flow(names, gone, now_ms);
	return make_name_flow(&names->flows, names->book.hash_key, key, now_ms);
}

void free_flow(struct names *names, struct name_flow *f, uint64_t now_ms)
{
	forget_copies(names, f);
	f->stage = STAGE_FREE;
	set_name_class(&names->flows, f, f->key.protocol == PROTOCOL_TCP ? NAME_OPEN_TCP : NAME_OPEN_UDP, now_ms);
}

void reset_flow(struct names *names, struct name_flow *f, enum verdict reason, uint64_t now_ms)
{
	drop_list(&names->hold, &f->held, reason);
	drop_list(&names->hold, &f->answers, PASS);
	let_go_of_address(names, f, now_ms);
	f->stage = STAGE_REFUSED;
	f->reason = (uint8_t)reason;
	f->is_named = false;
	set_name_class(&names->flows, f, NAME_ENDED, now_ms);
}

enum verdict refuse_flow(struct names *names, struct name_flow *f, enum verdict reason, uint64_t now_ms)
{
	if (names->learned != 0)
		learn_address_of(names, f, 0, now_ms);
	else
		reset_flow(names, f, reason, now_ms);
	return reason;
}

enum verdict end_waiting(struct names *names, struct name_flow *f, enum verdict reason, uint64_t now_ms)
{
	if (f->key.protocol != PROTOCOL_UDP || !f->is_named)
		return refuse_flow(names, f, reason, now_ms);
	drop_waiting(&names->hold, &f->held, reason);
	set_name_class(&names->flows, f, f->quic.is_answered ? NAME_OPEN_UDP : NAME_FOLLOWED, now_ms);
	return reason;
}

/* --- held frames ------------------------------------------------------------------------------------------------- */

/* Makes room for a frame: of another flow, copies first, then one that waits. False: there is none. */
static bool make_room(struct names *names, const struct name_flow *not_this, uint64_t now_ms)
{
	for (struct name_flow *f = oldest_of(&names->flows, NAME_FOLLOWED); f != 0; f = newer_than(&names->flows, f))
		if (f != not_this && f->held.count > 0) {
			forget_copies(names, f);
			f->quic.is_answered = true; /* without its copies nothing can be compared any more */
			return true;
		}
	struct name_flow *oldest = oldest_of(&names->flows, NAME_HOLDING);
	if (oldest == 0 || oldest == not_this)
		return false;
	end_waiting(names, oldest, DROP_HELLO_LIMIT, now_ms);
	return true;
}

/* Keeps the frame for the flow, if need be in the place of an older one; has_left: a copy of what goes on. */
static bool keep_for_flow(struct names *names, struct name_flow *f, const struct name_packet *p, bool has_left,
			  uint64_t now_ms)
{
	struct payload payload = { p->at, octets_in(p), p->sequence };
	if (f->held.count >= NAMES_HELD_MAX)
		return false;
	return keep_frame(&names->hold, &f->held, p->frame, payload, has_left) ||
	       (make_room(names, f, now_ms) && keep_frame(&names->hold, &f->held, p->frame, payload, has_left));
}

/* While it is learned nothing waits: what is kept are copies. */
enum verdict wait_in_flow(struct names *names, struct name_flow *f, const struct name_packet *p, uint64_t now_ms)
{
	if (!keep_for_flow(names, f, p, names->learned != 0, now_ms))
		return end_waiting(names, f, DROP_HELLO_LIMIT, now_ms);
	set_name_class(&names->flows, f, NAME_HOLDING, now_ms);
	if (names->flows.count[NAME_HOLDING] > NAMES_HOLDING_MAX)
		end_waiting(names, oldest_of(&names->flows, NAME_HOLDING), DROP_HELLO_LIMIT, now_ms);
	return HELD;
}

/* Without room for its copy it goes on all the same; sent again, it would not. */
enum verdict go_on_in_flow(struct names *names, struct name_flow *f, const struct name_packet *p, uint64_t now_ms)
{
	bool others_wait = f->class == NAME_HOLDING && names->learned == 0;
	bool is_kept = keep_for_flow(names, f, p, !others_wait, now_ms);
	if (others_wait && !is_kept)
		return end_waiting(names, f, DROP_HELLO_LIMIT, now_ms);
	set_name_class(&names->flows, f, NAME_FOLLOWED, now_ms);
	release_list(&names->hold, &f->held);
	return others_wait ? HELD : PASS;
}

/* --- which host -------------------------------------------------------------------------------------------------- */

/* Also what a translator makes of it. */
static bool is_closed_by_address(const struct names *names, const struct contact *c, uint64_t now_ms)
{
	uint64_t ipv4 = behind_translator(names, c->peer, now_ms);
	struct contact behind = *c;
	behind.peer = address_of_ipv4((uint32_t)ipv4);
	return is_blocked_itself(names, c, now_ms) ||
	       (ipv4 != NOT_TRANSLATED && is_blocked_itself(names, &behind, now_ms));
}

uint32_t ways_of_address(const struct names *names, struct address a, uint8_t protocol, uint16_t port, uint64_t now_ms)
{
	uint32_t ways = 0;
	struct contact c = { .peer = a, .protocol = protocol, .ports = PORTS_KNOWN, .port = port };
	for (uint32_t entry = next_bound(&names->book, a, 0, now_ms); entry != 0;
	     entry = next_bound(&names->book, a, entry, now_ms))
		ways |= ways_to(names->rules, names->book.bound[entry - 1].pattern, protocol, port);
	return ways != 0 && is_closed_by_address(names, &c, now_ms) ? 0 : ways;
}

void name_flow(struct names *names, struct name_flow *f, uint32_t entry, uint16_t pattern, enum naming naming)
{
	if (f->bound == 0) {
		f->bound = (uint16_t)entry;
		hold_bound(bound_at(&names->book, entry));
	}
	f->pattern = pattern;
	f->naming = (uint8_t)naming;
	f->is_named = true;
}

static void tell_of_flow(struct names *names, const struct name_flow *f, const struct name *name, enum naming naming,
			 enum verdict verdict)
{
	struct name_event event = { .kind = verdict == PASS ? NAME_SEEN : NAME_REFUSED,
				    .name = name,
				    .peer = f->key.peer,
				    .port = f->key.peer_port,
				    .protocol = f->key.protocol,
				    .pattern = verdict == PASS ? f->pattern : NO_PATTERN,
				    .naming = (uint8_t)naming,
				    .verdict = (uint8_t)verdict };
	if (names->event != 0)
		names->event(names->context, &event);
}

bool admit_flow(struct names *names, struct name_flow *f, const struct name *name, enum naming naming, uint64_t now_ms)
{
	if (names->learned != 0)
		return learn_flow(names, f, name, naming, PASS, now_ms);
	const struct name_rules *rules = names->rules;
	uint16_t shown = name != 0 ? find_pattern(rules, name) : NO_PATTERN;
	struct address a = f->key.peer;
	for (uint32_t entry = next_bound(&names->book, a, 0, now_ms); entry != 0;
	     entry = next_bound(&names->book, a, entry, now_ms)) {
		uint16_t bound = names->book.bound[entry - 1].pattern;
		uint16_t pattern = common_pattern(rules, name != 0 ? shown : bound, bound, (uint8_t)naming,
						  f->key.protocol, f->key.peer_port);
		if (pattern == NO_PATTERN)
			continue;
		name_flow(names, f, entry, pattern, naming);
		tell_of_flow(names, f, name, naming, PASS);
		return true;
	}
	tell_of_flow(names, f, name, naming, DROP_NAME_DENIED);
	return false;
}

enum verdict judge_hello(struct names *names, struct name_flow *f, const struct hello *hello, enum naming naming,
			 uint64_t now_ms)
{
	bool is_hidden = hello->has_ech && !names->settings.ech_passes;
	if (names->learned != 0)
		return learn_flow(names, f, hello->has_name ? &hello->name : 0, naming,
				  is_hidden ? DROP_HELLO_ECH : PASS, now_ms)
			   ? PASS
			   : DROP_NAME_DENIED;
	if (is_hidden) {
		tell_of_flow(names, f, hello->has_name ? &hello->name : 0, naming, DROP_HELLO_ECH);
		return DROP_HELLO_ECH;
	}
	if (!hello->has_name) {
		tell_of_flow(names, f, 0, naming, DROP_NAME_DENIED);
		return DROP_NAME_DENIED;
	}
	return admit_flow(names, f, &hello->name, naming, now_ms) ? PASS : DROP_NAME_DENIED;
}

/* --- frames ------------------------------------------------------------------------------------------------------ */

static enum verdict by_name(struct names *names, const struct name_packet *p, uint64_t now_ms)
{
	if (p->key.protocol == PROTOCOL_UDP)
		return follow_datagram(names, p, now_ms);
	if ((p->flags & TCP_SYN) && !(p->flags & TCP_ACK))
		return call_by_name(names, p, now_ms);
	struct name_flow *f = live_flow(names, &p->key, now_ms);
	return f == 0 ? DROP_NAME_UNBOUND : follow_segment(names, f, p, now_ms);
}

/* What passes to a resolver passes by its address; which questions, names decide. */
static enum verdict to_resolver(struct names *names, const struct name_packet *p, uint64_t now_ms)
{
	if (p->is_fragment)
		return p->key.protocol == PROTOCOL_UDP ? DROP_NAME_FRAGMENT : PASS;
	if (p->key.peer_port != DNS_PORT)
		return PASS;
	if (p->key.protocol == PROTOCOL_UDP)
		return judge_question(names, p, p->frame, p->at, p->end, now_ms);
	if ((p->flags & TCP_SYN) && !(p->flags & TCP_ACK))
		return call_resolver(names, p, now_ms);
	struct name_flow *f = live_flow(names, &p->key, now_ms);
	return f == 0 ? DROP_NAME_UNBOUND : follow_segment(names, f, p, now_ms);
}

/* Everything passes that is closed by nothing narrower than `any`; fragments are left to the judge. */
static enum verdict learn_from_guest(struct names *names, const struct name_packet *p, enum verdict judged,
				     uint64_t now_ms)
{
	if (p->is_fragment || (judged != PASS && !may_learn(names, p, now_ms)))
		return judged;
	if (judged == PASS && p->key.peer_port == DNS_PORT && is_resolver(names, p->key.peer, now_ms))
		to_resolver(names, p, now_ms);
	else
		by_name(names, p, now_ms);
	return PASS;
}

enum verdict names_from_guest(struct names *names, const struct frame *frame, enum verdict judged, uint64_t now_ms)
{
	struct name_packet p;
	if (patterns_of(names) == 0 || !read_name_packet(frame, false, &p))
		return judged;
	if (names->learned != 0)
		return learn_from_guest(names, &p, judged, now_ms);
	if (judged == PASS)
		return is_resolver(names, p.key.peer, now_ms) ? to_resolver(names, &p, now_ms) : PASS;
	return p.is_fragment ? DROP_NAME_FRAGMENT : by_name(names, &p, now_ms);
}

static bool is_followed(const struct names *names)
{
	const uint32_t *count = names->flows.count;
	return count[NAME_ASKED] + count[NAME_HOLDING] + count[NAME_FOLLOWED] > 0;
}

static enum verdict from_network(struct names *names, const struct name_packet *p, uint64_t now_ms)
{
	bool is_udp = p->key.protocol == PROTOCOL_UDP;
	if (is_udp && (p->is_fragment || p->key.peer_port == DNS_PORT) && is_resolver(names, p->key.peer, now_ms))
		return p->is_fragment ? DROP_NAME_FRAGMENT : judge_answer(names, p, p->frame, p->at, p->end, now_ms);
	if (p->is_fragment || (!is_followed(names) && !(p->flags & TCP_RST)))
		return PASS;
	struct name_flow *f = live_flow(names, &p->key, now_ms);
	if (f == 0)
		return PASS;
	if (!is_udp)
		return follow_answer(names, f, p, now_ms);
	follow_datagram_answer(names, f, p, now_ms);
	return PASS;
}

enum verdict names_to_guest(struct names *names, const struct frame *frame, uint64_t now_ms)
{
	struct name_packet p;
	if (patterns_of(names) == 0 || !read_name_packet(frame, true, &p))
		return PASS;
	enum verdict verdict = from_network(names, &p, now_ms);
	return names->learned != 0 ? PASS : verdict;
}

uint64_t expire_names(struct names *names, uint64_t now_ms)
{
	struct name_flow *f, *asked = 0;
	while ((f = oldest_of(&names->flows, NAME_HOLDING)) != 0 && has_run_out(f, now_ms))
		end_waiting(names, f, DROP_HELLO_LIMIT, now_ms);
	uint64_t next_ms = f != 0 ? ends_ms(f) : NEVER_EXPIRES;
	while (names->learned != 0 && (asked = oldest_of(&names->flows, NAME_ASKED)) != 0 && has_run_out(asked, now_ms))
		remove_flow(names, asked, now_ms);
	return asked != 0 && ends_ms(asked) < next_ms ? ends_ms(asked) : next_ms;
}

bool take_from_hold(struct names *names, struct frame *frame, enum verdict *verdict)
{
	return take_queued(&names->hold, frame, verdict);
}

void restore_address(struct names *names, struct address a, const struct name_pattern *pattern, uint64_t until_ms,
		     uint64_t now_ms)
{
	if (names->learned != 0) {
		learn_kept_address(names, a, pattern, until_ms, now_ms);
		return;
	}
	uint16_t covering = names->rules != 0 ? find_covering(names->rules, pattern) : NO_PATTERN;
	uint64_t most_ms = now_ms + names->settings.ttl_ceiling_ms;
	if (covering != NO_PATTERN && is_nameable(names, a, now_ms))
		bind_address(&names->book, a, covering, until_ms < most_ms ? until_ms : most_ms, now_ms);
}

/* --- other rules ------------------------------------------------------------------------------------------------- */

/* Does the rule by which it was named still open it? */
static bool may_go_on(const struct names *names, const struct name_rules *before, struct name_flow *f, uint64_t now_ms)
{
	struct contact c = {
		.peer = f->key.peer, .protocol = f->key.protocol, .ports = PORTS_KNOWN, .port = f->key.peer_port
	};
	if (is_closed_by_address(names, &c, now_ms))
		return false;
	uint16_t pattern = find_covering(names->rules, &before->pattern[f->pattern]);
	f->pattern = pattern;
	return pattern != NO_PATTERN &&
	       (ways_to(names->rules, pattern, f->key.protocol, f->key.peer_port) & BY(f->naming)) != 0;
}

static struct name_flow *used_flow(struct names *names, uint32_t i)
{
	struct name_flow *f = &names->flows.flow[i];
	bool is_used = find_name_flow(&names->flows, names->book.hash_key, &f->key) == f;
	return is_used && f->stage != STAGE_REFUSED ? f : 0;
}

static void follow_named_flows(struct names *names, const struct name_rules *before, uint64_t now_ms)
{
	for (uint32_t i = 0; i < names->flows.used; i++) {
		struct name_flow *f = used_flow(names, i);
		if (f != 0 && f->is_named && !may_go_on(names, before, f, now_ms))
			refuse_flow(names, f, DROP_NAME_UNBOUND, now_ms);
	}
}

/* What has shown no name yet is judged by the rules of now; the book has followed them. Questions are judged one by one. */
static void follow_other_flows(struct names *names, uint64_t now_ms)
{
	for (uint32_t i = 0; i < names->flows.used; i++) {
		struct name_flow *f = used_flow(names, i);
		if (f == 0 || f->is_named || (f->ways & BY(NAMED_IN_DNS)))
			continue;
		f->ways = (uint8_t)ways_of_address(names, f->key.peer, f->key.protocol, f->key.peer_port, now_ms);
		if (f->ways == 0)
			refuse_flow(names, f, DROP_NAME_UNBOUND, now_ms);
	}
}

/* What was sent by a pattern counts for the one that covers it now. */
static void follow_octets(struct names *names, const struct name_rules *before)
{
	for (uint32_t i = 0; i < NAME_PATTERNS_MAX; i++) {
		names->octets_before[i] = names->octets[i];
		names->octets[i] = 0;
	}
	for (uint32_t i = 0; i < before->pattern_count; i++) {
		uint16_t pattern = find_covering(names->rules, &before->pattern[i]);
		if (pattern != NO_PATTERN)
			names->octets[pattern] += names->octets_before[i];
	}
}

/* With the last rule that names a host all that was learned goes. */
static void forget_everything(struct names *names, uint64_t now_ms)
{
	const uint64_t key[2] = { names->book.hash_key[0], names->book.hash_key[1] };
	for (uint32_t list = 0; list < NAME_CLASSES_END; list++)
		while (names->flows.count[list] > 0)
			remove_flow(names, oldest_of(&names->flows, (enum name_class)list), now_ms);
	for (uint32_t i = 0; i < NAME_PATTERNS_MAX; i++)
		names->octets[i] = 0;
	names->book = (struct name_book){ .hash_key = { key[0], key[1] } };
}

void change_name_rules(struct names *names, const struct name_rules *rules, uint64_t now_ms)
{
	const struct name_rules *before = names->rules;
	names->rules = rules;
	if (before == 0 || names->learned != 0)
		return;
	if (rules == 0) {
		forget_everything(names, now_ms);
		return;
	}
	follow_named_flows(names, before, now_ms);
	follow_octets(names, before);
	follow_rules(&names->book, before, rules);
	follow_other_flows(names, now_ms);
}
