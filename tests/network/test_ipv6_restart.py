"""Restarts of the guard under guests that run on, with a state file and without one.

    guest -- bridge -- softnet -- br0 -- eth0 gateway (radvd, Kea) -- internet
"""

import signal

import pytest

import dhcp_peers
import ipv6_peers
import services
from dhcp_peers import needs_peers
from ipv6_peers import GATEWAY_LINK_LOCAL, INTERNET, OPAQUE, POOL, PREFIX, PRIVACY, Guest6, eui64, radvd, start_client
from netns import wait_for
from test_dhcp_restart import state_file        # noqa: F401

pytestmark = needs_peers("dhclient", "radvd", server="kea-dhcp6")


@pytest.fixture
def segment(segment6, softnet):
    segment6.router = radvd(segment6, segment6.gateway, PREFIX, options="AdvManagedFlag on;")
    ipv6_peers.kea6(segment6, segment6.gateway, POOL, 60, renew=3, rebind=20)
    segment6.echo = services.Echo(segment6.internet, INTERNET)
    yield segment6
    segment6.echo.close()


def test_with_state_everything_goes_on_at_once(segment, state_file):  # noqa: F811
    guest = Guest6(segment, "vm", "--state", state_file, walled=True, ipv6={**OPAQUE, **PRIVACY})
    temporary = guest.wait_address(temporary=True)
    stable = guest.wait_address(mngtmpaddr=True)
    start_client(segment, guest, "dhclient").signal(signal.SIGSTOP)
    held = temporary, stable, guest.address
    assert eui64(PREFIX, guest.mac) not in held
    for address in held:
        guest.ping(source=address)
    segment.router.signal(signal.SIGKILL)           # nothing that comes by can help, and no farewell
    for way in "ended", "killed":
        if way == "ended":
            guest.stop_guard()
        else:
            guest.guard.signal(signal.SIGKILL)      # what counts was written when it came
            guest.guard.wait()
            wait_for(lambda: "u-w-vm" not in segment.host.links(), what="the tap to go")
        guest.start_guard()
        for address in held:
            guest.ping(source=address)
            guest.try_to_send(address, segment.far)
        assert guest.guard.counters().dropped("guest") == 0
        guest.try_to_send(ipv6_peers.text(ipv6_peers.number(stable) ^ 1), segment.far, "ip6-src-unbound")
    # The locks are kept, too: another router is still refused.
    other = ipv6_peers.add_router(segment, "other", "52:54:00:00:00:02")
    radvd(segment, other, ipv6_peers.OTHER_PREFIX)
    guest.guard.wait_counters(lambda now: now.dropped("uplink", "ra-untrusted") > 0)
    guest.client.signal(signal.SIGCONT)


def test_without_state_the_mac_and_renewals_say_who_it_is(segment):
    """What the guest holds by its MAC works with the next advertisement, its lease with the next renewal."""
    plain, opaque = Guest6(segment, "vm", walled=True), Guest6(segment, "opaque", walled=True, ipv6=OPAQUE)
    address = opaque.wait_address()
    plain.wait_eui64()
    start_client(segment, plain, "dhclient").signal(signal.SIGSTOP)
    for guest in plain, opaque:
        guest.stop_guard()
        guest.start_guard()
    plain.try_to_send(plain.address, segment.far, "ip6-src-unbound")
    opaque.try_to_send(address, segment.far, "ip6-src-unbound")
    plain.guard.wait_line(f"gateway learned: {GATEWAY_LINK_LOCAL}", 6)
    plain.guard.wait_line("prefix learned", 6)
    plain.ping(source=plain.wait_eui64())
    plain.client.signal(signal.SIGCONT)
    plain.guard.wait_line(f"lease new: {plain.address} ", 10)
    plain.ping(source=plain.address)
    # Nobody can tell whose an opaque address is; the guest says it when its link comes up again.
    opaque.guard.wait_line("prefix learned", 6)
    opaque.try_to_send(address, segment.far, "ip6-src-unbound")
    opaque.start_over()
    assert opaque.wait_address() == address
    opaque.wait_router()
    opaque.ping(source=address)


def test_guest_that_reboots(segment):
    """The guard stays, the guest starts over: its old addresses are in the guard's table, and it asks for new ones."""
    guest = Guest6(segment, "vm", ipv6=PRIVACY, walled=True)
    first = guest.wait_address(temporary=True)
    for _ in range(2):
        guest.start_over()
        second = guest.wait_address(temporary=True)
        assert second != first
        guest.ping(source=second)
        first = second
    assert guest.guard.counters().dropped("guest") == 0
    assert dhcp_peers.all_of(lambda source: bool(guest.ping(source=source)), [first, guest.wait_eui64()])
