"""A system call of a guard at work fails once, as under memory pressure: that ends nothing, and no forged frame passes. Those that a
relay makes most; test_fault_sweep.py has all.

    this program -- softnet -- this program       two pairs of sockets
    this program -- softnet -- slirp              a pair of sockets, and a port of the host
"""

import contextlib
import ctypes
import errno
import socket
import struct
import subprocess
import time

import pytest

import faults
import services
from fault_scenes import Slirp
from fault_ways import NEVER_FAIL, WAYS, listed
from netns import wait_for
from status_peers import softnet
from test_ground import cpu_seconds
from test_relay import DATA, MAC, SPOOFED, STATIC

pytestmark = pytest.mark.skipif(not faults.IS_POSSIBLE, reason="needs root, and a processor of x86-64")

# What each call can fail with that is over in a moment.
OF_FRAMES = {
    "poll": ["EINTR", "EAGAIN", "ENOMEM"],
    "recvmmsg": ["EINTR", "EAGAIN", "ENOMEM"],
    "sendmmsg": ["EINTR", "EAGAIN", "ENOBUFS"],
}
OF_STATUS = {"accept": ["EINTR", "ECONNABORTED", "EMFILE", "ENOMEM"]}


class Guarded:
    def __init__(self, supervisor, log):
        self.guest, guests = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.uplink, uplinks = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.uplink.setblocking(False)
        self.supervisor, self.log = supervisor, log
        supervisor.start()
        with guests, uplinks, open(log, "w") as lines:
            self.process = subprocess.Popen(
                [services.softnet_path(), "--vm-mac-address", MAC, "--name", "failing", "--guest", f"fd:{guests.fileno()}",
                 "--uplink", f"fd:{uplinks.fileno()}", *STATIC],
                pass_fds=[guests.fileno(), uplinks.fileno()], stdin=subprocess.DEVNULL, stderr=lines, preexec_fn=supervisor.install)

    def passes(self):
        """Whether an honest frame does. A forged one, which goes first, must not."""
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(ConnectionRefusedError):       # it has ended, and the next look tells why
            self.guest.send(SPOOFED)
            self.guest.send(DATA)
        return self.arrived() > 0

    def arrived(self):
        count = 0
        with contextlib.suppress(BlockingIOError):
            while frame := self.uplink.recv(2000):
                assert frame == DATA
                count += 1
        return count

    def fail(self, call, error, stimulus):
        self.supervisor.arm(faults.Fault("softnet", call, error))
        wait_for(lambda: stimulus() and self.supervisor.has_fired(), 10, f"{call} that fails with {error}")
        self.arrived()          # what went before it
        wait_for(self.passes, 10, f"a frame after {error} of {call}")


@pytest.fixture
def guarded(network, tmp_path):
    supervisor = faults.Supervisor([*OF_FRAMES, *OF_STATUS])
    one = Guarded(supervisor, tmp_path / "said")
    wait_for(one.passes, 20, "the guard to stand")
    yield one
    one.process.terminate()
    assert one.process.wait(10) == 0 and one.log.read_text() == ""
    supervisor.close()
    one.guest.close()
    one.uplink.close()


def test_while_it_carries_frames(guarded):
    for call, errors in OF_FRAMES.items():
        for error in errors:
            guarded.fail(call, error, lambda: guarded.passes() or True)


def test_while_it_tells_its_status(guarded):
    for call, errors in OF_STATUS.items():
        for error in errors:
            guarded.fail(call, error, lambda: "failing" in softnet("status")[1])


def without_memory():
    """poll(2) of more than two descriptors fails with ENOMEM in this process from now on."""
    load, jump_if_equal, jump_if_more, give, fail, allow = 0x20, 0x15, 0x25, 0x06, 0x00050000, 0x7FFF0000
    steps = [(load, 0, 0, 0), (jump_if_equal, 0, 3, faults.numbers_of_calls()["poll"]), (load, 0, 0, 24), (jump_if_more, 0, 1, 2),
             (give, 0, 0, fail | errno.ENOMEM), (give, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    assert faults.libc.syscall(faults.NUMBERS["seccomp"], faults.SET_MODE_FILTER, 0, struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))) == 0


def test_it_does_not_spin_without_memory(tmp_path):
    """A turn every few milliseconds, and not as many as a processor can do."""
    (guest, guests), (uplink, uplinks) = (socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
    with guest, guests, uplink, uplinks, open(tmp_path / "said", "w") as said:
        process = subprocess.Popen([services.softnet_path(), "--vm-mac-address", MAC, "--guest", f"fd:{guests.fileno()}", "--uplink",
                                    f"fd:{uplinks.fileno()}", "-v"], pass_fds=[guests.fileno(), uplinks.fileno()],
                                   stdin=subprocess.DEVNULL, stderr=said, preexec_fn=without_memory)
        wait_for(lambda: "resolvers" in (tmp_path / "said").read_text(), 20, "the guard to stand")
        before = cpu_seconds(process.pid)
        time.sleep(1)
        spent = cpu_seconds(process.pid) - before
        assert process.poll() is None, (tmp_path / "said").read_text()
        process.terminate()
        assert process.wait(10) == 0 and spent < 0.2, spent


def test_every_call_has_its_ways():
    assert [call for call in listed() if call not in NEVER_FAIL and call not in WAYS] == []


@pytest.fixture
def by_slirp(network):
    """The first worker cannot say that it runs."""
    supervisor = faults.Supervisor(["read", "sendmmsg", "sendto"])
    supervisor.arm(faults.Fault("softnet-slirp", "sendto", "ENOBUFS"))
    scene = Slirp(network, supervisor=supervisor)
    yield scene, supervisor
    scene.close()


def test_slirp(by_slirp):
    scene, supervisor = by_slirp
    assert scene.stand() and supervisor.has_fired(), scene.said()
    for fault in faults.Fault("softnet", "read", "EIO"), faults.Fault("softnet", "sendmmsg", "EPERM"):
        supervisor.arm(fault)
        wait_for(lambda: scene.traffic(1) >= 0 and supervisor.has_fired(), 10, fault)
        assert scene.serves(), (fault, scene.said())
    assert scene.forged == 0 and scene.wrong_counts() is None
    assert scene.end() == 0
