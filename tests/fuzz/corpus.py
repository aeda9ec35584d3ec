#!/usr/bin/env python3
"""Writes the catalogue of attacks as seeds for fuzz_decide: one file a row and config, behind the frames that make its state."""
import pathlib
import sys

rows = [line.split("\t") for line in pathlib.Path("tests/unit/attacks.hex.tsv").read_text().splitlines()[1:]]
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
NOT_AT_ALL, A_MOMENT, A_MINUTE = 0, 1, 2  # waits_ms
LEARNING, ANCHORED, WITH_RULES, WITH_STATIC, STATEFUL = 0, 1, 33, 129, 1793  # the config


def seed(direction, frame, wait=A_MOMENT):
    data = (frame if isinstance(frame, bytes) else bytes.fromhex(frame))[:0x1FFF]
    return (len(data) | (0x8000 if direction == "n2g" else 0) | wait << 13).to_bytes(2, "big") + data


def row(name):
    return next(bytes.fromhex(r[5]) for r in rows if r[0] == name)


def with_type(message, kind):
    """A DHCPv6 message of the catalogue, as another: its type, and the server's identifier in front of the IA_NA."""
    server = bytes.fromhex("0002000a00030001525400000001")
    body = bytes([kind]) + message[63:80] + server + message[80:]
    udp = message[54:58] + (8 + len(body)).to_bytes(2, "big") + message[60:62]
    return message[:18] + (8 + len(body)).to_bytes(2, "big") + message[20:54] + udp + body


lease = seed("g2n", row("D4-02")) + seed("n2g", row("S4-02"))
advertisement = bytearray(row("RA-18"))
advertisement[70 + 16:70 + 32] = bytes.fromhex("fd64" + 28 * "0")
slaac = seed("n2g", bytes(advertisement)) + seed("g2n", row("ND-42"))
solicit = row("D6-01")
asked = seed("g2n", solicit, NOT_AT_ALL) + seed("g2n", with_type(solicit, 3))
leased = asked + seed("n2g", row("D6-21"), A_MINUTE)

for name, number, direction, state, _verdict, frame in rows:
    before = lease
    if state.endswith("6") or state == "SLAAC6P" or name.startswith("RA-"):
        before = slaac + (asked if state.startswith("REQ6") else leased)
    for config in LEARNING, ANCHORED, WITH_RULES, WITH_STATIC, STATEFUL:
        (folder / f"{name}-{number}-{config}").write_bytes(config.to_bytes(2, "little") + before + seed(direction, frame))

folder = pathlib.Path(sys.argv[2])      # fuzz_describe: how much of the frame was lost, and its front
folder.mkdir(parents=True, exist_ok=True)
for i, line in enumerate(pathlib.Path("tests/unit/described.hex.tsv").read_text().splitlines()):
    (folder / str(i)).write_bytes(bytes(2) + bytes.fromhex(line.split("\t")[1]))

folder = pathlib.Path(sys.argv[3])      # fuzz_policy: rules of twelve octets
folder.mkdir(parents=True, exist_ok=True)
ANY_PORT, A_PORT, NEAR = 0x27, 0x37, 0x40   # of IPv4, both ways, allowed


def rule_seed(flags, length, number, port=443, width=0, protocol=17):
    return bytes([flags, length, protocol, 128]) + port.to_bytes(2, "big") + width.to_bytes(2, "big") + number.to_bytes(4, "big")


for name, seeds in {
    "side-by-side": [rule_seed(ANY_PORT - n % 2, 32, 0x0A000001 + 3 * n) for n in range(200)],
    "nested": [rule_seed(ANY_PORT - n % 2, n, 0x0A010203) for n in range(33)],
    "nested-in-ipv6": [rule_seed(0x87 - n % 2, n, 1) for n in range(129)],
    "ports": [rule_seed(A_PORT - n % 2, 8, 0x0A000001, 1 + 16 * n, n % 7) for n in range(200)],
    "bits": [rule_seed(0x87, 128, 1)] + [rule_seed(NEAR | 7 - n % 2, 128 - n % 64, n) for n in range(128)],
}.items():
    (folder / name).write_bytes(b"".join(seeds))

folder = pathlib.Path(sys.argv[4])      # fuzz_claims: pages, and what was given behind them
folder.mkdir(parents=True, exist_ok=True)
HELD, SHARED, WANTED = 1, 2, 3
PAGE_HEADER, PAGE, LABELS = 192, 192 + 48 * 24, 8 * 64


def claim(kind, length, address):
    return bytes([kind, length, 0, 0]) + (600).to_bytes(4, "big") + address.to_bytes(16, "big")


PAGE_OF = b"softnet-claims 1" + (4711).to_bytes(4, "big") + bytes(4) + b"bridge 1:7"
for name, claims, labels in (
        ("empty", [], b""),
        ("claims", [claim(HELD, 128, 0xFFFF0A000005), claim(SHARED, 56, 0xFD << 120), claim(WANTED, 128, 1)], b""),
        ("given", [claim(HELD, 128, 0xFFFF0A000005)], b"db\0".ljust(64, b"\0") + b"sql"),
        ("strange", [claim(9, 200, 1), claim(HELD, 129, 2)], b"\xff\n\x1b")):
    page = (PAGE_OF.ljust(PAGE_HEADER, b"\0") + b"".join(claims)).ljust(PAGE, b"\0")
    (folder / name).write_bytes(page + (labels.ljust(LABELS, b"\0") if labels else b""))
