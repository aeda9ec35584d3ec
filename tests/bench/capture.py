#!/usr/bin/env python3
"""Writes a capture of many frames for `softnet replay`: a lease, then what a busy guest and its network send each other, and
a few attacks. Nothing is random, so two runs give the same file.

    tests/bench/capture.py FILE [FRAMES]
"""

import socket
import struct
import sys

GUEST, ROUTER = bytes.fromhex("52540000000a"), bytes.fromhex("525400000001")
ME, GATEWAY, SERVER = "192.168.64.10", "192.168.64.1", "1.1.1.1"
COMMENT = "softnet bench\n--vm-mac-address=52:54:00:00:00:0a\n--vm-ip=192.168.64.10/24\n--gateway=192.168.64.1\n" \
    "--gateway-mac=52:54:00:00:00:01\n--inbound=established\n--block=8.8.8.8\n"


def ipv4(source, target, from_ip, to_ip, protocol, payload):
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0)
    return target + source + b"\x08\x00" + head + socket.inet_aton(from_ip) + socket.inet_aton(to_ip) + payload


def tcp(from_port, to_port, flags, data=b""):
    return struct.pack("!HHIIBBHHH", from_port, to_port, 0, 0, 0x50, flags, 8192, 0, 0) + data


def turn(number):
    """Ten frames: a connection that is opened, answered and closed, and what rules and the judge refuse."""
    port, data = 1024 + number % 60000, bytes(1000)
    out = lambda payload: ipv4(GUEST, ROUTER, ME, SERVER, 6, payload)
    back = lambda payload: ipv4(ROUTER, GUEST, SERVER, ME, 6, payload)
    return [(0, out(tcp(port, 443, 2))), (1, back(tcp(443, port, 0x12))), (0, out(tcp(port, 443, 0x10))),
            (0, out(tcp(port, 443, 0x18, data[:200]))), (1, back(tcp(443, port, 0x18, data))),
            (1, back(tcp(443, port, 0x11))), (0, out(tcp(port, 443, 0x11))),
            (0, ipv4(GUEST, ROUTER, ME, "8.8.8.8", 17, struct.pack("!HHHH", port, 53, 8, 0))),
            (0, ipv4(GUEST, ROUTER, "192.168.64.99", SERVER, 6, tcp(port, 80, 2))),
            (1, ipv4(ROUTER, GUEST, "10.0.0.9", ME, 6, tcp(port, 22, 2)))]


def block(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def main():
    path, wanted = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1000000
    with open(path, "wb", 1 << 20) as file:
        file.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1) + option(1, COMMENT.encode()) + bytes(4)))
        for name in b"guest", b"uplink":
            file.write(block(1, struct.pack("<HHI", 1, 0, 0) + option(2, name) + bytes(4)))
        microseconds = 1790000000 * 1000000
        for number in range(wanted // 10):
            for side, frame in turn(number):
                microseconds += 20
                file.write(block(6, struct.pack("<IIIII", side, microseconds >> 32, microseconds & 0xFFFFFFFF, len(frame),
                                                len(frame)) + frame))


main()
