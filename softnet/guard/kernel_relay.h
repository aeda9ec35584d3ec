/*
 * The relay's part of a guard in the kernel: the programs at the port judge and count, and this decides what they leave to the
 * snooper, keeps their copies of state and config current, and takes over what they count. softnet/kernel_none.c has the place of
 * it where there is no such guard.
 */
#pragma once
#include "softnet/guard/loop.h"

/* With all privileges. Ends the program where it cannot be, as detach_guard() does. */
void open_kernel_relay(struct relay *, const struct options *, struct port **guest, struct port **uplink);
/* What an earlier process has left is taken over if its options were the same. */
void take_kernel_state(struct relay *, struct state *, uint64_t setup_hash);
/* Everything is ready: from now on frames pass. */
void start_kernel_relay(struct relay *);

/* Once a turn, in the place of the batches: what the ring has, and what was counted. */
enum relay_end follow_kernel(struct relay *);
/* At its end: what has changed of config and state. */
void keep_kernel(struct relay *);
/* Nothing where ports move the frames. Rules were set; the options' hash is another one, as their anchors are. */
void note_new_policy(struct relay *);
void note_new_setup(struct relay *, uint64_t setup_hash);

/* Gives the exit status. */
int detach_guard(const char *interface);
