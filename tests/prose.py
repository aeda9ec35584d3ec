#!/usr/bin/env python3
"""The documents in plain English: no phrase that has to be read twice, and no line of prose above 100 columns.

    tests/prose.py PAGE ...         Markdown, or the manual

Code and tables of Markdown may be wider, and so may a line that is one long word. The manual has its own test of its width.
"""

import re
import sys

WIDTH = 100
# What readers stumbled over, and what to write instead.
RIDDLES = {
    r"who(?:so|m)?ever": "name the one: the user who ..., a machine that ...",
    r"but for": "except",
    r"as far as": "if, or where, or until",
    r"no rule speaks of|rules? speaks? of": "if no rule decides; a rule is about",
    r"none is that|nobody is that": "say it the other way round",
    r"for ever": "without end, or always",
    r"neighbours?": "neighbor, as the RFCs write it",
    r"lest": "two sentences",
}


def without_code(text):
    """The line without what stands in backticks: quoted names and messages are not ours to write."""
    return re.sub(r"`[^`]*`", "``", text)


def prose_of_markdown(lines):
    """(number, line, may be wide) of each line that is no code: code stands between fences, or indented behind an empty line."""
    is_fenced = is_code = False
    is_after_blank = True
    for number, line in enumerate(lines, 1):
        if line.startswith("```"):
            is_fenced = not is_fenced
            continue
        is_blank = not line.strip()
        if not is_blank:
            is_code = line.startswith("    ") and (is_after_blank or is_code)
        is_after_blank = is_blank
        if not (is_blank or is_fenced or is_code):
            yield number, line, line.startswith("|") or " " not in line.strip()


def prose_of_manual(lines):
    """The same of mdoc: displays are code, and the widths are those of the terminal."""
    is_display = False
    for number, line in enumerate(lines, 1):
        is_display = line.startswith(".Bd -literal") or (is_display and not line.startswith(".Ed"))
        if not is_display:
            yield number, line, True


def riddles_of(text):
    """The phrases in it, which may go over the end of a line."""
    for pattern, better in RIDDLES.items():
        for found in re.finditer(rf"\b(?:{pattern})\b", text, re.IGNORECASE):
            yield found.start(), " ".join(found.group().split()), better


def faults_of(path):
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    prose = list((prose_of_manual if path.endswith(".1") else prose_of_markdown)(lines))
    assert prose, f"{path}: no prose found"
    for number, line, may_be_wide in prose:
        if len(line) > WIDTH and not may_be_wide:
            yield f"{path}:{number}: {len(line)} columns"
    text = " ".join(without_code(line) for _, line, _ in prose)
    ends = []
    for number, line, _ in prose:
        ends.append((ends[-1][0] if ends else 0) + len(without_code(line)) + 1)
        ends[-1] = ends[-1], number
    yield from (f"{path}:{next(number for end, number in ends if start < end)}: \"{phrase}\": {better}"
                for start, phrase, better in riddles_of(text))


def main():
    faults = [fault for path in sys.argv[1:] for fault in faults_of(path)]
    print("\n".join(faults) or f"{len(sys.argv) - 1} pages are plain")
    return 1 if faults or len(sys.argv) < 2 else 0


sys.exit(main())
