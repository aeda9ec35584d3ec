/*
 * Guards that were left to the kernel (softnet attach --leave). Nobody can be asked what such a guard is, so it has a record in
 * /run/softnet/left, which only root can read: what its process knew when it ended. The counters are in the kernel.
 */
#pragma once
#include <jansson.h>
#include "system/error.h"

/* The record of a port of this network namespace, empty until it is written. Nobody looks at it while it is open. -1: the error says why. */
int open_left_record(const char *interface, struct error *);
/* status: as guard.status; taken, and may be NULL. False: the error says why. */
bool write_left_record(int record, json_t *status, const char *interface, struct error *);
/* A process attends the port again, or its guard was taken away: then the port may have gone, and has its number only. */
void forget_left_of(const char *interface);
void forget_left(unsigned number);

/* Whether a guard stands at a port of this network namespace, and lets pass what it should. */
bool is_left_standing(unsigned interface);

/*
 * The statuses of all of them, as those of guards with a process are. What differs is `left`: `stands` says whether the programs are
 * still at the port. Records of ports that have vanished are removed.
 */
json_t *list_left(void);
