/* Signals through a pipe of our own: poll(2) wakes for it like for any port. */
#include "system/process/signals.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include "system/log.h"
#include "system/platform.h"

static const int claimed[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD };
enum { CLAIMED = sizeof claimed / sizeof *claimed };

static int pipe_fds[2] = { -1, -1 };
static pid_t owner; /* a forked child has our handlers for a moment; what it gets is not for us */

/* Two octets, written at once: number, from the terminal or not. */
static void on_signal(int number, siginfo_t *from, void *context)
{
	int saved = errno;
	unsigned char message[2] = { (unsigned char)number, platform_signal_from_terminal(from) };
	(void)context;
	if (getpid() == owner && write(pipe_fds[1], message, sizeof message) < 0)
		errno = EAGAIN; /* full: somebody sent thousands, the first of them still stands there */
	errno = saved;
}

static void prepare_action(struct sigaction *action)
{
	memset(action, 0, sizeof *action);
	action->sa_sigaction = on_signal;
	action->sa_flags = SA_SIGINFO | SA_RESTART;
	sigfillset(&action->sa_mask); /* so that messages stand in the order of arrival */
}

void claim_signal(int number)
{
	struct sigaction action;
	prepare_action(&action);
	sigaction(number, &action, NULL);
}

static void set_all(struct sigaction *action)
{
	for (int i = 0; i < CLAIMED; i++)
		sigaction(claimed[i], action, NULL);
}

static void make_pipe(void)
{
	int fds[2];
	if (pipe(fds) < 0)
		die("cannot make a pipe for signals: %s", strerror(errno));
	for (int i = 0; i < 2; i++)
		if (fcntl(fds[i], F_SETFD, FD_CLOEXEC) < 0 || fcntl(fds[i], F_SETFL, O_NONBLOCK) < 0)
			die("cannot set up the pipe for signals: %s", strerror(errno));
	pipe_fds[1] = fds[1];
	pipe_fds[0] = fds[0];
}

void claim_signals(void)
{
	make_pipe();
	owner = getpid();
	struct sigaction action;
	prepare_action(&action);
	set_all(&action);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is written in vain, and that is counted */
	sigset_t all;
	sigemptyset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
}

int signal_fd(void)
{
	return pipe_fds[0];
}

/* By a debugger, say. poll(2) would wake for it without end, and nothing could stop us but SIGKILL. */
static void replace_closed_pipe(bool is_our_end_open)
{
	warning("the pipe for signals was closed from outside; another one takes its place");
	if (is_our_end_open)
		close(pipe_fds[0]);
	make_pipe(); /* the number of the closed end may belong to another file by now */
}

bool next_signal(struct arrived_signal *arrived)
{
	unsigned char message[2];
	ssize_t got = read(pipe_fds[0], message, sizeof message);
	if (got == 0 || (got < 0 && errno == EBADF))
		replace_closed_pipe(got == 0);
	if (got != (ssize_t)sizeof message)
		return false;
	*arrived = (struct arrived_signal){ message[0], message[1] != 0 };
	return true;
}

void restore_signals(void)
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = SIG_DFL;
	set_all(&action);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
}

void leave_signals_to_parent(void)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE };
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
}
