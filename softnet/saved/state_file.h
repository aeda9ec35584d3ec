/*
 * --state FILE: leases outlive a restart of the guard. A file never grants what was lost: a right that is taken away is
 * gone from it before anybody is told, and what cannot be written makes the old file void.
 */
#pragma once
#include "softnet/saved/state_text.h"

enum { SAVE_INTERVAL_MS = 1000 };

/* What a restart would find. */
enum state_kept {
	STATE_KEPT, /* what the guard knows, as of the last second */
	STATE_VOID, /* nothing: it cannot be written, and what was there is gone */
	STATE_STALE /* what was there is out of date, and nothing could be done about it */
};

struct state_file {
	const char *path; /* NULL: none */
	struct state_owner owner;
	int fd; /* of what stands there; -1: none. With it no full disk and no folder keeps us from emptying it */
	uint64_t saved_hash, saved_ms;
	uint64_t failed; /* how often it could not be written */
	enum state_kept kept;
	bool has_changed; /* the state, since it was written */
	bool has_warned;
};

/* True when save_state_file() would look for something to write. */
bool is_due(const struct state_file *, uint64_t now_ms);

/* NULL, or why nothing was taken over. "" : there is no file yet. */
const char *load_state_file(struct state_file *, const struct config *, struct state *, struct moment);

/*
 * Writes the file if the state differs from what it holds; at most once a second, unless `at_once`. Warns once.
 * True: `kept` is another now.
 */
bool save_state_file(struct state_file *, const struct state *, struct moment, bool at_once);

/* In a word, and in a sentence. */
const char *kept_name(enum state_kept);
const char *describe_kept(enum state_kept);
