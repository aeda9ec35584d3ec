"""The program for macOS, built for Linux with doubles of Apple's frameworks (tests/macos), and the network behind them.

    raw guest (a socket) -- softnet -- double of vmnet -- Wire (a socket), or a tap in a bridge
"""

import contextlib
import os
import pathlib
import re
import socket

import pytest

import netns
import rawguest
import services

MAC = "52:54:00:00:00:0a"
VARIANTS = "address", pytest.param("thread", marks=pytest.mark.long)     # the sanitizers in it


def program(variant):
    directory = pathlib.Path(os.environ.get("SOFTNET_MACOS_BUILDS", services.CHECKOUT / "build" / "macos"))
    return directory / variant / "softnet-macos"


def skip_unless_possible(variant):
    if not os.access(program(variant), os.X_OK):
        pytest.skip("not built: make macos-doubles")
    if not netns.has_other_users():
        pytest.skip("macOS always has another user to become, and this namespace has none")


def as_uplink(monkeypatch):
    """Tests of softnet from here on are of the one for macOS, where they give it --uplink tap:..."""
    skip_unless_possible("address")
    monkeypatch.setenv("SOFTNET", str(services.CHECKOUT / "tests" / "macos" / "softnet-on-linux"))
    monkeypatch.setenv("SOFTNET_MACOS", str(program("address")))


def swallow(connected):
    """Read what is there. Not by recv(), which waits for the socket's timeout where the peer has just ended."""
    with contextlib.suppress(OSError):
        while os.read(connected.fileno(), 65550):
            pass


class Wire:
    """The other end of the double's socket: frames that left, and frames to come in."""

    def __init__(self, path):
        self.path = path
        # How many datagrams a socket queues: a setting of the network namespace, and this one is ours.
        setting = pathlib.Path("/proc/sys/net/unix/max_dgram_qlen")
        usual = setting.read_text()
        setting.write_text("512")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        setting.write_text(usual)
        self.socket.bind(str(path))
        self.socket.settimeout(10)

    def meet(self):
        """The double says where it is with its first datagram."""
        self.socket.connect(self.socket.recvfrom(16)[1])

    def send(self, *frames):
        for frame in frames:
            self.socket.send(frame)

    def receive(self):
        return self.socket.recv(65550)

    def close(self):
        self.socket.close()
        self.path.unlink()


class Mac:
    """A machine on which to start it. What ends wrong, by a sanitizer or a double, has a status of its own."""

    def __init__(self, network, monkeypatch, variant):
        self.network, self.program = network, program(variant)
        self.environment = monkeypatch.setenv
        self.log_path, self.preferences = network.logs / "doubles.log", network.logs / "preferences"
        self.preferences.write_text("bootpd.DHCPLeaseTimeSecs=86400\nbootpd.keep=7\nother=stays\n")
        self.wire = None
        self.environment("FAKE_LOG", str(self.log_path))
        self.environment("TSAN_OPTIONS", "atexit_sleep_ms=0")
        self.environment("FAKE_PREFERENCES", str(self.preferences))
        self.environment("FAKE_GATEWAY", "192.168.77.1")

    def socket_wire(self):
        self.wire = Wire(self.network.logs / "wire")
        self.environment("FAKE_WIRE", f"unix:{self.wire.path}")

    def tap_wire(self):
        self.environment("FAKE_WIRE", "tap:u-mac,bridge=br0")

    def fault(self, text):
        self.environment("FAKE_FAULTS", text)

    def guest(self, *options):
        guest = rawguest.RawGuest(self.network, MAC, *options, program=self.program)
        if self.wire:
            self.wire.meet()
        return guest

    def start(self, *options):
        """Without a guest that speaks."""
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with there:
            process = self.network.start([self.program, "--vm-fd", str(there.fileno()), "--vm-mac-address", MAC, "-v",
                                          *options], kind=services.Softnet, pass_fds=[there.fileno()])
        process.guest_socket = here     # as long as the process is known
        return process

    def log(self):
        return self.log_path.read_text().splitlines() if self.log_path.exists() else []

    def logged(self, pattern):
        """Matches of all lines."""
        return [match for match in (re.search(pattern, line) for line in self.log()) if match]

    def wait_logged(self, pattern, count=1):
        return netns.wait_for(lambda: len(self.logged(pattern)) >= count and self.logged(pattern), 10,
                              f"{pattern} in the log of the doubles")

    def close(self):
        if self.wire:
            self.wire.close()
