"""Ethernet, ARP and IPv4 in both directions, by the tables of docs/filter.md. The letters are those of its rows."""

import policy
from policy import ALLOWED, BLOCKED, UNCERTAIN, Contact, Packet
from words import (BROADCAST_MAC, HEADER_OCTETS, ICMP, ICMP6, IGMP, PASS, SCTP, TCP, UDP, checksum_of, group_mac4, in_prefix, is_global4,
                   is_group4, is_group_mac, number, u16)

ERRORS = 3, 4, 11, 12
REDIRECT, ROUTER_ADVERTISEMENT, MASK_REPLY = 5, 9, 18
ROUTER_ALERT = b"\x94\x04\0\0"
EVERYBODY = 0xFFFFFFFF
CONFLICT_MS = 10000         # V3


class Ipv4:
    """A part of Guard (guard.py), which has settings, rules, flows and now."""

    # --- what an address is ---------------------------------------------------------------------------------------------

    def binding4(self, a):
        return next((b for b in self.bindings4 if b.address == a and self.now < b.expires), None)

    def is_shared4(self, a):
        """Own, and other machines' as well."""
        return a in self.shared4 or self.settings.arp_conflicts_pass and a in self.statics4

    def is_sole4(self, a):
        return self.binding4(a) is not None and not self.is_shared4(a)

    def live4(self):
        return [b for b in self.bindings4 if self.now < b.expires]

    def is_router4(self, a):
        return a in self.settings.hosts4 or any(a in b.routers for b in self.bindings4 if self.now < b.expires)

    def resolvers4(self):
        return set(self.settings.resolvers4) or set().union(*(b.resolvers for b in self.live4()))

    def is_resolver4(self, a):
        return a in self.resolvers4()

    def is_bound_to_routers4(self):
        if self.settings.gateway_macs or self.settings.hosts4:
            return True
        live = self.live4()
        if any(b.routers or not b.is_static for b in live):
            return True
        return not self.settings.no_dhcp and not any(b.is_static and b.address not in self.shared4 for b in live)

    def is_broadcast4(self, a):
        return a == EVERYBODY or any(b.length < 31 and a == b.address | (1 << 32 - b.length) - 1 for b in self.live4())

    def on_subnet(self, binding, a):
        return in_prefix(a, binding.address, binding.length, 32)

    def aliases4(self, a):
        found = set()
        if a in self.settings.hosts4:
            found.add("@host")
        if self.is_router4(a):
            found.add("@gateway")
        if self.is_resolver4(a):
            found.add("@dns")
        if is_global4(a):
            found.add("@global")
        return frozenset(found)

    def who4(self, a):
        return {name for name, is_it in (("host", a in self.settings.hosts4), ("resolver", self.is_resolver4(a)),
                                         ("broadcast", self.is_broadcast4(a))) if is_it}

    # --- Ethernet -------------------------------------------------------------------------------------------------------

    def from_guest(self, data):
        if len(data) < 14:
            return "frame-runt"                                                                         # E1
        if len(data) > 14 + self.settings.mtu:
            return "frame-oversize"                                                                     # E2
        to, source, kind = number(data, 0, 6), number(data, 6, 6), u16(data, 12)
        if source != self.settings.vm_mac:
            return "eth-src-spoof"                                                                      # E3
        if to in (0, self.settings.vm_mac):
            return "eth-dst-invalid"                                                                    # E4
        if 0x0180C2000000 <= to <= 0x0180C200002F:
            return "eth-dst-reserved"                                                                   # E5
        if kind == 0x0806:
            return self.arp_from_guest(to, data[14:])
        if kind == 0x0800:
            return self.ipv4_from_guest(to, data[14:])
        if kind == 0x86DD:
            return "ip6-disabled" if self.settings.ipv6 == "off" else self.ipv6_from_guest(to, data[14:])
        if kind == 0x8035:                                                                              # E7a, E7b
            own = self.settings.vm_mac.to_bytes(6, "big") + bytes(4)
            return PASS if to == BROADCAST_MAC and data[14:42] == bytes.fromhex("0001080006040003") + own * 2 else "rarp-form"
        return other_type(kind)

    def to_guest(self, data):
        if len(data) < 14:
            return "frame-runt"
        if len(data) > 14 + self.settings.mtu:
            return "frame-oversize"                                                                     # U1
        to, source, kind = number(data, 0, 6), number(data, 6, 6), u16(data, 12)
        if source == 0 or is_group_mac(source):
            return "eth-src-invalid"                                                                    # U2
        if source == self.settings.vm_mac:
            return "eth-src-is-guest"                                                                   # U3
        if to != self.settings.vm_mac and not is_group_mac(to):
            return "l2-not-for-guest"                                                                   # U4
        if 0x0180C2000000 <= to <= 0x0180C200002F:
            return "eth-dst-reserved"                                                                   # U5
        if kind == 0x0806:
            return self.arp_to_guest(source, data[14:])
        if kind == 0x0800:
            return self.ipv4_to_guest(to, source, data[14:])
        if kind == 0x86DD:
            return "ip6-disabled" if self.settings.ipv6 == "off" else self.ipv6_to_guest(to, source, data[14:])
        return "ethertype-unknown" if kind == 0x8035 else other_type(kind)                              # U6

    # --- ARP ------------------------------------------------------------------------------------------------------------

    def arp_from_guest(self, to, arp):
        if is_malformed_arp(arp):
            return "arp-malformed"                                                                      # A1
        operation, sender_mac, sender, target = u16(arp, 6), number(arp, 8, 6), number(arp, 14, 4), number(arp, 24, 4)
        if sender_mac != self.settings.vm_mac:
            return "arp-sha-spoof"                                                                      # A2
        if is_group_mac(to) and to != BROADCAST_MAC:
            return "l2l3-mismatch"                                                                      # A3
        if sender == 0:
            promised = self.binding4(target) or target in self.promised4()
            return PASS if operation == 1 and promised else "arp-probe-target"                          # A4, A5
        if not self.live4():
            return "arp-no-lease"                                                                       # A6
        binding = self.binding4(sender)
        if not binding:
            return "arp-spa-spoof"                                                                      # A7
        if operation == 1 and self.is_bound_to_routers4() and not self.is_connected4(target):
            return "arp-target-denied"                                                                  # A8
        if operation == 1:
            self.note_router_question(to, binding, target)                                              # A9
        self.note_use(binding)
        return PASS                                                                                     # A10

    def is_connected4(self, a):
        if self.is_router4(a) or self.is_resolver4(a) or self.is_server_known(a) or self.binding4(a):
            return True
        if a >> 24 in (0, 127):
            return False
        return self.may_have_business4(a, False) or self.rules.stateful and a >> 29 != 7 and self.may_have_business4(a, True)

    def may_have_business4(self, a, inward):
        """By any protocol and port."""
        ruling = self.rules.possible(Contact(a, 4, inward, 0, 0), self.aliases4(a))
        if ruling:
            return ruling.what == ALLOWED
        if inward:
            return self.settings.inbound in ("", "any")
        who = self.who4(a)
        return "resolver" in who and not is_group4(a) or policy.default4(who, a, 0, 0, 0) == PASS

    def arp_to_guest(self, source, arp):
        if is_malformed_arp(arp):
            return "arp-malformed"                                                                      # V1
        operation, sender_mac, sender = u16(arp, 6), number(arp, 8, 6), number(arp, 14, 4)
        if sender_mac != source and self.is_odd_sender(source, sender_mac, sender):
            return "arp-sha-spoof"                                                                      # V2
        binding = self.binding4(sender)
        if binding and not self.is_shared4(sender) and not self.settings.arp_conflicts_pass and \
                self.now >= binding.since + CONFLICT_MS:
            return "arp-claims-guest"                                                                   # V3
        return self.arp_of_router(source, sender_mac, sender, operation)                                # V4, V5, V6

    def is_odd_sender(self, source, sender_mac, sender):
        if sender_mac in (0, self.settings.vm_mac) or is_group_mac(sender_mac):
            return True
        if self.is_sole4(sender) or self.is_server_known(sender) or self.is_resolver4(sender):
            return True
        return self.is_router4(sender) and not {source, sender_mac} <= self.macs_of_router4(sender)

    # --- IPv4 -----------------------------------------------------------------------------------------------------------

    def ipv4_from_guest(self, mac, data):
        packet = read_ipv4(data)
        if packet is None or packet.ttl == 0:
            return "ip4-malformed"                                                                      # I1
        if packet.options and not (packet.protocol == IGMP and packet.options == ROUTER_ALERT):
            return "ip4-options"                                                                        # I2
        broken = packet.broken(True)
        if broken:
            return broken                                                                               # I3, I4
        if packet.protocol == UDP and packet.has_ports and (packet.source_port in (67, 68) or packet.port in (67, 68)):
            return self.dhcp4_from_guest(mac, packet)                                                   # I5
        if not self.live4():
            return "ip4-no-lease"                                                                       # I6
        binding = self.binding4(packet.source)
        if not binding:
            return "ip4-src-spoof"                                                                      # I7
        verdict = self.judge_data4(mac, packet, binding)
        if verdict == PASS:
            self.note_use(binding)
        return verdict

    def judge_data4(self, mac, packet, binding):
        to, payload = packet.to, packet.payload
        if packet.protocol == IGMP:
            if not is_group4(to) or packet.ttl != 1 or packet.is_fragment or len(payload) < 8 or \
                    payload[0] not in (0x12, 0x16, 0x17, 0x22):
                return "igmp-invalid"                                                                   # I8
            return PASS if mac == group_mac4(to) else "l2l3-mismatch"                                   # I9
        kind = payload[0] if packet.protocol == ICMP and packet.offset == 0 else None
        if kind in (REDIRECT, ROUTER_ADVERTISEMENT, MASK_REPLY) or \
                packet.protocol == ICMP and packet.is_fragment and is_group4(to):
            return "icmp-control"                                                                       # I10
        if packet.protocol in (0, 43, 44, 58, 59, 60):
            return "ip4-malformed"                                                                      # I11
        is_broadcast = self.is_broadcast4(to)
        if is_group4(to):
            fits = mac == group_mac4(to)
        else:
            fits = mac == BROADCAST_MAC if is_broadcast else not is_group_mac(mac)
        if not fits:
            return "l2l3-mismatch"                                                                      # I12
        is_unicast = not is_broadcast and not is_group4(to)
        verdict, ruling = self.destination4(packet)
        if verdict == PASS and is_unicast and not self.is_next_hop4(mac, packet, binding, ruling):
            verdict = "l2-next-hop"                                                                     # I14
        return self.settle(packet, verdict, False, is_unicast and self.may_answer4(mac, packet, binding, verdict),
                           "icmp-error-quote" if kind in ERRORS and not self.quotes_well4(packet) else None)

    def may_answer4(self, mac, packet, binding, verdict):
        """May it be an answer, although nothing else lets it pass (I13, I14)?"""
        return verdict != "dst-invalid" and (self.is_router_way4(mac) or self.on_subnet(binding, packet.to))

    def destination4(self, packet):
        """The verdict, and the rule that decided."""
        to = packet.to
        if to >> 24 in (0, 127) or self.is_sole4(to):
            return "dst-invalid", None                                                                  # D1
        ruling = self.rules.decide(Contact(to, 4, False, packet.protocol, packet.port_of_rule), self.aliases4(to))
        if ruling:                                                                                      # D2
            return {ALLOWED: PASS, BLOCKED: "dst-blocked", UNCERTAIN: "ports-unknown"}[ruling.what], ruling
        verdict = policy.default4(self.who4(to), to, packet.protocol, packet.source_port, packet.port_of_rule)
        return "ports-unknown" if verdict == UNCERTAIN else verdict, None

    def is_router_way4(self, mac):
        return not self.rules.isolates or not self.is_bound_to_routers4() or mac in self.gateway_macs_now()

    def is_next_hop4(self, mac, packet, binding, ruling):
        if self.is_router_way4(mac):
            return True
        return self.on_subnet(binding, packet.to) and (self.is_resolver4(packet.to) or ruling is not None and ruling.names)

    def quotes_well4(self, packet):
        """I14a."""
        quoted = None if packet.is_fragment else quoted4(packet)
        return quoted is not None and quoted[0] == packet.to and self.binding4(quoted[1]) is not None

    def ipv4_to_guest(self, mac, source_mac, data):
        packet = read_ipv4(data)
        if packet is None:
            return "ip4-malformed"                                                                      # W1
        if packet.protocol == UDP and packet.offset == 0 and len(packet.payload) < 8:
            return "l4-malformed"                                                                       # W2
        if packet.protocol == UDP and packet.has_ports and (packet.source_port in (67, 68) or packet.port in (67, 68)):
            return self.dhcp4_to_guest(mac, source_mac, packet)                                         # W3
        source, to = packet.source, packet.to
        if self.is_sole4(source):
            return "ip4-src-is-guest"                                                                   # W4
        if source >> 24 == 127 or source >> 29 == 7 or source >> 24 == 0 and packet.protocol != IGMP:
            return "ip4-src-invalid"                                                                    # W5
        if not self.may_send_as4(source, source_mac):
            return "ip4-gateway-spoof"                                                                  # W6
        if is_group_mac(mac) and not is_group4(to) and not self.is_broadcast4(to):
            return "l2l3-mismatch"                                                                      # W7
        kind = packet.payload[0] if packet.protocol == ICMP and packet.offset == 0 and packet.payload else None
        if kind in (REDIRECT, ROUTER_ADVERTISEMENT, MASK_REPLY):
            return "icmp-control"                                                                       # W8
        if kind in ERRORS:
            quoted = quoted4(packet)
            if quoted and not self.binding4(quoted[0]):
                return "icmp-error-quote"                                                               # W8a
        if not self.rules.stateful or packet.protocol == IGMP:
            return PASS                                                                                 # W9
        broken = packet.broken(False)
        if broken:
            return broken                                                                               # W10
        ruling = self.rules.decide(Contact(source, 4, True, packet.protocol, packet.port_of_rule), self.aliases4(source))
        is_unicast = not is_group4(to) and not self.is_broadcast4(to)
        return self.settle(packet, self.inward(ruling, packet), True, is_unicast)                       # W11 to W14

    def inward(self, ruling, packet):
        """W12 to W14, X9."""
        if ruling:
            return {ALLOWED: PASS, BLOCKED: "src-blocked", UNCERTAIN: "ports-unknown"}[ruling.what]
        return PASS if self.settings.inbound in ("", "any") else "unsolicited"

    # --- flows ----------------------------------------------------------------------------------------------------------

    def settle(self, packet, verdict, inward, is_answerable, last=None):
        """What flows and first fragments make of the verdict. last: what is said of what would pass (I14a, N22a)."""
        if packet.offset > 0:
            is_open = verdict == "ports-unknown" or self.rules.stateful and is_answerable
            return PASS if verdict != PASS and is_open and self.flows.knows(packet.datagram, inward, self.now) else verdict
        facts = packet.facts(inward) if self.rules.stateful and is_answerable else None
        if verdict == PASS and last:
            return last
        if facts and not last and self.flows.is_answer(facts, inward, self.now):
            verdict = PASS
        elif facts and verdict == PASS:
            self.flows.open(facts, inward, self.now)
        if packet.is_fragment and verdict == PASS and not (facts and facts.is_error):
            self.flows.remember(packet.datagram, inward, self.now)
        return verdict


def other_type(kind):
    return "ethertype-vlan" if kind in (0x8100, 0x88A8, 0x9100, 0x9200, 0x9300) else "ethertype-unknown"        # E8, E9


def is_malformed_arp(arp):
    return len(arp) < 28 or arp[:6] != b"\0\1\x08\0\6\4" or u16(arp, 6) not in (1, 2)


class Datagram:
    """What the rows ask of a packet of either family."""
    protocol = source_port = port = 0

    @property
    def port_of_rule(self):
        """None: a later fragment has no ports."""
        return self.port if self.has_ports else None if self.offset > 0 else 0

    def read_ports(self):
        self.has_ports = self.protocol in (TCP, UDP, SCTP) and self.offset == 0 and len(self.payload) >= 4
        if self.has_ports:
            self.source_port, self.port = u16(self.payload, 0), u16(self.payload, 2)


class Ipv4Packet(Datagram):
    def broken(self, with_udp_length):
        """I3 and I4."""
        octets, need = len(self.payload), HEADER_OCTETS.get(self.protocol, 0)
        if self.is_fragment:
            if self.offset + octets > 65535 or self.more and octets % 8 or self.offset == 0 and octets < need or \
                    0 < self.offset < need:
                return "ip4-fragment"
            is_odd = with_udp_length and self.protocol == UDP and self.offset == 0 and u16(self.payload, 4) < 8
            return "l4-malformed" if is_odd else None
        if octets < need or with_udp_length and self.protocol == UDP and not 8 <= u16(self.payload, 4) <= octets:
            return "l4-malformed"
        return None

    def has_right_checksums(self):
        """Of a UDP datagram (RFC 768, RFC 1071)."""
        datagram = self.payload[:u16(self.payload, 4)]
        pseudo = self.header[12:20] + bytes([0, UDP]) + self.payload[4:6]
        is_right = u16(datagram, 6) == 0 or checksum_of(pseudo + datagram) == 0xFFFF
        return is_right and checksum_of(self.header) == 0xFFFF

    def facts(self, inward):
        """By what flows know it; None: not at all."""
        if self.protocol == ICMP and self.payload[0] in ERRORS:
            return self.facts_of_error(inward)
        return facts_of(self.source, self.to, self.protocol, self.payload, inward)

    def facts_of_error(self, inward):
        inner = self.payload[8:]
        ends = quoted4(self)
        if ends is None or u16(inner, 6) & 0x1FFF:
            return None
        facts = facts_of(*ends, inner[9], inner[(inner[0] & 15) * 4:], not inward)
        if facts:
            facts.is_error, facts.flags = True, 0
            facts.fits = self.to == ends[0] and (inward or self.source == ends[1])
        return facts


def facts_of(source, to, protocol, payload, inward):
    """Of a packet that may be cut behind its ports, as in a quote."""
    guest, peer = (to, source) if inward else (source, to)
    if protocol in (ICMP, ICMP6):
        asks = len(payload) >= 6 and payload[0] in (8, 128)
        if not asks and not (len(payload) >= 6 and payload[0] in ((0, 129) if protocol == ICMP6 else (0,))):
            return None
        if payload[0] in (128, 129) and protocol == ICMP or payload[0] in (0, 8) and protocol == ICMP6:
            return None
        return Packet(guest, peer, protocol, u16(payload, 4), int(asks == inward), opens=asks)
    if protocol not in (TCP, UDP, SCTP):
        return Packet(guest, peer, protocol, 0, 0)
    if len(payload) < 4:
        return None
    ports = u16(payload, 0), u16(payload, 2)
    flags = payload[13] if protocol == TCP and len(payload) > 13 else 0
    return Packet(guest, peer, protocol, *(ports[::-1] if inward else ports), flags)


def read_ipv4(data):
    if len(data) < 20 or data[0] >> 4 != 4:
        return None
    header, total, flags = (data[0] & 15) * 4, u16(data, 2), u16(data, 6)
    if header < 20 or total < header or total > len(data) or flags & 0x8000:
        return None
    p = Ipv4Packet()
    p.ttl, p.protocol, p.source, p.to = data[8], data[9], number(data, 12, 4), number(data, 16, 4)
    p.options, p.payload = data[20:header], data[header:total]
    p.more, p.offset = bool(flags & 0x2000), (flags & 0x1FFF) * 8
    p.is_fragment = p.more or p.offset > 0
    p.datagram = p.source, p.to, p.protocol, u16(data, 4)
    p.header = data[:header]
    p.read_ports()
    return p


def quoted4(packet):
    """Source and destination of the packet that an ICMP error quotes; None: it cannot be read."""
    inner = packet.payload[8:]
    if len(inner) < 20 or inner[0] >> 4 != 4 or not 20 <= (inner[0] & 15) * 4 <= len(inner):
        return None
    return number(inner, 12, 4), number(inner, 16, 4)
