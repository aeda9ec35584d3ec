/* The two sides of a port that is guarded in the kernel, for what the process itself sends: nothing is received by them. */
#pragma once
#include "port/linux/ground.h"
#include "port/kernel/kernel_guard.h"

struct kernel_port {
	struct port port;
	struct kernel_guard *guard;
	enum direction sends;       /* what is given to it */
	struct ground_watch ground; /* of the side to the network */
};

/* By enum direction, as the relay's ports: the source of that direction's frames. */
bool make_kernel_ports(struct kernel_guard *, bool isolation, struct kernel_port ports[DIRECTIONS], struct error *);
