/*
 * The system calls that each purpose may make. Any other ends the process, with a line that names the call. The list comes
 * from the code and from what libc does for it. An X for each: the call, and a letter for each purpose: G guard, C keeper of a
 * command, K keeper of slirp, W worker of slirp, F who writes files. Calls whose arguments are looked at stand in seccomp.c as well.
 */
#pragma once
#include "system/sandbox/sandbox.h"

enum {
	G = FOR_GUARD,
	C = FOR_COMMAND_KEEPER,
	K = FOR_SLIRP_KEEPER,
	W = FOR_SLIRP_WORKER,
	F = FOR_FILES,
};

#define SYSTEM_CALLS(X) \
	/* descriptors that are open */ \
	X("read", G | C | K | W | F) \
	X("write", G | C | K | W | F) \
	X("writev", G | C | K | W | F) /* the last words of libc */ \
	X("readv", G) \
	X("pread64", G | F) \
	X("pwrite64", G | F) \
	X("lseek", G | K | W | F) \
	X("_llseek", G | K | W | F) \
	X("fstat", G | K | W | F) \
	X("fstat64", G | K | W | F) \
	X("ftruncate", G | F) \
	X("ftruncate64", G | F) \
	X("fchmod", G | F) \
	X("fchown", G) \
	X("fcntl", G | C | K | W | F) \
	X("fcntl64", G | C | K | W | F) \
	X("ioctl", G | K | W) \
	X("dup", G | F) \
	X("close", G | C | K | W | F) \
	X("pipe", G | K) /* the guard's for signals, if somebody closes it */ \
	X("pipe2", G | K) \
	X("poll", G | C | K | W | F) \
	X("ppoll", G | C | K | W | F) \
	X("ppoll_time64", G | C | K | W | F) \
	X("pselect6", C) \
	X("pselect6_time64", C) \
	/* sockets */ \
	X("socket", G | K | W) \
	X("bind", G | K | W) \
	X("connect", G | K) \
	X("socketpair", K) \
	X("listen", K | W) \
	X("accept", G | K | W) \
	X("accept4", G | K | W) \
	X("shutdown", G | K | W) \
	X("getsockname", G | K | W) \
	X("getpeername", G | K | W) \
	X("getsockopt", G | K | W) \
	X("setsockopt", G | K | W) \
	X("sendto", G | K | W | F) \
	X("send", G | K | W | F) \
	X("sendmsg", G | K | W) \
	X("sendmmsg", G | K | W) \
	X("recvfrom", G | K | W) \
	X("recv", G | K | W) \
	X("recvmsg", G | K | W) \
	X("recvmmsg", G | K | W) \
	X("recvmmsg_time64", G | K | W) \
	/* files; Landlock says which */ \
	X("open", G | K | W | F) \
	X("openat", G | K | W | F) \
	X("openat2", G) \
	X("stat", G | K | W) \
	X("stat64", G | K | W) \
	X("lstat", G | F) \
	X("lstat64", G | F) \
	X("newfstatat", G | K | W | F) \
	X("fstatat64", G | K | W | F) \
	X("statx", G | K | W | F) \
	X("getdents64", G) \
	X("rename", G | F) \
	X("renameat", G | F) \
	X("renameat2", G | F) \
	X("unlink", G | F) \
	X("unlinkat", G | F) \
	/* memory; never to be written and run */ \
	X("brk", G | C | K | W | F) \
	X("mmap", G | C | K | W | F) \
	X("mmap2", G | C | K | W | F) \
	X("mprotect", G | C | K | W | F) \
	X("mremap", G | C | K | W | F) \
	X("munmap", G | C | K | W | F) \
	X("madvise", G | C | K | W | F) \
	X("membarrier", G) \
	/* time and chance */ \
	X("clock_gettime", G | C | K | W | F) \
	X("clock_gettime64", G | C | K | W | F) \
	X("gettimeofday", G | K | W) \
	X("time", G | K | W) \
	X("getrandom", G | K | W) \
	X("sysinfo", G | K | W) /* qsort(3) */ \
	/* itself */ \
	X("getpid", G | C | K | W | F) \
	X("gettid", G | C | K | W | F) \
	X("getppid", G | C | K | W) \
	X("getuid", G | K | W) \
	X("geteuid", G | K | W) \
	X("getgid", K | W) \
	X("getegid", G | K | W) \
	X("getuid32", G | K | W) \
	X("geteuid32", G | K | W) \
	X("getgid32", K | W) \
	X("getegid32", G | K | W) \
	X("futex", G | C | K | W | F) \
	X("futex_time64", G | C | K | W | F) \
	X("sched_yield", G | C | K | W | F) \
	X("restart_syscall", G | C | K | W | F) \
	X("rt_sigprocmask", G | C | K | W | F) \
	X("rt_sigreturn", G | C | K | W | F) \
	X("sigreturn", G | C | K | W | F) \
	X("kill", G | C | K) \
	X("tgkill", G | C | K | W | F) \
	X("exit", G | C | K | W | F) \
	X("exit_group", G | C | K | W | F) \
	/* its children */ \
	X("wait4", G | C | K) \
	X("waitpid", G | C | K) \
	X("clone", K) \
	X("dup2", K) \
	X("dup3", K) \
	/* what a worker does before it gives that up */ \
	X("set_robust_list", K) \
	X("rseq", K) \
	X("prctl", K) \
	X("seccomp", K) \
	X("rt_sigaction", K) \
	X("prlimit64", K) \
	X("getrlimit", K) \
	X("ugetrlimit", K) \
	X("setrlimit", K)

/* What the sanitizers of a test build do, and look for at the end: they stop the process by another, and read it. */
#define SANITIZER_CALLS(X) \
	X("clone", G | C | K | W | F) \
	X("ptrace", G | C | K | W | F) \
	X("prctl", G | C | K | W | F) \
	X("wait4", G | C | K | W | F) \
	X("readlink", G | C | K | W | F) \
	X("readlinkat", G | C | K | W | F) \
	X("open", G | C | K | W | F) \
	X("openat", G | C | K | W | F) \
	X("lseek", G | C | K | W | F) \
	X("fstat", G | C | K | W | F) \
	X("stat", G | C | K | W | F) \
	X("newfstatat", G | C | K | W | F) \
	X("getdents64", G | C | K | W | F) \
	X("getdents", G | C | K | W | F) \
	X("pipe2", G | C | K | W | F) \
	X("rt_sigaction", G | C | K | W | F) \
	X("sigaltstack", G | C | K | W | F) \
	X("sched_getaffinity", G | C | K | W | F) \
	X("getrlimit", G | C | K | W | F) \
	X("prlimit64", G | C | K | W | F) \
	X("getrusage", G | C | K | W | F) \
	X("nanosleep", G | C | K | W | F) \
	X("clock_nanosleep", G | C | K | W | F) \
	X("msync", G | C | K | W | F) \
	X("mincore", G | C | K | W | F) \
	X("uname", G | C | K | W | F) \
	X("geteuid", C | F) \
	X("getuid", C | F)
