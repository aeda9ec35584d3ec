"""What the benches share: programs around a relay, what the scheduler says it was given, rounds, tables, and marks in a page."""

import contextlib
import json
import pathlib
import statistics
import subprocess
import sys
import textwrap
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


@contextlib.contextmanager
def running(command, **more):
    """It ends with the block, whatever happens there."""
    with subprocess.Popen(list(map(str, command)), **more) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_path(path, process):
    """That the process makes."""
    while not path.exists():
        assert process.poll() is None, f"it ended before there was {path.name}"
        time.sleep(0.01)


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


lost = {}       # {arm: why}: what a table says below it


def lose(arm, why):
    """An arm that cannot be measured is told, and the rest goes on without it."""
    name = arm if isinstance(arm, str) else ", ".join(map(str, arm))
    lost[name] = why if isinstance(why, str) else f"{type(why).__name__}: {' '.join(str(why).split())[:200]}"
    print(f"{name}: {lost[name]}", file=sys.stderr, flush=True)


def measure_rounds(arms, count, measure):
    """{arm: [a measurement for each round]}: one arm after the other, and each round begins with another. One that fails is left
    out of all rounds, so that rounds stay side by side."""
    arms, values = list(arms), {arm: [] for arm in arms}
    for turn in range(count):
        first = turn % len(arms)
        for arm in arms[first:] + arms[:first]:
            if arm not in values:
                continue
            try:
                values[arm].append(measure(arm))
            except Exception as error:      # whatever it is, the other arms are worth having
                lose(arm, error)
                del values[arm]
        print(f"round {turn + 1} of {count}", file=sys.stderr, flush=True)
    return values


def spread(values, digits):
    median, least, most = (f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{median} ({least} to {most})"


def ratios(values, others):
    """Of the same rounds. Empty: there are no others."""
    return [one / other for one, other in zip(values, others or []) if other]


def told_ratios(found):
    return spread(found, 2) if found else "-"


def table(head, lines):
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def put_into(page, name, told):
    """Between two marks of the page."""
    page = pathlib.Path(page)
    begin, end = f"<!-- {name}: measured -->\n", f"<!-- {name}: until here -->\n"
    before, rest = page.read_text().split(begin)
    page.write_text(f"{before}{begin}\n{told}\n\n{end}{rest.split(end)[1]}")


def publish(page, tables):
    """Prints tables by their marks, and puts them into the page, with what is not in them."""
    why = "\n\n".join(textwrap.fill(f"Not measured: {arm} ({reason}).", 100) for arm, reason in lost.items())
    for name, told in tables.items():
        print(told, end="\n\n")
        if page:
            put_into(page, name, f"{told}\n\n{why}" if why else told)
    if why:
        print(why)


def keep(folder, name, figures, compared):
    """`figures`: what JSON can hold. `compared`: {what: {arm: ratios by round}}, for the picture."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    compared = {what: {arm: found for arm, found in arms.items() if found} for what, arms in compared.items()}
    (folder / f"{name}.json").write_text(json.dumps({"figures": figures, "compared": compared, "lost": lost}, indent=1))
