/* Giving frames back to a guarded port. */
#pragma once
#include "port/kernel/kernel_guard.h"

enum { LONGEST_FRAME = 65535 + 14 };

/* Two sockets on the port, known by their cookies: who holds one may have a frame pass in its direction, and nobody else. */
bool open_injectors(struct kernel_guard *, struct error *);
/* As it is: 0, or an errno. */
int inject_frame(const struct kernel_guard *, enum direction, const uint8_t *bytes, uint32_t length);
/* The port has vanished, or is in another network namespace. */
bool is_port_gone(const struct kernel_guard *);

/* Where the sender's card was to fill in the checksum of UDP or ICMPv6, it is filled in. */
void complete_checksum(uint8_t *bytes, uint32_t length);
