"""Long frames between a tap and slirp: the guest's kernel cuts none, and slirp's worker joins what comes for it.

    guest eth0 == softnet --uplink slirp == sockets of the host's namespace (1.1.1.1, 2606:4700:4700::1111)
"""

import contextlib
import os
import random
import signal
import socket
import threading
from concurrent import futures

import pytest

import ipv6_peers
import netns
import services
import test_expose
from test_slirp import MAC, slirp, slirp6      # noqa: F401 (fixtures)

SIZE, LONG, CONNECTIONS = 1 << 18, 2000, 3


@pytest.fixture
def echoing(slirp6, network):
    """What it is sent comes back, on both families."""
    def serve(address):
        with network.host.entered():
            listener = socket.create_server((address, 5000), family=services.family_of(address))
        threads = [threading.Thread(target=answer, args=[listener], daemon=True) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        return listener
    listeners = [serve(address) for address in ("1.1.1.1", ipv6_peers.INTERNET)]
    yield slirp6
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)     # so that nobody waits there any more
        listener.close()


def answer(listener):
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client:
                octets = b"".join(iter(lambda client=client: client.recv(1 << 20), b""))
                client.sendall(octets)


def exchange(guest, address, octets):
    with guest.entered():
        client = socket.create_connection((address, 5000), 20)
    with client:
        client.sendall(octets)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(1 << 20), b""))


def exchanged(guest, address):
    """Different octets over connections at a time; how many long frames the guest sent and got."""
    wire = guest.wire("eth0")
    sent = [random.Random(number).randbytes(SIZE) for number in range(CONNECTIONS)]
    with futures.ThreadPoolExecutor() as pool:
        received = list(pool.map(lambda octets: exchange(guest, address, octets), sent))
    assert received == sent
    frames = wire.frames(outgoing=True)
    return [sum(len(frame) > LONG for frame in frames if (frame[6:12] == bytes.fromhex(MAC.replace(":", ""))) == own) for own in (True, False)]


@pytest.mark.parametrize("options", [(), ("--inbound", "established"), ("--offload", "off")], ids=str)
def test_long_frames_come_and_go(echoing, options):
    """Both ways with IPv4. With IPv6 only to the guest, for libslirp takes none."""
    guest, softnet = echoing(*options)
    is_on = "off" not in options
    sent, received = exchanged(guest, "1.1.1.1")
    sent6, received6 = exchanged(guest, ipv6_peers.INTERNET)
    if is_on:
        assert min(sent, received, received6) > 5 and sent6 == 0, (sent, received, sent6, received6)
    else:
        assert (received, received6) == (0, 0)
    assert softnet.counters().dropped("guest", "l4-malformed", "frame-oversize") == 0
    assert softnet.counters().dropped("network", "l4-malformed", "frame-oversize") == 0


def test_rules_of_names_end_them_also_for_the_next_worker(echoing, network, softnet):
    control = network.logs / "control"
    guest, guard = echoing("--control", control)
    assert exchanged(guest, "1.1.1.1")[1] > 5
    netns.run(softnet, "policy", "set", "--control", control, "--allow", "1.1.1.1/32,example.com")
    assert exchanged(guest, "1.1.1.1")[1] == 0
    os.kill(test_expose.worker_of(guard), signal.SIGKILL)
    guard.wait_line("was started again", 20)
    assert exchanged(guest, "1.1.1.1")[1] == 0
