"""What keeps IPv6 traffic going: path MTU discovery, fragments, neighbor unreachability detection, multicast.

    guest eth0 -- softnet -- br0 -- eth0 gateway (radvd) -- internet
                              `---- neighbor
"""

import contextlib
import re
import socket
import struct
import time

import pytest

import dhcp_peers
import ipv6_peers
import services
from dhcp_peers import needs_peers
from ipv6_peers import GATEWAY_LINK_LOCAL, GATEWAY_MAC, INTERNET, Guest6, icmp6_of
from netns import wait_for

pytestmark = needs_peers("radvd", server="ping")
TOO_BIG, NS, NA = 2, 135, 136


@pytest.fixture
def segment(routed):
    return routed


@pytest.fixture
def guest(segment):
    guest = Guest6(segment, "vm")
    guest.address = guest.wait_eui64()
    guest.wait_router()
    return guest


def route_mtu(namespace, to):
    match = re.search(r"mtu (\d+)", namespace.ip(f"-6 route get {to}"))
    return int(match.group(1)) if match else None


def test_path_mtu_that_the_network_tells(segment, guest):
    """Behind the gateway only 1300 octets fit: without its message the upload would hang."""
    segment.gateway.ip("-6 route replace default via 2a00:7700:ffff::2 mtu 1300")
    wire = guest.namespace.wire("eth0")
    assert guest.exchange(bytes(300000)) == bytes(300000)
    told = [icmp6_of(frame) for frame in wire.frames()]
    assert TOO_BIG in [found[0] for found in told if found]
    assert route_mtu(guest.namespace, INTERNET) == 1300
    assert guest.ask(bytes(3000)) == bytes(3000)
    assert guest.guard.counters().dropped("guest") == 0


def test_path_mtu_that_the_guest_tells(segment, guest):
    """A guest that leads on to others, in a VPN say, tells who sends too much."""
    sent = ipv6_peers.packet(INTERNET, guest.address, 58, b"\x81\0" + bytes(1200))
    message = ipv6_peers.with_checksum(guest.address, INTERNET, 58, struct.pack("!BBHI", TOO_BIG, 0, 0, 1290) + sent, 2)
    frame = dhcp_peers.mac_bytes(GATEWAY_MAC) + dhcp_peers.mac_bytes(guest.mac) + b"\x86\xdd"
    assert route_mtu(segment.internet, guest.address) is None
    guest.namespace.wire("eth0").send(frame + ipv6_peers.packet(guest.address, INTERNET, 58, message))
    wait_for(lambda: route_mtu(segment.internet, guest.address) == 1290, 5, "the sender to believe it")
    # It now sends in pieces to the guest, which nobody cuts for it: so their length is seen.
    segment.internet.no_checksums("eth0")
    echo = services.Echo(guest.namespace, "::")
    wire = guest.namespace.wire("eth0")
    assert ipv6_peers.exchange(segment.internet, bytes(300000), guest.address) == bytes(300000)
    assert max(len(frame) for frame in wire.frames()) <= 14 + 1290
    echo.close()


def test_fragments_both_ways(segment, guest):
    echo = services.Echo(guest.namespace, "::")
    wire = guest.namespace.wire("eth0")
    for size in 1452, 1453, 3000, 20000:
        data = bytes(i & 0xff for i in range(size))
        assert guest.ask(data) == data
        assert ipv6_peers.ask(segment.internet, data, guest.address) == data
    echo.close()
    mac = dhcp_peers.mac_bytes(guest.mac)
    sources = [frame[6:12] for frame in wire.frames(outgoing=True) if frame[12:14] == b"\x86\xdd" and frame[20] == 44]
    assert sources.count(mac) == sources.count(dhcp_peers.mac_bytes(GATEWAY_MAC)) == 2 * (2 + 3 + 14)
    assert guest.guard.counters().dropped("guest") == 0


def test_neighbors_stay_reachable(segment, guest):
    """A minute of confirming and probing neighbors, in three seconds."""
    for namespace in guest.namespace, segment.gateway:
        namespace.set_ipv6("eth0", "neigh", base_reachable_time_ms=300, delay_first_probe_time=0, retrans_time_ms=200)
    wire = guest.namespace.wire("eth0")
    states = set()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        guest.ping(source=guest.address, wait=1)
        for namespace, address in (guest.namespace, GATEWAY_LINK_LOCAL), (segment.gateway, guest.address):
            states.update(namespace.ip(f"-6 neigh show {address} dev eth0").split()[-1:])
    assert "REACHABLE" in states and not states & {"FAILED", "INCOMPLETE"}, states
    # Each of the two was asked, and answered, more than once, and by unicast.
    probes = [(found[0], frame[6:12] == dhcp_peers.mac_bytes(guest.mac)) for frame in wire.frames(outgoing=True)
              if (found := icmp6_of(frame)) and found[0] in (NS, NA) and not frame[0] & 1]
    assert all(probes.count((kind, mine)) > 1 for kind in (NS, NA) for mine in (True, False)), probes
    assert guest.guard.counters().dropped("guest") == 0


def send_to_group(guest, group, port):
    with guest.namespace.entered(), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        sender.bind(("::", port))
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
        sender.sendto(b"who is there?", (group, port))


def test_multicast(segment, guest):
    """mDNS passes, both ways; LLMNR and other services of the link do not, but where a rule opens them."""
    neighbor = segment.namespace("neighbor")
    neighbor.set_ipv6(accept_ra=0)
    segment.join(neighbor, "eth0", "br0", mac="52:54:00:00:00:02")
    heard = neighbor.wire("eth0")
    send_to_group(guest, "ff02::fb", 5353)
    frame = heard.wait_frame(lambda frame: b"who is there?" in frame)
    assert frame[:6] == bytes.fromhex("3333000000fb") and frame[6:12] == dhcp_peers.mac_bytes(guest.mac)
    for group, port in ("ff02::1:3", 5355), ("ff02::c", 1900), ("ff02::fb", 5354), ("ff05::fb", 5353), ("ff02::1", 9):
        before = guest.guard.counters().dropped("guest", "dst-multicast")
        send_to_group(guest, group, port)
        guest.guard.wait_counters(lambda now: now.dropped("guest", "dst-multicast") > before, what=f"no to {group}")
    assert not [frame for frame in heard.frames() if b"who is there?" in frame]
    opened = Guest6(segment, "opened", "--allow", "ff02::1:3")
    opened.wait_eui64()
    send_to_group(opened, "ff02::1:3", 5355)
    heard.wait_frame(lambda frame: b"who is there?" in frame)
    # What comes from the link is the guest's own affair.
    wait_for(lambda: not ipv6_peers.is_waiting(neighbor.addresses()[0]), 5, "the neighbor's address")
    inside = guest.namespace.wire("eth0")
    neighbor_guest = type("", (), {"namespace": neighbor})
    send_to_group(neighbor_guest, "ff02::fb", 5353)
    inside.wait_frame(lambda frame: b"who is there?" in frame)


def test_static_address(segment):
    """--vm-ip: no DAD, no lease and no router is needed to be believed; others are still refused."""
    static = "2a00:7700:1:1::77"
    guest = Guest6(segment, "vm", "--vm-ip", f"{static}/64", ipv6={"accept_ra": 0, "accept_dad": 0})
    guest.namespace.ip(f"address add {static}/64 dev eth0")
    guest.namespace.ip(f"-6 route add default via {GATEWAY_LINK_LOCAL} dev eth0")
    wait_for(lambda: "1 received" in guest.ping(source=static, check=False), 5, "a reply")
    assert guest.exchange(bytes(100000)) == bytes(100000)
    segment.internet.run("ping", "-6", "-c", "1", "-W", "2", static)
    guest.try_to_send(static, segment.far)
    guest.try_to_send("2a00:7700:1:1::78", segment.far, "ip6-src-unbound")


def test_destinations(segment, guest):
    """What is open without a rule, with one, and what is not: on real connections."""
    lan, site = "fd00:10::1", "2a00:7700:1:2::1"    # private; and in the /48 around the guest's prefix
    for address in lan, site:
        segment.gateway.ip(f"address add {address}/128 dev lo")
    echoes = [services.Echo(segment.gateway, address) for address in (lan, site)]

    def reaches(guest, address):
        with contextlib.suppress(OSError):
            return guest.exchange(b"hello", address, timeout=0.5) == b"hello"
        return False
    allowed = Guest6(segment, "allowed", "--allow", "fd00:10::/64,2a00:7700:1:2::/64")
    closed = Guest6(segment, "closed", "--block", "::/0", "--allow", lan)
    for other in allowed, closed:
        other.wait_eui64()
    assert [reaches(guest, address) for address in (INTERNET, lan, site)] == [True, False, False]
    assert guest.guard.counters().dropped("guest", "dst-private") > 0
    assert guest.guard.counters().dropped("guest", "dst-local-net") > 0
    assert [reaches(allowed, address) for address in (INTERNET, lan, site)] == [True, True, True]
    assert [reaches(closed, address) for address in (INTERNET, lan, site)] == [False, True, False]
    assert closed.guard.counters().dropped("guest", "dst-blocked") > 0
    for echo in echoes:
        echo.close()
