/* Between kernel_attach.c, which finds a guard or wants a new one, and kernel_making.c, which makes it. */
#pragma once
#include "port/kernel/kernel_guard.h"
#include "port/kernel/kernel_places.h"

/* Descriptors that are closed when the guard stands; -1 where there is none. */
struct making {
	struct kernel_programs programs;
	struct kernel_places places;
	struct port_key port;
	int standing[DIRECTIONS];  /* judges that are at the port already */
	int map[GUARD_MAPS], life; /* life: says how long we are at work */
	uint32_t slot;
	struct error *error;
};

/* kernel_attach.c: the judges at a port, where there are any. False: none stands there. */
bool look_at_port(unsigned interface, int standing[DIRECTIONS]);
/* What failed, and errno. */
bool refuse_kernel(struct making *, const char *what);
bool find_interface(struct kernel_guard *, const char *interface, struct making *);
bool map_memory(struct kernel_guard *, struct making *);
/* The slot is ours, and nobody's tables stand in it. */
bool make_kernel_guard(struct kernel_guard *, struct making *);
/* Empties what no port has any more, and gives it back. The processes that had it end. */
void clear_abandoned(struct making *);
