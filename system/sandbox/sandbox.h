/*
 * What a process of ours gives up when it has all that it needs: most system calls, and most files. A fault that lets
 * somebody run code in it is worth little then. calls.h is the list; docs/threat-model.md says what is left.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One bit each, for the lists of calls.h. */
enum sandbox_purpose {
	FOR_GUARD = 1, /* judges frames, answers live control */
	FOR_COMMAND_KEEPER =
	    2, /* of `softnet run`: hands signals on; and who reads long lists of rules, which needs no more */
	FOR_SLIRP_KEEPER = 4, /* starts the worker again; a worker starts with its rights, so they hold both */
	FOR_SLIRP_WORKER = 8, /* libslirp, and the guest's connections */
	FOR_FILES = 16,       /* writes a guard's files, and nothing else */
};

enum { SANDBOX_CHILDREN_MAX = 2, SANDBOX_PATHS_MAX = 192, SANDBOX_MISSING_TEXT = 120 };

/* What may be done with a file, or with all that is below a folder. */
enum sandbox_access {
	SANDBOX_READ = 1,
	SANDBOX_WRITE = 2,  /* files that are there, and new ones */
	SANDBOX_REMOVE = 4, /* and replace */
	SANDBOX_KEEP = 7,
};

struct sandbox_path {
	const char *path; /* NULL: it is open already */
	int fd;
	unsigned access;
};

struct sandbox_wish {
	pid_t children[SANDBOX_CHILDREN_MAX]; /* that may be ended; 0: none */
	struct sandbox_path paths[SANDBOX_PATHS_MAX];
	uint32_t path_count;
	bool connects; /* to sockets that have a path, whose programs may be started again */
};

/* What is in force, for those who ask. */
struct sandbox {
	bool is_on;                         /* it was wanted */
	bool has_calls;                     /* only the listed system calls can be made */
	bool has_namespaces;                /* of its own, with nothing in them but its files; never the guard itself */
	int landlock;                       /* the version that closes all other files; 0: none does */
	char missing[SANDBOX_MISSING_TEXT]; /* why not all of it is; "": all that this system has */
};

/*
 * As fork(2). The child is in a user namespace and the first of a namespace of processes, if the kernel lets users make them:
 * it signals no other processes, and enter_sandbox() leaves it no other files. Its getppid(2) gives 0 then.
 */
pid_t fork_apart(void);

/* For good: there is no way back, and children have no more. */
void enter_sandbox(enum sandbox_purpose, const struct sandbox_wish *, struct sandbox *);
