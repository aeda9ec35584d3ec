#!/usr/bin/python3
"""Which lines of core the unit tests and the corpora of the fuzz targets reach (`make coverage`).

    tests/coverage.py [--lines] [--out FOLDER]         --lines names those that nobody reaches

Needs clang and llvm-cov. Exit status: 0 if at least 95 % are reached.
"""

import argparse
import collections
import pathlib
import subprocess
import sys

import core_tests
from core_tests import TOP

FLAGS = "-O0", "-fprofile-instr-generate", "-fcoverage-mapping"
FUZZ_TARGETS = "decide", "dns", "hello", "initial", "names", "refusal"     # those that ask core
MUTANTS_OF_CORPUS = "3"                                                 # of each file of a corpus, beside it
REACHED_MIN = 0.95


class Build:
    """Core and its tests, with counters in them."""
    def __init__(self, out):
        self.out = out
        self.tests = core_tests.test_sources()
        helpers = core_tests.helper_sources()
        sources = [s for own in self.tests.values() for s in own] + helpers
        core = core_tests.compile_all(core_tests.core_sources(), out / "core", *FLAGS, compiler="clang")
        self.core = list(core.values())
        self.test_objects = core_tests.compile_all(sources, out / "tests", *FLAGS, compiler="clang")
        self.helpers = [self.test_objects[s] for s in helpers]
        rest = core_tests.compile_all(core_tests.other_sources(), out / "rest", "-O0")
        self.rest = out / "rest.a"
        core_tests.run("ar", "rc", self.rest, *rest.values(), check=True)

    def link(self, name, objects):
        core_tests.run("clang", "-fprofile-instr-generate", *objects, *self.core, self.rest, *core_tests.LIBRARIES,
                       "-o", self.out / name, check=True)
        return self.out / name

    def lines_of(self, program, *words):
        """{file: {line: is reached}} of one run."""
        raw, profile = program.with_suffix(".profraw"), program.with_suffix(".profdata")
        environment = core_tests.ENVIRONMENT | {"LLVM_PROFILE_FILE": str(raw)}
        if core_tests.run(program, *words, env=environment, cwd=TOP) != 0:
            raise SystemExit(f"{program.name} fails")
        core_tests.run("llvm-profdata", "merge", raw, "-o", profile, check=True)
        text = subprocess.run(["llvm-cov", "export", "-format=lcov", program, f"-instr-profile={profile}"],
                              capture_output=True, text=True, check=True).stdout
        return read_lcov(text)

    def lines_of_test(self, name):
        objects = [self.test_objects[source] for source in self.tests[name]]
        return self.lines_of(self.link(name, objects + self.helpers))

    def lines_of_corpus(self, name):
        sources = [pathlib.Path(f"tests/fuzz/fuzz_{part}.c") for part in (name, "main")]
        objects = core_tests.compile_all(sources, self.out / "fuzz", *FLAGS, compiler="clang")
        folders = [self.out / f"corpus-{name}"]
        return self.lines_of(self.link(f"fuzz_{name}", objects.values()), MUTANTS_OF_CORPUS, *folders)


def read_lcov(text):
    lines, file = collections.defaultdict(dict), None
    for line in text.splitlines():
        word, _, rest = line.partition(":")
        if word == "SF":
            path = pathlib.Path(rest)
            file = str(path.relative_to(TOP)) if path.is_relative_to(TOP) else rest
        elif word == "DA" and file.startswith("core/"):
            number, count = rest.split(",")[:2]
            lines[file][int(number)] = int(count) > 0
    return lines


def lines_by_test(out):
    """{test: {file: {line: is reached}}} of the unit tests."""
    build = Build(out)
    return {name: build.lines_of_test(name) for name in build.tests}


def merge(runs):
    merged = collections.defaultdict(dict)
    for lines in runs:
        for file, own in lines.items():
            for number, is_reached in own.items():
                merged[file][number] = is_reached or merged[file].get(number, False)
    return merged


def report(lines, with_lines):
    rooms = collections.defaultdict(lambda: [0, 0])
    for file, own in sorted(lines.items()):
        missing = sorted(number for number, is_reached in own.items() if not is_reached)
        rooms[str(pathlib.PurePath(file).parent)][0] += len(own) - len(missing)
        rooms[str(pathlib.PurePath(file).parent)][1] += len(own)
        if missing and with_lines:
            print(f"{file}: {' '.join(map(str, missing))}")
    for room, (reached, total) in sorted(rooms.items()):
        print(f"{reached / total:7.1%}  {reached:5} of {total:5} lines  {room}")
    reached, total = (sum(pair[i] for pair in rooms.values()) for i in (0, 1))
    print(f"{reached / total:7.1%}  {reached:5} of {total:5} lines  core")
    return reached / total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", action="store_true", help="name the lines that nobody reaches")
    parser.add_argument("--out", type=pathlib.Path, default=TOP / "build/coverage")
    options = parser.parse_args()
    out = options.out.resolve()
    build = Build(out)
    core_tests.run("make", "-s", "-f", "tests/fuzz/Makefile", f"OUT={out}", f"{out}/corpora", cwd=TOP, check=True)
    runs = [build.lines_of_test(name) for name in build.tests] + [build.lines_of_corpus(name) for name in FUZZ_TARGETS]
    return 0 if report(merge(runs), options.lines) >= REACHED_MIN else 1


if __name__ == "__main__":
    sys.exit(main())
