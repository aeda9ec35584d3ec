/* Which files a process may still open, by Landlock, where the kernel has it. */
#pragma once
#include "system/sandbox/sandbox.h"

/* Gives the version of Landlock that is in force; 0: none, and *why says why. */
int close_files(enum sandbox_purpose, const struct sandbox_wish *, const char **why);
