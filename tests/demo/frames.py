"""The frames that a hostile guest sends in the demo, built by hand and correct except for their lie. Each is a hex string,
as rawframe(1) in the guest takes it."""

import ipaddress
import struct

BROADCAST = "ff:ff:ff:ff:ff:ff"
ARP, IPV4, VLAN = 0x0806, 0x0800, 0x8100
REQUEST, REPLY = 1, 2
DISCOVER, OFFER = 1, 2


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def ip_bytes(address):
    return ipaddress.ip_address(address).packed


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ethernet(destination, source, ethertype, payload):
    frame = mac_bytes(destination) + mac_bytes(source) + struct.pack("!H", ethertype) + payload
    return frame.ljust(60, b"\0").hex()


def arp_payload(operation, sender_mac, sender_ip, target_mac, target_ip):
    return struct.pack("!HHBBH", 1, IPV4, 6, 4, operation) + mac_bytes(sender_mac) + ip_bytes(sender_ip) + \
        mac_bytes(target_mac) + ip_bytes(target_ip)


def arp(operation, sender_mac, sender_ip, target_mac, target_ip, destination=BROADCAST):
    return ethernet(destination, sender_mac, ARP,
                    arp_payload(operation, sender_mac, sender_ip, target_mac, target_ip))


def tagged_arp(vlan, sender_mac, sender_ip, target_ip):
    """An ARP request inside a VLAN tag: a filter that looks only at the outer type sees nothing that it knows."""
    inner = struct.pack("!HH", vlan, ARP) + \
        arp_payload(REQUEST, sender_mac, sender_ip, "00:00:00:00:00:00", target_ip)
    return ethernet(BROADCAST, sender_mac, VLAN, inner)


def udp(source_mac, destination_mac, source, destination, source_port, destination_port, payload):
    length = 8 + len(payload)
    pseudo = ip_bytes(source) + ip_bytes(destination) + struct.pack("!BBH", 0, 17, length)
    ports = struct.pack("!HHH", source_port, destination_port, length)
    datagram = ports + struct.pack("!H", checksum(pseudo + ports + b"\0\0" + payload) or 0xFFFF) + payload
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, 17, 0) + ip_bytes(source) + ip_bytes(destination)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return ethernet(destination_mac, source_mac, IPV4, header + datagram)


def dhcp(operation, kind, transaction, client_mac, your_ip="0.0.0.0", options=b""):
    """A DHCP message (RFC 2131 figure 1), to be carried by udp()."""
    message = struct.pack("!BBBBIHH", operation, 1, 6, 0, transaction, 0, 0x8000) + bytes(4) + ip_bytes(your_ip) + \
        bytes(8) + mac_bytes(client_mac).ljust(16, b"\0") + bytes(192) + bytes.fromhex("63825363")
    return (message + bytes([53, 1, kind]) + options + b"\xff").ljust(300, b"\0")


def discover(source_mac, client_mac, transaction):
    """Asks for a lease in the name of `client_mac`."""
    return udp(source_mac, BROADCAST, "0.0.0.0", "255.255.255.255", 68, 67,
               dhcp(REQUEST, DISCOVER, transaction, client_mac))


def offer(source_mac, server_ip, client_mac, your_ip, router, transaction):
    """Answers like a DHCP server, with itself as the router."""
    options = bytes([54, 4]) + ip_bytes(server_ip) + bytes([51, 4, 0, 0, 2, 88]) + bytes([3, 4]) + ip_bytes(router)
    return udp(source_mac, BROADCAST, server_ip, "255.255.255.255", 67, 68,
               dhcp(REPLY, OFFER, transaction, client_mac, your_ip, options))
