/*
 * --state FILE: leases outlive a restart of the guard. A file never grants what was lost: a right that is taken away is
 * gone from it before anybody is told, and what cannot be written makes the old file void.
 */
#pragma once
#include "softnet/saved/state_text.h"
#include "system/files/deferred.h"

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
	struct deferred_queue *queue; /* whose process writes it; NULL: it is written at once */
	int fd; /* of what stands there; -1: none. With it no full disk and no folder keeps us from emptying it */
	uint64_t saved_hash, saved_ms;
	uint64_t handed; /* the number of the last state that was given to be written */
	uint64_t failed; /* how often it could not be written */
	enum state_kept kept, told_kept;
	bool has_changed; /* the state, since it was written */
	bool has_warned;
};

/* True when save_state_file() would look for something to write. */
bool is_due(const struct state_file *, uint64_t now_ms);

/* NULL, or why nothing was taken over. "" : there is no file yet. */
const char *load_state_file(struct state_file *, const struct config *, struct state *, struct moment);

/*
 * Writes the file if the state differs from what it holds; at most once a second, unless `at_once`. Then it is there before this
 * comes back, or `kept` says that it is not: frames do not wait for a disk that does not answer. Warns once.
 */
void save_state_file(struct state_file *, const struct state *, struct moment, bool at_once);
/* True, once: `kept` is another than it was. */
bool has_news_of_kept(struct state_file *);
/* The file was another process's, which has died. */
void forget_state_file(struct state_file *);

/* In a word, and in a sentence. */
const char *kept_name(enum state_kept);
const char *describe_kept(enum state_kept);
