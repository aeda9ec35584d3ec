/*
 * All running guards that the caller may ask. Root asks those of every user: whatever their folders hold and say is a
 * stranger's. So the owner of a folder is looked at, no link is followed to it, the process that answers there must be its
 * owner's, and nobody can have more than a few folders with so many entries.
 */
#include "softnet/look/guard_list.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "port/io.h"
#include "system/log.h"
#include "system/platform.h"
#include "softnet/control/registry.h"
#include "softnet/left/left.h"

enum {
	GUARDS_MAX = 2048,
	FOLDER_MAX = 1024,
	STATUS_MAX = 256 << 10, /* entries of a folder, octets of an answer */
	STRANGERS_MAX = 64,
	STRANGER_STATUS = 96 << 10, /* of others: all that root has to keep of one user */
};

/* The process that an entry is called after; 0: it is no entry, but a path of --control. */
static pid_t number_of_call(const struct guard_call *call)
{
	const char *slash = strrchr(call->path, '/');
	return call->has_owner && slash ? registry_number(slash + 1) : 0;
}

/* Its guard was killed: what stands there is nobody's, or somebody else's who came behind it. */
static bool is_left_over(const struct guard_call *call)
{
	pid_t number = number_of_call(call);
	return number > 0 && !process_exists(number);
}

/*
 * Another entry of the same user that leads to the same socket, as guards leave them that are killed and started again with
 * --control PATH: it is asked once, by the entry whose process lives. Only of the same user, or one could hide another's.
 */
static bool is_asked_already(struct guard_list *list, const char *path, uid_t owner, const struct stat *socket)
{
	for (size_t i = 0; i < list->call_count; i++) {
		struct guard_call *call = &list->calls[i];
		if (!call->has_owner || call->owner != owner || call->device != socket->st_dev ||
		    call->inode != socket->st_ino)
			continue;
		if (is_left_over(call))
			copy_text(call->path, sizeof call->path, path);
		return true;
	}
	return false;
}

static struct guard_call *add_call(struct guard_list *list, const char *path, const uid_t *owner)
{
	struct guard_call *call = &list->calls[list->call_count++];
	*call = (struct guard_call){ .has_owner = owner != NULL,
				     .owner = owner ? *owner : 0,
				     .answer_max = owner && *owner != getuid() ? STRANGER_STATUS : STATUS_MAX,
				     .fd = -1 };
	copy_text(call->path, sizeof call->path, path);
	return call;
}

static void add_folder(struct guard_list *list, const char *path, uid_t owner)
{
	const char *why;
	const struct dirent *entry;
	char whole[GUARD_PATH];
	struct stat socket;
	int n = 0, most = owner == getuid() ? FOLDER_MAX : STRANGERS_MAX, fd = open_registry_folder(path, owner, &why);
	DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	if (!folder && fd >= 0)
		close(fd);
	while (folder && (entry = readdir(folder))) {
		int length = snprintf(whole, sizeof whole, "%s/%s", path, entry->d_name);
		if (registry_number(entry->d_name) == 0 || length >= (int)sizeof whole)
			continue;
		if (n == most || list->call_count == GUARDS_MAX) {
			list->is_cut = true;
			break;
		}
		if (stat(whole, &socket) < 0)
			socket.st_dev = socket.st_ino = 0;
		if (socket.st_ino != 0 && is_asked_already(list, whole, owner, &socket))
			continue;
		struct guard_call *call = add_call(list, whole, &owner);
		call->device = socket.st_dev;
		call->inode = socket.st_ino;
		n++;
	}
	if (folder)
		closedir(folder);
}

static void add_user(struct guard_list *list, uid_t user)
{
	char path[REGISTRY_PATH];
	for (int which = 0; which < REGISTRY_FOLDERS; which++)
		if (registry_folder(which, user, path))
			add_folder(list, path, user);
}

/*
 * Of root of a user namespace that the caller made: a folder that is called root's, and is the caller's. Others' are not
 * asked, for in there the root outside is anybody.
 */
static void add_namespace(struct guard_list *list)
{
	char path[REGISTRY_PATH];
	if (getuid() != 0 && registry_folder(REGISTRY_FOLDERS - 1, 0, path))
		add_folder(list, path, getuid());
}

static int compare_users(const void *a, const void *b)
{
	const uid_t *left = a, *right = b;
	return *left < *right ? -1 : *left > *right;
}

/* A name alone proves nothing: in /tmp anybody can make as many as he likes, and hide others behind them. */
static bool is_users_own(int folder, const char *name, uid_t user)
{
	struct stat status;
	return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode) &&
	       status.st_uid == user;
}

/* Those whose number stands behind `before` in a name of the folder, which is that of a folder of theirs. */
static size_t users_in(const char *path, const char *before, uid_t users[GUARDS_MAX], size_t count)
{
	char whole[REGISTRY_PATH];
	const struct dirent *entry;
	size_t skipped = strlen(before);
	uint64_t number;
	snprintf(whole, sizeof whole, "%s%s", registry_prefix, path);
	DIR *folder = opendir(whole);
	while (folder && count < GUARDS_MAX && (entry = readdir(folder)))
		if (strncmp(entry->d_name, before, skipped) == 0 &&
		    parse_number(entry->d_name + skipped, 1, UINT32_MAX - 1, &number) &&
		    is_users_own(dirfd(folder), entry->d_name, (uid_t)number))
			users[count++] = (uid_t)number;
	if (folder)
		closedir(folder);
	return count;
}

static void add_everybody(struct guard_list *list)
{
	static uid_t users[GUARDS_MAX];
	size_t count = 0;
	if (platform_user_run[0] != '\0')
		count = users_in(platform_user_run, "", users, count);
	count = users_in("/tmp", "softnet-", users, count);
	qsort(users, count, sizeof *users, compare_users);
	add_user(list, 0);
	for (size_t i = 0; i < count; i++)
		if (i == 0 || users[i] != users[i - 1])
			add_user(list, users[i]);
}

/* A socket for each: root may have as many as there may be. */
static void allow_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < GUARDS_MAX + 64 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max < GUARDS_MAX + 64 ? limit.rlim_max : GUARDS_MAX + 64;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static bool find_guards(const struct options *options, struct guard_list *list, struct error *error)
{
	struct sockaddr_un unused;
	struct error cause;
	const char *path = options->control_path;
	if (path && !unix_address(&unused, path, strlen(path), &cause))
		return refuse(error, "--control: %s", cause.text);
	if (path)
		add_call(list, path, NULL);
	else if (getuid() == 0)
		add_everybody(list);
	else
		add_user(list, getuid());
	if (!path)
		add_namespace(list);
	allow_descriptors();
	return true;
}

/* By name, MAC address or process number. */
static bool is_meant(const json_t *status, const char *name)
{
	uint64_t number, mac, wanted;
	if (!name)
		return true;
	const char *own = json_string_value(json_object_get(status, "name"));
	const char *own_mac = json_string_value(json_object_get(status, "mac"));
	json_int_t pid = json_integer_value(json_object_get(status, "pid"));
	return (own && strcmp(own, name) == 0) ||
	       (own_mac && parse_mac(own_mac, &mac) && parse_mac(name, &wanted) && mac == wanted) ||
	       (parse_number(name, 1, INT32_MAX, &number) && pid == (json_int_t)number);
}

/* One's own first: a stranger can call a guard what he likes. */
static int compare_views(const void *a, const void *b)
{
	const struct guard_view *left = a, *right = b;
	bool is_own = left->user == getuid();
	if (left->user != right->user)
		return is_own ? -1 : right->user == getuid() ? 1 : left->user < right->user ? -1 : 1;
	const char *name = json_string_value(json_object_get(left->status, "name"));
	const char *other = json_string_value(json_object_get(right->status, "name"));
	int order = strcmp(name ? name : "", other ? other : "");
	return order != 0 ? order : strcmp(left->path, right->path);
}

/* Those that nobody can be asked about. Of too many the last ones are not shown. */
static void take_left(struct guard_list *list, const char *name)
{
	size_t i;
	json_t *status;
	json_array_foreach(list->left, i, status)
	{
		list->is_cut |= list->count == GUARDS_MAX;
		if (list->count < GUARDS_MAX && is_meant(status, name))
			list->views[list->count++] = (struct guard_view){ status, 0, "" };
	}
}

static void take_answers(struct guard_list *list, const char *name)
{
	for (size_t i = 0; i < list->call_count; i++) {
		const struct guard_call *call = &list->calls[i];
		json_t *status = json_object_get(call->answer, "result");
		if (!json_is_object(status) || !is_meant(status, name))
			continue;
		list->views[list->count++] = (struct guard_view){ status, call->user, call->path };
		list->has_users |= call->user != list->views[0].user;
	}
	take_left(list, name);
	qsort(list->views, list->count, sizeof *list->views, compare_views);
}

/* Entries of guards of our own that were killed go, and nothing is said of them. */
static void sweep(struct guard_list *list)
{
	for (size_t i = 0; i < list->call_count; i++) {
		struct guard_call *call = &list->calls[i];
		if (!call->has_owner || call->owner != getuid() || call->answer || !is_left_over(call))
			continue;
		call->is_dead |= call->is_connected && call->user != call->owner; /* the path is another user's now */
		if (call->is_dead)
			unlink(call->path);
	}
}

bool ask_guards(const struct options *options, struct guard_list *list, int timeout_ms, const int *until,
		struct error *error)
{
	*list = (struct guard_list){ .calls = calloc(GUARDS_MAX, sizeof *list->calls),
				     .views = calloc(GUARDS_MAX, sizeof *list->views) };
	if (!list->calls || !list->views || !find_guards(options, list, error)) {
		if (!list->calls || !list->views)
			refuse(error, "out of memory");
		forget_guards(list);
		return false;
	}
	char *request = write_request("guard.status", NULL);
	list->is_whole = call_guards(list->calls, list->call_count, request, timeout_ms, until);
	free(request);
	list->left = getuid() == 0 && !options->control_path ? list_left() : NULL;
	sweep(list);
	take_answers(list, options->name);
	return true;
}

void forget_guards(struct guard_list *list)
{
	if (list->calls)
		forget_calls(list->calls, list->call_count);
	json_decref(list->left);
	free(list->calls);
	free(list->views);
	*list = (struct guard_list){ 0 };
}

const char *why_silent(const struct guard_list *list, size_t i)
{
	const struct guard_call *call = &list->calls[i];
	bool is_gone = call->has_owner && call->is_dead;
	if (!call->answer)
		return is_gone ? NULL : call->why;
	if (json_is_object(json_object_get(call->answer, "result")))
		return NULL;
	const char *message = json_string_value(json_object_get(json_object_get(call->answer, "error"), "message"));
	return message ? message : "that is no guard's answer";
}

const char *user_name(uid_t user)
{
	static char text[64];
	const struct passwd *entry = getpwuid(user);
	if (entry)
		copy_text(text, sizeof text, entry->pw_name);
	else
		snprintf(text, sizeof text, "%u", (unsigned)user);
	return text;
}

bool root_has_guards(void)
{
	char path[REGISTRY_PATH];
	struct guard_list list = { .calls = calloc(GUARDS_MAX, sizeof *list.calls) };
	if (getuid() != 0 && list.calls && registry_folder(0, 0, path))
		add_folder(&list, path, 0);
	bool has_some = list.call_count > 0;
	free(list.calls);
	return has_some;
}

void tell_silent(const struct guard_list *list)
{
	for (size_t i = 0; i < list->call_count; i++)
		if (why_silent(list, i))
			warning("%s: %s", list->calls[i].path, why_silent(list, i));
	if (list->is_cut)
		warning("there are more guards than can be shown");
}

void tell_nothing(const struct options *options)
{
	if (options->name)
		warning("no guard answers for a VM \"%s\"", options->name);
	else if (!options->control_path)
		warning("no guard answers%s", root_has_guards() ? "; root has guards, which only root may ask" : "");
}
