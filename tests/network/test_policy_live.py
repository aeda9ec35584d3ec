"""Rules that change while the guest runs (docs/policy.md, Live control): what becomes of its connections."""

import json
import os
import pathlib
import re
import socket
import stat
import subprocess
import sys

import pytest

import netns
import policy_peers
import services
from policy_peers import LAN4, LAN6, NINE4, NINE6, ONE4, ONE6, PRINTER4, Connection


@pytest.fixture(scope="module")
def world(tmp_path_factory, softnet):
    with netns.Network(tmp_path_factory.mktemp("world")) as network:
        world = policy_peers.World(network)
        yield world
        world.close()


class Control:
    """One end of a channel of JSON-RPC lines."""

    def __init__(self, connected):
        self.socket, self.lines, self.number = connected, connected.makefile("r"), 0
        self.socket.settimeout(5)

    def ask(self, method, params=None):
        """The whole reply."""
        self.number += 1
        request = {"jsonrpc": "2.0", "id": self.number, "method": method}
        self.socket.sendall((json.dumps(request if params is None else {**request, "params": params}) + "\n").encode())
        reply = json.loads(self.lines.readline())
        assert reply["jsonrpc"] == "2.0" and reply["id"] == self.number and ("error" in reply) != ("result" in reply)
        return reply

    def call(self, method, params=None):
        reply = self.ask(method, params)
        assert "result" in reply, reply
        return reply["result"]

    def set(self, allow=(), block=()):
        return self.call("softnet.policy.set", {"allow": list(allow), "block": list(block)})

    def get(self):
        return self.call("softnet.policy.get")

    def close(self):
        self.lines.close()
        self.socket.close()


@pytest.fixture
def guest_with(world):
    """Guests with a control channel beside the guard, as Tart starts it."""
    channels = []

    def make(*options, **more):
        ours, theirs = socket.socketpair()
        with theirs:
            guest = world.guest(f"--control-fd={theirs.fileno()}", *options, pass_fds=[theirs.fileno()], **more)
        guest.control = Control(ours)
        channels.append(guest.control)
        return guest
    yield make
    world.clear()
    for channel in channels:
        channel.close()


# --- connections ------------------------------------------------------------------------------------------------------

def test_connections_are_cut_at_once_and_only_those(guest_with):
    guest = guest_with()
    blocked = [Connection(guest.namespace, one, 80) for one in (ONE4, ONE6)]
    others = [Connection(guest.namespace, nine, 80) for nine in (NINE4, NINE6)]
    assert all(one.lives() for one in (*blocked, *others))
    guest.control.set(block=[ONE4, f"[{ONE6}]:tcp"])
    assert not any(one.lives(timeout=0.4) for one in blocked)
    guest.wait_dropped("guest", "dst-blocked", 2)
    guest.is_refused("dst-blocked", f"{ONE4}:tcp/80", f"[{ONE6}]:tcp/80", f"{ONE4}:udp/53")
    guest.reaches(f"[{ONE6}]:udp/53")
    assert all(one.lives() for one in others)
    # When they are opened again, what was lost is sent once more.
    guest.control.set()
    assert all(one.lives() for one in (*blocked, *others))
    guest.reaches(f"{ONE4}:tcp/80", f"[{ONE6}]:tcp/80")
    for one in *blocked, *others:
        one.close()


def test_what_was_private_is_opened_and_closed(guest_with):
    guest = guest_with("--inbound=established")
    both = f"{LAN4}:tcp/22", f"[{LAN6}]:tcp/22"
    guest.is_refused("dst-private", *both)
    guest.control.set(allow=[f"{LAN4}:22", f"[{LAN6}]:22"])
    guest.reaches(*both)
    call = Connection(guest.namespace, LAN4, 22)
    guest.control.set(allow=[f"{LAN4}:23", f"[{LAN6}]:23"])
    guest.is_refused("dst-private", *both)
    assert not call.lives(timeout=0.4)
    call.close()


class Call:
    """A connection that the network opened, in which the guest speaks without being asked."""

    def __init__(self, guest, source):
        port = 9000
        with guest.namespace.entered():
            listener = socket.create_server((guest.address(source), port), family=services.family_of(source))
        with listener, guest.world.far.entered():
            self.caller = socket.socket(services.family_of(source))
            self.caller.bind((source, 0))
            self.caller.settimeout(5)
            self.caller.connect((guest.address(source), port))
            self.guest, _ = listener.accept()

    def is_heard(self, timeout=5.0):
        self.guest.sendall(b"news")
        self.caller.settimeout(timeout)
        try:
            return self.caller.recv(1000) != b""
        except TimeoutError:
            return False

    def close(self):
        self.caller.close()
        self.guest.close()


@pytest.mark.parametrize("lan", [LAN4, LAN6], ids=["IPv4", "IPv6"])
def test_a_change_forgets_flows_and_a_repetition_does_not(guest_with, lan):
    rules = [f"in {lan}:tcp/9000" if ":" not in lan else f"in [{lan}]:tcp/9000", NINE4, f"[{NINE6}]:443"]
    guest = guest_with("--inbound=established", *(f"--allow={rule}" for rule in rules))
    call = Call(guest, lan)
    assert call.is_heard()
    before = guest.control.get()
    assert guest.control.set(allow=[*reversed(rules), *rules]) == before      # the same, in other words
    assert call.is_heard() and guest.dropped("guest") == 0
    guest.control.set(allow=rules[:2])
    assert not call.is_heard(0.4)
    guest.wait_dropped("guest", "dst-private")
    call.caller.sendall(b"still there?")                                      # its opener opens it again
    call.caller.settimeout(5)
    assert call.caller.recv(1000) != b"" and call.is_heard()
    guest.control.set()
    call.caller.sendall(b"and now?")
    guest.wait_dropped("uplink", "unsolicited")
    assert not call.is_heard(0.4)
    call.close()


def test_directions_come_and_go(guest_with):
    guest = guest_with()
    guest.is_closed_to("dst-private", LAN4, "tcp/22", side="guest")           # it is called, and may not answer
    guest.control.set(allow=[f"in {LAN4}:tcp/22"])
    guest.is_reached(LAN4, "tcp/22")
    guest.is_refused("dst-private", f"{LAN4}:tcp/22")
    guest.control.set(allow=[f"in {LAN4}:tcp/22"], block=[PRINTER4])
    guest.is_closed_to("src-blocked", PRINTER4, "tcp/22")
    guest.control.set(block=[PRINTER4])                                       # of the guest alone, again
    guest.is_closed_to("dst-blocked", PRINTER4, "tcp/22", side="guest")
    guest.control.set()
    guest.is_closed_to("dst-private", LAN4, "tcp/22", side="guest")


def test_inbound_none_stays(guest_with):
    guest = guest_with("--inbound=none")
    with pytest.raises(AssertionError, match="nothing may be allowed in with --inbound none"):
        guest.control.set(allow=["in any", f"in {LAN4}:tcp/22"])
    guest.control.set(allow=[f"out {LAN4}:tcp/22"])
    guest.is_closed_to("unsolicited", LAN4, "tcp/22")
    guest.is_closed_to("unsolicited", ONE6, "tcp/22")
    guest.reaches(f"{ONE4}:tcp/22", f"[{ONE6}]:udp/53")


# --- what does not move -----------------------------------------------------------------------------------------------

def keep_neighbor(guest):
    """Its kernel sends without asking for the router first, and goes on when nobody answers."""
    guest.namespace.ip(f"-6 neigh replace {policy_peers.GATEWAY_LINK_LOCAL} lladdr {policy_peers.GATEWAY_MAC} dev eth0 "
                       "nud permanent")


def test_ipv6_is_open_only_while_the_rules_know_it(guest_with):
    guest = guest_with(ipv6="auto")
    keep_neighbor(guest)
    reachable = f"[{ONE6}]:tcp/80"
    guest.reaches(reachable)
    call = Connection(guest.namespace, ONE6, 80)
    guest.control.set(allow=["10.0.0.0/8"])
    assert not call.lives(timeout=0.4)
    guest.is_refused("ip6-disabled", reachable)
    guest.reaches(f"{ONE4}:tcp/80", f"{LAN4}:tcp/80")
    for allow in ["10.0.0.0/8", "fd00:99::/32"], ["any"], ["@lan"], []:
        guest.control.set(allow=["10.0.0.0/8"])
        guest.control.set(allow=allow)
        guest.reaches(reachable)
    assert call.lives()
    call.close()


def test_ipv6_that_was_off_stays_off(guest_with):
    for start, ipv6 in ("--allow=10.0.0.0/8", "auto"), ("--block=any", "off"):
        guest = guest_with(start, ipv6=ipv6, only4=True)
        keep_neighbor(guest)
        for rules in [], ["any"], ["::/0"], [f"[{ONE6}]:tcp/80"]:
            guest.control.set(allow=rules)
            guest.is_refused("ip6-disabled", f"[{ONE6}]:tcp/80")


def test_isolation_stays(world, guest_with):
    def is_isolated(guest):
        return "isolated on" in world.network.host.run("bridge", "-d", "link", "show", "dev", f"u-{guest.name}")
    alone, open_guest = guest_with(), guest_with("--allow=0.0.0.0/0,::/0")
    assert is_isolated(alone) and not is_isolated(open_guest)
    alone.control.set(allow=["0.0.0.0/0", "::/0"])
    open_guest.control.set(block=["@lan"])
    assert is_isolated(alone) and not is_isolated(open_guest)


# --- the channel ------------------------------------------------------------------------------------------------------

def test_what_is_told_of_the_rules(guest_with):
    guest = guest_with("--block=any", f"--allow={LAN4}:443,10.1.2.3/8,@dns:53", f"--allow={LAN4}:443")
    told = guest.control.get()
    assert sorted(told) == ["allow", "block", "ruleCount"]
    for kind in "allow", "block":
        assert told[kind] == sorted(set(told[kind]))
    assert set(told["allow"]) == {"10.0.0.0/8", "@dns:53", f"{LAN4}/32:443"} and told["ruleCount"] >= 4
    assert guest.control.set(told["allow"], told["block"]) == told == guest.control.get()


@pytest.mark.parametrize("params", [
    {"allow": ["10.0.0.1:99999"], "block": []}, {"allow": ["nobody"], "block": []}, {"allow": [1], "block": []},
    {"allow": []}, {"block": []}, {}, None, [], {"allow": "any", "block": []}, {"allow": [], "block": [], "more": 1},
    {"allow": [f"10.0.{n >> 8}.{n & 255}" for n in range(4097)], "block": []},
], ids=lambda value: str(value)[:30])
def test_what_is_refused_changes_nothing(guest_with, params):
    guest = guest_with(f"--block={NINE4},{NINE6}")
    call, before = Connection(guest.namespace, ONE4, 80), guest.control.get()
    assert guest.control.ask("softnet.policy.set", params)["error"]["code"] == -32602
    assert guest.control.get() == before
    assert call.lives()
    guest.is_refused("dst-blocked", f"{NINE4}:tcp/80")
    call.close()


def test_the_end_of_the_channel_changes_nothing(guest_with):
    guest = guest_with()
    guest.control.set(block=[NINE4])
    guest.control.ask("nonsense")
    guest.control.socket.sendall(b"half a li")
    guest.control.close()
    guest.is_refused("dst-blocked", f"{NINE4}:tcp/80")
    guest.reaches(f"{ONE4}:tcp/80")


@pytest.fixture
def directory():
    path = pathlib.Path("/run/control")
    path.mkdir(mode=0o755, exist_ok=True)
    path.chmod(0o777)           # where the guard may make a socket, as every user that it can become
    yield path
    for each in path.iterdir():
        each.unlink()


def connect(path):
    one = socket.socket(socket.AF_UNIX)
    one.connect(str(path))
    return Control(one)


def test_a_path_to_listen_at(world, directory):
    path = directory / "softnet"
    guest = world.guest(f"--control={path}")
    netns.wait_for(path.exists, what="the control socket")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_ISSOCK(path.stat().st_mode)
    first, second = connect(path), connect(path)
    call = Connection(guest.namespace, ONE4, 80)
    first.set(block=[ONE4])
    assert second.get()["block"] == [f"{ONE4}/32"]
    assert not call.lives(timeout=0.4)
    second.set()
    assert call.lives() and first.get()["ruleCount"] == 0
    call.close()
    # This one knows more.
    stats = first.call("guard.stats")
    assert stats and "dst-blocked" in json.dumps(stats)
    assert guest.ip4 in json.dumps(first.call("guard.leases")) and guest.ip6 in json.dumps(first.call("guard.leases"))
    assert first.ask("no.such.method")["error"]["code"] == -32601
    first.close()
    second.close()
    world.clear()


def test_the_guest_does_not_get_at_the_control_socket(world, directory):
    """Nothing listens on the network, nothing has a name without a file, and strangers are shown the door."""
    path = directory / "softnet"
    guest = world.guest(f"--control={path}")
    netns.wait_for(path.exists, what="the control socket")
    for namespace in world.network.host, guest.namespace:
        assert f"pid={guest.guard.pid}," not in namespace.run("ss", "-Hltunp")
        assert "@" not in "".join(re.findall(r"\S*softnet\S*", namespace.run("ss", "-Hlx")))
    path.chmod(0o666)           # so that only who they are keeps them out
    program = ("import os, socket, sys; os.setgroups([]); os.setgid(54321); os.setuid(54321); s = socket.socket(1); "
               "s.settimeout(5); s.connect(sys.argv[1]);\n"
               "try: s.sendall(b'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"softnet.policy.get\"}\\n'); print(s.recv(100))\n"
               "except OSError: print(b'')")
    if not netns.has_other_users():
        pytest.skip("no other user in this user namespace")
    said = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, timeout=20)
    assert said.returncode == 0 and said.stdout.strip() == "b''", said
    assert connect(path).get()["ruleCount"] == 0        # the user who started it may
    world.clear()


def test_the_command_does_not_inherit_the_channel(network, softnet):
    """softnet run: what it starts is the VM."""
    network.bridge("br1")
    ours, theirs = socket.socketpair()
    inode = f"socket:[{os.fstat(theirs.fileno()).st_ino}]"
    with ours, theirs:
        process = network.start([softnet, "run", "--uplink", "tap:u-run,bridge=br1", f"--control-fd={theirs.fileno()}", "--",
                                 "sh", "-c", "for f in /proc/$$/fd/*; do readlink $f; done; echo over; sleep 10", "{fd} {mac}"],
                                name="softnet", kind=services.Softnet, pass_fds=[theirs.fileno()])
        process.wait_line("^over$")
        assert Control(ours).get()["ruleCount"] == 0
        assert inode not in process.output("out") and any("socket:" in line for line in process.output("out"))
