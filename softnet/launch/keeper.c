/* The process between the guard and the command of `softnet run`; command.h says why there is one. */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>
#include "port/io.h"
#include "system/clock.h"
#include "softnet/launch/command.h"
#include "system/log.h"
#include "system/process/process.h"
#include "system/sandbox/sandbox.h"

enum { KILL_AFTER_MS = 5000, LONG_MS = 3600 * 1000, SIGNAL_FD = 3 };

static _Noreturn void tell_failure(int result_fd, bool by_identity)
{
	struct start_failure failure = { errno, by_identity };
	if (write(result_fd, &failure, sizeof failure) < 0)
		_exit(EXIT_RUNTIME); /* there is nobody to tell */
	_exit(EXIT_NOT_EXECUTABLE);
}

/* SIGCHLD interrupts pselect(2) and does nothing else. */
static void on_child(int number)
{
	(void)number;
}

/* A terminal's signals reach every process of the foreground; those that count come from the guard. */
static void settle_signals(sigset_t *while_asleep)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE };
	struct sigaction action = { .sa_handler = on_child };
	sigset_t child;
	for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
		signal(ignored[i], SIG_IGN);
	sigaction(SIGCHLD, &action, NULL);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, while_asleep);
}

static pid_t start(char **words, int signal_fd, int result_fd, const sigset_t *inherited)
{
	pid_t pid = fork();
	if (pid < 0)
		tell_failure(result_fd, false);
	if (pid > 0)
		return pid;
	close(signal_fd);
	restore_signals();
	restore_process();
	ask_to_end_with_parent(); /* one that is killed can end nobody */
	sigprocmask(SIG_SETMASK, inherited, NULL);
	execvp(words[0], words);
	tell_failure(result_fd, false);
}

/* The next signal that the guard wants handed on; 0: something else happened; -1: the guard is gone. */
static int await_guard(int signal_fd, int timeout_ms, const sigset_t *while_asleep)
{
	struct timespec timeout = { timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000 };
	unsigned char number;
	fd_set readable;
	FD_ZERO(&readable);
	FD_SET(signal_fd, &readable);
	if (pselect(signal_fd + 1, &readable, NULL, NULL, &timeout, while_asleep) <= 0)
		return 0;
	ssize_t n = read(signal_fd, &number, 1);
	return n == 1 ? number : n < 0 && errno == EINTR ? 0 : -1;
}

static bool has_ended(pid_t pid, int *status)
{
	int wait_status;
	if (waitpid(pid, &wait_status, WNOHANG) != pid)
		return false;
	*status = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
	return true;
}

/* The guard has gone, and the command would have no network. */
static int end(pid_t pid, const sigset_t *while_asleep)
{
	uint64_t deadline_ms = clock_ms() + KILL_AFTER_MS;
	struct timespec slice = { 0, 100 * 1000 * 1000 };
	int status;
	kill(pid, SIGTERM);
	while (!has_ended(pid, &status)) {
		if (clock_ms() >= deadline_ms)
			kill(pid, SIGKILL);
		pselect(0, NULL, NULL, NULL, &slice, while_asleep);
	}
	return status;
}

static int watch_over(pid_t pid, int signal_fd, const sigset_t *while_asleep)
{
	int status;
	while (!has_ended(pid, &status)) {
		int number = await_guard(signal_fd, LONG_MS, while_asleep);
		if (number < 0)
			return end(pid, while_asleep);
		if (number > 0 && kill(pid, number) < 0)
			warning("run: the command cannot be sent signal %d: %s", number, strerror(errno));
	}
	return status;
}

/* Behind the command's start: what a process gives up, its children have not. */
static void give_up_calls(pid_t command)
{
	static struct sandbox_wish wish;
	struct sandbox unused;
	wish.children[0] = command;
	enter_sandbox(FOR_COMMAND_KEEPER, &wish, &unused);
}

_Noreturn void keep_command(char **words, const struct keeper_wish *wish, int signal_fd, int result_fd)
{
	sigset_t while_asleep;
	char go;
	name_process("softnet-run");
	settle_signals(&while_asleep);
	if (read(signal_fd, &go, 1) != 1)
		_exit(EXIT_RUNTIME); /* the guard ended before it was ready; it has said why */
	if (!become_command(wish->identities))
		tell_failure(result_fd, true);
	pid_t pid = start(words, signal_fd, result_fd, &while_asleep);
	if (!wish->sandbox_off)
		close_inherited(NULL, 0);
	/* The guest's socket is one of those: as long as anybody holds it, the guard cannot see that it was closed. */
	while (dup2(signal_fd, SIGNAL_FD) < 0)
		; /* EINTR and EBUSY: nothing else can be wrong */
	close_from(SIGNAL_FD + 1);
	if (!wish->sandbox_off)
		give_up_calls(pid);
	_exit(watch_over(pid, SIGNAL_FD, &while_asleep));
}
