/*
 * Where the guards of a host show each other what their VMs have. Each has one file, in a folder that is its user's:
 *
 *     /run/softnet/claims/0/       of guards that root started
 *     /run/softnet/claims/UID/     of those that a user started, where root has made such a folder
 *     RUN/claims/                  else, in the user's own run folder (registry.h): only the user's other guards look
 *
 * A file counts while its guard holds a write lock on it, so it dies with the guard, however that ends. Nobody but its
 * owner can write to it, lock it for writing, or put another in its place; what others can do is read.
 */
#pragma once
#include <sys/stat.h>
#include "softnet/claims/claims_page.h"

enum { CLAIMS_NAME = 48 };

struct claims_folder {
	int root;        /* /run/softnet/claims; -1: there is none */
	int own;         /* -1: none, and all that follows does not count */
	uid_t user;      /* whose own it is */
	bool is_for_all; /* guards of other users look there */
	int file;        /* ours, locked; -1: none */
	char name[CLAIMS_NAME];
};

/* A file that is not ours, open for reading; only while it is looked at. */
struct other_guard {
	uid_t user; /* whose folder it is in */
	int folder, file;
	char name[CLAIMS_NAME];
	uint32_t port; /* struct segment_id; from the name, which a guard that is no longer root cannot change */
	struct claims_page page;
};

/* Opens the folder, with the rights of the moment; removes what the dead have left in it. NULL, or why it cannot be. */
const char *open_claims_folder(struct claims_folder *);

/* Makes our file, whole and locked from its first moment on. NULL, or why it cannot be. */
const char *make_claims_file(struct claims_folder *, const struct claims_page *, uint32_t port);

/*
 * Beside it, what the operator gave (--name, --label, --vm-ip), in a file that the guard itself cannot change once it is no longer root.
 * So it outranks what others have by coming first.
 */
bool make_given_file(struct claims_folder *, const struct given_page *);
/* False: there is none, or it is nobody's word that we should take. */
bool read_given_file(const struct claims_folder *, const struct other_guard *, struct given_page *);

/* Calls for each file of others that can be read, dead ones too, until it says false. */
typedef bool (*claims_visitor)(void *context, const struct other_guard *);
void visit_claims(const struct claims_folder *, claims_visitor, void *context);

bool is_alive(const struct other_guard *);
/* Of this user, and nobody else can have written to it. False: it is no such file, or -1. */
bool read_claims_file(int file, uid_t, struct claims_page *);

/*
 * Tells another guard that there is something to read for it, by a read lock that it looks for once a second. Gives the
 * descriptor that holds the lock until it is closed, or -1. It can be read, too: claims_bells.h
 */
int ring_bell(const struct other_guard *);
/* Adds to that watch (platform_watch_openings()) what changes in the folders of root and of our user. */
bool watch_claims(const struct claims_folder *, int watch);

/* Whether somebody does that to us. */
bool hears_bell(const struct claims_folder *);

void close_claims_folder(struct claims_folder *);
