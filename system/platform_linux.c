/* Linux: clock, boot id, ids and capabilities. */
#include "system/platform.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

const char platform_uplink[] = "slirp";
const bool platform_has_sandbox = true;
const char platform_run[] = "/run", platform_user_run[] = "/run/user";
const char platform_log_socket[] = "/dev/log";
const char platform_firewall[] = "nftables or iptables";

uint64_t platform_clock_ms(void)
{
	struct timespec t = { 0, 0 };
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void platform_restart_getopt(void)
{
	optind = 0;
}

bool platform_uplink_wants_root(void)
{
	return false;
}

bool platform_own_path(char *path, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", path, size - 1);
	path[length > 0 ? length : 0] = '\0';
	return length > 0;
}

/* The first line of a small file, "" on failure. */
static void read_line(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read(fd, text, size - 1);
	text[got > 0 ? got : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

int platform_open_beneath(int folder, const char *name, int flags)
{
	const int all = flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	const struct open_how how = { .flags = (unsigned)all,
				      .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV };
	long fd = syscall(SYS_openat2, folder, name, &how, sizeof how);
	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) /* before Linux 5.6, or where somebody's filter knows it not */
		return openat(folder, name, all);
	return (int)fd;
}

int platform_watch_openings(int folder, const char *name)
{
	char path[300];
	snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder, name); /* inotify knows no folders by descriptor */
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd < 0 || inotify_add_watch(fd, path, IN_OPEN | IN_DONT_FOLLOW) >= 0)
		return fd;
	close(fd);
	return -1;
}

bool platform_watch_changes(int watch, int folder)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", folder);
	return inotify_add_watch(watch, path, IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_ONLYDIR) >= 0;
}

bool platform_take_changes(int watch, const char *own, bool *has_changed)
{
	char events[4096];
	struct inotify_event event;
	ssize_t octets = read(watch, events, sizeof events);
	for (ssize_t at = 0; at + (ssize_t)sizeof event <= octets; at += (ssize_t)(sizeof event + event.len)) {
		memcpy(&event, events + at, sizeof event);
		bool is_own = event.len > 0 &&
			      strcmp(events + at + sizeof event, own) == 0; /* the kernel ends it with zeros */
		*has_changed |= (event.mask & IN_OPEN) == 0 && !is_own;     /* IN_Q_OVERFLOW, too */
	}
	return octets > 0;
}

void platform_boot_id(char text[BOOT_ID_TEXT])
{
	read_line("/proc/sys/kernel/random/boot_id", text, BOOT_ID_TEXT);
}

bool platform_random(void *to, size_t octets)
{
	ssize_t got;
	do
		got = getrandom(to, octets, 0);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)octets;
}

bool platform_is_set_id(void)
{
	return getauxval(AT_SECURE) != 0;
}

bool platform_signal_from_terminal(const siginfo_t *info)
{
	return info->si_code == SI_KERNEL;
}

bool platform_peer_user(int fd, uid_t *user)
{
	struct ucred peer;
	socklen_t length = sizeof peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || length != sizeof peer)
		return false;
	*user = peer.uid;
	return true;
}

int platform_set_group(gid_t gid)
{
	return setresgid(gid, gid, gid) == 0 ? 0 : -errno;
}

int platform_set_user(uid_t uid)
{
	return setresuid(uid, uid, uid) == 0 ? 0 : -errno;
}

bool platform_set_groups(const gid_t *groups, size_t count)
{
	return setgroups(count, groups) == 0;
}

bool platform_join_groups(const char *user, gid_t gid)
{
	return initgroups(user, gid) == 0;
}

bool platform_ids_are(uid_t uid, gid_t gid)
{
	uid_t real_user, user, saved_user;
	gid_t real_group, group, saved_group;
	return getresuid(&real_user, &user, &saved_user) == 0 && getresgid(&real_group, &group, &saved_group) == 0 &&
	       real_user == uid && user == uid && saved_user == uid && real_group == gid && group == gid &&
	       saved_group == gid;
}

bool platform_has_other_users(void)
{
	char line[128];
	unsigned long inside, outside, count;
	read_line("/proc/self/uid_map", line, sizeof line);
	return sscanf(line, "%lu %lu %lu", &inside, &outside, &count) != 3 || count > 1;
}

void platform_forbid_new_privileges(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* From the bounding set too; the call fails with EINVAL behind the kernel's last capability. */
	for (unsigned long capability = 0; capability < 64; capability++)
		if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 && errno == EINVAL)
			break;
}

/* libcap would be a dependency for two system calls. */
void platform_drop_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
	struct __user_cap_data_struct none[2];
	memset(none, 0, sizeof none);
	syscall(SYS_capset, &header, none);
}

bool platform_has_no_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3, .pid = 0 };
	struct __user_cap_data_struct data[2];
	memset(data, 0, sizeof data);
	if (syscall(SYS_capget, &header, data) != 0)
		return false;
	return (data[0].effective | data[0].permitted | data[1].effective | data[1].permitted) == 0;
}

void platform_log(enum log_level level, const char *line)
{
	(void)level;
	(void)line; /* the caller has the guard's stderr, and the journal takes that */
}

void platform_end_with_starter(void)
{
	prctl(PR_SET_PDEATHSIG, SIGRTMAX - 1);
}

void platform_outlive_starter(void)
{
	int number = 0;
	if (prctl(PR_GET_PDEATHSIG, &number) == 0 && number == SIGRTMAX - 1)
		prctl(PR_SET_PDEATHSIG, 0);
}

/* What sched_getattr(2) and sched_setattr(2) take; libc has neither these nor that. */
struct schedule {
	uint32_t octets, policy;
	uint64_t flags;
	int32_t niceness;
	uint32_t priority;
	uint64_t slice_ns; /* since Linux 6.12 */
	uint64_t deadline_ns, period_ns;
};

void platform_take_long_turns(void)
{
	enum { SLICE_NS = 100000000 }; /* the most that Linux grants */
	struct schedule ours;
	if (syscall(SYS_sched_getattr, 0, &ours, sizeof ours, 0) != 0)
		return;
	ours.slice_ns = SLICE_NS;
	if (syscall(SYS_sched_setattr, 0, &ours, 0) != 0)
		errno = 0; /* it does without */
}
