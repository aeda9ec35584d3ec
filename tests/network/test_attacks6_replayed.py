"""The catalogue of attacks in IPv6, every chain of extension headers with something forbidden at its end, whole and in
fragments, and thousands of frames that chance made of these and of honest ones: through the real program. Whatever
leaves on the real uplink is held against the oracle.

    raw guest (a socket) -- softnet -- tap u-raw -- br0 -- eth0 router (frames that the test makes)
"""

import itertools
import os
import random
import struct
import time

import pytest
from scapy.all import (UDP, DHCP6_Release, DHCP6_Reply, DHCP6_Request, DHCP6_Solicit, Ether, ICMPv6EchoRequest,
                       ICMPv6MLQuery, ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_RA, ICMPv6ND_Redirect,
                       ICMPv6NDOptDstLLAddr, ICMPv6NDOptPrefixInfo, IPv6, Raw)

import capture
import netns
import oracle
import oracle6
import oracle_base
import rawguest
import test_oracle6 as build
from packet6 import AUTHENTICATION, DESTINATION, FRAGMENT, HOP_BY_HOP, ICMP6, ROUTING
from test_attacks_replayed import INFAMOUS_OCTETS, NO_LIMITS, mutant, rows

MAC, OTHER_MAC, ROUTER_MAC = "52:54:00:00:00:0a", "52:54:00:00:00:0b", "52:54:00:00:00:01"
LINK_LOCAL, OTHER_LL, ROUTER_LL = "fe80::5054:ff:fe00:a", "fe80::5054:ff:fe00:b", "fe80::5054:ff:fe00:1"
PREFIX, SLAAC, PRIVACY, LEASED = "fd64::", "fd64::5054:ff:fe00:a", "fd64::a1b2:c3d4:e5f6:789", "fd64::10a"
NEIGHBOR, RESOLVER, EXTERNAL = "fd64::10b", build.RESOLVER, build.EXTERNAL     # as in the catalogue
GROUPS = "IP6", "ND", "RA", "MLD", "D6"
NO_LIMITS6 = [*NO_LIMITS, *(f"--rate={name}=1/0" for name in ("nd", "rs", "newbind6", "u-ra"))]
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
MUTANTS, AT_ONCE = 20000 if "SOFTNET_LONG" in os.environ else 8000, 500
SPANS = (0, 14), (14, 22), (14, 54), (22, 54), (54, 64), (54, 110), (54, 110), (54, 400)
OCTETS = *INFAMOUS_OCTETS, 3, 6, 17, 43, 44, 50, 51, 58, 59, 60, 130, 133, 134, 135, 136, 137, 143, 253, 254, 0xFE, 0xFF
FIELDS = 0, 1, 546, 547, 53, 0x86DD, 0x6000, 0x3A00, 0x3AFF, 0x2C00, 0x8600, 0xFE80, 0xFF02, 0xFD64, 0xFFF9, 0xFFFF


@pytest.fixture(params=["init", "bound"])
def guest(network, softnet, request):
    """A raw guest, before anything was heard of a router, or with an address of each kind. When the test ends, the
    oracle must be content and the guard alive."""
    network.bridge("br0")
    router = network.namespace("router", ipv6=False)
    network.join(router, "eth0", "br0", mac=ROUTER_MAC)
    guest = rawguest.RawGuest(network, MAC, "--uplink", "tap:u-raw,bridge=br0", *NO_LIMITS6)
    guest.wire = router.wire("eth0")
    guest.capture = capture.Capture(network.host, "u-raw", oracle.LEFT, oracle.ARRIVED)
    guest.send(bytes(build.rs()))
    guest.is_bound, guest.transaction, guest.heard = request.param == "bound", 0x1000, []
    if guest.is_bound:
        make_bound(guest)
    yield guest
    assert guest.guard.running, guest.guard.output()[-10:]
    counters = guest.wait_counted()
    port6 = oracle6.Port6(MAC, ROUTER_LL, ROUTER_MAC, rates=False)
    port = oracle.Port(mac=MAC, router="192.168.64.1", router_mac=ROUTER_MAC, ipv6=port6, rates=False)
    capture.check_captures(port, [guest.capture], "the raw guest", guest.heard)
    left = sum(record.where == oracle.LEFT for record in guest.capture.records)
    assert left == counters.passed["guest"] + counters.questions    # what it says that it sent is what was seen
    guest.guard.stop()
    assert guest.guard.popen.returncode == 0            # a sanitizer would say otherwise
    guest.close()


def make_bound(guest):
    guest.wire.send(build.ra(prefix=PREFIX))
    guest.wait_frame(lambda frame: frame[54:55] == b"\x86", what="the advertisement")
    guest.send(bytes(build.dad(PRIVACY)))
    take_lease(guest)
    data = bytes(build.data(PRIVACY))

    def passes():
        guest.send(data)
        return any(record.data == data for record in guest.capture.so_far()) or time.sleep(0.1)
    netns.wait_for(passes, 5, "the end of duplicate address detection")


def take_lease(guest, timeout=10):
    guest.transaction += 1
    request, answer = build.dhcp(DHCP6_Request()), build.to_me(build.reply([LEASED]))
    request[DHCP6_Request].trid = answer[DHCP6_Reply].trid = guest.transaction
    guest.send(bytes(request))
    guest.wire.wait_frame(lambda frame: frame == bytes(request), what="the request")
    guest.wire.send(answer)
    guest.wait_frame(lambda frame: frame == bytes(answer), timeout, "the lease")


def renew(guest):
    """Take the lease again, for a mutant may have given it back. False: mutants have taken all places for addresses."""
    try:
        take_lease(guest, 3)
    except netns.NetworkError:
        assert guest.guard.counters().dropped("uplink", "binding-limit") > 0
        return False
    return True


def hear(guest):
    """Remember what was delivered."""
    while frame := guest.receive(0):
        guest.heard.append(oracle_base.Record(time.time(), oracle.DELIVERED, frame))


# --- frames -----------------------------------------------------------------------------------------------------------

def honest_frames():
    """What mutants are made of: at least one frame of each sort that passes."""
    return [bytes(frame) for frame in (
        build.data(SLAAC), build.data(PRIVACY), build.data(LEASED), build.data(SLAAC, above=build.TCP(dport=443)),
        build.data(SLAAC, RESOLVER, UDP(dport=53)), build.data(SLAAC, above=ICMPv6EchoRequest()), build.rs(),
        build.rs("::", None), build.ns(), build.ns(source=SLAAC), build.na(), build.na(SLAAC, source=SLAAC),
        build.dad(LINK_LOCAL), build.dad("fd64::77"), build.dad("fe80::77"),
        build.data(SLAAC, before=[build.IPv6ExtHdrDestOpt()]),
        build.data(SLAAC, before=[build.IPv6ExtHdrFragment(m=1)]),
        build.data(SLAAC, before=[build.IPv6ExtHdrFragment(offset=3)]), build.mld(ICMPv6MLReport2(), "ff02::16"),
        build.dhcp(DHCP6_Solicit()), build.dhcp(DHCP6_Request()), build.dhcp(DHCP6_Release(), [LEASED]),
        build.data(SLAAC, "ff02::fb", UDP(sport=5353, dport=5353)))]


def end(message, source=LINK_LOCAL, to="ff02::1", hop_limit=255):
    """(the IPv6 header's addresses, hop limit and protocol; the rest)."""
    packet = IPv6(bytes(IPv6(src=source, dst=to, hlim=hop_limit) / message))
    return (source, to, hop_limit, packet.nh), bytes(packet)[40:]


# What no chain may carry to others, and an honest echo.
ENDS = {
    "ra": end(ICMPv6ND_RA() / ICMPv6NDOptPrefixInfo(prefix="2001:db8:bad::")),
    "na": end(ICMPv6ND_NA(tgt=ROUTER_LL, R=1) / ICMPv6NDOptDstLLAddr(lladdr=MAC)),
    "redirect": end(ICMPv6ND_Redirect(tgt=LINK_LOCAL, dst=EXTERNAL)),
    "query": end(ICMPv6MLQuery(), hop_limit=1),
    "reply": end(UDP(sport=547, dport=546) / DHCP6_Reply() / Raw(bytes(16)), to=OTHER_LL, hop_limit=64),
    "spoof": end(UDP(sport=4000, dport=4001) / Raw(bytes(24)), NEIGHBOR, EXTERNAL, 64),
    "echo": end(ICMPv6EchoRequest() / Raw(bytes(24)), SLAAC, EXTERNAL, 64),
}
# Extension headers: their number, and the octets behind that of the next one.
HEADERS = {
    "hop": (HOP_BY_HOP, b"\0\1\4\0\0\0\0"), "options": (DESTINATION, b"\0\1\4\0\0\0\0"),
    "long": (DESTINATION, b"\2\1\x14" + bytes(20)), "routing": (ROUTING, b"\0\0\0\0\0\0\0"),
    "segments": (ROUTING, b"\2\4\0\0\0\0\0" + bytes(16)), "atomic": (FRAGMENT, b"\0\0\0\0\0\0\7"),
    "authentication": (AUTHENTICATION, b"\1\0\0" + bytes(8)), "mobility": (135, b"\0\0\0\0\0\0\0"),
    "experiment": (253, b"\0\1\4\0\0\0\0"), "shim": (140, b"\0\0\0\0\0\0\0"),
}
SOME_HEADERS = "hop", "options", "long", "routing", "atomic", "authentication"


def chain(kinds, following, octets):
    """(next header, octets) with these headers in front."""
    for kind in reversed(kinds):
        number, content = HEADERS[kind]
        following, octets = number, bytes([following]) + content + octets
    return following, octets


def ethernet(about, following, octets):
    source, to, hop_limit, _ = about
    mac = build.group_mac(to) if to.startswith("ff") else ROUTER_MAC if to == EXTERNAL else OTHER_MAC
    return rawguest.mac_bytes(mac) + rawguest.mac_bytes(MAC) + b"\x86\xdd" + struct.pack(
        "!IHBB", 6 << 28, len(octets), following, hop_limit) + addresses(source, to) + octets


EUI64 = bytes.fromhex("505400fffe00000a")


def ethernet_of(source):
    """A datagram to the internet from this address."""
    frame = bytes(build.data(SLAAC))
    return frame[:22] + source + frame[38:]


def addresses(source, to, cache={}):
    if (source, to) not in cache:
        cache[source, to] = bytes(IPv6(src=source, dst=to))[8:40]
    return cache[source, to]


def piece(about, before, following, offset, more, octets, number):
    header = bytes([following, 0]) + struct.pack("!HI", offset | more, number)
    return ethernet(about, *chain(before, FRAGMENT, header + octets))


def fragmented(about, before, following, octets, cut, way, number):
    """The frames of one packet that is cut here, in one of the ways by which guards were got round."""
    whole, first, last = octets, octets[:cut], octets[cut:]
    make = [(following, 0, 1, first), (following, cut, 0, last)]
    if way == "backwards":
        make.reverse()
    elif way == "overlap":
        make[1] = following, cut - 8, 0, whole[cut - 8:]
    elif way == "other next header":
        make = [(17, 0, 1, first), (following, cut, 0, last)]
    elif way == "harmless first":       # an echo or a datagram, to be written over
        harmless = (b"\x80\0\0\0" if following == ICMP6 else b"\x0f\xa0\x0f\xa1") + bytes(cut + 20)
        make = [(following, 0, 1, harmless[:cut + 16]), (following, 0, 0, whole), (following, 8, 0, whole[8:])]
    return [piece(about, before, *each, number) for each in make]


WAYS = "in order", "backwards", "overlap", "other next header", "harmless first"


def all_chains():
    """Every end behind every one and two headers, whole, and cut at every place in every way; the number of a way
    changes with the place, so that each is met hundreds of times."""
    numbers = itertools.count(1)
    for (about, octets), depth in itertools.product(ENDS.values(), range(4)):
        for kinds in itertools.product(HEADERS if depth < 2 else SOME_HEADERS, repeat=depth):
            yield ethernet(about, *chain(kinds, about[3], octets))
            if depth == 3:
                continue
            inside = chain(kinds, about[3], octets)
            for cut in range(8, len(inside[1]), 8):
                ways = WAYS if depth < 2 else [WAYS[next(numbers) % len(WAYS)]]
                for way in ways:
                    yield from fragmented(about, (), *inside, cut, way, next(numbers))
            for cut in range(8, len(octets), 8):
                yield from fragmented(about, kinds, about[3], octets, cut, WAYS[cut // 8 % len(WAYS)], next(numbers))


def random_frames(chance, honest):
    """What is to be mutated next: a row, an honest frame, or a deep chain, perhaps cut."""
    if chance.random() < 0.5:
        return [chance.choice(honest)]
    about, octets = chance.choice([*ENDS.values()])
    source = chance.choice((about[0], about[0], LINK_LOCAL, SLAAC, ROUTER_LL, "::"))
    about = source, chance.choice((about[1], about[1], OTHER_LL, EXTERNAL)), *about[2:]
    kinds = [chance.choice([*HEADERS, *SOME_HEADERS]) for _ in range(chance.choice((0, 1, 1, 2, 2, 3, 5, 7)))]
    if chance.random() < 0.4:
        return [ethernet(about, *chain(kinds, about[3], octets))]
    inside = chain(kinds[1:], about[3], octets)
    cut = chance.randrange(8, max(len(inside[1]), 16), 8)
    return fragmented(about, kinds[:1], *inside, cut, chance.choice(WAYS), chance.randrange(9))


# --- tests ------------------------------------------------------------------------------------------------------------

def catalogue(direction="g2n"):
    return [(name, frame) for name, frame in rows(direction) if name.split("-")[0] in GROUPS and len(frame) >= 14]


def test_catalogue(guest):
    frames = catalogue()
    assert len(frames) > 55
    for name, frame in frames:
        guest.send(frame)
    counters = guest.wait_counted()
    for reason in ("ip6-malformed", "ip6-routing-header", "ip6-ext-header", "ip6-fragment", "ip6-src-unbound",
                   "ra-from-guest", "icmp6-redirect", "icmp6-type", "nd-ext-header", "nd-malformed", "nd-lla-spoof",
                   "nd-form", "nd-target-foreign", "mld-invalid", "dhcp6-server-from-guest"):
        assert counters.dropped("guest", reason) > 0, f"{reason}: {counters}"


@pytest.mark.parametrize("guest", ["bound"], indirect=True)
def test_guard_and_oracle_agree(guest):
    """On what the oracle's own tests are made of: nothing forbidden passes, and all that is honest does."""
    say(guest, [bytes(build.ra())])
    passed = guest.wait_counted().passed["guest"]
    guest.send(*(bytes(frame) for frame in build.FORBIDDEN.values()))
    counters = guest.wait_counted()
    assert counters.passed["guest"] == passed, counters
    assert counters.dropped("guest", "nd-target-reserved") == 3      # the router, the resolver, and another MAC's
    honest = [frame for name, frame in build.HONEST.items() if name not in (
        "privacy", "leased", "release", "about another address")]
    guest.send(*map(bytes, honest))
    assert guest.wait_counted().passed["guest"] == passed + len(honest)


# Of addresses that are not the guest's now; what forged frames might make so.
FOREIGN = "fd64::10b", "fd64::9", "2001:db8:bad:0:5054:ff:fe00:a", "fd64:0:0:1:5054:ff:fe00:a", "fe80::5054:ff:fe00:b"


def network_frames():
    """What comes to a guest: of the router, and of others who would be it."""
    honest = [build.ra(prefix=PREFIX), build.ra(prefix="fd65::"), build.na(ROUTER_LL, ROUTER_MAC, ROUTER_LL),
              build.ns(SLAAC, ROUTER_MAC, ROUTER_LL), build.reply([LEASED]), build.data(EXTERNAL, SLAAC),
              build.dad(SLAAC), build.mld(ICMPv6MLQuery(), "ff02::1", ROUTER_LL),
              build.nd(ICMPv6ND_Redirect(tgt=ROUTER_LL, dst=EXTERNAL), ROUTER_LL, LINK_LOCAL), build.rs(ROUTER_LL)]
    for frame in honest:
        frame[Ether].src = ROUTER_MAC
        if frame[Ether].dst == ROUTER_MAC:
            frame[Ether].dst = MAC
    return [bytes(frame) for frame in honest]


def say(guest, frames):
    """Send frames from the network, and wait until the guard has dealt with them; the bridge keeps some for itself."""
    last = bytes(build.data(EXTERNAL, SLAAC, UDP(sport=len(guest.heard) % 65536), ether=ROUTER_MAC, mac=MAC))
    guest.wire.send(*frames, last)
    while not guest.heard or guest.heard[-1].data != last:
        frame = guest.receive()
        assert frame, guest.guard.counters()
        guest.heard.append(oracle_base.Record(time.time(), oracle.DELIVERED, frame))


@pytest.mark.parametrize("guest", ["bound"], indirect=True)
def test_what_the_network_says(network, guest):
    """Forged and mutated frames of a router and others reach the guest only if they may, and give it no address: the
    oracle learns from the same frames, so it reads every mutated advertisement as well."""
    # Else the bridge believes the forged sources.
    network.host.run("bridge", "link", "set", "dev", "router-eth0", "learning", "off")
    print(f"SEED={SEED}")
    chance = random.Random(SEED)
    honest = [*network_frames(), *(frame for _, frame in catalogue("n2g"))]
    for _ in range(20):
        frames = [mutant(chance, chance.choice(honest), SPANS, OCTETS, FIELDS) for _ in range(100)]
        say(guest, [frame for frame in frames if 14 <= len(frame) <= 1514])
        prefixes = {frame[86:94] for frame in frames if frame[54:55] == b"\x86" and len(frame) >= 102}
        for source in [*(bytes(IPv6(src=text))[8:24] for text in FOREIGN), *(each + EUI64 for each in prefixes)]:
            guest.send(ethernet_of(source))
    counters = guest.guard.counters()
    assert counters.dropped("uplink") > 500 and counters.passed["uplink"] > 100, counters
    for reason in "icmp6-redirect", "ra-untrusted", "icmp6-type", "dhcp6-rogue-server":
        assert counters.dropped("uplink", reason) > 0, f"{reason}: {counters}"


def test_chains(guest):
    frames = [*all_chains()]
    for begin in range(0, len(frames), AT_ONCE):
        guest.send(*frames[begin:begin + AT_ONCE])
    counters = guest.wait_counted(60)
    assert counters.dropped("guest") > len(frames) * 2 // 3
    assert not guest.is_bound or counters.passed["guest"] > 100, counters       # the echo, where its headers are few


@pytest.mark.parametrize("guest", [pytest.param("init", marks=pytest.mark.long), "bound"], indirect=True)
def test_mutants(guest):
    print(f"SEED={SEED}")
    chance = random.Random(SEED)
    honest = [*honest_frames(), *(frame for _, frame in catalogue())]
    sent, has_room = 0, guest.is_bound
    while sent < MUTANTS:
        if guest.is_bound:
            hear(guest)
            has_room = has_room and renew(guest)
        batch = [mutant(chance, frame, SPANS, OCTETS, FIELDS) if chance.random() < 0.8 else frame
                 for _ in range(AT_ONCE) for frame in random_frames(chance, honest)]
        guest.send(*batch)
        sent += len(batch)
    counters = guest.wait_counted(60)
    assert counters.dropped("guest") > MUTANTS // 2
    assert counters.passed["guest"] > (MUTANTS // 20 if guest.is_bound else 100), counters
