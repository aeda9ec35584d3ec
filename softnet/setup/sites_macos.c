/* macOS: a routing socket tells when an address comes or goes, and of much else. Nobody needs privileges to listen. */
#include <errno.h>
#include <net/route.h>
#include <sys/socket.h>
#include <unistd.h>
#include "port/io.h"
#include "system/platform.h"

int platform_watch_addresses(void)
{
	int fd = socket(PF_ROUTE, SOCK_RAW, AF_INET6);
	if (fd < 0 || make_quiet(fd))
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

bool platform_drain_addresses(int fd)
{
	enum { AT_ONCE = 1000 }; /* the loop comes back for more */
	for (int i = 0; i < AT_ONCE; i++) {
		char message[2048]; /* what it says does not matter: the addresses are read again */
		ssize_t got = read(fd, message, sizeof message);
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (got <= 0 && !(got < 0 && (errno == EINTR || errno == ENOBUFS)))
			return false;
	}
	return true;
}
