"""ICMPv6 in both directions, by the tables N, U and Y of docs/filter-ipv6.md."""

from words import PASS, group_mac6, is_group6, is_group_mac, is_link_local6, is_wide6, number

RS, RA, NS, NA, REDIRECT = 133, 134, 135, 136, 137
QUERY, REPORT, DONE, REPORT2 = 130, 131, 132, 143
ERRORS = 1, 2, 3, 4
SIZES = {RS: 8, RA: 16, NS: 24, NA: 24}
NODES, ROUTERS, MLD_ROUTERS = 0xFF02 << 112 | 1, 0xFF02 << 112 | 2, 0xFF02 << 112 | 0x16
ALERTS = {b"\5\2\0\0\1\0", b"\5\2\0\0\0\0", b"\1\0\5\2\0\0", b"\0\0\5\2\0\0"}       # RFC 2711, with padding
OVERRIDE, SOLICITED = 0x20, 0x40
WELL_KNOWN = {0, *range(0xFDFFFFFFFFFFFF80, 0xFE00000000000000)}        # RFC 4291 2.6.1, RFC 2526


def solicited_node(a):
    return 0xFF02 << 112 | 0x1FF000000 | a & 0xFFFFFF


class Nd:
    """A part of Guard (guard.py)."""

    def icmp6_from_guest(self, mac, packet):
        kind = packet.icmp_type
        if kind == RA:
            return "ra-from-guest"                                                                      # N1
        if kind == REDIRECT:
            return "icmp6-redirect"                                                                     # N2
        if kind in (RS, NS, NA):
            verdict = fault_of_nd(packet, True) or self.nd_from_guest(packet)
        elif kind in (REPORT, DONE, REPORT2):
            verdict = self.mld_from_guest(packet)
        elif kind == QUERY:
            return "mld-invalid"                                                                        # N21
        else:
            return "icmp6-type"                                                                         # N23
        if verdict != PASS:
            return verdict() if callable(verdict) else verdict
        if mac != group_mac6(packet.to) if is_group6(packet.to) else is_group_mac(mac):
            return "l2l3-mismatch"                                                                      # H11, N20a
        if kind == NS and packet.source == 0 and not self.status6(packet.target):
            return self.claim(packet)                                                                   # N13
        if kind in (RS, NS, NA):
            self.note_use6(packet.target if kind == NA or kind == NS and packet.source == 0 else packet.source)
        return PASS

    def nd_from_guest(self, packet):
        """N6 to N18. What could be claimed is asked for at last (U): then it gives a function."""
        kind, status = packet.icmp_type, self.status6(packet.source)
        if any(one != self.settings.vm_mac for one in packet.link_layer):
            return "nd-lla-spoof"                                                                       # N6
        if kind == RS:
            return self.rs_from_guest(packet, status)
        if kind == NS and packet.source == 0:
            return self.dad_from_guest(packet)
        return self.ns_from_guest(packet, status) if kind == NS else self.na_from_guest(packet, status)

    def rs_from_guest(self, packet, status):
        if packet.to != ROUTERS or packet.source == 0 and packet.link_layer:
            return "nd-form"                                                                            # N7a, b
        if packet.source and not is_link_local6(packet.source):
            return "nd-form"                                                                            # N7c
        if packet.source and not status:
            return lambda: self.unbound(packet.source, "nd-form")
        if status == "tentative" and packet.link_layer:
            return "ip6-src-tentative"                                                                  # N7d
        return PASS                                                                                     # N8

    def dad_from_guest(self, packet):
        target = packet.target
        if packet.to != solicited_node(target) or packet.link_layer:
            return "nd-form"                                                                            # N9
        if self.status6(target):
            return PASS                                                                                 # N10
        return self.fault_of_claim(target) or PASS

    def fault_of_claim(self, target):
        """N11, N12."""
        if self.is_reserved6(target) or self.now < self.claims6.get(target, 0) or self.is_made_of_other_mac(target):
            return "nd-target-reserved"                                                                 # N11
        if not is_link_local6(target) and not self.slaac_prefix(target) or self.settings.eui64_only or \
                target & (1 << 64) - 1 in WELL_KNOWN:
            return "nd-prefix-unknown"                                                                  # N12
        return None

    def is_made_of_other_mac(self, a):
        identifier = a & (1 << 64) - 1
        return identifier >> 24 & 0xFFFF == 0xFFFE and not identifier >> 56 & 1 and identifier != self.identifier

    def claim(self, packet):
        if not packet.has_right_checksum():
            return "nd-malformed"                                                                       # N13a
        return PASS if self.make_tentative(packet.target) else "binding-limit"                          # N13d, e

    def ns_from_guest(self, packet, status):
        target = packet.target
        if not status:
            return lambda: self.unbound(packet.source, "ip6-src-unbound", packet.to in (target, solicited_node(target)))
        if status == "tentative" and packet.link_layer:
            return "ip6-src-tentative"                                                                  # N14b
        if packet.to not in (target, solicited_node(target)):
            return "nd-form"                                                                            # N15
        if self.knows_router6() and not self.is_reserved6(target) and not self.status6(target) and not self.could_reach6(target):
            return "nd-target-denied"                                                                   # N16a
        return PASS

    def na_from_guest(self, packet, status):
        target = self.status6(packet.target)
        if not target:
            is_only_fault = packet.target == packet.source and has_na_form(packet)
            return lambda: self.unbound(packet.source, "nd-target-foreign", is_only_fault)              # N17
        if target == "tentative" and packet.payload[4] & OVERRIDE:
            return "nd-form"                                                                            # N18a
        if not status:
            return lambda: self.unbound(packet.source, "nd-form", has_na_form(packet))                  # N18b
        return PASS if has_na_form(packet) else "nd-form"                                               # N18c

    def mld_from_guest(self, packet):
        kind, source = packet.icmp_type, packet.source
        if packet.hop_limit != 1 or len(packet.payload) < (8 if kind == REPORT2 else 24):
            return "mld-invalid"                                                                        # N19a
        if [(one, len(data)) for one, data in packet.chain] != [(0, 8)] or bytes(packet.chain[0][1][2:]) not in ALERTS:
            return "mld-invalid"                                                                        # N19b
        group = number(packet.payload, 8, 16)
        fits = packet.to == {REPORT2: MLD_ROUTERS, DONE: ROUTERS}.get(kind, group) and (kind == REPORT2 or is_group6(group))
        if source and not (is_link_local6(source) and self.status6(source)):
            return lambda: self.unbound(source, "mld-invalid", is_link_local6(source) and fits)         # N19c
        return PASS if fits else "mld-invalid"                                                          # N19d

    def unbound(self, source, otherwise, is_only_fault=True):
        """U: a source that the guard has not seen claimed."""
        if not is_only_fault or source == 0 or is_group6(source) or source >> 32 in (0, 0xFFFF) or self.now < self.lost6.get(source, 0):
            return otherwise
        is_covered = is_link_local6(source) or self.slaac_prefix(source)
        if not is_covered and is_wide6(source) and not self.has_locked_router6():
            return "ip6-src-unbound"                                                                    # U1b, U1c, U3
        if self.fault_of_claim(source):
            return otherwise                                                                            # U1a
        return "ip6-src-unbound" if self.make_tentative(source) else "binding-limit"                    # U4, U5

    # --- from the network -----------------------------------------------------------------------------------------------

    def icmp6_to_guest(self, mac, source_mac, packet):
        kind = packet.icmp_type
        if kind == REDIRECT:
            return "icmp6-redirect"                                                                     # Y1
        if kind == RS:
            return "rs-to-guest"                                                                        # Y2a
        if kind not in (*ERRORS, *range(128, 137), REPORT2):
            return "icmp6-type"                                                                         # Y2b
        if kind in (RA, NS, NA):
            fault = fault_of_nd(packet, False)                                                          # Y3
            if fault:
                return fault
        if kind == RA:
            return self.ra_to_guest(mac, source_mac, packet)
        if kind in (NS, NA):
            return self.neighbor_to_guest(mac, source_mac, packet)
        return self.other_to_guest(mac, source_mac, packet)

    def neighbor_to_guest(self, mac, source_mac, packet):
        kind, target = packet.icmp_type, packet.target
        subject = target if kind == NA else packet.source
        if any(not self.may_send_as6(subject, one) for one in {source_mac, *packet.link_layer}):
            return self.hear_claim(source_mac, packet) if kind == NA else "nd-gateway-spoof"            # Y4a, Y6
        router = self.locked_router6(target) if kind == NA else None
        if router and router.asking is not None:
            if not packet.has_right_checksum():
                return "nd-malformed"
            router.asking, router.doubted = None, self.now
            return PASS                                                                                 # Y4a: it lives
        status = self.status6(target)
        binding = self.bindings6.get(target)
        if kind == NA and status and target not in self.shared6:
            if not binding or self.now >= binding.conflict:
                return "nd-claims-guest" if status == "own" else PASS                                   # Y7
            fault = self.fault_of_sender(mac, source_mac, packet, may_be_guest=True)
            if fault:
                return fault
            if not packet.has_right_checksum():
                return "nd-malformed"                                                                   # Y8a
            del self.bindings6[target]
            self.lost6[target] = self.now + 60000
            return PASS                                                                                 # Y8b
        if kind == NS and packet.source == 0:
            fault = self.fault_of_sender(mac, source_mac, packet, may_be_nobody=True)
            if fault:
                return fault
            if (is_link_local6(target) or self.slaac_prefix(target)) and status != "own":
                if not packet.has_right_checksum():
                    return "nd-malformed"                                                               # Y8d
                self.claims6[target] = self.now + 1500
                if status == "tentative":
                    del self.bindings6[target]
                    self.lost6[target] = self.now + 60000
                return PASS                                                                             # Y8e
            return PASS
        return self.fault_of_sender(mac, source_mac, packet) or PASS

    def other_to_guest(self, mac, source_mac, packet):
        is_mld = packet.icmp_type in (QUERY, REPORT, DONE, REPORT2)
        fault = self.fault_of_sender(mac, source_mac, packet, may_be_nobody=is_mld)
        if fault:
            return fault
        inner = packet.payload[8:]
        if packet.icmp_type in ERRORS and len(inner) >= 40 and inner[0] >> 4 == 6 and not self.status6(number(inner, 8, 16)):
            return "icmp-error-quote"                                                                   # Y8f
        return PASS if is_mld else self.judge_inward6(packet)                                           # X8, X9

    def ra_to_guest(self, mac, source_mac, packet):
        if not is_link_local6(packet.source):
            return "ra-untrusted"
        if not self.is_trusted_router(packet.source, source_mac):
            return self.hear_rival(mac, source_mac, packet) or "ra-untrusted"                           # Y4, Y4a
        return self.fault_of_sender(mac, source_mac, packet) or self.take_advertisement(source_mac, packet)

    def take_advertisement(self, source_mac, packet):
        options = options_of_nd(packet.payload[16:])
        if packet.payload[1] != 0 or options is None or any(is_broken(code, value) for code, value in options):
            return "nd-malformed"                                                                       # Y5a
        named = [number(value, 0, 6) for code, value in options if code == 1][-1:]
        if any(not self.may_name(packet.source, source_mac, one) for one in named if one):
            return "nd-gateway-spoof"                                                                   # Y5b
        self.learn_router6(source_mac, packet.source, packet.payload, options, [one for one in named if one])
        return PASS                                                                                     # Y5c


def is_broken(code, value):
    """An option of an advertisement that has not the length of its RFC."""
    return code == 1 and len(value) != 6 or code == 3 and len(value) != 30 or code == 38 and len(value) != 14 or \
        code == 25 and (len(value) < 22 or (len(value) - 6) % 16 != 0)


def fault_of_nd(packet, is_guests):
    """N3 to N5, Y3; and what the message says."""
    kind, data = packet.icmp_type, packet.payload
    if packet.is_behind:
        return "nd-ext-header"
    if packet.hop_limit != 255:
        return "nd-hop-limit"
    if data[1] != 0 and kind != RA or len(data) < SIZES[kind] or is_guests and len(data) > 128:
        return "nd-malformed"                                                                           # N5a
    packet.link_layer = []
    if kind in (NS, NA):
        packet.target = number(data, 8, 16)
    if kind != RA:
        options = options_of_nd(data[SIZES[kind]:])
        if options is None or len(options) > 4:
            return "nd-malformed"                                                                       # N5b
        packet.link_layer = [number(value, 0, 6) for code, value in options if code in (1, 2)]
        if any(len(value) != 6 for code, value in options if code in (1, 2)) or len(packet.link_layer) > 1:
            return "nd-malformed"                                                                       # N5c
    if kind in (NS, NA) and (is_group6(packet.target) or packet.target in (0, 1)):
        return "nd-malformed"                                                                           # N5d
    return None


def has_na_form(packet):
    """N18c."""
    return not is_group6(packet.to) or packet.to in (NODES, ROUTERS) and not packet.payload[4] & SOLICITED


def options_of_nd(data):
    """RFC 4861 4.6: (type, content); None: broken."""
    found, at = [], 0
    while at < len(data):
        if at + 2 > len(data) or data[at + 1] == 0 or at + 8 * data[at + 1] > len(data):
            return None
        found.append((data[at], data[at + 2:at + 8 * data[at + 1]]))
        at += 8 * data[at + 1]
    return found


def lifetimes(content):
    """Of a Prefix Information option: valid and preferred, in seconds."""
    return number(content, 2, 4), number(content, 6, 4)


