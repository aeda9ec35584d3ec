/* A guard.status as people read it. */
#pragma once
#include "softnet/look/text/words.h"

/* In a few words: how does the VM stand? */
struct word format_situation(const json_t *status);

/* One guard. user: whose it is; NULL: that goes without saying. */
void write_page(struct sheet *, const json_t *status, const char *user);
/* The same without the drops. */
void write_summary(struct sheet *, const json_t *status, const char *user);
/* A line for each of several; two where so many columns leave no room for how the VM stands. columns 0: no end. */
void write_table_head(struct sheet *, bool has_users, int columns);
void write_table_row(struct sheet *, const json_t *status, const char *user, int columns);
/* One of the objects in `drops`, in two lines, or three; who: of which VM, or NULL. */
void write_drop(struct sheet *, const json_t *drop, const char *who, bool with_meaning);
