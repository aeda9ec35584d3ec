"""Long lists of rules are read by a process aside (docs/policy.md, Live control): frames and other clients do not wait for it, its
answers are those of the guard, and without it all goes on."""

import contextlib
import ctypes
import json
import os
import pathlib
import platform
import signal
import struct
import time

import pytest

import netns
from control_peers import folder, guarded, peer, rules, start     # noqa: F401 (fixtures)
from test_relay import DATA

TO = "1.1.1.1/32"           # where DATA goes
MANY = [f"11.{number >> 8}.{number & 255}.0/24" for number in range(4095)]
SET = "softnet.policy.set"


def process_aside(guarded):
    return netns.wait_for(lambda: find_aside(guarded), what="softnet-rules")


def find_aside(guarded):
    return next((pid for pid, name in netns.children_of(guarded.pid).items() if name == "softnet-rules"), None)


@contextlib.contextmanager
def stopped(pid):
    """It has nothing to say until then."""
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


def request(block, number, allow=()):
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": SET, "params": rules(allow, block)}).encode()


def answer(channel):
    return json.loads(channel.line())


def test_many_rules_are_in_force_as_a_whole(guarded):
    assert guarded.channel.result(SET, rules(["10.0.0.0/8"], [*reversed(MANY)]))["ruleCount"] == 4096
    told = guarded.channel.result("softnet.policy.get")
    assert told == {"allow": ["10.0.0.0/8"], "block": sorted(MANY), "ruleCount": 4096}
    assert guarded.carries_frames() < 5
    guarded.channel.result(SET, rules([], [*MANY, TO]))
    operator = guarded.connect()
    guarded.guest.send(DATA)
    assert netns.wait_for(lambda: operator.result("guard.stats")["drops"]["guest"].get("dst-blocked") == 1)
    assert guarded.channel.result(SET, rules([], MANY))["ruleCount"] == 4095
    assert guarded.carries_frames() < 5


def test_what_is_wrong_with_many_rules_changes_nothing(guarded):
    guarded.channel.result(SET, rules([], MANY))
    wrong = rules(["nonsense!"], MANY[:100]), rules([], [*MANY, "a", "b"]), rules([], ["block.example.org", *MANY[:100]]), {"block": MANY}
    for params in wrong:
        assert guarded.channel.ask(SET, params)["error"]["code"] == -32602
    assert answer_to(guarded, b'{"jsonrpc":"2.0","id":1,' + b" " * 5000 + b"]")["error"]["code"] == -32700
    assert answer_to(guarded, b'{"jsonrpc":"2.0","id":1,"method":"guard.status"' + b" " * 5000 + b"}")["error"]["code"] == -32601
    assert answer_to(guarded, b'{"jsonrpc":"2.0","id":1,"method":"softnet.policy.get"' + b" " * 5000 + b"}")["result"]["ruleCount"] == 4095
    assert guarded.channel.result("softnet.policy.get")["block"] == sorted(MANY)


def answer_to(guarded, line):
    guarded.channel.say(line)
    return answer(guarded.channel)


def test_frames_and_other_clients_do_not_wait(guarded):
    """Nor does what they set come after what was begun before it: the last answer tells what is in force."""
    operator, third = guarded.connect(), guarded.connect()
    with stopped(process_aside(guarded)):
        guarded.channel.say(request([*MANY, TO], 1))
        guarded.channel.say(request([], 2))         # of the same client: in order
        assert netns.wait_for(lambda: guarded.carries_frames() < 5)
        assert operator.result(SET, rules(["10.0.0.0/8"], []))["ruleCount"] == 1
        assert operator.result("softnet.policy.get")["allow"] == ["10.0.0.0/8"]
        third.say(request(MANY, 3))                 # another one's, which waits
        assert guarded.carries_frames() < 5
        assert operator.result("softnet.policy.get")["ruleCount"] == 1
    assert [answer(guarded.channel)["id"] for _ in range(2)] == [1, 2]
    assert answer(third)["result"]["ruleCount"] == 4095
    assert operator.result("softnet.policy.get")["ruleCount"] in (0, 4095)      # whichever came last
    assert guarded.carries_frames() < 5


def test_who_waits_sleeps(guarded):
    """Neither the request that is read aside nor one that waits for its turn keeps the guard awake."""
    third = guarded.connect()
    with stopped(process_aside(guarded)):
        guarded.channel.say(request(MANY, 1))
        third.say(request(MANY[1:], 2))
        assert guarded.carries_frames() < 5
        before, began = spent_ns(guarded.pid), time.monotonic()
        time.sleep(0.5)
        assert spent_ns(guarded.pid) - before < 0.2e9 * (time.monotonic() - began)
    assert answer(guarded.channel)["result"]["ruleCount"] == 4095
    assert answer(third)["result"]["ruleCount"] == 4094


def spent_ns(pid):
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def test_a_client_that_goes_is_obeyed_all_the_same(guarded):
    operator = guarded.connect()
    with stopped(process_aside(guarded)):
        operator.say(request(MANY, 1))
        operator.close()
        assert guarded.carries_frames() < 5
    assert netns.wait_for(lambda: guarded.channel.result("softnet.policy.get")["ruleCount"] == 4095)


@pytest.mark.parametrize("at_work", (False, True))
def test_without_it_the_guard_reads_itself(guarded, at_work):
    pid = process_aside(guarded)
    if at_work:
        os.kill(pid, signal.SIGSTOP)
        guarded.channel.say(request(MANY, 1))
        assert guarded.carries_frames() < 5
    os.kill(pid, signal.SIGKILL)
    if at_work:
        assert answer(guarded.channel)["result"]["ruleCount"] == 4095
    assert guarded.channel.result(SET, rules([], MANY[1:]))["ruleCount"] == 4094
    assert guarded.carries_frames() < 5
    assert guarded.said().count("the process that reads rules has ended") == 1


def test_it_ends_with_the_guard(guarded):
    pid = process_aside(guarded)
    guarded.process.kill()
    guarded.process.wait()
    assert netns.wait_for(lambda: not pathlib.Path(f"/proc/{pid}/cmdline").exists() or not pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())


# --- turns on the processor -------------------------------------------------------------------------------------------

SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}     # <asm/unistd.h>
LONG_NS = 100_000_000


def turns(pid):
    """How long the scheduler lets it run at a time, in ns, and its niceness. 0: this kernel does not say (Linux 6.12 is the first)."""
    attributes = ctypes.create_string_buffer(48)
    assert ctypes.CDLL(None).syscall(SCHED_GETATTR[platform.machine()], pid, attributes, len(attributes), 0) == 0
    _, _, _, niceness, _, slice_ns, _, _ = struct.unpack("IIQiIQQQ", attributes.raw)
    return slice_ns, niceness


@pytest.mark.skipif(platform.machine() not in SCHED_GETATTR, reason="the number of sched_getattr(2) is not known here")
def test_whoever_wakes_up_comes_before_the_process_aside(guarded, softnet):
    """It has long turns, so that nobody waits for their end. All others have the usual ones."""
    usual, niceness = turns(0)
    if usual == 0:
        pytest.skip("this kernel has turns of one length")
    assert turns(guarded.pid) == (usual, niceness)
    assert turns(process_aside(guarded)) == (LONG_NS, niceness + 5)
