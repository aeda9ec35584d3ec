#!/usr/bin/env python3
"""The documents in plain English: no phrase that has to be read twice, and no line of prose above 100 columns.

    tests/prose.py PAGE ...         Markdown, or the manual
    tests/prose.py --comments       the comments of the whole tree, for the phrases alone

Code and tables of Markdown may be wider, and so may a line that is one long word. The manual has its own test of its width.
"""

import pathlib
import re
import sys

WIDTH = 100
TOP = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = "core", "ebpf", "packaging", "port", "softnet", "system", "tests"
# What readers stumbled over, and what to write instead.
RIDDLES = {
    r"who(?:so|m)?ever": "name the one: the user who ..., a machine that ...",
    r"but for": "except",
    r"no rule speaks of|rules? speaks? of": "if no rule decides; a rule is about",
    r"none is that|nobody is that": "say it the other way round",
    r"for ever": "without end, or always",
    r"neighbours?": "neighbor, as the RFCs write it",
    r"colours?|coloured|behaviours?": "color, behavior",
    r"lest": "two sentences",
    r"whence": "from where, or from which",
}
# "..., for they have a tap": "for" is read as a preposition until the verb comes.
REASON = r"for (?:(?!(?:that|which|who|whose|how|example)\b)[\w'`-]+ ){1,4}?" \
    r"(?:is|are|was|were|has|have|had|can|cannot|could|may|might|must|will|would|does|do|did)"
IN_DOCUMENTS = RIDDLES | {
    r"as far as": "if, or where, or until",
    r"(?<=, )" + REASON: "because, or two sentences",
    r"(?-i:(?<=[.;:] )Else)": "otherwise",
    r"guards? on(?=[.,;])": "go on judging",
}
# A comment, or a string that may look like one.
COMMENT_IN_C = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', re.S)
COMMENT_IN_SCRIPT = re.compile(r'"""(?:.*?)"""|(?<!\S)\#[^\n]*', re.S)


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


def riddles_of(text, riddles):
    """The phrases in it, which may go over the end of a line."""
    for pattern, better in riddles.items():
        for found in re.finditer(rf"\b(?:{pattern})\b", text, re.IGNORECASE):
            yield found.start(), " ".join(found.group().split()), better


def faults_of(path):
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    prose = list((prose_of_manual if path.endswith((".1", ".8")) else prose_of_markdown)(lines))
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
                for start, phrase, better in riddles_of(text, IN_DOCUMENTS))


def faults_of_comments(path):
    text = path.read_text(encoding="utf-8")
    for comment in (COMMENT_IN_C if path.suffix in (".c", ".h") else COMMENT_IN_SCRIPT).finditer(text):
        if comment.group()[0] not in "\"'" or comment.group().startswith('"""'):
            # What begins each line of a comment does not tear a phrase apart.
            plain = re.sub(r"(?m)^\s*[*#]", lambda start: " " * len(start.group()), without_code(comment.group()))
            for start, phrase, better in riddles_of(plain, RIDDLES):
                line = text.count("\n", 0, comment.start()) + plain.count("\n", 0, start) + 1
                yield f"{path.relative_to(TOP)}:{line}: \"{phrase}\": {better}"


def sources():
    """Each file of code: those that end so, and scripts without an ending."""
    for path in sorted(path for folder in FOLDERS for path in (TOP / folder).rglob("*") if path.is_file()):
        if path != pathlib.Path(__file__).resolve() and (path.suffix in (".c", ".h", ".py", ".sh", ".build") or (
                not path.suffix and path.read_bytes()[:2] == b"#!")):
            yield path


def main():
    if sys.argv[1:] == ["--comments"]:
        read = list(sources())
        faults = [fault for path in read for fault in faults_of_comments(path)]
    else:
        read = sys.argv[1:]
        faults = [fault for path in read for fault in faults_of(path)]
    print("\n".join(faults) or f"{len(read)} files are plain")
    return 1 if faults or not read else 0


sys.exit(main())
