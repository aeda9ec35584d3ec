#!/usr/bin/env python3
"""Prints a .tbd file, what a linker for macOS wants to know of a library: its name and its symbols.

    cc -E HEADER | stubs.py INSTALL-NAME FOLDER [SYMBOL...]

What stands in headers below FOLDER is declared by the library; SYMBOLs are those that no header names."""
import re
import sys

TARGETS = "[ x86_64-macos, arm64-macos ]"
LINE_MARKER = re.compile(r'# \d+ "([^"]*)"')


def text_below(lines, folder):
    """The preprocessed lines that come from below the folder, as one text."""
    is_inside, kept = False, []
    for line in lines:
        marker = LINE_MARKER.match(line)
        if marker:
            is_inside = marker[1].startswith(folder + "/")
        elif is_inside:
            kept.append(line)
    return " ".join(kept)


def without_nested(text, opening, closing):
    """The text without anything between the outermost pairs, which stay."""
    depth, kept = 0, []
    for character in text:
        depth -= character == closing
        if depth == 0:
            kept.append(character)
        depth += character == opening
    return "".join(kept)


def declared(text):
    """Names of functions without a body, and of extern variables."""
    text = re.sub(r"__attribute__\s*\(\)", "", without_nested(without_nested(text, "{", "}"), "(", ")"))
    for declaration in re.split(r";|(?<=\})", text):
        words = re.sub(r'extern "C"', "", declaration).strip()
        if not words or words.startswith("typedef") or words.endswith("}"):
            continue
        name = re.search(r"(\w+)\s*\(\)\s*$", words) or re.search(r"^extern\b.*?(\w+)\s*(?:\[.*\])?$", words)
        if name:
            yield name[1]


def main():
    install_name, folder, *more = sys.argv[1:]
    symbols = sorted({"_" + name for name in declared(text_below(sys.stdin, folder))} | set(more))
    if not symbols:
        sys.exit(f"stubs.py: nothing is declared below {folder}")
    print(f"--- !tapi-tbd\ntbd-version: 4\ntargets: {TARGETS}\ninstall-name: '{install_name}'\nexports:\n"
          f"  - targets: {TARGETS}\n    symbols: [ {', '.join(symbols)} ]\n...")


if __name__ == "__main__":
    main()
