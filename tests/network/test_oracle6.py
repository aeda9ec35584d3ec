"""The oracle of IPv6 itself: one frame for each thing that it must object to, beside the honest frames that it must
not, all made by scapy. The helpers have the names of those in test_oracle.py."""

import functools

import pytest
from scapy.all import (DHCP6_Advertise, DHCP6_Release, DHCP6_Reply, DHCP6_Request, DHCP6_Solicit, DHCP6OptClientId,
                       DHCP6OptIA_NA, DHCP6OptIAAddress, DHCP6OptServerId, DUID_LL, TCP, UDP, Ether, ICMPv6DestUnreach,
                       ICMPv6EchoRequest, ICMPv6MLDone, ICMPv6MLQuery, ICMPv6MLReport, ICMPv6MLReport2, ICMPv6ND_NA,
                       ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_Redirect, ICMPv6ND_RS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptPrefixInfo,
                       ICMPv6NDOptRDNSS, ICMPv6NDOptSrcLLAddr, ICMPv6NIQueryName, IPv6, IPv6ExtHdrDestOpt,
                       IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, Jumbo, PadN, Raw, RouterAlert)

import oracle
import oracle6
import oracle_base

ME, OTHER, ROUTER = "52:54:00:00:00:0a", "52:54:00:00:00:0b", "52:54:00:00:00:01"
MY_LL, OTHER_LL, ROUTER_LL = "fe80::5054:ff:fe00:a", "fe80::5054:ff:fe00:b", "fe80::5054:ff:fe00:1"
MINE, PRIVACY, LEASED = (f"2a00:7700:1:1:{rest}" for rest in ("5054:ff:fe00:a", "1234:5678:9abc:def0", ":10a"))
NEIGHBOR, RESOLVER, EXTERNAL = "2a00:7700:1:1:5054:ff:fe00:b", "fd00:53::53", "2606:4700:4700::1111"
NODES, ROUTERS, SERVERS = "ff02::1", "ff02::2", "ff02::1:2"


@functools.cache
def group_mac(address):
    return "33:33:" + bytes(IPv6(dst=address))[36:40].hex(":")


def solicited(address):
    return "ff02::1:ff" + bytes(IPv6(dst=address))[37:38].hex() + ":" + bytes(IPv6(dst=address))[38:40].hex()


def frame(above, source=MY_LL, to=ROUTER_LL, mac=None, ether=ME, hlim=64, before=(), **fields):
    mac = mac or (group_mac(to) if to.startswith("ff") else ROUTER)
    packet = IPv6(src=source, dst=to, hlim=hlim, **fields)
    for header in before:
        packet /= header
    return Ether(src=ether, dst=mac) / packet / above


def data(source=MINE, to=EXTERNAL, above=None, **more):
    return frame((above or UDP(sport=4000, dport=4001)) / Raw(bytes(24)), source, to, **more)


def nd(message, source=MY_LL, to=ROUTER_LL, hlim=255, **more):
    return frame(message, source, to, hlim=hlim, **more)


def dad(target, to=None, options=b"", **more):
    message = ICMPv6ND_NS(tgt=target)
    return nd(message / options if options else message, "::", to or solicited(target), **more)


def ns(target=ROUTER_LL, lla=ME, source=MY_LL, to=None, **more):
    return nd(ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=lla), source, to or solicited(target), **more)


def na(target=MY_LL, lla=ME, source=MY_LL, to=NODES, flags=None, **more):
    flags = {"R": 0, "S": 0, "O": 1, **(flags or {})}
    return nd(ICMPv6ND_NA(tgt=target, **flags) / ICMPv6NDOptDstLLAddr(lladdr=lla), source, to, **more)


def rs(source=MY_LL, lla=ME, to=ROUTERS, **more):
    message = ICMPv6ND_RS()
    return nd(message / ICMPv6NDOptSrcLLAddr(lladdr=lla) if lla else message, source, to, **more)


def ra(source=ROUTER_LL, ether=ROUTER, valid=3600, lifetime=1800, prefix="2a00:7700:1:1::", preferred=600, **more):
    return nd(ICMPv6ND_RA(routerlifetime=lifetime) / ICMPv6NDOptSrcLLAddr(lladdr=ether) / ICMPv6NDOptPrefixInfo(
        prefix=prefix, validlifetime=valid, preferredlifetime=preferred) / ICMPv6NDOptRDNSS(
        dns=[RESOLVER], lifetime=1800), source, NODES, ether=ether, **more)


def mld(message, to, source=MY_LL, hlim=1, before=None, **more):
    alert = IPv6ExtHdrHopByHop(options=[RouterAlert(value=0)])
    return frame(message, source, to, hlim=hlim, before=[alert] if before is None else before, **more)


def dhcp(message, addresses=(), sport=546, dport=547, source=MY_LL, to=SERVERS, valid=600, mac=ME, **more):
    message.trid = 7
    options = DHCP6OptIA_NA(iaid=1, ianaopts=[DHCP6OptIAAddress(addr=address, preflft=valid // 2, validlft=valid)
                                              for address in addresses])
    if not isinstance(message, DHCP6_Solicit):
        options /= DHCP6OptServerId(duid=DUID_LL(lladdr=ROUTER))
    return frame(UDP(sport=sport, dport=dport) / message / DHCP6OptClientId(duid=DUID_LL(lladdr=mac)) / options,
                 source, to, **more)


def reply(addresses=(LEASED,), source=ROUTER_LL, ether=ROUTER, message=DHCP6_Reply, **more):
    return dhcp(message(), addresses, 547, 546, source, MY_LL, ether=ether, **{"mac": ME, **more})


def to_me(built):
    built[Ether].dst = ME
    return built


def echo_fragments(*pieces):
    """Pieces (offset, more, octets, next header) of one packet."""
    return [frame(Raw(octets), MINE, EXTERNAL, before=[IPv6ExtHdrFragment(offset=offset // 8, m=more, id=9, nh=header)])
            for offset, more, octets, header in pieces]


def bound(**options):
    """A port whose guest has an address of each kind at t = 10, and its records so far."""
    port = oracle.Port(mac=ME, router="192.168.77.1", router_mac=ROUTER,
                       ipv6=oracle6.Port6(ME, ROUTER_LL, ROUTER, **options))
    return port, [(0, oracle.LEFT, dad(MY_LL)), (1, oracle.LEFT, rs()), (2, oracle.ARRIVED, ra()),
                  (3, oracle.LEFT, dad(PRIVACY)), (4, oracle.LEFT, dhcp(DHCP6_Request())),
                  (4.1, oracle.ARRIVED, to_me(reply()))]


def faults(frames, port=None, records=()):
    if port is None:
        port, records = bound()
    records = [oracle_base.Record(at, where, bytes(built)) for at, where, built in [*records, *frames]]
    return [fault.why for fault in oracle.judge(port, records)]


def left(*frames, at=10, **options):
    return faults([(at, oracle.LEFT, built) for built in frames], *bound(**options))


def error_about(sender, receiver):
    return ICMPv6DestUnreach(code=4) / IPv6(src=sender, dst=receiver) / UDP(sport=5000, dport=4000)


HONEST = {
    "nobody listens": data(above=error_about(EXTERNAL, MINE)), "about another address": data(above=error_about(
        EXTERNAL, LEASED)),
    "slaac": data(), "privacy": data(PRIVACY), "leased": data(LEASED), "tcp": data(above=TCP(dport=443)),
    "na of a guest that forwards": na(flags={"R": 1}),
    "ping": data(above=ICMPv6EchoRequest()), "ping of the router": frame(ICMPv6EchoRequest()),
    "resolver": data(to=RESOLVER, above=UDP(dport=53)), "destination options": data(before=[IPv6ExtHdrDestOpt()]),
    "first fragment": data(before=[IPv6ExtHdrFragment(m=1)]), "last fragment": data(before=[
        IPv6ExtHdrFragment(offset=3)]), "atomic": data(before=[IPv6ExtHdrFragment()]),
    "dad of a large identifier": dad("fe80::fe54:ff:fd00:a"), "rs": rs(), "rs from nobody": rs("::", None),
    "ns": ns(), "unicast ns": ns(to=ROUTER_LL), "na": na(), "na to all routers": na(to=ROUTERS),
    "solicited na": na(MINE, source=MINE, to=ROUTER_LL, flags={"S": 1}), "dad": dad("2a00:7700:1:1::77"),
    "dad of a held address": dad(PRIVACY), "mdns": data(to="ff02::fb", above=UDP(sport=5353, dport=5353)),
    "mld": mld(ICMPv6MLReport2(), "ff02::16"), "mld from nobody": mld(ICMPv6MLReport2(), "ff02::16", "::"),
    "mld1": mld(ICMPv6MLReport(mladdr="ff02::fb"), "ff02::fb"),
    "mld done": mld(ICMPv6MLDone(mladdr="ff02::fb"), "ff02::2"),
    "solicit": dhcp(DHCP6_Solicit()), "release": dhcp(DHCP6_Release(), [LEASED]),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_frame_is_no_fault(name):
    assert left(HONEST[name]) == []


def behind(message, hlim=255, to=NODES):
    """The same message behind every header that could hide it."""
    hop, fragment, options = IPv6ExtHdrHopByHop(), IPv6ExtHdrFragment(), IPv6ExtHdrDestOpt()
    chains = [hop], [options], [fragment], [options, fragment], [options, options], [hop, options, fragment], [
        IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(40))])], [IPv6ExtHdrRouting()], [fragment, options]
    return {f"{message.name} behind {n}": nd(message, to=to, hlim=hlim, before=chain) for n, chain in enumerate(chains)}


FORBIDDEN = {
    "foreign": data(NEIGHBOR), "foreign link-local": frame(ICMPv6EchoRequest(), OTHER_LL), "from ::": data("::"),
    "other prefix": data("2a00:7700:2:1:5054:ff:fe00:a"), "odd link-local": frame(
        ICMPv6EchoRequest(), "fe80:0:0:1:5054:ff:fe00:a"), "multicast source": data(NODES), "loopback": data("::1"),
    "mapped": data("::ffff:1.1.1.1"), "version": data(version=5), "hop limit 0": data(hlim=0), "length": data(plen=900),
    "length 0": data(plen=0), "next hop": data(mac=OTHER), "group mac": data(mac=group_mac(NODES)),
    "group under other mac": data(to="ff0e::7", mac=ROUTER), "private": data(to="fd00::9"),
    "neighbor": data(to=NEIGHBOR, mac=OTHER), "site": data(to="2a00:7700:1:99::9"), "other site address": data(
        to="2a00:7700:1:1::9"), "nobody's": data(to="4000::1"), "documentation": data(to="2001:db8::1"),
    "to loopback": data(to="::1"), "to mapped": data(to="::ffff:1.1.1.1"), "to itself": data(to=LEASED),
    "6to4": data(to="2002:c0a8:101::1"), "nat64 of a private address": data(to="64:ff9b::192.168.0.1"),
    "router": data(MY_LL, to=ROUTER_LL), "resolver, other port": data(to=RESOLVER, above=UDP(dport=54)),
    "resolver, later fragment": data(to=RESOLVER, before=[IPv6ExtHdrFragment(offset=3)]),
    "link-local beyond": data(MY_LL), "all nodes": data(to=NODES), "site group": data(to="ff05::2"),
    "global group": data(to="ff0e::181"),
    "error about others": data(above=error_about(EXTERNAL, NEIGHBOR)), "error about a group": data(
        above=error_about(EXTERNAL, "ff02::fb")), "error to another": data(above=error_about(NEIGHBOR, MINE)),
    "error without a quote": data(above=ICMPv6DestUnreach() / Raw(bytes(40))), "error in fragments": data(
        before=[IPv6ExtHdrFragment(m=1)], above=error_about(EXTERNAL, MINE)),
    "ra": ra(MY_LL, ME), "ra from the router's address": ra(ether=ME), "redirect": nd(ICMPv6ND_Redirect(
        tgt=MY_LL, dst=EXTERNAL), to=NODES), "query": mld(ICMPv6MLQuery(), NODES),
    "node information": frame(ICMPv6NIQueryName()), "renumbering": frame(Raw(b"\x8a" + bytes(15)), to=NODES, nh=58),
    "nd type": frame(Raw(b"\x8d" + bytes(15)), nh=58), "echo from nobody": frame(ICMPv6EchoRequest(), "::"),
    "rs hop limit": rs(hlim=64), "rs elsewhere": rs(to=NODES), "rs lla": rs(lla=OTHER), "rs with lla from ::": rs("::"),
    "rs from another": rs(OTHER_LL), "ns hop limit": ns(hlim=254), "ns lla": ns(lla=OTHER), "ns source": ns(
        source=OTHER_LL), "ns elsewhere": ns(to=NODES), "ns scan": ns("2a00:7700:1:1::9"), "ns group": nd(
        ICMPv6ND_NS(tgt=NODES), to=solicited(NODES)), "ns code": nd(ICMPv6ND_NS(tgt=ROUTER_LL, code=1)),
    "ns cut": nd(Raw(bytes(ICMPv6ND_NS(tgt=ROUTER_LL))[:20]), nh=58), "ns option 0": nd(
        ICMPv6ND_NS(tgt=ROUTER_LL) / Raw(b"\1\0" + bytes(6))), "ns option past the end": nd(
        ICMPv6ND_NS(tgt=ROUTER_LL) / Raw(b"\1\2" + bytes(6))), "ns long": nd(
        ICMPv6ND_NS(tgt=ROUTER_LL) / Raw(b"\x0e\x0e" + bytes(110))), "second lla": nd(
        ICMPv6ND_NS(tgt=ROUTER_LL) / ICMPv6NDOptSrcLLAddr(lladdr=ME) / ICMPv6NDOptSrcLLAddr(lladdr=OTHER)),
    "ns unicast as group": ns(to=ROUTER_LL, mac="33:33:00:00:00:01"),
    "na for the router": na(ROUTER_LL), "na for a neighbor": na(NEIGHBOR), "na lla": na(lla=OTHER),
    "link-local to the world": frame(UDP(dport=9), to="ff0e::5"), "na source": na(source=OTHER_LL),
    "dad of another machine's identifier": dad("fe80::fe54:ff:fe00:a"),
    "na to a group": na(to="ff02::16"), "dad that nobody answers": nd(
        ICMPv6ND_NS(tgt="2a00:7700:1:1::7", cksum=1), "::", solicited("2a00:7700:1:1::7")),
    "na solicited by a group": na(flags={"S": 1}), "na hop limit": na(hlim=1),
    "dad of the router": dad(ROUTER_LL), "dad of the resolver": dad(RESOLVER), "dad elsewhere": dad("2a00:7700:2:1::7"),
    "dad of a foreign link": dad("fe80:0:0:1::7"), "dad anycast": dad("2a00:7700:1:1::"), "dad reserved anycast": dad(
        "2a00:7700:1:1:fdff:ffff:ffff:fffe"), "dad to all": dad("2a00:7700:1:1::7", NODES), "dad with lla": dad(
        "2a00:7700:1:1::7", options=ICMPv6NDOptSrcLLAddr(lladdr=ME)), "dad to unicast": dad(MY_LL, ROUTER_LL),
    "mld without alert": mld(ICMPv6MLReport2(), "ff02::16", before=[]), "mld hop limit": mld(
        ICMPv6MLReport2(), "ff02::16", hlim=2), "mld elsewhere": mld(ICMPv6MLReport2(), NODES), "mld source": mld(
        ICMPv6MLReport2(), "ff02::16", MINE), "mld1 of another group": mld(
        ICMPv6MLReport(mladdr="ff02::1"), "ff02::fb"),
    "mld behind more": mld(ICMPv6MLReport2(), "ff02::16", before=[IPv6ExtHdrHopByHop(options=[RouterAlert(value=0)]),
                                                                  IPv6ExtHdrDestOpt()]),
    "mld, alert in a pad": mld(ICMPv6MLReport2(), "ff02::16", before=[
        IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\5\2\0\0")])]),
    "routing": data(before=[IPv6ExtHdrRouting()]), "routing 4": data(before=[IPv6ExtHdrRouting(type=4)]),
    "hop-by-hop behind": data(before=[IPv6ExtHdrDestOpt(), IPv6ExtHdrHopByHop()]), "long options": data(
        before=[IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(12))])]), "jumbo": data(
        before=[IPv6ExtHdrHopByHop(options=[Jumbo(jumboplen=70000)])]), "three options": data(
        before=[IPv6ExtHdrDestOpt()] * 3), "two fragment headers": data(before=[IPv6ExtHdrFragment()] * 2),
    "options behind a fragment": data(before=[IPv6ExtHdrFragment(m=1), IPv6ExtHdrDestOpt()]), "mobility": frame(
        Raw(b"\x3b" + bytes(15)), MINE, EXTERNAL, nh=135), "no next header": frame(
        Raw(bytes(8)), MINE, EXTERNAL, nh=59), "experiment": frame(Raw(bytes(8)), MINE, EXTERNAL, nh=253),
    "header cut": frame(Raw(b"\x11\x09" + bytes(8)), MINE, EXTERNAL, nh=60),
    "tiny first fragment": echo_fragments((0, 1, b"", 58))[0], "short tcp": echo_fragments((0, 1, bytes(16), 6))[0],
    "over the header": echo_fragments((8, 0, bytes(16), 58))[0], "odd": echo_fragments((24, 1, bytes(15), 58))[0],
    "past the end": echo_fragments((65528, 0, bytes(16), 58))[0], "udp length": data(above=UDP(len=500)),
    "chain not whole": frame(Raw(b"\x3a\x02" + bytes(6)), MINE, EXTERNAL, before=[IPv6ExtHdrFragment(m=1, nh=60)]),
    "later piece of options": echo_fragments((24, 0, bytes(16), 60))[0],
    "wpad": dhcp(DHCP6_Solicit() / Raw(b"\0\x27\0\x07\0\4wpad\0")), "relay's option": dhcp(
        DHCP6_Solicit() / Raw(b"\0\x4f\0\2\0\1")), "subnet of a vpn": dhcp(DHCP6_Solicit() / Raw(b"\0\x44\0\1\0")),
    "advertise": dhcp(DHCP6_Advertise(), sport=547, dport=546, to=OTHER_LL, mac=OTHER), "reply from odd port": dhcp(
        DHCP6_Reply(), sport=4000, dport=546, to=OTHER_LL), "server port": dhcp(DHCP6_Solicit(), sport=547),
    "client port elsewhere": data(above=UDP(sport=546, dport=53)), "dhcp from nobody": dhcp(
        DHCP6_Solicit(), source="::"), "dhcp from a global address": dhcp(DHCP6_Solicit(), source=MINE),
    "dhcp fragment": dhcp(DHCP6_Solicit(), before=[IPv6ExtHdrFragment()]), "relayed": frame(
        UDP(sport=546, dport=547) / Raw(b"\x0c" + bytes(33)), to=SERVERS), "unicast to a server": dhcp(
        DHCP6_Solicit(), to=ROUTER_LL), "release of another's": dhcp(DHCP6_Release(), [NEIGHBOR]),
    "no client id": frame(UDP(sport=546, dport=547) / DHCP6_Solicit(), to=SERVERS),
    **behind(ICMPv6ND_RA()), **behind(ICMPv6ND_NA(tgt=MY_LL, R=0)), **behind(ICMPv6MLQuery(), 1),
    **behind(ICMPv6ND_Redirect(tgt=MY_LL)), **behind(ICMPv6ND_RS(), to=ROUTERS),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_forbidden_frame_is_a_fault(name):
    assert len(left(FORBIDDEN[name])) == 1


def test_every_reason_was_the_one_that_was_meant():
    """Of frames that are wrong in one respect only, the reason tells whether the oracle saw that one."""
    for name, words in (("foreign", "source is not"), ("ra", "as a router"), ("query", "as a router"),
                        ("na for the router", "not the guest's"), ("dad of the router", "somebody's"),
                        ("dad elsewhere", "outside known"), ("site", "destination"), ("next hop", "next hop"),
                        ("link-local beyond", "beyond the link"), ("reply from odd port", "server or relay"),
                        ("chain not whole", "header cut"), ("tiny first fragment", "not whole"),
                        ("ns lla", "another MAC"), ("mld, alert in a pad", "Router Alert"), ("jumbo", "jumbo"),
                        ("renumbering", "type 138"), ("nd type", "type 141"), ("ns cut", "code or length")):
        assert words in left(FORBIDDEN[name])[0], name


def test_what_fragments_become():
    ra_octets = b"\x86" + bytes(31)
    assert left(*echo_fragments((0, 1, b"\x80" + bytes(23), 58), (24, 0, bytes(8), 58))) == []
    # The first three octets of two first pieces differ: nobody may get an advertisement out of them.
    faked = echo_fragments((0, 1, bytes(24), 6), (0, 1, ra_octets[:24], 58), (24, 0, ra_octets[24:], 58))
    assert len(left(*faked)) == 3 - 1       # the second, and what it makes of the third


TO_GUEST = {
    "error about others": data(EXTERNAL, MINE, ether=ROUTER, mac=ME, above=error_about(NEIGHBOR, EXTERNAL)),
    "ra with another mac": nd(ICMPv6ND_RA() / ICMPv6NDOptSrcLLAddr(lladdr=OTHER), ROUTER_LL, NODES, ether=ROUTER),
    "compatible source": data("::7.7.7.7", MINE, ether=ROUTER, mac=ME), "ra of another": ra(OTHER_LL, OTHER),
    "ra as the router": ra(ether=OTHER), "ra hop limit": ra(hlim=64),
    "ra behind options": ra(before=[IPv6ExtHdrDestOpt()]), "redirect": nd(ICMPv6ND_Redirect(), ROUTER_LL, MINE,
                                                                          ether=ROUTER, mac=ME),
    "rs": rs(OTHER_LL, OTHER, ether=OTHER), "node information": frame(
        ICMPv6NIQueryName(), OTHER_LL, MY_LL, ether=OTHER, mac=ME),
    "claims the guest": na(MINE, OTHER, NEIGHBOR, ether=OTHER), "claims the router": na(ROUTER_LL, OTHER, OTHER_LL,
                                                                                         ether=OTHER),
    "claims the router for it": na(ROUTER_LL, ROUTER, OTHER_LL, ether=OTHER),
    "asks as the router": ns(MINE, OTHER, ROUTER_LL, ether=OTHER), "own source": data(MINE, MINE, ether=ROUTER, mac=ME),
    "router's source": frame(ICMPv6EchoRequest(), ROUTER_LL, MY_LL, ether=OTHER, mac=ME), "unicast as group": data(
        EXTERNAL, MINE, ether=ROUTER, mac=group_mac(NODES)), "loopback": data("::1", MINE, ether=ROUTER, mac=ME),
    "from ::": data("::", MINE, ether=ROUTER, mac=ME), "group source": data("ff02::9", MINE, ether=ROUTER, mac=ME),
    "rogue server": to_me(reply(source=OTHER_LL, ether=OTHER)), "server's address": to_me(reply(ether=OTHER)),
    "solicit": dhcp(DHCP6_Solicit(), source=OTHER_LL, ether=OTHER, mac=OTHER), "routing": data(
        EXTERNAL, MINE, ether=ROUTER, mac=ME, before=[IPv6ExtHdrRouting()]),
}


@pytest.mark.parametrize("name", TO_GUEST)
def test_forbidden_frame_to_the_guest_is_a_fault(name):
    assert len(faults([(20, oracle.DELIVERED, TO_GUEST[name])])) == 1


def test_frame_to_the_guest_may_be_honest():
    assert faults([(20, oracle.DELIVERED, built) for built in (
        ra(), data(EXTERNAL, MINE, ether=ROUTER, mac=ME), na(ROUTER_LL, ROUTER, ROUTER_LL, MY_LL, ether=ROUTER, mac=ME),
        ns(MINE, ROUTER, ROUTER_LL, ether=ROUTER), dad(MINE, ether=OTHER), to_me(reply()), mld(
            ICMPv6MLQuery(), NODES, OTHER_LL, ether=OTHER), na(NEIGHBOR, OTHER, OTHER_LL, ether=OTHER))]) == []


def test_an_address_begins_and_ends():
    early = oracle.Port(mac=ME, router="192.168.77.1", router_mac=ROUTER, ipv6=oracle6.Port6(ME, ROUTER_LL, ROUTER))
    assert len(faults([(1, oracle.LEFT, data()), (1, oracle.LEFT, dad(PRIVACY))], early)) == 2      # no router yet
    assert len(left(dad(PRIVACY), data("2a00:7700:1:1::88"))) == 1                  # never claimed
    late = dad("2a00:7700:1:1::77"), data("2a00:7700:1:1::77")
    assert len(left(*late)) == 1                                                    # in the first 500 ms
    claim = [(10, oracle.LEFT, late[0]), (11.2, oracle.LEFT, late[1])]
    assert faults(claim) == []
    objection = na("2a00:7700:1:1::77", OTHER, "2a00:7700:1:1::77", ether=OTHER)
    assert len(faults([*claim, (10.2, oracle.ARRIVED, objection)])) == 1            # somebody had it
    assert faults([*claim, (11.15, oracle.ARRIVED, objection)]) == []               # or said so too late
    rival = dad("2a00:7700:1:1::77", ether=OTHER)                                   # wants it, too
    assert len(faults([*claim, (10.2, oracle.ARRIVED, rival)])) == 1
    assert faults([*claim, (10.7, oracle.ARRIVED, rival)]) == []
    assert len(faults([(9, oracle.ARRIVED, rival), claim[0]])) == 1 and not faults([(8, oracle.ARRIVED, rival), *claim])
    assert faults([(603, oracle.LEFT, data(LEASED))]) == []
    assert len(faults([(605, oracle.LEFT, data(LEASED))])) == 1                     # the lease is over
    assert len(left(dhcp(DHCP6_Release(), [LEASED]), data(LEASED))) == 1            # given back
    assert faults([(3602, oracle.LEFT, data(PRIVACY))]) == []
    assert len(faults([(3604, oracle.LEFT, built) for built in (data(), data(PRIVACY))])) == 2      # the prefix is over
    odd = [(10, oracle.ARRIVED, ra(prefix="2a00:7700:2:1::", preferred=3601)),      # RFC 4862 5.5.3 c
           (11, oracle.LEFT, data("2a00:7700:2:1:5054:ff:fe00:a"))]
    assert len(faults(odd)) == 1 and not faults([(9, oracle.ARRIVED, ra(prefix="2a00:7700:2:1::")), *odd])
    cut = 10, oracle.ARRIVED, ra(valid=0, preferred=0)                              # RFC 4862 5.5.3 e: to two hours
    assert faults([cut, (3601, oracle.LEFT, data())]) == []
    forged = to_me(reply([NEIGHBOR], ether=OTHER)), ra(OTHER_LL, OTHER, prefix="2a00:7700:2:1::")
    assert len(faults([(10, oracle.ARRIVED, built) for built in forged] + [
        (11, oracle.LEFT, data(NEIGHBOR)), (11, oracle.LEFT, data("2a00:7700:2:1:5054:ff:fe00:a"))])) == 2


def test_a_shared_address():
    """It is the guest's, and others may have it; to call them takes a rule, as for any neighbor."""
    vip = "2a00:7700:1:1::100"
    outward = [na(vip, source=vip), data(vip), ns(vip, source=MINE)]
    inward = [na(vip, OTHER, vip, ether=OTHER), data(vip, MINE, ether=OTHER, mac=ME)]
    frames = [(20, oracle.LEFT, built) for built in outward] + [(20, oracle.DELIVERED, built) for built in inward]
    assert faults(frames, *bound(shared=(vip,))) == []
    assert len(faults(frames, *bound())) == 3       # what others say of a neighbor's address passes
    assert len(faults(frames, *bound(static=(vip,)))) == 2
    call = data(to=vip, mac=OTHER)
    assert len(left(call, shared=(vip,))) == len(left(call, static=(vip,), allow=(vip,))) == 1
    assert left(call, shared=(vip,), allow=(vip,)) == []
    assert len(left(data(NEIGHBOR), shared=(vip,))) == 1


def test_rules_and_rates():
    assert left(data(to="fd00::9", mac=OTHER), allow=("fd00::/16",), isolated=False) == []
    assert len(left(data(to="fd00::9", mac=OTHER), allow=("fd00::/16",))) == 1      # not the router's MAC
    assert left(data(to=NEIGHBOR, mac=OTHER), allow=("2a00:7700:1:1::/64",)) == []
    assert len(left(data(), block=("2606::/16",))) == 1
    assert left(data(to="64:ff9b::8.8.8.8")) == []
    assert len(left(data(to="64:ff9b::a00:1"), allow=("64::/16",))) == 1
    assert left(data(to="64:ff9b::a00:1"), allow=("64:ff9b::/96",)) == []
    assert left(frame(UDP(dport=22) / Raw(bytes(9))), hosts=(ROUTER_LL,)) == []
    assert "more router solicitations than the limit" in left(*[rs()] * 20)
    assert "more neighbor discovery than the limit" in left(*[na()] * 200)
    assert "more new addresses than the limit" in left(*[dad(f"2a00:7700:1:1::a{n:x}") for n in range(30)])
    assert "more DHCPv6 messages than the limit" in left(*[dhcp(DHCP6_Solicit())] * 40)
