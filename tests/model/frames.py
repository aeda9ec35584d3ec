"""Frames, octet by octet, for traffic4.py and traffic6.py."""

import struct

from words import BROADCAST_MAC, ICMP6, UDP, checksum_of, group_mac4, group_mac6, is_group4, is_group6


def ethernet(to, source, kind, payload):
    return to.to_bytes(6, "big") + source.to_bytes(6, "big") + kind.to_bytes(2, "big") + payload


def arp(to, source, operation, sender_mac, sender, target, target_mac=0):
    return ethernet(to, source, 0x0806, struct.pack("!HHBBH6sI6sI", 1, 0x0800, 6, 4, operation, sender_mac.to_bytes(6, "big"), sender,
                                                    target_mac.to_bytes(6, "big"), target))


def filled(data, at, start=0):
    """With the checksum of RFC 1071 at this place."""
    total = checksum_of(data) + start
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    value = (~total & 0xFFFF) or 0xFFFF
    return data[:at] + value.to_bytes(2, "little") + data[at + 2:]


def ipv4(to_mac, from_mac, source, to, protocol, payload, *, ttl=64, flags=0, identification=1, options=b""):
    header = struct.pack("!BBHHHBBHII", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), identification, flags, ttl,
                         protocol, 0, source, to) + options
    return ethernet(to_mac, from_mac, 0x0800, filled(header, 10) + payload)


def udp(source, to, payload=b""):
    return struct.pack("!HHHH", source, to, 8 + len(payload), 0) + payload


def tcp(source, to, flags, payload=b""):
    return struct.pack("!HHIIBBHHH", source, to, 1, 1, 0x50, flags, 8192, 0, 0) + payload


def udp4_filled(source, to, datagram):
    """The checksum over the pseudo header (RFC 768)."""
    pseudo = struct.pack("!IIBBH", source, to, 0, UDP, len(datagram))
    return filled(datagram, 6, checksum_of(pseudo))


def icmp(kind, code=0, rest=bytes(4), payload=b""):
    return bytes([kind, code, 0, 0]) + rest + payload


def header4(source, to, protocol, payload):
    """As an error quotes it."""
    return struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(payload), 1, 0, 60, protocol, 0, source, to) + payload


def mac_for4(to, otherwise):
    return group_mac4(to) if is_group4(to) else BROADCAST_MAC if to == 0xFFFFFFFF else otherwise


def dhcp4(op, kind, xid, chaddr, *, ciaddr=0, yiaddr=0, giaddr=0, hops=0, options=(), htype=1, hlen=6, end=b"\xff"):
    listed = ([(53, bytes([kind]))] if kind is not None else []) + list(options)
    return struct.pack("!BBBBIHHIIII6s10s64s128sI", op, htype, hlen, hops, xid, 0, 0, ciaddr, yiaddr, 0, giaddr,
                       chaddr.to_bytes(6, "big"), b"", b"", b"", 0x63825363) + \
        b"".join(bytes([code, len(value)]) + value for code, value in listed) + end


def dhcp4_frame(to_mac, from_mac, source, to, ports, message):
    return ipv4(to_mac, from_mac, source, to, UDP, udp4_filled(source, to, udp(*ports, message)))


# --- IPv6 ---------------------------------------------------------------------------------------------------------------

def a16(a):
    return a.to_bytes(16, "big")


def ipv6(to_mac, from_mac, source, to, upper, payload, *, hop_limit=64):
    return ethernet(to_mac, from_mac, 0x86DD, struct.pack("!IHBB", 6 << 28, len(payload), upper, hop_limit) + a16(source) + a16(to) +
                    payload)


def mac_for6(to, otherwise):
    return group_mac6(to) if is_group6(to) else otherwise


def filled6(source, to, upper, payload, at):
    """RFC 8200 8.1."""
    pseudo = a16(source) + a16(to) + struct.pack("!II", len(payload), upper)
    return filled(payload, at, checksum_of(pseudo))


def icmp6(to_mac, from_mac, source, to, payload, *, hop_limit=255):
    return ipv6(to_mac, from_mac, source, to, ICMP6, filled6(source, to, ICMP6, payload, 2), hop_limit=hop_limit)


def udp6(to_mac, from_mac, source, to, ports, payload):
    return ipv6(to_mac, from_mac, source, to, UDP, filled6(source, to, UDP, udp(*ports, payload), 6))


def solicited_node(a):
    return 0xFF02 << 112 | 0x1FF000000 | a & 0xFFFFFF
