"""docs/integrations.md says what to type, and each of its commands works: they are run from the page, to the letter.

    a stand-in for the VM -- what the page starts -- slirp, passt or a bridge with dnsmasq
"""

import contextlib
import fcntl
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

import libvirt_peers
import netns
import services
import vm
from conftest import needs, needs_others
from netns import wait_for

PAGE = (services.CHECKOUT / "docs/integrations.md").read_text()
MAC = "52:54:00:00:00:0a"
VM = 62000 + random.randrange(1000)
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 2, 0x1000


def blocks(title, language="sh"):
    """The blocks of code of a part of the page."""
    part = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S).group(1)
    return re.findall(rf"^```{language}\n(.*?)^```$", part, re.M | re.S)


def quoted(title):
    """Lines that stand indented in a part of the page."""
    part = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S).group(1)
    return [line.strip() for line in re.sub(r"^```.*?^```$", "", part, flags=re.M | re.S).splitlines() if line.startswith("    ")]


@pytest.fixture
def people():
    """The users of the page, where this machine has none of these names."""
    if not shutil.which("mount") or not os.access("/etc/passwd", os.R_OK):
        pytest.skip("no /etc/passwd")
    mounted = []
    for path, lines in (("/etc/passwd", f"vm:x:{VM}:{VM}::/:/bin/sh\nlibvirt-qemu:x:{VM + 1}:{VM + 1}::/:/bin/sh\n"),
                        ("/etc/group", f"vm:x:{VM}:\nkvm:x:{VM + 1}:\n")):
        names = {line.partition(":")[0] for line in lines.splitlines()}
        others = [line for line in pathlib.Path(path).read_text().splitlines(True) if line.partition(":")[0] not in names]
        changed = pathlib.Path("/run") / f"people{path.replace('/', '-')}"
        changed.write_text("".join(others) + lines)
        changed.chmod(0o644)
        netns.run("mount", "--bind", changed, path)
        mounted.append(path)
    yield
    for path in mounted:
        netns.run("umount", path)


def alive_in(group):
    """Processes of the group that have not ended, whether somebody has asked how or not."""
    def fields(entry):
        with contextlib.suppress(OSError):
            return (entry / "stat").read_text().rpartition(")")[2].split()
    return [entry.name for entry in pathlib.Path("/proc").glob("[0-9]*")
            if (words := fields(entry)) and int(words[2]) == group and words[0] != "Z"]


@pytest.fixture
def type_in(network, softnet, tmp_path):
    """Runs a block in the shell, with our softnet in the path; gives the process, of which others may be children."""
    folder = services.for_everybody(softnet).parent
    network.host.ip("link set lo up")

    def run(block, directory="/run"):
        shells.append(network.start(["env", "-C", directory, f"PATH={folder}:{os.environ['PATH']}", "bash", "-ec",
                                     block + "\nwait"], name="page"))
        return shells[-1]
    shells = []
    yield run
    for shell in shells:        # and all that it has started
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)
        wait_for(lambda: not alive_in(shell.pid), 10, "the page's programs to end")
    for leftover in "web1", "web1.sock", "metrics", "captures", "softnet-etc", "softnet-vm":
        path = pathlib.Path("/run") / leftover
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def status(softnet, name="web1"):
    done = subprocess.run([softnet, "status", "--json", "--vm", name], capture_output=True, text=True)
    return json.loads(done.stdout)[0] if done.returncode == 0 else None


def addresses(softnet):
    return [one["address"] for one in (status(softnet) or {"addresses": []})["addresses"]]


def discover(mac=MAC):
    return bytes(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255") /
                 UDP(sport=68, dport=67) / BOOTP(chaddr=bytes.fromhex(mac.replace(":", "")), xid=7, flags=0x8000) /
                 DHCP(options=[("message-type", "discover"), "end"]))


def is_offer(frame):
    packet = Ether(frame)
    return packet.haslayer(DHCP) and ("message-type", 2) in packet[DHCP].options


def offers_by_stream(path, user=0, group=0):
    """What a hypervisor of that user would get for its VM: True for a DHCP offer."""
    with socket.socket(socket.AF_UNIX) as peer:
        old = os.geteuid(), os.getegid()
        os.setegid(group)
        os.seteuid(user)
        try:
            peer.connect(str(path))
        finally:
            os.seteuid(old[0])
            os.setegid(old[1])
        peer.settimeout(5)
        frame = discover()
        peer.sendall(len(frame).to_bytes(4, "big") + frame)
        stream = peer.makefile("rb")
        with contextlib.suppress(OSError):
            while head := stream.read(4):
                if is_offer(stream.read(int.from_bytes(head, "big"))):
                    return True
    return False


# --- the page itself ----------------------------------------------------------------------------------------------------

def test_every_part_has_a_test():
    titles = set(re.findall(r"^## (.*)$", PAGE, re.M)) - {"Which way to take"}
    text = pathlib.Path(__file__).read_text()
    assert {title for title in titles if f'"{title}"' not in text} == set()


def test_the_readme_has_the_same_line():
    def words(text):
        return shlex.split(text.replace("\\\n", " ").partition(" -- ")[2])
    [block] = blocks("QEMU")
    first = re.search(r"^ {4}build/softnet run .*\\\n(?:.*\\\n)*.*", (services.CHECKOUT / "README.md").read_text(), re.M).group()
    assert words(first) == words(block)


# --- QEMU and libvirt ---------------------------------------------------------------------------------------------------

def boot_arguments(image):
    return ["-kernel", image / "vmlinuz", "-initrd", image / "initramfs", "-append", vm.kernel_arguments("ttyS0")]


@pytest.mark.skipif("x86_64" not in vm.qemu_name(), reason="the line of the page is for x86-64")
@pytest.mark.long
def test_qemu_boots(network, type_in, softnet, guest_image, tmp_path):
    """The whole line; the guest's system comes from a kernel on the same line instead of the disk."""
    [block] = blocks("QEMU")
    (tmp_path / "vm.qcow2").write_bytes(bytes(1 << 20))     # QEMU looks what it is: a disk without a system
    line = block.rstrip() + " " + shlex.join(map(str, boot_arguments(guest_image)))
    if os.path.exists("/dev/kvm"):      # which may be there and not work: this is about the line
        netns.run("mount", "--bind", "/dev/null", "/dev/kvm")
    try:
        shell = type_in(line, tmp_path)
        shell.wait_line(r"GUEST READY \S+ \S+", 120)
    finally:
        netns.run("umount", "/dev/kvm", check=False)
    shell.popen.stdin.write("udhcpc -i eth0 -n -q -s /bin/udhcpc.sh\n")
    shell.popen.stdin.flush()
    wait_for(lambda: "10.0.2.15" in addresses(softnet), 60, "the lease")
    wait_for(lambda: status(softnet)["exposes"][0]["state"] == "in-place", 10, "the port")


@needs_others
def test_a_hypervisor_of_another_user(people, type_in, softnet):
    shell = type_in(blocks("QEMU started by another program")[0])
    wait_for(lambda: status(softnet), 10, "the guard")
    with pytest.raises(PermissionError):
        offers_by_stream("/run/web1.sock", VM + 2, VM + 2)
    assert offers_by_stream("/run/web1.sock", VM, VM), shell.output()


@needs("qemu-system-x86_64")
@needs_others
@pytest.mark.parametrize("form", ["stream", "dgram"])
def test_qemu_takes_the_options_of_the_page(people, type_in, softnet, form):
    """QEMU itself, with a card but no system: it connects, and that is all that it does."""
    options = [line for line in quoted("QEMU started by another program") if line.startswith("-netdev " + form)]
    device = [line for line in quoted("QEMU started by another program") if line.startswith("-device")]
    assert len(options) == 1
    text = options[0]
    if "reconnect" not in subprocess.run(["qemu-system-x86_64", "-help"], capture_output=True, text=True).stdout.partition(
            "stream")[2].partition("-netdev dgram")[0]:
        text = text.replace(",reconnect=1", "")
    card = device[0] if device else "-device virtio-net-pci,netdev=n0,mac=52:54:00:00:00:0a"
    if form == "stream":
        guard = blocks("QEMU started by another program")[0]
    else:
        [way] = [line for line in quoted("QEMU started by another program") if line.startswith("--guest unixgram")]
        pathlib.Path("/run/web1").mkdir()
        os.chown("/run/web1", VM, VM)
        guard = f"softnet --name web1 --vm-mac-address {MAC} --uplink slirp {way}"
    type_in(guard)
    wait_for(lambda: status(softnet), 10, "the guard")
    qemu = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-m", "64", "-display", "none", "-nodefaults",
            *shlex.split(text), *shlex.split(card)]
    process = subprocess.Popen(qemu, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, user=VM, group=VM,
                               extra_groups=[], cwd="/")
    try:
        # The card's own firmware asks for a boot server: DHCP by the MAC address of the page.
        wait_for(lambda: process.poll() is not None or (status(softnet) or {"away": {"guest": "?"}})["away"]["guest"] is None,
                 30, "QEMU to connect")
        assert process.poll() is None, process.stderr.read()
    finally:
        process.kill()
        process.wait()


@needs_others
def test_libvirt_by_a_socket(people, type_in, softnet):
    """The guard, its socket for libvirt's user, and the domain as far as QEMU can be asked for it."""
    type_in(blocks("libvirt, by a socket")[0])
    wait_for(lambda: status(softnet), 10, "the guard")
    place = pathlib.Path("/run/web1.sock").stat()
    assert (place.st_uid, place.st_gid, place.st_mode & 0o777) == (VM + 1, VM + 1, 0o660)
    assert offers_by_stream("/run/web1.sock", VM + 1, VM + 1)
    [domain] = blocks("libvirt, by a socket", "xml")
    arguments = re.findall(r"<qemu:arg value='(.*)'/>", domain)
    assert arguments[0::2] == ["-netdev", "-device"] and f"mac={MAC}" in arguments[3]
    if not shutil.which("qemu-system-x86_64"):
        return
    process = subprocess.Popen(["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-m", "64", "-display", "none",
                                "-nodefaults", *arguments], stderr=subprocess.PIPE, text=True, cwd="/",
                               user=VM + 1, group=VM + 1, extra_groups=[])
    try:
        wait_for(lambda: process.poll() is not None or status(softnet)["away"]["guest"] is None, 30, "QEMU to connect")
        assert process.poll() is None, process.stderr.read()
    finally:
        process.kill()
        process.wait()


@pytest.mark.together("libvirt")
@pytest.mark.skipif(libvirt_peers.why_not() is not None, reason=str(libvirt_peers.why_not()))
def test_libvirt(segment, softnet, tmp_path):
    """The commands of the page, with its domain: QEMU's own processor stands in for KVM, and finds no system."""
    link, use, later = blocks("libvirt")
    [domain] = blocks("libvirt", "xml")
    segment.bridge("br1")
    libvirt = libvirt_peers.Libvirt(segment)
    etc = pathlib.Path("/etc/softnet")
    made = not etc.exists()
    try:
        etc.mkdir(exist_ok=True)
        libvirt.mount(str(etc), "-t", "tmpfs", "tmpfs")
        (etc / "web1-lan.rules").write_text("block @lan\n")
        (tmp_path / "web1.xml").write_text(domain.replace("type='kvm'", "type='qemu'"))
        page = f"PATH={softnet.parent}:$PATH; export LIBVIRT_DEFAULT_URI=qemu:///system\n"
        shown = subprocess.run(["bash", "-ec", page + link + use], cwd=tmp_path, text=True, capture_output=True, timeout=120)
        assert shown.returncode == 0, shown.stderr
        assert os.readlink("/etc/libvirt/hooks/qemu.d/softnet") == str(libvirt_peers.hook_path())
        assert "web1  52:54:00:00:00:0a" in shown.stdout
        assert shown.stdout.endswith("block any\nallow @dns:53\nblock @lan\n") or shown.stdout.endswith(
            "allow @dns:53\nblock any\nblock @lan\n"), shown.stdout
        libvirt.virsh("destroy", "web1")
        libvirt.virsh("undefine", "web1")
        libvirt.define(re.sub("<metadata>.*</metadata>", "", (tmp_path / "web1.xml").read_text(), flags=re.S))
        subprocess.run(["bash", "-ec", page + later], check=True, capture_output=True, timeout=60)
        libvirt.virsh("start", "web1")
        assert len(libvirt_peers.guards()) == 2
    finally:
        libvirt.close()
        if made:
            etc.rmdir()


# --- taps -----------------------------------------------------------------------------------------------------------

class Tap:
    """As Firecracker and Cloud Hypervisor open one."""

    def __init__(self, name):
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))

    def read(self):
        with contextlib.suppress(BlockingIOError):
            return os.read(self.fd, 2000)


def test_firecracker_and_cloud_hypervisor(segment, type_in, softnet):
    segment.host.set_ipv6("default", disable_ipv6=0)      # as on any host: the page must keep the bridge silent
    try:
        type_in(blocks("Firecracker and Cloud Hypervisor")[0])
        wait_for(lambda: status(softnet), 10, "the guard")
    finally:
        segment.host.set_ipv6("default", disable_ipv6=1)
    mention = " ".join(quoted("Firecracker and Cloud Hypervisor"))
    assert mention.count("web1-vm") == 2 and mention.count(MAC) == 2
    wait_for(lambda: "UP" in segment.host.ip("-br link show dev web1-vm", check=False), 10, "the page's commands")
    tap = Tap("web1-vm")
    def ask():
        os.write(tap.fd, discover())
        return any(is_offer(frame) for frame in iter(tap.read, None))
    wait_for(ask, 10, "an offer")
    # Nothing but the VM speaks on its wire: no false alarm.
    assert [drop["reason"] for drop in status(softnet)["drops"] if drop["side"] == "guest"] == []
    os.close(tap.fd)


@needs("busybox")
def test_a_network_namespace(network, type_in, softnet):
    network.host.set_ipv6("default", disable_ipv6=0)
    try:
        [block] = blocks("Network namespaces and containers")
        shell = type_in(block)
        shell.wait_line(r"lease of 10\.0\.2\.15 obtained", 20)
        assert "10.0.2.15" in addresses(softnet)
        # IPv6 that the host must not have on the tap is the namespace's again.
        shown = netns.run("ip", "netns", "exec", "web1", "cat", "/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
        assert shown == "0\n"
        wait_for(lambda: "fd00:10" in netns.run("ip", "-n", "web1", "-6", "addr", "show", "dev", "eth0"), 10, "IPv6")
        assert [drop["reason"] for drop in status(softnet)["drops"] if drop["reason"] == "eth-src-spoof"] == []
    finally:
        network.host.set_ipv6("default", disable_ipv6=1)
        netns.run("ip", "netns", "delete", "web1", check=False)


# --- networks -------------------------------------------------------------------------------------------------------

@needs("passt")
def test_passt(network, type_in, softnet):
    [block] = blocks("passt")
    network.host.ip("link add net0 type veth peer name net1")
    network.host.ip("address add 10.7.0.2/24 dev net0")
    network.host.ip("link set net0 up")
    network.host.ip("link set net1 up")
    network.host.ip("route add default via 10.7.0.1")
    pathlib.Path("/run/web1").mkdir(mode=0o777)
    pathlib.Path("/run/web1").chmod(0o777)      # passt and softnet give up root, each in its own way
    shell = type_in(block)
    wait_for(lambda: status(softnet) or not shell.running, 10, "the guard")
    assert shell.running, shell.output()
    assert offers_by_stream("/run/web1/guest.sock"), (shell.output(), status(softnet)["drops"], status(softnet)["passed"])


# --- services -------------------------------------------------------------------------------------------------------

def test_systemd(segment, type_in, softnet, tmp_path):
    """The block of the page, and the unit with what it makes of it."""
    [block] = blocks("systemd")
    unit = (services.CHECKOUT / "packaging/systemd/softnet@.service").read_text()
    config = pathlib.Path("/run/softnet-etc")
    config.mkdir()
    subprocess.run(["bash", "-ec", block.replace("/etc/softnet", str(config))], check=True)
    options = re.match("OPTIONS=(.*)", (config / "web1.conf").read_text()).group(1)
    line = re.search(r"^ExecStart=/usr/bin/(softnet .*)$", unit, re.M).group(1)
    # Folders that systemd makes: StateDirectory=, RuntimeDirectory=.
    for key, top in ("StateDirectory", tmp_path / "lib"), ("RuntimeDirectory", pathlib.Path("/run")):
        folder = top / re.search(rf"^{key}=(.*)$", unit, re.M).group(1).replace("%i", "web1")
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents):
        if folder != pathlib.Path("/tmp") and str(folder).startswith("/tmp"):
            folder.chmod(0o755)
    shell = type_in(line.replace("%i", "web1").replace("/var/lib", str(tmp_path / "lib")).replace("$OPTIONS", options))
    wait_for(lambda: status(softnet) or not shell.running, 10, "the guard")
    assert shell.running, shell.output()
    assert status(softnet)["policy"] == {"allow": 0, "block": 1}
    assert pathlib.Path("/run/softnet-vm/web1/guest.sock").is_socket()
    shown = {line for line in quoted("systemd")}
    assert shown == {"systemctl start softnet@web1", "systemctl reload softnet@web1"} and "ExecReload=" in unit


@needs("systemd-analyze")
def test_the_unit_is_one(tmp_path):
    """systemd reads it, alone and with the drop-ins."""
    unit = tmp_path / "softnet@.service"
    unit.write_text((services.CHECKOUT / "packaging/systemd/softnet@.service").read_text().replace("/usr/bin/softnet", "/bin/true"))
    dropin = tmp_path / "softnet@.service.d"
    dropin.mkdir()
    for file in "hardening.conf", "user.conf":
        shutil.copy(services.CHECKOUT / "packaging/systemd" / file, dropin)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", f"{tmp_path}/softnet@web1.service"], capture_output=True,
                          text=True, env=dict(os.environ, SYSTEMD_UNIT_PATH=f"{tmp_path}:"))
    ours = [line for line in done.stderr.splitlines() if "softnet" in line]
    assert ours == [], done.stderr


def test_prometheus(network, type_in, softnet):
    folder = pathlib.Path("/run/metrics")
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    type_in(blocks("Prometheus")[0])
    text = wait_for(lambda: (folder / "web1.prom").exists() and (folder / "web1.prom").read_text(), 10, "the file")
    printed = subprocess.run([softnet, "status", "--openmetrics"], capture_output=True, text=True, check=True).stdout
    source = (services.CHECKOUT / "softnet/counts/metrics.c").read_text()
    alerts = quoted("Prometheus")
    assert len(alerts) == 5
    for alert in alerts:
        metric = re.search(r"softnet_\w+", alert).group()
        assert f'"{metric}"' in source or f'"{metric.removesuffix("_total")}"' in source, metric
        for reason in re.findall(r'reason=~"(.*)"', alert):
            assert all(f'"{one}"' in (services.CHECKOUT / "core/wire/verdict.h").read_text() for one in reason.split("|"))
    for metric in "softnet_uplink_away", "softnet_info":
        assert f'{metric}{{vm="web1"' in text and f'{metric}{{vm="web1"' in printed


@needs("tshark")
def test_wireshark(network, type_in, softnet):
    folder = pathlib.Path("/run/captures")
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    capture, look = blocks("Wireshark")
    type_in(capture)
    wait_for(lambda: status(softnet), 10, "the guard")
    frame = bytes(Ether(src="02:00:00:00:00:99", dst="52:55:0a:00:02:02") / IP(src="10.0.2.15", dst="1.1.1.1") / TCP(dport=80))
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect("/run/web1.sock")
        for one in frame, discover():
            peer.sendall(len(one).to_bytes(4, "big") + one)
        def lines():
            # The fields of an old tshark have other names.
            done = subprocess.run(["bash", "-c", look], capture_output=True, text=True)
            return done.stdout if "eth-src-spoof" in done.stdout else None
        shown = wait_for(lines, 15, "the capture")
    [line] = shown.splitlines()
    assert line.startswith("guest\t") and "\tdrop eth-src-spoof: " in line, shown
