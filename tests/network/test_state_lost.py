"""What a guest has lost, it has lost for good: whatever becomes of the state file, a restart does not give it back.

    this test -- socket pair -- softnet -- br0 192.168.77.1 of the host, with a DHCP server
"""

import json
import os
import pathlib
import re
import select
import signal
import socket
import tempfile

import pytest

import dhcp_peers
import rawguest
from conftest import needs_others
from dhcp_peers import GATEWAY
from netns import run, wait_for

MAC, GATEWAY_MAC = "52:54:00:00:00:0a", "52:54:00:00:00:01"
SERVER = b"\x36\x04" + socket.inet_aton(GATEWAY)
DECLINE, RELEASE = 4, 7


@pytest.fixture
def hosted(network, softnet):
    dhcp_peers.hosted(network)
    dhcp_peers.serve(network, "dnsmasq", 600, 300, 400)
    return network


@pytest.fixture
def disk():
    """A file system of its own, of four pages; the guard, who is nobody, may write to it."""
    directory = pathlib.Path(tempfile.mkdtemp(dir="/run"))
    run("mount", "-t", "tmpfs", "-o", "size=16k,mode=0777", "tmpfs", directory)
    yield directory
    run("umount", "--lazy", directory)


class Vm:
    """A guest and its guard, which can be started again."""

    def __init__(self, network, state, *options):
        self.network, self.state, self.options = network, state, options
        self.guest = None
        self.start()

    def start(self):
        wait_for(lambda: "u-raw" not in self.network.host.links(), what="the old tap to go")
        self.guest = rawguest.RawGuest(self.network, MAC, "--uplink", "tap:u-raw,bridge=br0", "--state", self.state,
                                       *self.options, name=f"softnet-{len(self.network.processes)}")
        return self.guest.guard

    def end(self, number):
        self.guest.guard.signal(number)
        self.guest.guard.wait()
        self.guest.close()

    def leases(self):
        mark = self.guest.guard.mark()
        self.guest.guard.counters()
        return [text.split()[1] for _, text in self.guest.guard.since(mark) if re.match(r"lease \d", text)]

    def release(self):
        guest = self.guest
        guest.send(rawguest.udp(MAC, GATEWAY_MAC, guest.address, GATEWAY, 68, 67,
                                rawguest.dhcp(MAC, RELEASE, 9, SERVER, guest.address, 0)))

    def decline(self):
        options = SERVER + b"\x32\x04" + socket.inet_aton(self.guest.address)
        self.guest.send(rawguest.udp(MAC, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", 68, 67,
                                     rawguest.dhcp(MAC, DECLINE, 9, options)))

    def release_and_see(self):
        mark = self.guest.guard.mark()
        self.release()
        self.guest.guard.wait_line("lease lost: .*, released", since=mark)
        assert self.leases() == []


def holds_lease(path):
    return path.exists() and "\nlease " in path.read_text()


def fill(disk):
    """Until there is not an octet left."""
    with open(disk / "rest", "ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_full_disk(hosted, disk, end):
    events = pathlib.Path(tempfile.mkdtemp(dir="/run"))
    events.chmod(0o777)
    vm = Vm(hosted, disk / "state", "--events", events / "events")
    vm.guest.take_lease()
    wait_for(lambda: holds_lease(disk / "state"), what="the lease to be written")
    fill(disk)
    vm.release_and_see()
    # What the old file had is enough for a smaller one.
    assert not holds_lease(disk / "state")
    # And where somebody else was faster, it is empty.
    vm.guest.take_lease(2)
    os.truncate(disk / "state", 0)
    fill(disk)
    vm.release_and_see()
    vm.guest.guard.wait_line("--state: .*: it cannot be written; leases will not outlive a restart: No space left")
    vm.end(end)
    assert (disk / "state").read_text() == ""
    told = [json.loads(line) for line in (events / "events").read_text().splitlines()]
    assert any(one["event"] == "state-file" and one["kept"] == "void" for one in told)
    vm.start()
    assert vm.leases() == []
    vm.end(signal.SIGTERM)


@needs_others
def test_folder_that_others_closed(hosted, disk):
    """Root's folder with a file for the guard, who is nobody: the file alone is enough."""
    vm = Vm(hosted, disk / "state")
    vm.guest.take_lease()
    disk.chmod(0o555)
    vm.release_and_see()
    vm.end(signal.SIGKILL)
    vm.start()
    assert vm.leases() == []
    address = vm.guest.take_lease()
    vm.end(signal.SIGTERM)
    vm.start()
    assert vm.leases() == [address]         # it is kept even so
    vm.end(signal.SIGKILL)
    # A file that could not be made void is not believed.
    os.chown(disk / "state", 0, 0)
    (disk / "state").chmod(0o644)
    vm.start().wait_line("--state: .*: not used: it cannot be opened for writing: Permission denied")
    assert vm.leases() == []
    vm.end(signal.SIGTERM)


def kill_when_it_leaves(vm, wire, kind):
    """At the very moment at which the message is on the wire."""
    pid = vm.guest.guard.pid
    {RELEASE: vm.release, DECLINE: vm.decline}[kind]()
    while select.select([wire.socket], [], [], 5)[0]:
        if any(dhcp_peers.is_dhcp(frame, kind) for frame in wire.frames()):
            os.kill(pid, signal.SIGKILL)
            return
    raise AssertionError("the message did not come")


@pytest.mark.parametrize("kind", [RELEASE, DECLINE])
def test_killed_while_the_message_leaves(hosted, disk, kind):
    vm = Vm(hosted, disk / "state")
    for _ in range(20):
        vm.guest.take_lease()
        wait_for(lambda: holds_lease(disk / "state"), what="the lease to be written")
        wire = hosted.host.wire("br0")
        kill_when_it_leaves(vm, wire, kind)
        wire.close()
        vm.end(signal.SIGKILL)
        vm.start()
        assert vm.leases() == []
    vm.end(signal.SIGTERM)


def test_what_was_learned_is_forgotten(hosted, disk):
    """guard.relearn is kept before it is answered."""
    path = disk / "control"
    vm = Vm(hosted, disk / "state", "--control", path)
    vm.guest.take_lease()
    wait_for(lambda: "\nserver " in (disk / "state").read_text(), what="the anchors to be written")
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(path))
        control.send(b'{"jsonrpc":"2.0","id":1,"method":"guard.relearn"}\n')
        assert b"true" in control.recv(1000)
    vm.end(signal.SIGKILL)
    assert "\nserver " not in (disk / "state").read_text() and "\nrouter " not in (disk / "state").read_text()
