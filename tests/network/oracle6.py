"""What a guest may put on the wire in IPv6, and what may reach it, stated a second time: from docs/filter-ipv6.md and
RFC 4861, 4862, 6980, 7112, 8200 and 8415, with nothing taken from core/. It is the other half of oracle.py:

    port = oracle.Port(mac=..., router=..., router_mac=..., ipv6=oracle6.Port6(mac, router="fe80::1", router_mac=...))

Like that half it believes nobody but the wire. It knows a prefix because the router's advertisement arrived, an address
because the guest's duplicate address detection (DAD) left and nobody objected, or because the DHCPv6 server gave it.
What the wire tells is read in knowledge6.py.
"""

import ipaddress

from knowledge6 import (DAD_WAIT, DECLINE, DHCP_CLIENT, DHCP_SERVER, EARLY, IA_PD, INFORMATION_REQUEST, LINK_LOCAL, NA,
                        NOBODY, NS, RA, REBIND, RELEASE, SERVERS, WANTED, YOUNG, YOUNG_LEASE, Knowledge, Message,
                        lla_options, nd_options, target_of)
from oracle_base import SLACK, charge, charge_neighbor, is_group, labels_of, may_have_names, require, u16
from packet4 import is_global
from packet6 import (AUTHENTICATION, DESTINATION, FRAGMENT, HOP_BY_HOP, ICMP6, JUMBO, ROUTING, TCP, UDP, Packet,
                     group_mac, has_right_checksum, is_global6, is_link_local, is_multicast, options_of, reassembled,
                     solicited_node)

ALL_NODES, ALL_ROUTERS, MLD_ROUTERS, MDNS = map(ipaddress.ip_address, ("ff02::1", "ff02::2", "ff02::16", "ff02::fb"))
MLD_QUERY, MLD_REPORT, MLD_DONE, RS, REDIRECT, MLD2_REPORT = 130, 131, 132, 133, 137, 143
DATA_TYPES = 1, 2, 3, 4, 128, 129           # ICMPv6 that is judged as any other data: errors and echo
ERRORS = 1, 2, 3, 4
TO_GUEST_TYPES = *DATA_TYPES, MLD_QUERY, MLD_REPORT, MLD_DONE, RA, NS, NA, MLD2_REPORT
ROUTER_ALERT = 5, b"\0\0"                  # RFC 2711: for MLD
NEVER = [ipaddress.ip_network(text) for text in ("::/96", "::ffff:0:0/96")]
ANYCAST = {0, *range(0xFDFFFFFFFFFFFF80, 0xFE00000000000000)}               # RFC 4291 2.6.1, RFC 2526
CLIENT_TYPES = 1, 3, 4, 5, 6, 8, 9, 11      # RFC 8415 7.3, without what relays and servers say
RELAY_OPTIONS = {9, 18, 37, 38, 53, 66, 68, 79}
ND_SIZES = {RS: 8, RA: 16, NS: 24, NA: 24}
HEADER_OCTETS = {TCP: 20, UDP: 8, ICMP6: 8}


class Port6(Knowledge):
    """A guarded port's IPv6. `options` are the operator's words, as in oracle.Port."""

    def __init__(self, mac, router, router_mac, server=None, server_mac=None, *, hosts=(), allow=(), block=(),
                 isolated=True, resolvers=(), nat64=(), static=(), shared=(), sites=(), anchored=False, rates=True,
                 block_global=False, no_dhcp=False, residents=(), resident_mac=None, names=None):
        super().__init__(mac, router, router_mac, server or router, server_mac or router_mac)
        self.hosts = {ipaddress.ip_address(text) for text in hosts}
        self.residents = {ipaddress.ip_address(text) for text in residents}     # the host, where it is not the router
        self.resident_mac = resident_mac
        self.named_resolvers = {ipaddress.ip_address(text) for text in resolvers}
        self.shared = {ipaddress.ip_address(text) for text in shared}   # --shared-ip: the guest's, and others' as well
        self.static = {ipaddress.ip_address(text) for text in static} | self.shared
        self.rules = [(ipaddress.ip_network(text), allows) for allows, texts in ((True, allow), (False, block))
                      for text in texts]
        self.nat64 = [ipaddress.ip_network(text) for text in ("64:ff9b::/96", *nat64)]
        self.sites = [ipaddress.ip_network(text) for text in sites]
        self.isolated, self.rates, self.block_global, self.no_dhcp = isolated, rates, block_global, no_dhcp
        self.names = names                  # --dhcp-hostname
        self.anchored = anchored            # --gateway-mac: the router is known before its first word
        self.sent = {"nd": {}, "rs": [], "dhcp": [], "new": []}
        self.pieces = {}                    # fragments that left: (source, destination, identification) -> packets

    # --- what an address is -------------------------------------------------------------------------------------------

    def is_own(self, address, now, surely=False):
        """May data come from it? `surely`: whatever the guard's clock and the capture's differ by."""
        slack, early = (-SLACK, -EARLY) if surely else (SLACK, EARLY)
        if address in self.static or self.is_made_from_mac(address, now, slack):
            return True
        held = self.held.get(address)
        return held is not None and (held.leased or now >= held.since + DAD_WAIT - early) and \
            now < self.end_of(address) + slack

    def is_held(self, address, now):
        """Own or tentative."""
        return self.is_own(address, now) or address in self.held and now < self.end_of(address) + SLACK

    def is_router(self, address, now, slack=SLACK):
        return address in self.hosts or address == self.router and self.knows_router(now, slack)

    def is_resolver(self, address, now, slack=SLACK):
        if self.named_resolvers:
            return address in self.named_resolvers
        return now < self.resolvers.get(address, float("-inf")) + slack

    def is_reserved(self, address, now, slack=SLACK):
        return self.is_router(address, now, slack) or self.is_resolver(address, now, slack) or \
            address == self.server and self.server_known or address in self.residents

    def knows_gateway(self, now):
        """Surely."""
        return self.anchored or now < self.locked_until - SLACK

    def needs_router(self, now):
        """Unlearned is closed: where a router is named, or a server leased an address, unicast goes through a router."""
        return any(is_link_local(host) for host in self.hosts) or \
            any(held.leased and now < self.end_of(address) - SLACK for address, held in self.held.items())

    def rule_for(self, address, at_least=0):
        """As in oracle.Port; a rule that allows must be this long."""
        rules = [(network.prefixlen, not allows, allows) for network, allows in self.rules
                 if address in network and (not allows or network.prefixlen >= at_least)]
        return max(rules)[2] if rules else None

    def may_reach(self, now, a, protocol=None, ports=(None, None), icmp_type=None):
        if any(a in network for network in NEVER) or self.is_own(a, now, surely=True) and a not in self.shared:
            return False
        learned = [] if self.is_on_link(a, now, SLACK) else self.translators
        translator = next((network for network in [*self.nat64, *learned] if a in network), None)
        rule = self.rule_for(a, 96 if translator else 0)
        if rule is not None:
            return rule
        if is_multicast(a):
            return (a, protocol, *ports) == (MDNS, UDP, 5353, 5353)
        if translator:
            return is_global(str(ipaddress.IPv4Address(embedded(a, translator.prefixlen))))
        if a in self.hosts | self.residents or protocol in (TCP, UDP) and ports[1] == 53 and self.is_resolver(a, now):
            return True
        if is_global6(a):
            return not self.block_global and not any(a in site for site in [*self.sites, *self.learned_sites()])
        return a == self.router and self.is_router(a, now) and icmp_type in DATA_TYPES

    # --- from the guest -----------------------------------------------------------------------------------------------

    def judge_from_guest(self, now, mac, data):
        packet = Packet(data)
        require(packet.hop_limit > 0, "hop limit 0")
        judge_headers(packet, longest=8)
        if packet.is_piece:
            self.judge_reassembled(now, packet)
        if packet.has_start and packet.upper == UDP and {*packet.ports} & {DHCP_CLIENT, DHCP_SERVER}:
            self.judge_client_message(now, mac, packet)
        elif packet.icmp_type is not None and packet.icmp_type not in DATA_TYPES:
            self.judge_control(now, mac, packet, packet.icmp_type)
        else:
            self.judge_data(now, mac, packet)

    def judge_data(self, now, mac, packet):
        to = packet.destination
        require(self.is_own(packet.source, now), "IPv6 source is not the guest's [P55]")
        judge_mapping(mac, to)
        require(self.may_reach(now, to, packet.upper, packet.ports, packet.icmp_type), f"destination {to}")
        if packet.icmp_type in ERRORS:
            sender, receiver = quoted_by(packet)
            require(not packet.is_piece, "ICMPv6 error in fragments [P71]")
            require(sender == to and self.is_own(receiver, now), "ICMPv6 error about a packet of others [P71]")
        if is_multicast(to):
            is_near = to.packed[1] & 15 <= 2
            return require(not is_link_local(packet.source) or is_near, "link-local source beyond the link [P59]")
        to_host = to in self.residents and mac == self.resident_mac
        if self.isolated and (self.knows_gateway(now) or self.needs_router(now)) and mac != self.router_mac and not to_host:
            named = self.rule_for(to) and any(to in network and network.prefixlen for network, allows in self.rules if allows)
            opened = named or self.is_resolver(to, now)
            require(self.is_on_link(to, now, SLACK) and opened, "next hop is not the router")
        require(not is_link_local(packet.source) or is_link_local(to) or to in self.hosts or to in self.residents,
                "link-local source beyond the link [P59]")

    def judge_control(self, now, mac, packet, kind):
        require(kind not in (RA, REDIRECT, MLD_QUERY), f"ICMPv6 {kind}, as a router sends it [P51]")
        if kind in (MLD_REPORT, MLD_DONE, MLD2_REPORT):
            return self.judge_mld(now, mac, packet, kind)
        require(kind in (RS, NS, NA), f"ICMPv6 type {kind}")
        judge_nd_form(packet, kind, most_octets=128, most_options=4)
        options = lla_options(packet.payload[ND_SIZES[kind]:])
        require(all(option == self.mac for option in options), "link-layer address option of another MAC [P52]")
        judge_mapping(mac, packet.destination)
        {RS: self.judge_rs, NS: self.judge_ns, NA: self.judge_na}[kind](now, packet, options)
        if self.rates:
            if kind == RS:
                charge(self.sent["rs"], now, 4, 1, "more router solicitations than the limit")
            else:
                charge_neighbor(self.sent["nd"], now, "neighbor discovery", is_claim=packet.source == NOBODY,
                                is_answer=kind == NA, to_gateway=mac == self.router_mac,
                                about_gateway=self.is_reserved(target_of(packet), now), destination=mac)

    def judge_rs(self, now, packet, options):
        require(packet.destination == ALL_ROUTERS, "RS to others than all routers")
        if packet.source == NOBODY:
            require(not options, "RS from :: with a link-layer address [P54]")
        else:
            require(is_link_local(packet.source) and self.is_held(packet.source, now), "RS from a foreign address")
            require(self.is_own(packet.source, now) or not options, "RS with a link-layer address, in DAD")

    def judge_ns(self, now, packet, options):
        target = target_of(packet)
        if packet.source == NOBODY:
            require(packet.destination == solicited_node(target) and not options, "form of a DAD NS [P54]")
            if self.is_held(target, now):
                return self.learn_dad(now, target)
            require(not self.is_reserved(target, now, -SLACK), f"DAD for {target}, which is somebody's [P57]")
            require(has_right_checksum(packet), "DAD that nobody can contradict")
            wanted = now < self.wanted.get(target, float("-inf")) + WANTED - EARLY
            require(not wanted, f"DAD for {target}, which a neighbor is about to take")
            networks = [LINK_LOCAL, *self.slaac_prefixes(now, SLACK)]
            require(any(target in network for network in networks), f"DAD outside known prefixes: {target}")
            identifier = int(target) & (1 << 64) - 1
            require(identifier not in ANYCAST, f"DAD for an anycast address: {target}")
            foreign_mac = identifier >> 24 & 0xFFFF == 0xFFFE and not identifier >> 56 & 1 and \
                target.packed[8:] != self.identifier
            require(not foreign_mac, f"DAD for what another machine makes from its MAC: {target}")
            if self.rates:
                charge(self.sent["new"], now, 16, 0.2, "more new addresses than the limit")
            self.learn_dad(now, target)
            return
        require(self.is_own(packet.source, now) or self.is_held(packet.source, now) and not options, "NS source [P55]")
        require(packet.destination in (target, solicited_node(target)), "NS to others than its target")
        if self.knows_router(now, -SLACK):
            require(self.is_reserved(target, now) or self.is_held(target, now) or self.may_reach(now, target),
                    f"NS for {target}, which may not be reached")

    def judge_na(self, now, packet, _):
        target, flags = target_of(packet), packet.payload[4]
        require(self.is_held(target, now), f"NA for {target}, which is not the guest's [P53]")
        require(self.is_held(packet.source, now), "NA from a foreign source")
        require(self.is_own(target, now) or not flags & 0x20, "NA of a tentative address with the O flag [P53]")
        require(not is_multicast(packet.destination) or packet.destination in (ALL_NODES, ALL_ROUTERS) and not flags & 0x40,
                "NA to a group that does not ask")

    def judge_mld(self, now, mac, packet, kind):
        source, to = packet.source, packet.destination
        require([(kind, len(content)) for kind, content in packet.headers] == [(HOP_BY_HOP, 8)], "headers before MLD")
        require(ROUTER_ALERT in options_of(packet.headers[0][1]), "MLD without Router Alert")
        require(packet.hop_limit == 1, "MLD with another hop limit than 1")
        require(source == NOBODY or is_link_local(source) and self.is_held(source, now), "MLD from a foreign source")
        require(len(packet.payload) >= (8 if kind == MLD2_REPORT else 24), "MLD cut")
        wanted = {MLD2_REPORT: MLD_ROUTERS, MLD_DONE: ALL_ROUTERS}.get(kind) or target_of(packet)
        require(to == wanted and is_multicast(to), "MLD to another group")
        judge_mapping(mac, to)

    def judge_client_message(self, now, mac, packet):
        source_port, port = packet.ports
        require(source_port != DHCP_SERVER and port == DHCP_SERVER, "DHCPv6 as a server or relay sends it [P51]")
        require(packet.fragment is None, "DHCPv6 in fragments")
        require(not self.no_dhcp, "DHCPv6, which is switched off")
        require(is_link_local(packet.source) and self.is_held(packet.source, now), "DHCPv6 from a foreign source")
        require(packet.destination == SERVERS, "DHCPv6 to others than all servers")
        judge_mapping(mac, packet.destination)
        message = Message(packet.payload[8:u16(packet.payload, 4)])
        require(message.type in CLIENT_TYPES, f"DHCPv6 message of type {message.type}, which is no client's")
        require(message.client_id or message.type == INFORMATION_REQUEST, "DHCPv6 without a client identifier")
        require(not {code for code, _ in message.options} & RELAY_OPTIONS, "DHCPv6 with the words of a relay")
        names = [labels_of(content[1:]) for code, content in message.options if code == 39]
        require(may_have_names(self.names, [name and name.lower() for name in names if name != b""]),
                "DHCPv6 name of another, or of a service")
        if message.type in (RELEASE, DECLINE):
            require(all(address in self.ever_leased for address, _ in message.addresses()),
                    "DHCPv6 gives back what is another's")
            for association, places, _ in message.associations():
                require(places, "DHCPv6 gives back all of an IA")
                require(association[0] != IA_PD or message.type == RELEASE and all(
                    ((message.client_id, *association), place) in self.delegated for place in places),
                    "DHCPv6 gives back another's prefix")
        if message.type == REBIND:
            require(all(self.is_held(address, now) for address, _ in message.addresses()), "REBIND of another's address")
        if self.rates:
            charge(self.sent["dhcp"], now, 16, 2, "more DHCPv6 messages than the limit")
        self.learn_from_client(now, message)
        if self.rates:
            prefixes = sum(kind == IA_PD for _, kind, _ in self.asked)
            require(len(self.asked) - prefixes <= 6 and prefixes <= 3, "more leases than one guest may ask for")

    def judge_reassembled(self, now, packet):
        """Whatever a receiver makes of overlapping pieces, it is nothing that may not leave in one (RFC 5722, 7112)."""
        key = packet.source, packet.destination, packet.fragment.identification
        pieces = self.pieces.setdefault(key, [])
        pieces[:] = [(time, piece) for time, piece in pieces[-63:] if now - time < 60] + [(now, packet)]
        for whole in reassembled([piece for _, piece in pieces]):
            require(all(kind != ROUTING for kind, _ in whole.headers), "a routing header, in fragments [P58]")
            require(whole.icmp_type in (None, *DATA_TYPES), f"ICMPv6 type {whole.icmp_type}, in fragments [P51]")
            require(whole.upper != UDP or not {*whole.ports} & {DHCP_CLIENT, DHCP_SERVER}, "DHCPv6, in fragments")

    # --- to the guest -------------------------------------------------------------------------------------------------

    def judge_to_guest(self, now, mac, source_mac, data):
        packet = Packet(data)
        source, to = packet.source, packet.destination
        judge_headers(packet)
        kind = packet.icmp_type
        require(kind is None or kind in TO_GUEST_TYPES, f"ICMPv6 type {kind}")
        is_dad = kind == NS and source == NOBODY
        target = None
        if kind in (RA, NS, NA):
            judge_nd_form(packet, kind)
            if kind == RA:
                require((source, source_mac) == (self.router, self.router_mac), "RA that is not of the router [P61]")
                require({*lla_options(packet.payload[16:], [1])} <= {source_mac}, "RA with the MAC of another [P60]")
            else:
                target = target_of(packet)
                self.judge_claim(now, packet, source_mac, kind, target)
        elif packet.upper == UDP and (packet.ports[0] == DHCP_SERVER or packet.ports[1] in (DHCP_CLIENT, DHCP_SERVER)):
            return self.judge_server_message(packet, source_mac)
        never = any(source in network for network in NEVER) and source != NOBODY
        require(not is_multicast(source) and not never, "source is nobody's")
        require(source != NOBODY or is_dad or kind in (MLD_QUERY, MLD_REPORT, MLD_DONE, MLD2_REPORT), "from ::")
        young = target is not None and self.is_young(target, now, SLACK)
        require(young or source in self.shared or not self.is_own(source, now, surely=True), "source is the guest's own")
        require(source != self.router or source_mac == self.router_mac or not self.knows_gateway(now),
                "the router's address from another MAC [P60]")
        require(source not in self.residents or source_mac == self.resident_mac, "the host's address from another MAC")
        require(is_multicast(to) or not is_group(mac), "unicast address under a group MAC")
        if kind in ERRORS and len(packet.payload) >= 48 and packet.payload[8] >> 4 == 6:
            require(self.is_held(quoted_by(packet)[0], now), "ICMPv6 error about what the guest did not send [P71]")

    def judge_claim(self, now, packet, source_mac, kind, target):
        claimed = target if kind == NA else packet.source
        options = [*lla_options(packet.payload[24:]), source_mac]
        require(claimed != self.router or not self.knows_gateway(now) or all(mac == self.router_mac for mac in options),
                "claims the router's address [P60]")
        require(claimed not in self.residents or set(options) == {self.resident_mac}, "claims the host's address")
        if kind == NA and target not in self.shared and self.is_own(target, now, surely=True):
            require(self.is_young(target, now, SLACK), "claims the guest's address [P60]")

    def is_young(self, address, now, slack):
        """The guest still listens whether another has it, so it may hear so."""
        held = self.held.get(address)
        return held is not None and now < held.since + (YOUNG_LEASE if held.leased else YOUNG) + slack and \
            not self.is_made_from_mac(address, now, SLACK)

    def judge_server_message(self, packet, source_mac):
        require(packet.ports[1] == DHCP_CLIENT, "DHCPv6 other than to a client")
        require(packet.fragment is None, "DHCPv6 in fragments")
        require(len(packet.payload) >= 12 and u16(packet.payload, 4) >= 12, "DHCPv6 cut")
        require((packet.source, source_mac) == (self.server, self.server_mac), "DHCPv6 from another server")
        message = Message(packet.payload[8:u16(packet.payload, 4)])
        require(message.transaction in self.transactions, "DHCPv6 that the guest did not ask for")

    # --- what the wire tells ------------------------------------------------------------------------------------------

    def learn(self, now, data):
        """From a frame that arrived in front of the guard, and may come through it."""
        packet = Packet(data)
        kind = packet.icmp_type
        if kind in (NA, NS) and (kind == NA or packet.source == NOBODY) and has_right_checksum(packet):
            target = target_of(packet)
            if kind == NS and not self.is_own(target, now):
                self.wanted[target] = now
            if self.is_young(target, now, -EARLY) and (kind == NA or now < self.held[target].since + DAD_WAIT - EARLY):
                self.learn_conflict(target)
        elif kind == RA:
            self.learn_router(now, packet)
        elif packet.ports[1] == DHCP_CLIENT:
            self.learn_reply(now, Message(packet.payload[8:u16(packet.payload, 4)]))


def quoted_by(packet):
    """Between whom the packet was that an ICMPv6 error is about (RFC 4443 3)."""
    quote = packet.payload[8:]
    require(len(quote) >= 40 and quote[0] >> 4 == 6, "ICMPv6 error without a quote [P71]")
    return ipaddress.IPv6Address(bytes(quote[8:24])), ipaddress.IPv6Address(bytes(quote[24:40]))


def embedded(address, length):
    """RFC 6052 2.2: the IPv4 address behind a NAT64 prefix; octet 8 is not used."""
    octets = address.packed[:8] + address.packed[9:] if length < 96 else address.packed
    return octets[length // 8:length // 8 + 4]


def judge_mapping(mac, to):
    require(mac == group_mac(to) if is_multicast(to) else not is_group(mac), "MAC and IPv6 address disagree")


def judge_headers(packet, longest=None):
    """RFC 8200 4.1, and what nobody honest has a use for. `longest`: octets of options that a guest sends."""
    kinds = [kind for kind, _ in packet.headers]
    require(ROUTING not in kinds and packet.upper != ROUTING, "routing header [P58]")
    known = (HOP_BY_HOP, DESTINATION, FRAGMENT, AUTHENTICATION)
    require(set(kinds) <= set(known), "unknown extension header")
    require(packet.upper not in (*known, 59, 135, 139, 140, 253, 254, 255), "unknown extension header at the end")
    require(len(kinds) <= 6 and kinds.count(DESTINATION) <= 2, "too many extension headers")
    require(HOP_BY_HOP not in kinds[1:], "Hop-by-Hop header that is not the first")
    for kind, content in packet.headers:
        if kind in (HOP_BY_HOP, DESTINATION):
            require(longest is None or len(content) <= longest, "long extension header")
        require(kind != HOP_BY_HOP or JUMBO not in dict(options_of(content)), "jumbo option")
        require(kind != AUTHENTICATION or len(content) >= 12, "Authentication Header cut")
    require(kinds.count(FRAGMENT) <= 1, "two Fragment headers")
    octets, fragment = len(packet.payload), packet.fragment
    if packet.is_piece:
        require(kinds.index(FRAGMENT) == len(kinds) - 1, "extension header behind the Fragment header")
        require(not fragment.more or octets % 8 == 0, "fragment of odd length")
        require(fragment.offset + octets <= 65535, "fragment past the end")
        require(fragment.offset == 0 or fragment.offset >= 24, "fragment over the first header")
    if packet.has_start:
        require(octets >= HEADER_OCTETS.get(packet.upper, 0), "headers are not whole in the first fragment")
        if packet.upper == UDP and not packet.is_piece and longest is not None:
            require(8 <= u16(packet.payload, 4) <= octets, "UDP length")


def judge_nd_form(packet, kind, most_octets=65535, most_options=None):
    require(not packet.headers, "neighbor discovery behind another header [P52]")
    require(packet.hop_limit == 255, "neighbor discovery from beyond the link [P52]")
    require(ND_SIZES[kind] <= len(packet.payload) <= most_octets and packet.payload[1] == 0, "ND code or length")
    if kind != RA:
        options = nd_options(packet.payload[ND_SIZES[kind]:])
        require(most_options is None or len(options) <= most_options, "too many ND options")
        require([len(content) for code, content in options if code in (1, 2)] in ([], [6]), "link-layer options")
    if kind in (NS, NA):
        target = target_of(packet)
        require(not is_multicast(target) and int(target) > 1, "ND target")
