/* The programs of guard.bpf.c as clang has made them: embed.py makes the text of it. */
#pragma once
#include <stdint.h>

extern const unsigned char kernel_object[];
extern const unsigned long kernel_object_octets;
/* A hash of it, so that a guard of another version is known. */
extern const uint64_t kernel_build;
