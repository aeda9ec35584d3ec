/*
 * From root to somebody, for good. In four steps: (1) choose_identities() while names can be looked up, (2) ports that
 * need root are opened, (3) the command of `softnet run` is forked, (4) drop_privileges() gives everything up and
 * proves it. Frames are read only after that.
 */
#include "system/process/privileges.h"
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "system/log.h"
#include "system/platform.h"

/* The highest number of a user or group: the next one, -1, would mean "leave it as it is" (setresuid(2)). */
#define HIGHEST_ID (UINT32_MAX - 1)

enum { NOBODY = 65534 }; /* where no account has that name */

static bool find_user(const char *text, struct identity *found, bool *has_group)
{
	uint64_t number = 0;
	bool is_number = parse_number(text, 0, HIGHEST_ID, &number);
	const struct passwd *entry = is_number ? getpwuid((uid_t)number) : getpwnam(text);
	if (!entry && !is_number)
		return false;
	*has_group = entry != NULL;
	found->uid = entry ? entry->pw_uid : (uid_t)number;
	if (entry) {
		found->gid = entry->pw_gid;
		snprintf(found->name, sizeof found->name, "%s", entry->pw_name);
	}
	return true;
}

static bool find_group(const char *text, gid_t *gid)
{
	uint64_t number = 0;
	if (parse_number(text, 0, HIGHEST_ID, &number)) {
		*gid = (gid_t)number;
		return true;
	}
	const struct group *entry = getgrnam(text);
	if (entry)
		*gid = entry->gr_gid;
	return entry != NULL;
}

/* Fills what --user and --group say; what they leave open stays as it is. */
static bool apply_names(const char *user, const char *group, struct identity *who, struct error *error)
{
	bool has_group = true;
	if (user && !find_user(user, who, &has_group))
		return refuse(error, "--user: \"%.60s\": no such user", user);
	if (!has_group && !group)
		return refuse(error, "--user: \"%.60s\": has no account, so --group is needed with it", user);
	if (group && !find_group(group, &who->gid))
		return refuse(error, "--group: \"%.60s\": no such group", group);
	return true;
}

bool is_nobody(uid_t uid)
{
	struct identity nobody = { .uid = NOBODY };
	bool unused;
	find_user("nobody", &nobody, &unused);
	return uid == nobody.uid;
}

/* Somebody whom a file or sudo gave root's rights must not get another user's rights from us, root's least of all. */
static bool choose_for_somebody(const struct identity *caller, const char *user, const char *group, const char *advice,
				struct identities *ids, struct error *error)
{
	struct identity named = *caller;
	if (!apply_names(user, group, &named, error))
		return false;
	if (named.uid != caller->uid)
		return refuse(error, "--user: \"%.60s\": only root may choose another user than itself%s", user, advice);
	if (group && named.gid != caller->gid)
		return refuse(error, "--group: \"%.60s\": only root may choose another group than its own%s", group,
			      advice);
	ids->guard = ids->command = *caller;
	return true;
}

static bool choose_for_caller(const char *user, const char *group, struct identities *ids, struct error *error)
{
	struct identity caller = { .change = true, .uid = getuid(), .gid = getgid() };
	if (caller.uid == 0) /* set-user-id to somebody, called by root: going back would be going up */
		caller = (struct identity){ .change = true, .uid = geteuid(), .gid = getegid() };
	return choose_for_somebody(&caller, user, group, "", ids, error);
}

/* Only where root itself calls: with the set-user-id bit the environment is a stranger's. */
static bool find_sudo_caller(struct identity *caller)
{
	const char *user = getenv("SUDO_UID"), *group = getenv("SUDO_GID");
	uint64_t uid, gid;
	bool has_group;
	if (!user || !group || !parse_number(user, 1, HIGHEST_ID, &uid) || !parse_number(group, 0, HIGHEST_ID, &gid) ||
	    !find_user(user, caller, &has_group))
		return false;
	caller->gid = (gid_t)gid;
	return true;
}

/* What else sudo lets its caller do is not known: the rule may be for this program alone. */
static bool choose_for_root(const char *user, const char *group, struct identities *ids, struct error *error)
{
	static const char advice[] =
	    ", and sudo was called by another user; to act as root all the same: env -u SUDO_UID softnet ...";
	struct identity who = { .change = true, .uid = NOBODY, .gid = NOBODY };
	bool has_group;
	if (find_sudo_caller(&who)) {
		if (!choose_for_somebody(&who, user, group, advice, ids, error))
			return false;
	} else {
		if (!user)
			find_user("nobody", &who, &has_group);
		if (!apply_names(user, group, &who, error))
			return false;
		ids->guard = who;
		if (user || group)
			ids->command = who; /* else it keeps root: that is how it was typed */
	}
	ids->alone = !user && !group && !platform_has_other_users();
	if (ids->alone)
		ids->guard.change = ids->command.change = false;
	return true;
}

bool choose_identities(const char *user, const char *group, struct identities *ids, struct error *error)
{
	memset(ids, 0, sizeof *ids);
	if (geteuid() == 0 && getuid() == 0)
		return choose_for_root(user, group, ids, error);
	return choose_for_caller(user, group, ids, error);
}

/* Whose rights count for files, unless those that we have. */
static bool find_caller(struct identity *caller)
{
	*caller = (struct identity){ .uid = getuid(), .gid = getgid() };
	if (caller->uid != geteuid() || caller->gid != getegid())
		return caller->uid != 0; /* called by root: going back would be going up */
	return caller->uid == 0 && find_sudo_caller(caller) && platform_has_other_users();
}

/* Those of the account; without one the group alone, for what is there is root's. */
static bool take_groups(const struct identity *who)
{
	return who->name[0] != '\0' ? platform_join_groups(who->name, who->gid) : platform_set_groups(&who->gid, 1);
}

/* Effective ids only, so that the way back stays open. Supplementary groups are root's under sudo alone. */
static bool try_as(const struct identity *who)
{
	if (getuid() == 0 && !take_groups(who))
		return false;
	return setegid(who->gid) == 0 && seteuid(who->uid) == 0;
}

bool do_as_caller(bool (*act)(void *), void *context)
{
	static gid_t groups[NGROUPS_MAX];
	struct identity caller;
	if (!find_caller(&caller))
		return act(context);
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int count = getgroups(NGROUPS_MAX, groups);
	bool is_done = count >= 0 && try_as(&caller) && act(context);
	int cause = errno;
	if (seteuid(uid) < 0 || setegid(gid) < 0 || (getuid() == 0 && !platform_set_groups(groups, (size_t)count)))
		die("cannot become user %u again after a file was read", (unsigned)uid);
	errno = cause;
	return is_done;
}

/* Only at a change of ids from root's does the kernel take them. Those of a caller who is root are the caller's own. */
static void drop_capabilities_of_the_file(void)
{
	if (platform_is_set_id() && getuid() != 0)
		platform_drop_capabilities();
}

bool become_caller(void)
{
	bool is_caller = (getgid() == getegid() || platform_set_group(getgid()) == 0) &&
			 (getuid() == geteuid() || platform_set_user(getuid()) == 0);
	if (is_caller)
		drop_capabilities_of_the_file();
	return is_caller;
}

/* Groups before user: afterwards there is no right to change them. */
static int set_ids(const struct identity *who)
{
	int result = platform_set_group(who->gid);
	return result < 0 ? result : platform_set_user(who->uid);
}

/* One group at most, and that the right one; only root could have changed them. */
static bool has_groups_of(const struct identity *who)
{
	gid_t groups[2];
	int count = getgroups(2, groups);
	return count == 0 || (count == 1 && groups[0] == who->gid);
}

static void prove(const struct identity *who, bool was_root)
{
	if (!platform_ids_are(who->uid, who->gid))
		die("cannot drop privileges: some user or group id is still another");
	if (was_root && !has_groups_of(who))
		die("cannot drop privileges: supplementary groups remain");
	if (who->uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
		die("cannot drop privileges: root could be had back");
	if (who->uid != 0 && who->gid != 0 && (setgid(0) == 0 || setegid(0) == 0))
		die("cannot drop privileges: group 0 could be had back");
}

void drop_privileges(const struct identities *ids)
{
	const struct identity *who = &ids->guard;
	bool was_root = geteuid() == 0;
	platform_forbid_new_privileges();
	if (who->change) {
		if (was_root && !platform_set_groups(&who->gid, 1))
			die("cannot drop supplementary groups: %s", strerror(errno));
		int result = set_ids(who);
		if (result < 0)
			die("cannot become user %u, group %u: %s (choose others with --user and --group)",
			    (unsigned)who->uid, (unsigned)who->gid, strerror(-result));
	}
	platform_drop_capabilities();
	if (who->change)
		prove(who, was_root);
	if (!platform_has_no_capabilities())
		die("cannot drop privileges: capabilities remain");
	if (ids->alone)
		info("no other user to become in this user namespace: only capabilities were dropped");
	else if (was_root)
		info("now user %u, group %u", (unsigned)who->uid, (unsigned)who->gid);
}

bool become_command(const struct identities *ids)
{
	const struct identity *who = &ids->command;
	if (!who->change)
		return true;
	/* Under set-user-id the supplementary groups are the caller's already. */
	if (geteuid() == 0 && getuid() == 0 && !take_groups(who))
		return false;
	int result = set_ids(who);
	if (result < 0)
		errno = -result;
	else
		drop_capabilities_of_the_file(); /* the command has none anyhow, but its keeper stays */
	return result == 0 && platform_ids_are(who->uid, who->gid);
}
