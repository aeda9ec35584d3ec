#!/usr/bin/env python3
"""The manual pages on a terminal of 80 columns, as groff and as mandoc show it: without a warning, with no line that is wider, and
with every row of a table on one line, each cell below its heading.

    tests/manual.py MANUAL ...
"""

import pathlib
import re
import shutil
import subprocess
import sys

COLUMNS = 80
# groff 1.23 indents by two columns more than 1.22. Two columns less show with 1.22 what would not fit with 1.23.
OLDER_COLUMNS = 78


def renderers():
    """How each program is called, and how wide its lines may be."""
    said = subprocess.run(["groff", "--version"], capture_output=True, text=True, check=True).stdout
    columns = OLDER_COLUMNS if " 1.22" in said else COLUMNS
    return {"groff": (["groff", "-mandoc", "-Tascii", "-P-bcou", f"-rLL={columns}n"], columns),
            "mandoc": (["mandoc", "-T", "ascii", "-W", "warning", "-O", f"width={COLUMNS}"], COLUMNS)}


def render(command, manual):
    """The lines of the page, and what the renderer has to complain about."""
    run = subprocess.run([*command, manual], capture_output=True, text=True, timeout=60)
    lines = [re.sub(".\b", "", line).rstrip() for line in run.stdout.splitlines()]
    complaints = run.stderr.splitlines()
    return lines, complaints if complaints or run.returncode == 0 else [f"exit status {run.returncode}"]


def cell_text(cell):
    """What a cell looks like: without macros that choose a font, and with plain dashes."""
    return re.sub(r"^(?:Em|Cm|Li|Ar|Sy) ", "", cell.strip()).replace("\\-", "-")


def tables(source):
    """Each table of the source: its rows, which are lists of cells."""
    for body in re.findall(r"^\.Bl -column .*\n((?:.*\n)*?)\.El$", source, re.MULTILINE):
        yield [[cell_text(cell) for cell in line.removeprefix(".It ").split(" Ta ")] for line in body.splitlines()]


def cells_of(line):
    """Where the cells of a shown row begin, and what is in them: two spaces or more are between them."""
    return [(found.start(), found.group()) for found in re.finditer(r"\S+(?: \S+)*", line)]


def table_faults(rows, lines):
    """Rows that are not on a line of their own, or whose cells do not begin where those of the first row do. Lines that
    belong to the table are taken away, for the next table may have the same headings.
    """
    columns = None
    for row in rows:
        found = next((i for i, line in enumerate(lines) if [text for _, text in cells_of(line)] == row), None)
        if found is None:
            yield f"a row of a table is not on one line, or its cells touch: {' | '.join(row)}"
            continue
        at = [at for at, _ in cells_of(lines[found])]
        columns = columns or at
        if at != columns:
            yield f"a row of a table is not below its headings: {' | '.join(row)}"
        del lines[:found + 1]


def faults_of(command, columns, manual, source):
    lines, complaints = render(command, manual)
    yield from complaints
    yield from (f"a line of {len(line)} columns: {line.strip()}" for line in lines if len(line) > columns)
    for rows in tables(source):
        yield from table_faults(rows, lines)


def main():
    missing = [name for name in ("groff", "mandoc") if shutil.which(name) is None]
    if missing:
        print(f"not installed: {', '.join(missing)}")
        return 77
    sources = {manual: pathlib.Path(manual).read_text(encoding="utf-8") for manual in sys.argv[1:]}
    assert sum(len(list(tables(source))) for source in sources.values()) >= 2, "no tables found: the form has changed"
    faults = [f"{manual}: {name}: {fault}" for manual, source in sources.items()
              for name, (command, columns) in renderers().items() for fault in faults_of(command, columns, manual, source)]
    print("\n".join(faults) or "the manual fits on 80 columns")
    return 1 if faults else 0


sys.exit(main())
