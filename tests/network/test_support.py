"""The support library itself: what every other test in this folder stands on must work without softnet.

    client eth0 -- br0 -- eth0 gateway (dnsmasq, web server)
"""

import os
import shutil

import pytest

import dhcp_peers
import ipv6_peers
import netns
import services
import vm


def test_nothing_leads_outside(network):
    assert netns.inside()
    assert network.host.ip("route show table all scope global").strip() == ""


def test_network_goes_away_as_it_came(tmp_path):
    with netns.Network(tmp_path) as network:
        network.tap("tap9", network.bridge("br9"))
        assert {"br9", "tap9"} <= network.host.links()
        network.join(network.namespace("gone"), "eth0", "br9")
        sleeper = network.start(["sleep", "1000"])
    assert not sleeper.running
    assert os.listdir("/run/netns") == []
    assert network.host.links() == network.links_before


def test_process_output_and_deadline(network):
    process = network.start(["sh", "-c", "echo one; echo two >&2; read line; echo got $line; exit 3"])
    process.wait_line("one")
    process.write_line("three")
    assert process.wait_line("got (.*)").group(1) == "three"
    assert process.wait() == 3
    assert process.output("err") == ["two"]
    with pytest.raises(netns.NetworkError, match="no line like 'never'"):
        process.wait_line("never")


def test_wire_shows_what_arrives_vlan_tag_included(segment):
    client = segment.namespace("client", ipv6=False)
    segment.join(client, "eth0", "br0", mac="52:54:00:00:00:0a")
    wire, far = client.wire("eth0"), segment.gateway.wire("eth0")
    frame = bytes.fromhex("5254000000015254000000 0a 8100 0007 0806") + bytes(46)
    wire.send(frame)
    assert far.wait_frame(lambda seen: seen[6:12] == frame[6:12], what="the frame") == frame
    assert frame not in wire.frames()           # what goes out is not what arrives


@dhcp_peers.needs_peers("networkd", server="dnsmasq")
def test_networkd_is_among_the_clients():
    """Where it is not, one test is skipped, and many are of the others alone."""
    assert "networkd" in dhcp_peers.CLIENTS and "networkd" in ipv6_peers.CLIENTS


@dhcp_peers.needs_peers(*ipv6_peers.CLIENTS, "radvd", server="kea-dhcp6")
def test_real_clients_take_ipv6_addresses(segment6):
    ipv6_peers.radvd(segment6, segment6.gateway, ipv6_peers.PREFIX, options="AdvManagedFlag on;")
    ipv6_peers.kea6(segment6, segment6.gateway, ipv6_peers.POOL, 60)
    echo = services.Echo(segment6.internet, ipv6_peers.INTERNET)
    guests = {client: ipv6_peers.Guest6(segment6, client, bare=True) for client in ipv6_peers.CLIENTS}
    dhcp_peers.all_of(lambda client: ipv6_peers.start_client(segment6, guests[client], client), guests)
    for client, guest in guests.items():
        for source in guest.address, guest.wait_eui64():
            assert ipv6_peers.within(source, ipv6_peers.PREFIX)
            guest.ping(source=source)
            for size in 1, 3000:
                assert guest.ask(bytes(size), source=source) == bytes(size)
            assert guest.exchange(bytes(300000), source=source) == bytes(300000)
            assert echo.clients[-3:] == [source] * 3, client
    echo.close()


@pytest.mark.parametrize("client", ["udhcpc", "dhclient", "dhcpcd"])
def test_real_client_takes_a_lease(segment, client):
    if client != "udhcpc" and not shutil.which(client):
        pytest.skip(f"{client} is not installed")
    namespace = segment.namespace("client")
    segment.join(namespace, "eth0", "br0", mac="52:54:00:00:00:0a")
    getattr(services, client)(segment, namespace)
    assert services.address_of(namespace).startswith("192.168.77.")
    assert any("52:54:00:00:00:0a" in lease for lease in segment.dhcp_server.leases())
    web = services.WebServer(segment.gateway, "1.1.1.1")
    fetched = namespace.run(services.busybox(), "wget", "-q", "-O", "-", "http://1.1.1.1/file")
    web.close()
    assert fetched == "hello\n"
    assert web.requests == [(services.address_of(namespace), "/file")]


def test_guarded_namespace_takes_a_lease_and_fetches(segment, softnet):
    """client eth0 (tap) -- softnet -- tap -- br0 -- gateway"""
    client = segment.namespace("client")
    guard = services.guard(segment, client, "52:54:00:00:00:0a", "br0")
    services.udhcpc(segment, client)
    web = services.WebServer(segment.gateway, "1.1.1.1")
    assert client.run(services.busybox(), "wget", "-q", "-O", "-", "http://1.1.1.1/file") == "hello\n"
    web.close()
    assert guard.counters().passed["guest"] > 4
    client.wire("eth0").send(bytes.fromhex("ffffffffffff 525400666666 0806") + bytes(46))
    guard.wait_counters(lambda counters: counters.dropped("guest", "eth-src-spoof") == 1)
    guard.stop()
    assert guard.popen.returncode == 0
    assert services.Counters(guard.output("err")).dropped("guest", "eth-src-spoof") == 1


@pytest.mark.long      # test_vm.py needs the same of it
def test_vm_boots_and_obeys(segment, guest_image):
    segment.tap("tapV", "br0")
    guest = vm.VM(segment, "vm", guest_image, "52:54:00:00:00:0b", "tap,id=n0,ifname=tapV,script=no,downscript=no")
    assert guest.boot()[1] == "52:54:00:00:00:0b"
    assert "lease 192.168.77." in guest.run("udhcpc -i eth0 -n -q -t 5 -T 1 -s /bin/udhcpc.sh")
    assert guest.try_run("echo no newline at the end | tr -d '\\n'; false") == (1, "no newline at the end")
    assert guest.run("rawframe send eth0 -c 3 " + "ff" * 6 + "52540000000b88b5" + "00" * 46) == "sent 3"
    assert guest.power_off() == 0
