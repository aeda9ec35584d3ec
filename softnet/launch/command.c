/* The command of `softnet run`, as the guard sees it: through its keeper (keeper.c). */
#include "softnet/launch/command.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "system/clock.h"
#include "system/log.h"

enum { PATIENCE_MS = 5000 };

bool command_uses(char *const *words, const char *placeholder)
{
	for (; *words; words++)
		if (strstr(*words, placeholder))
			return true;
	return false;
}

/* A new copy of the word with each placeholder replaced. */
static char *fill_word(const char *word, const char *placeholder, const char *value)
{
	size_t count = 0;
	for (const char *at = word; (at = strstr(at, placeholder)); at += strlen(placeholder))
		count++;
	char *filled = calloc(1, strlen(word) + count * strlen(value) + 1), *to = filled;
	if (!filled)
		die("out of memory");
	for (const char *next; (next = strstr(word, placeholder)); word = next + strlen(placeholder)) {
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
	while (words[count])
		count++;
	char **filled = calloc(count + 1, sizeof *filled);
	if (!filled)
		die("out of memory");
	snprintf(fd_text, sizeof fd_text, "%d", peer_fd);
	format_mac(mac, mac_text);
	for (size_t i = 0; i < count; i++) {
		char *with_fd = fill_word(words[i], "{fd}", fd_text);
		filled[i] = fill_word(with_fd, "{mac}", mac_text);
		free(with_fd);
	}
	return filled;
}

static void free_words(char **words)
{
	for (char **word = words; *word; word++)
		free(*word);
	free(words);
}

static void make_pipe(int ends[2])
{
	if (pipe(ends) < 0 || fcntl(ends[0], F_SETFD, FD_CLOEXEC) < 0 || fcntl(ends[1], F_SETFD, FD_CLOEXEC) < 0)
		die("run: cannot make a pipe: %s", strerror(errno));
}

void fork_keeper(struct command *command, char *const *words, const struct keeper_wish *wish, int peer_fd, uint64_t mac)
{
	int signals[2], result[2];
	char **filled = fill_words(words, peer_fd, mac);
	make_pipe(signals);
	make_pipe(result);
	*command = (struct command){ .name = words[0], .signal_fd = signals[1], .result_fd = result[0] };
	command->keeper = fork();
	if (command->keeper == 0) {
		close(signals[1]); /* else it could not see the guard end */
		keep_command(filled, wish, signals[0], result[1]);
	}
	if (command->keeper < 0)
		die("run: cannot fork: %s", strerror(errno));
	free_words(filled);
	close(signals[0]);
	close(result[1]);
	if (peer_fd >= 0)
		close(peer_fd);
}

static bool tell_keeper(const struct command *command, int number)
{
	unsigned char octet = (unsigned char)number;
	return write(command->signal_fd, &octet, 1) == 1;
}

int start_command(struct command *command)
{
	struct start_failure failure;
	struct arrived_signal arrived;
	ssize_t got = -1;
	while (next_signal(&arrived)) /* sent before there was a command, so not meant for it */
		if (arrived.number != SIGCHLD && arrived.number != SIGUSR1 && arrived.number != SIGUSR2)
			return 128 + arrived.number;
	if (tell_keeper(command, 0))
		while ((got = read(command->result_fd, &failure, sizeof failure)) < 0 && errno == EINTR)
			;
	close(command->result_fd);
	if (got == 0)
		return EXIT_OK; /* closed by exec */
	if (got != (ssize_t)sizeof failure)
		die("run: %s: could not be started", command->name);
	warning("run: %s: %s%s", command->name, failure.by_identity ? "cannot change to its user: " : "",
		strerror(failure.error));
	return failure.error == ENOENT || failure.error == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

void signal_command(struct command *command, const struct arrived_signal *arrived, uint64_t now_ms)
{
	bool asks_to_stop = arrived->number != SIGUSR2;
	if (asks_to_stop && command->stop_asked_ms != 0 && now_ms - command->stop_asked_ms >= PATIENCE_MS) {
		warning("run: %s does not end: killed", command->name);
		tell_keeper(command, SIGKILL);
		return;
	}
	if (asks_to_stop && command->stop_asked_ms == 0)
		command->stop_asked_ms = now_ms;
	if (!arrived->from_terminal)
		tell_keeper(command, arrived->number);
}

static void keep_status(struct command *command, int wait_status)
{
	command->has_ended = true;
	command->status = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

bool command_has_ended(struct command *command)
{
	int wait_status;
	/* Only this child: ports have processes of their own, and wait for them. */
	if (!command->has_ended && waitpid(command->keeper, &wait_status, WNOHANG) == command->keeper)
		keep_status(command, wait_status);
	return command->has_ended;
}

void await_command(struct command *command)
{
	struct arrived_signal arrived;
	struct pollfd wake = { .fd = signal_fd(), .events = POLLIN };
	while (!command_has_ended(command)) {
		poll(&wake, 1, -1);
		while (next_signal(&arrived))
			if (arrived.number != SIGCHLD && arrived.number != SIGUSR1)
				signal_command(command, &arrived, clock_ms());
	}
}

void end_command(struct command *command)
{
	int wait_status;
	close(command->signal_fd);
	while (!command->has_ended) {
		if (waitpid(command->keeper, &wait_status, 0) == command->keeper)
			keep_status(command, wait_status);
		else if (errno != EINTR)
			return;
	}
}
