/* The whole decision about one frame: judge, then the token it costs, then the snooper. User space only. */
#pragma once
#include "core/learn/snoop.h"

/*
 * The judge alone, for tests and for callers that ask before anything is charged: changes nothing (core/judge/judge.h).
 * Compiled once, in core/judge.c.
 */
struct decision judge_frame(const struct config *, const struct state *, enum direction, const struct frame *,
			    uint64_t now_ms);

/* PASS or a DROP. State has changed when it returns. */
enum verdict decide(struct snoop *snoop, enum direction direction, const struct frame *frame, uint64_t now_ms);

/* Names from the one table; "pass" for PASS. */
const char *verdict_name(enum verdict verdict);
const char *verdict_meaning(enum verdict verdict);
