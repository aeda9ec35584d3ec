/* Starts a guard, asks it whether it judges, reads what it prints, and starts it again when it dies. */
#include "softnet/libvirt/guard.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "system/clock.h"
#include "system/descriptors.h"
#include "system/platform.h"

enum {
	FIRST_DELAY_MS = 100,
	LONGEST_DELAY_MS = 60 * 1000,
	LONG_ENOUGH_MS = 60 * 1000, /* so a guard that dies then is no guard that cannot start */
	CONTROL_FD = 3
};

/* Any answer will do: it comes from the loop that carries frames. */
static const char question[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"guard.status\"}\n";

static void close_quietly(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* In the child. The descriptors that it gets are standard error and the socket of live control. */
static _Noreturn void become_guard(const struct port_wanted *port, int control, int lines, pid_t keeper)
{
	char *words[WORDS_MAX + 2], option[32];
	sigset_t none;
	uint32_t count = port->count;
	platform_end_with_starter();
	if (getppid() != keeper)
		_exit(EXIT_RUNTIME);
	memcpy(words, port->words, count * sizeof *words);
	snprintf(option, sizeof option, "--control-fd=%d", CONTROL_FD);
	words[count] = option;
	words[count + 1] = NULL;
	signal(SIGHUP, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(lines, STDERR_FILENO);
	if (control == CONTROL_FD)
		fcntl(control, F_SETFD, 0);
	else
		dup2(control, CONTROL_FD);
	execvp(words[0], words);
	dprintf(STDERR_FILENO, "softnet: cannot start softnet: %s\n", strerror(errno));
	_exit(EXIT_NOT_FOUND);
}

static void note_failure(struct guard *guard, const char *what)
{
	snprintf(guard->last, sizeof guard->last, "%s: %s", what, strerror(errno));
	guard->delay_ms = guard->delay_ms > 0 ? guard->delay_ms : FIRST_DELAY_MS;
	guard->again_ms = clock_ms() + guard->delay_ms;
}

void start_guard(struct guard *guard)
{
	int control[2], lines[2];
	guard->again_ms = NEVER_MS;
	guard->started_ms = clock_ms();
	guard->is_ready = false;
	guard->length = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0) {
		note_failure(guard, "cannot make a socket");
		return;
	}
	if (pipe2(lines, O_CLOEXEC | O_NONBLOCK) < 0) {
		note_failure(guard, "cannot make a pipe");
		close(control[0]);
		close(control[1]);
		return;
	}
	pid_t keeper = getpid();
	guard->pid = fork();
	if (guard->pid == 0)
		become_guard(guard->port, control[1], lines[1], keeper);
	close(control[1]);
	close(lines[1]);
	guard->control = control[0];
	guard->lines = lines[0];
	if (guard->pid < 0) {
		note_failure(guard, "cannot start a process");
		guard->pid = 0;
		close_quietly(&guard->control);
		close_quietly(&guard->lines);
	} else if (send(guard->control, question, sizeof question - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		close_quietly(&guard->control); /* it has died already, and so it says nothing more */
	}
}

void hear_guard(struct guard *guard)
{
	char octet;
	ssize_t n = recv(guard->control, &octet, 1, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	guard->is_ready |= n > 0;
	close_quietly(&guard->control);
}

/* Not syslog(3), which waits for a log that does not read. */
static void log_line(const char *interface, const char *line)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char datagram[640];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int daemon_notice = 3 << 3 | 5;
	copy_text(address.sun_path, sizeof address.sun_path, platform_log_socket);
	int length = snprintf(datagram, sizeof datagram, "<%d>softnet: %s: %s", daemon_notice, interface, line);
	if (fd >= 0)
		sendto(fd, datagram, (size_t)length, 0, (const struct sockaddr *)&address, sizeof address);
	close_quietly(&fd);
}

static void end_line(struct guard *guard)
{
	static const char own[] = "softnet: ";
	guard->line[guard->length] = '\0';
	guard->length = 0;
	const char *text = guard->line + (strncmp(guard->line, own, sizeof own - 1) == 0 ? sizeof own - 1 : 0);
	if (*text == '\0')
		return;
	copy_text(guard->last, sizeof guard->last, text);
	log_line(guard->port->interface, text);
}

void read_lines(struct guard *guard)
{
	char octets[512];
	ssize_t n = read(guard->lines, octets, sizeof octets);
	for (ssize_t i = 0; i < n; i++)
		if (octets[i] == '\n' || guard->length == sizeof guard->line - 1)
			end_line(guard);
		else
			guard->line[guard->length++] = octets[i];
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		close_quietly(&guard->lines);
}

/* Its end by itself, at a port that is there: by SIGTERM, or by `softnet detach`. */
static bool is_to_be_kept(const struct guard *guard, int status)
{
	bool was_wanted = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return !was_wanted && if_nametoindex(guard->port->interface) == guard->number;
}

void end_guard(struct guard *guard, int status)
{
	bool was_long = clock_ms() - guard->started_ms >= LONG_ENOUGH_MS;
	uint64_t delay_ms = was_long || guard->delay_ms == 0 ? FIRST_DELAY_MS : 2 * guard->delay_ms;
	guard->last[0] = guard->is_ready ? '\0' : guard->last[0];
	while (guard->lines >= 0) {
		ssize_t before = (ssize_t)guard->length;
		read_lines(guard);
		if (guard->lines >= 0 && (ssize_t)guard->length == before && errno == EAGAIN)
			close_quietly(&guard->lines); /* a child of its own may have it still */
	}
	if (guard->last[0] == '\0') {
		snprintf(guard->last, sizeof guard->last,
			 WIFSIGNALED(status) ? "signal %d has ended its guard" : "its guard has ended with status %d",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		log_line(guard->port->interface, guard->last);
	}
	guard->pid = 0;
	guard->is_ready = false;
	close_quietly(&guard->control);
	guard->delay_ms = delay_ms < LONGEST_DELAY_MS ? delay_ms : LONGEST_DELAY_MS;
	guard->again_ms = is_to_be_kept(guard, status) ? clock_ms() + guard->delay_ms : NEVER_MS;
}
