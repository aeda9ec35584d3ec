/* A list that owns its texts. */
#include "softnet/cni/words.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool add_word(struct words *words, const char *name, const char *value)
{
	size_t size = (name ? strlen(name) : 0) + (value ? strlen(value) : 0) + sizeof "--=";
	char *word = words->count < WORDS_MAX ? malloc(size) : NULL;
	if (!word)
		return false;
	snprintf(word, size, "%s%s%s%s", name ? "--" : "", name ? name : "", name && value ? "=" : "",
		 value ? value : "");
	words->all[words->count++] = word;
	words->all[words->count] = NULL;
	return true;
}

void forget_words(struct words *words)
{
	for (int i = 0; i < words->count; i++)
		free(words->all[i]);
	words->count = 0;
	words->all[0] = NULL;
}
