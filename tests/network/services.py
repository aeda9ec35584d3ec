"""The programs that the network tests start: softnet itself, real DHCP servers and clients, servers for traffic."""

import atexit
import contextlib
import errno
import functools
import http.server
import os
import pathlib
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading

from netns import NetworkError, Process, wait_for

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]


def softnet_path():
    """$SOFTNET, or the build in the checkout."""
    return pathlib.Path(os.environ.get("SOFTNET", CHECKOUT / "build" / "softnet")).absolute()     # tests go elsewhere


@functools.cache
def for_everybody(program):
    """A copy that any user may start: the checkout may lie where others cannot read."""
    place = tempfile.TemporaryDirectory(prefix="softnet-")
    pathlib.Path(place.name).chmod(0o755)
    atexit.register(place.cleanup)
    copy = pathlib.Path(place.name) / pathlib.Path(program).name
    shutil.copy(program, copy)
    copy.chmod(0o755)
    return copy


# --- softnet ----------------------------------------------------------------------------------------------------------

class Counters:
    """What softnet tells on SIGUSR1 and at its end: what passed, and each reason to drop that occurred."""

    def __init__(self, lines):
        self.passed = {"guest": 0, "uplink": 0}     # frames that came from this side and went on
        self.drops = {}                             # (side, reason): frames
        self.questions = 0                          # that the guard asked by itself
        for line in lines:
            words = line.split()
            if len(words) == 4 and words[0] == "drops":
                self.drops[words[1], words[2]] = int(words[3])
            elif len(words) == 4 and words[0] == "passed":
                self.passed[words[1]] = int(words[2])
            elif len(words) == 2 and words[0] == "questions":
                self.questions = int(words[1])

    def dropped(self, side, *reasons):
        """Frames from this side that were dropped for one of these reasons; for any reason if none is named."""
        return sum(count for (where, reason), count in self.drops.items()
                   if where == side and (not reasons or reason in reasons))

    def __repr__(self):
        return f"passed {self.passed}, dropped {self.drops}"


class Softnet(Process):
    def counters(self, timeout=5):
        mark = self.mark()
        self.signal(signal.SIGUSR1)
        self.wait_line(r"^end$", timeout, since=mark)
        return Counters(text for _, text in self.since(mark))

    def wait_counters(self, predicate, timeout=5, what="the counters to say so"):
        """Ask for the counters until `predicate` likes them; returns them."""
        seen = []

        def ask():
            seen[:] = [self.counters()]
            return seen[0] if predicate(seen[0]) else None
        try:
            return wait_for(ask, timeout, what)
        except NetworkError as why:
            raise NetworkError(f"{why}: {seen}") from None


def status(network, *words):
    """What `softnet status` prints. What it warns of on stderr may be guards of other tests, which end meanwhile."""
    done = subprocess.run([str(word) for word in network.host.command(softnet_path(), "status", *words)], text=True,
                          capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def guard(network, guest, mac, bridge, *options, name="softnet", interface="eth0", pass_fds=()):
    """Softnet between a guest namespace and a bridge. The guest's end is a tap that is moved into the namespace, where
    it is `interface` with the guest's MAC, and up; the other end is the tap `u-NAME` in the bridge."""
    tap, uplink = f"g-{guest.name}"[:15], f"u-{guest.name}"[:15]
    process = network.start([softnet_path(), "--vm-mac-address", mac, "--guest", f"tap:{tap}",
                             "--uplink", f"tap:{uplink},bridge={bridge}", "-v", *options], name=name, kind=Softnet,
                            pass_fds=pass_fds)

    process.wait_line("gateway MAC addresses")      # its taps are set up by then, and not only there
    network.host.ip(f"link set {tap} netns {guest.name}")
    guest.ip(f"link set {tap} name {interface} address {mac} up")
    return process


def attach(network, guest, mac, bridge, *options, name="softnet", interface="eth0"):
    """Softnet in the kernel, at a veth that the test makes: one end in the bridge, the other the guest's, which comes up
    when the guard stands."""
    port = f"p-{guest.name}"[:15]
    if port not in network.host.links():
        network.host.ip(f"link add {port} type veth peer name {interface} netns {guest.name}")
        network.host.ip(f"link set {port} master {bridge}")
        guest.ip(f"link set {interface} address {mac}")
    process = network.start([softnet_path(), "attach", port, "--vm-mac-address", mac, "-v", *options], name=name,
                            kind=Softnet)
    process.wait_line("gateway MAC addresses", 120)     # the first of a host has the kernel check its programs
    process.counters()                                  # it is at work
    network.host.ip(f"link set {port} up")
    guest.ip(f"link set {interface} up")
    return process


# --- DHCP servers -----------------------------------------------------------------------------------------------------

def dnsmasq(network, namespace, first, last, lease="600s", *options, interface="eth0", router=None, name="dnsmasq"):
    """A DHCP server on `interface`, which must have its address already. Returns when it listens."""
    leases = network.logs / f"{name}.leases"
    command = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--group=root", "--pid-file=",
               "--port=0", f"--interface={interface}", "--bind-interfaces", "--log-dhcp",
               f"--dhcp-range={first},{last},{lease}", f"--dhcp-leasefile={leases}",
               # Else it pings each address before it offers it, and is silent for 3 s; and it hesitates with clients
               # that it does not know.
               "--no-ping", "--dhcp-authoritative"]
    if router:
        command.append(f"--dhcp-option=3,{router}")
    process = network.start([*command, *options], namespace, name=name)
    process.wait_line(r"DHCP, (sockets bound|IP range)", 10)
    wait_for(lambda: ":67 " in namespace.run("ss", "-Hlun"), 10, "the DHCP server to listen")
    process.leases = lambda: leases.read_text().splitlines() if leases.exists() else []
    return process


# --- DHCP clients: each returns the running client once the interface has its address ---------------------------------

def busybox():
    """The busybox of the guest's image, for its udhcpc; else the system's."""
    from vm import image_directory
    image = image_directory()
    return image / "busybox" if image else shutil.which("busybox")


def address_of(namespace, interface="eth0"):
    """The interface's IPv4 address, or None."""
    return next((each["local"] for each in namespace.addresses(socket.AF_INET, interface) if each["scope"] == 0), None)


def wait_for_route(namespace):
    """A client sets the address first. Then the way out follows, if the server names a router."""
    with contextlib.suppress(NetworkError):
        wait_for(lambda: has_default_route(namespace), 0.5)


def has_default_route(namespace):
    with namespace.entered():
        routes = pathlib.Path("/proc/thread-self/net/route").read_text().splitlines()[1:]
    return any(line.split()[1] == "00000000" for line in routes)


def udhcpc(network, namespace, *options, interface="eth0", timeout=15):
    client = network.start([busybox(), "udhcpc", "-f", "-i", interface, "-t", "10", "-T", "1", "-A", "1",
                            "-s", CHECKOUT / "tests" / "vm" / "udhcpc.sh", *options], namespace)
    client.wait_line(r"^lease \S+ from", timeout)
    return client


def release_udhcpc(client, namespace):
    """Tell udhcpc to give its lease back. Its RELEASE is unicast, and its script takes the address away right after: where
    the server's MAC address is not known yet, the kernel throws the RELEASE away with the address. So that comes first."""
    server = next(filter(None, (re.match(r"lease \S+ from (\S+)", line) for line in reversed(client.output())))).group(1)
    namespace.ip(f"neighbor replace {server} dev eth0 use")
    wait_for(lambda: "lladdr" in namespace.ip(f"neighbor show {server} dev eth0"), 10, f"the MAC of {server}")
    client.signal(signal.SIGUSR2)


def dhclient(network, namespace, *options, interface="eth0", timeout=30):
    files = network.logs / f"dhclient-{namespace.name}"
    client = network.start(["dhclient", "-d", "-4", "-cf", "/dev/null", "-lf", f"{files}.leases", "-pf", f"{files}.pid",
                            "-sf", HERE / "dhclient.sh", *options, interface], namespace)
    wait_for(lambda: address_of(namespace, interface), timeout, "dhclient's address")
    wait_for_route(namespace)
    return client


def dhcpcd(network, namespace, *options, interface="eth0", timeout=30):
    # A script would let it edit /etc/resolv.conf, which is the host's.
    client = network.start(["dhcpcd", "--nobackground", "--ipv4only", "--noarp", "--config", "/dev/null",
                            "--script", "/bin/true", *options, interface], namespace)
    wait_for(lambda: address_of(namespace, interface), timeout, "dhcpcd's address")
    wait_for_route(namespace)
    return client


# --- servers for traffic -----------------------------------------------------------------------------------------------------

def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class WebServer:
    """Answers every GET with `body`, and remembers (client address, path) of each."""

    def __init__(self, namespace, address, port=80, body=b"hello\n"):
        self.requests = requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                requests.append((self.client_address[0], self.path))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(socketserver.ThreadingTCPServer):      # an HTTPServer asks the resolver for its own name
            allow_reuse_address = daemon_threads = True
            address_family = family_of(address)

        with namespace.entered():
            self.server = Server((address, port), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Echo:
    """Sends back whatever comes, over TCP and UDP; remembers the client addresses."""

    def __init__(self, namespace, address, port=7):
        self.clients = []
        with namespace.entered():
            self.listener = socket.socket(family_of(address), socket.SOCK_STREAM)
            self.datagrams = socket.socket(family_of(address), socket.SOCK_DGRAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for one in self.listener, self.datagrams:
            wait_for(lambda: self._bind(one, (address, port)), 10, f"{address} to be usable")
            one.settimeout(0.1)
        self.listener.listen()
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=[step], daemon=True)
                        for step in (self._accept, self._answer)]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def _bind(one, address):
        try:
            one.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:      # an address of IPv6 that is tentative yet
                raise
            return False
        return True

    def _run(self, step):
        while not self.ending.is_set():
            with contextlib.suppress(OSError):
                step()

    def _accept(self):
        client, address = self.listener.accept()
        self.clients.append(address[0])
        threading.Thread(target=self._serve, args=[client], daemon=True).start()

    @staticmethod
    def _serve(client):
        with client, contextlib.suppress(OSError):
            client.settimeout(20)
            while data := client.recv(65536):
                client.sendall(data)

    def _answer(self):
        data, address = self.datagrams.recvfrom(65536)
        self.clients.append(address[0])
        self.datagrams.sendto(data, address)

    def close(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()
        self.listener.close()
        self.datagrams.close()
