/* --state FILE: leases outlive a restart of the guard. */
#pragma once
#include "state_text.h"

struct state_file {
	const char *path; /* NULL: none */
	struct state_owner owner;
	uint64_t saved_hash, saved_ms;
	bool has_warned;
};

/* NULL, or why nothing was taken over. "" : there is no file yet. */
const char *load_state_file(struct state_file *, const struct config *, struct state *, struct moment);

/* Writes the file if the state differs from what it holds; at most once a second unless `at_once`. Warns once. */
void save_state_file(struct state_file *, const struct state *, struct moment, bool at_once);
