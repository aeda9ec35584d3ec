"""Hellos in segments that no kernel would send, made by scapy: docs/names.md, TCP."""

import contextlib
import itertools
import time

import pytest
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

import names_peers
import netns
from conftest import needs, needs_others
from names_peers import CDN, CLOSED, GATEWAY, GOOD, MAC, MAC_OF_GATEWAY, hello
from rawguest import RawGuest

GUEST = "192.168.77.20"

# nginx and dnsmasq become other users, or try to.
pytestmark = [needs("nginx", "dig"), needs_others]


@pytest.fixture(scope="module")
def world(tmp_path_factory, softnet):
    folder = tmp_path_factory.mktemp("names")
    with netns.Network(folder) as network:
        world = names_peers.World(network, folder)
        world.gateway.ip(f"neigh replace {GUEST} lladdr {MAC} dev eth0")
        yield world
        world.close()


ports = itertools.count(40000)     # the server remembers each for a while


class Connection:
    def __init__(self, guest, port):
        self.guest, self.port, self.own, self.theirs = guest, port, 1000, 0
        self.send(-1, b"", flags="S")
        syn_ack = self.answer(lambda tcp: tcp.flags == "SA")
        self.theirs = syn_ack.seq + 1
        self.send(0, b"")

    def send(self, at, data, flags="A", ttl=64):
        frame = Ether(src=MAC, dst=MAC_OF_GATEWAY) / IP(src=GUEST, dst=CDN, ttl=ttl) / TCP(
            sport=self.port, dport=443, seq=self.own + at, ack=self.theirs if flags != "S" else 0, flags=flags) / data
        self.guest.send(bytes(frame))

    def answer(self, is_meant, wait=10):
        """The first segment that is meant; None: there is none in time."""
        end = time.monotonic() + netns.patience(wait)
        while (left := end - time.monotonic()) > 0:
            frame = self.guest.receive(left)
            tcp = Ether(frame).getlayer(TCP) if frame else None
            if tcp is not None and tcp.dport == self.port and is_meant(tcp):
                return tcp
        return None

    def is_served(self, wait=10):
        tcp = self.answer(lambda tcp: len(tcp.payload) > 0 or "R" in str(tcp.flags), wait)
        return tcp is not None and bytes(tcp.payload)[:1] == b"\x16"


@pytest.fixture
def guest(world):
    guest = RawGuest(world.network, MAC, "--uplink", "tap:u-raw,bridge=br0", "--no-dhcp", f"--vm-ip={GUEST}/24",
                     f"--gateway={GATEWAY}", f"--gateway-mac={MAC_OF_GATEWAY}", f"--dns={GATEWAY}", *CLOSED,
                     f"--allow={GOOD}:tls")
    question = Ether(src=MAC, dst=MAC_OF_GATEWAY) / IP(src=GUEST, dst=GATEWAY) / UDP(sport=5000, dport=53) / DNS(
        id=7, rd=1, qd=DNSQR(qname=GOOD))

    def is_told():
        guest.send(bytes(question))
        frame = guest.receive(1)
        return frame is not None and Ether(frame).haslayer(DNS)
    netns.wait_for(is_told, 20, "the resolver to answer")
    yield guest
    guest.guard.stop()
    guest.close()


def pieces(flight, octets):
    return [(at, flight[at:at + octets]) for at in range(0, len(flight), octets)]


HONEST = {
    "whole": lambda good, evil: [(0, good)],
    "small": lambda good, evil: pieces(good, 20),
    "again": lambda good, evil: [piece for piece in pieces(good, 60) for _ in range(2)],
    "overlapping": lambda good, evil: [(at, good[at:at + 90]) for at in range(0, len(good), 45)],
    "out of order": lambda good, evil: [*reversed(pieces(good, 60)), *(piece for piece in pieces(good, 60) for _ in range(2))],
}

HOSTILE = {
    "another name": lambda good, evil: pieces(evil, 20),
    "another name, out of order": lambda good, evil: [*reversed(pieces(evil, 60)), *pieces(evil, 60)],
    # The first copy dies on its way, and the server would take the second.
    "the second says another name": lambda good, evil: [*((at, data, 1) for at, data in pieces(good, 60)[:-1]), *pieces(evil, 60)],
    "the first says another name": lambda good, evil: [*((at, data, 1) for at, data in pieces(evil, 60)[:-1]), *pieces(good, 60)],
    "the end is another's": lambda good, evil: [(0, good[:80]), (40, evil[40:])],
}


@pytest.mark.parametrize("case", HONEST)
def test_honest_segments(guest, case):
    good = hello(GOOD)
    one = Connection(guest, next(ports))
    for at, data in HONEST[case](good, None):
        one.send(at, data)
    assert one.is_served(), guest.guard.counters()


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_segments(world, guest, case):
    good = hello(GOOD)
    evil = good.replace(b"good", b"evil")
    one = Connection(guest, next(ports))
    with contextlib.closing(world.gateway.wire("eth0")) as wire:
        for at, data, *ttl in HOSTILE[case](good, evil):
            one.send(at, data, **({"ttl": ttl[0]} if ttl else {}))
        guest.wait_counted()
        assert not one.is_served(0.3)
        assert not any(b"evil" in bytes(frame) for frame in wire.frames())
    assert guest.guard.counters().dropped("guest", "name-denied", "hello-conflict", "hello-order") >= 1
