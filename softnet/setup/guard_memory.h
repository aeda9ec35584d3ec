/* All that a guard remembers. */
#pragma once
#include "core/guard.h"
#include "core/names/names.h"

/*
 * What the pointers of struct guard lead to. Large, so never on the stack; and what no rule needs is never touched, so that
 * it takes no memory.
 */
struct guard_memory {
	struct config config;
	struct state state;
	struct buckets buckets;
	struct flows flows;
	struct names names;
	struct name_rules name_rules[2]; /* one is in force, the next ones are compiled in the other */
	struct name_rules learned;       /* --names learn: as if they were rules */
};
