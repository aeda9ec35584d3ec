"""How a guest's kernel gets its IPv6 addresses through the guard, keeps them and loses them.

    guest eth0 -- softnet -- br0 -- eth0 gateway (radvd) -- internet
                              `---- neighbor

Where it says `bare`, the same guest runs without a guard beside the guarded one.
"""

import socket
import time

import pytest

import dhcp_peers
import ipv6_peers
import services
from dhcp_peers import needs_peers
from ipv6_peers import INTERNET, OPAQUE, PREFIX, PRIVACY, Guest6, eui64, icmp6_of, text, number
from netns import wait_for

KINDS = {"eui64": {}, "opaque": OPAQUE, "privacy": PRIVACY}
pytestmark = needs_peers("radvd", server="ping")
RS, NS, NA, MLD2 = 133, 135, 136, 143


@pytest.fixture
def neighbor(routed):
    """Somebody else on the segment; nobody has an address there that it does not add itself."""
    neighbor = routed.namespace("neighbor")
    neighbor.set_ipv6(accept_ra=0)
    routed.join(neighbor, "eth0", "br0", mac="52:54:00:00:00:02")
    return neighbor


def add(namespace, address):
    namespace.ip(f"address add {address}/64 dev eth0")


def add_duplicate(namespace, address):
    """Somebody has it, and says so. The kernel listens for a second; where this machine stands still for longer than that,
    it asks again."""
    def outcome():
        found = [each for each in namespace.addresses() if each["local"] == address]
        decided = [each for each in found if each.get("dadfailed") or not each.get("tentative")]
        return [each.get("dadfailed", False) for each in decided]
    for _ in range(3):
        add(namespace, address)
        if wait_for(outcome, 5, f"the end of DAD of {address}") == [True]:
            return
        namespace.ip(f"address del {address}/64 dev eth0")
    raise AssertionError(f"{address} was never found a duplicate")


def test_first_addresses_and_traffic_both_ways(routed):
    wire = routed.gateway.wire("eth0")
    guests = {kind: Guest6(routed, f"vm-{kind}", ipv6=KINDS[kind]) for kind in KINDS}
    for kind, guest in guests.items():
        guest.address = guest.wait_address(temporary=True if kind == "privacy" else None)
        guest.wait_router(ipv6_peers.GATEWAY_LINK_LOCAL)
    assert [guest.address == eui64(PREFIX, guest.mac) for guest in guests.values()] == [True, False, False]
    frames = [(frame[6:12], icmp6_of(frame)) for frame in wire.frames()]
    for guest in guests.values():
        # All that a kernel says while it comes up has passed.
        kinds = [found[0] for mac, found in frames if mac == dhcp_peers.mac_bytes(guest.mac) and found]
        assert {RS, NS, MLD2} <= set(kinds), kinds
        guest.must_reach(INTERNET, ipv6_peers.GATEWAY_LINK_LOCAL + "%eth0")
        assert guest.exchange(bytes(300000)) == bytes(300000)
        assert guest.ask(b"hello") == b"hello"
        assert set(routed.echo.clients[-2:]) == {guest.address}         # a temporary address goes before the stable
        echo = services.Echo(guest.namespace, "::")
        routed.internet.run("ping", "-6", "-c", "1", "-W", "2", guest.address)
        assert ipv6_peers.exchange(routed.internet, bytes(300000), guest.address) == bytes(300000)
        assert ipv6_peers.ask(routed.internet, b"hello", guest.address) == b"hello"
        echo.close()
        counters = guest.guard.counters()
        assert counters.dropped("guest") == 0, counters
        guest.try_to_send(guest.address, routed.far)
    one, other, _ = guests.values()
    for foreign in other.address, eui64(PREFIX, other.mac), other.link_local, ipv6_peers.GATEWAY, INTERNET:
        claimed = foreign == other.address     # by another guard of this host
        one.try_to_send(foreign, routed.far, "binding-claimed" if claimed else "ip6-src-unbound")
    one.try_to_send(other.address.replace(":1:1:", ":1:2:"), routed.far, "ip6-src-unbound")


def test_as_fast_as_without_a_guard(routed):
    """With the delays that a kernel has by itself; the random ones are up to a second each."""
    def boot(guest):
        begin = time.monotonic()
        guest.start_over()
        guest.wait_address(timeout=20)
        guest.wait_router()
        wait_for(lambda: "1 received" in guest.ping(check=False), 20, "a reply")
        return time.monotonic() - begin
    guests = [Guest6(routed, name, ipv6={"router_solicitation_delay": 1, **OPAQUE}, **more)
              for name, more in (("bare", {"bare": True}), ("vm", {}))]
    bare, guarded = dhcp_peers.all_of(boot, guests)
    assert guarded < bare + 3.5, (guarded, bare)


def test_neighbor_has_the_address_already(routed, neighbor):
    wanted = text(number(PREFIX[:-3]) | 0x7777_0000_0000_0001)
    add(neighbor, wanted)
    guest = Guest6(routed, "vm")
    guest.wait_eui64()
    wait_for(lambda: not ipv6_peers.is_waiting(neighbor.addresses()[0]), 5, "the neighbor's address")
    add_duplicate(guest.namespace, wanted)
    guest.guard.wait_line(f"lease lost: {wanted}, claimed by another host")
    guest.try_to_send(wanted, routed.far, "ip6-src-unbound")
    # It is free now, and the guest's when it asks again; from then on it is the neighbor that has to give way.
    neighbor.ip(f"address delete {wanted}/64 dev eth0")
    guest.namespace.ip(f"address delete {wanted}/64 dev eth0")
    add(guest.namespace, wanted)
    settled = time.monotonic() + 1.5
    wait_for(lambda: wanted in guest.addresses() and time.monotonic() > settled, 5, "the address")
    guest.ping(source=wanted)
    add_duplicate(neighbor, wanted)
    guest.ping(source=wanted)
    # A neighbor that does not care can tell the guest what it likes.
    claim = bytes([NA, 0, 0, 0, 0x20, 0, 0, 0]) + socket.inet_pton(socket.AF_INET6, wanted) + \
        b"\2\1" + dhcp_peers.mac_bytes("52:54:00:00:00:02")
    claim = ipv6_peers.with_checksum(wanted, guest.link_local, 58, claim, 2)
    neighbor.wire("eth0").send(dhcp_peers.mac_bytes(guest.mac) + bytes.fromhex("525400000002 86dd") +
                                ipv6_peers.packet(wanted, guest.link_local, 58, claim, 255))
    guest.guard.wait_counters(lambda now: now.dropped("uplink", "nd-claims-guest") == 1)
    guest.ping(source=wanted)


def test_sixty_four_addresses_and_no_more(routed):
    guest = Guest6(routed, "vm", "--rate", "newbind6=100/100", "--rate", "nd=200/200")
    guest.wait_eui64()
    wanted = [text(number(PREFIX[:-3]) | 0x7777_0000_0000_0000 + i) for i in range(65)]
    for address in wanted[:64]:
        add(guest.namespace, address)
    wait_for(lambda: set(wanted[:64]) <= set(guest.addresses()), 10, "64 addresses")
    for address in wanted[:64:9]:
        guest.ping(source=address)
    assert guest.guard.counters().dropped("guest") == 0
    add(guest.namespace, wanted[64])
    guest.guard.wait_counters(lambda now: now.dropped("guest", "binding-limit") > 0)
    guest.try_to_send(wanted[64], routed.far, "binding-limit")
    guest.try_to_send(wanted[0], routed.far)
    guest.try_to_send(guest.wait_eui64(), routed.far)       # this one takes no place


def test_rate_of_new_addresses(routed):
    guest = Guest6(routed, "vm", "--rate", "newbind6=1/2")
    guest.wait_eui64()
    for i in range(3):
        add(guest.namespace, text(number(PREFIX[:-3]) | 0x7777_0000_0000_0000 + i))
    guest.guard.wait_counters(lambda now: now.dropped("guest", "binding-churn") == 1)


def test_only_addresses_made_from_the_mac(routed):
    guest = Guest6(routed, "vm", "--ipv6-iid", "eui64", ipv6=PRIVACY)
    temporary = guest.wait_address(temporary=True)
    assert guest.guard.counters().dropped("guest", "nd-prefix-unknown") > 0
    guest.try_to_send(temporary, routed.far, "ip6-src-unbound")
    guest.ping(source=guest.wait_eui64())


def test_optimistic_addresses(routed):
    """RFC 4429: an optimistic address is used from the start; the guard takes half a second of that away."""
    def first_reply(guest):
        guest.wait_router()
        begin = time.monotonic()
        wait_for(lambda: "1 received" in guest.ping(check=False, wait=0.2), 5, f"a reply to {guest.name}")
        return time.monotonic() - begin
    if "optimistic_dad" not in routed.gateway.run("ls", "/proc/sys/net/ipv6/conf/all"):
        pytest.skip("a kernel without optimistic DAD")
    optimistic = {"optimistic_dad": 1, "use_optimistic": 1, **OPAQUE}
    guests = [Guest6(routed, name, ipv6=optimistic, bare=name == "bare") for name in ("bare", "vm")]
    bare, guarded = dhcp_peers.all_of(first_reply, guests)
    assert guarded < bare + 1.5
    guest = guests[1]
    guest.wait_address()
    guest.must_reach()
    counters = guest.guard.counters()
    assert counters.dropped("guest") == counters.dropped("guest", "ip6-src-tentative"), counters


def test_link_that_flaps(routed):
    """As when a guest wakes up, or sets its interface up anew: DAD again, for addresses that it holds."""
    guest = Guest6(routed, "vm", walled=True, ipv6=OPAQUE)
    address = guest.wait_address()
    for _ in range(2):
        guest.start_over()
        assert guest.wait_address() == address
        guest.wait_router()
        guest.must_reach()
    assert guest.guard.counters().dropped("guest") == 0
