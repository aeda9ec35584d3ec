"""What a guest does in the moment in which its frames are judged, or just after: it changes a frame whose memory it still has,
or goes on as before when a right has just ended.

    vm eth0 -- veth p-vm, guarded -- br0 -- gateway 192.168.77.1
"""

import contextlib
import mmap
import os
import select
import signal
import socket
import struct
import time

import pytest

import netns
import rawguest
import services
from netns import wait_for
from test_attach import FAR, GATEWAY, GATEWAY_MAC, MAC, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

GUEST, GUEST6, ROUTER6 = "192.168.77.10", "fd00:77::10", "fd00:77::1"
STATIC = ["--vm-ip", f"{GUEST}/24,{GUEST6}/64", "--allow", f"{GATEWAY}/32,{ROUTER6}/128", "--segment", "none", "--isolation", "off"]
RELEASE = 7     # RFC 2132 9.6
# linux/if_packet.h
SOL_PACKET, PACKET_VERSION, PACKET_TX_RING, TPACKET_V2, SEND_REQUEST, HEADER, SLOT_OCTETS = 263, 10, 13, 1, 1, 32, 4096
AT_LEAST, TURNED = 100, 2000    # frames that are refused, and as many that pass; of so many that are changed meanwhile


class Ring:
    """Frames go out from here as they stand in this memory: all but the Ethernet header is not copied."""

    def __init__(self, namespace, interface):
        with namespace.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self.socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
            self.socket.setsockopt(SOL_PACKET, PACKET_TX_RING, struct.pack("IIII", SLOT_OCTETS, 1, SLOT_OCTETS, 1))
            self.socket.bind((interface, 0))
        self.memory = mmap.mmap(self.socket.fileno(), SLOT_OCTETS)

    def put(self, frame):
        self.memory[HEADER:HEADER + len(frame)] = frame
        self.length = len(frame)

    def send(self):
        """As it is in this moment. The kernel has let go of the last one."""
        while self.memory[:4] != bytes(4):
            time.sleep(0)
        self.memory[:8] = struct.pack("II", SEND_REQUEST, self.length)
        self.socket.send(b"")

    def close(self):
        self.memory.close()
        self.socket.close()


@contextlib.contextmanager
def turning(ring, at, *values):
    """Inside it, another process makes octets of the frame one thing and then the other, as fast as it goes."""
    memory, place = ring.memory, slice(HEADER + at, HEADER + at + len(values[0]))
    child = os.fork()
    while child == 0:
        memory[place] = values[0]
        memory[place] = values[1]
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.fixture
def static(loaded, segment, softnet):
    segment.vm = segment.namespace("vm")
    segment.guard = services.attach(segment, segment.vm, MAC, "br0", *STATIC)
    segment.far = segment.gateway.wire("eth0")
    yield segment
    segment.far.close()


def frame6(source):
    above = struct.pack("!HHHH", 4000, 5000, 26, 0) + bytes(18)
    return rawguest.mac_bytes(GATEWAY_MAC) + rawguest.mac_bytes(MAC) + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(above), 17, 64) + \
        socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, ROUTER6) + above


FRAME4 = rawguest.udp(MAC, GATEWAY_MAC, GUEST, GATEWAY, 4000, 5000, bytes(18))
ATTACKS = {     # the frame, where it is turned, what is the guest's right and what is not, and the reason
    "the source": (FRAME4, 29, bytes([10]), bytes([66]), "ip4-src-spoof"),
    "the destination": (FRAME4, 33, bytes([1]), bytes([66]), "dst-private"),
    "a port": (rawguest.udp(MAC, GATEWAY_MAC, GUEST, GATEWAY, 60, 5000, bytes(18)), 35, bytes([60]), bytes([67]), "dhcp4-server-from-guest"),
    "the source in IPv6": (frame6(GUEST6), 37, bytes([0x10]), bytes([0x66]), "ip6-src-unbound"),
}


def is_like(each, frame):
    """The VM's own kernel asks for neighbors and routers beside us."""
    return len(each) == len(frame) and each[:14] == frame[:14] and each[-18:] == frame[-18:]


@pytest.mark.parametrize("what", ATTACKS)
def test_a_frame_that_its_sender_changes(static, what):
    """It is judged as it leaves, and leaves as it was judged. (From Linux 4.20 on the kernel copies it at a veth, too.)"""
    frame, at, right, wrong, reason = ATTACKS[what]
    ring, far = Ring(static.vm, "eth0"), static.far
    span = slice(at, at + len(right))
    ring.put(frame)
    far.frames()
    for _ in range(AT_LEAST):       # an honest sender of this kind
        ring.send()
    arrived = []

    def all_came():
        arrived.extend(each for each in far.frames() if is_like(each, frame))
        return len([each for each in arrived if each == frame]) >= AT_LEAST
    wait_for(all_came, 10, "the honest frames")
    refused = static.guard.counters().dropped("guest", reason)
    passed, sent = [], 0
    with turning(ring, at, right, wrong):
        def enough():
            nonlocal sent
            for _ in range(AT_LEAST):
                ring.send()
            sent += AT_LEAST
            passed.extend(each for each in far.frames() if is_like(each, frame))
            return sent >= TURNED and len(passed) >= AT_LEAST and static.guard.counters().dropped("guest", reason) >= refused + AT_LEAST
        wait_for(enough, 60, "frames of both kinds")
    ring.close()
    passed.extend(each for each in far.frames() if is_like(each, frame))
    assert {each[span] for each in passed} == {right}


class Guest(rawguest.RawGuest):
    """The one of rawguest.py, on a wire."""

    def __init__(self, segment):
        self.mac, self.guard, self.wire, self.queue = MAC, segment.guard, segment.vm.wire("eth0"), []

    def send(self, *frames):
        self.wire.send(*frames)

    def receive(self, timeout=5):
        if not self.queue and select.select([self.wire.socket], [], [], timeout)[0]:
            self.queue += self.wire.frames()
        return self.queue.pop(0) if self.queue else None


def wait_at_once(wire, frame):
    """As wait_for(), which sleeps: a moment counts here."""
    end = time.monotonic() + netns.patience(10)
    while frame not in wire.frames():
        assert time.monotonic() < end, "it did not come"


@pytest.mark.parametrize("turns", [5])      # more would meet the limits of DHCP
def test_a_right_that_has_just_ended(loaded, segment, softnet, turns):
    """What was said of its frames a moment before counts no more when the guest has given its address back."""
    segment.vm = segment.namespace("vm")
    segment.guard = services.attach(segment, segment.vm, MAC, "br0")
    guest, far = Guest(segment), segment.gateway.wire("eth0")
    for turn in range(turns):
        address = guest.take_lease(0x1000 + turn)
        data = rawguest.udp(MAC, GATEWAY_MAC, address, FAR, 4000, 5000, bytes([turn]) * 18)
        release = rawguest.udp(MAC, GATEWAY_MAC, address, GATEWAY, 68, 67, rawguest.dhcp(
            MAC, RELEASE, 0x2000 + turn, b"\x36\x04" + socket.inet_aton(GATEWAY), address, 0))

        def passes():
            guest.send(data)
            return data in far.frames()
        wait_for(passes, 10, "a frame of the guest")
        guest.send(data, data, release)
        wait_at_once(far, release)
        guest.send(*[data] * 20)
        segment.guard.wait_counters(lambda c: c.dropped("guest", "ip4-no-lease") >= 20 * (turn + 1))
        assert data not in far.frames()
    far.close()
