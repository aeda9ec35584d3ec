"""A hint names the cause, and its cure works: softnet says what keeps the guest from the network, the test does just
what is said, and the guest is online. And status does not call it flowing traffic while the gateway's answers are dropped.

    guest -- softnet -- br0 -- gateway 192.168.77.1, DHCP servers, machines that answer in the gateway's name
"""

import json
import re
import socket
import time

import pytest

import ipv6_peers
import services
from control_peers import FOLDER, Channel, folder      # noqa: F401 (folder is a fixture)
from dhcp_peers import GATEWAY, INTERNET, Guest, start_client
from netns import wait_for

GATEWAY_MAC, OTHER_MAC = "52:54:00:00:00:01", "52:54:00:00:00:66"
HOST, HOST_MAC = "192.168.77.60", "52:54:00:00:00:60"
# An option and its value. Where an option is only spoken of, something else than a space follows it.
CURE = re.compile(r"(--[a-z0-9-]+) ([^ ]+)")


class Hinted(Guest):
    """A guest whose guard is asked what is wrong."""

    def status(self):
        said = services.status(self.network, "--vm", self.mac, "--json")
        return json.loads(said)[0]

    def first_line(self):
        return services.status(self.network, "--vm", self.mac).splitlines()[1]

    def wait_hint(self, pattern, about="asking", seconds=25):
        """Of the status, as soon as it fits, and as the first line of the page has it, whole."""
        def look():
            said = self.status()[about]
            return said["hint"] if said and re.search(pattern, said["hint"]) else None
        hint = wait_for(look, seconds, pattern)
        assert hint in self.first_line()
        assert "traffic flows" not in self.first_line()
        return hint

    def follow(self, hint, only=None):
        """Types the options of the hint, in the place of the same before, and starts softnet again."""
        cures = [(name, value) for name, value in CURE.findall(hint) if only in (None, name)]
        assert cures, hint
        options = list(self.options)
        for name, value in cures:
            while name in options:
                at = options.index(name)
                del options[at:at + 2]
            options += [name, value]
        self.options = options
        self.restart()

    def restart(self):
        self.stop_guard()
        self.start_guard()

    def must_lease(self):
        address = wait_for(lambda: services.address_of(self.namespace), 30, f"{self.name} to have an address")
        wait_for(lambda: self.leases() == [address], 30, "the guard to know it")
        wait_for(lambda: "default" in self.namespace.ip("route"), 10, f"{self.name} to have a route")
        self.address = address


def asking(network, *options, mac=None, sends=()):
    """A guest that asks, and asks again, with its interface up through restarts of the guard."""
    guest = Hinted(network, "vm", *options, walled=True)
    if mac:
        guest.namespace.ip(f"link set eth0 address {mac}")
    network.start([services.busybox(), "udhcpc", "-f", "-i", "eth0", "-t", "3", "-T", "1", "-A", "2", "-s",
                   services.CHECKOUT / "tests" / "vm" / "udhcpc.sh", *sends], guest.namespace)
    return guest


def machine(network, name, address, mac):
    namespace = network.namespace(name, ipv6=False)
    network.join(namespace, "eth0", "br0", f"{address}/24", mac=mac)
    return namespace


@pytest.fixture
def lan(segment, softnet):
    """The host lives on the LAN, and its default route leaves elsewhere: it is taken for the router."""
    segment.host.ip(f"link set br0 address {HOST_MAC}")
    segment.host.ip(f"address add {HOST}/24 dev br0")
    return segment


# --- DHCP: which address, MAC address, option or port -----------------------------------------------------------------

@pytest.mark.long
def test_the_router_is_not_the_host(lan):
    guest = asking(lan)
    hint = guest.wait_hint(f"its address {GATEWAY} is not this host's .{HOST}.")
    guest.follow(hint, only="--gateway")
    guest.must_lease()
    guest.must_reach(INTERNET)


def test_the_server_is_not_the_host(lan):
    """The host routes, and another machine has the leases."""
    lan.dhcp_server.stop()
    lan.gateway.ip(f"address del {INTERNET}/32 dev lo")
    lan.host.ip("link add internet type bridge")
    lan.host.ip(f"address add {INTERNET}/32 dev internet")
    services.dnsmasq(lan, lan.gateway, "192.168.77.10", "192.168.77.50", router=HOST, name="elsewhere")
    guest = asking(lan)
    guest.follow(guest.wait_hint(f"its address {GATEWAY} is not this host's"), only="--dhcp-server")
    guest.must_lease()
    guest.must_reach(INTERNET)


@pytest.mark.long
def test_the_server_is_not_the_named_one(segment, softnet):
    guest = asking(segment, "--dhcp-server", "192.168.77.9")
    guest.follow(guest.wait_hint(f"its address {GATEWAY} is none of --dhcp-server"))
    assert guest.options[-1] == f"192.168.77.9,{GATEWAY}"
    guest.must_lease()
    guest.must_reach(INTERNET)


@pytest.mark.long
def test_the_server_is_not_the_gateway(segment, softnet):
    segment.dhcp_server.stop()
    other = machine(segment, "dhcp", "192.168.77.2", OTHER_MAC)
    services.dnsmasq(segment, other, "192.168.77.10", "192.168.77.50", router=GATEWAY, name="other")
    guest = asking(segment, "--gateway", GATEWAY)
    guest.follow(guest.wait_hint("its address 192.168.77.2 is none of --gateway"))
    guest.must_lease()
    guest.must_reach(INTERNET)


@pytest.mark.long
def test_the_servers_mac_is_not_the_named_one(segment, softnet):
    guest = asking(segment, "--gateway", GATEWAY, "--gateway-mac", OTHER_MAC)
    guest.follow(guest.wait_hint(f"{GATEWAY_MAC} answers as the gateway {GATEWAY}, and is none of --gateway-mac"))
    guest.must_lease()
    guest.must_reach(INTERNET)


@pytest.mark.long
def test_the_server_is_behind_a_relay(segment, softnet):
    """The server is named, but the guest hears the relay, which is the gateway."""
    segment.dhcp_server.stop()
    segment.bridge("br9")
    segment.join(segment.gateway, "eth9", "br9", "10.9.9.1/24")
    far = segment.namespace("far", ipv6=False)
    segment.join(far, "eth0", "br9", "10.9.9.9/24")
    far.ip("route add 192.168.77.0/24 via 10.9.9.1")
    services.dnsmasq(segment, far, "192.168.77.10", "192.168.77.50,255.255.255.0", router=GATEWAY, name="far")
    segment.start(["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--group=root", "--pid-file=",
                   "--port=0", f"--dhcp-relay={GATEWAY},10.9.9.9"], segment.gateway, name="relay")
    guest = asking(segment, "--dhcp-server", "10.9.9.9")
    guest.follow(guest.wait_hint(f"its address {GATEWAY} is none of --dhcp-server"))
    assert guest.options == ["--dhcp-server", f"10.9.9.9,{GATEWAY}"]
    guest.must_lease()
    guest.must_reach(INTERNET)


@pytest.mark.long
def test_the_server_says_two_things(segment, softnet):
    """Option 51 twice: no option of softnet's, but the server's."""
    segment.dhcp_server.stop()
    server = services.dnsmasq(segment, segment.gateway, "192.168.77.10", "192.168.77.50", "600s",
                              "--dhcp-option-force=51,3600", router=GATEWAY, name="twice")
    guest = asking(segment)
    guest.wait_hint(r"dhcp4-malformed\): option 51 .* says two things: let the server say it once")
    server.stop()
    services.dnsmasq(segment, segment.gateway, "192.168.77.10", "192.168.77.50", router=GATEWAY, name="once")
    guest.must_lease()


def test_the_guests_mac_is_another(segment, softnet):
    guest = asking(segment, mac="52:54:00:12:34:99")
    hint = guest.wait_hint(r"eth-src-spoof\): they come from another MAC address than that of --vm-mac-address")
    assert hint.endswith("or --vm-mac-address 52:54:00:12:34:99")
    guest.stop_guard()
    guest.mac = "52:54:00:12:34:99"
    guest.start_guard()
    guest.must_lease()
    guest.must_reach(INTERNET)


@pytest.mark.long
def test_dhcp_is_switched_off(segment, softnet):
    guest = asking(segment, "--no-dhcp", "--vm-ip", "fe80::5")
    guest.wait_hint(r"dhcp4-disabled\): they are not wanted \(--no-dhcp\): leave that option out")
    guest.options = []
    guest.restart()
    guest.must_lease()


@pytest.mark.parametrize("sent,option", [(["-x", "hostname:web9"], 12), (["-F", "web9"], 81)], ids=["name", "fqdn"])
def test_the_host_name_is_another(segment, softnet, sent, option):
    guest = asking(segment, "--dhcp-hostname", "web1", sends=sent)
    guest.follow(guest.wait_hint(rf"dhcp-hostname\): their host name \(option {option}\) is none of --dhcp-hostname"))
    assert guest.options == ["--dhcp-hostname", "web1,web9"]
    guest.must_lease()


@pytest.mark.long
def test_a_lease_that_is_not_listed(segment, softnet):
    guest = asking(segment, "--vm-ip", "192.168.77.200")
    hint = guest.wait_hint(r"dhcp4-bad-lease\): it leases 192.168.77.[0-9]+, which is not in --vm-ip")
    guest.follow(hint)
    first, leased = guest.options[1].split(",")
    assert first.startswith("192.168.77.200/")
    wait_for(lambda: services.address_of(guest.namespace) == leased, 30, "the address")
    wait_for(lambda: "default via" in guest.namespace.ip("route"), 10, "the default route")
    guest.must_reach(INTERNET)


def test_too_many_client_identifiers_beside_an_old_lease(segment, softnet):
    """Boot after boot, each with a new identifier, and every lease still runs."""
    guest = Hinted(segment, "vm", walled=True)
    for boot in range(9):
        client = segment.start([services.busybox(), "udhcpc", "-f", "-i", "eth0", "-t", "30", "-T", "1", "-x",
                                f"0x3d:00{boot:02x}{boot:02x}", "-s", services.CHECKOUT / "tests" / "vm" / "udhcpc.sh"],
                               guest.namespace)
        if boot < 8:
            client.wait_line(r"^lease \S+ from", 15)
            client.stop()
    assert guest.leases()
    guest.follow(guest.wait_hint(r"dhcp4-client-id-limit\): .* --rate newid=1/32"))
    client.wait_line(r"^lease \S+ from", 15)


# --- the gateway ------------------------------------------------------------------------------------------------------

def keep_asking(network, guest):
    """It wants the gateway all the time, and has no entry for it that was good before."""
    guest.namespace.ip("neighbor flush dev eth0")
    network.start(["ping", "-i", "0.5", INTERNET], guest.namespace, name=f"ping-{time.monotonic()}")


def move_gateway(network):
    """Another machine has its address now, as with keepalived without use_vmac, or a router that was replaced."""
    network.gateway.ip(f"link set eth0 address {OTHER_MAC}")


@pytest.mark.long
def test_the_gateway_has_another_mac_than_is_named(segment, softnet, folder):       # noqa: F811
    events = FOLDER / "events.jsonl"
    guest = Hinted(segment, "vm", "--gateway-mac", GATEWAY_MAC, "--events", str(events), walled=True)
    start_client(segment, guest, "udhcpc")
    guest.must_reach(INTERNET)
    assert guest.status()["gateway"] is None and "traffic flows" in guest.first_line()
    move_gateway(segment)
    keep_asking(segment, guest)
    hint = guest.wait_hint(f"{OTHER_MAC} answers as the gateway {GATEWAY}, and is none of --gateway-mac", "gateway")
    assert guest.first_line().startswith("has an address, but its gateway's answers are dropped for ")
    stated = guest.status()["gateway"]
    assert (stated["address"], stated["mac"]) == (GATEWAY, OTHER_MAC)

    def told():
        said = [json.loads(line) for line in events.read_text().splitlines()]
        return [(event["address"], event["hint"]) for event in said if event["event"] == "no-gateway-answer"]
    wait_for(told, 15, "the event")
    assert told() == [(GATEWAY, hint)]
    guest.follow(hint)
    assert f"{GATEWAY_MAC},{OTHER_MAC}" in guest.options
    ask_anew(segment, guest)
    guest.must_reach(INTERNET)


def ask_anew(network, guest):
    """The guard that was started again knows no lease: the guest asks for one, as after a boot."""
    guest.client.stop()
    start_client(network, guest, "udhcpc")


def test_the_gateway_is_not_the_host(lan):
    """The host is the server, and the lease names another machine as the router."""
    lan.dhcp_server.stop()
    services.dnsmasq(lan, lan.host, "192.168.77.10", "192.168.77.50", router=GATEWAY, interface="br0", name="hosts")
    guest = Hinted(lan, "vm", walled=True)
    start_client(lan, guest, "udhcpc")
    keep_asking(lan, guest)
    hint = guest.wait_hint(f"{GATEWAY_MAC} answers as the gateway {GATEWAY}, but this host is taken for the gateway",
                           "gateway")
    guest.follow(hint)
    assert guest.options == ["--gateway", GATEWAY, "--dhcp-server", HOST]
    ask_anew(lan, guest)
    guest.must_reach(INTERNET)


def test_a_learned_gateway_that_is_replaced(segment, softnet):
    """The hint says that it is believed when the old one has been silent, and so it is."""
    guest = Hinted(segment, "vm", walled=True)
    start_client(segment, guest, "udhcpc")
    guest.must_reach(INTERNET)
    move_gateway(segment)
    keep_asking(segment, guest)
    guest.guard.wait_line(f"gateway .*{GATEWAY}.*{OTHER_MAC}", 60)
    guest.must_reach(INTERNET)
    wait_for(lambda: guest.status()["gateway"] is None, 15, "all to be well")


def test_a_learned_server_is_learned_again(segment, softnet, folder):      # noqa: F811
    control = FOLDER / "control"
    guest = Hinted(segment, "vm", "--control", str(control), walled=True)
    start_client(segment, guest, "udhcpc").stop()
    segment.dhcp_server.stop()
    other = machine(segment, "dhcp", "192.168.77.2", OTHER_MAC)
    services.dnsmasq(segment, other, "192.168.77.10", "192.168.77.50", router=GATEWAY, name="other")
    guest.namespace.ip("address flush dev eth0")
    client = segment.start([services.busybox(), "udhcpc", "-f", "-i", "eth0", "-t", "30", "-T", "1", "-s",
                            services.CHECKOUT / "tests" / "vm" / "udhcpc.sh"], guest.namespace)
    guest.wait_hint(f"it is 192.168.77.2 at {OTHER_MAC}, and {GATEWAY} at {GATEWAY_MAC} was learned.*"
                    "at once with guard.relearn")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(control))
        assert Channel(connection).result("guard.relearn") is True
    client.wait_line(r"^lease \S+ from 192.168.77.2")


def test_a_gateway_of_ipv6_has_another_mac(segment6, softnet):
    """The guest has the addresses that its MAC address makes: they are in no list, and it is told all the same."""
    network = segment6
    ipv6_peers.radvd(network, network.gateway, ipv6_peers.PREFIX)
    old = network.gateway.mac("eth0")
    guest = Hinted(network, "vm", "--gateway-mac", old, walled=True, ipv6=ipv6_peers.PROMPT)
    address = ipv6_peers.eui64(ipv6_peers.PREFIX, guest.mac)
    wait_for(lambda: f"{address}/" in guest.namespace.ip("-6 address show dev eth0 scope global -tentative"), 10,
             "the guest's address")
    guest.must_reach(ipv6_peers.INTERNET)
    # The link-local address stays, as a VRRP router's does.
    network.gateway.set_ipv6("eth0", keep_addr_on_down=1)
    network.gateway.ip(f"link set eth0 address {OTHER_MAC}")
    guest.namespace.ip("-6 neighbor flush dev eth0")
    network.start(["ping", "-i", "0.5", ipv6_peers.INTERNET], guest.namespace, name="ping6")
    hint = guest.wait_hint(f"{OTHER_MAC} answers as the gateway {ipv6_peers.GATEWAY_LINK_LOCAL}, and is none of "
                           "--gateway-mac", "gateway")
    assert guest.first_line().startswith("has the addresses of IPv6 that its MAC address makes, but its gateway's ")
    guest.follow(hint)
    wait_for(lambda: " 0% packet loss" in guest.namespace.run("ping", "-c", "2", "-i", "0.2", "-W", "1",
                                                             ipv6_peers.INTERNET, check=False), 20, "the gateway")


def test_a_network_that_falls_silent(segment, softnet):
    """Nothing of the host's own is away, but nobody answers: it is told before the rates have forgotten what was."""
    guest = Hinted(segment, "vm", walled=True)
    start_client(segment, guest, "udhcpc")
    keep_asking(segment, guest)
    wait_for(lambda: "traffic flows" in guest.first_line(), 10, "pings to count")
    segment.gateway.ip("link set eth0 down")
    wait_for(lambda: guest.first_line().startswith("has an address, sends and hears nothing"), 7, "the truth")
    segment.gateway.ip("link set eth0 up")
    wait_for(lambda: "traffic flows" in guest.first_line(), 10, "the gateway")


def test_a_liar_beside_the_gateway_changes_nothing(segment, softnet):
    """A neighbor that claims the gateway's address is told of, but the VM is online, and that is said first."""
    guest = Hinted(segment, "vm", "--gateway-mac", GATEWAY_MAC, walled=True)
    start_client(segment, guest, "udhcpc")
    liar = machine(segment, "liar", "192.168.77.200", OTHER_MAC)
    liar.ip(f"address add {GATEWAY}/32 dev eth0")
    segment.start([services.busybox(), "arping", "-U", "-I", "eth0", GATEWAY], liar, name="liar")
    keep_asking(segment, guest)
    guest.guard.wait_counters(lambda counters: counters.dropped("uplink", "arp-gateway-spoof") >= 6, 20)
    assert guest.status()["gateway"] is None and guest.first_line().startswith("has an address, traffic flows")
