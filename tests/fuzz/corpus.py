#!/usr/bin/env python3
"""Writes the catalogue of attacks as seeds for fuzz_decide: one file a row, with a lease in front of it where it fits."""
import pathlib
import sys

rows = [line.split("\t") for line in pathlib.Path("tests/unit/attacks.hex.tsv").read_text().splitlines()[1:]]
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)


def seed(direction, frame):
    data = bytes.fromhex(frame)[:0x7FFF]
    return (len(data) | (0x8000 if direction == "n2g" else 0)).to_bytes(2, "big") + data


request, ack = (next(seed(r[2], r[5]) for r in rows if r[0] == name) for name in ("D4-02", "S4-02"))
for name, number, direction, _state, _verdict, frame in rows:
    (folder / f"{name}-{number}").write_bytes(request + ack + seed(direction, frame))
