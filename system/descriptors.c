/* Descriptors that stay clear of standard input and output, and terminals. */
#include "system/descriptors.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

int duplicate_above_2(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

int move_above_2(int fd)
{
	if (fd < 0 || fd > 2)
		return fd;
	int moved = duplicate_above_2(fd);
	close(fd);
	return moved;
}

int close_failed(int fd)
{
	int cause = errno;
	if (fd >= 0)
		close(fd);
	errno = cause;
	return -1;
}

/* Under set-user-id it is not opened for more than the caller could do with it. */
int open_terminal_again(int fd, int flags)
{
	char name[256];
	struct stat again, before;
	int mode = fcntl(fd, F_GETFL);
	if (mode < 0 || ((mode & O_ACCMODE) != O_RDWR && (mode & O_ACCMODE) != (flags & O_ACCMODE)) ||
	    ttyname_r(fd, name, sizeof name) != 0)
		return -1;
	int own = move_above_2(open(name, flags | O_NOCTTY | O_CLOEXEC));
	if (own >= 0 && fstat(own, &again) == 0 && fstat(fd, &before) == 0 && again.st_rdev == before.st_rdev)
		return own;
	if (own >= 0)
		close(own);
	return -1;
}
