/*
 * Where programs stand at a port: its ingress (what comes from the guest) and its egress. tcx where the kernel has it (6.6), for
 * nobody takes that away by accident, as a clsact qdisc can be; clsact elsewhere. Both hold programs as long as the port is
 * there, without a process or a file. Errors are -errno.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "core/wire/verdict.h"

enum { HOOK_PROGRAMS_MAX = 64 };

/* From the guest it comes before all others, to the guest behind them. */
int hook_attach(unsigned interface, enum direction, int program_fd);
/* In the place of another, which stands there. No frame comes between them. */
int hook_replace(unsigned interface, enum direction, int other_fd, int program_fd);
int hook_detach(unsigned interface, enum direction, int program_fd);
/* clsact goes, too, if nobody else has anything there. */
void hook_clear(unsigned interface);
/* Ids of the programs that stand there, in their order: how many, or an error. */
int hook_programs(unsigned interface, enum direction, uint32_t ids[HOOK_PROGRAMS_MAX]);
