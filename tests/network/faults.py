"""System calls of running programs that fail when a test says so: with an error, in part, or not at all for a while.

    supervisor = faults.Supervisor(["read", "sendmmsg"])
    supervisor.start()
    process = subprocess.Popen(words, preexec_fn=supervisor.install, ...)
    supervisor.arm(faults.Fault("softnet", "sendmmsg", "ENOBUFS"))

A filter of seccomp hands the calls to this process (seccomp_unotify(2)), which lets them go on or answers in the place of the
kernel. It stands before the program begins, its children have it, too, and it counts beside the filters of softnet's own sandbox,
of which the stricter wins: so what is tested is the program as it is, and every process of it, from the first call of main() on.
strace(1) would do as much, and stop the processes at each call; a library in the program does not see what libc calls itself.
"""

import collections
import contextlib
import ctypes
import errno
import fcntl
import os
import pathlib
import platform
import re
import select
import socket
import stat
import struct
import threading

NUMBERS = {"seccomp": 317, "pidfd_open": 434, "pidfd_getfd": 438} if platform.machine() == "x86_64" else {}
IS_POSSIBLE = bool(NUMBERS) and os.geteuid() == 0
SET_MODE_FILTER, NEW_LISTENER = 1, 8
RET_ALLOW, RET_USER_NOTIF = 0x7FFF0000, 0x7FC00000
NOTIF_RECV, NOTIF_SEND, NOTIF = 0xC0502100, 0xC0182101, "=QIIiIQ6Q"
CONTINUE = 1
libc = ctypes.CDLL(None, use_errno=True)

# One that is to fail: the name of the process, of the call, and how: an error; "part": the call does half of it; "hang": it does not
# come back until release(). `after`: so many calls go on before it.
Fault = collections.namedtuple("Fault", "process call way after", defaults=[0])
Call = collections.namedtuple("Call", "id pid number arguments")


def numbers_of_calls():
    """{name: number} of this machine, from the header of the kernel."""
    header = next(path for path in (f"/usr/include/{platform.machine()}-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h",
                                    "/usr/include/asm-generic/unistd.h") if os.path.exists(path))
    found = re.findall(r"#define __NR_(\w+)\s+(\d+)", pathlib.Path(header).read_text())
    return {name: int(number) for name, number in found}


def filter_for(numbers):
    """A program of BPF that hands these calls on."""
    load, jump_if_equal, give = 0x20, 0x15, 0x06
    code = [struct.pack("HBBI", load, 0, 0, 0)]
    for number in numbers:
        code += [struct.pack("HBBI", jump_if_equal, 0, 1, number), struct.pack("HBBI", give, 0, 0, RET_USER_NOTIF)]
    return b"".join([*code, struct.pack("HBBI", give, 0, 0, RET_ALLOW)]), 2 + 2 * len(numbers)


def break_of(pid):
    """The end of a process's heap. The kernel rounds it up to whole pages here, as libc does."""
    heap = re.search(r"^\w+-(\w+) .*\[heap\]$", pathlib.Path(f"/proc/{pid}/maps").read_text(), re.MULTILINE)
    return int(heap[1], 16) if heap else int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[44])


def is_pipe(call):
    return os.readlink(f"/proc/{call.pid}/fd/{call.arguments[0]}").startswith("pipe:")


def buffer_of(name, call, memory):
    """(address, octets) of what is read or written; of a message its first part."""
    if name != "sendmsg":
        return call.arguments[1], call.arguments[2]
    memory.seek(call.arguments[1])
    parts, = struct.unpack("16xQ", memory.read(24))
    memory.seek(parts)
    return struct.unpack("QQ", memory.read(16))


def is_divisible(fd):
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        return True
    with socket.socket(fileno=os.dup(fd)) as one:
        return one.type == socket.SOCK_STREAM


class Supervisor:
    def __init__(self, calls):
        self.numbers = {name: number for name, number in numbers_of_calls().items() if name in calls}
        self.names = {number: name for name, number in self.numbers.items()}
        self.code, self.length = filter_for(self.numbers.values())
        self.told, self.taken = os.pipe(), os.pipe()
        self.made = collections.Counter()       # {(process, call): how often}
        self.fault, self.fired, self.seen = None, False, 0
        self.lock, self.over, self.go_on = threading.Lock(), threading.Event(), threading.Event()
        self.thread = None

    # --- in the child ---------------------------------------------------------------------------------------------------

    def install(self):
        """The number that the listener will have is told first, for afterwards each call may wait for somebody who has it."""
        code = ctypes.create_string_buffer(self.code)
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", self.length, ctypes.addressof(code)))
        free = os.open("/dev/null", os.O_RDONLY)
        os.close(free)
        os.write(self.told[1], struct.pack("II", os.getpid(), free))
        if libc.syscall(NUMBERS["seccomp"], SET_MODE_FILTER, NEW_LISTENER, program) < 0:
            os._exit(99)
        os.read(self.taken[0], 1)       # exec(2) closes the listener

    # --- here -----------------------------------------------------------------------------------------------------------

    def start(self):
        """Before the program is started: somebody has to answer its first calls."""
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        if not select.select([self.told[0]], [], [], 20)[0]:
            return
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
        waiting = select.poll()
        waiting.register(listener, select.POLLIN)
        while not self.over.is_set():
            events = waiting.poll(200)
            if events and events[0][1] & select.POLLHUP and not events[0][1] & select.POLLIN:
                break                   # nobody has the filter any more
            if events:
                self._take(listener)
        os.close(listener)

    def _take(self, listener):
        buffer = bytearray(80)
        try:
            fcntl.ioctl(listener, NOTIF_RECV, buffer)
        except OSError:
            return                      # it was killed while it waited
        identity, pid, _, number, _, _, *arguments = struct.unpack(NOTIF, buffer)
        call = Call(identity, pid, number, arguments)
        way = self._way_of(call)
        if way == "hang":
            threading.Thread(target=self._hang, args=[listener, call], daemon=True).start()
            return
        self._answer(listener, call, way)

    def _way_of(self, call):
        """How it fails; None: it goes on."""
        with contextlib.suppress(OSError):
            process = pathlib.Path(f"/proc/{call.pid}/comm").read_text().strip()
            name = self.names[call.number]
            with self.lock:
                self.made[process, name] += 1
                fault = self.fault
                if fault is None or self.fired and fault.way != "hang" or (fault.process, fault.call) != (process, name):
                    return None
                if name in ("read", "write") and is_pipe(call):     # of a few octets: all or nothing
                    return None
                if name == "brk" and call.arguments[0] == 0:        # a question
                    return None
                self.seen += 1
                if self.seen <= fault.after:
                    return None
                self.fired = True
                return fault.way
        return None

    def _hang(self, listener, call):
        self.go_on.wait(120)
        self._answer(listener, call, None)

    def _answer(self, listener, call, way):
        value, error, flags = 0, 0, 0
        if way is None:
            flags = CONTINUE
        elif way == "part":
            value = self._do_a_part(call)
            flags = CONTINUE if value is None else 0
        elif self.names[call.number] == "brk":      # it knows no errors, and gives what holds
            value = break_of(call.pid)
        else:
            error = -getattr(errno, way)
        with contextlib.suppress(OSError):
            fcntl.ioctl(listener, NOTIF_SEND, struct.pack("=QqiI", call.id, value or 0, error, flags))

    def _do_a_part(self, call):
        """Half of what was to be read or written. None: there is no half, as of a datagram."""
        name = self.names[call.number]
        process = libc.syscall(NUMBERS["pidfd_open"], call.pid, 0)
        fd = libc.syscall(NUMBERS["pidfd_getfd"], process, call.arguments[0], 0)
        os.close(process)
        try:
            with open(f"/proc/{call.pid}/mem", "r+b", buffering=0) as memory:
                at, octets = buffer_of(name, call, memory)
                if octets < 2 or not is_divisible(fd):
                    return None
                memory.seek(at)
                if name in ("read", "recvfrom", "pread64"):
                    data = os.pread(fd, octets // 2, call.arguments[3]) if name == "pread64" else os.read(fd, octets // 2)
                    memory.write(data)
                    return len(data)
                data = memory.read(octets // 2)
                return os.pwrite(fd, data, call.arguments[3]) if name == "pwrite64" else os.write(fd, data)
        except OSError:
            return None
        finally:
            os.close(fd)

    def arm(self, fault):
        with self.lock:
            self.fault, self.fired, self.seen = fault, False, 0
            self.go_on.clear()

    def has_fired(self):
        with self.lock:
            return self.fired

    def disarm(self):
        """Whether it has happened."""
        with self.lock:
            fired, self.fault = self.fired, None
        self.go_on.set()
        return fired

    def close(self):
        self.go_on.set()
        self.over.set()
        if self.thread:
            self.thread.join()
        for fd in (*self.told, *self.taken):
            os.close(fd)
