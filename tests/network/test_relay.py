"""The relay never dies and never blocks: whatever either side sends, or does not read.

    raw guest (a socket) -- softnet -- tap u-raw -- br0, or a stream whose other end is this program
"""

import contextlib
import json
import os
import pathlib
import pty
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

import netns
import rawguest
import services
from conftest import needs, needs_others

MAC, ROUTER_MAC = "52:54:00:00:00:0a", "52:54:00:00:00:01"
ME, ROUTER, EXTERNAL = "192.168.77.10", "192.168.77.1", "1.1.1.1"
STATIC = [f"--vm-ip={ME}/24", "--no-dhcp", f"--gateway={ROUTER}", f"--gateway-mac={ROUTER_MAC}"]
DATA = rawguest.udp(MAC, ROUTER_MAC, ME, EXTERNAL, 4000, 4001, bytes(100))
SPOOFED = rawguest.udp(MAC, ROUTER_MAC, "192.168.77.66", EXTERNAL, 4000, 4001, bytes(100))
LONG = rawguest.udp(MAC, ROUTER_MAC, ME, EXTERNAL, 4000, 4001, bytes(1472))
FLOOD = 100_000
OPTIMIZED = services.CHECKOUT / "build" / "softnet"     # where memory and speed are looked at: no sanitizer in it


def to_guest(number, octets=20):
    return rawguest.udp(ROUTER_MAC, MAC, EXTERNAL, ME, 4001, 4000, struct.pack("!I", number).ljust(octets, b"\0"))


class Flood:
    """Frames from the guest as fast as they are taken, in a thread, until enough or told to stop."""

    def __init__(self, guest, frames, count):
        self.guest, self.frames, self.count = guest, frames, count
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        many = len(self.frames)
        for number in range(self.count):
            if self.ending.is_set():
                return
            try:
                self.guest.send(self.frames[number % many])
            except OSError:         # the guard has ended, as it may when it is told to
                return

    @property
    def running(self):
        return self.thread.is_alive()

    def stop(self):
        self.ending.set()
        self.thread.join(20)
        assert not self.thread.is_alive(), "the guard does not read what the guest sends"


class StreamPeer:
    """The network's side of --uplink stream:PATH: accepts one connection at a time."""

    def __init__(self, path):
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        os.chmod(path, 0o666)       # the guard may have become another user when it connects
        self.listener.listen()
        self.listener.settimeout(10)
        self.connection = None

    def accept(self):
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(10)

    def send(self, frame):
        self.connection.sendall(struct.pack("!I", len(frame)) + frame)

    def read_exactly(self, octets):
        data = b""
        while len(data) < octets:
            more = self.connection.recv(octets - len(data))
            assert more, "the guard hung up"
            data += more
        return data

    def receive(self):
        return self.read_exactly(struct.unpack("!I", self.read_exactly(4))[0])

    def close(self):
        for one in self.connection, self.listener:
            if one:
                one.close()
        pathlib.Path(self.path).unlink(missing_ok=True)


@pytest.fixture
def tap_guest(network, softnet):
    """A raw guest with an address of its own, on a bridge; network.wire is the bridge's other port."""
    network.bridge("br0")
    router = network.namespace("router", ipv6=False)
    network.join(router, "eth0", "br0", mac=ROUTER_MAC)
    network.wire = router.wire("eth0")
    guest = rawguest.RawGuest(network, MAC, "--uplink", "tap:u-raw,bridge=br0", *STATIC)
    yield guest
    guest.close()


@pytest.fixture
def peer(network):
    # A directory where the guard may look up the socket, as every user that it can become.
    directory = pathlib.Path("/run/peer")
    directory.mkdir(mode=0o755, exist_ok=True)
    peer = StreamPeer(directory / "uplink")
    yield peer
    peer.close()


@pytest.fixture
def stream_guest(network, softnet, peer):
    guest = rawguest.RawGuest(network, MAC, "--uplink", f"stream:{peer.path}", *STATIC)
    peer.accept()
    yield guest
    guest.close()


def ends_in_a_second(guard, number=signal.SIGTERM):
    with netns.Stalls() as stalls:
        begin = time.monotonic()
        guard.signal(number)
        status = guard.wait(5)
        took = time.monotonic() - begin
    assert took < stalls.added_to(1.0)
    return status


# --- sizes ------------------------------------------------------------------------------------------------------------

def test_frames_of_every_size(tap_guest):
    guest = tap_guest
    guest.send(*(DATA[:octets] for octets in range(14)))                    # a datagram may be empty
    guest.send(*(LONG[:14] + bytes(octets) for octets in (1501, 4000, 20000, 65000)))
    guest.send(LONG, DATA)
    counters = guest.wait_counted()
    assert counters.dropped("guest", "frame-runt") == 14
    assert counters.dropped("guest", "frame-oversize") == 4
    assert counters.passed["guest"] == 2
    guest.guard.stop()
    assert guest.guard.popen.returncode == 0


def test_stream_from_the_network_of_every_size(stream_guest, peer):
    for frame in b"\1", DATA[:13], to_guest(1, 1472), to_guest(2, 1600), to_guest(3, 60000), to_guest(4):
        peer.send(frame)
    for octets in range(0, 40):         # a frame in pieces is one frame
        peer.connection.send((struct.pack("!I", len(to_guest(5))) + to_guest(5))[octets:octets + 1])
    peer.connection.send((struct.pack("!I", len(to_guest(5))) + to_guest(5))[40:])
    delivered = [stream_guest.receive() for _ in range(3)]
    assert delivered == [to_guest(1, 1472), to_guest(4), to_guest(5)]
    counters = stream_guest.guard.counters()
    assert counters.dropped("uplink", "frame-runt") == 2 and counters.dropped("uplink", "frame-oversize") == 2


@pytest.mark.parametrize("garbage", [bytes(4), b"\xff" * 64, b"GET / HTTP/1.0\r\n\r\n"])
def test_stream_that_breaks_is_opened_again(stream_guest, peer, garbage):
    peer.send(to_guest(1))
    assert stream_guest.receive() == to_guest(1)
    peer.connection.send(garbage)
    peer.accept()
    peer.send(to_guest(2))
    assert stream_guest.receive() == to_guest(2)
    stream_guest.send(DATA)
    assert peer.receive() == DATA


# --- floods -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("frames", [[SPOOFED], [DATA, SPOOFED]], ids=["dropped", "half passes"])
def test_flood_from_the_guest_does_not_silence_the_network(tap_guest, network, frames):
    flood, longest, answered = Flood(tap_guest, frames, FLOOD), 0.0, 0
    with netns.Stalls() as stalls:
        while flood.running or answered < 10:
            begin = time.monotonic()
            network.wire.send(to_guest(answered))
            assert tap_guest.wait_frame(lambda frame, wanted=answered: frame == to_guest(wanted)) == to_guest(answered)
            longest, answered = max(longest, time.monotonic() - begin), answered + 1
    flood.stop()
    assert longest < stalls.added_to(0.5), f"a frame from the network took {longest:.3f} s"
    counters = tap_guest.wait_counted()
    assert counters.dropped("guest", "ip4-src-spoof") == FLOOD // len(frames)


def test_flood_from_the_network_does_not_silence_the_guest(stream_guest, peer):
    """The guest does not even read; what it sends still leaves."""
    flood = threading.Thread(target=lambda: [peer.connection.sendall(
        (struct.pack("!I", len(to_guest(0))) + to_guest(0)) * 100) for _ in range(300)], daemon=True)
    flood.start()
    longest, sent = 0.0, 0
    with netns.Stalls() as stalls:
        while flood.is_alive() or sent < 10:
            begin = time.monotonic()
            stream_guest.send(DATA)
            assert peer.receive() == DATA
            longest, sent = max(longest, time.monotonic() - begin), sent + 1
    assert longest < stalls.added_to(0.5), f"a frame from the guest took {longest:.3f} s"
    counters = stream_guest.guard.wait_counters(
        lambda now: now.passed["uplink"] + now.dropped("uplink") == 30000, what="all frames to be counted")
    assert counters.dropped("uplink", "queue-full") > 0 and counters.dropped("uplink") == \
        counters.dropped("uplink", "queue-full")


def test_what_a_guard_had_no_time_for_is_counted(network, softnet):
    """overrun: the kernel's queue in front of a tap holds so much, and what came behind it was never read."""
    def lost():
        return json.loads(network.host.ip("-j -s link show dev u-raw"))[0]["stats64"]["tx"]["dropped"]
    program = network.logs / "with-sys"         # the tests' own /sys may show the host's interfaces
    program.write_text(f"#!/bin/sh\nexec unshare -m sh -c 'mount -t sysfs sysfs /sys && exec {softnet} \"$@\"' sh \"$@\"\n")
    program.chmod(0o755)
    if subprocess.run(["unshare", "-m", "mount", "-t", "sysfs", "sysfs", "/sys"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a /sys that shows the tests' interfaces")
    network.bridge("br0")
    router = network.namespace("router", ipv6=False)
    network.join(router, "eth0", "br0", mac=ROUTER_MAC)
    guest = rawguest.RawGuest(network, MAC, "--uplink", "tap:u-raw,bridge=br0", *STATIC, program=program)
    assert lost() == 0
    guest.guard.signal(signal.SIGSTOP)
    with contextlib.closing(router.wire("eth0")) as wire:
        for number in range(0, 3000, 100):
            wire.send(*(to_guest(number + one) for one in range(100)))
        netns.wait_for(lambda: lost() > 1000, 5, "the queue to be full")
    guest.guard.signal(signal.SIGCONT)
    counters = guest.guard.wait_counters(lambda now: now.dropped("uplink", "overrun") > 0, what="what was lost")
    assert counters.dropped("uplink", "overrun") == lost()
    assert counters.passed["uplink"] + counters.dropped("uplink") >= 3000     # multicast of the bridge is counted, too
    guest.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_signal_under_flood(tap_guest, number):
    flood = Flood(tap_guest, [SPOOFED, DATA], 10 * FLOOD)
    tap_guest.guard.wait_counters(lambda counters: counters.dropped("guest") > 1000)
    assert flood.running
    assert ends_in_a_second(tap_guest.guard, number) == 0
    flood.stop()


# --- a side that is stuck, or goes ------------------------------------------------------------------------------------

def fill_uplink(guest):
    """Send until the uplink takes no more, and the guard counts what it could not hand on."""
    def is_full():
        guest.send(*[LONG] * 100)
        return guest.guard.counters().dropped("guest", "queue-full") > 100
    netns.wait_for(is_full, 10, "the queue to be full")


def test_network_that_never_reads(stream_guest, peer):
    """queue-full: the guest's frames are counted and gone, and the guard is still there for everything else."""
    fill_uplink(stream_guest)
    peer.send(to_guest(1))
    assert stream_guest.receive() == to_guest(1)            # the other direction goes on
    passed = stream_guest.wait_counted().passed["guest"]
    assert all(peer.receive() == LONG for _ in range(passed))       # what comes out after all is whole frames
    stream_guest.send(DATA)
    assert peer.receive() == DATA


def test_network_that_never_reads_does_not_delay_the_end(stream_guest):
    fill_uplink(stream_guest)
    assert ends_in_a_second(stream_guest.guard) == 0


def test_guest_that_never_reads(tap_guest, network):
    def is_full():
        network.wire.send(*(to_guest(number, 1400) for number in range(100)))
        return tap_guest.guard.counters().dropped("uplink", "queue-full") > 0
    netns.wait_for(is_full, 10, "the guest's queue to be full")
    tap_guest.send(DATA)
    assert tap_guest.wait_counted().passed["guest"] == 1    # the other direction goes on
    tap_guest.drain()
    network.wire.send(to_guest(7777))
    assert tap_guest.wait_frame(lambda frame: frame == to_guest(7777)) == to_guest(7777)


def test_interface_that_is_down(tap_guest, network):
    """write-error: the frames are counted; when the interface is back, so is the network."""
    network.host.ip("link set u-raw down")
    tap_guest.send(*[DATA] * 10)
    counters = tap_guest.wait_counted()
    assert counters.dropped("guest", "write-error") == 10 and counters.passed["guest"] == 0
    network.host.ip("link set u-raw up")
    tap_guest.send(DATA)
    assert tap_guest.wait_counted().passed["guest"] == 1
    netns.wait_for(lambda: DATA in network.wire.frames(), what="the frame on the bridge")


def test_network_that_restarts(stream_guest, peer, network):
    stream_guest.send(DATA)
    assert peer.receive() == DATA
    peer.close()
    stream_guest.send(DATA, DATA)                           # to nobody
    stream_guest.wait_counted()
    peer.__init__(peer.path)
    peer.accept()
    stream_guest.guard.wait_line("connected to .* again")
    peer.send(to_guest(1))
    assert stream_guest.receive() == to_guest(1)
    stream_guest.send(LONG)
    assert peer.receive() == LONG
    assert stream_guest.wait_counted().dropped("guest", "queue-full") == 2


def test_interface_that_is_deleted(tap_guest, network):
    network.host.ip("link delete u-raw")
    assert tap_guest.guard.wait(5) == 1
    assert any("the network is gone" in line for line in tap_guest.guard.output())


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["datagrams", "stream"])
def test_guest_that_goes(network, softnet, peer, kind):
    guest = rawguest.RawGuest(network, MAC, "--uplink", f"stream:{peer.path}", *STATIC, kind=kind)
    peer.accept()
    guest.close()
    if kind == socket.SOCK_DGRAM:       # of whose end Linux tells only a sender
        peer.send(to_guest(1))
    assert guest.guard.wait(5) == 0


# --- what it takes, and what it may do --------------------------------------------------------------------------------

def memory_kib(pid):
    return int(status_of(pid)["VmRSS"].split()[0])


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.long
@pytest.mark.skipif(not OPTIMIZED.exists(), reason="build/softnet is not built")
def test_memory_is_small_and_does_not_grow(network):
    network.bridge("br0")
    guest = rawguest.RawGuest(network, MAC, "--uplink", "tap:u-raw,bridge=br0", *STATIC, program=OPTIMIZED)
    if b"libasan" in pathlib.Path(f"/proc/{guest.guard.pid}/maps").read_bytes():
        pytest.skip("build/softnet has a sanitizer in it")
    frames = [DATA, SPOOFED, LONG, DATA[:13]]
    guest.send(*frames * (FLOOD // 20))                     # so that its buffers have been touched
    guest.wait_counted()
    before = memory_kib(guest.guard.pid)
    flood = Flood(guest, frames, FLOOD)
    flood.thread.join(30)
    guest.wait_counted()
    after = memory_kib(guest.guard.pid)
    guest.close()
    assert after < 8 * 1024, f"{after} KiB"
    assert after - before <= 128, f"from {before} to {after} KiB in {FLOOD} frames"


def test_started_as_root_it_gives_everything_up(tap_guest):
    status = status_of(tap_guest.guard.pid)
    for kind in "CapInh", "CapPrm", "CapEff", "CapAmb":
        assert int(status[kind], 16) == 0, f"{kind} {status[kind]}"
    assert status["NoNewPrivs"] == "1"
    users, groups = set(status["Uid"].split()), set(status["Gid"].split())
    assert len(users) == 1 and len(groups) == 1
    if netns.has_other_users():
        assert users != {"0"} and groups != {"0"}
        assert int(status["CapBnd"], 16) == 0       # so that no program could give it back
        assert not set(status["Groups"].split()) - groups


@needs("setcap", "setpriv")
@needs_others
def test_capabilities_of_the_file_stay_with_nobody(network):
    """The guard drops them; the keeper of the command, which has no other user to become, does as well."""
    program = services.for_everybody(services.softnet_path())
    netns.run("setcap", "cap_net_admin+ep", program)
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        guard = network.start(["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", program, "run", "-v",
                               "--vm-mac-address", MAC, "--uplink", f"fd:{there.fileno()}", "--", "sleep", "1000"],
                              pass_fds=[there.fileno()])
        look_at_capabilities(guard)


def look_at_capabilities(guard):
    guard.wait_line("gateway MAC addresses", 20)
    netns.wait_for(lambda: "softnet-run" in netns.children_of(guard.pid).values(), 5, "the process that keeps the command")
    guards = [guard.pid, *(pid for pid, name in netns.children_of(guard.pid).items() if name != "softnet")]
    netns.wait_for(lambda: all(int(status_of(pid)["CapPrm"], 16) == 0 for pid in guards), 5, "no capabilities")
    assert "softnet-run" in [status_of(pid)["Name"] for pid in guards]
    assert ends_in_a_second(guard, signal.SIGTERM) == 143


def test_terminal_that_nobody_reads_holds_up_no_frame():
    """It takes a part of a line, and a write would wait for room for the rest."""
    master, slave = pty.openpty()
    guest, guests = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    uplink, uplinks = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    uplink.settimeout(5)
    with guest, guests, uplink, uplinks:
        guard = subprocess.Popen([services.softnet_path(), "--vm-fd", str(guests.fileno()), "--uplink",
                                  f"fd:{uplinks.fileno()}", "--vm-mac-address", MAC, *STATIC, "--verbose"],
                                 stdin=subprocess.DEVNULL, stderr=slave, pass_fds=[guests.fileno(), uplinks.fileno()])
        try:
            for _ in range(300):                # a summary each, some 25 KB in all
                guest.send(DATA)
                assert uplink.recv(2000) == DATA
                guard.send_signal(signal.SIGUSR1)
            assert len(os.read(master, 1 << 20)) > 0
        finally:
            guard.kill()
            guard.wait()
            os.close(master)
            os.close(slave)


@pytest.mark.parametrize("count", [4, 40])
def test_more_descriptors_than_announced(count):
    """By --sudo-escalation-done, from a user who may start softnet as root: more than there is a place for."""
    here, there = socket.socketpair()
    with here, there, open("/dev/null") as null:
        socket.send_fds(here, [b"\0"], [null.fileno()] * count)
        done = subprocess.run([services.softnet_path(), "--sudo-escalation-done", "--vm-fd", "100", "--vm-mac-address", MAC],
                              stdin=there, capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stderr) == \
        (1, "softnet: --sudo-escalation-done: at least 4 descriptors came instead of 2\n")
