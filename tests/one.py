#!/usr/bin/python3
"""Runs one test of any kind, or those of one unit: make test T=NAME

    a case of a unit test       test T=every_reason_was_earned      a part of the name will do
    a network test              test T=test_two_guests
    a whole unit test           test T=judge6
    what tests one file         test T=core/learn4/lease.c          test_lease*, or else who includes lease.h
    another test of meson's     test T="rooms keep their walls"

All that fit are run, unit tests first. Says so, and fails, when nothing does. BUILD (build) is the folder with the binaries.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = TOP / os.environ.get("BUILD", "build")
CASE = re.compile(r"^static void (\w+)\(void \*\*\w+\)", re.M)
NETWORK_CASE = re.compile(r"^def (test_\w+)\(", re.M)


def read_programs():
    """{name of a unit test: its source files}, as meson has them."""
    programs = {}
    for target in json.loads((BUILD / "meson-info/intro-targets.json").read_text()):
        sources = [pathlib.Path(name) for group in target["target_sources"] for name in group.get("sources", [])]
        if target["type"] == "executable" and target["name"].startswith("test_"):
            programs[target["filename"][0]] = [path for path in sources if path.name.startswith("test_")]
    return programs


def is_of_unit(path, unit):
    """Whether a test file is about softnet's file: by its name, which is that of the unit with or without more behind it."""
    return re.fullmatch(rf"test_(names_)?{re.escape(unit)}(_\w+)?\.(c|py)", path.name) is not None


def choose_programs(name, unit, programs):
    """[(program, pattern of cases)] of the unit tests that fit."""
    if unit:
        named = [program for program, paths in programs.items() if any(is_of_unit(path, unit) for path in paths)]
        header = re.compile(rf'#include "[\w/]*\b{re.escape(unit)}\.h"')
        return [(program, None) for program in named or (
            program for program, paths in programs.items() if any(header.search(path.read_text()) for path in paths))]
    whole = [program for program in programs if pathlib.Path(program).name in (name, f"test_{name}")]
    if whole:
        return [(program, None) for program in whole]
    return [(program, f"*{name}*") for program, paths in programs.items()
            if any(name in case for path in paths for case in CASE.findall(path.read_text()))]


def has_network_tests(name, unit):
    for path in (TOP / "tests/network").glob("test_*.py"):
        if unit and is_of_unit(path, unit):
            return True
        if not unit and (path.stem == name or any(name in case for case in NETWORK_CASE.findall(path.read_text()))):
            return True
    return False


def run(command, **more):
    print("$", " ".join(str(word) for word in command), flush=True)
    return subprocess.run(command, cwd=TOP, env=os.environ | more).returncode


def main():
    if len(sys.argv) != 2 or not sys.argv[1]:
        sys.exit(__doc__)
    name = sys.argv[1]
    unit = pathlib.Path(name).stem if re.search(r"\.[ch]$", name) else ""
    statuses = []
    for program, pattern in choose_programs(name, unit, read_programs()):
        target = pathlib.Path(program).relative_to(BUILD)
        statuses.append(run(["ninja", "-C", BUILD, "--quiet", target]) or
                        run([program], **({"TEST": pattern} if pattern else {})))
    if has_network_tests(name, unit):
        statuses.append(run(["ninja", "-C", BUILD, "--quiet", "softnet"]) or
                        run(["tests/network/run", "-k", f"test_{unit}" if unit else name]))
    others = [test["name"] for test in json.loads((BUILD / "meson-info/intro-tests.json").read_text())]
    if not statuses and name in others:
        statuses.append(run(["meson", "test", "-C", BUILD, "--print-errorlogs", name]))
    if not statuses:
        sys.exit(f"no test fits \"{name}\"")
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
