"""The oracle's second statement of learned routers and servers, held against frames made by scapy: what it must object
to stands beside what it must not."""

from scapy.all import ARP, BOOTP, DHCP, IP, UDP, Ether, Raw

import oracle
import oracle_base
from oracle_anchors import Anchors

ME, SERVER, ROUTER, NEW, LIAR = (f"52:54:00:00:00:{n}" for n in ("0a", "02", "01", "03", "66"))
MY_IP, SERVER_IP, ROUTER_IP, SECOND_IP = "192.168.77.10", "192.168.77.2", "192.168.77.1", "192.168.77.254"
DENIED = ["DHCP from another server"]
EVERYBODY, BYTES = "ff:ff:ff:ff:ff:ff", bytes.fromhex("52540000000a")


def message(kind, xid, source, to, mac, *options, ciaddr="0.0.0.0"):
    return oracle.LEFT, Ether(src=ME, dst=mac) / IP(src=source, dst=to) / UDP(sport=68, dport=67) / \
        BOOTP(chaddr=BYTES, xid=xid, ciaddr=ciaddr) / DHCP(options=[("message-type", kind), *options, "end"])


def discover(xid):
    return message("discover", xid, "0.0.0.0", "255.255.255.255", EVERYBODY)


def request(server=SERVER_IP, xid=1):
    return message("request", xid, "0.0.0.0", "255.255.255.255", EVERYBODY, ("requested_addr", MY_IP),
                   ("server_id", server))


def renew(xid, to=SERVER):
    """By unicast, or with `to` all to everybody."""
    ip = SERVER_IP if to != EVERYBODY else "255.255.255.255"
    return message("request", xid, MY_IP, ip, to, ciaddr=MY_IP)


def reply(mac, source, xid, kind="ack", *options, address=MY_IP, server=None, seconds=600):
    return Ether(src=mac, dst=ME) / IP(src=source, dst=MY_IP) / UDP(sport=67, dport=68) / \
        BOOTP(op=2, chaddr=BYTES, xid=xid, yiaddr=address) / DHCP(options=[
            ("message-type", kind), ("server_id", server or source), ("lease_time", seconds),
            ("subnet_mask", "255.255.255.0"), *options, "end"])


def answer(at, *arguments, **more):
    """In front of the guard, and a moment later behind it."""
    frame = reply(*arguments, **more)
    return (at, oracle.ARRIVED, frame), (at + 0.01, oracle.DELIVERED, frame)


def ask(router=ROUTER_IP, to=EVERYBODY):
    return oracle.LEFT, Ether(src=ME, dst=to) / ARP(op=1, hwsrc=ME, psrc=MY_IP, pdst=router)


def say(mac, router=ROUTER_IP, where=oracle.DELIVERED, source=None):
    return where, Ether(src=source or mac, dst=ME) / ARP(op=2, hwsrc=mac, psrc=router, hwdst=ME, pdst=MY_IP)


def send(mac):
    return oracle.LEFT, Ether(src=ME, dst=mac) / IP(src=MY_IP, dst="1.1.1.1") / UDP(sport=4000, dport=9) / Raw(b"x" * 8)


def hear(mac, source=ROUTER_IP):
    packet = IP(src=source, dst=MY_IP) / UDP(sport=9, dport=4000) / Raw(b"x" * 8)
    return oracle.DELIVERED, Ether(src=mac, dst=ME) / packet


def faults(*timed, options=(("router", ROUTER_IP),), isolated=True):
    port = oracle.Port(mac=ME, router=None, router_mac=None, anchors=Anchors(), isolated=isolated)
    begin = (0, *request()), *answer(0.01, SERVER, SERVER_IP, 1, "ack", *options)
    records = [*begin, *((one[0], *one[1]) if len(one) == 2 else one for one in timed)]
    made = [oracle_base.Record(at, where, bytes(frame)) for at, where, frame in records]
    return [fault.why for fault in oracle.judge(port, made)]


LEARNED = (1, ask()), (1.01, say(ROUTER, where=oracle.ARRIVED)), (1.02, say(ROUTER))
NUD = [(30 + i, ask(to=ROUTER)) for i in range(3)] + [(33, ask())]


def test_no_next_hop_before_one_is_learned():
    assert faults((20, send(ROUTER))) == ["next hop is not the router"]
    assert faults((20, send(LIAR)), options=()) == ["next hop is not the router"]     # a lease without a router
    assert faults((20, send(LIAR)), isolated=False) == []
    assert faults(*LEARNED, (20, send(ROUTER))) == []
    assert faults(*LEARNED, (20, send(LIAR))) == ["next hop is not the router"]


def test_each_router_for_itself():
    routes = ("router", ROUTER_IP), ("classless_static_routes", [f"10.0.0.0/8:{SECOND_IP}"])
    both = *LEARNED, (2, ask(SECOND_IP)), (2.01, say(LIAR, SECOND_IP))
    assert faults(*both, (20, send(LIAR)), (20, hear(LIAR, SECOND_IP)), options=routes) == []
    assert faults(*both, (20, say(LIAR)), options=routes) == ["ARP claims a router [P60]"]
    assert faults(*both, (20, hear(LIAR)), options=routes) == ["the router's address from another"]
    assert faults(*LEARNED, (20, hear(SERVER))) == []       # a server's own MAC, in packets alone
    assert faults(*LEARNED, (20, say(SERVER))) == ["ARP claims a router [P60]"]


def test_a_silent_router_has_a_successor():
    assert faults(*LEARNED, *NUD, (33.01, say(NEW)), (34, send(NEW)), (35, say(ROUTER)), (36, send(ROUTER))) == []
    assert faults(*LEARNED, (33.01, say(NEW))) == ["ARP claims a router [P60]"]
    assert faults(*LEARNED, *NUD[:2], (31.1, say(NEW))) == ["ARP claims a router [P60]"]
    assert faults(*LEARNED, *NUD, (37, say(NEW))) == ["ARP claims a router [P60]"]     # nobody has just asked
    alive = (31.5, say(ROUTER, where=oracle.ARRIVED))
    assert faults(*LEARNED, *NUD, alive, (33.01, say(NEW))) == ["ARP claims a router [P60]"]
    elsewhere = [(30 + i, ask(to=LIAR)) for i in range(5)]
    assert faults(*LEARNED, *elsewhere, (34.1, say(LIAR))) == ["ARP claims a router [P60]"]


def test_the_senders_mac_is_not_the_frames():
    assert faults(*LEARNED, (20, say(NEW, "192.168.77.50", source=LIAR))) == []
    for address, mac in ((ROUTER_IP, ROUTER), (SERVER_IP, SERVER), (MY_IP, NEW)):
        assert len(faults(*LEARNED, (5, say(mac, address, source=LIAR)))) == 1
    for mac in (ME, EVERYBODY, "00:00:00:00:00:00"):
        assert len(faults(*LEARNED, (5, say(mac, "192.168.77.50", source=LIAR)))) == 1


def test_a_lock_ends_with_the_lease():
    assert faults(*LEARNED, (601, send(ROUTER)))[-1:] == ["IPv4 source is not the guest's [P18 P19 P26]"]
    again = (610, request(xid=5)), *answer(610.1, SERVER, SERVER_IP, 5, "ack", ("router", ROUTER_IP))
    assert faults(*LEARNED, *again, (611, send(ROUTER))) == ["next hop is not the router"]
    assert faults(*LEARNED, *again, (611, ask()), (611.1, say(NEW)), (612, send(NEW))) == []


def test_a_living_server_has_no_successor():
    rogue = answer(20.1, LIAR, "192.168.77.66", 2)
    assert faults((20, renew(2, EVERYBODY)), *rogue) == DENIED
    assert faults((20, renew(2, EVERYBODY)), *answer(20.1, LIAR, SERVER_IP, 2)) == DENIED
    assert faults((20, discover(2)), *answer(20.1, LIAR, "192.168.77.66", 2, "offer")) == DENIED
    # An answer, also one that the guest does not hear, and the count begins anew.
    alive = (17, oracle.ARRIVED, reply(SERVER, SERVER_IP, 3))
    assert faults((10, renew(3)), (16, renew(3)), alive, (20, renew(2, EVERYBODY)), *rogue) == DENIED


def test_a_silent_server_has_a_successor():
    new = "192.168.77.3"
    late = (10, renew(2)), (16, renew(3, EVERYBODY))
    assert faults(*late, *answer(16.1, NEW, new, 3), (20, renew(4, EVERYBODY)), *answer(20.1, NEW, new, 4),
                  *answer(20.2, SERVER, SERVER_IP, 4)) == []
    assert faults(*late, *answer(16.1, NEW, new, 2)) == DENIED        # that one went by unicast
    assert faults((14, renew(2)), (16, renew(3, EVERYBODY)), *answer(16.1, NEW, new, 3)) == DENIED
    assert faults((10, renew(2, LIAR)), (16, renew(3, EVERYBODY)), *answer(16.1, NEW, new, 3)) == DENIED
    boot = (10, discover(2)), (16, discover(2))
    assert faults(*boot, *answer(16.1, NEW, new, 2, "offer"), (16.2, request(new, 2)), *answer(16.3, NEW, new, 2)) == []
    assert faults((10, discover(2)), (80, discover(3)), *answer(80.1, NEW, new, 3, "offer")) == DENIED


def test_a_firewall_that_keeps_unicast_from_the_server_is_no_silence():
    told = (10, renew(2)), (16, renew(3, EVERYBODY)), *answer(16.1, SERVER, SERVER_IP, 3)
    again = (30, renew(4)), (36, renew(5, EVERYBODY))
    assert faults(*told, *again, *answer(36.1, LIAR, "192.168.77.66", 5)) == DENIED
    assert faults(*told, *again, (40, renew(6, EVERYBODY)), *answer(40.1, NEW, "192.168.77.3", 6)) == []


def test_a_secret_vouches_for_a_mac():
    assert faults((10, renew(2)), *answer(10.1, NEW, SERVER_IP, 2), (20, renew(3, EVERYBODY)),
                  *answer(20.1, NEW, SERVER_IP, 3)) == []
    assert faults((10, renew(1)), *answer(10.1, NEW, SERVER_IP, 1)) == DENIED       # the id that made the lease
    assert faults((10, renew(2)), *answer(10.1, NEW, "192.168.77.3", 2)) == DENIED
    assert faults((10, renew(2)), *answer(10.1, NEW, SERVER_IP, 2, address="192.168.77.99")) == DENIED
    # The server's own answer comes, too.
    assert faults((10, renew(2)), *answer(10.1, NEW, SERVER_IP, 2), *answer(10.2, SERVER, SERVER_IP, 2),
                  (20, renew(3, EVERYBODY)), *answer(20.1, NEW, SERVER_IP, 3)) == DENIED
