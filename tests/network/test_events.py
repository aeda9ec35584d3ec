"""Events of a real guard: the same lines in a file, in the system's log and at a subscriber, and what they tell.

    raw guest (a socket) -- softnet -- tap -- br0 -- gateway with dnsmasq
                                                 `-- neighbor (raw frames)
"""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import time

import pytest

import netns
import rawguest
import services
import test_expose
from control_peers import FOLDER, Channel, folder      # noqa: F401 (a fixture)
from test_relay import MAC

NEIGHBOR_MAC = "52:54:00:00:00:99"
DROP = {"side": str, "reason": str, "meaning": str, "count": int, "total": int, "frame": (str, type(None))}
LEARNED = {"address": str, "server": (str, type(None)), "mac": (str, type(None)), "seconds": (int, type(None)),
           "why": (str, type(None))}
KEYS = {    # of docs/observability.md
    "started": {"mac": str, "guest": str, "uplink": str, "version": str, "pid": int}, "stopped": {"why": str},
    "lease-new": LEARNED, "lease-renewed": LEARNED, "lease-lost": LEARNED, "lease-grace": LEARNED,
    "server-learned": LEARNED, "router-learned": LEARNED,
    "prefix-learned": {"address": str, "length": int, "seconds": (int, type(None))},
    "drop": DROP, "binding-conflict": {**DROP, "source": str}, "rogue-server": {**DROP, "source": str},
    "no-dhcp-answer": {"seconds": int, "hint": str}, "dhcp-answered": {"seconds": int},
    "no-gateway-answer": {"address": str, "hint": str}, "gateway-answered": {"address": str},
    "policy-changed": {"allow": int, "block": int}, "port": {"port": str, "what": str},
    "uplink": {"port": str, "what": str, "ground": dict, "anchors": dict},
}


def event_of(line, vm):
    """The one check of what every event promises."""
    assert re.fullmatch(r"[ -~]+", line) and len(line) < 4096, line
    event = json.loads(line)
    assert list(event)[:3] == ["time", "vm", "event"] and event["vm"] == vm, line
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"]), line
    keys = KEYS[event["event"]]
    assert set(event) - {"time", "vm", "event", "withheld"} == set(keys), line
    assert all(isinstance(event[key], kind) for key, kind in keys.items()), line
    return event


class Watched:
    """A raw guest whose guard writes events to a file, with a client that has subscribed."""

    def __init__(self, network, *options, vm="web", mac=MAC, program=None, bridge="br0", uplink=None):
        self.vm, self.file = vm, FOLDER / f"{vm}.jsonl"
        self.guest = rawguest.RawGuest(network, mac, "--name", vm, "--uplink", uplink or f"tap:u-{vm},bridge={bridge}",
                                       "--events", str(self.file), "--control", str(FOLDER / vm), *options,
                                       program=program, name=f"softnet-{vm}")
        self.guard = self.guest.guard
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(FOLDER / vm))
        self.channel = Channel(connection)
        assert self.channel.result("guard.subscribe") is True

    def events(self, *kinds):
        events = [event_of(line, self.vm) for line in self.file.read_text().splitlines()]
        return [event for event in events if not kinds or event["event"] in kinds]

    def wait_event(self, kind, timeout=5, **values):
        def search():
            return next((event for event in self.events(kind) if values.items() <= event.items()), None)
        return netns.wait_for(search, timeout, f"the event {kind} {values}")

    def heard(self):
        """What the subscriber was told until the guard ended."""
        lines = self.channel.rest
        while more := self.channel.connection.recv(65536):
            lines += more
        told = self.channel.events + [json.loads(line)["params"] for line in lines.splitlines()]
        return [{key: value for key, value in event.items() if key != "missed"} for event in told]

    def hint(self):
        asking = self.channel.result("guard.status")["asking"]
        return asking["hint"] if asking else ""

    def discover(self, mac=None):
        mac = mac or self.guest.mac
        self.guest.send(rawguest.udp(mac, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", 68, 67,
                                     rawguest.dhcp(mac, rawguest.DISCOVER, 7)))

    def stop(self):
        self.guard.signal(15)
        assert self.guard.wait() == 0


@pytest.fixture
def neighbor(segment):
    namespace = segment.namespace("neighbor", ipv6=False)
    segment.join(namespace, "eth0", "br0", mac=NEIGHBOR_MAC)
    wire = namespace.wire("eth0")
    yield wire
    wire.close()


@pytest.fixture
def log(network):
    """A socket in the place of /dev/log, for a program in a mount namespace of its own: (the socket, that program)."""
    devices = pathlib.Path("/run/devices")
    (devices / "net").mkdir(parents=True)
    for name in "null", "urandom", "net/tun":
        (devices / name).touch()
        netns.run("mount", "--bind", f"/dev/{name}", devices / name)
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind(str(devices / "log"))
    (devices / "log").chmod(0o666)
    log.settimeout(5)
    program = network.logs / "softnet-with-log"
    program.write_text("#!/bin/sh\nexec unshare --mount sh -c 'mount --rbind /run/devices /dev && exec \"$@\"' sh "
                       f"{services.softnet_path()} \"$@\"\n")
    program.chmod(0o755)
    yield log, program
    log.close()
    for name in "null", "urandom", "net/tun":
        netns.run("umount", devices / name)
    netns.run("rm", "-r", devices)


def test_a_lease_from_its_first_day_to_its_last(segment, softnet, folder, log):
    log, program = log
    watched = Watched(segment, "--events", "syslog", program=program)
    guest = watched.guest
    address = guest.take_lease()
    segment.gateway.ip(f"neigh replace {address} lladdr {MAC} dev eth0")      # this guest answers no ARP
    renewal = rawguest.dhcp(MAC, rawguest.REQUEST, 9, ciaddr=address)
    guest.send(rawguest.udp(MAC, "52:54:00:00:00:01", address, "192.168.77.1", 68, 67, renewal))
    watched.wait_event("lease-renewed", address=address)
    release = rawguest.dhcp(MAC, 7, 10, b"\x36\x04" + socket.inet_aton("192.168.77.1"), ciaddr=address)
    guest.send(rawguest.udp(MAC, "52:54:00:00:00:01", address, "192.168.77.1", 68, 67, release))
    watched.wait_event("lease-lost", address=address, why="released")
    told = watched.channel.result("guard.status")["events"]
    watched.stop()

    events = watched.events()
    assert told == {"told": len(events) - 1, "withheld": 0, "lost": 0}
    first, last = events[0], events[-1]
    assert (first["event"], first["mac"], first["uplink"]) == ("started", MAC, "tap:u-web,bridge=br0")
    assert (last["event"], last["why"]) == ("stopped", "stopped by a signal")
    assert [event["event"] for event in events if event["event"] not in ("drop", "started", "stopped")] == \
        ["lease-new", "server-learned", "router-learned", "lease-renewed", "lease-lost"]
    new = watched.events("lease-new")[0]
    assert new["address"] == address and new["server"] == "192.168.77.1" and 590 <= new["seconds"] <= 600
    assert watched.events("server-learned")[0]["mac"] == "52:54:00:00:00:01"

    # The others were told the same. The subscriber came a moment after the start.
    assert watched.heard() == [event for event in events if event["event"] != "started"]
    logged = [log.recv(8192).decode() for _ in events]
    assert [event_of(re.fullmatch(rf"<30>\w{{3}} [ \d]\d [\d:]{{8}} softnet\[{first['pid']}\]: (.*)", line)[1], "web")
            for line in logged] == events


def test_drops_conflicts_servers_and_rules(segment, softnet, folder, neighbor):
    watched = Watched(segment)
    guest = watched.guest
    address = guest.take_lease()
    for number in range(50):
        guest.send(rawguest.udp(MAC, "52:54:00:00:00:01", address, "10.0.0.1", 1000 + number, 53))
    first = watched.wait_event("drop", reason="dst-private")
    assert (first["side"], first["count"], first["total"]) == ("guest", 1, 1) and "10.0.0.1" in first["frame"]

    neighbor.send(rawguest.udp(NEIGHBOR_MAC, MAC, address, address, 1, 1))
    conflict = watched.wait_event("binding-conflict", reason="ip4-src-is-guest")
    assert conflict["source"] == NEIGHBOR_MAC and conflict["side"] == "uplink"
    offer = bytearray(rawguest.dhcp(MAC, rawguest.OFFER, 7))
    offer[0] = 2
    neighbor.send(rawguest.udp(NEIGHBOR_MAC, MAC, "192.168.77.9", "255.255.255.255", 67, 68, bytes(offer)))
    rogue = watched.wait_event("rogue-server", reason="dhcp4-rogue-server")
    assert rogue["source"] == NEIGHBOR_MAC and rogue["count"] == 1

    rules = {"allow": ["10.0.0.1"], "block": ["@lan:22", "192.0.2.1"]}
    for _ in range(2):      # what is in force already is no change
        watched.channel.result("softnet.policy.set", rules)
    guest.wait_counted()
    watched.stop()
    assert [(event["allow"], event["block"]) for event in watched.events("policy-changed")] == [(1, 2)]
    counts = [event["count"] for event in watched.events("drop") if event["reason"] == "dst-private"]
    assert counts == [1, 49]        # the rest when it ends: within a minute there is no other
    assert watched.heard() == [event for event in watched.events() if event["event"] != "started"]


@pytest.mark.long
def test_questions_without_an_answer(segment, softnet, folder, neighbor):
    segment.bridge("br1")
    segment.bridge("br2")
    silent = segment.namespace("silent")
    segment.join(silent, "eth0", "br1", "192.168.78.1/24", mac="52:54:00:00:02:01")
    peer = silent.wire("eth0")
    alone, empty = Watched(segment, vm="alone", bridge="br1"), Watched(segment, vm="empty", bridge="br2")
    distrustful = Watched(segment, "--dhcp-server", "192.168.77.250", vm="distrustful", mac="52:54:00:12:34:03")
    disguised = Watched(segment, vm="disguised", mac="52:54:00:12:34:04")
    wanted = {alone: "no DHCP answer: no server runs there", empty: "nothing at all arrives from the network",
              distrustful: "its address 192.168.77.1 is none of --dhcp-server", disguised: "(eth-src-spoof)"}

    def say_why():
        for watched in wanted:
            watched.discover("52:54:00:12:34:99" if watched is disguised else None)
        peer.send(rawguest.arp("52:54:00:00:02:01", 1, "192.168.78.1", "192.168.78.7"))
        time.sleep(0.3)
        return all(words in watched.hint() for watched, words in wanted.items())
    netns.wait_for(say_why, 6, "each hint")
    assert not any(watched.events("no-dhcp-answer") for watched in wanted)
    for watched, words in wanted.items():
        if watched is disguised:
            watched.discover("52:54:00:12:34:99")       # once more: what is asked but once may be no question
        event = watched.wait_event("no-dhcp-answer", 12)
        assert words in event["hint"] and 10 <= event["seconds"] <= 12, event
    services.dnsmasq(segment, silent, "192.168.78.10", "192.168.78.50", name="late")
    alone.guest.take_lease()
    assert alone.wait_event("dhcp-answered")["seconds"] >= 10
    assert alone.channel.result("guard.status")["asking"] is None
    peer.close()


def test_ports_that_fail(network, softnet, folder):
    network.host.ip("link set lo up")
    watched = Watched(network, "--expose", "127.0.0.1:2007:7", uplink="slirp")
    with contextlib.closing(services.Echo(network.host, "127.0.0.1", 2007)):     # taken before the guest has an address
        watched.guest.take_lease()
        port = watched.wait_event("port")
    assert (port["port"], port["what"]) == ("slirp", "tcp port 2007 on 127.0.0.1: Address already in use")
    os.kill(test_expose.worker_of(watched.guard), 9)
    netns.wait_for(lambda: len(watched.events("port")) > 1, what="the end of slirp")
    assert re.match(r"slirp ended \(.*\) and was started again", watched.events("port")[1]["what"])
    watched.guest.close()


@pytest.mark.parametrize("place, why", [("/nowhere/events", "No such file or directory"), ("/tmp", "Is a directory")])
def test_a_file_that_cannot_be_written(network, softnet, place, why):
    guest, guests = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with guest, guests:
        done = subprocess.run([softnet, "--vm-fd", "0", "--vm-mac-address", MAC, "--events", place], stdin=guests,
                              capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert done.stderr.startswith(f"softnet: --events: {place}: cannot be written: {why}")
