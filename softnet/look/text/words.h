/*
 * Text for people, out of what a guard answers. Pure: it goes into a buffer. The guard may be a hostile one: a key may be
 * missing or of another type, and nothing but printable ASCII comes out.
 */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lines; always ends in a 0. What does not fit is left out. */
struct sheet {
	char *text;
	size_t size, length;
	bool is_colored; /* how the VM stands: green, yellow where frames are dropped, red where it has no network */
};

__attribute__((format(printf, 2, 3))) void write_to(struct sheet *, const char *format, ...);

/* Printable ASCII, shortened where it is longer. */
enum { WORD_MAX = 512 };
struct word {
	char text[WORD_MAX];
};

__attribute__((format(printf, 1, 2))) struct word word(const char *format, ...);
/* A string, or a number in digits; "?": neither. */
struct word word_in(const json_t *value);
struct word word_of(const json_t *object, const char *key);
/* 0: there is none. */
uint64_t number_of(const json_t *object, const char *key);

/* "12.3 k" */
struct word format_amount(uint64_t);
/* "12.3 kbit" */
struct word format_bits(uint64_t octets);
/* "3 h 5 min" */
struct word format_span(uint64_t seconds);
/* "3 h 5 min left" by the `seconds` of a lease; null: without end */
struct word left_of(const json_t *lease);

/* So many lines of a list are shown. The name of a list stands before its first line only: *text, and then "". */
enum { LIST_SHOWN = 64 };
const char *label(const char **text);
