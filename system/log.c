/* Lines to stderr, and to the log of the system where there is one. */
#include "system/log.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "system/descriptors.h"
#include "system/platform.h"
#include "system/text.h"

enum { LINE_MAX_OCTETS = 512, LAST_WORD_MS = 200 };

static int verbosity;
static unsigned long lost_lines;
static bool is_torn; /* a part of a line was written */
static int fd = STDERR_FILENO;
static log_taker *taker;

void open_log(void)
{
	int again = open_terminal_again(STDERR_FILENO, O_WRONLY | O_NONBLOCK);
	if (again >= 0)
		fd = again;
}

int log_fd(void)
{
	return fd;
}

/* What was open before stays open: the events to stderr have it. */
void log_by_stderr(void)
{
	taker = NULL;
	if (fd != STDERR_FILENO && dup2(fd, STDERR_FILENO) == STDERR_FILENO)
		fd = STDERR_FILENO;
}

bool log_is_file(void)
{
	struct stat status;
	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

void hand_log_to(log_taker *new_taker)
{
	taker = new_taker;
}

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
 * same, but stderr is shared with others who do not expect it. A terminal takes a part of a line and waits for room for the
 * rest, so open_log() opens it once more. macOS cannot poll some devices, /dev/null and /dev/tty among them, and says POLLNVAL of
 * them.
 */
static bool write_now(const char *line, size_t length, int patience_ms)
{
	struct pollfd stderr_poll = { .fd = fd, .events = POLLOUT };
	if (poll(&stderr_poll, 1, patience_ms) != 1 || (stderr_poll.revents & (POLLOUT | POLLNVAL)) == 0)
		return false;
	ssize_t written = write(fd, line, length);
	is_torn = written > 0 ? written < (ssize_t)length : is_torn;
	return written == (ssize_t)length;
}

bool write_log_line(const char *line, size_t octets)
{
	return write_now(line, octets, 0);
}

static bool write_line(const char *line, size_t length, int patience_ms)
{
	return taker ? taker(line, length, patience_ms) : write_now(line, length, patience_ms);
}

/* How a line goes out. */
struct manner {
	enum log_level level;
	const char *prefix;
	int patience_ms;
	bool is_quiet; /* for the system's log alone */
};

__attribute__((format(printf, 2, 0))) static void print(struct manner how, const char *format, va_list arguments)
{
	char line[LINE_MAX_OCTETS];
	size_t start = (size_t)snprintf(line, sizeof line, "%s", how.prefix);
	vsnprintf(line + start, sizeof line - start - 1, format, arguments);
	make_printable(line); /* names of files and ports are the user's, but sentences may quote others */
	size_t length = strlen(line);
	if (start > 0)
		platform_log(how.level, line + start);
	if (how.is_quiet)
		return;
	line[length] = '\n';
	if (lost_lines > 0) {
		char gap[64];
		int gap_length = snprintf(gap, sizeof gap, "%ssoftnet: %lu lines lost: stderr was full\n",
					  is_torn ? "\n" : "", lost_lines);
		if (write_line(gap, (size_t)gap_length, 0))
			lost_lines = 0;
	}
	if (!write_line(line, length + 1, how.patience_ms))
		lost_lines++;
}

#define PRINT(...) \
	do { \
		va_list arguments; \
		va_start(arguments, format); \
		print((struct manner){ __VA_ARGS__ }, format, arguments); \
		va_end(arguments); \
	} while (0)

void info(const char *format, ...)
{
	PRINT(LEVEL_INFO, "softnet: ", 0, verbosity == 0);
}

void warning(const char *format, ...)
{
	PRINT(LEVEL_WARNING, "softnet: ", 0, false);
}

void print_line(const char *format, ...)
{
	PRINT(LEVEL_INFO, "", 0, false);
}

/* The last line is the one that counts, so these wait a moment for room. */
void die(const char *format, ...)
{
	PRINT(LEVEL_ERROR, "softnet: ", LAST_WORD_MS, false);
	exit(EXIT_RUNTIME);
}

void die_usage(const char *format, ...)
{
	PRINT(LEVEL_ERROR, "softnet: ", LAST_WORD_MS, false);
	exit(EXIT_USAGE);
}
