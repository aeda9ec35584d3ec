/* softnet watch. */
#pragma once
#include "softnet/look/guard_list.h"
#include "softnet/options/options.h"

/* The exit status; 2: the error says what is wrong with the options. */
int watch_guards(const struct options *, struct error *);

/*
 * watch_lines.c: what has changed since `before`, a line for each, to standard output, where that is no terminal to draw
 * on. Without a guard before: what is there. False: nobody reads it any more, or a signal has come.
 */
bool write_changes(const struct guard_list *before, const struct guard_list *);
