/* Before each of our sources: what Darwin's libc has in headers that Linux has too, and glibc has not. See ../darwin.c. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define CLOCK_MONOTONIC_RAW_APPROX ((clockid_t)5)
uint64_t clock_gettime_nsec_np(clockid_t);

#define F_GETPATH 50
extern int optreset;
int issetugid(void);
int getpeereid(int fd, uid_t *, gid_t *);

/* Of the macOS that FAKE_MACOS says. */
#define __builtin_available(platform, rest) fake_is_available(#platform)
bool fake_is_available(const char *platform);
