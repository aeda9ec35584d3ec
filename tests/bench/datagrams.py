#!/usr/bin/python3
"""What a datagram and a round trip cost through softnet, beside two bare relays, and while its rules change. Needs no rights and
no network. Run by `make bench`.

    tests/bench/datagrams.py FOLDER [ROUNDS [PAGE]]    leaves datagrams.json there, and prints two tables. PAGE: puts them there
"""

import contextlib
import json
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from bench_run import OPTIONS, SOFTNET, blocks, compiled, keep, measure_rounds, policy_file, publish, ratios, running, settled_ns, spent_ns, spread, \
    table, told_ratios, wait_for_path

SECONDS, ROUNDS, PINGS, UPDATES, PATIENCE = 0.5, 9, 1500, 100, 60
LENGTHS = 64, 1514


class Bench:
    def __init__(self, place):
        self.place, self.tool = place, compiled(place, "datagram")
        rules = policy_file(place)
        self.relays = {"bare, one by one": "one", "bare, many at once": "many", "softnet": (), "softnet, 4096 rules": ("--policy", rules),
                       "softnet, flows": ("--inbound", "established")}
        self.trips = {"bare, one by one": ("one", 0), "softnet": ((), 0), "softnet, 100 updates/s of 4096 rules": ((), UPDATES)}

    @contextlib.contextmanager
    def relay(self, what):
        """Its process, the ends of guest and uplink, and the path of its control."""
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
        control = self.place / "control"
        ends = [str(far.fileno()) for _, far in pairs]
        command = [self.tool, what, *ends] if isinstance(what, str) else \
            [SOFTNET, "--guest", f"fd:{ends[0]}", "--uplink", f"fd:{ends[1]}", "--control", control, *OPTIONS, *what]
        for near, far in pairs:
            for end in near, far:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        with contextlib.ExitStack() as stack:
            for near, _ in pairs:
                stack.enter_context(near)
            stack.callback(control.unlink, missing_ok=True)
            relay = stack.enter_context(running(command, pass_fds=[far.fileno() for _, far in pairs], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            for _, far in pairs:
                far.close()
            if not isinstance(what, str):
                wait_for_path(control, relay)
            yield relay, pairs[0][0], pairs[1][0], control

    def run(self, what, end, *words, **more):
        return running([self.tool, what, end.fileno(), *words], pass_fds=[end.fileno()], text=True, **more)

    def carried(self, arm, length):
        """ns of the relay's processor for a frame that arrived, and frames in a second."""
        with self.relay(self.relays[arm]) as (relay, guest, uplink, _), self.run("sink", uplink, stdout=subprocess.PIPE) as sink:
            before = spent_ns(relay.pid)
            with self.run("send", guest, length, SECONDS) as sender:
                assert sender.wait(PATIENCE) == 0
            after = settled_ns(relay.pid)
            sink.terminate()
            frames = int(sink.communicate()[0])
        return (after - before) / frames, frames / SECONDS

    def trip(self, arm):
        """Median and p99 of a round trip in us, and how many updates were answered in a second."""
        what, rate = self.trips[arm]
        with self.relay(what) as (_, guest, uplink, control), Updates(control, rate) as updates, self.run("echo", uplink), \
                self.run("ping", guest, PINGS, stdout=subprocess.PIPE) as ping:
            told = ping.communicate(timeout=PATIENCE)[0].split()
            done = updates.in_a_second()
        return (*map(float, told), done)


class Updates:
    """Sets other rules, so many times in a second, and reads the answers."""

    def __init__(self, control, rate):
        self.control, self.rate, self.done, self.ending = control, rate, 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        lines = [json.dumps({"jsonrpc": "2.0", "id": 1, "method": "softnet.policy.set", "params": {"allow": [], "block": blocks(first)}}).encode() + b"\n"
                 for first in (11, 12)]
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.control))
            answers = client.makefile("rb")
            self.began = due = time.monotonic()
            while not self.ending.wait(max(0, due - time.monotonic())):
                client.sendall(lines[self.done % 2])
                assert b'"ruleCount":4096' in answers.readline()
                self.done += 1
                due += 1 / self.rate

    def in_a_second(self):
        return self.done / (time.monotonic() - self.began) if self.rate else 0

    def __enter__(self):
        if self.rate:
            self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        if self.rate:
            self.thread.join()


def costs_table(values):
    """With the ratios for the picture."""
    lines, compared = [], {}
    for length in LENGTHS:
        bare = [one[0] for one in values.get(("bare, many at once", length), [])]
        beside = compared[f"datagrams, {length} octets: ns a frame, times the bare relay of many"] = {}
        for (arm, octets), found in values.items():
            if octets == length:
                costs = [one[0] for one in found]
                beside[arm] = ratios(costs, bare)
                lines.append([str(length), arm, spread(costs, 0), told_ratios(beside[arm]), f"{statistics.median(one[1] for one in found):,.0f}"])
    return compared, table(["octets", "relay", "ns of the processor for a frame", "times the bare relay of many", "frames/s"], lines)


def trips_table(values):
    """With the ratios for the picture."""
    lines = [[arm, spread([one[0] for one in found], 0), spread([one[1] for one in found], 0), f"{statistics.median(one[2] for one in found):.0f}"] for arm, found in values.items()]
    compared = {}
    for index, what in enumerate(("half of the round trips", "99 of 100 round trips")):
        bare = [one[index] for one in values.get("bare, one by one", [])]
        compared[f"datagrams: {what}, times the bare relay"] = {arm: ratios([one[index] for one in found], bare) for arm, found in values.items()}
    return compared, table(["relay", "round trip, us: half of them", "99 of 100", "updates answered in a second"], lines)


def main(folder, rounds=ROUNDS, page=None):
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(pathlib.Path(place))
        trips = measure_rounds(bench.trips, int(rounds), bench.trip)
        costs = measure_rounds([(arm, length) for length in LENGTHS for arm in bench.relays], int(rounds), lambda arm: bench.carried(*arm))
    (compared, told), (trips_compared, trips_told) = costs_table(costs), trips_table(trips)
    publish(page, {"datagrams": told, "round trips": trips_told})
    keep(folder, "datagrams", {"carried": [[*arm, found] for arm, found in costs.items()], "round trips": trips}, compared | trips_compared)


if __name__ == "__main__":
    main(*sys.argv[1:])
