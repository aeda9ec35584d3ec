"""The guard in the kernel gives what the guard at sockets gives: both families, live rules, rejections, captures, events,
status, saved state, and guests that share a bridge.

    vm eth0 -- veth p-vm, guarded -- br0 -- gateway
"""

import json
import pathlib
import signal
import socket
import subprocess
import tempfile

import pytest
import scapy.utils

import ipv6_peers
import netns
import rawguest
import services
import test_failover
from dhcp_peers import needs_peers
from netns import run, wait_for
from test_attach import FAR, GATEWAY, GATEWAY_MAC, MAC, OTHER_MAC, can_reach, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture
def folder():
    """Where the guard may write when it is nobody."""
    with tempfile.TemporaryDirectory(dir="/run") as name:
        pathlib.Path(name).chmod(0o777)
        yield pathlib.Path(name)


@pytest.fixture
def guarded(loaded, segment, softnet):
    """guarded(OPTIONS...): a guest with a lease."""
    def start(*options, name="vm", mac=MAC):
        vm = segment.namespace(name)
        guard = services.attach(segment, vm, mac, "br0", *options, name=f"guard-{name}")
        services.udhcpc(segment, vm)
        vm.guard, vm.address = guard, services.address_of(vm)
        return vm
    segment.start_vm = start
    return segment


def status(name="vm"):
    said = subprocess.run([services.softnet_path(), "status", "--json", "--vm", name], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    return told[0] if isinstance(told, list) else told


def test_rules_change_while_frames_flow(guarded, folder):
    control = folder / "control"
    vm = guarded.start_vm("--control", control)
    echo = services.Echo(guarded.gateway, FAR)
    try:
        with vm.entered():
            client = socket.create_connection((FAR, 7), 5)
        client.settimeout(2)
        client.sendall(b"before")
        assert client.recv(100) == b"before"
        run(services.softnet_path(), "policy", "set", "--control", control, "--block", f"{FAR}/32")
        client.sendall(b"behind")
        with pytest.raises(TimeoutError):
            client.recv(100)
        assert not can_reach(vm, FAR)
        assert vm.guard.counters().dropped("guest", "dst-blocked") >= 1
        run(services.softnet_path(), "policy", "set", "--control", control, "--allow", f"{FAR}/32")
        assert client.recv(100) == b"behind"
    finally:
        echo.close()


def test_directions_hold_by_flows_of_the_kernel(guarded):
    """--inbound established: the gateway may answer, and not open."""
    vm = guarded.start_vm("--inbound", "established", "--allow", f"{GATEWAY}/32")
    outside, inside = services.Echo(guarded.gateway, GATEWAY), services.Echo(vm, vm.address)
    try:
        with vm.entered():
            client = socket.create_connection((GATEWAY, 7), 5)
        client.sendall(b"asked")
        assert client.recv(100) == b"asked"
        with guarded.gateway.entered():
            stranger = socket.socket()
        stranger.settimeout(2)
        with pytest.raises(TimeoutError):
            stranger.connect((vm.address, 7))
        assert vm.guard.counters().dropped("uplink") >= 1
    finally:
        outside.close()
        inside.close()


def test_flows_of_live_rules_end_with_them(guarded, folder):
    """The next process begins with the rules of its options. A flow that these allowed goes on."""
    options = "--control", folder / "control", "--inbound", "established", "--block", f"{FAR}/32", "--allow", f"{GATEWAY}/32"
    vm, guard = guarded.start_vm(*options), None

    def restart(name):
        (guard or vm.guard).signal(signal.SIGKILL)
        (guard or vm.guard).wait()
        return services.attach(guarded, vm, MAC, "br0", *options, name=name)

    def opened(address):
        with guarded.gateway.entered():
            peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with vm.entered():
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind((address, 5000))
        client.connect((address, 5000))
        client.settimeout(netns.patience(10))
        peer.settimeout(netns.patience(10))
        client.send(b"asked")
        _, back = peer.recvfrom(100)
        peer.sendto(b"answered", back)
        assert client.recv(100) == b"answered"
        return client, lambda: peer.sendto(b"late", back)
    run(services.softnet_path(), "policy", "set", "--control", folder / "control", "--allow", f"{FAR}/32")
    client, send_late = opened(FAR)
    guard = restart("next")
    send_late()
    guard.wait_counters(lambda c: c.dropped("uplink") >= 1)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(100)
    client, send_late = opened(GATEWAY)
    guard = restart("last")
    send_late()
    assert client.recv(100) == b"late"


def test_a_rejection_reaches_the_guest(guarded):
    vm = guarded.start_vm("--reject", "--block", "any", "--allow", f"{GATEWAY}/32")
    with vm.entered():
        client = socket.socket()
    client.settimeout(5)
    with pytest.raises(OSError) as refused:
        client.connect((FAR, 80))
    assert not isinstance(refused.value, TimeoutError)


def test_what_is_told(guarded, folder):
    events, pcap, metrics = folder / "events", folder / "pcap", folder / "metrics"
    vm = guarded.start_vm("--name", "vm", "--events", events, "--pcap", pcap, "--metrics", metrics)
    with vm.entered():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("eth0", 0))
    spoofed = rawguest.udp(OTHER_MAC, GATEWAY_MAC, vm.address, FAR, 4000, 5000, b"with another's MAC address")
    for _ in range(3):
        raw.send(spoofed)
    vm.guard.wait_counters(lambda c: c.dropped("guest", "eth-src-spoof") == 3)
    told = status()
    assert any(each["address"].startswith(vm.address) for each in told["addresses"])
    assert "eth-src-spoof" in json.dumps(told["drops"])
    wait_for(lambda: "eth-src-spoof" in events.read_text(), 5, "the event")
    assert any(vm.address in line and "lease" in line for line in events.read_text().splitlines())
    wait_for(lambda: "eth-src-spoof" in metrics.read_text(), 15, "the metrics")
    vm.guard.stop()
    frames = [octets for octets, _ in scapy.utils.RawPcapReader(str(pcap))] if pcap.stat().st_size else []
    assert frames.count(spoofed) == 3


def test_state_by_file(guarded, folder):
    """A detached guard leaves nothing in the kernel; what is in the file is enough."""
    state = folder / "state"
    vm = guarded.start_vm("--state", state)
    assert can_reach(vm, FAR)
    vm.guard.signal(signal.SIGTERM)
    vm.guard.wait()
    run(services.softnet_path(), "detach", "p-vm")
    guard = services.attach(guarded, vm, MAC, "br0", "--state", state, name="next")
    guard.wait_line("--state: .*: taken over")
    assert can_reach(vm, FAR)


def test_other_options_other_leases(guarded):
    vm = guarded.start_vm()
    assert can_reach(vm, FAR)
    vm.guard.signal(signal.SIGKILL)
    vm.guard.wait()
    guard = services.attach(guarded, vm, MAC, "br0", "--no-resync", "--block", "9.9.9.9/32", name="next")
    assert not can_reach(vm, FAR)
    assert guard.counters().dropped("guest", "ip4-no-lease") + guard.counters().dropped("guest", "arp-no-lease") >= 1


def test_two_guests_of_one_bridge(guarded):
    """Each has its own rules and its own addresses; nobody speaks for the other."""
    one = guarded.start_vm("--block", f"{FAR}/32", "--isolation", "off")
    two = guarded.start_vm("--isolation", "off", name="two", mac=OTHER_MAC)
    assert one.address != two.address
    assert not can_reach(one, FAR) and can_reach(two, FAR)
    one.ip(f"address add {two.address}/24 dev eth0")
    assert not can_reach(one, GATEWAY, two.address)
    assert can_reach(two, FAR)
    assert one.guard.counters().dropped("guest", "ip4-src-spoof", "arp-spa-spoof") >= 1


@needs_peers("radvd", server="ping")
def test_ipv6(loaded, segment6, softnet, monkeypatch):
    """A router that advertises, addresses that the guest makes, DAD, and what is not its own."""
    ipv6_peers.radvd(segment6, segment6.gateway, ipv6_peers.PREFIX)
    monkeypatch.setattr(services, "guard", services.attach)
    guest = ipv6_peers.Guest6(segment6, "vm")
    address = guest.wait_address()
    guest.must_reach()
    guest.guard.signal(signal.SIGKILL)
    guest.guard.wait()
    guest.must_reach()
    foreign = ipv6_peers.PREFIX[:-3] + "bad"
    guest.namespace.ip(f"-6 address add {foreign}/64 dev eth0 nodad")
    assert "0 received" in guest.ping(source=foreign, wait=1, check=False)
    guard = services.attach(segment6, guest.namespace, guest.mac, "br0", name="next")
    assert "0 received" in guest.ping(source=foreign, wait=1, check=False)
    guest.ping(source=address)
    assert guard.counters().dropped("guest") >= 2


@needs_peers(server="ping")
def test_dhcpv6(loaded, segment6, softnet, monkeypatch):
    base = ipv6_peers.PREFIX[:-3]
    ipv6_peers.dnsmasq(segment6, f"{base}100,{base}1ff,slaac,64,120")
    monkeypatch.setattr(services, "guard", services.attach)
    guest = ipv6_peers.Guest6(segment6, "vm")
    ipv6_peers.start_dhclient(segment6, guest)
    guest.ping(source=ipv6_peers.leased(guest.namespace))


@pytest.mark.long
@needs_peers(*test_failover.CLIENTS)
def test_dhcp_server_dies(loaded, network, softnet, monkeypatch):
    """As behind a guard at sockets; what passes is not watched, for the port tells that before the guard has decided."""
    monkeypatch.setattr(services, "guard", services.attach)
    monkeypatch.setattr(test_failover, "Watch", Unwatched)
    test_failover.test_dhcp_server_dies(network, softnet)


class Unwatched:
    def __init__(self, *_):
        pass

    def check(self):
        pass
