"""Reads an IPv6 packet (RFC 8200), and what its addresses are (RFC 4291, IANA's registry), for oracle6.py."""

import dataclasses
import ipaddress
import struct

from oracle_base import require, u16

HOP_BY_HOP, TCP, UDP, ROUTING, FRAGMENT, AUTHENTICATION, ICMP6, DESTINATION = 0, 6, 17, 43, 44, 51, 58, 60
EXTENSIONS = HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION, 135, 139, 140     # RFC 7045, without ESP
JUMBO = 0xC2

GLOBAL = ipaddress.ip_network("2000::/3")       # all that IANA delegates
SPECIAL = [ipaddress.ip_network(text) for text in (
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
GLOBAL_AFTER_ALL = [ipaddress.ip_network(text) for text in (
    "2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:3::/32", "2001:4:112::/48", "2001:20::/28",
    "2001:30::/28")]


def ip6_at(data, at):
    return ipaddress.IPv6Address(bytes(data[at:at + 16]))


def is_multicast(address):
    return address.packed[0] == 0xFF


def is_link_local(address):
    """fe80::/64; the rest of fe80::/10 must be zero, and is nobody's (RFC 4291 2.5.6)."""
    return address.packed[:8] == b"\xfe\x80\0\0\0\0\0\0"


def is_global6(address):
    return address in GLOBAL and (not any(address in network for network in SPECIAL) or
                                  any(address in network for network in GLOBAL_AFTER_ALL))


def group_mac(address):
    """RFC 2464 7."""
    return "33:33:" + address.packed[12:].hex(":")


def solicited_node(address):
    return ipaddress.IPv6Address(ipaddress.IPv6Address("ff02::1:ff00:0").packed[:13] + address.packed[13:])


def eui64(mac):
    """The modified EUI-64 identifier of a MAC address (RFC 4291 appendix A)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    return bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]


@dataclasses.dataclass
class Fragment:
    offset: int
    more: bool
    identification: int
    next_header: int

    @property
    def is_piece(self):
        """Else it is atomic: whole by itself, whatever else comes with its identification (RFC 6946)."""
        return self.more or self.offset > 0


class Packet:
    """An IPv6 packet: its extension headers, and what stands behind them. Forbidden, if it cannot be read so far."""

    def __init__(self, data):
        require(len(data) >= 40 and data[0] >> 4 == 6, "not IPv6")
        self.end = 40 + u16(data, 4)
        require(40 < self.end <= len(data), "IPv6 payload length")
        self.hop_limit, self.source, self.destination = data[7], ip6_at(data, 8), ip6_at(data, 24)
        self.pseudo_header = data[8:40]
        self.walk(data[6], data[40:self.end])

    def walk(self, kind, data):
        self.headers, self.fragment, at = [], None, 0       # headers: (kind, octets)
        while kind in EXTENSIONS and (self.fragment is None or self.fragment.offset == 0):
            require(at + 8 <= len(data), "extension header cut")
            size = {FRAGMENT: 8, AUTHENTICATION: (data[at + 1] + 2) * 4}.get(kind, (data[at + 1] + 1) * 8)
            require(at + size <= len(data), "extension header cut")
            self.headers.append((kind, bytes(data[at:at + size])))
            if kind == FRAGMENT:
                place, identification = struct.unpack_from("!HI", data, at + 2)
                self.fragment = Fragment(place & 0xFFF8, bool(place & 1), identification, data[at])
            kind, at = data[at], at + size
        self.upper, self.payload = kind, bytes(data[at:])
        self.is_piece = self.fragment is not None and self.fragment.is_piece
        self.has_start = self.fragment is None or self.fragment.offset == 0
        self.icmp_type = self.payload[0] if self.has_start and kind == ICMP6 and self.payload else None
        self.ports = None, None
        if self.has_start and kind in (TCP, UDP) and len(self.payload) >= 4:
            self.ports = struct.unpack_from("!HH", self.payload)


def has_right_checksum(packet):
    """Of ICMPv6 (RFC 4443 2.3)."""
    octets = packet.pseudo_header + struct.pack("!II", len(packet.payload), ICMP6) + packet.payload
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets[:len(octets) & ~1]))
    total += octets[-1] << 8 if len(octets) % 2 else 0
    return total % 0xFFFF == 0


def options_of(header):
    """(type, content) of the options in a Hop-by-Hop or Destination Options header, up to one that is cut."""
    options, at = [], 2
    while at < len(header):
        if header[at] == 0:
            at += 1
            continue
        if at + 1 == len(header) or at + 2 + header[at + 1] > len(header):
            break
        options.append((header[at], header[at + 2:at + 2 + header[at + 1]]))
        at += 2 + header[at + 1]
    return options


class Whole(Packet):
    """What a receiver makes of fragments: only what can be read of its beginning."""

    def __init__(self, kind, data):
        self.walk(kind, data)


def reassembled(packets):
    """Every beginning that these fragments of one packet can give, whichever of two overlapping ones wins."""
    found = []
    for first in (packet for packet in packets if packet.fragment.offset == 0):
        for order in packets, packets[::-1]:
            octets = {}
            for packet in [*order, first]:
                # What the offset-zero piece carries goes with its next header (RFC 8200 4.5).
                at = packet.fragment.offset
                content = packet.payload if at else first_content(packet)
                octets.update(zip(range(at, at + len(content)), content))
            end = next(at for at in range(len(octets) + 1) if at not in octets)
            found.append(Whole(first.fragment.next_header, bytes(octets[at] for at in range(end))))
    return found


def first_content(packet):
    """All that stands behind the Fragment header of a first piece."""
    kinds = [kind for kind, _ in packet.headers]
    return b"".join(content for _, content in packet.headers[kinds.index(FRAGMENT) + 1:]) + packet.payload
