"""The uplink that needs no root, with a Linux network stack as the guest:

    guest eth0 == softnet --uplink slirp == sockets of the host's namespace (lo 127.0.0.1 and, as "the internet", 1.1.1.1)
"""

import socket

import pytest

import netns
import services

MAC = "52:54:00:00:00:0a"
HOST = "10.0.2.2"


@pytest.fixture
def slirp(network):
    """A function that guards a guest with these options, and gives it a lease."""
    network.host.ip("link set lo up")
    network.host.ip("address add 1.1.1.1/32 dev lo")
    servers = []

    def start(*options):
        guest = network.namespace("guest", ipv6=False)
        softnet = network.start([services.softnet_path(), "--vm-mac-address", MAC, "--guest", "tap:g-slirp", "--uplink",
                                 "slirp", "-v", *options], name="softnet", kind=services.Softnet)
        netns.wait_for(lambda: "g-slirp" in network.host.links(), 10, "softnet's tap")
        network.host.ip("link set g-slirp netns guest")
        guest.ip(f"link set g-slirp name eth0 address {MAC} up")
        softnet.client = services.udhcpc(network, guest)
        return guest, softnet

    def serve(namespace, address, port):
        servers.append(services.WebServer(namespace, address, port))
        return servers[-1]
    start.serve = serve
    yield start
    for server in servers:
        server.close()
    network.host.ip("address del 1.1.1.1/32 dev lo")


def can_connect(namespace, address, port, timeout=2.0):
    with namespace.entered(), socket.socket() as s:
        s.settimeout(timeout)
        try:
            s.connect((address, port))
            return True
        except OSError:
            return False


def test_guest_reaches_the_internet_and_not_the_hosts_loopback(network, slirp):
    slirp.serve(network.host, "1.1.1.1", 80)
    slirp.serve(network.host, "127.0.0.1", 8080)
    guest, softnet = slirp()
    assert can_connect(guest, "1.1.1.1", 80)
    assert can_connect(network.host, "127.0.0.1", 8080)         # it is there ...
    assert not can_connect(guest, HOST, 8080)                   # ... but not for the guest
    assert softnet.running


def test_all_of_ipv4_is_not_the_hosts_loopback(network, slirp):
    slirp.serve(network.host, "127.0.0.1", 8080)
    guest, _softnet = slirp("--allow", "0.0.0.0/0")
    assert not can_connect(guest, HOST, 8080)


def test_host_is_opened_by_its_name(network, slirp):
    slirp.serve(network.host, "127.0.0.1", 8080)
    guest, _softnet = slirp("--allow", "@host")
    assert can_connect(guest, HOST, 8080)


def test_exposed_port_comes_with_the_lease_and_goes_with_it(network, slirp):
    guest, softnet = slirp("--expose", "127.0.0.1:2222:22")
    slirp.serve(guest, "0.0.0.0", 22)
    netns.wait_for(lambda: can_connect(network.host, "127.0.0.1", 2222), 10, "the exposed port")
    softnet.client.signal(12)                                   # SIGUSR2: udhcpc releases its lease
    netns.wait_for(lambda: not can_connect(network.host, "127.0.0.1", 2222, 0.5), 10, "the port to be closed")
    softnet.client.signal(10)                                   # SIGUSR1: and asks for another
    netns.wait_for(lambda: can_connect(network.host, "127.0.0.1", 2222), 20, "the port to be open again")


def test_busy_port_is_named(network, slirp):
    slirp.serve(network.host, "0.0.0.0", 2222)
    _guest, softnet = slirp("--expose", "2222:22")
    softnet.wait_line(r"cannot expose tcp port 2222: Address already in use", 10)
    assert softnet.running
