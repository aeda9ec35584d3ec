/* By nft(8), as an administrator would. */
#include "softnet/libvirt/closed.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMMAND = 96 };

static bool run_nft(const char *command)
{
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_RDWR);
		for (int fd = 0; fd <= 2; fd++)
			dup2(null, fd);
		execlp("nft", "nft", command, (char *)NULL);
		_exit(EXIT_NOT_FOUND);
	}
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool open_port(const char *interface, unsigned number, struct error *error)
{
	char command[COMMAND];
	if (!run_nft("list set bridge softnet guarded"))
		return true;
	snprintf(command, sizeof command, "add element bridge softnet guarded { %u }", number);
	return run_nft(command) ||
	       report_failure(error, "%s: nft cannot put it into the set guarded of the table bridge softnet", interface);
}

void close_port(unsigned number)
{
	char command[COMMAND];
	snprintf(command, sizeof command, "delete element bridge softnet guarded { %u }", number);
	run_nft(command);
}
