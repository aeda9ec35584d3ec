"""Two versions of softnet on one host: side by side, and one in the place of the other.

    vm eth0 -- veth p-vm, guarded -- br0 -- gateway 192.168.77.1, with a DHCP server and 1.1.1.1 behind it
"""

import re
import shutil
import subprocess

import pytest

import services
import test_attach
from netns import wait_for
from test_attach import FAR, MAC, can_reach

pytestmark = [*test_attach.pytestmark, pytest.mark.long]        # the kernel checks the programs of the other version
OTHER_MAC = "52:54:00:00:00:0c"


@pytest.fixture
def other_version(softnet, tmp_path):
    """A copy that says that its programs are others: the number by which a guard knows its own stands in it once."""
    made = list(softnet.parent.glob("**/kernel_object.c"))
    if not made:
        pytest.skip("no build beside the program")
    number = int(re.search(r"kernel_build = (0x[0-9a-f]+)ULL", made[0].read_text()).group(1), 16).to_bytes(8, "little")
    program = softnet.read_bytes()
    assert program.count(number) == 1
    copy = tmp_path / "softnet-other"
    copy.write_bytes(program.replace(number, bytes(8 - len(b"other")) + b"other"))
    shutil.copymode(softnet, copy)
    return copy


def attach_other(network, program, name, port, mac):
    process = network.start([program, "attach", port, "--vm-mac-address", mac, "-v"], name=name, kind=services.Softnet)
    process.wait_line("gateway MAC addresses", 120)
    process.counters()
    return process


def test_two_versions_side_by_side(loaded, segment, softnet, other_version):
    old, new = segment.namespace("old"), segment.namespace("new")
    services.attach(segment, old, MAC, "br0", name="guard-old")
    segment.host.ip(f"link add p-new type veth peer name eth0 netns {new.name}\nlink set p-new master br0\n")
    new.ip(f"link set eth0 address {OTHER_MAC}")
    attach_other(segment, other_version, "guard-new", "p-new", OTHER_MAC)
    segment.host.ip("link set p-new up")
    new.ip("link set eth0 up")
    for guest in old, new:
        services.udhcpc(segment, guest)
        assert can_reach(guest, FAR)
        guest.ip("address add 192.168.77.99/24 dev eth0")
        assert not can_reach(guest, FAR, "192.168.77.99")


def test_one_in_the_place_of_the_other(loaded, segment, softnet, other_version):
    """The link is down meanwhile, so nothing passes unjudged; the lease is asked for, so the guest need do nothing."""
    vm = segment.namespace("vm")
    guard = services.attach(segment, vm, MAC, "br0")
    services.udhcpc(segment, vm)
    assert can_reach(vm, FAR)       # so the router is known
    said = subprocess.run([other_version, "attach", "p-vm", "--vm-mac-address", MAC], capture_output=True, text=True)
    assert said.returncode == 1 and ("another version" in said.stderr or "guarded already" in said.stderr)
    guard.stop()
    said = subprocess.run([other_version, "attach", "p-vm", "--vm-mac-address", MAC], capture_output=True, text=True)
    assert said.returncode == 1 and "another version of softnet guards it" in said.stderr
    assert can_reach(vm, FAR)       # the programs of the old version go on
    wire = segment.gateway.wire("eth0")
    vm.ip("address add 192.168.77.99/24 dev eth0")
    forger = segment.start(["ping", "-q", "-i", "0.01", "-I", "192.168.77.99", FAR], vm)
    flood = segment.start(["ping", "-q", "-i", "0.01", "-c", "800", FAR], vm)
    segment.host.ip("link set p-vm down")
    segment.host.run(softnet, "detach", "p-vm")
    attach_other(segment, other_version, "next", "p-vm", MAC)
    segment.host.ip("link set p-vm up")
    wait_for(lambda: can_reach(vm, FAR), 10, "the guest to be known again")
    received = int(flood.wait_line(r"800 packets transmitted, (\d+) received", 60).group(1))
    forger.stop()
    print(f"{800 - received} of 800 pings lost, 100 in a second")
    assert received > 400
    assert not [frame for frame in wire.frames() if bytes([192, 168, 77, 99]) in (frame[26:30], frame[28:32])]
