/*
 * The state that outlives a restart, as text.
 *
 * Each right carries its end twice: on the clock of this boot, and on the wall clock. The clock of the boot is exact,
 * but a container may have been given another; the wall clock can be set. The earlier end counts.
 */
#include "softnet/saved/state_text.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "core/learn4/lease.h"
#include "core/judge/trust.h"
#include "softnet/saved/state_names.h"
#include "softnet/saved/state_text6.h"

#define FIRST_LINE "softnet-state 2"

enum { WORDS_MAX = 14, SUM_LINE = 4 + 16 + 1 };

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t octets)
{
	const uint8_t *b = bytes;
	if (hash == 0)
		hash = 0xcbf29ce484222325ULL;
	for (size_t i = 0; i < octets; i++)
		hash = (hash ^ b[i]) * 0x100000001b3ULL;
	return hash;
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static void put_lease(struct writer *w, const struct binding *b, struct moment moment)
{
	put(w, "lease");
	put_address(w, b->address);
	put(w, " %" PRIu32 " %s", b->prefix_length, b->state == BINDING_GRACE ? "grace" : "bound");
	put_end(w, b->expires_ms, moment);
	put(w, " %" PRIu64 " %016" PRIx64, b->since_ms, b->client_id);
	put_address(w, b->server);
	put_mac(w, " ", b->server_mac);
	put_addresses(w, &b->routers);
	put_addresses(w, &b->resolvers);
	put(w, " %u", (unsigned)b->server_port);
	if (b->has_public_id)
		put(w, " %" PRIu32 "\n", b->public_id);
	else
		put(w, " -\n");
}

static void put_locked(struct writer *w, const char *word, const struct locked *l, struct moment moment)
{
	if (!is_locked(l, moment.now_ms))
		return;
	put(w, "%s", word);
	put_address(w, l->address);
	for (uint32_t i = 0; i < l->macs.count && i < MAC_SET_MAX; i++)
		put_mac(w, i == 0 ? " " : ",", l->macs.item[i]);
	put_end(w, l->until_ms, moment);
	put(w, "\n");
}

void put_clients(struct writer *w, const char *word, const struct client_id *ids, int count, struct moment moment)
{
	for (int i = 0; i < count; i++)
		if (ids[i].until_ms > moment.now_ms) {
			put(w, "%s %016" PRIx64, word, ids[i].hash);
			put_end(w, ids[i].until_ms, moment);
			put(w, "\n");
		}
}

/* An address that is not held stands in front of those that are, whose end may have come when they are read again. */
static void put_past(struct writer *w, const struct state *state)
{
	if (!state->past.had_lease)
		return;
	put(w, "past");
	put_address(w, state->past.ran_out);
	put(w, "\n");
}

size_t write_state_text(const struct state *state, const struct state_owner *owner, struct moment moment, char *text,
			size_t size)
{
	struct writer w = { .text = text, .size = size };
	put(&w, FIRST_LINE "\n");
	put_mac(&w, "mac ", owner->vm_mac);
	put(&w, "\nboot %s\nconfig %016" PRIx64 "\n", owner->boot_id, owner->config_hash);
	put(&w, "key %016" PRIx64 " %016" PRIx64 "\n", state->hash_key[0], state->hash_key[1]);
	for (int i = 0; i < ROUTERS4_MAX; i++)
		put_locked(&w, "router", &state->learned.routers[i].lock, moment);
	for (int i = 0; i < SERVERS4_MAX; i++)
		put_locked(&w, "server", &state->learned.servers[i], moment);
	if (state->learned.hears_no_unicast)
		put(&w, "unicast unheard\n");
	put_past(&w, state);
	for (int i = 0; i < BINDINGS4_MAX; i++) {
		const struct binding *b = &state->ipv4[i];
		if (is_live(b, moment.now_ms) && (b->state == BINDING_BOUND || b->state == BINDING_GRACE))
			put_lease(&w, b, moment);
	}
	put_clients(&w, "client", state->client_ids, CLIENT_IDS_MAX, moment);
	put_state6(&w, &state->ipv6, moment);
	put_names(&w, owner->names, moment);
	put(&w, "sum %016" PRIx64 "\n", hash_bytes(0, text, w.length));
	return w.full ? 0 : w.length;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

/* Cuts a line into words. 0: none, or too many. */
static int split_words(char *line, char *words[WORDS_MAX])
{
	int count = 0;
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " ")) {
		if (count == WORDS_MAX)
			return 0;
		words[count++] = word;
	}
	return count;
}

static bool take_public_id(const char *word, struct binding *b)
{
	uint64_t id = 0;
	b->has_public_id = strcmp(word, "-") != 0;
	bool is_good = !b->has_public_id || parse_number(word, 0, UINT32_MAX, &id);
	b->public_id = (uint32_t)id;
	return is_good;
}

static bool take_lease(char *const *words, int count, const struct config *config, struct state *state,
		       struct moment moment)
{
	struct binding b = { .used_ms = moment.now_ms };
	uint64_t prefix_length, port;
	if (count != 14 || !take_address(words[1], &b.address) || !is_ipv4(b.address) ||
	    !parse_number(words[2], 0, 32, &prefix_length) || !take_end(words + 4, moment, &b.expires_ms) ||
	    !parse_number(words[6], 0, moment.now_ms, &b.since_ms) || !parse_hex(words[7], &b.client_id) ||
	    !take_address(words[8], &b.server) || !parse_mac(words[9], &b.server_mac) ||
	    !take_addresses(words[10], &b.routers) || !take_addresses(words[11], &b.resolvers) ||
	    !parse_number(words[12], 0, UINT16_MAX, &port) || !take_public_id(words[13], &b))
		return false;
	b.prefix_length = (uint32_t)prefix_length;
	b.server_port = (uint16_t)port;
	b.state = strcmp(words[3], "grace") == 0 ? BINDING_GRACE : BINDING_BOUND;
	state->past.had_lease = 1;
	if (b.expires_ms == 0 && b.state == BINDING_BOUND)
		state->past.ran_out = b.address; /* while nobody watched */
	if (b.expires_ms == 0 || owns_address4(state, b.address, moment.now_ms))
		return true;
	if (!is_leasable4(config, state, b.address, moment.now_ms))
		return true; /* it was, but is somebody else's address now */
	for (int i = 0; i < BINDINGS4_MAX; i++)
		if (state->ipv4[i].state == BINDING_NONE) {
			state->ipv4[i] = b;
			return true;
		}
	return true;
}

bool take_client(char *const *words, int count, struct client_id *ids, int most, struct moment moment)
{
	struct client_id id;
	if (count != 4 || !parse_hex(words[1], &id.hash) || !take_end(words + 2, moment, &id.until_ms))
		return false;
	for (int i = 0; id.until_ms != 0 && i < most; i++)
		if (ids[i].until_ms == 0) {
			ids[i] = id;
			break;
		}
	return true;
}

static bool take_past(char *const *words, int count, struct state *state)
{
	state->past.had_lease = 1;
	return count == 2 && take_address(words[1], &state->past.ran_out);
}

/* A firewall keeps the guest's unicast from the servers. */
static bool take_unheard(char *const *words, int count, struct state *state)
{
	state->learned.hears_no_unicast = 1;
	return count == 2 && strcmp(words[1], "unheard") == 0;
}

static bool take_locked(char *const *words, int count, struct locked *l, struct moment moment)
{
	return count == 5 && take_address(words[1], &l->address) && is_ipv4(l->address) && !is_unset(l->address) &&
	       take_macs(words[2], &l->macs) && l->macs.count > 0 && take_end(words + 3, moment, &l->until_ms);
}

static bool take_router(char *const *words, int count, struct state *state, struct moment moment)
{
	struct locked l;
	if (!take_locked(words, count, &l, moment))
		return false;
	for (int i = 0; l.until_ms != 0 && i < ROUTERS4_MAX; i++)
		if (state->learned.routers[i].lock.until_ms == 0) {
			state->learned.routers[i].lock = l;
			break;
		}
	return true;
}

static bool take_server(char *const *words, int count, struct state *state, struct moment moment)
{
	struct locked l;
	if (!take_locked(words, count, &l, moment))
		return false;
	for (int i = 0; l.until_ms != 0 && i < SERVERS4_MAX; i++)
		if (state->learned.servers[i].until_ms == 0) {
			state->learned.servers[i] = l;
			break;
		}
	return true;
}

static bool take_key(char *const *words, int count, struct state *state)
{
	return count == 3 && parse_hex(words[1], &state->hash_key[0]) && parse_hex(words[2], &state->hash_key[1]);
}

static struct names_read names_read;

static const char *take_line(char *line, const struct state_owner *owner, const struct config *config,
			     struct state *state, struct moment moment)
{
	static const char damaged[] = "a line cannot be read";
	char *words[WORDS_MAX] = { NULL };
	uint64_t number;
	int count = split_words(line, words);
	if (count < 2)
		return damaged;
	if (strcmp(words[0], "mac") == 0)
		return parse_mac(words[1], &number) && number == owner->vm_mac ? NULL : "it belongs to another VM";
	if (strcmp(words[0], "boot") == 0)
		return strcmp(words[1], owner->boot_id) == 0 ? NULL : "the machine was restarted since";
	if (strcmp(words[0], "config") == 0)
		return parse_hex(words[1], &number) && number == owner->config_hash ? NULL : "the options differ now";
	if (strcmp(words[0], "key") == 0)
		return take_key(words, count, state) ? NULL : damaged;
	if (strcmp(words[0], "router") == 0)
		return take_router(words, count, state, moment) ? NULL : damaged;
	if (strcmp(words[0], "server") == 0)
		return take_server(words, count, state, moment) ? NULL : damaged;
	if (strcmp(words[0], "unicast") == 0)
		return take_unheard(words, count, state) ? NULL : damaged;
	if (strcmp(words[0], "past") == 0)
		return take_past(words, count, state) ? NULL : damaged;
	if (strcmp(words[0], "lease") == 0)
		return take_lease(words, count, config, state, moment) ? NULL : damaged;
	if (strcmp(words[0], "client") == 0)
		return take_client(words, count, state->client_ids, CLIENT_IDS_MAX, moment) ? NULL : damaged;
	if (strcmp(words[0], "name") == 0)
		return take_name_line(words, count, &names_read, moment) ? NULL : damaged;
	return take_line6(words, count, config, state, moment) ? NULL : damaged;
}

static bool has_good_sum(const char *text, size_t length)
{
	uint64_t sum;
	char digits[17];
	if (length < SUM_LINE || text[length - 1] != '\n' || memcmp(text + length - SUM_LINE, "sum ", 4) != 0)
		return false;
	memcpy(digits, text + length - 17, 16);
	digits[16] = '\0';
	return parse_hex(digits, &sum) && sum == hash_bytes(0, text, length - SUM_LINE);
}

const char *read_state_text(char *text, size_t length, const struct state_owner *owner, const struct config *config,
			    struct state *state, struct moment moment)
{
	static const char *const opening[] = { "mac ", "boot ", "config ", "key " };
	struct state next = *state;
	size_t lines = 0;
	names_read.count = 0;
	if (length < sizeof FIRST_LINE || memcmp(text, FIRST_LINE "\n", sizeof FIRST_LINE) != 0)
		return "it is no state file of this version";
	if (!has_good_sum(text, length))
		return "it is damaged";
	char *line = text + sizeof FIRST_LINE;
	text[length - SUM_LINE] = '\0';
	for (char *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
		*end = '\0';
		if (lines < 4 && strncmp(line, opening[lines], strlen(opening[lines])) != 0)
			return "it is damaged";
		const char *cause = take_line(line, owner, config, &next, moment);
		if (cause)
			return cause;
	}
	if (lines < 4)
		return "it is damaged";
	find_graces(&next);
	*state = next;
	restore_names(owner->names, &names_read, moment.now_ms);
	return NULL;
}
