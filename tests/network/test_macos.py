"""The program for macOS from its start to its end, with a real DHCP server on the network that vmnet would make.

    raw guest (a socket) -- softnet for macOS -- double of vmnet -- tap u-mac -- br0 192.168.64.1 (the Mac: dnsmasq)
"""

import json
import pathlib
import signal
import struct
import subprocess
import tempfile

import pytest

import rawguest
import services
from macos import MAC
from netns import wait_for
from test_relay import ends_in_a_second, status_of

HOST = "192.168.64.1"
SHARED, HOST_ONLY, BRIDGED = 1001, 1000, 1002      # vmnet's modes


@pytest.fixture
def shared(mac, network):
    """The bridge with the Mac's address, and its DHCP server."""
    network.bridge("br0")
    network.host.ip(f"address add {HOST}/24 dev br0")
    services.dnsmasq(network, network.host, "192.168.64.10", "192.168.64.50", interface="br0", router=HOST)
    mac.environment("FAKE_GATEWAY", HOST)
    mac.tap_wire()
    return mac


def gateway_mac(guest):
    guest.send(rawguest.arp(MAC, 1, guest.address, HOST))
    answer = guest.wait_frame(lambda frame: frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2")
    return answer[22:28].hex(":")


def echo_request(number, octets):
    body = struct.pack("!HH", 77, number) + bytes(octets)
    sum_ = rawguest.checksum(b"\x08\0\0\0" + body)
    return b"\x08\0" + struct.pack("!H", sum_) + body


def ping(guest, router, number, octets=1000):
    guest.send(rawguest.ipv4(MAC, router, guest.address, HOST, 1, echo_request(number, octets)))
    wanted = struct.pack("!HH", 77, number)
    return guest.wait_frame(lambda frame: frame[23:24] == b"\1" and frame[34:35] == b"\0" and frame[38:42] == wanted)


def ends_well(mac, guest, number=signal.SIGINT):
    assert ends_in_a_second(guest.guard, number) == 0
    guest.close()
    assert mac.logged("^end semaphores=1 xpc=0 cf=0")       # the one on which callbacks wait stays


def test_lease_and_traffic(shared, network):
    guest = shared.guest()
    assert guest.take_lease().startswith("192.168.64.")
    router = gateway_mac(guest)
    for number in range(50):
        ping(guest, router, number)
    status = status_of(guest.guard.pid)
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65534"}
    assert status["Groups"].split() in ([], ["65534"])
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert shared.logged(f"^start mode={SHARED} isolation=1 interface=- mtu=1500 user=0 status=1000")
    assert shared.logged("^os_log org.softnet.softnet:guard type=1 host: 192.168.64.1")
    assert not any(line.startswith("<") for line in guest.guard.output("out"))
    # Another machine's address is none of its: as everywhere.
    guest.send(rawguest.udp(MAC, router, "192.168.64.66", "1.1.1.1", 4000, 4001))
    assert guest.wait_counted().dropped("guest", "ip4-src-spoof") == 1
    ends_well(shared, guest)


def test_host_mode(shared):
    guest = shared.guest("--vm-net-type", "host")
    assert guest.take_lease().startswith("192.168.64.")
    assert shared.logged(f"^start mode={HOST_ONLY} isolation=1")
    ends_well(shared, guest, signal.SIGTERM)


def test_no_isolation(shared):
    guest = shared.guest("--allow", "0.0.0.0/0", "--uplink", "vmnet:nat")
    assert shared.logged(f"^start mode={SHARED} isolation=0")
    ends_well(shared, guest)


def test_bridged(segment, mac):
    """The network is others': the guard learns who leases and who routes."""
    mac.tap_wire()
    guest = mac.guest("--uplink", "vmnet:bridged=en1", "--mtu", "4000")     # of others, too: vmnet takes no wish
    assert guest.take_lease().startswith("192.168.77.")
    assert mac.logged(f"^start mode={BRIDGED} isolation=1 interface=en1")
    guest.guard.wait_line("gateway learned: 192.168.77.1")
    assert not mac.logged("host: 192")
    ends_well(mac, guest)


@pytest.mark.parametrize("uplink, interfaces, words, status", [
    ("vmnet:bridged=en7", "en0,en1", "no interface that can be bridged (there are: en0, en1)", 2),
    ("vmnet:bridged=en0", "", "no interface that can be bridged (there are: none)", 2),
    ("vmnet:bridged=", "en0", "expected nat, host or bridged=INTERFACE", 2), ("vmnet:slow", "en0", "expected nat", 2),
    ("tap:en0", "en0", "unknown port", 2),
])
def test_uplinks_that_are_none(mac, uplink, interfaces, words, status):
    mac.environment("FAKE_INTERFACES", interfaces)
    process = mac.start("--uplink", uplink)
    assert process.wait() == status and words in process.output("err")[-1]


def test_addresses_of_the_host_are_followed(mac, network):
    """The routing socket wakes the guard."""
    network.bridge("br0")
    mac.socket_wire()
    guest = mac.guest()
    network.host.set_ipv6("br0", disable_ipv6=0)
    network.host.ip("address add 2001:db8:78::1/64 dev br0 nodad")
    guest.guard.wait_line("IPv6 sites of this host: .*2001:db8:78::/48")
    ends_well(mac, guest)


# --- the settings of bootpd, by tests/macos/test_lease_time.c ------------------------------------------------------------

BY_MAC = "bootpd.dhcp_ignore_client_identifier=true\n"
OURS = "bootpd.DHCPLeaseTimeSecs=600\n" + BY_MAC


def set_bootpd(mac, seconds=600, before="bootpd.keep=7\nbootpd.DHCPLeaseTimeSecs=86400\nother=stays\n", ask=()):
    mac.preferences.write_text(before)
    mac.log_path.write_text("")
    program = mac.program.parent / "test-lease-time"
    done = subprocess.run([program, str(seconds), *ask], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    assert mac.logged("^end semaphores=0 xpc=0 cf=0")
    return done.stdout.strip(), mac.preferences.read_text()


def test_settings_of_bootpd(mac):
    """Merged with what stands there, which is everybody's."""
    for before, after in (
            ("bootpd.keep=7\nbootpd.DHCPLeaseTimeSecs=86400\nother=stays\n",
             "bootpd.keep=7\n" + OURS + "other=stays\n"),
            ("bootpd.keep=7\n", "bootpd.keep=7\n" + OURS), ("other=stays\n", "other=stays\n" + OURS),
            # One of both, or something that only looks like it.
            ("bootpd.DHCPLeaseTimeSecs=600\n", OURS), (BY_MAC, BY_MAC + "bootpd.DHCPLeaseTimeSecs=600\n"),
            ("bootpd.DHCPLeaseTimeSecs=600\nbootpd.dhcp_ignore_client_identifier=false\n", OURS),
            ("bootpd.DHCPLeaseTimeSecs=600\nbootpd.dhcp_ignore_client_identifier=1\n", OURS),
            ("bootpd=nonsense\n", OURS), ("", OURS)):
        assert set_bootpd(mac, before=before, ask=["?"]) == ("does not stand there", before)
        assert set_bootpd(mac, before=before) == ("done", after)
        assert mac.logged("^preferences of com.apple.InternetSharing.default.plist for softnet")
        assert mac.logged("^preferences applied")
        assert set_bootpd(mac, before=after, ask=["?"]) == ("stands there", after)


def test_settings_of_bootpd_that_stand_there(mac):
    said, _ = set_bootpd(mac, 86400, "bootpd.DHCPLeaseTimeSecs=86400\n" + BY_MAC)
    assert said == "done" and not mac.logged("^preferences (written|applied)")


def test_settings_of_bootpd_while_others_change_them(mac):
    mac.fault("sc-busy=4")
    assert set_bootpd(mac)[0] == "done"


@pytest.mark.parametrize("faults, seconds, words", [
    ("sc-busy=1000", 600, "cannot be locked: "),
    ("sc-open", 600, "cannot be opened: Access denied"), ("sc-lock", 600, "cannot be locked: Access to the"),
    ("sc-commit", 600, "cannot be written: Access denied"), ("", 1 << 31, "2147483648 seconds are too many"),
])
def test_settings_of_bootpd_that_fail(mac, faults, seconds, words):
    mac.fault(faults)
    said, after = set_bootpd(mac, seconds)
    assert said.startswith(words) and after.endswith("bootpd.DHCPLeaseTimeSecs=86400\nother=stays\n")


def test_settings_of_bootpd_that_nobody_hears_of(mac):
    mac.fault("sc-apply")
    said, after = set_bootpd(mac, before="")
    assert said == "are written, but cannot be put into force: Access denied" and after == OURS


@pytest.mark.parametrize("options, faults, seconds, words", [
    ([], "", 600, None), (["--bootpd-lease-time", "1200"], "", 1200, None),
    ([], "sc-lock", 86400, "bootpd's settings: cannot be locked: Access to the"),
])
def test_guard_sets_bootpd(mac, options, faults, seconds, words):
    """Before the interface starts; a guard goes on without."""
    mac.socket_wire()
    mac.fault(faults)
    guest = mac.guest(*options)
    assert f"bootpd.DHCPLeaseTimeSecs={seconds}" in mac.preferences.read_text().splitlines()
    calls = [line.split()[0] for line in mac.log() if line.startswith(("preferences", "start"))]
    assert calls == ["preferences"] * (1 if faults else 3) + ["start"]
    assert ("bootpd.dhcp_ignore_client_identifier=true" in mac.preferences.read_text()) == (not faults)
    told = [line for line in guest.guard.output("err") if "lease time" in line]
    assert len(told) == bool(words) and (not words or words in told[0])
    ends_well(mac, guest)


@pytest.fixture
def reachable():
    """A folder that every user can reach."""
    with tempfile.TemporaryDirectory(dir="/run") as folder:
        pathlib.Path(folder).chmod(0o755)
        yield pathlib.Path(folder)


def sandbox_of(guest):
    done = subprocess.run([guest.guard.popen.args[0], "status", "--json", "--vm", str(guest.guard.pid)], capture_output=True,
                          text=True, check=True)
    return json.loads(done.stdout)[0]["sandbox"]


def test_no_sandbox_unless_asked_for(shared):
    guest = shared.guest()
    assert guest.take_lease()
    assert sandbox_of(guest)["mode"] == "off" and not shared.logged("^sandbox ")
    assert not any("--sandbox" in line for line in guest.guard.output())
    ends_well(shared, guest)


def test_the_profile(shared, reachable):
    """What it says is seen. That macOS does so, nobody has seen yet."""
    folder, link = reachable / 'a "quoted" folder', reachable / "link"
    folder.mkdir()
    folder.chmod(0o777)
    link.symlink_to(folder)
    guest = shared.guest("--sandbox", "on", "--state", str(link / "state"))
    assert guest.take_lease()
    rules = [line.removeprefix("sandbox ") for line in shared.log() if line.startswith("sandbox ")]
    assert rules[:2] == ["(version 1)", "(allow default)"]
    quoted = str(folder).replace('"', '\\"')
    assert f'(allow file-read-data file-write* (subpath "{quoted}"))' in rules
    assert {"(deny process-exec*)", "(deny process-fork)", "(deny file-write*)", "(deny network-outbound)", "(deny signal)",
            "(allow signal (target self))"} < set(rules)
    assert '(allow file-write-unlink (subpath "/run/softnet"))' in rules      # its entry there
    # The last rule counts: what is allowed stands behind what is denied.
    assert rules.index("(deny file-write*)") < min(n for n, rule in enumerate(rules) if "(allow file-read-data" in rule)
    assert "(allow network-outbound (remote unix-socket))" not in rules
    sandbox = sandbox_of(guest)
    assert (sandbox["mode"], sandbox["missing"]) == ("on", "in force by sandbox_init, not yet run on a Mac")
    wait_for(lambda: (folder / "state").exists(), 5, "the state")
    ends_well(shared, guest)


def test_a_profile_that_is_refused(shared):
    shared.fault("sandbox")
    guest = shared.guest("--sandbox", "on")
    guest.guard.wait_line("sandbox: not in force: as the test wants it")
    assert guest.take_lease()
    ends_well(shared, guest)
