/*
 * Namespaces of a process's own. Root makes them as it is. Anybody else makes them in a user namespace, user_namespaces(7),
 * where the kernel lets users do so; the guard cannot, because it has to tell root from others, who have no numbers in there.
 */
#include "system/sandbox/namespaces.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "system/descriptors.h"
#include "system/platform.h"

#ifndef OPEN_TREE_CLONE /* what is newer than the header of some libc */
#define OPEN_TREE_CLONE         1
#define MOVE_MOUNT_F_EMPTY_PATH 4
#endif

enum { RECURSIVE = 0x8000 /* AT_RECURSIVE */, READ_ONLY = 1, NO_SET_ID = 2, PATH_TEXT = 4096 };

struct mount_change { /* struct mount_attr, which not every header has */
	uint64_t set, cleared, propagation, user_namespace;
};

static bool has_own_users;

static int open_own(const char *name)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/%s", name);
	return open(path, O_WRONLY | O_CLOEXEC);
}

static bool write_to(int fd, const char *text)
{
	bool is_written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return is_written;
}

/* Its own numbers and no others. These files are root's while the process is not dumpable. */
static bool keep_own_ids(uid_t user, gid_t group)
{
	char users[32], groups[32];
	snprintf(users, sizeof users, "%u %u 1", (unsigned)user, (unsigned)user);
	snprintf(groups, sizeof groups, "%u %u 1", (unsigned)group, (unsigned)group);
	prctl(PR_SET_DUMPABLE, 1);
	int denial = open_own("setgroups"), user_map = open_own("uid_map"), group_map = open_own("gid_map");
	prctl(PR_SET_DUMPABLE, 0);
	bool is_denied = write_to(denial, "deny"), has_users = write_to(user_map, users);
	return write_to(group_map, groups) && is_denied && has_users;
}

#if !defined __SANITIZE_ADDRESS__
/* As fork(2). Not clone3(2): filters of systemd and of containers forbid it, because they cannot look into its flags. */
static long fork_with(unsigned long flags)
{
#if defined __s390__
	return syscall(SYS_clone, 0, flags | SIGCHLD, 0, 0, 0);
#else
	return syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
#endif
}
#endif

pid_t fork_apart(void)
{
#if !defined __SANITIZE_ADDRESS__ /* which reads /proc at the end */
	uid_t user = geteuid();
	gid_t group = getegid();
	long pid = fork_with(CLONE_NEWUSER | CLONE_NEWPID);
	if (pid == 0) {
		has_own_users = true;
		keep_own_ids(user, group);
	}
	if (pid >= 0)
		return (pid_t)pid;
#endif
	return fork();
}

static bool unshare_users(int flags)
{
	uid_t user = geteuid();
	gid_t group = getegid();
	has_own_users = unshare(CLONE_NEWUSER | flags) == 0;
	return has_own_users && keep_own_ids(user, group);
}

/* A folder or a file to mount on. */
static bool make_place(const char *path, bool is_folder)
{
	char text[PATH_TEXT];
	copy_text(text, sizeof text, path);
	for (char *slash = strchr(text + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(text, 0755) < 0 && errno != EEXIST)
			return false;
		*slash = '/';
	}
	if (is_folder)
		return mkdir(text, 0755) == 0 || errno == EEXIST;
	int fd = open(text, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	return fd >= 0 && close(fd) == 0;
}

/* The same path leads to the same file, to be read. Before Linux 5.12 the user's rights alone say what can be written. */
static bool put_tree(int tree, const char *path)
{
	const struct mount_change read_only = { .set = READ_ONLY | NO_SET_ID };
	const int options = AT_EMPTY_PATH | RECURSIVE;
	struct stat status;
	if (syscall(SYS_mount_setattr, tree, "", options, &read_only, sizeof read_only) < 0 && errno != ENOSYS)
		return false;
	return path[0] == '/' && fstat(tree, &status) == 0 && make_place(path, S_ISDIR(status.st_mode)) &&
	       syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

static bool put_trees(const struct sandbox_wish *wish, const int *trees, bool is_put)
{
	for (uint32_t i = 0; i < wish->path_count; i++) {
		if (trees[i] < 0)
			continue;
		is_put = is_put && put_tree(trees[i], wish->paths[i].path);
		int cause = errno;
		close(trees[i]);
		errno = cause;
	}
	return is_put;
}

/* In the place of the old root, which is in nobody's way then and goes. Links lead to what is in the new one from then on. */
static bool become_empty_root(void)
{
	const unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	return mount("softnet", "/tmp", "tmpfs", plain, "mode=755,size=64k") == 0 && chdir("/tmp") == 0 &&
	       syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 && chdir("/") == 0;
}

static bool close_root(void)
{
	const unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | plain, NULL) == 0;
}

static bool make_root(const struct sandbox_wish *wish)
{
	int trees[SANDBOX_PATHS_MAX];
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	for (uint32_t i = 0; i < wish->path_count; i++) /* what is not there cannot be read later either */
		trees[i] =
		    (int)syscall(SYS_open_tree, AT_FDCWD, wish->paths[i].path, OPEN_TREE_CLONE | RECURSIVE | O_CLOEXEC);
	bool is_empty = become_empty_root();
	return put_trees(wish, trees, is_empty) && close_root();
}

/* The rights in a user namespace are over that namespace only, and nothing is left to be done with them. */
static void give_up_rights(void)
{
	if (!has_own_users)
		return;
	platform_forbid_new_privileges();
	platform_drop_capabilities();
}

const char *leave_host(enum sandbox_purpose purpose, const struct sandbox_wish *wish)
{
	int flags = CLONE_NEWNS | CLONE_NEWIPC | (purpose == FOR_COMMAND_KEEPER ? CLONE_NEWNET : 0);
	bool is_apart = unshare(flags) == 0 || (!has_own_users && unshare_users(flags));
	const char *cause = is_apart && make_root(wish) ? NULL : strerror(errno);
	give_up_rights();
	return cause;
}
