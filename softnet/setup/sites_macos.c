/* macOS: a routing socket tells when an address comes or goes, and of much else. Nobody needs privileges to listen. */
#include <net/route.h>
#include <sys/socket.h>
#include "port/io.h"
#include "system/platform.h"

int platform_watch_addresses(void)
{
	int fd = socket(PF_ROUTE, SOCK_RAW, AF_INET6);
	return fd >= 0 && make_quiet(fd) ? fd : close_failed(fd);
}
