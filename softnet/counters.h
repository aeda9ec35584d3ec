/* What became of every frame. */
#pragma once
#include "../core/guard.h"

struct counters {
	uint64_t verdicts[DIRECTIONS][VERDICTS]; /* PASS: frames delivered */
	uint64_t octets[DIRECTIONS];             /* of those */
	struct {
		uint64_t told;                   /* of the drops, how many a line spoke of */
		uint64_t told_ms;
	} log[DIRECTIONS][VERDICTS];
};

/* With -v the first drop of each reason is told at once. */
void count_drop(struct counters *, enum direction, unsigned verdict, uint64_t n, uint64_t now_ms);

/* With -v: tells of the drops since the last line, one line per reason and second. Called about once a second. */
void tell_drops(struct counters *, uint64_t now_ms);

/* What SIGUSR1 asks for. */
void print_summary(const struct counters *, const struct state *, uint64_t now_ms);
