"""A guest that wants all that DHCPv6 servers have, and what its neighbors have: real servers, one hostile guest.

    raw guest -- softnet -- br0 -- eth0 gateway (radvd and Kea, or dnsmasq)
"""

import contextlib
import csv
import itertools
import os
import random
import socket
import struct
import time

import pytest

import ipv6_peers
from dhcp_peers import all_of, mac_bytes, needs_peers
from ipv6_peers import POOL, PREFIX, eui64, icmp6_of, packet, radvd, with_checksum
from netns import NetworkError
from rawguest import RawGuest

SECONDS = float(os.environ.get("HOSTILE_SECONDS", "5"))
SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE = range(1, 10)
IA_NA, IA_TA, IA_PD = 3, 4, 25
DELEGATED = "2a00:7700:9::/56"      # 256 prefixes


def option(code, value):
    return struct.pack("!HH", code, len(value)) + value


def address_in(prefix, number):
    return socket.inet_pton(socket.AF_INET6, ipv6_peers.text(ipv6_peers.number(prefix.split("/")[0]) + number))


def ia(kind, iaid, *items):
    inner = b"".join(option(26, struct.pack("!IIB", 0, 0, 64) + item) if kind == IA_PD else
                     option(5, item + bytes(8)) for item in items)
    return option(kind, struct.pack("!I", iaid) + (b"" if kind == IA_TA else bytes(8)) + inner)


def other_duid(guest, number):
    return b"\0\2\0\0\0\1" + bytes([guest, number])


class Hostile(RawGuest):
    def __init__(self, network, number, *options):
        super().__init__(network, f"52:54:00:00:01:{number:02x}", "--uplink", f"tap:u-raw{number},bridge=br0", *options,
                         name=f"softnet-{number}")
        self.duids = {(b"\0\3\0\1" + mac_bytes(self.mac)).hex(), *[other_duid(number, n).hex() for n in range(4)]}
        self.number, self.duid, self.address = number, b"\0\3\0\1" + mac_bytes(self.mac), eui64("fe80::/64", self.mac)
        self.ids = itertools.count(0x1000)
        self.server = None

    def receive(self, timeout=5):
        """It answers who asks for its MAC, as the server does before it sends anything."""
        frame = super().receive(timeout)
        found = icmp6_of(frame) if frame else None
        target = socket.inet_ntop(socket.AF_INET6, found[3][8:24]) if found and found[0] == 135 else None
        if target == self.address and found[1] != "::":
            answer = with_checksum(target, found[1], 58, b"\x88\0\0\0\x60\0\0\0" + found[3][8:24] + b"\2\1" +
                                   mac_bytes(self.mac), 2)
            self.send(frame[6:12] + mac_bytes(self.mac) + b"\x86\xdd" + packet(target, found[1], 58, answer, 255))
        return frame

    def message(self, kind, *associations, transaction=None, duid=None, rapid=False, server=True):
        transaction = next(self.ids) if transaction is None else transaction
        body = struct.pack("!I", kind << 24 | transaction) + option(1, duid or self.duid)
        if server and self.server and kind in (REQUEST, RENEW, RELEASE, DECLINE):
            body += option(2, self.server)
        body += option(8, b"\0\0") + (option(14, b"") if rapid else b"") + b"".join(associations)
        source, to = self.address, "ff02::1:2"
        datagram = with_checksum(source, to, 17, struct.pack("!HHHH", 546, 547, 8 + len(body), 0) + body, 6)
        self.send(mac_bytes("33:33:00:01:00:02") + mac_bytes(self.mac) + b"\x86\xdd" + packet(source, to, 17, datagram, 1))
        return transaction

    def wait_message(self, kind, timeout=5):
        frame = self.wait_frame(lambda frame: frame[12:14] == b"\x86\xdd" and frame[20] == 17 and
                                frame[56:58] == b"\x02\x22" and frame[62] == kind, timeout, f"DHCPv6 message {kind}")
        return frame[66:]

    def find_server(self):
        """Its DUID, out of an Advertise."""
        self.message(SOLICIT, ia(IA_NA, 1))
        options, at = self.wait_message(ADVERTISE), 0
        while at < len(options):
            code, octets = struct.unpack_from("!HH", options, at)
            if code == 2:
                self.server = options[at + 4:at + 4 + octets]
            at += 4 + octets
        return self.server


def serve(network, server):
    """Gives a function that tells which leases there are: (DUID, address) of each."""
    if server == "kea":
        radvd(network, network.gateway, PREFIX, options="AdvManagedFlag on;")
        process = ipv6_peers.kea6(network, network.gateway, POOL, 7200, delegated=DELEGATED, rapid=True)
        return lambda: {(row[1].replace(":", ""), row[0]) for row in csv.reader(process.leases.open()) if row[2] != "0"}
    process = ipv6_peers.dnsmasq(network, f"{POOL.replace('-', ',')},64,7200", options=["--dhcp-rapid-commit"])
    return lambda: {(row[4].replace(":", ""), row[2]) for row in map(str.split, process.leases()) if len(row) == 5}


def named(chance, count):
    return [address_in(PREFIX, 0x100 + chance.randrange(256)) for _ in range(count)]


def fresh_associations(guest, n, chance):
    guest.message(REQUEST, *[ia(IA_NA, n << 8 | i) for i in range(4)])


def addresses_of_one_association(guest, n, chance):
    guest.message(REQUEST, ia(IA_NA, 1, *named(chance, 4)))


def rebinding_what_nobody_leased(guest, n, chance):
    guest.message(REBIND, ia(IA_NA, n, *named(chance, 1)))


def rapid_commit(guest, n, chance):
    guest.message(SOLICIT, ia(IA_TA, n), duid=other_duid(guest.number, n % 4), rapid=True)


def prefixes(guest, n, chance):
    guest.message(REQUEST, *[ia(IA_PD, n << 8 | i, address_in(DELEGATED, chance.randrange(200) << 64)) for i in range(2)])


def give_back_and_take(guest, n, chance):
    """And do not let the guard see the answers: another message about the same ends the wait for them."""
    iaid, address = n // 4, address_in(PREFIX, 0x100 + n // 4 % 256)
    kind = [REQUEST, RENEW, RELEASE, DECLINE][n % 4]
    guest.message(kind, ia(IA_NA, iaid, address), transaction=n % 3 + 1)


def anything(guest, n, chance):
    kind = chance.choice([REQUEST, REQUEST, RENEW, REBIND, SOLICIT, RELEASE])
    found = [ia(chance.choice([IA_NA, IA_NA, IA_TA]), chance.randrange(40), *named(chance, chance.randrange(3)))]
    found += [ia(IA_PD, chance.randrange(40)) for _ in range(chance.randrange(2))]
    guest.message(kind, *found, rapid=kind == SOLICIT)


ATTACKS = [fresh_associations, addresses_of_one_association, rebinding_what_nobody_leased, rapid_commit, prefixes,
           give_back_and_take, anything]


def run_attack(guest, attack):
    """At the full rate that the guard lets through; answers arrive meanwhile."""
    guest.find_server()
    chance, end = random.Random(guest.number), time.monotonic() + SECONDS
    for n in itertools.count(2):
        if time.monotonic() > end:
            break
        attack(guest, n, chance)
        guest.drain()
        time.sleep(0.1)
    guest.wait_counted()


@needs_peers("radvd", "dnsmasq", server="kea-dhcp6")
@pytest.mark.parametrize("server", ["kea", "dnsmasq"])
def test_one_guest_takes_a_handful(segment6, softnet, server):
    leases = serve(segment6, server)
    guests = [Hostile(segment6, number) for number in range(len(ATTACKS))]
    for guest in guests:
        guest.guard.wait_line("gateway learned", 10)
    all_of(lambda pair: run_attack(*pair), [*zip(guests, ATTACKS)])
    time.sleep(0.5)
    taken = leases()
    for guest, attack in zip(guests, ATTACKS):
        own = {address for duid, address in taken if duid in guest.duids}
        delegated = {address for address in own if address.startswith("2a00:7700:9:")}
        print(f"{server}, {attack.__name__}: {len(own - delegated)} addresses, {len(delegated)} prefixes in {SECONDS} s;",
              guest.guard.counters())
        assert len(own - delegated) <= 6 and len(delegated) <= 2, attack.__name__
        guest.close()
    assert len(taken) >= 4 * 3          # or it was no attack


@needs_peers("radvd", "dnsmasq", server="kea-dhcp6")
@pytest.mark.parametrize("server", ["kea", "dnsmasq"])
def test_nobody_takes_a_neighbors_lease(segment6, softnet, server):
    """By naming it in any message: dnsmasq grants it to a client that rebinds."""
    leases = serve(segment6, server)
    victim, thief = Hostile(segment6, 1), Hostile(segment6, 2)
    for guest in victim, thief:
        guest.guard.wait_line("gateway learned", 10)
        guest.find_server()
    victim.message(REQUEST, ia(IA_NA, 1, address_in(PREFIX, 0x155)))
    victim.wait_message(REPLY)
    stolen = victim.guard.wait_line(r"lease new: (\S+) ").group(1)
    for kind in REBIND, RENEW, REQUEST, SOLICIT, CONFIRM, DECLINE, RELEASE:
        thief.message(kind, ia(IA_NA, 7, socket.inet_pton(socket.AF_INET6, stolen)), rapid=kind == SOLICIT)
        with contextlib.suppress(NetworkError):
            thief.wait_message(REPLY, 0.5)
    assert {duid for duid, address in leases() if address == stolen} == {victim.duid.hex()}
    assert not [line for line in thief.guard.output() if f": {stolen} " in line]
    for guest in victim, thief:
        guest.close()
