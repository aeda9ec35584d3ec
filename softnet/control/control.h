/*
 * Live control: --control-fd and --control. The sockets; control_methods.c has what can be called. Frames must not wait, so
 * a turn answers one request, of one client; and no client can end the guard, whatever it sends or does not read.
 */
#pragma once
#include <poll.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "softnet/control/control_client.h"
#include "system/text.h"

enum { OPERATORS_MAX = 8, CONTROL_POLL_MAX = 3 + OPERATORS_MAX };

/* Who reads long requests, one at a time, while frames go on. */
struct control_aside {
	int fd;        /* readable when it is done, or gone; -1: there is nobody, and the guard reads them itself */
	void *context; /* of the functions */
	bool (*begin)(void *context, const struct client *, const char *line, size_t octets); /* false: it is gone */
	bool (*is_done)(void *context);
	const char *(*finish)(void *context); /* the answer, without newline; NULL: the guard itself has to answer */
};

struct control {
	const struct rpc_method *methods;
	void *context; /* of the methods */
	uid_t starter; /* who started the guard: may connect, beside root and the guard's own user */

	struct client inherited; /* --control-fd */
	struct client operators[OPERATORS_MAX];
	int listener;      /* -1: none */
	struct stat place; /* what was made at the path: only that is removed */
	const char *path;
	bool is_for_readers; /* nobody asked for it, so nobody but root may change anything there */
	uint64_t accept_ms;  /* not before: no descriptor was free */
	uint64_t now_ms;
	uint32_t next;  /* whose turn it is to be answered */
	bool is_awake;  /* poll(2) has told something */
	bool is_called; /* of the listener: accept(2) makes a socket before it finds that nobody waits */
	struct control_aside aside;
	bool is_aside_busy;
};

/* Without channels. */
void prepare_control(struct control *, const struct rpc_method *, void *context);

/* Takes the descriptor: it is closed, and where it was one of 0 to 2, /dev/null is in its place. */
bool take_control_descriptor(struct control *, int fd, struct error *);
/* Listens at the path with mode 0600. Replaces a socket that nobody has open, never another file. */
bool listen_control(struct control *, const char *path, struct error *);
/* No new client may connect; those that are connected stay. */
void close_listener(struct control *);
void close_control(struct control *);

/* For poll(2): how many of fds were filled; and afterwards, what it said. */
int watch_control(struct control *, struct pollfd fds[CONTROL_POLL_MAX]);
void wake_control(struct control *, const struct pollfd *fds, int count);
/* When serve_control() wants to be called though nothing happens; UINT64_MAX: never. */
uint64_t control_deadline_ms(struct control *);
void serve_control(struct control *, uint64_t now_ms);

bool has_subscribers(const struct control *);
/* Tells all subscribers; takes the reference to the object `params`, which may be NULL for want of memory. */
void tell_subscribers(struct control *, json_t *params);
