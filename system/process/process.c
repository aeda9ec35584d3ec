/* What the process inherited, put in order before anything else happens. */
#include "system/process/process.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "system/log.h"
#include "system/platform.h"

extern char **environ;

static mode_t inherited_umask;
static struct rlimit inherited_core;

enum { DESCRIPTORS_MAX = 1 << 16 };

static uint8_t inherited[DESCRIPTORS_MAX / 8]; /* a bit for each descriptor above 2 */

/*
 * A file or socket that got number 2 would be written error messages into. Descriptor 0 may be the VM itself (Tart):
 * whatever is open stays untouched.
 */
static void open_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
			_exit(EXIT_RUNTIME);
}

/* What is closed on exec(2) was opened since, by a library that began before main(). */
static void note_inherited(int fd)
{
	int flags = fcntl(fd, F_GETFD);
	if (fd > 2 && fd < DESCRIPTORS_MAX && flags >= 0 && (flags & FD_CLOEXEC) == 0)
		inherited[fd / 8] |= (uint8_t)(1 << fd % 8);
}

/* Without a list all numbers are tried that can be had. */
static void note_all_inherited(void)
{
	struct rlimit limit = { .rlim_cur = 1 << 10 };
	DIR *list = opendir("/dev/fd");
	for (const struct dirent *entry; list && (entry = readdir(list));) {
		int fd = (int)strtol(entry->d_name, NULL, 10);
		if (fd != dirfd(list))
			note_inherited(fd);
	}
	if (list)
		closedir(list);
	else
		getrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = 3; !list && (rlim_t)fd < limit.rlim_cur && fd < DESCRIPTORS_MAX; fd++)
		note_inherited(fd);
}

static bool is_among(int fd, const int *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == fd)
			return true;
	return false;
}

/* A file was put there on purpose: the rules of `--policy /dev/stdin`, say. */
static bool is_file(int fd)
{
	struct stat status;
	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

void close_inherited(const int *kept, size_t count)
{
	for (int fd = 3; fd < DESCRIPTORS_MAX; fd++)
		if ((inherited[fd / 8] >> fd % 8 & 1) != 0 && !is_among(fd, kept, count))
			close(fd);
	memset(inherited, 0, sizeof inherited);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd <= 1 && null >= 0; fd++)
		if (!is_among(fd, kept, count) && !is_file(fd))
			dup2(null, fd);
	if (null > 2)
		close(null);
	log_by_stderr();
}

static void scrub_environment(void)
{
	static const char *const kept[] = { "PATH=", "TERM=", "LANG=" };
	static char *environment[sizeof kept / sizeof *kept + 1];
	int count = 0;
	for (char **entry = environ; entry && *entry; entry++)
		for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
			if (strncmp(*entry, kept[i], strlen(kept[i])) == 0 && count < (int)(sizeof kept / sizeof *kept))
				environment[count++] = *entry;
	environment[count] = NULL;
	environ = environment;
}

void sanitize_process(void)
{
	open_standard_descriptors();
	note_all_inherited();
	if (platform_is_set_id())
		scrub_environment();
	inherited_umask = umask(077);
	if (getrlimit(RLIMIT_CORE, &inherited_core) == 0) {
		/* Only the limit that counts: the command of `softnet run` gets its own back. */
		struct rlimit none = { 0, inherited_core.rlim_max };
		setrlimit(RLIMIT_CORE, &none);
	}
}

void restore_process(void)
{
	umask(inherited_umask);
	setrlimit(RLIMIT_CORE, &inherited_core);
}
