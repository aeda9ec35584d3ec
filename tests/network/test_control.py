"""Live control from outside: what the known clients of --control-fd rely on, and clients with bad manners.

    raw guest (a socket) -- softnet -- stream whose other end is this program
              client -- --control-fd or --control
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import stat
import struct
import subprocess
import threading
import time

import pytest

import ipv6_peers
import netns
import rawguest
import services
from test_relay import DATA, MAC, OPTIMIZED, STATIC, StreamPeer, ends_in_a_second, memory_kib, to_guest
from test_slirp import slirp      # noqa: F401 (a fixture)

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


# --- the known clients ------------------------------------------------------------------------------------------------

def normalized(targets):
    """As the Swift client does it: only @host and IPv4 prefixes are known to it."""
    def normal(target):
        if target == "@host":
            return target
        address, length = target.split("/")
        mask = (0xFFFFFFFF << (32 - int(length))) & 0xFFFFFFFF
        number, = struct.unpack("!I", socket.inet_aton(address))
        return socket.inet_ntoa(struct.pack("!I", number & mask)) + f"/{int(length)}"
    return sorted({normal(target) for target in targets})


def replace_as_swift(channel, allow, block):
    """Foundation writes a slash as \\/; the reply is rejected for an error key of any value, or for other rules."""
    request = json.dumps({"params": {"block": block, "allow": allow}, "method": "softnet.policy.set",
                          "id": "sand-network-cutover", "jsonrpc": "2.0"}).replace("/", "\\/")
    begin = time.monotonic()
    channel.say(request.encode())
    line = channel.line()
    assert time.monotonic() - begin < 5 and len(line) <= MIB
    reply = json.loads(line)
    assert reply["jsonrpc"] == "2.0" and reply["id"] == "sand-network-cutover" and "error" not in reply, reply
    assert normalized(reply["result"]["allow"]) == normalized(allow)
    assert normalized(reply["result"]["block"]) == normalized(block)
    return reply["result"]


def replace_as_go(channel, allow, block, number):
    """Integer ids, and lists that are never null."""
    channel.say(json.dumps({"jsonrpc": "2.0", "id": number, "method": "softnet.policy.set",
                            "params": rules(allow, block)}, separators=(",", ":")).encode())
    reply = json.loads(channel.line())
    assert reply["id"] == number and type(reply["id"]) is int and "error" not in reply
    assert isinstance(reply["result"]["allow"], list) and isinstance(reply["result"]["block"], list)
    return reply["result"]


@pytest.mark.parametrize("fd", [1, 3])
def test_known_clients(start, fd):
    guarded = start(fd=fd)
    many = [f"10.{number // 256}.{number % 256}.77/24" for number in range(4096)]
    for allow, block in (([], []), (["@host"], ["0.0.0.0/0"]), (["10.1.2.3/8", "10.9.9.9/8", "192.168.1.1/32"], ["@host"]),
                         (many, []), (many[:2000], many[2000:]), ([], [])):
        swift = replace_as_swift(guarded.channel, allow, block)
        assert swift["ruleCount"] == len(swift["allow"]) + len(swift["block"])
        assert swift["allow"] == sorted(set(swift["allow"])) and swift["block"] == sorted(set(swift["block"]))
        assert replace_as_go(guarded.channel, allow, block, 7) == swift
        assert guarded.channel.result("softnet.policy.get", {}) == swift
    assert guarded.carries_frames() < 5
    assert guarded.channel.ask("guard.stats")["error"]["code"] == -32601      # no operator
    assert ends_in_a_second(guarded, signal.SIGINT) == 0


def test_rules_of_the_command_line(start):
    guarded = start("--allow", "10.1.2.3/8,@host", "--block", "in fd00::1, any:tcp/25,10.0.0.0/9", "-v")
    expected = {"allow": ["10.0.0.0/8", "@host"], "block": ["10.0.0.0/9", "any:tcp/25", "in fd00::1/128"], "ruleCount": 5}
    assert guarded.channel.result("softnet.policy.get") == expected
    assert guarded.connect().result("softnet.policy.get", {}, id="x" * 256) == expected


def test_what_is_refused_changes_nothing(guarded):
    channel = guarded.channel
    before = channel.result("softnet.policy.set", rules(["10.0.0.0/8"], ["@host"]))
    for params, name in ((rules(["1.2.3.4", "10.0.0.0/33"]), "10.0.0.0/33"), (rules([], ["@nobody"]), "@nobody"),
                         (rules(["10.0.0.0/8,@host"]), "10.0.0.0/8,@host"), (rules([""]), ""), (rules(["a\0b"]), ""),
                         (rules(["::/0\n"]), "::/0"), ({"allow": []}, "block"), ({**rules(), "desiredRevision": 1}, ""),
                         (rules([1]), ""), (rules([None]), ""), ({"allow": "@host", "block": []}, "allow"),
                         ([[], []], ""), (rules(["@host"] * 4097), "4096"), (rules(["@host"] * 4000, ["@dns"] * 97), "")):
        error = channel.ask("softnet.policy.set", params)["error"]
        assert error["code"] == -32602 and name in error["message"], error
    assert channel.ask("softnet.policy.get", {"all": True})["error"]["code"] == -32602
    assert channel.ask("softnet.policy.get", [])["error"]["code"] == -32602
    assert channel.result("softnet.policy.get") == before
    assert channel.result("softnet.policy.set", rules(["@host"] * 4000, ["@dns"] * 96))["ruleCount"] == 2


def test_what_is_no_request(guarded):
    for channel in guarded.channel, guarded.connect():
        for line, code in ((b"", -32700), (b"{", -32700), (b"\0", -32700), (b"\xff\xfe{}", -32700), (b"[" * 5000, -32700),
                           (b"GET / HTTP/1.1\r", -32700), (b"[]", -32600), (b"null", -32600), (b"{}", -32600),
                           (b'{"jsonrpc":"2.0","id":1,"id":1,"method":"softnet.policy.get"}', -32600),
                           (b'{"jsonrpc":"2.0","id":-1,"method":"softnet.policy.get"}', -32600),
                           (b'{"jsonrpc":"2.0","id":1e400,"method":"softnet.policy.get"}', -32600),
                           (b'{"jsonrpc":"2.0","method":"softnet.policy.get"}', -32600)):
            channel.say(line)
            answer = json.loads(channel.line())
            assert answer["error"]["code"] == code and answer["id"] is None and len(answer) == 3, (line, answer)
        channel.say(b'{"jsonrpc":"2.0","id":9,"method":"softnet.policy.get","extra":0}')
        answer = json.loads(channel.line())
        assert (answer["id"], answer["error"]["code"]) == (9, -32600)
        assert channel.ask("softnet.policy.got")["error"]["code"] == -32601


# --- what operators get -----------------------------------------------------------------------------------------------

def test_socket_of_operators(guarded):
    status = guarded.path.stat()
    assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600
    channel = guarded.connect()
    before = channel.result("guard.stats")
    guarded.guest.send(DATA)
    assert guarded.peer.receive() == DATA
    after = channel.result("guard.stats")
    assert after["passed"]["guest"]["frames"] == before["passed"]["guest"]["frames"] + 1
    assert after["passed"]["guest"]["octets"] == before["passed"]["guest"]["octets"] + len(DATA)
    assert set(after["flows"]) == {"half-open", "closing", "datagram", "established"} and after["addresses"] >= 1
    addresses = channel.result("guard.leases")["addresses"]
    assert {"address": "192.168.77.10", "origin": "static", "state": "bound", "seconds": None, "server": None} in addresses
    assert channel.result("guard.relearn") is True and channel.result("guard.leases")["addresses"] == addresses
    assert guarded.carries_frames() < 5
    guarded.process.terminate()
    guarded.process.wait(5)


def policy(*words):
    done = subprocess.run([services.softnet_path(), "policy", *map(str, words)], capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


def test_client_for_people(guarded, tmp_path):
    control = "--control", guarded.path
    assert policy("show", *control) == (0, "", "")
    file = tmp_path / "sandbox"
    file.write_text("# an agent's sandbox\nblock any\nallow @dns:53\n")
    expected = "allow 10.0.0.0/8\nallow @dns:53\nallow out 1.1.1.1/32:tcp/443\nblock any\n"
    assert policy("set", *control, "--allow", "10.1.2.3/8, out 1.1.1.1:tcp/443", "--policy", file) == (0, expected, "")
    assert policy("show", *control) == (0, expected, "")
    assert guarded.channel.result("softnet.policy.get")["ruleCount"] == 4
    saved = tmp_path / "saved"
    saved.write_text(expected)      # what it prints, it reads
    status, _, said = policy("set", *control)       # a forgotten option must not open a sandbox
    assert status == 2 and "expected --allow, --block or --policy" in said
    nothing = tmp_path / "nothing"
    nothing.write_text("")
    assert policy("set", *control, "--policy", nothing) == (0, "", "")
    assert policy("set", *control, "--policy", saved) == (0, expected, "")
    assert policy("set", *control, "--block", "nonsense")[0] == 2       # the words of the user: not the guard's affair
    assert policy("show", *control) == (0, expected, "")
    assert policy("show", "--control", FOLDER / "nowhere") == (
        1, "", f"softnet: --control: cannot connect to {FOLDER}/nowhere: No such file or directory\n")
    clients = [guarded.connect() for _ in range(8)]
    assert all(client.result("softnet.policy.get") for client in clients)
    status, out, said = policy("show", *control)
    assert (status, out) == (1, "") and said.startswith(f"softnet: --control: no answer from {guarded.path}: "), said


def test_error_of_the_guard_is_told(start):
    """Each rule of 4096 is right; together they are too many prefixes for a policy."""
    guarded = start()
    many = ",".join(f"@lan:{port}" for port in range(1, 4097))
    status, out, said = policy("set", "--control", guarded.path, "--allow", many)
    assert (status, out, said.count("\n")) == (1, "", 1) and "8192" in said, said
    assert policy("show", "--control", guarded.path) == (0, "", "")


def test_events_of_a_lease(segment, softnet, folder):
    # Mode 0600 and root's: the guard has become another, but root may connect.
    guest = rawguest.RawGuest(segment, MAC, "--uplink", "tap:u-raw,bridge=br0", "--control", str(FOLDER / "socket"))
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(FOLDER / "socket"))
    channel = Channel(connection)
    assert channel.result("guard.subscribe") is True
    address = guest.take_lease()
    events = []
    while not any(event["event"] == "lease-new" for event in events):
        notification = json.loads(channel.line())
        assert notification["method"] == "guard.event" and "id" not in notification
        events.append(notification["params"])
    lease = next(event for event in events if event["event"] == "lease-new")
    assert lease["address"] == address and 590 <= lease["seconds"] <= 600 and lease["server"] == "192.168.77.1"
    assert all(event["missed"] == 0 for event in events)
    learned = channel.result("guard.leases")
    assert [one["address"] for one in learned["servers"]] == ["192.168.77.1"]
    assert channel.result("guard.relearn") is True
    after = channel.result("guard.leases")
    assert after["servers"] == after["routers"] == []
    assert [one["address"] for one in after["addresses"]] == [one["address"] for one in learned["addresses"]]
    guest.close()


def test_other_users_are_turned_away(guarded):
    """The mode keeps them out; where somebody has opened it, the kernel still tells who they are."""
    if int(pathlib.Path("/proc/self/uid_map").read_text().split()[2]) < 5000:
        pytest.skip("a user namespace with one user in it has nobody else")
    program = ("import os,socket,sys\nos.setgroups([]); os.setgid(4711); os.setuid(4711)\n"
               "s=socket.socket(socket.AF_UNIX); s.settimeout(5)\n"
               "try:\n s.connect(sys.argv[1])\nexcept PermissionError:\n print('mode'); sys.exit()\n"
               "try:\n s.sendall(b'x\\n'); print('closed' if not s.recv(9) else 'heard')\n"
               "except (BrokenPipeError, ConnectionResetError):\n print('closed')")

    def stranger():
        return netns.run("/usr/bin/python3", "-c", program, guarded.path).strip()
    assert stranger() == "mode"
    guarded.path.chmod(0o666)
    assert stranger() == "closed"
    assert guarded.connect().result("softnet.policy.get")["ruleCount"] == 0


def comes_back(network, address, port):
    with contextlib.suppress(OSError):
        return ipv6_peers.exchange(network.host, b"hello", address, port, 1.0) == b"hello"
    return False


@pytest.mark.parametrize("inbound", ["any", "established"])
def test_ports_are_exposed_while_it_runs(network, slirp, folder, inbound):
    guest, _softnet = slirp("--control", str(FOLDER / "socket"), "--inbound", inbound, "--expose", "2006:7")
    echo = services.Echo(guest, "0.0.0.0", 7)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(FOLDER / "socket"))
    channel = Channel(connection)
    netns.wait_for(lambda: comes_back(network, "127.0.0.1", 2006), 15, "the port of the command line")
    first = {"expose": "2006:7", "state": "in-place"}
    assert channel.result("guard.expose.list") == [first]
    assert not comes_back(network, "127.0.0.1", 2007)
    second = {"expose": "127.0.0.1:2007:7", "state": "in-place"}
    assert channel.result("guard.expose.add", {"expose": "127.0.0.1:2007:7"}) == [first, second]
    assert comes_back(network, "127.0.0.1", 2007)
    with network.host.entered():
        busy = socket.create_server(("127.0.0.1", 2008))
    with netns.Stalls() as stalls:
        begin = time.monotonic()
        error = channel.ask("guard.expose.add", {"expose": "127.0.0.1:2008:7"})["error"]
        took = time.monotonic() - begin
    assert error["code"] == -32602 and "2008" in error["message"] and "in use" in error["message"], error
    assert took < stalls.added_to(2)
    busy.close()
    for text in "nonsense", "127.0.0.1:2007:9", "0:7", "2009:7,2010:7", "a\0b":
        assert channel.ask("guard.expose.add", {"expose": text})["error"]["code"] == -32602, text
    for params in None, {}, {"expose": 1}, {"expose": "2009:7", "more": 1}, ["2009:7"]:
        assert channel.ask("guard.expose.add", params)["error"]["code"] == -32602, params
    assert channel.result("guard.expose.list") == [first, second]
    assert channel.ask("guard.expose.remove", {"expose": "2009:7"})["error"]["code"] == -32602
    assert channel.result("guard.expose.remove", {"expose": "127.0.0.1:2007:7"}) == [first]
    netns.wait_for(lambda: not comes_back(network, "127.0.0.1", 2007), what="the port to be closed")
    assert comes_back(network, "127.0.0.1", 2006)
    echo.close()


def test_a_network_that_forwards_nothing(guarded):
    channel = guarded.connect()
    error = channel.ask("guard.expose.add", {"expose": "2007:7"})["error"]
    assert error["code"] == -32602 and "cannot forward ports" in error["message"]
    assert channel.result("guard.expose.list") == []


# --- bad manners ------------------------------------------------------------------------------------------------------

def test_end_of_a_channel_keeps_the_rules(guarded):
    guarded.channel.result("softnet.policy.set", rules([], ["1.1.1.1/32"]))
    guarded.channel.close()
    operator = guarded.connect()
    assert operator.result("softnet.policy.get") == {"allow": [], "block": ["1.1.1.1/32"], "ruleCount": 1}
    guarded.guest.send(DATA)        # to 1.1.1.1
    assert netns.wait_for(lambda: operator.result("guard.stats")["drops"]["guest"].get("dst-blocked") == 1)
    operator.result("softnet.policy.set", rules())
    operator.close()
    assert guarded.carries_frames() < 5
    assert ends_in_a_second(guarded) == 0


def test_crowd(guarded):
    clients = [guarded.connect() for _ in range(8)]
    assert all(client.result("softnet.policy.get", id=number)["ruleCount"] == 0 for number, client in enumerate(clients))
    turned_away = [guarded.connect() for _ in range(20)]
    assert all(client.is_closed() for client in turned_away)
    assert guarded.channel.result("softnet.policy.get")["ruleCount"] == 0
    assert guarded.carries_frames() < 5
    clients[3].close()
    late = netns.wait_for(lambda: accepted(guarded), what="room for another client")
    assert late.result("softnet.policy.get")["ruleCount"] == 0


def accepted(guarded):
    client = guarded.connect()
    try:
        client.result("softnet.policy.get")
        return client
    except (AssertionError, OSError):
        return None


def test_octet_at_a_time(guarded):
    for octet in b'{"jsonrpc":"2.0","id":1,"method":"softnet.policy.get"}\n':
        guarded.channel.connection.sendall(bytes([octet]))
        time.sleep(0.001)
    assert json.loads(guarded.channel.line())["result"]["ruleCount"] == 0


def hostile_lines():
    yield b"[" * MIB
    yield b"[" * 2000 + b"]" * 2000
    yield b"[" + b"{}," * (MIB // 3 - 2) + b"{}]"
    yield b"{" + b",".join(b'"%x":0' % number for number in range(80000)) + b"}"
    yield b'"' + b"\\u0000" * (MIB // 6 - 1) + b'"'
    yield b"9" * MIB
    yield b"\0" * MIB
    yield b"\xff" * MIB
    yield b" " * 3 * MIB
    yield b'{"jsonrpc":"2.0","id":1,"method":"softnet.policy.set","params":{"allow":[' + \
        b",".join([b'"0.0.0.0/0"'] * 60000) + b'],"block":[]}}'


def test_hostile_lines_do_not_stop_frames(guarded):
    ending, answers = threading.Event(), []

    def attack():
        while not ending.is_set():
            for line in hostile_lines():
                guarded.channel.say(line)
                answers.append(json.loads(guarded.channel.line()))
    thread = threading.Thread(target=attack, daemon=True)
    thread.start()
    longest, end = 0.0, time.monotonic() + 5
    with netns.Stalls() as stalls:
        while time.monotonic() < end:
            longest = max(longest, guarded.carries_frames())
    ending.set()
    thread.join(30)
    assert not thread.is_alive()
    assert len(answers) >= 10 and all("error" in answer for answer in answers)
    assert longest < stalls.added_to(1.0), f"a frame each way took {longest:.3f} s"
    assert guarded.channel.result("softnet.policy.get")["ruleCount"] == 0


@pytest.mark.long
@pytest.mark.skipif(not OPTIMIZED.exists(), reason="build/softnet is not built")
def test_memory_is_bounded(start):
    """A sanitizer keeps what was freed, so this asks another build: of lines, answers and rules nothing stays behind."""
    guarded = start(program=OPTIMIZED)
    if b"libasan" in pathlib.Path(f"/proc/{guarded.pid}/maps").read_bytes():
        pytest.skip("build/softnet has a sanitizer in it")
    most = []
    for _ in range(4):
        for line in hostile_lines():
            guarded.channel.say(line)
            assert "error" in json.loads(guarded.channel.line())
        deaf = [guarded.connect() for _ in range(8)]
        guarded.channel.result("softnet.policy.set", rules([f"10.{n // 256}.{n % 256}.0/24" for n in range(4096)]))
        for client in deaf:
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                while True:
                    client.connection.sendall(b'{"jsonrpc":"2.0","id":1,"method":"softnet.policy.get"}\n')
            client.close()
        most.append(memory_kib(guarded.pid))
    assert most[-1] - most[0] < 2048 and most[-1] < 24 * 1024, most


def test_clients_that_never_read(guarded):
    """They are cut off, and the channel of others goes on."""
    guarded.channel.result("softnet.policy.set", rules([f"10.{n // 256}.{n % 256}.0/24" for n in range(4096)]))
    line = b'{"jsonrpc":"2.0","id":1,"method":"softnet.policy.get"}\n'
    for _ in range(2):
        deaf = [guarded.connect() for _ in range(4)]
        for client in deaf:
            client.connection.settimeout(10)
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                while True:
                    client.connection.sendall(line * 100)
            client.close()
        assert guarded.carries_frames() < 5
    assert guarded.channel.result("softnet.policy.get")["ruleCount"] == 4096
    assert "does not read" in guarded.said()


def test_flood_of_requests_does_not_stop_frames(guarded):
    """Each changes all rules, so that there is something to do; answers are read."""
    ending = threading.Event()
    sides = [[f"10.{n // 256}.{n % 256}.{side}/32" for n in range(4096)] for side in (1, 2)]
    changes = []

    def change():
        number = 0
        while not ending.is_set():
            number += 1
            changes.append(guarded.channel.result("softnet.policy.set", rules(sides[number % 2]))["ruleCount"])
    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    longest, end = 0.0, time.monotonic() + 5
    with netns.Stalls() as stalls:
        while time.monotonic() < end:
            longest = max(longest, guarded.carries_frames())
    ending.set()
    thread.join(20)
    assert len(changes) > 5 and set(changes) == {4096}
    assert longest < stalls.added_to(1.0), f"a frame each way took {longest:.3f} s"


def test_silence_costs_nothing(guarded):
    clients = [guarded.connect() for _ in range(8)]
    clients[0].connection.sendall(b'{"half')
    clients[1].connection.shutdown(socket.SHUT_WR)

    def used():
        fields = pathlib.Path(f"/proc/{guarded.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    time.sleep(0.2)
    before = used()
    time.sleep(2)
    assert used() - before <= 10        # of 200 hundredths of a second
    for client in clients:
        client.close()


# --- start and end ----------------------------------------------------------------------------------------------------

def refused(network, *options):
    guest, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with guest, theirs:
        done = subprocess.run([services.softnet_path(), "--vm-fd", "0", "--vm-mac-address", MAC, *map(str, options)],
                              stdin=theirs, capture_output=True, text=True, timeout=20)
    return done.returncode, done.stderr


def test_what_is_refused_at_the_start(network, softnet, guarded):
    assert refused(network, "--control-fd", 0) == (
        2, 'softnet: --control-fd: "0": expected another descriptor than that of --vm-fd\n')
    assert refused(network, "--control-fd", 77) == (2, "softnet: --control-fd: fd 77 is not open: Bad file descriptor\n")
    assert refused(network, "--control-fd", 1) == (2, "softnet: --control-fd: fd 1 is not a socket\n")
    status, said = refused(network, "--control", guarded.path)
    assert status == 1 and str(guarded.path) in said and "another process has it open" in said
    precious = FOLDER / "precious"
    precious.write_text("precious")
    status, said = refused(network, "--control", precious)
    assert status == 1 and "not a socket" in said and precious.read_text() == "precious"
    assert guarded.connect().result("softnet.policy.get")["ruleCount"] == 0


def test_command_of_run_does_not_inherit_the_channel(network, softnet, folder):
    """The command writes to its standard output and looks through its descriptors; nothing arrives on the channel."""
    for fd in 1, 3:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        peer = StreamPeer(folder / f"run{fd}")

        def place():
            os.dup2(theirs.fileno(), fd)
        script = "echo noise; for f in /proc/self/fd/*; do readlink $f >&2; done; sleep 1; exit 7"
        process = subprocess.Popen([str(softnet), "run", *STATIC, "--uplink", f"stream:{peer.path}", "--control-fd", str(fd),
                                    "--control", str(folder / f"c{fd}"), "--", "sh", "-c", script + " # {fd} {mac}"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   preexec_fn=place, close_fds=False)
        theirs.close()
        channel = Channel(ours)
        assert channel.result("softnet.policy.get")["ruleCount"] == 0       # the first line is no noise
        inode = os.readlink(f"/proc/self/fd/{ours.fileno()}")
        _, said = process.communicate(timeout=20)
        assert process.returncode == 7
        sockets = [line for line in said.splitlines() if line.startswith("socket:")]
        assert len(sockets) == 1 and inode not in sockets, said             # the guest's end, and no other
        assert channel.is_closed() and channel.rest == b""
        peer.close()


def test_socket_goes_with_the_guard(start, folder):
    first = start()
    first.channel.result("softnet.policy.get")
    assert first.path.exists()
    assert ends_in_a_second(first) == 0
    assert not first.path.exists()
