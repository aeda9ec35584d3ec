#!/usr/bin/env python3
"""The worked examples of man/softnet.1, RULES: each file and each command line is taken from the manual as it stands, and
`softnet policy check` must say of it what the text promises.

    tests/policy_examples.py SOFTNET MANUAL
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile

# heading in the manual: what is known of the network there, and tuple, verdict, rule that decides
EXAMPLES = {
    "A sandbox for an agent": (["--gateway", "10.0.2.2,fd00:10:0:2::2", "--dns", "10.0.2.3"], [
        ("out 10.0.2.3:udp/53", "pass", "allow @dns:53"),
        ("out 10.0.2.3:tcp/53", "pass", "allow @dns:53"),
        ("out 10.0.2.3:tcp/853", "dst-blocked", "block any"),
        ("out 1.1.1.1:tcp/443", "pass", "allow @global:tcp/443"),
        ("out [2606:4700::1111]:tcp/443", "pass", "allow @global:tcp/443"),
        ("out 1.1.1.1:udp/443", "dst-blocked", "block any"),
        ("out 1.1.1.1:tcp/80", "dst-blocked", "block any"),
        ("out 1.1.1.1:icmp", "dst-blocked", "block any"),
        ("out 8.8.8.8:udp/53", "dst-blocked", "block any"),
        ("out 10.0.2.2:tcp/443", "dst-blocked", "block any"),
        ("out 10.0.2.2:tcp/22", "dst-blocked", "block any"),
        ("out 192.168.1.1:tcp/443", "dst-blocked", "block any"),
        ("out [fd00::1]:tcp/443", "dst-blocked", "block any"),
        ("out 224.0.0.251:udp/5353", "dst-blocked", "block any"),
        ("in 10.0.2.2:tcp/22", "pass", "allow in @host:tcp/22"),
        ("in [fd00:10:0:2::2]:tcp/22", "pass", "allow in @host:tcp/22"),
        ("in 10.0.2.2:tcp/80", "unsolicited", "default"),
        ("in 192.168.1.5:tcp/22", "unsolicited", "default"),
        ("in 1.1.1.1:tcp/443", "unsolicited", "default"),
    ]),
    "A host for continuous integration": (["--gateway", "192.168.1.1", "--dns", "192.168.1.1"], [
        ("out 192.168.1.20:tcp/5000", "pass", "allow 192.168.1.20/32:tcp/5000"),
        ("out 192.168.1.20:tcp/22", "dst-blocked", "block @lan"),
        ("out 192.168.1.1:udp/53", "pass", "allow @dns:53"),
        ("out 192.168.1.1:tcp/80", "dst-blocked", "block @lan"),
        ("out 192.168.1.77:tcp/445", "dst-blocked", "block @lan"),
        ("out [fd00::9]:tcp/443", "dst-blocked", "block @lan"),
        ("out 140.82.121.3:tcp/22", "pass", "default"),
        ("out [2606:4700::1111]:udp/443", "pass", "default"),
        ("in 192.168.1.1:tcp/22", "pass", "allow in @host:tcp/22"),
        ("in 192.168.1.1:tcp/80", "unsolicited", "default"),
        ("in 192.168.1.77:tcp/22", "unsolicited", "default"),
        ("in 192.168.1.20:tcp/5000", "unsolicited", "default"),
    ]),
    "A laboratory": (["--gateway", "10.0.0.1"], [
        ("out 10.0.0.7", "pass", "allow 10.0.0.0/24"),
        ("in 10.0.0.7", "pass", "allow in 10.0.0.0/24"),
        ("out 10.0.1.7:tcp/22", "dst-blocked", "block any"),
        ("out 1.1.1.1:tcp/443", "dst-blocked", "block any"),
        ("out [fd00::7]:tcp/22", "dst-blocked", "block any"),
        ("in 10.0.1.7:tcp/22", "unsolicited", "default"),
        ("in 1.1.1.1:udp/53", "unsolicited", "default"),
        ("in [fd00::7]:tcp/22", "unsolicited", "default"),
    ]),
}


def displays(manual, heading):
    """The literal displays below a heading of RULES: a rules file, then a command line."""
    section = manual.split(f"\n.Ss {heading}\n", 1)[1]
    section = re.split(r"\n\.S[sh] ", section, maxsplit=1)[0]
    found = re.findall(r"\n\.Bd -literal[^\n]*\n(.*?)\n\.Ed", section, re.DOTALL)
    assert len(found) == 2, f"{heading}: {len(found)} displays"
    return [text.replace("\\e", "\\") for text in found]


def check(softnet, manual, heading, known, expected):
    rules, command = displays(manual, heading)
    words = shlex.split(command.replace("\\\n", " "))
    name = rules.splitlines()[0].removeprefix("# ")
    assert words[:2] == ["softnet", "run"] and words.count(name) == 1, f"{heading}: {words}"
    with tempfile.NamedTemporaryFile("w", suffix=".rules") as file:
        file.write(rules + "\n")
        file.flush()
        given = [file.name if word == name else word for word in words[2:words.index("--")]]
        run = subprocess.run([softnet, "policy", "check", *given, *known, *[t[0] for t in expected]],
                             capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and run.stderr == "", f"{heading}: {run.returncode}: {run.stderr}"
    lines = [tuple(line.split("\t")) for line in run.stdout.splitlines() if "\t" in line]
    wrong = [f"{heading}: {line}, {wanted} expected" for line, wanted in zip(lines, expected) if line != wanted]
    assert len(lines) == len(expected), f"{heading}: {len(lines)} lines for {len(expected)} tuples"
    return wrong


def main():
    softnet, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        manual = file.read()
    wrong = []
    for heading, (known, expected) in EXAMPLES.items():
        wrong += check(os.path.abspath(softnet), manual, heading, known, expected)
    print("\n".join(wrong) or f"{len(EXAMPLES)} examples of the manual hold")
    return 1 if wrong else 0


sys.exit(main())
