/* What was meant by a word that nobody knows. */
#pragma once
#include <stddef.h>

/* The name of each word; NULL behind the last one. A name may be skipped by an empty one. */
typedef const char *(*word_list)(size_t index);

/*
 * The word of the list that differs least: by a letter that is wrong, missing, too many, or by two that changed places, and at
 * most by one in three letters. NULL: none is near. Of `word` the first `length` characters are looked at.
 */
const char *guess_word(const char *word, size_t length, word_list);
