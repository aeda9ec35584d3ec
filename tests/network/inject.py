"""System calls put into a running process from outside, as somebody could make them who had code to run in it (x86-64)."""

import contextlib
import ctypes
import os
import platform
import re
import signal

IS_POSSIBLE = platform.machine() == "x86_64"
CALLS = {
    "socket": 41, "connect": 42, "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "clone": 56, "mmap": 9, "mprotect": 10, "open": 2,
    "ptrace": 101, "chroot": 161, "mount": 165, "setuid": 105, "setns": 308, "unshare": 272, "process_vm_readv": 310,
    "process_vm_writev": 311, "memfd_create": 319, "execveat": 322, "bpf": 321, "userfaultfd": 323, "perf_event_open": 298,
    "keyctl": 250, "add_key": 248, "io_uring_setup": 425, "pidfd_open": 434, "pidfd_send_signal": 424, "pidfd_getfd": 438, "clone3": 435,
    "tkill": 200, "tgkill": 234, "rt_sigqueueinfo": 129, "symlink": 88, "chmod": 90, "mkdir": 83, "link": 86, "getpid": 39,
    "prctl": 157, "seccomp": 317, "rt_sigaction": 13, "shmget": 29, "init_module": 175, "kexec_load": 246, "personality": 135,
    "unlink": 87, "rename": 82, "close": 3, "sendto": 44, "sendmsg": 46, "sendmmsg": 307,
}
ATTACH, DETACH, GETREGS, SETREGS, SINGLESTEP = 16, 17, 12, 13, 9
WALL = 0x40000000
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs "
         "gs").split()
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in NAMES]


def ptrace(request, pid, address=0, data=None):
    if libc.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request} of {pid}: {os.strerror(ctypes.get_errno())}")


class Refused:
    """The kernel did not make the call: the filter ends who asks for it."""
    def __repr__(self):
        return "refused"


REFUSED = Refused()


class Stopped:
    """A process that stands still, and makes the calls that it is told to."""

    def __init__(self, pid):
        self.pid = pid
        ptrace(ATTACH, pid)
        self.waiting = []               # signals that came meanwhile
        self.wait_for(signal.SIGSTOP)
        self.before = Registers()
        ptrace(GETREGS, pid, 0, ctypes.addressof(self.before))
        self.memory = open(f"/proc/{pid}/mem", "r+b", buffering=0)
        self.instruction = self.find_instruction()

    def wait_for(self, *wanted):
        while True:
            _, status = os.waitpid(self.pid, WALL)
            if not os.WIFSTOPPED(status):
                raise OSError(f"process {self.pid} has ended: {status:#x}")
            if os.WSTOPSIG(status) in wanted:
                return os.WSTOPSIG(status)
            self.waiting.append(os.WSTOPSIG(status))
            ptrace(SINGLESTEP, self.pid)

    def has_pending(self, number):
        pending = re.search(r"^SigPnd:\s*(\w+)", open(f"/proc/{self.pid}/status").read(), re.M).group(1)
        return int(pending, 16) >> number - 1 & 1

    def find_instruction(self):
        """Of `syscall`, in what the kernel gives to every process."""
        for line in open(f"/proc/{self.pid}/maps"):
            if line.rstrip().endswith("[vdso]"):
                begin, end = (int(part, 16) for part in re.match(r"(\w+)-(\w+)", line).groups())
                self.memory.seek(begin)
                return begin + self.memory.read(end - begin).index(b"\x0f\x05")
        raise OSError("no vdso")

    def put(self, octets, at=0):
        """Below the stack, where nothing lives. Gives the address."""
        where = self.before.rsp - 4096 + at
        self.memory.seek(where)
        self.memory.write(octets)
        return where

    def call(self, name, *arguments):
        """What it gives, a negative errno on failure; or REFUSED. Text and octets are put into its memory."""
        values, at = [], 0
        for argument in arguments:
            if isinstance(argument, str):
                argument = argument.encode() + b"\0"
            if isinstance(argument, bytes):
                values.append(self.put(argument, at))
                at += (len(argument) + 15) // 16 * 16
            else:
                values.append(argument)
        registers = Registers.from_buffer_copy(self.before)
        registers.rax, registers.orig_rax, registers.rip = CALLS[name], 2**64 - 1, self.instruction
        for register, value in zip(("rdi", "rsi", "rdx", "r10", "r8", "r9"), (*values, 0, 0, 0, 0, 0, 0)):
            setattr(registers, register, value % 2**64)
        ptrace(SETREGS, self.pid, 0, ctypes.addressof(registers))
        ptrace(SINGLESTEP, self.pid)
        told = {self.wait_for(signal.SIGTRAP, signal.SIGSYS)}
        for other in signal.SIGTRAP, signal.SIGSYS:         # of a call that is not made the step is told, too
            if self.has_pending(other):
                ptrace(SINGLESTEP, self.pid)
                told.add(self.wait_for(other))
        if signal.SIGSYS in told:
            return REFUSED
        ptrace(GETREGS, self.pid, 0, ctypes.addressof(registers))
        return ctypes.c_int64(registers.rax).value

    def go_on(self):
        """As if nothing had been."""
        self.memory.close()
        ptrace(SETREGS, self.pid, 0, ctypes.addressof(self.before))
        ptrace(DETACH, self.pid)
        for number in self.waiting:
            os.kill(self.pid, number)


@contextlib.contextmanager
def stopped(pid):
    process = Stopped(pid)
    try:
        yield process
    finally:
        process.go_on()


def end_by(pid, name):
    """It makes this call itself, and is not held back from what follows."""
    process = Stopped(pid)
    registers = Registers.from_buffer_copy(process.before)
    registers.rax, registers.orig_rax, registers.rip = CALLS[name], 2**64 - 1, process.instruction
    process.before = registers
    process.go_on()
