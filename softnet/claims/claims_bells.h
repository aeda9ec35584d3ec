/* Bells of other guards that we ring, each until its guard has heard it: it may stand still for a while. */
#pragma once
#include "softnet/claims/claims_folder.h"

enum { BELLS_MAX = 4 };

struct claims_bells {
	struct {
		int fd; /* -1: its file could not be locked */
		uid_t user;
		char name[CLAIMS_NAME];
		uint32_t looks;    /* that its guard had begun when we rang */
		uint64_t until_ms; /* 0: none */
	} item[BELLS_MAX];
};

/* What it shall read is written already. */
void begin_ringing(struct claims_bells *, const struct other_guard *, uint64_t now_ms);
/* Once a second. */
void follow_bells(struct claims_bells *, uint64_t now_ms);
bool are_silent(const struct claims_bells *);
void end_ringing(struct claims_bells *);
