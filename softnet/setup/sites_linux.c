/* Linux: rtnetlink tells when an IPv6 address comes or goes. Nobody needs privileges to listen. */
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include "system/descriptors.h"
#include "system/platform.h"

int platform_watch_addresses(void)
{
	const struct sockaddr_nl changes = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV6_IFADDR };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	bool is_open = fd >= 0 && bind(fd, (const struct sockaddr *)(const void *)&changes, sizeof changes) == 0;
	return is_open ? fd : close_failed(fd);
}
