/* One `softnet attach`, as its keeper sees it. */
#pragma once
#include <sys/types.h>
#include "softnet/libvirt/domain.h"

#define NEVER_MS UINT64_MAX

struct guard {
	const struct port_wanted *port;
	unsigned number; /* of the interface, when the domain started */
	pid_t pid;       /* 0: it does not run */
	int control;     /* -1: it has answered, or does not run */
	int lines;       /* its standard error */
	bool is_ready;   /* it has answered: it judges, and nothing passes without it */
	uint64_t started_ms, again_ms, delay_ms;
	char line[512], last[256]; /* that is being read; that was read, without "softnet: " */
	size_t length;
};

void start_guard(struct guard *);
/* Something came on the socket of live control. */
void hear_guard(struct guard *);
/* For the log of the system. */
void read_lines(struct guard *);
/* `status` is of waitpid(2). It is started again, unless its port is gone or somebody wanted it to end. */
void end_guard(struct guard *, int status);
