#!/usr/bin/python3
"""How long a file may be, and how many parameters a function may have.

    tests/sizes.py

What a function gets beside that travels together with something: make it a struct (docs/architecture.md, In the kernel). The
judge has five at most, since the kernel's functions have no more. Functions of tests that build frames have as many as fields.
"""

import re
import sys

import idiom

LINES_MAX = 500
PARAMETERS_MAX = {"core/judge": 5, "core": 6, "ebpf": 6, "packaging": 6, "port": 6, "softnet": 6, "system": 6}
TEXTS = ".c", ".h", ".py", ".sh"
PLACES = *idiom.FOLDERS, "check", "demo"


def is_program_text(path):
    if path.suffix in TEXTS:
        return True
    return path.is_file() and not path.suffix and path.read_bytes()[:2] == b"#!"


def read_texts():
    for place in (idiom.TOP / name for name in PLACES):
        for path in sorted(place.rglob("*") if place.is_dir() else [place]):
            if is_program_text(path) and "node_modules" not in path.parts:
                yield path.relative_to(idiom.TOP), path.read_text()


def parameters(text):
    """(line, name, how many) of each function that is declared or defined at the outermost level."""
    tokens, depth, i = idiom.Text(text), 0, 0
    while i < len(tokens.tokens):
        token = tokens.tokens[i]
        depth += (token == "{") - (token == "}")
        if token == "(" and depth == 0:
            end = tokens.closing_of(i)
            if re.match(r"\w", tokens.token(i - 1)) and tokens.token(end + 1) in ("{", ";"):
                yield text.count("\n", 0, tokens.spans[i][0]) + 1, tokens.token(i - 1), count(tokens.tokens[i + 1:end])
            i = end
        i += 1


def count(tokens):
    depth, found = 0, 1
    for token in tokens:
        depth += (token in "([{") - (token in ")]}")
        found += token == "," and depth == 0
    return found


def most_parameters(path):
    return next((most for room, most in PARAMETERS_MAX.items() if path.is_relative_to(room)), None)


def main():
    faults = []
    for path, text in read_texts():
        lines, most = text.count("\n"), most_parameters(path)
        if lines > LINES_MAX:
            faults.append(f"{path}: {lines} lines, more than {LINES_MAX}")
        if most is not None and path.suffix in (".c", ".h"):
            faults += [f"{path}:{line}: {name} has {n} parameters, more than {most}"
                       for line, name, n in parameters(text) if n > most]
    print("\n".join(faults) if faults else "no file and no list of parameters is too long")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
