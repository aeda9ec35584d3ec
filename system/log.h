/* Lines to stderr. None of them can block or end the guard, whatever became of the other end of stderr. */
#pragma once
#include "system/error.h"
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#define PRINTF_LIKE __attribute__((format(printf, 1, 2)))

/* Before privileges go, and with them the right to open a terminal once more, which else can hold up who writes to it. */
void open_log(void);
/* What lines are written to. */
int log_fd(void);
/* From now on it is 2, and nothing can be read there: for processes that keep few descriptors. */
void log_by_stderr(void);
/* Lines are written to a file. Its disk may hang although it says that there is room. */
bool log_is_file(void);
/* From now on lines go there, and it waits so long at most until they are written; false: they are lost. NULL: they are written. */
typedef bool log_taker(const char *line, size_t octets, int patience_ms);
void hand_log_to(log_taker *);
/* For the process that writes what was taken: one whole line. False: there was no room. */
bool write_log_line(const char *line, size_t octets);

/* 0: faults only; 1: also what was learned, and drops. */
void set_verbosity(int);
bool is_verbose(void);

PRINTF_LIKE void info(const char *format, ...); /* on stderr only with -v */
PRINTF_LIKE void warning(const char *format, ...);
PRINTF_LIKE _Noreturn void die(const char *format, ...);       /* exit 1 */
PRINTF_LIKE _Noreturn void die_usage(const char *format, ...); /* exit 2 */

/* A line for programs to read: without "softnet: " in front. */
PRINTF_LIKE void print_line(const char *format, ...);
