"""The guard in the kernel, at a port that somebody else made: what must hold with its process, and without it.

    vm eth0 -- veth p-vm, guarded -- br0 -- gateway 192.168.77.1, with a DHCP server and 1.1.1.1 behind it
"""

import os
import shutil
import signal
import subprocess

import pytest

import netns
import rawguest
import services
from netns import run

MAC, OTHER_MAC = "52:54:00:00:00:0a", "52:54:00:00:00:0b"
GATEWAY, GATEWAY_MAC, FAR = "192.168.77.1", "52:54:00:00:00:01", "1.1.1.1"


def why_not():
    if os.geteuid() != 0 or not netns.has_other_users():
        return "needs root, for the kernel takes no programs from others"
    if not shutil.which("bpftool"):
        return "not installed: bpftool"
    said = subprocess.run([services.softnet_path(), "detach", "no-such-port"], capture_output=True, text=True)
    return "softnet was built without the guard in the kernel" if "built without" in said.stderr else None


pytestmark = [pytest.mark.together("attach"), pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]


@pytest.fixture
def attached(loaded, segment, softnet):
    segment.vm = segment.namespace("vm")
    segment.guard = services.attach(segment, segment.vm, MAC, "br0")
    return segment


def can_reach(guest, address, source=None):
    words = ["ping", "-c1", "-W1", *(["-I", source] if source else []), address]
    return guest.run(*words, check=False).find(" 0% packet loss") >= 0


def ring_of(guard):
    """The number of the ring by which its programs tell: no other guard has it."""
    [ring] = [said for fd in os.listdir(f"/proc/{guard.pid}/fd")
              if "map_id:" in (said := open(f"/proc/{guard.pid}/fdinfo/{fd}").read())]
    return int(ring.split("map_id:")[1].split()[0])


def test_a_guest_gets_its_lease_and_no_more(attached):
    vm, guard = attached.vm, attached.guard
    far = attached.gateway.wire("eth0")
    services.udhcpc(attached, vm)
    address = services.address_of(vm)
    guard.wait_line(f"lease new: {address} ")
    assert can_reach(vm, FAR)
    vm.ip("address add 192.168.77.99/24 dev eth0")
    far.frames()
    assert not can_reach(vm, FAR, "192.168.77.99")
    assert not any(rawguest.mac_bytes(MAC) in frame[:12] and frame[26:30] == bytes([192, 168, 77, 99]) for frame in far.frames())
    counters = guard.wait_counters(lambda c: c.dropped("guest", "ip4-src-spoof") >= 1)
    assert counters.passed["guest"] >= 4 and counters.passed["uplink"] >= 3


def test_it_holds_when_its_process_is_killed(attached):
    vm = attached.vm
    client = services.udhcpc(attached, vm)
    assert can_reach(vm, FAR)
    before = attached.guard.counters()
    attached.guard.signal(signal.SIGKILL)
    attached.guard.wait()
    # What it has it keeps; what is forbidden stays forbidden; what it wants anew waits.
    assert can_reach(vm, FAR)
    vm.ip("address add 192.168.77.99/24 dev eth0")
    far = attached.gateway.wire("eth0")
    assert not can_reach(vm, FAR, "192.168.77.99")
    assert not far.frames() or all(frame[26:30] != bytes([192, 168, 77, 99]) for frame in far.frames())
    asked = len([line for line in attached.dhcp_server.output() if "DHCPREQUEST" in line])
    client.signal(signal.SIGUSR1)
    assert can_reach(vm, FAR)
    assert len([line for line in attached.dhcp_server.output() if "DHCPREQUEST" in line]) == asked
    # The next one knows all of it, and what waited goes on.
    guard = services.attach(attached, vm, MAC, "br0", name="next")
    guard.wait_line("is taken over")
    guard.wait_line("lease renewed")
    assert can_reach(vm, FAR) and not can_reach(vm, FAR, "192.168.77.99")
    after = guard.wait_counters(lambda c: c.dropped("guest", "ip4-src-spoof") > before.dropped("guest", "ip4-src-spoof"))
    assert after.passed["guest"] > before.passed["guest"]


def test_a_restart_loses_no_frame(attached):
    vm = attached.vm
    services.udhcpc(attached, vm)
    assert can_reach(vm, FAR)
    flood = attached.start(["ping", "-q", "-i", "0.002", "-c", "2000", FAR], vm)
    for number in range(3):
        attached.guard.signal(signal.SIGKILL if number else signal.SIGTERM)
        attached.guard.wait()
        attached.guard = services.attach(attached, vm, MAC, "br0", name=f"next-{number}")
    flood.wait_line("2000 packets transmitted, 2000 received", 60)


def test_one_guard_at_a_time(attached):
    said = subprocess.run([services.softnet_path(), "attach", "p-vm", "--vm-mac-address", MAC], capture_output=True, text=True)
    assert said.returncode == 1 and f"guarded already, by process {attached.guard.pid}" in said.stderr


def test_guards_that_begin_at_the_same_moment(loaded, network, softnet):
    """Each has a slot of its own, while they all clear away what those before them have left."""
    names = [f"s{number}" for number in range(6)]
    for turn in range(4):
        for name in names:
            network.host.ip(f"link add {name} type veth peer name {name}-vm")
        all_guards = [network.start([softnet, "attach", name, "--vm-mac-address", MAC, "-v"], name=f"{name}-{turn}",
                                    kind=services.Softnet) for name in names]
        for guard in all_guards:
            guard.wait_line("gateway MAC addresses", 120)
            guard.counters()
        for name in names:
            network.host.ip(f"link set {name} up")
            network.host.ip(f"link set {name}-vm up")
        for number, name in enumerate(names):
            wire = network.host.wire(f"{name}-vm")
            wire.send(*[b"\xff" * 6 + rawguest.mac_bytes(MAC) + b"\x88\xb5" + bytes(46)] * (number + 1))
            wire.close()
        for number, guard in enumerate(all_guards):
            guard.wait_counters(lambda c: c.dropped("guest", "ethertype-unknown") == number + 1)
        for name in names:
            network.host.ip(f"link delete {name}")
        for guard in all_guards:
            assert guard.wait(10) == 0


def test_detach(attached):
    vm = attached.vm
    services.udhcpc(attached, vm)
    vm.ip("address add 192.168.77.99/24 dev eth0")
    assert not can_reach(vm, FAR, "192.168.77.99")
    run(services.softnet_path(), "detach", "p-vm")
    assert attached.guard.wait(5) == 0
    assert can_reach(vm, FAR, "192.168.77.99")
    said = subprocess.run([services.softnet_path(), "detach", "p-vm"], capture_output=True, text=True)
    assert said.returncode == 1 and "no guard" in said.stderr


def test_a_port_that_vanishes_ends_its_guard(attached):
    services.udhcpc(attached, attached.vm)
    attached.host.ip("link delete p-vm")
    assert attached.guard.wait(5) == 0
    assert "p-vm has vanished" in "\n".join(attached.guard.output())


def test_nothing_passes_before_the_guard_stands(loaded, segment, softnet):
    """Its process is stopped when the programs stand, and before it has opened them."""
    vm = segment.namespace("vm")
    segment.host.ip("link add p-vm type veth peer name eth0 netns vm")
    segment.host.ip("link set p-vm master br0 up")
    vm.ip(f"link set eth0 address {MAC}")
    guard = segment.start([softnet, "attach", "p-vm", "--vm-mac-address", MAC, "-v", "--pcap", "/dev/full/x"], kind=services.Softnet)
    guard.wait()        # it cannot write its capture, which it finds out late
    vm.ip("link set eth0 up")
    vm.ip("address add 192.168.77.99/24 dev eth0")
    far = segment.gateway.wire("eth0")
    assert not can_reach(vm, GATEWAY)
    assert not any(rawguest.mac_bytes(MAC) == frame[6:12] for frame in far.frames())


def test_what_the_process_keeps(attached):
    """Its own ring and two sockets; no privilege, no program, no table of other guards, and no way back to any."""
    pid = attached.guard.pid
    status = dict(line.split(":\t") for line in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in line)
    assert {int(status[name], 16) for name in ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb")} == {0}
    assert set(status["Uid"].split()) == {"65534"} and status["NoNewPrivs"] == "1"
    kept = {os.readlink(f"/proc/{pid}/fd/{fd}"): fd for fd in os.listdir(f"/proc/{pid}/fd")}
    of_bpf = [fd for name, fd in kept.items() if "bpf" in name]
    assert [name for name in kept if "bpf" in name] == ["anon_inode:bpf-map"] and len(of_bpf) == 1
    said = open(f"/proc/{pid}/fdinfo/{of_bpf[0]}").read().split()
    assert said[said.index("map_type:") + 1] == "27"        # a ring
