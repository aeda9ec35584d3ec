"""A guard without anything to do sleeps. No clock wakes it, and what comes then is told as always.

    raw guest (a socket) -- softnet -- a stream whose other end is this program, or a tap in br0
"""

import pathlib
import time

import pytest

import dhcp_peers
import rawguest
from netns import run, wait_for
from test_claims import CLAIMS, ONE, TWO, raw, status_of
from test_relay import DATA, MAC, SPOOFED, STATIC, StreamPeer

SILENT_SECONDS = 2.5        # a clock of one second would be heard twice


def wakings(guard):
    lines = pathlib.Path(f"/proc/{guard.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("voluntary_ctxt_switches")))


def wait_until_it_rests(guard):
    def is_silent():
        before = wakings(guard)
        time.sleep(SILENT_SECONDS)
        return wakings(guard) == before
    wait_for(is_silent, 60, "a guard that sleeps")


@pytest.fixture
def guest(network, softnet):
    peer = StreamPeer(network.logs / "uplink")
    one = rawguest.RawGuest(network, MAC, "--uplink", f"stream:{peer.path}", *STATIC)
    peer.accept()
    yield one, peer
    one.close()
    peer.close()


def test_it_sleeps_and_wakes(guest):
    one, peer = guest
    wait_until_it_rests(one.guard)
    one.send(DATA)
    assert peer.receive() == DATA
    one.send(SPOOFED)
    one.guard.wait_line("dropped guest ip4-src-spoof")
    mark = one.guard.mark()
    one.send(SPOOFED, SPOOFED, SPOOFED)         # they are held back for a second, and then told
    one.guard.wait_line("dropped guest ip4-src-spoof", since=mark)
    assert one.guard.counters().dropped("guest", "ip4-src-spoof") == 4


@pytest.mark.long
def test_the_rates_of_a_guard_that_slept(guest):
    """They are those of the last seconds, in which nothing came, and not of the time before."""
    one, peer = guest
    one.send(*[DATA] * 50)
    for _ in range(50):
        peer.receive()
    wait_until_it_rests(one.guard)
    time.sleep(12)
    rates = status_of(one)["rates"]
    assert rates["guest"]["frames"] == 0 and rates["guest"]["silent"] is None, rates


def test_it_hears_another_guard(network, softnet):
    dhcp_peers.hosted(network)
    dhcp_peers.serve(network, "dnsmasq", 600, 300, 400)
    one = raw(network, "one", ONE)
    assert one.take_lease() == "192.168.77.10"
    wait_until_it_rests(one.guard)
    two = raw(network, "two", TWO, "--vm-ip", "192.168.77.10/24")
    two.guard.wait_line("192.168.77.10, which this VM has, is wanted by VM one too")
    one.guard.wait_line("lease lost: 192.168.77.10, given to another VM", 10)
    run("rm", "-rf", CLAIMS)
