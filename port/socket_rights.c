/* Sockets that other users' programs can reach, and what to say when they, or we, cannot. */
#include "port/socket_rights.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_HERE = 64, MODE_MAX = 0777 };

/* A number; false: it is none. */
static bool parse_decimal(const char *text, int base, unsigned long most, unsigned long *number)
{
	char *end;
	errno = 0;
	*number = strtoul(text, &end, base);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *number <= most;
}

static bool take_owner(struct socket_rights *rights, const char *name, struct error *error)
{
	unsigned long number;
	const struct passwd *entry = getpwnam(name);
	rights->has_owner = entry || parse_decimal(name, 10, UINT32_MAX - 1, &number);
	if (!rights->has_owner)
		return refuse(error, "owner=%s: no such user", name);
	rights->owner = entry ? entry->pw_uid : (uid_t)number;
	return true;
}

static bool take_group(struct socket_rights *rights, const char *name, struct error *error)
{
	unsigned long number;
	const struct group *entry = getgrnam(name);
	rights->has_group = entry || parse_decimal(name, 10, UINT32_MAX - 1, &number);
	if (!rights->has_group)
		return refuse(error, "group=%s: no such group", name);
	rights->group = entry ? entry->gr_gid : (gid_t)number;
	return true;
}

static bool take_mode(struct socket_rights *rights, const char *text, struct error *error)
{
	unsigned long number;
	rights->has_mode = parse_decimal(text, 8, MODE_MAX, &number);
	if (!rights->has_mode)
		return refuse(error, "mode=%s: expected three octal digits, such as 660", text);
	rights->mode = (mode_t)number;
	return true;
}

bool take_socket_right(struct socket_rights *rights, const char *option, size_t length, struct error *error)
{
	static const struct {
		const char *name;
		bool (*take)(struct socket_rights *, const char *value, struct error *);
	} options[] = { { "owner=", take_owner }, { "group=", take_group }, { "mode=", take_mode } };
	char value[NAME_MAX_HERE];
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		size_t name = strlen(options[i].name);
		if (length < name || strncmp(option, options[i].name, name) != 0 || length - name >= sizeof value)
			continue;
		memcpy(value, option + name, length - name);
		value[length - name] = '\0';
		return options[i].take(rights, value, error);
	}
	return refuse(error, "\"%.*s\" is no option of a socket: owner=USER, group=GROUP or mode=660",
		      length > 60 ? 60 : (int)length, option);
}

bool take_socket_rights(struct socket_rights *rights, const char *options, struct error *error)
{
	while (*options == ',') {
		size_t length = strcspn(options + 1, ",");
		if (!take_socket_right(rights, options + 1, length, error))
			return false;
		options += 1 + length;
	}
	return true;
}

/*
 * The mode is there from the beginning. While the owner changes nobody can be let in who should not be: until then the
 * socket is ours, and those of its group are of our own group.
 */
bool bind_with_rights(int fd, int type, const struct sockaddr_un *address, const struct socket_rights *rights,
		      struct error *error)
{
	mode_t before = umask(0);
	umask(rights->has_mode ? MODE_MAX & ~rights->mode : before);
	bool is_bound = unix_bind(fd, type, address, error);
	umask(before);
	if (!is_bound || (!rights->has_owner && !rights->has_group))
		return is_bound;
	uid_t owner = rights->has_owner ? rights->owner : (uid_t)-1;
	gid_t group = rights->has_group ? rights->group : (gid_t)-1;
	if (give_socket(address->sun_path, owner, group))
		return true;
	int cause = errno;
	unlink(address->sun_path);
	report_failure(error,
		       "cannot give %s to another %s: %s (as user %u; only root can, and the owner of a socket "
		       "for groups of his own)",
		       address->sun_path, rights->has_owner ? "user" : "group", strerror(cause), (unsigned)geteuid());
	return false;
}

void explain_refusal_of_path(const char *path, int error, char text[REFUSAL_TEXT])
{
	struct stat status;
	if (stat(path, &status) < 0)
		snprintf(text, REFUSAL_TEXT, "cannot send to %s: %s (as user %u, who may not look into its folder)",
			 path, strerror(error), (unsigned)geteuid());
	else
		snprintf(text, REFUSAL_TEXT, "cannot send to %s: %s (as user %u; it is user %u's, mode %03o)", path,
			 strerror(error), (unsigned)geteuid(), (unsigned)status.st_uid,
			 (unsigned)status.st_mode & MODE_MAX);
}
