"""Domains of libvirt with the hook of softnet: guarded before they run, until they are gone, and refused where that cannot be.

The network is that of libvirt_peers.py. Most of it is asked of one domain that runs, one thing after the other.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

import libvirt_peers
import netns
import services
from libvirt_peers import domain, guard, guards, interface, keepers, processes, records
from netns import run, wait_for
from test_integrations import Tap

MAC, LAN_MAC, OTHER_MAC = "52:54:00:00:00:0a", "52:54:00:00:00:0b", "52:54:00:00:00:0c"
GATEWAY, FAR, LAN_GATEWAY, FORGED = "192.168.77.1", "1.1.1.1", "192.168.78.1", "192.168.77.66"

pytestmark = [pytest.mark.together("libvirt"),
              pytest.mark.skipif(libvirt_peers.why_not() is not None, reason=str(libvirt_peers.why_not()))]


@pytest.fixture(scope="module")
def host(loaded):
    with netns.Network() as network:
        for bridge, name, address in ("br0", "gateway", GATEWAY), ("br1", "lan", LAN_GATEWAY):
            network.bridge(bridge)
            there = network.namespace(name)
            network.join(there, "eth0", bridge, f"{address}/24")
            services.dnsmasq(network, there, address[:-1] + "10", address[:-1] + "50", "600s",
                             *([] if name == "gateway" else ["--dhcp-option=3"]), name=f"dnsmasq-{name}")
            there.ip(f"address add {FAR}/32 dev lo")
        network.neighbor = network.namespace("neighbor")
        network.join(network.neighbor, "eth0", "br0", "192.168.77.9/24")
        network.libvirt = libvirt_peers.Libvirt(network)
        yield network
        network.libvirt.close()


@pytest.fixture
def defined(host):
    """Defines a domain, which is gone when the test ends."""
    def define(name, *words):
        names.append(name)
        host.libvirt.define(domain(name, *words))
    names = []
    yield define
    for name in names:
        host.libvirt.try_virsh("destroy", name)
        host.libvirt.virsh("undefine", name)


@pytest.fixture(scope="module")
def running(host):
    """A domain with two interfaces and other rules for each, and its console."""
    image = services.CHECKOUT / "build/vm"
    if "SOFTNET_VM_IMAGE" in os.environ:
        image = pathlib.Path(os.environ["SOFTNET_VM_IMAGE"])
    if not (image / "initramfs").exists():
        pytest.skip("no guest image or no QEMU: run tests/vm/image.sh build/vm")
    leases = host.logs / "leases"
    leases.mkdir()
    for folder in leases, *leases.parents:
        folder.chmod(0o777 if folder == leases else folder.stat().st_mode | 0o055)
    metadata = guard(f"mac='{MAC}' state='{leases}/db1'", f"mac='{LAN_MAC}' state='{leases}/db1-lan' name='db1-lan' block='any' allow='{LAN_GATEWAY}:icmp'")
    host.libvirt.define(domain("db1", [interface(MAC), interface(LAN_MAC, "br1")], metadata, image))
    host.libvirt.virsh("start", "db1")
    console = libvirt_peers.Console("/run/db1.serial")
    console.wait("GUEST READY", 240)
    console.run("ip link set eth1 up")
    for name in "eth0", "eth1":
        console.run(f"udhcpc -i {name} -n -q -s /bin/udhcpc.sh")
    yield console
    if "db1" in host.libvirt.names():
        host.libvirt.virsh("destroy", "db1")


def status(name):
    [one] = json.loads(run(services.softnet_path(), "status", "--json", "--vm", name))
    return one


def status_of(port):
    """The process that answers for the port, or None."""
    done = subprocess.run([services.softnet_path(), "status", "--json"], capture_output=True, text=True)
    return next((one["pid"] for one in json.loads(done.stdout or "[]") if one["guest"] == f"attach:{port}"), None)


def dropped(name, side):
    return {drop["reason"]: drop["count"] for drop in status(name)["drops"] if drop["side"] == side}


def can_reach(console, address):
    return console.try_run(f"ping -c1 -W2 {address}")[0] == 0


def is_guarded(port):
    """Only for a port that should not be: a guard that stands there is taken away."""
    done = subprocess.run([services.softnet_path(), "detach", port], capture_output=True, text=True)
    return "no guard in the kernel stands there" not in done.stderr


def nothing_is_left(host, name):
    wait_for(lambda: not keepers(name), 10, "the keeper to end")
    wait_for(lambda: not guards(), 10, "the guards to end")
    assert records() == []
    assert not [link for link in host.host.links() if link.startswith("vnet")]


# --- a domain that runs -------------------------------------------------------------------------------------------------

def test_each_interface_has_its_guard(host, running):
    taps = host.libvirt.virsh("domiflist", "db1").split()
    assert set(guards()) == {word for word in taps if word.startswith("vnet")}
    for name, network in ("db1", "192.168.77."), ("db1-lan", "192.168.78."):
        wait_for(lambda: [one for one in status(name)["addresses"] if one["address"].startswith(network)], 10, "the lease")
    assert status("db1")["policy"] == {"allow": 0, "block": 0}
    assert status("db1-lan")["policy"] == {"allow": 1, "block": 1}
    assert can_reach(running, FAR) and can_reach(running, LAN_GATEWAY)
    # The same host by the other interface, whose rules do not allow it.
    running.run(f"ip route add 1.0.0.0/8 via {LAN_GATEWAY} dev eth1")
    assert not can_reach(running, FAR)
    running.run("ip route del 1.0.0.0/8")
    assert dropped("db1-lan", "guest").get("dst-blocked", 0) >= 1, dropped("db1-lan", "guest")


def test_a_neighbor_attacks(host, running):
    running.run(f"ping -c1 -W2 {FAR}")
    before = running.run(f"ip neigh show {GATEWAY}").split()
    wire, address = host.neighbor.wire("eth0"), status("db1")["addresses"][0]["address"]
    own = host.neighbor.mac("eth0")
    forged = Ether(src=own, dst=MAC) / IP(src=GATEWAY, dst="255.255.255.255") / UDP(sport=67, dport=68) / BOOTP(
        op=2, yiaddr=FORGED, chaddr=bytes.fromhex(MAC.replace(":", ""))) / DHCP(options=[
            ("message-type", "ack"), ("server_id", GATEWAY), ("lease_time", 600), "end"])
    known = dropped("db1", "uplink")
    wire.send(Ether(src=own, dst=MAC) / ARP(op=2, hwsrc=own, psrc=GATEWAY, hwdst=MAC, pdst=address), forged)
    wait_for(lambda: sum(dropped("db1", "uplink").values()) >= sum(known.values()) + 2, 10, "both to be dropped")
    assert {"arp-gateway-spoof", "dhcp4-rogue-server"} <= set(dropped("db1", "uplink")), dropped("db1", "uplink")
    now = running.run(f"ip neigh show {GATEWAY}").split()
    assert now[:5] == before[:5] and own not in now
    assert can_reach(running, FAR)


def test_the_guest_attacks(host, running):
    wire = host.neighbor.wire("eth0")
    running.run(f"ip address add {FORGED}/24 dev eth0")
    running.try_run(f"ping -c1 -W1 -I {FORGED} 192.168.77.9")
    running.try_run(f"arping -c1 -w1 -U -I eth0 {FORGED}")
    running.run(f"ip address del {FORGED}/24 dev eth0")
    wait_for(lambda: [one for one in dropped("db1", "guest") if one.startswith("arp-spa")], 10, "the drop")
    forged = bytes(map(int, FORGED.split(".")))
    assert [frame for frame in wire.frames() if forged in frame] == []


def test_a_guard_that_was_killed_comes_back(host, running):
    before = guards()
    for port in before:
        os.kill(before[port], signal.SIGKILL)
    assert can_reach(running, FAR)
    for port in before:
        wait_for(lambda: status_of(port) not in (None, before[port]), 20, "a new guard to answer")
    assert status("db1")["addresses"][0]["address"].startswith("192.168.77.")
    assert can_reach(running, FAR)


def test_it_is_saved_and_comes_back(host, running):
    """The guest does not know of it, and its client has nothing to ask; the saved state knows its lease."""
    host.libvirt.virsh("save", "db1", host.logs / "db1.saved")
    nothing_is_left(host, "db1")
    host.libvirt.virsh("restore", host.logs / "db1.saved")
    running.reconnect()
    wait_for(lambda: status("db1")["addresses"], 10, "what was saved")
    assert can_reach(running, FAR)


def test_rules_by_the_name_of_the_domain(running):
    assert can_reach(running, FAR)
    run(services.softnet_path(), "policy", "set", "--vm", "db1", "--block", "any")
    assert not can_reach(running, FAR) and can_reach(running, LAN_GATEWAY)
    run(services.softnet_path(), "policy", "set", "--vm", "db1", "--allow", "@global")
    assert can_reach(running, FAR)


def only_keeper(name):
    """The hook itself has these words, too, as long as libvirt waits for it."""
    [keeper] = wait_for(lambda: len(keepers(name)) == 1 and keepers(name), 20, "the keeper alone")
    return keeper


def test_libvirt_is_started_again(host, running):
    before, keeper = guards(), only_keeper("db1")
    host.libvirt.stop()
    host.libvirt.start()
    wait_for(lambda: "db1" in host.libvirt.names(), 30, "the domain")
    assert guards() == before and only_keeper("db1") == keeper
    assert can_reach(running, FAR)


def test_libvirt_brings_a_keeper_back(host, running):
    keeper, before = only_keeper("db1"), guards()
    os.kill(keeper, signal.SIGKILL)
    assert can_reach(running, FAR)
    host.libvirt.stop()
    host.libvirt.start()
    wait_for(lambda: keepers("db1"), 30, "a new keeper")
    assert set(before.values()) <= set(processes("attach")) and can_reach(running, FAR)
    port = next(iter(before))
    os.kill(before[port], signal.SIGKILL)
    wait_for(lambda: status_of(port) not in (None, before[port]), 60, "a new guard")


def test_nothing_of_a_destroyed_domain_is_left(host, running):
    host.libvirt.virsh("destroy", "db1")
    nothing_is_left(host, "db1")


# --- a domain that does not start ---------------------------------------------------------------------------------------

REFUSED = {
    guard(f"mac='{MAC}' allow='bogus'"): '--allow: "bogus": expected',
    guard(f"mac='{MAC}' policy='/nonexistent'"): "--policy: /nonexistent: No such file",
    guard(f"mac='{MAC}' alow='any'"): "alow='any': unknown attribute",
    guard(f"mac='{MAC}' control-fd='0'"): "control-fd='0': unknown attribute",
    guard("mac='52:54:00:00:00:99'"): "says nothing about it",
    guard("", "mac='52:54:00:00:00:99'"): "no interface of the domain has the MAC address 52:54:00:00:00:99",
    guard("").replace("interface", "interfaces"): "<interfaces>: unknown element",
    guard("").replace(libvirt_peers.URI, libvirt_peers.URI + "s"): "its namespace is",
}


@pytest.mark.parametrize("metadata", REFUSED, ids=range(len(REFUSED)))
def test_refused(host, defined, metadata):
    defined("refused", [interface(MAC)], metadata)
    said = host.libvirt.try_virsh("start", "refused")
    assert said.returncode != 0 and "softnet: " in said.stderr and REFUSED[metadata] in said.stderr, said.stderr
    assert "refused" not in host.libvirt.names()
    nothing_is_left(host, "refused")


def test_one_broken_guard_of_two_refuses(host, defined):
    defined("refused", [interface(MAC), interface(LAN_MAC, "br1")], guard("", f"mac='{LAN_MAC}' allow='bogus'"))
    said = host.libvirt.try_virsh("start", "refused")
    assert said.returncode != 0 and "bogus" in said.stderr
    nothing_is_left(host, "refused")


# --- other domains ------------------------------------------------------------------------------------------------------

def test_a_domain_that_does_not_ask_is_untouched(host, defined):
    defined("plain", [interface(OTHER_MAC)], "<other:app xmlns:other='urn:other'/>")
    before = guards()
    host.libvirt.virsh("start", "plain", "--paused")
    [tap] = [word for word in host.libvirt.virsh("domiflist", "plain").split() if word.startswith("vnet")]
    assert guards() == before and not is_guarded(tap) and records() == []


def test_an_interface_that_nobody_is_to_guard(host, defined):
    defined("half", [interface(MAC), interface(OTHER_MAC)], guard(f"mac='{OTHER_MAC}' guard='no'", ""))
    host.libvirt.virsh("start", "half", "--paused")
    taps = [word for word in host.libvirt.virsh("domiflist", "half").split() if word.startswith("vnet")]
    assert set(guards()) == {taps[0]} and len(taps) == 2
    host.libvirt.virsh("destroy", "half")
    nothing_is_left(host, "half")


UUID = "48169978-85d2-4153-a79b-3433a62465d1"


def call_hook(operation, part, port):
    return run_hook(port, "called", operation, part, "-")


def run_hook(port, *words):
    hook = begin_hook(port, services.softnet_path().parent, *words)
    said = hook.communicate(timeout=120)
    return subprocess.CompletedProcess(hook.args, hook.returncode, *said)


def begin_hook(port, folder, *words):
    """With the softnet of this folder. It has its input, and is not waited for."""
    xml = f"<domain type='kvm'><name>called</name><uuid>{UUID}</uuid><metadata>{guard('')}</metadata><devices>" \
          f"{interface(MAC, more=f'<target dev={port!r}/>')}</devices></domain>"
    environment = dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}")
    hook = subprocess.Popen([libvirt_peers.hook_path(), *words], env=environment, text=True, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    hook.stdin.write(xml)
    hook.stdin.close()
    hook.stdin = None
    return hook


@pytest.fixture
def called():
    yield
    call_hook("release", "end", "waits0")


def test_what_waits_in_the_tap_is_thrown_away(host, called):
    """libvirt brings a tap up before it calls the hook: what came meanwhile, nobody has judged."""
    tap, wire = Tap("waits0"), host.neighbor.wire("eth0")
    host.host.ip("link set waits0 master br0 up")
    forged = bytes(Ether(src=host.neighbor.mac("eth0"), dst="ff:ff:ff:ff:ff:ff", type=0x88b5)) + b"nobody has judged this"
    queued, seen = host.host.wire("waits0"), []
    wire.send(*[forged] * 20)
    wait_for(lambda: seen.extend(frame for frame in queued.frames(outgoing=True) if forged in frame) or len(seen) >= 20, 10,
             "the frames to wait")
    done = call_hook("start", "begin", "waits0")
    assert done.returncode == 0 and done.stdout == "", done.stderr
    assert [frame for frame in iter(tap.read, None) if forged in frame] == []
    # The queue is what it was, and no such frame comes any more.
    assert json.loads(host.host.ip("-j link show waits0"))[0]["txqlen"] == 1000
    wire.send(forged)
    wait_for(lambda: "ethertype" in " ".join(dropped("called", "uplink")), 10, "the drop")
    assert [frame for frame in iter(tap.read, None) if forged in frame] == []
    assert call_hook("release", "end", "waits0").returncode == 0
    nothing_is_left(host, "called")
    os.close(tap.fd)


def test_a_card_that_was_plugged_in(host, called):
    """Here as a tap of a domain of which the hook knows nothing yet; test_libvirt_plug.py plugs one into a real one."""
    tap, wire = Tap("waits0"), host.neighbor.wire("eth0")
    host.host.ip("link set waits0 master br0 up")
    done = run_hook("waits0", "--plug")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert status("called")["guest"] == "attach:waits0" and [entry.name for entry in records()] == [f"{UUID}.{socket.if_nametoindex('waits0')}"]
    os.write(tap.fd, bytes(Ether(src=OTHER_MAC, dst="ff:ff:ff:ff:ff:ff", type=0x88b5)) + b"forged by the guest")
    wait_for(lambda: dropped("called", "guest").get("eth-src-spoof"), 10, "the drop")
    assert [frame for frame in wire.frames() if b"forged by the guest" in frame] == []
    again = run_hook("waits0", "--plug")
    assert again.returncode == 1 and again.stderr == "softnet: no interface of the domain wants a guard and has none\n"
    assert run_hook("no-such0", "--plug").stderr == "softnet: no-such0: there is no such interface\n"
    assert call_hook("release", "end", "waits0").returncode == 0
    nothing_is_left(host, "called")
    os.close(tap.fd)


@pytest.mark.parametrize("operation, part", [("prepare", "begin"), ("started", "begin"), ("stopped", "end"), ("migrate", "begin"),
                                             ("restore", "begin"), ("reconnect", "begin"), ("release", "end")])
def test_other_steps_do_nothing_and_say_nothing(host, operation, part):
    """What is printed at some of them would become the domain."""
    done = call_hook(operation, part, "no-port")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    nothing_is_left(host, "called")


def test_a_tap_that_stays_has_no_guard_afterwards(host, defined):
    host.host.ip("tuntap add dev stays0 mode tap")
    host.host.ip("link set stays0 master br0 up")
    own = f"<interface type='ethernet'><mac address='{MAC}'/><target dev='stays0' managed='no'/><model type='virtio'/></interface>"
    defined("stays", [own], guard(""))
    host.libvirt.virsh("start", "stays", "--paused")
    assert "stays0" in guards()
    host.libvirt.virsh("destroy", "stays")
    nothing_is_left(host, "stays")
    assert not is_guarded("stays0") and "stays0" in host.host.links()
    host.host.ip("link delete stays0")


# --- killed -------------------------------------------------------------------------------------------------------------

class Slow:
    """A start of a domain whose guard has been forked, and stands when it is let go."""

    def __init__(self, folder, *words):
        self.folder, program = folder, folder / "softnet"
        program.write_text(f"""#!/bin/sh
if [ "$1" = attach ]; then
    : >{folder}/reached
    until [ -e {folder}/go ]; do sleep 0.02; done
fi
exec {services.softnet_path()} "$@"
""")
        program.chmod(0o755)
        self.hook = begin_hook("waits0", folder, *words)
        wait_for((folder / "reached").exists, 20, "the guard to be forked")
        [self.keeper] = set(keepers("called") + list(processes("--plug"))) - {self.hook.pid}

    def kill(self, *numbers):
        for number in numbers:
            os.kill(number, signal.SIGKILL)
        said = self.hook.communicate(timeout=60)[1]
        return self.hook.returncode, said

    def go_on(self):
        (self.folder / "go").touch()


@pytest.fixture
def slow(host, called, tmp_path):
    host.host.ip("tuntap add dev waits0 mode tap\nlink set waits0 master br0 up\n")
    yield lambda *words: Slow(tmp_path, *words)
    host.host.ip("link delete waits0")


def nothing_of_it_is_left(host):
    nothing_is_left(host, "called")
    wait_for(lambda: not [words for words in processes("attach").values() if "waits0" in words], 10, "what was to be the guard to end")
    assert not is_guarded("waits0")
    # And the next start stands.
    assert call_hook("start", "begin", "waits0").returncode == 0 and set(guards()) == {"waits0"}
    assert call_hook("release", "end", "waits0").returncode == 0
    nothing_is_left(host, "called")


@pytest.mark.parametrize("is_told", [True, False], ids=["told-meanwhile", "told-before"])
def test_the_hook_is_killed(host, slow, is_told):
    """libvirt refuses the domain then. It may tell its end while the guard starts, or has done so before there was a record."""
    start = slow("called", "start", "begin", "-")
    assert start.kill(start.hook.pid)[0] == -signal.SIGKILL
    if is_told:
        assert call_hook("release", "end", "waits0").returncode == 0
    start.go_on()
    nothing_of_it_is_left(host)


def test_the_keeper_is_killed(host, slow):
    start = slow("called", "start", "begin", "-")
    assert start.kill(start.keeper) == (1, "softnet: the process that was to keep its guards has died\n")
    start.go_on()
    nothing_of_it_is_left(host)


def test_both_are_killed(host, slow):
    start = slow("called", "start", "begin", "-")
    start.kill(start.hook.pid, start.keeper)
    start.go_on()
    assert call_hook("release", "end", "waits0").returncode == 0
    nothing_of_it_is_left(host)


def test_a_plug_is_killed(host, slow):
    """The guest has the card, and nobody tells its end: its guard stays."""
    plug = slow("--plug")
    plug.kill(plug.hook.pid)
    plug.go_on()
    wait_for(lambda: set(guards()) == {"waits0"} and status_of("waits0"), 20, "the guard to stand")
    wait_for(lambda: run_hook("waits0", "--plug").stderr == "softnet: no interface of the domain wants a guard and has none\n", 10, "its record")
    assert call_hook("release", "end", "waits0").returncode == 0
    nothing_of_it_is_left(host)


def test_the_keeper_of_a_plug_is_killed(host, slow):
    """A port that was noted is not guarded yet."""
    plug = slow("--plug")
    assert plug.kill(plug.keeper) == (1, "softnet: the process that was to keep its guards has died\n")
    plug.go_on()
    assert run_hook("waits0", "--plug").returncode == 0 and set(guards()) == {"waits0"}
    assert call_hook("release", "end", "waits0").returncode == 0
    nothing_of_it_is_left(host)
