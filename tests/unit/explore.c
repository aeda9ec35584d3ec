/* The walk over all orders of events, and what it remembers of states that it has seen. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"

#include <cmocka.h>

enum { DEPTH_MAX = 12, DEPTH_LONG = 6, SEEN_MAX = 1 << 23 }; /* a power of two */

struct visited {
	struct state state;
	uint64_t now_ms;
	uint64_t memory[MEMORY_MAX];
};

static struct world world;
static struct visited path[DEPTH_MAX + 1];
static const struct move *made[DEPTH_MAX];
static uint64_t *seen; /* hashes whose low four bits are the depth that was left */
static uint64_t states, steps;
static uint64_t *memory;

uint64_t *memory_now(void)
{
	return memory;
}

enum verdict judged(const struct world *w)
{
	struct frame frame = { .bytes = w->frame, .length = w->length };
	return judge_frame(&w->config, &w->state, FROM_GUEST, &frame, w->now_ms).verdict;
}

static uint64_t hash_of(const struct visited *node)
{
	const unsigned char *octets = (const unsigned char *)node;
	uint64_t hash = 0x9e3779b97f4a7c15ULL, word;
	for (size_t i = 0; i + sizeof word <= sizeof *node; i += sizeof word) {
		memcpy(&word, octets + i, sizeof word);
		if (word != 0) /* most of a state is empty */
			hash = (hash ^ (word + i)) * 0xff51afd7ed558ccdULL, hash ^= hash >> 32;
	}
	return hash;
}

/* True if nothing new can come of it. */
static bool was_seen_before(const struct visited *node, uint32_t left)
{
	uint64_t hash = hash_of(node), key = hash & ~15ULL;
	for (uint64_t i = hash >> 20;; i++) {
		uint64_t *slot = &seen[i % SEEN_MAX];
		if (*slot != 0 && (*slot & ~15ULL) != key)
			continue;
		if (*slot != 0 && (*slot & 15) >= left)
			return true;
		assert_true(*slot != 0 || ++states < SEEN_MAX / 4 * 3);
		*slot = key | left;
		return false;
	}
}

static void fail_at(const struct scene *scene, uint32_t depth, enum verdict verdict, const char *why)
{
	print_error("%s: ", scene->name);
	for (uint32_t i = 0; i <= depth; i++)
		print_error("%s; ", made[i]->name);
	fail_msg("%s: %s", verdict_name(verdict), why);
}

static enum verdict make_move(const struct move *move)
{
	if (move->kind == TIME_PASSES) {
		world.now_ms += move->wait_ms;
		return PASS;
	}
	move->make(&world);
	return move->kind == FROM_THE_GUEST ? from_guest(&world) : to_guest(&world);
}

/* Rights end by the clock, whether anybody tidies up or not: asked before and behind it. */
static void take_step(const struct scene *scene, const struct move *move, uint32_t depth)
{
	struct visited *next = &path[depth + 1];
	world.state = path[depth].state;
	world.now_ms = path[depth].now_ms;
	memcpy(next->memory, path[depth].memory, sizeof next->memory);
	memory = next->memory;
	made[depth] = move;
	struct step step = { move, make_move(move), &path[depth].state, &world.state, world.now_ms };
	const char *why = scene->learn(memory, &step);
	if (step.verdict != PASS && !is_drop(step.verdict))
		why = "no verdict";
	if (!why)
		why = scene->check(&world, memory);
	if (!why && move->kind == TIME_PASSES) {
		expire_bindings(&world.guard, world.now_ms);
		why = scene->check(&world, memory);
	}
	if (why)
		fail_at(scene, depth, step.verdict, why);
	next->state = world.state;
	next->now_ms = world.now_ms;
	steps++;
}

static void visit(const struct scene *scene, uint32_t depth, uint32_t left)
{
	if (left == 0 || was_seen_before(&path[depth], left))
		return;
	for (uint32_t i = 0; i < scene->count; i++) {
		take_step(scene, &scene->moves[i], depth);
		visit(scene, depth + 1, left - 1);
	}
}

void explore(const struct scene *scene, uint32_t depth)
{
	const char *wanted = getenv("EXPLORE");
	if (wanted || getenv("SOFTNET_LONG"))
		depth = wanted ? (uint32_t)strtoul(wanted, NULL, 10) : DEPTH_LONG;
	assert_in_range(depth, 1, DEPTH_MAX);
	seen = test_calloc(SEEN_MAX, sizeof *seen);
	states = steps = 0;
	memset(path, 0, sizeof path);
	scene->begin(&world);
	memset(world.config.rates, 0, sizeof world.config.rates); /* no limits: orders are asked, not amounts */
	path[0].state = world.state;
	path[0].now_ms = world.now_ms;
	visit(scene, 0, depth);
	print_message("%s: %" PRIu64 " states, %" PRIu64 " steps, depth %" PRIu32 "\n", scene->name, states, steps,
		      depth);
	test_free(seen);
}
