#!/usr/bin/env python3
"""Seeds for the fuzz targets of names: the RFCs' examples, and messages of every kind."""
import json
import pathlib
import re
import struct
import sys

out = pathlib.Path(sys.argv[1])
text = pathlib.Path("tests/unit/names/vectors.h").read_text()
vectors = {name: bytes.fromhex("".join(re.findall('"([0-9a-f]+)"', body)))
           for name, body in re.findall(r"char (\w+)\[\] =(.*?);", text, re.DOTALL)}


def write(target, name, data):
    folder = out / f"corpus-{target}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def domain(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def record(owner, kind, data):
    return owner + struct.pack(">HHIH", kind, 1, 300, len(data)) + data


def message(flags, question, kind, *records, more=0):
    return struct.pack(">6H", 0x1234, flags, 1, len(records), 0, more) + domain(question) + struct.pack(">HH", kind, 1) + \
        b"".join(records)


here = b"\xc0\x0c"
opt = bytes.fromhex("0000290400000000000000")
write("dns", "query", message(0x0120, "api.github.com", 28, more=1) + opt)
write("dns", "chain", message(0x8180, "www.example.com", 1, record(here, 5, domain("a.cdn.example")),
                              record(domain("a.cdn.example"), 1, b"\1\2\3\4"), record(here, 28, bytes(16))))
write("dns", "https", message(0x8180, "www.example.com", 65, record(
    here, 65, b"\0\1\0" + bytes.fromhex("000100030268320004000401010101000500030000010006001020010db8000000000000000000000007"))))
write("dns", "srv", message(0x8180, "_http._tcp.example.com", 33, record(here, 33, bytes(6) + domain("a.example"))))
write("dns", "truncated", message(0x8380, "www.example.com", 1))
hello = vectors["tls_hello"]
write("hello", "whole", hello)
write("hello", "records", b"".join(b"\x16\x03\x01" + struct.pack(">H", len(part)) + part
                                   for part in (hello[5:50], hello[50:100], hello[100:])) + bytes.fromhex("140303000101"))
write("hello", "retry", vectors["tls_hello_retry"])
write("hello", "server", vectors["tls_server_hello"])
write("hello", "http", b"GET http://a.example/ HTTP/1.1\r\nHost: a.example:80\r\nX: y\r\n\r\n")
write("initial", "v1", vectors["quic_initial_v1"])
write("initial", "v2", vectors["quic_initial_v2"])
write("initial", "frames", vectors["quic_initial_frame"] + bytes(9))
write("initial", "kinds", bytes.fromhex("0203000000000000010203061c40010003616263060a03010203060703aabbcc") + bytes(7))

# Frames: of a guest that asks, calls, and says a name.
GUEST, ROUTER = bytes.fromhex("52540000000a"), bytes.fromhex("525400000001")
OWN, RESOLVER, SERVER = bytes([192, 168, 64, 10]), bytes([192, 168, 64, 1]), bytes([1, 1, 1, 1])


def frame(to_guest, peer, protocol, data):
    ends = (peer, OWN) if to_guest else (OWN, peer)
    macs = GUEST + ROUTER if to_guest else ROUTER + GUEST
    return macs + b"\x08\0" + struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(data), 0, 0, 64, protocol, 0) + b"".join(ends) + data


def udp(to_guest, peer, port, data):
    ports = (port, 40000) if to_guest else (40000, port)
    return frame(to_guest, peer, 17, struct.pack(">HHHH", *ports, 8 + len(data), 0) + data)


def tcp(to_guest, port, sequence, acknowledged, flags, data=b""):
    ports = (port, 40000) if to_guest else (40000, port)
    return frame(to_guest, SERVER, 6, struct.pack(">HHIIBBHHH", *ports, sequence, acknowledged, 0x50, flags, 8192, 0, 0) + data)


def sequence_of(mode, *frames):
    """(to_guest, octets of the frame)"""
    return bytes([mode]) + b"".join(bytes([to_guest << 7 | len(f) >> 8, len(f) & 255]) + f for to_guest, f in frames)


server_name = b"www.example.com"
shown = struct.pack(">HHHBH", 0, len(server_name) + 5, len(server_name) + 3, 0, len(server_name)) + server_name
body = b"\x03\x03" + bytes(32) + b"\0" + b"\x00\x02\x13\x01\x01\x00" + struct.pack(">H", len(shown)) + shown
renamed = b"\x16\x03\x01" + struct.pack(">HB", len(body) + 4, 1) + len(body).to_bytes(3, "big") + body
asked = udp(False, RESOLVER, 53, message(0x0100, "www.example.com", 1))
told = udp(True, RESOLVER, 53, message(0x8180, "www.example.com", 1, record(here, 1, SERVER)))
call = [(0, tcp(False, 443, 0, 0, 2)), (1, tcp(True, 443, 9, 1, 0x12)), (0, tcp(False, 443, 1, 10, 0x10))]
names_of = [(0, asked), (1, told)]
for mode in range(8):
    write("names", f"tls{mode}", sequence_of(mode, *names_of, *call, (0, tcp(False, 443, 1, 10, 0x18, hello)), (1, tcp(True, 443, 10, 1 + len(hello), 0x10, vectors["tls_server_hello"]))))
    write("names", f"pieces{mode}", sequence_of(mode, *names_of, *call, *((0, tcp(False, 443, 1 + at, 10, 0x18, renamed[at:at + 60])) for at in range(0, len(renamed), 60))))
    write("names", f"http{mode}", sequence_of(mode, *names_of, (0, tcp(False, 80, 0, 0, 2)), (1, tcp(True, 80, 9, 1, 0x12)), (0, tcp(False, 80, 1, 10, 0x18, b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n"))))
    write("names", f"quic{mode}", sequence_of(mode, *names_of, (0, udp(False, SERVER, 443, vectors["quic_initial_v1"])), (1, udp(True, SERVER, 443, bytes(20))), (0, udp(False, SERVER, 443, vectors["quic_initial_v2"]))))
write("refusal", "question", b"\0" + udp(False, RESOLVER, 53, message(0x0120, "api.github.com", 28, more=1) + opt))
write("refusal", "answer", b"\5" + told)

event = {"time": "2026-11-24T03:50:31.123Z", "vm": "web1", "event": "name-seen", "name": "good.example.org", "address": "1.1.1.1",
         "protocol": "tcp", "port": 443, "by": "tls", "reason": None, "rule": None}
write("events", "kinds", "".join(json.dumps({**event, **more}) + "\n" for more in (
    {}, {"by": "quic", "protocol": "udp"}, {"by": "address", "port": 22}, {"name": None, "address": "fd00::1", "by": "address"},
    {"event": "name-asked", "address": None, "port": None}, {"name": "x", "shown": "a.b", "by": "address"},
    {"reason": "dns-rebind", "address": "10.0.0.1"}, {"reason": "hello-ech"}, {"event": "started"})).encode())
