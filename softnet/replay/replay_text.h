/* What `softnet replay` prints: a line for each frame, and how many there were. */
#pragma once
#include <stdio.h>
#include "core/guard.h"
#include "softnet/capture/pcap_file.h"

/* Beside the verdicts of the core: a frame that nobody can judge, and nothing to compare with. */
enum { REPLAY_CUT = VERDICTS, REPLAY_VERDICTS, REPLAY_NOTHING = REPLAY_VERDICTS };

struct replayed {
	uint64_t number; /* from 1 */
	enum direction direction;
	const struct captured *captured;
	unsigned verdict;  /* up to REPLAY_CUT */
	unsigned other;    /* of --diff, or REPLAY_NOTHING */
	unsigned recorded; /* what the capture says, or REPLAY_NOTHING */
};

struct replay_counts {
	uint64_t frames[DIRECTIONS][REPLAY_VERDICTS], octets[DIRECTIONS][REPLAY_VERDICTS];
	uint64_t opened, closed, otherwise; /* of --diff: drop to pass, pass to drop, drop for another reason */
	uint64_t recorded, contradicted;    /* verdicts in the capture, and how many of them are others */
};

void count_replayed(struct replay_counts *, const struct replayed *);

void print_replayed(const struct replayed *, bool as_json, FILE *to);
void print_replay_summary(const struct replay_counts *, bool has_other, bool as_json, FILE *to);

/* "pass", or "drop REASON" and anything behind a colon; REPLAY_NOTHING: it is neither. */
unsigned recorded_verdict(const char *comment, size_t length);
