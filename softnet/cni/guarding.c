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

static _Noreturn void become_softnet(const char *path, const struct place *place, const char *netns,
				     const struct words *words, int lines)
{
	int null = open("/dev/null", O_RDWR);
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody would know of the guard that it makes */
	signal(SIGPIPE, SIG_DFL);
	dup2(null, STDIN_FILENO);
	dup2(lines, STDOUT_FILENO); /* standard output is the runtime's alone */
	dup2(lines, STDERR_FILENO);
	if (enter_place(place, netns))
		execv(path, (char *const *)(uintptr_t)words->all);
	dprintf(STDERR_FILENO, "softnet: cannot be started in the container's network namespace: %s\n", strerror(errno));
	_exit(EXIT_NOT_FOUND);
}

/* Hands lines on, and keeps the last one, without the program's name. */
static void read_lines(int fd, char last[LINE])
{
	static const char own[] = "softnet: ";
	char line[LINE];
	FILE *lines = fdopen(fd, "r");
	while (lines && fgets(line, sizeof line, lines)) {
		fputs(line, stderr);
		line[strcspn(line, "\n")] = '\0';
		copy_text(last, LINE, strncmp(line, own, sizeof own - 1) == 0 ? line + sizeof own - 1 : line);
	}
	if (lines)
		fclose(lines);
	else
		close(fd);
}

bool make_guard_at(const struct place *place, const char *netns, const struct words *words, struct fault *fault)
{
	char path[PATH_MAX], last[LINE] = "it has ended without a word";
	int lines[2], status = 0;
	if (!find_softnet(path, sizeof path, fault))
		return false;
	pid_t child = pipe2(lines, O_CLOEXEC) == 0 ? fork() : -1;
	if (child < 0)
		return fail(fault, CNI_INPUT_OUTPUT, "cannot start a process: %s", strerror(errno));
	if (child == 0)
		become_softnet(path, place, netns, words, lines[1]);
	close(lines[1]);
	read_lines(lines[0], last);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OK)
		return true;
	bool is_usage = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_USAGE;
	return fail(fault, is_usage ? CNI_CONFIGURATION : CNI_NOT_GUARDED, "%s: not guarded: %s", place->interface, last);
}
