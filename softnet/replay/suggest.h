/*
 * `softnet policy suggest`: what names have told while they were learned, as a policy file. Names come from guests and from
 * files, so nothing is printed that is no host name.
 */
#pragma once
#include <stdio.h>
#include "core/names/names.h"
#include "softnet/options/options.h"

/* The exit status; 2: the error says what is wrong with the options. */
int suggest_rules(const struct options *, FILE *to, struct error *);

/* Forgets all notes. */
void clear_notes(void);
/* Notes what the event says. The wildcards of the options stand for the names below them. */
void note_name_event(const struct options *, const struct name_event *);

/* is_whole: there was nothing that could not be read. */
void print_suggestion(const struct options *, bool is_whole, FILE *to);

/* suggest_events.c: does the file hold events? Else it is a capture. */
bool holds_events(const char *path);
/* False: it cannot be read, or a line of it is no event; those before it have been noted. */
bool read_events(const struct options *, const char *path, struct error *);
