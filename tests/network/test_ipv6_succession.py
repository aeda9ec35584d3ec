"""A router or DHCPv6 server of the guest's is replaced, or a neighbor only says so. Nothing is named.

    guest eth0 -- softnet -- br0 -- eth0 gateway (radvd, Kea) -- internet
                              `---- eth0 other (the same, later)
"""

import socket
import threading
import time

import pytest

import ipv6_peers
from dhcp_peers import mac_bytes, needs_peers
from ipv6_peers import GATEWAY, GATEWAY_LINK_LOCAL, GATEWAY_MAC, INTERNET, POOL, PREFIX, Guest6, packet, radvd, \
    start_client, with_checksum
from netns import wait_for

OTHER_MAC, OTHER_LINK_LOCAL = "52:54:00:00:00:02", "fe80::5054:ff:fe00:2"
MANAGED = "AdvManagedFlag on;"
pytestmark = needs_peers("radvd", "dhclient", server="kea-dhcp6")


@pytest.fixture
def segment(segment6, softnet):
    """Another router of the same networks, whose card is down."""
    segment6.other = ipv6_peers.add_router(segment6, "other", OTHER_MAC)
    segment6.other.ip(f"address add {INTERNET}/128 dev lo")
    segment6.other.ip("link set eth0 down")
    return segment6


def claim(segment, source, target, mac):
    """An unsolicited Neighbor Advertisement, as a thief sends it: target's MAC is this one."""
    octets = socket.inet_pton(socket.AF_INET6, target)
    message = with_checksum(source, "ff02::1", 58, b"\x88\0\0\0\xa0\0\0\0" + octets + b"\2\1" + mac_bytes(mac), 2)
    return mac_bytes("33:33:00:00:00:01") + mac_bytes(mac) + b"\x86\xdd" + packet(source, "ff02::1", 58, message, 255)


def seconds_without_network(guest, most):
    begin = time.monotonic()
    wait_for(lambda: " 0% packet loss" in guest.ping(wait=0.5, check=False), most, "the network to come back")
    return round(time.monotonic() - begin, 1)


@pytest.mark.parametrize("address", ["same", "other"])
def test_router_is_replaced(segment, address):
    """Its address moves to another MAC, as with VRRP without a MAC of its own; or another router takes over."""
    first = radvd(segment, segment.gateway, PREFIX, lifetime=1800)
    guest = Guest6(segment, "vm")
    guest.wait_eui64()
    guest.wait_router()
    guest.ping()
    first.signal(9)
    segment.gateway.ip("link set eth0 down")
    other = segment.other
    other.set_ipv6("eth0", addr_gen_mode=1)
    other.ip("link set eth0 up")
    other.ip(f"address add {GATEWAY_LINK_LOCAL if address == 'same' else OTHER_LINK_LOCAL}/64 dev eth0 nodad")
    other.ip(f"address add {GATEWAY}/64 dev eth0 nodad")
    radvd(segment, other, PREFIX, lifetime=1800)
    took = seconds_without_network(guest, 30)
    assert took < 30
    print(address, "address:", took, "s")
    guest.guard.wait_line(f"gateway learned: .* at {OTHER_MAC}")


@pytest.mark.long
def test_living_router_keeps_its_place(segment):
    """A neighbor claims its address, and advertises itself, twenty times a second: not a packet is lost."""
    radvd(segment, segment.gateway, PREFIX, lifetime=1800)
    guest = Guest6(segment, "vm")
    guest.wait_eui64()
    guest.wait_router()
    other = segment.other
    other.ip("link set eth0 up")
    wire, over = other.wire("eth0"), threading.Event()

    def shout():
        while not over.wait(0.05):
            wire.send(claim(segment, GATEWAY_LINK_LOCAL, GATEWAY_LINK_LOCAL, OTHER_MAC))
    shouting = threading.Thread(target=shout)
    shouting.start()
    radvd(segment, other, ipv6_peers.OTHER_PREFIX, lifetime=1800)
    for _ in range(8):
        guest.namespace.ip("-6 neigh flush dev eth0")   # it has to ask anew, and be answered by the right one
        assert " 0% packet loss" in guest.ping(count=5)
    over.set()
    shouting.join()
    wire.close()
    assert GATEWAY_MAC in guest.namespace.ip("-6 neigh show dev eth0")
    assert not guest.addresses(ipv6_peers.OTHER_PREFIX)
    counters = guest.guard.counters()
    assert counters.dropped("uplink", "nd-gateway-spoof") > 20 and counters.dropped("uplink", "ra-untrusted") > 0
    assert not [line for line in guest.guard.output() if OTHER_MAC in line and "learned" in line]


@pytest.mark.long
def test_server_is_replaced(segment):
    """The server dies for good. Another has its leases, and answers the rebinding; the router is the same."""
    other = segment.other
    other.ip("link set eth0 up")
    radvd(segment, segment.gateway, PREFIX, options=MANAGED, lifetime=1800)
    first = ipv6_peers.kea6(segment, segment.gateway, POOL, 60, None, 2, 4)
    guest = Guest6(segment, "vm")
    start_client(segment, guest, "dhclient")
    guest.guard.wait_line("DHCP server learned: " + GATEWAY_LINK_LOCAL, 5)
    first.stop()
    (segment.logs / "other.csv").write_bytes(first.leases.read_bytes())
    ipv6_peers.kea6(segment, other, POOL, 60, None, 2, 4, name="other")
    guest.guard.wait_line(f"lease renewed: {guest.address} for .* from {OTHER_LINK_LOCAL}$", 40)
    guest.guard.wait_line(f"DHCP server learned: {OTHER_LINK_LOCAL} at {OTHER_MAC}")
    guest.ping(source=guest.address)
