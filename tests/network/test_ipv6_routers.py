"""Routers that change their minds, go away or are not to be trusted, and what a guest may do then.

    guest eth0 -- softnet -- br0 -- eth0 gateway (radvd) -- internet
                              `---- eth0 other (radvd)
"""

import contextlib
import errno
import time

import pytest

import dhcp_peers
import ipv6_peers
import services
from dhcp_peers import needs_peers
from ipv6_peers import GATEWAY_LINK_LOCAL, GATEWAY_MAC, INTERNET, OTHER_PREFIX, PREFIX, RESOLVER, Guest6, eui64, radvd
from netns import wait_for

OTHER_INTERNET = "2620:fe::fe"
OTHER_MAC, OTHER_LINK_LOCAL = "52:54:00:00:00:02", "fe80::5054:ff:fe00:2"
pytestmark = needs_peers("radvd", server="ping")


@pytest.fixture
def segment(segment6, softnet):
    segment6.gateway.ip(f"address add {OTHER_PREFIX[:-3]}1/64 dev eth0")
    return segment6


@pytest.fixture
def other(segment):
    """A second router, with an internet of its own."""
    segment.gateway.ip(f"address delete {OTHER_PREFIX[:-3]}1/64 dev eth0")
    other = ipv6_peers.add_router(segment, "other", OTHER_MAC, f"{OTHER_PREFIX[:-3]}1/64")
    other.ip(f"address add {OTHER_INTERNET}/128 dev lo")
    return other


def is_gone(guest, prefix):
    return not any(ipv6_peers.within(each["local"], prefix) for each in guest.namespace.addresses())


def test_new_prefix_and_old_one_deprecated(segment):
    router = radvd(segment, segment.gateway, PREFIX)
    guests = [Guest6(segment, "vm"), Guest6(segment, "opaque", ipv6=ipv6_peers.OPAQUE)]
    old = [guest.wait_address() for guest in guests]
    router.reload((PREFIX, 600, 0), OTHER_PREFIX)
    for guest, address in zip(guests, old):
        new = guest.wait_address(OTHER_PREFIX)
        wait_for(lambda: guest.addresses(PREFIX, deprecated=True) == [address], 5, "the old address to be deprecated")
        echo = services.Echo(segment.internet, INTERNET)
        guest.ask(b"hello")
        guest.ask(b"hello", source=address)         # old connections go on
        assert echo.clients == [new, address]
        echo.close()
        segment.internet.run("ping", "-6", "-c", "1", "-W", "2", new)
        assert guest.guard.counters().dropped("guest") == 0


@pytest.mark.long
def test_prefix_that_runs_out(segment):
    """The guard takes the address away when the guest's kernel does: never before, and not much later."""
    router = radvd(segment, segment.gateway, PREFIX, valid=5, preferred=5, lifetime=30)
    guests = [Guest6(segment, "vm"), Guest6(segment, "opaque", ipv6=ipv6_peers.OPAQUE)]
    for guest in guests:
        guest.address = guest.wait_address()
    router.signal(9)

    def use(guest):
        answers = lost = 0
        while True:
            try:
                answers += guest.ask(b"hello", source=guest.address) == b"hello"
            except TimeoutError:
                lost += 1           # the guard heard the router a moment before a busy guest did
                assert lost == 1
            except OSError as error:
                assert error.errno == errno.EADDRNOTAVAIL
                return answers
            time.sleep(0.05)
    echo = services.Echo(segment.internet, INTERNET)
    assert min(dhcp_peers.all_of(use, guests)) > 10
    echo.close()
    for guest in guests:
        assert is_gone(guest, PREFIX)
        assert guest.guard.counters().dropped("guest") == 0
        wire = guest.namespace.wire("eth0")
        wait_for(lambda: wire.send(guest.frame_from(guest.address, GATEWAY_MAC)) or
                 guest.guard.counters().dropped("guest", "ip6-src-unbound"), 3, "the guard to say no")
        guest.try_to_send(guest.address, segment.far, "ip6-src-unbound")
        guest.must_reach(GATEWAY_LINK_LOCAL + "%eth0")


@pytest.mark.long
def test_second_router_has_to_wait(segment, other):
    first = radvd(segment, segment.gateway, PREFIX, valid=5, preferred=5, lifetime=4)
    guest = Guest6(segment, "vm")
    guest.wait_eui64()
    second = radvd(segment, other, OTHER_PREFIX)
    guest.guard.wait_counters(lambda now: now.dropped("uplink", "ra-untrusted") > 1, 8)
    assert is_gone(guest, OTHER_PREFIX)
    assert OTHER_LINK_LOCAL not in guest.namespace.ip("-6 route")
    guest.must_reach()
    guest.try_to_send(eui64(OTHER_PREFIX, guest.mac), segment.far, "ip6-src-unbound")
    first.signal(9)
    # Nobody but the first can end its lock, and it lasts as long as its prefix.
    guest.wait_address(OTHER_PREFIX, 15)
    assert is_gone(guest, PREFIX)
    guest.wait_router(OTHER_LINK_LOCAL)
    guest.must_reach(OTHER_INTERNET, f"{OTHER_LINK_LOCAL}%eth0")
    guest.guard.wait_line(f"gateway learned: {OTHER_LINK_LOCAL} at {OTHER_MAC}")
    assert second.running


def test_two_routers_by_name(segment, other):
    radvd(segment, segment.gateway, PREFIX)
    radvd(segment, other, OTHER_PREFIX)
    guests = [Guest6(segment, name, "--gateway-mac", macs) for name, macs in (
        ("both", f"{GATEWAY_MAC},{OTHER_MAC}"), ("one", OTHER_MAC), ("none", "52:54:00:00:00:77"))]
    first = PREFIX, GATEWAY_LINK_LOCAL, segment.far
    second = OTHER_PREFIX, OTHER_LINK_LOCAL, dhcp_peers.Far(other, "eth0")
    for guest, trusted in zip(guests, ([first, second], [second], [])):
        for prefix, router, far in trusted:
            address = guest.wait_eui64(prefix)
            guest.wait_router(router)
            guest.must_reach(f"{router}%eth0")
            guest.try_to_send(address, far)
        if len(trusted) == 1:
            guest.try_to_send(address, segment.far, "l2-next-hop")
        if len(trusted) < 2:
            guest.guard.wait_counters(lambda now: now.dropped("uplink", "ra-untrusted") > 0)
            assert is_gone(guest, PREFIX)
    assert is_gone(guests[2], OTHER_PREFIX)
    counters = guests[0].guard.counters()       # write-error: the guest's interface was not up yet
    assert counters.dropped("uplink") == counters.dropped("uplink", "write-error"), counters


def test_resolver_of_the_router_is_open(segment):
    """A private address: closed except for port 53, and that only as long as the router names it."""
    router = radvd(segment, segment.gateway, PREFIX)
    servers = [services.Echo(segment.gateway, RESOLVER, port) for port in (53, 54)]
    guest = Guest6(segment, "vm")
    guest.wait_eui64()

    def is_open(port=53):
        with contextlib.suppress(OSError):
            return guest.ask(b"hello", RESOLVER, port=port, timeout=0.3) == b"hello" and \
                guest.exchange(b"hello", RESOLVER, port=port, timeout=0.5) == b"hello"
        return False
    assert not is_open()
    assert guest.guard.counters().dropped("guest", "dst-private") > 0
    router.reload(PREFIX, options=f"RDNSS {RESOLVER} {{ AdvRDNSSLifetime 4; }};")
    wait_for(is_open, 10, "the resolver")
    assert not is_open(54)
    router.reload(PREFIX, options="")
    wait_for(lambda: not is_open(), 10, "the resolver to be closed")
    for server in servers:
        server.close()
