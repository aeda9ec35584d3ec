/* What softnet watch shows. Pure: no terminal, no clock; it remembers what a status cannot tell. */
#pragma once
#include "softnet/look/guard_list.h"
#include "softnet/look/text/status_text.h"
#include "system/process/terminal.h"

enum { HISTORY_MAX = 64, GONE_SHOWN_S = 60 };

struct scene {
	const char *name;               /* as --vm has it; NULL: all */
	json_t *subject;                /* the guard whose page it is, its pid; NULL: none */
	uint64_t rates[2][HISTORY_MAX]; /* octets in each of the last seconds, from the guest and from the uplink; a ring */
	uint64_t octets[2];             /* at the last time */
	uint64_t noted_ms;
	unsigned next, count;
	struct word gone; /* "": nobody */
	uint64_t gone_ms, now_ms;
};

/* Each time that all were asked. */
void note_change(struct scene *, const struct guard_list *before, const struct guard_list *, uint64_t now_ms);
/* Lines for so many rows and columns; static. */
const char *compose_screen(const struct scene *, const struct guard_list *, int rows, int columns);
