/* The words of a `softnet attach`, as they are put together. */
#pragma once
#include <stdbool.h>

enum { WORDS_MAX = 9000 }; /* every rule may be a word of its own */

struct words {
	int count;
	char *all[WORDS_MAX + 1]; /* ends in NULL */
};

/* --NAME=VALUE, or with `value` NULL --NAME; with `name` NULL the value alone. False: there is no room. */
bool add_word(struct words *, const char *name, const char *value);
void forget_words(struct words *);
