/* The last words of a process that made a system call that it may not make. */
#pragma once

enum { TRAPPED_CALLS = 512 };

/* Before they are caught; a call without a name is told by its number alone. */
void name_trapped_call(int number, const char *name);
void catch_trapped_calls(void);
