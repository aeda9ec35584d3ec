#!/usr/bin/python3
"""What a frame costs on a stream: softnet beside the barest relay, one after the other in each round, so that a busy machine
slows both. Needs no rights and no network. Run by `make bench`.

    sender -- stream -- bare relay, or softnet -- stream -- sink

    tests/bench/stream.py FOLDER [ROUNDS [PAGE]]    leaves stream.json there, and prints a table. PAGE, docs/relay.md: puts it there
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SOFTNET = HERE.parent.parent / "build" / "softnet"
SECONDS, ROUNDS, RULES = 1, 9, 4096
LENGTHS = 64, 1514
MARKS = "<!-- streams: measured -->\n", "<!-- streams: until here -->\n"
OPTIONS = "--vm-mac-address", "52:54:00:00:00:0a", "--vm-ip", "192.168.64.10/24", "--gateway", "192.168.64.1", \
    "--gateway-mac", "52:54:00:00:00:01"


class Bench:
    def __init__(self, place):
        self.place, self.tool = place, place / "stream"
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", self.tool, HERE / "stream.c"], check=True)
        self.rules = place / "rules"
        self.rules.write_text("".join(f"block 11.{number >> 8}.{number & 255}.0/24\n" for number in range(RULES)))
        self.arms = {"bare relay": None, "softnet": (), "softnet, 4096 rules": ("--policy", self.rules),
                     "softnet, flows": ("--inbound", "established")}

    def relay(self, arm, guest, uplink):
        options = self.arms[arm]
        if options is None:
            return [self.tool, "relay", guest, uplink]
        return [SOFTNET, "--guest", f"stream:{guest}", "--uplink", f"stream:{uplink}", *OPTIONS, *options]

    def measure(self, arm, length):
        """Frames that arrived, and the processor's time in ns that the relay took for each."""
        guest, uplink = self.place / "guest", self.place / "uplink"
        for path in guest, uplink:
            path.unlink(missing_ok=True)
        with subprocess.Popen([self.tool, "sink", uplink], stdout=subprocess.PIPE, text=True) as sink:
            sink.stdout.readline()
            with subprocess.Popen(self.relay(arm, guest, uplink), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as relay:
                while not guest.exists():
                    time.sleep(0.01)
                before = spent_ns(relay.pid)
                subprocess.run([self.tool, "send", guest, str(length), str(SECONDS)], check=True)
                after = settled_ns(relay.pid)
                relay.terminate()
            frames = int(sink.stdout.readline()) / (4 + length)
        return frames, (after - before) / frames


def spent_ns(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def settled_ns(pid):
    """What it has spent when it has read all; one that has ended is told by its last figure."""
    last = spent_ns(pid)
    while True:
        time.sleep(0.05)
        try:
            now = spent_ns(pid)
        except (FileNotFoundError, ProcessLookupError):
            return last
        if now - last < 1_000_000:
            return now
        last = now


def spread(values, digits):
    median, least, most = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{median} ({least} to {most})"


def table(values, arms):
    lines = ["| octets | relay | ns of the processor for a frame | times the bare relay | frames/s |", "|---|---|---|---|---|"]
    for length in LENGTHS:
        for arm in arms:
            costs, rates = ([one[index] for one in values[arm, length]] for index in (1, 0))
            ratios = [cost / bare[1] for cost, bare in zip(costs, values["bare relay", length])]
            lines.append(f"| {length} | {arm} | {spread(costs, 0)} | {spread(ratios, 2)} | {statistics.median(rates) / SECONDS:,.0f} |")
    return "\n".join(lines)


def put_into(page, told):
    before, rest = page.read_text().split(MARKS[0])
    page.write_text(f"{before}{MARKS[0]}\n{told}\n\n{MARKS[1]}{rest.split(MARKS[1])[1]}")


def main(folder, rounds=ROUNDS, page=None):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(pathlib.Path(place))
        arms = list(bench.arms)
        values = {(arm, length): [] for arm in arms for length in LENGTHS}
        for turn in range(int(rounds)):
            first = turn % len(arms)
            for length in LENGTHS:
                for arm in arms[first:] + arms[:first]:
                    values[arm, length].append(bench.measure(arm, length))
            print(f"round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
    told = table(values, arms)
    print(told)
    if page:
        put_into(pathlib.Path(page), told)
    (folder / "stream.json").write_text(json.dumps([{"arm": arm, "octets": length, "frames_per_second": [one[0] / SECONDS for one in all_of],
                                                     "ns_for_a_frame": [one[1] for one in all_of]} for (arm, length), all_of in values.items()], indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
