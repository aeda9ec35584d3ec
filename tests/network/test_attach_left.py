"""Guards that were left to the kernel: no process stays, the programs decide alone, and `softnet status` sees them still.

    vm eth0 -- veth p-vm, guarded -- br0, whose host is the gateway 192.168.77.1 -- neighbor eth0
"""

import json
import pathlib
import struct
import subprocess

import pytest
from scapy.layers.inet6 import ICMPv6ND_RA, ICMPv6NDOptPrefixInfo, IPv6
from scapy.layers.l2 import Ether

import netns
import services
from netns import run, wait_for
from test_attach import MAC, OTHER_MAC, can_reach, why_not
from test_attach_ports import PROG_DETACH, PROG_GET_FD_BY_ID, TCX, bpf, index_of, judges_at, needs_tcx

pytestmark = [pytest.mark.together("attach"), pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

GATEWAY, GUEST, NEIGHBOR, FORGED = "192.168.77.1", "192.168.77.10", "192.168.77.20", "192.168.77.66"
GATEWAY6, GUEST6 = "fd77::1", "fd77::10"
OPTIONS = "--vm-mac-address", MAC, "--vm-ip", f"{GUEST}/24,{GUEST6}/64", "--no-dhcp", "--name", "web1"


@pytest.fixture
def place(loaded, network):
    network.bridge("br0")
    network.host.ip(f"address add {GATEWAY}/24 dev br0")
    network.host.set_ipv6("br0", disable_ipv6=0)
    network.host.ip(f"address add {GATEWAY6}/64 dev br0 nodad")
    network.vm, network.neighbor = network.namespace("vm"), network.namespace("neighbor")
    network.join(network.neighbor, "eth0", "br0", f"{NEIGHBOR}/24", mac=OTHER_MAC)
    network.host.ip("link add p-vm type veth peer name eth0 netns vm")
    network.host.ip("link set p-vm master br0")
    network.vm.ip(f"link set eth0 address {MAC}")
    return network


def leave(*more, port="p-vm"):
    return subprocess.run([services.softnet_path(), "attach", port, "--leave", *OPTIONS, *more], capture_output=True, text=True)


def bring_up(place):
    place.host.ip("link set p-vm up")
    place.vm.ip("link set eth0 up")
    place.vm.ip(f"address add {GUEST}/24 dev eth0")
    place.vm.ip(f"address add {GUEST6}/64 dev eth0")
    place.vm.ip(f"route add default via {GATEWAY}")
    wait_for(lambda: can_reach(place.vm, GATEWAY) and can_reach(place.vm, GATEWAY6), 10, "the gateway to answer")


def statuses():
    done = subprocess.run([services.softnet_path(), "status", "--json"], capture_output=True, text=True)
    return [one for one in json.loads(done.stdout or "[]") if one["name"] == "web1"]


def dropped(side):
    return {drop["reason"]: drop["count"] for drop in statuses()[0]["drops"] if drop["side"] == side}


def records():
    """Of ports that are there: who asks for the status sweeps."""
    statuses()
    folder = pathlib.Path("/run/softnet/left")
    return [entry.name for entry in folder.iterdir()] if folder.exists() else []


def processes_at(port):
    return [path for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if f"attach\0{port}\0".encode() in read(path)]


def read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_it_guards_without_a_process(place):
    done = leave()
    assert done.returncode == 0 and done.stdout == "" and processes_at("p-vm") == []
    bring_up(place)
    wire = place.neighbor.wire("eth0")
    place.vm.ip(f"address add {FORGED}/24 dev eth0")
    place.vm.ip("address add fd77::66/64 dev eth0 nodad")
    assert not can_reach(place.vm, GATEWAY, FORGED) and not can_reach(place.vm, GATEWAY6, "fd77::66")
    assert not can_reach(place.vm, NEIGHBOR)
    assert can_reach(place.vm, GATEWAY, GUEST) and can_reach(place.vm, GATEWAY6, GUEST6)
    assert not any(FORGED.encode() in frame or bytes(map(int, FORGED.split("."))) in frame for frame in wire.frames())
    [status] = statuses()
    assert status["pid"] is None and status["left"] == {**status["left"], "interface": "p-vm", "stands": True}
    assert {one["address"] for one in status["addresses"]} == {GUEST, GUEST6}
    assert status["passed"]["guest"]["frames"] >= 4 and status["passed"]["uplink"]["frames"] >= 4
    assert dropped("guest")["ip4-src-spoof"] >= 1 and sum(dropped("guest").values()) >= 2
    page = run(services.softnet_path(), "status", "--vm", "web1")
    assert "no process" in page and "guarded by the kernel alone" in page
    assert 'softnet_drops_total{vm="web1"' in run(services.softnet_path(), "status", "--openmetrics")


def test_what_only_a_process_could_decide(place):
    """A router's advertisement: dropped with a reason of its own, and nothing waits for a process that never comes."""
    leave("--gateway-mac", place.host.mac("br0"))
    bring_up(place)
    router = place.neighbor.wire("eth0")
    [link_local] = [one["local"] for one in place.host.addresses(interface="br0") if one["local"].startswith("fe80:")]
    advertisement = bytes(Ether(src=OTHER_MAC, dst="33:33:00:00:00:01") / IPv6(src="fe80::9", dst="ff02::1", hlim=255) /
                          ICMPv6ND_RA() / ICMPv6NDOptPrefixInfo(prefix="fd99::", prefixlen=64))
    own = bytes(Ether(src=place.host.mac("br0"), dst="33:33:00:00:00:01") / IPv6(src=link_local, dst="ff02::1", hlim=255) /
                ICMPv6ND_RA() / ICMPv6NDOptPrefixInfo(prefix="fd99::", prefixlen=64))
    router.send(advertisement)
    wait_for(lambda: dropped("uplink").get("ra-untrusted") == 1, 5, "the stranger's advertisement to be dropped")
    before = dropped("uplink").get("unattended", 0)     # DAD of others, say
    place.host.wire("br0").send(*[own] * 3)
    wait_for(lambda: dropped("uplink").get("unattended", 0) >= before + 3, 5, "the router's advertisements to be dropped")
    assert not any(one["local"].startswith("fd99:") for one in place.vm.addresses())
    assert can_reach(place.vm, GATEWAY6)


def test_the_guest_defends_its_address(place):
    """A neighbor's duplicate address detection for it comes in, and the answer goes out. It asks once and waits for a second, which
    on a busy machine may be too short."""
    leave()
    bring_up(place)

    def claims():
        return [one for one in place.neighbor.addresses() if one["local"] == GUEST6]

    def is_refused():
        place.neighbor.ip(f"address add {GUEST6}/64 dev eth0")
        wait_for(lambda: [one for one in claims() if one.get("dadfailed") or not one.get("tentative")], 10, "DAD to end")
        if [one for one in claims() if one.get("dadfailed")]:
            return True
        place.neighbor.ip(f"address delete {GUEST6}/64 dev eth0")
        return False
    wait_for(is_refused, 10, "DAD to fail")
    assert can_reach(place.vm, GATEWAY6)


def test_other_rules_take_the_place_of_the_old_ones(place):
    leave()
    bring_up(place)
    flood = place.start(["ping", "-q", "-i", "0.002", "-c", "1000", GATEWAY], place.vm)
    assert leave("--allow", f"{NEIGHBOR}/32", "--ipv6", "guard").returncode == 0
    assert can_reach(place.vm, NEIGHBOR)
    assert leave("--block", f"{NEIGHBOR}/32", "--ipv6", "guard").returncode == 0
    assert not can_reach(place.vm, NEIGHBOR)
    flood.wait_line("1000 packets transmitted, 1000 received", 60)
    assert len(records()) == 1 and statuses()[0]["policy"] == {"allow": 0, "block": 1}
    # A mistake changes nothing.
    wrong = leave("--allow", "10.0.0.0/33")
    assert wrong.returncode == 2 and "10.0.0.0/33" in wrong.stderr
    assert can_reach(place.vm, GATEWAY) and not can_reach(place.vm, NEIGHBOR) and statuses()[0]["left"]["stands"]


def test_a_process_attends_it_again(place):
    leave()
    bring_up(place)
    guard = place.start([services.softnet_path(), "attach", "p-vm", *OPTIONS, "-v"], kind=services.Softnet)
    guard.wait_line("is taken over", 30)
    guard.counters()
    assert records() == [] and [one["pid"] for one in statuses()] == [guard.pid]
    assert leave().returncode == 1      # by whom it is guarded, is said
    assert can_reach(place.vm, GATEWAY)


def test_it_goes_with_its_port(place):
    leave()
    assert len(records()) == 1
    place.host.ip("link delete p-vm")
    assert statuses() == [] and records() == []


def test_detach_takes_all_of_it(place):
    leave("--block", "any")
    bring_up_blocked(place)
    run(services.softnet_path(), "detach", "p-vm")
    assert can_reach(place.vm, GATEWAY) and records() == [] and statuses() == []


def bring_up_blocked(place):
    place.host.ip("link set p-vm up")
    place.vm.ip("link set eth0 up")
    place.vm.ip(f"address add {GUEST}/24 dev eth0")
    assert not can_reach(place.vm, GATEWAY)


@needs_tcx
def test_status_says_when_somebody_has_taken_it_off(place):
    leave()
    bring_up(place)
    [program] = judges_at("p-vm", "egress")
    held = bpf(PROG_GET_FD_BY_ID, struct.pack("=III", program, 0, 0))
    bpf(PROG_DETACH, struct.pack("=IIIIIIQ", index_of("p-vm"), held, TCX["egress"], 0, 0, 0, 0))
    assert statuses()[0]["left"]["stands"] is False
    assert "NOT GUARDED: its programs are no longer at p-vm" in run(services.softnet_path(), "status", "--vm", "web1")
    assert leave().returncode == 0 and statuses()[0]["left"]["stands"] is True


def test_in_another_network_namespace(place):
    """As a tap in a pod is: found by the number of its namespace."""
    inner = place.namespace("inner")
    inner.ip("link add p0 type veth peer name p1")
    inner.run(services.softnet_path(), "attach", "p0", "--leave", *OPTIONS)
    [status] = statuses()
    assert status["left"]["interface"] == "p0" and status["left"]["stands"]
    inner.ip("link delete p0")
    assert statuses() == [] and records() == []


@pytest.mark.parametrize("more, said", [
    (["--gateway", "192.168.77.254"], "--leave: the router's MAC address would have to be learned; expected --gateway-mac with it"),
    (["--policy", "/no/such/file"], "/no/such/file")])
def test_what_cannot_be_leaves_nothing(place, more, said):
    """No record; and where programs stand already, the port is closed."""
    done = leave(*more)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert statuses() == [] and records() == []
