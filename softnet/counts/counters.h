/* What became of every frame. */
#pragma once
#include "core/guard.h"
#include "core/learn/specimen.h"

enum { SAMPLES = 11 };

/* A frame of which more than the front is wanted: the options of DHCP over IPv4. */
enum { WHOLE_FRAME_MAX = 1514 };

struct whole_frame {
	uint64_t dropped_ms;
	uint32_t length, verdict;
	uint8_t bytes[WHOLE_FRAME_MAX];
};

/* How the guest came to an IPv6 address, by enum origin6. */
extern const char *const origin_names[];

/* The counters of a moment. */
struct sample {
	uint64_t taken_ms;
	uint64_t frames[DIRECTIONS], octets[DIRECTIONS], drops[DIRECTIONS];
};

struct counters {
	uint64_t verdicts[DIRECTIONS][VERDICTS]; /* PASS: frames delivered */
	uint64_t octets[DIRECTIONS];             /* of those */
	struct specimen last[DIRECTIONS][VERDICTS];
	struct whole_frame dhcp[DIRECTIONS]; /* the last one that was dropped for what a DHCP message says */
	struct sample samples[SAMPLES];      /* about a second apart, a ring */
	uint32_t next_sample, sample_count;
	struct {
		uint64_t told; /* of the drops, how many a line spoke of */
		uint64_t told_ms;
	} log[DIRECTIONS][VERDICTS];
};

/* With -v the first drop of each reason is told at once. */
void count_drop(struct counters *, enum direction, unsigned verdict, uint64_t n, uint64_t now_ms);

/* The frame behind a drop that has been counted. */
void keep_specimen(struct counters *, enum direction, unsigned verdict, const struct frame *, uint64_t now_ms);

/* Called about once a second. */
void take_sample(struct counters *, uint64_t now_ms);
struct sample sample_now(const struct counters *, uint64_t now_ms);
/* The oldest that is kept; NULL: none. */
const struct sample *oldest_sample(const struct counters *);
/* For how long at most no frame of this side has passed, to a second; UINT64_MAX: not since the oldest sample. */
uint64_t silence_ms(const struct counters *, enum direction, uint64_t now_ms);

/* With -v: tells of the drops since the last line, one line per reason and second. Called about once a second. */
void tell_drops(struct counters *, uint64_t now_ms);

/* What SIGUSR1 asks for. questions: that the guard has asked by itself. */
void print_summary(const struct counters *, uint64_t questions, const struct state *, uint64_t now_ms);
