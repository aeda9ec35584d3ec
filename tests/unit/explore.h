/*
 * Every order of events to a depth: from the start of a scene each of its moves is made, and from each state that this gives
 * each again. A state that was seen with as much depth left is not visited twice. The scene keeps a memory of its own, made
 * from docs/filter*.md and not from core, and compares both behind each move.
 */
#pragma once
#include "world_dhcp6.h"

enum { MEMORY_MAX = 48 };

enum move_kind { FROM_THE_GUEST, TO_THE_GUEST, TIME_PASSES };

struct move {
	const char *name;
	enum move_kind kind;
	uint32_t wait_ms;             /* TIME_PASSES */
	void (*make)(struct world *); /* builds the frame */
	uint32_t what[4];             /* of the scene's own */
};

struct step {
	const struct move *move;
	enum verdict verdict; /* PASS where time passes */
	const struct state *before, *after;
	uint64_t now_ms;
};

struct scene {
	const char *name;
	const struct move *moves;
	uint32_t count;
	void (*begin)(struct world *);
	/* Changes the memory by what was seen, and says what is wrong; NULL: nothing. */
	const char *(*learn)(uint64_t *memory, const struct step *);
	/* Asks the judge about the state as it is. */
	const char *(*check)(struct world *, const uint64_t *memory);
};

/* Fails with the moves that led there. EXPLORE in the environment is the depth; else SOFTNET_LONG makes it 6. */
void explore(const struct scene *scene, uint32_t depth);

/* What the judge says of the frame that was built last; changes nothing. */
enum verdict judged(const struct world *w);

/* The memory of the visit, for a question of the guard's own (struct guard, ask), which it makes while it decides. */
uint64_t *memory_now(void);

extern const struct scene dhcp4_scene, named_dhcp4_scene, arp_scene, nd_scene, dhcp6_scene;
