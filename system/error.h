/* Why something cannot be: the one type of error. In text.c. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>

enum exit_status {
	EXIT_OK = 0,
	EXIT_RUNTIME = 1,
	EXIT_USAGE = 2,
	EXIT_LOST = 3,
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127
};

/* The line that a user reads, without the program's name. status: EXIT_USAGE when what was written is wrong, else EXIT_RUNTIME. */
struct error {
	enum exit_status status;
	char text[320];
};

/* For functions that end as those below do. */
__attribute__((format(printf, 3, 0))) void fill_error(struct error *, enum exit_status, const char *format, va_list);

/* Both always give false, so that a function can end with them. What was written is wrong: */
__attribute__((format(printf, 2, 3))) bool refuse(struct error *, const char *format, ...);
/* ... "VALUE": expected WHAT. The value is shown on one line whatever octets it holds, and shortened. */
bool refuse_value(struct error *, const char *value, const char *what);
/* It was right, and cannot be had: */
__attribute__((format(printf, 2, 3))) bool report_failure(struct error *, const char *format, ...);
