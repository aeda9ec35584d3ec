"""--pcap, read with tshark: what Wireshark shows, and frames as the guest sent them.

    guest -- softnet -- br0 -- gateway 192.168.77.1 with a DHCP server
"""

import pathlib
import shutil
import tempfile

import pytest
import scapy.utils

import netns
import rawguest
import services

MAC, GATEWAY_MAC = "52:54:00:00:00:0a", "52:54:00:00:00:01"
PASS, PRIVATE = "pass", "drop dst-private: destination is not global and no rule allows it"
SPOOFED = "drop eth-src-spoof: guest sends from a MAC that is not its own"

pytestmark = pytest.mark.skipif(not shutil.which("tshark"), reason="no tshark")


@pytest.fixture
def folder():
    """Where the guard may write, as every user that it can become."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        pathlib.Path(name).chmod(0o777)
        yield pathlib.Path(name)


def packets(path):
    """[(interface, comment, octets)] as tshark has them."""
    now, plain = path.with_suffix(".now"), path.with_suffix(".plain")
    shutil.copy(path, now)      # the guard goes on writing
    lines = netns.run("tshark", "-n", "-r", now, "-T", "fields", "-e", "frame.interface_name", "-e", "frame.comment")
    netns.run("tshark", "-n", "-r", now, "-F", "pcap", "-w", plain)
    frames = [octets for octets, _ in scapy.utils.RawPcapReader(str(plain))]
    told = [tuple(line.split("\t")) for line in lines.splitlines() if "\t" in line]    # without the warning to root
    assert len(told) == len(frames)
    return [(*words, octets) for words, octets in zip(told, frames)]


def udp_to(destination, source, mac=MAC, octets=100):
    return rawguest.udp(mac, GATEWAY_MAC, source, destination, 4000, 4001, bytes(octets))


def test_what_tshark_shows(segment, folder, softnet):
    vm = segment.namespace("vm", ipv6=False)
    file, control = folder / "vm.pcapng", folder / "control"
    guard = services.guard(segment, vm, MAC, "br0", "--pcap", file, "--frames", "all", "--control", control, "--ipv6",
                           "off")
    client = services.udhcpc(segment, vm)
    client.stop()
    address, wire = services.address_of(vm), vm.wire("eth0")
    sent = [udp_to("1.1.1.1", address), udp_to("10.8.0.1", address), udp_to("1.1.1.1", address, mac="52:54:00:00:00:0b")]
    wire.send(*sent)
    guard.wait_counters(lambda now: now.dropped("guest", "eth-src-spoof") == 1)
    netns.run(softnet, "policy", "set", "--control", control, "--allow", "10.0.0.0/8")
    wire.send(sent[1])
    netns.wait_for(lambda: (PASS, sent[1]) in [packet[1:] for packet in packets(file)], 5, "what the new rules let pass")
    guard.stop()
    assert file.stat().st_mode & 0o777 == 0o600
    shown = packets(file)
    ours = [(interface, comment) for interface, comment, octets in shown if octets in sent]
    assert ours == [("guest", PASS), ("guest", PRIVATE), ("guest", SPOOFED), ("guest", PASS)]
    kinds = netns.run("tshark", "-n", "-r", file, "-Y", "dhcp", "-T", "fields", "-e", "frame.interface_name", "-e",
                      "dhcp.option.dhcp", "-e", "frame.comment").split("\n")
    assert [line.split() for line in kinds if "\t" in line][:4] == [
        ["guest", "1", PASS], ["uplink", "2", PASS], ["guest", "3", PASS], ["uplink", "5", PASS]]
    # The uplink told its own addresses, and live control has changed the rules: each begins its section.
    raw = file.read_bytes()
    assert raw.count(b"\x0a\x0d\x0d\x0a") == 2 and raw.count(b"--allow=10.0.0.0/8\n") == 1
    assert f"softnet {netns.run(softnet, '--version').split()[1]}\n--vm-mac-address={MAC}\n".encode() in raw


@pytest.mark.long
def test_a_flood_is_bounded_and_a_folder_must_be_writable(segment, folder, softnet):
    folder.chmod(0o755)
    failed = segment.start([softnet, "--vm-mac-address", MAC, "--guest", "tap:g-x", "--uplink", "tap:u-x,bridge=br0",
                            "--user", "nobody", "--pcap", folder / "vm.pcapng"])
    assert failed.wait() == 1
    assert failed.output()[-1].startswith(f"softnet: --pcap: {folder / 'vm.pcapng'}: cannot write: Permission denied")
    folder.chmod(0o777)
    vm = segment.namespace("vm", ipv6=False)
    guard = services.guard(segment, vm, MAC, "br0", "--pcap", folder / "vm.pcapng", "--pcap-size", "1M",
                           "--pcap-files", "2", "--vm-ip", "192.168.77.12", "--ipv6", "off")
    wire = vm.wire("eth0")
    flood = udp_to("10.8.0.1", "192.168.77.12", octets=1400)
    for dropped in range(500, 3001, 500):       # a tap's queue takes a thousand
        wire.send(*[flood] * 500)
        guard.wait_counters(lambda now: now.dropped("guest", "dst-private") >= dropped)
    guard.stop()
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert sizes.keys() == {"vm.pcapng", "vm.pcapng.1"} and max(sizes.values()) <= 1 << 20
    assert sizes["vm.pcapng.1"] > (1 << 20) - 2000
    for name in sizes:
        assert {comment for side, comment, _ in packets(folder / name) if side == "guest"} == {PRIVATE}
