"""Rules that name hosts (docs/names.md), with real resolvers, servers and clients."""

import pytest

import names_peers
import netns
from conftest import needs, needs_others
from names_peers import ALIAS, CDN, CLOSED, ELSEWHERE, EVIL, GOOD, LATE_INITIAL, REBOUND, hello, in_records, reply
from services import softnet_path

HELLO = b"\x16"
DRAFT = "0x709a50c4"      # QUIC version 2 before RFC 9369: the guard does not know it

# nginx and dnsmasq become other users, or try to.
pytestmark = [needs("nginx", "dig", "curl"), needs_others]


@pytest.fixture(scope="module")
def world(tmp_path_factory, softnet):
    folder = tmp_path_factory.mktemp("names")
    with netns.Network(folder) as network:
        world = names_peers.World(network, folder)
        yield world
        world.close()


@pytest.fixture
def guest_with(world):
    guests = []

    def make(*options):
        guests.append(world.guest(*CLOSED, *options))
        return guests[-1]
    yield make
    for guest in guests:
        guest.close()


def test_only_the_named_host_answers(world, guest_with):
    """Two hosts have one address and one server; the guest gets the allowed one, and hears at once of the other."""
    capture = world.open_folder / "all.pcapng"
    guest = guest_with(f"--allow={GOOD}:tls,{GOOD}:http,{ALIAS}:tls", "--reject", f"--pcap={capture}", "--frames=all")
    assert guest.curl(f"https://{GOOD}").stdout == "good"
    assert guest.curl(f"http://{GOOD}").stdout == "good"
    assert guest.curl(f"https://{ALIAS}").stdout == "good"      # a CNAME of the same server
    assert guest.denied() == {}
    refused = guest.curl(f"https://{EVIL}")
    assert refused.returncode == 6 and refused.is_at_once, refused
    # The right address with another name, in TLS and in the clear.
    for address, reason in ((f"https://{EVIL}", "name-denied"), (f"http://{EVIL}", "name-denied")):
        before = guest.dropped(reason)
        refused = guest.curl("--resolve", f"{EVIL}:443:{CDN}", "--resolve", f"{EVIL}:80:{CDN}", address)
        assert refused.returncode in (35, 56) and refused.stdout == "" and refused.is_at_once, refused
        assert guest.dropped(reason) > before
    # The right name at another address; and an address without any name.
    refused = guest.curl("--resolve", f"{GOOD}:443:{ELSEWHERE}", f"https://{GOOD}")
    assert refused.returncode == 7 and refused.is_at_once, refused
    assert guest.curl("-k", f"https://{ELSEWHERE}").returncode == 7
    assert guest.curl("-k", f"https://{CDN}").returncode == 35      # a hello without a name
    assert guest.dropped("name-unbound") >= 2
    # Who was called and who could not be, for people and programs.
    seen = {(event["name"], event["by"], event["rule"]) for event in guest.told("name-seen")}
    assert seen == {(GOOD, "tls", GOOD), (GOOD, "http", GOOD), (ALIAS, "tls", ALIAS)}
    refused = {(event["name"], event["by"], event["reason"]) for event in guest.told("name-refused")}
    assert {(EVIL, None, "dns-name"), (EVIL, "tls", "name-denied"), (EVIL, "http", "name-denied")} <= refused
    assert f"names      {GOOD}: addresses 1, " in guest.control("status")
    guest.softnet.stop()
    # A replay decides the same, with frames that waited in their places.
    lines = world.network.host.run(softnet_path(), "replay", "--frames=drops", capture)
    assert "of which 0 were others" in lines and "drop name-denied" in lines and " held " not in lines, lines


def test_the_resolver_is_asked_for_names_alone(guest_with):
    guest = guest_with(f"--allow={GOOD}:tls,{REBOUND}:tls", "--reject")

    def dig(*words):
        return guest.run("dig", "+tries=1", "+timeout=3", *words)
    for transport in (), ("+tcp", ):
        assert dig("+short", *transport, GOOD).stdout.split() == [CDN]
    for words in (EVIL, ), (GOOD, "TXT"), (GOOD, "ANY", "+notcp"), ("-x", CDN), (REBOUND, ):
        refused = dig(*words)
        assert "status: REFUSED" in refused.stdout and "EDE: 15 (Blocked)" in refused.stdout, refused.stdout
        assert refused.is_at_once
    assert dig("+tcp", EVIL).returncode != 0
    assert dig(f"@{CDN}", GOOD).returncode != 0     # no resolver of the guard's
    assert guest.softnet.counters().dropped("uplink", "dns-rebind") == 1


def test_hellos_are_put_together_before_one_octet_leaves(world, guest_with):
    guest = guest_with(f"--allow={GOOD}:tls")
    guest.resolve()
    wire = world.gateway.wire("eth0")
    for flight in hello(GOOD), in_records(hello(GOOD), 50):
        for octets in 7, 100:
            one = guest.connect()
            for at in range(0, len(flight), octets):
                one.send(flight[at:at + octets])
            assert reply(one) == HELLO, (len(flight), octets)
            one.close()
    wire.frames()
    for flight in hello(EVIL), in_records(hello(EVIL), 50):
        for octets in 7, 100:
            one = guest.connect()
            for at in range(0, len(flight), octets):
                one.send(flight[at:at + octets])
            assert reply(one, 0.5) is None, (len(flight), octets)
            one.close()
    assert not any(b"\x16\x03\x01" in bytes(frame) or b"example" in bytes(frame) for frame in wire.frames())
    wire.close()
    assert guest.dropped("name-denied") >= 4


@pytest.mark.long
def test_addresses_outlive_the_guard(world, guest_with):
    """A client that has asked before the restart need not ask again; its connection is lost."""
    for options, result in ((f"--state={world.open_folder}/state", ), 0), ((), 28):
        guest = guest_with(f"--allow={GOOD}:tls", *options)
        guest.resolve()
        guest.close()
        guest = guest_with(f"--allow={GOOD}:tls", *options)
        done = guest.curl("--connect-timeout", "1", "--resolve", f"{GOOD}:443:{CDN}", f"https://{GOOD}")
        assert done.returncode == result, done
        guest.close()


@pytest.mark.long
def test_a_hello_that_does_not_end(guest_with):
    """Silence is no way out."""
    guest = guest_with(f"--allow={GOOD}:tls")
    guest.resolve()
    one = guest.connect()
    one.send(hello(GOOD)[:100])
    assert reply(one, 11) is None
    assert guest.dropped("hello-limit") >= 1
    one.send(hello(GOOD)[100:])
    assert reply(one, 1) is None
    one.close()


@pytest.mark.skipif(bool(names_peers.missing("gtlsserver", "gtlsclient")), reason="not installed: gtlsserver")
def test_quic(world, guest_with):
    world.serve_quic()
    guest = guest_with(f"--allow={GOOD}:quic", "--reject")
    guest.resolve()
    assert guest.quic(GOOD)
    assert guest.denied().keys() <= LATE_INITIAL
    assert not guest.quic(GOOD, "-v", DRAFT, wait=1) and guest.dropped("quic-version") >= 1
    assert not guest.quic(EVIL, wait=1) and guest.dropped("name-denied") >= 1


def test_rules_that_go_end_what_they_opened(guest_with):
    guest = guest_with(f"--allow={GOOD}:tls,{GOOD}:http,{EVIL}:http")
    guest.resolve()
    kept, ended = guest.connect(port=80), guest.connect()
    kept.send(f"GET / HTTP/1.1\r\nHost: {GOOD}\r\n\r\n".encode())
    ended.send(hello(GOOD))
    assert reply(kept) == b"H" and reply(ended) == HELLO
    held = guest.connect()
    held.send(hello(GOOD)[:50])
    guest.control("policy", "set", *CLOSED, f"--allow={GOOD}:http")
    for one in ended, held:
        one.send(hello(GOOD)[50:])
    kept.send(f"GET / HTTP/1.1\r\nHost: {GOOD}\r\n\r\n".encode())
    while reply(kept, 0.5) not in (None, b""):
        pass
    assert guest.dropped("name-unbound") >= 2
    assert f"allow {GOOD}:http" in guest.control("policy", "show")
    assert guest.curl(f"http://{GOOD}").stdout == "good"
    assert guest.curl("--connect-timeout", "0.5", "--resolve", f"{GOOD}:443:{CDN}", f"https://{GOOD}").returncode == 28
    for one in kept, ended, held:
        one.close()
