/* What the hook asks of a tap. */
#pragma once
#include "system/error.h"

/* False: the error says why. */
bool is_tap(const char *interface, struct error *);
/*
 * Throws away what waits in it for the guest. libvirt brings a tap up before its hook is called, so frames have come that no
 * guard has seen.
 */
bool empty_tap(const char *interface, struct error *);
