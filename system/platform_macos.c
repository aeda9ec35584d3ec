/* macOS: clock, boot id, ids, peers, the system's log. Not yet run on a Mac; docs/macos.md says what was checked. */
#include "system/platform.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <libproc.h>
#include <limits.h>
#include <mach-o/dyld.h>
#include <os/log.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <time.h>
#include <unistd.h>

const char platform_uplink[] = "vmnet";
const bool platform_has_sandbox = false; /* it was never tried on a Mac */
const char platform_run[] = "/var/run", platform_user_run[] = "";
const char platform_log_socket[] = "/var/run/syslog";
const char platform_firewall[] = "the application firewall of macOS, or pf";

/* Counts while the machine sleeps, as a lease does; read from memory that the kernel keeps at hand. */
uint64_t platform_clock_ms(void)
{
	return clock_gettime_nsec_np(CLOCK_MONOTONIC_RAW_APPROX) / 1000000;
}

/* From macOS 26 on the entitlement com.apple.security.virtualization will do. */
bool platform_uplink_wants_root(void)
{
	if (__builtin_available(macOS 26.0, *))
		return false;
	return true;
}

bool platform_own_path(char *path, size_t size)
{
	char found[PATH_MAX], whole[PATH_MAX];
	uint32_t room = sizeof found;
	if (_NSGetExecutablePath(found, &room) != 0 || !realpath(found, whole) || strlen(whole) >= size)
		return false;
	memcpy(path, whole, strlen(whole) + 1);
	return true;
}

void platform_restart_getopt(void)
{
	optreset = 1;
	optind = 1;
}

int platform_open_beneath(int folder, const char *name, int flags)
{
	return openat(folder, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
}

int platform_watch_openings(int folder, const char *name)
{
	(void)folder;
	(void)name;
	return -1;
}

bool platform_watch_changes(int watch, int folder)
{
	(void)watch;
	(void)folder;
	return false;
}

bool platform_take_changes(int watch, const char *own, bool *has_changed)
{
	(void)watch;
	(void)own;
	(void)has_changed;
	return false;
}

void platform_boot_id(char text[BOOT_ID_TEXT])
{
	size_t length = BOOT_ID_TEXT;
	if (sysctlbyname("kern.bootsessionuuid", text, &length, NULL, 0) != 0 || length == 0 || length > BOOT_ID_TEXT)
		length = 1;
	text[length - 1] = '\0';
}

bool platform_random(void *to, size_t octets)
{
	return getentropy(to, octets) == 0;
}

bool platform_is_set_id(void)
{
	return issetugid() != 0;
}

/*
 * The kernel does not tell: it names the process that wrote to the terminal. A command that gets it twice is better than one
 * that misses it.
 */
bool platform_signal_from_terminal(const siginfo_t *info)
{
	(void)info;
	return false;
}

bool platform_peer_user(int fd, uid_t *user)
{
	gid_t group;
	return getpeereid(fd, user, &group) == 0;
}

/* setgid(2) and setuid(2) of root set the saved id too; of others they would leave it. */
int platform_set_group(gid_t gid)
{
	return (geteuid() == 0 ? setgid(gid) : setregid(gid, gid)) == 0 ? 0 : -errno;
}

int platform_set_user(uid_t uid)
{
	return (geteuid() == 0 ? setuid(uid) : setreuid(uid, uid)) == 0 ? 0 : -errno;
}

/* Also opts out of the membership that is looked up by name later on. */
bool platform_set_groups(const gid_t *groups, size_t count)
{
	return setgroups((int)count, groups) == 0;
}

bool platform_join_groups(const char *user, gid_t gid)
{
	return initgroups(user, (int)gid) == 0;
}

/* There is no getresuid(2), but the process table has the saved ids. */
bool platform_ids_are(uid_t uid, gid_t gid)
{
	struct proc_bsdinfo info;
	if (proc_pidinfo(getpid(), PROC_PIDTBSDINFO, 0, &info, (int)sizeof info) != (int)sizeof info)
		return false;
	return getuid() == uid && geteuid() == uid && getgid() == gid && getegid() == gid && info.pbi_svuid == uid &&
	       info.pbi_svgid == gid;
}

bool platform_has_other_users(void)
{
	return true;
}

void platform_forbid_new_privileges(void)
{
	/* There is nothing of the kind; the file system's set-user-id programs stay callable. */
}

void platform_drop_capabilities(void)
{
	/* Ids are all there is. */
}

bool platform_has_no_capabilities(void)
{
	return true;
}

void platform_log(enum log_level level, const char *line)
{
	static const os_log_type_t types[] = {
		[LEVEL_INFO] = OS_LOG_TYPE_INFO, [LEVEL_WARNING] = OS_LOG_TYPE_DEFAULT, [LEVEL_ERROR] = OS_LOG_TYPE_ERROR
	};
	static os_log_t log;
	if (!log)
		log = os_log_create("org.softnet.softnet", "guard");
	os_log_with_type(log, types[level], "%{public}s", line);
}

void platform_take_long_turns(void)
{
	/* no such wish here */
}
