"""The oracle itself: a judge who finds nothing forbidden would let every other test pass. So here is one frame for each
thing it must object to, beside the honest frames that it must not, all made by scapy."""

import contextlib
import copy

import pytest
from scapy.all import (ARP, BOOTP, DHCP, ICMP, IP, TCP, UDP, Dot1Q, Ether, IPOption_Router_Alert, IPOption_RR, IPv6,
                       Raw)

import capture
import netns
import oracle
import oracle_base
import services
from conftest import needs

ME, OTHER, ROUTER, FOREIGN = ("52:54:00:00:00:0a", "52:54:00:00:00:0b", "52:54:00:00:00:01", "02:00:00:00:00:99")
MY_IP, OTHER_IP, ROUTER_IP, EXTERNAL = "192.168.77.10", "192.168.77.11", "192.168.77.1", "1.1.1.1"
BROADCAST = "ff:ff:ff:ff:ff:ff"
MAC = bytes.fromhex("52540000000a")


def client_message(kind, source="0.0.0.0", to="255.255.255.255", mac=BROADCAST, xid=1, options=(), dport=67, **fields):
    fields = {"chaddr": MAC, "xid": xid, **fields}
    return Ether(src=ME, dst=mac) / IP(src=source, dst=to) / UDP(sport=68, dport=dport) / BOOTP(**fields) / \
        DHCP(options=[("message-type", kind), *options, "end"])


def server_message(kind, xid=1, mac=ROUTER, source=ROUTER_IP, to=ME, yiaddr=MY_IP, lease=600, sport=67):
    return Ether(src=mac, dst=to) / IP(src=source, dst=MY_IP) / UDP(sport=sport, dport=68) / \
        BOOTP(op=2, chaddr=MAC, xid=xid, yiaddr=yiaddr) / \
        DHCP(options=[("message-type", kind), ("server_id", ROUTER_IP), ("lease_time", lease),
                      ("subnet_mask", "255.255.255.0"), ("router", ROUTER_IP), ("name_server", "192.168.77.5"), "end"])


def arp(op=1, sha=ME, spa=MY_IP, tha="00:00:00:00:00:00", tpa=ROUTER_IP, source=ME, to=BROADCAST, kind=0x0806,
        **fields):
    return Ether(src=source, dst=to, type=kind) / ARP(op=op, hwsrc=sha, psrc=spa, hwdst=tha, pdst=tpa, **fields)


def data(source=MY_IP, to=EXTERNAL, mac=ROUTER, ether=ME, above=None, **ip):
    return Ether(src=ether, dst=mac) / IP(src=source, dst=to, **ip) / (above or UDP(sport=4000, dport=4001)) / \
        Raw(b"x" * 8)


def error_about(sender, receiver):
    return ICMP(type=3, code=3) / IP(src=sender, dst=receiver) / UDP(sport=5000, dport=4000)


def bound(until=600, **options):
    """A port with a lease since t = 0, and its records so far."""
    port = oracle.Port(mac=ME, router=ROUTER_IP, router_mac=ROUTER, **options)
    records = [(0, oracle.LEFT, client_message("discover")), (0, oracle.ARRIVED, server_message("offer")),
               (0, oracle.LEFT, client_message("request", options=[("requested_addr", MY_IP),
                                                                   ("server_id", ROUTER_IP)])),
               (0, oracle.ARRIVED, server_message("ack", lease=until)), (0, oracle.DELIVERED, server_message("ack"))]
    return port, records


def faults(frames, port=None, records=()):
    records = [oracle_base.Record(at, where, bytes(frame)) for at, where, frame in [*records, *frames]]
    return [fault.why for fault in oracle.judge(port, records)]


HONEST = {
    "request": arp(), "announcement": arp(tpa=MY_IP), "reply": arp(op=2, to=OTHER, tpa=OTHER_IP), "data": data(),
    "later probe": arp(spa="0.0.0.0", tpa=MY_IP), "resolver": data(to="192.168.77.5", mac=OTHER, above=UDP(dport=53)),
    "mdns": data(to="224.0.0.251", mac="01:00:5e:00:00:fb", above=UDP(sport=5353, dport=5353)),
    "igmp": data(to="224.0.0.22", mac="01:00:5e:00:00:16", proto=2, ttl=1, above=Raw(b"\x22" + bytes(15)),
                 options=[IPOption_Router_Alert()]),
    "renew": client_message("request", source=MY_IP, to=ROUTER_IP, mac=ROUTER, ciaddr=MY_IP, xid=9),
    "first fragment": data(flags="MF", above=UDP(dport=9) / Raw(bytes(16))), "last fragment": data(frag=3),
    "nobody listens": data(above=error_about(EXTERNAL, MY_IP)),
    "moved": arp(kind=0x8035, op=3, spa="0.0.0.0", tha=ME, tpa="0.0.0.0"),
    "ping": data(above=ICMP()), "syn": data(above=TCP(dport=80)), "release": client_message(
        "release", source=MY_IP, to=ROUTER_IP, mac=ROUTER, ciaddr=MY_IP, options=[("server_id", ROUTER_IP)]),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_frame_is_no_fault(name):
    port, records = bound()
    assert faults([(1, oracle.LEFT, HONEST[name])], port, records) == []


FORBIDDEN = {
    "spoofed mac": data(ether=OTHER), "multicast source": data(ether="53:54:00:00:00:0a"),
    "to itself": data(mac=ME), "to nobody": data(mac="00:00:00:00:00:00"), "bpdu": arp(to="01:80:c2:00:00:00"),
    "runt": b"\xff" * 13, "oversize": data(above=UDP() / Raw(bytes(1500))),
    "vlan": Ether(src=ME, dst=ROUTER) / Dot1Q(vlan=0) / IP(src=MY_IP, dst=EXTERNAL),
    "length": Ether(src=ME, dst=ROUTER, type=64) / Raw(bytes(64)), "ipv6": Ether(src=ME, dst=ROUTER) / IPv6(),
    "arp hardware": arp(hwtype=6), "arp lengths": arp(hwlen=5), "arp operation": arp(op=3), "arp sha": arp(sha=OTHER),
    "arp spa": arp(spa=ROUTER_IP), "arp reply spa": arp(op=2, spa=OTHER_IP),
    "arp probe": arp(spa="0.0.0.0", tpa=OTHER_IP),
    "arp probe reply": arp(op=2, spa="0.0.0.0", tpa=MY_IP), "arp scan": arp(tpa=OTHER_IP),
    "short arp": bytes(arp())[:40], "rarp reply": arp(kind=0x8035, op=4, spa="0.0.0.0", tha=ME, tpa="0.0.0.0"),
    "rarp of another": arp(kind=0x8035, op=3, spa="0.0.0.0", tha=OTHER, tpa="0.0.0.0"),
    "rarp with an address": arp(kind=0x8035, op=3, spa=MY_IP, tha=ME, tpa="0.0.0.0"),
    "rarp to one": arp(kind=0x8035, op=3, spa="0.0.0.0", tha=ME, tpa="0.0.0.0", to=OTHER),
    "spoofed source": data(source=OTHER_IP), "source 0": data(source="0.0.0.0"), "private": data(to=OTHER_IP),
    "other next hop": data(mac=OTHER), "loopback": data(to="127.0.0.1"), "record route": data(options=[
        IPOption_RR(routers=["0.0.0.0"])]), "ttl 0": data(ttl=0), "version": data(version=5),
    "resolver, other port": data(to="192.168.77.5", above=UDP(dport=54)), "evil bit": data(flags="evil"),
    "resolver, later fragment": data(to="192.168.77.5", frag=3),
    "private broadcast": data(to="192.168.77.255", mac=BROADCAST),
    "broadcast": data(to="255.255.255.255", mac=BROADCAST), "unicast as group": data(mac=BROADCAST),
    "closed group": data(to="224.0.0.18", mac="01:00:5e:00:00:12"),
    "site group": data(to="239.1.2.3", mac="01:00:5e:01:02:03"),
    "error about others": data(above=error_about(EXTERNAL, OTHER_IP)),
    "error to another than the sender": data(above=error_about("9.9.9.9", MY_IP)),
    "error without a quote": data(above=ICMP(type=3, code=3) / Raw(b"x" * 12)),
    "error in fragments": data(flags="MF", above=error_about(EXTERNAL, MY_IP)),
    "group of ptp": data(to="224.0.1.129", mac="01:00:5e:00:01:81"),
    "source-specific group": data(to="232.1.2.3", mac="01:00:5e:01:02:03"),
    "group under other mac": data(to="224.0.1.1", mac=ROUTER), "igmp query": data(
        to="224.0.0.1", mac="01:00:5e:00:00:01", proto=2, ttl=1, above=Raw(b"\x11" + bytes(7))),
    "redirect": data(above=ICMP(type=5)), "router advertisement": data(above=ICMP(type=9)), "icmpv6": data(proto=58),
    "tiny fragment": data(flags="MF", above=Raw(b""), proto=6), "overlap": data(frag=1, proto=6), "short tcp": data(
        proto=6, above=Raw(b"x")), "udp length": data(above=UDP(len=500)), "past the end": data(frag=8191),
    "server port": data(above=UDP(sport=67, dport=4000)), "to client port": data(above=UDP(sport=4000, dport=68)),
    "client port elsewhere": data(above=UDP(sport=68, dport=53)), "offer": Ether(src=ME, dst=OTHER) / IP(
        src=MY_IP, dst=OTHER_IP) / UDP(sport=67, dport=68) / BOOTP(op=2) / DHCP(
        options=[("message-type", "offer"), "end"]),
    "chaddr": client_message("discover", chaddr=b"\2\0\0\0\0\x99"), "giaddr": client_message("discover", giaddr=MY_IP),
    "hops": client_message("discover", hops=1), "option 118": client_message("discover", options=[(118, b"abcd")]),
    "option 220": client_message("discover", options=[(220, b"")]), "boot server": client_message(
        "request", source=MY_IP, to=OTHER_IP, mac=OTHER, ciaddr=MY_IP, dport=4011), "boot server from nobody":
    client_message("request", dport=4011), "release at a boot server": client_message(
        "release", source=MY_IP, to=ROUTER_IP, mac=ROUTER, ciaddr=MY_IP, dport=4011),
    "option 82": client_message("discover", options=[(82, b"\1\1a")]),
    "op 2": client_message("discover", op=2), "wpad": client_message("discover", options=[("hostname", b"WPAD.lan")]),
    "wpad in labels": client_message("discover", options=[(81, b"\4\0\0\4wpad\0")]),
    "client id": client_message("discover", options=[("client_id", b"\1" + bytes(6))]),
    "message type": client_message("offer"), "dhcp unicast elsewhere": client_message(
        "request", source=MY_IP, to=OTHER_IP, mac=OTHER, ciaddr=MY_IP), "dhcp foreign source": client_message(
        "request", source=OTHER_IP, to=ROUTER_IP, mac=ROUTER, ciaddr=OTHER_IP), "release of another's": client_message(
        "release", source=MY_IP, to=ROUTER_IP, mac=ROUTER, ciaddr=OTHER_IP), "decline of another's": client_message(
        "decline", options=[("requested_addr", OTHER_IP), ("server_id", ROUTER_IP)]),
    "dhcp to group mac": client_message("discover", mac="01:00:5e:00:00:01"),
    "fragmented dhcp": Ether(bytes(client_message("discover"))[:14]) / IP(bytes(IP(
        src="0.0.0.0", dst="255.255.255.255", proto=17, flags="MF") / bytes(client_message("discover")[UDP]))),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_forbidden_frame_is_a_fault(name):
    port, records = bound()
    assert len(faults([(1, oracle.LEFT, FORBIDDEN[name])], port, records)) == 1
    assert faults([], *bound()) == []       # and nothing else is


TO_GUEST = {
    "not for the guest": data(source=EXTERNAL, to=OTHER_IP, ether=ROUTER, mac=OTHER), "vlan": Ether(
        src=ROUTER, dst=ME) / Dot1Q(vlan=1) / IP(src=EXTERNAL, dst=MY_IP), "ipv6": Ether(src=ROUTER, dst=ME) / IPv6(),
    "own mac": data(ether=ME, source=EXTERNAL, mac=BROADCAST), "group source": data(ether="01:00:5e:00:00:01", mac=ME),
    "gateway arp": arp(op=2, sha=OTHER, spa=ROUTER_IP, source=OTHER, to=ME), "claims the guest": arp(
        op=2, sha=OTHER, spa=MY_IP, source=OTHER, to=ME), "arp sha": arp(sha=ME, spa=OTHER_IP, source=OTHER, to=ME),
    "arp sha of the router": arp(op=2, sha=ROUTER, spa=ROUTER_IP, source=OTHER, to=ME),
    "arp sha of a resolver": arp(op=2, sha=OTHER, spa="192.168.77.5", source=ROUTER, to=ME),
    "own address": data(source=MY_IP, to=MY_IP, ether=ROUTER, mac=ME),
    "error about others": data(source=EXTERNAL, to=MY_IP, ether=ROUTER, mac=ME, above=error_about(OTHER_IP, EXTERNAL)),
    "loopback": data(source="127.0.0.1", to=MY_IP, ether=ROUTER, mac=ME),
    "gateway address": data(source=ROUTER_IP, to=MY_IP, ether=OTHER, mac=ME), "redirect": data(
        source=ROUTER_IP, to=MY_IP, ether=ROUTER, mac=ME, above=ICMP(type=5)), "unicast as group": data(
        source=EXTERNAL, to=MY_IP, ether=ROUTER, mac=BROADCAST),
    "rogue server": server_message("ack", mac=OTHER, source=OTHER_IP),
    "rogue server as router": server_message("nak", mac=OTHER), "unasked": server_message("ack", xid=77),
    "other port": server_message("ack", sport=1067),
    "client message": Ether(src=OTHER, dst=BROADCAST) / bytes(client_message("discover"))[14:],
}


@pytest.mark.parametrize("name", TO_GUEST)
def test_forbidden_frame_to_the_guest_is_a_fault(name):
    port, records = bound()
    assert len(faults([(20, oracle.DELIVERED, TO_GUEST[name])], port, records)) == 1


def test_frame_to_the_guest_may_be_honest():
    port, records = bound()
    assert faults([(1, oracle.DELIVERED, frame) for frame in (
        data(source=EXTERNAL, to=MY_IP, ether=ROUTER, mac=ME),
        arp(op=2, sha=ROUTER, spa=ROUTER_IP, source=ROUTER, to=ME),
        arp(sha=OTHER, spa=OTHER_IP, tpa=MY_IP, source=OTHER),
        arp(sha=ROUTER, spa=OTHER_IP, tpa=MY_IP, source=OTHER))], port, records) == []


def test_names():
    for names, good, bad in ((None, ("db", "localhost", ""), ("wpad", "isatap.lan")),
                             (("web1", "a.lan"), ("web1", "A.lan", ""), ("db", "web1.lan", "wpad")),
                             ((), ("",), ("web1",))):
        for name in (*good, *bad):
            labels = b"".join(bytes([len(word)]) + word.encode() for word in name.split(".") if word)
            for option in ((12, name.encode()), (81, b"\1\0\0" + name.encode()), (81, b"\5\0\0" + labels + b"\0")):
                found = faults([(1, oracle.LEFT, client_message("discover", options=[option]))], *bound(names=names))
                assert len(found) == (name in bad), (names, option)


def test_a_boot_server_is_asked_and_binds_nothing():
    extra = {"servers": {OTHER_IP: OTHER}}
    ask = client_message("request", source=MY_IP, to=OTHER_IP, mac=OTHER, ciaddr=MY_IP, dport=4011, xid=5)
    answer = server_message("ack", xid=5, mac=OTHER, source=OTHER_IP, yiaddr="192.168.77.12", sport=4011)
    port, records = bound(**extra)
    asked = [(1, oracle.LEFT, ask), (1, oracle.ARRIVED, answer), (1, oracle.DELIVERED, answer)]
    assert faults(asked, port, records) == []
    assert "192.168.77.12" not in port.leases
    assert len(faults([(1, oracle.LEFT, ask)], *bound())) == 1
    far = [(0, oracle.LEFT, client_message("request", xid=6, options=[("requested_addr", MY_IP)]))] + [
        (0, where, server_message("ack", xid=6, sport=1067)) for where in (oracle.ARRIVED, oracle.DELIVERED)]
    assert faults(far, oracle.Port(mac=ME, router=ROUTER_IP, router_mac=ROUTER)) == []      # any port at first
    assert len(faults(far, *bound())) == 1


def test_a_lease_begins_and_ends():
    port, records = bound(until=60)
    early = oracle.Port(mac=ME, router=ROUTER_IP, router_mac=ROUTER)
    assert len(faults([(1, oracle.LEFT, data()), (1, oracle.LEFT, arp())], early)) == 2     # never leased
    assert faults([(59, oracle.LEFT, data())], port, records) == []
    assert len(faults([(61, oracle.LEFT, data())], *bound(until=60))) == 1                  # over
    assert len(faults([(1, oracle.LEFT, HONEST["release"]), (1, oracle.LEFT, data())], *bound())) == 1
    nak = server_message("nak", yiaddr="0.0.0.0")
    assert len(faults([(1, oracle.ARRIVED, nak), (3, oracle.LEFT, data())], *bound())) == 1
    again = client_message("request", source=MY_IP, to=ROUTER_IP, mac=ROUTER, ciaddr=MY_IP, xid=9)
    late = [(1, oracle.LEFT, again), (1.01, oracle.LEFT, HONEST["release"]), (1.02, oracle.ARRIVED, server_message(
        "ack", xid=9)), (1.03, oracle.LEFT, data())]
    assert len(faults(late, *bound())) == 1                                                 # given back for good
    forged = server_message("ack", mac=OTHER, yiaddr=OTHER_IP)
    assert len(faults([(1, oracle.ARRIVED, forged), (2, oracle.LEFT, data(source=OTHER_IP))], *bound())) == 1
    assert len(faults([(1, oracle.LEFT, data(source=OTHER_IP)), (2, oracle.ARRIVED, server_message(
        "ack", yiaddr=OTHER_IP))], *bound())) == 1                                          # used before it was given


def test_the_guard_may_not_have_read_yet_what_has_arrived():
    stranger = "192.168.77.60"
    renewal = client_message("request", source=stranger, to=ROUTER_IP, mac=ROUTER, ciaddr=stranger, xid=9)
    assert faults([(0.1, oracle.LEFT, renewal)], *bound()) == []        # to a guard without a lease it is honest
    assert len(faults([(1, oracle.LEFT, renewal)], *bound())) == 1
    early = data(source=MY_IP, to=MY_IP, ether=OTHER, mac=ME)           # came in front of the ACK
    assert faults([(0.1, oracle.DELIVERED, early)], *bound()) == []
    assert len(faults([(1, oracle.DELIVERED, early)], *bound())) == 1


def test_rules_and_rates():
    lan = {"allow": ("192.168.0.0/16",), "block": ("192.168.77.12/32", "1.0.0.0/8")}
    assert faults([(1, oracle.LEFT, data(to=OTHER_IP, mac=OTHER))], *bound(**lan)) == []
    blocked = [(1, oracle.LEFT, data(to="192.168.77.12", mac=OTHER)), (1, oracle.LEFT, data())]
    assert len(faults(blocked, *bound(**lan))) == 2
    assert faults([(1, oracle.LEFT, data(mac=OTHER))], *bound(isolated=False)) == []
    assert "more DHCP messages than the limit" in faults([(1, oracle.LEFT, client_message("discover"))] * 40, *bound())
    assert "more ARP than the limit" in faults([(1, oracle.LEFT, arp())] * 300, *bound())


def test_a_shared_address():
    """It is the guest's, whatever is leased, and others may have it; to call them takes a rule, as for any neighbor."""
    vip, router = "192.168.77.100", {"router": ROUTER_IP, "router_mac": ROUTER}
    outward = [arp(spa=vip, tpa=vip), arp(op=2, spa=vip, to=OTHER, tpa=OTHER_IP), data(source=vip), arp(tpa=vip)]
    inward = [arp(op=2, sha=OTHER, spa=vip, tpa=vip, source=OTHER), data(source=vip, to=MY_IP, ether=OTHER, mac=ME)]
    frames = [(20, oracle.LEFT, frame) for frame in outward] + [(20, oracle.DELIVERED, frame) for frame in inward]
    shared = {"shared": (f"{vip}/24",)}
    assert faults(frames, *bound(**shared)) == []
    assert faults(frames, oracle.Port(mac=ME, **router, **shared)) == ["ARP sender address is not the guest's [P15]"]
    assert len(faults(frames, *bound())) == 4       # what tells or asks of nobody's address is none of its guard's
    call = [(20, oracle.LEFT, data(to=vip, mac=OTHER))]
    assert len(faults(call, *bound(**shared))) == len(faults(call, *bound(**shared, allow=()))) == 1
    assert faults(call, *bound(**shared, allow=(vip + "/32",))) == []
    assert len(faults([(20, oracle.LEFT, data(source=OTHER_IP))], *bound(**shared))) == 1
    assert len(faults([(20, oracle.DELIVERED, TO_GUEST["claims the guest"])], *bound(**shared))) == 1


def test_what_a_busy_guard_reads_late_is_no_fault():
    """A renewal that left 1.2 s after an ACK arrived, from a guard that may not have read it; and data, whenever it was read."""
    renewal = client_message("request", source=MY_IP, to=OTHER_IP, mac=ROUTER, ciaddr=MY_IP, xid=9)
    port, records = bound()
    for lag, frame, is_fault in ((0.5, renewal, True), (0.6, renewal, True), (1.0, renewal, False),
                                 (1.0, data(source=OTHER_IP), True)):
        seen = [oracle_base.Record(at, where, bytes(octets)) for at, where, octets in [*records, (1.2, oracle.LEFT, frame)]]
        with pytest.raises(AssertionError, match="1 of 6 frames") if is_fault else contextlib.nullcontext():
            oracle.check(copy.deepcopy(port), seen, lag=lag)


@needs("arp-scan")
def test_oracle_sees_what_an_unguarded_guest_does(segment):
    """The whole way, with a real tool and a real capture, and no guard: faults must show."""
    guest = segment.namespace("guest", ipv6=False)
    uplink = segment.join(guest, "eth0", "br0", mac=ME)
    seen = capture.Capture(segment.host, uplink, oracle.LEFT, oracle.ARRIVED)
    services.udhcpc(segment, guest)
    port = oracle.Port(mac=ME, router=ROUTER_IP, router_mac=ROUTER)
    assert oracle.judge(port, seen.so_far()) == []
    guest.run("arp-scan", "-I", "eth0", f"--arpspa={ROUTER_IP}", "--retry=1", "192.168.77.77", check=False)
    netns.wait_for(lambda: [record for record in seen.so_far() if b"\x08\x06" == record.data[12:14] and
                            record.data[28:32] == b"\xc0\xa8\x4d\x01"], what="the forged ARP")
    with pytest.raises(AssertionError, match="ARP sender address is not the guest's"):
        oracle.check(oracle.Port(mac=ME, router=ROUTER_IP, router_mac=ROUTER), seen.stop())
    assert seen.lost == 0
