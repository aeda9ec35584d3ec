"""Names: a server that puts its clients' names into DNS, a guest that has one, and another that would like to have it.

    guests -- softnet -- br0 192.168.77.1 of the host, with dnsmasq for DHCP of both families and DNS
"""

import itertools
import re
import socket
import struct
import time

import pytest

import dhcp_peers
import rawguest
import services
from conftest import needs
from dhcp_peers import GATEWAY, Guest, start_client

VICTIM = "db"
ATTACKER = "52:54:00:00:00:99"
LINK_LOCAL = "fe80::5054:ff:fe00:99"
MARKS = itertools.count(7001)


@pytest.fixture
def named(network, softnet):
    hosted = dhcp_peers.hosted(network)
    hosted.host.set_ipv6("br0", disable_ipv6=0, accept_dad=0)
    hosted.host.ip("address add fd00:77::1/64 dev br0 nodad")
    hosted.dns = hosted.start([
        "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--group=root", "--pid-file=", "--interface=br0",
        "--bind-interfaces", "--no-resolv", "--no-hosts", "--no-ping", "--log-dhcp", "--dhcp-authoritative",
        "--dhcp-range=192.168.77.10,192.168.77.50,600s", "--dhcp-range=fd00:77::10,fd00:77::50,64,600s", "--enable-ra",
        f"--dhcp-leasefile={hosted.logs}/leases"], hosted.host, name="dns")
    hosted.dns.wait_line("DHCP, sockets bound")
    return hosted


def ask(network, name, kind=1):
    """What the server answers for this name: addresses of IPv4 (kind 1) or IPv6 (28)."""
    question = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + bytes([len(name)]) + name.encode() + b"\0" + \
        struct.pack("!HH", kind, 1)
    with network.host.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with client:
        client.settimeout(5)
        client.sendto(question, (GATEWAY, 53))
        answer = client.recv(512)
    assert answer[:2] == b"\0\7"
    length = 4 if kind == 1 else 16
    family = socket.AF_INET if kind == 1 else socket.AF_INET6
    return [socket.inet_ntop(family, answer[at + 12:at + 12 + length])
            for at in [match.start() for match in re.finditer(b"\xc0\x0c", answer)]]


def spellings(name):
    """The name in each way in which a client of DHCPv4 can say it, each a whole option."""
    octets = name.encode()
    labels = bytes([len(octets)]) + octets + b"\0"
    for code, value in ((12, octets), (12, octets.upper()), (12, octets + b"\0"), (81, b"\1\0\0" + octets),
                        (81, b"\5\0\0" + labels)):
        yield bytes([code, len(value)]) + value


def message6(kind, name, iaid):
    """SOLICIT with rapid commit, or INFORMATION-REQUEST, as the attacker sends it."""
    duid = b"\0\1\0\x0a\0\3\0\1" + rawguest.mac_bytes(ATTACKER)
    labels = bytes([len(name)]) + name.encode() + b"\0"
    body = bytes([kind]) + b"\1\2\3" + duid + b"\0\x27" + struct.pack("!H", 1 + len(labels)) + b"\1" + labels + \
        b"\0\x0e\0\0" + b"\0\3\0\x0c" + iaid.to_bytes(4, "big") + bytes(8)
    source, to = socket.inet_pton(socket.AF_INET6, LINK_LOCAL), socket.inet_pton(socket.AF_INET6, "ff02::1:2")
    udp = struct.pack("!HHHH", 546, 547, 8 + len(body), 0) + body
    total = source + to + struct.pack("!II", len(udp), 17) + udp + bytes(len(udp) % 2)
    check = sum(struct.unpack(f"!{len(total) // 2}H", total))
    while check >> 16:
        check = (check & 0xffff) + (check >> 16)
    udp = udp[:6] + struct.pack("!H", ~check & 0xffff) + udp[8:]
    return b"\x33\x33\0\1\0\2" + rawguest.mac_bytes(ATTACKER) + b"\x86\xdd\x60\0\0\0" + \
        struct.pack("!HBB", len(udp), 17, 1) + source + to + udp


def attack(network, raw, name):
    """Says it in every way; returns when the server has read all that reached it, up to a message without a name."""
    for number, option in enumerate(spellings(name), 1):
        for kind, more in (1, b""), (3, b"\x32\4" + socket.inet_aton("192.168.77.20")):
            raw.send(rawguest.udp(ATTACKER, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", 68, 67,
                                  rawguest.dhcp(ATTACKER, kind, number, option + more)))
    raw.send(message6(1, name, 7))
    mark = next(MARKS)
    raw.send(rawguest.udp(ATTACKER, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", 68, 67,
                          rawguest.dhcp(ATTACKER, 1, mark)))
    network.dns.wait_line(f" {mark} DHCPDISCOVER")
    time.sleep(0.2)     # DHCPv6 has a socket of its own


@needs("dnsmasq")
def test_no_tenant_takes_anothers_name(named):
    victim = Guest(named, "victim", "--dhcp-hostname", VICTIM)
    start_client(named, victim, "udhcpc", "-x", f"hostname:{VICTIM}")
    assert ask(named, VICTIM) == [victim.address]

    def attacker(*options):
        return rawguest.RawGuest(named, ATTACKER, "--uplink", "tap:u-raw,bridge=br0", "--rate", "dhcp=1/0", *options)
    raw = attacker("--dhcp-hostname", "web1")
    attack(named, raw, VICTIM)
    assert ask(named, VICTIM) == [victim.address] and ask(named, VICTIM, 28) == []
    attack(named, raw, "wpad")
    assert ask(named, "wpad") == [] and raw.guard.counters().dropped("guest", "dhcp-hostname") == 22
    # Its own name, in any spelling, is its own.
    attack(named, raw, "web1")
    assert len(ask(named, "web1")) == 1 and raw.guard.counters().dropped("guest", "dhcp-hostname") == 22
    raw.guard.stop()
    raw.close()

    # Without the option the server gives the name to the last who asks: the attack is real. But nobody is wpad.
    raw = attacker()
    attack(named, raw, "wpad")
    assert ask(named, "wpad") == []
    attack(named, raw, VICTIM)
    assert ask(named, VICTIM) not in ([], [victim.address]) or ask(named, VICTIM, 28) != []
    raw.guard.stop()
    raw.close()
    assert victim.guard.counters().dropped("guest", "dhcp-hostname") == 0
    assert services.address_of(victim.namespace) == victim.address
