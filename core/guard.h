/* The whole decision about one frame: judge, then the token it costs, then the snooper. User space only. */
#pragma once
#include "snoop.h"

/* PASS or a DROP. State has changed when it returns. */
enum verdict decide(struct snoop *snoop, enum direction direction, const struct frame *frame, uint64_t now_ms);

/* Names from the one table; "pass" for PASS. */
const char *verdict_name(enum verdict verdict);
const char *verdict_meaning(enum verdict verdict);
