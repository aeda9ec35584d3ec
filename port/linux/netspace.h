/* Network namespaces of others: entered for a few questions, and left again. Needs root. */
#pragma once
#include <stdint.h>
#include "system/error.h"

/* The one that this process is in: a descriptor to come back by, or -1 with errno; and its number, which is that of its file. */
int open_own_netspace(void);
uint64_t own_netspace_number(void);

/* False: the error says why. */
bool enter_netspace(const char *path, struct error *);
/* By its number, where a file under /run/netns or a process has it. False: it is not found. */
bool enter_numbered_netspace(uint64_t number);
/* Ends the program where that cannot be: nothing may happen in a foreign one by mistake. Closes the descriptor. */
void return_to_netspace(int fd);
