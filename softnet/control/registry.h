/*
 * Where running guards are found: each has an entry PID.sock in a folder of its user's, which is its socket of live
 * control, or a symbolic link to that of --control. docs/observability.md has the contract.
 */
#pragma once
#include <dirent.h>
#include "softnet/control/control.h"

enum { REGISTRY_PATH = 108, REGISTRY_FOLDERS = 3 };

struct registry {
	char entry[REGISTRY_PATH];
	struct stat link; /* what leave_registry() removes */
	bool is_tried, is_link;
};

/* For tests: stands before the path of every folder. */
extern const char *registry_prefix;

/* The folders of a user's guards, in order of preference. False: there is no such one. */
bool registry_folder(int which, uid_t, char path[REGISTRY_PATH]);
/* A folder that is the user's and that nobody else can write to. -1: *why says what is wrong, NULL: it is not there. */
int open_registry_folder(const char *path, uid_t owner, const char **why);
/* The number of PID.sock; 0: it is no such name. */
pid_t registry_number(const char *name);
bool process_exists(pid_t);

/* Once: the guard is found from now on, by the listener that it has or by one of its own. Never fatal. */
void enter_registry(struct registry *, struct control *);
void leave_registry(struct registry *);
