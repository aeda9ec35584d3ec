"""softnet status, and what answers it that is no guard, or no honest one; status_peers.py has the picture."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import time

import netns
import services
from conftest import needs_others
from status_peers import (     # noqa: F401 (fixtures)
    ROOTS, USER, USERS, Fake, guards, hung, keys_of_contract, names, softnet)


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


# Takes all places, and again whatever root has had meanwhile: of other tests, too, for root looks into all folders.
HOG = """
import select, socket, sys
def is_open(one):
    try:
        return one.recv(1, socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
all = []
while not select.select([sys.stdin], [], [], 0.01)[0]:
    all = [one for one in all if is_open(one)] + [socket.socket(socket.AF_UNIX) for _ in range(20)]
    for one in all[-20:]:
        one.connect(sys.argv[1])
    print("ready", flush=True)
"""


@needs_others
def test_root_is_answered_though_all_places_are_taken(guards):
    guard = guards("status-crowded", user=USER)
    hog = subprocess.Popen(["python3", "-c", HOG, guard.entry], stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=USER, group=USER,
                           extra_groups=[])
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
