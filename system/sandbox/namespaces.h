/* Namespaces of a process's own, namespaces(7): the host's other files, processes and networks are not there at all. */
#pragma once
#include "system/sandbox/sandbox.h"

/* What fork_apart() has begun, or without it: file systems, IPC and, where none is needed, a network. NULL, or why not. */
const char *leave_host(enum sandbox_purpose, const struct sandbox_wish *);
