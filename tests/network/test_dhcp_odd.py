"""DHCP as it is found: servers that repeat themselves or answer from another port, a client with one transaction id for
ever, boot stages that each have a name of their own, a boot server beside the DHCP server; and a guest that makes use
of it.

    guests -- softnet -- br0 192.168.77.1 of the host, with a DHCP server and 1.1.1.1 behind it
"""

import pathlib
import signal
import socket
import time

import pytest

import dhcp_peers
import rawguest
import services
from conftest import needs
from dhcp_peers import CLIENTS, GATEWAY, Guest, guests_of, needs_peers, serve, start_client
from netns import Stalls, wait_for

ROM = pathlib.Path("/usr/lib/ipxe/qemu/pxe-e1000.rom")


@pytest.fixture
def hosted(network, softnet):
    return dhcp_peers.hosted(network)


@needs_peers(*CLIENTS, server="dnsmasq")
def test_server_that_says_it_twice(hosted):
    """dnsmasq writes its own server identifier, and then the one that it is told to."""
    services.dnsmasq(hosted, hosted.host, "192.168.77.10", "192.168.77.50", "600s",
                     f"--dhcp-option-force=54,{GATEWAY}", interface="br0", router=GATEWAY)
    for client, guest in guests_of(hosted, CLIENTS).items():
        assert guest.leases() == [guest.address], client
        guest.must_reach(GATEWAY)


class FarPortServer:
    """The least of a DHCP server: gives out one address, from port 1067."""
    PORT = 1067

    def __init__(self, network, address):
        self.address, self.wire = address, network.host.wire("br0")
        self.mac = network.host.mac("br0")
        self.answered = 0

    def answer(self, client_mac, seconds):
        """Answers what comes from this client for so long, or until an ACK was sent."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for frame in self.wire.frames():
                if dhcp_peers.is_dhcp(frame) and frame[6:12] == rawguest.mac_bytes(client_mac):
                    kind = frame[284]
                    self.send(frame, 5 if kind == 3 else 2)
                    if kind == 3:
                        return
            time.sleep(0.02)
        raise AssertionError("no REQUEST came")

    def send(self, question, kind):
        ip = socket.inet_aton
        message = b"\2\1\6\0" + question[46:50] + bytes(4) + question[54:58] + ip(self.address) + bytes(8) + \
            question[70:86] + bytes(192) + bytes.fromhex("63825363") + bytes([53, 1, kind, 54, 4]) + ip(GATEWAY) + \
            b"\x33\4" + (60).to_bytes(4, "big") + b"\1\4\xff\xff\xff\0\3\4" + ip(GATEWAY) + b"\xff"
        self.wire.send(rawguest.udp(self.mac, question[6:12].hex(":"), GATEWAY, self.address, self.PORT, 68,
                                    message))


def test_server_that_answers_from_another_port(hosted):
    guest = Guest(hosted, "vm")
    server = FarPortServer(hosted, "192.168.77.10")
    client = hosted.start([services.busybox(), "udhcpc", "-f", "-i", "eth0", "-t", "100", "-T", "1", "-s",
                           services.CHECKOUT / "tests" / "vm" / "udhcpc.sh"], guest.namespace)
    server.answer(guest.mac, 10)
    client.wait_line("^lease 192.168.77.10/24 from")
    guest.must_reach()
    client.signal(signal.SIGUSR1)       # renew
    server.answer(guest.mac, 10)
    guest.guard.wait_line("lease renewed: 192.168.77.10")
    guest.must_reach()


@needs_peers("dhcpcd", server="dnsmasq")
def test_client_with_one_transaction_id_for_ever(hosted):
    """xidhwaddr: the id is made of the MAC address. After a release it must not have to wait until the id is clean."""
    serve(hosted, "dnsmasq", lease=600, renew=300, rebind=400)
    guest = Guest(hosted, "vm")
    config = hosted.logs / "dhcpcd.conf"
    config.write_text("xidhwaddr\n")
    took = []
    for _ in range(2):
        begun = time.monotonic()
        with Stalls() as stalls:
            client = dhcp_peers.start_hidden(
                hosted, guest, "dhcpcd", "mkdir /run/dhcpcd && mount -t tmpfs tmpfs /var/lib/dhcpcd",
                f"dhcpcd --nobackground --ipv4only --noipv4ll --noarp --config {config} --script /bin/true eth0")
        took.append(time.monotonic() - begun)
        assert took[-1] < stalls.added_to(4)
        guest.must_reach()
        wait_for(lambda: time.monotonic() > begun + took[-1] + 2.2, 5, "a copy of the ACK to be out of the question")
        mark = guest.guard.mark()
        client.signal(signal.SIGALRM)       # release
        guest.guard.wait_line("lease lost: .*, released", 10, since=mark)
        client.wait(5)
    assert guest.guard.counters().dropped("guest", "dhcp4-spent-id", "dhcp4-request-form") == 0


@needs("dnsmasq")
def test_each_boot_stage_has_its_lease(hosted):
    serve(hosted, "dnsmasq", lease=3600, renew=1800, rebind=3000)
    guest = Guest(hosted, "vm")
    addresses = []
    for stage in range(8):
        client = start_client(hosted, guest, "udhcpc", "-x", f"0x3d:00{stage:02x}77")
        addresses.append(guest.address)
        guest.must_reach(GATEWAY)
        client.stop()
        guest.namespace.ip("address flush dev eth0")
    assert len(set(addresses)) == 8 and guest.guard.counters().dropped("guest", "dhcp4-client-id-limit") == 0


@needs("dnsmasq")
def test_one_guest_does_not_drain_the_pool(hosted):
    """As many names as it can say in twelve seconds, without a limit on messages."""
    server = serve(hosted, "dnsmasq", lease=3600, renew=1800, rebind=3000)
    raw = rawguest.RawGuest(hosted, "52:54:00:00:00:0a", "--uplink", "tap:u-raw,bridge=br0", "--rate", "dhcp=1/0")
    end, number = time.monotonic() + 6, 0
    while time.monotonic() < end:
        number += 1
        options = b"\x3d\x05\0" + number.to_bytes(4, "big")
        for kind, more in (1, b""), (3, b"\x32\4" + socket.inet_aton(f"192.168.77.{10 + number % 40}")):
            raw.send(rawguest.udp(raw.mac, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", 68, 67,
                                  rawguest.dhcp(raw.mac, kind, number, options + more)))
        raw.drain()
        time.sleep(0.01)
    raw.wait_counted()
    assert number > 200 and 4 <= len(server.leases()) <= 9, server.leases()
    raw.guard.stop()
    raw.close()
    other = Guest(hosted, "other")
    start_client(hosted, other, "udhcpc")
    other.must_reach(GATEWAY)


def test_restarted_guard_that_knows_no_server(segment, softnet):
    """The bridge has no address, so the server was learned. What the client renews by unicast brings the lease back."""
    guest = Guest(segment, "vm", walled=True)
    client = start_client(segment, guest, "udhcpc")
    guest.guard.wait_line("gateway learned")
    guest.stop_guard()
    guest.start_guard()
    assert guest.leases() == []
    client.signal(signal.SIGUSR1)       # renew
    guest.guard.wait_line(f"lease new: {guest.address} ", 10)
    guest.must_reach("1.1.1.1")


@pytest.mark.long
@needs("qemu-system-x86_64", "dnsmasq")
@pytest.mark.skipif(not ROM.exists(), reason="not installed: ipxe-qemu")
@pytest.mark.parametrize("named", [True, False])
def test_firmware_boots_by_a_boot_server_of_its_own(hosted, named, tmp_path):
    """iPXE, with the DHCP server on .1 and a ProxyDHCP server on .2. Only one that is named may say what to boot."""
    serve(hosted, "dnsmasq", lease=600, renew=300, rebind=400)
    proxy = hosted.namespace("proxy", ipv6=False)
    hosted.join(proxy, "eth0", "br0", "192.168.77.2/24", mac="52:54:00:00:00:05")
    (tmp_path / "boot.ipxe").write_text("#!ipxe\necho BOOTED BY THE BOOT SERVER\nsleep 30\n")
    tmp_path.chmod(0o755)
    server = hosted.start([
        "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--group=root", "--pid-file=", "--port=0",
        "--interface=eth0", "--bind-interfaces", "--log-dhcp", "--no-ping", "--dhcp-range=192.168.77.0,proxy",
        "--dhcp-vendorclass=set:pxe,PXEClient", "--pxe-service=X86PC,boot,boot.ipxe", "--dhcp-boot=boot.ipxe",
        "--enable-tftp", f"--tftp-root={tmp_path}", "--dhcp-leasefile=/dev/null"], proxy, name="proxy")
    wait_for(lambda: ":4011 " in proxy.run("ss", "-Hlun"), 10, "the boot server to listen")
    options = ["--dhcp-server", f"{GATEWAY},192.168.77.2"] if named else []
    guard = hosted.start([services.softnet_path(), "run", "-v", "--vm-mac-address", "52:54:00:00:00:0a", "--uplink",
                          "tap:u-vm,bridge=br0", "--allow", "192.168.77.2:udp", *options, "--", "qemu-system-x86_64",
                          "-accel", "tcg", "-m", "128", "-nodefaults", "-nographic", "-serial", "stdio",
                          "-netdev", "dgram,id=n0,local.type=fd,local.str={fd}", "-device",
                          f"e1000,netdev=n0,mac={{mac}},romfile={ROM},bootindex=0"], name="vm", kind=services.Softnet)
    guard.wait_line("iPXE", 60)
    if named:
        guard.wait_line("BOOTED BY THE BOOT SERVER", 60)
        server.wait_line(r"PXE\(eth0\) 192\.168\.77\.10 ")        # what port 4011 was asked
        assert guard.counters().dropped("uplink", "dhcp4-rogue-server", "dhcp4-bad-lease") == 0
    else:
        guard.wait_counters(lambda now: now.dropped("uplink", "dhcp4-rogue-server") > 0, 60)
        guard.wait_line("lease new: ", 30)
