"""Cards that are plugged in and out of a domain that runs, moved, and renamed. libvirt calls no hook for a card that is plugged
in. So the bridges of the host are closed: nftables drops what has to do with a tap before its guard stands.

The host is one of libvirt_hosts.py.
"""

import os
import signal

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

import libvirt_hosts
import libvirt_peers
import netns
from conftest import needs
from libvirt_hosts import FAR
from libvirt_peers import guard, hook_path, interface
from netns import wait_for
from services import CHECKOUT

MAC, PLUGGED, FORGED, MARK = "52:54:00:00:00:0a", "52:54:00:00:00:0b", "192.168.77.66", b"this was forged"

pytestmark = [pytest.mark.together("libvirt"), pytest.mark.long,
              pytest.mark.skipif(libvirt_peers.why_not() is not None, reason=str(libvirt_peers.why_not())), needs("nft")]


@pytest.fixture(scope="module")
def host(loaded):
    """Its bridge lets nobody pass who was not let in."""
    with netns.Network() as network:
        host = libvirt_hosts.one_host(network)
        host.namespace.ip("link add br1 type bridge stp_state 0 mcast_snooping 0\nlink set br1 up\n")
        host.namespace.run("nft", "-f", CHECKOUT / "packaging/nftables/softnet-closed.nft")
        yield host
        host.close()


@pytest.fixture(scope="module")
def guest(host):
    return libvirt_hosts.boot(host, "db1", [interface(MAC)], guard(""))


def forged_from(mac):
    return bytes(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / IP(src=FORGED, dst=FAR) / UDP(sport=4000, dport=9) / MARK)


def ports(host):
    """{MAC: tap}"""
    words = host.virsh("domiflist", "db1").split()
    return {words[i + 4]: words[i] for i in range(0, len(words), 5)}


def plug(host):
    host.run("virsh", "attach-device", "db1", "/dev/stdin", "--live", text=interface(PLUGGED))


def guard_plugged(host, check=True):
    return host.run("env", f"PATH={libvirt_hosts.search_path()}", hook_path(), "--plug", text=host.virsh("dumpxml", "db1"), check=check)


def unplug(host, guest):
    host.virsh("detach-interface", "db1", "bridge", "--mac", PLUGGED, "--live")
    wait_for(lambda: PLUGGED not in ports(host), 20, "the card to go")
    assert guest.run("ls /sys/class/net").split().count("eth1") == 0


def test_a_card_that_is_plugged_in(host, guest):
    wire = host.network.neighbor.wire("eth0")
    plug(host)
    wait_for(lambda: "eth1" in guest.run("ls /sys/class/net"), 20, "the guest to see its card")
    guest.run("ip link set eth1 up")
    # Before its guard stands nothing passes, forged or honest.
    guest.run(f"rawframe send eth1 -c 20 -i 10 {forged_from(PLUGGED).hex()} {forged_from('52:54:00:00:00:99').hex()}")
    assert guest.try_run("udhcpc -i eth1 -n -q -t 2 -T 1 -s /bin/udhcpc.sh")[0] != 0
    own = bytes.fromhex(PLUGGED.replace(":", ""))
    assert not [frame for frame in wire.frames() if MARK in frame or frame[6:12] == own]
    guard_plugged(host)
    assert host.guards() == set(ports(host).values()) and len(host.guards()) == 2
    guest.run("udhcpc -i eth1 -n -q -t 10 -T 1 -s /bin/udhcpc.sh")
    guest.run(f"ping -c1 -W2 -I eth1 {FAR}")
    guest.run(f"rawframe send eth1 -c 20 -i 10 {forged_from(PLUGGED).hex()} {forged_from('52:54:00:00:00:99').hex()}")
    assert [frame for frame in wire.frames() if MARK in frame] == []
    # Twice is a mistake, and changes nothing.
    said = guard_plugged(host, check=False)
    assert said.returncode == 1 and "wants a guard and has none" in said.stderr
    assert len(host.guards()) == 2
    guest.run(f"ping -c1 -W2 -I eth1 {FAR}")


def test_a_card_that_is_pulled_out(host, guest):
    """Its guard ends with the port, and the other goes on; what comes next is closed again."""
    unplug(host, guest)
    wait_for(lambda: host.guards() == {ports(host)[MAC]}, 10, "its guard to end")
    guest.lease()       # its way out went with the card
    guest.run(f"ping -c1 -W2 {FAR}")
    plug(host)
    wire = host.network.neighbor.wire("eth0")
    wait_for(lambda: "eth1" in guest.run("ls /sys/class/net"), 20, "the guest to see its card")
    guest.run("ip link set eth1 up")
    guest.run(f"rawframe send eth1 -c 20 -i 10 {forged_from(PLUGGED).hex()}")
    assert [frame for frame in wire.frames() if MARK in frame] == []
    guard_plugged(host)
    assert len(host.guards()) == 2
    unplug(host, guest)


def test_its_keeper_after_a_restart_of_libvirt(host, guest):
    """The keeper of the card that was plugged in goes on; that of the other one was killed, and comes back."""
    plug(host)
    guard_plugged(host)
    [plugged] = set(libvirt_peers.processes("--plug"))
    for keeper in libvirt_peers.keepers("db1"):
        os.kill(keeper, signal.SIGKILL)
    host.restart_libvirt()
    wait_for(lambda: libvirt_peers.keepers("db1"), 30, "a new keeper")
    assert plugged in libvirt_peers.processes("--plug") and len(host.guards()) == 2
    guest.run(f"ping -c1 -W2 {FAR}")
    unplug(host, guest)


def opened(host):
    return host.namespace.run("nft", "list", "set", "bridge", "softnet", "guarded")


def test_a_link_that_is_down_for_a_while(host, guest):
    tap = ports(host)[MAC]
    host.virsh("domif-setlink", "db1", MAC, "down")
    assert guest.try_run(f"ping -c1 -W1 {FAR}")[0] != 0
    host.virsh("domif-setlink", "db1", MAC, "up")
    wait_for(lambda: guest.try_run(f"ping -c1 -W1 {FAR}")[0] == 0, 10, "the way to be back")
    assert host.guards() == {tap}


def test_a_card_that_is_moved_to_another_bridge(host, guest):
    """The tap stays, and its guard with it."""
    tap, moved = ports(host)[MAC], interface(MAC, "br1")
    alias = host.virsh("dumpxml", "db1").split("<alias name='net")[1][0]
    update = f"<address type='pci' domain='0x0000' bus='0x00' slot='{slot_of(host)}' function='0x0'/><alias name='net{alias}'/>"
    host.run("virsh", "update-device", "db1", "/dev/stdin", "--live", text=moved.replace("</interface>", update + "</interface>"))
    wait_for(lambda: host.status("db1")["ground"]["bridge"] == "br1", 10, "the guard to see its bridge")
    assert host.guards() == {tap} and guest.try_run(f"ping -c1 -W1 {FAR}")[0] != 0
    back = interface(MAC).replace("</interface>", update + "</interface>")
    host.run("virsh", "update-device", "db1", "/dev/stdin", "--live", text=back)
    wire = host.network.neighbor.wire("eth0")
    wait_for(lambda: guest.try_run(f"ping -c1 -W1 {FAR}")[0] == 0, 10, "the way to be back")
    guest.run(f"rawframe send eth0 -c 20 -i 10 {forged_from(MAC).hex()}")
    assert [frame for frame in wire.frames() if MARK in frame] == []


def slot_of(host):
    return host.virsh("dumpxml", "db1").split("<interface")[1].split("slot='")[1].split("'")[0]


def test_renamed(host, guest):
    """libvirt renames domains that do not run. The guard goes by the new name, and nothing is left of the old one."""
    host.virsh("destroy", "db1")
    wait_for(lambda: not host.guards() and host.records() == [], 10, "its guards to end")
    assert "elements" not in opened(host)
    host.virsh("domrename", "db1", "db2")
    host.virsh("start", "db2", "--paused")
    assert host.status("db2")["mac"] == MAC and host.status("db1") is None
    host.virsh("destroy", "db2")
    wait_for(lambda: not host.guards() and host.records() == [], 10, "its guards to end")
