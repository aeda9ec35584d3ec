/* Replaces a file as a whole. */
#include "system/files/replace_file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, text, length);
		if (written < 0 && errno != EINTR)
			return false;
		if (written > 0) {
			text += written;
			length -= (size_t)written;
		}
	}
	return true; /* no fsync(2): it may stall the frames, and after a power failure nobody wants what was there */
}

/* Else a guard that stayed root would put a file in the place of /dev/null. */
static bool is_something_else(const char *path)
{
	struct stat there;
	return lstat(path, &there) == 0 && !S_ISREG(there.st_mode) && !S_ISLNK(there.st_mode);
}

/* A network's file system may tell only at the close that there was no room. The descriptor stays open. */
static bool is_taken(int fd)
{
	int other = dup(fd);
	return other >= 0 && close(other) == 0;
}

/* Beside the file, because rename(2) replaces only within a file system; O_EXCL, so never through somebody's link. */
bool replace_file(const char *path, const char *text, size_t length, mode_t mode, int *kept)
{
	char temporary[PATH_MAX];
	int needed = snprintf(temporary, sizeof temporary, "%s.%ld.new", path, (long)getpid());
	if (needed < 0 || (size_t)needed >= sizeof temporary) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (is_something_else(path)) {
		errno = EEXIST;
		return false;
	}
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = open(temporary, flags, 0600);
	if (fd < 0 && errno == EEXIST && unlink(temporary) == 0) /* of a guard with our number that was killed */
		fd = open(temporary, flags, 0600);
	if (fd < 0)
		return false;
	bool is_written = write_all(fd, text, length) && fchmod(fd, mode) == 0 && /* whatever the umask is */
			  is_taken(fd) && rename(temporary, path) == 0;
	int cause = errno;
	if (!is_written)
		unlink(temporary);
	if (is_written && kept)
		*kept = fd;
	else
		close(fd);
	errno = cause;
	return is_written;
}

/* NAME.NUMBER.new, of a process that is gone. */
static bool is_torn(const char *entry, const char *name)
{
	size_t length = strlen(name);
	char *end;
	if (strncmp(entry, name, length) != 0 || entry[length] != '.')
		return false;
	long number = strtol(entry + length + 1, &end, 10);
	return number > 0 && number <= INT_MAX && strcmp(end, ".new") == 0 && kill((pid_t)number, 0) < 0 &&
	       errno == ESRCH;
}

void remove_torn(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	const struct dirent *entry;
	snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	DIR *list = opendir(folder);
	while (list && (entry = readdir(list)))
		if (is_torn(entry->d_name, slash ? slash + 1 : path))
			unlinkat(dirfd(list), entry->d_name, 0);
	if (list)
		closedir(list);
}
