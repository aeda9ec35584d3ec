/*
 * Files of a guard are written by processes of their own, since a disk may hang: one for the state, one for a log that is a file,
 * and one for all others. One more reads those of --policy, when SIGHUP says so.
 */
#pragma once
#include "softnet/guard/loop.h"

/* What they may do with files; asked in each of them. */
typedef const struct sandbox_wish *wish_maker(const struct options *);

/* When all files are open, and privileges are gone. Where there can be no such process, the guard writes them itself. */
void start_files_aside(struct relay *, wish_maker *);
/* Then, when no other process is started any more: lines of a log that is a file, too. */
void log_aside(struct relay *);
