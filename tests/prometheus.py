#!/usr/bin/python3
"""The alerts of packaging/prometheus are about metrics, labels and reasons that there are: docs/observability.md, docs/reasons.md.

    tests/prometheus.py        where promtool is installed, it has its say, too
"""

import pathlib
import re
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
RULES = TOP / "packaging/prometheus/softnet.rules.yml"


def known_metrics():
    """{name: its labels}, by the table of the contract."""
    table = (TOP / "docs/observability.md").read_text().split("| metric | labels | |")[1].split("\n\n")[0]
    found = {}
    for names, labels in re.findall(r"^\| (softnet_[^|]+?) \| ([^|]*?) ?\|", table, re.M):
        for name in names.split(", "):
            found[name] = {"vm", "mac", *re.findall(r"\w+", labels)}
    return found


def faults(text):
    metrics, reasons = known_metrics(), re.findall(r"^\| `([\w-]+)` \|", (TOP / "docs/reasons.md").read_text(), re.M)
    if len(metrics) < 15 or len(reasons) < 50:
        yield "docs/observability.md or docs/reasons.md: their tables cannot be read"
    for name in set(re.findall(r"\bsoftnet_\w+", text)):
        if name not in metrics:
            yield f"{name}: no such metric"
    for name, matchers in re.findall(r"(softnet_\w+)\{([^}]*)\}", text):
        for label, value in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
            if label not in metrics.get(name, {label}):
                yield f"{name}: it has no label {label}"
            for pattern in value.split("|") if label == "reason" else ():
                if not any(re.fullmatch(pattern, reason) for reason in reasons):
                    yield f"{pattern}: no such reason"


def main():
    found = list(faults(RULES.read_text()))
    for fault in found:
        print(f"{RULES.relative_to(TOP)}: {fault}")
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            found.append(done.stdout + done.stderr)
            print(found[-1])
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
