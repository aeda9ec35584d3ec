#!/usr/bin/python3
"""All benches of the relay, one after the other; `make bench`. One that fails does not keep the others from being measured.

    tests/bench/all.py FOLDER [ROUNDS [PAGE]]    leaves JSON and relay.svg there. PAGE, docs/relay.md: writes its tables and its picture anew
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from bench_plot import write_ratios
from bench_run import HERE

BENCHES = "judge", "stream", "datagrams", "taps", "guards"
PATIENCE = 360         # seconds for one of them; all together take ten to fourteen minutes
ROUNDS = 9


def run(name, words):
    began = time.monotonic()
    print(f"\n{name}:", flush=True)
    with subprocess.Popen([HERE / f"{name}.py", *words], start_new_session=True) as bench:
        try:
            status = bench.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(bench.pid, signal.SIGKILL)        # with all that it has started
            status = f"no end after {PATIENCE} s"
    print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return status


def main(folder, rounds=ROUNDS, *page):
    folder = pathlib.Path(folder)
    for name in BENCHES:
        (folder / f"{name}.json").unlink(missing_ok=True)
    failed = {name: status for name in BENCHES if (status := run(name, [folder, str(rounds), *page])) != 0}
    kept = [folder / f"{name}.json" for name in BENCHES if (folder / f"{name}.json").exists()]
    compared = {title: arms for path in kept for title, arms in json.loads(path.read_text())["compared"].items()}
    write_ratios(folder / "relay.svg", compared)
    if page:
        shutil.copy(folder / "relay.svg", pathlib.Path(page[0]).with_suffix(".svg"))
    for name, status in failed.items():
        print(f"{name}: failed ({status}); its tables are those of an earlier run", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
