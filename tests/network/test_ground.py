"""The ground moves under a tap: its bridge is made again or gets another MAC address, its port is moved or loses its
isolation, links go down and up, the host's addresses and routes change. The guest stays online, and the guard tells
the truth.

    guest eth0 -- softnet -- u-vm -- br0 (host .1, DHCP) -- neighbor
"""

import json
import re
import time

import pytest

import dhcp_peers
import ipv6_peers
import services
from control_peers import FOLDER, folder      # noqa: F401 (a fixture)
from dhcp_peers import GATEWAY, INTERNET, Guest, serve, start_client
from netns import NetworkError, Stalls, wait_for

OTHER_MAC = "02:00:00:00:00:77"


class Moved(Guest):
    """A guest whose guard writes its events to a file."""

    def __init__(self, network, *options, **more):
        self.events_file = FOLDER / "events.jsonl"
        super().__init__(network, "vm", "--events", str(self.events_file), "--state", str(FOLDER / "state"), *options,
                         **more)

    def status(self):
        return json.loads(services.status(self.network, "--vm", self.mac, "--json"))[0]

    def first_line(self):
        return services.status(self.network, "--vm", self.mac).splitlines()[1]

    def news(self):
        events = [json.loads(line) for line in self.events_file.read_text().splitlines()]
        return [event for event in events if event["event"] == "uplink"]

    def wait_news(self, pattern, since=0):
        def search():
            return next((event for event in self.news()[since:] if re.search(pattern, event["what"])), None)
        try:
            return wait_for(search, 5, pattern)
        except NetworkError as error:
            raise NetworkError(f"{error}: {[event['what'] for event in self.news()]}") from None

    def must_come_back(self, *addresses):
        """By itself the guest's kernel would ask for the gateway's new MAC address within a minute."""
        self.namespace.ip("neighbor flush dev eth0")
        for address in addresses or (GATEWAY,):
            begin = time.monotonic()
            with Stalls() as stalls:
                wait_for(lambda: " 0% packet loss" in self.namespace.run("ping", "-c", "2", "-i", "0.2", "-W", "1", address,
                                                                         check=False), 15, f"{address} to answer")
            assert time.monotonic() - begin < stalls.added_to(15)


@pytest.fixture
def moved(network, softnet, folder):       # noqa: F811
    dhcp_peers.hosted(network)
    serve(network, "dnsmasq", lease=600, renew=300, rebind=500)

    def make(*options):
        guest = Moved(network, *options)
        start_client(network, guest, "udhcpc")
        guest.must_reach(GATEWAY)
        return guest
    return make


def cure(network, sentence):
    """Types the line behind the colon, as a reader would."""
    network.host.run(*sentence.rpartition(": ")[2].split())


def make_again(network, mac, *ports):
    network.host.ip("link delete br0")
    network.bridge("br0")
    network.host.ip(f"link set br0 address {mac}")
    for port in ports:
        network.host.ip(f"link set {port} master br0")


def test_a_bridge_is_made_again(moved, network):
    guest = moved()
    network.host.ip("link delete br0")
    gone = guest.wait_news("u-vm is in no bridge: ")
    assert gone["ground"]["bridge"] is None
    assert re.fullmatch(rf"the network is away for \d+ s: {re.escape(gone['what'])}", guest.first_line())
    assert guest.status()["away"] == {"guest": None, "uplink": gone["what"]}
    network.bridge("br0")
    network.host.ip(f"link set br0 address {OTHER_MAC}")
    network.host.ip(f"address add {GATEWAY}/24 dev br0")
    cure(network, gone["what"])
    guest.wait_news("u-vm is back in br0")
    back = guest.wait_news(f"the host's MAC address there is {OTHER_MAC}, it was 52:54:00:00:00:01")
    assert back["anchors"]["macs"] == [OTHER_MAC]
    guest.must_come_back()
    # The new bridge knows nothing of isolation, and the guard has no right to tell it.
    warning = guest.wait_news("u-vm is not isolated from other ports of br0: ")["ground"]["warning"]
    status = guest.status()
    assert status["away"]["uplink"] is None and not status["ground"]["isolated"]
    assert status["ground"]["warning"] == warning
    assert warning in guest.first_line()
    cure(network, warning)
    guest.wait_news("u-vm is in br0, isolated, again")
    wait_for(lambda: guest.status()["ground"]["isolated"], 5, "isolation")
    assert "traffic flows" in guest.first_line()
    # Nobody else has the old address, and nobody the new one.
    wire = guest.namespace.wire("eth0")
    wire.send(guest.frame_from(guest.address, "52:54:00:00:00:01"))
    guest.guard.wait_counters(lambda counters: counters.dropped("guest", "l2-next-hop") == 1)


def test_at_once_and_with_the_same_mac(moved, network):
    """As a network manager does it, faster than anybody reads."""
    guest = moved()
    make_again(network, "52:54:00:00:00:01", "u-vm")
    network.host.ip(f"address add {GATEWAY}/24 dev br0")
    guest.wait_news("br0 was made again|u-vm is back in br0")
    guest.must_come_back()
    assert guest.status()["anchors"]["macs"] == ["52:54:00:00:00:01"]


def test_its_mac_address_changes(moved, network):
    """And what the guard keeps over a restart is that of the new network, not the old one's."""
    capture = FOLDER / "vm.pcapng"
    guest = moved("--pcap", str(capture), "--frames", "all")
    network.host.ip(f"link set br0 address {OTHER_MAC}")
    guest.wait_news(f"the host's MAC address there is {OTHER_MAC}")
    guest.must_come_back()
    assert not guest.status()["ground"]["warning"]
    guest.guard.stop()
    # The capture has a section for each, so its verdicts are the same once more.
    said = network.host.run(services.softnet_path(), "replay", "--json", "--frames", "none", str(capture))
    recorded = json.loads(said.splitlines()[-1])["summary"]["recorded"]
    assert recorded["frames"] > 10 and recorded["others"] == 0, said
    guest.start_guard()
    guest.guard.wait_line("--state: .*: taken over")


def test_a_port_in_another_bridge(moved, network):
    guest = moved()
    network.host.ip("address delete 192.168.77.1/24 dev br0")
    network.bridge("br1")
    network.host.ip(f"link set br1 address {OTHER_MAC}")
    network.host.ip(f"address add {GATEWAY}/24 dev br1")
    network.host.ip("link set u-vm nomaster")
    network.host.ip("link set u-vm master br1")
    news = guest.wait_news("u-vm is in br1, not in br0")
    assert news["ground"]["bridge"] == "br1"
    guest.must_come_back()
    assert guest.status()["anchors"]["macs"] == [OTHER_MAC] and "u-vm is in br1, not in br0" in guest.first_line()


def test_links_go_down_and_up(moved, network):
    guest = moved()
    for link in "u-vm", "br0":
        before = len(guest.news())
        network.host.ip(f"link set {link} down")
        news = guest.wait_news(f"{link} is down: ", before)
        assert re.fullmatch(rf"the network is away for \d+ s: {re.escape(news['what'])}", guest.first_line())
        cure(network, news["what"])
        guest.wait_news("u-vm is back in br0", before)
        guest.must_come_back()
        assert "traffic flows" in guest.first_line()


def test_a_port_in_another_namespace(moved, network):
    guest = moved()
    network.host.ip("link set u-vm netns neighbor")
    news = guest.wait_news("u-vm is gone: it was moved to another network namespace, or deleted")
    assert re.fullmatch(rf"the network is away for \d+ s: {re.escape(news['what'])}", guest.first_line()) and guest.guard.running
    network.neighbor.ip(f"link set u-vm netns {guest.guard.pid}")
    network.host.ip("link set u-vm master br0 up")
    guest.wait_news("u-vm is back in br0")
    guest.must_come_back()


def test_addresses_of_the_host_come_and_go(moved, network):
    """Lost for a moment they stay the gateway's; lost for good, the bridge is a wire, and the gateway is learned."""
    guest = moved()
    network.host.ip(f"address delete {GATEWAY}/24 dev br0")
    time.sleep(1)
    assert guest.status()["anchors"]["host"] == [GATEWAY]
    network.host.ip(f"address add {GATEWAY}/24 dev br0")
    guest.must_come_back()
    assert not guest.news()
    network.host.ip("address add 192.168.77.2/24 dev br0")
    guest.wait_news("the host's addresses there are others now")
    assert set(guest.status()["anchors"]["host"]) == {GATEWAY, "192.168.77.2"}
    network.host.ip("address flush dev br0")
    for address, interface in (GATEWAY, "eth0"), (INTERNET, "lo"):
        network.neighbor.ip(f"address add {address}/24 dev {interface}")
    wait_for(lambda: guest.status()["anchors"]["host"] == [], 8, "the host to be forgotten")
    guest.wait_news("the host has no address there any more")
    guest.must_come_back(INTERNET)
    guest.guard.wait_line(f"gateway learned: {GATEWAY} at 52:54:00:00:00:02")


def test_the_hosts_way_out_moves(moved, network):
    """A default route that comes after the guard: the router is on the bridge after all."""
    guest = moved()
    network.host.ip("route add default via 192.168.77.200")
    guest.wait_news("the host's default route leaves there")
    assert guest.status()["anchors"]["resident"]["why"] == "its default route leaves there"
    guest.must_come_back()
    # Gone is not elsewhere: the cable of a LAN may be out for a moment.
    network.host.ip("route delete default")
    network.host.ip("route add default dev internet")
    guest.wait_news("the host's default route does not leave there")
    guest.must_come_back()
    assert guest.status()["anchors"]["resident"] is None
    assert len(guest.news()) == 2


def test_a_link_that_flaps(moved, network):
    """Few events, little work, and at the end the truth."""
    guest = moved()
    began, cpu = time.monotonic(), cpu_seconds(guest.guard.pid)
    network.host.run("sh", "-c", "for i in $(seq 1 300); do echo link set u-vm down; echo link set u-vm up; done | "
                                 "ip -batch -; ip link set u-vm down")
    guest.wait_news("u-vm is down")
    wait_for(lambda: guest.status()["away"]["uplink"], 5, "the last word")
    assert len(guest.news()) <= 10
    readings = (time.monotonic() - began) * 10 + 2
    assert cpu_seconds(guest.guard.pid) - cpu < 0.01 * readings + 0.2
    network.host.ip("link set u-vm up")
    guest.must_come_back()
    wait_for(lambda: guest.status()["away"]["uplink"] is None, 5, "the last word")


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def wakeups(pid):
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", open(f"/proc/{pid}/status").read(), re.M).group(1))


def test_what_others_do_wakes_nobody(moved, network):
    """Idle the guard wakes once a second, and so it does while the rest of the host changes."""
    guest = moved()
    network.host.ip("link add busy type bridge")
    network.host.ip("link set busy up")
    time.sleep(0.5)
    before, began = wakeups(guest.guard.pid), time.monotonic()
    network.host.run("sh", "-c", "for i in $(seq 1 200); do echo address add 10.9.$i.1/24 dev busy; "
                                 "echo route add 10.200.$i.0/24 dev busy; echo link set busy mtu $((1000 + i)); done | "
                                 "ip -batch -")
    time.sleep(1)
    seconds = time.monotonic() - began
    assert wakeups(guest.guard.pid) - before <= seconds * 1.5 + 8


def test_the_same_in_ipv6(network, softnet, folder):        # noqa: F811
    """The router's advertisements come from another MAC address now; no other machine's are believed meanwhile."""
    dhcp_peers.hosted(network)
    network.host.set_ipv6("br0", disable_ipv6=0, accept_dad=0, accept_ra=0, forwarding=1)
    network.host.ip(f"address add {ipv6_peers.GATEWAY}/64 dev br0 nodad")
    wait_for(lambda: "fe80::" in network.host.ip("-6 address show dev br0"), 5, "the bridge's link-local address")
    ipv6_peers.radvd(network, network.host, ipv6_peers.PREFIX, interface="br0")
    guest = Moved(network, ipv6=ipv6_peers.PROMPT)
    address = ipv6_peers.eui64(ipv6_peers.PREFIX, guest.mac)
    wait_for(lambda: f"{address}/" in guest.namespace.ip("-6 address show dev eth0 scope global -tentative"), 10,
             "the guest's address")
    guest.must_reach(ipv6_peers.GATEWAY)
    network.host.ip(f"link set br0 address {OTHER_MAC}")
    guest.wait_news(f"the host's MAC address there is {OTHER_MAC}")
    guest.must_come_back(ipv6_peers.GATEWAY)
    guest.guard.wait_line(f"gateway learned: fe80::.* at {OTHER_MAC}")
