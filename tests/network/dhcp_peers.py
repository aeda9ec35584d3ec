"""What the DHCP tests have in common: the server Kea, every client by its name, and a guest behind a guard."""

import concurrent.futures
import itertools
import json
import re
import shutil
import signal
import struct

import pytest

import services
from netns import NetworkError, has_other_users, wait_for

# networkd becomes another user, also where there is none.
CLIENTS = ["udhcpc", "dhclient", "dhcpcd", *(["networkd"] if has_other_users() else [])]
NETWORKD = "/lib/systemd/systemd-networkd"
GATEWAY = "192.168.77.1"
INTERNET = "1.1.1.1"
NEIGHBOR = "192.168.77.200"
FIRST_MAC = 0x52540000000a


# --- the server that can give short leases ----------------------------------------------------------------------------

def kea(network, namespace, pool, lease, renew=None, rebind=None, *, interface="eth0", router=GATEWAY, name="kea",
        subnet="192.168.77.0/24"):
    """A DHCP server whose times may be a few seconds. A second call with the same name goes on with its leases."""
    leases = network.logs / f"{name}.csv"
    config = {
        "interfaces-config": {"interfaces": [interface], "dhcp-socket-type": "raw"},
        "valid-lifetime": lease, "authoritative": True,
        "subnet4": [{"id": 1, "subnet": subnet, "pools": [{"pool": pool}],
                     "option-data": [{"name": "routers", "data": router}] if router else []}]}
    if renew:
        config.update({"renew-timer": renew, "rebind-timer": rebind})
    return start_kea(network, namespace, "dhcp4", config, leases, name)


def start_kea(network, namespace, kind, config, leases, name):
    config.update({
        "lease-database": {"type": "memfile", "name": str(leases), "lfc-interval": 0},
        "loggers": [{"name": f"kea-{kind}", "severity": "INFO", "output_options": [{"output": "stdout"}]}]})
    path = network.logs / f"{name}.conf"
    path.write_text(json.dumps({kind.capitalize(): config}))
    process = network.start(["env", *(f"KEA_{what}_DIR={network.logs}" for what in ("PIDFILE", "LOCKFILE", "DHCP_DATA")),
                             f"kea-{kind}", "-c", path], namespace, name=f"{name}-{len(network.processes)}")
    process.wait_line(f"{kind.upper()}_STARTED", 10)
    process.leases = leases
    return process


# --- clients: each returns its process when the interface has an address ----------------------------------------------

def start_udhcpc(network, guest, *options):
    return services.udhcpc(network, guest.namespace, *options)


def start_dhclient(network, guest, *options):
    return services.dhclient(network, guest.namespace, *options)


def start_dhcpcd(network, guest, *options):
    """Without the leases and sockets of others: it has fixed places for them."""
    return start_hidden(network, guest, "dhcpcd", "mkdir /run/dhcpcd && mount -t tmpfs tmpfs /var/lib/dhcpcd",
                        "dhcpcd --nobackground --ipv4only --noipv4ll --config /dev/null --script /bin/true "
                        f"{' '.join(options)} eth0")


def start_networkd(network, guest):
    """No more of systemd than this one program: it goes on without a bus, and without udev if /sys is read-only."""
    file = network.logs / f"{guest.name}.network"
    # A DUID of its own kind, as a container may lack /etc/machine-id, of which the usual one is made.
    file.write_text("[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"
                    "[DHCPv4]\nClientIdentifier=duid\nDUIDType=link-layer\nUseHostname=no\nSendHostname=no\n")
    return start_hidden(network, guest, "networkd", *networkd_command(file))


def networkd_command(file):
    """What start_hidden() needs for it, with this description of eth0."""
    before = ("cd /run && mkdir -p systemd/network systemd/netif/links systemd/netif/leases systemd/netif/lldp"
              " && { id systemd-network >/dev/null && chown -R systemd-network /run/systemd/netif; }"
              f" && cp {file} /run/systemd/network/10-eth0.network && mount -o bind,ro /sys /sys")
    return before, f"env SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console {NETWORKD}"


def start_hidden(network, guest, name, before, command, find_address=services.address_of):
    """A client that has /run and more for itself."""
    script = f"mount -t tmpfs tmpfs /run && {before} && exec {command}"
    process = network.start(["unshare", "--mount", "sh", "-c", script], guest.namespace, f"{guest.name}-{name}")

    def has_address():
        if not process.running:
            raise NetworkError(f"{name} ended: " + "; ".join(process.output()[-5:]))
        return find_address(guest.namespace)
    wait_for(has_address, 20, f"the address of {name}")
    if find_address is services.address_of:
        services.wait_for_route(guest.namespace)
    return process


def start_client(network, guest, client, *options):
    starter = {"udhcpc": start_udhcpc, "dhclient": start_dhclient, "dhcpcd": start_dhcpcd, "networkd": start_networkd}
    guest.client = starter[client](network, guest, *options)
    guest.address = services.address_of(guest.namespace)
    return guest.client


def release(network, guest, client):
    """Tell the client to give its lease back, in its own way."""
    if client == "dhclient":
        files = network.logs / f"dhclient-{guest.name}"
        guest.namespace.run("dhclient", "-r", "-4", "-cf", "/dev/null", "-lf", f"{files}.leases", "-pf",
                            f"{files}.pid", "-sf", services.HERE / "dhclient.sh", "eth0")
    elif client == "udhcpc":
        services.release_udhcpc(guest.client, guest.namespace)
    else:
        guest.client.signal({"dhcpcd": signal.SIGALRM, "networkd": signal.SIGTERM}[client])


def needs_peers(*clients, server="kea-dhcp4"):
    """A mark for tests of these clients; udhcpc comes with the guest's busybox."""
    names = {"networkd": NETWORKD, "udhcpc": "sh"}
    missing = [client for client in (*clients, server) if not shutil.which(names.get(client, client))]
    alone = "networkd" in clients and not has_other_users()
    return pytest.mark.skipif(bool(missing) or alone, reason=f"not installed: {', '.join(missing)}" if missing else
                              "networkd becomes another user, and there is none in this user namespace")


# --- a guest ----------------------------------------------------------------------------------------------------------

class Guest:
    """A namespace behind a guard.

        eth0 (tap) -- softnet -- tap -- br0

    With `walled` the guest keeps its interface when the guard ends, as a VM does:

        eth0 (veth) -- bridge in a namespace in between -- tap -- softnet -- tap -- br0

    With `bare` there is no guard, to see what the guard changes: eth0 (veth) -- br0

    The guest's kernel has IPv6 if `ipv6` gives its settings, see set_ipv6().
    """
    numbers = itertools.count(1)

    def __init__(self, network, name, *options, walled=False, bare=False, ipv6=None):
        self.network, self.name, self.options = network, name, options
        self.mac = ":".join(re.findall("..", f"{FIRST_MAC + len(network.namespaces):012x}"))
        self.namespace = network.namespace(name, ipv6=ipv6 is not None)
        self.namespace.set_ipv6(**(ipv6 or {}))
        self.client = self.address = self.wall = self.guard = None
        if bare:
            network.join(self.namespace, "eth0", "br0", mac=self.mac)
            return
        if walled:
            self.wall = network.namespace(f"w-{name}", ipv6=False)
            self.wall.ip("link add wall type bridge stp_state 0 mcast_snooping 0")
            self.wall.ip(f"link add port type veth peer name eth0 netns {name}")
            self.wall.ip("link set port master wall up")
            self.wall.ip("link set wall up")
            # No IPv6 before the guard is there and the bridge forwards: the kernel claims an address once.
            self.namespace.set_ipv6("eth0", disable_ipv6=1)
            self.namespace.ip(f"link set eth0 address {self.mac} up")
        self.start_guard()
        if walled and ipv6 is not None:
            self.namespace.set_ipv6("eth0", disable_ipv6=0)

    def start_guard(self, *more):
        name = f"softnet-{len(self.network.processes)}"
        options = [*self.options, *more]
        if self.wall:
            self.guard = services.guard(self.network, self.wall, self.mac, "br0", *options, name=name, interface="tap")
            # The port of a bridge must not have the address of a machine behind it.
            self.wall.ip("link set tap address 02:00:00:00:00:01 master wall up")
            for port in "tap", "port":
                wait_for(lambda: "state forwarding" in self.wall.run("bridge", "link", "show", "dev", port), what=port)
        else:
            self.guard = services.guard(self.network, self.namespace, self.mac, "br0", *options, name=name)
        return self.guard

    def stop_guard(self):
        self.guard.stop()
        assert self.guard.popen.returncode == 0, self.guard.output("err")[-5:]

    # Raw frames: what the guest may do, whatever its kernel or client thinks that it should.

    def frame_from(self, source, to_mac, to=INTERNET, payload=b""):
        udp = struct.pack("!HHHH", 40000, 9, 8 + len(payload), 0) + payload
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, ip_bytes(source), ip_bytes(to))
        header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
        return mac_bytes(to_mac) + mac_bytes(self.mac) + b"\x08\x00" + header + udp

    def try_to_send(self, source, far, reason=None):
        """A frame from this address to the internet: the guard must drop it for this reason, or pass it if None."""
        mark = b"frame %d of %s" % (next(self.numbers), self.name.encode())
        watch = far.namespace.wire(far.interface)
        wire = self.namespace.wire("eth0")
        before = self.guard.counters().dropped("guest", reason)
        wire.send(self.frame_from(source, far.mac, payload=mark))
        if reason is None:
            watch.wait_frame(lambda frame: mark in frame, what=f"the frame of {self.name} from {source}")
        else:
            self.guard.wait_counters(lambda now: now.dropped("guest", reason) > before,
                                     what=f"{reason} for {self.name} from {source}")
            assert not any(mark in frame for frame in watch.frames()), f"{self.name} could send from {source}"
        wire.close()
        watch.close()

    def must_reach(self, *addresses):
        for address in addresses or (GATEWAY, INTERNET):
            self.namespace.run("ping", "-c", "3", "-i", "0.2", "-W", "2", address)

    def fetch(self, address=INTERNET):
        return self.namespace.run(services.busybox(), "wget", "-q", "-O", "-", f"http://{address}/{self.name}")

    def leases(self):
        """The addresses that the guard grants now."""
        mark = self.guard.mark()
        self.guard.counters()
        return [text.split()[1] for _, text in self.guard.since(mark) if re.match(r"lease \d", text)]


class Far:
    """Where the guests' frames come out: the gateway's interface."""

    def __init__(self, namespace, interface):
        self.namespace, self.interface, self.mac = namespace, interface, namespace.mac(interface)


def hosted(network):
    """A bridge with the host's address, as on a machine that runs VMs: anchors come from there."""
    network.bridge("br0")
    network.host.ip("link set br0 address 52:54:00:00:00:01")
    network.host.ip(f"address add {GATEWAY}/24 dev br0")
    network.host.ip("link add internet type bridge")
    network.host.ip(f"address add {INTERNET}/32 dev internet")
    network.host.ip("link set internet up")
    network.far = Far(network.host, "br0")
    # Somebody else on the segment; besides, a bridge has no carrier before it has a port.
    network.neighbor = network.namespace("neighbor", ipv6=False)
    network.join(network.neighbor, "eth0", "br0", f"{NEIGHBOR}/24", mac="52:54:00:00:00:02")
    return network


def serve(network, server, lease=120, renew=3, rebind=7, *, first=10, **more):
    """A server on the host, with renewal after 3 s; dnsmasq gives no lease of less than 120 s, and was seen to
    make 4 s of a T1 of 2 s. Addresses are given in order."""
    if server == "kea":
        return kea(network, network.host, f"192.168.77.{first}-192.168.77.{first + 40}", lease, renew, rebind,
                   interface="br0", **more)
    return services.dnsmasq(network, network.host, f"192.168.77.{first}", f"192.168.77.{first + 40}", f"{lease}s",
                            f"--dhcp-option-force=58,{renew}", f"--dhcp-option-force=59,{rebind}",
                            "--dhcp-sequential-ip", interface="br0", router=GATEWAY, **more)


def guests_of(network, clients, *options, **more):
    """One guest for each client, with a lease."""
    guests = {client: Guest(network, f"vm-{client}", *options, **more) for client in clients}
    # Probing takes dhcpcd six seconds; one test is about that.
    all_of(lambda client: start_client(network, guests[client], client, *["--noarp"] * (client == "dhcpcd")), clients)
    return guests


def all_of(function, items):
    """Call it for all at once, as most of the time is spent waiting; the first failure is this function's."""
    with concurrent.futures.ThreadPoolExecutor(len(items)) as pool:
        return list(pool.map(function, items))


def is_dhcp(frame, kind=None, to=None):
    """A client's message, perhaps only of this type (option 53 is the first in all clients) and to this address."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 17 or frame[34:38] != b"\x00\x44\x00\x43":
        return False
    options = frame[42 + 240:]
    return (kind is None or b"\x35\x01" + bytes([kind]) in options) and (to is None or frame[30:34] == ip_bytes(to))


def ip_bytes(text):
    return bytes(map(int, text.split(".")))


def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xffff) + (total >> 16)
    return ~(total + (total >> 16)) & 0xffff
