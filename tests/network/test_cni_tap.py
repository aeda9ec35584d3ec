"""Pods with a VM in them, as KubeVirt's binding plug-ins make them: a tap that another plug-in has made in the pod, and one that
the launcher makes behind the pod's veth.

    VM -- tap0, guarded -- k6t -- eth0 -- veth -- cni0      (tap)
    VM -- tap0 -- k6t -- eth0 -- veth, guarded -- cni0      (managedTap)

KubeVirt itself is not here; its shapes are.
"""

import os
import shutil

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether

import cni_peers
import rawguest
import vm
from cni_peers import CniNetwork, bridge, call, softnet
from netns import wait_for
from test_cni import WHY_NOT, fails, host, is_unguarded, statuses     # noqa: F401
from test_integrations import Tap

pytestmark = [pytest.mark.together("cni"), pytest.mark.skipif(WHY_NOT is not None or not os.path.exists("/dev/net/tun"),
                                                              reason=str(WHY_NOT or "needs /dev/net/tun"))]

GATEWAY, VM_MAC, VM_IP, FORGED = "10.9.0.1", "02:00:00:00:00:0a", "10.9.0.40", "10.9.0.66"


def wire_pod(pod, mac=None):
    """What the launcher does in the pod: a bridge between the interface of the network and the VM's tap."""
    if mac:
        pod.ip(f"link set eth0 down\nlink set eth0 address {mac}\nlink set eth0 up\n")
    for one in pod.addresses(2):
        if one.get("local", "").startswith("10."):
            pod.ip(f"address delete {one['local']}/24 dev eth0")
    pod.set_ipv6(disable_ipv6=1)
    pod.ip("link add k6t type bridge stp_state 0 mcast_snooping 0\nlink set k6t up\nlink set eth0 master k6t\n")
    if "tap0" not in pod.links():
        pod.ip("tuntap add dev tap0 mode tap")
    pod.ip("link set tap0 master k6t up")


def answers(tap, frame, is_answer, times=20):
    def ask():
        os.write(tap.fd, frame)
        return any(is_answer(got) for got in iter(tap.read, None))
    try:
        return wait_for(ask, times / 10, "an answer")
    except Exception:       # that there is none is what some tests want
        return False


def is_arp_of(address):
    return lambda frame: frame[12:14] == b"\x08\x06" and frame[20:22] == b"\x00\x02" and frame[28:32] == bytes(map(int, address.split(".")))


def is_echo_of(address):
    return lambda frame: frame[12:14] == b"\x08\x00" and frame[23] == 1 and frame[26:30] == bytes(map(int, address.split(".")))


def vm_speaks(tap, mac, address, gateway_mac):
    """Honest first, then what the VM has not."""
    assert answers(tap, rawguest.arp(mac, 1, address, GATEWAY), is_arp_of(GATEWAY))
    ping = IP(src=address, dst=GATEWAY) / ICMP()
    assert answers(tap, bytes(Ether(src=mac, dst=gateway_mac) / ping), is_echo_of(GATEWAY))


def vm_forges(host, tap, mac, address, gateway_mac):     # noqa: F811
    wire = host.host.wire("cni0")
    other = "02:00:00:00:00:66"
    forged = [Ether(src=mac, dst=gateway_mac) / IP(src=FORGED, dst=GATEWAY) / ICMP(), Ether(src=other, dst=gateway_mac) / IP(src=address, dst=GATEWAY) / ICMP(),
              Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=mac, psrc=FORGED, pdst=GATEWAY)]
    for frame in forged:
        os.write(tap.fd, bytes(frame))
    wait_for(lambda: sum(drop["count"] for drop in next(iter(statuses().values()))["drops"] if drop["side"] == "guest") >= len(forged), 10, "the drops")
    heard = b"".join(wire.frames())
    assert bytes(map(int, FORGED.split("."))) not in heard and rawguest.mac_bytes(other) not in heard


@pytest.fixture
def tap_pod(host):      # noqa: F811
    """The tap is there, as the plug-in before has made it; its result has the VM's MAC address and no veth."""
    plain = CniNetwork("plain", bridge("10.9.0.0/24"))
    plain.add(host.a)
    wire_pod(host.a)
    host.taps = CniNetwork("taps", softnet(gateway_mac=host.host.mac("cni0")))
    host.result = {"cniVersion": "1.0.0", "interfaces": [{"name": "tap0", "mac": VM_MAC, "sandbox": "/run/netns/a"}],
                   "ips": [{"interface": 0, "address": f"{VM_IP}/24", "gateway": GATEWAY}]}
    host.config = host.taps.config(host.taps.plugins[0], host.result)
    yield host
    plain.delete(host.a)


PLACE = "a", "/run/netns/a", "tap0"


def test_a_tap_in_the_pod(tap_pod):
    answer = call("softnet-cni", "ADD", tap_pod.config, *PLACE)
    assert answer == tap_pod.result
    tap = enter_tap(tap_pod.a)
    vm_speaks(tap, VM_MAC, VM_IP, tap_pod.host.mac("cni0"))
    vm_forges(tap_pod, tap, VM_MAC, VM_IP, tap_pod.host.mac("cni0"))
    [status] = statuses().values()
    assert status["mac"] == VM_MAC and status["left"]["interface"] == "tap0" and status["left"]["stands"]
    assert call("softnet-cni", "CHECK", tap_pod.config, *PLACE) is None
    os.close(tap.fd)
    assert call("softnet-cni", "DEL", tap_pod.config, *PLACE) is None
    assert cni_peers.records() == [] and statuses() == {}
    fails(101, "has guarded no such interface", "softnet-cni", "CHECK", tap_pod.config, *PLACE)


def enter_tap(pod):
    with pod.entered():
        return Tap("tap0")


def test_the_mac_address_that_the_pod_asks_for(tap_pod):
    wanted = "02:00:00:00:00:0b"
    call("softnet-cni", "ADD", {**tap_pod.config, "runtimeConfig": {"mac": wanted}}, *PLACE)
    assert [one["mac"] for one in statuses().values()] == [wanted]
    call("softnet-cni", "DEL", tap_pod.config, "a", "", "tap0")     # as when the namespace is gone for the runtime
    assert statuses() == {}
    fails(7, "expected a MAC address", "softnet-cni", "ADD", {**tap_pod.config, "runtimeConfig": {"mac": "x"}}, *PLACE)
    assert cni_peers.records() == []


def test_a_tap_behind_the_pods_veth(host):      # noqa: F811
    """The VM gets the MAC address and the address that the pod had; the pod's own end gets another one."""
    pods = CniNetwork("pods", bridge("10.9.0.0/24"), softnet(allow=GATEWAY, ipv6="off"))
    added = pods.add(host.a)
    mac, address = host.a.mac("eth0"), added["ips"][0]["address"].split("/")[0]
    wire_pod(host.a, mac="02:00:00:00:00:99")
    tap = enter_tap(host.a)
    vm_speaks(tap, mac, address, host.host.mac("cni0"))
    vm_forges(host, tap, mac, address, host.host.mac("cni0"))
    os.close(tap.fd)
    assert call("softnet-cni", "CHECK", pods.config(pods.plugins[1], added), "a", "/run/netns/a", "eth0") is None
    pods.delete(host.a)
    assert is_unguarded(host)


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("qemu-system-x86_64"), reason="no QEMU")
def test_a_real_vm_at_a_tap_in_the_pod(tap_pod, guest_image):
    call("softnet-cni", "ADD", tap_pod.config, *PLACE)
    guest = vm.VM(tap_pod, "vm", guest_image, VM_MAC, "tap,id=n0,ifname=tap0,script=no,downscript=no", namespace=tap_pod.a)
    guest.boot()
    guest.run(f"ip link set eth0 up && ip address add {VM_IP}/24 dev eth0 && ping -c1 -W5 {GATEWAY}", 60)
    guest.run(f"ip address add {FORGED}/24 dev eth0")
    assert guest.try_run(f"ping -c1 -W2 -I {FORGED} {GATEWAY}", 60)[0] != 0
    assert guest.try_run(f"ping -c1 -W5 -I {VM_IP} {GATEWAY}", 60)[0] == 0
    [status] = statuses().values()
    assert {drop["reason"] for drop in status["drops"]} & {"ip4-src-spoof", "arp-spa-spoof"}
    guest.power_off()
    call("softnet-cni", "DEL", tap_pod.config, *PLACE)
