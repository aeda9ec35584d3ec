/* The network behind the double of vmnet: a tap, or a socket whose other end is the test's. Nothing blocks. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct wire {
	int fd;           /* poll(2) it */
	struct port *tap; /* NULL: a socket */
};

/* By FAKE_WIRE. False: there is no such network. */
bool open_wire(struct wire *, uint32_t max_octets, bool is_isolated);
/* Octets, or -1 with errno. */
ssize_t read_wire(struct wire *, void *to, uint32_t octets);
ssize_t write_wire(struct wire *, const void *from, uint32_t octets);
void close_wire(struct wire *);
