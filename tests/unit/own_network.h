/* A network namespace for a test that sets up interfaces: as root, or in a user namespace. */
#pragma once
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static inline bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return done;
}

static inline bool enter_own_network(void)
{
	char map[32];
	unsigned uid = geteuid(), gid = getegid();
	if (uid == 0 && unshare(CLONE_NEWNET) == 0)
		return true;
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	snprintf(map, sizeof map, "0 %u 1", uid);
	bool mapped = write_text("/proc/self/setgroups", "deny") && write_text("/proc/self/uid_map", map);
	snprintf(map, sizeof map, "0 %u 1", gid);
	return mapped && write_text("/proc/self/gid_map", map);
}
