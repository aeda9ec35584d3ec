/* The judge in the kernel, asked about single frames; where it can be loaded. */
#pragma once
#include "core/guard.h"
#include "core/judge/decision.h"

/* The program of ebpf/judge.bpf.c. NULL, or without the rights to load it: false. */
bool load_kernel_judge(const char *path);

/* The config is another one from now on. */
void forget_config(void);

/* False: the kernel was not asked. It hands no frame to a program that is shorter than a header or longer than a page. */
bool ask_kernel_judge(const struct config *, const struct state *, uint64_t now_ms, enum direction,
		      const struct frame *, uint32_t *said);
