/*
 * Ports of a bridge that are closed until their guard stands, where the administrator wants that: the table `bridge softnet` of
 * nftables drops what comes from and goes to a tap that is not in its set `guarded`. docs/integrations.md has it.
 */
#pragma once
#include "system/error.h"

/* Where there is such a table, it lets the port pass from now on: a number is never used twice. False: the error says why. */
bool open_port(const char *interface, unsigned number, struct error *);
/* No longer. */
void close_port(unsigned number);
