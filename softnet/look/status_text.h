/*
 * A guard.status as people read it. Pure: text goes into a buffer. What is written of may be a hostile guard's: a key may
 * be missing or of another type, and nothing but printable ASCII comes out.
 */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "system/text.h"

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
/* 0: there is none. */
uint64_t number_of(const json_t *object, const char *key);

/* "12.3 k" */
struct word format_amount(uint64_t);
/* "12.3 kbit" */
struct word format_bits(uint64_t octets);
/* "3 h 5 min" */
struct word format_span(uint64_t seconds);
/* In a few words: how does the VM stand? */
struct word format_situation(const json_t *status);

/* One guard. user: whose it is; NULL: that goes without saying. */
void write_page(struct sheet *, const json_t *status, const char *user);
/* The same without the drops. */
void write_summary(struct sheet *, const json_t *status, const char *user);
/* A line for each of several. */
void write_table_head(struct sheet *, bool has_users);
void write_table_row(struct sheet *, const json_t *status, const char *user);
/* status_names.c: what rules that name hosts have let through. */
void write_names(struct sheet *, const json_t *status);
/* One of the objects in `drops`, in two lines, or three; who: of which VM, or NULL. */
void write_drop(struct sheet *, const json_t *drop, const char *who, bool with_meaning);
