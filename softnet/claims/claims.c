/* What this guard's VM holds, held against what others' hold. */
#include "softnet/claims/claims.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "core/judge/trust.h"
#include "port/io.h"
#include "system/log.h"
#include "system/platform.h"

enum {
	TELL_MS = 60000, /* one conflict again */
	FORGET_MS = 600000,
	NOTE_MS = 60000,
	LOOK_MS = 2000, /* between two answers: anybody may ring */
	PORTS_SEEN = 64
};

/* --- our own page --- */

static void write_at(struct claims *c, const uint8_t *octets, size_t length, size_t at)
{
	int file = c->folder.file;
	if (file >= 0 && pwrite(file, octets, length, (off_t)at) != (ssize_t)length && !c->has_failed) {
		warning("the registry of claims cannot be written: other guards do not see what this VM has");
		c->has_failed = true;
	}
}

static void put_item(struct claims *c, int index, struct claim claim)
{
	uint8_t octets[CLAIM_OCTETS];
	c->page.item[index] = claim;
	write_claim(&claim, octets);
	write_at(c, octets, sizeof octets, PAGE_HEADER + (size_t)index * CLAIM_OCTETS);
}

static void put_header(struct claims *c)
{
	uint8_t octets[PAGE_OCTETS];
	write_claims_page(&c->page, octets);
	write_at(c, octets, PAGE_HEADER, 0);
}

/* -1: there is none. */
static int find_item(const struct claims *c, int first, int end, struct address a)
{
	for (int i = first; i < end; i++)
		if (c->page.item[i].kind != CLAIM_NONE && same_address(c->page.item[i].address, a))
			return i;
	return -1;
}

static int find_room(const struct claims *c)
{
	for (int i = 0; i < CLAIMS_MAX; i++)
		if (c->page.item[i].kind == CLAIM_NONE)
			return i;
	return -1;
}

static struct claim single(struct address a, enum claim_kind kind)
{
	return (struct claim){ .address = a, .kind = (uint8_t)kind, .prefix_length = 128 };
}

/* The oldest note goes. */
static void note_wanted(struct claims *c, struct address a, uint64_t now_ms)
{
	int index = find_item(c, CLAIMS_MAX, ITEMS_MAX, a);
	for (int i = CLAIMS_MAX; index < 0 && i < ITEMS_MAX; i++)
		if (c->page.item[i].kind == CLAIM_NONE)
			index = i;
	if (index < 0) {
		index = CLAIMS_MAX;
		for (int i = CLAIMS_MAX; i < ITEMS_MAX; i++)
			if (c->noted_ms[i - CLAIMS_MAX] < c->noted_ms[index - CLAIMS_MAX])
				index = i;
	}
	c->noted_ms[index - CLAIMS_MAX] = now_ms;
	put_item(c, index, single(a, CLAIM_WANTED));
}

/* --- others' --- */

struct search {
	struct claims *c;
	uint64_t now_ms;
	int first, end;  /* which of ours it is about */
	bool with_notes; /* and what others want of it */
	/* Somebody else who counts has, or wants, what our item is for. False: that is enough. */
	bool (*found)(struct search *, const struct other_guard *, int item, const struct claim *theirs);
	bool conflicts[CLAIMS_MAX];
	const struct claim_conflict *given; /* a conflict that is the operator's own */
	uid_t stranger;                     /* whose files come by just now; and the ports that live ones have named */
	uint32_t ports[PORTS_SEEN];
	int port_count;
};

/* One file for each port, so that nobody can have more claims than ports. */
static bool is_first_of_port(struct search *s, const struct other_guard *other)
{
	if (s->stranger != other->user)
		s->port_count = 0;
	s->stranger = other->user;
	for (int i = 0; i < s->port_count; i++)
		if (s->ports[i] == other->port)
			return false;
	if (s->port_count == PORTS_SEEN)
		return false;
	s->ports[s->port_count++] = other->port;
	return true;
}

static bool is_stranger(const struct claims *c, const struct other_guard *other)
{
	return other->user != 0 && other->user != c->folder.user;
}

bool is_there(const struct claims *c, const struct other_guard *other)
{
	bool is_strange = is_stranger(c, other);
	if (c->named || !c->uplink->kind->is_port_of)
		return !is_strange;
	return c->uplink->kind->is_port_of(c->uplink, other->port, is_strange ? &other->user : NULL);
}

static bool concerns(const struct search *s, const struct claim *ours, const struct claim *theirs)
{
	return excludes(ours, theirs) || (s->with_notes && ours->kind != CLAIM_NONE && theirs->kind == CLAIM_WANTED &&
					  same_address(ours->address, theirs->address));
}

static bool look_at(void *context, const struct other_guard *other)
{
	struct search *s = context;
	struct claims *c = s->c;
	bool is_strange = is_stranger(c, other), is_known = false;
	if (strcmp(other->page.segment, c->page.segment) != 0)
		return true;
	if (is_strange && (!is_alive(other) || !is_first_of_port(s, other)))
		return true;
	for (int i = s->first; i < s->end; i++)
		for (int k = 0; k < ITEMS_MAX; k++) {
			if (!concerns(s, &c->page.item[i], &other->page.item[k]))
				continue;
			if (!is_known && (!is_alive(other) || !is_there(c, other)))
				return true;
			is_known = true;
			if (!s->found(s, other, i, &other->page.item[k]))
				return false;
		}
	return true;
}

static void search(struct search *s)
{
	if (s->c->uplink && s->c->page.segment[0] != '\0')
		visit_claims(&s->c->folder, look_at, s);
}

/* --- conflicts --- */

static struct claim_conflict *note_conflict(struct claims *c, struct address a, bool is_ours,
					    const struct other_guard *other, uint64_t now_ms)
{
	struct claim_conflict *entry = &c->conflicts[0];
	for (int i = 0; i < CONFLICTS_MAX; i++) {
		struct claim_conflict *one = &c->conflicts[i];
		if (one->pid == other->page.pid && one->is_ours == is_ours && same_address(one->address, a)) {
			entry = one;
			break;
		}
		if (one->last_ms < entry->last_ms)
			entry = one;
	}
	if (entry->pid != other->page.pid || entry->is_ours != is_ours || !same_address(entry->address, a))
		*entry = (struct claim_conflict){
			.address = a, .is_ours = is_ours, .pid = other->page.pid, .user = other->user
		};
	copy_text(entry->vm, sizeof entry->vm, other->page.vm);
	entry->last_ms = now_ms;
	if (entry->told_ms == 0 || now_ms - entry->told_ms >= TELL_MS) {
		entry->told_ms = now_ms;
		if (c->tell)
			c->tell(c->context, entry);
	}
	return entry;
}

static void settle_conflicts(struct claims *c, struct address a)
{
	for (int i = 0; i < CONFLICTS_MAX; i++)
		if (same_address(c->conflicts[i].address, a))
			c->conflicts[i] = (struct claim_conflict){ .pid = 0 };
}

/* --- claiming --- */

static bool refuse_claim(struct search *s, const struct other_guard *other, int item, const struct claim *theirs)
{
	struct address a = s->c->page.item[item].address;
	(void)theirs;
	s->conflicts[item] = true;
	note_wanted(s->c, a, s->now_ms);
	note_conflict(s->c, a, false, other, s->now_ms);
	begin_ringing(&s->c->bells, other, s->now_ms);
	return false;
}

bool claim_address(struct claims *c, struct address a, uint64_t now_ms)
{
	if (find_item(c, 0, CLAIMS_MAX, a) >= 0)
		return true;
	int index = find_room(c);
	if (index < 0)
		return true; /* there are more places than a VM can have addresses */
	put_item(c, index, single(a, CLAIM_HELD));
	struct search s = { .c = c, .now_ms = now_ms, .first = index, .end = index + 1, .found = refuse_claim };
	search(&s);
	if (s.conflicts[index]) {
		put_item(c, index, single(a, CLAIM_NONE));
		return false;
	}
	int note = find_item(c, CLAIMS_MAX, ITEMS_MAX, a);
	if (note >= 0)
		put_item(c, note, single(a, CLAIM_NONE));
	settle_conflicts(c, a);
	return true;
}

void release_address(struct claims *c, struct address a)
{
	int index = find_item(c, 0, CLAIMS_MAX, a);
	if (index >= 0 && !c->is_given[index])
		put_item(c, index, single(a, CLAIM_NONE));
}

/* --- the start --- */

/* False: it is what it was. */
static bool read_segment(struct claims *c, const struct port *uplink)
{
	struct segment_id segment = { .port = 0 };
	if (c->named)
		snprintf(segment.text, sizeof segment.text, "name %s", c->named);
	else if (uplink && uplink->kind->segment)
		uplink->kind->segment(uplink, &segment);
	bool is_new = strcmp(segment.text, c->page.segment) != 0;
	c->port = segment.port;
	copy_text(c->page.segment, sizeof c->page.segment, segment.text);
	return is_new;
}

const char *open_claims(struct claims *c, const struct operators_word *word, const struct port *uplink, const char *named)
{
	struct given_page given = { .labels = { "" } };
	*c = (struct claims){ .page.pid = (uint32_t)getpid(), .named = named, .bell = -1 };
	copy_text(c->page.vm, sizeof c->page.vm, word->vm);
	read_segment(c, uplink);
	given.page = c->page;
	for (uint32_t i = 0; i < word->given_count && i < CLAIMS_MAX; i++)
		given.page.item[i] = word->given[i];
	for (uint32_t i = 0; i < word->label_count && i < LABELS_MAX; i++)
		copy_text(given.labels[i], sizeof given.labels[i], word->labels[i]);
	const char *why = open_claims_folder(&c->folder);
	if (!why)
		why = make_claims_file(&c->folder, &c->page, c->port);
	if (!why)
		make_given_file(&c->folder, &given);
	if (!why)
		c->bell = move_above_2(platform_watch_openings(c->folder.own, c->folder.name));
	return why;
}

void watch_others(struct claims *c)
{
	c->watches_others = c->bell >= 0 && watch_claims(&c->folder, c->bell);
}

static bool is_word_of_operator(const struct claims *c, const struct other_guard *other, const struct claim *ours)
{
	struct given_page given;
	if (!read_given_file(&c->folder, other, &given) ||
	    (given.page.segment[0] != '\0' && strcmp(given.page.segment, c->page.segment) != 0))
		return false;
	for (int i = 0; i < CLAIMS_MAX; i++)
		if (excludes(ours, &given.page.item[i]))
			return true;
	return false;
}

static bool find_at_start(struct search *s, const struct other_guard *other, int item, const struct claim *theirs)
{
	struct claims *c = s->c;
	const struct claim *ours = &c->page.item[item];
	(void)theirs;
	s->conflicts[item] = true;
	const struct claim_conflict *conflict = note_conflict(c, ours->address, c->is_given[item], other, s->now_ms);
	if (c->is_given[item] && is_word_of_operator(c, other, ours))
		s->given = conflict;
	if (!c->is_given[item])
		note_wanted(c, ours->address, s->now_ms);
	begin_ringing(&c->bells, other, s->now_ms);
	return true;
}

static void take_over(struct claims *c, struct address a, enum claim_kind kind, bool is_given)
{
	int index = find_item(c, 0, CLAIMS_MAX, a);
	if (index < 0)
		index = find_room(c);
	if (index < 0)
		return;
	c->is_given[index] = is_given;
	put_item(c, index, single(a, kind));
}

/* Written all, then held against others' in one go. */
static const struct claim_conflict *hold_all(struct claims *c, uint64_t now_ms)
{
	struct search s = { .c = c, .now_ms = now_ms, .end = CLAIMS_MAX, .found = find_at_start };
	search(&s);
	for (int i = 0; i < CLAIMS_MAX; i++) {
		struct address a = c->page.item[i].address;
		if (!s.conflicts[i] || c->is_given[i])
			continue;
		put_item(c, i, single(a, CLAIM_NONE));
		if (c->lose)
			c->lose(c->context, a, "held by another guard");
	}
	return s.given;
}

static enum claim_kind kind_of(const struct config *config, struct address a)
{
	return is_shared(config, a) ? CLAIM_SHARED : CLAIM_HELD;
}

const struct claim_conflict *enter_claims(struct claims *c, const struct config *config, const struct state *state,
					  const struct port *uplink, uint64_t now_ms)
{
	c->uplink = uplink;
	if (read_segment(c, uplink))
		put_header(c);
	for (int i = 0; i < BINDINGS4_MAX; i++)
		if (is_live(&state->ipv4[i], now_ms))
			take_over(c, state->ipv4[i].address, kind_of(config, state->ipv4[i].address),
				  state->ipv4[i].state == BINDING_STATIC);
	for (int i = 0; i < BINDINGS6_MAX; i++)
		if (now_ms < state->ipv6.bindings[i].expires_ms)
			take_over(c, state->ipv6.bindings[i].address, kind_of(config, state->ipv6.bindings[i].address),
				  state->ipv6.bindings[i].origin == ORIGIN_STATIC);
	return hold_all(c, now_ms);
}

bool move_claims(struct claims *c, uint64_t now_ms)
{
	if (!c->uplink || !read_segment(c, c->uplink))
		return false;
	put_header(c);
	hold_all(c, now_ms);
	return true;
}

/* --- once a second --- */

/* What the operator gave to another VM is that one's, whatever came first. */
static bool answer_other(struct search *s, const struct other_guard *other, int item, const struct claim *theirs)
{
	struct claims *c = s->c;
	const struct claim ours = c->page.item[item];
	bool is_lost = theirs->kind != CLAIM_WANTED && !c->is_given[item] && is_word_of_operator(c, other, &ours);
	note_conflict(c, ours.address, !is_lost, other, s->now_ms);
	if (!is_lost)
		return true;
	put_item(c, item, single(ours.address, CLAIM_NONE));
	if (c->lose)
		c->lose(c->context, ours.address, "given to another VM");
	return true;
}

void follow_claims(struct claims *c, uint64_t now_ms)
{
	follow_bells(&c->bells, now_ms);
	for (int i = 0; i < CONFLICTS_MAX; i++)
		if (c->conflicts[i].pid != 0 && now_ms - c->conflicts[i].last_ms >= FORGET_MS)
			c->conflicts[i] = (struct claim_conflict){ .pid = 0 };
	for (int i = 0; i < NOTES_MAX; i++)
		if (c->page.item[CLAIMS_MAX + i].kind != CLAIM_NONE && now_ms - c->noted_ms[i] >= NOTE_MS)
			put_item(c, CLAIMS_MAX + i, single(c->page.item[CLAIMS_MAX + i].address, CLAIM_NONE));
	if (!c->uplink || now_ms - c->looked_ms < LOOK_MS || !hears_bell(&c->folder))
		return;
	c->looked_ms = now_ms;
	c->page.looks++; /* before the look: who rang earlier has written before */
	put_header(c);
	struct search s = { .c = c, .now_ms = now_ms, .end = CLAIMS_MAX, .with_notes = true, .found = answer_other };
	search(&s);
}

bool drain_bell(const struct claims *c)
{
	bool has_changed = false;
	while (platform_take_changes(c->bell, c->folder.name, &has_changed))
		continue;
	return has_changed;
}

/* 0: it has none. */
static uint32_t end_of(const struct state *state, struct address a, uint64_t now_ms)
{
	uint64_t end_ms = 0;
	for (int i = 0; i < BINDINGS4_MAX; i++)
		if (is_live(&state->ipv4[i], now_ms) && same_address(state->ipv4[i].address, a))
			end_ms = state->ipv4[i].expires_ms;
	for (int i = 0; i < BINDINGS6_MAX; i++)
		if (same_address(state->ipv6.bindings[i].address, a))
			end_ms = state->ipv6.bindings[i].expires_ms;
	return end_ms / 1000 < UINT32_MAX ? (uint32_t)(end_ms / 1000) : 0;
}

void tell_ends(struct claims *c, const struct state *state, uint64_t now_ms)
{
	for (int i = 0; i < CLAIMS_MAX; i++) {
		struct claim claim = c->page.item[i];
		claim.end_s = claim.kind == CLAIM_NONE || c->is_given[i] ? 0 : end_of(state, claim.address, now_ms);
		if (claim.end_s != c->page.item[i].end_s)
			put_item(c, i, claim);
	}
}

bool claims_may_rest(const struct claims *c)
{
	bool is_silent = (c->bell >= 0 || c->folder.file < 0) && are_silent(&c->bells);
	for (int i = 0; i < CONFLICTS_MAX; i++)
		is_silent &= c->conflicts[i].pid == 0;
	for (int i = 0; i < NOTES_MAX; i++)
		is_silent &= c->page.item[CLAIMS_MAX + i].kind == CLAIM_NONE;
	return is_silent;
}

void close_claims(struct claims *c)
{
	end_ringing(&c->bells);
	if (c->bell >= 0)
		close(c->bell);
	close_claims_folder(&c->folder);
}
