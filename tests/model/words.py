"""What the parts of the model are made of: octets to numbers, addresses that are special, and what the operator said.

A MAC address is a number, and so is an IP address. Verdicts are the words of docs/reasons.md.
"""

import dataclasses
import ipaddress

PASS = "pass"
BROADCAST_MAC = 0xFFFFFFFFFFFF
ICMP, IGMP, TCP, UDP, ICMP6, SCTP = 1, 2, 6, 17, 58, 132
HEADER_OCTETS = {TCP: 20, SCTP: 12, UDP: 8, ICMP: 8}
NEVER = float("inf")
MDNS4, MDNS6 = 0xE00000FB, 0xFF02 << 112 | 0xFB


def number(data, at, octets):
    return int.from_bytes(data[at:at + octets], "big")


def u16(data, at):
    return data[at] << 8 | data[at + 1]


def is_group_mac(mac):
    return mac >> 40 & 1 == 1


def ip(text):
    return int(ipaddress.ip_address(text))


def in_prefix(a, prefix, length, bits):
    return a >> (bits - length) == prefix >> (bits - length)


class Ranges:
    """Whether an address is in one of some networks, and in none of those that are taken out again."""
    def __init__(self, listed, but=()):
        self.listed, self.but = ([(int(n.network_address), int(n.broadcast_address)) for n in map(ipaddress.ip_network, part)]
                                 for part in (listed, but))

    def __contains__(self, a):
        return any(low <= a <= high for low, high in self.listed) and not any(low <= a <= high for low, high in self.but)


# IANA's registries of special-purpose addresses (RFC 6890, and later ones that change them).
SPECIAL4 = Ranges(["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
                   "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
                   "224.0.0.0/3"], but=["192.0.0.9/32", "192.0.0.10/32"])
SPECIAL6 = Ranges(["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"],
                  but=["2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:3::/32", "2001:4:112::/48", "2001:20::/28",
                       "2001:30::/28"])
LAN4 = [(ip(a), n) for a, n in (("10.0.0.0", 8), ("172.16.0.0", 12), ("192.168.0.0", 16), ("100.64.0.0", 10), ("169.254.0.0", 16))]
LAN6 = [(ip("fc00::"), 7), (ip("fe80::"), 10)]


def is_global4(a):
    return a not in SPECIAL4


def is_global6(a):
    return a >> 125 == 1 and a not in SPECIAL6


def is_wide6(a):
    """Meant for more than one link: 2000::/3, which is delegated, or fc00::/7."""
    return is_delegated6(a) or a >> 121 == 0xFC >> 1


def is_delegated6(a):
    return a >> 125 == 1


def is_group4(a):
    return a >> 28 == 0xE


def is_group6(a):
    return a >> 120 == 0xFF


def is_link_local6(a):
    return a >> 64 == 0xFE80 << 48


def group_mac4(a):
    return 0x01005E000000 | a & 0x7FFFFF


def group_mac6(a):
    return 0x333300000000 | a & 0xFFFFFFFF


def eui64(mac):
    """RFC 4291 appendix A."""
    return (mac >> 40 ^ 2) << 56 | (mac >> 24 & 0xFFFF) << 40 | 0xFFFE << 24 | mac & 0xFFFFFF


def checksum_of(data):
    if len(data) % 2:
        data = bytes(data) + b"\0"
    total = sum(memoryview(bytes(data)).cast("H"))      # RFC 1071 2 B: the order of octets does not matter for 0xffff
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@dataclasses.dataclass
class Settings:
    """What the operator said. Rules are (allows, direction, target, protocol, ports): see policy.py."""
    vm_mac: int = 0x52540000000A
    mtu: int = 1500
    statics: list = dataclasses.field(default_factory=list)      # (family, address, length) of --vm-ip
    shared: list = dataclasses.field(default_factory=list)       # the same, of --shared-ip
    hosts4: list = dataclasses.field(default_factory=list)       # --gateway
    hosts6: list = dataclasses.field(default_factory=list)
    gateway_macs: list = dataclasses.field(default_factory=list)
    servers4: list = dataclasses.field(default_factory=list)     # --dhcp-server
    servers6: list = dataclasses.field(default_factory=list)
    resolvers4: list = dataclasses.field(default_factory=list)   # --dns
    resolvers6: list = dataclasses.field(default_factory=list)
    nat64: list = dataclasses.field(default_factory=list)        # (prefix, length)
    rules: list = dataclasses.field(default_factory=list)
    inbound: str = ""
    isolation: str = ""
    ipv6: str = "guard"
    eui64_only: bool = False
    no_dhcp: bool = False
    no_resync: bool = False
    strict_anchors: bool = False
    strict_ids: bool = False
    host_names: object = None                   # None: any but those of services
    arp_conflicts_pass: bool = False

    def words(self):
        """As a command line says it; there are no rates, so that every frame is looked at."""
        def text(family, *rest):
            a = ipaddress.IPv4Address(rest[0]) if family == 4 else ipaddress.IPv6Address(rest[0])
            return "/".join([str(a), *map(str, rest[1:])])

        def mac(m):
            return m.to_bytes(6, "big").hex(":")

        lists = {"vm-ip": [text(*one) for one in self.statics], "shared-ip": [text(*one) for one in self.shared],
                 "gateway-mac": [mac(m) for m in self.gateway_macs], "nat64": [text(6, *one) for one in self.nat64],
                 "allow": [rule_text(r) for r in self.rules if r[0]], "block": [rule_text(r) for r in self.rules if not r[0]]}
        for name, four, six in (("gateway", self.hosts4, self.hosts6), ("dhcp-server", self.servers4, self.servers6),
                                ("dns", self.resolvers4, self.resolvers6)):
            lists[name] = [text(4, a) for a in four] + [text(6, a) for a in six]
        words = [f"--vm-mac-address={mac(self.vm_mac)}", f"--mtu={self.mtu}", f"--ipv6={self.ipv6}"]
        words += [f"--{name}={','.join(values)}" for name, values in lists.items() if values]
        words += [f"--rate={name}=1/0" for name in RATES]
        words += [f"--{name}={value}" for name, value in (("inbound", self.inbound), ("isolation", self.isolation)) if value]
        flags = {"--ipv6-iid=eui64": self.eui64_only, "--no-dhcp": self.no_dhcp, "--no-resync": self.no_resync,
                 "--anchors=strict": self.strict_anchors, "--dhcp-client-id=strict": self.strict_ids,
                 "--arp-conflicts=pass": self.arp_conflicts_pass}
        words += [word for word, is_given in flags.items() if is_given]
        if self.host_names is not None:
            words.append(f"--dhcp-hostname={','.join(self.host_names) or 'none'}")
        return words


RATES = ("dhcp", "decline", "resync", "newid", "newid6", "newlease", "newlease6", "newia6", "arp", "nd", "rs", "newbind6", "unbound6",
         "mcast", "stream", "slowpath", "u-dhcp", "u-ra", "u-dad", "uplink-bum", "u-slowpath")


def rule_text(rule):
    _, direction, target, protocol, ports = rule
    if isinstance(target, tuple):
        family, prefix, length = target
        text = str(ipaddress.IPv4Address(prefix) if family == 4 else ipaddress.IPv6Address(prefix))
        target = f"{text}/{length}" if family == 4 else f"[{text}]/{length}"
    port = "" if not ports else str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"
    qualifier = "/".join(filter(None, [protocol, port]))
    return " ".join(filter(None, [direction, target])) + (f":{qualifier}" if qualifier else "")
