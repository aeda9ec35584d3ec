/* The optimal string alignment distance, over words as short as those of a command line. */
#include "system/guess.h"
#include <string.h>

enum { WORD_MAX = 32 };

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Both are WORD_MAX long at most. */
static size_t distance_between(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t rows[3][WORD_MAX + 1];
	for (size_t j = 0; j <= b_length; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
		row[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = smaller(row[j], before[j - 2] + 1);
		}
	}
	return rows[a_length % 3][b_length];
}

const char *guess_word(const char *word, size_t length, word_list words)
{
	enum { LETTERS_FOR_ONE = 3 };
	const char *best = NULL, *name;
	size_t best_distance = length / LETTERS_FOR_ONE + 1;
	if (length == 0 || length > WORD_MAX)
		return NULL;
	for (size_t i = 0; (name = words(i)); i++) {
		size_t name_length = strlen(name);
		if (name_length == 0 || name_length > WORD_MAX)
			continue;
		size_t distance = distance_between(word, length, name, name_length);
		/* A beginning of one: "--verb", "--vm-mac". */
		if (length >= LETTERS_FOR_ONE && length < name_length && strncmp(word, name, length) == 0)
			distance = 0;
		if (distance < best_distance) {
			best = name;
			best_distance = distance;
		}
	}
	return best;
}
