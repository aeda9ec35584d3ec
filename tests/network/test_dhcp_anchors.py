"""Whom the guard believes: the bridge's owner, the first who answered, or whom the command line names.

    guest -- softnet -- br0 -- gateway 192.168.77.1, DHCP servers in namespaces of their own
"""

import pytest

import dhcp_peers
import services
from dhcp_peers import GATEWAY, INTERNET, Far, Guest, serve, start_client

GATEWAY_MAC = "52:54:00:00:00:01"


@pytest.fixture
def hosted(network, softnet):
    return dhcp_peers.hosted(network)


def other_server(network, name, number, first, router):
    """A machine on the bridge that runs a DHCP server, whose pool begins at `first`."""
    namespace = network.namespace(name, ipv6=False)
    network.join(namespace, "eth0", "br0", f"192.168.77.{number}/24", mac=f"52:54:00:00:01:{number:02x}")
    return services.dnsmasq(network, namespace, f"192.168.77.{first}", f"192.168.77.{first + 40}", router=router,
                            name=name)


def answers_on(wire):
    """The addresses of the servers that the guest heard."""
    return {".".join(map(str, frame[26:30])) for frame in wire.frames() if frame[34:38] == b"\x00\x43\x00\x44"}


def test_rogue_server_does_not_reach_the_guest(hosted):
    rogue = other_server(hosted, "rogue", 66, 100, "192.168.77.66")
    guest = Guest(hosted, "vm")
    wire = guest.namespace.wire("eth0")
    client = hosted.start([services.busybox(), "udhcpc", "-f", "-i", "eth0", "-t", "100", "-T", "1", "-s",
                           services.CHECKOUT / "tests" / "vm" / "udhcpc.sh"], guest.namespace)
    guest.guard.wait_counters(lambda counters: counters.dropped("uplink", "dhcp4-rogue-server") >= 1)
    rogue.wait_line("DHCPOFFER.* 192.168.77.1")
    assert answers_on(wire) == set() and guest.leases() == []
    serve(hosted, "dnsmasq")
    assert client.wait_line(r"^lease (\S+)/24 from (\S+)").groups() == ("192.168.77.10", GATEWAY)
    assert answers_on(wire) == {GATEWAY}
    guest.must_reach()


def test_first_server_and_router_are_learned(segment, softnet):
    """The bridge has no address, and the DHCP server is another machine than the gateway."""
    segment.dhcp_server.stop()
    other_server(segment, "dhcp", 2, 10, GATEWAY)
    far = Far(segment.gateway, "eth0")
    guest = Guest(segment, "vm")
    client = start_client(segment, guest, "udhcpc")
    guest.guard.wait_line(r"DHCP server learned: 192\.168\.77\.2 at 52:54:00:00:01:02")
    guest.must_reach(INTERNET)          # and not the gateway: no one said that it is the host
    guest.guard.wait_line(f"gateway learned: {GATEWAY} at {GATEWAY_MAC}")
    # A server that comes later is nobody, even if it is the gateway's machine.
    services.dnsmasq(segment, segment.gateway, "192.168.77.100", "192.168.77.140", router=GATEWAY, name="late")
    client.stop()
    wire = guest.namespace.wire("eth0")
    start_client(segment, guest, "udhcpc")
    guest.guard.wait_counters(lambda counters: counters.dropped("uplink", "dhcp4-rogue-server") >= 1)
    assert answers_on(wire) == {"192.168.77.2"}
    guest.must_reach(INTERNET)
    # And the router is one machine: another MAC as next hop is refused.
    wire.send(guest.frame_from(guest.address, "52:54:00:00:01:02"))
    guest.guard.wait_counters(lambda counters: counters.dropped("guest", "l2-next-hop") == 1)
    guest.try_to_send(guest.address, far)


def test_named_server_gateway_and_mac(segment, softnet):
    """Strict: nothing is learned. The gateway's machine runs a DHCP server too, which is not the named one."""
    other_server(segment, "dhcp", 2, 60, GATEWAY)
    guest = Guest(segment, "vm", "--gateway", GATEWAY, "--gateway-mac", GATEWAY_MAC, "--dhcp-server", "192.168.77.2",
                  "--anchors", "strict")
    wire = guest.namespace.wire("eth0")
    start_client(segment, guest, "udhcpc")
    assert answers_on(wire) == {"192.168.77.2"}
    guest.guard.wait_counters(lambda counters: counters.dropped("uplink", "dhcp4-rogue-server") >= 1)
    guest.must_reach()
    # The gateway's address at another MAC.
    liar = segment.namespace("liar", ipv6=False)
    segment.join(liar, "eth0", "br0", f"{GATEWAY}/24", mac="52:54:00:00:00:66")
    # More than one: the bridge forwards nothing from a port that has only just come up.
    liar.run(services.busybox(), "arping", "-U", "-c", "3", "-w", "4", "-I", "eth0", GATEWAY, check=False)
    guest.guard.wait_counters(lambda counters: counters.dropped("uplink", "arp-gateway-spoof") >= 1)
    assert GATEWAY_MAC in guest.namespace.ip(f"neighbor show {GATEWAY}")
    guest.must_reach()


def test_wrong_gateway_mac_cuts_off(segment, softnet):
    """What is named is what counts: with the MAC of another machine, the real gateway is an impostor."""
    guest = Guest(segment, "vm", "--gateway", GATEWAY, "--gateway-mac", "52:54:00:00:00:77")
    segment.start([services.busybox(), "udhcpc", "-f", "-i", "eth0", "-T", "1", "-s", "/bin/true"], guest.namespace)
    guest.guard.wait_counters(lambda counters: counters.dropped("uplink", "dhcp4-rogue-server") >= 1)
    assert guest.leases() == []
