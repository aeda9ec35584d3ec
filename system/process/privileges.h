/* Who the guard and the command of `softnet run` are to be, and the way there. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "system/text.h"

struct identity {
	bool change; /* false: stay what we are */
	uid_t uid;
	gid_t gid;
	char name[64]; /* for the supplementary groups; "": there is no account */
};

struct identities {
	struct identity guard, command;
	bool alone; /* root of a namespace without other users: only capabilities can be given up */
};

/* user and group as on the command line, NULL where not given. Looks names up, changes nothing. */
bool choose_identities(const char *user, const char *group, struct identities *, struct error *);

/* The user who is shared by all that should have none. */
bool is_nobody(uid_t);

/*
 * Does something with a file, before privileges are dropped, with the rights of the user who called softnet or sudo. What
 * is wrong with the file is told, so nobody may have a file read that is not theirs to read. Reading belongs to it: some
 * files in /proc look who reads. Gives what `act` gives; false too where that cannot be; errno says why.
 */
bool do_as_caller(bool (*act)(void *), void *context);

/*
 * For the verbs that are nobody's guard: a stranger who starts a set-user-id softnet must not be taken for root by a guard that
 * looks who is calling, nor have files opened that are root's. False: errno says why.
 */
bool become_caller(void);

/* Ends the program where a privilege remains. */
void drop_privileges(const struct identities *);

/* In the child that becomes the command. False: errno says why. */
bool become_command(const struct identities *);
