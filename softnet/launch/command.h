/*
 * The command of `softnet run`: the hypervisor.
 *
 *     guard ──signals──▶ keeper ──fork, exec──▶ command
 *           ◀──exit status──
 *
 * The keeper is a small process of ours with the command's own rights: the guard has given up the right to signal a
 * command that keeps root. It is forked before privileges go, starts the command when told, hands signals on, and when
 * the guard ends, in whatever way, it ends the command too: SIGTERM, and SIGKILL after 5 s.
 */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "system/process/privileges.h"
#include "system/process/signals.h"

struct command {
	pid_t keeper;
	const char *name;
	int signal_fd; /* signal numbers to the keeper; 0: start */
	int result_fd; /* why the command could not start; closed without a word when it has */
	bool has_ended;
	int status;             /* as a shell would put it: its own, or 128 + signal */
	uint64_t stop_asked_ms; /* first request to stop; 0: none */
};

struct keeper_wish {
	const struct identities *identities;
	bool sandbox_off; /* of the keeper; the command never has one */
};

/* What keeper and command tell when there will be no command. */
struct start_failure {
	int error;
	bool by_identity; /* else by exec */
};

/* True where some argument holds the placeholder, "{fd}" or "{mac}". */
bool command_uses(char *const *words, const char *placeholder);

/*
 * Forks the keeper. peer_fd is -1 where there is none; it is closed here, so that the guard sees when the command
 * closes its end. Dies on failure.
 */
void fork_keeper(struct command *, char *const *words, const struct keeper_wish *, int peer_fd, uint64_t mac);

/* EXIT_OK, or EXIT_NOT_FOUND or EXIT_NOT_EXECUTABLE with a line said, or 128 + the signal that came before. */
int start_command(struct command *);

/*
 * Hands a signal on. The guard stays until the command ends, because a VM that shuts down still wants its network.
 * Asking again, 5 s or more after the first time, kills the command.
 */
void signal_command(struct command *, const struct arrived_signal *, uint64_t now_ms);

/* Looks whether it has ended; never waits. */
bool command_has_ended(struct command *);
/* Waits for the end, handing signals on. */
void await_command(struct command *);
/* Has the keeper end it, and waits. */
void end_command(struct command *);

/* keeper.c: never returns; both descriptors are inherited. */
_Noreturn void keep_command(char **words, const struct keeper_wish *, int signal_fd, int result_fd);
