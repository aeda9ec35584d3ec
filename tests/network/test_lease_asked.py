"""A lease that the guard does not know: the guest came from another host, or from a snapshot, and its client asks nobody. The
guard asks in its name, and what the server says counts.

    guests -- bridge -- softnet -- br0 192.168.77.1 of the host, with a DHCP server and 1.1.1.1 behind it
"""

import math
import signal
import time

import pytest

import dhcp_peers
import services
import test_attach
from dhcp_peers import CLIENTS, Guest, guests_of, is_dhcp, needs_peers, serve, start_client
from netns import wait_for


@pytest.fixture
def hosted(network, softnet):
    return dhcp_peers.hosted(network)


def questions(wire, guest):
    """What was asked in the guest's name: REQUESTs that name no server, from 0.0.0.0."""
    return [frame for frame in wire.frames() if is_dhcp(frame, kind=3) and frame[6:12] == dhcp_peers.mac_bytes(guest.mac)]


@needs_peers(*CLIENTS)
@pytest.mark.parametrize("server", ["dnsmasq", "kea"])
def test_a_guest_that_another_guard_has_known(hosted, server):
    """Also where its client has an identifier, which the guard does not know: the MAC address is enough for the server."""
    serve(hosted, server, *((90, 4, 60) if server == "kea" else (120, 5, 60)))
    guests = guests_of(hosted, CLIENTS, walled=True)
    for client, guest in guests.items():
        guest.client.signal(signal.SIGSTOP)
        guest.stop_guard()
        wire = hosted.far.namespace.wire("br0")
        guest.start_guard()
        assert guest.leases() == []
        guest.try_to_send(guest.address, hosted.far, "ip4-no-lease")
        guest.guard.wait_line(f"lease new: {guest.address} ", 3)
        guest.must_reach()
        assert len(questions(wire, guest)) == 1, client
        wire.close()
    # Its client, which has heard an answer that it did not ask for, goes on with its lease.
    for client, guest in guests.items():
        mark = guest.guard.mark()
        guest.client.signal(signal.SIGCONT)
        if client == "udhcpc":
            guest.client.signal(signal.SIGUSR1)     # it renews at half of the lease, whatever the server says
        guest.guard.wait_line(f"lease renewed: {guest.address} ", 30, since=mark)
        guest.must_reach()
        assert services.address_of(guest.namespace) == guest.address, client


@pytest.mark.parametrize("server", ["dnsmasq", pytest.param("kea", marks=needs_peers())])
def test_an_address_that_another_guest_has(hosted, server):
    """The lease was another guest's by the time the old one was back: the server says no, and who has it is safe."""
    serve(hosted, server, 120, 60, 100)
    honest, hostile = (Guest(hosted, name, walled=True) for name in ("honest", "hostile"))
    start_client(hosted, honest, "udhcpc")
    wire = hosted.far.namespace.wire("br0")
    began = time.monotonic()
    for _ in range(30):
        hostile.try_to_send(honest.address, hosted.far, "ip4-no-lease")
        time.sleep(0.1)
    # At once, two seconds later, four later and so on.
    most = 1 + int(math.log2((time.monotonic() - began) / 2 + 1))
    assert 1 <= len(questions(wire, hostile)) <= most and hostile.leases() == []
    honest.must_reach()
    # Its own client gets it on again.
    start_client(hosted, hostile, "udhcpc")
    assert hostile.address != honest.address
    hostile.must_reach()
    honest.must_reach()


def test_nothing_is_asked_where_nothing_can_be_learned(hosted):
    serve(hosted, "dnsmasq", 600, 300, 400)
    wire = hosted.far.namespace.wire("br0")
    for name, options, source, reason in (("off", ["--no-resync"], "192.168.77.30", "ip4-no-lease"),
                                          ("static", ["--vm-ip", "192.168.77.31/24"], "192.168.77.30", "ip4-src-spoof"),
                                          ("host", [], dhcp_peers.GATEWAY, None), ("linklocal", [], "169.254.1.1", "ip4-no-lease")):
        guest = Guest(hosted, name, *options, walled=True)
        if reason:
            guest.try_to_send(source, hosted.far, reason)
        else:
            raw = guest.namespace.wire("eth0")
            raw.send(guest.frame_from(source, hosted.far.mac))
            guest.guard.wait_counters(lambda now: now.dropped("guest"), what="the drop")
        assert questions(wire, guest) == [], name
        assert guest.leases() in ([], ["192.168.77.31"])


def test_a_guest_that_has_given_its_lease_back(hosted):
    """It keeps the address all the same. Nobody asks for it."""
    serve(hosted, "dnsmasq", 600, 300, 400)
    guest = Guest(hosted, "vm", walled=True)
    start_client(hosted, guest, "udhcpc")
    dhcp_peers.release(hosted, guest, "udhcpc")
    guest.guard.wait_line(f"lease lost: {guest.address}, released", 10)
    wire = hosted.far.namespace.wire("br0")
    guest.try_to_send(guest.address, hosted.far, "ip4-no-lease")
    assert questions(wire, guest) == [] and guest.leases() == []


@test_attach.pytestmark[1]
def test_in_the_kernel(loaded, segment, softnet):
    """The programs drop it, and the process hears of it within a second."""
    vm = segment.namespace("vm")
    first = services.attach(segment, vm, test_attach.MAC, "br0")
    client = services.udhcpc(segment, vm)
    address = services.address_of(vm)
    client.signal(signal.SIGSTOP)
    first.stop()
    segment.host.run(softnet, "detach", "p-vm")
    guard = services.attach(segment, vm, test_attach.MAC, "br0", name="second")
    began = time.monotonic()
    wait_for(lambda: test_attach.can_reach(vm, test_attach.FAR), 10, "the guest to be known again")
    assert time.monotonic() - began < 5
    guard.wait_line(f"lease new: {address} ")
    # And what is not its own, the server does not give.
    vm.ip("address add 192.168.77.99/24 dev eth0")
    assert not test_attach.can_reach(vm, test_attach.GATEWAY, "192.168.77.99")
