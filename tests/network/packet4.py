"""IPv4 and DHCP as the standards write them, for the oracle: octets to objects, and no opinion."""

import ipaddress
import struct

from oracle_base import Forbidden, mac_at, require, u16

NOBODY = "0.0.0.0"
CLIENT_PORT, SERVER_PORT, BOOT_PORT = 68, 67, 4011
ICMP, IGMP, TCP, UDP = 1, 2, 6, 17

# Python's ipaddress knows IANA's registry; these are special, or not, by later RFCs (6890, 7526, 7723, 8155).
NOT_GLOBAL = [ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "240.0.0.0/4")]
GLOBAL_AFTER_ALL = {ipaddress.ip_address("192.0.0.9"), ipaddress.ip_address("192.0.0.10")}
GROUPS = ipaddress.ip_network("224.0.0.0/4")


def ip_at(data, at):
    return ".".join(map(str, data[at:at + 4]))


def is_multicast(address):
    return ipaddress.ip_address(address) in GROUPS


def group_mac(address):
    """RFC 1112 6.4."""
    low = int(ipaddress.ip_address(address)) & 0x7FFFFF
    return bytes([0x01, 0, 0x5E, low >> 16, low >> 8 & 255, low & 255]).hex(":")


def is_global(address):
    a = ipaddress.ip_address(address)
    return a in GLOBAL_AFTER_ALL or (a.is_global and not any(a in network for network in NOT_GLOBAL))


class Ip:
    """An IPv4 header (RFC 791), with the ports where the packet has them."""

    def __init__(self, data):
        require(len(data) >= 20 and data[0] >> 4 == 4, "not IPv4")
        self.header, self.total = (data[0] & 15) * 4, u16(data, 2)
        require(20 <= self.header <= self.total <= len(data), "IPv4 lengths")
        flags = u16(data, 6)
        self.reserved, self.more, self.offset = flags & 0x8000, bool(flags & 0x2000), (flags & 0x1FFF) * 8
        self.ttl, self.protocol = data[8], data[9]
        self.source, self.destination = ip_at(data, 12), ip_at(data, 16)
        self.options, self.payload = data[20:self.header], data[self.header:self.total]
        self.is_fragment = self.more or self.offset > 0
        self.source_port = self.port = None
        if self.protocol in (TCP, UDP) and self.offset == 0 and len(self.payload) >= 4:
            self.source_port, self.port = struct.unpack("!HH", self.payload[:4])


class Dhcp:
    """A DHCP message (RFC 2131 figure 1)."""

    def __init__(self, data):
        require(len(data) >= 240 and data[236:240] == bytes.fromhex("63825363"), "not a DHCP message")
        self.op, self.htype, self.hlen, self.hops = data[:4]
        self.xid = data[4:8]
        self.ciaddr, self.yiaddr, self.giaddr = ip_at(data, 12), ip_at(data, 16), ip_at(data, 24)
        self.chaddr = mac_at(data, 28)
        self.options, at = {}, 240
        while at < len(data) and data[at] != 255:
            if data[at] == 0:
                at += 1
                continue
            if self.op == 2 and (at + 1 == len(data) or at + 2 + data[at + 1] > len(data)):
                break           # a server that wrote more than it sent; what is whole counts
            require(at + 1 < len(data) and at + 2 + data[at + 1] <= len(data), "DHCP option runs past the end")
            value = data[at + 2:at + 2 + data[at + 1]]
            if self.op == 1 or self.options.get(data[at]) != value:     # a server may say a thing twice
                self.options[data[at]] = self.options.get(data[at], b"") + value
            at += 2 + data[at + 1]
        self.type = self.options[53][0] if len(self.options.get(53, b"")) == 1 else None

    def addresses(self, option):
        value = self.options.get(option, b"")
        return tuple(ip_at(value, at) for at in range(0, len(value) - 3, 4))

    def routers_of_routes(self):
        """RFC 3442: width, as many octets as it covers, router."""
        routes, routers = self.options.get(121, b""), []
        while routes:
            octets = 1 + (routes[0] + 7) // 8
            if routes[0] > 32 or len(routes) < octets + 4:
                return ()
            routers.append(ip_at(routes, octets))
            routes = routes[octets + 4:]
        return tuple(router for router in routers if router != NOBODY)

    def address(self, option):
        return (self.addresses(option) + (NOBODY,))[0]


def dhcp_of(data):
    """The DHCP message in a frame, and its IP header; None for whatever else."""
    try:
        require(len(data) >= 34 and u16(data, 12) == 0x0800, "not IPv4")
        ip = Ip(data[14:])
        is_request = ip.source_port == CLIENT_PORT and ip.port in (SERVER_PORT, BOOT_PORT)
        require(ip.protocol == UDP and not ip.is_fragment and (is_request or ip.port == CLIENT_PORT), "not DHCP")
        return ip, Dhcp(ip.payload[8:u16(ip.payload, 4)])
    except Forbidden:
        return None


def quoted_by(error):
    """Between whom the packet was that an ICMP error is about (RFC 792)."""
    quote = error[8:]
    require(len(quote) >= 20 and quote[0] >> 4 == 4 and 20 <= (quote[0] & 15) * 4 <= len(quote),
            "ICMP error without a quote [P71]")
    return ip_at(quote, 12), ip_at(quote, 16)
