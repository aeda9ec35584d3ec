"""Which port has which guard in the kernel: ports vanish, move, have the same number, and two processes want the same one.

    veths p0, p1 .., guarded, at the host; their other ends send
"""

import ctypes
import itertools
import os
import pathlib
import platform
import signal
import struct
import subprocess

import pytest

import netns
import rawguest
import services
from netns import run, wait_for
from test_attach import MAC, OTHER_MAC, can_reach, ring_of, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

NUMBER, GUEST, GATEWAY = 4000, "192.168.77.50", "192.168.77.1"
STATIC = "--vm-ip", f"{GUEST}/24", "--allow", f"{GATEWAY}/32", "--segment", "none"
SYS_BPF, PROG_DETACH, PROG_GET_FD_BY_ID, PROG_QUERY = {"x86_64": 321}.get(platform.machine(), 280), 9, 13, 16
TCX = {"ingress": 46, "egress": 47}
starts = itertools.count()
needs_tcx = pytest.mark.skipif(tuple(map(int, platform.release().split("-")[0].split(".")[:2])) < (6, 6), reason="needs Linux 6.6")


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = netns.libc.syscall(SYS_BPF, command, buffer, len(attributes))
    assert result >= 0, ctypes.get_errno()
    return result


def index_of(port):
    return int(run("ip", "-o", "link", "show", "dev", port).split(":")[0])


def judges_at(port, side):
    """Their numbers. (A kernel with tcx has such a list.)"""
    ids = (ctypes.c_uint32 * 8)()
    bpf(PROG_QUERY, struct.pack("=IIIIQI36x", index_of(port), TCX[side], 0, 0, ctypes.addressof(ids), 8))
    return [number for number in ids if number]


def make_port(place, name, number=""):
    """Both ends are there; the guarded one is down."""
    place.ip(f"link add {name} {number and f'index {number}'} type veth peer name {name}-vm")
    place.ip(f"link set {name}-vm up")


def begin(network, place, name, mac=MAC, *options):
    return network.start([services.softnet_path(), "attach", name, "--vm-mac-address", mac, "-v", *options], place,
                         name=f"guard-{next(starts)}", kind=services.Softnet)


def attach(network, place, name, mac=MAC, *options):
    guard = begin(network, place, name, mac, *options)
    guard.wait_line("gateway MAC addresses", 120)
    guard.counters()
    place.ip(f"link set {name} up")
    return guard


def send(place, name, *senders):
    """A frame from each, of a type that nobody may send: who may send at all is told by another reason."""
    wire = place.wire(f"{name}-vm")
    wire.send(*[b"\xff" * 6 + rawguest.mac_bytes(mac) + b"\x88\xb5" + bytes(46) for mac in senders])
    wire.close()


def wait_judged(guard, own, foreign):
    guard.wait_counters(lambda c: (c.dropped("guest", "ethertype-unknown"), c.dropped("guest", "eth-src-spoof")) == (own, foreign))


def has_ring(number):
    return f"\n{number}: " in "\n" + run("bpftool", "map", "show")


def test_what_a_vanished_port_had_is_given_back(loaded, network, softnet):
    """Its maps go with the next guard of the host, and not before its process could look at them."""
    make_port(network.host, "p0")
    guard = attach(network, network.host, "p0")
    ring = ring_of(guard)
    guard.signal(signal.SIGKILL)
    guard.wait()
    assert has_ring(ring)
    network.host.ip("link delete p0")
    make_port(network.host, "p1")
    attach(network, network.host, "p1")
    wait_for(lambda: not has_ring(ring), 10, "its maps to go")


def test_a_port_of_the_same_number_has_a_guard_of_its_own(loaded, network, softnet):
    """Nothing of the one that has vanished is believed, though nobody has given it back."""
    make_port(network.host, "p0", NUMBER)
    guard = attach(network, network.host, "p0", MAC)
    send(network.host, "p0", MAC, OTHER_MAC)
    wait_judged(guard, 1, 1)
    guard.signal(signal.SIGKILL)
    guard.wait()
    network.host.ip("link delete p0")
    make_port(network.host, "p1", NUMBER)
    guard = attach(network, network.host, "p1", OTHER_MAC)
    assert "is taken over" not in "\n".join(guard.output())
    send(network.host, "p1", MAC, MAC, OTHER_MAC)
    wait_judged(guard, 1, 2)


def test_ports_of_the_same_number_in_two_namespaces(loaded, network, softnet):
    places = [network.namespace(name, ipv6=False) for name in ("left", "right")]
    for place in places:
        make_port(place, "p0", NUMBER)
    guards = [attach(network, place, "p0", mac) for place, mac in zip(places, (MAC, OTHER_MAC))]
    for place in places:
        send(place, "p0", MAC, MAC, MAC, OTHER_MAC)
    wait_judged(guards[0], 3, 1)
    wait_judged(guards[1], 1, 3)


def test_numbers_that_meet_in_one_place_of_the_table(loaded, network, softnet):
    """8192 apart, as the table is long."""
    guards = []
    for turn, mac in enumerate((MAC, OTHER_MAC, "52:54:00:00:00:0c")):
        make_port(network.host, f"p{turn}", NUMBER + turn * 8192)
        guards.append((attach(network, network.host, f"p{turn}", mac), mac))
    for turn, (_, mac) in enumerate(guards):
        send(network.host, f"p{turn}", mac, *[other for _, other in guards])
    for guard, _ in guards:
        wait_judged(guard, 2, 2)
    # The first goes; those behind it are found all the same.
    network.host.ip("link delete p0")
    make_port(network.host, "p9")
    attach(network, network.host, "p9")
    for turn, (guard, mac) in list(enumerate(guards))[1:]:
        send(network.host, f"p{turn}", mac)
        wait_judged(guard, 3, 2)


@needs_tcx
def test_a_port_that_moves_is_closed_until_it_is_attached_again(loaded, network, softnet):
    vm, other = network.namespace("vm"), network.namespace("other")
    network.host.ip("link add p0 type veth peer name eth0 netns vm")
    vm.ip(f"link set eth0 address {MAC}")
    vm.ip("link set eth0 up")
    vm.ip(f"address add {GUEST}/24 dev eth0")
    guard = attach(network, network.host, "p0", MAC, *STATIC)
    network.host.ip(f"address add {GATEWAY}/24 dev p0")
    wait_for(lambda: can_reach(vm, GATEWAY), 10, "the gateway")
    network.host.ip("link set p0 netns other")
    assert guard.wait(10) == 0
    other.ip(f"address add {GATEWAY}/24 dev p0")
    other.ip("link set p0 up")
    vm.ip("link set eth0 up")
    assert not can_reach(vm, GATEWAY)
    # What another guard of the host gives back does not open it.
    make_port(network.host, "p1")
    attach(network, network.host, "p1", OTHER_MAC)
    assert not can_reach(vm, GATEWAY)
    attach(network, other, "p0", MAC, *STATIC)
    wait_for(lambda: can_reach(vm, GATEWAY), 10, "the gateway")
    vm.ip("address add 192.168.77.99/24 dev eth0")
    assert not can_reach(vm, GATEWAY, "192.168.77.99")


@needs_tcx
@pytest.mark.parametrize("side", TCX)
def test_half_a_guard_is_made_anew(loaded, network, softnet, side):
    """As a process leaves it that is killed while it attaches."""
    make_port(network.host, "p0")
    guard = attach(network, network.host, "p0")
    [judge] = judges_at("p0", side)
    guard.signal(signal.SIGKILL)
    guard.wait()
    fd = bpf(PROG_GET_FD_BY_ID, struct.pack("I12x", judge))
    bpf(PROG_DETACH, struct.pack("=IIII16x", index_of("p0"), fd, TCX[side], 0))
    guard = attach(network, network.host, "p0", OTHER_MAC)
    assert [len(judges_at("p0", each)) for each in TCX] == [1, 1]
    send(network.host, "p0", MAC, MAC, OTHER_MAC)
    wait_judged(guard, 1, 2)


def test_two_that_want_the_same_port_at_the_same_moment(loaded, network, softnet):
    """One of them gets it, and it is guarded."""
    for turn in range(5):
        make_port(network.host, f"p{turn}")
        many = [begin(network, network.host, f"p{turn}") for _ in range(3)]
        wait_for(lambda: sum(not guard.running for guard in many) == 2, 30, "two to be refused")
        [guard] = [guard for guard in many if guard.running]
        for other in many:
            other is guard or other.wait_line("guarded already|is about to attach")
        guard.wait_line("gateway MAC addresses", 120)
        guard.counters()
        network.host.ip(f"link set p{turn} up")
        send(network.host, f"p{turn}", MAC, OTHER_MAC)
        wait_judged(guard, 1, 1)


def test_detach_while_its_process_runs_and_attach_again(loaded, network, softnet):
    make_port(network.host, "p0")
    for turn in range(3):
        guard = attach(network, network.host, "p0")
        ring = ring_of(guard)
        subprocess.run([softnet, "detach", "p0"], check=True)
        assert guard.wait(10) == 0
        wait_for(lambda: not has_ring(ring), 10, "its maps to go")


def test_a_starter_that_takes_its_guards_along(loaded, network, softnet):
    """PR_SET_PDEATHSIG, as supervisors set it: it is theirs to say whether a guard outlives them."""
    make_port(network.host, "p0")
    starter = network.start(["sh", "-c", f"setpriv --pdeathsig KILL {softnet} attach p0 --vm-mac-address {MAC} --user root -v & wait"], name="starter")
    starter.wait_line("gateway MAC addresses", 120)
    guard = int(pathlib.Path(f"/proc/{starter.pid}/task/{starter.pid}/children").read_text())
    network.host.run(softnet, "status")             # it is at work
    os.kill(starter.pid, signal.SIGKILL)
    wait_for(lambda: not pathlib.Path(f"/proc/{guard}/exe").exists() or not os.path.lexists(f"/proc/{guard}/root"), 5, "the guard to end")
