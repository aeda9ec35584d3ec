/* The guard gives up what it will not need any more: system/sandbox/sandbox.h. */
#pragma once
#include "softnet/guard/loop.h"

/* When all is open, before the first frame. `entry` among the running guards; "": none. Says what cannot be had. */
void confine_guard(struct relay *, const char *entry);
