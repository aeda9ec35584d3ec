#!/usr/bin/python3
"""Plants faults in core, one at a time, and asks whether the unit tests notice (`make mutate`).

    tests/mutate.py [--count N] [--seed N] [--file PART] [--list] [--again] [--out FOLDER]

A mutant is core with one comparison, bound, junction, condition, statement, constant or returned value changed. One that
compiles to the same octets is none. The unit tests of core run on each until one fails; one that takes ten times as long has
failed, too. Only tests that come to the line are asked. A mutant that nobody could tell from core is no fault: those stand in
tests/equivalent.tsv, with the reason. The sample is the same in every run, and every file of core is in it. Exit status: 0 if
at least 95 % of the others are killed.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

import core_tests
import coverage
import idiom
from core_tests import compile_file, run

TOP = idiom.TOP
LISTED = TOP / "tests/equivalent.tsv"
IN_KERNEL_ONLY = {"core/wire/frame_bpf.h"}
SANITIZER = "-fsanitize=undefined", "-fno-sanitize-recover=all"
PATIENCE = 10                                    # times as long as the tests take on core as it is
KILLED_MIN = 0.95
OTHER_SIGN = {"<": ("<=", ">="), "<=": ("<", ">"), ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",),
              "&&": ("||",), "||": ("&&",), "+": ("-",), "-": ("+",), "<<": (">>",), ">>": ("<<",), "&": ("|",), "|": ("&",),
              "+=": ("-=",), "-=": ("+=",), "*": ("/",), "/": ("*",), "%": ("*",), "|=": ("&=",)}
COMPARISONS = {"<", "<=", ">", ">=", "==", "!="}
NUMBER = re.compile(r"(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)$")
BOUND = re.compile(r"[A-Z][A-Z0-9]*_[A-Z0-9_]+$")
SIZE = re.compile(r"MAX|BUCKETS|OCTETS|SLOTS|PLACES|ENTRIES|END|PARTS")
REASON = re.compile(r"(DROP_\w+|PASS)$")
DECLARED = re.compile(r"(struct|enum|union|const|static|unsigned|bool|int|char|return|goto|typedef|\w+_t)$")

Mutant = collections.namedtuple("Mutant", "file start end new line was now is_shared")


# --- which changes there are --------------------------------------------------------------------------------------------

class Changes:
    """All mutants of one file."""
    def __init__(self, name):
        self.name, self.text = name, (TOP / name).read_text()
        self.tokens, self.found = idiom.Text(self.text), []
        self.inside = self.find_places()
        for i, token in enumerate(self.tokens.tokens):
            if self.inside[i] == "type":
                continue
            self.change_sign(i, token)
            self.change_number(i, token)
            self.change_condition(i, token)
            self.change_value(i, token)
            self.remove_statement(i)

    def find_places(self):
        """For each token: in a "function", in a "type" whose size all share, or in an "enum" """
        places, place, depth = [], "type", 0
        for i, token in enumerate(self.tokens.tokens):
            if token == "{" and depth == 0:
                words = self.tokens.tokens[max(i - 2, 0):i]
                is_type = self.name.endswith(".h") and ("struct" in words or "union" in words)
                place = "enum" if "enum" in words else "type" if is_type else "function"
            depth += (token == "{") - (token == "}")
            is_size = place == "enum" and SIZE.search(self.tokens.token(i - 2)) and self.name.endswith(".h")
            places.append("type" if depth == 0 or is_size else place)
        return places

    def add(self, first, last, new):
        start, end = self.tokens.spans[first][0], self.tokens.spans[last][1]
        line = self.text.rindex("\n", 0, start) + 1
        stop = self.text.index("\n", end)
        was, now = self.text[line:stop], self.text[line:start] + new + self.text[end:stop]
        one_line = [" ".join(text.split()) for text in (was, now)]
        number = self.text.count("\n", 0, start) + 1
        self.found.append(Mutant(self.name, start, end, new, number, *one_line,
                                 self.name.endswith(".h") and self.inside[first] == "enum"))

    def change_sign(self, i, token):
        if token in OTHER_SIGN and self.tokens.is_operand_end(i - 1) and self.tokens.token(i - 2) not in ("struct", "enum"):
            if token == "*" and (self.tokens.token(i - 1) == ")" or DECLARED.match(self.tokens.token(i - 1))):
                return                           # a cast, or a pointer
            for new in OTHER_SIGN[token]:
                self.add(i, i, new)

    def change_number(self, i, token):
        number = NUMBER.match(token)
        if number:
            value = int(number[1], 0)
            for other in {value + 1, max(value - 1, 0)} - {value}:
                self.add(i, i, f"{other}{number[2]}")
        elif BOUND.match(token) and COMPARISONS & {self.tokens.token(i - 1), self.tokens.token(i + 1)}:
            self.add(i, i, f"({token} + 1)")
            self.add(i, i, f"({token} - 1)")

    def change_condition(self, i, token):
        if token in ("if", "while"):
            end = self.tokens.closing_of(i + 1)
            inner = self.text[self.tokens.spans[i + 1][0]:self.tokens.spans[end][1]]
            self.add(i + 1, end, f"(!{inner})")

    def change_value(self, i, token):
        if token in ("true", "false"):
            self.add(i, i, "false" if token == "true" else "true")
        elif REASON.match(token):
            self.add(i, i, "DROP_FRAME_RUNT" if token == "PASS" else "PASS")
            if token != "DROP_FRAME_OVERSIZE":
                self.add(i, i, "DROP_FRAME_OVERSIZE")

    def remove_statement(self, i):
        """An assignment or a call that stands alone; its declarations stay, for the rest needs them."""
        before, first, second = (self.tokens.token(i + k) for k in (-1, 0, 1))
        if before == ")" and self.tokens.token(self.tokens.opening_of(i - 1) - 1) not in ("if", "while", "for"):
            return                               # a cast
        if before not in (";", "{", "}", ")", "else") or not re.match(r"[a-z*]\w*$|\*$", first):
            return
        if first in ("break", "continue") and second == ";":
            self.add(i, i, "")
        if first in idiom.KEYWORDS | {"break", "continue"} or DECLARED.match(first) or re.match(r"\w", second) or second in (":", "*"):
            return
        end = i
        while self.tokens.token(end) not in (";", "{", "}", ""):
            end = self.tokens.closing_of(end) + 1 if self.tokens.token(end) in ("(", "[") else end + 1
        tokens = self.tokens.tokens[i:end]
        if self.tokens.token(end) == ";" and tokens and (second == "(" or any(t in OTHER_SIGN | {"=": 0, "++": 0, "--": 0} for t in tokens)):
            self.add(i, end - 1, "")


def all_mutants():
    for path in sorted((TOP / "core").rglob("*.[ch]")):
        name = str(path.relative_to(TOP))
        if name not in IN_KERNEL_ONLY:
            yield from Changes(name).found


def sample(mutants, seed):
    """One of each file first. The order is of chance, and a change of core changes it where it was made alone."""
    def place(m):
        return hashlib.sha256(f"{seed} {m.file} {m.was} {m.now}".encode()).digest()

    mutants = sorted({(m.file, m.was, m.now): m for m in mutants}.values(), key=place)
    seen = set()
    first = [m for m in mutants if m.file not in seen and not seen.add(m.file)]
    chosen = set(first)
    return first + [m for m in mutants if m not in chosen]


# --- core and its tests -------------------------------------------------------------------------------------------------

def dependencies(objects):
    """{object: set of the files that it was compiled of}, from what -MMD wrote."""
    return {o: {word.removeprefix(str(TOP) + "/") for word in o.with_suffix(".d").read_text().replace("\\\n", " ").split()[1:]}
            for o in objects}


class Bench:
    """What all workers share: the rest of the program in an archive, tests as objects, core as it is, and who reaches what."""
    def __init__(self, out):
        if out.exists():
            shutil.rmtree(out)
        self.out, self.tests, self.helpers = out, core_tests.test_sources(), core_tests.helper_sources()
        sources = [source for own in self.tests.values() for source in own] + self.helpers
        self.core = core_tests.compile_all(core_tests.core_sources(), out / "core", "-O0", "-MMD")
        self.test_objects = core_tests.compile_all(sources, out / "tests", "-O0", "-MMD")
        rest = core_tests.compile_all(core_tests.other_sources(), out / "rest", "-O0")
        run("ar", "rc", out / "rest.a", *rest.values(), check=True)
        self.needs = dependencies([*self.core.values(), *self.test_objects.values()])
        self.reached = coverage.lines_by_test(out / "coverage")

    def tests_of(self, mutant):
        """Those that come to its line; all where it is no line of a function."""
        known = [name for name, lines in self.reached.items() if mutant.line in lines.get(mutant.file, {})]
        if mutant.is_shared or not known:
            return list(self.tests)
        return [name for name in known if self.reached[name][mutant.file][mutant.line]]


class Worker:
    """A copy of core, where one thing at a time is changed."""
    def __init__(self, bench, number):
        self.bench, self.place = bench, bench.out / f"worker{number}"
        self.objects = self.place / "objects"
        self.objects.mkdir(parents=True)
        shutil.copytree(TOP / "core", self.place / "core")
        for name in bench.core:                  # the same folder and the same name in both: the octets are compared
            compile_file(name, self.plain(name), "-O0", folder=self.place)
        self.link_core(())
        self.environment = core_tests.ENVIRONMENT | {"LD_LIBRARY_PATH": str(self.place)}
        self.times = {}
        for name in bench.tests:
            self.link_test(name, ())
            began = time.monotonic()
            if run(self.place / name, env=self.environment, timeout=120, cwd=TOP) != 0:
                sys.exit(f"tests/mutate.py: {name} fails on core as it is")
            self.times[name] = time.monotonic() - began

    def plain(self, name):
        return self.objects / self.bench.core[name].name

    def changed(self, path):
        return self.place / f"changed+{path.name}"

    def link_core(self, names):
        objects = [self.changed(self.bench.core[name]) if name in names else self.plain(name) for name in self.bench.core]
        run("gcc", "-shared", "-Wl,-Bsymbolic", "-fsanitize=undefined", *objects, "-o", self.place / "libcore.so", check=True)

    def link_test(self, name, changed):
        sources = self.bench.tests[name] + self.bench.helpers
        own = [self.changed(self.bench.test_objects[s]) if s in changed else self.bench.test_objects[s] for s in sources]
        run("gcc", *own, self.bench.out / "rest.a", f"-L{self.place}", "-lcore", *core_tests.LIBRARIES, "-o", self.place / name,
            check=True)

    def try_one(self, mutant, order):
        """None: it is no mutant; else the test that killed it, or an empty name."""
        path = self.place / mutant.file
        text = path.read_text()
        path.write_text(text[:mutant.start] + mutant.new + text[mutant.end:])
        tests = sorted(self.bench.tests_of(mutant), key=lambda name: (-order[name], self.times[name]))
        try:
            return self.verdict_on(mutant, tests, text)
        finally:
            path.write_text(text)

    def verdict_on(self, mutant, tests, was):
        concerned = [name for name, o in self.bench.core.items() if mutant.file in self.bench.needs[o]]
        differs = []
        for name in concerned:
            changed = self.changed(self.bench.core[name])
            if not compile_file(name, changed, "-O0", folder=self.place):
                return None
            if changed.read_bytes() != self.plain(name).read_bytes():
                differs.append(name)
        if differs:
            self.link_core(differs)
            killer = "" if mutant.is_shared else self.first_that_fails(tests)
            if killer:
                return killer
        killer = self.ask_again(mutant, tests) or self.ask_sanitized(differs, tests)
        return killer if killer or self.is_other_when_optimized(mutant, differs, was) else None

    def ask_again(self, mutant, tests):
        """The tests have functions of headers in themselves, too."""
        needed = {source for name in tests for source in self.bench.tests[name]} | set(self.bench.helpers)
        changed = [source for source in needed if mutant.file in self.bench.needs[self.bench.test_objects[source]]]
        if not mutant.file.endswith(".h") or not tests or not changed:
            return ""
        for source in changed:
            if not compile_file(TOP / source, self.changed(self.bench.test_objects[source]), "-O0", folder=self.place):
                return "it does not compile"
        try:
            for name in tests:
                self.link_test(name, changed)
            return self.first_that_fails(tests)
        finally:
            for name in tests:
                self.link_test(name, ())

    def ask_sanitized(self, names, tests):
        """./check has sanitizers in it: what reads behind a table dies of that."""
        for name in names:
            compile_file(name, self.changed(self.bench.core[name]), "-O0", *SANITIZER, folder=self.place)
        self.link_core(names)
        return self.first_that_fails(tests)

    def is_other_when_optimized(self, mutant, names, was):
        """Whether an optimizing compiler sees a difference. What it does not see nobody can."""
        path = self.place / mutant.file
        now = path.read_text()
        for name in names:
            first, second = self.place / "first.o", self.place / "second.o"
            path.write_text(now)
            compile_file(name, first, "-O2", folder=self.place)
            path.write_text(was)
            compile_file(name, second, "-O2", folder=self.place)
            if first.read_bytes() != second.read_bytes():
                return True
        return False

    def first_that_fails(self, tests):
        for name in tests:
            try:
                code = run(self.place / name, env=self.environment, timeout=1 + PATIENCE * self.times[name], cwd=TOP)
            except subprocess.TimeoutExpired:
                code = -1
            if code != 0:
                return name
        return ""


# --- the run ------------------------------------------------------------------------------------------------------------

def read_listed():
    """{(file, line as it is, line as changed): reason}"""
    listed = {}
    for line in LISTED.read_text().splitlines() if LISTED.exists() else ():
        if line and not line.startswith("#"):
            file, was, now, reason = line.split("\t")
            listed[file, was, now] = reason
    return listed


class Round:
    def __init__(self, mutants, count, log):
        self.mutants, self.count, self.lock = iter(mutants), count, threading.Lock()
        self.results, self.kills, self.log = [], collections.defaultdict(collections.Counter), log

    def next_mutant(self):
        with self.lock:
            return next(self.mutants, None) if len(self.results) < self.count else None

    def work(self, worker):
        while mutant := self.next_mutant():
            killer = worker.try_one(mutant, self.kills[mutant.file])
            if killer is None:
                continue
            with self.lock:
                self.kills[mutant.file][killer] += 1
                self.results.append((mutant, killer))
                print(mutant.file, mutant.was, mutant.now, killer, sep="\t", file=self.log, flush=True)


def read_log(path):
    """{(file, line as it is, line as changed): who killed it} of the last run."""
    lines = (line.split("\t") for line in path.read_text().splitlines()) if path.exists() else ()
    return {tuple(line[:3]): line[3] for line in lines}


def tell(results):
    listed = read_listed()
    alive = [m for m, killer in results if not killer]
    excused = [m for m in alive if (m.file, m.was, m.now) in listed]
    for m in alive:
        if m not in excused:
            print(f"lives: {m.file}:{m.line}\n    {m.was}\n    {m.now}")
    killed, real = len(results) - len(alive), len(results) - len(excused)
    print(f"{len(results)} mutants in {len({m.file for m, _ in results})} files: {len(excused)} equivalent (tests/equivalent.tsv), "
          f"{killed} of the other {real} killed ({killed / real:.1%})")
    return 0 if killed / real >= KILLED_MIN else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", default="", help="only files with this in their path")
    parser.add_argument("--list", action="store_true", help="print the mutants, try none")
    parser.add_argument("--again", action="store_true", help="what was killed the last time is not tried again")
    parser.add_argument("--out", type=pathlib.Path, default=TOP / "build/mutants")
    options = parser.parse_args()
    mutants = [m for m in sample(all_mutants(), options.seed) if options.file in m.file]
    if options.list:
        for m in mutants:
            print(f"{m.file}:{m.line}\t{m.was}\t{m.now}")
        return 0
    log = options.out.resolve().with_suffix(".tsv")
    last = read_log(log)
    known = [(m, last[m.file, m.was, m.now]) for m in mutants[:options.count] if options.again and last.get((m.file, m.was, m.now))]
    mutants = [m for m in mutants if (m, last.get((m.file, m.was, m.now))) not in known]
    bench = Bench(options.out.resolve())
    with concurrent.futures.ThreadPoolExecutor(2) as pool, open(log, "w", encoding="utf-8") as file:
        workers = list(pool.map(lambda number: Worker(bench, number), (1, 2)))
        the_round = Round(mutants, options.count - len(known), file)
        for m, killer in known:
            print(m.file, m.was, m.now, killer, sep="\t", file=file)
        list(pool.map(the_round.work, workers))
    return tell(known + the_round.results)


if __name__ == "__main__":
    sys.exit(main())
