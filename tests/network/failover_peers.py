"""Machines that take each other's place: routers of a VRRP group, DHCP servers with the same leases, relays; and one that
only says that it is they."""

import contextlib
import itertools
import socket
import threading
import time

import capture
import dhcp_peers
import oracle
import rawguest
import services
from dhcp_peers import GATEWAY, INTERNET
from netns import wait_for
from oracle_anchors import Anchors

LIAR_MAC = "52:54:00:00:00:66"
VIRTUAL_MAC = "00:00:5e:00:01:33"       # RFC 5798 7.3: of group 51


def machine(network, name, number, bridge="br0"):
    """A neighbor 192.168.77.NUMBER, which has the internet behind it if anybody asks it."""
    namespace = network.namespace(name, ipv6=False)
    namespace.card = f"52:54:00:00:01:{number:02x}"
    network.join(namespace, "eth0", bridge, f"192.168.77.{number}/24", mac=namespace.card)
    namespace.ip(f"address add {INTERNET}/32 dev lo")
    return namespace


def keepalived(network, namespace, priority, vmac):
    """One of the routers that share GATEWAY. The higher priority is the master while it lives."""
    path = network.logs / f"keepalived-{namespace.name}"
    files = {what: path.with_suffix(f".{what}") for what in ("pid", "vrrp_pid", "checkers_pid", "bfd_pid")}
    for file in files.values():     # one that was killed leaves its own, and the number may be somebody else's by now
        file.unlink(missing_ok=True)
    path.with_suffix(".conf").write_text(f"""
global_defs {{ router_id {namespace.name}
 vrrp_version 3
 dynamic_interfaces }}
vrrp_instance one {{ state BACKUP
 interface eth0
 virtual_router_id 51
 priority {priority}
 advert_int 0.2
 garp_master_refresh 1
 {"use_vmac vrrp.51" if vmac else ""}
 virtual_ipaddress {{ {GATEWAY}/24 }} }}
""")
    return network.start(["keepalived", "--vrrp", "--dont-fork", "--log-console", "-f", path.with_suffix(".conf"),
                          *(f"--{what}={file}" for what, file in files.items())], namespace)


def relay(network, server, name, number):
    """It carries DHCP between br0 and the server on br1."""
    namespace = machine(network, name, number)
    network.join(namespace, "eth1", "br1", f"10.0.0.{number}/24")
    server.ip(f"route add 192.168.77.{number}/32 via 10.0.0.{number}")
    process = network.start(["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--group=root", "--pid-file=",
                             "--port=0", "--interface=eth0", "--interface=eth1", "--log-dhcp",
                             f"--dhcp-relay=192.168.77.{number},10.0.0.1"], namespace)
    process.wait_line("DHCP relay", 10)
    return namespace


def has_gateway(namespace):
    return any(GATEWAY in (each["local"] for each in namespace.addresses(socket.AF_INET, name)) for name in namespace.links())


class Pair:
    """Routers `one`, the master, and `two`; a DHCP server beside them."""

    def __init__(self, network, vmac=False):
        self.network, self.vmac, self.running = network, vmac, {}
        network.bridge("br0")
        self.one, self.two = (machine(network, name, number) for name, number in (("one", 2), ("two", 3)))
        services.dnsmasq(network, machine(network, "dhcp", 5), "192.168.77.10", "192.168.77.50", router=GATEWAY)
        self.begin(self.one)
        wait_for(lambda: has_gateway(self.one), 10, "the master")
        self.begin(self.two)

    def begin(self, router):
        priority = 150 if router is self.one else 100
        self.running[router] = keepalived(self.network, router, priority, self.vmac)

    def dies(self, router):
        """Like a machine whose power went: it says nothing any more, not even that it goes."""
        router.ip("link set eth0 down")
        self.running[router].popen.kill()
        self.running[router].stop()

    def comes_back(self, router):
        router.ip("link delete vrrp.51" if self.vmac else f"address delete {GATEWAY}/24 dev eth0", check=False)
        router.ip("link set eth0 up")
        self.begin(router)
        wait_for(lambda: has_gateway(router), 10, "the master to come back")


class Liar:
    """A neighbor that says twenty times a second, to all and to the guest, that it is the router; and that answers what it
    hears of DHCP at once, and again and again, in the name of each of these servers and in its own."""

    def __init__(self, network, guest, servers=(GATEWAY,)):
        self.guest, self.servers, self.heard = guest, (*servers, "192.168.77.66"), []
        self.namespace = network.namespace("liar", ipv6=False)
        network.join(self.namespace, "eth0", "br0", "192.168.77.66/24", mac=LIAR_MAC)
        self.wire = self.namespace.wire("eth0")

    def claims(self):
        yield rawguest.arp(LIAR_MAC, 1, GATEWAY, GATEWAY)
        yield rawguest.arp(LIAR_MAC, 2, GATEWAY, GATEWAY)
        yield rawguest.arp(LIAR_MAC, 2, GATEWAY, self.guest.address, self.guest.mac, self.guest.mac)

    def answers(self, messages):
        for message, server, kind in itertools.product(messages, self.servers, (2, 5, 6)):
            yield rawguest.udp(LIAR_MAC, message[28:34].hex(":"), server, "255.255.255.255", 67, 68,
                               answer_to(message, kind, server))

    def shout(self, over):
        self.wire.frames()
        for number in itertools.count():
            heard = [frame[42:] for frame in self.wire.frames() if dhcp_peers.is_dhcp(frame)]
            self.wire.send(*self.answers(heard))
            self.heard += heard
            if number % 25 == 0:
                self.wire.send(*self.claims(), *self.answers(self.heard[-4:]))
            if over.wait(0.002):
                return

    @contextlib.contextmanager
    def shouting(self):
        over = threading.Event()
        thread = threading.Thread(target=self.shout, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def answer_to(message, kind, server):
    """An OFFER, ACK or NAK (RFC 2131 table 3); what it gives is the address that the client has, or one of the liar's."""
    own = message[12:16] if any(message[12:16]) else socket.inet_aton("192.168.77.99")
    options = bytes([53, 1, kind, 54, 4]) + socket.inet_aton(server)
    if kind != 6:
        options += bytes([51, 4, 0, 0, 1, 0, 1, 4, 255, 255, 255, 0, 3, 4]) + socket.inet_aton("192.168.77.66")
    return b"\2" + message[1:16] + (own if kind != 6 else bytes(4)) + bytes(8) + message[28:240] + options + b"\xff"


class Watch:
    """What passes a guest's guard is kept, until the oracle judges it, which nobody has told of any anchor."""

    def __init__(self, network, guest):
        self.guest, self.port = guest, oracle.Port(mac=guest.mac, router=None, router_mac=None, anchors=Anchors())
        self.captures = [capture.Capture(network.host, f"u-{(guest.wall or guest.namespace).name}"[:15], oracle.LEFT,
                                         oracle.ARRIVED),
                         capture.Capture(guest.namespace, "eth0", oracle.DELIVERED)]

    def check(self):
        capture.check_captures(self.port, self.captures, self.guest.name)


def reaches(guest, count=1, wait=5):
    """Nothing of it is lost."""
    done = guest.namespace.run("ping", "-c", count, "-i", "0.1", "-W", wait, INTERNET, check=False)
    guest.said = done + guest.namespace.ip("neighbor show") + guest.namespace.ip("route show")
    return " 0% packet loss" in done


def seconds_without_network(guest, most, what):
    begin = time.monotonic()
    wait_for(lambda: reaches(guest, wait=0.5), most, "the network to come back")
    took = round(time.monotonic() - begin, 1)
    assert took < most
    print(f"{guest.name}, {what}: {took} s")
    return took


def must_be_left_alone(guest, liar, rounds=3):
    """It asks anew again and again, and is answered by the right one; not a packet is lost."""
    with liar.shouting():
        for _ in range(rounds):
            guest.namespace.ip("neighbor flush dev eth0")
            assert reaches(guest, 5), guest.said
    assert LIAR_MAC not in guest.namespace.ip(f"neighbor show {GATEWAY}")
    assert not trusts_liar(guest)


def trusts_liar(guest):
    return any(LIAR_MAC in line and ("learned" in line or "changed" in line) for line in guest.guard.output())
