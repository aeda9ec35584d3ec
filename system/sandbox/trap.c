/* The kernel hands over a call that is not allowed as SIGSYS, and does not make it. */
#include "system/sandbox/trap.h"
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "system/descriptors.h"
#include "system/log.h"

enum { NAME = 32, LAST_WORD_MS = 200 };

static char names[TRAPPED_CALLS][NAME];

struct line {
	char text[160];
	size_t length;
};

static void add(struct line *line, const char *text)
{
	size_t length = strlen(text);
	if (length > sizeof line->text - line->length)
		return;
	memcpy(line->text + line->length, text, length);
	line->length += length;
}

static void add_number(struct line *line, unsigned number)
{
	char digits[12];
	size_t at = sizeof digits - 1;
	digits[at] = '\0';
	do
		digits[--at] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	add(line, digits + at);
}

/* Only what a signal handler may do. The handler is gone already (SA_RESETHAND): the second signal ends the process. */
static void on_trap(int number, siginfo_t *info, void *context)
{
	struct line line = { .length = 0 };
	struct pollfd room = { .fd = log_fd(), .events = POLLOUT };
	unsigned call = (unsigned)info->si_syscall;
	(void)context;
	add(&line, "softnet: ended: it made the system call ");
	add(&line, call < TRAPPED_CALLS && names[call][0] != '\0' ? names[call] : "without a name");
	add(&line, " (");
	add_number(&line, call);
	add(&line, "), which the sandbox forbids; see --sandbox\n");
	if (poll(&room, 1, LAST_WORD_MS) == 1 && write(room.fd, line.text, line.length) < 0)
		line.length = 0; /* nobody hears it */
	raise(number);
	_exit(128 + number); /* the first process of a namespace does not end by a signal of its own */
}

void name_trapped_call(int number, const char *name)
{
	if (number >= 0 && number < TRAPPED_CALLS)
		copy_text(names[number], NAME, name);
}

void catch_trapped_calls(void)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | (int)SA_RESETHAND | SA_NODEFER };
	sigset_t trap;
	sigfillset(&action.sa_mask);
	sigdelset(&action.sa_mask, SIGSYS);
	sigaction(SIGSYS, &action, NULL);
	sigemptyset(&trap);
	sigaddset(&trap, SIGSYS);
	sigprocmask(SIG_UNBLOCK, &trap, NULL);
}
