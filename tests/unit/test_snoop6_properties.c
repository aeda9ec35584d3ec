/* What holds whatever the frames are: catalogue and built frames, mutated at random, in worlds with addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/guard.h"
#include "core/learn6/lease6.h"
#include "core/made/question.h"
#include "test_snoop6.h"

#include <cmocka.h>

enum { SEEDS_MAX = 400, SEED_OCTETS = 400, ROUNDS = 200000 };

static struct {
	uint8_t octets[SEED_OCTETS];
	uint32_t length;
} seeds[SEEDS_MAX];
static uint32_t seed_count;

static void add_seed(const uint8_t *octets, uint32_t length)
{
	if (length < 54 || length > SEED_OCTETS || seed_count == SEEDS_MAX)
		return;
	memcpy(seeds[seed_count].octets, octets, length);
	seeds[seed_count++].length = length;
}

/* The IPv6 frames of the catalogue, whatever their direction: forgers may send anything. */
static void read_catalogue(void)
{
	static char line[50000], hex[40001];
	static uint8_t octets[20000];
	FILE *file = fopen(getenv("ATTACKS") ? getenv("ATTACKS") : "tests/unit/attacks.hex.tsv", "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file)) {
		uint32_t length = 0;
		unsigned octet;
		if (sscanf(line, "%*s %*d %*s %*s %*s %40000s", hex) != 1)
			continue;
		for (const char *at = hex; sscanf(at, "%2x", &octet) == 1; at += 2)
			octets[length++] = (uint8_t)octet;
		if (length > 14 && octets[12] == 0x86)
			add_seed(octets, length);
	}
	fclose(file);
}

static void add_built_seeds(void)
{
	const struct address targets[] = { GUEST_LL, GUEST_SLAAC, GUEST_PRIVACY, ROUTER_LL, VICTIM_LL, VICTIM_LEASED };
	for (uint8_t type = RS; type <= REDIRECT; type++)
		for (size_t i = 0; i < 6; i++)
			for (size_t j = 0; j < 6; j++) {
				put_nd(&w, &(struct nd_spec){ .type = type, .from = targets[i], .target = targets[j] });
				add_seed(w.frame, w.length);
			}
	put_ra(&w, &(struct ra_spec){ .from = VICTIM_LL,
				      .mac = VICTIM_MAC,
				      .router_s = 1800,
				      .valid_s = 600,
				      .prefix = { 0xfd65000000000000ULL, 0 },
				      .resolver = GLOBAL_IP6,
				      .resolver_s = 600 });
	add_seed(w.frame, w.length);
	put_udp6(&w, VICTIM_LL, GUEST_LL, 547, 546, 40);
	add_seed(w.frame, w.length);
	put_udp6(&w, GUEST_PRIVACY, GLOBAL_IP6, 4000, 4000, 40);
	add_seed(w.frame, w.length);
}

static void make_seeds(void)
{
	if (seed_count > 0)
		return;
	start_world6(&w, true);
	read_catalogue();
	add_built_seeds();
	assert_in_range(seed_count, 200, SEEDS_MAX);
}

/* A seed with a few octets changed, sent by that MAC to where it finds somebody. */
static void put_mutant(uint64_t from)
{
	uint32_t i = next_random() % seed_count;
	w.length = 0;
	put_bytes(&w, seeds[i].octets, seeds[i].length);
	for (uint32_t n = next_random() % 3; n > 0; n--)
		w.frame[14 + next_random() % (w.length - 14)] = (uint8_t)next_random();
	for (uint32_t k = 0; k < 6; k++)
		w.frame[6 + k] = (uint8_t)(from >> (40 - 8 * k));
	bool group = (w.frame[38] == 0xff) != (next_random() % 16 == 0);
	uint64_t to =
	    group ? mac_for6(ADDRESS6(0xff02000000000000ULL, (uint64_t)w.frame[50] << 24 | (uint64_t)w.frame[51] << 16 |
								 (uint64_t)w.frame[52] << 8 | w.frame[53]))
		  : (from == GUEST_MAC ? GATEWAY_MAC : GUEST_MAC);
	for (uint32_t k = 0; k < 6; k++)
		w.frame[k] = (uint8_t)(to >> (40 - 8 * k));
}

/* A learned router, and addresses of every kind: own, young, static, leased. */
static void start_full(bool anchored)
{
	start_world6(&w, anchored);
	memset(w.config.rates, 0, sizeof w.config.rates);
	assert_true(add_static_binding(&w.state, ADDRESS6(0xfd70000000000000ULL, 5), 64, w.now_ms));
	put_ra(&w, &(struct ra_spec){ .router_s = 1800,
				      .prefix = { LOCAL_PREFIX, 0 },
				      .valid_s = 7200,
				      .resolver = ADDRESS6(LOCAL_PREFIX, 0x53),
				      .resolver_s = 1200 });
	GUEST_GETS(PASS);
	claim_address(&w, GUEST_PRIVACY);
}

/* P40: of all addresses, only a tentative one gets better with time. */
void time_only_takes(void **state)
{
	(void)state;
	make_seeds();
	start_full(false);
	const struct address watched[] = { GUEST_LL,
					   GUEST_SLAAC,
					   GUEST_PRIVACY,
					   ADDRESS6(LOCAL_PREFIX, 77),
					   ADDRESS6(0xfd70000000000000ULL, 5),
					   ADDRESS6(0xfd65000000000000ULL, GUEST_ID),
					   ADDRESS6(LINK_LOCAL_PREFIX, 77),
					   VICTIM_LL };
	static const uint32_t waits_s[] = { 1, 2, 60, 600, 1200, 1801, 7202, 100000 };
	for (uint32_t round = 0; round < 2000; round++) {
		uint64_t now_ms = w.now_ms;
		solicit_dad(&w, watched[next_random() % 8]);
		put_ra(&w, &(struct ra_spec){ .router_s = (uint16_t)(next_random() % 3 * 900),
					      .valid_s = next_random() % 9000,
					      .prefix = { LOCAL_PREFIX + (next_random() % 2 << 24), 0 } });
		to_guest(&w);
		for (size_t i = 0; i < 8; i++) {
			enum verdict was = status_of_address(watched[i]);
			for (size_t k = 0; k < 8; k++) {
				w.now_ms = now_ms + SECONDS(waits_s[k]);
				enum verdict is = status_of_address(watched[i]);
				bool matured = was == DROP_IP6_SRC_TENTATIVE && is == PASS;
				if (is != was && !matured && is != DROP_IP6_SRC_UNBOUND)
					fail_msg("address %zu: %s became %s", i, verdict_name(was), verdict_name(is));
				was = is;
			}
			w.now_ms = now_ms;
		}
		w.now_ms += next_random() % 300000;
	}
}

/* What neighbors do DAD for, and that they pose as a router, is remembered; it takes nothing from the guest that it has. */
static void forget_neighbors_claims(void)
{
	memset(w.state.ipv6.claims, 0, sizeof w.state.ipv6.claims);
	for (uint32_t i = 0; i < ROUTERS6_MAX; i++) {
		struct router6 *r = &w.state.ipv6.routers[i];
		r->doubt_ms = r->asked_ms = 0;
		r->questions = 0;
	}
}

/* P63: who is not trusted changes nothing, but that a young binding can go. */
void strangers_change_nothing(void **state)
{
	(void)state;
	make_seeds();
	for (int world = 0; world < 4; world++) {
		start_full(world < 2);
		if (world % 2 == 1)
			assert_int_equal(solicit_dad(&w, GUEST_SLAAC), PASS);
		const struct state quiet = w.state;
		struct state before = quiet;
		for (int i = 0; i < ROUNDS / 4; i++) {
			put_mutant(next_random() % 2 ? VICTIM_MAC : FOREIGN_MAC);
			to_guest(&w);
			forget_neighbors_claims();
			if (memcmp(&before, &w.state, sizeof before) != 0)
				expect_verdict(&w, DROP_RA_UNTRUSTED, PASS, "state changed", i);
		}
	}
	start_full(true);
	assert_int_equal(solicit_dad(&w, ADDRESS6(LOCAL_PREFIX, 0x10b)), PASS); /* the catalogue's VICTIM_LEASED: young */
	struct state before = w.state;
	uint32_t young = BINDINGS6_MAX, gone = 0;
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++)
		if (w.state.ipv6.bindings[i].address.low == 0x10b)
			young = i;
	for (int i = 0; i < ROUNDS; i++) {
		put_mutant(VICTIM_MAC);
		to_guest(&w);
		forget_neighbors_claims();
		if (memcmp(&before, &w.state, sizeof before) == 0)
			continue;
		gone++;
		assert_true(young < BINDINGS6_MAX && w.state.ipv6.bindings[young].expires_ms == 0);
		w.state.ipv6.bindings[young] = before.ipv6.bindings[young];
		settle_bindings6(&w.state.ipv6);
		memset(w.state.ipv6.lost, 0, sizeof w.state.ipv6.lost); /* that it is gone is remembered */
		assert_memory_equal(&before, &w.state, sizeof before);
	}
	assert_true(gone > 0);
}

static bool has_binding(const struct state6 *state, struct address a)
{
	for (uint32_t i = 0; i < BINDINGS6_MAX; i++)
		if (state->bindings[i].expires_ms != 0 && same_address(state->bindings[i].address, a))
			return true;
	return false;
}

static uint8_t asked[QUESTION_MAX];
static uint32_t asked_octets;

static bool on_ask(void *context, const uint8_t *frame, uint32_t length)
{
	(void)context;
	assert_true(length <= sizeof asked);
	memcpy(asked, frame, length);
	asked_octets = length;
	return true;
}

static bool asked_for(struct address a)
{
	uint8_t expected[QUESTION_MAX];
	uint32_t length = make_dad_question(GUEST_MAC, a, expected);
	return asked_octets == length && memcmp(asked, expected, length) == 0;
}

/* P29 for IPv6: the guest alone gets an address by DAD, its own or the guard's, and not otherwise, and teaches no router. */
void guests_add_addresses_by_dad_only(void **state)
{
	(void)state;
	make_seeds();
	start_full(true);
	uint32_t added = 0, by_question = 0;
	for (int i = 0; i < ROUNDS; i++) {
		if (i % 5000 == 0)
			start_full(i % 10000 == 0);
		w.guard.ask = on_ask;
		asked_octets = 0;
		struct state before = w.state;
		put_mutant(GUEST_MAC);
		struct frame frame = { .bytes = w.frame, .length = w.length };
		bool dad = judge_frame(&w.config, &w.state, FROM_GUEST, &frame, w.now_ms).verdict == PUNT_DAD;
		from_guest(&w);
		for (uint32_t b = 0; b < BINDINGS6_MAX; b++) {
			const struct binding6 *now = &w.state.ipv6.bindings[b];
			bool new = now->expires_ms != 0 && !has_binding(&before.ipv6, now->address);
			if (new && (!dad || w.frame[54] != NS) && !asked_for(now->address))
				expect_verdict(&w, PUNT_DAD, PASS, "a binding without DAD", i);
			added += new;
			by_question += new &&asked_octets > 0;
		}
		assert_memory_equal(before.ipv6.prefixes, w.state.ipv6.prefixes, sizeof before.ipv6.prefixes);
		assert_memory_equal(before.ipv6.routers, w.state.ipv6.routers, sizeof before.ipv6.routers);
		assert_memory_equal(before.ipv6.resolvers, w.state.ipv6.resolvers, sizeof before.ipv6.resolvers);
		/* What follows is when and how often the server was asked. */
		assert_memory_equal(&before.ipv6.server, &w.state.ipv6.server,
				    offsetof(struct learned_server6, asked_ms));
		w.now_ms += 10;
	}
	assert_true(added > 10 && by_question > 10);
}
