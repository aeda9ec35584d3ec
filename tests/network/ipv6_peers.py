"""What the IPv6 tests have in common: a segment with a router and an internet behind it, routers, servers, clients.

    guest eth0 -- softnet -- br0 -- eth0 gateway wan -- eth0 internet
                              `---- more routers, neighbors

Nothing advertises until a test starts radvd() or a dnsmasq() on the gateway. The guests wait for no random delay, so a
guest has its address about two seconds after its link comes up, one of them for duplicate address detection (DAD).
"""

import socket
import struct

import dhcp_peers
import services
from netns import has_other_users, wait_for

PREFIX, OTHER_PREFIX = "2a00:7700:1:1::/64", "2a00:7700:2:1::/64"
GATEWAY, GATEWAY_MAC = "2a00:7700:1:1::1", "52:54:00:00:00:01"
GATEWAY_LINK_LOCAL = "fe80::5054:ff:fe00:1"
INTERNET = "2606:4700:4700::1111"       # "the internet", as far as a guest's policy is concerned
POOL = "2a00:7700:1:1::100-2a00:7700:1:1::1ff"
RESOLVER = "fd00:53::53"                # a private address of the gateway
UDP_PORT = 9
PROMPT = {"router_solicitation_delay": 0}
OPAQUE = {"addr_gen_mode": 2}           # addresses as of RFC 7217, of a secret
PRIVACY = {"use_tempaddr": 2}


def number(address):
    return int.from_bytes(socket.inet_pton(socket.AF_INET6, address), "big")


def text(value):
    return socket.inet_ntop(socket.AF_INET6, value.to_bytes(16, "big"))


def within(address, prefix):
    base, length = prefix.split("/")
    return (number(address) ^ number(base)) >> (128 - int(length)) == 0


def eui64(prefix, mac):
    """The address that SLAAC makes of a MAC address in a prefix (modified EUI-64)."""
    high, low = int(mac.replace(":", "")[:6], 16), int(mac.replace(":", "")[6:], 16)
    return text(number(prefix.split("/")[0]) | (high ^ 0x020000) << 40 | 0xfffe << 24 | low)


# --- the segment ------------------------------------------------------------------------------------------------------

def segment(network, mtu=1500):
    """A bridge, the gateway and the internet, with IPv4 as well; `mtu` is that of the link behind the gateway."""
    network.bridge("br0")
    network.gateway = add_router(network, "gateway", GATEWAY_MAC, f"{GATEWAY}/64", "192.168.77.1/24")
    network.internet = network.namespace("internet")
    network.internet.set_ipv6(accept_dad=0, accept_ra=0)
    network.gateway.ip("link add wan type veth peer name eth0 netns internet")
    for namespace, interface, last in (network.gateway, "wan", 1), (network.internet, "eth0", 2):
        namespace.ip(f"link set {interface} mtu {mtu} up")
        namespace.ip(f"address add 2a00:7700:ffff::{last}/64 dev {interface}")
        namespace.ip(f"address add 203.0.113.{last}/24 dev {interface}")
    network.internet.ip("-6 route add default via 2a00:7700:ffff::1")
    network.internet.ip("-4 route add default via 203.0.113.1")
    network.internet.ip(f"address add {INTERNET}/128 dev lo")
    network.internet.ip(f"address add {dhcp_peers.INTERNET}/32 dev lo")
    network.gateway.ip("-6 route add default via 2a00:7700:ffff::2")
    network.gateway.ip("-4 route add default via 203.0.113.2")
    network.gateway.ip(f"address add {RESOLVER}/128 dev lo")
    network.far = dhcp_peers.Far(network.gateway, "eth0")
    return network


def add_router(network, name, mac, *addresses):
    """A namespace on the bridge that forwards, has its addresses at once, and hears no other router."""
    router = network.namespace(name)
    for interface in "all", "default":
        router.set_ipv6(interface, forwarding=1, accept_dad=0, accept_ra=0)
    router.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
    network.join(router, "eth0", "br0", mac=mac)
    for address in addresses:
        router.ip(f"address add {address} dev eth0")
    return router


# --- routers ----------------------------------------------------------------------------------------------------------

def radvd(network, namespace, *prefixes, valid=600, preferred=300, lifetime=60, interface="eth0", options="",
          name=None, seconds=(3, 4)):
    """A router that advertises every few seconds, or as said. A prefix may be (prefix, valid, preferred), `options` anything that
    radvd.conf takes inside an interface. reload() of the process takes prefixes and the rest again."""
    name = name or f"radvd-{namespace.name}"
    path = network.logs / f"{name}.conf"

    def configure(*prefixes, valid=valid, preferred=preferred, lifetime=lifetime, options=options):
        lines = [f"interface {interface} {{", f"AdvSendAdvert on; MinRtrAdvInterval {seconds[0]}; MaxRtrAdvInterval {seconds[1]};",
                 f"AdvDefaultLifetime {lifetime}; {options}"]
        for prefix in prefixes:
            prefix, valid_s, preferred_s = (prefix, valid, preferred) if isinstance(prefix, str) else prefix
            lines.append(f"prefix {prefix} {{ AdvOnLink on; AdvAutonomous on; AdvValidLifetime {valid_s};"
                         f" AdvPreferredLifetime {preferred_s}; }};")
        path.write_text("\n".join([*lines, "};", ""]))
        path.chmod(0o600)                       # it refuses what others may write

    def reload(*prefixes, **changes):
        configure(*prefixes, **changes)
        process.signal(1)

    configure(*prefixes)
    process = network.start(["radvd", "--nodaemon", "--logmethod=stderr", "--debug=1", f"--config={path}",
                             f"--pidfile={network.logs / name}.pid"], namespace,
                            name=f"{name}-{len(network.processes)}")
    process.reload = reload
    return process


def dnsmasq(network, *ranges, options=(), **more):
    """A router and DHCPv6 server on the gateway, with IPv4 as well; ranges are dnsmasq's, say f"{first},{last},64"."""
    return services.dnsmasq(network, network.gateway, "192.168.77.10", "192.168.77.50", "600s", "--enable-ra",
                            "--ra-param=eth0,4,60", *[f"--dhcp-range={each}" for each in ranges], *options,
                            router="192.168.77.1", **more)


# --- DHCPv6 servers and clients ---------------------------------------------------------------------------------------

def kea6(network, namespace, pool, valid, preferred=None, renew=None, rebind=None, *, prefix=PREFIX, interface="eth0",
         name="kea6", dns=None, delegated=None, rapid=False, **subnet):
    """As dhcp_peers.kea(); radvd has to say that there are leases: options="AdvManagedFlag on;"."""
    config = {"interfaces-config": {"interfaces": [interface]},
              # Its own choice it would keep in a file of the machine's.
              "server-id": {"type": "EN", "enterprise-id": 1, "identifier": name.encode().hex(), "persist": False},
              "valid-lifetime": valid, "preferred-lifetime": preferred or valid,
              "subnet6": [{"id": 1, "subnet": prefix, "interface": interface, "pools": [{"pool": pool}], "rapid-commit": rapid,
                           **subnet}],
              "option-data": [{"name": "dns-servers", "data": dns}] if dns else []}
    if delegated:
        network_, length = delegated.split("/")
        config["subnet6"][0]["pd-pools"] = [{"prefix": network_, "prefix-len": int(length), "delegated-len": 64}]
    if renew:
        config.update({"renew-timer": renew, "rebind-timer": rebind})
    return dhcp_peers.start_kea(network, namespace, "dhcp6", config, network.logs / f"{name}.csv", name)


def leased(namespace):
    """The address that a DHCPv6 client put on eth0, told by the small numbers in the servers' pools."""
    return next((each["local"] for each in namespace.addresses()
                 if not is_waiting(each) and number(each["local"]) & 0xffffffffffffffff < 0x10000), None)


def dhclient_command(network, guest, *options):
    """Only DHCPv6; the rest of the guest's addresses are its kernel's affair."""
    files = network.logs / f"dhclient6-{guest.name}"
    return ["dhclient", "-d", "-6", "-D", "LL", "-cf", "/dev/null", "-lf", f"{files}.leases", "-pf", f"{files}.pid",
            "-sf", services.HERE / "dhclient.sh", *options, "eth0"]


def start_dhclient(network, guest, *options):
    guest.wait_address("fe80::/64")     # it ends if it has no address to speak from
    process = network.start(dhclient_command(network, guest, *options), guest.namespace)
    wait_for(lambda: leased(guest.namespace), 20, "dhclient's address")
    return process


def start_dhcpcd(network, guest, *options):
    """It takes router solicitation and SLAAC away from the kernel."""
    return dhcp_peers.start_hidden(
        network, guest, "dhcpcd", "mkdir /run/dhcpcd && mount -t tmpfs tmpfs /var/lib/dhcpcd",
        "dhcpcd --nobackground --ipv6only --config /dev/null --script /bin/true "
        f"{' '.join(options)} eth0", leased)


def start_networkd(network, guest):
    """It, too, does router solicitation and SLAAC itself."""
    file = network.logs / f"{guest.name}.network"
    file.write_text("[Match]\nName=eth0\n[Network]\nDHCP=ipv6\nIPv6AcceptRA=yes\n"
                    "[DHCPv6]\nDUIDType=link-layer\nUseHostname=no\n")
    return dhcp_peers.start_hidden(network, guest, "networkd", *dhcp_peers.networkd_command(file),
                                   find_address=leased)


CLIENTS = {"dhclient": start_dhclient, "dhcpcd": start_dhcpcd, **({"networkd": start_networkd} if has_other_users() else {})}


def start_client(network, guest, client, *options):
    guest.client = CLIENTS[client](network, guest, *options)
    guest.address = leased(guest.namespace)
    return guest.client


# --- guests -----------------------------------------------------------------------------------------------------------

def is_waiting(address):
    """In duplicate address detection, or found to be a duplicate."""
    return address.get("tentative") or address.get("dadfailed") or False


class Guest6(dhcp_peers.Guest):
    """A guest whose kernel has IPv6; `ipv6` as in Namespace.set_ipv6()."""

    def __init__(self, network, name, *options, ipv6=None, **more):
        # The interfaces here have no permanent address, so each guest needs a secret of its own.
        settings = {**PROMPT, **(ipv6 or {})}
        if OPAQUE.items() <= settings.items():
            settings = {"stable_secret": f"2001:db8::{len(network.namespaces):x}", **settings}
        super().__init__(network, name, *options, ipv6=settings, **more)
        self.link_local = eui64("fe80::/64", self.mac)

    def start_over(self):
        """As at boot, and when the link has been down: the kernel forgets all and asks for everything anew. The link
        itself stays up, for the port of a bridge may take a second to forward."""
        self.namespace.set_ipv6("eth0", disable_ipv6=1)
        self.namespace.set_ipv6("eth0", disable_ipv6=0)

    def addresses(self, prefix="::/0", **wanted):
        """Its addresses in the prefix that can be used; say temporary=True, or deprecated=None."""
        return [each["local"] for each in self.namespace.addresses()
                if within(each["local"], prefix) and not is_waiting(each) and
                all(each.get(name) == value for name, value in wanted.items())]

    def wait_address(self, prefix=PREFIX, timeout=10, **wanted):
        return wait_for(lambda: self.addresses(prefix, **wanted), timeout, f"an address of {self.name} in {prefix}")[0]

    def wait_eui64(self, prefix=PREFIX):
        return self.wait_address(prefix, local=eui64(prefix, self.mac))

    def wait_router(self, via=None):
        """Until it has a default route; through this router, if one is named."""
        wait_for(lambda: f"via {via or ''}" in self.namespace.ip("-6 route show default"), 10,
                 f"a default route of {self.name}")

    def frame_from(self, source, to_mac, to=INTERNET, payload=b""):
        return dhcp_peers.mac_bytes(to_mac) + dhcp_peers.mac_bytes(self.mac) + b"\x86\xdd" + \
            packet(source, to, 17, with_checksum(source, to, 17, struct.pack(
                "!HHHH", 40000, UDP_PORT, 8 + len(payload), 0) + payload, 6))

    def ping(self, to=INTERNET, source=None, count=1, wait=2, **options):
        return self.namespace.run("ping", "-6", "-c", count, "-i", "0.2", "-W", wait,
                                  *(["-I", source] if source else []), to, **options)

    def must_reach(self, *addresses):
        for address in addresses or (INTERNET,):
            self.ping(address, count=2)

    def exchange(self, data, to=INTERNET, **options):
        return exchange(self.namespace, data, to, **options)

    def ask(self, data, to=INTERNET, **options):
        return ask(self.namespace, data, to, **options)


def exchange(namespace, data, address, port=7, timeout=10, source=None):
    """Send this over TCP, and return all that comes back."""
    with namespace.entered():
        client = socket.socket(services.family_of(address))
    with client:
        client.settimeout(timeout)
        if source:
            client.bind((source, 0))
        client.connect((address, port))
        # What is echoed has to be read in time, or both sides wait for each other.
        answer, view = b"", memoryview(data)
        for at in range(0, len(data), 65536):
            client.sendall(view[at:at + 65536])
            wanted = min(at + 65536, len(data)) - 262144
            while len(answer) < wanted:
                answer += client.recv(65536)
        client.shutdown(socket.SHUT_WR)
        while chunk := client.recv(65536):
            answer += chunk
    return answer


def ask(namespace, data, address, port=7, timeout=5, source=None):
    """Send a datagram and return the answer; TimeoutError if none comes."""
    with namespace.entered():
        client = socket.socket(services.family_of(address), socket.SOCK_DGRAM)
    with client:
        client.settimeout(timeout)
        if source:
            client.bind((source, 0))
        client.sendto(data, (address, port))
        return client.recv(65536)


# --- frames -----------------------------------------------------------------------------------------------------------

def packet(source, destination, protocol, payload, hop_limit=64):
    return struct.pack("!IHBB", 0x60000000, len(payload), protocol, hop_limit) + \
        socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination) + payload


def with_checksum(source, destination, protocol, payload, at):
    """The payload with its checksum, which counts the addresses, at this place."""
    pseudo = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination) + \
        struct.pack("!II", len(payload), protocol)
    total = pseudo + payload[:at] + b"\0\0" + payload[at + 2:]
    sum16 = dhcp_peers.checksum(total + b"\0" * (len(total) % 2)) or 0xffff
    return payload[:at] + struct.pack("!H", sum16) + payload[at + 2:]


def icmp6_of(frame):
    """(type, source, destination, ICMPv6 message) of a frame, behind a Hop-by-Hop header as well; None if none."""
    if frame[12:14] != b"\x86\xdd" or len(frame) < 58:
        return None
    at, protocol = 54, frame[20]
    if protocol == 0:
        at, protocol = at + 8 * (frame[at + 1] + 1), frame[at]
    if protocol != 58 or len(frame) < at + 4:
        return None
    source, destination = (socket.inet_ntop(socket.AF_INET6, frame[i:i + 16]) for i in (22, 38))
    return frame[at], source, destination, frame[at:]
