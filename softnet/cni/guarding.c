/* A process of softnet, whose last line says why it could not. */
#include "softnet/cni/guarding.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "system/descriptors.h"
#include "system/log.h"
#include "system/platform.h"

enum { LINE = 320 };

/* Beside this program, as where it was built or unpacked; else where the path of the environment has it, or Debian. */
bool find_softnet(char *path, size_t size, struct fault *fault)
{
	char own[PATH_MAX];
	const char *folders = getenv("PATH");
	char *slash = platform_own_path(own, sizeof own) ? strrchr(own, '/') : NULL;
	if (slash)
		*slash = '\0';
	char *all = NULL, *rest = NULL;
	if (asprintf(&all, "%s:%s:/usr/bin", slash ? own : "/usr/bin", folders ? folders : "") < 0)
		return fail(fault, CNI_INPUT_OUTPUT, "out of memory");
	bool is_found = false;
	for (char *folder = strtok_r(all, ":", &rest); folder && !is_found; folder = strtok_r(NULL, ":", &rest)) {
		int length = snprintf(path, size, "%s/softnet", folder);
		is_found = folder[0] == '/' && length > 0 && (size_t)length < size && access(path, X_OK) == 0;
	}
	free(all);
	return is_found || fail(fault, CNI_NOT_AVAILABLE, "softnet: not found beside this program, nor in PATH");
}

enum { CONTROL_FD = 3 };

/* What a process of softnet is started with. */
struct start {
	const struct place *place;
	const char *netns;
	const struct words *words;
	int lines[2], control[2]; /* control: -1 where it is not to stay */
};

static _Noreturn void become_softnet(const char *path, const struct start *start)
{
	int null = open("/dev/null", O_RDWR);
	if (start->control[1] < 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody would know of the guard that it makes */
	else
		setsid();
	signal(SIGPIPE, SIG_DFL);
	dup2(null, STDIN_FILENO);
	dup2(start->lines[1], STDOUT_FILENO); /* standard output is the runtime's alone */
	dup2(start->lines[1], STDERR_FILENO);
	if (start->control[1] == CONTROL_FD)
		fcntl(CONTROL_FD, F_SETFD, 0);
	else if (start->control[1] >= 0)
		dup2(start->control[1], CONTROL_FD);
	if (enter_place(start->place, start->netns))
		execv(path, (char *const *)(uintptr_t)start->words->all);
	dprintf(STDERR_FILENO, "softnet: cannot be started in the container's network namespace: %s\n", strerror(errno));
	_exit(EXIT_NOT_FOUND);
}

/* Hands lines on, and keeps the last one, without the program's name, until nobody writes any more. */
static void read_lines(int fd, char last[LINE])
{
	static const char own[] = "softnet: ";
	char line[LINE];
	FILE *lines = fdopen(dup(fd), "r");
	while (lines && fgets(line, sizeof line, lines)) {
		fputs(line, stderr);
		line[strcspn(line, "\n")] = '\0';
		copy_text(last, LINE, strncmp(line, own, sizeof own - 1) == 0 ? line + sizeof own - 1 : line);
	}
	if (lines)
		fclose(lines);
}

/* True: it has answered, so it judges. Any answer will do: it comes from the loop that carries frames. */
static bool hear_answer(const struct start *start)
{
	static const char question[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"guard.status\"}\n";
	char octet;
	return start->control[0] >= 0 && send(start->control[0], question, sizeof question - 1, MSG_NOSIGNAL) > 0 &&
	       recv(start->control[0], &octet, 1, 0) == 1;
}

static bool end_start(pid_t child, const struct start *start, struct fault *fault)
{
	char last[LINE] = "it has ended without a word";
	int status = 0;
	if (hear_answer(start))
		return true;
	read_lines(start->lines[0], last);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OK && start->control[0] < 0)
		return true;
	bool is_usage = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_USAGE;
	return fail(fault, is_usage ? CNI_CONFIGURATION : CNI_NOT_GUARDED, "%s: not guarded: %s",
		    start->place->interface, last);
}

static void close_start(const struct start *start)
{
	const int fds[] = { start->lines[0], start->lines[1], start->control[0], start->control[1] };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static bool run_softnet(struct start *start, struct fault *fault)
{
	char path[PATH_MAX];
	if (!find_softnet(path, sizeof path, fault))
		return false;
	pid_t child = pipe2(start->lines, O_CLOEXEC) == 0 ? fork() : -1;
	if (child < 0)
		return fail(fault, CNI_INPUT_OUTPUT, "cannot start a process: %s", strerror(errno));
	if (child == 0)
		become_softnet(path, start);
	close(start->lines[1]);
	if (start->control[1] >= 0)
		close(start->control[1]);
	start->lines[1] = start->control[1] = -1;
	return end_start(child, start, fault);
}

bool make_guard_at(const struct place *place, const char *netns, const struct words *words, struct fault *fault)
{
	struct start start = { place, netns, words, { -1, -1 }, { -1, -1 } };
	bool is_made = run_softnet(&start, fault);
	close_start(&start);
	return is_made;
}

bool start_guard_at(const struct place *place, const char *netns, struct words *words, struct fault *fault)
{
	struct start start = { place, netns, words, { -1, -1 }, { -1, -1 } };
	char number[8];
	snprintf(number, sizeof number, "%d", CONTROL_FD);
	bool is_made = add_word(words, "control-fd", number) &&
			       socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, start.control) == 0
			   ? run_softnet(&start, fault)
			   : fail(fault, CNI_INPUT_OUTPUT, "cannot make a socket: %s", strerror(errno));
	close_start(&start);
	return is_made;
}
