/*
 * A guard.status as people read it. Pure: text goes into a buffer. What is written of may be a hostile guard's: a key may
 * be missing or of another type, and nothing but printable ASCII comes out.
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

/* A string of an object, as printable ASCII, shortened; "?": there is none. A number is written in digits. */
enum { WORD_MAX = 512 };
struct word {
	char text[WORD_MAX];
};
struct word word_of(const json_t *object, const char *key);
struct word word_in(const json_t *value);
__attribute__((format(printf, 1, 2))) struct word word(const char *format, ...);
/* 0: there is none. */
uint64_t number_of(const json_t *object, const char *key);

/* "12.3 k" */
struct word format_amount(uint64_t);
/* "12.3 kbit" */
struct word format_bits(uint64_t octets);
/* "3 h 5 min" */
struct word format_span(uint64_t seconds);
/* Of an address or neighbor: "9 min left". */
struct word left_of(const json_t *lease);

bool is_true(const json_t *object, const char *key);
/* status[key][side] */
const json_t *side_of(const json_t *status, const char *key, const char *side);
/* The label of a section stands before its first line only. */
const char *label(const char **text);
/* So many of a list are shown. */
enum { LIST_SHOWN = 64 };

/* No fault: a drop of what machines say among themselves. */
bool is_ordinary_drop(const json_t *drop);

/* In a few words: how does the VM stand? */
struct word format_situation(const json_t *status);

/* One guard. user: whose it is; NULL: that goes without saying. */
void write_page(struct sheet *, const json_t *status, const char *user);
/* The same without the drops. */
void write_summary(struct sheet *, const json_t *status, const char *user);
/* A line for each of several; two, where so many columns have no room for how it stands. */
enum { ANY_COLUMNS = 1 << 20 };
void write_table_head(struct sheet *, bool has_users, int columns);
void write_table_row(struct sheet *, const json_t *status, const char *user, int columns);
/* One of the objects in `drops`, in two lines, or three; who: of which VM, or NULL. */
void write_drop(struct sheet *, const json_t *drop, const char *who, bool with_meaning);
