"""Real DHCP clients and servers through the guard: an honest client never notices it, and no right outlives its lease.

    guests -- softnet -- br0 192.168.77.1 of the host, with a DHCP server and 1.1.1.1 behind it

The guards take their anchors from the bridge. Clients that have to wait do so together, each behind its own guard.
"""

import shutil
import signal

import pytest

import services
from dhcp_peers import CLIENTS, GATEWAY, INTERNET, Far, Guest, all_of, is_dhcp, kea, missing_clients, release, \
    start_client
from netns import wait_for

NEIGHBOUR = "192.168.77.200"


@pytest.fixture
def hosted(network, softnet):
    """A bridge with the host's address, as on a machine that runs VMs; the test starts its DHCP server."""
    network.bridge("br0")
    network.host.ip("link set br0 address 52:54:00:00:00:01")
    network.host.ip(f"address add {GATEWAY}/24 dev br0")
    network.host.ip("link add internet type bridge")
    network.host.ip(f"address add {INTERNET}/32 dev internet")
    network.host.ip("link set internet up")
    network.far = Far(network.host, "br0")
    # Somebody else on the segment; besides, a bridge has no carrier before it has a port.
    network.neighbour = network.namespace("neighbour", ipv6=False)
    network.join(network.neighbour, "eth0", "br0", f"{NEIGHBOUR}/24", mac="52:54:00:00:00:02")
    return network


def serve(network, server, lease=120, renew=3, rebind=7, **options):
    """Either server, with renewal after 3 s; dnsmasq gives no lease of less than 120 s."""
    if server == "kea":
        if not shutil.which("kea-dhcp4"):
            pytest.skip("kea-dhcp4 is not installed")
        return kea(network, network.host, "192.168.77.10-192.168.77.50", lease, renew, rebind, interface="br0",
                   **options)
    return services.dnsmasq(network, network.host, "192.168.77.10", "192.168.77.50", f"{lease}s",
                            f"--dhcp-option-force=58,{renew}", f"--dhcp-option-force=59,{rebind}", interface="br0",
                            router=GATEWAY, **options)


def guests_of(network, clients=CLIENTS, *options, **more):
    """One guest for each client, with a lease."""
    missing = missing_clients(clients)
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    guests = {client: Guest(network, f"vm-{client}", *options, **more) for client in clients}
    all_of(lambda client: start_client(network, guests[client], client), clients)
    return guests


@pytest.mark.parametrize("server", ["dnsmasq", "kea"])
def test_lease_renewal_release(hosted, server):
    serve(hosted, server)
    web = services.WebServer(hosted.host, INTERNET)
    guests = guests_of(hosted)
    for client, guest in guests.items():
        assert guest.leases() == [guest.address], client
        assert guest.fetch() == "hello\n", client
        guest.must_reach(GATEWAY)
        guest.try_to_send(guest.address, hosted.far)
        guest.try_to_send(NEIGHBOUR, hosted.far, "ip4-src-spoof")
    web.close()
    # udhcpc renews at half of the lease, whatever the server says; the others when they were told to.
    guests["udhcpc"].client.signal(signal.SIGUSR1)
    for guest in guests.values():
        guest.guard.wait_line(f"lease renewed: {guest.address} ", 10)
    for client, guest in guests.items():
        assert guest.guard.counters().dropped("guest", "dhcp4-addressing", "dhcp4-form", "dhcp4-not-owner") == 0, client
        guest.must_reach(GATEWAY)
        release(hosted, guest, client)
        guest.guard.wait_line(f"lease lost: {guest.address}, released", 10)
        guest.try_to_send(guest.address, hosted.far, "ip4-no-lease")
