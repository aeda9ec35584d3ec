"""Live control from outside: clients with bad manners. Frames go on, and memory has a bound."""

import json
import pathlib
import socket
import threading
import time

import pytest

import netns
from control_peers import MIB, folder, guarded, peer, rules, start     # noqa: F401 (fixtures)
from test_relay import DATA, OPTIMIZED, ends_in_a_second, memory_kib


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
    assert most[-1] - most[1] < 512 and most[-1] < 24 * 1024, most     # the first round finds its size


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
