/*
 * Where a key stands among many that are sorted. A branch spreads its keys over slots of one width, a power of two, so a shift says
 * in which slot to look. A slot with many keys has a branch of its own. Few keys are searched by halves, and so are those
 * that stand close together even BRANCH_LEVELS below, or for which there was no room: a directory may be small, never wrong.
 * So thousands of keys cost hardly more than a few, and no choice of keys costs more than a few steps beyond a search by halves.
 */
#pragma once
#include "core/wire/address.h"

enum {
	BRANCH_LEVELS = 3,
	BRANCHES_MAX = 2048,
	PLACES_MAX = 1 << 16,
	KEYS_APART = 8, /* more in one slot get a branch */
	FIRST_BITS = 17, /* of a slot: which key is the first in it or behind it; above them the number of its branch, or 0 */
	FIRST_MASK = (1 << FIRST_BITS) - 1
};
_Static_assert(BRANCHES_MAX <= 1 << (32 - FIRST_BITS), "a slot has room for the number of a branch");

struct branch {
	struct address base;  /* the first of its keys */
	uint32_t slot, slots; /* one more tells where the last one ends */
	uint32_t shift;       /* 2^shift keys to a slot; from 64 on only the upper half of a key counts */
	uint32_t reserved;
};

struct directory {
	uint32_t branch_count, slot_count;
	struct branch branch[BRANCHES_MAX];
	uint32_t slot[PLACES_MAX];
};

/* The keys from `first` to before `end`. What is looked for is the last of them that is not above a key, or the one before. */
struct key_range {
	uint32_t first, end;
};

/*
 * The slot of a key. One that is below or above all keys of the branch is looked for beside the nearest of them, and will be found
 * to be below or above. is_long: keys have an upper half.
 */
INLINE uint32_t place_in(const struct branch *branch, struct address key, bool is_long)
{
	uint64_t low = key.low - branch->base.low, place = low >> (branch->shift & 63);
	bool is_below = key.low < branch->base.low;
	if (is_long) {
		uint64_t high = key.high - branch->base.high - is_below;
		is_below = address_before(key, branch->base);
		if (branch->shift >= 64)
			place = high >> (branch->shift & 63);
		else if (high != 0)
			place = UINT64_MAX;
	}
	if (is_below)
		return 0;
	return place < branch->slots ? (uint32_t)place : branch->slots - 1;
}

/* Where the halving begins. */
INLINE struct key_range narrow(const struct directory *directory, uint32_t root, struct address key, bool is_long)
{
	uint32_t at = root, slot = 0;
	for (int level = 0; level < BRANCH_LEVELS && at != 0; level++) {
		limit_for_verifier(at, BRANCHES_MAX);
		if (at >= BRANCHES_MAX)
			break;
		const struct branch *branch = &directory->branch[at];
		slot = branch->slot + place_in(branch, key, is_long);
		limit_for_verifier(slot, PLACES_MAX - 1);
		if (slot >= PLACES_MAX - 1)
			break;
		at = directory->slot[slot] >> FIRST_BITS;
	}
	if (slot >= PLACES_MAX - 1)
		return (struct key_range){ 0, 0 };
	return (struct key_range){ directory->slot[slot] & FIRST_MASK, directory->slot[slot + 1] & FIRST_MASK };
}
