"""IPv6 switched off: a dual-stack guest in a dual-stack network notices nothing but its absence.

    guest eth0 -- softnet -- br0 -- eth0 gateway (dnsmasq for both families) -- internet
"""

import errno
import json
import re
import sys

import pytest

import dhcp_peers
import ipv6_peers
import services
from dhcp_peers import needs_peers
from ipv6_peers import INTERNET, POOL, PREFIX, Guest6, icmp6_of
from netns import wait_for

pytestmark = needs_peers(server="dnsmasq")
# Run in the guest: connects to the argument, and prints how that ended and how long it took.
CONNECT = """
import json, socket, sys, time
begin = time.monotonic()
try:
    with socket.create_connection((sys.argv[1], 7), 10) as s:
        s.sendall(b"hello")
        s.recv(10)
        print(json.dumps([0, time.monotonic() - begin, s.getpeername()[0]]))
except OSError as error:
    print(json.dumps([error.errno, time.monotonic() - begin, ""]))
"""


@pytest.fixture
def segment(segment6, softnet):
    ipv6_peers.dnsmasq(segment6, f"{POOL.replace('-', ',')},slaac,64,120")
    servers = [services.Echo(segment6.internet, address) for address in (INTERNET, dhcp_peers.INTERNET)]
    (segment6.logs / "hosts").write_text(f"{INTERNET} both.example\n{dhcp_peers.INTERNET} both.example\n")
    yield segment6
    for server in servers:
        server.close()


def connect(guest, name):
    """(errno, seconds, address) of a connection by name or address, the name service being a file."""
    hosts = guest.network.logs / "hosts"
    output = guest.namespace.run("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', hosts,
                                 sys.executable, "-c", CONNECT, name)
    return json.loads(output)


def make(segment, name, *options, **more):
    guest = Guest6(segment, name, *options, **more)
    services.udhcpc(segment, guest.namespace)
    return guest


@pytest.mark.parametrize("options, why", [
    (["--ipv6", "off"], r"IPv6: off"),
    (["--allow", "10.0.0.0/8"], r"IPv6: off \(auto: "),
    (["--block", "10.0.0.0/8"], r"IPv6: off \(auto: "),
])
@pytest.mark.long
def test_dual_stack_guest_does_not_hang(segment, options, why):
    guest = make(segment, "vm", *options)
    guest.guard.wait_line(why)
    without = make(segment, "without", ipv6={"disable_ipv6": 1}, bare=True)
    # It has asked for a router, and nobody has heard it.
    guest.wait_address("fe80::/64")
    guest.guard.wait_counters(lambda now: now.dropped("guest", "ip6-disabled") > 2)
    wire = guest.namespace.wire("eth0")
    guest.guard.wait_counters(lambda now: now.dropped("uplink", "ip6-disabled") > 0, 10)
    assert not [frame for frame in wire.frames() if frame[12:14] == b"\x86\xdd"]
    assert not guest.addresses("2000::/3")
    for each in guest, without:
        status, seconds, _ = connect(each, INTERNET)
        assert status in (errno.ENETUNREACH, errno.EADDRNOTAVAIL) and seconds < 0.5
        status, seconds, peer = connect(each, "both.example")
        assert (status, peer) == (0, dhcp_peers.INTERNET) and seconds < 1


@pytest.mark.parametrize("options", [[], ["--ipv6", "guard", "--allow", "10.0.0.0/8"],
                                     ["--allow", "10.0.0.0/8,fd00:10::/32"]])
def test_the_same_guest_with_ipv6(segment, options):
    """And here it is: what the test above sees depends on nothing else."""
    guest = make(segment, "vm", *options)
    guest.wait_eui64()
    guest.wait_router()
    status, _, peer = connect(guest, INTERNET)
    assert (status, peer) == (0, INTERNET)
    assert connect(guest, "both.example")[2] == INTERNET
    assert connect(guest, dhcp_peers.INTERNET)[2] == dhcp_peers.INTERNET


def test_nothing_of_ipv6_passes_when_it_is_off(segment):
    """Not even with addresses that nobody had to give, and neighbors that need not be asked for."""
    guest = Guest6(segment, "vm", "--ipv6", "off", ipv6={"accept_dad": 0})
    guest.namespace.ip("address add 2a00:7700:1:1::77/64 dev eth0")
    guest.namespace.ip(f"neigh replace {ipv6_peers.GATEWAY} lladdr {ipv6_peers.GATEWAY_MAC} dev eth0 nud permanent")
    guest.namespace.ip(f"-6 route add default via {ipv6_peers.GATEWAY}")
    bare = ipv6_peers.eui64(PREFIX, guest.mac)
    watch = segment.gateway.wire("eth0")
    guest.try_to_send("2a00:7700:1:1::77", segment.far, "ip6-disabled")
    guest.try_to_send(bare, segment.far, "ip6-disabled")
    assert "100% packet loss" in guest.ping(check=False, wait=0.5)
    segment.gateway.ip(f"neigh replace 2a00:7700:1:1::77 lladdr {guest.mac} dev eth0 nud permanent")
    inside = guest.namespace.wire("eth0")
    assert re.search("100% packet loss", segment.internet.run("ping", "-6", "-c", "1", "-W", "0.5", "2a00:7700:1:1::77",
                                                              check=False))
    mac = dhcp_peers.mac_bytes(guest.mac)
    assert not [icmp6_of(frame) for frame in watch.frames() if frame[6:12] == mac and frame[12:14] == b"\x86\xdd"]
    assert not [frame for frame in inside.frames() if frame[12:14] == b"\x86\xdd"]
    wait_for(lambda: guest.guard.counters().dropped("uplink", "ip6-disabled"), 5, "the drops")
