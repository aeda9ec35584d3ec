/* The guard gives up what it will not need any more: system/sandbox/sandbox.h. */
#pragma once
#include "softnet/guard/loop.h"

/* When all is open, before the first frame. Says what cannot be had. */
void confine_guard(struct relay *);
