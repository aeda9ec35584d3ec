/* How long a bell of another guard rings: until that guard has looked, or is not going to. */
#include "softnet/claims/claims_bells.h"
#include <string.h>
#include <unistd.h>
#include "system/descriptors.h"

enum { BELL_MS = 60000 }; /* as long as a note stands; older versions of softnet do not say that they have looked */

static void end_bell(struct claims_bells *b, int index)
{
	if (b->item[index].until_ms > 0 && b->item[index].fd >= 0)
		close(b->item[index].fd);
	b->item[index].until_ms = 0;
}

/* Its own, if it rings already; then one that is free; then the oldest. */
static int choose_bell(const struct claims_bells *b, const char *name)
{
	int oldest = 0;
	for (int i = 0; i < BELLS_MAX; i++) {
		if (b->item[i].until_ms > 0 && strcmp(b->item[i].name, name) == 0)
			return i;
		if (b->item[i].until_ms < b->item[oldest].until_ms)
			oldest = i;
	}
	return oldest;
}

void begin_ringing(struct claims_bells *b, const struct other_guard *other, uint64_t now_ms)
{
	int index = choose_bell(b, other->name), fd = ring_bell(other);
	struct claims_page page = { .looks = 0 };
	read_claims_file(fd, other->user, &page);
	end_bell(b, index);
	b->item[index].fd = fd;
	b->item[index].user = other->user;
	b->item[index].looks = page.looks;
	b->item[index].until_ms = now_ms + BELL_MS;
	copy_text(b->item[index].name, sizeof b->item[index].name, other->name);
}

void follow_bells(struct claims_bells *b, uint64_t now_ms)
{
	struct claims_page page;
	for (int i = 0; i < BELLS_MAX; i++) {
		if (b->item[i].until_ms == 0)
			continue;
		bool is_read = read_claims_file(b->item[i].fd, b->item[i].user, &page);
		if (!is_read || page.looks != b->item[i].looks || now_ms >= b->item[i].until_ms)
			end_bell(b, i);
	}
}

bool are_silent(const struct claims_bells *b)
{
	bool is_silent = true;
	for (int i = 0; i < BELLS_MAX; i++)
		is_silent &= b->item[i].until_ms == 0;
	return is_silent;
}

void end_ringing(struct claims_bells *b)
{
	for (int i = 0; i < BELLS_MAX; i++)
		end_bell(b, i);
}
