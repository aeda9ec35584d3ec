#!/usr/bin/env python3
"""The table of system calls against what the program imports from libc.

    tests/system_calls.py PROGRAM

tests/system_calls.txt says what libc does for each function. An import that it does not name fails, so that somebody
decides; so does a call that a process may come by and that calls.h does not allow it (it would be killed), and a call that
calls.h allows and nobody makes.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Names that are no functions, and those of libraries that have lines of their own in the list.
OTHERS = re.compile(r"_|json_|slirp_|nettle_|gcm_|aes|hkdf|hmac|sha|seccomp_|bpf_|libbpf_|environ$|std(in|out|err)$|mem|str(?!ftime|ptime|error)")


def plain(name):
    """As it is written: without the suffixes of files larger than 2 GiB, of checked buffers and of standards."""
    name = re.sub(r"^__(isoc\d\d_)?(\w+?)(_chk|_2)?$", r"\2", name) if re.match(r"__isoc|__(?!asan|ubsan)\w+_(chk|2)$", name) else name
    return re.sub(r"(?<=[a-z])(64|_time64)$", "", name)


def imports(program):
    listed = subprocess.run(["nm", "-D", "--undefined-only", program], capture_output=True, text=True, check=True).stdout
    names = {plain(line.split()[-1].split("@")[0]) for line in listed.splitlines()}
    return {name for name in names if not OTHERS.match(name) or name == "_exit"}


def table():
    """{call: letters}"""
    text = (ROOT / "system/sandbox/calls.h").read_text().split("#define SYSTEM_CALLS(X)")[1].split("/* What the sanitizers")[0]
    return {call: set(letters) - set(" |") for call, letters in re.findall(r'X\("(\w+)", ([A-Z |]+)\)', text)}


def listed():
    """{function: None or {(letter, call)}}, and the pairs of others."""
    functions, others = {}, set()
    for line in (ROOT / "tests/system_calls.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, *words = line.split()
        if name == "also":
            letters, *calls = line.split(": ")[1].split()
            others |= {(letter, call) for letter in letters for call in calls}
        else:
            letters, *calls = words or ["start"]
            functions[name] = set() if letters == "start" else {(letter, call) for letter in letters for call in calls}
    return functions, others


def main(program):
    allowed = table()
    functions, others = listed()
    wanted = others | set().union(*functions.values())
    faults = [f"{name}: imported, and tests/system_calls.txt does not say what libc does for it"
              for name in sorted(imports(program) - set(functions))]
    faults += [f"{call}: {letter} may come by it, and calls.h does not allow it" for letter, call in sorted(wanted)
               if letter not in allowed.get(call, ())]
    faults += [f"{call}: calls.h allows it to {letter}, and nobody there makes it" for call in allowed for letter in sorted(allowed[call])
               if (letter, call) not in wanted]
    print("\n".join(faults), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
