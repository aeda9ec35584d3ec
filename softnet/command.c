/* The command of `softnet run`. Its signals: see command.h; its privileges: see privileges.c. */
#include "command.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clock.h"
#include "log.h"
#include "process.h"

enum { PATIENCE_MS = 5000, SLICE_MS = 50 };

/* What the child tells when it could not become the command. */
struct failure {
	int error;
	bool by_identity; /* else by exec */
};

bool command_uses(char *const *words, const char *placeholder)
{
	for (; *words != NULL; words++)
		if (strstr(*words, placeholder) != NULL)
			return true;
	return false;
}

/* A copy of the word with each placeholder replaced. Memory is never given back: it lives until exec. */
static char *fill_word(const char *word, const char *placeholder, const char *value)
{
	size_t count = 0;
	for (const char *at = word; (at = strstr(at, placeholder)) != NULL; at += strlen(placeholder))
		count++;
	char *filled = calloc(1, strlen(word) + count * strlen(value) + 1), *to = filled;
	if (filled == NULL)
		die("out of memory");
	for (const char *next; (next = strstr(word, placeholder)) != NULL; word = next + strlen(placeholder)) {
		size_t before = (size_t)(next - word);
		memcpy(to, word, before);
		memcpy(to + before, value, strlen(value));
		to += before + strlen(value);
	}
	memcpy(to, word, strlen(word) + 1);
	return filled;
}

static char **fill_words(char *const *words, int peer_fd, uint64_t mac)
{
	size_t count = 0;
	char fd_text[16], mac_text[MAC_TEXT];
	while (words[count] != NULL)
		count++;
	char **filled = calloc(count + 1, sizeof *filled);
	if (filled == NULL)
		die("out of memory");
	snprintf(fd_text, sizeof fd_text, "%d", peer_fd);
	format_mac(mac, mac_text);
	for (size_t i = 0; i < count; i++)
		filled[i] = fill_word(fill_word(words[i], "{fd}", fd_text), "{mac}", mac_text);
	return filled;
}

static void make_pipe(int ends[2])
{
	if (pipe(ends) < 0 || fcntl(ends[0], F_SETFD, FD_CLOEXEC) < 0 || fcntl(ends[1], F_SETFD, FD_CLOEXEC) < 0)
		die("run: cannot make a pipe: %s", strerror(errno));
}

static _Noreturn void become_the_command(char **words, const struct identities *ids, int go_fd, int result_fd)
{
	char go;
	struct failure failure = { 0, true };
	restore_signals();
	restore_process();
	if (read(go_fd, &go, 1) != 1)
		_exit(EXIT_RUNTIME); /* the guard ended before it was ready; it has said why */
	if (become_command(ids)) {
		failure.by_identity = false;
		execvp(words[0], words);
	}
	failure.error = errno;
	ssize_t written = write(result_fd, &failure, sizeof failure);
	_exit(written == (ssize_t)sizeof failure ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

void fork_command(struct command *command, char *const *words, const struct identities *ids, int peer_fd, uint64_t mac)
{
	int go[2], result[2];
	char **filled = fill_words(words, peer_fd, mac);
	make_pipe(go);
	make_pipe(result);
	*command = (struct command){ .name = words[0], .go_fd = go[1], .result_fd = result[0] };
	command->pid = fork();
	if (command->pid == 0) {
		close(go[1]); /* else it would wait for itself */
		become_the_command(filled, ids, go[0], result[1]);
	}
	if (command->pid < 0)
		die("run: cannot fork: %s", strerror(errno));
	close(go[0]);
	close(result[1]);
	if (peer_fd >= 0)
		close(peer_fd); /* so that the guard sees when the command closes its end */
}

int start_command(struct command *command)
{
	struct failure failure;
	ssize_t got = -1;
	if (write(command->go_fd, "", 1) == 1)
		while ((got = read(command->result_fd, &failure, sizeof failure)) < 0 && errno == EINTR)
			;
	close(command->go_fd);
	close(command->result_fd);
	if (got == 0)
		return EXIT_OK; /* closed by exec */
	if (got != (ssize_t)sizeof failure)
		die("run: %s: ended before it started", command->name);
	warning("run: %s: %s%s", command->name, failure.by_identity ? "cannot change to its user: " : "",
		strerror(failure.error));
	return failure.error == ENOENT || failure.error == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

void signal_command(struct command *command, const struct arrived_signal *arrived, uint64_t now_ms)
{
	int number = arrived->number;
	bool asks_to_stop = number != SIGUSR2;
	if (command_has_ended(command))
		return;
	if (asks_to_stop && command->stop_asked_ms != 0 && now_ms - command->stop_asked_ms >= PATIENCE_MS) {
		warning("run: %s does not end: killed", command->name);
		kill(command->pid, SIGKILL);
		return;
	}
	if (asks_to_stop && command->stop_asked_ms == 0)
		command->stop_asked_ms = now_ms;
	if (!arrived->from_terminal)
		kill(command->pid, number);
}

bool command_has_ended(struct command *command)
{
	/* Only this child: ports have processes of their own, and wait for them. */
	if (!command->has_ended && waitpid(command->pid, &command->wait_status, WNOHANG) == command->pid)
		command->has_ended = true;
	return command->has_ended;
}

static void await_signal(int timeout_ms)
{
	struct pollfd wake = { .fd = signal_fd(), .events = POLLIN };
	poll(&wake, 1, timeout_ms);
}

void await_command(struct command *command)
{
	struct arrived_signal arrived;
	while (!command_has_ended(command)) {
		await_signal(1000);
		while (next_signal(&arrived))
			if (arrived.number != SIGCHLD && arrived.number != SIGUSR1)
				signal_command(command, &arrived, clock_ms());
	}
}

void end_command(struct command *command)
{
	struct arrived_signal arrived;
	uint64_t deadline_ms = clock_ms() + PATIENCE_MS;
	if (!command_has_ended(command))
		kill(command->pid, SIGTERM);
	while (!command_has_ended(command) && clock_ms() < deadline_ms) {
		await_signal(SLICE_MS);
		while (next_signal(&arrived))
			;
	}
	if (command_has_ended(command))
		return;
	kill(command->pid, SIGKILL);
	while (waitpid(command->pid, &command->wait_status, 0) < 0 && errno == EINTR)
		;
	command->has_ended = true;
}

int command_exit_status(const struct command *command)
{
	if (WIFSIGNALED(command->wait_status))
		return 128 + WTERMSIG(command->wait_status);
	return WEXITSTATUS(command->wait_status);
}
