"""Two guests of one host, each behind its own guard, on one bridge; and what the operator's rules open and close.

    one eth0 -- softnet -- tap u-one -- br0 -- eth0 gateway (DHCP server; web servers on several addresses)
    two eth0 -- softnet -- tap u-two --'
"""

import socket

import pytest

import netns
import rawguest
import services
from capture import GATEWAY_MAC, watch  # noqa: F401
from test_attack_tools import fetch, neighbor

ONE_MAC, TWO_MAC, FOREIGN_MAC = "52:54:00:00:00:0a", "52:54:00:00:00:0b", "02:00:00:00:00:99"
GATEWAY, INTERNET = "192.168.77.1", "1.1.1.1"
OPEN = "--allow=0.0.0.0/0"


def is_isolated(network, name):
    return "isolated on" in network.host.run("bridge", "-d", "link", "show", "dev", f"u-{name}")


def reaches(guest, address, port=80):
    """Whether a TCP connection succeeds; one that does not is refused by silence."""
    try:
        return fetch(guest.namespace, address, port, timeout=0.7) == b"hello\n"
    except OSError:
        return False


def flush(guest):
    """Forget the neighbors, so that the next packet begins with ARP."""
    guest.namespace.ip("neigh flush dev eth0")


@pytest.fixture
def make_guests(segment, watch):  # noqa: F811
    servers = []

    def make(*options, **rules):
        guests = [watch(name, mac, *options, **rules) for name, mac in (("one", ONE_MAC), ("two", TWO_MAC))]
        for guest in guests:
            guest.lease()
            servers.append(services.WebServer(guest.namespace, guest.address))
        servers.append(services.WebServer(segment.gateway, INTERNET))
        return guests
    yield make
    for server in servers:
        server.close()


def test_each_has_its_lease_and_they_do_not_meet(segment, make_guests):
    one, two = make_guests()
    assert one.address != two.address
    assert is_isolated(segment, "one") and is_isolated(segment, "two")
    assert reaches(one, INTERNET) and reaches(two, INTERNET)
    assert not reaches(one, two.address)
    assert one.dropped("arp-target-denied") > 0
    # Not even when it knows the way, or believes that the gateway is it.
    one.namespace.ip(f"neigh replace {two.address} lladdr {TWO_MAC} dev eth0 nud permanent")
    assert not reaches(one, two.address)
    assert one.dropped("dst-private") > 0
    one.namespace.ip(f"neigh replace {GATEWAY} lladdr {TWO_MAC} dev eth0 nud permanent")
    assert not reaches(one, INTERNET)
    assert one.dropped("l2-next-hop") > 0
    assert not [frame for frame in two.delivered() if frame[6:12] == rawguest.mac_bytes(ONE_MAC)]


def test_they_meet_when_both_are_opened(segment, make_guests):
    one, two = make_guests(OPEN, allow=("0.0.0.0/0",), isolated=False)
    assert not is_isolated(segment, "one") and not is_isolated(segment, "two")
    assert reaches(one, two.address) and reaches(two, one.address)
    assert reaches(one, INTERNET)


def test_one_open_guest_does_not_open_the_other(segment, watch):  # noqa: F811
    one = watch("one", ONE_MAC, OPEN, allow=("0.0.0.0/0",), isolated=False)
    two = watch("two", TWO_MAC)
    one.lease(), two.lease()
    web = services.WebServer(two.namespace, two.address)
    assert not reaches(one, two.address)        # two may not answer
    netns.wait_for(lambda: two.dropped("dst-private", "arp-target-denied", "l2-next-hop") > 0, what="the silence")
    web.close()


def test_neither_takes_the_address_of_the_other(segment, make_guests):
    """With everything opened, so that nothing but the guards stands between them."""
    one, two = make_guests(OPEN, allow=("0.0.0.0/0",), isolated=False)
    assert reaches(two, one.address) and reaches(two, INTERNET)
    # One gives itself the address of two, announces it, and speaks from it.
    one.namespace.ip(f"address add {two.address}/24 dev eth0")
    wire = one.namespace.wire("eth0")
    for operation in 1, 2:
        wire.send(rawguest.arp(ONE_MAC, operation, two.address, two.address),
                  rawguest.arp(ONE_MAC, operation, two.address, GATEWAY, GATEWAY_MAC, GATEWAY_MAC),
                  rawguest.arp(ONE_MAC, operation, GATEWAY, two.address, TWO_MAC, TWO_MAC))
    wire.send(rawguest.arp(ONE_MAC, 1, "0.0.0.0", two.address),
              rawguest.udp(ONE_MAC, GATEWAY_MAC, two.address, INTERNET, 4000, 4001),
              rawguest.udp(ONE_MAC, TWO_MAC, GATEWAY, two.address, 53, 4001),
              rawguest.udp(TWO_MAC, GATEWAY_MAC, two.address, INTERNET, 4000, 4001))
    one.guard.wait_counters(lambda now: now.dropped("guest", "arp-spa-spoof") >= 6 and
                            now.dropped("guest", "arp-probe-target") == 1 and
                            now.dropped("guest", "ip4-src-spoof") >= 2 and now.dropped("guest", "eth-src-spoof") == 1)
    # By DHCP neither: to name the other's MAC or client identifier, or to renew, release or decline its address.
    server = b"\x36\x04" + socket.inet_aton(GATEWAY)
    wanted = b"\x32\x04" + socket.inet_aton(two.address)
    theirs = b"\x3d\x07\x01" + rawguest.mac_bytes(TWO_MAC)
    everybody = ONE_MAC, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", 68, 67
    wire.send(rawguest.udp(*everybody, rawguest.dhcp(TWO_MAC, 1, 1)),
              rawguest.udp(*everybody, rawguest.dhcp(ONE_MAC, 1, 2, theirs)),
              rawguest.udp(*everybody, rawguest.dhcp(ONE_MAC, 4, 3, wanted + server)),
              rawguest.udp(ONE_MAC, GATEWAY_MAC, two.address, GATEWAY, 68, 67,
                           rawguest.dhcp(ONE_MAC, 7, 4, server, two.address)),
              rawguest.udp(ONE_MAC, GATEWAY_MAC, two.address, GATEWAY, 68, 67,
                           rawguest.dhcp(ONE_MAC, 3, 5, b"", two.address)))
    one.guard.wait_counters(lambda now: now.dropped("guest", "dhcp4-chaddr") == 1 and
                            now.dropped("guest", "dhcp4-client-id-spoof") == 1 and
                            now.dropped("guest", "dhcp4-not-owner") == 3)
    assert reaches(two, INTERNET)
    assert neighbor(two.namespace, GATEWAY) == GATEWAY_MAC
    assert neighbor(segment.gateway, two.address) == TWO_MAC
    assert any(two.address in lease and TWO_MAC in lease for lease in segment.dhcp_server.leases())


def test_lies_from_an_unguarded_neighbor_stop_at_the_guard(segment, watch):  # noqa: F811
    one = watch("one", ONE_MAC)
    one.lease()
    web = services.WebServer(segment.gateway, INTERNET)
    assert reaches(one, INTERNET)
    outsider = segment.namespace("outsider", ipv6=False)
    segment.join(outsider, "eth0", "br0", mac=FOREIGN_MAC)
    segment.host.run("bridge", "link", "set", "dev", "outsider-eth0", "learning", "off")
    wire = outsider.wire("eth0")
    dhcp_reply = bytearray(rawguest.dhcp(ONE_MAC, 5, 1, b"\x36\x04" + socket.inet_aton("192.168.77.66")))
    dhcp_reply[0] = 2
    wire.send(rawguest.arp(FOREIGN_MAC, 2, GATEWAY, one.address, ONE_MAC, ONE_MAC),
              rawguest.arp(FOREIGN_MAC, 1, GATEWAY, one.address),
              rawguest.udp(FOREIGN_MAC, ONE_MAC, GATEWAY, one.address, 53, 4000),
              rawguest.udp(FOREIGN_MAC, ONE_MAC, "192.168.77.66", one.address, 67, 68, bytes(dhcp_reply)),
              rawguest.udp(FOREIGN_MAC, ONE_MAC, one.address, one.address, 4000, 4001),
              rawguest.udp(ONE_MAC, ONE_MAC, INTERNET, one.address, 4000, 4001),
              # The bridge floods what is for nobody it knows: none of it is the guest's business.
              rawguest.udp(GATEWAY_MAC, TWO_MAC, INTERNET, "192.168.77.11", 4000, 4001))
    one.guard.wait_counters(lambda now: all(now.dropped("uplink", reason) > 0 for reason in (
        "arp-gateway-spoof", "ip4-gateway-spoof", "dhcp4-rogue-server", "ip4-src-is-guest", "eth-src-is-guest",
        "l2-not-for-guest")))
    assert reaches(one, INTERNET) and neighbor(one.namespace, GATEWAY) == GATEWAY_MAC
    web.close()


def test_a_claim_to_the_address_is_heard_only_while_it_is_new(segment, watch):  # noqa: F811
    """RFC 5227: a new holder must hear of a conflict; later the claim would only evict an honest guest."""
    one = watch("one", ONE_MAC)
    one.lease()
    outsider = segment.namespace("outsider", ipv6=False)
    segment.join(outsider, "eth0", "br0", mac=FOREIGN_MAC)
    wire = outsider.wire("eth0")
    claim = rawguest.arp(FOREIGN_MAC, 2, one.address, one.address)
    wire.send(claim)
    netns.wait_for(lambda: claim in one.delivered(), what="the first claim to be heard")

    def is_dropped():
        wire.send(claim)
        return one.guard.counters().dropped("uplink", "arp-claims-guest") > 0
    netns.wait_for(is_dropped, 15, "a later claim to be dropped")


# --- rules, on real connections ---------------------------------------------------------------------------------------

LAN, PRINTER, OTHER_LAN, ELSEWHERE = "10.0.0.1", "10.0.0.2", "10.1.0.1", "9.9.9.9"


@pytest.fixture
def lan(segment):
    """Hosts behind the gateway, some of them private."""
    servers = []
    for address in LAN, PRINTER, OTHER_LAN, ELSEWHERE, INTERNET:
        segment.gateway.ip(f"address replace {address}/32 dev lo")
    servers.append(services.WebServer(segment.gateway, "0.0.0.0"))
    servers.append(services.WebServer(segment.gateway, "0.0.0.0", 53))
    yield segment
    for server in servers:
        server.close()


@pytest.mark.parametrize("options, rules, opened, closed", [
    ([], {}, [INTERNET, ELSEWHERE], [LAN, OTHER_LAN, GATEWAY]),
    (["--allow=10.0.0.0/8"], {"allow": ("10.0.0.0/8",)}, [LAN, OTHER_LAN, INTERNET], [GATEWAY]),
    (["--block=0.0.0.0/0"], {"block": ("0.0.0.0/0",)}, [], [INTERNET, LAN]),
    # The longest prefix decides, whatever the order.
    (["--allow=10.0.0.2", "--block=10.0.0.0/24", "--allow=10.0.0.0/8"],
     {"allow": ("10.0.0.2/32", "10.0.0.0/8"), "block": ("10.0.0.0/24",)}, [PRINTER, OTHER_LAN], [LAN]),
    (["--block=0.0.0.0/0", "--allow=1.1.1.1,10.1.0.0/16"],
     {"allow": ("1.1.1.1/32", "10.1.0.0/16"), "block": ("0.0.0.0/0",)}, [INTERNET, OTHER_LAN], [ELSEWHERE, LAN]),
    (["--allow=10.0.0.1", "--block=10.0.0.1"], {"allow": ("10.0.0.1/32",), "block": ("10.0.0.1/32",)}, [], [LAN]),
    (["--block=@global", "--allow=@lan"], {"block": ("0.0.0.0/0",), "allow": ("10.0.0.0/8", "192.168.0.0/16")},
     [LAN, GATEWAY], [INTERNET]),
    # @host is what --gateway names, and open without a rule.
    (["--gateway=192.168.77.1"], {"host": True}, [GATEWAY, INTERNET], [LAN]),
    (["--gateway=192.168.77.1", "--block=@host"], {"block": ("192.168.77.1/32",)}, [INTERNET], [GATEWAY]),
    (["--allow=@gateway"], {"allow": ("192.168.77.1/32",)}, [GATEWAY, INTERNET], [LAN]),
    # Resolvers answer at port 53; @dns opens the rest of them.
    (["--dns=10.0.0.1"], {"resolvers": (LAN,)}, [(LAN, 53), INTERNET], [LAN, (PRINTER, 53)]),
    (["--dns=10.0.0.1", "--allow=@dns"], {"resolvers": (LAN,), "allow": ("10.0.0.1/32",)}, [LAN, (LAN, 53)], [PRINTER]),
    (["--dns=10.0.0.1", "--block=@dns"], {"block": ("10.0.0.1/32",)}, [INTERNET], [LAN, (LAN, 53)]),
], ids=lambda value: ",".join(value) if isinstance(value, list) and all(isinstance(x, str) for x in value) else None)
def test_rules(lan, watch, options, rules, opened, closed):  # noqa: F811
    guest = watch("one", ONE_MAC, *options, **rules)
    guest.lease()                           # no rule closes the way to the DHCP server
    for target in opened:
        assert reaches(guest, *([target] if isinstance(target, str) else target)), target
    before = guest.dropped()
    for target in closed:
        assert not reaches(guest, *([target] if isinstance(target, str) else target)), target
    assert guest.dropped("dst-private", "dst-blocked") > 0 and guest.dropped() > before
