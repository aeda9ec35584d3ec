"""What rules and --inbound do not touch, and groups, of which rules alone decide (docs/policy.md, What the policy does not
touch), in both families."""

import contextlib
import signal
import socket

import pytest
from scapy.all import IP, Ether, ICMPv6MLQuery, IPv6, IPv6ExtHdrHopByHop, RouterAlert
from scapy.contrib.igmp import IGMP

import dhcp_peers
import ipv6_peers
import netns
import policy_peers
import services
from policy_peers import FOUR, GATEWAY_MAC, NEAR4, NEAR6, ONE4, ONE6, peer, udp


@pytest.fixture
def served(network, softnet):
    """A segment with a DHCP server and an advertising router."""
    network = ipv6_peers.segment(network)
    network.dhcp_server = services.dnsmasq(network, network.gateway, "192.168.77.10", "192.168.77.50",
                                           router="192.168.77.1")
    ipv6_peers.radvd(network, network.gateway, ipv6_peers.PREFIX)
    return network


@dhcp_peers.needs_peers("radvd", server="ping")
def test_what_keeps_a_guest_on_the_network_passes_with_all_blocked(served):
    guest = ipv6_peers.Guest6(served, "vm", "--block=any", "--inbound=none")
    guest.client = services.udhcpc(served, guest.namespace)
    own4, own6 = services.address_of(guest.namespace), guest.wait_eui64()
    guest.wait_router()                                             # router advertisements
    mark = guest.client.mark()
    guest.client.signal(signal.SIGUSR1)                             # renews, by unicast
    guest.client.wait_line(r"^lease \S+ from", since=mark)
    # ARP and neighbor solicitations for the way out, though nothing goes there.
    for to, router, family in (ONE4, "192.168.77.1", "-4"), (ONE6, ipv6_peers.GATEWAY_LINK_LOCAL, "-6"):
        assert not policy_peers.reaches(guest.namespace, f"{to}:icmp" if "." in to else f"[{to}]:icmp", timeout=0.3)
        assert f"lladdr {ipv6_peers.GATEWAY_MAC}" in guest.namespace.ip(f"{family} neigh show {router} dev eth0")
    # And for the guest, though nobody gets in.
    for own, family in (own4, "-4"), (own6, "-6"):
        served.gateway.ip(f"{family} neigh flush dev eth0")
        assert not policy_peers.reaches(served.gateway, peer(own, "icmp"), timeout=0.5)
        assert f"lladdr {guest.mac}" in served.gateway.ip(f"{family} neigh show {own} dev eth0")
    counters = guest.guard.counters()
    assert counters.dropped("guest", "dst-blocked") >= 2 and counters.dropped("uplink", "unsolicited") >= 2
    assert counters.dropped("guest", "dst-private") == 0


def send_mdns(namespace, mark):
    for group, options in ("224.0.0.251", (socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("0.0.0.0"))), \
                          ("ff02::fb", None):
        with namespace.entered(), socket.socket(services.family_of(group), socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
            if not options:
                sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
            sender.bind(("", 5353))
            sender.sendto(mark, (group, 5353))


def hears(wire, mark, expected):
    """The versions of IP in which this is heard; what is not expected has a moment to come."""
    found = set()
    with contextlib.suppress(netns.NetworkError):
        netns.wait_for(lambda: found.update(frame[14] >> 4 for frame in wire.frames() if mark in frame) or found == {4, 6},
                       2 if expected == {4, 6} else 0.2, "both")
    return found


def test_mdns(network, softnet):
    """Nobody answers a group, so flows say nothing of it: the rules and --inbound do, by the source."""
    world = policy_peers.World(network)
    heard = world.near.wire("eth0")
    for number, (options, out, into) in enumerate((
            ([], {4, 6}, {4, 6}), (["--inbound=any", f"--block=in {NEAR4},out {NEAR6}"], {4, 6}, {6}),
            (["--inbound=established", f"--allow=in {NEAR4}:udp/5353"], {4, 6}, {4}), (["--inbound=none"], {4, 6}, set()),
            (["--block=any"], set(), {4, 6}))):
        guest = world.guest(*options)
        inside = guest.namespace.wire("eth0")
        send_mdns(guest.namespace, b"question %d" % number)
        send_mdns(world.near, b"answer %d" % number)
        assert hears(heard, b"question %d" % number, out) == out, options
        assert hears(inside, b"answer %d" % number, into) == into, options
        counters = guest.guard.counters()
        assert counters.dropped("uplink", "unsolicited", "src-blocked") == 2 - len(into)
        assert counters.dropped("guest", "dst-blocked") >= 2 - len(out)
        world.clear()
    world.close()


def test_group_management_comes_in_whatever_the_rules_say(network, softnet):
    bench = policy_peers.Bench(network, "--inbound=none", "--block=any", "--block=in any")
    query = Ether(src=GATEWAY_MAC, dst="01:00:5e:00:00:01") / IP(src=policy_peers.GATEWAY4, dst="224.0.0.1", ttl=1) / \
        IGMP(type=0x11, gaddr="0.0.0.0")
    listeners = Ether(src=GATEWAY_MAC, dst="33:33:00:00:00:01") / IPv6(
        src=policy_peers.GATEWAY_LINK_LOCAL, dst="ff02::1", hlim=1) / IPv6ExtHdrHopByHop(
        options=RouterAlert()) / ICMPv6MLQuery()
    assert bench.into(query) == bench.into(listeners) == "pass"
    shout = Ether(src=GATEWAY_MAC, dst="ff:ff:ff:ff:ff:ff") / IP(src=FOUR.near, dst="192.168.77.255") / udp(4000, 4000)
    assert bench.into(shout) == "src-blocked"
    bench.close()
