"""Clocks that jump: the host sleeps, somebody sets the time of day, or the guard itself stands still. A lease lasts as long as its
server counts, which does not sleep with the host: no longer, and no shorter.

    this test -- socket pair -- softnet, with clocks of this test -- br0 192.168.77.1 of the host, with a DHCP server
"""

import json
import signal
import time

import pytest

import clocks
import dhcp_peers
import rawguest
from netns import wait_for

MAC, GATEWAY_MAC, FAR = "52:54:00:00:00:0a", "52:54:00:00:00:01", "1.1.1.1"
LEASE, NIGHT, YEAR = 600, 8 * 3600, 365 * 86400
STEPS = [YEAR, -YEAR, -60 * YEAR, 200 * YEAR]


class Vm:
    """A guest and its guard, which can be started again; and how many frames passed of those that it sent. The server's clock does
    not jump, and the guard asks it when a lease is missed: so it is away where no answer is wanted."""

    def __init__(self, network, clock, state):
        self.network, self.clock, self.state = network, clock, state
        self.serve()
        self.start()
        self.address = self.guest.take_lease()
        assert self.passes() == 1

    def start(self):
        wait_for(lambda: "u-raw" not in self.network.host.links(), what="the old tap to go")
        events = self.state.with_name("events")
        self.guest = rawguest.RawGuest(self.network, MAC, "--uplink", "tap:u-raw,bridge=br0", "--state", self.state, "--events", events,
                                       "--pcap", self.state.with_name("pcap"), program=self.clock.program, name=f"softnet-{time.monotonic_ns()}")
        self.events = lambda: [json.loads(line) for line in events.read_text().splitlines()]

    def serve(self):
        self.server = dhcp_peers.serve(self.network, "dnsmasq", LEASE, 300, 400)

    def send(self, count=1):
        self.guest.send(*[rawguest.udp(MAC, GATEWAY_MAC, self.address, FAR, 5000, 9, b"honest")] * count)

    def passes(self, count=1):
        before = self.guest.wait_counted().passed["guest"]
        self.send(count)
        return self.guest.wait_counted().passed["guest"] - before

    def restart(self, wall_step):
        self.guest.guard.signal(signal.SIGTERM)
        self.guest.guard.wait()
        self.guest.close()
        self.clock.set_wall(wall_step)
        self.start()

    def expired(self):
        return [event for event in self.events() if event["event"] == "lease-lost" and event.get("why") == "expired"]


@pytest.fixture
def clock(tmp_path):
    return clocks.LaterClock(tmp_path)


@pytest.fixture
def vm(network, softnet, clock, state_file):
    dhcp_peers.hosted(network)
    return Vm(network, clock, state_file)


def test_the_host_sleeps(vm):
    """Its clock goes on: a lease that ran out meanwhile is nobody's any more, though the guest's clock stood still."""
    vm.clock.suspend(LEASE - 20)
    assert vm.passes(3) == 3
    vm.server.stop()
    vm.clock.suspend(NIGHT)
    assert vm.passes(3) == 0
    wait_for(vm.expired, 5, "the event")
    vm.serve()
    vm.guest.take_lease(7)
    assert vm.passes(3) == 3


@pytest.mark.parametrize("step", STEPS)
def test_the_time_of_day_is_set(vm, step):
    """A lease ends neither earlier nor later: it follows the other clock."""
    vm.clock.set_wall(step)
    assert vm.passes(3) == 3
    time.sleep(1.2)                                     # a tick
    assert vm.passes(3) == 3 and not vm.expired()
    vm.clock.suspend(LEASE - 20)
    assert vm.passes(3) == 3
    vm.clock.set_wall(-step)
    assert vm.passes(3) == 3
    vm.server.stop()
    vm.clock.suspend(30)
    assert vm.passes(3) == 0
    wait_for(vm.expired, 5, "the event")


def test_the_time_of_day_is_set_and_the_guard_starts_again(vm):
    """Only one of two clocks may be believed then, and it is the one that ends the lease sooner. Back a year: the other one."""
    vm.restart(-YEAR)
    assert vm.passes(3) == 3
    vm.server.stop()
    vm.clock.pass_seconds(LEASE)
    assert vm.passes(3) == 0
    vm.serve()
    vm.guest.take_lease(8)
    assert vm.passes(3) == 3
    vm.server.stop()
    vm.restart(2 * YEAR)
    assert vm.passes(3) == 0                            # nobody can say that it is still the guest's: its server is asked
    vm.serve()
    wait_for(lambda: vm.passes(1) == 1, 20, "the server's answer to the guard's question")


def test_the_guard_stands_still(vm):
    """What was sent meanwhile is judged by the time at which it is read."""
    vm.guest.guard.signal(signal.SIGSTOP)
    before = vm.guest.sent
    vm.send(20)
    vm.clock.pass_seconds(LEASE - 30)
    vm.guest.guard.signal(signal.SIGCONT)
    counted = vm.guest.wait_counted()
    passed = counted.passed["guest"]
    assert counted.dropped("guest") == 0
    vm.server.stop()
    vm.guest.guard.signal(signal.SIGSTOP)
    vm.send(20)
    vm.clock.pass_seconds(40)
    vm.guest.guard.signal(signal.SIGCONT)
    counted = vm.guest.wait_counted()
    assert counted.passed["guest"] == passed and counted.dropped("guest") == 20 and vm.guest.sent == before + 40
