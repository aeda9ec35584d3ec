/* setns(2), by a file. */
#include "port/linux/netspace.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "system/log.h"

static const char own_path[] = "/proc/self/ns/net";

int open_own_netspace(void)
{
	return open(own_path, O_RDONLY | O_CLOEXEC);
}

uint64_t own_netspace_number(void)
{
	struct stat file;
	return stat(own_path, &file) == 0 ? file.st_ino : 0;
}

bool enter_netspace(const char *path, struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is_entered = fd >= 0 && setns(fd, CLONE_NEWNET) == 0;
	int cause = errno;
	if (fd >= 0)
		close(fd);
	return is_entered ||
	       report_failure(error, "%.120s: cannot enter this network namespace: %s", path, strerror(cause));
}

/* The format has two %s: the folder, and an entry of it. */
static bool enter_among(const char *folder, const char *format, uint64_t number)
{
	struct stat file;
	struct error unused;
	const struct dirent *entry;
	char path[PATH_MAX];
	bool is_entered = false;
	DIR *list = opendir(folder);
	while (list && !is_entered && (entry = readdir(list))) {
		int length = snprintf(path, sizeof path, format, folder, entry->d_name);
		if (length > 0 && length < (int)sizeof path && stat(path, &file) == 0 && file.st_ino == number)
			is_entered = enter_netspace(path, &unused);
	}
	if (list)
		closedir(list);
	return is_entered;
}

bool enter_numbered_netspace(uint64_t number)
{
	return own_netspace_number() == number || enter_among("/run/netns", "%s/%s", number) ||
	       enter_among("/proc", "%s/%s/ns/net", number);
}

void return_to_netspace(int fd)
{
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		die("cannot return to the own network namespace: %s", strerror(errno));
	close(fd);
}
