"""Real DHCP clients and servers through the guard: an honest client never notices it, and no right outlives its lease.

    guests -- softnet -- br0 192.168.77.1 of the host, with a DHCP server and 1.1.1.1 behind it

The guards take their anchors from the bridge. Clients that have to wait do so together, each behind its own guard.
"""

import shutil
import signal

import pytest

import dhcp_peers
import rawguest
import services
from dhcp_peers import CLIENTS, GATEWAY, INTERNET, NEIGHBOR, Guest, guests_of, kea, needs_peers, \
    release, serve, start_client
from netns import wait_for

# What the guard could find wrong with a client's messages.
COMPLAINTS = "dhcp4-addressing", "dhcp4-request-form", "dhcp4-ciaddr", "dhcp4-not-owner", "rate-dhcp"


@pytest.fixture
def hosted(network, softnet):
    return dhcp_peers.hosted(network)


@needs_peers(*CLIENTS)
@pytest.mark.parametrize("server", ["dnsmasq", pytest.param("kea", marks=pytest.mark.long)])
def test_lease_renewal_release(hosted, server):
    serve(hosted, server)
    web = services.WebServer(hosted.host, INTERNET)
    guests = guests_of(hosted, CLIENTS)
    for client, guest in guests.items():
        assert guest.leases() == [guest.address], client
        assert guest.fetch() == "hello\n", client
        guest.must_reach(GATEWAY)
        guest.try_to_send(guest.address, hosted.far)
        guest.try_to_send(NEIGHBOR, hosted.far, "ip4-src-spoof")
    web.close()
    # udhcpc renews at half of the lease, whatever the server says; the others when they were told to.
    guests["udhcpc"].client.signal(signal.SIGUSR1)
    for guest in guests.values():
        guest.guard.wait_line(f"lease renewed: {guest.address} for 11[89] s", 10)
    for client, guest in guests.items():
        guest.must_reach(GATEWAY)
        release(hosted, guest, client)
        guest.guard.wait_line(f"lease lost: {guest.address}, released", 10)
        assert guest.guard.counters().dropped("guest", *COMPLAINTS) == 0, client
        guest.try_to_send(guest.address, hosted.far, "ip4-no-lease")


@pytest.mark.parametrize("server", ["dnsmasq", "kea"])
def test_client_that_wants_broadcast_answers(hosted, server):
    if server == "kea" and not shutil.which("kea-dhcp4"):
        pytest.skip("not installed: kea-dhcp4")
    serve(hosted, server)
    guest = Guest(hosted, "vm")
    wire = guest.namespace.wire("eth0")
    start_client(hosted, guest, "udhcpc", "-B")
    answers = [frame for frame in wire.frames() if frame[34:38] == b"\x00\x43\x00\x44"]
    assert len(answers) == 2 and all(frame[30:34] == b"\xff" * 4 for frame in answers)
    # dnsmasq leaves it to the kernel; some versions of Kea send an IP broadcast in a frame to the guest alone.
    assert {frame[:6] for frame in answers} <= {b"\xff" * 6, *([rawguest.mac_bytes(guest.mac)] if server == "kea" else [])}
    guest.must_reach()


@needs_peers(*CLIENTS)
def test_rebinding_with_the_other_server(hosted):
    """The first server dies; the second has its leases and answers what the clients then send to everybody."""
    second = hosted.namespace("second", ipv6=False)
    hosted.join(second, "eth0", "br0", "192.168.77.2/24", mac="52:54:00:00:00:03")
    first_server = serve(hosted, "kea", 30, 2, 4)
    guests = guests_of(hosted, CLIENTS, "--dhcp-server", f"{GATEWAY},192.168.77.2")
    first_server.stop()
    shutil.copy(first_server.leases, hosted.logs / "other.csv")
    kea(hosted, second, "192.168.77.10-192.168.77.50", 30, 2, 4, name="other")
    guests["udhcpc"].client.signal(signal.SIGUSR1)
    for client, guest in guests.items():
        guest.guard.wait_line(rf"lease renewed: {guest.address} for \d+ s from 192\.168\.77\.2", 20)
        guest.must_reach()
        assert guest.guard.counters().dropped("guest", *COMPLAINTS) == 0, client


@needs_peers(*CLIENTS, server="dnsmasq")
def test_server_that_forgot_refuses(hosted):
    """networkd does not hear a broadcast DHCPNAK while it renews; it asks again when it rebinds."""
    first_server = serve(hosted, "dnsmasq")
    guests = guests_of(hosted, CLIENTS)
    first_server.stop()
    serve(hosted, "dnsmasq", first=100, name="other")
    guests["udhcpc"].client.signal(signal.SIGUSR1)
    for client, guest in guests.items():
        guest.guard.wait_line(f"lease lost: {guest.address}, refused by the server", 15)
        address = guest.guard.wait_line(r"lease new: (192\.168\.77\.1\d\d) ", 15).group(1)
        wait_for(lambda: f"inet {address}/" in guest.namespace.ip("address"), 10, f"the new address of {client}")
        guest.must_reach()
        guest.try_to_send(address, hosted.far)
        guest.try_to_send(guest.address, hosted.far, "ip4-src-spoof")


@needs_peers("dhclient", "networkd")
def test_lease_of_a_frozen_client_runs_out(hosted):
    clients = "udhcpc", "dhclient", "networkd"
    serve(hosted, "kea", 5, 2, 3)
    guests = guests_of(hosted, clients)
    for guest in guests.values():
        guest.client.signal(signal.SIGSTOP)
    for guest in guests.values():
        guest.try_to_send(guest.address, hosted.far)
    for guest in guests.values():
        guest.guard.wait_line(f"lease lost: {guest.address}, expired", 8)
        guest.try_to_send(guest.address, hosted.far, "ip4-no-lease")
    marks = {client: guest.guard.mark() for client, guest in guests.items()}
    for guest in guests.values():
        guest.client.signal(signal.SIGCONT)
    guests["udhcpc"].client.signal(signal.SIGUSR1)
    for client, guest in guests.items():
        guest.guard.wait_line("lease new: ", 10, since=marks[client])
        wait_for(lambda: services.address_of(guest.namespace) in guest.leases(), 5, f"the new address of {client}")


@needs_peers("dhclient", server="dnsmasq")
def test_two_leases_of_two_client_identifiers(hosted):
    serve(hosted, "dnsmasq")
    guest = Guest(hosted, "vm")
    for name in "first", "second":
        (hosted.logs / f"{name}.conf").write_text(f'send dhcp-client-identifier "{name}";\n')
    start_client(hosted, guest, "dhclient", "-cf", hosted.logs / "first.conf")
    files = {f"-{which[0]}f": hosted.logs / f"second.{which}" for which in ("conf", "leases", "pid")}
    second = services.dhclient(hosted, guest.namespace, *(word for pair in files.items() for word in pair))
    second.wait_line("bound to ")
    one, other = guest.leases()
    for address in one, other:
        guest.try_to_send(address, hosted.far)
        guest.namespace.run("ping", "-c", "1", "-W", "2", "-I", address, INTERNET)
    release(hosted, guest, "dhclient")
    guest.guard.wait_line(f"lease lost: {guest.address}, released", 10)
    assert guest.leases() == [address for address in (one, other) if address != guest.address]
    guest.try_to_send(guest.address, hosted.far, "ip4-src-spoof")
    guest.try_to_send(guest.leases()[0], hosted.far)


@needs_peers("dhcpcd")
@pytest.mark.parametrize("client", ["udhcpc", "dhcpcd"])
def test_address_in_use_is_declined(hosted, client):
    """The neighbor sits on the first address that the server gives out; the client probes, and takes the next."""
    hosted.neighbor.ip("address add 192.168.77.10/24 dev eth0")
    server = serve(hosted, "kea", 600, 300, 400)
    guest = Guest(hosted, "vm")
    start_client(hosted, guest, client, *["-a"] * (client == "udhcpc"))
    assert guest.address == "192.168.77.11"
    guest.guard.wait_line(r"lease lost: 192\.168\.77\.10, declined")
    server.wait_line(r"DHCP4_DECLINE_LEASE .* 192\.168\.77\.10 ")
    assert guest.leases() == [guest.address]
    guest.must_reach()
    guest.try_to_send("192.168.77.10", hosted.far, "ip4-src-spoof")
