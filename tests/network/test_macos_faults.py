"""The port of macOS when the framework fails, hesitates, or comes too late; with ASan and UBSan, and with TSan.

    raw guest (a socket) -- softnet for macOS -- double of vmnet -- Wire (a socket)
"""

import signal
import socket
import subprocess
import threading
import time

import pytest

import netns
import rawguest
from macos import MAC, swallow
from test_relay import DATA, EXTERNAL, LONG, ME, ROUTER_MAC, SPOOFED, Flood, ends_in_a_second, to_guest

STATIC = [f"--vm-ip={ME}/24", "--no-dhcp", f"--gateway-mac={ROUTER_MAC}"]
MANY = 200


def numbered(number):
    return rawguest.udp(MAC, ROUTER_MAC, ME, EXTERNAL, 4000, 4001, number.to_bytes(4, "big").ljust(100, b"\0"))


@pytest.fixture
def guest_with(mac):
    """A function that starts the guard with these faults and options; what it started must end well."""
    started = []
    mac.socket_wire()

    def start(faults="", *options):
        mac.fault(faults)
        started.append(mac.guest(*STATIC, *options))
        return started[-1]
    yield start
    for guest in started:
        if guest.guard.running:
            guest.guard.signal(signal.SIGINT)
        assert guest.guard.wait(10) == 0, guest.guard.output()[-10:]
        guest.close()


def told(guest, pattern):
    return [line for line in guest.guard.output("err") if pattern in line]


# --- start ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("faults, words", [
    ("start-null", "the interface does not start: refused; it wants root"),
    ("start=1001", "the interface does not start: refused; it wants root"),
    ("start=1005", "permission denied"), ("start=1009", "Internet Sharing is busy"), ("start=1010", "not authorized"),
    ("start=4711", "an unknown fault"), ("start-never", "no answer within 30 seconds"),
    ("packet-max=10", "packets of 10 octets are not possible"), ("packet-max=4000000", "packets of 4000000 octets"),
    ("no-gateway", "does not say which address the host has"), ("callback=1004", "no events: the interface is not set up"),
])
def test_no_start(mac, faults, words):
    mac.socket_wire()
    mac.fault(faults)
    if faults == "start-never":
        mac.environment("FAKE_SPEED", "200")
    process = mac.start()
    assert process.wait(10) == 1
    assert words in process.output("err")[-1]
    assert mac.logged("end .* xpc=0 cf=0")
    assert len(mac.logged("start mode")) == len(mac.logged("stopped")) or "start" in faults


def test_start_that_takes_its_time(guest_with, mac):
    guest = guest_with("start-late")
    guest.send(DATA)
    assert mac.wire.receive() == DATA


# --- frames -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("faults", ["", "edge"], ids=["level", "edge"])
def test_no_frame_is_lost(guest_with, mac, faults):
    """Whether the framework calls back while frames wait, or once when they come: in steps, and many at once."""
    guest = guest_with(faults)
    for number in range(20):
        mac.wire.send(to_guest(number))
        assert guest.receive() == to_guest(number)
    sender = threading.Thread(target=lambda: mac.wire.send(*map(to_guest, range(MANY))))
    sender.start()
    assert [guest.receive() for _ in range(MANY)] == [to_guest(number) for number in range(MANY)]
    sender.join()
    guest.send(*map(numbered, range(MANY)))
    assert [mac.wire.receive() for _ in range(MANY)] == [numbered(number) for number in range(MANY)]


def test_frames_of_every_size(guest_with, mac):
    guest = guest_with()
    guest.send(*(DATA[:octets] for octets in range(14)))
    guest.send(LONG[:14] + bytes(1501), bytes(9000), LONG, DATA)
    assert [mac.wire.receive(), mac.wire.receive()] == [LONG, DATA]
    counters = guest.wait_counted()
    assert counters.dropped("guest", "frame-runt") == 14 and counters.dropped("guest", "frame-oversize") == 2
    mac.wire.send(b"\1", DATA[:13], to_guest(1, 1472), to_guest(2))
    assert [guest.receive(), guest.receive()] == [to_guest(1, 1472), to_guest(2)]
    assert guest.guard.counters().dropped("uplink", "frame-runt") == 2


def test_mtu(guest_with, mac):
    """A longer one is asked for, and frames of both sides may have it; a frame that is longer still is no frame."""
    guest = guest_with("", "--mtu", "4000")
    long = to_guest(1, 4000 - 28)
    mac.wire.send(long)
    assert guest.receive() == long and mac.logged("start .* mtu=4000 ")


def test_framework_gives_longer_frames_than_were_asked_for(guest_with, mac):
    guest = guest_with("packet-max=9014", "--mtu", "1000")
    guest.send(DATA)
    mac.wire.send(to_guest(1, 1400), to_guest(2))
    assert guest.receive() == to_guest(2) and mac.wire.receive() == DATA
    assert guest.guard.counters().dropped("uplink", "frame-oversize") == 1


def test_framework_takes_shorter_frames_than_were_asked_for(guest_with, mac):
    guest = guest_with("packet-max=1514", "--mtu", "4000")
    guest.send(rawguest.udp(MAC, ROUTER_MAC, ME, EXTERNAL, 4000, 4001, bytes(2000)), DATA)
    assert mac.wire.receive() == DATA
    assert guest.wait_counted().dropped("guest", "write-error") == 1


def test_burst_that_the_guest_does_not_read(guest_with, mac):
    """Darwin says ENOBUFS: what finds no room is counted, and the guard goes on."""
    guest = guest_with()
    mac.wire.send(*[to_guest(number) for number in range(2000)])
    guest.guard.wait_counters(lambda now: now.passed["uplink"] + now.dropped("uplink", "queue-full") == 2000)
    guest.drain()
    mac.wire.send(to_guest(7777))
    assert guest.wait_frame(lambda frame: frame == to_guest(7777))


def send_as_one_batch(guest, frames):
    guest.guard.signal(signal.SIGSTOP)
    guest.send(*frames)
    guest.guard.signal(signal.SIGCONT)


@pytest.mark.parametrize("faults, reason, sent", [
    ("write=1007@1-1", "queue-full", 0), ("write=1001@1-1", "write-error", 0), ("write=1006@1-1", "write-error", 0),
    ("short-write=1007@1-1", "queue-full", 4), ("short-write=1000@1-1", "queue-full", 4),
    ("short-write=1001@1-1", "write-error", 4),
])
def test_write_that_fails(guest_with, mac, faults, reason, sent):
    """Frames that the framework did not take are counted, and how many it took of a batch; the next ones go."""
    guest = guest_with(faults)
    send_as_one_batch(guest, [numbered(number) for number in range(8)])
    counters = guest.wait_counted()
    assert counters.dropped("guest", reason) == 8 - sent and counters.passed["guest"] == sent
    guest.send(DATA)
    assert [mac.wire.receive() for _ in range(sent + 1)] == [*map(numbered, range(sent)), DATA]
    assert len(told(guest, "frames cannot be sent")) == (reason == "write-error")


def test_fault_that_stays_is_told_once(guest_with, mac):
    """What comes in has nothing to do with what cannot go out."""
    guest = guest_with("write=1001@3-40")
    for number in range(45):
        guest.send(numbered(number))
        mac.wire.send(to_guest(number))
        assert guest.receive() == to_guest(number)
    guest.guard.wait_counters(lambda now: now.passed["guest"] == 7)
    assert guest.guard.counters().dropped("guest", "write-error") == 38
    assert len(told(guest, "frames cannot be sent: refused")) == 1


def test_read_that_fails(guest_with, mac):
    """It is told, tried again ten times a second and not more often, and what waited meanwhile arrives."""
    guest = guest_with("read=1002@1-4")
    with netns.Stalls() as stalls:
        begin = time.monotonic()
        mac.wire.send(*map(to_guest, range(5)))
        guest.send(DATA)
        assert mac.wire.receive() == DATA           # the other direction goes on
        assert [guest.receive() for _ in range(5)] == [to_guest(number) for number in range(5)]
        took = time.monotonic() - begin
    assert 0.35 < took < stalls.added_to(2)
    assert len(told(guest, "frames cannot be read: out of memory")) == 1
    guest.guard.signal(signal.SIGINT)
    guest.guard.wait()
    callbacks, reads = map(int, mac.logged(r"^stopped callbacks=(\d+) reads=(\d+)")[0].groups())
    assert callbacks < 10 and reads < 20


# --- the end ----------------------------------------------------------------------------------------------------------

def test_callbacks_end_before_the_interface(guest_with, mac):
    guest = guest_with("late-callback")
    mac.wire.send(to_guest(1))
    assert guest.receive() == to_guest(1)
    assert ends_in_a_second(guest.guard, signal.SIGINT) == 0
    lines = [line.split()[0:2] for line in mac.log() if line.split()[0] in ("callback", "stopped", "end")]
    assert [words[0] for words in lines] == ["callback", "callback", "stopped", "end"] and lines[1][1] == "off"
    assert mac.logged("end .* xpc=0 cf=0")


@pytest.mark.parametrize("faults", ["read=1002@1-1000", "read=1002@1-1000,late-callback"], ids=["one", "two"])
def test_end_while_a_callback_is_parked(guest_with, mac, faults):
    guest = guest_with(faults)
    mac.wire.send(to_guest(1))
    guest.guard.wait_line("frames cannot be read")
    assert ends_in_a_second(guest.guard, signal.SIGINT) == 0


def test_end_that_takes_its_time(guest_with, mac):
    guest = guest_with("stop-slow")
    begin = time.monotonic()
    guest.guard.signal(signal.SIGTERM)
    assert guest.guard.wait() == 0 and time.monotonic() - begin > 0.25
    assert mac.logged("stopped")


@pytest.mark.parametrize("faults", ["stop-never", "stop=1001"])
def test_end_that_does_not_come(guest_with, mac, faults):
    mac.environment("FAKE_SPEED", "20")
    guest = guest_with(faults)
    guest.guard.signal(signal.SIGTERM)
    assert guest.guard.wait() == 0
    assert told(guest, "did not stop")


def test_signal_under_flood_from_both_sides(guest_with, mac):
    guest = guest_with()
    ending = threading.Event()

    def flood():
        while not ending.is_set():
            try:
                mac.wire.send(to_guest(1))
            except OSError:
                return

    def read_both():
        while not ending.is_set():
            swallow(guest.socket)
            swallow(mac.wire.socket)
            time.sleep(0.001)
    threads = [threading.Thread(target=target, daemon=True) for target in (flood, read_both)]
    from_guest = Flood(guest, [DATA, SPOOFED], 10_000_000)
    for thread in threads:
        thread.start()
    guest.guard.wait_counters(lambda now: now.dropped("guest") > 500 and
                              now.passed["uplink"] + now.dropped("uplink") > 500, 10)
    assert ends_in_a_second(guest.guard, signal.SIGINT) == 0
    ending.set()
    from_guest.stop()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


# --- forwardings ------------------------------------------------------------------------------------------------------

@pytest.fixture
def taken(network):
    """A function that takes a port of the host."""
    sockets = []

    def take(port, kind=socket.SOCK_STREAM):
        with network.host.entered():
            sockets.append(socket.socket(socket.AF_INET, kind))
        sockets[-1].bind(("0.0.0.0", port))
        if kind == socket.SOCK_STREAM:
            sockets[-1].listen()
        return sockets[-1]
    yield take
    for one in sockets:
        one.close()


def is_free(taken, port):
    try:
        taken(port).close()
    except OSError:
        return False
    return True


def test_expose(guest_with, mac, taken):
    guest = guest_with("", "--expose", "7000-7001:22-23,udp/7000:53")
    guest.guard.wait_line('"udp/7000:53" leads to')
    guest.guard.wait_line('"7000-7001:22-23" leads to 192.168.77.10')
    rules = sorted(match[1] for match in mac.logged("^rule add (.*)"))
    assert rules == [f"protocol=17 port=7000 to={ME} port=53 status=1000",
                     f"protocol=6 port=7000 to={ME} port=22 status=1000",
                     f"protocol=6 port=7001 to={ME} port=23 status=1000"]
    assert not is_free(taken, 7000)


@pytest.mark.parametrize("faults", ["", "rules-late"])
def test_expose_where_a_port_is_taken(guest_with, mac, taken, faults):
    """All of the ports or none; what another forwarding has stays."""
    taken(7002)
    guest = guest_with(faults, "--expose", "7000:1,7001-7003:1-3")
    guest.guard.wait_line('"7001-7003:1-3" is not in place: tcp port 7002 on 0.0.0.0: Address already in use')
    guest.guard.wait_line('"7000:1" leads to')
    netns.wait_for(lambda: is_free(taken, 7001) and is_free(taken, 7003), what="the ports to be given back")
    assert not is_free(taken, 7000)


@pytest.mark.parametrize("faults, error", [("rule=1002@7001-7001", "Cannot allocate memory"),
                                           ("rule-refused=1003@7001-7001", "Invalid argument"),
                                           ("rule=1005@7001-7001", "Permission denied"),
                                           ("rule=4711@7001-7001", "Input/output error")])
def test_expose_that_is_refused(guest_with, mac, taken, faults, error):
    guest = guest_with(faults, "--expose", "7000-7001:1-2")
    guest.guard.wait_line(f"tcp port 7001 on 0.0.0.0: {error}")
    netns.wait_for(lambda: is_free(taken, 7000), what="the port to be given back")


def test_expose_on_one_address(guest_with, mac):
    guest = guest_with("", "--expose", "127.0.0.1:7000:1")
    guest.guard.wait_line("tcp port 7000 on 127.0.0.1: Cannot assign requested address")
    assert not mac.logged("^rule")


def ask_port(mac, *words):
    """tests/macos/test_vmnet.c: the port without a guard."""
    mac.socket_wire()
    done = subprocess.run([mac.program.parent / "test-vmnet", *words], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("faults", ["", "rules-late"])
def test_what_depends_on_when_it_is_asked(mac, faults):
    mac.fault(faults)
    ask_port(mac)
    assert mac.logged("^rule add protocol=17 port=7000 to=fd64::10a port=53 status=1000")
    assert mac.logged("^rule remove protocol=17 family=10 port=7000 known=1")


@pytest.mark.parametrize("faults", ["start-late", "stop-slow"])
def test_answers_that_come_when_nobody_waits(mac, faults):
    mac.fault(faults)
    mac.environment("FAKE_SPEED", "200")
    mac.environment("ASAN_OPTIONS", "detect_leaks=0")       # what the answer needs is kept on purpose
    ask_port(mac, "late")
    assert mac.logged("^end semaphores=2")
