#!/usr/bin/python3
"""What a frame costs on a stream: softnet beside the barest relay, one after the other in each round, so that a busy machine
slows both. Needs no rights and no network. Run by `make bench`.

    sender -- stream -- bare relay, or softnet -- stream -- sink

    tests/bench/stream.py FOLDER [ROUNDS [PAGE]]    leaves stream.json there, and prints a table. PAGE, docs/relay.md: puts it there
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile

from bench_run import OPTIONS, SOFTNET, compiled, keep, measure_rounds, policy_file, publish, ratios, running, settled_ns, spent_ns, spread, table, told_ratios, \
    wait_for_path

SECONDS, ROUNDS, PATIENCE = 1, 9, 30
LENGTHS = 64, 1514


class Bench:
    def __init__(self, place):
        self.place, self.tool = place, compiled(place, "stream")
        self.arms = {"bare relay": None, "softnet": (), "softnet, 4096 rules": ("--policy", policy_file(place)),
                     "softnet, flows": ("--inbound", "established")}

    def relay(self, arm, guest, uplink):
        options = self.arms[arm]
        if options is None:
            return [self.tool, "relay", guest, uplink]
        return [SOFTNET, "--guest", f"stream:{guest}", "--uplink", f"stream:{uplink}", *OPTIONS, *options]

    def measure(self, arm, length):
        """The processor's time in ns that the relay took for each frame that arrived, and frames in a second."""
        guest, uplink = self.place / "guest", self.place / "uplink"
        for path in guest, uplink:
            path.unlink(missing_ok=True)
        with running([self.tool, "sink", uplink], stdout=subprocess.PIPE, text=True) as sink:
            sink.stdout.readline()
            with running(self.relay(arm, guest, uplink), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as relay:
                wait_for_path(guest, relay)
                before = spent_ns(relay.pid)
                subprocess.run([self.tool, "send", guest, str(length), str(SECONDS)], check=True, timeout=PATIENCE)
                after = settled_ns(relay.pid)
            frames = int(sink.stdout.readline()) / (4 + length)
        return (after - before) / frames, frames / SECONDS


def told_of(values):
    """A table, and the ratios for the picture."""
    lines, compared = [], {f"streams, {length} octets: ns a frame, times the bare relay": {} for length in LENGTHS}
    for (arm, length), found in values.items():
        costs, bare = ([one[0] for one in all_of] for all_of in (found, values.get(("bare relay", length), [])))
        beside = ratios(costs, bare)
        compared[f"streams, {length} octets: ns a frame, times the bare relay"][arm] = beside
        lines.append([str(length), arm, spread(costs, 0), told_ratios(beside), f"{statistics.median(one[1] for one in found):,.0f}"])
    return table(["octets", "relay", "ns of the processor for a frame", "times the bare relay", "frames/s"], lines), compared


def main(folder, rounds=ROUNDS, page=None):
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(pathlib.Path(place))
        values = measure_rounds([(arm, length) for length in LENGTHS for arm in bench.arms], int(rounds), lambda arm: bench.measure(*arm))
    told, compared = told_of(values)
    publish(page, {"streams": told})
    keep(folder, "stream", [[*arm, found] for arm, found in values.items()], compared)


if __name__ == "__main__":
    main(*sys.argv[1:])
