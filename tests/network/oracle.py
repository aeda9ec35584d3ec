"""What a guest may put on the wire and what may reach it, stated a second time, in Python and from the standards, with
nothing taken from core/. Every frame that a guard let through is held against this; one forbidden frame fails a test.

    port = oracle.Port(mac="52:54:00:00:00:0a", router="192.168.77.1", router_mac="52:54:00:00:00:01")
    faults = oracle.judge(port, records)        # records: what capture.py has seen, in the order of time
    oracle.check(port, records)                 # the same, as an assertion

The oracle believes nobody but the wire: it knows a lease because it saw the client's request leave and the real
server's ACK arrive, and it knows when that lease is over by the same means. Numbers in brackets are those of
docs/properties.md.
"""

import contextlib
import copy
import dataclasses
import ipaddress

from oracle_base import (ARRIVED, DELIVERED, LEFT, SLACK, Fault, Forbidden, charge, charge_neighbor, host_names,
                         is_group, mac_at, may_have_names, require, u16)
from oracle_leases import Lease, Transaction
from packet4 import (BOOT_PORT, CLIENT_PORT, GROUPS, ICMP, IGMP, NOBODY, SERVER_PORT, TCP, UDP, Dhcp, Ip, dhcp_of,
                     group_mac, ip_at, is_global, is_multicast, quoted_by)

ICMP_ERRORS = 3, 4, 11, 12                              # RFC 1122 3.2.2
BROADCAST_MAC, BROADCAST_IP = "ff:ff:ff:ff:ff:ff", "255.255.255.255"
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
IPV6, RARP = 0x86DD, 0x8035
RELAY_OPTIONS = {82, 118, 220, 221}     # what only a relay may say, and what asks for addresses of other networks
TRANSACTION_LIFE = 75       # s; a client repeats itself after 64 s at most (RFC 2131 4.1)
CONFLICT_WINDOW = 10        # s; RFC 5227: a new holder of an address must hear that another has it
GRACE = 30                  # s; for the connections of an address that another has replaced
NEVER = [ipaddress.ip_network(text) for text in ("0.0.0.0/8", "127.0.0.0/8")]
MDNS = "224.0.0.251", 5353


@dataclasses.dataclass
class Port:
    """A guarded port: who is behind it, and what the operator said. Rules are CIDRs."""
    mac: str
    router: str                     # the one router and DHCP server
    router_mac: str
    servers: dict = dataclasses.field(default_factory=dict)     # further trusted DHCP servers: address: MAC
    allow: tuple = ()
    block: tuple = ()
    isolated: bool = True
    host: bool = False              # --gateway: the router is the host as well, and may be spoken to
    residents: tuple = ()           # the host's own addresses, where it is not the router but may be spoken to ...
    resident_mac: str = None        # ... and its MAC
    resolvers: tuple = ()           # --dns, or an alias that opens them
    rates: bool = True              # the guard's usual limits hold
    shared: tuple = ()              # --shared-ip, each with its prefix length: the guest's, and others' as well
    max_frame: int = 1514
    names: tuple = None             # --dhcp-hostname; None: any
    ipv6: object = None             # oracle6.Port6; None: no IPv6 may pass
    anchors: object = None          # oracle_anchors.Anchors: routers and servers are learned, and none is named above
    leases: dict = dataclasses.field(default_factory=dict)          # address: Lease
    transactions: dict = dataclasses.field(default_factory=dict)    # xid: Transaction
    first_lease: float = float("inf")      # when the first ACK of all arrived
    client_ids: dict = dataclasses.field(default_factory=dict)      # identifier: until when it may have a lease
    new_client_ids: list = dataclasses.field(default_factory=list)  # times, of those beyond four
    sent_dhcp: list = dataclasses.field(default_factory=list)       # times
    sent_arp: dict = dataclasses.field(default_factory=dict)   # by kind: times

    def shares(self, address):
        return any(address == text.split("/")[0] for text in self.shared)

    def subnets(self, now):
        return [lease.subnet for lease in self.live(now)] + \
            [ipaddress.ip_network(text, strict=False) for text in self.shared]

    def owns(self, address, now):
        lease = self.leases.get(address)
        return self.shares(address) or lease is not None and now < lease.until + SLACK

    def live(self, now):
        return [lease for lease in self.leases.values() if now < lease.until + SLACK]

    def is_server(self, address, now, mac=None):
        if self.anchors and mac is None:
            return self.anchors.is_server(address, self.live(now))
        known = {self.router: self.router_mac, **self.servers}
        return address in known and mac in (None, known[address])

    def is_router(self, address):
        return address == self.router or bool(self.anchors) and address in self.anchors.routers

    def credit(self, now, address, mac, message):
        """Why what this machine answers is believed; None: it is not."""
        if not self.anchors:
            return "lock" if self.is_server(address, now, mac) else None
        t = self.transactions.get(message.xid)
        if t is None:
            return None
        return self.anchors.credit(self, now, address, mac, t, message.type == ACK and message.yiaddr == t.wanted)

    def next_hops(self, now):
        return self.anchors.next_hops(now) if self.anchors else {self.router_mac}

    def may_speak_as(self, now, address, mac):
        """As the source of a packet."""
        if self.anchors:
            return self.anchors.may_send_as(now, address, mac)
        return address != self.router or mac == self.router_mac

    def known_resolvers(self, now):
        return set(self.resolvers).union(*(lease.resolvers for lease in self.live(now)))

    def is_anchor(self, address, now):
        return self.is_router(address) or self.is_server(address, now) or address in self.known_resolvers(now)

    def rule_for(self, address):
        """True: allowed by a rule; False: blocked by one; None: no rule decides."""
        rules = [(ipaddress.ip_network(cidr).prefixlen, blocks, not blocks)
                 for blocks, cidrs in ((False, self.allow), (True, self.block)) for cidr in cidrs
                 if ipaddress.ip_address(address) in ipaddress.ip_network(cidr)]
        return max(rules)[2] if rules else None

    def is_named(self, address):
        """A rule that speaks of the whole world names nobody."""
        return any(network.prefixlen > 0 and ipaddress.ip_address(address) in network
                   for network in map(ipaddress.ip_network, self.allow)) and self.rule_for(address)


# --- from the guest ---------------------------------------------------------------------------------------------------

def judge_ethernet(port, data):
    require(14 <= len(data) <= port.max_frame, "length [P11]")
    destination, source, kind = mac_at(data, 0), mac_at(data, 6), u16(data, 12)
    require(source == port.mac, "source MAC is not the guest's [P8]")
    require(destination not in ("00:00:00:00:00:00", port.mac), "destination MAC is nobody's or the guest's")
    require(not destination.startswith("01:80:c2:00:00:0"), "bridge control group [P12]")
    require(kind in (0x0800, 0x0806, RARP) or kind == IPV6 and port.ipv6,
            "EtherType: a tag, a length, another [P9 P10 P64]")
    return destination, kind


def judge_rarp(port, destination, data):
    """RFC 903: a machine that was moved says where it is; both MACs are its own, and it names no address."""
    own = bytes.fromhex(port.mac.replace(":", ""))
    require(destination == BROADCAST_MAC, "RARP to somebody")
    require(data[:28] == bytes.fromhex("0001080006040003") + (own + bytes(4)) * 2, "RARP of another form")


def judge_arp(port, now, destination, data):
    require(len(data) >= 28 and data[:6] == bytes.fromhex("000108000604"), "ARP not for IPv4 over Ethernet [P14]")
    operation, sender_mac, sender, target = u16(data, 6), mac_at(data, 8), ip_at(data, 14), ip_at(data, 24)
    require(operation in (1, 2), "ARP operation [P14]")
    require(sender_mac == port.mac, "ARP sender MAC is not the guest's [P14]")
    require(destination == BROADCAST_MAC or not is_group(destination), "ARP to a multicast group")
    if sender == NOBODY:
        promised = set().union(*(t.promised for t in port.transactions.values() if now < t.last + TRANSACTION_LIFE))
        require(operation == 1 and (port.owns(target, now) or target in promised), "ARP probe [P16]")
    else:
        require(port.owns(sender, now), "ARP sender address is not the guest's [P15]")
        if operation == 1 and target != sender:
            may_ask = port.is_anchor(target, now) or port.owns(target, now)
            require(may_ask or may_reach(port, now, target, None, None, None), "ARP scan")


def header_octets(protocol):
    return {TCP: 20, UDP: 8, ICMP: 8}.get(protocol, 0)


def judge_ip_header(ip):
    require(ip.ttl > 0 and not ip.reserved, "IPv4 TTL 0 or reserved flag")
    require(not ip.options or (ip.protocol == IGMP and ip.options == bytes.fromhex("94040000")), "IP options [P22]")
    need, octets = header_octets(ip.protocol), len(ip.payload)
    require(ip.offset + octets <= 65535, "fragment past the end")
    if ip.offset == 0:
        require(octets >= need, "first fragment without its header [P24]")
    else:
        require(ip.offset >= need, "fragment over the first header [P24]")
    if ip.protocol == UDP and ip.offset == 0:
        length = u16(ip.payload, 4)
        require(length >= 8 and (ip.is_fragment or length <= octets), "UDP length")


def judge_client_message(port, now, destination, ip):
    """P18 to P21 and P25: the one thing that a guest may say before it has an address."""
    require(ip.source_port == CLIENT_PORT and ip.port in (SERVER_PORT, BOOT_PORT),
            "ports 67 and 68 in another pairing than client to server [P20 P21]")
    require(not ip.is_fragment, "DHCP in fragments [P25]")
    message = Dhcp(ip.payload[8:u16(ip.payload, 4)])
    require((message.op, message.htype, message.hlen, message.hops) == (1, 1, 6, 0), "DHCP fixed fields [P21]")
    require(message.chaddr == port.mac, "DHCP for another MAC [P21]")
    require(message.giaddr == NOBODY and message.yiaddr == NOBODY and not RELAY_OPTIONS & set(message.options),
            "DHCP relay [P21]")
    require(message.type in (DISCOVER, REQUEST, DECLINE, RELEASE, INFORM), "DHCP message type")
    identifier = message.options.get(61, b"")
    require(identifier[:1] != b"\1" or identifier[1:] == bytes.fromhex(port.mac.replace(":", "")),
            "DHCP client identifier of another MAC")
    require(may_have_names(port.names, host_names(message.options)), "DHCP name of another, or of a service")
    to_all = ip.destination == BROADCAST_IP
    require(to_all == (destination == BROADCAST_MAC) and (to_all or not is_group(destination)), "DHCP addressing")
    # What renews a lease that the guard does not know; it may not yet have read an ACK that is there already. Once it
    # has read one, the lease must be one that ended.
    resync = message.type == REQUEST and not any(now > lease.since + SLACK for lease in port.live(now)) and \
        (now <= port.first_lease + SLACK or message.ciaddr in port.leases)
    private = all(ipaddress.ip_address(a).is_private for a in (ip.source, ip.destination))
    require(to_all or port.is_server(ip.destination, now) or (resync and private), "DHCP to a host that is no server")
    require(ip.port == SERVER_PORT or (message.type == REQUEST and not to_all and port.owns(message.ciaddr, now)),
            "a boot server is asked for more than by what to boot")
    if ip.source == NOBODY:
        rebinds = message.type == REQUEST and (port.owns(message.ciaddr, now) or resync)     # as systemd-networkd does
        require(to_all and message.type in (DISCOVER, REQUEST, DECLINE), "DHCP form [P18]")
        require(message.ciaddr == NOBODY or rebinds, "DHCP ciaddr is not the guest's [P18]")
    else:
        require(message.ciaddr == ip.source, "DHCP ciaddr is not the sender [P18]")
        require(message.type in (REQUEST, RELEASE, INFORM), "DHCP form [P18]")
        require(port.owns(ip.source, now) or resync, "DHCP source is not the guest's [P18]")
    if message.type == DECLINE:
        wanted = message.address(50)
        given = any(wanted in t.promised for t in port.transactions.values())
        require(given or port.owns(wanted, now), "DHCP declines another's address")
    if port.rates:
        charge(port.sent_dhcp, now, 16, 2, "more DHCP messages than the limit")
        judge_client_id(port, now, identifier)


def judge_client_id(port, now, identifier):
    """Each may get a lease of its own: four, four more at once, one in 500 s, and never more than 32."""
    known = [name for name, until in port.client_ids.items() if now < until]
    if identifier not in known:
        require(len(known) < 32, "the 33rd client identifier")
        if len(known) >= 4:
            port.new_client_ids[:] = [time for time in port.new_client_ids if time > now - 1000] + [now]
            require(len(port.new_client_ids) <= 4 + 2 + 1, "more client identifiers than the limit")
    port.client_ids[identifier] = max(port.client_ids.get(identifier, 0), now + 3600)


def may_reach(port, now, address, protocol, source_port, destination_port):
    """The destination policy; the ports are None where the frame does not tell them."""
    a = ipaddress.ip_address(address)
    if any(a in network for network in NEVER) or port.owns(address, now) and not port.shares(address):
        return False
    rule = port.rule_for(address)
    if rule is not None:
        return rule
    if a in GROUPS:
        return protocol == UDP and (address, source_port) == MDNS and destination_port == MDNS[1]
    if is_global(address) and address != BROADCAST_IP:
        return True
    if port.host and address == port.router or address in port.residents:
        return True
    return protocol in (TCP, UDP) and destination_port == 53 and address in port.known_resolvers(now)


def is_broadcast(port, now, address):
    return address == BROADCAST_IP or any(address == str(subnet.broadcast_address) and subnet.prefixlen < 31
                                          for subnet in port.subnets(now))


def judge_data(port, now, destination, ip):
    require(port.owns(ip.source, now), "IPv4 source is not the guest's [P18 P19 P26]")
    require(ip.protocol not in (0, 43, 44, 58, 59, 60), "IPv6 header over IPv4")
    to = ip.destination
    if is_multicast(to):
        require(destination == group_mac(to), "multicast under another MAC")
    elif is_broadcast(port, now, to):
        require(destination == BROADCAST_MAC, "broadcast under another MAC")
    else:
        require(not is_group(destination), "unicast address under a group MAC")
    if ip.protocol == IGMP:
        require(ip.ttl == 1 and is_multicast(to) and not ip.is_fragment and len(ip.payload) >= 8 and
                ip.payload[0] in (0x12, 0x16, 0x17, 0x22), "IGMP other than a report or a leave")
        return
    if ip.protocol == ICMP:
        require(ip.offset > 0 or ip.payload[0] not in (5, 9, 18), "ICMP redirect, router advertisement, mask reply")
        require(not (ip.is_fragment and is_multicast(to)), "ICMP to a group in fragments")
        if ip.offset == 0 and ip.payload[0] in ICMP_ERRORS:
            sender, receiver = quoted_by(ip.payload)
            require(not ip.is_fragment, "ICMP error in fragments [P71]")
            require(sender == to and port.owns(receiver, now), "ICMP error about a packet of others [P71]")
    require(may_reach(port, now, to, ip.protocol, ip.source_port, ip.port), f"destination {to}")
    to_host = destination == port.resident_mac and to in port.residents
    if port.isolated and not is_group(destination) and destination not in port.next_hops(now) and not to_host:
        on_link = any(ipaddress.ip_address(to) in subnet for subnet in port.subnets(now))
        require(on_link and (port.is_named(to) or to in port.known_resolvers(now)), "next hop is not the router")


def judge_from_guest(port, now, data):
    destination, kind = judge_ethernet(port, data)
    if kind == 0x0806:
        judge_arp(port, now, destination, data[14:])
        if port.rates:
            operation, sender, target = u16(data, 20), ip_at(data, 28), ip_at(data, 38)
            about = port.is_anchor(target, now)
            charge_neighbor(port.sent_arp, now, "ARP", is_claim=sender in (NOBODY, target), is_answer=operation == 2,
                            to_gateway=destination in port.next_hops(now), about_gateway=about, destination=destination)
        return
    if kind == IPV6:
        return port.ipv6.judge_from_guest(now, destination, data[14:])
    if kind == RARP:
        return judge_rarp(port, destination, data[14:])
    ip = Ip(data[14:])
    judge_ip_header(ip)
    if ip.protocol == UDP and ip.offset == 0 and {ip.source_port, ip.port} & {67, 68}:
        judge_client_message(port, now, destination, ip)
    else:
        judge_data(port, now, destination, ip)


# --- to the guest -----------------------------------------------------------------------------------------------------

def is_server_port(port, now, ip):
    """A server may answer from any port, but to an address that is leased already from that of the lease."""
    lease = port.leases.get(ip.destination)
    return ip.source_port == SERVER_PORT or not lease or now >= lease.until - SLACK or \
        ip.source_port == lease.server_port


def judge_server_message(port, now, source, ip):
    require(ip.port == CLIENT_PORT and not ip.is_fragment, "DHCP other than from server to client")
    message = Dhcp(ip.payload[8:u16(ip.payload, 4)])
    require(port.credit(now, ip.source, source, message), "DHCP from another server")
    require(message.op == 2 and message.chaddr == port.mac, "DHCP reply for another machine")
    require(message.type in (OFFER, ACK, NAK), "DHCP message type")
    require(message.xid in port.transactions, "DHCP reply that the guest did not ask for")
    asked_boot_server = port.transactions[message.xid].to_boot_server
    require(asked_boot_server or is_server_port(port, now, ip), "DHCP from another port than the lease")


def judge_to_guest(port, now, data):
    require(14 <= len(data) <= port.max_frame, "length [P11]")
    destination, source, kind = mac_at(data, 0), mac_at(data, 6), u16(data, 12)
    require(not is_group(source) and source not in ("00:00:00:00:00:00", port.mac), "source MAC")
    require(destination == port.mac or is_group(destination), "unicast for another machine [P62]")
    require(not destination.startswith("01:80:c2:00:00:0"), "bridge control group")
    require(kind in (0x0800, 0x0806) or kind == IPV6 and port.ipv6, "EtherType [P9 P61 P64]")
    if kind == IPV6:
        return port.ipv6.judge_to_guest(now, destination, source, data[14:])
    held = {lease.address for lease in port.live(now) if lease.since + SLACK < now < lease.until - SLACK and
            not port.shares(lease.address)}     # surely: what it lets in may have come before the ACK
    old = {address for address in held if now > port.leases[address].since + CONFLICT_WINDOW + SLACK}
    if kind == 0x0806:
        arp = data[14:]
        require(len(arp) >= 28 and arp[:6] == bytes.fromhex("000108000604") and u16(arp, 6) in (1, 2), "odd ARP")
        sender, sender_mac = ip_at(arp, 14), mac_at(arp, 8)
        require(sender not in old, "ARP claims the guest's address [P60]")
        require(sender not in port.residents or source == port.resident_mac, "ARP claims the host")
        if sender_mac != source:        # RFC 826 leaves it open; what matters must not be answered for by others
            require(not is_group(sender_mac) and sender_mac not in ("00:00:00:00:00:00", port.mac), "ARP sender MAC")
            matters = sender in held or sender in port.known_resolvers(now) or port.is_server(sender, now) or \
                port.is_router(sender) and not {source, sender_mac} <= port.next_hops(now)
            require(not matters, "ARP sender MAC is not the frame's")
        if port.anchors:
            require(port.anchors.may_claim(now, sender, sender_mac, u16(arp, 6) == 2), "ARP claims a router [P60]")
        require(not held or sender != port.router or source == port.router_mac, "ARP claims the router [P60]")
        return
    ip = Ip(data[14:])
    if ip.protocol == UDP and ip.offset == 0 and {ip.source_port, ip.port} & {67, 68}:
        judge_server_message(port, now, source, ip)
        return
    require(ip.source not in held, "the guest's own address from outside")
    first = int(ip.source.split(".")[0])
    require(first != 127 and first < 224 and (first != 0 or ip.protocol == IGMP), "source that no host has")
    require(not held or port.may_speak_as(now, ip.source, source), "the router's address from another")
    require(ip.source not in port.residents or source == port.resident_mac, "the host's address from another")
    require(is_multicast(ip.destination) or is_broadcast(port, now, ip.destination) or not is_group(destination),
            "unicast address under a group MAC")
    require(ip.protocol != ICMP or ip.offset > 0 or ip.payload[:1] not in (b"\5", b"\t", b"\x12"), "ICMP that steers")
    if ip.protocol == ICMP and ip.offset == 0 and ip.payload[:1] in [bytes([kind]) for kind in ICMP_ERRORS]:
        try:
            sender, _ = quoted_by(ip.payload)
        except Forbidden:
            return      # what nobody can read tells nobody anything
        require(port.owns(sender, now), "ICMP error about a packet that the guest did not send [P71]")


# --- what the wire tells of leases ------------------------------------------------------------------------------------

def learn_from_client(port, now, destination, message, to_boot_server):
    if port.anchors and message.type in (DISCOVER, REQUEST) and not to_boot_server:
        port.anchors.asks_server(port, now, message.type == DISCOVER, destination, message.ciaddr)
    if message.type in (DISCOVER, REQUEST, INFORM):
        identifier, is_new = message.options.get(61, b""), message.xid not in port.transactions
        t = port.transactions.setdefault(message.xid, Transaction(now, now, identifier))
        t.last, t.client_id, t.closed, t.to_boot_server = now, identifier, False, to_boot_server
        t.is_secret = destination != BROADCAST_MAC and message.type == REQUEST and message.ciaddr != NOBODY and \
            (is_new or t.is_secret)
        t.to_all, t.answered = destination == BROADCAST_MAC and message.type != INFORM, False
        if message.type == REQUEST and not to_boot_server:
            t.wanted = message.ciaddr if message.ciaddr != NOBODY else message.address(50)
            t.requested, t.chosen = t.requested or now, message.address(54)
    elif message.type in (RELEASE, DECLINE):
        # The server may give it away at once; an answer to what was asked before gives it back to nobody [P31].
        port.leases.pop(message.ciaddr if message.type == RELEASE else message.address(50), None)
        for t in port.transactions.values():
            t.closed = True


def learn_from_server(port, now, mac, ip, message):
    t, credit = port.transactions.get(message.xid), port.credit(now, ip.source, mac, message)
    if credit is None or t is None or t.to_boot_server or message.op != 2 or message.chaddr != port.mac or \
            not is_server_port(port, now, ip):
        return
    if port.anchors and t.answered:
        if message.type == ACK and t.overhearer not in (None, mac) and credit == "lock":
            port.anchors.overheard(ip.source, t.overhearer)
        return
    if port.anchors and credit == "lock" and now < t.last + TRANSACTION_LIFE:
        port.anchors.answered(t.to_all)
    if port.anchors and NOBODY != t.chosen != message.address(54):
        return
    t.answered = message.type in (ACK, NAK)
    if message.type == NAK and t.wanted in port.leases:
        port.leases[t.wanted].until = min(port.leases[t.wanted].until, now + SLACK)     # [P32]
    if message.type in (OFFER, ACK) and message.yiaddr != NOBODY:
        t.promised.add(message.yiaddr)
    if message.type == ACK and not t.closed and message.yiaddr != NOBODY and len(message.options.get(51, b"")) == 4:
        lease = learn_lease(port, now, t, ip, message)
        if port.anchors:
            t.overhearer = mac if credit == "secret" else None
            port.anchors.lists(now, lease.routers, lease.until)
            port.anchors.acknowledged(now, ip.source, mac, lease.until, credit)


def learn_lease(port, now, t, ip, message):
    seconds = int.from_bytes(message.options[51], "big")
    mask = message.address(1) if 1 in message.options else BROADCAST_IP
    subnet = ipaddress.ip_network(f"{message.yiaddr}/{mask}", strict=False)
    for other in port.leases.values():
        if other.address != message.yiaddr and other.client_id == t.client_id:
            other.until, other.successor = min(other.until, now + GRACE), message.yiaddr
    old = port.leases.get(message.yiaddr)
    since = old.since if old and now < old.until else now
    begin = t.requested if t.requested is not None else t.since
    port.first_lease = min(port.first_lease, now)
    port.client_ids[t.client_id] = max(port.client_ids.get(t.client_id, 0), begin + seconds)
    routers = *message.addresses(3), *message.routers_of_routes()
    lease = Lease(message.yiaddr, since, begin + seconds, subnet, message.addresses(6), t.client_id, ip.source_port,
                  message.address(54), routers)
    port.leases[message.yiaddr] = lease
    return lease


def end_grace(port, now, data):
    """A guest that uses its new address has no more need of the one that it replaced."""
    kind = u16(data, 12) if len(data) >= 42 else None
    source = {0x0800: ip_at(data, 26), 0x0806: ip_at(data, 28)}.get(kind)
    for lease in port.leases.values():
        if lease.successor is not None and lease.successor == source:
            lease.until = min(lease.until, now)


def learn(port, record):
    if port.ipv6 and record.where == ARRIVED and record.data[12:14] == b"\x86\xdd":
        with contextlib.suppress(Forbidden):        # what must not come through the guard tells nothing
            judge_to_guest(port, record.time, record.data)
            port.ipv6.learn(record.time, record.data[14:])
    if port.anchors and len(record.data) >= 14:
        if record.where == LEFT:
            port.anchors.asks_router(port, record.time, record.data)
        elif record.where == ARRIVED:
            port.anchors.arrived(record.data)
    found = dhcp_of(record.data) if record.where != DELIVERED else None
    if found is None:
        if record.where == LEFT:
            end_grace(port, record.time, record.data)
        return
    ip, message = found
    if record.where == LEFT:
        learn_from_client(port, record.time, mac_at(record.data, 0), message, ip.port == BOOT_PORT)
    else:
        learn_from_server(port, record.time, mac_at(record.data, 6), ip, message)


def judge(port, records):
    """Every forbidden frame among the records, with the reason."""
    faults = []
    for record in sorted(records, key=lambda record: record.time):
        try:
            if record.where == LEFT:
                judge_from_guest(port, record.time, record.data)
            elif record.where == DELIVERED:
                judge_to_guest(port, record.time, record.data)
        except Forbidden as why:
            faults.append(Fault(record, str(why)))
        learn(port, record)
    return faults


def check(port, records, name="the guest", lag=0.0):
    """As judge(); but a machine with too much to do reads late. `lag` is how many seconds late the guard may have read what
    arrived: a fault is one that stays, however much of this it took."""
    untouched = copy.deepcopy(port)
    faults = judge(port, records)
    for part in (0.25, 0.5, 1.0):
        if not faults or lag <= SLACK:
            break
        late = [dataclasses.replace(record, time=record.time + lag * part) if record.where == ARRIVED else record
                for record in records]
        still = {id(fault.record) for fault in judge(copy.deepcopy(untouched), late)}
        faults = [fault for fault in faults if id(fault.record) in still]
    assert not faults, f"{name}: {len(faults)} of {len(records)} frames are forbidden:\n" + \
        "\n".join(map(str, faults[:10]))
