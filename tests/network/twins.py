"""Two guards of the same options, one in the kernel and one that relays, who are sent the same frames in the same order.

    test -- tap k-vm, guarded -- (redirected, as it is) -- tap k-net -- test        all of it in the kernel
    test -- socket, softnet, tap u-net -- test

A write to a tap returns when the kernel has done all it does with the frame. What it leaves to its process is waited for, for it
may change what the next frame meets. So the two can be compared frame by frame, and not only in numbers.
"""

import collections
import ctypes
import fcntl
import mmap
import os
import pathlib
import platform
import re
import struct
import time

import netns
import rawguest
import services
from netns import NetworkError, patience, run

TUNSETIFF, TAP = 0x400454CA, 0x0002 | 0x1000        # linux/if_tun.h: IFF_TAP, IFF_NO_PI
SYS_BPF, BPF_MAP_GET_FD_BY_ID = {"x86_64": 321}.get(platform.machine(), 280), 14
PAGE, OTHER = os.sysconf("SC_PAGESIZE"), {"guest": "uplink", "uplink": "guest"}
LONGEST, SHORTEST, QUEUED, TAGGED = 9000, 18, 4000, (b"\x81\x00", b"\x88\xa8")


class Different(AssertionError):
    """What one of them did, and not the other."""


def can_be_sent(frame):
    """The kernel takes an Ethernet header, and where it says so a tag, before any program sees the frame."""
    return SHORTEST <= len(frame) <= LONGEST and not (frame[12:14] in TAGGED and len(frame) < SHORTEST + 4)


class Tap:
    def __init__(self, network, name):
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), TAP))
        network.host.ip(f"link set {name} mtu {LONGEST} txqueuelen {QUEUED}")

    def send(self, frame):
        os.write(self.fd, frame)

    def read(self):
        try:
            return os.read(self.fd, 65536)
        except BlockingIOError:
            return None

    def close(self):
        os.close(self.fd)


class Twin:
    """A guard, and what it did with the frames that it was sent. A frame that it made itself, a question or a rejection,
    is not one of those."""

    def __init__(self):
        self.sent, self.seen = dict.fromkeys(OTHER, 0), dict.fromkeys(OTHER, 0)
        self.known, self.passed = {}, {}
        self.own = {each: collections.Counter() for each in OTHER}     # those that it made itself, by the side that they seem to come from

    def offer(self, side, frames):
        """Sends them; gives the counters, and those that came out on the other side."""
        self.known, self.passed = {side: set(frames), OTHER[side]: set()}, {each: [] for each in OTHER}
        self.send(side, frames)
        self.sent[side] += len(frames)
        return self.account()

    def account(self):
        def is_complete(counters):
            return all(counters.passed[side] + counters.dropped(side) >= sent for side, sent in self.sent.items())
        counters = self.guard.wait_counters(is_complete, 20, f"{self.guard.name} to count all of {self.sent}")
        end = time.monotonic() + patience(10)
        while any(self.seen[side] < counters.passed[side] for side in OTHER):
            for side in OTHER:
                self.collect(side)
            if time.monotonic() > end:
                raise NetworkError(f"{self.guard.name}: {self.seen} came out of {counters}")
        # A question of its own may look like a frame that it was sent.
        own = self.seen["guest"] - counters.passed["guest"], self.seen["uplink"] - counters.passed["uplink"]
        assert own[0] <= counters.questions and own[1] == 0, (self.guard.name, self.seen, counters)
        return counters, self.passed

    def take(self, side, frame):
        if frame in self.known[side]:
            self.passed[side].append(frame)
            self.seen[side] += 1
        else:
            self.own[side][frame] += 1


class KernelTwin(Twin):
    def __init__(self, network, mac, *options):
        super().__init__()
        self.tap = {"guest": Tap(network, "k-vm"), "uplink": Tap(network, "k-net")}
        self.guard = network.start([services.softnet_path(), "attach", "k-vm", "--vm-mac-address", mac, "-v", *options],
                                   name="kernel", kind=services.Softnet)
        self.guard.wait_line("gateway MAC addresses", 120)
        self.guard.counters()
        self.map_ring(ring_of(self.guard.pid))
        for one, other in ("k-vm", "k-net"), ("k-net", "k-vm"):
            run("tc", "qdisc", "add", "dev", one, "clsact")
            run("tc", "filter", "add", "dev", one, "ingress", "pref", 60000, "protocol", "all", "u32", "match", "u32", 0, 0,
                "action", "mirred", "egress", "redirect", "dev", other)
            network.host.ip(f"link set {one} up")

    def map_ring(self, number):
        fd = netns.libc.syscall(SYS_BPF, BPF_MAP_GET_FD_BY_ID, struct.pack("I12x", number), 16)
        if fd < 0:
            raise OSError(ctypes.get_errno(), "the guard's ring")
        self.taken, self.put = (mmap.mmap(fd, PAGE, mmap.MAP_SHARED, mmap.PROT_READ, offset=at) for at in (0, PAGE))
        os.close(fd)

    def send(self, side, frames):
        tap, taken, put = self.tap[side], self.taken, self.put
        for frame in frames:
            tap.send(frame)
            if put[:8] != taken[:8]:
                self.wait_for_process()

    def wait_for_process(self):
        end = time.monotonic() + patience(10)
        while self.put[:8] != self.taken[:8]:
            time.sleep(0)
            if time.monotonic() > end:
                raise NetworkError("the guard's process does not read its ring")

    def collect(self, side):
        while frame := self.tap[OTHER[side]].read():
            self.take(side, frame)

    def close(self):
        self.guard.stop()
        for tap in self.tap.values():
            tap.close()


def ring_of(pid):
    """The number of the one map that a guard keeps open."""
    folder = pathlib.Path(f"/proc/{pid}")
    fd, = [each.name for each in (folder / "fd").iterdir() if "bpf-map" in os.readlink(each)]
    return int(re.search(r"^map_id:\s*(\d+)$", (folder / "fdinfo" / fd).read_text(), re.MULTILINE).group(1))


class RelayTwin(Twin):
    def __init__(self, network, mac, *options):
        super().__init__()
        self.guest = rawguest.RawGuest(network, mac, "--uplink", "tap:u-net", *options, name="relay")
        self.guard = self.guest.guard
        network.host.ip(f"link set u-net mtu {LONGEST} txqueuelen {QUEUED} up")
        self.wire = network.host.wire("u-net")

    def send(self, side, frames):
        (self.guest if side == "guest" else self.wire).send(*frames)

    def collect(self, side):
        if side == "guest":
            for frame in self.wire.frames():
                self.take(side, frame)
        else:
            while (frame := self.guest.receive(0)) is not None:
                self.take(side, frame)

    def close(self):
        self.guard.stop()
        self.guest.close()
        self.wire.close()


class Twins:
    """Both, and the test that they do the same."""

    def __init__(self, network, mac, *options):
        self.relay, self.kernel = RelayTwin(network, mac, *options), KernelTwin(network, mac, *options)
        self.count, self.drops, self.out = 0, {}, dict.fromkeys(OTHER, 0)

    def offer(self, side, frames):
        frames = [frame for frame in frames if can_be_sent(frame)]
        (by_relay, left), (by_kernel, passed) = (twin.offer(side, frames) for twin in (self.relay, self.kernel))
        self.count += len(frames)
        self.drops, self.out = by_kernel.drops, by_kernel.passed
        is_same = by_relay.drops == by_kernel.drops and by_relay.passed == by_kernel.passed
        if not is_same or not self.are_same(left, passed, by_relay.questions + by_kernel.questions):
            raise Different(difference(side, frames, left, passed, by_relay, by_kernel))

    @staticmethod
    def are_same(left, passed, questions):
        """The same frames. One that has waited in the kernel may come out a moment after the next; and a question of their own that
        looks like a frame may come at any time."""
        more = [collections.Counter(one["guest"]) - collections.Counter(other["guest"]) for one, other in ((left, passed), (passed, left))]
        return sum(sum(each.values()) for each in more) <= questions and \
            collections.Counter(left["uplink"]) == collections.Counter(passed["uplink"])

    def close(self):
        self.relay.close()
        self.kernel.close()


def difference(side, frames, left, passed, by_relay, by_kernel):
    drops = {key: (by_relay.drops.get(key, 0), by_kernel.drops.get(key, 0)) for key in {**by_relay.drops, **by_kernel.drops}
             if by_relay.drops.get(key, 0) != by_kernel.drops.get(key, 0)}
    only = [[frame.hex() for frame in collections.Counter(one[each]) - collections.Counter(other[each])][:3]
            for one, other in ((left, passed), (passed, left)) for each in OTHER]
    return f"{len(frames)} frames from the {side}: drops (relay, kernel) {drops}; passed only by {only}"
