/* What follows from a changed state: the state file, the log, and events. */
#pragma once
#include "softnet/guard/loop.h"
#include "softnet/options/options.h"

/* Reads the state file, if there is one. */
void start_keeping(struct relay *, const struct options *, const struct config *, struct state *);

/* The state file is written if the state has changed: when it is time, or at once. What went wrong is announced. */
void keep_state(struct relay *, bool at_once);

/* What became of the file since, where another process writes it. */
void tell_of_state_file(struct relay *);

/* For struct guard; the context is the relay. */
void follow_event(void *context, const struct event *);
