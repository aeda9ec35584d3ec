"""The registry of claims: of the guards of one host only one holds an address, whatever their order and however they end.

    guests -- softnet, softnet -- taps in br0 192.168.77.1 of the host, with a DHCP server
"""

import contextlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import tempfile
import time

import pytest

import dhcp_peers
import rawguest
import services
from conftest import needs_others
from dhcp_peers import Guest
from netns import NetworkError, Stalls, run, wait_for

CLAIMS = pathlib.Path("/run/softnet/claims")
# A DUID of type 2 behind an IAID, as every clone of an image with systemd has; dnsmasq and bootpd go by it alone.
CLIENT_ID = "fff1f5dd7f00020000ab11cbfb30b097b63a67"
USER = 20000 + random.randrange(40000)      # other tests run beside this one, and all have one /tmp
ONE, TWO = "52:54:00:00:00:0a", "52:54:00:00:00:0b"


@pytest.fixture
def hosted(network, softnet):
    dhcp_peers.hosted(network)
    dhcp_peers.serve(network, "dnsmasq", 600, 300, 400)
    yield network
    run("rm", "-rf", CLAIMS)


@pytest.fixture
def folder():
    directory = pathlib.Path(tempfile.mkdtemp(dir="/run"))
    directory.chmod(0o777)
    yield directory
    run("rm", "-rf", directory)


def ask(client_id=CLIENT_ID):
    return ["-C", "-x", f"0x3d:{client_id}"]


def start_asking(network, guest, *options):
    """A client that may wait for its lease."""
    return network.start([services.busybox(), "udhcpc", "-f", "-i", "eth0", "-t", "2", "-T", "1", "-A", "1", "-s",
                          services.CHECKOUT / "tests" / "vm" / "udhcpc.sh", *(options or ask())], guest.namespace)


def events_of(path, kind="binding-claimed"):
    with contextlib.suppress(FileNotFoundError):
        return [event for event in map(json.loads, path.read_text().splitlines()) if event["event"] == kind]
    return []


def status_of(guest):
    done = subprocess.run([services.softnet_path(), "status", "--json", "--vm", str(guest.guard.pid)], capture_output=True,
                          text=True, timeout=20, check=True)
    return json.loads(done.stdout)[0]


def page_of(*options):
    done = subprocess.run([services.softnet_path(), "status", *options], capture_output=True, text=True, timeout=20,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("mode", ["any", "strict"])
def test_two_clients_of_one_identifier(hosted, folder, mode):
    guests = [Guest(hosted, name, "--name", name, "--events", folder / name, f"--dhcp-client-id={mode}",
                    "--state", folder / f"{name}.state") for name in ("one", "two")]
    one, two = guests
    start_asking(hosted, one)
    one.guard.wait_line(r"lease new: 192.168.77.10 ")
    start_asking(hosted, two)
    two.guard.wait_line(r"192.168.77.10 is not for this VM: VM one has it")
    # The holder learns of it, without being asked.
    one.guard.wait_line(r"192.168.77.10, which this VM has, is wanted by VM two too", 5)
    assert one.leases() == ["192.168.77.10"] and two.leases() == []
    assert two.guard.counters().dropped("uplink", "binding-claimed") > 0
    assert services.address_of(two.namespace) is None
    held, wanted = events_of(folder / "one")[0], events_of(folder / "two")[0]
    assert (held["address"], held["holder"], held["guard"], held["pid"]) == ("192.168.77.10", "this", "two", two.guard.pid)
    assert (wanted["address"], wanted["holder"], wanted["guard"], wanted["pid"]) == \
        ("192.168.77.10", "other", "one", one.guard.pid)
    assert "192.168.77.10 is also wanted by two" in page_of("--vm", "one")
    assert "192.168.77.10 is held by one" in page_of("--vm", "two")
    assert "192.168.77.10 is wanted by two too" in page_of() and "192.168.77.10 is held by two" not in page_of()
    assert status_of(one)["claims"]["seen_by"] == "all"
    # Killed, it holds nothing any more, and the other one gets it with its next question.
    one.guard.signal(signal.SIGKILL)
    one.guard.wait()
    two.guard.wait_line(r"lease new: 192.168.77.10 ", 15)
    wait_for(lambda: services.address_of(two.namespace), what="the address")
    two.must_reach(dhcp_peers.GATEWAY)
    # Its state says that it has it. Nobody has it twice.
    wait_for(lambda: "u-one" not in hosted.host.links(), what="the tap to go")
    mark = two.guard.mark()
    one.start_guard()
    one.guard.wait_line(r"lease lost: 192.168.77.10, held by another guard")
    assert one.leases() == [] and two.leases() == ["192.168.77.10"]
    two.guard.wait_line(r"192.168.77.10, which this VM has, is wanted by VM one too", 5, since=mark)


def test_the_restarted_holder_takes_it_back(hosted, folder):
    one = Guest(hosted, "one", "--name", "one", "--state", folder / "one.state", walled=True)
    two = Guest(hosted, "two", "--name", "two")
    start_asking(hosted, one)
    one.guard.wait_line(r"lease new: 192.168.77.10 ")
    wait_for(lambda: "\nlease " in (folder / "one.state").read_text(), what="the lease to be written")
    one.guard.signal(signal.SIGKILL)
    one.guard.wait()
    wait_for(lambda: "u-w-one" not in hosted.host.links(), what="the tap to go")
    one.start_guard()
    assert one.leases() == ["192.168.77.10"]
    start_asking(hosted, two)
    two.guard.wait_line(r"192.168.77.10 is not for this VM: VM one has it")
    one.must_reach(dhcp_peers.GATEWAY)
    # What dead guards have left is gone: each that lives has its claims, and what the operator gave.
    assert len(list((CLAIMS / "0").iterdir())) == 4


def dad(mac, address):
    """The question of a guest that is about to use this IPv6 address."""
    from scapy.all import Ether, ICMPv6ND_NS, IPv6      # takes a second
    low = address.split(":")[-1].rjust(4, "0")
    return bytes(Ether(src=mac, dst=f"33:33:ff:00:{low[:2]}:{low[2:]}") /
                 IPv6(src="::", dst=f"ff02::1:ff00:{low}", hlim=255) / ICMPv6ND_NS(tgt=address))


def raw(network, name, mac, *options, program=None, uplink=None):
    return rawguest.RawGuest(network, mac, "--name", name, "--uplink", uplink or f"tap:u-{name},bridge=br0", *options,
                             program=program, name=f"softnet-{name}-{len(network.processes)}")


def test_ipv6_where_nobody_hears_the_other(hosted):
    """On isolated ports no guest hears another's DAD; the registry does."""
    one, two = raw(hosted, "one", ONE), raw(hosted, "two", TWO)
    one.send(dad(ONE, "fe80::77"))
    one.guard.wait_line("address new: fe80::77 by link-local")
    two.send(dad(TWO, "fe80::77"), dad(TWO, "fe80::78"))
    two.guard.wait_line("fe80::77 is not for this VM: VM one has it")
    two.guard.wait_line("address new: fe80::78 by link-local")
    assert two.guard.counters().dropped("guest", "binding-claimed") == 1
    one.guard.wait_line("fe80::77, which this VM has, is wanted by VM two too", 5)


def test_what_the_operator_gave(hosted):
    """It is worth more than to have come first, but not more than what was given to another."""
    one = raw(hosted, "one", ONE)
    assert one.take_lease() == "192.168.77.10"
    one.send(dad(ONE, "fe80::77"))
    one.guard.wait_line("address new: fe80::77 by link-local")
    two = raw(hosted, "two", TWO, "--vm-ip", "192.168.77.10/24,fe80::77/64")
    two.guard.wait_line("192.168.77.10, which this VM has, is wanted by VM one too")
    one.guard.wait_line("lease lost: 192.168.77.10, given to another VM", 5)
    one.guard.wait_line("lease lost: fe80::77, given to another VM", 5)
    three = hosted.start([services.softnet_path(), "--vm-mac-address", "52:54:00:00:00:0c", "--guest", "tap:g-three",
                          "--uplink", "tap:u-three,bridge=br0", "--vm-ip", "192.168.77.10/24"])
    assert three.wait() == 1
    assert re.search(rf"--vm-ip: 192.168.77.10 was given to VM two as well, whose guard \(process {two.guard.pid}\) runs",
                     three.output("err")[-1])


def test_what_the_operator_shares(hosted):
    """All who are told so have it, and nobody else."""
    one, two = (raw(hosted, name, mac, "--shared-ip", "192.168.77.100/24,fe80::77/64")
                for name, mac in (("one", ONE), ("two", TWO)))
    page = page_of()                        # of all guards of the host, those of other tests too
    assert "192.168.77.100 is held by two" not in page and "fe80::77 is held by two" not in page
    assert "shared with others" in page_of("--vm", "one")
    three = raw(hosted, "three", "52:54:00:00:00:0c")
    three.send(dad("52:54:00:00:00:0c", "fe80::77"))
    holder = three.guard.wait_line("fe80::77 is not for this VM: VM (one|two) has it").group(1)
    {"one": one, "two": two}[holder].guard.wait_line("fe80::77, which this VM has, is wanted by VM three too", 5)
    four = hosted.start([services.softnet_path(), "--vm-mac-address", "52:54:00:00:00:0d", "--guest", "tap:g-four",
                         "--uplink", "tap:u-four,bridge=br0", "--vm-ip", "192.168.77.100/24"])
    assert four.wait() == 1
    assert re.search("--vm-ip: 192.168.77.100 was given to VM (one|two) as well, .* share it by --shared-ip",
                     four.output("err")[-1])


def test_networks_that_are_others(hosted):
    """The same address in two bridges, or in two VLANs of one, is two addresses."""
    hosted.bridge("br1")
    one = raw(hosted, "one", ONE, "--vm-ip", "10.1.1.1/24")
    two = raw(hosted, "two", TWO, "--vm-ip", "10.1.1.1/24", uplink="tap:u-two,bridge=br1")
    segments = [status_of(guest)["claims"]["segment"] for guest in (one, two)]
    assert None not in segments and segments[0] != segments[1]
    assert "10.1.1.1 is held by two" not in page_of()
    # A tap that is no port of a bridge is alone.
    hosted.host.ip("link set u-one nomaster")
    three = raw(hosted, "three", "52:54:00:00:00:0c", "--vm-ip", "10.1.1.2/24", uplink="tap:u-three")
    assert status_of(three)["claims"]["segment"] is None


def test_vlans_of_one_bridge(hosted):
    try:
        hosted.host.ip("link set br0 type bridge vlan_filtering 1")
    except NetworkError:
        pytest.skip("this kernel's bridge knows no VLANs")
    hosted.host.ip("tuntap add dev u-two mode tap")
    hosted.host.ip("link set u-two master br0 up")
    hosted.host.run("bridge", "vlan", "del", "dev", "u-two", "vid", "1")
    hosted.host.run("bridge", "vlan", "add", "dev", "u-two", "vid", "7", "pvid", "untagged")
    one = raw(hosted, "one", ONE, "--vm-ip", "10.1.1.1/24")
    two = raw(hosted, "two", TWO, "--vm-ip", "10.1.1.1/24", uplink="tap:u-two")
    segments = [status_of(guest)["claims"]["segment"] for guest in (one, two)]
    assert segments[0].endswith(" vlan 1") and segments[1].endswith(" vlan 7")


# --- users ------------------------------------------------------------------------------------------------------------

@pytest.fixture
def as_user(network):
    """A program that starts softnet as another user than root."""
    program = network.logs / "as-user"
    program.write_text(f"#!/bin/sh\nexec setpriv --reuid={USER} --regid={USER} --clear-groups "
                       f"{services.for_everybody(services.softnet_path())} \"$@\"\n")
    program.chmod(0o755)
    # The device with its usual mode, which not every machine gives it.
    run("mknod", "/run/tun", "c", "10", "200")
    os.chmod("/run/tun", 0o666)
    run("mount", "--bind", "/run/tun", "/dev/net/tun")
    yield program
    run("umount", "--lazy", "/dev/net/tun")
    run("rm", "-rf", "/run/tun", f"/tmp/softnet-{USER}")


def give_tap(network, name):
    network.host.ip(f"tuntap add dev {name} mode tap user {USER}")
    network.host.ip(f"link set {name} master br0 up")
    network.host.run("bridge", "link", "set", "dev", name, "isolated", "on")
    return f"tap:{name}"


def give_folder():
    """What troubleshooting.md tells root to do."""
    run("install", "-d", "/run/softnet", CLAIMS)
    run("install", "-d", "-o", USER, CLAIMS / str(USER))
    return CLAIMS / str(USER)


@needs_others
def test_guards_of_different_users(hosted, as_user):
    give_folder()
    one = raw(hosted, "one", ONE, program=as_user, uplink=give_tap(hosted, "u-one"))
    two = raw(hosted, "two", TWO)
    one.send(dad(ONE, "fe80::77"))
    one.guard.wait_line("address new: fe80::77")
    two.send(dad(TWO, "fe80::77"), dad(TWO, "fe80::78"))
    two.guard.wait_line("fe80::77 is not for this VM: VM one has it")
    two.guard.wait_line("address new: fe80::78")
    one.send(dad(ONE, "fe80::78"))
    one.guard.wait_line("fe80::78 is not for this VM: VM two has it")
    for guest, address in (one, "fe80::77"), (two, "fe80::78"):
        guest.guard.wait_line(f"{address}, which this VM has, is wanted", 5)


@needs_others
def test_guards_of_one_user_need_nobody(hosted, as_user):
    """Without a folder of root's they see each other, and root's do not see them; which they say."""
    one, two = (raw(hosted, name, mac, program=as_user, uplink=give_tap(hosted, f"u-{name}"))
                for name, mac in (("one", ONE), ("two", TWO)))
    one.guard.wait_line(rf"guards of other users do not see .*: root has made no folder for user {USER} in softnet/claims")
    one.send(dad(ONE, "fe80::77"))
    one.guard.wait_line("address new: fe80::77")
    two.send(dad(TWO, "fe80::77"))
    two.guard.wait_line("fe80::77 is not for this VM: VM one has it")
    one.guard.wait_line("fe80::77, which this VM has, is wanted by VM two too", 5)


def forge(path, page, lock=True):
    """Write a file of claims; a process of the user holds the lock. Returns it."""
    code = "import fcntl, os, struct, sys, time\n" \
        "f = open(sys.argv[1], 'wb'); f.write(sys.stdin.buffer.read()); f.flush(); os.chmod(f.name, 0o644)\n" \
        "fcntl.fcntl(f, fcntl.F_SETLK, struct.pack('hhqqi', fcntl.F_WRLCK, 0, 0, 1, 0)) if sys.argv[2] else 0\n" \
        "print('ready', flush=True); time.sleep(100)"
    process = subprocess.Popen(["/usr/bin/python3", "-c", code, str(path), "lock" if lock else ""], user=USER, group=USER,
                               extra_groups=[], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(page)
    process.stdin.close()
    assert process.stdout.readline() == b"ready\n"
    return process


def page_like(path, address):
    """The page of a guard, with this address as its first claim."""
    page = bytearray(path.read_bytes())
    page[192:216] = bytes([1, 128]) + bytes(6) + address
    return bytes(page)


LINK_LOCAL = bytes.fromhex("fe80") + bytes(12)


def lock_for_reading(path):
    """As any reader of a file can do; a dead one must not look alive for it. Returns the process."""
    code = "import fcntl, struct, sys, time\nf = open(sys.argv[1], 'rb')\n" \
        "fcntl.fcntl(f, fcntl.F_SETLK, struct.pack('hhqqi', fcntl.F_RDLCK, 0, 1, 0, 0))\n" \
        "print('ready', flush=True)\n" \
        "fcntl.fcntl(f, fcntl.F_SETLKW, struct.pack('hhqqi', fcntl.F_RDLCK, 0, 0, 0, 0)); time.sleep(100)"
    process = subprocess.Popen(["/usr/bin/python3", "-c", code, str(path)], user=USER, group=USER, extra_groups=[],
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    return process


@needs_others
def test_a_user_who_lies(hosted, as_user, folder):
    """Whatever stands in a user's folder: it takes nothing that is held, hides nothing, and counts for no port but the user's."""
    theirs = give_folder()
    give_tap(hosted, "u-theirs")
    one, two = raw(hosted, "one", ONE), raw(hosted, "two", TWO, "--events", folder / "two")
    files = {guest: next(path for path in (CLAIMS / "0").iterdir() if path.name.startswith(f"{guest.guard.pid:x}-"))
             for guest in (one, two)}
    number = {name: int(hosted.host.ip(f"-o link show dev {name}").split(":")[0]) for name in ("u-one", "u-theirs")}
    one.send(dad(ONE, "fe80::77"))
    one.guard.wait_line("address new: fe80::77")
    mine = files[one]
    wanted = [LINK_LOCAL + bytes([0, low]) for low in (0x77, 0x78)]
    plant = [forge(theirs / f"held-{number['u-theirs']}", page_like(mine, wanted[0])),
             forge(theirs / f"root-{number['u-one']}", page_like(mine, wanted[1])),
             forge(theirs / "none-999999", page_like(mine, wanted[1])),
             forge(theirs / f"dead-{number['u-theirs']}", page_like(mine, wanted[1]), lock=False)]
    os.symlink(mine, theirs / "link")
    os.mkfifo(theirs / "fifo", 0o644)
    os.chown(theirs / "fifo", USER, USER)
    (theirs / "folder").mkdir()
    (theirs / f"file-{number['u-theirs']}").write_bytes(page_like(mine, wanted[1]))
    plant.append(lock_for_reading(mine))
    # Nobody can take, replace, change or remove what is root's.
    for attempt in (lambda: os.open(mine, os.O_RDWR), lambda: os.unlink(mine), lambda: (CLAIMS / "0" / "new").touch(),
                    lambda: (CLAIMS / "1").mkdir()):
        os.seteuid(USER)
        try:
            with pytest.raises(PermissionError):
                attempt()
        finally:
            os.seteuid(0)
    with Stalls() as stalls:
        begun = time.monotonic()
        two.send(dad(TWO, "fe80::77"), dad(TWO, "fe80::78"))
        two.guard.wait_line("fe80::77 is not for this VM: VM one has it")       # not hidden by what came before it
        two.guard.wait_line("address new: fe80::78")
        for i in range(10000):
            (theirs / f"many-{i}").touch()
        two.send(dad(TWO, "fe80::79"))
        two.guard.wait_line("address new: fe80::79")
        took = time.monotonic() - begun
    assert took < stalls.added_to(5)
    assert [event["address"] for event in events_of(folder / "two")] == ["fe80::77"]
    one.guard.wait_line("fe80::77, which this VM has, is wanted by VM two too", 5)
    # With all of that, a guard that was killed has nothing any more.
    one.guard.signal(signal.SIGKILL)
    one.guard.wait()
    for process in plant[:-1]:
        process.kill()
        process.wait()
    three = raw(hosted, "three", "52:54:00:00:00:0c")
    three.send(dad("52:54:00:00:00:0c", "fe80::77"))
    three.guard.wait_line("address new: fe80::77")
    plant[-1].kill()
    plant[-1].wait()


@needs_others
def test_what_a_user_can_block(hosted, as_user):
    """As much as the user's ports: one file for each, with a fixed number of addresses."""
    theirs = give_folder()
    give_tap(hosted, "u-theirs")
    one = raw(hosted, "one", ONE)
    one.send(dad(ONE, "fe80::70"))
    one.guard.wait_line("address new: fe80::70")
    mine = next((CLAIMS / "0").iterdir())
    number = int(hosted.host.ip("-o link show dev u-theirs").split(":")[0])
    liars = [forge(theirs / f"{i}-{number}", page_like(mine, LINK_LOCAL + bytes([0, 0x71 + i]))) for i in range(2)]
    one.send(dad(ONE, "fe80::71"), dad(ONE, "fe80::72"))
    one.guard.wait_line("fe80::7[12] is not for this VM")
    one.guard.wait_line("address new: fe80::7[12]")
    for liar in liars:
        liar.kill()
        liar.wait()


def test_a_guard_that_was_taken_over_stays_on_its_network(hosted):
    """It can write what it likes into its own file. The kernel says on which bridge it is."""
    hosted.bridge("br1")
    one = raw(hosted, "one", ONE)
    two = raw(hosted, "two", TWO, uplink="tap:u-two,bridge=br1")
    files = {guest: next(path for path in (CLAIMS / "0").iterdir() if path.name.startswith(f"{guest.guard.pid:x}-"))
             for guest in (one, two)}
    with open(files[two], "r+b", buffering=0) as file:
        file.write(page_like(files[one], LINK_LOCAL + bytes([0, 0x77])))        # on the other bridge, it says
    one.send(dad(ONE, "fe80::77"))
    one.guard.wait_line("address new: fe80::77")


def test_claims_move_with_the_tap(hosted):
    """Each bridge is a network, and what somebody has there already is lost to who comes."""
    hosted.bridge("br1")
    one = raw(hosted, "one", ONE)
    two = raw(hosted, "two", TWO, uplink="tap:u-two,bridge=br1")
    for guest, mac in (one, ONE), (two, TWO):
        guest.send(dad(mac, "fe80::77"))
        guest.guard.wait_line("address new: fe80::77")
        # Its question has left, and does not come to the other bridge, where it would be another host's.
        guest.guard.wait_counters(lambda c: c.passed["guest"] == 1)
    hosted.host.ip("link set u-two master br0")
    two.guard.wait_line("lease lost: fe80::77, held by another guard")
    one.guard.wait_line("fe80::77, which this VM has, is wanted by VM two too", 5)
    assert status_of(one)["claims"]["segment"] == status_of(two)["claims"]["segment"]


def test_a_holder_that_stands_still_is_told_later(hosted):
    """A bell rings until it is heard."""
    one, two = raw(hosted, "one", ONE), raw(hosted, "two", TWO)
    one.send(dad(ONE, "fe80::77"))
    one.guard.wait_line("address new: fe80::77")
    one.guard.signal(signal.SIGSTOP)
    two.send(dad(TWO, "fe80::77"))
    two.guard.wait_line("fe80::77 is not for this VM: VM one has it")
    time.sleep(6)       # for so long it is too busy, or its processor is
    one.guard.signal(signal.SIGCONT)
    one.guard.wait_line("fe80::77, which this VM has, is wanted by VM two too", 5)
