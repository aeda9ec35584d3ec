/* The lines of the state file that are about names: which addresses DNS has given them. */
#pragma once
#include "core/names/names.h"
#include "softnet/saved/state_text.h"

void put_names(struct writer *, const struct names *, struct moment);

/* What a file says, until all of it could be read. Large, so never on the stack. */
struct names_read {
	uint32_t count;
	struct {
		struct address address;
		struct name_pattern pattern;
		uint64_t until_ms;
	} item[BOUND_MAX];
};

/* False: it cannot be read. What has run out is left out. */
bool take_name_line(char *const *words, int count, struct names_read *, struct moment);

/* What the rules of now do not allow is left out. */
void restore_names(struct names *, const struct names_read *, uint64_t now_ms);
