"""What dies, and what becomes of the rest: as the manual says it, under WHEN SOMETHING DIES and SIGNALS.

    softnet run -- sh            the guard, softnet-run between, and the command
    raw guest -- softnet -- raw network       a guard that is started again
"""

import contextlib
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import time

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

import services
from conftest import needs_others
from netns import children_of, wait_for
from status_peers import ADDRESS, MACS, softnet
from test_status_truth import place, say, start     # noqa: F401 (fixtures)

COMMAND = 'trap "echo asked; exit 7" TERM; echo "ready $$"; while :; do sleep 0.05; done'


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Run:
    def __init__(self, command=COMMAND, *options):
        self.guard = subprocess.Popen([services.softnet_path(), "run", "--vm-mac-address", next(MACS), "--uplink", "slirp",
                                       *options, "--", "sh", "-c", f": {{fd}}; {command}"], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.command = int(re.match(r"ready (\d+)", self.guard.stdout.readline()).group(1))
        self.keeper = int(re.search(r"PPid:\t(\d+)", pathlib.Path(f"/proc/{self.command}/status").read_text()).group(1))
        assert pathlib.Path(f"/proc/{self.keeper}/comm").read_text() == "softnet-run\n"

    def next_line(self):
        """What the command prints within a few seconds."""
        return self.guard.stdout.readline() if select.select([self.guard.stdout], [], [], 5)[0] else None


# --- softnet run --------------------------------------------------------------------------------------------------------

def test_the_guard_is_killed(network):
    run = Run()
    run.guard.kill()
    assert run.next_line() == "asked\n"
    wait_for(lambda: not is_alive(run.command), 5, "the command to end")


def test_the_process_between_is_killed(network):
    run = Run()
    os.kill(run.keeper, signal.SIGKILL)
    assert run.next_line() == "asked\n"
    wait_for(lambda: not is_alive(run.command), 5, "the command to end")
    assert run.guard.wait(5) == 137


def test_the_command_is_killed(network):
    run = Run()
    os.kill(run.command, signal.SIGKILL)
    assert run.guard.wait(5) == 137
    wait_for(lambda: not is_alive(run.keeper), 5, "the keeper to end")


def test_processes_of_slirp_are_killed(network):
    """The worker comes back, and the guard goes with the one that starts it."""
    run = Run()
    def workers():
        return [pid for pid, name in children_of(keeper).items() if name == "softnet-slirp"]
    [keeper] = [pid for pid, name in children_of(run.guard.pid).items() if name == "softnet-keeper"]
    [worker] = wait_for(workers, 5, "the worker")
    loaded = [pid for pid in (run.guard.pid, keeper, worker) if "libslirp" in pathlib.Path(f"/proc/{pid}/maps").read_text()]
    assert loaded == [keeper, worker]
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: workers() and workers() != [worker], 5, "another worker")
    assert run.guard.poll() is None and is_alive(run.command)
    os.kill(keeper, signal.SIGKILL)
    assert run.guard.wait(5) == 1 and "the network is gone" in run.guard.stderr.read()
    wait_for(lambda: not is_alive(run.command), 5, "the command to end")


# --- a guard that is started again --------------------------------------------------------------------------------------

def segment(mac, number):
    return bytes(Ether(src=mac, dst="02:00:00:00:00:99") / IP(src=ADDRESS, dst="1.1.1.1") / TCP(sport=number, flags="S"))


def hears(uplink, frame):
    with_timeout = uplink.gettimeout()
    uplink.settimeout(0.2)
    try:
        return any(uplink.recv(2000) == frame for _ in range(10))
    except OSError:
        return False
    finally:
        uplink.settimeout(with_timeout)


def test_datagram_paths_go_on(start, place):       # noqa: F811
    """The hypervisor notices nothing; its own socket stays where it is."""
    vm = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    vm.bind(str(place / "vm"))
    (place / "vm").chmod(0o777)
    guard = start("dying-path", guest=f"unixgram:{place}/guard,mode=666")
    vm.sendto(segment(guard.mac, 1), str(place / "guard"))
    assert hears(guard.other_end, segment(guard.mac, 1))
    guard.kill()
    guard.wait()
    again = start("dying-path", "--isolation", "off", guest=f"unixgram:{place}/guard,mode=666")
    vm.sendto(segment(again.mac, 2), str(place / "guard"))
    assert hears(again.other_end, segment(again.mac, 2))
    back = bytes(Ether(src="02:00:00:00:00:99", dst=again.mac) / IP(src="1.1.1.1", dst=ADDRESS) / TCP(dport=2, flags="A"))
    again.other_end.send(back)
    vm.settimeout(5)
    assert vm.recv(2000) == back
    vm.close()


@pytest.mark.parametrize("is_ours", [True, False], ids=["made here", "made by somebody else"])
def test_taps_go_on(start, network, is_ours):       # noqa: F811
    def index():
        return dict((name, number) for number, name in socket.if_nameindex()).get("dying0")
    if not is_ours:
        network.host.ip("tuntap add dev dying0 mode tap")
    guard = start("dying-tap", guest="tap:dying0")
    before = wait_for(index, what="the tap")
    guard.kill()
    guard.wait()
    wait_for(lambda: index() == (None if is_ours else before), what="the tap to go, or to stay")
    again = start("dying-tap", guest="tap:dying0")
    wait_for(index, what="the tap")
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as host:
        host.bind(("dying0", 0))
        host.send(segment(again.mac, 3))
        assert hears(again.other_end, segment(again.mac, 3))


def test_streams_go_on_when_the_hypervisor_connects_again(start, place):       # noqa: F811
    guard = start("dying-stream", guest=f"stream:{place}/guard")
    vm = socket.socket(socket.AF_UNIX)
    vm.connect(str(place / "guard"))
    say(vm, guard.mac)
    guard.kill()
    guard.wait()
    with contextlib.suppress(ConnectionResetError):
        assert vm.recv(10) == b""   # it is told, and that is all
    again = start("dying-stream", guest=f"stream:{place}/guard")
    vm = socket.socket(socket.AF_UNIX)
    vm.connect(str(place / "guard"))
    frame = segment(again.mac, 4)
    vm.sendall(len(frame).to_bytes(4, "big") + frame)
    assert hears(again.other_end, frame)
    vm.close()


@pytest.mark.parametrize("kind", ["stream", "unixgram"])
def test_a_start_that_fails_leaves_no_socket(start, place, kind):       # noqa: F811
    """Its ports and the control socket are open by then; only the file for metrics cannot be written."""
    guard = start(f"failing-{kind}", "--control", place / "control", "--metrics", place / "absent/file", guest=f"{kind}:{place}/guard")
    assert guard.wait(10) == 1 and "absent/file: cannot write: No such file or directory" in guard.said()
    assert [path.name for path in place.iterdir()] == [f"failing-{kind}.log"] and f"failing-{kind}" not in softnet("status")[1]


# --- SIGHUP -------------------------------------------------------------------------------------------------------------

def rules(name):
    return softnet("policy", "show", "--vm", name)[1].splitlines()


def test_sighup_reads_the_rules_again(start, place):       # noqa: F811
    (place / "one").write_text("allow 10.0.0.0/8\n")
    (place / "two").write_text("block 1.1.1.1\nblock 10.0.0.1\n")
    guard = start("dying-reload", "-v", "--policy", place / "one", "--policy", place / "two", "--block", "10.0.0.1")
    first = ["allow 10.0.0.0/8", "block 1.1.1.1/32", "block 10.0.0.1/32"]
    assert rules("dying-reload") == first
    (place / "one").rename(place / "old")       # as editors do it: another file by the same name
    (place / "one").write_text("allow 10.1.0.0/16\n")
    (place / "two").write_text("")
    guard.send_signal(signal.SIGHUP)
    wait_for(lambda: rules("dying-reload") == ["allow 10.1.0.0/16", "block 10.0.0.1/32"], 5, "the new rules")
    # What is wrong changes nothing, and is told in one line that names the place.
    (place / "two").write_text("allow 10.2.0.0/16\nblock 10.0.0.0/33\n")
    guard.send_signal(signal.SIGHUP)
    wait_for(lambda: f"{place}/two:2: " in guard.said(), 5, "the error")
    [line] = [line for line in guard.said().splitlines() if "/two:2: " in line]
    assert line.startswith("softnet: --policy: ") and line.endswith("; the rules stay as they were")
    assert rules("dying-reload") == ["allow 10.1.0.0/16", "block 10.0.0.1/32"] and guard.poll() is None
    # Neither does a file that would have to be waited for, or cannot be read by who the guard is now.
    (place / "two").unlink()
    os.mkfifo(place / "two")
    guard.send_signal(signal.SIGHUP)
    wait_for(lambda: f"{place}/two: expected a regular file; the rules stay" in guard.said(), 5, "the pipe")
    (place / "two").unlink()
    guard.send_signal(signal.SIGHUP)
    wait_for(lambda: f"{place}/two: No such file or directory; the rules stay" in guard.said(), 5, "the missing file")
    # Live control, and then the files again.
    softnet("policy", "set", "--vm", "dying-reload", "--allow", "@dns")
    (place / "two").write_text("block 1.1.1.1\n")
    (place / "one").write_text("allow 10.0.0.0/8\n")
    guard.send_signal(signal.SIGHUP)
    wait_for(lambda: rules("dying-reload") == first, 5, "the rules of the start")


@needs_others
def test_sighup_reads_with_the_rights_that_are_left(start, place):       # noqa: F811
    (place / "roots").write_text("allow 10.0.0.0/8\n")
    (place / "roots").chmod(0o600)
    guard = start("dying-rights", "--policy", place / "roots")
    guard.send_signal(signal.SIGHUP)
    wait_for(lambda: f"{place}/roots: Permission denied" in guard.said(), 5, "the error")
    assert rules("dying-rights") == ["allow 10.0.0.0/8"] and guard.poll() is None


def test_sighup_ends_a_guard_without_files(start):       # noqa: F811
    guard = start("dying-hangup", "--allow", "@dns")
    guard.send_signal(signal.SIGHUP)
    assert guard.wait(5) == 0


def test_sighup_is_for_the_rules_also_with_a_command(network, place):       # noqa: F811
    (place / "rules").write_text("allow 10.0.0.0/8\n")
    run = Run(COMMAND, "--policy", str(place / "rules"), "--name", "dying-run")
    (place / "rules").write_text("allow 10.1.0.0/16\n")
    run.guard.send_signal(signal.SIGHUP)
    wait_for(lambda: rules("dying-run") == ["allow 10.1.0.0/16"], 5, "the new rules")
    time.sleep(0.1)
    assert is_alive(run.command)
    run.guard.terminate()
    assert run.guard.wait(5) == 7


def test_reload_of_the_unit(start, place):       # noqa: F811
    """The line of ExecReload, as systemd would run it."""
    unit = (services.CHECKOUT / "packaging/systemd/softnet@.service").read_text()
    shell = re.search(r"^ExecReload=/bin/sh -c '(.*)'$", unit, re.M).group(1).replace("%i", "web1")
    (place / "rules").write_text("allow 10.0.0.0/8\n")
    guard = start("dying-unit", "--policy", place / "rules")
    (place / "rules").write_text("allow 10.1.0.0/16\n")
    def reload(options):
        return subprocess.run(["/bin/sh", "-c", shell], env={"MAINPID": str(guard.pid), "OPTIONS": options, "PATH": "/bin"},
                              capture_output=True, text=True)
    assert reload("--guest tap:x --policy /x").returncode == 0
    wait_for(lambda: rules("dying-unit") == ["allow 10.1.0.0/16"], 5, "the new rules")
    done = reload("--guest tap:x --allow any")
    assert (done.returncode, done.stderr) == (1, "no --policy in /etc/softnet/web1.conf\n") and guard.poll() is None
