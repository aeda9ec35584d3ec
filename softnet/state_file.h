/* --state FILE: leases outlive a restart of the guard. */
#pragma once
#include "state_text.h"

enum { SAVE_INTERVAL_MS = 1000 };

struct state_file {
	const char *path; /* NULL: none */
	struct state_owner owner;
	uint64_t saved_hash, saved_ms;
	bool has_changed; /* the state, since it was written */
	bool has_lost;    /* a right: it must not come back, so this cannot wait */
	bool has_warned;
};

/* True when save_state_file() would look for something to write. */
bool is_due(const struct state_file *, uint64_t now_ms);

/* NULL, or why nothing was taken over. "" : there is no file yet. */
const char *load_state_file(struct state_file *, const struct config *, struct state *, struct moment);

/*
 * Writes the file if the state differs from what it holds; at most once a second, unless `at_once` or a right was lost.
 * Warns once.
 */
void save_state_file(struct state_file *, const struct state *, struct moment, bool at_once);
