"""Guards in each form, for faults: peers on both sides that know what must arrive and what must not, and what makes a guard work.

    guest -- softnet -- the network       a pair of sockets, a stream, a tap, slirp, or a port that is guarded in the kernel
"""

import contextlib
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import tempfile
import time

import rawguest
import services
import test_attach_ports
from netns import NetworkError, run, wait_for
from rawguest import udp

MAC, GATEWAY, GATEWAY_MAC, ADDRESS = "52:54:00:00:00:0a", "192.168.77.1", "52:54:00:00:00:01", "192.168.77.10"
FORGED, FAR, PORT = "192.168.77.66", "1.1.1.1", 9
STATIC = "--vm-ip", f"{ADDRESS}/24", "--gateway", GATEWAY, "--gateway-mac", GATEWAY_MAC
HONEST, FOREIGN = b"an honest frame", b"a forged frame"


class Scene:
    """One guard. `words` come behind the program; `files`: it keeps all that it can keep."""

    def __init__(self, network, *, supervisor=None, more=(), folder=None, program=None):
        self.network, self.supervisor = network, supervisor
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="fault-", dir="/run"))
        self.place.chmod(0o777)
        self.forged = 0
        self.sent = {"guest": 0, "uplink": 0}
        (self.place / "rules").write_text("".join(f"allow 10.{n // 256}.{n % 256}.0/24\n" for n in range(300)))
        self.log = open(self.place / "stderr", "w+")
        self.open()
        files = ["--state", "state", "--pcap", "pcap", "--frames", "all", "--events", "events", "--metrics", "metrics"]
        words = [program or services.softnet_path(), *self.words(), *more,
                 *(word if word.startswith("-") or word == "all" else (folder or self.place) / word for word in files),
                 *self.command()]
        if supervisor:
            supervisor.start()
        self.process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        pass_fds=self.descriptors(), cwd="/", preexec_fn=supervisor.install if supervisor else None)
        self.hand_over()

    # From which side each frame is known that comes to the guard.
    counted = "guest", "uplink"

    # --- what forms differ in -------------------------------------------------------------------------------------------

    def open(self):
        self.guest, self.guests = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.uplink, self.uplinks = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for one in self.guest, self.uplink:
            one.setblocking(False)

    def words(self):
        return ["--vm-mac-address", MAC, "--guest", f"fd:{self.guests.fileno()}", "--uplink", f"fd:{self.uplinks.fileno()}", *STATIC]

    def command(self):
        return []

    def descriptors(self):
        return [self.guests.fileno(), self.uplinks.fileno()]

    def hand_over(self):
        self.guests.close()
        self.uplinks.close()

    def from_guest(self, frame):
        with contextlib.suppress(OSError):
            self.guest.send(frame)
            self.sent["guest"] += 1

    def at_network(self):
        return drain(self.uplink)

    def answer(self, frame):
        with contextlib.suppress(OSError):
            self.uplink.send(frame)
            self.sent["uplink"] += 1

    def at_guest(self):
        return drain(self.guest)

    def close_ends(self):
        for one in self.guest, self.uplink:
            one.close()

    # --- what all do ----------------------------------------------------------------------------------------------------

    @property
    def alive(self):
        return self.process.poll() is None

    def said(self):
        return (self.place / "stderr").read_text(errors="replace")

    def outgoing(self, source, text):
        return udp(MAC, GATEWAY_MAC, source, FAR, 5000, PORT, text)

    def incoming(self):
        return udp(GATEWAY_MAC, MAC, FAR, ADDRESS, PORT, 5000, HONEST)

    def stand(self, seconds=30):
        """Whether a frame passes, at last; False: it has ended before."""
        end = time.monotonic() + seconds
        while self.alive and time.monotonic() < end:
            if self.traffic(1, 0.1) > 0:
                return True
        return False

    def traffic(self, count=3, patience=1.0):
        """How many of so many honest frames arrived. A forged one must not, ever."""
        for _ in range(count):
            self.from_guest(self.outgoing(FORGED, FOREIGN))
            self.from_guest(self.outgoing(ADDRESS, HONEST))
        self.answer(self.incoming())
        arrived, end = 0, time.monotonic() + patience
        while arrived < count and self.alive and time.monotonic() < end:
            arrived += self.count_arrived()
            time.sleep(0.002)
        self.at_guest()
        return arrived

    def serves(self):
        """Whether honest frames pass; False: it has ended. On a machine that is busy they may take their time."""
        return self.stand() and any(self.traffic(patience=5) >= 3 for _ in range(4))

    def count_arrived(self):
        frames = self.at_network()
        self.forged += sum(FOREIGN in frame for frame in frames)
        return sum(HONEST in frame for frame in frames)

    def softnet(self, *words):
        return subprocess.run([services.softnet_path(), *map(str, words)], capture_output=True, text=True, timeout=60, check=False)

    def wrong_counts(self):
        """None: what was sent to the guard is what passed and what it dropped, to the frame. Else what differs, after a while."""
        end = time.monotonic() + 2
        while True:
            status = self.status() or {}
            counts = {side: status["passed"][side]["frames"] + sum(drop["count"] for drop in status["drops"] if drop["side"] == side)
                      for side in self.counted} if status else None
            wanted = {side: self.sent[side] for side in self.counted}
            if counts == wanted:
                return None
            if time.monotonic() > end:
                return f"sent {wanted}, counted {counts}"
            time.sleep(0.02)

    def rules(self):
        self.softnet("policy", "set", "--vm", self.process.pid, "--policy", self.place / "rules")
        self.softnet("policy", "set", "--vm", self.process.pid, "--allow", "any")

    def status(self):
        with contextlib.suppress(ValueError):
            for one in json.loads(self.softnet("status", "--json").stdout or "[]"):
                if one.get("pid") == self.process.pid:
                    return one
        return None

    def events(self):
        """Somebody listens, and hears of new rules."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as listener:
            listener.settimeout(1)
            listener.connect(f"/run/softnet/{self.process.pid}.sock")
            listener.sendall(b'{"jsonrpc": "2.0", "id": 1, "method": "guard.subscribe"}\n')
            listener.recv(4096)
            self.softnet("policy", "set", "--vm", self.process.pid, "--allow", "any", "--block", "10.0.0.0/8")
            listener.recv(4096)

    def signals(self):
        self.process.send_signal(signal.SIGUSR1)

    def ticks(self):
        self.traffic(1, 0.2)
        time.sleep(1.2)

    def stimuli(self):
        return {"traffic": self.traffic, "rules": self.rules, "status": self.status, "events": self.events,
                "signals": self.signals, "ticks": self.ticks}

    def end(self):
        """By SIGTERM, and by force where that is not enough. Gives its status."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(20)
        self.process.kill()
        self.process.wait(20)
        return "it did not end"

    def left(self):
        """Files that are half written, interfaces, and processes of a guard that has ended."""
        if not self.alive:
            with contextlib.suppress(NetworkError):
                wait_for(lambda: not self.processes(), 5)
        return [path.name for path in self.place.iterdir() if path.name.endswith(".new")] + ([] if self.alive else self.processes())

    def processes(self):
        """Of the guard, and those that it forked: all have its command line."""
        return [f"process {path.name}" for path in pathlib.Path("/proc").glob("[0-9]*") if os.fsencode(self.place) in read_command_line(path.name)]

    def close(self):
        if self.alive:
            self.process.kill()
            self.process.wait()
        self.close_ends()
        self.log.close()
        if self.supervisor:
            self.supervisor.close()
        run("rm", "-rf", self.place)
        reap()


def reap():
    """Processes beside a guard are left to the first one of a namespace, which this may be. Thousands would take all numbers."""
    for pid in map(int, pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()):
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/comm").read_text().startswith("softnet-"):
                os.waitpid(pid, os.WNOHANG)


def drain(one):
    frames = []
    with contextlib.suppress(OSError):
        while frame := one.recv(65550):
            frames.append(frame)
    return frames


class Stream(Scene):
    """As QEMU connects to a path. A half frame that is lost ends the connection, and the guest comes again; so nobody knows what came."""

    counted = "uplink",

    def open(self):
        super().open()
        self.client, self.rest = None, b""

    def words(self):
        words = super().words()
        words[words.index("--guest") + 1] = f"stream:{self.place}/guest,mode=666"
        return words

    def from_guest(self, frame):
        for _ in range(2):
            try:
                if self.client is None:
                    self.client = socket.socket(socket.AF_UNIX)
                    self.client.settimeout(1)
                    self.client.connect(f"{self.place}/guest")
                self.client.sendall(len(frame).to_bytes(4, "big") + frame)
                return
            except OSError:
                self.client.close()
                self.client = None

    def at_guest(self):
        with contextlib.suppress(OSError):
            while self.client and select.select([self.client], [], [], 0)[0] and self.client.recv(65550):
                pass
        return []

    def close_ends(self):
        super().close_ends()
        if self.client:
            self.client.close()

    def left(self):
        return super().left() + [path.name for path in self.place.iterdir() if path.name == "guest"]


def far_of_bridge(network):
    """Our port of a bridge."""
    network.host.ip("link add fbr0 type bridge stp_state 0 mcast_snooping 0\nlink set fbr0 up\nlink add far0 type veth peer name far1\n"
                    "link set far0 master fbr0 up\nlink set far1 up\n")
    return network.host.wire("far1")


class Tap(Scene):
    """A bridge, whose other port is ours. The bridge sends frames of its own."""

    counted = "guest",

    def open(self):
        super().open()
        self.far = far_of_bridge(self.network)

    def words(self):
        words = super().words()
        words[words.index("--uplink") + 1] = "tap:fault0,bridge=fbr0"
        return words

    def at_network(self):
        return self.far.frames()

    def answer(self, frame):
        with contextlib.suppress(OSError):
            self.far.socket.send(frame)

    def close_ends(self):
        super().close_ends()
        self.far.close()
        self.network.host.ip("link delete fbr0\nlink delete far0")

    def left(self):
        wait_for(lambda: not self.alive, 5)
        with contextlib.suppress(NetworkError):
            wait_for(lambda: "fault0" not in self.network.host.links(), 3)
        return super().left() + [name for name in self.network.host.links() if name == "fault0"]


class Slirp(Scene):
    """The host has the address that the guest calls. slirp sends frames of its own."""

    counted = "guest",

    def open(self):
        super().open()
        host = self.network.host
        host.ip(f"address replace {FAR}/32 dev lo")
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.server.bind((FAR, PORT))
        self.server.setblocking(False)
        self.listener = socket.create_server((FAR, PORT))
        self.listener.setblocking(False)

    def words(self):
        return ["--vm-mac-address", MAC, "--guest", f"fd:{self.guests.fileno()}", "--uplink", "slirp", "--vm-ip", "10.0.2.15/24"]

    def outgoing(self, source, text):
        return udp(MAC, "52:55:0a:00:02:02", source.replace(ADDRESS, "10.0.2.15").replace(FORGED, "10.0.2.66"), FAR, 5000, PORT, text)

    def answer(self, frame):
        with contextlib.suppress(OSError):
            if self.peer:
                self.server.sendto(HONEST, self.peer)

    peer = None

    def at_network(self):
        frames = []
        with contextlib.suppress(OSError):
            while True:
                frame, self.peer = self.server.recvfrom(2000)
                frames.append(frame)
        with contextlib.suppress(OSError):
            self.listener.accept()[0].close()
        return frames

    def connect(self):
        """TCP, whose connection the keeper makes."""
        self.port = getattr(self, "port", 20000) + 1
        tcp = self.port.to_bytes(2, "big") + PORT.to_bytes(2, "big") + bytes(7) + b"\x01" + bytes([0, 0, 0, 0])
        tcp = self.port.to_bytes(2, "big") + PORT.to_bytes(2, "big") + (1).to_bytes(4, "big") + bytes(4) + b"\x50\x02\xff\xff" + bytes(4)
        pseudo = socket.inet_aton("10.0.2.15") + socket.inet_aton(FAR) + b"\x00\x06" + len(tcp).to_bytes(2, "big")
        tcp = tcp[:16] + rawguest.checksum(pseudo + tcp).to_bytes(2, "big") + tcp[18:]
        self.from_guest(rawguest.ipv4(MAC, "52:55:0a:00:02:02", "10.0.2.15", FAR, 6, tcp))
        time.sleep(0.1)
        self.at_guest()

    def stimuli(self):
        return {**super().stimuli(), "connect": self.connect}

    def close_ends(self):
        super().close_ends()
        self.server.close()
        self.listener.close()
        self.network.host.ip(f"address delete {FAR}/32 dev lo")


class Attach(Scene):
    """A veth; the guest is its other end. Frames are lost while the port comes up."""

    counted = ()

    def open(self):
        super().open()
        self.far = far_of_bridge(self.network)
        host = self.network.host
        host.ip("link add fault0 type veth peer name fault1\nlink set fault0 master fbr0\nlink set fault1 up\n")
        self.vm = host.wire("fault1")
        self.is_up = False

    def words(self):
        return ["attach", "fault0", "--vm-mac-address", MAC, *STATIC]

    def from_guest(self, frame):
        """The port comes up when its programs stand, also of a guard that could not be listed. They are closed until it works."""
        if not self.is_up and all(test_attach_ports.judges_at("fault0", side) for side in test_attach_ports.TCX):
            self.network.host.ip("link set fault0 up")
            self.is_up = True
        with contextlib.suppress(OSError):
            if self.is_up:
                self.vm.socket.send(frame)

    def at_network(self):
        return self.far.frames()

    answer = Tap.answer

    def at_guest(self):
        return self.vm.frames()

    def close_ends(self):
        super().close_ends()
        self.vm.close()
        self.far.close()
        self.network.host.ip("link delete fault1\nlink delete fbr0\nlink delete far0")


class Run(Scene):
    """With a command in the place of the VM's, which has the guard's life."""

    def words(self):
        return ["run", *super().words()]

    def command(self):
        return ["--", "sh", "-c", "trap 'exit 0' TERM; touch $0/runs; while :; do sleep 0.2; done", self.place]

    def stand(self, seconds=30):
        """The command is started last."""
        stands = super().stand(seconds)
        if stands:
            wait_for(lambda: not self.alive or (self.place / "runs").exists(), seconds)
        return stands and self.alive

    def is_command_left(self):
        return any(str(self.place).encode() in words and b"trap" in words for words in map(read_command_line, os.listdir("/proc")))

    def left(self):
        wait_for(lambda: not self.alive, 5)
        with contextlib.suppress(NetworkError):
            wait_for(lambda: not self.is_command_left(), 3)
        return super().left() + ["the command"] * self.is_command_left()


def read_command_line(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path("/proc", pid, "cmdline").read_bytes()
    return b""


FORMS = {"relay": Scene, "run": Run, "stream": Stream, "tap": Tap, "slirp": Slirp, "attach": Attach}
