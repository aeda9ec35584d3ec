"""--expose with real endpoints: clients in the host's namespace, a Linux guest behind the slirp uplink.

    client == sockets of the host's namespace == softnet --uplink slirp == guest eth0, Echo on ports 7 and 9000 to 9002
              lo: 127.0.0.1, 127.0.0.2, ::1, and of "the internet" 1.1.1.1 and 2606:4700:4700::1111
"""

import contextlib
import os
import signal
import socket
import threading

import pytest

import ipv6_peers
import netns
import services
import test_slirp
from test_slirp import slirp, slirp6      # noqa: F401 (fixtures)

INTERNET4, INTERNET6 = "1.1.1.1", ipv6_peers.INTERNET


@pytest.fixture
def echo():
    """A function that lets a namespace echo on a port of an address, over TCP and UDP."""
    running = []

    def start(namespace, address="0.0.0.0", port=7):
        running.append(services.Echo(namespace, address, port))
        return running[-1]
    yield start
    for one in running:
        one.close()


def comes_back(function, namespace, address, port, data=b"hello", timeout=1.0, source=None):
    with contextlib.suppress(OSError):
        return function(namespace, data, address, port, timeout, source) == data
    return False


def tcp(namespace, address, port, **more):
    return comes_back(ipv6_peers.exchange, namespace, address, port, **more)


def udp(namespace, address, port, **more):
    return comes_back(ipv6_peers.ask, namespace, address, port, **more)


def both(namespace, address, port, **more):
    return tcp(namespace, address, port, **more), udp(namespace, address, port, **more)


def wait_until_exposed(network, address, port, function=tcp):
    netns.wait_for(lambda: function(network.host, address, port, timeout=0.5), 15, f"{address} port {port} to answer")


# --- TCP and UDP, IPv4 and IPv6 ---------------------------------------------------------------------------------------

def test_ipv4(network, slirp, echo):
    guest, softnet = slirp("--expose", "2007:7,udp/2007:7")
    seen = echo(guest)
    wait_until_exposed(network, "127.0.0.1", 2007)
    for address in "127.0.0.1", "127.0.0.2", INTERNET4:
        assert both(network.host, address, 2007) == (True, True), address
    # Those of this host are @host to the guest, others keep their address.
    assert set(seen.clients) == {test_slirp.HOST, INTERNET4}
    assert not tcp(network.host, "127.0.0.1", 2008)
    assert softnet.counters().dropped("guest") == 0


def test_ipv6(network, slirp6, echo):
    guest, softnet = slirp6("--expose", "[::]:2007:7,udp/[::]:2007:7")
    seen = echo(guest, "::")
    wait_until_exposed(network, "::1", 2007)
    for address in "::1", INTERNET6:
        assert both(network.host, address, 2007) == (True, True), address
    assert set(seen.clients) == {test_slirp.HOST6, INTERNET6}
    assert not tcp(network.host, "127.0.0.1", 2007)             # :: is no IPv4
    assert softnet.counters().dropped("guest", "dst-private") == 0


def test_both_families_have_the_same_port(network, slirp6, echo):
    guest, _softnet = slirp6("--expose", "2007:7,[::]:2007:8,udp/2007:7,udp/[::]:2007:8")
    echo(guest, "0.0.0.0", 7)
    echo(guest, "::", 8)
    wait_until_exposed(network, "127.0.0.1", 2007)
    wait_until_exposed(network, "::1", 2007)
    assert udp(network.host, "127.0.0.1", 2007) and udp(network.host, "::1", 2007)


@pytest.mark.parametrize("family", [4, 6])
def test_much_data(network, request, echo, family):
    guest, _softnet = request.getfixturevalue("slirp6" if family == 6 else "slirp")(
        "--expose", "2007:7,udp/2007:7,[::]:2007:7,udp/[::]:2007:7")
    echo(guest, "::" if family == 6 else "0.0.0.0")
    address = "::1" if family == 6 else "127.0.0.1"
    wait_until_exposed(network, address, 2007)
    data = os.urandom(3_000_000)
    assert ipv6_peers.exchange(network.host, data, address, 2007, timeout=20) == data
    # The largest datagram that fits into a packet; one octet more is lost.
    largest = 1500 - (48 if family == 6 else 28)
    for octets in 1, 2, largest - 1, largest:
        assert udp(network.host, address, 2007, data=os.urandom(octets)), octets
    assert not udp(network.host, address, 2007, data=bytes(largest + 1))


def test_many_udp_clients_at_the_same_time(network, slirp, echo):
    guest, _softnet = slirp("--expose", "udp/2007:7,udp/2008:7")
    echo(guest)
    wait_until_exposed(network, "127.0.0.1", 2007, udp)
    wrong = []

    def client(number):
        address, port = ("127.0.0.1", "127.0.0.2", INTERNET4)[number % 3], 2007 + number % 2
        with network.host.entered():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with s:
            s.settimeout(5)
            s.connect((address, port))      # so it hears answers from the address and port that it asked, and no others
            for turn in range(20):
                data = f"{number} {turn}".encode()
                s.send(data)
                with contextlib.suppress(OSError):
                    if s.recv(100) == data:
                        continue
                wrong.append((number, turn))
    threads = [threading.Thread(target=client, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_udp_does_not_open_the_hosts_loopback(network, slirp, echo):
    """The guest may answer who has asked; its exposed port is no way to others."""
    guest, _softnet = slirp("--expose", "udp/127.0.0.1:2007:7")
    other = echo(network.host, "127.0.0.1", 9)
    echo(guest)
    wait_until_exposed(network, "127.0.0.1", 2007, udp)
    with guest.entered():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.settimeout(1)
        s.bind(("10.0.2.15", 1007))
        s.sendto(b"hello", (test_slirp.HOST, 9))
        with pytest.raises(OSError):
            s.recv(100)
    assert udp(network.host, "127.0.0.1", 9) and other.clients == ["127.0.0.1"]     # it is there, for others


# --- where it listens -------------------------------------------------------------------------------------------------

def test_only_the_address_that_was_named_answers(network, slirp6, echo):
    guest, _softnet = slirp6("--expose", f"127.0.0.2:2007:7,udp/127.0.0.2:2007:7,[{INTERNET6}]:2007:7,"
                                         f"udp/[{INTERNET6}]:2007:7")
    echo(guest, "::")
    wait_until_exposed(network, INTERNET6, 2007)
    assert udp(network.host, INTERNET6, 2007)
    assert both(network.host, "::1", 2007) == (False, False)
    assert both(network.host, "127.0.0.1", 2007) == both(network.host, INTERNET4, 2007) == (False, False)
    wait_until_exposed(network, "127.0.0.2", 2007)
    assert udp(network.host, "127.0.0.2", 2007)


def test_range(network, slirp, echo):
    guest, _softnet = slirp("--expose", "2000-2002:9000-9002,udp/127.0.0.1:2000-2002:9000-9002")
    seen = [echo(guest, port=port) for port in range(9000, 9003)]
    wait_until_exposed(network, "127.0.0.1", 2000)
    for port in range(2000, 2003):
        assert both(network.host, "127.0.0.1", port) == (True, True)
    assert [len(each.clients) for each in seen] == [3, 2, 2]
    assert not tcp(network.host, "127.0.0.1", 1999) and not tcp(network.host, "127.0.0.1", 2003)


# --- when it listens --------------------------------------------------------------------------------------------------

def test_lease_that_comes_late_and_goes(network, slirp, echo):
    guest, softnet = slirp("--expose", "127.0.0.1:2007:7,udp/127.0.0.1:2007:7")
    echo(guest)
    wait_until_exposed(network, "127.0.0.1", 2007)
    services.release_udhcpc(softnet.client, guest)
    netns.wait_for(lambda: both(network.host, "127.0.0.1", 2007, timeout=0.3) == (False, False), 10, "the end")
    services.Echo(network.host, "127.0.0.1", 2007).close()      # nobody has the port now
    softnet.client.signal(signal.SIGUSR1)                       # and asks for another
    wait_until_exposed(network, "127.0.0.1", 2007)
    assert udp(network.host, "127.0.0.1", 2007)


def test_changed_address(network, slirp, echo):
    """The forwardings go to the new lease, and no longer to the old address."""
    guest, softnet = slirp("--expose", "2007:7,udp/2007:7")
    echo(guest, "10.0.2.15")
    wait_until_exposed(network, "127.0.0.1", 2007)
    mark = softnet.mark()
    services.release_udhcpc(softnet.client, guest)
    softnet.wait_line("lease lost", 10, since=mark)
    softnet.client.stop()
    services.udhcpc(network, guest, "-r", "10.0.2.20")
    assert services.address_of(guest) == "10.0.2.20"
    guest.ip("address add 10.0.2.15/24 dev eth0")               # would still take connections
    assert not tcp(network.host, "127.0.0.1", 2007) and not udp(network.host, "127.0.0.1", 2007)
    echo(guest, "10.0.2.20")
    assert both(network.host, "127.0.0.1", 2007) == (True, True)


def test_changed_address_in_ipv6(network, slirp6, echo):
    guest, _softnet = slirp6("--expose", "[::]:2007:7,udp/[::]:2007:7")
    old, new = ipv6_peers.eui64(test_slirp.PREFIX6, test_slirp.MAC), "fd00:10:0:2::1234"
    echo(guest, old)
    wait_until_exposed(network, "::1", 2007)
    guest.ip(f"address add {new}/64 dev eth0")
    netns.wait_for(lambda: not [each for each in guest.addresses() if ipv6_peers.is_waiting(each)], 10, new)
    echo(guest, new)
    assert both(network.host, "::1", 2007) == (True, True)      # the one that it had stays


def test_static_address_is_exposed_at_once(network, echo, slirp):
    network.host.ip("link set lo up")
    guest = network.namespace("guest", ipv6=False)
    softnet = network.start([services.softnet_path(), "--vm-mac-address", test_slirp.MAC, "--guest", "tap:g-static",
                             "--uplink", "slirp", "-v", "--vm-ip", "10.0.2.77/24", "--no-dhcp", "--expose",
                             "2007:7,udp/2007:7"], kind=services.Softnet)
    softnet.wait_line("leads to 10.0.2.77", 10)
    network.host.ip("link set g-static netns guest")
    guest.ip(f"link set g-static name eth0 address {test_slirp.MAC} up")
    guest.ip("address add 10.0.2.77/24 dev eth0")
    echo(guest)
    wait_until_exposed(network, "127.0.0.1", 2007, udp)         # which the guest is told of before it has said anything
    assert tcp(network.host, "127.0.0.1", 2007)


# --- what goes wrong --------------------------------------------------------------------------------------------------

def test_a_port_that_is_taken_is_an_error_at_the_start(network, echo):
    echo(network.host, "127.0.0.1", 2007)
    for text, line in (("2006:7,127.0.0.1:2007:7", '"127.0.0.1:2007:7": tcp port 2007 on 127.0.0.1'),
                       ("2005-2009:7-11", '"2005-2009:7-11": tcp port 2007 on 0.0.0.0'),
                       ("udp/127.0.0.1:2005-2008:7-10", '"udp/127.0.0.1:2005-2008:7-10": udp port 2007 on 127.0.0.1')):
        softnet = network.start([services.softnet_path(), "--vm-mac-address", test_slirp.MAC, "--guest", "tap:g-busy",
                                 "--uplink", "slirp", "--expose", text])
        assert softnet.popen.wait(10) == 1
        assert softnet.output() == [f"softnet: --expose: {line}: Address already in use"]


def test_a_port_that_becomes_free_is_waited_for(network, echo):
    """A guard that was killed a moment ago, say."""
    busy = services.Echo(network.host, "127.0.0.1", 2007)
    softnet = network.start([services.softnet_path(), "-v", "--vm-mac-address", test_slirp.MAC, "--guest", "tap:g-busy",
                             "--uplink", "slirp", "--expose", "2007:7"])
    busy.close()
    softnet.wait_line("gateway MAC addresses", 10)


def test_busy_port_is_named_and_the_guard_goes_on(network, echo, slirp):
    """Taken between the start and the lease. Without -v too."""
    def take(softnet):
        netns.wait_for(lambda: has_worker(softnet), 10, "slirp")
        echo(network.host, "127.0.0.1", 2007)
    guest, softnet = slirp("--expose", "2006:7,127.0.0.1:2007:7,udp/127.0.0.1:2005-2008:7-10,203.0.113.9:2009:7",
                           verbose=False, before_lease=take)
    echo(guest)
    for line in (r'"127.0.0.1:2007:7" is not in place: tcp port 2007 on 127.0.0.1: Address already in use',
                 r'"udp/127.0.0.1:2005-2008:7-10" is not in place: udp port 2007 on 127.0.0.1: Address already in use',
                 r'"203.0.113.9:2009:7" is not in place: tcp port 2009 on 203.0.113.9: Cannot assign requested address'):
        softnet.wait_line("softnet: --expose: " + line, 10)
    wait_until_exposed(network, "127.0.0.1", 2006)
    assert softnet.running
    said = [line for line in softnet.output() if "--expose" in line]
    assert len(said) == 3, said


def test_busy_port_is_tried_again_with_the_next_lease(network, slirp):
    taken = []
    guest, softnet = slirp("--expose", "2007:7", before_lease=lambda _: taken.append(
        services.Echo(network.host, "127.0.0.1", 2007)))
    [busy] = taken
    seen = services.Echo(guest, "0.0.0.0", 7)
    with contextlib.closing(seen):
        softnet.wait_line("is not in place: tcp port 2007", 10)
        busy.close()
        services.release_udhcpc(softnet.client, guest)
        softnet.wait_line("lease lost", 10)
        softnet.client.signal(signal.SIGUSR1)
        wait_until_exposed(network, "127.0.0.1", 2007)
        assert seen.clients


def has_worker(softnet):
    with contextlib.suppress(OSError, IndexError):
        return worker_of(softnet)


def worker_of(softnet):
    """The process in which libslirp runs: grandchild of the guard."""
    [keeper] = [pid for pid, name in netns.children_of(softnet.pid).items() if name == "softnet-keeper"]
    return [pid for pid, name in netns.children_of(keeper).items() if name == "softnet-slirp"][0]


def test_worker_that_dies_exposes_again(network, slirp6, echo):
    guest, softnet = slirp6("--expose", "2007:7,udp/2007:7,[::]:2007:8,udp/[::]:2007:8,2010-2012:9000-9002")
    echo(guest, "0.0.0.0", 7)
    echo(guest, "::", 8)
    echo(guest, "0.0.0.0", 9002)
    wait_until_exposed(network, "127.0.0.1", 2007)
    wait_until_exposed(network, "::1", 2007)
    worker = worker_of(softnet)
    os.kill(worker, signal.SIGKILL)
    softnet.wait_line("was started again", 10)
    wait_until_exposed(network, "127.0.0.1", 2007)
    wait_until_exposed(network, "::1", 2007)
    assert udp(network.host, "127.0.0.1", 2007) and udp(network.host, "::1", 2007)
    assert tcp(network.host, "127.0.0.1", 2012)
    assert worker_of(softnet) != worker


# --- without a network ------------------------------------------------------------------------------------------------

def test_host_only_guest_is_reached(network, slirp, echo):
    guest, _softnet = slirp("--vm-net-type", "host", "--expose", "2007:7,udp/2007:7")
    other = echo(network.host, INTERNET4, 7)
    echo(guest)
    wait_until_exposed(network, "127.0.0.1", 2007)
    assert udp(network.host, "127.0.0.1", 2007)
    assert both(guest, INTERNET4, 7) == (False, False) and not other.clients


def test_host_only_guest_is_reached_in_ipv6(network, slirp6, echo):
    guest, _softnet = slirp6("--vm-net-type", "host", "--expose", "[::1]:2007:7,udp/[::1]:2007:7")
    echo(guest, "::")
    wait_until_exposed(network, "::1", 2007)
    assert udp(network.host, "::1", 2007)


# --- with a stateful policy -------------------------------------------------------------------------------------------

def test_exposed_ports_are_open_where_nobody_else_may_come_in(network, slirp6, echo):
    guest, softnet = slirp6("--inbound", "established", "--block", "any", "--ipv6", "guard", "--expose",
                            "2007:7,udp/2007:7,[::]:2007-2008:7-8,udp/[::]:2007-2008:7-8")
    echo(guest, "0.0.0.0", 7)
    echo(guest, "::", 8)
    wait_until_exposed(network, "127.0.0.1", 2007)
    wait_until_exposed(network, "::1", 2008)
    assert udp(network.host, INTERNET4, 2007) and udp(network.host, INTERNET6, 2008)
    assert softnet.counters().dropped("uplink", "unsolicited") == 0
