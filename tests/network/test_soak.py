"""Mixed load for a long time: guards of each kind with short leases, attacks and floods of their own VMs and of a neighbor, rules that
change, and guards that are started again. Memory and descriptors stay flat; each honest datagram comes back, or a queue that was full
has counted it; and each frame that a VM has sent is counted.

    vm tap, vm veth (attach), stream of a hypervisor -- softnet -- br0 -- gateway 192.168.77.1, Kea, 1.1.1.1; neighbor
    vm tap -- softnet -- slirp -- 1.1.1.1 of the host

SOFTNET_SOAK_MINUTES is how long it goes on (1).
"""

import contextlib
import json
import os
import pathlib
import random
import select
import signal
import socket
import statistics
import struct
import subprocess
import threading
import time

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

import dhcp_peers
import rawguest
import services
import test_attach
from netns import wait_for

MINUTES = float(os.environ.get("SOFTNET_SOAK_MINUTES", 1))
FAR, FORGED, PORT, GATEWAY_MAC = "1.1.1.1", "192.168.77.66", 7, "52:54:00:00:00:01"
INTERVAL, SAMPLE_SECONDS, LEASE = 0.02, 30 if MINUTES > 5 else 3, 40
GROWTH, SLACK = 1.05, 512 << 10       # of the last third over the second one
QUEUES = "queue-full", "write-error", "overrun"

pytestmark = [pytest.mark.long, pytest.mark.together("attach"),
              pytest.mark.skipif(test_attach.why_not() is not None, reason=str(test_attach.why_not()))]


def attacks(mac):
    """What no VM may send."""
    frames = [Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / ARP(op=2, hwsrc=mac, psrc="192.168.77.1", pdst=FORGED),
              Ether(src=mac, dst="52:54:00:00:00:01") / IP(src=FORGED, dst=FAR) / UDP(sport=5, dport=9) / b"forged",
              Ether(src="02:00:00:00:00:09", dst="ff:ff:ff:ff:ff:ff") / IP(src=FORGED, dst=FAR) / UDP(dport=9) / b"forged",
              Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / IP(src="192.168.77.1", dst="255.255.255.255") / UDP(sport=67, dport=68) / bytes(240),
              Ether(src=mac, dst="52:54:00:00:00:01", type=0x88b5) / bytes(46)]
    return [bytes(frame) for frame in frames] + [os.urandom(60) for _ in range(5)]


class Kernel:
    """A VM with a network stack and a DHCP client of its own: its datagrams have numbers, and come back."""

    def __init__(self, name, namespace, guard, dhcp):
        self.name, self.namespace, self.guard, self.dhcp = name, namespace, guard, dhcp
        self.frames = attacks(namespace.mac("eth0"))
        self.wire = namespace.wire("eth0")
        with namespace.entered():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.setblocking(False)

    def send_number(self, number):
        self.socket.sendto(struct.pack("!Q", number), (FAR, PORT))

    def numbers(self):
        """Those that have come back since the last call."""
        found = []
        with contextlib.suppress(OSError):
            while True:
                found.append(struct.unpack("!Q", self.socket.recv(100))[0])
        return found

    def attack(self, frame):
        with contextlib.suppress(BlockingIOError, OSError):     # a queue that is full
            self.wire.socket.send(frame)

    def rest(self):
        self.wire.frames()

    def frames_sent(self):
        """As its kernel counts them; what the tap's queue had no room for, too."""
        [link] = json.loads(self.namespace.ip("-j -s link show eth0"))
        return link["stats64"]["tx"]["packets"] + link["stats64"]["tx"]["dropped"]


class Hypervisor(rawguest.RawGuest):
    """A VM behind a stream, as QEMU's: four octets of length before each frame. It asks for its lease again before it sends, when half
    of it is over. So it sends nothing that is not honest, however long the machine lets it wait."""

    name = "stream"

    def __init__(self, network, mac, *options, number=0):
        super().__init__(network, mac, *options, name=f"stream-{number}", kind=socket.SOCK_STREAM)
        self.octets, self.frames, self.back = b"", attacks(mac), []
        self.socket.settimeout(60)
        self.leased_at = -LEASE
        self.rest()

    def send(self, *frames):
        for frame in frames:
            self.socket.sendall(len(frame).to_bytes(4, "big") + frame)
        self.sent += len(frames)

    def next_frame(self, end):
        while len(self.octets) < 4 or len(self.octets) < 4 + int.from_bytes(self.octets[:4], "big"):
            if not select.select([self.socket], [], [], max(0.0, end - time.monotonic()))[0]:
                return None
            self.octets += self.socket.recv(1 << 16)
        length = int.from_bytes(self.octets[:4], "big")
        frame, self.octets = self.octets[4:4 + length], self.octets[4 + length:]
        return frame

    def receive(self, timeout=5):
        """The next frame that is neither a number that has come back, nor a question for its MAC address."""
        end = time.monotonic() + timeout
        while (frame := self.next_frame(end)) is not None:
            if len(frame) >= 50 and frame[23:24] == b"\x11" and frame[34:36] == PORT.to_bytes(2, "big"):
                self.back.append(struct.unpack("!Q", frame[42:50])[0])
            elif frame[12:14] == b"\x08\x06" and self.address and frame[38:42] == socket.inet_aton(self.address):
                self.send(rawguest.arp(self.mac, 2, self.address, socket.inet_ntoa(frame[28:32]), GATEWAY_MAC, GATEWAY_MAC))
            else:
                return frame
        return None

    def send_number(self, number):
        self.send(rawguest.udp(self.mac, GATEWAY_MAC, self.address, FAR, 5000, PORT, struct.pack("!Q", number)))

    def numbers(self):
        self.drain()
        found, self.back = self.back, []
        return found

    def attack(self, frame):
        self.send(frame)

    def rest(self):
        if time.monotonic() > self.leased_at + LEASE / 2:
            asked_at = time.monotonic()
            self.take_lease(random.randrange(1 << 32))
            self.leased_at = asked_at

    def frames_sent(self):
        return self.sent


class Traffic:
    """One VM's honest datagrams, and attacks between them, until they are stopped. Paused while its guard is started again."""

    def __init__(self, vm):
        self.vm, self.sent, self.back, self.lost, self.queues, self.frames = vm, 0, set(), 0, 0, 0
        self.lock, self.over, self.flood = threading.Lock(), threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.why, self.longest, self.last = None, 0.0, time.monotonic()

    def run(self):
        try:
            while not self.over.wait(INTERVAL):
                with self.lock:
                    self.turn()
        except Exception as why:    # told at the end, by who waits for this thread
            self.why = why

    def turn(self):
        """How long it had to wait is measured: what the machine does not let run loses no frame, but more time than a lease has."""
        now = time.monotonic()
        self.longest, self.last = max(self.longest, now - self.last), now
        self.vm.rest()
        self.vm.send_number(self.sent)
        self.sent += 1
        for frame in random.choices(self.vm.frames, k=200 if self.flood.is_set() else 3):
            self.vm.attack(frame)
        self.back.update(self.vm.numbers())

    def wait_for_all(self):
        """What is under way arrives."""
        end = time.monotonic() + 5
        while len(self.back) + self.lost < self.sent and time.monotonic() < end:
            self.back.update(self.vm.numbers())
            time.sleep(0.01)
        self.lost = self.sent - len(self.back)

    @contextlib.contextmanager
    def paused(self):
        with self.lock:
            self.wait_for_all()
            yield
            self.last = time.monotonic()

    def settle(self):
        """Of a guard that ends: what its queues had no room for; each frame of its VM has its place in the counters."""
        pid = self.vm.guard.pid
        wait_for(lambda: counted(pid) == self.vm.frames_sent(), 20, f"{self.vm.name}: all of {self.vm.frames_sent()} frames to be counted")
        self.frames += counted(pid)
        self.queues += counted(pid, QUEUES)


def family(pid):
    with contextlib.suppress(OSError):
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(one for child in children for one in family(int(child)))]
    return []


def sample(pid):
    """(octets of memory that no file backs and that is no other's, descriptors) of a guard and its processes."""
    octets = descriptors = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            told = pathlib.Path(f"/proc/{one}/smaps_rollup").read_text()
            octets += sum(int(line.split()[1]) << 10 for line in told.splitlines() if line.startswith(("Private_", "Pss_Shmem:")))
            descriptors += len(os.listdir(f"/proc/{one}/fd"))
    return octets, descriptors


def status(pid):
    """Asked until it answers: on a machine with more to do, the two seconds that `softnet status` waits may be too short."""
    def ask():
        done = subprocess.run([services.softnet_path(), "status", "--json"], capture_output=True, text=True, timeout=120)
        return next((one for one in json.loads(done.stdout or "[]") if one["pid"] == pid), None)
    return wait_for(ask, 60, f"the status of {pid}")


def counted(pid, reasons=None):
    """Frames from the VM, that passed or not; or those of both sides that were dropped for one of these reasons."""
    told = status(pid)
    if reasons:
        return sum(drop["count"] for drop in told["drops"] if drop["reason"] in reasons)
    return told["passed"]["guest"]["frames"] + sum(drop["count"] for drop in told["drops"] if drop["side"] == "guest")


class Soak:
    def __init__(self, network, folder):
        self.network, self.folder, self.samples, self.starts, self.updates = network, folder, {}, 0, 0
        self.network.host.ip("link set lo up\naddress add 1.1.1.1/32 dev lo\n")
        self.echoes = [services.Echo(network.gateway, FAR, PORT), services.Echo(network.host, FAR, PORT)]
        for echo in self.echoes:
            echo.datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        network.neighbor = network.namespace("neighbor")
        network.join(network.neighbor, "eth0", "br0", "192.168.77.9/24")
        self.neighbor = network.neighbor.wire("eth0")
        network.dhcp_server.stop()
        dhcp_peers.kea(network, network.gateway, "192.168.77.10-192.168.77.50", LEASE, LEASE // 2, LEASE * 3 // 4)
        self.traffic = [Traffic(vm) for vm in (self.tap(), self.slirp(), self.attach(), self.stream())]
        self.kinds = {one.vm.name: one for one in self.traffic}

    def files(self, name):
        return ["--state", self.folder / f"{name}.state", "--events", self.folder / f"{name}.events", "--pcap", self.folder / f"{name}.pcap",
                "--metrics", self.folder / f"{name}.metrics", "--pcap-size", "2M", "--ipv6", "off"]

    def tap(self):
        vm = self.network.namespace("tap", ipv6=False)
        guard = services.guard(self.network, vm, "52:54:00:00:00:0a", "br0", *self.files("tap"), name="tap")
        return Kernel("tap", vm, guard, services.udhcpc(self.network, vm))

    def slirp(self):
        vm = self.network.namespace("slirp", ipv6=False)
        guard = self.network.start([services.softnet_path(), "--vm-mac-address", "52:54:00:00:00:0b", "--guest", "tap:g-slirp", "--uplink", "slirp",
                                    "-v", *self.files("slirp")], name="slirp", kind=services.Softnet)
        guard.wait_line("gateway MAC addresses", 20)
        wait_for(lambda: "g-slirp" in self.network.host.links(), 10)
        self.network.host.ip("link set g-slirp netns slirp")
        vm.ip("link set g-slirp name eth0 address 52:54:00:00:00:0b up")
        return Kernel("slirp", vm, guard, services.udhcpc(self.network, vm))

    def attach(self):
        vm = self.network.namespace("attach", ipv6=False)
        guard = services.attach(self.network, vm, "52:54:00:00:00:0c", "br0", *self.files("attach"), name="attach")
        return Kernel("attach", vm, guard, services.udhcpc(self.network, vm))

    def stream(self):
        return Hypervisor(self.network, "52:54:00:00:00:0d", "--uplink", "tap:u-stream,bridge=br0", *self.files("stream"), number=self.starts)

    # --- what happens meanwhile -----------------------------------------------------------------------------------------

    def renew(self):
        for one in self.traffic:
            if one.vm.name != "stream":
                one.vm.dhcp.signal(signal.SIGUSR1)
            else:
                with one.paused():
                    one.vm.leased_at -= LEASE

    def release(self):
        """The address goes back, and the next lease is asked for. A VM without an address sends nothing honest.
        Faster than one in 59 s the guard would not take new leases for long (newlease)."""
        one = self.kinds["tap"]
        with one.paused():
            services.release_udhcpc(one.vm.dhcp, one.vm.namespace)
            wait_for(lambda: services.address_of(one.vm.namespace) is None, 20, "the address to go")
            mark = one.vm.dhcp.mark()
            one.vm.dhcp.signal(signal.SIGUSR1)
            one.vm.dhcp.wait_line(r"^lease \S+ from", 20, since=mark)
            services.wait_for_route(one.vm.namespace)

    def restart_stream(self):
        one = self.kinds["stream"]
        with one.paused():
            one.settle()
            one.vm.guard.signal(random.choice([signal.SIGTERM, signal.SIGKILL]))
            one.vm.guard.wait(20)
            one.vm.close()
            self.starts += 1
            wait_for(lambda: "u-stream" not in self.network.host.links(), 10, "the tap to go")
            one.vm = self.stream()

    def restart_attach(self):
        """Its frames go on all the while, and the programs count."""
        vm = self.kinds["attach"].vm
        vm.guard.signal(random.choice([signal.SIGTERM, signal.SIGKILL]))
        vm.guard.wait(20)
        self.starts += 1
        vm.guard = services.attach(self.network, vm.namespace, "52:54:00:00:00:0c", "br0", *self.files("attach"), name=f"attach-{self.starts}")

    def warm_up(self):
        """The largest policy into each place that a guard has for one, and a flood; what is compared comes behind that."""
        for one in self.traffic:
            one.flood.set()
        for one in self.traffic * 4:
            self.update(one.vm, 3000)
            self.update(one.vm, 2999)

    def update(self, vm=None, count=None):
        rules, count = self.folder / "rules", count or random.choice([1, 100, 3000])
        rules.write_text("allow 192.168.77.1\n" + "".join(f"allow 10.{n // 256}.{n % 256}.0/24\n" for n in range(count)))
        vm = vm or random.choice(self.traffic).vm
        done = subprocess.run([services.softnet_path(), "policy", "set", "--vm", str(vm.guard.pid), "--policy", rules], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        self.updates += 1

    def take_sample(self):
        for name, one in self.kinds.items():
            self.samples.setdefault(name, []).append(sample(one.vm.guard.pid))

    def forget(self):
        for process in [one for one in self.network.processes if not one.running]:
            process.stop()
            process.log.close()
            self.network.processes.remove(process)

    def attack(self):
        """Of a neighbor: it would be the gateway, and the DHCP server."""
        own = self.network.neighbor.mac("eth0")
        for mac in (f"52:54:00:00:00:0{digit}" for digit in "abcd"):
            self.neighbor.send(Ether(src=own, dst=mac) / ARP(op=2, hwsrc=own, psrc="192.168.77.1", hwdst=mac, pdst=FORGED),
                               Ether(src=own, dst=mac) / IP(src="192.168.77.1", dst="255.255.255.255") / UDP(sport=67, dport=68) / bytes(240))

    def run(self, minutes):
        doings = [(2, self.update), (7, self.renew), (61, self.release), (43, self.restart_stream), (57, self.restart_attach),
                  (SAMPLE_SECONDS, self.take_sample), (60, self.forget), (0.5, self.attack)]
        begin = time.monotonic()
        due = [(begin + every / 2, every, what) for every, what in doings]
        while time.monotonic() < begin + minutes * 60:
            now = time.monotonic()
            for number, (when, every, what) in enumerate(due):
                if now >= when:
                    due[number] = now + every, every, what
                    what()
            for one in self.traffic:        # two seconds of each minute
                one.flood.set() if (now - begin) % 60 > 58 else one.flood.clear()
            assert not [one.why for one in self.traffic if one.why], [one.why for one in self.traffic]
            time.sleep(0.05)

    @contextlib.contextmanager
    def traffic_on(self):
        for one in self.traffic:
            one.thread.start()
        try:
            yield
            for one in self.traffic:
                one.over.set()
                one.thread.join()
                one.wait_for_all()
                one.settle()
        finally:
            for one in self.traffic:
                one.over.set()
                one.vm.guard.stop()     # its files are about to go
            for echo in self.echoes:
                echo.close()


def thirds(values):
    """The medians of each."""
    third = len(values) // 3
    return [int(statistics.median(part)) >> (10 if max(values) > 1000 else 0) for part in (values[:third], values[third:2 * third], values[-third:])]


def is_flat(values):
    third = len(values) // 3
    second, last = statistics.median(values[third:2 * third]), statistics.median(values[-third:])
    return last <= second * GROWTH + (SLACK if second > 1000 else 1)


def test_soak(loaded, segment, state_file):
    soak = Soak(segment, state_file.parent)
    with soak.traffic_on():
        soak.warm_up()
        soak.run(MINUTES)
    keeps_freed = b"libasan" in services.softnet_path().read_bytes()
    print(f"{MINUTES:.0f} min, {soak.updates} policies, {soak.starts} starts", flush=True)
    for name, one in soak.kinds.items():
        octets, descriptors = zip(*soak.samples[name])
        print(f"{name}: {one.sent} honest, {len(one.back)} came back, queues counted {one.queues}; {one.frames} frames in all, each counted; "
              f"no turn for {one.longest:.2f} s; thirds of memory, kB {thirds(octets)}, of descriptors {thirds(descriptors)}", flush=True)
    for name, one in soak.kinds.items():
        octets, descriptors = zip(*soak.samples[name])
        assert one.sent - len(one.back) <= one.queues, name
        assert is_flat(descriptors), (name, descriptors)
        assert keeps_freed or name in ("attach", "stream") or is_flat(octets), (name, octets)     # those were started again
    segment.host.ip("address del 1.1.1.1/32 dev lo")
