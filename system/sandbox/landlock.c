/*
 * Landlock, landlock(7). Its header may be older than the kernel, so what came later is named here. A right that a kernel
 * does not know must not be asked for.
 */
#include "system/sandbox/landlock.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	WITH_REFER = 2,
	WITH_TRUNCATE = 3,
	WITH_IOCTL = 5,
	WITH_SCOPES = 6, /* versions */
	TRUNCATE = 1 << 14,
	IOCTL_DEVICE = 1 << 15,
	SCOPE_ABSTRACT_SOCKETS = 1 << 0,
	SCOPE_SIGNALS = 1 << 1,
};

struct ruleset {
	uint64_t files, network, scoped;
};

/* What can be done with files, folders and devices in version 1. */
static const uint64_t all_rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

/* Of a file itself. All others are rights to a folder. */
static const uint64_t rights_to_file = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE;

static uint64_t rights_of_version(int version)
{
	return all_rights | (version >= WITH_REFER ? LANDLOCK_ACCESS_FS_REFER : 0) |
	       (version >= WITH_TRUNCATE ? TRUNCATE : 0) | (version >= WITH_IOCTL ? IOCTL_DEVICE : 0);
}

static uint64_t rights_for(unsigned access)
{
	const uint64_t read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	const uint64_t write = LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE | LANDLOCK_ACCESS_FS_MAKE_REG;
	return ((access & SANDBOX_READ) != 0 ? read : 0) | ((access & SANDBOX_WRITE) != 0 ? write : 0) |
	       ((access & SANDBOX_REMOVE) != 0 ? LANDLOCK_ACCESS_FS_REMOVE_FILE : 0);
}

/* What is not there cannot be opened later either. */
static bool add_rule(int ruleset, const struct sandbox_path *path, uint64_t known)
{
	struct stat status;
	int fd = path->path ? open(path->path, O_PATH | O_CLOEXEC) : path->fd;
	if (fd < 0)
		return true;
	uint64_t rights = rights_for(path->access) & known;
	if (fstat(fd, &status) == 0 && !S_ISDIR(status.st_mode))
		rights &= rights_to_file;
	const struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };
	bool is_added = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
	int cause = errno;
	if (path->path)
		close(fd);
	errno = cause;
	return is_added;
}

static bool restrict_to(const struct sandbox_wish *wish, const struct ruleset *rights, size_t octets)
{
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, rights, octets, 0);
	if (ruleset < 0)
		return false;
	bool is_made = true;
	for (uint32_t i = 0; i < wish->path_count && is_made; i++)
		is_made = add_rule(ruleset, &wish->paths[i], rights->files);
	is_made = is_made && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	int cause = errno;
	close(ruleset);
	errno = cause;
	return is_made;
}

/*
 * A keeper of slirp signals its workers, who are in the same domain. The other two may signal what is outside: the filter of
 * system calls says whom.
 */
int close_files(enum sandbox_purpose purpose, const struct sandbox_wish *wish, const char **why)
{
	int version = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	*why = "";
	if (version < 1) {
		*why = errno == ENOSYS || errno == EOPNOTSUPP ? "this kernel has no Landlock" : strerror(errno);
		return 0;
	}
	struct ruleset rights = { .files = rights_of_version(version) };
	if (version >= WITH_SCOPES)
		rights.scoped = (uint64_t)SCOPE_ABSTRACT_SOCKETS |
				((purpose & FOR_SLIRP_KEEPER) != 0 ? (uint64_t)SCOPE_SIGNALS : 0);
	if (restrict_to(wish, &rights, version >= WITH_SCOPES ? sizeof rights : sizeof rights.files))
		return version;
	*why = strerror(errno);
	return 0;
}
