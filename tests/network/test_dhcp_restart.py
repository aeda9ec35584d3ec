"""Restarts: of the guard without a state file and with one, and of the server. The guests run on.

    guests -- bridge -- softnet -- br0 192.168.77.1 of the host, with a DHCP server and 1.1.1.1 behind it
"""

import os
import pathlib
import signal

import pytest

import dhcp_peers
import services
from dhcp_peers import CLIENTS, GATEWAY, Guest, guests_of, is_dhcp, needs_peers, serve, start_client
from netns import wait_for


@pytest.fixture
def hosted(network, softnet):
    return dhcp_peers.hosted(network)


@needs_peers(*CLIENTS)
def test_guard_without_state_is_told_by_renewals(hosted):
    serve(hosted, "kea", 30, 2, 5)
    guests = guests_of(hosted, CLIENTS, walled=True)
    for guest in guests.values():
        guest.must_reach(GATEWAY)
        guest.client.signal(signal.SIGSTOP)
        guest.stop_guard()
        guest.start_guard()
        assert guest.leases() == []
        guest.try_to_send(guest.address, hosted.far, "ip4-no-lease")
        guest.client.signal(signal.SIGCONT)
    guests["udhcpc"].client.signal(signal.SIGUSR1)
    for client, guest in guests.items():
        guest.guard.wait_line(f"lease new: {guest.address} ", 15)
        guest.must_reach()
        assert services.address_of(guest.namespace) == guest.address, client
    # Or the guest starts over, as after a reboot.
    guest = guests["udhcpc"]
    guest.stop_guard()
    guest.client.stop()
    guest.start_guard("--no-resync")
    start_client(hosted, guest, "udhcpc")
    guest.must_reach()


def test_guard_with_state_goes_on_at_once(hosted, state_file):
    serve(hosted, "dnsmasq", 600, 300, 400)
    guest = Guest(hosted, "vm", "--state", state_file, walled=True)
    start_client(hosted, guest, "udhcpc")
    guest.must_reach()
    guest.stop_guard()
    watch = hosted.far.namespace.wire(hosted.far.interface)
    guest.start_guard()
    assert guest.leases() == [guest.address]
    guest.try_to_send(guest.address, hosted.far)
    guest.must_reach()
    guest.try_to_send(dhcp_peers.NEIGHBOR, hosted.far, "ip4-src-spoof")
    assert not any(map(is_dhcp, watch.frames()))
    # Killed, too: what counts was written when the lease came.
    guest.guard.signal(signal.SIGKILL)
    guest.guard.wait()
    wait_for(lambda: "u-w-vm" not in hosted.host.links(), what="the tap to go")
    guest.start_guard()
    guest.try_to_send(guest.address, hosted.far)


def with_sum(text):
    """As the guard sums up its state file: FNV-1a of 64 bits over all before the last line."""
    body, total = text[:text.rindex("sum ")], 0xcbf29ce484222325
    for octet in body.encode():
        total = (total ^ octet) * 0x100000001b3 & 0xffffffffffffffff
    return f"{body}sum {total:016x}\n"


def test_state_that_is_not_to_be_believed(hosted, state_file):
    serve(hosted, "dnsmasq", 600, 300, 400)
    guest = Guest(hosted, "vm", "--state", state_file, walled=True)
    start_client(hosted, guest, "udhcpc")
    guest.stop_guard()
    good = state_file.read_text()
    owner = state_file.stat()
    assert with_sum(good) == good and f"lease {guest.address} " in good
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    bad = {"it is damaged": good.replace(guest.address, "192.168.77.99"),
           "it belongs to another VM": with_sum(good.replace(guest.mac, "52:54:00:00:00:99")),
           "the machine was restarted since": with_sum(good.replace(boot, "0" * len(boot))),
           "it is no state file of this version": "softnet-state 0\n" + good.split("\n", 1)[1],
           "the options differ now": good}
    for cause, text in bad.items():
        state_file.unlink(missing_ok=True)
        state_file.write_text(text)
        os.chown(state_file, owner.st_uid, owner.st_gid)
        more = ["--block", "8.8.8.8"] if cause == "the options differ now" else []
        guest.start_guard(*more)
        guest.guard.wait_line(f"--state: .*: not used: {cause}; starting without leases")
        assert guest.leases() == [], cause
        guest.try_to_send(guest.address, hosted.far, "ip4-no-lease")
        guest.stop_guard()
    # The same file, as it was: it was not for another reason that it was refused.
    state_file.unlink()
    state_file.write_text(good)
    os.chown(state_file, owner.st_uid, owner.st_gid)
    guest.start_guard()
    assert guest.leases() == [guest.address]


@needs_peers()
def test_lease_that_ended_while_the_guard_was_away(hosted, state_file):
    serve(hosted, "kea", 4)
    guest = Guest(hosted, "vm", "--state", state_file, walled=True)
    start_client(hosted, guest, "udhcpc").signal(signal.SIGKILL)
    lease = next(line for line in state_file.read_text().splitlines() if line.startswith("lease "))
    end_ms = int(lease.split()[4])
    guest.stop_guard()
    uptime = pathlib.Path("/proc/uptime")
    wait_for(lambda: float(uptime.read_text().split()[0]) * 1000 > end_ms, 8, "the lease to end")
    guest.start_guard()
    assert guest.leases() == []
    guest.try_to_send(guest.address, hosted.far, "ip4-no-lease")


@needs_peers("dhclient")
@pytest.mark.parametrize("server", ["dnsmasq", "kea"])
def test_server_and_client_restart(hosted, server):
    """The server keeps its leases; the client, started again, asks for the address that it had (INIT-REBOOT)."""
    first_server = serve(hosted, server)
    guest = Guest(hosted, "vm")
    start_client(hosted, guest, "dhclient")
    first_server.stop()
    serve(hosted, server)
    guest.guard.wait_line(f"lease renewed: {guest.address} ", 10)
    guest.must_reach()
    guest.client.signal(signal.SIGKILL)
    guest.client.wait()
    guest.namespace.ip("address flush dev eth0")
    mark = guest.guard.mark()
    wire = hosted.far.namespace.wire(hosted.far.interface)
    address, _ = guest.address, start_client(hosted, guest, "dhclient")
    guest.guard.wait_line(f"lease renewed: {address} ", 10, since=mark)
    assert guest.address == address
    sent = list(filter(is_dhcp, wire.frames()))
    assert sent and all(is_dhcp(frame, kind=3) for frame in sent)
    guest.must_reach()
