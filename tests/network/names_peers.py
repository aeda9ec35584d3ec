"""What the tests of docs/names.md have in common: a resolver, and two hosts that have one address, with real servers.

    guest eth0 -- softnet -- br0 -- eth0 gateway (dnsmasq, behind unbound or alone; nginx and an HTTP/3 server on the
                                                  addresses of its loopback)
"""

import itertools
import json
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import time

import services
from netns import Stalls, patience, wait_for

MAC, GATEWAY = "52:54:00:00:00:0a", "192.168.77.1"
MAC_OF_GATEWAY = "52:54:00:00:00:01"
CDN, ELSEWHERE = "1.1.1.1", "9.9.9.9"
GATEWAY6, CDN6 = "fd77::1", "2606:4700::1111"
GOOD, ALIAS, EVIL, REBOUND = "good.example.org", "www.example.org", "evil.example.org", "inside.example.org"
OTHER = "other.example.net"
SIX = "six.example.org"     # IPv6 alone
TUNNEL, OTHER_TUNNEL = "tunnel.example.com", "pipe.example.com"     # zones whose servers would carry anything
RECORDS = (f"--host-record={GOOD},{CDN}", f"--cname={ALIAS},{GOOD}", f"--host-record={EVIL},{CDN}",
           f"--host-record={OTHER},{ELSEWHERE}", f"--host-record={REBOUND},10.0.0.1",
           f"--host-record={SIX},{CDN6}")
CLOSED = ("--block=any", "--allow=@dns:53")
AT_ONCE = 1.5       # seconds: sooner than any client asks again

NGINX = """
daemon off; pid {folder}/nginx.pid; error_log stderr warn; worker_processes 1; user root;
events {{ }}
http {{
    access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
    server {{ listen 80 default_server; listen 443 ssl default_server; listen [::]:443 ssl default_server;
              server_name {good}; location / {{ return 200 good; }} location /files/ {{ root {folder}; default_type text/html; }} }}
    server {{ listen 80; listen 443 ssl; listen [::]:443 ssl; server_name {evil}; return 200 evil; }}
}}
"""

# A resolver as in use: it asks others, and keeps what they say.
UNBOUND = """
server:
    do-daemonize: no
    chroot: ""
    username: ""
    pidfile: ""
    directory: "{folder}"
    logfile: ""
    use-syslog: no
    interface: {gateway}
    access-control: 0.0.0.0/0 allow
    module-config: "iterator"
    do-not-query-localhost: no
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@5353
forward-zone:
    name: "{tunnel}"
    forward-addr: 127.0.0.1@5301
forward-zone:
    name: "{other_tunnel}"
    forward-addr: 127.0.0.1@5302
"""


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", f"/CN={GOOD}",
                    "-addext", f"subjectAltName=DNS:{GOOD},DNS:{ALIAS},DNS:{EVIL},DNS:{SIX}"], check=True, capture_output=True)


class World:
    def __init__(self, network, folder, has_unbound=False):
        self.network, self.folder = network, folder
        self.open_folder = pathlib.Path(tempfile.mkdtemp(dir="/run"))   # guards write there, who are nobody
        self.open_folder.chmod(0o777)
        self.has_quic = False
        self.numbers = itertools.count(20)      # an address for each guest: servers still talk to those of before
        network.bridge("br0")
        self.gateway = network.namespace("gateway")
        network.join(self.gateway, "eth0", "br0", f"{GATEWAY}/24", mac=MAC_OF_GATEWAY)
        self.gateway.ip(f"-6 address add {GATEWAY6}/64 dev eth0 nodad")
        for address in f"{CDN}/32", f"{ELSEWHERE}/32", f"{CDN6}/128":
            self.gateway.ip(f"address add {address} dev lo")
        certificate(folder)
        (folder / "resolv.conf").write_text(f"nameserver {GATEWAY}\noptions timeout:5 attempts:1\n")
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, good=GOOD, evil=EVIL))
        where = ("--listen-address=127.0.0.1", "--port=5353") if has_unbound else ("--interface=eth0", )
        # Not --no-daemon, with which one connection that says nothing would keep all others waiting.
        network.start(["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--group=root",
                       "--pid-file=", "--no-resolv", "--no-hosts", "--bind-interfaces", "--local-ttl=60", *where, *RECORDS],
                      self.gateway, name="resolver")
        if has_unbound:
            (folder / "unbound.conf").write_text(UNBOUND.format(folder=folder, gateway=GATEWAY, tunnel=TUNNEL,
                                                                other_tunnel=OTHER_TUNNEL))
            network.start(["unbound", "-d", "-c", folder / "unbound.conf"], self.gateway, name="unbound")
        network.start(["nginx", "-e", "stderr", "-c", folder / "nginx.conf"], self.gateway, name="nginx")
        wait_for(lambda: {":53 ", ":443 "} <= {p for p in (":53 ", ":443 ") if p in self.gateway.run("ss", "-Hltn")},
                 10, "the servers to listen")

    def close(self):
        shutil.rmtree(self.open_folder)

    def serve_quic(self):
        """HTTP/3 with any name; for all tests from the first one that wants it."""
        if not self.has_quic:
            self.network.start(["gtlsserver", "-q", "-d", self.folder, CDN, 443, self.folder / "key.pem",
                                self.folder / "cert.pem"], self.gateway, name="quic")
            wait_for(lambda: f"{CDN}:443 " in self.gateway.run("ss", "-Hlun"), 10, "the QUIC server to listen")
        self.has_quic = True

    def guest(self, *options, has_ipv6=False):
        """A guest behind a guard; the one before has to be closed."""
        return Guest(self, *options, has_ipv6=has_ipv6)


class Guest:
    def __init__(self, world, *options, has_ipv6=False):
        self.world = world
        number = next(world.numbers)
        self.address, address6 = f"192.168.77.{number}", f"fd77::{number}"
        six = (f"--vm-ip={address6}/64", f"--gateway={GATEWAY6}", f"--gateway-mac={MAC_OF_GATEWAY}") if has_ipv6 else ()
        self.namespace = world.network.namespace("guest")
        self.events = world.open_folder / "events.json"
        self.events.unlink(missing_ok=True)
        self.softnet = services.guard(world.network, self.namespace, MAC, "br0", "--no-dhcp", f"--vm-ip={self.address}/24",
                                      f"--gateway={GATEWAY}", f"--dns={GATEWAY}", f"--events={self.events}",
                                      f"--control={world.open_folder}/control", *six, *options,
                                      name="softnet")
        self.namespace.ip(f"address add {self.address}/24 dev eth0")
        self.namespace.ip(f"route add default via {GATEWAY}")
        if has_ipv6:
            self.namespace.ip(f"-6 address add {address6}/64 dev eth0 nodad")
            self.namespace.ip(f"-6 route add default via {GATEWAY6}")

    def run(self, *words, timeout=2 * patience(5)):
        """A program that asks the resolver: how it ended, and whether at once."""
        mount = f"mount --bind {self.world.folder}/resolv.conf /etc/resolv.conf && exec \"$@\""
        start = time.monotonic()
        with Stalls() as stalls:
            done = subprocess.run(self.namespace.command("unshare", "-m", "sh", "-c", mount, "sh", *words), text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False)
        done.seconds = time.monotonic() - start
        done.is_at_once = done.seconds < stalls.added_to(AT_ONCE)
        return done

    def curl(self, *words):
        return self.run("curl", "-sS", "--cacert", self.world.folder / "cert.pem", "--max-time", patience(5), *words)

    def quic(self, name, *options, wait=patience(5), port=443):
        """Whether a client of HTTP/3 reaches the server as that host. It finds the address in a file, not in DNS."""
        hosts = self.world.folder / "hosts"
        hosts.write_text(f"{CDN} {name}\n")
        done = self.run("sh", "-c", f"mount --bind {hosts} /etc/hosts && exec gtlsclient --exit-on-all-streams-close "
                        f"--timeout={wait}s --handshake-timeout={wait}s {' '.join(options)} {name} {port} https://{name}/")
        return "handshake has completed" in done.stdout + done.stderr

    def resolve(self, name=GOOD):
        done = self.run("dig", "+tries=1", f"+timeout={patience(5)}", name)
        assert CDN in done.stdout, (done.stdout, done.seconds, self.softnet.counters(), self.softnet.output()[-8:])

    def dropped(self, *reasons):
        return self.softnet.counters().dropped("guest", *reasons)

    def denied(self):
        """What was dropped for a name's sake, by reason; not what its sender repeats."""
        return {reason: count for (side, reason), count in self.softnet.counters().drops.items()
                if side == "guest" and reason.split("-")[0] in ("name", "dns", "hello", "quic") and reason != "hello-order"}

    def control(self, *words):
        """What a verb of softnet says that speaks to the guard."""
        return self.world.network.host.run(services.softnet_path(), *words, "--control", self.world.open_folder / "control")

    def connect(self, address=CDN, port=443):
        """A socket that sends each piece at once."""
        with self.namespace.entered():
            one = socket.socket()
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.settimeout(patience(5))
        one.connect((address, port))
        return one

    def told(self, event):
        """The events of this name so far."""
        lines = self.events.read_text().splitlines() if self.events.exists() else []
        return [told for told in map(json.loads, lines) if told["event"] == event]

    def close(self):
        """As often as one likes."""
        self.softnet.stop()
        (self.world.open_folder / "control").unlink(missing_ok=True)
        self.namespace.remove()


def hello(name):
    """The first flight of a TLS client, as OpenSSL sends it; of TLS 1.2 where that of 1.3 is longer than a segment (OpenSSL
    3.5 has a post-quantum key in it). Real clients send those: test_names_clients.py."""
    flight = first_flight(name, ssl.TLSVersion.TLSv1_3)
    return flight if len(flight) < 1000 else first_flight(name, ssl.TLSVersion.TLSv1_2)


def first_flight(name, version):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode, context.maximum_version = False, ssl.CERT_NONE, version
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def in_records(flight, octets):
    """The same handshake message in records of so many octets."""
    message = flight[5:]
    return b"".join(b"\x16\x03\x01" + len(message[at:at + octets]).to_bytes(2, "big") + message[at:at + octets]
                    for at in range(0, len(message), octets))


def reply(one, wait=patience(5)):
    """The type of the first record that the server sends: 22 is its hello. None: silence; b"": a reset, or an end."""
    one.settimeout(wait)
    try:
        return one.recv(1)
    except TimeoutError:
        return None
    except ConnectionError:
        return b""


# What a client acknowledges that began with a large packet number, as ngtcp2 of Debian 13: docs/names.md, QUIC.
LATE_INITIAL = {"quic-initial"}


def missing(*programs):
    return ", ".join(program for program in programs if shutil.which(program) is None)
