"""What the benches share: programs around a relay, what the scheduler says it was given, rounds, tables, and marks in a page."""

import json
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
SOFTNET = HERE.parent.parent / "build" / "softnet"
RULES = 4096
OPTIONS = "--vm-mac-address", "52:54:00:00:00:0a", "--vm-ip", "192.168.64.10/24", "--gateway", "192.168.64.1", \
    "--gateway-mac", "52:54:00:00:00:01"


def compiled(place, name):
    """One of the small programs of this folder."""
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", place / name, HERE / f"{name}.c"], check=True)
    return place / name


def blocks(first=11):
    """Rules about other peers than the one that frames go to."""
    return [f"{first}.{number >> 8}.{number & 255}.0/24" for number in range(RULES)]


def policy_file(place):
    path = place / "rules"
    path.write_text("".join(f"block {rule}\n" for rule in blocks()))
    return path


def spent_ns(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def settled_ns(pid):
    """What it has spent when it has read all; one that has ended is told by its last figure."""
    last = spent_ns(pid)
    while True:
        time.sleep(0.05)
        try:
            now = spent_ns(pid)
        except (FileNotFoundError, ProcessLookupError):
            return last
        if now - last < 1_000_000:
            return now
        last = now


def measure_rounds(arms, count, measure):
    """{arm: [a measurement for each round]}: one arm after the other, and each round begins with another."""
    arms, values = list(arms), {arm: [] for arm in arms}
    for turn in range(count):
        first = turn % len(arms)
        for arm in arms[first:] + arms[:first]:
            values[arm].append(measure(arm))
        print(f"round {turn + 1} of {count}", file=sys.stderr, flush=True)
    return values


def spread(values, digits):
    median, least, most = (f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{median} ({least} to {most})"


def ratios(values, others):
    """Of the same rounds."""
    return [one / other for one, other in zip(values, others)]


def table(head, lines):
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def put_into(page, name, told):
    """Between two marks of the page."""
    page = pathlib.Path(page)
    begin, end = f"<!-- {name}: measured -->\n", f"<!-- {name}: until here -->\n"
    before, rest = page.read_text().split(begin)
    page.write_text(f"{before}{begin}\n{told}\n\n{end}{rest.split(end)[1]}")


def keep(folder, name, figures):
    """`figures`: what JSON can hold."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(figures, indent=1))
