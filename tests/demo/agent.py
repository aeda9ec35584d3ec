"""Part 4: an agent that may talk to one host by its name, in TLS and QUIC, and to nothing else: docs/names.md.

    agent eth0 -- softnet -- br0 -- eth0 gateway   (resolver; servers that note which host a hello names)

What a server would see is all that counts here. So the servers are a few lines of Python: they take what comes, and answer.
"""

import contextlib
import pathlib
import re
import socket
import struct
import threading

import netns
import services

MAC, GATEWAY_MAC = "52:54:00:00:00:0a", "52:54:00:00:00:01"
GATEWAY, AGENT = "192.168.77.1", "192.168.77.20"
HOST, OTHER = "example.com", "elsewhere.example"
ADDRESS, ELSEWHERE, METADATA = "1.1.1.1", "9.9.9.9", "169.254.169.254"
VECTORS = pathlib.Path(__file__).resolve().parents[1] / "unit/names/vectors.h"


def hello(name=None, is_hidden=False):
    """What a client of TLS says first."""
    extensions = b"\x00\x2b\x00\x03\x02\x03\x04"
    if name:
        extensions += struct.pack(">HHHBH", 0, len(name) + 5, len(name) + 3, 0, len(name)) + name.encode()
    if is_hidden:
        extensions += struct.pack(">HH", 0xfe0d, 60) + bytes(60)
    body = b"\x03\x03" + bytes(32) + b"\x00\x00\x02\x13\x01\x01\x00" + struct.pack(">H", len(extensions)) + extensions
    return b"\x16\x03\x01" + struct.pack(">HB", len(body) + 4, 1) + len(body).to_bytes(3, "big") + body


def quic_initial():
    """The client's first datagram of RFC 9001, appendix A; its hello names example.com."""
    text = re.search(r"quic_initial_v1\[\] =(.*?);", VECTORS.read_text(), re.DOTALL).group(1)
    return bytes.fromhex("".join(re.findall('"([0-9a-f]+)"', text)))


def question(name, kind=1):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", kind, 1)


class Servers:
    """In the gateway: what they are sent, by address and port."""

    def __init__(self, gateway):
        self.seen, self.sockets = [], []
        with gateway.entered():
            for address, port in (ADDRESS, 443), (ADDRESS, 80), (ELSEWHERE, 443), (METADATA, 80):
                self._start(self._serve_stream, socket.create_server((address, port)), (address, port))
            for address, port in (GATEWAY, 53), (ELSEWHERE, 53), (ADDRESS, 443):
                one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                one.bind((address, port))
                self._start(self._serve_datagrams, one, (address, port))

    def _start(self, serve, one, where):
        self.sockets.append(one)
        threading.Thread(target=serve, args=(one, where), daemon=True).start()

    def _serve_stream(self, listener, where):
        with contextlib.suppress(OSError):
            while True:
                one, _ = listener.accept()
                threading.Thread(target=self._take, args=(one, where), daemon=True).start()

    def _take(self, one, where):
        with contextlib.suppress(OSError), one:
            data = one.recv(4096)
            self.seen.append((where, data))
            one.sendall(b"\x16 hello")

    def _serve_datagrams(self, one, where):
        with contextlib.suppress(OSError):
            while True:
                data, client = one.recvfrom(4096)
                self.seen.append((where, data))
                answer = b"hello"
                if where[1] == 53:      # the address of every host
                    answer = data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + data[12:] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4"
                    answer += socket.inet_aton(ADDRESS)
                one.sendto(answer, client)

    def close(self):
        for one in self.sockets:
            one.close()


def send(agent, address, port, data, is_stream, octets=None):
    """Whether an answer came."""
    with agent.entered():
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM if is_stream else socket.SOCK_DGRAM)
    with one:
        one.settimeout(netns.patience(5))       # with --reject the end comes at once
        try:
            one.connect((address, port))
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) if is_stream else None
            for at in range(0, len(data), octets or len(data)):
                one.send(data[at:at + (octets or len(data))])
            answer = one.recv(2048)
        except OSError:
            return False
    return answer != b"" and not (port == 53 and answer[3] & 15 == 5)      # REFUSED


# What the agent tries: the title, (address, port, octets, whether by TCP, in pieces of), the reasons that may be.
TRIES = [
    ("ask DNS for another host", (GATEWAY, 53, question(OTHER), False), ["dns-name"]),
    ("carry data in DNS questions", (GATEWAY, 53, question(f"c2VjcmV0.{HOST}", 16), False), ["dns-name"]),
    ("ask a resolver of its own", (ELSEWHERE, 53, question(HOST), False), ["name-unbound"]),
    ("call an address without a name", (ELSEWHERE, 443, hello(HOST), True), ["name-unbound"]),
    ("name another host at the allowed address", (ADDRESS, 443, hello(OTHER), True), ["name-denied"]),
    ("name it in pieces of 5 octets", (ADDRESS, 443, hello(OTHER), True, 5), ["name-denied"]),
    ("name no host", (ADDRESS, 443, hello(), True), ["name-denied"]),
    ("hide the name (ECH)", (ADDRESS, 443, hello(HOST, is_hidden=True), True), ["hello-ech"]),
    ("use QUIC of an unknown version", (ADDRESS, 443, b"\xc3\xba\xba\xba\xba" + bytes(1195), False), ["quic-version"]),
    ("speak HTTP in the clear", (ADDRESS, 80, f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode(), True), ["name-unbound"]),
    ("read the metadata of a cloud", (METADATA, 80, b"GET / HTTP/1.1\r\n\r\n", True), ["dst-blocked", "name-unbound"]),
]


def attempt(screen, agent, guard, servers, title, sent, reasons):
    screen.typed("agent", title)
    earlier, known = guard.counters(), len(servers.seen)
    before = earlier.dropped("guest", *reasons)
    answered = send(agent, *sent)
    with contextlib.suppress(netns.NetworkError):
        guard.wait_counters(lambda now: now.dropped("guest", *reasons) > before, 5)
    now = guard.counters()
    why = ", ".join(reason for reason in reasons if now.dropped("guest", reason) > earlier.dropped("guest", reason))
    arrived = any(data for _, data in servers.seen[known:])
    good = not answered and not arrived and why != ""
    screen.row(f"the agent: {title}", "refused", f"refused: {why}" if good else "it got out" if arrived else "not refused", good)


def work(screen, agent, servers, title, *sent):
    screen.typed("agent", title)
    known = len(servers.seen)
    good = send(agent, *sent) and len(servers.seen) > known
    screen.row(f"the agent: {title}", "answered", "answered" if good else "no answer", good)


def one_agent(screen, _, softnet):
    screen.part("Part 4: an agent that may talk to one host, by TLS and QUIC")
    with netns.Network() as network:
        network.bridge("br0")
        gateway, agent = network.namespace("gateway"), network.namespace("agent")
        network.join(gateway, "eth0", "br0", f"{GATEWAY}/24", mac=GATEWAY_MAC)
        for address in ADDRESS, ELSEWHERE, METADATA:
            gateway.ip(f"address add {address}/32 dev lo")
        rules = ("--block=any", f"--allow=@dns:53,{HOST}", "--reject")
        screen.typed("host", f"softnet run {' '.join(rules)} -- ...   # the agent's VM")
        guard = services.guard(network, agent, MAC, "br0", "--no-dhcp", f"--vm-ip={AGENT}/24", f"--gateway={GATEWAY}",
                               f"--dns={GATEWAY}", *rules)
        agent.ip(f"address add {AGENT}/24 dev eth0")
        agent.ip(f"route add default via {GATEWAY}")
        with contextlib.closing(Servers(gateway)) as servers:
            work(screen, agent, servers, f"ask DNS for {HOST}", GATEWAY, 53, question(HOST), False)
            work(screen, agent, servers, f"talk TLS to {HOST}", ADDRESS, 443, hello(HOST), True)
            work(screen, agent, servers, f"talk QUIC to {HOST}", ADDRESS, 443, quic_initial(), False)
            for each in TRIES:
                attempt(screen, agent, guard, servers, *each)
            work(screen, agent, servers, f"talk TLS to {HOST} again", ADDRESS, 443, hello(HOST), True)
        guard.stop()
