/* Lines to stderr. */
#include "log.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "text.h"

enum { LINE_MAX_OCTETS = 512, PATIENCE_MS = 200 };

static int verbosity;
static unsigned long lost_lines;

void set_verbosity(int level)
{
	verbosity = level;
}

bool is_verbose(void)
{
	return verbosity > 0;
}

/*
 * A pipe that says POLLOUT has room for PIPE_BUF octets, so one short write does not block. O_NONBLOCK would do the
 * same, but stderr is shared with others who do not expect it.
 */
static bool write_line(const char *line, size_t length, int patience_ms)
{
	struct pollfd stderr_poll = { .fd = STDERR_FILENO, .events = POLLOUT };
	if (poll(&stderr_poll, 1, patience_ms) != 1 || (stderr_poll.revents & POLLOUT) == 0)
		return false;
	return write(STDERR_FILENO, line, length) == (ssize_t)length;
}

__attribute__((format(printf, 3, 0))) static void print(const char *prefix, int patience_ms, const char *format,
							va_list arguments)
{
	char line[LINE_MAX_OCTETS];
	size_t start = (size_t)snprintf(line, sizeof line, "%s", prefix);
	vsnprintf(line + start, sizeof line - start - 1, format, arguments);
	make_printable(line); /* names of files and ports are the user's, but sentences may quote others */
	size_t length = strlen(line);
	line[length] = '\n';
	if (lost_lines > 0) {
		char gap[64];
		int gap_length = snprintf(gap, sizeof gap, "softnet: %lu lines lost: stderr was full\n", lost_lines);
		if (write_line(gap, (size_t)gap_length, 0))
			lost_lines = 0;
	}
	if (!write_line(line, length + 1, patience_ms))
		lost_lines++;
}

#define PRINT(prefix, patience_ms) \
	do { \
		va_list arguments; \
		va_start(arguments, format); \
		print(prefix, patience_ms, format, arguments); \
		va_end(arguments); \
	} while (0)

void info(const char *format, ...)
{
	if (verbosity > 0)
		PRINT("softnet: ", 0);
}

void warning(const char *format, ...)
{
	PRINT("softnet: ", 0);
}

void print_line(const char *format, ...)
{
	PRINT("", 0);
}

/* The last line is the one that counts, so these wait a moment for room. */
void die(const char *format, ...)
{
	PRINT("softnet: ", PATIENCE_MS);
	exit(EXIT_RUNTIME);
}

void die_usage(const char *format, ...)
{
	PRINT("softnet: ", PATIENCE_MS);
	exit(EXIT_USAGE);
}
