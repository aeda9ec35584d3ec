/* A lock that the kernel takes back when its holder ends. */
#include "system/files/alone.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

bool enter_alone(const char *path, struct error *error)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), failed = 0;
	while (fd >= 0 && (failed = fcntl(fd, F_SETLKW, &lock)) < 0 && errno == EINTR)
		;
	return (fd >= 0 && failed == 0) || report_failure(error, "%s: %s", path, strerror(errno));
}
