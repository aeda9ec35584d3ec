"""Names that are learned, reviewed and enforced: docs/names.md, Learn."""

import contextlib
import json
import socket
import subprocess
import threading

import pytest

import names_peers
import netns
from conftest import needs, needs_others
from names_peers import ALIAS, CDN, CLOSED, ELSEWHERE, EVIL, GATEWAY, GOOD, MAC, OTHER
from services import softnet_path

# nginx and dnsmasq become other users, or try to.
pytestmark = [needs("nginx", "dig", "curl"), needs_others]


@pytest.fixture(scope="module")
def world(tmp_path_factory, softnet):
    folder = tmp_path_factory.mktemp("names")
    with netns.Network(folder) as network:
        world = names_peers.World(network, folder)
        greet_at_port_22(world)
        yield world
        world.close()


def greet_at_port_22(world):
    """A server that speaks first, as those of SSH do."""
    with world.gateway.entered():
        listener = socket.create_server((CDN, 22))

    def serve():
        while True:
            one, _ = listener.accept()
            with one:
                one.sendall(b"SSH-2.0-x\r\n")
                one.settimeout(5)
                with contextlib.suppress(OSError):
                    one.recv(1)
    threading.Thread(target=serve, daemon=True).start()


def softnet_says(*words, wants_error=False):
    """(exit status, standard output, and with `wants_error` standard error instead)"""
    done = subprocess.run([softnet_path(), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stderr if wants_error else done.stdout


def suggested(*words):
    status, text = softnet_says("policy", "suggest", *words)
    assert status == 0, text
    return text


def rules_in(text):
    """Without comments."""
    return {line.split("#")[0].strip() for line in text.splitlines()} - {""}


@pytest.fixture
def guest_with_capture(world):
    """(guest, capture) of the options; one after the other."""
    guests = []

    def make(name, *options):
        capture = world.open_folder / name
        for old in world.open_folder.glob(f"{name}*"):
            old.unlink()
        guests.append(world.guest(f"--pcap={capture}", "--frames=all", *options))
        return guests[-1], capture
    yield make
    for guest in guests:
        guest.close()


@pytest.mark.parametrize("options", [(), CLOSED, (*CLOSED, f"--allow={EVIL}:tls")], ids=["open", "closed", "with-rules"])
def test_what_was_learned_lets_the_same_pass(world, guest_with_capture, options):
    guest, capture = guest_with_capture("learned", "--names=learn", *options)
    assert guest.curl(f"https://{GOOD}").stdout == "good"
    assert guest.curl(f"http://{GOOD}").stdout == "good"
    assert guest.curl(f"https://{ALIAS}").stdout == "good"
    assert guest.curl("-k", f"https://{OTHER}").stdout == "good"
    # A name that nobody has asked for, and no name at all.
    assert guest.curl("-k", "--resolve", f"{EVIL}:443:{ELSEWHERE}", f"https://{EVIL}").stdout == "evil"
    with guest.connect(CDN, 22) as one:
        assert one.recv(7) == b"SSH-2.0"
    guest.run("dig", "+tcp", "+tries=1", GOOD)
    assert guest.denied() == {}
    status = guest.control("status")
    assert "learned: nothing is refused" in status and f"{GOOD}: by tls/443 http/80, " in status, status
    asked = {event["name"] for event in guest.told("name-asked")}
    assert asked == {GOOD, ALIAS, OTHER}
    rules = {(event["name"], event["rule"]) for event in guest.told("name-seen")}
    assert all(rule is None for _, rule in rules)
    guest.softnet.stop()
    by_capture, by_events = suggested(capture), suggested(guest.events)
    guest.close()
    assert rules_in(by_capture) == rules_in(by_events) == {
        "block any", "allow @dns:53", f"allow {GOOD}:tls", f"allow {GOOD}:http", f"allow {ALIAS}:tls", f"allow {OTHER}:tls",
        f"allow {OTHER}:tcp/443", f"allow {ALIAS}:tcp/22"}, by_capture
    assert f"it shows {EVIL}" in by_capture
    # It is a policy, and by it nothing is lost.
    policy = world.open_folder / "learned.policy"
    policy.write_text(by_capture)
    assert softnet_says("policy", "check", "--policy", policy)[0] == 0
    status, lines = softnet_says("replay", "--diff", policy, capture)
    assert status == 0 and "--diff: 0 frames would pass, 0 be dropped, 0 be" in lines, lines
    # The review has struck one name out: then that is what is lost, and shown.
    policy.write_text(by_capture.replace(f"allow {GOOD}:http", ""))
    status, lines = softnet_says("replay", "--diff", policy, capture)
    lost = [line for line in lines.splitlines() if " -> " in line]
    assert status == 3 and lost and all(f"> {CDN} TCP" in line and " > 80 " in line for line in lost), lines
    # And with the rules a guest does the same; another one does not.
    policy.write_text(by_capture)
    guest, _ = guest_with_capture("enforced", f"--policy={policy}", "--reject")
    assert guest.curl(f"https://{GOOD}").stdout == guest.curl(f"http://{GOOD}").stdout == "good"
    assert guest.curl("-k", f"https://{OTHER}").stdout == "good"
    assert guest.denied() == {}
    assert guest.curl(f"https://{EVIL}").returncode == 6


def test_questions_that_lead_nowhere_and_wildcards(world, guest_with_capture):
    guest, capture = guest_with_capture("learned", "--names=learn")
    for name in GOOD, ALIAS:
        assert guest.curl(f"https://{name}").stdout == "good"
    guest.run("dig", "+tries=1", "nowhere.example.com")
    guest.close()
    assert "# allow nowhere.example.com:tls  # asked for, and not reached\n" in suggested(capture)
    assert "*" not in suggested(capture)
    wide = suggested("--wildcard=*.example.org", capture)
    assert rules_in(wide) == {"block any", "allow @dns:53", "allow *.example.org:tls"}
    policy = world.open_folder / "wide.policy"
    policy.write_text(wide)
    status, lines = softnet_says("replay", "--diff", policy, capture)
    assert status == 3 and "0 frames would pass, 1 be dropped" in lines and "nowhere.example.com" in lines, lines


def test_what_learning_does_not_open(guest_with_capture):
    """Names open global addresses, and nothing that a narrower rule has closed."""
    guest, _ = guest_with_capture("learned", "--names=learn", f"--block={ELSEWHERE}/24,192.168.0.0/16", "--allow=@dns:53")
    assert guest.curl(f"https://{GOOD}").stdout == "good"
    for address in ELSEWHERE, GATEWAY:
        assert guest.curl("-k", "--connect-timeout", "0.5", f"https://{address}").returncode == 28
    assert guest.dropped("dst-blocked") >= 2


@pytest.mark.skipif(bool(names_peers.missing("gtlsserver", "gtlsclient")), reason="not installed: gtlsserver")
def test_quic(world, guest_with_capture):
    world.serve_quic()
    guest, capture = guest_with_capture("learned", "--names=learn")
    guest.resolve()
    assert guest.quic(GOOD)
    guest.close()
    rules = suggested(capture)
    assert rules_in(rules) == {"block any", "allow @dns:53", f"allow {GOOD}:quic"}
    policy = world.open_folder / "quic.policy"
    policy.write_text(rules)
    status, lines = softnet_says("replay", "--diff", policy, capture)
    lost = [line for line in lines.splitlines() if " -> " in line]
    # On a crowded machine a client sends its hello again when the server has it already: that is not let through twice. And
    # what the server says to a client that has ended is answered by the guest's kernel, which no name allows.
    assert all("-> drop quic-initial" in line or "ICMP unreachable: port" in line for line in lost), lines
    assert status == (3 if lost else 0), lines


def test_files_that_cannot_be_read(world):
    def says(*words):
        status, text = softnet_says("policy", "suggest", *words, wants_error=True)
        assert len(text.splitlines()) == 1, text
        return status, text
    broken = world.open_folder / "broken.json"
    event = {"event": "name-seen", "vm": "a", "name": GOOD, "address": CDN, "protocol": "tcp", "port": 443, "by": "tls",
             "reason": None, "rule": None}
    line = json.dumps(event) + "\n"
    for text, number in ((line + "{\"event\":\n", 2), (line + line[:40], 2), ("{}\n", 1),
                         (json.dumps({**event, "port": 0}) + "\n", 1), (json.dumps({**event, "address": "x"}) + "\n", 1)):
        broken.write_text(text)
        status, last = says(broken)
        assert status == 1 and f"broken.json:{number}: expected an event" in last, last
    broken.write_text(line + json.dumps({**event, "name": "bad name\nallow any", "port": 8443}) + "\n")
    assert rules_in(suggested(broken)) == {"block any", "allow @dns:53", f"allow {GOOD}:tls", f"allow {CDN}/32:tcp/8443"}
    for words, status, what in (((), 2, "expected captures"), (("nowhere.pcap", ), 1, "nowhere.pcap: No such file"),
                                (("--wildcard=example.org", broken), 2, "--wildcard: \"example.org\": expected *.NAME"),
                                (("--reject=x", broken), 2, "--reject: takes no value"),
                                (("--json", broken), 2, "--json: not with `softnet policy suggest`"),
                                ((broken, "nowhere.pcap"), 2, "captures alone, or files of events alone")):
        found, last = says(*words)
        assert found == status and what in last, last
    broken.write_text(json.dumps({"event": "started"}) + "\n")
    assert "nobody that the VM has called" in says(broken)[1]
    assert softnet_says("attach", "lo", f"--vm-mac-address={MAC}", "--names=learn")[0] == 2
    assert "192.168.77." not in suggested(broken)
