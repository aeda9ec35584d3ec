#!/usr/bin/python3
"""One way to say it: `if (pointer)` and `if (!pointer)`, and parentheses behind sizeof for types alone.

    tests/idiom.py [--write]       --write mends what it finds; run `make format` afterwards

`x != NULL` stays where it is a value, as in `bool has_name = name != NULL;`: there it makes a bool of a pointer.
"""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = "core", "ebpf", "packaging", "port", "softnet", "system", "tests"
TOKEN = re.compile(r"""
    (?P<space>\s+|/\*.*?\*/|//[^\n]*|^[ \t]*\#(?:\\\n|[^\n])*)
  | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<word>\w+)
  | (?P<sign>->|\+\+|--|<<=|>>=|&&|\|\||<<|>>|[-+*/%&|^=!<>]=|.)""", re.X | re.S | re.M)
KEYWORDS = {"return", "if", "while", "for", "switch", "case", "else", "do", "sizeof", "goto"}
TYPE = re.compile(r"(struct|enum|union|const|unsigned|signed|char|int|long|short|void|bool|float|double|\w+_t|[A-Z]\w*[a-z]\w*)$")


class Text:
    def __init__(self, text):
        found = [m for m in TOKEN.finditer(text) if m.lastgroup != "space"]
        self.text, self.spans, self.tokens = text, [m.span() for m in found], [m.group() for m in found]
        self.edits = []

    def token(self, i):
        return self.tokens[i] if 0 <= i < len(self.tokens) else ""

    def is_operand_end(self, i):
        """Whether an operand ends at this token, so that a * or & behind it takes two."""
        token = self.token(i)
        return token in (")", "]") or (re.match(r"[\w\"']", token) is not None and token not in KEYWORDS)

    def opening_of(self, i):
        depth = 0
        while True:
            depth += (self.tokens[i] in ")]") - (self.tokens[i] in "([")
            if depth == 0:
                return i
            i -= 1

    def closing_of(self, i):
        depth = 0
        while True:
            depth += (self.tokens[i] in "([") - (self.tokens[i] in ")]")
            if depth == 0:
                return i
            i += 1

    def operand_before(self, i):
        """Where the operand begins that ends in front of token i; None where that is not plain."""
        i -= 1
        while self.token(i) in (")", "]"):
            i = self.opening_of(i)
            if not self.is_operand_end(i - 1):
                break
            i -= 1
        while self.token(i - 1) in (".", "->"):
            i = self.operand_before(i - 1)
        while self.token(i - 1) in ("*", "&") and not self.is_operand_end(i - 2):
            i -= 1
        return None if self.token(i - 1) == ")" else i

    def is_condition(self, start, end):
        before, behind = self.token(start - 1), self.token(end + 1)
        is_whole = before == "(" and behind == ")" and self.token(start - 2) in ("if", "while")
        return is_whole or before in ("&&", "||") or behind in ("&&", "||", "?") or (before == behind == ";")

    def replace(self, first, last, new):
        self.edits.append((self.spans[first][0], self.spans[last][1], new))

    def find_null(self, i):
        if self.tokens[i] != "NULL" or self.token(i - 1) not in ("==", "!="):
            return
        start = self.operand_before(i - 1)
        if start is None or self.token(start - 1) in ("==", "!="):
            return
        if self.token(i - 1) == "==":
            self.edits.append((self.spans[start][0], self.spans[start][0], "!"))
        elif not self.is_condition(start, i):
            return
        self.edits.append((self.spans[i - 2][1], self.spans[i][1], ""))

    def find_sizeof(self, i):
        if self.tokens[i] != "sizeof" or self.token(i + 1) != "(":
            return
        end = self.closing_of(i + 1)
        inner = self.tokens[i + 2:end]
        is_type = TYPE.match(inner[0]) and all(re.match(r"[\w*\[\]]+$", token) for token in inner)
        is_plain = re.match(r"\*?\w+((\.|->)\w+|\[\w+\])*$", "".join(inner))
        if not is_type and is_plain and self.token(end + 1) not in ("[", ".", "->", "("):
            self.edits.append((self.spans[i + 1][0], self.spans[i + 1][1], " "))
            self.edits.append((self.spans[end][0], self.spans[end][1], ""))

    def mended(self):
        for i in range(len(self.tokens)):
            self.find_null(i)
            self.find_sizeof(i)
        text = self.text
        for start, end, new in sorted(self.edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def lines(self):
        return sorted({self.text.count("\n", 0, start) + 1 for start, _, _ in self.edits})


def main():
    faults = 0
    for path in sorted(path for folder in FOLDERS for path in (TOP / folder).rglob("*.[ch]")):
        text = Text(path.read_text())
        mended = text.mended()
        faults += len(text.lines())
        if "--write" in sys.argv and mended != text.text:
            path.write_text(mended)
        elif "--write" not in sys.argv:
            for line in text.lines():
                print(f"{path.relative_to(TOP)}:{line}: a pointer compared with NULL, or a sizeof with parentheses: "
                      "tests/idiom.py --write")
    return 1 if faults and "--write" not in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
