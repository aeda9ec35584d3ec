"""What a hostile guest, or a hostile network, makes of flows (docs/policy.md, Flows): frame by frame, in both families.

The network is policy_peers.Bench, which tells of each frame whether it passed, or for which reason it was dropped.
"""

import pytest
from scapy.all import ICMP, Ether, ICMPv6ND_Redirect

import clocks
import policy_peers
from policy_peers import FOUR, GATEWAY_MAC, SIX, Bench, tcp, udp

FLOWS = 32768
families = pytest.mark.parametrize("family", [FOUR, SIX], ids=repr)


@pytest.fixture
def bench_with(network, softnet):
    benches = []

    def make(*options, **more):
        benches.append(Bench(network, *options, **more))
        return benches[-1]
    yield make
    for bench in benches:
        bench.close()


@pytest.fixture
def clock(tmp_path, softnet):
    return clocks.LaterClock(tmp_path)


def server(bench_with, family, *more, **options):
    """A bench whose guest may be called by `lan` at TCP 22, UDP 5000 and ICMP, and may itself not call there."""
    lan = family.prefix(family.lan)
    return bench_with("--inbound=established", f"--allow=in {lan}:tcp/22,in {lan}:udp/5000,in {lan}:icmp", *more,
                      **options)


def none_passes(judge, reason, packets):
    found = {name: judge(packet) for name, packet in packets.items()}
    assert found == dict.fromkeys(packets, reason)


def shake_hands(bench, family, peer, peer_port=40000, port=22):
    """A connection that the network opened."""
    assert bench.into(family.of(peer, tcp(peer_port, port))) == "pass"
    assert bench.out(family.to(peer, tcp(port, peer_port, "SA"))) == "pass"
    assert bench.into(family.of(peer, tcp(peer_port, port, "A"))) == "pass"


# --- a guest that was called ------------------------------------------------------------------------------------------

@families
def test_a_call_gives_the_guest_its_answers_and_no_more(bench_with, family):
    bench = server(bench_with, family)
    shake_hands(bench, family, family.lan)
    assert bench.out(family.to(family.lan, tcp(22, 40000, "PA", b"welcome"))) == "pass"
    none_passes(bench.out, "dst-private", {name: family.to(to, segment) for name, to, segment in (
        ("SYN on its tuple", family.lan, tcp(22, 40000, "S")),
        ("SYN with ECE and CWR", family.lan, tcp(22, 40000, "SEC")),
        ("SYN and FIN", family.lan, tcp(22, 40000, "SF")), ("SYN and RST", family.lan, tcp(22, 40000, "SR")),
        ("another port of its own", family.lan, tcp(23, 40000, "PA")),
        ("another port of the peer", family.lan, tcp(22, 40001, "PA")),
        ("the ports turned around", family.lan, tcp(40000, 22, "PA")),
        ("another peer", family.printer, tcp(22, 40000, "PA")), ("a new connection", family.lan, tcp(4000, 22)),
        ("UDP of the same ports", family.lan, udp(22, 40000)),
        ("echo request", family.lan, family.echo(40000)), ("echo reply", family.lan, family.echo(40000, True)))})
    # The call still stands.
    assert bench.out(family.to(family.lan, tcp(22, 40000, "PA", b"what now?"))) == "pass"


@families
def test_a_datagram_gives_the_guest_its_answers_and_no_more(bench_with, family):
    bench = server(bench_with, family)
    assert bench.out(family.to(family.lan, udp(5000, 40000))) == "dst-private"      # not yet
    assert bench.into(family.of(family.lan, udp(40000, 5000))) == "pass"
    assert bench.out(family.to(family.lan, udp(5000, 40000))) == "pass"
    none_passes(bench.out, "dst-private", {name: family.to(to, datagram) for name, to, datagram in (
        ("another port of its own", family.lan, udp(5001, 40000)),
        ("another port of the peer", family.lan, udp(5000, 40001)),
        ("the ports turned around", family.lan, udp(40000, 5000)),
        ("another peer", family.printer, udp(5000, 40000)), ("TCP", family.lan, tcp(5000, 40000, "A")))})


@families
def test_a_ping_gives_the_guest_its_reply_and_no_more(bench_with, family):
    bench = server(bench_with, family)
    assert bench.out(family.to(family.lan, family.echo(7, True))) == "dst-private"
    assert bench.into(family.of(family.lan, family.echo(7))) == "pass"
    assert bench.out(family.to(family.lan, family.echo(7, True))) == "pass"
    none_passes(bench.out, "dst-private", {
        "another identifier": family.to(family.lan, family.echo(8, True)),
        "a request of the same identifier": family.to(family.lan, family.echo(7)),
        "another peer": family.to(family.printer, family.echo(7, True))})


@families
def test_source_ports_open_nothing(bench_with, family):
    lan = family.prefix(family.lan)
    bench = bench_with("--inbound=established", f"--allow=out {lan}:443,in {lan}:22")
    none_passes(bench.out, "dst-private", {
        "from 443": family.to(family.lan, tcp(443, 80)), "UDP from 443": family.to(family.lan, udp(443, 80)),
        "as if it answered at 443": family.to(family.lan, tcp(443, 40000, "SA")),
        "as if it answered at 22": family.to(family.lan, tcp(22, 40000, "SA")),
        "UDP as if it answered at 22": family.to(family.lan, udp(22, 40000))})
    none_passes(bench.into, "unsolicited", {
        "from 22": family.of(family.lan, tcp(22, 80)), "UDP from 22": family.of(family.lan, udp(22, 80)),
        "as if it answered at 443": family.of(family.lan, tcp(443, 40000, "SA")),
        "to 443": family.of(family.lan, tcp(40000, 443)), "UDP to 443": family.of(family.lan, udp(443, 443))})
    assert bench.out(family.to(family.lan, tcp(22, 443))) == bench.into(family.of(family.lan, tcp(443, 22))) == "pass"


# --- a network that was called ----------------------------------------------------------------------------------------

@families
def test_a_call_gives_the_peer_its_answers_and_no_more(bench_with, family):
    bench = bench_with("--inbound=established")
    for packet in tcp(443, 4000, "SA"), udp(53, 4000), family.echo(9, True):
        assert bench.into(family.of(family.one, packet)) == "unsolicited"           # not yet
    for packet in tcp(4000, 443), udp(4000, 53), family.echo(9):
        assert bench.out(family.to(family.one, packet)) == "pass"
    none_passes(bench.into, "unsolicited", {name: family.of(of, packet) for name, of, packet in (
        ("SYN on its tuple", family.one, tcp(443, 4000, "S")), ("SYN and FIN", family.one, tcp(443, 4000, "SF")),
        ("another peer", family.nine, tcp(443, 4000, "SA")), ("another port", family.one, tcp(443, 4001, "SA")),
        ("another port of the peer", family.one, tcp(80, 4000, "SA")),
        ("UDP of the ports of TCP", family.one, udp(443, 4000)), ("datagram elsewhere", family.one, udp(53, 4001)),
        ("datagram of another", family.nine, udp(53, 4000)), ("TCP of the ports of UDP", family.one, tcp(53, 4000, "A")),
        ("another identifier", family.one, family.echo(10, True)), ("ping back", family.one, family.echo(9)),
        ("reply of another", family.nine, family.echo(9, True)))})
    for packet in tcp(443, 4000, "SA"), udp(53, 4000), family.echo(9, True):
        assert bench.into(family.of(family.one, packet)) == "pass"


@families
def test_a_packet_amid_a_connection_opens_it_if_its_sender_may(bench_with, family):
    """As after a restart of the guard."""
    bench = server(bench_with, family)
    none_passes(bench.out, "dst-private", {"the guest's": family.to(family.lan, tcp(22, 40000, "PA", b"data"))})
    none_passes(bench.into, "unsolicited", {"another's": family.of(family.one, tcp(443, 4000, "PA", b"data"))})
    assert bench.into(family.of(family.lan, tcp(40000, 22, "PA", b"data"))) == "pass"
    assert bench.out(family.to(family.lan, tcp(22, 40000, "A"))) == "pass"
    assert bench.out(family.to(family.one, tcp(4000, 443, "PA", b"data"))) == "pass"
    assert bench.into(family.of(family.one, tcp(443, 4000, "A"))) == "pass"


@families
def test_a_question_to_a_group_is_no_flow(bench_with, family):
    """A host that answers it by unicast is a stranger, from both sides."""
    bench = bench_with("--inbound=established")
    group, mac = ("ff02::fb", "33:33:00:00:00:fb") if family.is_six else ("224.0.0.251", "01:00:5e:00:00:fb")
    datagram = udp(5353, 5353)
    question = Ether(src=policy_peers.MAC, dst=mac) / family.ip(src=family.me, dst=group) / datagram
    theirs = Ether(src=GATEWAY_MAC, dst=mac) / family.ip(src=family.near, dst=group) / datagram
    assert bench.out(question) == "pass"
    assert bench.into(theirs) == "unsolicited"
    assert bench.into(family.of(family.near, datagram)) == "unsolicited"
    assert bench.out(family.to(family.near, datagram)) == ("dst-local-net" if family.is_six else "dst-private")


# --- ICMP errors ------------------------------------------------------------------------------------------------------

@families
def test_errors_reach_the_guest_only_about_what_it_sent(bench_with, family):
    bench = bench_with("--inbound=established")
    sent = family.to(family.one, udp(4000, 53))
    for make in family.unreachable, family.too_big:
        assert bench.into(family.of(family.one, make(sent))) == "unsolicited"       # not yet
    pinged = family.to(family.one, family.echo(9))
    for packet in sent, pinged, family.to(family.one, tcp(4000, 443)):
        assert bench.out(packet) == "pass"
    assert bench.into(family.of(family.one, udp(53, 4000))) == "pass"               # an answer
    for make in family.unreachable, family.too_big:
        none_passes(bench.into, "unsolicited", {name: family.of(family.one, make(quoted)) for name, quoted in (
            ("another port", family.to(family.one, udp(4001, 53))),
            ("another port of the peer", family.to(family.one, udp(4000, 54))),
            ("another peer", family.to(family.nine, udp(4000, 53))),
            ("TCP", family.to(family.one, tcp(4000, 53))), ("another ping", family.to(family.one, family.echo(10))),
            ("no ports", bytes(sent)[:40 if family.is_six else 20]), ("nothing", b""))})
        none_passes(bench.into, "icmp-error-quote", {name: family.of(family.one, make(quoted)) for name, quoted in (
            ("what it was sent", family.of(family.one, udp(53, 4000))),
            ("what others sent", family.ip(src=family.near, dst=family.one) / udp(4000, 53)))})
        # From any router on the way.
        for router in family.one, family.nine, family.gateway:
            for quoted in sent, pinged, family.to(family.one, tcp(4000, 443, "A")):
                assert bench.into(family.of(router, make(quoted))) == "pass"
    # A redirect is none, whatever it quotes.
    if family.is_six:
        assert bench.into(family.of(policy_peers.GATEWAY_LINK_LOCAL, ICMPv6ND_Redirect(
            tgt=policy_peers.GATEWAY_LINK_LOCAL, dst=family.one), hlim=255)) == "icmp6-redirect"
    else:
        assert bench.into(family.of(family.gateway, ICMP(type=5, code=1) / bytes(sent))) == "icmp-control"


@families
def test_the_guest_sends_errors_only_to_the_peer_of_the_flow(bench_with, family):
    bench = server(bench_with, family)
    got = family.of(family.lan, udp(40000, 5000))
    assert bench.out(family.to(family.lan, family.unreachable(got))) == "dst-private"       # not yet
    assert bench.into(got) == bench.into(family.of(family.lan, tcp(40000, 22))) == "pass"
    for make in family.unreachable, family.too_big:
        none_passes(bench.out, "dst-private", {name: family.to(to, make(quoted)) for name, to, quoted in (
            ("to another", family.printer, got), ("another port", family.lan, family.of(family.lan, udp(40001, 5000))),
            ("another port of its own", family.lan, family.of(family.lan, udp(40000, 5001))),
            ("what another sent", family.printer, family.of(family.printer, udp(40000, 5000))),
            ("what it sent itself", family.lan, family.to(family.lan, udp(5000, 40000))),
            ("what it sent itself, to another", family.printer, family.to(family.lan, udp(5000, 40000))),
            ("what went elsewhere", family.lan, family.ip(src=family.lan, dst=family.near) / udp(40000, 5000)),
            ("a ping", family.lan, family.of(family.lan, family.echo(40000))), ("nothing", family.lan, b""))})
        assert bench.out(family.to(family.lan, make(got))) == "pass"
        assert bench.out(family.to(family.lan, make(family.of(family.lan, tcp(40000, 22))))) == "pass"


@families
def test_errors_about_what_the_guest_opened_by_port(bench_with, family):
    bench = bench_with("--inbound=established", f"--allow=out {family.prefix(family.lan)}:443")
    assert bench.out(family.to(family.lan, udp(4000, 443))) == bench.into(family.of(family.lan, udp(443, 4000))) == "pass"
    assert bench.out(family.to(family.lan, family.unreachable(family.of(family.lan, udp(443, 4000))))) == "pass"
    assert bench.out(family.to(family.lan, family.unreachable(family.of(family.lan, udp(443, 4001))))) == "dst-private"
    assert bench.into(family.of(family.lan, family.unreachable(family.to(family.lan, udp(4000, 443))))) == "pass"


# --- time -------------------------------------------------------------------------------------------------------------

@families
def test_flows_end_when_they_are_idle(bench_with, clock, family):
    """Each class after its time; until then packets of either side refresh it."""
    bench = server(bench_with, family, program=clock.program)
    lan = family.lan

    def answer(kind):
        return bench.out(family.to(lan, {"tcp": tcp(22, 40000, "PA", b"data"), "udp": udp(5000, 40000),
                                         "icmp": family.echo(7, True)}[kind]))

    def call(kind):
        assert bench.into(family.of(lan, {"tcp": tcp(40000, 22), "udp": udp(40000, 5000), "icmp": family.echo(7)}[kind])) \
            == "pass"
    for kind in "tcp", "udp", "icmp":                       # half-open
        call(kind)
        clock.pass_seconds(62)
        assert answer(kind) == "dst-private", kind
        call(kind)
        clock.pass_seconds(58)
        call(kind)
        clock.pass_seconds(58)
        assert answer(kind) == "pass", kind
        clock.pass_seconds(62)                              # TCP still is: the opener has not spoken after the answer
        assert answer(kind) == ("dst-private" if kind == "tcp" else "pass"), kind
    for kind in "udp", "icmp":
        call(kind)
        assert answer(kind) == "pass", kind
        for _ in range(2):                                  # by answers alone
            clock.pass_seconds(298)
            assert answer(kind) == "pass", kind
        clock.pass_seconds(200)                             # by a call
        call(kind)
        clock.pass_seconds(298)
        assert answer(kind) == "pass", kind
        clock.pass_seconds(302)
        assert answer(kind) == "dst-private", kind


@families
def test_connections_end_when_they_are_idle(bench_with, clock, family):
    bench = server(bench_with, family, program=clock.program)
    lan = family.lan

    def says(flags):
        return bench.out(family.to(lan, tcp(22, 40000, flags)))
    shake_hands(bench, family, lan)
    for _ in range(2):                                      # each of the two keeps it
        clock.pass_seconds(7438)
        assert says("A") == "pass"
        clock.pass_seconds(7438)
        assert bench.into(family.of(lan, tcp(40000, 22, "A"))) == "pass"
    clock.pass_seconds(7442)
    assert says("A") == "dst-private"
    shake_hands(bench, family, lan)
    assert says("FA") == "pass"
    clock.pass_seconds(3600)                                # one FIN alone closes nothing
    assert says("A") == "pass"
    assert bench.into(family.of(lan, tcp(40000, 22, "FA"))) == "pass"
    clock.pass_seconds(118)
    assert says("A") == "pass"
    clock.pass_seconds(122)
    assert says("A") == "dst-private"
    shake_hands(bench, family, lan)
    assert bench.into(family.of(lan, tcp(40000, 22, "R"))) == "pass"
    clock.pass_seconds(122)
    assert says("A") == "dst-private"


# --- a table that is full ---------------------------------------------------------------------------------------------

def numbered(side, packet, count, port_at):
    """As many frames, each with a port of the peer of its own."""
    frame = policy_peers.frame_of(side, packet)
    return [frame[:port_at] + number.to_bytes(2, "big") + frame[port_at + 2:] for number in range(1, count + 1)]


def all_pass(bench, side, frames, step=400):
    for at in range(0, len(frames), step):
        piece = frames[at:at + step]
        assert bench.verdicts(side, piece) == {"pass": len(piece)}, at


def test_established_connections_are_never_pushed_out(bench_with):
    """32,768 of them: what is new is refused, until one ends."""
    bench, f = bench_with("--inbound=established", "--allow=in any:tcp/22"), FOUR
    opening, speaking = (numbered("guest", f.to(f.one, tcp(4000, 1, flags)), FLOWS, 36) for flags in ("S", "A"))
    answers = numbered("uplink", f.of(f.one, tcp(1, 4000, "SA")), FLOWS, 34)
    all_pass(bench, "guest", opening)
    all_pass(bench, "uplink", answers)
    all_pass(bench, "guest", speaking)
    for packet in tcp(4001, 443), udp(4001, 53), f.echo(3), tcp(4000, 40000, "A"):
        assert bench.out(f.to(f.one, packet)) == "flow-limit"
    assert bench.into(f.of(f.lan, tcp(40000, 22))) == "flow-limit"
    assert bench.into(f.of(f.one, tcp(40000, 4000, "A"))) == "unsolicited"
    all_pass(bench, "uplink", answers[::1024])
    all_pass(bench, "guest", speaking[::1024])
    # One that is reset makes place for one.
    assert bench.into(f.of(f.one, tcp(7, 4000, "R"))) == "pass"
    assert bench.out(f.to(f.one, tcp(4001, 443))) == bench.into(f.of(f.one, tcp(443, 4001, "SA"))) == "pass"
    assert bench.out(f.to(f.one, tcp(4001, 443, "A"))) == "pass"
    assert bench.out(f.to(f.one, tcp(4002, 443))) == "flow-limit"
    all_pass(bench, "uplink", answers[8::1024])


def test_half_open_flows_go_first(bench_with):
    """A scan by the guest, and a flood by the network, push out one another, and nothing that was answered."""
    bench, f = server(bench_with, FOUR), FOUR
    shake_hands(bench, f, f.lan)
    assert bench.out(f.to(f.one, udp(4000, 53))) == bench.into(f.of(f.one, udp(53, 4000))) == "pass"
    assert bench.out(f.to(f.one, udp(4001, 65535))) == "pass"
    scan = numbered("guest", f.to(f.nine, tcp(4000, 1)), 20000, 36)
    flood = numbered("uplink", f.of(f.lan, tcp(1, 22)), 20000, 34)
    all_pass(bench, "guest", scan)
    all_pass(bench, "uplink", flood)
    assert bench.out(f.to(f.lan, tcp(22, 40000, "PA", b"data"))) == "pass"
    assert bench.into(f.of(f.one, udp(53, 4000))) == "pass"
    assert bench.into(f.of(f.one, udp(65535, 4001))) == "unsolicited"           # the oldest went
    assert bench.into(f.of(f.nine, tcp(1, 4000, "SA"))) == "unsolicited"
    assert bench.into(f.of(f.nine, tcp(20000, 4000, "SA"))) == "pass"
    assert bench.out(f.to(f.lan, tcp(22, 20000, "SA"))) == "pass"
