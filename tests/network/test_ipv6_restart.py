"""Restarts of the guard under guests that run on, with a state file and without one.

    guest -- bridge -- softnet -- br0 -- eth0 gateway (radvd, Kea) -- internet
"""

import signal
import time

import pytest

import dhcp_peers
import ipv6_peers
import services
from dhcp_peers import needs_peers
from ipv6_peers import GATEWAY_LINK_LOCAL, INTERNET, OPAQUE, POOL, PREFIX, PRIVACY, Guest6, eui64, radvd, start_client
from netns import Stalls, wait_for

pytestmark = needs_peers("dhclient", "radvd", server="kea-dhcp6")


@pytest.fixture
def segment(segment6, softnet):
    segment6.router = radvd(segment6, segment6.gateway, PREFIX, options="AdvManagedFlag on;")
    ipv6_peers.kea6(segment6, segment6.gateway, POOL, 60, renew=3, rebind=20)
    segment6.echo = services.Echo(segment6.internet, INTERNET)
    yield segment6
    segment6.echo.close()


def test_with_state_everything_goes_on_at_once(segment, state_file):
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
    # The address may be no new one: what it just sent can have made the guard ask for it (RFC 6620). The lease is, each time.
    plain.guard.wait_line(rf"lease (new|renewed): {plain.address} for \d+ s from {GATEWAY_LINK_LOCAL}", 10)
    plain.ping(source=plain.address)
    # An opaque address the guard asks for on the link, in the guest's name.
    wait_for(lambda: pings(opaque, address), 5, "the opaque address")


@pytest.fixture
def quiet_segment(segment6, softnet):
    """The router advertises as radvd does by default: every few minutes, and when it is asked."""
    segment6.router = radvd(segment6, segment6.gateway, PREFIX, options="AdvManagedFlag on;", lifetime=1800,
                            seconds=(200, 600))
    ipv6_peers.kea6(segment6, segment6.gateway, POOL, 60, renew=3, rebind=20)
    segment6.echo = services.Echo(segment6.internet, INTERNET)
    yield segment6
    segment6.echo.close()


def pings(guest, source):
    return " 0% packet loss" in guest.ping(source=source, wait=0.3, check=False)


def seconds_until_it_pings(guest, source, most):
    begin = time.monotonic()
    with Stalls() as stalls:
        wait_for(lambda: pings(guest, source), most, f"{source} to come back")
    took = round(time.monotonic() - begin, 1)
    assert took < stalls.added_to(most)
    return took


@pytest.mark.long
def test_forgotten_addresses_come_back(quiet_segment):
    """No state, no link that goes down and up, no advertisement for minutes: the guest just goes on."""
    guest = Guest6(quiet_segment, "vm", walled=True, ipv6={**OPAQUE, **PRIVACY})
    temporary, stable = guest.wait_address(temporary=True), guest.wait_address(mngtmpaddr=True)
    local = guest.wait_address("fe80::/64")
    assert eui64("fe80::/64", guest.mac) != local
    client = start_client(quiet_segment, guest, "dhclient")
    leased = guest.address
    guest.stop_guard()
    guest.start_guard()
    took = {source: seconds_until_it_pings(guest, source, 8) for source in (temporary, stable)}
    guest.guard.wait_line(f"address new: {local} by link-local", 5)       # its questions to the router came from there
    guest.guard.wait_line(f"lease new: {leased} .* from", 12)
    took[leased] = seconds_until_it_pings(guest, leased, 1)
    print("seconds:", took)
    assert client.running
    # And it is asked for from outside while it is silent: its answer is the first that the guard hears of it.
    guest.stop_guard()
    guest.start_guard()
    wait_for(lambda: " 0% packet loss" in
             quiet_segment.internet.run("ping", "-6", "-c", "1", "-W", "0.5", stable, check=False), 10, "a guest that is called")
    # Nobody else's address comes so: the neighbor objects.
    neighbor = quiet_segment.namespace("neighbor")
    neighbor.set_ipv6(accept_ra=0, accept_dad=0)
    other = f"{PREFIX.split('::')[0]}:a:b:c:d"
    quiet_segment.join(neighbor, "eth0", "br0", f"{other}/64", mac="52:54:00:00:00:02")
    for _ in range(3):
        guest.try_to_send(other, quiet_segment.far, "ip6-src-unbound")
        time.sleep(0.6)
    guest.guard.wait_line(f"lease lost: {other}, claimed by another host")


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
