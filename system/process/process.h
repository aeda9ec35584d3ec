/* What the process inherited, put in order before anything else happens. */
#pragma once
#include <stddef.h>

/* Descriptors 0-2 are open, no core file, umask 077; under set-user-id a small environment. */
void sanitize_process(void);
/* For a child before it starts a program: what was changed for the guard alone is as it was. */
void restore_process(void);
/*
 * Closes what the process was started with, and nobody named: a shell or a supervisor may not have known of it. A file as
 * standard input or output stays. Otherwise nothing is read there any more, a terminal's keys least of all, and standard
 * error only writes.
 */
void close_inherited(const int *kept, size_t count);
