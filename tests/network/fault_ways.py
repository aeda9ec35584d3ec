"""How each system call can fail. tests/system_calls.txt says which calls a running guard may make, and each of them must be here."""

import pathlib
import re

import faults

# Linux does these without a failure, or nobody could go on: they end, or return from a signal. What close(2) fails with it has closed.
NEVER_FAIL = set("""exit exit_group rt_sigreturn restart_syscall execve vfork close close_range getpid gettid getppid getuid geteuid getgid
    getegid umask alarm sched_yield munmap set_tid_address set_robust_list rseq arch_prctl clock_gettime gettimeofday time
    rt_sigprocmask rt_sigaction sigaltstack getpgrp getpgid getsid setsid""".split())
MEMORY, FILES = ["ENOMEM"], ["EMFILE", "ENFILE", "ENOMEM"]
PATHS = ["EACCES", "EIO", "ENOSPC", "ENOENT"]
# "part": the call does half of what it was asked for.
WAYS = {
    "read": ["EINTR", "EIO", "part"], "pread64": ["EINTR", "EIO", "part"], "readv": ["EINTR", "EIO"],
    "write": ["EINTR", "EIO", "ENOSPC", "EAGAIN", "part"], "pwrite64": ["EINTR", "EIO", "ENOSPC", "part"],
    "writev": ["EINTR", "EIO", "ENOBUFS"],
    "open": FILES + PATHS, "openat": FILES + PATHS, "openat2": FILES + PATHS, "creat": FILES + PATHS,
    "rename": PATHS, "renameat": PATHS, "renameat2": PATHS, "unlink": PATHS, "unlinkat": PATHS, "mkdir": PATHS, "symlink": PATHS,
    "stat": PATHS, "lstat": PATHS, "newfstatat": PATHS, "statx": PATHS, "fstat": ["EIO"], "access": PATHS, "readlink": PATHS,
    "ftruncate": ["EIO", "EINTR"], "fchmod": ["EIO", "EPERM"], "fchown": ["EPERM"], "lseek": ["EINVAL"], "getdents64": ["EIO"],
    "dup": ["EMFILE"], "dup2": ["EMFILE", "EINTR"], "dup3": ["EMFILE"], "fcntl": ["EMFILE", "EINTR"], "pipe": FILES, "pipe2": FILES,
    "socket": FILES + ["ENOBUFS", "EACCES"], "socketpair": FILES, "accept": ["EINTR", "ECONNABORTED", "EMFILE", "ENOMEM"],
    "accept4": ["EINTR", "ECONNABORTED", "EMFILE", "ENOMEM"], "bind": ["EADDRINUSE", "EACCES", "ENOMEM"], "listen": ["EADDRINUSE"],
    "connect": ["EINTR", "ECONNREFUSED", "EAGAIN", "ENETUNREACH"], "getsockname": ["ENOBUFS"], "getpeername": ["ENOTCONN", "ENOBUFS"],
    "getsockopt": ["ENOBUFS"], "setsockopt": ["ENOMEM", "EPERM"], "shutdown": ["ENOTCONN"],
    "sendto": ["EAGAIN", "EINTR", "ENOBUFS", "ECONNREFUSED", "part"], "sendmsg": ["EAGAIN", "EINTR", "ENOBUFS", "ENOMEM", "part"],
    "sendmmsg": ["EAGAIN", "EINTR", "ENOBUFS", "ECONNREFUSED", "EPERM"],
    "recvfrom": ["EAGAIN", "EINTR", "ENOMEM", "ENOBUFS", "part"], "recvmsg": ["EAGAIN", "EINTR", "ENOMEM", "ENOBUFS"],
    "recvmmsg": ["EAGAIN", "EINTR", "ENOMEM"],
    "poll": ["EINTR", "ENOMEM", "EAGAIN"], "ppoll": ["EINTR", "ENOMEM"], "pselect6": ["EINTR", "ENOMEM"], "select": ["EINTR", "ENOMEM"],
    "brk": MEMORY, "mmap": MEMORY, "mprotect": MEMORY, "mremap": MEMORY, "madvise": MEMORY, "membarrier": ["ENOSYS", "EPERM"],
    "clone": ["EAGAIN", "ENOMEM"], "fork": ["EAGAIN", "ENOMEM"], "wait4": ["EINTR"], "kill": ["EPERM"], "tgkill": ["EPERM"],
    "ioctl": ["EINTR", "EPERM", "EBUSY", "ENOMEM"], "bpf": ["EPERM", "ENOMEM", "EBUSY", "E2BIG"],
    "futex": ["EINTR"], "getrandom": ["EINTR", "ENOSYS"], "sysinfo": ["EPERM"], "unshare": ["EPERM", "ENOSPC"], "mount": ["EPERM", "ENOMEM"],
    "prctl": ["EPERM", "EINVAL"], "seccomp": ["EINVAL", "ENOMEM"], "prlimit64": ["EPERM"], "getrlimit": ["EPERM"], "setrlimit": ["EPERM"],
}


def ways_of(call):
    """EPERM: what the kernel does not know, or does not allow."""
    return WAYS.get(call, ["EPERM"])


def listed():
    """The calls of tests/system_calls.txt that this machine has. In each line letters come first, and calls behind them."""
    text = (pathlib.Path(__file__).parents[1] / "system_calls.txt").read_text()
    calls = {call for line in re.findall(r"^[^#\n]* [GCKW]+ (.*)$", text, re.MULTILINE) for call in line.split()}
    return sorted(calls & set(faults.numbers_of_calls()))
