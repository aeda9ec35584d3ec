"""Processes of softnet that are killed at random moments, while they start, carry frames, take new rules, or end. Nothing forged
passes at any moment, what is started again works, and what was left does not grow.

    raw guest -- softnet -- tap, or slirp -- br0 -- gateway 192.168.77.1, with a DHCP server
    vm eth0 -- veth or tap, guarded -- br0, by softnet attach, softnet-cni, and the hook for libvirt

SOFTNET_KILL_SECONDS is how long it goes on (20), SOFTNET_KILL_SEED where its chances begin; both are printed.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

import cni_peers
import libvirt_peers
import rawguest
import services
import test_attach
import test_libvirt
from netns import run, wait_for
from rawguest import RawGuest, arp, mac_bytes, udp

MAC, GATEWAY, GATEWAY_MAC, FORGED = "52:54:00:00:00:0a", "192.168.77.1", "52:54:00:00:00:01", "192.168.77.66"
SLIRP_MAC, FAR, PORT = "52:55:0a:00:02:02", "1.1.1.1", 9
SECONDS = float(os.environ.get("SOFTNET_KILL_SECONDS", 20))
SEED = int(os.environ.get("SOFTNET_KILL_SEED", random.randrange(1 << 30)))
ATTACH = "--vm-mac-address", MAC, "--vm-ip", "192.168.77.10/24", "--no-dhcp", "--gateway", GATEWAY, "--gateway-mac", GATEWAY_MAC

OWN = re.compile(r"\.?lock|rules|state|(pcap|events|told)(\.[1-4])?|metrics|kept")        # that stay; not what was half written

pytestmark = [pytest.mark.long, pytest.mark.together("attach"),
              pytest.mark.skipif(test_attach.why_not() is not None, reason=str(test_attach.why_not()))]


def family_of(pid):
    """{name: number} of a process and all that it has started. A child has its parent's name before it has one of its own."""
    with contextlib.suppress(OSError):
        found = {pathlib.Path(f"/proc/{pid}/comm").read_text().strip(): pid}
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            for name, number in family_of(int(child)).items():
                found[f"a child of {name}" if name in found else name] = number
        return found
    return {}


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def names_of_ours():
    """All processes that run a program of softnet, except the guard of conftest.loaded."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            program = pathlib.Path(os.readlink(entry / "exe")).name
            if program.startswith("softnet") and b"keeps0" not in words:
                found.append(f"{(entry / 'comm').read_text().strip()} {entry.name}")
    return found


def reap():
    """Orphans are ours: this is the first process of its namespace. Until somebody has asked for them, they are there."""
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name, _, fields = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            if fields.split()[0] == "Z" and name.startswith("softnet"):
                os.waitpid(int(entry.name), os.WNOHANG)


def left(place):
    """What outlives processes: entries, claims, records, files of state, interfaces and their programs. `softnet status` takes dead entries away."""
    reap()
    subprocess.run([services.softnet_path(), "status"], capture_output=True, timeout=60)
    files = [path for folder in ("/run/softnet", place) for path in pathlib.Path(folder).rglob("*")]
    files = [str(path) for path in files if (path.is_socket() or path.is_symlink() or path.is_file()) and not OWN.fullmatch(path.name)]
    links = re.findall(r"^\d+: ([^:@]+)", run("ip", "-o", "link"), re.M)
    guarded = [link for link in links if link != "lo" and test_libvirt.is_guarded(link)]
    return {"files": len(files), "links": len(links), "guarded": len(guarded)}, (files, links, guarded)


class Ears:
    """Who hears what passes: datagrams to 1.1.1.1, which the gateway has, and for slirp the host; and each frame at the gateway."""

    def __init__(self, network):
        self.wire = network.gateway.wire("eth0")
        self.sockets = []
        for namespace in network.gateway, network.host:
            with namespace.entered():
                self.sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self.sockets[-1].bind((FAR, PORT))
            self.sockets[-1].setblocking(False)

    def listen(self):
        """What has come since the last call. Nothing forged is among it."""
        heard = []
        for one in self.sockets:
            with contextlib.suppress(BlockingIOError):
                while True:
                    heard.append(one.recv(100))
        frames = [frame for frame in self.wire.frames() if frame[6:12] == mac_bytes(MAC)]
        forged = [frame for frame in frames if socket.inet_aton(FORGED) in (frame[26:30], frame[28:32])]
        assert forged == [] and b"forged" not in heard, (forged, heard)
        return heard

    def close(self):
        for one in self.wire, *self.sockets:
            one.close()


@contextlib.contextmanager
def forging(namespace):
    """Forged frames of a VM, all the while."""
    def run():
        with contextlib.closing(namespace.wire("eth0")) as wire:
            while not over.wait(0.002):
                with contextlib.suppress(OSError):      # a queue that is full
                    wire.socket.send(udp(MAC, GATEWAY_MAC, FORGED, FAR, 5000, PORT, b"forged"))
                    wire.socket.send(arp(MAC, 2, FORGED, GATEWAY))
    over, thread = threading.Event(), threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    over.set()
    thread.join()


class Rounds:
    """One round each: something is started, something of it is killed, and what is started again has to work."""

    def __init__(self, network, place, chance):
        self.network, self.place, self.chance = network, place, chance
        self.kills, self.ears, self.number = {}, Ears(network), 0

    def pause(self, longest):
        time.sleep(self.chance.random() * longest)

    def count(self, what):
        self.kills[what] = self.kills.get(what, 0) + 1

    def strike(self, family, *names):
        """Kills one of those that are there; gives its name."""
        there = [name for name in names if name in family]
        if not there:
            return None
        name = self.chance.choice(there)
        kill(family[name])
        self.count(name)
        return name

    def forget(self):
        """What has ended, so that an hour of it does not fill the memory of the test."""
        for process in [one for one in self.network.processes if not one.running and one is not self.network.dhcp_server]:
            process.stop()
            assert "Sanitizer" not in " ".join(process.output()), process.output()
            process.popen.stdout.close()
            process.popen.stderr.close()
            process.log.close()
            pathlib.Path(process.log.name).unlink(missing_ok=True)
            self.network.processes.remove(process)

    # --- guards with ports ---------------------------------------------------------------------------------------------

    def begin(self, *options):
        """As RawGuest, which would wait until it stands."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        ours.setblocking(False)
        with theirs:
            guard = self.network.start([services.softnet_path(), "--vm-fd", str(theirs.fileno()), "--vm-mac-address", MAC, *options],
                                       pass_fds=[theirs.fileno()], name=f"killed-{time.monotonic_ns()}")
        return ours, guard

    def load(self, guest, guard, seconds):
        """Frames, good and forged, and now and then new rules or a signal to end."""
        end = time.monotonic() + seconds
        setting, chance = None, self.chance.random()
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                for source in "0.0.0.0", "192.168.77.10", FORGED:
                    guest.send(udp(MAC, "ff:ff:ff:ff:ff:ff", source, "255.255.255.255", 68, 67,
                                   rawguest.dhcp(MAC, 1, self.chance.randrange(1 << 32))))
                for mac in GATEWAY_MAC, SLIRP_MAC:
                    guest.send(udp(MAC, mac, FORGED, FAR, 5000, PORT, b"forged"))
                guest.send(arp(MAC, 2, FORGED, GATEWAY))
            if chance < 0.4 and setting is None:
                setting = subprocess.Popen([services.softnet_path(), "policy", "set", "--vm", str(guard.pid), "--policy", self.place / "rules"],
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            elif chance > 0.9:
                guard.signal(signal.SIGTERM)
            time.sleep(0.002)
        return setting

    def ports(self, names, *options):
        guest, guard = self.begin(*options)
        setting = self.load(guest, guard, self.chance.random() * 0.4)
        family = family_of(guard.pid)
        struck = self.strike(family, *names)
        if struck in ("softnet", "softnet-keeper"):
            guard.wait(10)
        elif struck == "softnet-slirp":
            wait_for(lambda: not guard.running or "softnet-slirp" in family_of(guard.pid), 10, "another worker")
        guest.close()
        guard.signal(signal.SIGTERM)
        guard.wait(10)
        if setting:
            setting.wait(20)
        wait_for(lambda: names_of_ours() == [], 15, "all of it to end")
        self.works(*options)

    def works(self, *options):
        """The next one gets its lease, passes what is honest, and drops what is forged."""
        guest = RawGuest(self.network, MAC, *options, name=f"after-{time.monotonic_ns()}")
        guest.take_lease(self.chance.randrange(1 << 32))
        mac = SLIRP_MAC if "slirp" in options else GATEWAY_MAC
        before = guest.guard.counters()
        self.number += 1
        honest = b"honest %d" % self.number
        guest.send(udp(MAC, mac, FORGED, FAR, 5000, PORT, b"forged"), udp(MAC, mac, guest.address, FAR, 5000, PORT, honest))
        guest.guard.wait_counters(lambda c: c.dropped("guest", "ip4-src-spoof") > before.dropped("guest", "ip4-src-spoof"), 20)
        wait_for(lambda: honest in self.ears.listen(), 20, "the honest datagram")
        guest.guard.signal(signal.SIGTERM)
        assert guest.guard.wait(20) == 0, guest.guard.output()
        guest.close()

    def relay(self):
        self.ports(["softnet", "a child of softnet", "softnet-rules", "softnet-files"], "--uplink", "tap:u-raw,bridge=br0", "--state", self.place / "state",
                   "--pcap", self.place / "pcap", "--frames", "all", "--events", self.place / "events", "--metrics", self.place / "metrics")
        capture = subprocess.run([services.softnet_path(), "replay", self.place / "pcap"], capture_output=True, text=True)
        assert capture.returncode == 0, capture.stderr

    def slirp(self):
        self.ports(["softnet", "a child of softnet", "softnet-keeper", "softnet-slirp", "softnet-rules"], "--uplink", "slirp")

    def command(self):
        guard = self.network.start([services.softnet_path(), "run", "--vm-mac-address", MAC, "--uplink", "slirp", "--",
                                    "sh", "-c", ": {fd}; while :; do sleep 0.05; done"], name=f"killed-{time.monotonic_ns()}")
        self.pause(0.3)
        self.strike(family_of(guard.pid), "softnet", "softnet-run", "sh", "softnet-keeper", "softnet-slirp")
        self.pause(0.1)
        guard.signal(signal.SIGTERM)
        guard.wait(20)
        wait_for(lambda: names_of_ours() == [], 15, "all of it to end")

    # --- guards in the kernel ------------------------------------------------------------------------------------------

    def is_guarded_well(self, name):
        """An honest frame passes, a forged one does not."""
        vm, wire = self.network.vm, self.network.vm.wire("eth0")
        wait_for(lambda: test_attach.can_reach(vm, GATEWAY), 20, f"{name}: the gateway to answer")
        self.number += 1
        honest = b"honest %d" % self.number
        wire.send(udp(MAC, GATEWAY_MAC, FORGED, FAR, 5000, PORT, b"forged"), udp(MAC, GATEWAY_MAC, "192.168.77.10", FAR, 5000, PORT, honest))
        wait_for(lambda: honest in self.ears.listen(), 20, f"{name}: the honest datagram")
        wire.close()

    def veth(self):
        host = self.network.host
        host.ip("link add p-vm type veth peer name eth0 netns vm")
        host.ip("link set p-vm master br0 up")
        self.network.vm.ip(f"link set eth0 address {MAC} up\naddress add 192.168.77.10/24 dev eth0\n")

    def attach(self):
        """Once it was guarded, the port is so all the while; before that a start may be killed, too."""
        self.veth()
        words = [services.softnet_path(), "attach", "p-vm", *ATTACH, "--state", self.place / "kept", "--events", self.place / "told"]
        self.attach_killed(words, self.chance.randrange(3))
        guard = self.attach_well(words)
        with forging(self.network.vm):
            guard.signal(signal.SIGKILL)
            guard.wait(10)
            self.count("softnet")
            assert test_attach.can_reach(self.network.vm, GATEWAY), "honest frames without a process"
            self.attach_killed(words, self.chance.randrange(1, 4))
            guard = self.attach_well(words)
        guard.signal(signal.SIGTERM)
        assert guard.wait(20) == 0, guard.output()
        wait_for(lambda: names_of_ours() == [], 15, "all of it to end")
        self.network.host.ip("link delete p-vm")

    def attach_killed(self, words, times):
        for _ in range(times):
            guard = self.network.start(words, name=f"killed-{time.monotonic_ns()}")
            self.pause(0.6)
            self.strike(family_of(guard.pid), "softnet", "softnet-rules")
            self.pause(0.1)
            guard.signal(signal.SIGKILL)
            guard.wait(10)

    def attach_well(self, words):
        guard = self.network.start([*words, "-v"], name=f"after-{time.monotonic_ns()}", kind=services.Softnet)
        guard.wait_line("gateway MAC addresses", 60)
        guard.counters()
        self.is_guarded_well("attach")
        return guard

    def cni(self):
        vm, pods = self.network.vm, cni_peers.CniNetwork("pods", cni_peers.bridge("10.9.0.0/24"), cni_peers.softnet(block="any", allow="@host"))
        first, ours = pods.plugins
        command = self.chance.choice(["ADD", "ADD", "DEL"])
        if command == "ADD":
            result = cni_peers.call("bridge", "ADD", pods.config(first), "vm", "/run/netns/vm", "eth0")
        else:
            result = pods.add(vm)
        self.kill_plugin(pods.config(ours, result), command)
        pods.delete(vm)         # as a runtime does, whatever has become of the call
        wait_for(lambda: names_of_ours() == [], 15, "all of it to end")
        assert cni_peers.records() == []
        # And the next pod is guarded.
        pods.add(vm)
        assert test_attach.can_reach(vm, "10.9.0.1")
        forged = "10.9.0.66" if services.address_of(vm) != "10.9.0.66" else "10.9.0.67"
        vm.ip(f"address add {forged}/24 dev eth0")
        assert not test_attach.can_reach(vm, "10.9.0.1", forged)
        pods.delete(vm)

    def kill_plugin(self, config, command):
        environment = dict(os.environ, CNI_COMMAND=command, CNI_CONTAINERID="vm", CNI_NETNS="/run/netns/vm", CNI_IFNAME="eth0",
                           CNI_PATH=str(cni_peers.plugin_path().parent))
        plugin = subprocess.Popen([cni_peers.plugin_path()], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        plugin.stdin.write(json.dumps(config))
        plugin.stdin.flush()
        self.pause(0.01)        # it waits for the end of its input
        family = family_of(plugin.pid)
        plugin.stdin.close()
        plugin.stdin = None
        self.pause(0.2)
        struck = self.strike(family_of(plugin.pid) or family, "softnet-cni", "softnet")
        answer, _ = plugin.communicate(timeout=120)
        assert plugin.returncode <= 0 or (struck == "softnet" and json.loads(answer)["msg"]), (struck, answer)

    def hook(self):
        host = self.network.host
        host.ip("tuntap add dev waits0 mode tap\nlink set waits0 master br0 up\n")
        step = self.chance.choice([("start", "begin"), ("start", "begin"), ("release", "end")])
        if step[0] == "release":
            assert test_libvirt.call_hook("start", "begin", "waits0").returncode == 0
        hook = test_libvirt.begin_hook("waits0", services.softnet_path().parent, "called", *step, "-")
        self.pause(0.3)
        victims = {f"softnet-libvirt-hook {step[0]}": hook.pid}
        victims.update({"its keeper": pid for pid in libvirt_peers.keepers("called") if pid != hook.pid})
        victims.update({"its guard": pid for pid in libvirt_peers.guards().values()})
        self.strike(victims, *victims)
        hook.communicate(timeout=60)
        assert test_libvirt.call_hook("release", "end", "waits0").returncode == 0
        wait_for(lambda: names_of_ours() == [], 15, "all of it to end")
        # And the next start stands.
        assert test_libvirt.call_hook("start", "begin", "waits0").returncode == 0
        assert len(libvirt_peers.guards()) == 1
        assert test_libvirt.call_hook("release", "end", "waits0").returncode == 0
        wait_for(lambda: names_of_ours() == [], 15, "all of it to end")
        assert libvirt_peers.records() == []
        host.ip("link delete waits0")


@pytest.fixture
def rounds(loaded, segment, state_file, monkeypatch):
    # What looks for leaks is a process by the same name; without it the one that it has stopped would never go on.
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0")
    segment.vm = segment.namespace("vm")
    segment.host.ip("link set lo up")
    segment.host.ip(f"address add {FAR}/32 dev lo")
    place = state_file.parent
    (place / "rules").write_text("".join(f"allow 10.{n // 256}.{n % 256}.0/24\n" for n in range(2000)))
    rounds = Rounds(segment, place, random.Random(SEED))
    yield rounds
    rounds.ears.close()
    segment.host.ip(f"address del {FAR}/32 dev lo")


def test_killed_at_random(rounds):
    kinds = [rounds.relay, rounds.slirp, rounds.command, rounds.attach]
    kinds += [rounds.cni] if cni_peers.why_not("bridge", "host-local") is None else []
    kinds += [rounds.hook] if libvirt_peers.hook_path().exists() else []
    print(f"seed {SEED}, {SECONDS:.0f} s", flush=True)
    for kind in kinds:          # what the first of a kind makes for good: folders, a bridge
        kind()
    first, _ = left(rounds.place)
    end, done, told = time.monotonic() + SECONDS, 0, 0
    while time.monotonic() < end:
        kind = rounds.chance.choice(kinds)
        try:
            kind()
            rounds.ears.listen()
        except Exception:
            print(f"in round {done}, {kind.__name__}; killed so far {rounds.kills}", flush=True)
            raise
        rounds.forget()
        done += 1
        if time.monotonic() - told > 60:
            told = time.monotonic()
            print(f"{SECONDS - (end - told):.0f} s: {done} rounds, left {left(rounds.place)[0]}", flush=True)
    last, what = left(rounds.place)
    print(f"{done} rounds, killed {rounds.kills}; left after the first of each kind {first}, at the end {last}: {what}", flush=True)
    assert all(last[name] <= first[name] for name in first), what
    assert sum(rounds.kills.values()) >= done / 4
