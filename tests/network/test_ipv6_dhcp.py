"""Real DHCPv6 clients and servers through the guard, each client behind its own, all at once.

    guests -- softnet -- br0 -- eth0 gateway (radvd and Kea, or dnsmasq; dnsmasq serves IPv4, too) -- internet
"""

import shutil
import signal

import pytest

import dhcp_peers
import ipv6_peers
import services
from dhcp_peers import needs_peers
from ipv6_peers import CLIENTS, GATEWAY_LINK_LOCAL, INTERNET, POOL, PREFIX, RESOLVER, Guest6, dhclient_command, radvd, \
    start_client
from netns import wait_for

COMPLAINTS = ("dhcp6-malformed", "dhcp6-addressing", "dhcp6-type", "dhcp6-duid-limit", "dhcp6-not-owner",
              "dhcp6-port-misuse", "rate-dhcp")
MANAGED = "AdvManagedFlag on;"


@pytest.fixture
def segment(segment6, softnet):
    segment6.echo = services.Echo(segment6.internet, INTERNET)
    yield segment6
    segment6.echo.close()


def serve(network, server, valid=600, renew=2, rebind=6):
    if server == "kea":
        radvd(network, network.gateway, PREFIX, options=MANAGED)
        return ipv6_peers.kea6(network, network.gateway, POOL, valid, renew=renew, rebind=rebind)
    return ipv6_peers.dnsmasq(network, f"{POOL.replace('-', ',')},slaac,64,120")


def guests_of(network, *options, clients=CLIENTS, **more):
    guests = {client: Guest6(network, f"vm-{client}", *options, **more) for client in clients}
    dhcp_peers.all_of(lambda client: start_client(network, guests[client], client), guests)
    return guests


def release(network, guest, client):
    if client == "dhclient":
        guest.namespace.run(*dhclient_command(network, guest, "-r"))
    else:
        guest.client.signal(signal.SIGALRM)


@needs_peers(*CLIENTS, "radvd", "dnsmasq", server="kea-dhcp6")
@pytest.mark.parametrize("server", ["kea", pytest.param("dnsmasq", marks=pytest.mark.long)])
def test_lease_renewal_release(segment, server):
    serve(segment, server)
    guests = guests_of(segment)
    for client, guest in guests.items():
        for address in guest.address, guest.wait_eui64():
            assert guest.exchange(bytes(100000), source=address) == bytes(100000)
            assert guest.ask(b"hello", source=address) == b"hello"
            assert segment.echo.clients[-2:] == [address] * 2, client
            segment.internet.run("ping", "-6", "-c", "1", "-W", "2", address)
        guest.try_to_send(ipv6_peers.text(ipv6_peers.number(guest.address) + 0x1000), segment.far, "ip6-src-unbound")
    if server == "kea":
        for guest in guests.values():
            guest.guard.wait_line(f"lease renewed: {guest.address} for", 10)
    for client, guest in guests.items():
        guest.ping(source=guest.address)
        counters = guest.guard.counters()
        assert counters.dropped("guest", *COMPLAINTS) == 0, (client, counters)
        # A frame may come before the guest's interface is up.
        assert counters.dropped("uplink") == counters.dropped("uplink", "write-error"), (client, counters)
        if client != "networkd":            # it keeps its lease for later
            release(segment, guest, client)
            guest.guard.wait_line(f"lease lost: {guest.address}, released", 10)
            guest.try_to_send(guest.address, segment.far, "ip6-src-unbound")
            guest.try_to_send(ipv6_peers.eui64(PREFIX, guest.mac), segment.far)


@pytest.mark.long
@needs_peers(*CLIENTS, "radvd", server="kea-dhcp6")
def test_server_restarts_and_another_takes_over(segment):
    """The first server dies. It comes back, and is asked again; it dies for good, and another has its leases."""
    second = ipv6_peers.add_router(segment, "second", "52:54:00:00:00:02")
    radvd(segment, segment.gateway, PREFIX, options=MANAGED)
    options = POOL, 40, None, 1, 3
    first = ipv6_peers.kea6(segment, segment.gateway, *options)
    guests = guests_of(segment, "--dhcp-server", f"{GATEWAY_LINK_LOCAL},fe80::5054:ff:fe00:2")
    first.stop()
    first = ipv6_peers.kea6(segment, segment.gateway, *options)
    for guest in guests.values():
        guest.guard.wait_line(f"lease renewed: {guest.address} for .* from {GATEWAY_LINK_LOCAL}$", 15)
    first.stop()
    shutil.copy(first.leases, segment.logs / "other.csv")
    ipv6_peers.kea6(segment, second, *options, name="other")
    for client, guest in guests.items():
        guest.guard.wait_line(f"lease renewed: {guest.address} for .* from fe80::5054:ff:fe00:2$", 20)
        guest.ping(source=guest.address)
        counters = guest.guard.counters()
        assert counters.dropped("guest", *COMPLAINTS) == 0, (client, counters)


@pytest.mark.long
@needs_peers("dhclient", "radvd", server="kea-dhcp6")
def test_lease_of_a_frozen_client_runs_out(segment):
    serve(segment, "kea", 4, 1, 2)
    guests = guests_of(segment, clients=["dhclient", "networkd"])
    for guest in guests.values():
        guest.client.signal(signal.SIGSTOP)
    for guest in guests.values():
        guest.try_to_send(guest.address, segment.far)
    for guest in guests.values():
        guest.guard.wait_line(f"lease lost: {guest.address}, expired", 9)
        guest.try_to_send(guest.address, segment.far, "ip6-src-unbound")
    marks = {client: guest.guard.mark() for client, guest in guests.items()}
    for guest in guests.values():
        guest.client.signal(signal.SIGCONT)
    for client, guest in guests.items():
        guest.guard.wait_line("lease new: ", 15, since=marks[client])


@needs_peers("dhclient", "radvd", server="kea-dhcp6")
def test_leased_address_in_use_is_declined(segment):
    """A neighbor sits on the first address of the pool: DAD finds it, and the client takes the next."""
    first, second = "2a00:7700:1:1::100", "2a00:7700:1:1::101"
    neighbor = segment.namespace("neighbor")
    neighbor.set_ipv6(accept_ra=0, accept_dad=0)
    segment.join(neighbor, "eth0", "br0", f"{first}/64", mac="52:54:00:00:00:02")
    server = serve(segment, "kea")
    guest = guests_of(segment, clients=["dhclient"])["dhclient"]
    assert guest.address == second
    server.wait_line(f"DECLINE.*{first}")
    guest.guard.wait_line(f"lease lost: {first}, declined")
    guest.try_to_send(first, segment.far, "ip6-src-unbound")
    guest.ping(source=second)


@needs_peers("dhclient", "radvd", server="kea-dhcp6")
def test_rogue_server_is_not_heard(segment):
    """Without names the first server that completes an exchange is the one; a second speaks in vain."""
    first = serve(segment, "kea", 600, 2, 30)
    guest = guests_of(segment, clients=["dhclient"])["dhclient"]
    rogue = ipv6_peers.add_router(segment, "rogue", "52:54:00:00:00:02")
    ipv6_peers.kea6(segment, rogue, "2a00:7700:1:1::900-2a00:7700:1:1::9ff", 600, name="rogue")
    other = Guest6(segment, "other", "--dhcp-server", "fe80::5054:ff:fe00:2")
    start_client(segment, other, "dhclient")
    assert ipv6_peers.number(other.address) & 0xf00 == 0x900
    # The same client, started anew behind its old guard.
    guest.client.stop()
    (segment.logs / f"dhclient6-{guest.name}.leases").unlink()
    client = segment.start(dhclient_command(segment, guest), guest.namespace)
    guest.guard.wait_counters(lambda now: now.dropped("uplink", "dhcp6-rogue-server") > 0, 10)
    assert not [line for line in client.output() if "fe80::5054:ff:fe00:2" in line]


@needs_peers("dhclient", "radvd", server="kea-dhcp6")
def test_stateless_client_opens_its_resolver(segment):
    """Addresses by SLAAC, resolvers by DHCPv6 (INFORMATION-REQUEST); the resolver's address is a private one."""
    radvd(segment, segment.gateway, PREFIX, options="AdvOtherConfigFlag on;")
    ipv6_peers.kea6(segment, segment.gateway, POOL, 600, dns=RESOLVER)
    servers = [services.Echo(segment.gateway, RESOLVER, port) for port in (53, 54)]
    guest = Guest6(segment, "vm")
    guest.wait_eui64()
    with pytest.raises(TimeoutError):
        guest.ask(b"hello", RESOLVER, port=53, timeout=0.3)
    segment.start(dhclient_command(segment, guest, "-S"), guest.namespace).wait_line("RCV: Reply", 15)

    def answers():
        try:
            return guest.ask(b"hello", RESOLVER, port=53, timeout=0.3) == b"hello"
        except TimeoutError:
            return False
    wait_for(answers, 5, "the resolver")
    assert guest.exchange(b"hello", RESOLVER, port=53) == b"hello"
    with pytest.raises(TimeoutError):
        guest.ask(b"hello", RESOLVER, port=54, timeout=0.3)
    for server in servers:
        server.close()


@needs_peers("dhclient", server="dnsmasq")
def test_both_families_side_by_side(segment):
    """One server, one guest, a lease of each family; neither needs the other."""
    serve(segment, "dnsmasq")
    guest = Guest6(segment, "vm")
    ipv4 = services.udhcpc(segment, guest.namespace)
    address4 = services.address_of(guest.namespace)
    start_client(segment, guest, "dhclient")
    echo4 = services.Echo(segment.internet, dhcp_peers.INTERNET)

    def can_use_ipv4():
        try:
            return guest.ask(b"hello", dhcp_peers.INTERNET, timeout=0.5) == b"hello"
        except OSError:
            return False
    assert can_use_ipv4() and guest.exchange(bytes(100000), dhcp_peers.INTERNET) == bytes(100000)
    assert guest.exchange(bytes(100000), source=guest.address) == bytes(100000)
    assert set(echo4.clients) == {address4}
    assert guest.guard.counters().dropped("guest", *COMPLAINTS, "dhcp4-not-owner") == 0
    services.release_udhcpc(ipv4, guest.namespace)  # IPv4 goes
    guest.guard.wait_line(f"lease lost: {address4}, released")
    wait_for(lambda: not can_use_ipv4(), 5, "IPv4 to end")
    guest.ping(source=guest.address)
    ipv4.signal(signal.SIGUSR1)                     # and comes back, and IPv6 goes
    wait_for(can_use_ipv4, 10, "IPv4")
    release(segment, guest, "dhclient")
    guest.guard.wait_line(f"lease lost: {guest.address}, released")
    guest.try_to_send(guest.address, segment.far, "ip6-src-unbound")
    assert can_use_ipv4()
    echo4.close()
