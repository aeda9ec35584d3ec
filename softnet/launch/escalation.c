/* Root by sudo; escalation.h has the picture. */
#include "softnet/launch/escalation.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "port/io.h"
#include "system/log.h"
#include "system/platform.h"
#include "system/process/process.h"
#include "system/process/signals.h"

/* By its path: what PATH says is the caller's. */
static char sudo[] = "/usr/bin/sudo", quietly[] = "--non-interactive";
static char probing[] = "--sudo-escalation-probing", done[] = "--sudo-escalation-done";

enum { PASSED_MAX = 3, LOOK_MS = 1000 };

/* Descriptors that the other process shall have, in the order in which both of us find them. */
static int list_descriptors(const struct options *options, int list[PASSED_MAX])
{
	int n = 0;
	list[n++] = STDIN_FILENO; /* the channel takes its place */
	if (options->vm_fd > 2)
		list[n++] = options->vm_fd;
	if (options->control_fd > 2 && options->control_fd != options->vm_fd)
		list[n++] = options->control_fd;
	return n;
}

union ancillary {
	char octets[CMSG_SPACE(PASSED_MAX * sizeof(int))];
	struct cmsghdr aligned;
};

static bool send_descriptors(int channel, const int *list, int n)
{
	union ancillary ancillary = { { 0 } };
	char octet = 0;
	struct iovec part = { &octet, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = ancillary.octets };
	/* The types of lengths differ between systems. */
	message.msg_controllen = (__typeof__(message.msg_controllen))CMSG_SPACE((unsigned)n * sizeof(int));
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	*header = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	header->cmsg_len = (__typeof__(header->cmsg_len))CMSG_LEN((unsigned)n * sizeof(int));
	memcpy(CMSG_DATA(header), list, (size_t)n * sizeof(int));
	return sendmsg(channel, &message, 0) == 1;
}

/*
 * How many came; one more than can be at most where there were more. The length in the header is not to be trusted: Linux has
 * room for another one where the buffer is aligned, and macOS lets it stand where what came was cut off.
 */
static int receive_descriptors(int channel, int list[PASSED_MAX])
{
	union ancillary ancillary;
	char octet;
	struct iovec part = { &octet, 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = ancillary.octets,
				  .msg_controllen = sizeof ancillary.octets };
	ssize_t got = recvmsg(channel, &message, 0);
	const struct cmsghdr *header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
		return 0;
	size_t octets = header->cmsg_len - CMSG_LEN(0);
	if ((message.msg_flags & MSG_CTRUNC) != 0 || octets > PASSED_MAX * sizeof(int))
		return PASSED_MAX + 1;
	memcpy(list, CMSG_DATA(header), octets);
	return (int)(octets / sizeof(int));
}

static _Noreturn void exec_sudo(char **words)
{
	restore_signals();
	restore_process();
	execv(sudo, words);
	_exit(EXIT_NOT_FOUND);
}

/* As a shell would put it. */
static int exit_status(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static int await(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_RUNTIME;
	return exit_status(status);
}

/* Would sudo run us without asking? Its words are not for the user, who may want none of this. */
static bool is_welcome(char *own_path)
{
	char *words[] = { sudo, quietly, own_path, probing, NULL };
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		for (int fd = 0; fd <= 2 && null >= 0; fd++)
			dup2(null, fd);
		exec_sudo(words);
	}
	return pid > 0 && await(pid) == 0;
}

/* The words as they were, with ours behind the verb. */
static char **words_for_sudo(int argc, char **argv, const struct options *options, char *own_path)
{
	char **words = calloc((size_t)argc + 5, sizeof *words);
	int n = 0, from = 1;
	if (!words)
		die("out of memory");
	words[n++] = sudo;
	words[n++] = quietly;
	words[n++] = own_path;
	if (options->wanted == WANT_RUN)
		words[n++] = argv[from++];
	words[n++] = done;
	while (from < argc)
		words[n++] = argv[from++];
	return words;
}

/* The guest's socket is held by those who use it; but not given up on its way, for it might be lost then. */
static void give_up_stdin(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0)
		dup2(null, STDIN_FILENO);
}

/* Until the other process ends. What was asked for twice is asked for twice there, too. */
static int hand_on_signals(pid_t pid, int channel)
{
	pid_t parent = getppid();
	int status, to_hear = channel;
	for (;;) {
		struct pollfd fds[] = { { .fd = signal_fd(), .events = POLLIN }, { .fd = to_hear, .events = POLLIN } };
		struct arrived_signal arrived;
		if (poll(fds, 2, LOOK_MS) > 0 && fds[1].revents != 0) {
			give_up_stdin(); /* the other one has the descriptors, or has ended */
			to_hear = -1;
		}
		while (next_signal(&arrived))
			if (arrived.number != SIGCHLD && send(channel, &(char){ (char)arrived.number }, 1, 0) < 0)
				break; /* it is ending */
		pid_t ended = waitpid(pid, &status, WNOHANG);
		if (ended == pid)
			return exit_status(status);
		if (getppid() != parent)
			shutdown(channel, SHUT_WR);
	}
}

void escalate(int argc, char **argv, const struct options *options, struct error *cause)
{
	static char own_path[PATH_MAX];
	int pair[2], list[PASSED_MAX];
	if (!platform_own_path(own_path, sizeof own_path)) {
		refuse(cause, "this program cannot be found again");
		return;
	}
	if (!is_welcome(own_path)) {
		refuse(cause,
		       "make root its owner and set the set-user-id bit, or have in sudoers: USER ALL=(root) NOPASSWD: "
		       "%s --sudo-escalation-*, and the same with `run` before and for --help",
		       own_path);
		return;
	}
	if (!unix_pair(SOCK_STREAM, pair)) {
		refuse(cause, "no socket pair: %s", strerror(errno));
		return;
	}
	if (!send_descriptors(pair[0], list, list_descriptors(options, list)))
		die("cannot hand over descriptors: %s", strerror(errno));
	char **words = words_for_sudo(argc, argv, options, own_path);
	pid_t pid = fork();
	if (pid < 0)
		die("cannot start sudo: %s", strerror(errno));
	if (pid == 0) {
		dup2(pair[1], STDIN_FILENO);
		exec_sudo(words);
	}
	close(pair[1]);
	free(words);
	exit(hand_on_signals(pid, pair[0]));
}

int take_over_descriptors(const struct options *options)
{
	int wanted[PASSED_MAX], list[PASSED_MAX], type;
	socklen_t length = sizeof type;
	if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_STREAM)
		return -1; /* started by hand, or by a sudo of somebody else's: stdin is what it is */
	int channel = duplicate_above_2(STDIN_FILENO);
	int n = list_descriptors(options, wanted), got = channel >= 0 ? receive_descriptors(channel, list) : 0;
	if (got != n)
		die("--sudo-escalation-done: %s%d descriptors came instead of %d", got > PASSED_MAX ? "at least " : "",
		    got, n);
	for (int i = 0; i < n; i++) {
		if (list[i] == wanted[i])
			continue;
		for (int j = i + 1; j < n; j++) /* one that still waits must not be overwritten */
			if (list[j] == wanted[i])
				list[j] = dup(list[j]);
		if (channel == wanted[i])
			channel = fcntl(channel, F_DUPFD_CLOEXEC, channel + 1);
		if (dup2(list[i], wanted[i]) < 0)
			die("--sudo-escalation-done: descriptor %d: %s", wanted[i], strerror(errno));
		close(list[i]);
	}
	if (channel < 0 || !make_quiet(channel) || send(channel, "", 1, 0) != 1)
		die("--sudo-escalation-done: %s", strerror(errno));
	return channel;
}

bool follow_channel(int channel)
{
	static const int known[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	char octets[16];
	ssize_t got = recv(channel, octets, sizeof octets, 0);
	for (ssize_t i = 0; i < got; i++)
		for (size_t k = 0; k < sizeof known / sizeof *known; k++)
			if (octets[i] == known[k])
				kill(getpid(), known[k]);
	if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
		return true;
	kill(getpid(), SIGTERM); /* closed, or reset by one who was killed */
	return false;
}
