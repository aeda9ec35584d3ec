/* What Darwin's libc has and Linux' has not, and os_log. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libproc.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <mach-o/dyld.h>
#include <os/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <unistd.h>
#include "fake.h"
#include "include/darwin.h"

uint64_t clock_gettime_nsec_np(clockid_t clock)
{
	struct timespec now;
	if (clock != CLOCK_MONOTONIC_RAW_APPROX)
		misuse("clock %d is not doubled", (int)clock);
	clock_gettime(CLOCK_BOOTTIME, &now); /* the one of Linux that counts during sleep, too */
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* "macOS 26.0" */
bool fake_is_available(const char *platform)
{
	if (strncmp(platform, "macOS ", 6) != 0)
		misuse("__builtin_available of %s", platform);
	return fake_macos >= (unsigned)atoi(platform + 6);
}

int _NSGetExecutablePath(char *path, uint32_t *octets)
{
	ssize_t length = readlink("/proc/self/exe", path, *octets);
	if (length < 0 || (uint32_t)length >= *octets)
		return -1;
	path[length] = '\0';
	return 0;
}

int sysctlbyname(const char *name, void *old, size_t *octets, void *new_value, size_t new_octets)
{
	char uuid[37] = "";
	(void)new_value;
	(void)new_octets;
	if (strcmp(name, "kern.bootsessionuuid") != 0 || *octets < sizeof uuid) {
		errno = strcmp(name, "kern.bootsessionuuid") != 0 ? ENOENT : ENOMEM;
		return -1;
	}
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t got = read(fd, uuid, sizeof uuid - 1);
	close(fd);
	memcpy(old, uuid, sizeof uuid);
	*octets = sizeof uuid;
	return got == sizeof uuid - 1 ? 0 : -1;
}

int issetugid(void)
{
	return getauxval(AT_SECURE) != 0;
}

int getpeereid(int fd, uid_t *user, gid_t *group)
{
	struct ucred peer;
	socklen_t length = sizeof peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
		return -1;
	*user = peer.uid;
	*group = peer.gid;
	return 0;
}

int proc_pidinfo(int pid, int flavor, uint64_t argument, void *to, int octets)
{
	struct proc_bsdinfo *info = to;
	uid_t user;
	gid_t group;
	(void)argument;
	if (pid != getpid() || flavor != PROC_PIDTBSDINFO || octets < (int)sizeof *info)
		return 0;
	if (getresuid(&user, &user, &info->pbi_svuid) != 0 || getresgid(&group, &group, &info->pbi_svgid) != 0)
		return 0;
	return (int)sizeof *info;
}

int fake_route_socket(int domain, int type, int protocol)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_IPV6_IFADDR };
	if (domain != PF_ROUTE || type != SOCK_RAW || protocol != AF_INET6)
		misuse("only a routing socket of IPv6 is doubled");
	if (geteuid() == 0)
		misuse("a routing socket of root's can always change routes, even when another user has it later "
		       "(XNU's SS_PRIV)");
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Darwin's getopt(3) begins anew where optreset says so; glibc's where optind is 0. The linker puts this in between. */
int optreset;
int __real_getopt_long(int count, char *const *words, const char *letters, const struct option *, int *);
int __wrap_getopt_long(int count, char *const *words, const char *letters, const struct option *longs, int *index);

int __wrap_getopt_long(int count, char *const *words, const char *letters, const struct option *longs, int *index)
{
	if (optreset)
		optind = 0;
	optreset = 0;
	return __real_getopt_long(count, words, letters, longs, index);
}

/* Darwin says ENOBUFS where a peer's queue is full, and wakes nobody when there is room again. */
ssize_t __real_sendmsg(int fd, const struct msghdr *, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags);

ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
	int type = 0;
	ssize_t sent = __real_sendmsg(fd, message, flags);
	int cause = errno;
	if (sent < 0 && cause == EAGAIN &&
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){ sizeof type }) == 0 && type == SOCK_DGRAM)
		cause = ENOBUFS;
	errno = cause;
	return sent;
}

struct os_log_s {
	char name[64];
};

os_log_t os_log_create(const char *subsystem, const char *category)
{
	os_log_t log = calloc(1, sizeof *log);
	snprintf(log->name, sizeof log->name, "%s:%s", subsystem, category);
	return log;
}

bool os_log_type_enabled(os_log_t log, os_log_type_t type)
{
	return log && type <= OS_LOG_TYPE_FAULT;
}

/*
 * What __builtin_os_log_format packs: two octets, then for each argument its kind and privacy, its size and itself. A string
 * (kind 2) that is not public (privacy 2) shows as "<private>" in the real log.
 */
void _os_log_impl(void *image, os_log_t log, os_log_type_t type, const char *format, uint8_t *packed, uint32_t octets)
{
	const char *text = "";
	(void)image;
	if (strcmp(format, "%{public}s") != 0 || octets != 4 + sizeof text || packed[1] != 1 || packed[2] != 0x22)
		misuse("os_log: \"%s\" is not one public string", format);
	memcpy(&text, packed + 4, sizeof text);
	record("os_log %s type=%d %s", log->name, type, text);
}
