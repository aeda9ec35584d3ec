#!/usr/bin/python3
"""What the documents say about the tree is true: names of files in all of them; rooms and walks in docs/architecture.md.

    tests/architecture.py

The drawing, the table and the list of rooms have the same rooms. A walk has eight steps at most. A `name` in front of a file
in parentheses is defined there; any other `name` of a walk, and each `name()` and `struct name` of the page, somewhere.
"""

import re
import sys

import idiom
import layers

PAGE = idiom.TOP / "docs/architecture.md"
STEPS_MAX = 8
FILE = re.compile(r"(?<![\w./<-])((?:[\w.-]+/)*[\w*.-]+\.(?:c|h|py|sh))(?![\w/])")


def read_pages():
    return {path: path.read_text() for path in [*sorted((idiom.TOP / "docs").glob("*.md")), *sorted(idiom.TOP.glob("*.md"))]}


def files_of_tree():
    return [str(path.relative_to(idiom.TOP)) for folder in (*idiom.FOLDERS, "debian")
            for path in (idiom.TOP / folder).rglob("*.*") if path.is_file()]


def exists(name, files):
    pattern = re.compile("(.*/)?" + re.escape(name).replace(r"\*", "[^/]*") + "$")
    return any(pattern.match(file) for file in files)


def find_missing_files(files):
    for path, text in read_pages().items():
        for number, line in enumerate(text.splitlines(), 1):
            for name in FILE.findall(line):
                if not exists(name, files):
                    yield f"{path.relative_to(idiom.TOP)}:{number}: {name}: there is no such file"


def find_rooms(text):
    rooms = layers.read_rooms()
    table = {name.rstrip("/") for name in re.findall(r"^\| ([\w/]+/) \|.*\|.*\|$", text, re.M)}
    drawing = re.search(r"^The highest floor first\.(?:.+\n)+\n((?:    .*\n| *\n)+)", text, re.M).group(1)
    drawn = {}
    for number, line in enumerate(drawing.splitlines()):
        for m in re.finditer(r"(?<![\w/.])(?:core|port|softnet|system|ebpf)(?:/\w+)*", line):
            drawn[m.group()] = -number, m.start()
    for what, named in ("the table", table), ("the drawing", set(drawn)):
        for room in sorted(set(rooms) ^ named):
            yield f"docs/architecture.md: {what} and the list of rooms differ in {room}"
    for room, others in rooms.items():
        for other in others:
            if drawn.get(other, (0, 0)) >= drawn.get(room, (0, 0)):
                yield f"docs/architecture.md: {other} is drawn above {room}, which includes it"


def is_defined(name, text):
    return re.search(rf"^[^\s#/*].*[\s*]{name}\(|\b(?:struct|enum) {name} {{|^[^\s#/*].*\b{name}\[|[\s*]{name};|\(\*{name}\)\(|#\s*define {name}\b",
                     text, re.M) is not None


def read_walks(text):
    """(title, [steps]) of each, a step without its line breaks."""
    part = text[text.index("\n## Four walks"):]
    part = part[:part.index("\n## ", 5)]
    for title, steps in re.findall(r"^([A-Z].*:)\n\n((?:\d+\. .*\n(?:   .*\n)*)+)", part, re.M):
        yield title, [" ".join(step.split()) for step in re.split(r"^\d+\. ", steps, flags=re.M)[1:]]


def find_in_walks(text, sources, words):
    walks = list(read_walks(text))
    if len(walks) != 4:
        yield f"docs/architecture.md: {len(walks)} walks"
    for title, steps in walks:
        if len(steps) > STEPS_MAX:
            yield f"docs/architecture.md: {title} {len(steps)} steps"
        for step in steps:
            for names, file in re.findall(r"((?:`(?:struct )?\w+`(?:,| and)? ?)+)\(([\w/.]+)\)", step):
                for name in re.findall(r"`(?:struct )?(\w+)`", names):
                    if not is_defined(name, sources.get(file, "")):
                        yield f"docs/architecture.md: {title} {name} is not in {file}"
            for name in re.findall(r"`(?:struct )?(\w+)`", step):
                if name not in words:
                    yield f"docs/architecture.md: {title} {name} is nowhere"


def find_names(text, words):
    for name in sorted(set(re.findall(r"`(?:struct |enum )?(\w+)\(\)`|`(?:struct|enum) (\w+)`", text))):
        name = "".join(name)
        if name not in words:
            yield f"docs/architecture.md: {name} is nowhere"


def main():
    text, files = PAGE.read_text(), files_of_tree()
    sources = {file: (idiom.TOP / file).read_text() for file in files
               if file.endswith((".c", ".h")) and not file.startswith("tests/")}
    words = set(re.findall(r"\w+", "\n".join(sources.values())))
    faults = [*find_missing_files(files), *find_rooms(text), *find_in_walks(text, sources, words), *find_names(text, words)]
    print("\n".join(faults) if faults else "the documents name what there is")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
