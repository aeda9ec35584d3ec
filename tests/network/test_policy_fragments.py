"""Fragments under rules with ports, and of flows (docs/policy.md, Fragments), between kernels and frame by frame."""

import pytest
from scapy.all import IP, UDP, IPv6, IPv6ExtHdrFragment, Raw

import clocks
import netns
import policy_peers
from policy_peers import (FOUR, LAN4, LAN6, ONE4, ONE6, PRINTER4, PRINTER6, SIX, Bench, peer, reaches, udp)

LONG = bytes(number * 7 & 0xff for number in range(4000))
REMEMBERED = 64
families = pytest.mark.parametrize("family", [FOUR, SIX], ids=repr)


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


# --- between kernels --------------------------------------------------------------------------------------------------

def is_echoed(namespace, to, source=None, timeout=policy_peers.REACHED_SECONDS):
    return reaches(namespace, to, source, timeout, LONG)


def ping_long(namespace, address, source=None, timeout=policy_peers.REACHED_SECONDS):
    words = ["-I", source] if source else []
    return "1 received" in namespace.run("ping", "-n", "-c", 1, "-s", 4000, "-W", timeout, *words, address, check=False)


@pytest.mark.parametrize("more", [[], ["--inbound=established"]], ids=["stateless", "stateful"])
@pytest.mark.parametrize("one, lan", [(ONE4, LAN4), (ONE6, LAN6)], ids=["IPv4", "IPv6"])
def test_whole_datagrams_to_an_open_port(guest_with, one, lan, more):
    bracketed = f"[{one}]" if ":" in one else one
    guest = guest_with("--block=any", f"--allow={bracketed}:udp/5000", f"--allow={lan}", *more)
    for _ in range(3):
        assert is_echoed(guest.namespace, peer(one, "udp/5000"))
    assert guest.dropped("guest", "dst-blocked", "ports-unknown") == guest.dropped("uplink", "ports-unknown") == 0
    assert not is_echoed(guest.namespace, peer(one, "udp/80"), timeout=policy_peers.DENIED_SECONDS)
    counters = guest.wait_dropped("guest", "ports-unknown", 2)
    assert counters.dropped("guest", "dst-blocked") == 1 and counters.dropped("guest", "ports-unknown") == 2
    # Where no port decides, fragments need no memory.
    assert is_echoed(guest.namespace, peer(lan, "udp/80")) and ping_long(guest.namespace, lan)


@pytest.mark.parametrize("lan, printer", [(LAN4, PRINTER4), (LAN6, PRINTER6)], ids=["IPv4", "IPv6"])
def test_whole_datagrams_from_the_network(guest_with, lan, printer):
    bracketed = [f"[{each}]" if ":" in each else each for each in (lan, printer)]
    guest = guest_with("--inbound=established", f"--allow=in {bracketed[0]}:udp/5000,in {bracketed[1]}:icmp")
    far, own = guest.world.far, guest.address(lan)
    for _ in range(3):
        assert is_echoed(far, peer(own, "udp/5000"), lan)
    assert ping_long(far, own, printer)
    assert guest.dropped("uplink", "unsolicited", "ports-unknown") == guest.dropped("guest") == 0
    assert not is_echoed(far, peer(own, "udp/80"), lan, policy_peers.DENIED_SECONDS)
    counters = guest.wait_dropped("uplink", "ports-unknown", 2)
    assert counters.dropped("uplink", "unsolicited") == 1 and counters.dropped("uplink", "ports-unknown") == 2
    assert not ping_long(far, own, lan, policy_peers.DENIED_SECONDS)
    guest.wait_dropped("uplink", "unsolicited", 2)
    assert not ping_long(guest.namespace, printer, timeout=policy_peers.DENIED_SECONDS)
    assert guest.wait_dropped("guest", "dst-private").dropped("guest", "dst-private", "ports-unknown") == 3


def test_answers_in_fragments_to_a_guest_that_only_calls(guest_with):
    guest = guest_with("--inbound=none")
    for one in ONE4, ONE6:
        assert is_echoed(guest.namespace, peer(one, "udp/53")) and ping_long(guest.namespace, one)
    assert guest.dropped("uplink", "unsolicited", "ports-unknown") == 0
    for one in ONE4, ONE6:
        assert not is_echoed(guest.world.far, peer(guest.address(one), "udp/53"), one, policy_peers.DENIED_SECONDS)
    assert guest.wait_dropped("uplink", "unsolicited", 2).dropped("uplink", "unsolicited", "ports-unknown") == 6


# --- frame by frame ---------------------------------------------------------------------------------------------------

def pieces(family, source, destination, port, identification=77, count=3, source_port=4000, protocol=17):
    """A datagram in fragments of 800 octets."""
    payload = bytes(UDP(sport=source_port, dport=port, len=800 * count, chksum=1)) + bytes(800 * count - 8)
    made = []
    for number in range(count):
        part, more = payload[800 * number:800 * (number + 1)], number < count - 1
        if family.is_six:
            header = IPv6(src=source, dst=destination) / IPv6ExtHdrFragment(nh=protocol, offset=100 * number, m=more,
                                                                             id=identification)
        else:
            header = IP(src=source, dst=destination, proto=protocol, id=identification, frag=100 * number, flags=int(more))
        made.append(header / Raw(part))
    return made


def out_pieces(family, address, port, **more):
    return pieces(family, family.me, address, port, **more)


def in_pieces(family, address, port, **more):
    return pieces(family, address, family.me, port, **more)


@families
def test_a_later_fragment_without_its_first(bench_with, family):
    one = family.prefix(family.one)
    bench = bench_with("--inbound=established", "--block=any", f"--allow={one}:udp/5000,in {one}:udp/5000")
    for judge, make in (bench.out, out_pieces), (bench.into, in_pieces):
        first, second, third = make(family, family.one, 5000)
        assert [judge(second), judge(third)] == ["ports-unknown"] * 2
        assert judge(first) == "pass"
        assert [judge(third), judge(second)] == ["pass"] * 2        # in any order behind it
        assert judge(second) == "pass"                              # and again
        assert judge(make(family, family.one, 5000, identification=78)[1]) == "ports-unknown"
        # RFC 791 3.2, RFC 8200 4.5: in IPv6 the protocol stands in the first one.
        assert (judge(make(family, family.one, 5000, protocol=6)[1]) == "pass") == family.is_six
        assert judge(make(family, family.nine, 5000)[1]) != "pass"
    # Each direction remembers for itself: what went out as 99 does not come in.
    assert bench.out(out_pieces(family, family.one, 5000, identification=99)[0]) == "pass"
    assert bench.into(in_pieces(family, family.one, 5000, identification=99)[1]) == "ports-unknown"


@families
def test_a_first_fragment_that_is_refused_is_not_remembered(bench_with, family):
    one = family.prefix(family.one)
    bench = bench_with("--inbound=established", "--block=any", f"--allow={one}:udp/5000,in {one}:udp/5000")
    for judge, make, reason in (bench.out, out_pieces, "dst-blocked"), (bench.into, in_pieces, "unsolicited"):
        first, second, third = make(family, family.one, 5001)
        assert [judge(first), judge(second), judge(third)] == [reason, "ports-unknown", "ports-unknown"]


@families
def test_where_no_port_decides_fragments_pass_alone(bench_with, family):
    """Stateless: all ports of UDP are open, TCP's are not alike."""
    one, lan = family.prefix(family.one), family.prefix(family.lan)
    bench = bench_with(f"--block={one}:tcp/22", f"--allow={lan}:udp", f"--block={family.nine}")
    assert bench.out(out_pieces(family, family.one, 5000)[1]) == "pass"
    assert bench.out(out_pieces(family, family.one, 5000, protocol=6)[1]) == "ports-unknown"
    assert bench.out(out_pieces(family, family.lan, 5000)[1]) == "pass"
    # For all ports the same, which is no.
    assert bench.out(out_pieces(family, family.lan, 5000, protocol=6)[1]) == "dst-private"
    assert bench.out(out_pieces(family, family.nine, 5000)[1]) == "dst-blocked"
    # From the network nothing is asked for.
    assert bench.into(in_pieces(family, family.nine, 5000)[1]) == "pass"


@families
def test_answers_in_fragments(bench_with, family):
    """An answer's first fragment belongs to the flow, so the later ones may follow, and no others."""
    lan = family.prefix(family.lan)
    bench = bench_with("--inbound=established", f"--allow=in {lan}:udp/5000")
    assert bench.into(family.of(family.lan, udp(40000, 5000))) == "pass"
    first, second, third = out_pieces(family, family.lan, 40000, source_port=5000)
    assert bench.out(second) in ("ports-unknown", "dst-private")
    assert [bench.out(each) for each in (first, second, third)] == ["pass"] * 3
    first, second, third = out_pieces(family, family.lan, 40001, source_port=5000, identification=78)
    assert bench.out(first) == "dst-private"
    assert {bench.out(each) for each in (second, third)} <= {"ports-unknown", "dst-private"}
    assert bench.out(family.to(family.one, udp(4000, 53))) == "pass"
    first, second, third = in_pieces(family, family.one, 4000, source_port=53)
    assert bench.into(second) in ("ports-unknown", "unsolicited")
    assert [bench.into(each) for each in (first, second, third)] == ["pass"] * 3
    first, second, third = in_pieces(family, family.one, 4000, source_port=54, identification=78)
    assert bench.into(first) == "unsolicited"
    assert {bench.into(each) for each in (second, third)} <= {"ports-unknown", "unsolicited"}


@families
def test_how_many_are_remembered(bench_with, family):
    """64 in each direction; the oldest goes, and one side does not push out the other's."""
    one = family.prefix(family.one)
    bench = bench_with("--inbound=established", "--block=any", f"--allow={one}:udp/5000,in {one}:udp/5000")
    kept = in_pieces(family, family.one, 5000, identification=5)
    assert bench.into(kept[0]) == "pass"
    datagrams = [out_pieces(family, family.one, 5000, identification=1000 + number) for number in range(REMEMBERED + 1)]
    assert bench.verdicts("guest", [first for first, _, _ in datagrams[1:]]) == {"pass": REMEMBERED}
    assert bench.verdicts("guest", [second for _, second, _ in datagrams[1:]]) == {"pass": REMEMBERED}
    assert bench.out(datagrams[0][0]) == "pass"
    assert bench.verdicts("guest", [third for _, _, third in datagrams]) == {"pass": REMEMBERED, "ports-unknown": 1}
    assert bench.into(kept[1]) == "pass"


@families
def test_how_long_they_are_remembered(bench_with, tmp_path, family):
    clock, one = clocks.LaterClock(tmp_path), family.prefix(family.one)
    bench = bench_with("--block=any", f"--allow={one}:udp/5000", program=clock.program)
    first, second, third = out_pieces(family, family.one, 5000)
    assert bench.out(first) == "pass"
    clock.pass_seconds(58)
    assert bench.out(second) == "pass"
    clock.pass_seconds(62)
    assert bench.out(third) == "ports-unknown"


def at_offset(family, packet, units):
    """The same piece, elsewhere in its datagram."""
    header = packet[IPv6ExtHdrFragment] if family.is_six else packet[IP]
    setattr(header, "offset" if family.is_six else "frag", units)
    return packet


def cut(packet, octets):
    packet[Raw].load = packet[Raw].load[:octets]
    return packet


@families
def test_tiny_and_overlapping_fragments_are_refused_as_ever(bench_with, family):
    """From the guest: no rule lets ports or flags come in a fragment that is not the first, or be written over."""
    bench = bench_with("--inbound=established", "--block=any", f"--allow={family.prefix(family.one)}:5000")

    def of_tcp():
        return out_pieces(family, family.one, 5000, protocol=6)
    assert bench.out(of_tcp()[0]) == "pass"
    found = {name: bench.out(packet) for name, packet in {
        "over the ports": at_offset(family, of_tcp()[1], 1), "over the flags": at_offset(family, of_tcp()[2], 2),
        "no ports": cut(of_tcp()[0], 0), "no flags": cut(of_tcp()[0], 8), "no multiple of 8": cut(of_tcp()[1], 799),
        "past the end": at_offset(family, of_tcp()[1], 8191)}.items()}
    assert found == dict.fromkeys(found, "ip6-fragment" if family.is_six else "ip4-fragment")
    assert bench.out(of_tcp()[1]) == "pass"


@families
def test_an_answer_hides_no_call_in_its_fragments(bench_with, family):
    """From the network: a SYN in pieces, or written over an ACK, is no answer."""
    bench = bench_with("--inbound=established")
    assert bench.out(family.to(family.one, policy_peers.tcp(4000, 443))) == "pass"

    def answer(**more):
        return in_pieces(family, family.one, 4000, source_port=443, protocol=6, **more)
    assert bench.into(cut(answer()[0], 8)) != "pass"                    # the flags are in the next one
    assert bench.into(at_offset(family, answer()[1], 1)) != "pass"
    first = answer(identification=79)[0]
    first[Raw].load = first[Raw].load[:13] + b"\x10" + first[Raw].load[14:]
    assert bench.into(first) == "pass"                                  # an ACK
    assert bench.into(answer(identification=79)[1]) == "pass"
    assert bench.into(at_offset(family, answer(identification=79)[1], 1)) != "pass"
    syn = answer(identification=80)[0]
    syn[Raw].load = syn[Raw].load[:13] + b"\x02" + syn[Raw].load[14:]
    assert bench.into(syn) == "unsolicited"
    assert bench.into(answer(identification=80)[1]) in ("ports-unknown", "unsolicited")
