"""softnet watch, on terminals of its own and without one; status_peers.py has the picture."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

import netns
from status_peers import Fake, guards, hung, program     # noqa: F401 (fixtures)


class Terminal:
    """softnet watch on a terminal of its own."""

    def __init__(self, *words, rows=24, columns=80, term="xterm"):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.text = ""
        self.process = subprocess.Popen([program(), "watch", *words], stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, env={**os.environ, "TERM": term}, start_new_session=True)

    def resize(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            # The terminal makes CR LF of each LF, of CR LF, too.
            self.text += os.read(self.master, 65536).decode("ascii").replace("\r\r\n", "\r\n")

    def screens(self):
        """Those that were drawn, as lists of lines."""
        self.read()
        return [[line.replace("\x1b[K", "") for line in one.split("\x1b[J")[0].split("\r\n")]
                for one in self.text.split("\x1b[H")[1:] if "\r\n" in one]

    def wait_screen(self, predicate, what, timeout=10):
        """The first screen from now on that `predicate` likes."""
        self.read()
        self.text = ""
        try:
            return netns.wait_for(lambda: next(filter(predicate, self.screens()), None), timeout, what)
        except netns.NetworkError as error:
            raise netns.NetworkError(f"{error}: {self.text!r}") from None

    def end(self, how):
        how()
        status = self.process.wait(5)
        self.read()
        return status, termios.tcgetattr(self.slave) == self.before, self.text.endswith("\x1b[?25h\x1b[?1049l")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminals():
    made = []

    def make(*words, **more):
        made.append(Terminal(*words, **more))
        return made[-1]
    yield make
    for terminal in made:
        terminal.close()


def test_watch_shows_what_happens_on_any_terminal(guards, terminals):
    guard = guards("watch-one")
    terminal = terminals("--vm", "watch-one")
    screen = terminal.wait_screen(lambda lines: "no frame from the VM yet" in lines, "the page")
    assert screen[0].startswith("softnet watch  20") and screen[1].startswith("watch-one")
    assert termios.tcgetattr(terminal.slave) != terminal.before
    guard.call(times=7)
    screen = terminal.wait_screen(lambda lines: "latest drops" in lines, "the drop")
    assert any(re.search(r"from the VM +7  dst-private$", line) for line in screen), screen
    terminal.resize(7, 30)
    os.kill(terminal.process.pid, signal.SIGWINCH)
    screen = terminal.wait_screen(lambda lines: len(lines) <= 7, "a small screen")
    assert max(map(len, screen)) <= 30 and "latest drops" in screen
    guard.stop()
    screen = terminal.wait_screen(lambda lines: lines[1].startswith("the guard of watch-one has gon"), "the end")
    again = guards("watch-one")
    terminal.resize(24, 80)
    terminal.wait_screen(lambda lines: f"pid {again.process.pid}," in lines[1], "the guard to come back")
    assert terminal.end(lambda: os.write(terminal.master, b"q")) == (0, True, True)


def has_table(lines):
    return any(line.startswith("watch-b") for line in lines)


def hold_and_end(terminal):
    """Ctrl-S, and what it writes then finds no way."""
    termios.tcflow(terminal.slave, termios.TCOOFF)
    time.sleep(1.2)
    os.kill(terminal.process.pid, signal.SIGTERM)


def test_watch_puts_the_terminal_back(guards, terminals):
    guards("watch-a"), guards("watch-b")
    endings = [lambda terminal, n=number: os.kill(terminal.process.pid, n) for number in (signal.SIGTERM, signal.SIGHUP)]
    endings += [lambda terminal: os.write(terminal.master, b"q"), hold_and_end]
    ours = [terminals() for _ in range(len(endings) + 1)]
    for terminal in ours:
        screen = terminal.wait_screen(has_table, "a table")
        assert sum(line.startswith(("watch-a", "watch-b")) for line in screen) == 2
    stopped = ours.pop()
    os.kill(stopped.process.pid, signal.SIGTSTP)
    netns.wait_for(lambda: os.waitpid(stopped.process.pid, os.WUNTRACED | os.WNOHANG)[0], 2, "it to stop")
    assert termios.tcgetattr(stopped.slave) == stopped.before
    os.kill(stopped.process.pid, signal.SIGCONT)
    stopped.wait_screen(has_table, "it to go on")
    assert termios.tcgetattr(stopped.slave) != stopped.before
    held = Fake(hung)       # nor is a key held up by a guard that hangs
    try:
        netns.wait_for(lambda: len(held.kept) >= len(ours), 5, "all to ask it")
        for terminal, ending in zip(ours, endings):
            with netns.Stalls() as stalls:
                begin = time.monotonic()
                assert terminal.end(lambda: ending(terminal)) == (0, True, True)
                took = time.monotonic() - begin
            assert took < stalls.added_to(1 if ending != hold_and_end else 2.5)
    finally:
        held.close()


def test_watch_without_a_terminal_writes_lines(guards):
    guard = guards("watch-lines")
    process = subprocess.Popen([program(), "watch"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    lines = iter(process.stdout)

    def line(pattern):
        return next(one for one in lines if re.search(pattern, one))
    assert re.match(r"20\d\d-\d\d-\d\dT\S+Z watch-lines no frame from the VM yet\n", line("watch-lines"))
    guard.call(times=5)
    assert re.search(r" watch-lines drop guest dst-private \+5: .+\n", line(" drop "))
    guard.stop()
    line("watch-lines gone")
    process.terminate()
    assert process.wait(5) == 0
    process.stdout.close()
