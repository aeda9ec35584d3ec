"""Real VMs: QEMU behind `softnet run`, in the ways that hypervisors are connected, and with uplinks that need no root.

    guest eth0 == QEMU == softnet == slirp or passt == sockets of the namespace "host"
    (there, lo has 1.1.1.1 with a web server; behind passt it is one hop away)
"""

import os
import pathlib
import re
import signal
import socket

import pytest

import dhcp_peers
import ipv6_peers
import netns
import services
import vm
from conftest import needs

MAC, INTERNET = "52:54:00:00:00:0a", "1.1.1.1"
DGRAM = "dgram,id=n0,local.type=fd,local.str={fd}"
LEASE = "udhcpc -i eth0 -n -q -t 10 -T 1 -s /bin/udhcpc.sh"
FETCH = f"wget -q -O - http://{INTERNET}/file"
SOCKET = pathlib.Path("/run/vm/socket")


@pytest.fixture
def host(network):
    """Where softnet and QEMU run."""
    host = network.namespace("host", ipv6=False)
    host.ip(f"address add {INTERNET}/32 dev lo")
    network.web = services.WebServer(host, INTERNET)
    yield host
    network.web.close()


@pytest.fixture
def boot(network, host, softnet, guest_image):
    """A function that boots a guest behind `softnet run` with these options."""
    def start(*options, netdev=DGRAM):
        guard = [softnet, "run", "-v", "--vm-mac-address", MAC, *options, "--"]
        guest = vm.VM(network, "guest", guest_image, "{mac}", netdev, guard, namespace=host, kind=services.Softnet)
        assert guest.boot()[1] == MAC
        return guest
    return start


@pytest.fixture
def process(network, host, softnet):
    """`softnet run` with a QEMU that has a network, but no machine in it: where nobody looks at the guest, none has to boot."""
    qemu = [vm.qemu_path(), "-M", "none", "-nodefaults", "-display", "none", "-monitor", "stdio", "-netdev", DGRAM]
    process = network.start([softnet, "run", "-v", "--vm-mac-address", MAC, "--uplink", "slirp", "--", *qemu], host,
                            kind=services.Softnet)
    process.wait_line(r"QEMU .* monitor", vm.BOOT_SECONDS)
    return process


def qemu_of(process):
    """The process id of QEMU: the child of softnet's child."""
    def children(pid):
        return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def find():
        return [pid for child in children(process.pid) for pid in children(child)
                if vm.qemu_name()[:15] == pathlib.Path(f"/proc/{pid}/comm").read_text().strip()]
    return netns.wait_for(find, 5, "QEMU among softnet's processes")[0]


def wait_address6(guest, address):
    """Until the guest's kernel has this address, and is over its duplicate address detection."""
    netns.wait_for(lambda: re.search(f"{address}/64 scope global (?!tentative)",
                                     guest.run("ip -6 address show dev eth0")), 20, address)


def answer_at(host, address, port):
    with host.entered():
        client = socket.socket()
    with client:
        client.settimeout(2)
        try:
            client.connect((address, port))
            return client.recv(100)
        except OSError:
            return b""


def test_slirp_over_datagrams(network, host, boot):
    """Both families, a port of the host that leads to the guest while it has a lease, and a guest that forges."""
    for interface in "all", "lo":
        host.set_ipv6(interface, disable_ipv6=0)
    host.ip(f"address add {ipv6_peers.INTERNET}/128 dev lo nodad")
    web = services.WebServer(host, ipv6_peers.INTERNET)
    guest = boot("--uplink", "slirp", "--expose", "127.0.0.1:8080:80")
    guest.run("nc -ll -p 80 -e echo hello from the guest >/dev/null 2>&1 &")
    assert answer_at(host, "127.0.0.1", 8080) == b""        # no lease, no port
    wait_address6(guest, ipv6_peers.eui64("fd00:10:0:2::/64", MAC))
    assert guest.run(f"wget -q -O - http://[{ipv6_peers.INTERNET}]/file") == "hello"
    guest.run("udhcpc -i eth0 -b -R -t 10 -T 1 -p /tmp/udhcpc.pid -s /bin/udhcpc.sh >/tmp/lease 2>&1")
    assert netns.wait_for(lambda: answer_at(host, "127.0.0.1", 8080), 10, "the exposed port") == b"hello from the guest\n"
    assert "lease 10.0.2.15/24" in guest.run("cat /tmp/lease")
    assert guest.run(FETCH) == "hello"
    counters = guest.process.counters()
    assert counters.passed["guest"] > 10 and counters.dropped("guest") == 0
    # What the guest's kernel sends by itself is honest; a forged frame is not, and is told apart.
    guest.run("rawframe send eth0 -c 3 " + "ff" * 6 + "5254000000ff" + "0806" + "00" * 46)
    guest.process.wait_counters(lambda counters: counters.dropped("guest", "eth-src-spoof") == 3)
    assert guest.run(FETCH) == "hello"
    guest.run("kill -TERM $(cat /tmp/udhcpc.pid)")          # -R: it releases the lease before it ends
    netns.wait_for(lambda: answer_at(host, "127.0.0.1", 8080) == b"", 10, "the port to close")
    assert guest.power_off() == 0
    web.close()


@needs("radvd")
def test_ipv6_on_a_bridge(segment6, softnet, guest_image):
    """SLAAC by the guest's own kernel, first from its MAC address, then with temporary addresses."""
    ipv6_peers.radvd(segment6, segment6.gateway, ipv6_peers.PREFIX)
    web = services.WebServer(segment6.internet, ipv6_peers.INTERNET)
    guard = [softnet, "run", "-v", "--vm-mac-address", MAC, "--uplink", "tap:u-vm,bridge=br0", "--"]
    guest = vm.VM(segment6, "guest", guest_image, "{mac}", DGRAM, guard, kind=services.Softnet)
    guest.boot()
    address = ipv6_peers.eui64(ipv6_peers.PREFIX, MAC)
    wait_address6(guest, address)
    fetch = f"wget -q -O - http://[{ipv6_peers.INTERNET}]/file"
    assert guest.run(fetch) == "hello"
    guest.run("nc -ll -p 80 -e echo hello from the guest >/dev/null 2>&1 &")
    netns.wait_for(lambda: "LISTEN" in guest.run("netstat -ltn"), 5, "the listener")
    assert ipv6_peers.exchange(segment6.internet, b"", address, 80) == b"hello from the guest\n"
    guest.run("echo 2 >/proc/sys/net/ipv6/conf/eth0/use_tempaddr; ip link set eth0 down; ip link set eth0 up")
    netns.wait_for(lambda: re.search("global secondary (?!tentative)", guest.run("ip -6 address show dev eth0")), 20,
                   "a temporary address")
    wait_address6(guest, address)
    assert guest.run(fetch) == "hello"
    assert web.requests[0][0] == address != web.requests[-1][0]
    assert ipv6_peers.within(web.requests[-1][0], ipv6_peers.PREFIX)
    assert guest.process.counters().dropped("guest") == 0
    forged = dhcp_peers.mac_bytes(f"{ipv6_peers.GATEWAY_MAC}:{MAC}") + b"\x86\xdd" + \
        ipv6_peers.packet(ipv6_peers.GATEWAY, ipv6_peers.INTERNET, 17, bytes.fromhex("9c40 0009 0008 0000"))
    guest.run(f"rawframe send eth0 -c 3 {forged.hex()}")
    # The guest could claim this address, so the guard asks the link for it. Until the gateway has answered, it is tentative.
    guest.process.wait_counters(lambda counters: counters.dropped("guest", "ip6-src-unbound", "ip6-src-tentative") == 3)
    assert guest.power_off() == 0
    web.close()


def test_stream_to_qemu(network, boot):
    SOCKET.parent.mkdir(exist_ok=True)
    SOCKET.parent.chmod(0o777)      # softnet is nobody when it takes its socket away
    guest = boot("--uplink", "slirp", "--guest", f"stream:{SOCKET}",
                 netdev=f"stream,id=n0,server=off,addr.type=unix,addr.path={SOCKET}")
    assert "lease 10.0.2.15/24" in guest.run(LEASE)
    assert guest.run(FETCH) == "hello"
    assert guest.power_off() == 0
    assert not SOCKET.exists()


def catches(pid, number):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"SigCgt:\s*(\S+)", status)[1], 16) >> number - 1 & 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_signal_to_softnet_ends_qemu(process, number):
    qemu = qemu_of(process)
    netns.wait_for(lambda: catches(qemu, number), 10, "QEMU to look after its signals")
    process.signal(number)
    assert process.wait(10) == 0                            # QEMU's own status: it takes these for a wish
    assert not pathlib.Path(f"/proc/{qemu}").exists()


def test_status_is_that_of_qemu(process):
    os.kill(int(qemu_of(process)), signal.SIGKILL)
    assert process.wait(10) == 128 + signal.SIGKILL


def test_qemu_ends_when_softnet_is_killed(process):
    """Fail closed: a guest without its guard has no network, and does not stay behind."""
    qemu = qemu_of(process)
    process.signal(signal.SIGKILL)
    netns.wait_for(lambda: not pathlib.Path(f"/proc/{qemu}").exists(), 15, "QEMU to end")


@pytest.fixture
def passt(network):
    """passt in "host", which has 10.7.0.2 and behind its router 1.1.1.1; it gives the guest the host's own address."""
    network.bridge("br0")
    router = network.namespace("router", ipv6=False)
    network.join(router, "eth0", "br0", "10.7.0.1/24")
    router.ip(f"address add {INTERNET}/32 dev lo")
    network.web = services.WebServer(router, INTERNET)
    host = network.namespace("host", ipv6=False)
    network.join(host, "eth0", "br0", "10.7.0.2/24")
    host.ip("route add default via 10.7.0.1")
    # Not in the directory of a test: passt gives up the right to read it.
    path = pathlib.Path("/run/passt.socket")
    process = network.start(["passt", "-f", "--runas", "0", "-4", "-s", path, "--mtu", "1500"], host)
    netns.wait_for(path.exists, 10, "passt's socket")
    process.path = path
    yield process
    network.web.close()
    path.unlink(missing_ok=True)


@needs("passt")
def test_passt_is_an_uplink(network, passt, softnet, guest_image):
    guard = [softnet, "run", "-v", "--vm-mac-address", MAC, "--uplink", f"stream:{passt.path}", "--"]
    guest = vm.VM(network, "guest", guest_image, "{mac}", DGRAM, guard, kind=services.Softnet)
    guest.boot()
    output = guest.run(LEASE)
    assert "lease 10.7.0.2/24" in output and "gateway 10.7.0.1" in output
    assert guest.run(FETCH) == "hello"
    assert network.web.requests == [("10.7.0.2", "/file")]
    counters = guest.process.counters()
    assert counters.dropped("uplink", "dhcp4-rogue-server", "dhcp4-bad-lease", "arp-gateway-spoof") == 0
    assert guest.power_off() == 0
