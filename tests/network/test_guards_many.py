"""Two hundred guards of one host: each serves its VM and keeps a forged frame out, costs what the first one costs, and leaves nothing.

    this program -- softnet -- this program                                  by two pairs of sockets, 200 times
    g0 .. g199 -- p0 .. p199, each guarded, in br0 -- gateway 192.168.64.1/18, with a DHCP server
"""

import collections
import contextlib
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess

import pytest

import rawguest
import services
import test_attach
from conftest import tell_sanitizer
from netns import run, wait_for
from test_attach_many import maps_of_guards, own_octets

MANY, HONEST = 200, 5
GATEWAY, GATEWAY_MAC, FAR, FOREIGN = "192.168.64.1", "52:54:00:00:00:01", "1.1.1.1", "52:54:00:99:99:99"
CLAIMS = pathlib.Path("/run/softnet/claims/0")
needs_attach = pytest.mark.skipif(test_attach.why_not() is not None, reason=str(test_attach.why_not()))


def mac(number):
    return f"52:54:00:01:{number >> 8:02x}:{number & 255:02x}"


def address(number):
    return f"192.168.100.{number + 1}"


def outgoing(number, source, text, count=1):
    return [rawguest.udp(mac(number), GATEWAY_MAC, source, FAR, 4000, 4001, b"%s %d" % (text, number)) for _ in range(count)]


def descriptors(guard):
    return len(os.listdir(f"/proc/{guard.pid}/fd"))


def are_alike(guards, first_octets):
    """What one has does not depend on how many there are. From the 124th on no instance of inotify is left, docs/scale.md."""
    own, open_files = [own_octets(guard) for guard in guards], collections.Counter(map(descriptors, guards))
    print(f"own octets {min(own)} to {max(own)}, of the first when it was alone {first_octets}; descriptors {dict(open_files)}")
    assert max(own) < 1.25 * min(own) + (1 << 18) and own[0] < 1.1 * first_octets + (1 << 17)
    assert max(open_files) - min(open_files) <= 1
    return True


def leave_nothing(network, guards):
    """Their sockets and claims lie in root's folders, and they are nobody: the next start takes them away."""
    for guard in guards:
        guard.signal(signal.SIGTERM)
    assert {guard.wait(30) for guard in guards} == {0}
    said = subprocess.run([services.softnet_path(), "status", "--json"], capture_output=True, text=True, check=False)
    assert json.loads(said.stdout or "[]") == [], said
    assert not [guard.pid for guard in guards if pathlib.Path(f"/proc/{guard.pid}").exists()]
    last = network.start([services.softnet_path(), "--vm-mac-address", mac(0), "--guest", "tap:last-g", "--uplink", "tap:last-u", "-v"],
                         name="last", kind=services.Softnet)
    last.wait_line("gateway MAC addresses", 60)
    assert {name.split("-")[0] for name in os.listdir(CLAIMS)} == {f"{last.pid:x}"}
    assert [name for name in os.listdir("/run/softnet") if name.endswith(".sock")] == [f"{last.pid}.sock"]


# --- relays -------------------------------------------------------------------------------------------------------------

class Relay:
    def __init__(self, network, number, stack):
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
        (self.guest, guests), (self.uplink, uplinks) = pairs
        for each in self.guest, self.uplink:
            stack.enter_context(each).setblocking(False)
        self.number = number
        with guests, uplinks:
            self.guard = network.start([services.softnet_path(), "--vm-mac-address", mac(number), "--name", f"vm{number}",
                                        "--guest", f"fd:{guests.fileno()}", "--uplink", f"fd:{uplinks.fileno()}", f"--vm-ip={address(number)}/18",
                                        "--no-dhcp", f"--gateway={GATEWAY}", f"--gateway-mac={GATEWAY_MAC}", "-v"], name=f"relay-{number}",
                                       kind=services.Softnet, pass_fds=[guests.fileno(), uplinks.fileno()])
        self.guard.wait_line("gateway MAC addresses", 60)

    def exchange(self):
        """Frames of both sides, with a forged one among each."""
        self.honest = outgoing(self.number, address(self.number), b"honest", HONEST)
        self.answer = rawguest.udp(GATEWAY_MAC, mac(self.number), FAR, address(self.number), 4001, 4000, b"answer")
        for frame in [*self.honest, *outgoing(self.number, address(self.number + 1), b"forged")]:
            self.guest.send(frame)
        for frame in self.answer, rawguest.udp(GATEWAY_MAC, FOREIGN, FAR, address(self.number), 4001, 4000, b"of another"):
            self.uplink.send(frame)

    def adds_up(self):
        counters = self.guard.wait_counters(lambda c: sum(c.passed.values()) + c.dropped("guest") + c.dropped("uplink") == HONEST + 3, 60)
        assert counters.passed == {"guest": HONEST, "uplink": 1}, counters
        assert counters.drops == {("guest", "ip4-src-spoof"): 1, ("uplink", "l2-not-for-guest"): 1}, counters
        assert received(self.uplink) == self.honest and received(self.guest) == [self.answer]
        return True


def received(end):
    frames = []
    with contextlib.suppress(BlockingIOError):
        while True:
            frames.append(end.recv(2000))
    return frames


@pytest.mark.long
def test_relays(network, monkeypatch):
    tell_sanitizer(monkeypatch, "detect_stack_use_after_return=0")      # as in test_attach_many
    with contextlib.ExitStack() as stack:
        relays = [Relay(network, 0, stack)]
        relays[0].exchange()
        assert relays[0].adds_up()
        first_octets = own_octets(relays[0].guard)
        relays += [Relay(network, number, stack) for number in range(1, MANY)]
        for relay in relays[1:]:
            relay.exchange()
        assert all(relay.adds_up() for relay in relays[1:])
        assert are_alike([relay.guard for relay in relays], first_octets)
        assert len(json.loads(services.status(network, "--json"))) == MANY
        leave_nothing(network, [relay.guard for relay in relays])


# --- ports of the kernel ------------------------------------------------------------------------------------------------

@pytest.fixture
def ports(loaded, network, softnet):
    network.bridge("br0")
    network.gateway = network.namespace("gateway")
    network.join(network.gateway, "eth0", "br0", f"{GATEWAY}/18", mac=GATEWAY_MAC)
    services.dnsmasq(network, network.gateway, "192.168.66.1", "192.168.66.250", router=GATEWAY)
    network.guests = network.namespace("guests", ipv6=False)
    network.host.ip("".join(f"link add p{n} type veth peer name g{n} netns guests\n" for n in range(MANY)))
    network.guests.ip("".join(f"link set g{n} address {mac(n)}\n" for n in range(MANY)))
    network.host.ip("".join(f"link set p{n} master br0\n" for n in range(MANY)))
    return network


def is_static(number):
    """Every second one has its address of the operator, the others of DHCP."""
    return number % 2 == 1


def guard_port(network, number):
    fixed = ["--vm-ip", f"{address(number)}/18", "--no-dhcp"] if is_static(number) else []
    guard = network.start([services.softnet_path(), "attach", f"p{number}", "--vm-mac-address", mac(number), "--name", f"vm{number}",
                           "--gateway-mac", GATEWAY_MAC, *fixed, "-v"], name=f"guard-{number}", kind=services.Softnet)
    guard.wait_line("gateway MAC addresses", 120)
    guard.counters()
    return guard


def take_addresses(network, guards):
    """Of all, when all ports are up."""
    network.host.ip("".join(f"link set p{n} up\n" for n in range(MANY)))
    network.guests.ip("".join(f"link set g{n} up\n" for n in range(MANY)))
    ask = f"{services.busybox()} udhcpc -n -q -t 20 -T 2 -s /bin/true -i"
    network.guests.run("sh", "-ec", "".join(f"{ask} g{n}\n" for n in range(MANY) if not is_static(n)), timeout=300)
    return [address(number) if is_static(number) else guard.wait_line(r"lease new: (\S+) ").group(1) for number, guard in enumerate(guards)]


def received_by(network):
    """{port: frames that its guest has sent}"""
    return {link["ifname"]: link["stats64"]["rx"]["packets"] for link in json.loads(run("ip", "-j", "-s", "link"))}


def counts(network, guards):
    """Whether of every port each frame has passed or was dropped for a reason."""
    there = received_by(network)
    for number, guard in enumerate(guards):
        counters = guard.wait_counters(lambda c: c.dropped("guest", "ip4-src-spoof") == 1, 60)
        assert counters.passed["guest"] + counters.dropped("guest") == there[f"p{number}"], (number, counters, there[f"p{number}"])
        assert counters.passed["guest"] >= HONEST and counters.dropped("guest") == 1, (number, counters)
    return True


@needs_attach
@pytest.mark.long
def test_ports(ports, monkeypatch):
    tell_sanitizer(monkeypatch, "detect_stack_use_after_return=0")
    guards = [guard_port(ports, 0)]
    first_octets = own_octets(guards[0])
    guards += [guard_port(ports, number) for number in range(1, MANY)]
    addresses = take_addresses(ports, guards)
    assert len(set(addresses)) == MANY
    far = ports.gateway.wire("eth0")
    for number, own_address in enumerate(addresses):
        wire = ports.guests.wire(f"g{number}")
        wire.send(*outgoing(number, own_address, b"honest", HONEST), *outgoing(number, addresses[number - 1], b"forged"))
        wire.close()
    arrived = collections.Counter()

    def all_are_there():
        arrived.update(frame[42:] for frame in far.frames() if frame[42:49] in (b"honest ", b"forged "))
        return sum(arrived.values()) >= MANY * HONEST
    wait_for(all_are_there, 30, "the honest frames")
    assert counts(ports, guards)
    all_are_there()
    assert arrived == {b"honest %d" % number: HONEST for number in range(MANY)}
    assert are_alike(guards, first_octets)
    rings = {str(test_attach.ring_of(guard)) for guard in guards}
    assert len(rings) == MANY
    leave_nothing(ports, guards)
    # What ports had that are gone is given back with the next word about any of them.
    ports.host.ip("".join(f"link delete p{n}\n" for n in range(1, MANY)))
    subprocess.run([services.softnet_path(), "detach", "p0"], check=True)
    wait_for(lambda: not rings & set(maps_of_guards()), 30, "the maps to go")


# --- where the machine has no more --------------------------------------------------------------------------------------

def lines_within(limit, value, *words):
    """What a guard says that may have so little, and ends; None: it stands."""
    try:
        done = subprocess.run([services.softnet_path(), *words, "--vm-mac-address", mac(0)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=20, check=False, preexec_fn=lambda: resource.setrlimit(limit, (value, value)))
    except subprocess.TimeoutExpired:
        return None
    assert done.returncode != 0, done
    return done.stderr.splitlines()


@pytest.fixture
def silent(monkeypatch):
    """A sanitizer that looks for leaks wants descriptors."""
    tell_sanitizer(monkeypatch, "detect_leaks=0")


@pytest.mark.parametrize("number", [4, 5, 6, 7])
def test_a_relay_without_descriptors(silent, tmp_path, number):
    said = lines_within(resource.RLIMIT_NOFILE, number, "--guest", f"unixgram:{tmp_path}/guest", "--uplink", f"unixgram:{tmp_path}/uplink")
    assert len(said) == 1 and said[0].endswith("Too many open files"), said


@needs_attach
@pytest.mark.parametrize("number", [5, 7, 18])
def test_an_attach_without_descriptors(silent, loaded, network, number):
    network.host.ip("link add p0 type veth peer name g0")
    said = lines_within(resource.RLIMIT_NOFILE, number, "attach", "p0")
    assert len(said) == 1 and "Too many open files" in said[0], said
