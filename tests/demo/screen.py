"""What the demo prints: plain ASCII, in color only on a terminal."""

import os
import sys
import threading
import time


class Screen:
    def __init__(self):
        self.colors = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self.rows = []
        self.started = time.monotonic()
        self.lock = threading.Lock()        # lines come from several threads

    def _print(self, text, color=None):
        codes = {"bold": 1, "red": 31, "green": 32, "yellow": 33, "blue": 36, "gray": 90}
        text = text.encode("ascii", "replace").decode()
        with self.lock:
            print(f"\033[{codes[color]}m{text}\033[0m" if self.colors and color else text, flush=True)

    def part(self, title):
        self._print(f"\n== {title} ==\n", "bold")

    def say(self, text):
        self._print(text)

    def typed(self, who, command):
        self._print(f"  {who:<17}$ {command}", "bold")

    def output(self, who, text):
        for line in text.splitlines():
            self._print(f"  {who:<17}| {line}", "blue")

    def guard(self, name):
        """A listener for what softnet -v prints: what it learned, and what it dropped."""
        def listen(stream, line):
            if stream == "err" and line.startswith("softnet: "):
                line = line[len("softnet: "):]
                self._print(f"  {name:<17}| {line}", "yellow" if line.startswith("dropped") else "green")
        return listen

    def row(self, tried, expected, happened, ok):
        """One line of the table at the end."""
        self.rows.append((tried, expected, happened, ok))
        self._print(f"  {'=> ok' if ok else '=> NOT AS EXPECTED'}: {happened}", "green" if ok else "red")

    def table(self):
        """Prints the table; returns whether every row is as expected."""
        head = ("tried", "expected", "happened", "ok?")
        rows = [(tried, expected, happened, "yes" if ok else "NO") for tried, expected, happened, ok in self.rows]
        widths = [max(len(row[column]) for row in [head, *rows]) for column in range(4)]
        self.part("What was tried, and what became of it")
        for at, row in enumerate([head, *rows]):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            self._print(line, "bold" if at == 0 else None if row[3] == "yes" else "red")
            if at == 0:
                self._print("  ".join("-" * width for width in widths))
        good = all(ok for _, _, _, ok in self.rows)
        self._print(f"\n{sum(ok for *_, ok in self.rows)} of {len(rows)} as expected, in "
                    f"{time.monotonic() - self.started:.0f} s", "green" if good else "red")
        return good
