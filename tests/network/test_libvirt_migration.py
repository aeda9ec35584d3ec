"""Domains that go from one host to another, and back from the dead: guarded all the while, and their connections live on.

The hosts are those of libvirt_hosts.py. One domain runs all the while, and the tests follow it.
"""

import contextlib
import re
import signal
import socket
import subprocess

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

import libvirt_hosts
import libvirt_peers
import netns
import services
from conftest import needs
from libvirt_hosts import FAR, GATEWAY
from libvirt_peers import domain, guard, interface
from netns import wait_for

MAC, FORGED = "52:54:00:00:00:0a", "192.168.77.66"
MARK = b"this was forged"
FORGED_FRAME = bytes(Ether(src=MAC, dst="ff:ff:ff:ff:ff:ff") / IP(src=FORGED, dst=FAR) / UDP(sport=4000, dport=9) / MARK)
DRIVES = {1: "qemu+tcp://10.0.0.1/system", 2: "qemu+tcp://10.0.0.2/system"}

pytestmark = [pytest.mark.together("libvirt"), pytest.mark.long,
              pytest.mark.skipif(libvirt_peers.why_not() is not None, reason=str(libvirt_peers.why_not()))]


@pytest.fixture(scope="module")
def hosts(loaded):
    with netns.Network() as network:
        yield libvirt_hosts.two_hosts(network)
        for host in network.hosts:
            host.close()


@pytest.fixture(scope="module")
def network(hosts):
    return hosts[0].network


@pytest.fixture(scope="module")
def guest(hosts):
    return libvirt_hosts.boot(hosts[0], "db1", [interface(MAC)], guard(""))


@contextlib.contextmanager
def forging(guest, network):
    """Meanwhile the guest sends frames of an address that is not its own, and of a MAC that is not. None must come out."""
    forged = [FORGED_FRAME, FORGED_FRAME[:6] + bytes.fromhex("525400000099") + FORGED_FRAME[12:]]
    wire = network.neighbor.wire("eth0")
    guest.run(f"(rawframe send eth0 -c 100000 -i 20 {' '.join(one.hex() for one in forged)} >/dev/null 2>&1 &)")
    yield
    guest.run("killall rawframe")
    assert [frame for frame in wire.frames() if MARK in frame] == []
    wire.close()


def dropped(host, *reasons):
    return sum(drop["count"] for drop in host.status("db1")["drops"] if drop["reason"] in reasons and drop["side"] == "guest")


def migrate(source, target, *words, timeout=120):
    return source.try_virsh("migrate", "--live", "--p2p", "db1", DRIVES[target.number], "--migrateuri", f"tcp://10.0.0.{target.number}",
                            *words, timeout=timeout)


class Ping:
    """From the internet to the guest, 50 in a second."""

    def __init__(self, network, address):
        self.process = network.start(["ping", "-I", FAR, "-i", "0.02", address], network.gateway)
        self.process.wait_line("bytes from")

    def lost(self):
        self.process.signal(signal.SIGINT)
        sent, received = map(int, self.process.wait_line(r"(\d+) packets transmitted, (\d+) received").groups())
        return sent - received, sent


def is_clean(host):
    """Nothing of the domain is left there."""
    wait_for(lambda: not host.guards() and host.records() == [], 10, f"{host.name} to be clean")
    assert host.names() == [] and not [link for link in host.namespace.links() if link.startswith("vnet")]


def is_guarded(host):
    known = host.status("db1")
    assert known["guest"] == f"attach:{host.tap('db1')}" and known["ground"]["bridge"] == "br0" and host.guards() == {host.tap("db1")}


def knows_its_lease(host, guest):
    return guest.address in [one["address"] for one in host.status("db1")["addresses"]]


def test_there_and_back(hosts, network, guest):
    """A connection and a ping live through two migrations: what is lost is a moment."""
    guest.run("(nc -l -p 7 -e cat >/dev/null 2>&1 &) ; until netstat -ltn | grep -q :7; do usleep 100000; done")
    with network.gateway.entered():
        connection = socket.create_connection((guest.address, 7), 10, (FAR, 0))
    connection.settimeout(30)
    for source, target in hosts, hosts[::-1]:
        ping = Ping(network, guest.address)
        done = migrate(source, target)
        assert done.returncode == 0, done.stderr
        guest.reconnect(target)
        assert target.names() == ["db1"]
        is_guarded(target)
        is_clean(source)
        guest.run(f"ping -c1 -W2 {FAR}")
        wait_for(lambda: knows_its_lease(target, guest), 3, "the lease")
        connection.sendall(b"still there\n")
        assert connection.recv(100) == b"still there\n"
        lost, sent = ping.lost()
        print(f"{lost} of {sent} pings lost, 50 in a second")
        assert lost < 250, f"{lost} of {sent}"
    connection.close()


def test_there_and_back_while_the_guest_attacks(hosts, network, guest):
    """No forged frame comes out, neither of the source nor of the target; and its own address is found among the forged ones."""
    for source, target in hosts, hosts[::-1]:
        with forging(guest, network):
            wait_for(lambda: dropped(source, "ip4-src-spoof") > 0, 10, "the source to drop forged frames")
            assert migrate(source, target).returncode == 0
            guest.reconnect(target)
            is_guarded(target)
            is_clean(source)
            wait_for(lambda: guest.try_run(f"ping -c1 -W1 {FAR}")[0] == 0, 30, "the guest to be known again")
            wait_for(lambda: dropped(target, "ip4-src-spoof") > 0 and dropped(target, "eth-src-spoof") > 0, 10, "the target to drop them")


def test_the_switches_learn_where_it_is(hosts, network, guest):
    """QEMU tells them by RARP: that is the guest's own, and passes though nothing of its addresses is known."""
    source, target = hosts
    wire = network.neighbor.wire("eth0")
    assert migrate(source, target).returncode == 0
    guest.reconnect(target)
    wire.wait_frame(lambda frame: frame[12:14] == b"\x80\x35" and frame[6:12] == bytes.fromhex(MAC.replace(":", "")), 10, "RARP")
    wait_for(lambda: MAC in network.host.run("bridge", "fdb", "show", "dev", "host2-up1"), 10, "the bridge to know")
    assert migrate(target, source).returncode == 0
    guest.reconnect(source)


def test_a_target_that_cannot_guard(hosts, network, guest):
    """It lacks the file of rules: nothing of the domain runs there, and at the source all is as it was."""
    source, target = hosts
    source.run("sh", "-c", "echo 'allow 192.168.77.1' >/run/rules")
    guest.restart(source, guard("policy='/run/rules'"))
    with forging(guest, network):
        done = migrate(source, target)
        assert done.returncode != 0 and "/run/rules: No such file" in done.stderr, done.stderr
        assert source.names() == ["db1"]
        is_guarded(source)
        is_clean(target)
        guest.run(f"ping -c1 -W2 {FAR}")
    # With the file it works.
    target.run("sh", "-c", "echo 'allow 192.168.77.1' >/run/rules")
    assert migrate(source, target).returncode == 0
    is_clean(source)
    guest.reconnect(target)
    guest.run(f"ping -c1 -W2 {GATEWAY}")
    guest.restart(source, guard(""), target)


def test_a_migration_that_is_given_up(hosts, network, guest):
    source, target = hosts
    source.virsh("migrate-setspeed", "db1", 1)
    with forging(guest, network):
        moving = subprocess.Popen(source.command("virsh", "-q", "-c", "qemu:///system", "migrate", "--live", "--p2p", "db1", DRIVES[2],
                                                 "--migrateuri", "tcp://10.0.0.2"), stderr=subprocess.PIPE, text=True)
        wait_for(lambda: target.guards() and "Unbounded" in source.try_virsh("domjobinfo", "db1").stdout, 30, "the migration to go on")
        is_guarded(source)
        wait_for(lambda: target.status("db1"), 10, "the guard of the target, before the guest is there")
        guest.run(f"ping -c1 -W2 {FAR}")
        source.virsh("domjobabort", "db1")
        assert moving.wait(60) != 0
        assert source.names() == ["db1"]
        is_guarded(source)
        is_clean(target)
        guest.run(f"ping -c1 -W2 {FAR}")


def test_saved_and_its_address_is_anothers_by_now(hosts, network, guest):
    """What the guest remembers gives no right: who has the address is safe, and the guest gets another one when it asks."""
    host = hosts[0]
    host.virsh("save", "db1", "/run/db1.saved")
    is_clean(host)
    network.dhcp_server.stop()
    leases = network.logs / "dnsmasq.leases"
    leases.write_text(re.sub(f"{MAC} {re.escape(guest.address)} .*", f"52:54:00:00:00:77 {guest.address} * *", leases.read_text()))
    network.dhcp_server = libvirt_hosts.serve(network)
    honest = network.namespace("honest")
    network.join(honest, "eth0", "wire", mac="52:54:00:00:00:77")
    services.udhcpc(network, honest)
    assert services.address_of(honest) == guest.address
    ping, wire = Ping(network, guest.address), network.neighbor.wire("eth0")
    host.virsh("restore", "/run/db1.saved")
    guest.reconnect(host)
    for _ in range(5):
        assert guest.try_run(f"ping -c1 -W1 {FAR}")[0] != 0
        guest.try_run(f"arping -c1 -w1 -U -I eth0 {guest.address}")
    own, address = bytes.fromhex(MAC.replace(":", "")), bytes(map(int, guest.address.split(".")))
    # What comes from its MAC are the announcement of QEMU, IPv6, and the guard's question, whose source is nobody.
    assert not [frame for frame in wire.frames() if frame[6:12] == own and address in (frame[26:30], frame[28:32])]
    lost, sent = ping.lost()
    assert lost == 0, f"{lost} of {sent}"
    assert host.status("db1")["addresses"] == [] or guest.address not in str(host.status("db1")["addresses"])
    old = guest.address
    guest.lease()
    assert guest.address != old
    guest.run(f"ping -c1 -W2 {FAR}")
    honest.run("ping", "-c1", "-W2", FAR)


def test_saved_and_restored(hosts, network, guest):
    """Without a file of leases: the server is asked."""
    host = hosts[0]
    host.virsh("save", "db1", "/run/db1.saved")
    is_clean(host)
    host.virsh("restore", "/run/db1.saved")
    guest.reconnect(host)
    with forging(guest, network):
        wait_for(lambda: guest.try_run(f"ping -c1 -W1 {FAR}")[0] == 0, 10, "the guest to be known again")
        is_guarded(host)


@needs("qemu-img")
def test_set_back_to_a_snapshot(hosts, network, guest):
    """With its memory, while it runs: it goes on with the lease of then, and is guarded all the while."""
    host = hosts[0]
    host.virsh("destroy", "db1")
    host.run("qemu-img", "create", "-q", "-f", "qcow2", "/run/db3.qcow2", "1M")
    disk = "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/run/db3.qcow2'/><target dev='hda' bus='ide'/></disk>"
    other = libvirt_hosts.boot(host, "db3", [interface(MAC), disk], guard(""))
    host.virsh("snapshot-create-as", "db3", "then")
    other.run(f"ping -c1 -W2 {FAR}")
    with forging(other, network):
        other.run("touch /tmp/later")
    for _ in range(2):
        wire = network.neighbor.wire("eth0")
        other.run(f"(rawframe send eth0 -c 100000 -i 20 {FORGED_FRAME.hex()} >/dev/null 2>&1 &)")
        host.virsh("snapshot-revert", "db3", "then", "--running")
        other.reconnect(host)
        assert "later" not in other.run("ls /tmp")
        assert host.guards() == {host.tap("db3")}
        wait_for(lambda: other.try_run(f"ping -c1 -W1 {FAR}")[0] == 0, 10, "the guest to be known again")
        assert [frame for frame in wire.frames() if MARK in frame] == []
        wire.close()
    host.virsh("snapshot-delete", "db3", "then")
    host.virsh("destroy", "db3")
    host.virsh("undefine", "db3")
    is_clean(host)
    host.virsh("start", "db1")
    guest.wait_boot(host)


def test_the_whole_host_is_started_again(hosts, network, guest):
    """The plug was pulled. The domain is started with the host (autostart), and guarded."""
    host = hosts[0]
    host.virsh("autostart", "db1")
    host.power_off()
    host.power_on()
    wait_for(lambda: host.names() == ["db1"], 60, "the domain")
    is_guarded(host)
    guest.wait_boot(host)
    with forging(guest, network):
        guest.lease()
        guest.run(f"ping -c1 -W2 {FAR}")
        wait_for(lambda: dropped(host, "ip4-src-spoof") > 0, 10, "forged frames")
