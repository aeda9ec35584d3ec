/* The other end of live control: one request, put to one guard or to many at the same time, and a line from each. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { GUARD_PATH = 108 };

struct guard_call {
	char path[GUARD_PATH];
	bool has_owner; /* the guard must be that user's; what is somebody else's is not spoken to */
	uid_t owner;
	dev_t device; /* of the socket, where guard_list.c has looked */
	ino_t inode;
	size_t answer_max; /* octets of a line */

	/* Afterwards: one of these two is not NULL. */
	json_t *answer;    /* the caller's */
	const char *why;   /* there is none */
	bool is_connected; /* somebody was there */
	bool is_dead;      /* nobody listens there, or there is nothing */
	uid_t user;        /* who, then */

	int fd; /* -1: over */
	size_t sent, length, size;
	char *line;
};

/* "{"jsonrpc": ...": malloc'd; takes the reference to params, which may be NULL. */
char *write_request(const char *method, json_t *params);

/*
 * Asks them all; none waits for another. Takes timeout_ms at most, and ends early when one of the `until` can be read,
 * two descriptors, -1 for none; NULL: no such thing. Then it is false.
 */
bool call_guards(struct guard_call *, size_t count, const char *request, int timeout_ms, const int *until);
/* Frees answers. */
void forget_calls(struct guard_call *, size_t count);
