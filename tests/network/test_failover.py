"""A router or DHCP server is replaced, or a neighbor only says so. Nothing is named.

    guest eth0 -- softnet -- br0 -- routers of a VRRP group, DHCP servers, relays; a liar
"""

import json
import re

import pytest

import dhcp_peers
import services
from conftest import needs
from dhcp_peers import GATEWAY, Guest, all_of, kea, needs_peers, start_client
from failover_peers import VIRTUAL_MAC, Liar, Pair, Watch, has_gateway, machine, must_be_left_alone, reaches, \
    relay, seconds_without_network, trusts_liar
from netns import wait_for

WITHIN = 60     # s, as promised
# s; networkd renews and rebinds up to a second sooner or later, and four seconds of silence must lie between.
REBIND = 9


@needs("keepalived", "dnsmasq")
@pytest.mark.parametrize("vmac", [False, pytest.param(True, marks=pytest.mark.long)],
                         ids=["own mac", "virtual mac"])
def test_vrrp(network, softnet, state_file, vmac):
    pair = Pair(network, vmac)
    events = state_file.with_name("events")
    guest = Guest(network, "vm", "--events", events)
    watch = Watch(network, guest)
    start_client(network, guest, "udhcpc")
    assert reaches(guest, 3)
    liar = Liar(network, guest)
    must_be_left_alone(guest, liar)

    pair.dies(pair.one)
    seconds_without_network(guest, WITHIN, "the master died")
    assert has_gateway(pair.two)
    must_be_left_alone(guest, liar)

    pair.comes_back(pair.one)
    seconds_without_network(guest, WITHIN, "it came back")
    assert reaches(guest, 5)
    must_be_left_alone(guest, liar, 1)
    changes = [line for line in guest.guard.output() if "changed" in line]
    if vmac:
        assert VIRTUAL_MAC in guest.namespace.ip(f"neighbor show {GATEWAY}") and not changes
    else:
        assert changes == [f"softnet: gateway changed: {GATEWAY} at {pair.two.card} now, was at {pair.one.card}"]
        told = [event for event in map(json.loads, events.read_text().splitlines()) if event["event"] == "router-changed"]
        assert [(event["address"], event["mac"], event["old"]) for event in told] == \
            [(GATEWAY, pair.two.card, pair.one.card)]
        page = network.host.run(softnet, "status", "--vm", guest.guard.pid)
        assert re.search(f"router {GATEWAY}  {pair.two.card}  learned.*\n +router {GATEWAY}  {pair.one.card}  learned", page)
    assert guest.guard.counters().dropped("uplink", "arp-gateway-spoof") > 20
    watch.check()


@pytest.mark.long
@needs_peers("dhclient", server="dnsmasq")
def test_gateway_and_server_get_another_card(network, softnet, state_file):
    """One machine is router and server. The guard is killed meanwhile, and goes on with what it had saved."""
    network.bridge("br0")
    gateway = machine(network, "gateway", 1)
    services.dnsmasq(network, gateway, "192.168.77.10", "192.168.77.50", "120s", "--dhcp-option-force=58,3",
                     "--dhcp-option-force=59,12", router=GATEWAY)
    guest = Guest(network, "vm", "--state", state_file, walled=True)
    start_client(network, guest, "dhclient")
    # Linux asks a neighbor again after 15 to 45 s, with these settings after a second.
    guest.namespace.run("sysctl", "-qw", "net.ipv4.neigh.eth0.base_reachable_time_ms=500",
                        "net.ipv4.neigh.eth0.delay_first_probe_time=1")
    assert reaches(guest, 3)
    wait_for(lambda: f"router {GATEWAY}" in saved(state_file), 5, "the saved state")

    gateway.ip("link set eth0 down")
    gateway.ip("link set eth0 address 52:54:00:00:02:01 up")
    guest.guard.popen.kill()
    guest.guard.wait()
    guest.start_guard()
    seconds_without_network(guest, WITHIN, "the gateway has another card")
    guest.guard.wait_line(f"gateway changed: {GATEWAY} at 52:54:00:00:02:01 now, was at {gateway.card}")
    guest.guard.wait_line(f"lease renewed: {guest.address} ", WITHIN, since=guest.guard.mark())
    wait_for(lambda: f"router {GATEWAY} {gateway.card},52:54:00:00:02:01 " in saved(state_file), 5, "both cards, saved")

    # The old card comes back, and the guard was killed once more.
    guest.guard.popen.kill()
    guest.guard.wait()
    gateway.ip("link set eth0 down")
    gateway.ip(f"link set eth0 address {gateway.card} up")
    guest.start_guard()
    seconds_without_network(guest, WITHIN, "the old card is back")
    guest.guard.wait_line(f"lease renewed: {guest.address} ", 10)


def saved(file):
    return file.read_text() if file.exists() else ""


CLIENTS = [client for client in dhcp_peers.CLIENTS if client != "udhcpc"]


@needs_peers(*CLIENTS)
def test_dhcp_server_dies(network, softnet):
    """Another has its leases, and answers when the guests rebind. As long as the first one lives, a liar who knows what the
    guests say to all gets nowhere."""
    network.bridge("br0")
    machine(network, "gateway", 1)
    servers = [machine(network, name, number) for name, number in (("first", 2), ("second", 3))]
    pool = "192.168.77.10-192.168.77.50"
    first = kea(network, servers[0], pool, 60, 2, REBIND, name="first")
    guests = {client: Guest(network, f"vm-{client}") for client in CLIENTS}
    watches = [Watch(network, guest) for guest in guests.values()]
    all_of(lambda client: start_client(network, guests[client], client, *["--noarp"] * (client == "dhcpcd")), CLIENTS)
    for guest in guests.values():
        assert reaches(guest), guest.said       # who is first is learned; the liar is not
    with Liar(network, guests["dhclient"], ["192.168.77.2"]).shouting():
        marks = {guest: guest.guard.mark() for guest in guests.values()}
        restarted = guests["dhclient"]      # its first message goes to all, and the liar is faster than the server
        restarted.client.stop()
        start_client(network, restarted, "dhclient")
        restarted.client.wait_line("DHCPACK of .* from 192.168.77.2")
        for guest in guests.values():
            guest.guard.wait_line(f"lease renewed: {guest.address} .* from 192.168.77.2", 15, marks[guest])
            assert reaches(guest, 3), guest.said
    assert restarted.guard.counters().dropped("uplink", "dhcp4-rogue-server") >= 3

    # It is ready when the first one dies, for a client rebinds once, and then not for half of what is left of its lease.
    network.host.ip("link set second-eth0 nomaster")
    (network.logs / "second.csv").write_bytes(first.leases.read_bytes())
    kea(network, servers[1], pool, 60, 2, REBIND, name="second")
    servers[0].ip("link set eth0 down")
    first.popen.kill()
    network.host.ip("link set second-eth0 master br0")
    for client, guest in guests.items():
        guest.guard.wait_line(f"DHCP server changed: 192.168.77.3 at {servers[1].card} now", 40)
        guest.guard.wait_line(f"lease renewed: {guest.address} .* from 192.168.77.3", 10)
        assert reaches(guest, 3) and services.address_of(guest.namespace) == guest.address
        assert not trusts_liar(guest) and not any("lease lost" in line for line in guest.guard.output())
    for watch in watches:
        watch.check()


@pytest.mark.long
@needs_peers("dhcpcd", "dnsmasq")
def test_relay_dies(network, softnet):
    """Two relays of one server, which no unicast from the guest reaches. The other one's copies are ignored until then."""
    network.bridge("br0")
    network.bridge("br1")
    machine(network, "gateway", 1)
    server = network.namespace("server", ipv6=False)
    network.join(server, "eth0", "br1", "10.0.0.1/24")
    relays = [relay(network, server, name, number) for name, number in (("one", 2), ("two", 3))]
    kea(network, server, "192.168.77.10-192.168.77.50", 60, 2, 5)
    guest = Guest(network, "vm")
    watch = Watch(network, guest)
    start_client(network, guest, "dhcpcd", "--noarp")
    number = int(guest.guard.wait_line(r"DHCP server learned: 192\.168\.77\.(\d) ").group(1))
    guest.guard.wait_line(f"lease renewed: {guest.address} ", 15)
    assert guest.guard.counters().dropped("uplink", "dhcp4-no-transaction") >= 1     # the other one's copy of the ACK
    relays[number - 2].ip("link set eth0 down")
    guest.guard.wait_line(f"DHCP server changed: 192.168.77.{5 - number} at {relays[3 - number].card} now", 40)
    guest.guard.wait_line(f"lease renewed: {guest.address} ", 10, since=guest.guard.mark())
    assert reaches(guest, 3)
    watch.check()
