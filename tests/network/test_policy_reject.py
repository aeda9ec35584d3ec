"""--reject: the guest is told at once what it may not do (docs/policy.md, --reject)."""

import errno
import re
import socket
import time

import pytest
from scapy.all import ICMP, IP, TCP, Ether, ICMPv6DestUnreach, IPv6, IPv6ExtHdrFragment, Raw

import clocks
import netns
import policy_peers
import services
from policy_peers import (FOUR, GATEWAY_MAC, LAN4, LAN6, MAC, NEAR4, NEAR6, NINE4, NINE6, ONE4, ONE6, SIX,
                          Bench, tcp, udp)

families = pytest.mark.parametrize("family", [FOUR, SIX], ids=repr)
AT_ONCE = 0.8       # seconds: sooner than any retransmission
SITE, NAT64 = "2a00:7700:1:9::1", "64:ff9b::10.0.0.1"
PER_SECOND, BURST = 100, 200


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


@pytest.fixture
def bench_with(network, softnet):
    benches = []

    def make(*options, **more):
        benches.append(Bench(network, *options, **more))
        return benches[-1]
    yield make
    for bench in benches:
        bench.close()


# --- what the guest's kernel makes of it ------------------------------------------------------------------------------

def connect_error(namespace, address, port, kind=socket.SOCK_STREAM, timeout=AT_ONCE):
    """The name of the error that connect() or, for datagrams, the next call gives; "timeout" for silence."""
    with namespace.entered(), socket.socket(services.family_of(address), kind) as one:
        one.settimeout(timeout)
        try:
            one.connect((address, port))
            if kind == socket.SOCK_DGRAM:
                one.send(b"hello")
                one.recv(100)
            return None
        except TimeoutError:
            return "timeout"
        except OSError as error:
            return errno.errorcode[error.errno]


def test_connections_are_refused_at_once(world, guest_with):
    rules = [f"--block={NINE4},{NINE6}", f"--allow={NEAR4}:tcp/80,[{NEAR6}]:tcp/80"]
    guest, silent = guest_with("--reject", *rules), guest_with(*rules)
    watch = world.gateway.wire("eth0")
    refused = {"dst-blocked": (NINE4, NINE6), "dst-private": (LAN4, LAN6), "dst-local-net": (SITE, ),
               "dst-nat64-private": (NAT64, )}
    for reason, addresses in refused.items():
        for address in addresses:
            before = guest.dropped("guest", reason)
            assert connect_error(guest.namespace, address, 22) == "ECONNREFUSED", address
            assert guest.dropped("guest", reason) == before + 1
    # A neighbor of which something is open can be asked for the rest.
    for near in NEAR4, NEAR6:
        assert connect_error(guest.namespace, near, 22) == "ECONNREFUSED", near
        assert connect_error(guest.namespace, near, 80) is None
    # Nothing of it was heard on the network.
    theirs = [frame for frame in watch.frames(outgoing=True) if policy_peers.rawguest.mac_bytes(guest.mac) in frame[:12]
              and any(socket.inet_pton(services.family_of(each), each) in frame
                      for addresses in refused.values() for each in addresses)]
    assert theirs == []
    # Off by default.
    for address in NINE4, NINE6, LAN4, LAN6, NEAR4, NEAR6:
        assert connect_error(silent.namespace, address, 22, timeout=0.3) == "timeout", address
    for one in ONE4, ONE6:
        assert connect_error(guest.namespace, one, 22) is None


def test_datagrams_and_pings_are_told_why(guest_with):
    guest = guest_with("--reject", f"--block={NINE4},{NINE6}")
    for nine, lan, told in (NINE4, LAN4, "EHOSTUNREACH"), (NINE6, LAN6, "EACCES"):
        for address in nine, lan:
            assert connect_error(guest.namespace, address, 53, socket.SOCK_DGRAM) == told
            said = guest.namespace.run("ping", "-n", "-c", 1, "-W", 1, address, check=False)
            assert re.search("filtered|prohibited", said), said
    silent = guest_with(f"--block={NINE4},{NINE6}")
    for nine in NINE4, NINE6:
        assert connect_error(silent.namespace, nine, 53, socket.SOCK_DGRAM, timeout=0.3) == "timeout"


def test_an_answer_that_is_refused_ends_the_call_in_the_guest(world, guest_with):
    """Whom it may not answer it forgets at once; the caller hears nothing."""
    guests = guest_with("--reject"), guest_with()
    for guest in guests:
        with world.far.entered(), socket.socket() as caller:
            caller.settimeout(0.3)
            caller.bind((LAN4, 0))
            with pytest.raises(TimeoutError):
                caller.connect((guest.ip4, 22))
            guest.wait_dropped("guest", "dst-private")
            waiting = guest.namespace.run("ss", "-Htan", "state", "syn-recv").strip()
            assert (waiting == "") == (guest is guests[0])


# --- frame by frame ---------------------------------------------------------------------------------------------------

def answers(bench, packet, expected="dst-blocked"):
    """What the guest gets for this."""
    bench.received()
    assert bench.out(packet) == expected
    return [Ether(frame) for frame in bench.received()]


def has_right_checksums(frame):
    """Scapy makes the same of it when it has to count for itself."""
    again = frame.copy()
    for layer in again[1], again[2]:
        for name in "chksum", "cksum":
            if name in layer.fields:
                delattr(layer, name)
    assert "cksum" not in again[2].fields and "chksum" not in again[2].fields
    return bytes(again) == bytes(frame)


@families
def test_resets_are_those_of_the_standard(bench_with, family):
    """RFC 9293 3.10.7.1: what a host would say that has no such connection."""
    bench = bench_with("--reject", f"--block={family.nine}")
    for segment, flags, seq, ack in ((tcp(4000, 443, "S", seq=1000), "RA", 0, 1001),
                                     (tcp(4000, 443, "S", b"early data", seq=1000), "RA", 0, 1011),
                                     (tcp(4000, 443, "S", seq=0xffffffff), "RA", 0, 0),
                                     (tcp(4000, 443, "A", ack=2000), "R", 2000, None),
                                     (tcp(4000, 443, "PA", b"data", ack=2000), "R", 2000, None),
                                     (tcp(4000, 443, "FA", ack=2000), "R", 2000, None),
                                     (tcp(4000, 443, "F", seq=1000, ack=0), "RA", 0, 1001),
                                     (tcp(4000, 443, "S", options=[("MSS", 1460), ("WScale", 7)]), "RA", 0, 1001)):
        reset, = answers(bench, family.to(family.nine, segment))
        assert (reset.src, reset.dst) == (GATEWAY_MAC, MAC)
        assert (reset[family.ip].src, reset[family.ip].dst) == (family.nine, family.me)
        assert (reset[TCP].sport, reset[TCP].dport, str(reset[TCP].flags), reset[TCP].seq) == (443, 4000, flags, seq)
        assert ack is None or reset[TCP].ack == ack
        assert has_right_checksums(reset), reset.show(dump=True)
        assert bytes(reset[TCP].payload).strip(b"\0") == b""
    assert bench.left() == []


@families
def test_errors_quote_the_packet(bench_with, family):
    bench = bench_with("--reject", f"--block={family.nine}")
    for payload in udp(4000, 53), udp(4000, 53, bytes(1400)), family.echo(9), family.echo(9, data=bytes(1400)), Raw(bytes(99)):
        packet = family.to(family.nine, payload, **({"nh": 50} if family.is_six else {"proto": 50})) \
            if isinstance(payload, Raw) else family.to(family.nine, payload)
        error, = answers(bench, packet)
        assert (error.src, error.dst) == (GATEWAY_MAC, MAC) and error[family.ip].dst == family.me
        sent = bytes(packet)
        if family.is_six:
            assert (error[ICMPv6DestUnreach].type, error[ICMPv6DestUnreach].code) == (1, 1)
            quoted, longest = bytes(error)[14 + 40 + 8:], 1280
        else:
            assert (error[ICMP].type, error[ICMP].code) == (3, 13)
            quoted, longest = bytes(error)[14 + 20 + 8:], 576
        assert len(bytes(error)) <= 14 + longest
        assert len(quoted) >= min(len(sent), 28 if not family.is_six else 48) and sent.startswith(quoted)
        assert has_right_checksums(error), error.show(dump=True)
    assert bench.left() == []


@families
def test_nothing_is_said_about(bench_with, family):
    bench = bench_with("--reject", "--block=any")
    quoted = family.of(family.nine, udp(53, 4000))
    silence = {
        "RST": family.to(family.nine, tcp(4000, 443, "R")), "RST and ACK": family.to(family.nine, tcp(4000, 443, "RA")),
        "an ICMP error": family.to(family.nine, family.unreachable(quoted)),
        "another": family.to(family.nine, family.too_big(quoted)),
        "echo reply": family.to(family.nine, family.echo(9, True)),
    }
    if family.is_six:
        later = IPv6(src=family.me, dst=family.nine) / IPv6ExtHdrFragment(nh=17, offset=100, m=0, id=7) / Raw(bytes(100))
        groups = [("ff02::fb", "33:33:00:00:00:fb"), ("ff0e::1", "33:33:00:00:00:01")]
    else:
        later = IP(src=family.me, dst=family.nine, proto=17, id=7, frag=100) / Raw(bytes(100))
        groups = [("224.0.0.251", "01:00:5e:00:00:fb"), ("239.1.1.1", "01:00:5e:01:01:01"),
                  ("255.255.255.255", "ff:ff:ff:ff:ff:ff"), ("192.168.77.255", "ff:ff:ff:ff:ff:ff")]
        silence["a question for the time"] = family.to(family.nine, ICMP(type=13))
    silence["a later fragment"] = later
    for name, packet in silence.items():
        assert answers(bench, packet) == [], name
    for group, mac in groups:
        assert answers(bench, Ether(src=MAC, dst=mac) / family.ip(src=family.me, dst=group) / udp(5353, 5353)) == [], group
    spoofed = family.ip(src="192.168.77.66" if not family.is_six else "2a00:7700:1:1::66", dst=family.nine) / tcp(4000, 443)
    assert answers(bench, spoofed, "ip6-src-unbound" if family.is_six else "ip4-src-spoof") == []
    assert answers(bench, family.to("::1" if family.is_six else "127.0.0.1", tcp(4000, 443)), "dst-invalid") == []
    assert len(answers(bench, family.to(family.nine, tcp(4000, 443)))) == 1        # it does speak


@families
def test_the_network_hears_nothing(bench_with, family):
    bench = bench_with("--reject", "--inbound=established", f"--block=in {family.nine}", f"--block={family.printer}")
    bench.left()
    for packet in tcp(4000, 22), udp(4000, 22), family.echo(9):
        assert bench.into(family.of(family.nine, packet)) == "src-blocked"
        assert bench.into(family.of(family.one, packet)) == "unsolicited"
        assert bench.out(family.to(family.printer, packet)) == "dst-blocked"
    assert bench.left() == []
    assert len(bench.received()) == 3


def test_so_many_a_second(bench_with, tmp_path):
    clock = clocks.LaterClock(tmp_path)
    bench = bench_with("--reject", f"--block={FOUR.nine}", program=clock.program)
    syns = [FOUR.to(FOUR.nine, tcp(port, 443)) for port in range(2000, 2600)]
    begin = time.monotonic()
    assert bench.verdicts("guest", syns) == {"dst-blocked": len(syns)}
    many, elapsed = len(bench.received()), time.monotonic() - begin
    assert BURST <= many <= BURST + PER_SECOND * elapsed + 1, (many, elapsed)
    clock.pass_seconds(1)
    begin = time.monotonic()
    assert bench.verdicts("guest", syns) == {"dst-blocked": len(syns)}
    many, elapsed = len(bench.received()), time.monotonic() - begin
    assert PER_SECOND - 1 <= many <= 2 * PER_SECOND + PER_SECOND * (elapsed + 0.1), (many, elapsed)
