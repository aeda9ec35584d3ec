/* Tables of what DNS has said. */
#include "core/names/book.h"
#include "core/flows/siphash.h"

_Static_assert(BOUND_MAX < NO_PATTERN, "entries have 16 bits");

uint64_t hash_name(const struct name_book *book, const struct name *name)
{
	return siphash(book->hash_key, name->text, name->length);
}

static bool same_question(const struct question *a, const struct question *b)
{
	return a->name_hash == b->name_hash && a->id == b->id && a->type == b->type && a->guest_port == b->guest_port &&
	       a->protocol == b->protocol && same_address(a->guest, b->guest) && same_address(a->resolver, b->resolver);
}

void remember_question(struct name_book *book, const struct question *q, uint64_t now_ms)
{
	struct question *place = &book->questions[0];
	for (uint32_t i = 0; i < QUESTIONS_MAX; i++) {
		if (book->questions[i].until_ms < place->until_ms)
			place = &book->questions[i];
		if (same_question(&book->questions[i], q)) {
			place = &book->questions[i];
			break;
		}
	}
	*place = *q;
	place->until_ms = now_ms + QUESTION_LIFE_MS;
}

uint16_t find_question(const struct name_book *book, const struct question *q, uint64_t now_ms)
{
	for (uint32_t i = 0; i < QUESTIONS_MAX; i++)
		if (now_ms < book->questions[i].until_ms && same_question(&book->questions[i], q))
			return book->questions[i].pattern;
	return NO_PATTERN;
}

void remember_alias(struct name_book *book, uint64_t name_hash, uint16_t pattern, uint64_t until_ms, uint64_t now_ms)
{
	struct alias_name *place = &book->aliases[0];
	for (uint32_t i = 0; i < ALIASES_MAX; i++) {
		struct alias_name *a = &book->aliases[i];
		if (a->until_ms < place->until_ms)
			place = a;
		if (now_ms < a->until_ms && a->name_hash == name_hash && a->pattern == pattern) {
			a->until_ms = until_ms > a->until_ms ? until_ms : a->until_ms;
			return;
		}
	}
	*place = (struct alias_name){ .name_hash = name_hash, .until_ms = until_ms, .pattern = pattern };
}

uint16_t find_alias(const struct name_book *book, uint64_t name_hash, uint64_t now_ms)
{
	for (uint32_t i = 0; i < ALIASES_MAX; i++)
		if (now_ms < book->aliases[i].until_ms && book->aliases[i].name_hash == name_hash)
			return book->aliases[i].pattern;
	return NO_PATTERN;
}

static uint16_t *head_of(struct name_book *book, struct address a)
{
	const uint64_t words[] = { a.high, a.low };
	return &book->head[siphash_words(book->hash_key, words, 2) % BOUND_HEADS];
}

static bool is_alive(const struct bound *b, uint64_t now_ms)
{
	return b->until_ms != 0 && (b->flows > 0 || now_ms < b->until_ms);
}

static void unbind(struct name_book *book, uint16_t entry)
{
	struct bound *b = bound_at(book, entry);
	uint16_t *link = head_of(book, b->address);
	while (*link != entry)
		link = &bound_at(book, *link)->next;
	*link = b->next;
	book->of_pattern[b->pattern]--;
	book->bound_count--;
	*b = (struct bound){ .next = book->bound_free };
	book->bound_free = entry;
}

/* What has run out makes room. A scan of all, so not for every address that finds none. */
static void sweep(struct name_book *book, uint64_t now_ms)
{
	if (book->swept_ms != 0 && now_ms < book->swept_ms + SWEEP_INTERVAL_MS)
		return;
	book->swept_ms = now_ms;
	for (uint32_t i = 0; i < book->bound_used; i++)
		if (book->bound[i].until_ms != 0 && !is_alive(&book->bound[i], now_ms))
			unbind(book, (uint16_t)(i + 1));
}

/* A free entry; 0: none. */
static uint16_t take_entry(struct name_book *book)
{
	uint16_t entry = book->bound_free;
	if (entry != 0) {
		book->bound_free = bound_at(book, entry)->next;
		return entry;
	}
	return book->bound_used < BOUND_MAX ? ++book->bound_used : 0;
}

static bool is_full(const struct name_book *book, uint16_t pattern)
{
	return book->of_pattern[pattern] >= PATTERN_ADDRESSES_MAX || book->bound_count >= BOUND_MAX;
}

bool bind_address(struct name_book *book, struct address address, uint16_t pattern, uint64_t until_ms, uint64_t now_ms)
{
	for (uint16_t entry = *head_of(book, address); entry != 0; entry = bound_at(book, entry)->next) {
		struct bound *b = bound_at(book, entry);
		if (b->pattern != pattern || !same_address(b->address, address))
			continue;
		b->until_ms = until_ms > b->until_ms ? until_ms : b->until_ms;
		return true;
	}
	if (is_full(book, pattern))
		sweep(book, now_ms);
	if (is_full(book, pattern))
		return false;
	uint16_t entry = take_entry(book), *head = head_of(book, address);
	*bound_at(book, entry) =
	    (struct bound){ .address = address, .until_ms = until_ms, .pattern = pattern, .next = *head };
	*head = entry;
	book->of_pattern[pattern]++;
	book->bound_count++;
	return true;
}

uint32_t next_bound(const struct name_book *book, struct address address, uint32_t after, uint64_t now_ms)
{
	const uint64_t words[] = { address.high, address.low };
	uint32_t entry = after != 0 ? book->bound[after - 1].next
				    : book->head[siphash_words(book->hash_key, words, 2) % BOUND_HEADS];
	while (entry != 0 &&
	       !(same_address(book->bound[entry - 1].address, address) && is_alive(&book->bound[entry - 1], now_ms)))
		entry = book->bound[entry - 1].next;
	return entry;
}

void hold_bound(struct bound *b)
{
	b->flows++;
}

void release_bound(struct bound *b, uint64_t now_ms)
{
	b->flows--;
	if (b->until_ms < now_ms + BOUND_RESERVE_MS)
		b->until_ms = now_ms + BOUND_RESERVE_MS;
}

static uint16_t follow(uint16_t pattern, const struct name_rules *before, const struct name_rules *after)
{
	return find_covering(after, &before->pattern[pattern]);
}

void follow_rules(struct name_book *book, const struct name_rules *before, const struct name_rules *after)
{
	for (uint32_t i = 0; i < QUESTIONS_MAX; i++)
		if (book->questions[i].until_ms != 0 &&
		    (book->questions[i].pattern = follow(book->questions[i].pattern, before, after)) == NO_PATTERN)
			book->questions[i].until_ms = 0;
	for (uint32_t i = 0; i < ALIASES_MAX; i++)
		if (book->aliases[i].until_ms != 0 &&
		    (book->aliases[i].pattern = follow(book->aliases[i].pattern, before, after)) == NO_PATTERN)
			book->aliases[i].until_ms = 0;
	for (uint32_t i = 0; i < NAME_PATTERNS_MAX; i++)
		book->of_pattern[i] = 0;
	for (uint32_t i = 0; i < BOUND_MAX; i++) {
		struct bound *b = &book->bound[i];
		uint16_t pattern = b->until_ms != 0 ? follow(b->pattern, before, after) : NO_PATTERN;
		if (b->until_ms == 0)
			continue;
		if (pattern == NO_PATTERN) {
			book->of_pattern[b->pattern]++; /* which unbind() takes back */
			unbind(book, (uint16_t)(i + 1));
			continue;
		}
		b->pattern = pattern;
		book->of_pattern[pattern]++;
	}
}
