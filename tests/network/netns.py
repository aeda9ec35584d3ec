"""Small networks made of Linux namespaces, for the network tests and the demo. Needs nothing but Python and iproute2.

How this works: isolated() runs the calling program again behind unshare(1), in network, mount and process namespaces
of its own (and a user namespace when not root). Whatever is made in there, interfaces, routes, processes, vanishes
with the last process; the host's network is never touched, and no packet can leave, as no way out exists.

Inside, a Network makes further namespaces and joins them:

    with Network() as network:
        bridge = network.bridge("br0")
        gateway = network.namespace("gateway")
        network.join(gateway, "eth0", bridge, "192.168.77.1/24")
        server = network.start(["dnsmasq", ...], gateway)
"""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import netlink

OUTER = "SOFTNET_OUTER_NETWORK"     # names the network namespace outside, for the program inside to compare
CLONE_NEWNET, PR_SET_PDEATHSIG, IFF_RUNNING = 0x40000000, 1, 0x40
# From linux/if_packet.h; Python's socket module does not name them.
ETH_P_ALL, SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_AUXDATA, PACKET_MR_PROMISC, TP_STATUS_VLAN_VALID = \
    0x0003, 263, 1, 8, 1, 0x10
libc = ctypes.CDLL(None, use_errno=True)


class NetworkError(Exception):
    """Something that a test waited for did not happen, or a command failed."""


# --- getting in -------------------------------------------------------------------------------------------------------

def inside():
    """Whether this process already has a network of its own."""
    outer = os.environ.get(OUTER)
    return outer is not None and os.readlink("/proc/self/ns/net") != outer


def unshare_command():
    """The unshare command line that this machine permits; None if there is none."""
    base = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]
    user = ["--user", "--map-root-user"]
    # A container may hide parts of /proc, and then refuses a fresh one; all that is lost is a tidy ps(1).
    candidates = [base + ["--mount-proc"] + user, base + user]
    if os.geteuid() == 0:
        candidates = [base + ["--mount-proc"], base] + candidates
    for command in candidates:
        tried = subprocess.run(command + ["true"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if tried.returncode == 0:
            return command
        unshare_command.cause = tried.stderr.strip()
    return None


def why_not():
    """What stands in the way of isolated(), in words for the person at the keyboard; None if nothing does."""
    if not sys.platform.startswith("linux"):
        return "needs Linux: its networks are made of Linux namespaces"
    if unshare_command() is None:
        cure = "a container or chroot may forbid them even to root" if os.geteuid() == 0 else \
               "run as root, or permit user namespaces (sysctl user.max_user_namespaces, " \
               "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)"
        return f"cannot make namespaces ({unshare_command.cause}): {cure}"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "cannot open /dev/net/tun: run as root, or load the tun module and give the device its usual mode 0666"
    return None


def has_other_users():
    """Whether there is anybody to become. A plain user's namespace has one user; what is root there has no rights outside."""
    return sum(int(line.split()[2]) for line in pathlib.Path("/proc/self/uid_map").read_text().splitlines()) > 65534


def isolated(arguments):
    """Run `arguments` in a network of its own; returns its exit status. To be called when not inside()."""
    environment = dict(os.environ, **{OUTER: os.readlink("/proc/self/ns/net")})
    # Whatever ends this process ends unshare, and unshare --kill-child takes everything inside along.
    process = subprocess.Popen(unshare_command() + arguments, env=environment,
                               preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
    for number in signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, lambda *_: process.kill())
    try:
        return process.wait()
    except KeyboardInterrupt:           # the terminal told the program inside as well; let it say its last words
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        return 128 + signal.SIGINT


def prepare():
    """Once, first thing inside: a place for `ip netns` to keep its names, and the loopback interface."""
    # The first process of a process namespace is deaf to signals that it has no handler for.
    for number in signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, lambda *_: sys.exit(128 + signal.SIGTERM))
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    run("ip", "link", "set", "lo", "up")
    # No IPv6 of our own here: bridges still pass it, but their interfaces send nothing into a test unasked.
    for which in "all", "default":
        with contextlib.suppress(OSError):
            pathlib.Path(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6").write_text("1")


# --- commands and processes -------------------------------------------------------------------------------------------

def run(*command, timeout=60, check=True, input=""):
    """Run a short command to its end; returns what it printed."""
    done = subprocess.run([str(word) for word in command], input=input, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout, text=True, errors="replace")
    if check and done.returncode != 0:
        raise NetworkError(f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


def patience(timeout):
    """How many seconds a wait for something that must come may take. It ends when that is there; so what is promised within
    a time is measured, and a machine that has more to do fails no test. Less than 5 s is a moment for what should not come."""
    return timeout if timeout < 5 else max(timeout, 60)


def wait_for(predicate, timeout=10, what="a condition"):
    """Ask `predicate` until it gives something true, and return that; NetworkError when patience(timeout) is over."""
    timeout = patience(timeout)
    begin = time.monotonic()
    end = begin + timeout
    while True:
        result = predicate()
        if result:
            return result
        if time.monotonic() >= end:
            raise NetworkError(f"waited {timeout} s in vain for {what}")
        time.sleep(min(0.1, max(0.02, 0.15 * (time.monotonic() - begin))))


def children_of(pid):
    """{number: name} of its processes. Some are there for a moment only, as those that make a filter of system calls."""
    found = {}
    with contextlib.suppress(OSError):
        for child in map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            with contextlib.suppress(OSError):
                found[child] = pathlib.Path(f"/proc/{child}/comm").read_text().strip()
    return found


class Stalls:
    """How long this machine keeps somebody waiting who wants to run, and how many want to at once: inside `with`, a thread
    asks for it every `interval` seconds."""

    def __init__(self, interval=0.005):
        self.interval = interval
        self.longest, self.shares, self.over = 0.0, [1.0], threading.Event()
        self.thread = threading.Thread(target=self._measure, daemon=True)

    def _measure(self):
        begin = time.monotonic()
        while not self.over.wait(self.interval):
            now = time.monotonic()
            begin, self.longest = now, max(self.longest, now - begin)
            running = int(pathlib.Path("/proc/loadavg").read_text().split()[3].split("/")[0])
            self.shares.append(max(1.0, running / os.cpu_count()))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def added_to(self, seconds):
        """What would take so long on an idle machine may take this here: all who want to run share the processors, and
        several processes wait for each other."""
        return seconds * sum(self.shares) / len(self.shares) + 5 * self.longest


class Process:
    """A background process whose output is collected line by line, and kept in a log file as well."""

    def __init__(self, command, name, log_directory, on_line=None, pass_fds=()):
        self.name = name
        self.lines = []                 # (stream, text); stream is "out" or "err"
        self.on_line = on_line
        self.news = threading.Condition()
        self.log = open(pathlib.Path(log_directory) / f"{name}.log", "w", buffering=1, errors="backslashreplace")
        self.log.write(f"$ {' '.join(map(str, command))}\n")
        self.popen = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True, errors="replace", bufsize=1,
                                      start_new_session=True, pass_fds=pass_fds)
        self.readers = [threading.Thread(target=self._read, args=pair, daemon=True)
                        for pair in ((self.popen.stdout, "out"), (self.popen.stderr, "err"))]
        for reader in self.readers:
            reader.start()

    def _read(self, pipe, stream):
        for line in pipe:
            line = line.rstrip("\r\n")
            with self.news:
                self.lines.append((stream, line))
                self.log.write(f"{stream} {line}\n")
                self.news.notify_all()
            if self.on_line:
                self.on_line(stream, line)

    @property
    def pid(self):
        return self.popen.pid

    @property
    def running(self):
        return self.popen.poll() is None

    def output(self, stream=None):
        with self.news:
            return [text for which, text in self.lines if stream in (None, which)]

    def mark(self):
        """A position in the output, for wait_line() and since() to look only at what comes after it."""
        with self.news:
            return len(self.lines)

    def since(self, mark):
        with self.news:
            return self.lines[mark:]

    def wait_line(self, pattern, timeout=10, since=0):
        """Wait for a line that matches; returns the match."""
        timeout = patience(timeout)
        end = time.monotonic() + timeout
        with self.news:
            position = since
            while True:
                for _, text in self.lines[position:]:
                    match = re.search(pattern, text)
                    if match:
                        return match
                position = len(self.lines)
                over = self.popen.poll() is not None and not any(reader.is_alive() for reader in self.readers)
                left = end - time.monotonic()
                if over or left <= 0:
                    why = f"it ended with status {self.popen.returncode}" if over else f"waited {timeout} s"
                    raise NetworkError(f"{self.name}: no line like '{pattern}' ({why})\n" +
                                       "\n".join(text for _, text in self.lines[-20:]))
                self.news.wait(min(left, 0.2))

    def write_line(self, text):
        self.popen.stdin.write(text + "\n")
        self.popen.stdin.flush()

    def signal(self, number):
        if self.running:
            os.kill(self.pid, number)

    def wait(self, timeout=10):
        """Wait for the end; returns the exit status."""
        timeout = patience(timeout)
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise NetworkError(f"{self.name} still runs after {timeout} s") from None
        for reader in self.readers:
            reader.join(2)
        return self.popen.returncode

    def stop(self):
        """Ask it to end, then make it end, with everything that it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            with contextlib.suppress(NetworkError):
                self.wait(4)
                break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)     # children that outlived it
        with contextlib.suppress(OSError):
            self.popen.stdin.close()
        return self.popen.returncode


# --- namespaces -------------------------------------------------------------------------------------------------------

class Namespace:
    """A network namespace. Without a name: the one that this program runs in."""

    def __init__(self, name=None):
        self.name = name
        if name:
            run("ip", "netns", "add", name)
        self.path = f"/run/netns/{name}" if name else "/proc/self/ns/net"

    def command(self, *words):
        # nsenter and not `ip netns exec`, which mounts a new /sys each time; containers may refuse that.
        return (["nsenter", f"--net={self.path}"] if self.name else []) + [str(word) for word in words]

    def run(self, *words, **options):
        return run(*self.command(*words), **options)

    def ip(self, words, **options):
        """An ip(8) command, as one string: namespace.ip("link set eth0 up"). Several lines are several commands."""
        command = ["ip", *(["-n", self.name] if self.name else [])]
        if "\n" in words:
            return run(*command, "-batch", "-", input=words, **options)
        return run(*command, *words.split(), **options)

    def addresses(self, family=socket.AF_INET6, interface="eth0"):
        """As netlink.addresses()."""
        with self.entered():
            return netlink.addresses(family, socket.if_nametoindex(interface))

    def no_checksums(self, interface):
        """The interface fills in no checksums for those who send, and so cuts no long frames for them either."""
        value = bytearray(struct.pack("II", 0x17, 0))       # ETHTOOL_STXCSUM of linux/ethtool.h
        address = ctypes.addressof((ctypes.c_char * len(value)).from_buffer(value))
        with self.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, 0x8946, struct.pack("16sP16x", interface.encode(), address))     # SIOCETHTOOL

    @contextlib.contextmanager
    def entered(self):
        """Sockets made inside this block belong to the namespace, for good."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(self.path if self.name else "/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            switch_to(there)
            try:
                yield
            finally:
                switch_to(before)
        finally:
            os.close(there)
            os.close(before)

    def wire(self, interface):
        return Wire(self, interface)

    # Not from /sys/class/net: that shows the network where it was mounted, which is the one outside.
    def links(self):
        with self.entered():
            return {name for _, name in socket.if_nameindex()}

    def mac(self, interface):
        return self.ip(f"-br link show dev {interface}").split()[2]

    def set_ipv6(self, interface="default", table="conf", **values):
        """Kernel settings of IPv6; those of "default" are for interfaces that come later. `table` may be "neigh"."""
        with self.entered():
            for name, value in values.items():
                pathlib.Path(f"/proc/sys/net/ipv6/{table}/{interface}/{name}").write_text(str(value))

    def remove(self):
        if self.name:
            run("ip", "netns", "delete", self.name, check=False)


def switch_to(namespace_fd):
    if libc.setns(namespace_fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Wire:
    """Sends and receives raw frames on an interface; the kernel queues what arrives from the moment this is made."""

    def __init__(self, namespace, interface):
        self.interface = interface
        with namespace.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            index = socket.if_nametoindex(interface)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        promiscuous = struct.pack("iHH8s", index, PACKET_MR_PROMISC, 0, b"")        # struct packet_mreq
        self.socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, promiscuous)
        self.socket.bind((interface, ETH_P_ALL))
        self.socket.setblocking(False)

    def send(self, *frames):
        """What a link gets that has just come up may be lost without a word, until the kernel has taken note of it."""
        wait_for(self.is_running, 10, f"{self.interface} to come up")
        for frame in frames:
            self.socket.send(bytes(frame))

    def is_running(self):
        flags = fcntl.ioctl(self.socket, 0x8913, struct.pack("16s24x", self.interface.encode()))        # SIOCGIFFLAGS
        return struct.unpack_from("=H", flags, 16)[0] & IFF_RUNNING

    def frames(self, outgoing=False):
        """All frames since the last call: those that arrived, or all with `outgoing`."""
        found = []
        while True:
            try:
                data, beside, _, address = self.socket.recvmsg(65550, 256)
            except BlockingIOError:
                return found
            if outgoing or address[2] != socket.PACKET_OUTGOING:
                found.append(with_vlan_tag(data, beside))

    def wait_frame(self, predicate, timeout=5, what="a frame"):
        """The first frame that `predicate` likes; frames before it are gone."""
        def search():
            return next(filter(predicate, self.frames()), None)
        return wait_for(search, timeout, f"{what} on {self.interface}")

    def close(self):
        self.socket.close()


def with_vlan_tag(data, beside):
    """The kernel takes a VLAN tag out of a frame before a packet socket sees it, and tells it beside; put it back."""
    for level, kind, value in beside:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", value)     # struct tpacket_auxdata
            if status & TP_STATUS_VLAN_VALID:
                return data[:12] + struct.pack("!HH", tpid or 0x8100, tci) + data[12:]
    return data


# --- a whole network --------------------------------------------------------------------------------------------------

class Network:
    """Everything that one test makes; close() ends every process and removes every interface and namespace."""

    def __init__(self, log_directory=None):
        self.logs = pathlib.Path(log_directory or tempfile.mkdtemp(dir="/run"))
        self.host = Namespace()         # where bridges and softnet live
        self.links_before = self.host.links()
        self.namespaces = []
        self.processes = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def namespace(self, name, ipv6=True):
        """Without IPv6 it is silent until somebody uses it; a kernel with IPv6 sends of its own accord."""
        namespace = Namespace(name)
        self.namespaces.append(namespace)
        if not ipv6:
            for interface in "all", "default":
                namespace.set_ipv6(interface, disable_ipv6=1)
        namespace.ip("link set lo up")
        return namespace

    def bridge(self, name="br0"):
        self.host.ip(f"link add {name} type bridge stp_state 0 mcast_snooping 0\nlink set {name} up\n")
        return name

    def join(self, namespace, interface, bridge, address=None, mac=None):
        """A cable from `interface` in the namespace to a port of the bridge; the port is named after the namespace."""
        port = f"{namespace.name[:8]}-{interface}"[:15]
        self.host.ip(f"link add {port} type veth peer name {interface} netns {namespace.name}")
        namespace.ip((f"link set {interface} address {mac}\n" if mac else "") +
                     (f"address add {address} dev {interface}\n" if address else "") + f"link set {interface} up\n")
        self.host.ip(f"link set {port} master {bridge} up")
        return port

    def tap(self, name, bridge):
        """A persistent tap in the bridge, for a VM without a guard."""
        self.host.ip(f"tuntap add dev {name} mode tap\nlink set {name} master {bridge} up\n")
        return name

    def start(self, command, namespace=None, name=None, on_line=None, kind=Process, pass_fds=()):
        name = name or f"{len(self.processes)}-{pathlib.Path(str(command[0])).name}"
        process = kind((namespace or self.host).command(*command), name, self.logs, on_line, pass_fds)
        self.processes.append(process)
        return process

    def close(self):
        for process in reversed(self.processes):
            process.stop()
        for namespace in self.namespaces:
            namespace.remove()
        # Removing a namespace is not instant: its interfaces, and their peers here, go a little later.
        wait_for(self._remove_links, 10, "all interfaces to go")
        self.processes, self.namespaces = [], []

    def _remove_links(self):
        extra = self.host.links() - self.links_before
        if extra:
            run("ip", "-force", "-batch", "-", input="".join(f"link delete {name}\n" for name in extra), check=False)
        return not extra
