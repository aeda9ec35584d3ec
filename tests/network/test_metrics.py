"""Metrics, read by the parsers of Prometheus' own Python client: --metrics FILE and guard.metrics.

    guest -- softnet -- br0 -- gateway 192.168.77.1 with a DHCP server
"""

import pathlib
import re
import socket

import pytest

import clocks
import netns
import rawguest
import services
from conftest import needs_others
from control_peers import Channel

openmetrics = pytest.importorskip("prometheus_client.openmetrics.parser")
prometheus = pytest.importorskip("prometheus_client.parser")

MAC, GATEWAY, GATEWAY_MAC = "52:54:00:00:00:0a", "192.168.77.1", "52:54:00:00:00:01"
FOLDER = pathlib.Path("/run/metrics")       # where the guard may write, as every user that it can become
CONTROL, FILE = FOLDER / "control", FOLDER / "vm.prom"


@pytest.fixture
def folder():
    FOLDER.mkdir(exist_ok=True)
    FOLDER.chmod(0o777)
    yield FOLDER
    for path in FOLDER.iterdir():
        path.unlink()


@pytest.fixture
def clock(tmp_path, monkeypatch):
    clock = clocks.LaterClock(tmp_path)
    monkeypatch.setenv("SOFTNET", str(clock.program))
    return clock


def ask():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(CONTROL))
        return Channel(connection).result("guard.metrics")


def samples_of(families, vm="web.1", mac=MAC):
    """{name or (name, label values): value}; every sample must be this VM's, and no two the same."""
    found = {}
    for family in families:
        assert family.documentation and family.type in ("counter", "gauge", "info"), family
        for sample in family.samples:
            labels = dict(sample.labels)
            assert (labels.pop("vm"), labels.pop("mac")) == (vm, mac), sample
            key = (sample.name, *labels.values()) if labels else sample.name
            assert key not in found
            found[key] = sample.value
    return found


def by_openmetrics(text, **of):
    return samples_of(openmetrics.text_string_to_metric_families(text), **of)


def by_prometheus(text, **of):
    return samples_of(prometheus.text_string_to_metric_families(text), **of)


def still(samples):
    """Without those that move by themselves: with the clock, and with what the gateway's kernel sends unasked."""
    return {key: value for key, value in samples.items() if key[0] != "softnet_lease_seconds" and "uplink" not in key}


LABELS = {"vm", "mac", "version", "guest", "uplink", "side", "reason", "class", "family", "origin", "address", "action", "digest"}


def test_no_label_is_the_guests_to_choose(segment, folder, softnet):
    """Whatever it calls itself, asks and sends: names of labels are fixed, and so is how many samples there can be."""
    vm = segment.namespace("vm", ipv6=False)
    services.guard(segment, vm, MAC, "br0", "--name", "web.1", "--control", CONTROL, "--ipv6", "off")
    services.udhcpc(segment, vm, "-x", "hostname:chosen-by-the-guest").stop()
    wire = vm.wire("eth0")
    before = ask()
    for number in range(200):
        wire.send(rawguest.udp(MAC, GATEWAY_MAC, f"10.1.{number}.66", f"10.2.{number}.1", 4000 + number, 4001, b"chosen-by-the-guest"))
    after = ask()
    assert "chosen-by-the-guest" not in after and "10.1." not in after
    assert set(re.findall(r'[{,](\w+)="', after)) <= LABELS
    assert len(after.splitlines()) <= len(before.splitlines()) + 2 * 3      # some reasons more


def test_counts_are_what_was_sent(segment, folder, softnet, clock):
    vm = segment.namespace("vm", ipv6=False)
    (FOLDER / "vm.prom.999999999.new").touch()      # of a guard that was killed: no process has that number
    guard = services.guard(segment, vm, MAC, "br0", "--name", "web.1", "--control", CONTROL, "--metrics", FILE, "--ipv6",
                           "off", "--allow", "10.9.0.0/16", "--block", "10.9.9.9,10.9.9.10", "--reject")
    at_start = by_prometheus(FILE.read_text())
    assert at_start["softnet_addresses", "ipv4", "dhcp"] == at_start["softnet_frames_total", "guest"] == 0
    client = services.udhcpc(segment, vm)
    client.stop()
    address, wire = services.address_of(vm), vm.wire("eth0")

    def send(times, source, destination, mac=MAC):
        wire.send(*[rawguest.udp(mac, GATEWAY_MAC, source, destination, 4000, 4001, bytes(100))] * times)
    send(7, "192.168.77.66", "1.1.1.1")
    send(5, address, "10.8.0.1")
    send(3, address, "10.9.9.9")
    send(2, address, "1.1.1.1", mac="52:54:00:00:00:0b")
    before = by_prometheus(FILE.read_text())
    counters = guard.wait_counters(lambda now: now.dropped("guest", "eth-src-spoof") == 2)
    got = by_openmetrics(ask())
    drops = {key[1:]: value for key, value in got.items() if key[0] == "softnet_drops_total" and "guest" in key}
    assert drops == {key: value for key, value in counters.drops.items() if "guest" in key}
    assert (drops["guest", "ip4-src-spoof"], drops["guest", "dst-private"]) == (7, 5)
    assert (drops["guest", "dst-blocked"], drops["guest", "eth-src-spoof"]) == (3, 2)
    assert got["softnet_frames_total", "guest"] == counters.passed["guest"]
    assert got["softnet_frames_total", "uplink"] >= counters.passed["uplink"] >= 2     # the server's answers
    assert got["softnet_bytes_total", "guest"] > 60 * counters.passed["guest"] > 0
    assert got["softnet_addresses", "ipv4", "dhcp"] == 1 and got["softnet_addresses", "ipv6", "slaac"] == 0
    assert 580 < got["softnet_lease_seconds", address] <= 600
    assert (got["softnet_rules", "allow"], got["softnet_rules", "block"]) == (1, 2)
    assert got["softnet_rejections_total"] == 8
    of_status = by_openmetrics(netns.run(softnet, "status", "--openmetrics", "--control", CONTROL))
    assert still(of_status) == still(by_openmetrics(ask()))
    # The file is as old as it was; 15 s later it is another one, that says the same.
    assert before == at_start
    node = FILE.stat().st_ino
    clock.pass_seconds(15)
    netns.wait_for(lambda: FILE.stat().st_ino != node, 5, "another file")
    assert FILE.stat().st_mode & 0o777 == 0o644
    of_file = by_prometheus(FILE.read_text())
    assert 560 < of_file["softnet_lease_seconds", address] <= 586
    assert still(of_file) == still(by_openmetrics(ask()))
    assert sorted(path.name for path in FOLDER.iterdir()) == ["control", "vm.prom"]     # no temporary
    guard.stop()
    assert not FILE.exists()


@needs_others
def test_a_folder_that_cannot_be_written(segment, folder, softnet, clock):
    FOLDER.chmod(0o755)
    failed = segment.start([softnet, "--vm-mac-address", MAC, "--guest", "tap:g-x", "--uplink", "tap:u-x,bridge=br0",
                            "--user", "nobody", "--metrics", FILE])
    assert failed.wait() == 1
    assert failed.output()[-1].startswith(f"softnet: --metrics: {FILE}: cannot write: Permission denied")
    FOLDER.chmod(0o777)
    guard = services.guard(segment, segment.namespace("vm", ipv6=False), MAC, "br0", "--user", "nobody", "--name",
                           "web.1", "--control", CONTROL, "--metrics", FILE)
    assert FILE.exists()
    FOLDER.chmod(0o755)
    for times in 1, 2:
        clock.pass_seconds(15)
        netns.wait_for(lambda: by_openmetrics(ask())["softnet_metrics_failed_total"] == times)
    assert sum("--metrics" in line for line in guard.output()) == 1, guard.output()
    FOLDER.chmod(0o777)
    clock.pass_seconds(15)
    netns.wait_for(lambda: by_prometheus(FILE.read_text())["softnet_metrics_failed_total"] == 2)
    assert guard.counters()     # it goes on


def test_a_path_that_no_label_can_hold(network, folder, softnet):
    network.bridge("br0")
    path = f"{FOLDER}/a\"}} 1\nsoftnet_evil 2\\é\udcff"
    network.start([softnet, "--vm-mac-address", MAC, "--guest", f"stream:{path}", "--uplink", "tap:u-x,bridge=br0",
                   "--control", CONTROL, "--metrics", FILE], name="softnet")
    netns.wait_for(FILE.exists)
    shown = f"stream:{FOLDER}/a\"}} 1?softnet_evil 2\\???"
    for samples in by_openmetrics(ask(), vm=MAC), by_prometheus(FILE.read_text(), vm=MAC):
        info, = [key for key in samples if key[0] == "softnet_info"]
        assert info[2:] == (shown, "tap:u-x,bridge=br0")
    assert "softnet_evil 2\n" not in FILE.read_text()
