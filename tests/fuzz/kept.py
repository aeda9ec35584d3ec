#!/usr/bin/env python3
"""What long runs of the fuzz targets have found to be worth keeping: tests/fuzz/kept/TARGET.hex, an input a line.

    tests/fuzz/kept.py unpack OUT             into OUT/corpus-TARGET; `make fuzz`, ./check and `make coverage` begin with it
    tests/fuzz/kept.py pack OUT TARGET ...    of OUT/corpus-TARGET, with OUT/fuzz_TARGET: as few inputs as reach as much

An input of a run that is longer than 1500 octets is not kept, and neither is what would make a file longer than 100 KB.
"""

import pathlib
import subprocess
import sys
import tempfile

KEPT = pathlib.Path(__file__).resolve().parent / "kept"
INPUT_MAX, FILE_MAX = 1500, 100000


def unpack(out):
    for path in sorted(KEPT.glob("*.hex")):
        folder = out / f"corpus-{path.stem}"
        folder.mkdir(parents=True, exist_ok=True)
        for number, line in enumerate(path.read_text().split()):
            (folder / f"kept-{number}").write_bytes(bytes.fromhex(line))


def pack(out, target):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([out / f"fuzz_{target}", "-merge=1", f"-max_len={INPUT_MAX}", folder, out / f"corpus-{target}"], check=True,
                       stderr=subprocess.DEVNULL)
        found = sorted((path.read_bytes() for path in pathlib.Path(folder).iterdir()), key=lambda data: (len(data), data))
    lines, octets = [], 0
    for data in found:
        octets += 2 * len(data) + 1
        if 0 < len(data) <= INPUT_MAX and octets <= FILE_MAX:
            lines.append(data.hex())
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{target}.hex").write_text("".join(f"{line}\n" for line in lines))
    print(f"{target}: {len(lines)} of {len(found)} inputs, {sum(map(len, lines))} octets of text")


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("pack", "unpack"):
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[2]).resolve()
    if sys.argv[1] == "unpack":
        return unpack(out)
    for target in sys.argv[3:]:
        pack(out, target)
    return None


if __name__ == "__main__":
    main()
