"""The bridge of the usual KVM host: it has an address of the host's, and the router is another machine on the LAN.

    guest -- softnet -- br0 (the host, .60) -- gateway 192.168.77.1, with DHCP where the test says
"""

import json
import socket

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_RA, IPv6
from scapy.layers.l2 import Ether

import ipv6_peers
import services
from capture import watch       # noqa: F401
from dhcp_peers import GATEWAY, INTERNET, Far, Guest, start_client
from netns import wait_for

LIAR_MAC, NEIGHBOR = "52:54:00:00:00:66", "192.168.77.200"
HOST, HOST_MAC = "192.168.77.60", "52:54:00:00:00:60"
GATEWAY_MAC = "52:54:00:00:00:01"
HOST6, HOST_LINK_LOCAL = "2a00:7700:1:1::60", "fe80::5054:ff:fe00:60"


def live_on_br0(network):
    """The host's own address on the bridge, with a MAC address of its own."""
    network.host.ip(f"link set br0 address {HOST_MAC}")
    network.host.ip(f"address add {HOST}/24 dev br0")


@pytest.fixture
def lan(segment, softnet):
    """The host's default route leaves by the bridge, as the LAN's router is there."""
    live_on_br0(segment)
    segment.host.ip(f"route add default via {GATEWAY}")
    segment.far = Far(segment.gateway, "eth0")
    return segment


def status_of(network, guest):
    said = services.status(network, "--vm", guest.mac, "--json")
    return json.loads(said)[0]


def neighbor(network, address=None, mac=LIAR_MAC):
    namespace = network.namespace("liar", ipv6=False)
    network.join(namespace, "eth0", "br0", address, mac=mac)
    return namespace


def reach(guest, *addresses):
    for address in addresses:
        guest.namespace.run("ping", "-c", "3", "-i", "0.2", "-W", "2", address)


def claim(network, guest, address):
    """A machine of the LAN says that the address is its own; the guard must not let the guest hear it."""
    before = guest.guard.counters().dropped("uplink", "arp-gateway-spoof")
    liar = neighbor(network, f"{address}/24")
    liar.run(services.busybox(), "arping", "-U", "-c", "2", "-w", "2", "-I", "eth0", address, check=False)
    guest.guard.wait_counters(lambda now: now.dropped("uplink", "arp-gateway-spoof") > before)
    liar.ip(f"address del {address}/24 dev eth0")
    return liar


def test_lan_bridge_needs_no_options(lan, watch):
    guest = watch("vm", "52:54:00:00:00:0a", residents=(HOST,), resident_mac=HOST_MAC)
    guest.guard.wait_line(f"host itself: {HOST} .from the uplink")
    guest.guard.wait_line(f"host itself: at {HOST_MAC}, not the router: its default route leaves there")
    guest.lease()
    reach(guest, INTERNET, HOST)                # and the host's own services, as everywhere
    guest.guard.wait_line(f"gateway learned: {GATEWAY} at {GATEWAY_MAC}")
    anchors = status_of(lan, guest)["anchors"]
    assert anchors["resident"] == {"addresses": [HOST], "mac": HOST_MAC, "why": "its default route leaves there"}
    assert not anchors["host"] and not anchors["macs"]
    # The host is no next hop to anywhere, and neither is a machine that takes its address.
    wire = guest.namespace.wire("eth0")
    for mac, to in (HOST_MAC, INTERNET), (HOST_MAC, NEIGHBOR), (LIAR_MAC, HOST), (GATEWAY_MAC, HOST):
        wire.send(Ether(src=guest.mac, dst=mac) / IP(src=guest.address, dst=to) / UDP(sport=9, dport=9))
    guest.guard.wait_counters(lambda counters: counters.dropped("guest", "l2-next-hop") == 2 and
                              counters.dropped("guest", "dst-private") == 1)
    liar = claim(lan, guest, HOST)
    wire = liar.wire("eth0")
    wire.send(Ether(src=LIAR_MAC, dst=guest.mac) / IP(src=HOST, dst=guest.address) / UDP(sport=9, dport=9))
    guest.guard.wait_counters(lambda counters: counters.dropped("uplink", "ip4-gateway-spoof") == 1)
    reach(guest, INTERNET, HOST)


def test_rules_know_the_host(lan):
    """@host is the host; @gateway the router that the lease names; neither is the other."""
    host = services.Echo(lan.host, HOST)
    router = services.Echo(lan.gateway, GATEWAY)
    try:
        guest = Guest(lan, "vm", "--block", "any", "--allow", "@host:tcp/7,@gateway:udp/7")
        start_client(lan, guest, "udhcpc")
        for address, reaches in (HOST, True), (GATEWAY, False):
            said = guest.namespace.run("timeout", "2", "sh", "-c", f"echo hello | {services.busybox()} nc {address} 7",
                                       check=False)
            assert ("hello" in said) == reaches, (address, said)
        assert not router.clients
        guest.guard.wait_counters(lambda counters: counters.dropped("guest", "dst-blocked") >= 1)
    finally:
        host.close()
        router.close()


def test_server_on_the_host_and_router_elsewhere(lan):
    lan.dhcp_server.stop()
    services.dnsmasq(lan, lan.host, "192.168.77.100", "192.168.77.120", router=GATEWAY, interface="br0", name="hosts")
    guest = Guest(lan, "vm")
    start_client(lan, guest, "udhcpc")
    guest.guard.wait_line(f"DHCP server learned: {HOST} at {HOST_MAC}")
    guest.must_reach(INTERNET)


def test_router_on_the_host_and_server_elsewhere(segment, softnet):
    """The host routes for the bridge; the server is named, as the hint says."""
    live_on_br0(segment)
    segment.host.ip(f"address add {INTERNET}/32 dev br0")
    segment.gateway.ip(f"address del {INTERNET}/32 dev lo")
    segment.dhcp_server.stop()
    services.dnsmasq(segment, segment.gateway, "192.168.77.100", "192.168.77.120", router=HOST, name="elsewhere")
    guest = Guest(segment, "vm", "--dhcp-server", GATEWAY)
    start_client(segment, guest, "udhcpc")
    guest.must_reach(INTERNET)
    assert HOST in status_of(segment, guest)["anchors"]["host"]


@pytest.mark.parametrize("options", [["--gateway", GATEWAY], ["--gateway", GATEWAY, "--dhcp-server", GATEWAY],
                                     ["--gateway-mac", GATEWAY_MAC]], ids=["gateway", "both", "mac"])
def test_a_named_router_is_not_the_host(segment, softnet, options):
    """The host's default route leaves elsewhere, so it would count as the router, if nobody named another one."""
    live_on_br0(segment)
    guest = Guest(segment, "vm", *options)
    start_client(segment, guest, "udhcpc")
    guest.must_reach(INTERNET)
    assert HOST_MAC not in status_of(segment, guest)["anchors"]["macs"]
    claim(segment, guest, GATEWAY)
    guest.must_reach(INTERNET)


def test_a_prepared_tap_pins_the_bridge_too(segment, softnet):
    """A bridge takes the lowest MAC of its ports, unless told to keep its own: also where it has the tap already."""
    segment.host.ip(f"address add {HOST}/24 dev br0")
    services.dnsmasq(segment, segment.host, "192.168.77.100", "192.168.77.120", router=HOST, interface="br0",
                     name="hosts")
    segment.tap("u-vm", "br0")
    guest = Guest(segment, "vm")
    mac = segment.host.mac("br0")
    segment.host.ip("link add low address 02:00:00:00:00:01 type veth peer name high")
    segment.host.ip("link set low master br0 up")
    assert segment.host.mac("br0") == mac
    start_client(segment, guest, "udhcpc")
    guest.must_reach(HOST)


# --- IPv6 -------------------------------------------------------------------------------------------------------------

def live_on_br0_in_ipv6(network):
    network.host.set_ipv6("br0", disable_ipv6=0, accept_dad=0, accept_ra=0, forwarding=0)
    network.host.ip(f"address add {HOST6}/64 dev br0 nodad")
    wait_for(lambda: HOST_LINK_LOCAL in network.host.ip("-6 address show dev br0"), 5, "its link-local address")


def find_slaac(guest):
    address = ipv6_peers.eui64(ipv6_peers.PREFIX, guest.mac)
    wait_for(lambda: f"{address}/" in guest.namespace.ip("-6 address show dev eth0 scope global -tentative"), 10,
             "the guest's address")


@pytest.mark.parametrize("route", [f"default via {ipv6_peers.GATEWAY_LINK_LOCAL} dev br0", None],
                         ids=["default", "ipv4-says"])
def test_router_of_ipv6_elsewhere(segment6, softnet, route):
    """By the host's own default route; and a host that has none in IPv6 is what it is in IPv4."""
    network = segment6
    network.host.ip(f"link set br0 address {HOST_MAC}")
    live_on_br0(network)
    live_on_br0_in_ipv6(network)
    network.host.ip(f"-6 route add {route}" if route else f"route add default via {GATEWAY}")
    ipv6_peers.radvd(network, network.gateway, ipv6_peers.PREFIX)
    guest = Guest(network, "vm", ipv6=ipv6_peers.PROMPT)
    find_slaac(guest)
    guest.must_reach(ipv6_peers.INTERNET, HOST6)
    resident = status_of(network, guest)["anchors"]["resident"]
    assert {HOST6, HOST_LINK_LOCAL} <= set(resident["addresses"])
    # The host's link-local address advertises nothing from another machine.
    liar = neighbor(network)
    wire = liar.wire("eth0")
    wire.send(Ether(src=LIAR_MAC, dst="33:33:00:00:00:01") / IPv6(src=HOST_LINK_LOCAL, dst="ff02::1") /
              ICMPv6ND_RA(routerlifetime=60))
    guest.guard.wait_counters(lambda counters: counters.dropped("uplink", "ra-untrusted", "ip6-gateway-spoof",
                                                                "nd-gateway-spoof") >= 1)
    guest.must_reach(ipv6_peers.INTERNET)


def test_each_family_by_itself(segment6, softnet):
    """IPv4's router is on the LAN, and IPv6 comes by a tunnel of the host's, which advertises itself."""
    network = segment6
    live_on_br0(network)
    live_on_br0_in_ipv6(network)
    network.host.ip(f"route add default via {GATEWAY}")
    network.host.ip("link add tunnel type bridge")
    network.host.set_ipv6("tunnel", disable_ipv6=0, accept_dad=0)
    network.host.ip("link set tunnel up")
    network.host.ip("-6 route add default dev tunnel")
    network.host.set_ipv6("br0", forwarding=1)
    ipv6_peers.radvd(network, network.host, ipv6_peers.PREFIX, interface="br0")
    services.dnsmasq(network, network.gateway, "192.168.77.10", "192.168.77.40", router=GATEWAY)
    guest = Guest(network, "vm", ipv6=ipv6_peers.PROMPT)
    find_slaac(guest)
    start_client(network, guest, "udhcpc")
    wire = network.host.wire("br0")
    guest.namespace.run("ping", "-c", "1", "-W", "1", ipv6_peers.INTERNET, check=False)
    wire.wait_frame(lambda frame: frame[38:54] == socket.inet_pton(socket.AF_INET6, ipv6_peers.INTERNET),
                    what="the ping at the host")
    guest.must_reach(INTERNET)
    guest.guard.wait_line(f"gateway learned: {HOST_LINK_LOCAL} at {HOST_MAC}")
    guest.guard.wait_line(f"gateway learned: {GATEWAY} at {GATEWAY_MAC}")
