"""softnet status and softnet watch: how running guards are found, what is said about them, and who says nothing well.

    raw guest (a socket) -- softnet -- a socket of this program      with an entry in /run/softnet or /tmp/softnet-UID
"""

import concurrent.futures
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

import netns
import services

USER = 20000 + random.randrange(40000)      # other tests run beside this one, with a folder of their own in /tmp
ROOTS = pathlib.Path("/run/softnet")
USERS = pathlib.Path(f"/tmp/softnet-{USER}")
MACS = (f"02:00:00:00:77:{n:02x}" for n in range(1, 256))
ADDRESS = "192.168.77.12"
# Of a guard that nobody has: no process has such a number.
NUMBERS = iter(range(999_999_000, 999_999_999))


def others_exist():
    """Not in a user namespace that has but one user."""
    return len(pathlib.Path("/proc/self/uid_map").read_text().splitlines()) > 1 or \
        int(pathlib.Path("/proc/self/uid_map").read_text().split()[2]) > USER


@pytest.fixture(scope="module", autouse=True)
def leave_no_folder():
    yield
    shutil.rmtree(USERS, ignore_errors=True)


needs_others = pytest.mark.skipif(not others_exist(), reason="no other user in this user namespace")


def program():
    return services.for_everybody(services.softnet_path())


class Guard:
    def __init__(self, name, *options, user=None, pid_of_run=False):
        self.name, self.mac = name, next(MACS)
        self.guest, guests = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.uplink, uplinks = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.process = subprocess.Popen(
            [program(), "--name", name, "--vm-mac-address", self.mac, "--vm-fd", str(guests.fileno()),
             "--uplink", f"fd:{uplinks.fileno()}", "--vm-ip", f"{ADDRESS}/24", *options],
            pass_fds=[guests.fileno(), uplinks.fileno()], stdin=subprocess.DEVNULL, user=user, group=user,
            extra_groups=[] if user else None, cwd="/")
        guests.close()
        uplinks.close()
        folder = USERS if user else ROOTS
        self.entry = folder / f"{self.process.pid}.sock"
        netns.wait_for(self.answers, 10, f"{self.entry}")

    def answers(self):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as one:
            one.connect(str(self.entry))
            return True
        return False

    def call(self, address="10.9.9.9", times=1):
        """A private address: dropped as dst-private."""
        frame = Ether(src=self.mac, dst="02:00:00:00:00:99") / IP(src=ADDRESS, dst=address) / TCP(dport=22, flags="S")
        for _ in range(times):
            self.guest.send(bytes(frame))

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(10)
        self.guest.close()
        self.uplink.close()
        return status


@pytest.fixture
def guards(network):
    """Makes guards, and ends them."""
    made = []

    def make(*words, **more):
        made.append(Guard(*words, **more))
        return made[-1]
    yield make
    for guard in made:
        guard.stop()


def softnet(*words, user=None):
    """(exit status, standard output, standard error). Folders in /tmp are seen by root in every part of the tests: what is
    said of those of another part is left out."""
    done = subprocess.run([program(), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=15, user=user, group=user, extra_groups=[] if user else None, cwd="/")
    said = (line for line in done.stderr.splitlines(True) if "/tmp/softnet-" not in line or str(USERS) in line)
    return done.returncode, done.stdout, "".join(said)


def names(user=None):
    status, out, said = softnet("status", "--json", user=user)
    return {one.get("name") for one in json.loads(out)}


# --- who is found ---------------------------------------------------------------------------------------------------

@needs_others
def test_root_sees_all_and_users_their_own(guards):
    ours = [guards("status-a"), guards("status-b")]
    theirs = guards("status-c", user=USER)
    assert {"status-a", "status-b", "status-c"} <= names()
    assert names(USER) == {"status-c"}
    for guard, owner in (ours[0], 0), (theirs, USER):
        entry = guard.entry.lstat()
        assert entry.st_uid == owner and entry.st_mode & 0o777 == 0o600
    assert ROOTS.stat().st_mode & 0o777 == 0o755 and USERS.stat().st_mode & 0o777 == 0o700
    # One line for each of several, with the user where there is more than one; the page of a guard that is alone.
    status, out, _ = softnet("status")
    assert status == 0 and re.search(rf"^status-c +{theirs.process.pid} +{USER} +{ADDRESS} ", out, re.M), out
    status, out, said = softnet("status", user=USER)
    assert (status, said) == (0, "") and out.startswith(f"status-c  {theirs.mac}  pid {theirs.process.pid}, user {USER}, up")
    theirs.stop()
    assert not theirs.entry.exists()
    status, out, said = softnet("status", user=USER)
    assert (status, out) == (1, "") and said == "softnet: no guard answers; root has guards, which only root may ask\n"
    USERS.rmdir()


def test_one_is_picked_by_name_mac_or_process(guards):
    one, other = guards("status-one"), guards("status-other")
    for words in (["--vm", "status-one"], ["--vm", one.mac.upper()], ["--vm", one.process.pid], ["--control", one.entry]):
        status, out, said = softnet("status", *words)
        assert (status, said) == (0, "") and out.startswith(f"status-one  {one.mac}"), (words, out)
    status, out, said = softnet("status", "--vm", "status-none")
    assert (status, out, said) == (1, "", 'softnet: no guard answers for a VM "status-none"\n')
    assert softnet("status", "--control", one.entry, "--vm", "status-other")[0] == 1
    status, out, said = softnet("status", "--control", "/run/none")
    assert (status, out) == (1, "") and said == "softnet: /run/none: No such file or directory\n"
    assert other.process.poll() is None


def keys_of_contract():
    page = (services.CHECKOUT / "docs" / "observability.md").read_text()
    table = page.split("## Status")[1].split("\n## ")[0]
    return {key.strip() for row in re.findall(r"^\| ([a-z0-9_, ]+) \|", table, re.M) for key in row.split(",")} - {"key"}


def test_the_keys_are_those_of_the_contract(guards):
    guard = guards("status-keys", "--allow", "10.1.0.0/16", "--block", "1.1.1.1", "--block", "1.1.1.2")
    guard.call(times=3)
    status, out, said = softnet("status", "--json", "--vm", "status-keys")
    assert (status, said) == (0, "")
    [one] = json.loads(out)
    assert set(one) == keys_of_contract()
    assert one["policy"] == {"allow": 1, "block": 2} and one["pid"] == guard.process.pid and one["mac"] == guard.mac
    [drop] = one["drops"]
    assert (drop["side"], drop["reason"], drop["count"]) == ("guest", "dst-private", 3)
    assert [address["address"] for address in one["addresses"]] == [ADDRESS]
    _, page, _ = softnet("status", "--vm", "status-keys")
    assert page.splitlines()[1].startswith("has an address, ") and "dst-private" in page.splitlines()[1], page
    assert "1 allow, 2 block" in page and max(map(len, page.split("drops\n")[0].splitlines())) <= 80


# --- entries --------------------------------------------------------------------------------------------------------

def test_dead_entries_are_ignored_and_go_with_the_next_start(guards, tmp_path):
    living = guards("status-living")
    dead = guards("status-dead")
    linked = guards("status-linked", "--control", "control-of-status", "--verbose")     # relative to /
    assert linked.entry.readlink() == pathlib.Path("/control-of-status")
    assert names() >= {"status-living", "status-dead", "status-linked"}
    for one in dead, linked:
        one.stop(signal.SIGKILL)
        assert one.entry.is_symlink() or one.entry.exists()
    pathlib.Path("/control-of-status").unlink()
    status, out, said = softnet("status")
    assert (status, said) == (0, "") and "status-living" in out and "status-dead" not in out
    # Neither what is no entry, nor one that somebody may be about to make.
    other, newborn = ROOTS / "other.sock", ROOTS / "999998999.new"
    for path in other, newborn:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    guards("status-next")
    assert not dead.entry.exists() and not linked.entry.is_symlink()
    assert living.entry.exists() and other.exists() and newborn.exists()
    os.utime(newborn, (1, 1))
    guards("status-last")
    assert not newborn.exists() and "status-living" in names()
    other.unlink()


def test_many_start_at_once(guards):
    """None takes another one's entry away, whatever it does at that moment."""
    started = []
    threads = [threading.Thread(target=lambda n=n: started.append(guards(f"status-at-once-{n}"))) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 8 and {one.name for one in started} <= names()


@needs_others
def test_folders_of_others_are_not_used(guards):
    """Somebody was there first: the guard works, is listed nowhere, and says so."""
    def softnet_said():
        guest, guests = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        process = subprocess.Popen(
            [program(), "-v", "--vm-mac-address", next(MACS), "--vm-fd", str(guests.fileno()), "--uplink",
             f"fd:{guests.fileno()}"], pass_fds=[guests.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, user=USER, group=USER, extra_groups=[])
        line = next(line for line in process.stderr if "not listed" in line and "/tmp" in line)
        process.terminate()
        process.communicate(timeout=10)
        guest.close()
        guests.close()
        return line
    USERS.mkdir(mode=0o777)
    assert softnet_said() == f"softnet: not listed in {USERS}: it belongs to another user\n"
    os.chown(USERS, USER, USER)
    USERS.chmod(0o770)
    assert softnet_said() == f"softnet: not listed in {USERS}: others may write to it\n"
    USERS.rmdir()
    elsewhere = pathlib.Path("/run/elsewhere")
    elsewhere.mkdir()
    os.chown(elsewhere, USER, USER)
    USERS.symlink_to(elsewhere)
    assert softnet_said().startswith(f"softnet: not listed in {USERS}: ") and not list(elsewhere.iterdir())
    USERS.unlink()


ASK = """
import socket, sys
one = socket.socket(socket.AF_UNIX)
one.connect(sys.argv[1])
one.sendall(sys.argv[2].encode() + b"\\n")
print(one.recv(65536).decode())
"""


@needs_others
def test_only_root_changes_anything_at_a_socket_nobody_asked_for(guards):
    guard = guards("status-reader", user=USER)
    words = "policy", "set", "--allow", "10.0.0.0/8", "--control", guard.entry
    status, out, said = softnet(*words, user=USER)
    assert (status, out) == (1, "") and "only root may change" in said, said
    for method, params in ("guard.relearn", {}), ("guard.expose.add", {"expose": "8080:80"}), \
            ("guard.expose.remove", {"expose": "8080:80"}), ("softnet.policy.set", {"allow": [], "block": []}):
        request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        answer = subprocess.run(["python3", "-c", ASK, guard.entry, request], user=USER, group=USER, extra_groups=[],
                                capture_output=True, text=True, timeout=10, cwd="/").stdout
        assert "only root may change" in answer, (method, answer)
    assert softnet("policy", "show", "--control", guard.entry, user=USER) == (0, "", "")
    assert softnet(*words) == (0, "allow 10.0.0.0/8\n", "")
    guard.stop()
    USERS.rmdir()


# --- guards that are none ---------------------------------------------------------------------------------------------

class Fake:
    """Accepts, and then does as `manners` says; listed like a guard."""

    def __init__(self, manners, folder=ROOTS):
        folder.mkdir(exist_ok=True)
        self.path = folder / f"{next(NUMBERS)}.sock"
        self.manners = manners
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.listener.settimeout(0.1)
        self.ending = threading.Event()
        self.kept = []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ending.is_set():
            with contextlib.suppress(OSError):
                client = self.listener.accept()[0]
                self.kept.append(client)
                client.settimeout(5)
                self.manners(client, self.ending)

    def close(self):
        self.ending.set()
        self.thread.join()
        for one in [self.listener, *self.kept]:
            one.close()
        self.path.unlink(missing_ok=True)


def hung(client, ending):
    pass


def garbage(client, ending):
    client.sendall(bytes(range(1, 256)) + b"\n")


def endless(client, ending):
    while not ending.is_set():
        client.sendall(b"x" * 65536)


def error(client, ending):
    client.sendall(b'{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"\\u001b[2Jno"}}\n')


EVIL = "evil-\x1b]0;title\x07\x1b[2J\x7f\u009b31m\n"


def evil(client, ending):
    everything = {key: EVIL for key in keys_of_contract()}
    everything.update(drops=[{"side": EVIL, "reason": EVIL, "meaning": EVIL, "frame": EVIL, "count": 9, "seconds": 1}] * 99,
                      addresses=[{"address": EVIL, "origin": EVIL, "state": EVIL, "seconds": -5}] * 99, uptime=1 << 62)
    client.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "result": everything}).encode() + b"\n")


def test_hostile_guards_stop_and_foul_nobody(guards):
    guards("status-honest")
    fakes = [Fake(manners) for manners in (hung, hung, hung, garbage, endless, error, evil)]
    try:
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor() as pool, netns.Stalls() as stalls:
            ways = [], ["--json"], ["--vm", EVIL.replace("\n", "")]
            answers = list(pool.map(lambda words: softnet("status", *words), ways))
        assert time.monotonic() - begin < stalls.added_to(4)      # all guards together, and not 2 s each
        status, out, said = answers[0]
        assert status == 0 and "status-honest" in out and "evil-" in out
        for text in (text for answer in answers for text in answer[1:]):
            assert all(c == "\n" or " " <= c <= "~" for c in text), repr(text)
        silent = {str(fake.path): manner for fake, manner in zip(fakes, (
            "it does not answer in time", "it does not answer in time", "it does not answer in time",
            "that is no guard's answer", "its answer is too long", "?[2Jno"), strict=False)}
        assert dict(line.removeprefix("softnet: ").split(": ", 1) for line in said.splitlines()) == silent
    finally:
        for fake in fakes:
            fake.close()



def swelling(client, ending):
    """Within the bounds of an answer; but as objects in memory more than 50 times as large."""
    client.recv(1000)
    client.sendall(b'{"result":{"x":[' + b",".join([b"{}"] * 30000) + b"]}}\n")


def test_answer_of_many_values_is_not_parsed(guards):
    guards("status-honest")
    fake = Fake(swelling)
    try:
        status, out, said = softnet("status")
        assert status == 0 and "status-honest" in out and said == f"softnet: {fake.path}: that is no guard's answer\n"
    finally:
        fake.close()


@needs_others
def test_names_in_tmp_hide_nobody(guards):
    """Made by anybody, for users who have nothing there."""
    guards("status-theirs", user=USER)
    names_made = [pathlib.Path(f"/tmp/softnet-{number}") for number in range(3_000_000, 3_003_000)]
    try:
        for path in names_made:
            path.touch()
        assert "status-theirs" in names()
    finally:
        for path in names_made:
            path.unlink(missing_ok=True)


@needs_others
def test_root_is_answered_though_all_places_are_taken(guards):
    guard = guards("status-crowded", user=USER)
    hog = subprocess.Popen(
        ["python3", "-c", "import socket, sys; all = [socket.socket(socket.AF_UNIX) for _ in range(40)]\n"
         "for one in all: one.connect(sys.argv[1])\nprint('ready', flush=True); sys.stdin.read()", guard.entry],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=USER, group=USER, extra_groups=[])
    with hog:
        hog.stdout.readline()
        # The guard has to accept some, and to turn the others away.
        netns.wait_for(lambda: softnet("status", user=USER)[0] == 1, what="a stranger to be turned away")
        status, out, said = softnet("status", "--vm", "status-crowded")
        hog.stdin.close()
    assert (status, said) == (0, "") and out.startswith("status-crowded")


def test_a_thousand_guards(network):
    ROOTS.mkdir(mode=0o755, exist_ok=True)
    answer = b'{"result":{"name":"status-many"}}\n'
    paths = [ROOTS / f"{number}.sock" for number in range(999_990_000, 999_991_000)]
    listeners = []
    with contextlib.ExitStack() as closing:
        for path in paths:
            one = closing.enter_context(socket.socket(socket.AF_UNIX))
            one.bind(str(path))
            closing.callback(path.unlink)
            one.listen(1)
            listeners.append(one)
        with subprocess.Popen([services.softnet_path(), "status", "--json"], stdout=subprocess.PIPE) as client:
            for one in listeners:
                peer = one.accept()[0]
                peer.sendall(answer)
                closing.enter_context(peer)
            seen = json.loads(client.stdout.read())      # with the guards of whatever else runs here
            assert len([guard for guard in seen if guard.get("name") == "status-many"]) == 1000
        assert client.returncode == 0


@needs_others
def test_an_entry_of_somebody_else_is_not_spoken_to(guards):
    """A link in one's own folder must not make root speak to whatever socket it leads to."""
    guards("status-honest")
    USERS.mkdir(mode=0o700, exist_ok=True)
    os.chown(USERS, USER, USER)
    heard = []
    fake = Fake(lambda client, ending: heard.append(client.recv(100)))
    link = USERS / "5.sock"
    link.symlink_to(fake.path)
    hidden = ROOTS / "hidden"
    fake.path.rename(hidden)                # not an entry of root's any more
    link.unlink()
    link.symlink_to(hidden)
    try:
        status, out, said = softnet("status")
        assert status == 0 and said == f"softnet: {link}: it belongs to another user than its folder\n"
        netns.wait_for(lambda: heard, 5, "the connection to end")
        assert heard == [b""]
    finally:
        fake.close()
        hidden.unlink()
        link.unlink()
        USERS.rmdir()


# --- watch ------------------------------------------------------------------------------------------------------------

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
