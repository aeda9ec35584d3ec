#!/usr/bin/env python3
"""Seeds for fuzz_dns, fuzz_hello and fuzz_initial: the RFCs' examples, and messages of every kind."""
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
