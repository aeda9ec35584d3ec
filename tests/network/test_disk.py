"""A disk that hangs, or is full, holds no frame: what is written there is written by another process, waits, and is counted as lost
where it has no room. What was written last is there when the disk answers again.

    test_faults.py's guard between two sockets, with all files that a guard can keep
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pytest

import dhcp_peers
import faults
import netns
import rawguest
import services
from fault_scenes import FAR, GATEWAY_MAC, MAC, Scene
from faults import Fault, Supervisor
from netns import run, wait_for

HANGING = ["write", "pwrite64", "openat", "rename"]
IN_CHECK = HANGING if "SOFTNET_LONG" in os.environ else ["write", "openat"]
FRAMES, MOMENT = 100, 0.15          # the first that waits for the state may wait 50 ms, by deferred.h

pytestmark = pytest.mark.skipif(not faults.IS_POSSIBLE or not netns.has_other_users(), reason="needs root, and a processor of x86-64")


def slowest(scene):
    """Of many frames, how long the slowest took; all must arrive."""
    longest = 0.0
    for _ in range(FRAMES):
        begin = time.monotonic()
        assert scene.traffic(1, 5) >= 1, scene.said()
        longest = max(longest, time.monotonic() - begin)
    return longest


def is_valid_capture(path):
    done = subprocess.run([services.softnet_path(), "replay", path], capture_output=True, text=True)
    return done.returncode == 0


@pytest.mark.parametrize("call", IN_CHECK)
def test_a_call_that_does_not_come_back(network, call):
    supervisor = Supervisor(HANGING)
    scene = Scene(network, supervisor=supervisor)
    try:
        assert scene.stand(), scene.said()
        supervisor.arm(Fault("softnet-files", call, "hang"))
        with netns.Stalls() as stalls:
            scene.rules()                       # an event, and a new section
            longest = slowest(scene)
            scene.ticks()
            longest = max(longest, slowest(scene))
        assert longest < stalls.added_to(MOMENT), (call, longest)
        if call in ("write", "pwrite64"):       # the log's process hangs, too, so what is said comes later
            assert supervisor.fired
            end = time.monotonic() + 6
            while time.monotonic() < end:
                assert scene.traffic(1, 1) == 1
        status = scene.status()
        assert status["passed"]["guest"]["frames"] >= 2 * FRAMES
        supervisor.disarm()                     # it answers again
        if call in ("write", "pwrite64"):
            wait_for(lambda: "its disk has not answered for 5 s" in scene.said(), 20, "the warning")
        time.sleep(1.5)
        assert scene.traffic() >= 3 and scene.end() == 0, scene.said()
        assert is_valid_capture(scene.place / "pcap")
        assert all(json.loads(line) for line in (scene.place / "events").read_text().splitlines())
        assert "state" in os.listdir(scene.place) and scene.left() == []
        assert scene.forged == 0
    finally:
        scene.close()


def test_a_policy_that_cannot_be_read(network):
    """SIGHUP: the old rules stay, and frames go on; the new ones come into force when the disk has answered."""
    policy = pathlib.Path(tempfile.mkdtemp(prefix="policy-", dir="/run")) / "policy"
    policy.parent.chmod(0o755)
    policy.write_text("allow any\n")
    supervisor = Supervisor(HANGING)
    scene = Scene(network, supervisor=supervisor, more=["--policy", policy, "-v"])
    try:
        assert scene.stand(), scene.said()
        supervisor.arm(Fault("softnet-files", "openat", "hang"))
        policy.write_text(f"block {FAR}\n")
        with netns.Stalls() as stalls:
            scene.process.send_signal(signal.SIGHUP)
            longest = slowest(scene)
        assert longest < stalls.added_to(MOMENT), longest
        wait_for(lambda: scene.traffic(1, 1) and f"{policy}: its disk has not answered for 5 s" in scene.said(), 20, "the warning")
        supervisor.disarm()
        wait_for(lambda: "1 rules are in force" in scene.said(), 10, "the new rules")
        assert scene.traffic(3, 0.3) == 0 and scene.forged == 0
        assert scene.end() == 0, scene.said()
    finally:
        scene.close()
        run("rm", "-rf", policy.parent)


def test_an_end_does_not_wait_for_it(network):
    supervisor = Supervisor(HANGING)
    scene = Scene(network, supervisor=supervisor)
    try:
        assert scene.stand(), scene.said()
        supervisor.arm(Fault("softnet-files", "write", "hang"))
        scene.rules()
        begin = time.monotonic()
        scene.process.terminate()
        assert scene.process.wait(30) == 0 and time.monotonic() - begin < 15
    finally:
        scene.close()


def test_its_process_dies(network):
    """The guard goes on by itself: nothing is lost but what that process was at."""
    scene = Scene(network)
    try:
        assert scene.stand()
        def writers():                          # stderr is a file here
            found = [pid for pid, name in netns.children_of(scene.process.pid).items() if name == "softnet-files"]
            return found if len(found) == 3 else None
        for pid in wait_for(writers, 10, "three processes that write files"):
            os.kill(pid, 9)
        scene.rules()
        assert scene.traffic() >= 3
        scene.ticks()
        assert scene.alive and scene.end() == 0
        assert "the process that writes files has ended" in scene.said()
        events = [json.loads(line)["event"] for line in (scene.place / "events").read_text().splitlines()]
        assert "policy-changed" in events and "stopped" in events, events
        assert is_valid_capture(scene.place / "pcap") and is_valid_capture(scene.place / "pcap.1")
        assert (scene.place / "state").read_text().count("\n") > 2
    finally:
        scene.close()


@pytest.fixture
def disk():
    """A file system of its own on a file, which can be frozen; nothing but `place` knows it."""
    if not shutil.which("mkfs.ext4") or not shutil.which("fsfreeze"):
        pytest.skip("not installed: mkfs.ext4 or fsfreeze")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="disk-", dir="/run"))
    folder.chmod(0o755)
    run("truncate", "-s", "32M", folder / "image")
    run("mkfs.ext4", "-q", "-F", folder / "image")
    (folder / "disk").mkdir()
    done = subprocess.run(["mount", "-o", "loop", folder / "image", folder / "disk"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no loop device: {done.stderr}")
    (folder / "disk").chmod(0o777)
    yield folder / "disk"
    subprocess.run(["fsfreeze", "-u", folder / "disk"], capture_output=True)
    run("umount", "-l", folder / "disk")
    run("rm", "-rf", folder)


def test_a_frozen_file_system(network, disk):
    """All files there, for longer than one of them is patient."""
    scene = Scene(network, more=["--name", "frozen"], folder=disk)
    try:
        assert scene.stand(), scene.said()
        run("fsfreeze", "-f", disk)
        with netns.Stalls() as stalls:
            scene.rules()
            longest = slowest(scene)
            for _ in range(3):
                scene.ticks()
                longest = max(longest, slowest(scene))
        assert longest < stalls.added_to(MOMENT), longest
        run("fsfreeze", "-u", disk)
        time.sleep(1.5)
        assert scene.traffic() >= 3 and scene.end() == 0, scene.said()
        assert is_valid_capture(disk / "pcap")
        assert "policy" in (disk / "events").read_text()
    finally:
        subprocess.run(["fsfreeze", "-u", disk], capture_output=True)
        scene.close()


@pytest.fixture
def small_disk():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="disk-", dir="/run"))
    run("mount", "-t", "tmpfs", "-o", "size=2M,mode=0777", "tmpfs", folder)
    yield folder
    run("umount", "--lazy", folder)
    folder.rmdir()


def fill(folder):
    with contextlib.suppress(OSError), open(folder / "others", "ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk(network, small_disk):
    """All files there. What finds no room is counted, and the rest is whole; with room again all goes on."""
    scene = Scene(network, more=["--name", "full"], folder=small_disk)
    try:
        assert scene.stand(), scene.said()
        scene.ticks()                           # what waited until now is written
        fill(small_disk)
        for _ in range(3):
            scene.rules()
            slowest(scene)
            scene.ticks()
        full = wait_for(lambda: (scene.status() or {}).get("capture", {}).get("lost") and scene.status(), 10, "frames that are lost to the capture")
        assert full["passed"]["guest"]["frames"] >= 3 * FRAMES and scene.forged == 0
        (small_disk / "others").unlink()
        wait_for(lambda: scene.traffic(1, 1) and scene.status()["capture"]["frames"] > full["capture"]["frames"], 20, "the capture to go on")
        scene.rules()
        assert scene.traffic() >= 3 and scene.end() == 0, scene.said()
        assert is_valid_capture(small_disk / "pcap")
        events = [json.loads(line)["event"] for line in (small_disk / "events").read_text().splitlines()]
        assert events[-1] == "stopped", events[-3:]
    finally:
        scene.close()


def test_who_makes_a_filter_ends_with_the_guard(network):
    """A process of a moment, which makes the list of calls for another one. It hangs here, and the guard is killed meanwhile."""
    supervisor = Supervisor(["exit_group"])
    supervisor.arm(Fault("softnet-files", "exit_group", "hang"))
    scene = Scene(network, supervisor=supervisor)
    try:
        wait_for(lambda: supervisor.fired, 20, "the end of that process")
        scene.process.kill()
        scene.process.wait()
        assert scene.left() == []
    finally:
        scene.close()


def test_a_log_that_hangs(network):
    """Lines of the log are the other process's, with the sandbox on; and when that has died, they are the guard's again."""
    scene = Scene(network, more=["-v"])
    try:
        assert scene.stand()
        writers = wait_for(lambda: [pid for pid, name in netns.children_of(scene.process.pid).items() if name == "softnet-files"], 5, "them")
        for pid in writers:
            os.kill(pid, signal.SIGSTOP)
        before = scene.said()
        with netns.Stalls() as stalls:
            scene.rules()                       # says a line
            assert slowest(scene) < stalls.added_to(MOMENT)
        assert scene.said() == before
        for pid in writers:
            os.kill(pid, signal.SIGCONT)
        wait_for(lambda: "rules are in force" in scene.said()[len(before):], 10, "the line")
        for pid in writers:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: scene.traffic(1, 1) and "the process that writes files has ended" in scene.said(), 10, "the warning")
        mark = len(scene.said())
        scene.rules()
        assert "rules are in force" in scene.said()[mark:] and scene.traffic() >= 3 and scene.end() == 0
    finally:
        scene.close()


def test_a_state_whose_process_dies_at_work(network, state_file):
    """What the guest has given back is not there after a restart, though the process that was to write it was killed."""
    dhcp_peers.hosted(network)
    dhcp_peers.serve(network, "dnsmasq", 600, 300, 400)
    words = ["--uplink", "tap:u-raw,bridge=br0", "--state", state_file]
    guest = rawguest.RawGuest(network, MAC, *words)
    address = guest.take_lease()
    wait_for(lambda: address in state_file.read_text(), 10, "the lease to be written")
    [writer] = [pid for pid, name in netns.children_of(guest.guard.pid).items() if name == "softnet-files"]
    os.kill(writer, signal.SIGSTOP)
    release = rawguest.dhcp(MAC, 7, 9, b"\x36\x04" + socket.inet_aton(dhcp_peers.GATEWAY), ciaddr=address)
    guest.send(rawguest.udp(MAC, GATEWAY_MAC, address, dhcp_peers.GATEWAY, 68, 67, release))
    guest.guard.wait_line("--state: .*: its disk does not answer", 10)
    os.kill(writer, signal.SIGKILL)
    wait_for(lambda: address not in state_file.read_text(), 10, "the lease to go")
    guest.guard.signal(signal.SIGTERM)
    guest.guard.wait()
    guest.close()
