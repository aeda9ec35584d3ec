/* Signals arrive in order through a pipe, next to the frames. */
#pragma once
#include <stdbool.h>

struct arrived_signal {
	int number;
	bool from_terminal; /* the foreground process group has it already */
};

/* Claims INT, TERM, HUP, QUIT, USR1, USR2 and CHLD, even those inherited as ignored or blocked; ignores PIPE and XFSZ. */
void claim_signals(void);
/* One more, on the same way. */
void claim_signal(int number);
/* Readable when a signal waits. */
int signal_fd(void);
bool next_signal(struct arrived_signal *);
/* For a child before it starts a program: as if the parent had never changed them. */
void restore_signals(void);

/* For a child that ends with its parent: the keys that end the parent reach the whole process group. */
void leave_signals_to_parent(void);
