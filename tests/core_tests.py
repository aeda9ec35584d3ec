"""What core's unit tests are made of, for the programs that build them in their own way: mutate.py and coverage.py."""

import concurrent.futures
import re
import subprocess

import idiom

TOP = idiom.TOP
UNIT = TOP / "tests/unit"
FLAGS = ("-std=gnu17 -w -fPIC -I. -Itests/unit -Itests/unit/names -D_GNU_SOURCE".split() +
         ['-DSOFTNET_VERSION="0"', f"-I{TOP}", f"-I{UNIT}", f"-I{UNIT}/names"])
LIBRARIES = "-lcmocka", "-ljansson", "-lnettle"
ENVIRONMENT = {"ATTACKS": str(UNIT / "attacks.hex.tsv"), "PATH": "/usr/bin:/bin"}
ELSEWHERE = re.compile(r"_macos\.c|crypto_none|kernel_relay|/seccomp\.c|softnet/main|port/vmnet|port/slirp/|port/kernel/|/libvirt/")


def run(*words, **more):
    return subprocess.run([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more).returncode


def core_sources():
    return [path.relative_to(TOP) for path in sorted((TOP / "core").rglob("*.c"))]


def other_sources():
    """The rest of the program, which tests of names need a little of."""
    return [path.relative_to(TOP) for folder in ("system", "port", "softnet") for path in sorted((TOP / folder).rglob("*.c"))
            if not ELSEWHERE.search(str(path))]


def helper_sources():
    return [p.relative_to(TOP) for p in sorted(UNIT.rglob("*.c")) if p.name.startswith(("world", "model_", "filter"))]


def all_includes(path):
    """What a test includes, and what headers of tests that it includes do."""
    found = set(re.findall(r'#include "([^"]+)"', path.read_text()))
    own = [folder / name for name in found for folder in (UNIT, path.parent) if (folder / name).exists()]
    return found.union(*(all_includes(header) for header in own))


def test_sources():
    """{name of a test: its sources}, for those that ask core alone."""
    tests = {}
    for path in sorted(UNIT.rglob("test_*.c")):
        rooms = {name.partition("/")[0] for name in all_includes(path)}
        is_of_core = "world.h" in all_includes(path) or path.parent.name == "names" or (
            "core" in rooms and not rooms & {"port", "softnet", "system"})
        if "cmocka_run_group_tests" in path.read_text() and is_of_core:
            tests[path.stem] = [path.relative_to(TOP)]
    more = (TOP / "tests/meson.build").read_text()
    for name, listed in re.findall(r"'(\w+)': \[((?:'unit/\w+\.c',?\s*)+)\]", more):
        if f"test_{name}" in tests:
            tests[f"test_{name}"] += [TOP.joinpath("tests", part).relative_to(TOP) for part in re.findall(r"unit/\w+\.c", listed)]
    return tests


def compile_file(source, out, *flags, compiler="gcc", folder=TOP):
    return run(compiler, "-c", *FLAGS, *flags, source, "-o", out, cwd=folder) == 0


def compile_all(sources, out, *flags, compiler="gcc"):
    """{source: object}. Two at a time."""
    out.mkdir(parents=True, exist_ok=True)
    objects = {source: out / str(source).replace("/", "+").replace(".c", ".o") for source in sources}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda source: compile_file(source, objects[source], *flags, compiler=compiler), sources))
    for source, is_good in zip(sources, done):
        if not is_good:
            raise SystemExit(f"{source}: does not compile")
    return objects
