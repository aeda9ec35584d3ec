/*
 * Where running guards are found. A socket is bound and listens under another name and is renamed then, so that an entry
 * that nobody answers at is dead, and a guard that starts can take it away without asking whether somebody is about to
 * listen. Entries of processes that exist are left alone, unasked: a start costs the others nothing.
 */
#include "softnet/control/registry.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "port/io.h"
#include "system/log.h"
#include "system/platform.h"
#include "system/process/privileges.h"

enum {
	ENTRIES_MAX = 4096, /* that one start looks at */
	NEWBORN_S = 60
}; /* a guard that has not been renamed for so long never will be */

const char *registry_prefix = "";

static bool fits(int length)
{
	return length > 0 && length < REGISTRY_PATH;
}

bool registry_folder(int which, uid_t user, char path[REGISTRY_PATH])
{
	switch (which) {
	case 0:
		return user == 0 && fits(snprintf(path, REGISTRY_PATH, "%s%s/softnet", registry_prefix, platform_run));
	case 1:
		return platform_user_run[0] != '\0' && fits(snprintf(path, REGISTRY_PATH, "%s%s/%u/softnet",
								     registry_prefix, platform_user_run, (unsigned)user));
	default:
		return fits(snprintf(path, REGISTRY_PATH, "%s/tmp/softnet-%u", registry_prefix, (unsigned)user));
	}
}

int open_registry_folder(const char *path, uid_t owner, const char **why)
{
	struct stat folder;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	*why = fd >= 0 || errno == ENOENT ? NULL : errno == ELOOP ? "it is a symbolic link" : strerror(errno);
	if (fd < 0)
		return -1;
	if (fstat(fd, &folder) < 0)
		*why = strerror(errno);
	else if (folder.st_uid != owner)
		*why = "it belongs to another user";
	else if ((folder.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		*why = "others may write to it";
	if (!*why)
		return fd;
	close(fd);
	return -1;
}

/* The number before the ending; 0: it is no such name. */
static pid_t number_before(const char *name, const char *ending)
{
	uint64_t number;
	char digits[16];
	size_t length = strspn(name, "0123456789");
	if (length == 0 || length >= sizeof digits || strcmp(name + length, ending) != 0)
		return 0;
	memcpy(digits, name, length);
	digits[length] = '\0';
	return parse_number(digits, 1, INT_MAX, &number) ? (pid_t)number : 0;
}

pid_t registry_number(const char *name)
{
	return number_before(name, ".sock");
}

bool process_exists(pid_t pid)
{
	return kill(pid, 0) == 0 || errno == EPERM;
}

static bool is_anothers(pid_t pid)
{
	return pid != getpid() && process_exists(pid);
}

/* A guard that was killed left a link to the path that is our own now: nobody but us can be meant by it. */
static bool leads_to(int folder, const char *name, const char *target)
{
	char text[PATH_MAX];
	bool is_asked = target[0] != '\0' && registry_number(name) > 0;
	ssize_t length = is_asked ? readlinkat(folder, name, text, sizeof text) : -1;
	return length >= 0 && (size_t)length == strlen(target) && memcmp(text, target, (size_t)length) == 0;
}

/* Asked last, for other process namespaces may share the folder. */
static bool is_dead(int folder, const char *path, const char *name)
{
	struct sockaddr_un address;
	struct error unused;
	struct stat status;
	pid_t newborn = number_before(name, ".new"), pid = newborn > 0 ? newborn : number_before(name, ".sock");
	if (pid == 0 || is_anothers(pid) || fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (newborn > 0)
		return status.st_mtime < time(NULL) - NEWBORN_S;
	char whole[REGISTRY_PATH];
	return fits(snprintf(whole, sizeof whole, "%s/%s", path, name)) &&
	       unix_address(&address, whole, strlen(whole), &unused) && !unix_alive(SOCK_STREAM, &address);
}

/* target: what our own entry will lead to; "": it will be a socket. */
static void remove_dead(int folder, const char *path, const char *target)
{
	const struct dirent *entry;
	int own = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = own >= 0 ? fdopendir(own) : NULL;
	if (!list && own >= 0)
		close(own);
	for (int i = 0; list && i < ENTRIES_MAX && (entry = readdir(list)); i++)
		if (leads_to(folder, entry->d_name, target) || is_dead(folder, path, entry->d_name))
			unlinkat(folder, entry->d_name, 0);
	if (list)
		closedir(list);
}

/* Its path was given for others to find: it may be relative to where we stand now. "": it is too long. */
static void find_target(const struct control *control, char target[PATH_MAX])
{
	char here[PATH_MAX];
	const char *path = control->listener >= 0 ? control->path : NULL;
	int length = !path                       ? 0
		     : path[0] == '/'            ? snprintf(target, PATH_MAX, "%s", path)
		     : getcwd(here, sizeof here) ? snprintf(target, PATH_MAX, "%s/%s", here[1] != '\0' ? here : "", path)
						 : -1;
	if (length <= 0 || length >= PATH_MAX)
		target[0] = '\0';
}

static const char *link_to(struct registry *registry, const char *target)
{
	if (target[0] == '\0')
		return "its path is too long";
	registry->is_link = symlink(target, registry->entry) == 0 && lstat(registry->entry, &registry->link) == 0;
	return registry->is_link ? NULL : strerror(errno);
}

/* Under the other name first. */
static const char *listen_there(struct registry *registry, struct control *control, int folder, const char *path)
{
	static struct error error;
	struct stat inside;
	char name[32], newborn[REGISTRY_PATH];
	snprintf(name, sizeof name, "%ld.new", (long)getpid());
	if (!fits(snprintf(newborn, sizeof newborn, "%s/%s", path, name)))
		return "its path is too long";
	if (!listen_control(control, newborn, &error))
		return error.text;
	/* The folder that was looked at is that of the path still. */
	if (fstatat(folder, name, &inside, AT_SYMLINK_NOFOLLOW) == 0 && inside.st_ino == control->place.st_ino &&
	    inside.st_dev == control->place.st_dev && rename(newborn, registry->entry) == 0) {
		control->path = registry->entry;
		control->is_for_readers = true;
		return NULL;
	}
	close_listener(control);
	return "it was changed meanwhile";
}

/* NULL, or why not there. */
static const char *enter_folder(struct registry *registry, struct control *control, int which, const char *path)
{
	const char *why;
	char target[PATH_MAX];
	struct stat other;
	bool is_made = mkdir(path, 0700) == 0;
	int cause = errno;
	int folder = open_registry_folder(path, geteuid(), &why);
	if (folder < 0)
		return why ? why : strerror(cause);
	if (is_made && which == 0)
		fchmod(folder, 0755); /* everybody may know that root has guards */
	find_target(control, target);
	remove_dead(folder, path, target);
	if (!fits(snprintf(registry->entry, sizeof registry->entry, "%s/%ld.sock", path, (long)getpid())))
		why = "its path is too long";
	else if (lstat(registry->entry, &other) == 0)
		why = "another guard has our number";
	else if (control->listener >= 0)
		why = link_to(registry, target);
	else
		why = listen_there(registry, control, folder, path);
	close(folder);
	return why;
}

void enter_registry(struct registry *registry, struct control *control)
{
	char path[REGISTRY_PATH];
	if (registry->is_tried)
		return;
	registry->is_tried = true;
	if (is_nobody(geteuid())) {
		info("not listed among the running guards: any process of user nobody could pose as it");
		return;
	}
	for (int which = 0; which < REGISTRY_FOLDERS; which++) {
		if (!registry_folder(which, geteuid(), path))
			continue;
		const char *why = enter_folder(registry, control, which, path);
		if (!why)
			return;
		if (which == REGISTRY_FOLDERS - 1)
			info("not listed in %s: %s", path, why);
	}
}

void leave_registry(struct registry *registry)
{
	struct stat now;
	if (registry->is_link && lstat(registry->entry, &now) == 0 && now.st_dev == registry->link.st_dev &&
	    now.st_ino == registry->link.st_ino)
		unlink(registry->entry);
	registry->is_link = false;
}
