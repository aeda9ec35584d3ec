"""Who may open, and that answers come back (docs/policy.md, Directions and Flows), between kernels, in both families.

The network is policy_peers.World; what a hostile guest or network makes of flows is in test_policy_hostile.py.
"""

import contextlib
import re
import socket
import subprocess

import pytest
from scapy.all import IP, TCP, Ether

import ipv6_peers
import netns
import policy_peers
import services
from policy_peers import (LAN4, LAN6, NEAR4, NEAR6, NINE4, NINE6, ONE4, ONE6, PRINTER4, PRINTER6, Connection,
                          must_not_reach, peer)

SSH = f"--allow=in {LAN4}:tcp/22,in [{LAN6}]:tcp/22"
ANYBODY = "tcp/22", "tcp/80", "udp/53"
LANS, ONES = (LAN4, LAN6), (ONE4, ONE6)


@pytest.fixture(scope="module")
def world(tmp_path_factory, softnet):
    with netns.Network(tmp_path_factory.mktemp("world")) as network:
        world = policy_peers.World(network)
        yield world
        world.close()


@pytest.fixture
def guest_with(world):
    yield world.guest
    world.clear()


def has_warning(guest):
    """Whether it said that bare rules are about both directions."""
    return any("both directions" in line and "--inbound" in line for line in guest.guard.output("err"))


# --- who may open -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("lan, printer", [(LAN4, PRINTER4), (LAN6, PRINTER6)], ids=["IPv4", "IPv6"])
def test_in_lets_the_peer_call_and_not_be_called(world, guest_with, lan, printer):
    guest = guest_with("--inbound=established", SSH)
    assert not has_warning(guest)
    guest.is_reached(lan, "tcp/22")
    guest.is_closed_to("unsolicited", lan, "tcp/80", "udp/22")
    guest.is_closed_to("unsolicited", printer, "tcp/22")
    guest.is_refused("dst-private", peer(lan, "tcp/22"), peer(lan, "tcp/80"), peer(lan, "udp/22"))
    # While they talk, too.
    call = Connection(world.far, guest.address(lan), 22, lan)
    guest.is_refused("dst-private", peer(lan, "tcp/22"))
    assert call.lives()
    call.close()
    # With nothing in the way, all of it is answered.
    control = guest_with("--allow=any")
    control.is_reached(lan, "tcp/22", "tcp/80", "udp/22")
    control.reaches(peer(lan, "tcp/22"), peer(lan, "udp/22"))


@pytest.mark.parametrize("lan", LANS, ids=["IPv4", "IPv6"])
def test_out_lets_the_guest_call_and_not_be_called(guest_with, lan):
    bracketed = f"[{lan}]" if ":" in lan else lan
    guest = guest_with("--inbound=established", f"--allow=out {bracketed}:443")
    guest.reaches(peer(lan, "tcp/443"), peer(lan, "udp/443"))
    guest.is_refused("dst-private", peer(lan, "tcp/80"), peer(lan, "icmp"))
    guest.is_closed_to("unsolicited", lan, "tcp/443", "udp/443", "tcp/80")


def test_out_alone_leaves_the_network_free_to_call(guest_with):
    """Without --inbound: the peer may open, and the guest answer it, but not call back."""
    guest = guest_with(f"--allow=out {PRINTER4},out {PRINTER6}", f"--block=in {LAN4}:tcp/22,in [{LAN6}]:tcp/22")
    for lan, printer in (LAN4, PRINTER4), (LAN6, PRINTER6):
        guest.is_reached(lan, "tcp/80", "udp/22")
        guest.is_closed_to("src-blocked", lan, "tcp/22")
        guest.is_refused("dst-private", peer(lan, "tcp/80"), peer(lan, "udp/22"))
        guest.reaches(peer(printer, "tcp/80"))


def test_a_neighbor_may_call(world, guest_with):
    """On the link, where the guest has to find the caller before it can answer."""
    guest = guest_with("--inbound=established", f"--allow=in {NEAR4}:tcp/22,in [{NEAR6}]:tcp/22")
    for near in NEAR4, NEAR6:
        guest.namespace.ip("neigh flush dev eth0")
        guest.is_reached(near, "tcp/22", by=world.near)
        guest.is_closed_to("unsolicited", near, "tcp/80", "udp/22", by=world.near)
        guest.is_refused("dst-local-net" if ":" in near else "dst-private", peer(near, "tcp/22"), peer(near, "icmp"))
    # The way to it is not open for nothing: to others there is none.
    must_not_reach(guest_with("--inbound=established").namespace, f"{NEAR4}:tcp/22", f"[{NEAR6}]:tcp/22")
    counters = world.guests[-1].guard.counters()
    assert counters.dropped("guest", "arp-target-denied") > 0 and counters.dropped("guest", "dst-private") == 0


def test_the_host_may_call(world, guest_with):
    guest = guest_with("--inbound=established", "--allow=in @host:tcp/22", "--block=out @gateway:tcp")
    for gateway in policy_peers.GATEWAY4, policy_peers.GATEWAY6:
        guest.is_reached(gateway, "tcp/22", by=world.gateway)
        guest.is_closed_to("unsolicited", gateway, "tcp/80", "icmp", by=world.gateway)
        guest.is_refused("dst-blocked", peer(gateway, "tcp/22"))
        guest.reaches(peer(gateway, "udp/53"))
    guest.is_closed_to("unsolicited", ONE4, "tcp/22")


def test_inbound_any(guest_with):
    """Without a directional rule nothing is tracked: the call comes in, and the answer is a packet like any other."""
    stateless, stateful = guest_with("--inbound=any"), guest_with("--inbound=any", f"--allow=in {NINE4}:tcp/22")
    for lan, one in zip(LANS, ONES):
        stateless.is_closed_to("dst-private", lan, *ANYBODY, side="guest")
        stateless.is_reached(one, *ANYBODY)
        stateful.is_reached(lan, *ANYBODY)
        stateful.is_refused("dst-private", peer(lan, "tcp/22"))
    for guest in stateless, stateful:
        assert guest.dropped("uplink", "unsolicited", "src-blocked") == 0 and not has_warning(guest)


@pytest.mark.parametrize("inbound", ["established", "none"])
def test_only_answers_come_in(guest_with, inbound):
    guest, before = guest_with(f"--inbound={inbound}"), guest_with()
    for one in ONES:
        guest.reaches(*(peer(one, port) for port in (*ANYBODY, "icmp")))
        before.is_reached(one, *ANYBODY)
        guest.is_closed_to("unsolicited", one, *ANYBODY)
    # On the link, too.
    for near in NEAR4, NEAR6:
        guest.is_closed_to("unsolicited", near, "tcp/22", "udp/22", by=guest.world.near)
    assert guest.dropped("guest") == 0


def test_bare_rules_speak_of_both_directions_beside_a_directional_one(guest_with):
    rules = [f"--block={NINE4},{NINE6}", f"--allow={LAN4},{LAN6}", f"--allow=in {PRINTER4}:tcp/22,in [{PRINTER6}]:tcp/22"]
    both = guest_with(*rules)
    plain = guest_with("--inbound=any", *rules)
    assert has_warning(both) and not has_warning(plain)
    for nine, lan in (NINE4, LAN4), (NINE6, LAN6):
        both.is_closed_to("src-blocked", nine, "tcp/22", "udp/53")
        both.is_refused("dst-blocked", peer(nine, "tcp/22"))
        plain.is_reached(nine, "tcp/22", "udp/53")
        plain.is_refused("dst-blocked", peer(nine, "tcp/22"))
        for guest in both, plain:
            guest.is_reached(lan, "tcp/22", "udp/53")
            guest.reaches(peer(lan, "tcp/443"))


def test_a_bare_port_is_that_of_the_side_that_is_called(guest_with):
    guest = guest_with("--block=any", f"--allow={LAN4}:tcp/22", f"--allow=in {NINE4}:tcp/80")
    assert has_warning(guest)
    guest.reaches(f"{LAN4}:tcp/22")
    guest.is_reached(LAN4, "tcp/22")
    guest.is_reached(NINE4, "tcp/80")
    guest.is_refused("dst-blocked", f"{LAN4}:tcp/80", f"{NINE4}:tcp/80")
    guest.is_closed_to("src-blocked", LAN4, "tcp/80")
    guest.is_closed_to("src-blocked", NINE4, "tcp/22")


@pytest.mark.parametrize("words", [[f"--allow=in {LAN4}:tcp/22"], ["--expose=2222:22"]], ids=["in", "expose"])
def test_inbound_none_refuses_what_would_open(softnet, words):
    done = subprocess.run([softnet, "--vm-fd", "0", "--vm-mac-address", policy_peers.MAC, "--inbound=none", *words],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20)
    assert done.returncode == 2 and "none" in done.stderr
    # A rule that closes is none of these.
    status, _, _ = policy_peers.policy_check("--inbound=none", f"--block=in {LAN4}:tcp/22")
    assert status == 0


# --- ICMP -------------------------------------------------------------------------------------------------------------

def test_ping_goes_the_way_that_is_open(guest_with):
    guest = guest_with("--inbound=established", f"--allow=in {LAN4}:icmp,in [{LAN6}]:icmp",
                       f"--allow=out {PRINTER4}:icmp,out [{PRINTER6}]:icmp")
    for lan, printer, one in (LAN4, PRINTER4, ONE4), (LAN6, PRINTER6, ONE6):
        guest.is_reached(lan, "icmp")
        guest.is_refused("dst-private", peer(lan, "icmp"))
        guest.reaches(peer(printer, "icmp"), peer(one, "icmp"))
        guest.is_closed_to("unsolicited", printer, "icmp")
        guest.is_closed_to("unsolicited", one, "icmp")
        guest.is_closed_to("unsolicited", lan, "tcp/22")


def is_told_unreachable(namespace, address, source=None):
    """Whether an ICMP error comes back about a datagram to a port where nobody listens."""
    with namespace.entered(), socket.socket(services.family_of(address), socket.SOCK_DGRAM) as sender:
        sender.settimeout(1)
        if source:
            sender.bind((source, 0))
        sender.connect((address, 4999))
        sender.send(b"is anybody there?")
        try:
            sender.recv(100)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            return False


def test_errors_about_flows_come_through(guest_with):
    guest = guest_with("--inbound=established", f"--allow=in {LAN4}:4999,in [{LAN6}]:4999")
    for lan, one in zip(LANS, ONES):
        assert is_told_unreachable(guest.namespace, one)
        assert is_told_unreachable(guest.world.far, guest.address(lan), lan)
        # Nobody may ask from there, so nobody hears.
        before = guest.dropped("uplink", "unsolicited")
        assert not is_told_unreachable(guest.world.far, guest.address(one), one)
        assert guest.dropped("uplink", "unsolicited") > before
    assert guest.dropped("guest") == 0


@contextlib.contextmanager
def narrow_link(world, mtu):
    """Behind the gateway only so many octets fit."""
    for family, via in ("-4", "203.0.113.2"), ("-6", "2a00:7700:ffff::2"):
        world.gateway.ip(f"{family} route replace default via {via} mtu lock {mtu}")
    yield
    for family, via in ("-4", "203.0.113.2"), ("-6", "2a00:7700:ffff::2"):
        world.gateway.ip(f"{family} route replace default via {via}")


def route_mtu(namespace, to):
    match = re.search(r"mtu (\d+)", namespace.ip(f"route get {to}"))
    return int(match.group(1)) if match else None


def test_path_mtu_is_discovered_through_a_guard_of_answers_only(world, guest_with):
    """By connections that the guest opened, and by those that it answers."""
    caller = guest_with("--inbound=established")
    server = guest_with("--inbound=established", "--block=any", "--allow=in any:tcp/22")
    data = bytes(300000)
    with narrow_link(world, 1300):
        for one in ONES:
            assert ipv6_peers.exchange(caller.namespace, data, one, 80) == data
            assert route_mtu(caller.namespace, one) == 1300
            assert ipv6_peers.exchange(world.far, data, server.address(one), 22, source=one) == data
            assert route_mtu(server.namespace, one) == 1300
    assert server.dropped("guest", "dst-private", "dst-blocked") == server.dropped("uplink", "unsolicited") == 0


# --- restarts ---------------------------------------------------------------------------------------------------------

def restart(guest, *options):
    guest.guard.stop()
    guest.options = options
    guest.start_guard()


def test_connections_outlive_the_guard(world, guest_with, tmp_path):
    state = tmp_path / "state"
    options = ["--inbound=established", SSH, f"--state={state}"]
    guest = guest_with(*options, walled=True)
    out = [Connection(guest.namespace, one, 80) for one in ONES]
    calls = [Connection(world.far, guest.address(lan), 22, lan) for lan in LANS]
    assert all(one.lives() for one in (*out, *calls))
    restart(guest, *options)
    assert all(one.lives() for one in (*out, *calls))
    # Where the opener may open no more, it ends; for those whom the guest called it is as before.
    restart(guest, "--inbound=established", f"--block={ONE4}", f"--allow=in {LAN4}:tcp/22", f"--state={state}")
    assert not out[0].lives(timeout=0.6) and not calls[1].lives(timeout=0.6)
    assert guest.dropped("guest", "dst-blocked") > 0 and guest.dropped("uplink", "unsolicited") > 0
    assert out[1].lives() and calls[0].lives()
    for one in (*out, *calls):
        one.close()


# --- floods -----------------------------------------------------------------------------------------------------------

def test_syn_flood_towards_an_open_port(world, guest_with):
    """More half-open flows than the table holds, from everywhere; who talks already, and who calls out, goes on."""
    guest = guest_with("--inbound=established", "--allow=in 0.0.0.0/0:tcp/80", "--allow=::/0")
    talks = [Connection(world.far, guest.ip4, 80, LAN4), Connection(guest.namespace, ONE4, 443),
             Connection(guest.namespace, ONE6, 443)]
    before = guest.guard.counters()
    wire = world.gateway.wire("eth0")
    # From four addresses, for each has its own checksum; that of TCP becomes wrong, so the guest's kernel has no work.
    syns = [bytearray(bytes(Ether(src=policy_peers.GATEWAY_MAC, dst=guest.mac) / IP(src=f"198.18.0.{last}", dst=guest.ip4) /
                            TCP(sport=1024, dport=80, flags="S"))) for last in range(4)]
    sent = 0
    while sent < 36000:
        passed = guest.guard.counters().passed["uplink"]
        for number in range(sent, sent + 400):
            syn = syns[number % 4]
            syn[34:36] = (number + 1024).to_bytes(2, "big")
            wire.socket.send(syn)
        sent += 400
        guest.guard.wait_counters(lambda now, wanted=passed + 400: now.passed["uplink"] >= wanted, 10, "the flood to pass")
        if sent % 4000 == 0:
            assert all(one.lives() for one in talks), sent
            guest.reaches(f"{NINE4}:tcp/443", f"{ONE4}:udp/53", f"[{ONE6}]:tcp/443")
            guest.is_reached(LAN4, "tcp/80")
    counters = guest.guard.counters()
    assert counters.dropped("guest", "flow-limit") == counters.dropped("uplink", "flow-limit") == 0
    assert counters.dropped("guest") == before.dropped("guest")
    for one in talks:
        one.close()
