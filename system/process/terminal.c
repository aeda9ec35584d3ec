/* A terminal that is drawn on. */
#include "system/process/terminal.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "system/descriptors.h"

/* CAN ends whatever sequence was cut off in its middle. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\030\033[?25h\033[?1049l"

enum { PIECE = 256, LEAVE_MS = 200, OF_A_LINE = 8 };

static bool can_be_drawn_on(int fd)
{
	const char *kind = getenv("TERM");
	return isatty(fd) && kind && kind[0] != '\0' && strcmp(kind, "dumb") != 0;
}

bool has_colors(int fd)
{
	const char *no = getenv("NO_COLOR"); /* https://no-color.org: present and not empty */
	return can_be_drawn_on(fd) && (!no || no[0] == '\0');
}

bool open_terminal(struct terminal *terminal)
{
	*terminal = (struct terminal){ .fd = -1, .key_fd = -1 };
	if (!can_be_drawn_on(STDOUT_FILENO))
		return false;
	terminal->size = ROWS_MAX * (COLUMNS_MAX + OF_A_LINE) + PIECE;
	terminal->screen = malloc(terminal->size);
	if (!terminal->screen)
		return false;
	terminal->fd = open_terminal_again(STDOUT_FILENO, O_WRONLY | O_NONBLOCK);
	terminal->is_shared = terminal->fd < 0;
	if (terminal->is_shared)
		terminal->fd = STDOUT_FILENO;
	if (tcgetattr(STDIN_FILENO, &terminal->before) == 0)
		terminal->key_fd = STDIN_FILENO;
	return true;
}

/* At the end, and where it has to go at once: a terminal that is held loses what it was to show. */
static void write_soon(const struct terminal *terminal, const char *text)
{
	struct pollfd room = { .fd = terminal->fd, .events = POLLOUT };
	if (poll(&room, 1, LEAVE_MS) != 1) {
		tcflush(terminal->fd, TCOFLUSH);
		tcflow(terminal->fd, TCOON);
	}
	if (write(terminal->fd, text, strlen(text)) < 0)
		return; /* it is gone */
}

void measure_terminal(struct terminal *terminal)
{
	struct winsize size;
	bool is_known = ioctl(terminal->fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
	terminal->rows = !is_known ? 24 : size.ws_row < ROWS_MAX ? size.ws_row : ROWS_MAX;
	terminal->columns = !is_known ? 80 : size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX;
}

void enter_screen(struct terminal *terminal)
{
	struct termios keys = terminal->before;
	keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	keys.c_cc[VMIN] = keys.c_cc[VTIME] = 0;
	if (terminal->key_fd >= 0)
		tcsetattr(terminal->key_fd, TCSANOW, &keys);
	terminal->begin = terminal->end = 0;
	write_soon(terminal, ENTER);
	terminal->is_entered = true;
}

bool has_terminal(const struct terminal *terminal)
{
	pid_t group = tcgetpgrp(terminal->fd); /* -1: it controls nobody, or somebody else */
	return group < 0 || group == getpgrp();
}

void leave_screen(struct terminal *terminal)
{
	if (!terminal->is_entered)
		return;
	terminal->is_entered = false;
	if (terminal->key_fd >= 0)
		tcsetattr(terminal->key_fd, TCSANOW, &terminal->before);
	write_soon(terminal, LEAVE);
}

static void append(struct terminal *terminal, const char *octets, size_t length)
{
	memcpy(terminal->screen + terminal->end, octets, length);
	terminal->end += length;
}

/* A whole line needs no clearing, which would take its last column on some terminals. */
void draw_screen(struct terminal *terminal, const char *text)
{
	terminal->begin = terminal->end = 0;
	append(terminal, "\033[H", 3);
	for (int row = 0; row < terminal->rows && *text != '\0'; row++) {
		size_t whole = strcspn(text, "\n"), room = (size_t)terminal->columns;
		if (row > 0)
			append(terminal, "\r\n", 2);
		append(terminal, text, whole < room ? whole : room);
		if (whole < room)
			append(terminal, "\033[K", 3);
		text += whole + (text[whole] == '\n');
		if (*text == '\0' && row + 1 < terminal->rows)
			append(terminal, "\r\n\033[J", 5);
	}
}

bool is_busy(const struct terminal *terminal)
{
	return terminal->begin < terminal->end;
}

bool write_screen(struct terminal *terminal)
{
	while (is_busy(terminal)) {
		struct pollfd room = { .fd = terminal->fd, .events = POLLOUT };
		size_t length = terminal->end - terminal->begin;
		if (terminal->is_shared && poll(&room, 1, 0) != 1)
			return true;
		if (terminal->is_shared && length > PIECE)
			length = PIECE;
		ssize_t n = write(terminal->fd, terminal->screen + terminal->begin, length);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n < 0)
			return false;
		terminal->begin += (size_t)n;
	}
	return true;
}

bool read_key(struct terminal *terminal, char *key)
{
	*key = '\0';
	ssize_t n = read(terminal->key_fd, key, 1);
	return n >= 0 || errno == EINTR || errno == EAGAIN;
}
