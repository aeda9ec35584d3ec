"""IPv6 packets in both directions, by docs/filter-ipv6.md: tables H, G and X. What only a control message says is in nd.py."""

import policy
from ipv4 import Datagram, facts_of
from policy import ALLOWED, BLOCKED, UNCERTAIN, Contact
from words import (ICMP6, MDNS6, PASS, SCTP, TCP, UDP, checksum_of, group_mac6, in_prefix, is_global6, is_group6, is_group_mac,
                   is_link_local6, number, u16)

HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, NO_NEXT, DESTINATION = 0, 43, 44, 51, 59, 60
REFUSED = {135, 139, 140, NO_NEXT, 253, 254, 255}
JUMBO = 0xC2
HEADERS_MAX = 6
NEED = {TCP: 20, SCTP: 12, UDP: 8, ICMP6: 8}
ERRORS = 1, 2, 3, 4
CLIENT, SERVER = 546, 547
WELL_KNOWN = 0x0064FF9B << 96, 96           # RFC 6052 2.1


class Ipv6:
    """A part of Guard (guard.py)."""

    # --- what an address is ---------------------------------------------------------------------------------------------

    def aliases6(self, a):
        found = set()
        if a in self.settings.hosts6:
            found.add("@host")
        if self.is_router6(a):
            found.add("@gateway")
        if self.is_resolver6(a):
            found.add("@dns")
        if is_global6(a) and not self.is_in_site(a):
            found.add("@global")
        return frozenset(found)

    def is_in_site(self, a):
        return any(in_prefix(a, site, 48, 128) for site in self.sites6())

    def default6(self, a, protocol, source_port, port, icmp_type):
        """G3 to G10, without G4."""
        if is_group6(a):
            return PASS if a == MDNS6 and protocol == UDP and (source_port, port) == (5353, 5353) else "dst-multicast"
        if a in self.settings.hosts6:
            return PASS                                                                                 # G5
        by_resolver = "dst-private"
        if self.is_resolver6(a) and protocol in (TCP, UDP):
            by_resolver = "ports-unknown" if port is None else PASS if port == 53 else by_resolver
            if by_resolver == PASS:
                return PASS                                                                             # G6
        if is_global6(a):
            if not self.is_in_site(a):
                return PASS                                                                             # G8
            return by_resolver if by_resolver == "ports-unknown" else "dst-local-net"                   # G7
        if is_link_local6(a) and self.is_router6(a) and protocol == ICMP6:
            return PASS                                                                                 # G9
        return by_resolver                                                                              # G10

    def reach6(self, a, inward, protocol, source_port, port, icmp_type=None):
        """The policy's verdict about a peer, and the rule that decided."""
        verdict, ruling, is_final = self.reach_itself6(a, inward, protocol, source_port, port, icmp_type)
        behind, only_closes = (None, False) if is_final else self.translated(a)
        if behind is None or verdict != PASS and only_closes:
            return verdict, ruling
        return self.reach_behind(behind, inward, protocol, source_port, port), ruling                   # G4

    def reach_itself6(self, a, inward, protocol, source_port, port, icmp_type=None):
        """... and whether no translator changes it."""
        ruling = self.rules.decide(Contact(a, 6, inward, protocol, port), self.aliases6(a))
        if ruling is None:
            verdict = self.stranger() if inward else self.default6(a, protocol, source_port, port, icmp_type)
        else:
            verdict = {ALLOWED: PASS, BLOCKED: "src-blocked" if inward else "dst-blocked", UNCERTAIN: "ports-unknown"}[ruling.what]
        return verdict, ruling, ruling is not None and (ruling.what != ALLOWED or ruling.length >= 96)

    def stranger(self):
        return PASS if self.settings.inbound in ("", "any") else "unsolicited"

    def reach_behind(self, a, inward, protocol, source_port, port):
        """The policy of IPv4, for what a translator makes of an address; RFC 6146: unicast alone."""
        if a >> 28 >= 0xE:
            return "dst-nat64-private"
        if not inward and (a >> 24 in (0, 127) or self.is_sole4(a)):
            return "dst-nat64-private"
        protocol = {ICMP6: ICMP6}.get(protocol, protocol)
        ruling = self.rules.decide(Contact(a, 4, inward, protocol, port), self.aliases4(a))
        if ruling:
            verdict = {ALLOWED: PASS, BLOCKED: "src-blocked" if inward else "dst-blocked", UNCERTAIN: "ports-unknown"}[ruling.what]
        elif inward:
            verdict = self.stranger()
        else:
            verdict = policy.default4(self.who4(a), a, protocol, source_port, port)
            verdict = "ports-unknown" if verdict == UNCERTAIN else verdict
        return verdict if inward or verdict in (PASS, "ports-unknown") else "dst-nat64-private"

    def translated(self, a):
        """The IPv4 address that a translator makes of it, and whether that only closes (its prefix is over); None: none does."""
        for prefix, length in [WELL_KNOWN, *self.settings.nat64]:
            if in_prefix(a, prefix, length, 128):
                return embedded4(a, length), False
        for (prefix, length), until in self.translators_learned6.items():
            if in_prefix(a, prefix, length, 128) and not self.is_on_link(a):
                return embedded4(a, length), self.now >= until
        return None, False

    # --- from the guest -------------------------------------------------------------------------------------------------

    def ipv6_from_guest(self, mac, data):
        packet = read_ipv6(data)
        if packet is None or packet.hop_limit == 0:
            return "ip6-malformed"                                                                      # H1
        fault = packet.walk(True)
        if fault:
            return fault                                                                                # H2 to H6
        if packet.protocol == UDP and packet.has_ports and (packet.source_port in (CLIENT, SERVER) or packet.port in (CLIENT, SERVER)):
            return self.dhcp6_from_guest(mac, packet)                                                   # H7
        if packet.icmp_type is not None and packet.icmp_type not in (*ERRORS, 128, 129):
            return self.icmp6_from_guest(mac, packet)                                                   # H8, N
        status = self.status6(packet.source)
        if status == "tentative":
            return "ip6-src-tentative"                                                                  # H9
        if status != "own":
            return self.unbound(packet.source, "ip6-src-unbound")                                       # H10
        verdict = self.judge_data6(mac, packet)
        if verdict == PASS:
            self.note_use6(packet.source)
        return verdict

    def judge_data6(self, mac, packet):
        to = packet.to
        if mac != group_mac6(to) if is_group6(to) else is_group_mac(mac):
            return "l2l3-mismatch"                                                                      # H11
        verdict, ruling = self.destination6(packet)
        if verdict == PASS and not is_group6(to) and not self.is_next_hop6(mac, packet, ruling):
            verdict = "l2-next-hop"                                                                     # H13
        is_answerable = not is_group6(to) and verdict != "dst-invalid" and (self.is_router_way6(mac) or self.is_neighbor6(to))
        may_pass = verdict == PASS or is_answerable and (self.rules.stateful or verdict == "ports-unknown")
        if may_pass and not self.has_scope(packet):
            return "ip6-src-scope"                                                                      # H14
        last = None
        if packet.icmp_type in ERRORS and not self.quotes_well6(packet):
            last = "icmp-error-quote"                                                                   # N22a
        return self.settle(packet, verdict, False, is_answerable, last)

    def destination6(self, packet):
        to = packet.to
        if to >> 32 in (0, 0xFFFF) or self.status6(to) and to not in self.shared6:
            return "dst-invalid", None                                                                  # G1
        return self.reach6(to, False, packet.protocol, packet.source_port, packet.port_of_rule, packet.icmp_type)

    def has_scope(self, packet):
        to = packet.to
        if not is_link_local6(packet.source) or is_link_local6(to) or to in self.settings.hosts6:
            return True
        return is_group6(to) and to >> 112 & 15 <= 2

    def is_router_way6(self, mac):
        if not self.rules.isolates:
            return True
        known = self.router_macs6() if not self.settings.gateway_macs else set(self.settings.gateway_macs)
        return mac in known or not known and not self.needs_router6()

    def is_neighbor6(self, a):
        return is_link_local6(a) or self.is_on_link(a)

    def is_next_hop6(self, mac, packet, ruling):
        if self.is_router_way6(mac):
            return True
        return self.is_neighbor6(packet.to) and (self.is_resolver6(packet.to) or ruling is not None and ruling.names)

    def quotes_well6(self, packet):
        inner = packet.payload[8:]
        if packet.is_fragment or len(inner) < 40 or inner[0] >> 4 != 6:
            return False
        return number(inner, 8, 16) == packet.to and self.status6(number(inner, 24, 16)) == "own"

    # --- from the network -----------------------------------------------------------------------------------------------

    def ipv6_to_guest(self, mac, source_mac, data):
        packet = read_ipv6(data)
        if packet is None:
            return "ip6-malformed"                                                                      # X1
        fault = packet.walk(False)
        if fault:
            return fault
        if packet.icmp_type is not None:
            return self.icmp6_to_guest(mac, source_mac, packet)                                         # X2
        if packet.protocol == UDP and packet.has_ports and (packet.port in (CLIENT, SERVER) or packet.source_port == SERVER):
            return self.dhcp6_to_guest(mac, source_mac, packet)                                         # X3
        return self.fault_of_sender(mac, source_mac, packet) or self.judge_inward6(packet)

    def fault_of_sender(self, mac, source_mac, packet, may_be_nobody=False, may_be_guest=False):
        """X4 to X7."""
        source = packet.source
        if is_group6(source) or source >> 32 in (0, 0xFFFF) and not (source == 0 and may_be_nobody):
            return "ip6-src-invalid"                                                                    # X4
        if not may_be_guest and self.status6(source) == "own" and source not in self.shared6:
            return "ip6-src-is-guest"                                                                   # X5
        if not self.may_send_as6(source, source_mac):
            return "ip6-gateway-spoof"                                                                  # X6
        return "l2l3-mismatch" if is_group_mac(mac) and not is_group6(packet.to) else None              # X7

    def judge_inward6(self, packet):
        if not self.rules.stateful:
            return PASS                                                                                 # X8
        verdict, _ = self.reach6(packet.source, True, packet.protocol, packet.source_port, packet.port_of_rule)
        return self.settle(packet, verdict, True, not is_group6(packet.to))                             # X9


def embedded4(a, length):
    """RFC 6052 2.2: the octet of bits 64 to 71 is left out."""
    if length == 96:
        return a & 0xFFFFFFFF
    octets = a.to_bytes(16, "big")
    rest = octets[length // 8:8] + octets[9:]
    return number(rest, 0, 4)


class Ipv6Packet(Datagram):
    icmp_type = None
    is_fragment = False
    offset, more = 0, False

    def walk(self, is_guests):
        """H2 to H6; X1. None: it holds."""
        kind, self.chain, at, seen = self.first, [], 0, 0
        while True:
            if kind in REFUSED:
                return "ip6-ext-header"                                                                 # H3e
            if kind not in (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION):
                break
            fault = self.fault_of_header(kind, at, is_guests)
            if fault:
                return fault
            if kind == FRAGMENT and (self.more or self.offset):
                self.chain.append((kind, self.data[at:at + 8]))
                return self.finish_fragment(self.data[at], at + 8, is_guests)
            octets = octets_of(kind, self.data[at + 1])
            self.chain.append((kind, self.data[at:at + octets]))
            kind, at = self.data[at], at + octets
            seen += 1
        return self.finish(kind, at, is_guests)

    def fault_of_header(self, kind, at, is_guests):
        kinds = [one for one, _ in self.chain]
        if at + 8 > len(self.data):
            return "ip6-malformed"                                                                      # H4
        if kind == ROUTING:
            return "ip6-routing-header"                                                                 # H2
        if kind == HOP_BY_HOP and kinds:
            return "ip6-ext-header"                                                                     # H3a
        if len(kinds) >= HEADERS_MAX or kind == DESTINATION and kinds.count(DESTINATION) >= 2 or kind == FRAGMENT and FRAGMENT in kinds:
            return "ip6-ext-header"                                                                     # H3c
        data, length = self.data, self.data[at + 1]
        if kind in (HOP_BY_HOP, DESTINATION) and is_guests and length > 0 or kind == AUTHENTICATION and length < 1 or \
                kind == HOP_BY_HOP and data[at + 2] == JUMBO:
            return "ip6-ext-header"                                                                     # H3a, H3b, H3d
        if at + octets_of(kind, length) > len(data):
            return "ip6-malformed"                                                                      # H4
        if kind == FRAGMENT:
            word = u16(data, at + 2)
            self.offset, self.more, self.identification = word & 0xFFF8, bool(word & 1), number(data, at + 4, 4)
            self.is_fragment = self.more or self.offset > 0
        return None

    def finish_fragment(self, kind, at, is_guests):
        """H5."""
        self.protocol, self.payload = kind, self.data[at:]
        self.datagram = self.source, self.to, None, self.identification
        octets = len(self.payload)
        if self.offset + octets > 65535 or self.more and octets % 8 or 0 < self.offset < 24:
            return "ip6-fragment"                                                                       # H5a, b, c
        if kind in (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION, *REFUSED):
            return "ip6-fragment"                                                                       # H5d
        if self.offset == 0 and octets < NEED.get(kind, 0):
            return "ip6-fragment"                                                                       # H5e
        if is_guests and self.offset == 0 and kind == UDP and u16(self.payload, 4) < 8:
            return "l4-malformed"                                                                       # H6b
        self.read_upper()
        return None

    def finish(self, kind, at, is_guests):
        """H6."""
        self.protocol, self.payload = kind, self.data[at:]
        octets = len(self.payload)
        if octets < NEED.get(kind, 0) or is_guests and kind == UDP and not 8 <= u16(self.payload, 4) <= octets:
            return "l4-malformed"
        self.read_upper()
        return None

    def read_upper(self):
        self.read_ports()
        self.icmp_type = self.payload[0] if self.protocol == ICMP6 and self.offset == 0 else None

    @property
    def is_behind(self):
        return bool(self.chain)

    def has_right_checksum(self):
        pseudo = self.ends + len(self.payload).to_bytes(4, "big") + self.protocol.to_bytes(4, "big")
        return checksum_of(pseudo + self.payload) == 0xFFFF

    def facts(self, inward):
        if self.protocol == ICMP6 and self.payload[0] in ERRORS:
            return self.facts_of_error(inward)
        return facts_of(self.source, self.to, self.protocol, self.payload, inward)

    def facts_of_error(self, inward):
        inner = self.payload[8:]
        if len(inner) < 40 or inner[0] >> 4 != 6:
            return None
        source, to, kind, at = number(inner, 8, 16), number(inner, 24, 16), inner[6], 40
        for _ in range(HEADERS_MAX):
            if kind not in (HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION):
                break
            if at + 8 > len(inner) or kind == FRAGMENT and u16(inner, at + 2) & 0xFFF8:
                return None
            octets = 8 if kind == FRAGMENT else octets_of(kind, inner[at + 1])
            kind, at = inner[at], at + octets
        if at > len(inner):
            return None
        facts = facts_of(source, to, kind, inner[at:], not inward)
        if facts:
            facts.is_error, facts.flags = True, 0
            facts.fits = self.to == source and (inward or self.source == to)
        return facts


def octets_of(kind, length):
    return 4 * (length + 2) if kind == AUTHENTICATION else 8 if kind == FRAGMENT else 8 * (length + 1)


def read_ipv6(data):
    if len(data) < 40 or data[0] >> 4 != 6:
        return None
    octets = u16(data, 4)
    if octets == 0 or octets > len(data) - 40:
        return None
    p = Ipv6Packet()
    p.first, p.hop_limit, p.source, p.to = data[6], data[7], number(data, 8, 16), number(data, 24, 16)
    p.ends, p.data = data[8:40], data[40:40 + octets]
    return p


