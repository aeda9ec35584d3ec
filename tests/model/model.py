#!/usr/bin/python3
"""A naive model of the guard, made from docs/filter.md, docs/filter-ipv6.md and docs/policy.md alone, against the guard in user space
and the judge in the kernel (`make model`).

    tests/model/model.py GUARD [JUDGE] [--frames N] [--seed N] [--world N] [--stop N]

GUARD is build/tests/model/model_guard, JUDGE build/ebpf/judge.bpf.o. Worlds of 4000 frames follow each other, each with options
and traffic of its own. A frame on which the two differ is printed with the options and its place in the world; the same seed and
world show it again. With SOFTNET_LONG it takes two million frames, and a seed that was never used. Exit status: 0 if the two
never differ.
"""

import argparse
import collections
import os
import pathlib
import random
import struct
import subprocess
import sys
import time

from guard import Guard
from talk import spoil
from worlds import make_world

FRAMES_OF_WORLD = 4000
# Milliseconds; those of the second line are edges: of DAD, claims, conflicts, answers, transactions, grace and leases.
WAITS = [0] * 20 + [1, 20, 100, 300, 600, 1100, 2000, 3000, 5000] * 4 + [31000, 61000, 125000, 400000, 3700000] * 2 + [
    499, 500, 999, 1000, 1499, 1500, 2999, 9999, 10000, 29899, 29900, 30000, 59999, 60000, 63999, 64000, 119899, 119900, 599899, 599900]
BEGIN_MS = 1000000000


class Tested:
    """The guard: told what comes in many frames at once."""

    def __init__(self, program, judge):
        words = [str(program), *([str(judge)] if judge else [])]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.names = self.process.stdout.readline().decode().split()
        self.has_kernel = self.process.stdout.readline() == b"kernel\n"

    def start(self, words):
        text = b"\0".join(word.encode() for word in words) + b"\0"
        self.process.stdin.write(struct.pack("<BIH", 2, 0, len(text)) + text)

    def decide(self, records):
        self.process.stdin.write(b"".join(struct.pack("<BIH", inward, wait, len(data)) + data for inward, wait, data in records) +
                                 struct.pack("<BIH", 3, 0, 0))
        self.process.stdin.flush()
        return [self.names[octet] for octet in self.read(len(records))]

    def read(self, count):
        said = b""
        while len(said) < count:
            part = self.process.stdout.read1(count - len(said))
            if not part:
                sys.exit(f"the guard has ended with {self.process.wait()}")
            said += part
        return said


def make_records(rng, traffic, count):
    """(comes from the network, milliseconds since the frame before, octets)"""
    records = []
    for _ in range(count):
        inward, data = traffic.next()
        if rng.random() < 0.07:
            data = spoil(rng, data)
        records.append((inward, WAITS[int(rng.random() * len(WAITS))] if rng.random() < 0.3 else 0, data[:65000]))
    return records


def play(tested, seed, number, count, seen):
    """The first difference of this world; None: there is none."""
    rng = random.Random(f"{seed} {number}")
    settings, traffic = make_world(rng, number)
    tested.start(settings.words())
    model, now, done = Guard(settings, BEGIN_MS), BEGIN_MS, 0
    while done < count:
        records = make_records(rng, traffic, min(200, count - done))
        for at, (answer, (inward, wait, data)) in enumerate(zip(tested.decide(records), records)):
            now += wait
            model.now = now
            wanted = model.decide(inward, data)
            if answer not in ((wanted,) if isinstance(wanted, str) else wanted):
                return Difference(settings, number, done + at, inward, now, data, wanted, answer)
            seen[answer] += 1
        done += len(records)
    return None


class Difference:
    def __init__(self, *facts):
        self.settings, self.number, self.at, self.inward, self.now, self.data, self.wanted, self.answer = facts

    def __str__(self):
        wanted = self.wanted if isinstance(self.wanted, str) else " or ".join(sorted(self.wanted))
        return (f"world {self.number}, frame {self.at}, {self.now - BEGIN_MS} ms, {'to' if self.inward else 'from'} the guest: the model "
                f"says {wanted}, the guard {self.answer}\n    {self.data.hex()}\n    softnet replay {' '.join(word for word in self.settings.words() if not word.startswith('--rate'))}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("guard", type=pathlib.Path)
    parser.add_argument("judge", type=pathlib.Path, nargs="?")
    is_long = "SOFTNET_LONG" in os.environ
    parser.add_argument("--frames", type=float, default=2e6 if is_long else 48000)
    parser.add_argument("--seed", default=os.urandom(4).hex() if is_long else "1")
    parser.add_argument("--world", type=int, help="this one alone")
    parser.add_argument("--stop", type=int, default=1, help="after so many differences")
    options = parser.parse_args()
    tested, seen, found, began = Tested(options.guard, options.judge), collections.Counter(), [], time.process_time()
    number, last = (options.world, options.world) if options.world is not None else (0, sys.maxsize)
    while sum(seen.values()) < options.frames and number <= last and len(found) < options.stop:
        difference = play(tested, options.seed, number, FRAMES_OF_WORLD, seen)
        if difference:
            found.append(difference)
            print(difference)
        number += 1
    total = sum(seen.values())
    print(f"{total} frames in {number} worlds, seed {options.seed}, {time.process_time() - began:.0f} s of the model: {seen['pass']} passed, "
          f"{len(seen) - 1} reasons; {'the kernel judged them, too' if tested.has_kernel else 'the kernel was not asked'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
