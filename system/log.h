/* Lines to stderr. None of them can block or end the guard, whatever became of the other end of stderr. */
#pragma once
#include "system/error.h"
#include <stdarg.h>
#include <stdbool.h>

#define PRINTF_LIKE __attribute__((format(printf, 1, 2)))

/* Before privileges go, and with them the right to open a terminal once more, which else can hold up who writes to it. */
void open_log(void);
/* What lines are written to. */
int log_fd(void);
/* From now on it is 2, and nothing can be read there: for processes that keep few descriptors. */
void log_by_stderr(void);

/* 0: faults only; 1: also what was learned, and drops. */
void set_verbosity(int);
bool is_verbose(void);

PRINTF_LIKE void info(const char *format, ...); /* on stderr only with -v */
PRINTF_LIKE void warning(const char *format, ...);
PRINTF_LIKE _Noreturn void die(const char *format, ...);       /* exit 1 */
PRINTF_LIKE _Noreturn void die_usage(const char *format, ...); /* exit 2 */

/* A line for programs to read: without "softnet: " in front. */
PRINTF_LIKE void print_line(const char *format, ...);
