/* Linux: rtnetlink tells when an IPv6 address comes or goes. Nobody needs privileges to listen. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>
#include "system/platform.h"

int platform_watch_addresses(void)
{
	const struct sockaddr_nl changes = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV6_IFADDR };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0 || bind(fd, (const struct sockaddr *)(const void *)&changes, sizeof changes) == 0)
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
		char message;
		ssize_t got = recv(fd, &message, sizeof message, 0); /* the rest of it is not missed */
		/* ENOBUFS: some were lost. They do not matter: reading the addresses now shows what they said. */
		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (got <= 0 && !(got < 0 && (errno == EINTR || errno == ENOBUFS)))
			return false;
	}
	return true;
}
