"""Live control from outside: what the known clients of --control-fd rely on, and what operators get."""

import contextlib
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest

import ipv6_peers
import netns
import rawguest
import services
from conftest import needs_others
from control_peers import FOLDER, MIB, Channel, folder, guarded, peer, rules, start     # noqa: F401 (fixtures)
from test_relay import DATA, MAC, STATIC, StreamPeer, ends_in_a_second
from test_slirp import slirp     # noqa: F401 (fixtures)


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
    with netns.Stalls() as stalls:
        begin = time.monotonic()
        channel.say(request.encode())
        line = channel.line()
        took = time.monotonic() - begin
    assert took < stalls.added_to(5) and len(line) <= MIB
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


@needs_others
def test_other_users_are_turned_away(guarded):
    """The mode keeps them out; where somebody has opened it, the kernel still tells who they are."""
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
