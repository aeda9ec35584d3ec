/*
 * Files of claims: where they are, whose, and whether their guard lives.
 *
 * Strangers can do nothing here but to their own folder, and that is looked at with care: no link is followed, nothing
 * but regular files of the folder's owner is read, nothing waits (a FIFO, a lease on the file, another file system
 * mounted there), and only so many files of one user are looked at.
 */
#include "softnet/claims/claims_folder.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "port/io.h"
#include "system/platform.h"
#include "system/process/privileges.h"
#include "softnet/control/registry.h"
#include "system/files/replace_file.h"
#include "system/text.h"

enum {
	FILES_MAX = 4096,
	STRANGERS_MAX = 64, /* of root or oneself, of another user: each VM has two at most */
	USERS_MAX = 256,
	NEWBORN_S = 60, /* what is not renamed by then never will be */
	LIFE_AT = 0,
	BELL_AT = 1, /* octets that are locked */
};

static const char given_ending[] = ".given", newborn_ending[] = ".new";

/* --- locks --- */

static struct flock octet(short type, off_t at)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
}

/*
 * A read lock of a stranger must not make a dead file look alive, so only one for writing counts: who asks to read is
 * told of those. They belong to the process, not to its children; so the guard must never close another descriptor of
 * its own file, and does not open one.
 */
static bool is_locked(int file)
{
	struct flock lock = octet(F_RDLCK, LIFE_AT);
	return fcntl(file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool is_alive(const struct other_guard *other)
{
	return is_locked(other->file);
}

/* Of the open file, so that it does not end when the same file is opened and closed again for another reason. */
int ring_bell(const struct other_guard *other)
{
	struct flock lock = octet(F_RDLCK, BELL_AT);
	int fd = platform_open_beneath(other->folder, other->name, O_RDONLY);
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return fd;
	close(fd);
	return -1;
}

bool hears_bell(const struct claims_folder *f)
{
	struct flock lock = octet(F_WRLCK, BELL_AT);
	return f->file >= 0 && fcntl(f->file, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* --- folders --- */

/* Made where it is not there, as root or by its user. The mode is not the umask's. */
static int open_made_folder(const char *path, uid_t owner, mode_t mode)
{
	const char *why;
	bool is_made = mkdir(path, 0700) == 0;
	int fd = open_registry_folder(path, geteuid() == 0 && is_made ? 0 : owner, &why);
	if (fd >= 0 && is_made && ((owner != geteuid() && fchown(fd, owner, (gid_t)-1) < 0) || fchmod(fd, mode) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static bool format_path(char path[PATH_MAX], const char *before, const char *behind)
{
	int length = snprintf(path, PATH_MAX, "%s%s", before, behind);
	return length > 0 && length < PATH_MAX;
}

static int open_root_folder(char path[PATH_MAX])
{
	char run[PATH_MAX];
	if (!format_path(run, registry_prefix, platform_run) || !format_path(path, run, "/softnet"))
		return -1;
	int fd = open_made_folder(path, 0, 0755);
	if (fd >= 0)
		close(fd);
	return fd >= 0 && format_path(path, run, "/softnet/claims") ? open_made_folder(path, 0, 0755) : -1;
}

/* In the folder that everybody looks into. Only root can make it there. */
static int open_own_of_all(struct claims_folder *f, const char *root)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof path, "%s/%u", root, (unsigned)f->user);
	return f->root >= 0 && length < (int)sizeof path ? open_made_folder(path, f->user, 0755) : -1;
}

static int open_own_of_user(const struct claims_folder *f)
{
	char path[REGISTRY_PATH], claims[PATH_MAX];
	for (int which = 1; which < REGISTRY_FOLDERS; which++) {
		if (!registry_folder(which, f->user, path) || !format_path(claims, path, "/claims"))
			continue;
		int run = open_made_folder(path, f->user, 0700);
		if (run >= 0)
			close(run);
		int fd = run >= 0 ? open_made_folder(claims, f->user, 0700) : -1;
		if (fd >= 0)
			return fd;
	}
	return -1;
}

static bool ends_in(const char *name, const char *ending)
{
	size_t length = strlen(name), tail = strlen(ending);
	return length >= tail && strcmp(name + length - tail, ending) == 0;
}

static DIR *list_of(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	if (!list && fd >= 0)
		close(fd);
	return list;
}

/* Its guard is dead. A name is never used twice, so nobody's new file can have it meanwhile. */
static bool is_left(int folder, const char *name)
{
	struct stat status;
	char stem[CLAIMS_NAME];
	copy_text(stem, sizeof stem, name);
	if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
		return false;
	bool is_young = status.st_mtime >= time(NULL) - NEWBORN_S;
	if (ends_in(name, newborn_ending))
		return !is_young;
	if (ends_in(name, given_ending))
		stem[strlen(stem) - (sizeof given_ending - 1)] = '\0';
	int file = platform_open_beneath(folder, stem, O_RDONLY);
	bool is_dead = file < 0 ? errno == ENOENT : !is_locked(file);
	if (file >= 0)
		close(file);
	return is_dead;
}

static void remove_left(int folder)
{
	const struct dirent *entry;
	DIR *list = list_of(folder);
	for (int i = 0; list && i < FILES_MAX && (entry = readdir(list)); i++)
		if (strlen(entry->d_name) < CLAIMS_NAME && is_left(folder, entry->d_name))
			unlinkat(folder, entry->d_name, 0);
	if (list)
		closedir(list);
}

const char *open_claims_folder(struct claims_folder *f)
{
	char path[PATH_MAX];
	*f = (struct claims_folder){ .own = -1, .file = -1, .user = getuid() };
	f->root = open_root_folder(path);
	if (is_nobody(geteuid()))
		return "any process of user nobody could change it";
	f->own = open_own_of_all(f, path);
	f->is_for_all = f->own >= 0;
	if (f->own < 0 && f->user == geteuid()) /* root makes nothing in what is a user's */
		f->own = open_own_of_user(f);
	if (f->own < 0)
		return "there is no folder for it";
	remove_left(f->own);
	return NULL;
}

/* Root's folder is left to the next guard that starts as root. */
void close_claims_folder(struct claims_folder *f)
{
	char given[CLAIMS_NAME + sizeof given_ending];
	snprintf(given, sizeof given, "%s%s", f->name, given_ending);
	if (f->own >= 0 && f->name[0] != '\0' && unlinkat(f->own, f->name, 0) == 0)
		unlinkat(f->own, given, 0);
	int *const all[] = { &f->root, &f->own, &f->file };
	for (int i = 0; i < 3; i++) {
		if (*all[i] >= 0)
			close(*all[i]);
		*all[i] = -1;
	}
}

/* --- our file --- */

static int make_file(const struct claims_folder *f, const char *name, const uint8_t *octets, size_t length)
{
	struct flock lock = octet(F_WRLCK, LIFE_AT);
	/* Closed to others until it is locked. */
	int fd = openat(f->own, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	bool is_made = fcntl(fd, F_SETLK, &lock) == 0 && write_all(fd, (const char *)octets, length) &&
		       (f->user == geteuid() || fchown(fd, f->user, (gid_t)-1) == 0) && fchmod(fd, 0644) == 0;
	if (is_made)
		return fd;
	int cause = errno;
	unlinkat(f->own, name, 0);
	close(fd);
	errno = cause;
	return -1;
}

const char *make_claims_file(struct claims_folder *f, const struct claims_page *page, uint32_t port)
{
	char newborn[CLAIMS_NAME + sizeof newborn_ending];
	uint8_t octets[PAGE_OCTETS];
	uint64_t random;
	if (!platform_random(&random, sizeof random))
		return "no random numbers can be had from the system";
	snprintf(f->name, sizeof f->name, "%lx-%llx-%lu", (long)getpid(), (unsigned long long)random,
		 (unsigned long)port);
	snprintf(newborn, sizeof newborn, "%s%s", f->name, newborn_ending);
	write_claims_page(page, octets);
	f->file = make_file(f, newborn, octets, sizeof octets);
	if (f->file >= 0 && renameat(f->own, newborn, f->own, f->name) == 0)
		return NULL;
	const char *why = strerror(errno);
	if (f->file >= 0)
		close(f->file);
	f->file = -1;
	return why;
}

bool make_given_file(struct claims_folder *f, const struct given_page *given)
{
	uint8_t octets[GIVEN_OCTETS];
	char name[CLAIMS_NAME + sizeof given_ending];
	snprintf(name, sizeof name, "%s%s", f->name, given_ending);
	write_given_page(given, octets);
	int fd = f->file >= 0 ? make_file(f, name, octets, sizeof octets) : -1;
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* --- others' files --- */

static size_t read_file(int file, uid_t user, uint8_t *octets, size_t most)
{
	struct stat status;
	bool is_sound = fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == user &&
			(status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
	ssize_t length = is_sound ? pread(file, octets, most, 0) : -1;
	return length < 0 ? 0 : (size_t)length;
}

bool read_claims_file(int file, uid_t user, struct claims_page *page)
{
	uint8_t octets[PAGE_OCTETS];
	return read_claims_page(octets, read_file(file, user, octets, sizeof octets), page);
}

bool read_given_file(const struct claims_folder *f, const struct other_guard *other, struct given_page *given)
{
	uint8_t octets[GIVEN_OCTETS];
	char name[CLAIMS_NAME + sizeof given_ending];
	if (other->user != 0 && other->user != f->user)
		return false;
	snprintf(name, sizeof name, "%s%s", other->name, given_ending);
	int file = platform_open_beneath(other->folder, name, O_RDONLY);
	bool is_read = file >= 0 && read_given_page(octets, read_file(file, other->user, octets, sizeof octets), given);
	if (file >= 0)
		close(file);
	return is_read;
}

struct walk {
	const struct claims_folder *f;
	claims_visitor visit;
	void *context;
};

/* Behind the last dash; 0: none. */
static uint32_t port_in(const char *name)
{
	uint64_t port;
	const char *dash = strrchr(name, '-');
	return dash && parse_number(dash + 1, 0, UINT32_MAX, &port) ? (uint32_t)port : 0;
}

/* False: the visitor has seen enough. */
static bool visit_file(const struct walk *w, int folder, uid_t user, const char *name)
{
	struct other_guard other = { .user = user, .folder = folder, .port = port_in(name) };
	bool goes_on = true;
	copy_text(other.name, sizeof other.name, name);
	other.file = platform_open_beneath(folder, name, O_RDONLY);
	if (other.file < 0)
		return true;
	if (read_claims_file(other.file, user, &other.page))
		goes_on = w->visit(w->context, &other);
	close(other.file);
	return goes_on;
}

static bool visit_folder(const struct walk *w, int folder, uid_t user)
{
	const struct dirent *entry;
	DIR *list = list_of(folder);
	bool goes_on = true;
	int most = user == 0 || user == w->f->user ? FILES_MAX : STRANGERS_MAX;
	for (int i = 0; list && goes_on && i < most && (entry = readdir(list)); i++) {
		const char *name = entry->d_name;
		if (name[0] != '.' && strlen(name) < CLAIMS_NAME && !ends_in(name, given_ending) &&
		    !ends_in(name, newborn_ending) && strcmp(name, w->f->name) != 0)
			goes_on = visit_file(w, folder, user, name);
	}
	if (list)
		closedir(list);
	return goes_on;
}

/* One of /run/softnet/claims. */
static bool visit_user(const struct walk *w, const char *name)
{
	struct stat status;
	uint64_t user;
	if (!parse_number(name, 0, UINT32_MAX - 1, &user))
		return true;
	int folder = platform_open_beneath(w->f->root, name, O_RDONLY | O_DIRECTORY);
	bool goes_on = true;
	if (folder >= 0 && fstat(folder, &status) == 0 && status.st_uid == user &&
	    (status.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		goes_on = visit_folder(w, folder, (uid_t)user);
	if (folder >= 0)
		close(folder);
	return goes_on;
}

void visit_claims(const struct claims_folder *f, claims_visitor visit, void *context)
{
	const struct walk w = { f, visit, context };
	const struct dirent *entry;
	bool goes_on = f->own < 0 || f->is_for_all || visit_folder(&w, f->own, f->user);
	DIR *list = f->root >= 0 ? list_of(f->root) : NULL;
	for (int i = 0; list && goes_on && i < USERS_MAX && (entry = readdir(list)); i++)
		goes_on = visit_user(&w, entry->d_name);
	if (list)
		closedir(list);
}

bool watch_claims(const struct claims_folder *f, int watch)
{
	int roots = f->root >= 0 ? platform_open_beneath(f->root, "0", O_RDONLY | O_DIRECTORY) : -1;
	bool is_watched = platform_watch_changes(watch, f->own) &&
			  (f->root < 0 || (roots >= 0 && platform_watch_changes(watch, roots)));
	if (roots >= 0)
		close(roots);
	return is_watched;
}
