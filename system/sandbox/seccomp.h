/* The filter of system calls: seccomp.c where there is libseccomp, else seccomp_none.c. */
#pragma once
#include "system/sandbox/sandbox.h"

/* NULL, or why there is none. */
const char *filter_calls(enum sandbox_purpose, const struct sandbox_wish *);
