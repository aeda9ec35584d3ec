"""A guard under live control, and a client of it.

    raw guest (a socket) -- softnet -- stream whose other end is this program
              client -- --control-fd or --control
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import time

import pytest

import services
from test_relay import DATA, MAC, STATIC, StreamPeer, to_guest

MIB = 1 << 20
# Where the guard may look things up and make a socket, as every user that it can become.
FOLDER = pathlib.Path("/run/control")


class Channel:
    """A client's end: one line out, one line in."""

    def __init__(self, connection):
        self.connection = connection
        connection.settimeout(5)
        self.rest, self.events = b"", []

    def say(self, line):
        self.connection.sendall(line + b"\n")

    def line(self):
        while b"\n" not in self.rest:
            more = self.connection.recv(65536)
            assert more, "the guard hung up"
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return line

    def ask(self, method, params=None, id=1):
        request = {"jsonrpc": "2.0", "id": id, "method": method}
        self.say(json.dumps(request if params is None else {**request, "params": params}).encode())
        answer = json.loads(self.line())
        while "method" in answer:       # an event that came in between
            self.events.append(answer["params"])
            answer = json.loads(self.line())
        assert answer["jsonrpc"] == "2.0" and answer["id"] == id and len(answer) == 3, answer
        return answer

    def result(self, method, params=None, id=1):
        answer = self.ask(method, params, id)
        assert "error" not in answer, answer
        return answer["result"]

    def is_closed(self):
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except ConnectionResetError:
            return True

    def close(self):
        self.connection.close()


def rules(allow=(), block=()):
    return {"allow": list(allow), "block": list(block)}


@pytest.fixture
def folder():
    FOLDER.mkdir(mode=0o777, exist_ok=True)
    FOLDER.chmod(0o777)
    yield FOLDER
    for path in FOLDER.iterdir():
        path.unlink()


@pytest.fixture
def peer(folder):
    peer = StreamPeer(folder / "uplink")
    yield peer
    peer.close()


class Guarded:
    """A guard whose guest and network are sockets of this program, with a control channel each way."""

    def __init__(self, network, peer, *options, fd=1, program=None):
        self.peer = peer
        self.guest, guests = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.errors = open(network.logs / "guard.err", "w+")
        self.path = FOLDER / "socket"
        command = [program or services.softnet_path(), "--vm-fd", "0", "--vm-mac-address", MAC, *STATIC,
                   "--uplink", f"stream:{peer.path}", "--control", self.path, "--control-fd", str(fd), *options]
        # As their parents start them: Tart has the socket for standard output, Orchard passes it as 3.
        def place():
            os.dup2(theirs.fileno(), fd)
        self.process = subprocess.Popen([str(word) for word in command], stdin=guests, stdout=subprocess.DEVNULL,
                                        stderr=self.errors, preexec_fn=place, close_fds=False, start_new_session=True)
        guests.close()
        theirs.close()
        peer.accept()
        self.channel = Channel(ours)

    @property
    def pid(self):
        return self.process.pid

    def connect(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(self.path))
        return Channel(connection)

    def carries_frames(self):
        """Both ways, and at once."""
        begin = time.monotonic()
        self.guest.send(DATA)
        assert self.peer.receive() == DATA
        self.peer.send(to_guest(7))
        self.guest.settimeout(5)
        assert self.guest.recv(65536) == to_guest(7)
        return time.monotonic() - begin

    def said(self):
        return pathlib.Path(self.errors.name).read_text()

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout):
        return self.process.wait(timeout)

    def close(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.terminate()
            self.process.wait(3)
        self.process.kill()
        self.process.wait()
        self.errors.close()
        self.guest.close()
        self.channel.close()


@pytest.fixture
def start(network, softnet, peer):
    started = []

    def start(*options, **named):
        started.append(Guarded(network, peer, *options, **named))
        return started[-1]
    yield start
    for guarded in started:
        guarded.close()


@pytest.fixture
def guarded(start):
    guarded = start()
    assert guarded.carries_frames() < 5
    return guarded
