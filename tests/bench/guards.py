#!/usr/bin/python3
"""What a guard costs that has nothing to do, and how long it takes to start: one, and many at once. Needs no rights. Run by
`make bench`.

    tests/bench/guards.py FOLDER [ROUNDS [PAGE]]    leaves guards.json there, and prints a table. PAGE, docs/relay.md: puts it there
"""

import contextlib
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from bench_run import OPTIONS, SOFTNET, compiled, keep, lose, measure_rounds, policy_file, publish, spread, table

ROUNDS, MANY, REST_SECONDS, IDLE_SECONDS, PATIENCE = 9, 200, 5, 2, 60


class Guard:
    """With a frame that waits for it: it has started when that comes out."""

    def __init__(self, frame, *options):
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
        (self.guest, guest), (self.uplink, uplink) = pairs
        self.guest.send(frame)
        self.uplink.settimeout(PATIENCE)
        self.began = time.monotonic()
        self.process = subprocess.Popen([SOFTNET, "--guest", f"fd:{guest.fileno()}", "--uplink", f"fd:{uplink.fileno()}", *OPTIONS, *options],
                                        pass_fds=[guest.fileno(), uplink.fileno()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        guest.close()
        uplink.close()

    def started_ms(self):
        self.uplink.recv(2048)
        return (time.monotonic() - self.began) * 1000

    def family(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def sleeps(self):
        """How often it, and what it has started, went to sleep so far."""
        return sum(number(pid, "status", "voluntary_ctxt_switches") for pid in self.family())

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.guest.close()
        self.uplink.close()


def number(pid, file, name):
    return int(re.search(rf"^{name}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/{file}").read_text(), re.M).group(1))


def share_kib(guard):
    """Its share, and that of its processes: each page is divided by how many have it."""
    return sum(number(pid, "smaps_rollup", "Pss") for pid in guard.family())


def frame_of(tool):
    """As the other benches send it."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far:
        sender = subprocess.Popen([tool, "send", str(far.fileno()), "64", "1"], pass_fds=[far.fileno()])
        frame = near.recv(2048)
        sender.kill()
        sender.wait()
        return frame


def measure_one(frame, *options):
    with contextlib.closing(Guard(frame, *options)) as guard:
        return watch_one(guard)


def watch_one(guard):
    found = {"start to the first frame, ms": guard.started_ms()}
    time.sleep(REST_SECONDS)        # it rests when a few seconds have passed without anything
    found["resident, KiB"] = number(guard.process.pid, "status", "VmRSS")
    found["of its own, KiB"] = number(guard.process.pid, "status", "RssAnon")
    before = guard.sleeps()
    time.sleep(IDLE_SECONDS)
    found["wake-ups in a second, when idle"] = (guard.sleeps() - before) / IDLE_SECONDS
    return found


def measure_many(frame, count):
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        guards = [stack.enter_context(contextlib.closing(Guard(frame))) for _ in range(count)]
        return watch_many(guards, began)


def watch_many(guards, began):
    for guard in guards:
        guard.started_ms()
    found = {"all started, s": time.monotonic() - began}
    time.sleep(REST_SECONDS)
    found["memory of each, KiB"] = statistics.mean(share_kib(guard) for guard in guards)
    before = sum(guard.sleeps() for guard in guards)
    time.sleep(IDLE_SECONDS)
    found["wake-ups of all in a second"] = (sum(guard.sleeps() for guard in guards) - before) / IDLE_SECONDS
    return found


def main(folder, rounds=ROUNDS, page=None):
    with tempfile.TemporaryDirectory() as place:
        frame, rules = frame_of(compiled(pathlib.Path(place), "datagram")), policy_file(pathlib.Path(place))
        arms = {"one guard": (), "one guard, 4096 rules": ("--policy", rules)}
        values = measure_rounds(arms, int(rounds), lambda arm: measure_one(frame, *arms[arm]))
        try:
            values[f"{MANY} guards"] = [measure_many(frame, MANY)]
        except Exception as error:      # as above
            lose(f"{MANY} guards", error)
    lines = [[arm, what, spread([one[what] for one in found], 1)] for arm, found in values.items() for what in found[0]]
    publish(page, {"guards": table(["guards", "what", "measured"], lines)})
    keep(folder, "guards", values, {})


if __name__ == "__main__":
    main(*sys.argv[1:])
