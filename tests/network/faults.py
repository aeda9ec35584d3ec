"""System calls of a running program that fail once, when a test says so.

    supervisor = faults.Supervisor(["poll", "sendmmsg"])
    process = subprocess.Popen(words, preexec_fn=supervisor.install, ...)
    supervisor.arm("softnet", "sendmmsg", "ENOBUFS")

A filter of seccomp hands the calls to this process (seccomp_unotify(2)), which lets them go on or answers in the place of the
kernel. It stands before the program begins, its children have it, too, and it counts beside the filters of softnet's own sandbox,
of which the stricter wins: so what is tested is the program as it is. strace(1) would do as much, and stop the
processes at each call; a library in the program does not see what libc calls itself.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import pathlib
import platform
import select
import struct
import threading

# Of x86-64: others are skipped, because C has no names for numbers here.
NUMBERS = {"seccomp": 317, "pidfd_open": 434, "pidfd_getfd": 438}
FAILING = {"poll": 7, "accept": 43, "recvmmsg": 299, "sendmmsg": 307}
IS_POSSIBLE = platform.machine() == "x86_64" and os.geteuid() == 0
SET_MODE_FILTER, NEW_LISTENER = 1, 8
RET_ALLOW, RET_USER_NOTIF = 0x7FFF0000, 0x7FC00000
NOTIF_RECV, NOTIF_SEND, NOTIF, ANSWER = 0xC0502100, 0xC0182101, "=QIIiIQ6Q", "=QqiI"
CONTINUE = 1
libc = ctypes.CDLL(None, use_errno=True)


def filter_for(numbers):
    """A program of BPF that hands these calls on, as struct sock_filter; and how long it is."""
    load, jump_if_equal, give = 0x20, 0x15, 0x06
    code = [struct.pack("HBBI", load, 0, 0, 0)]
    for number in numbers:
        code += [struct.pack("HBBI", jump_if_equal, 0, 1, number), struct.pack("HBBI", give, 0, 0, RET_USER_NOTIF)]
    return b"".join([*code, struct.pack("HBBI", give, 0, 0, RET_ALLOW)]), len(code) + 1


class Supervisor:
    def __init__(self, calls):
        self.names = {FAILING[name]: name for name in calls}
        self.code, self.length = filter_for(self.names)
        self.told, self.taken = os.pipe(), os.pipe()
        self.fault = None                       # (process, call, error) that is still to happen
        self.lock, self.over = threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()                     # before the program is: somebody has to answer its first calls

    def install(self):
        """In the child. The number of the listener is told before it is there: afterwards each call may wait for who has it."""
        code = ctypes.create_string_buffer(self.code)
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", self.length, ctypes.addressof(code)))
        free = os.open("/dev/null", os.O_RDONLY)
        os.close(free)
        os.write(self.told[1], struct.pack("II", os.getpid(), free))
        if libc.syscall(NUMBERS["seccomp"], SET_MODE_FILTER, NEW_LISTENER, program) < 0:
            os._exit(99)
        os.read(self.taken[0], 1)               # exec(2) closes the listener

    def _take_listener(self):
        pid, number = struct.unpack("II", os.read(self.told[0], 8))
        process = libc.syscall(NUMBERS["pidfd_open"], pid, 0)
        listener = -1
        while listener < 0 and not self.over.is_set():
            listener = libc.syscall(NUMBERS["pidfd_getfd"], process, number, 0)
            if listener >= 0 and "seccomp" not in os.readlink(f"/proc/self/fd/{listener}"):
                os.close(listener)
                listener = -1
        os.close(process)
        os.write(self.taken[1], b"x")
        return listener

    def _watch(self):
        if not select.select([self.told[0]], [], [], 20)[0]:
            return
        listener = self._take_listener()
        waiting = select.poll()
        waiting.register(listener, select.POLLIN)
        while not self.over.is_set():
            events = waiting.poll(100)
            if events and events[0][1] & select.POLLIN:
                self._answer(listener)
            elif events:
                break                           # nobody has the filter any more
        os.close(listener)

    def _answer(self, listener):
        call = bytearray(struct.calcsize(NOTIF))
        with contextlib.suppress(OSError):      # it was killed while it waited
            fcntl.ioctl(listener, NOTIF_RECV, call)
            identity, pid, _, number, *_ = struct.unpack(NOTIF, call)
            error = self._error_of(pid, self.names[number])
            fcntl.ioctl(listener, NOTIF_SEND, struct.pack(ANSWER, identity, 0, -error, 0 if error else CONTINUE))

    def _error_of(self, pid, name):
        """0: the call goes on."""
        process = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        with self.lock:
            if self.fault is None or self.fault[:2] != (process, name):
                return 0
            _, _, error = self.fault
            self.fault = None
        return getattr(errno, error)

    def arm(self, *fault):
        with self.lock:
            self.fault = fault

    def has_fired(self):
        with self.lock:
            return self.fault is None

    def close(self):
        self.over.set()
        self.thread.join()
        for fd in (*self.told, *self.taken):
            os.close(fd)
