"""Records every frame that passes a guard, on both of its sides, and lets the oracle judge them when the test ends.

    victim = watch("victim", "52:54:00:00:00:0a")       # a namespace behind a guard, with a capture on each side

A frame that softnet writes into its uplink tap comes *in* from the kernel's point of view; what the bridge sends to the
guest goes out there. A capture that lost a frame fails, for it could have been the forbidden one.
"""

import contextlib
import select
import socket
import struct
import threading
import time

import pytest

import netns
import oracle
import oracle6
import oracle_base
import services

PACKET_STATISTICS, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE, SO_TIMESTAMPNS = 6, 23, 33, 35
GATEWAY_MAC, GATEWAY_LINK_LOCAL = "52:54:00:00:00:01", "fe80::5054:ff:fe00:1"


class Capture:
    """All frames on one interface, each with the kernel's time. `incoming` and `outgoing` say what a frame in that
    direction is to the oracle; None: not kept."""

    def __init__(self, namespace, interface, incoming, outgoing=None):
        self.meaning = incoming, outgoing
        self.records, self.lost = [], 0
        self.interface = interface
        with namespace.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.has_room = True
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        except OSError:
            self.has_room = False
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(netns.SOL_PACKET, netns.PACKET_AUXDATA, 1)
        if outgoing is None:                # else a flood would fill the buffer with what is not wanted
            with contextlib.suppress(OSError):
                self.socket.setsockopt(netns.SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        with namespace.entered():
            self.socket.bind((interface, netns.ETH_P_ALL))
        self.socket.setblocking(False)
        self.stalls = netns.Stalls(0.05).__enter__()
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.ending.is_set():
            if select.select([self.socket], [], [], 0.1)[0]:
                self._drain()

    def _drain(self):
        with self.lock:
            while True:
                try:
                    data, beside, _, address = self.socket.recvmsg(65550, 512)
                except OSError:         # nothing there now; or the interface is gone, and with it all that could come
                    return
                where = self.meaning[address[2] == socket.PACKET_OUTGOING]
                if where:
                    self.records.append(oracle_base.Record(kernel_time(beside), where, netns.with_vlan_tag(data, beside)))

    def stop(self):
        """Everything up to now is in the records when this returns."""
        self.ending.set()
        self.thread.join()
        self.stalls.__exit__()
        self._drain()
        with contextlib.suppress(OSError):
            self.lost += struct.unpack("II", self.socket.getsockopt(netns.SOL_PACKET, PACKET_STATISTICS, 8))[1]
        self.socket.close()
        return self.records

    def so_far(self):
        with self.lock:
            return list(self.records)


def kernel_time(beside):
    for level, kind, value in beside:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", value[:16])
            return seconds + nanoseconds / 1e9
    return time.time()


class Guarded:
    """A namespace behind a guard, watched on both sides."""

    def __init__(self, network, name, mac, options=(), router="192.168.77.1", **rules):
        self.network, self.name, self.mac = network, name, mac
        self.namespace = network.namespace(name, ipv6=False)
        ipv6 = oracle6.Port6(mac, GATEWAY_LINK_LOCAL, GATEWAY_MAC) if guards_ipv6(options) else None
        self.port = oracle.Port(mac=mac, router=router, router_mac=GATEWAY_MAC, ipv6=ipv6, **rules)
        self.guard = services.guard(network, self.namespace, mac, "br0", *options, name=f"softnet-{name}")
        self.captures = [Capture(network.host, f"u-{name}"[:15], oracle.LEFT, oracle.ARRIVED),
                         Capture(self.namespace, "eth0", oracle.DELIVERED)]

    def lease(self):
        self.client = services.udhcpc(self.network, self.namespace)
        self.address = services.address_of(self.namespace)
        return self.address

    def left(self):
        """The frames that left so far."""
        return [record.data for record in self.captures[0].so_far() if record.where == oracle.LEFT]

    def delivered(self):
        return [record.data for record in self.captures[1].so_far()]

    def dropped(self, *reasons):
        return self.guard.counters().dropped("guest", *reasons)

    def check(self):
        assert self.guard.running, f"softnet of {self.name} has ended: {self.guard.output()[-10:]}"
        check_captures(self.port, self.captures, self.name)

    def close(self):
        for capture in self.captures:
            if not capture.ending.is_set():
                capture.stop()


def guards_ipv6(options):
    """Without --ipv6: rules that were written for IPv4 alone switch IPv6 off."""
    rules = [word for option in options if option.startswith(("--allow=", "--block="))
             for word in option.partition("=")[2].split(",") if not word.startswith("@")]
    return any(":" in word for word in rules) or not any("." in word for word in rules)


def check_captures(port, captures, name, more=()):
    """Stop the captures, and let the oracle judge what they have, and more records."""
    records = [*(record for capture in captures for record in capture.stop()), *more]
    for capture in captures:
        if capture.lost and not capture.has_room:
            pytest.skip("frames were lost to the capture, for only root has a buffer that holds them all")
        assert capture.lost == 0, f"the capture on {capture.interface} lost {capture.lost} frames"
    assert any(record.where == oracle.LEFT for record in records), f"nothing ever left {name}: what was tested?"
    oracle.check(port, records, name, max(capture.stalls.added_to(oracle_base.SLACK) for capture in captures))


@pytest.fixture
def watch(segment, softnet):
    """Makes guarded, watched namespaces on the segment's bridge; when the test ends, no frame may be forbidden."""
    made = []

    def make(name, mac, *options, **rules):
        made.append(Guarded(segment, name, mac, options, **rules))
        return made[-1]
    yield make
    try:
        for guarded in made:
            guarded.check()
    finally:
        for guarded in made:
            guarded.close()
