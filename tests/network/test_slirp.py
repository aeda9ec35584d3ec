"""The uplink that needs no root, with a Linux network stack as the guest:

    guest eth0 == softnet --uplink slirp == sockets of the host's namespace
                                            (lo 127.0.0.1, ::1 and, as "the internet", 1.1.1.1 and 2606:4700:4700::1111)
"""

import contextlib
import re
import signal
import socket

import pytest

import ipv6_peers
import netns
import services

MAC = "52:54:00:00:00:0a"
HOST = "10.0.2.2"
PREFIX6, HOST6, RESOLVER6 = "fd00:10:0:2::/64", "fd00:10:0:2::2", "fd00:10:0:2::3"


@pytest.fixture
def slirp(network):
    """A function that guards a guest with these options, and gives it a lease."""
    network.host.ip("link set lo up")
    network.host.ip("address add 1.1.1.1/32 dev lo")
    servers = []

    def start(*options, ipv6=False, verbose=True, resolver=ipv6_peers.INTERNET,
              before_lease=None):
        guest = network.namespace("guest", ipv6=ipv6)
        resolvers = network.logs / "resolv.conf"
        resolvers.write_text(f"nameserver {resolver}\n" if resolver else "")
        softnet = network.start(["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"',
                                 resolvers, services.softnet_path(), "--vm-mac-address", MAC, "--guest", "tap:g-slirp",
                                 "--uplink", "slirp", *["-v"] * verbose, *options], name="softnet",
                                kind=services.Softnet)
        if verbose:
            softnet.wait_line("gateway MAC addresses", 20)  # before that it is not done with its tap
        netns.wait_for(lambda: "g-slirp" in network.host.links() and ",UP" in network.host.ip("link show g-slirp"), 20,
                       "softnet's tap")
        network.host.ip("link set g-slirp netns guest")
        guest.ip(f"link set g-slirp name eth0 address {MAC} up")
        if before_lease:
            before_lease(softnet)
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


@pytest.fixture
def slirp6(network, slirp):
    """The same for IPv6: returns the guest once it has its address."""
    network.host.set_ipv6("lo", disable_ipv6=0)
    network.host.ip(f"address add {ipv6_peers.INTERNET}/128 dev lo nodad")      # else not usable at once
    echoes = [services.Echo(network.host, address, port) for address, port in (
        (ipv6_peers.INTERNET, 7), (ipv6_peers.INTERNET, 53), ("::1", 8))]

    def start(*options):
        guest, softnet = slirp(*options, ipv6=True)
        own = ipv6_peers.eui64(PREFIX6, MAC)
        netns.wait_for(lambda: [each for each in guest.addresses()
                                if each["local"] == own and not ipv6_peers.is_waiting(each)], 10, own)
        return guest, softnet
    yield start
    for echo in echoes:
        echo.close()
    network.host.set_ipv6("lo", disable_ipv6=1)


def echoes6(guest, address, port):
    """(TCP, UDP): whether what is sent there comes back."""
    def tries(function):
        with contextlib.suppress(OSError):
            return function(guest, b"hello", address, port, timeout=1) == b"hello"
        return False
    return tries(ipv6_peers.exchange), tries(ipv6_peers.ask)


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
    services.release_udhcpc(softnet.client, guest)
    netns.wait_for(lambda: not can_connect(network.host, "127.0.0.1", 2222, 0.5), 10, "the port to be closed")
    softnet.client.signal(signal.SIGUSR1)                       # and asks for another
    netns.wait_for(lambda: can_connect(network.host, "127.0.0.1", 2222), 20, "the port to be open again")


def test_busy_port_is_named(network, slirp):
    slirp.serve(network.host, "0.0.0.0", 2222)
    with pytest.raises(netns.NetworkError, match='"2222:22": tcp port 2222 on 0.0.0.0: Address already in use'):
        slirp("--expose", "2222:22")


def test_port_that_is_taken_between_two_leases_is_named(network, slirp):
    guest, softnet = slirp("--expose", "127.0.0.1:2222:22")
    slirp.serve(guest, "0.0.0.0", 22)
    netns.wait_for(lambda: can_connect(network.host, "127.0.0.1", 2222), 10, "the exposed port")
    services.release_udhcpc(softnet.client, guest)
    netns.wait_for(lambda: not can_connect(network.host, "127.0.0.1", 2222, 0.5), 10, "the port to be closed")
    slirp.serve(network.host, "127.0.0.1", 2222)
    softnet.client.signal(signal.SIGUSR1)
    softnet.wait_line(r'"127.0.0.1:2222:22" is not in place: tcp port 2222 on 127.0.0.1: Address already in use', 20)
    assert softnet.running


def test_ipv6_reaches_the_internet_and_not_the_hosts_loopback(slirp6):
    guest, softnet = slirp6()
    assert "default via fe80::2 " in guest.ip("-6 route")
    assert echoes6(guest, ipv6_peers.INTERNET, 7) == (True, True)
    assert echoes6(guest, HOST6, 8) == (False, False)
    for address in HOST6, "fe80::2%eth0":
        guest.run("ping", "-6", "-c", "1", "-W", "2", address)
    # The host's resolver by its alias, and nothing else there.
    assert echoes6(guest, RESOLVER6, 53) == (True, True)
    assert echoes6(guest, RESOLVER6, 7) == (False, False)
    counters = softnet.counters()
    assert counters.dropped("guest") == counters.dropped("guest", "dst-private") > 0, counters
    assert counters.dropped("uplink") == counters.dropped("uplink", "write-error"), counters   # not up yet
    # IPv4 is beside it.
    assert services.address_of(guest) == "10.0.2.15"


def test_all_of_ipv6_is_not_the_hosts_loopback(slirp6):
    guest, _softnet = slirp6("--allow", "::/0")
    assert echoes6(guest, HOST6, 8) == (False, False)
    assert echoes6(guest, ipv6_peers.INTERNET, 7) == (True, True)


def test_host_is_opened_by_its_name_in_ipv6(slirp6):
    guest, _softnet = slirp6("--allow", "@host")
    assert echoes6(guest, HOST6, 8) == (True, True)


def test_slirp_has_no_ipv6_when_it_is_off(network, slirp):
    guest, softnet = slirp("--ipv6", "off", ipv6=True)
    softnet.wait_counters(lambda now: now.dropped("guest", "ip6-disabled") > 1)
    assert softnet.counters().dropped("uplink") == 0            # nobody was there to answer
    assert "default" not in guest.ip("-6 route")


@pytest.mark.parametrize("resolver, options, said", [
    ("1.1.1.1", [], None), ("127.0.0.53", ["--ipv6", "off"], None), ("", [], "names no resolver: 10.0.2.3 will not answer"),
    ("2606:4700:4700::1111", [], "10.0.2.3 will not answer, fd00:10:0:2::3 will$"),
    ("fe80::1%eth0", ["--ipv6", "off"], "10.0.2.3 will not answer, fd00:10:0:2::3 would, with --ipv6 guard"),
    ("", ["--vm-net-type", "host"], None)])
def test_a_resolver_that_will_not_answer_is_told(slirp, resolver, options, said):
    """Where the host has none of IPv4, most guests would resolve nothing and not know why. Without -v."""
    _, softnet = slirp(*options, resolver=resolver, verbose=False)
    lines = [line for line in softnet.output("err") if "resolv.conf" in line]
    assert bool(lines) == bool(said), lines
    assert not said or re.search(said, lines[0]), lines


def test_without_a_resolver_of_its_family_it_does_not_answer(slirp):
    """What the warning says is so: libslirp has nobody to hand the question to."""
    guest, _ = slirp(resolver="")
    packet = b"\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"
    with guest.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(1)
    client.sendto(packet, ("10.0.2.3", 53))
    with pytest.raises(OSError):
        client.recv(512)
    client.close()
