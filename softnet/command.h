/* The command of `softnet run`: the hypervisor, as our child. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "privileges.h"
#include "signals.h"

struct command {
	pid_t pid;
	const char *name;
	int go_fd, result_fd;   /* it waits for a word on one, tells on the other why it could not start */
	bool has_ended;
	int wait_status;
	uint64_t stop_asked_ms; /* first request to stop; 0: none */
};

/* True where some argument holds the placeholder, "{fd}" or "{mac}". */
bool command_uses(char *const *words, const char *placeholder);

/*
 * Forks the command, which then waits: it starts with start_command(), when the guard is ready, and not at all if the guard
 * ends before. peer_fd is -1 where there is none; it is closed here. Dies on failure.
 */
void fork_command(struct command *, char *const *words, const struct identities *, int peer_fd, uint64_t mac);

/* EXIT_OK, or EXIT_NOT_FOUND or EXIT_NOT_EXECUTABLE with a line said. */
int start_command(struct command *);

/*
 * Hands a signal on. The guard stays until the command ends, because a VM that shuts down still wants its network. Whoever
 * asks again 5 s or more after the first time gets the command killed.
 */
void signal_command(struct command *, const struct arrived_signal *, uint64_t now_ms);

/* Looks whether it has ended; never waits. */
bool command_has_ended(struct command *);
/* Waits for the end, handing signals on. */
void await_command(struct command *);
/* Asks it to end, kills it after 5 s, and waits. */
void end_command(struct command *);
/* As a shell would put it: its own, or 128 + signal. */
int command_exit_status(const struct command *);
