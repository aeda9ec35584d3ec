"""The program for macOS as Tart starts it, with the double of vmnet on a bridge with a DHCP server.

    Tart's VM (a socket) -- fd 0 softnet for macOS -- double of vmnet -- tap u-mac -- br0 192.168.64.1 (the Mac)
"""

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys

import pytest

import netns
import rawguest
import tart
from macos import MAC, Wire
from test_macos import gateway_mac, ping, shared       # noqa: F401 (a fixture)
from test_relay import status_of

STRANGER = 20000 + random.randrange(40000)      # other tests run beside this one, and all have one /tmp


@pytest.fixture
def path(mac):
    """PATH, with softnet in it as Homebrew puts it there: a link."""
    directory = pathlib.Path("/run/tart")
    shutil.rmtree(directory, ignore_errors=True)
    (directory / "bin").mkdir(parents=True)
    (directory / "bin" / "softnet").symlink_to(mac.program)
    return f"/nonexistent:{directory}/bin:/usr/bin:/bin"


@pytest.fixture
def run(path, mac):
    started = []

    def run(**options):
        started.append(tart.Tart(path, MAC, **options))
        return started[-1]
    yield run
    for one in started:
        one.close()


def has_lease(one):
    guest = tart.Guest(one, MAC)
    guest.take_lease()
    return guest


def test_run_and_stop(shared, run):     # noqa: F811
    one = run(allow="in @host,out 10.0.0.0/8", block="192.168.0.0/16", expose="7022:22,7080:80")
    guest = has_lease(one)
    router = gateway_mac(guest)
    guest.send(rawguest.udp(MAC, router, guest.address, "10.1.2.3", 4000, 4001),
               rawguest.udp(MAC, router, guest.address, "192.168.1.1", 4000, 4001))
    assert len(shared.wait_logged(f"^rule add protocol=6 port=70.. to={guest.address} port=(22|80) status=1000", 2)) == 2
    assert one.stop() == (0, b"")
    assert shared.logged("^callback off") and shared.logged("^stopped")


def test_live_control_on_standard_output(shared, run):      # noqa: F811
    """Nothing but answers is ever written there: what it tells goes to standard error."""
    one = run(control=True, allow="@host")
    guest = has_lease(one)
    router = gateway_mac(guest)
    ping(guest, router, 1)
    answer = json.loads(one.ask(b'{"jsonrpc": "2.0", "id": 7, "method": "softnet.policy.get"}'))
    assert answer["id"] == 7 and answer["result"]["allow"] == ["@host"]
    answer = json.loads(one.ask(b'{"jsonrpc": "2.0", "id": "x", "method": "softnet.policy.set", '
                                b'"params": {"allow": [], "block": ["@host"]}}'))
    assert answer["id"] == "x" and answer["result"]["block"] == ["@host"] and answer["result"]["ruleCount"] == 1
    with pytest.raises(netns.NetworkError):
        ping_for_a_moment(guest, router)
    one.process.send_signal(signal.SIGUSR1)
    assert one.ask(b'{"jsonrpc": "2.0", "id": 8, "method": "softnet.policy.get"}')
    status, rest = one.stop()
    assert (status, rest) == (0, b"") and "passed guest" in one.words


def ping_for_a_moment(guest, router):
    waits, guest.wait_frame = guest.wait_frame, lambda predicate: waits(predicate, 0.3)
    ping(guest, router, 2)


def test_refusal_on_a_control_socket_is_silent(run, mac):
    one = run(control=True, allow="10.0.0.0/33")
    assert one.wait() == (2, b"") and "10.0.0.0/33" in one.words


def test_net_host(shared, run):     # noqa: F811
    one = run(net_host=True)
    has_lease(one)
    assert shared.logged("^start mode=1000 ")
    assert one.stop() == (0, b"")


def test_sigint_that_was_ignored(shared, run):      # noqa: F811
    one = run(ignores_sigint=True)
    has_lease(one)
    assert one.stop() == (0, b"")


def test_no_network_is_a_premature_end(shared, run):        # noqa: F811
    shared.fault("start=1001")
    one = run()
    assert one.wait() == (1, b"")
    assert "softnet: --uplink: vmnet: the interface does not start" in one.words
    assert len(one.words.splitlines()) == 1


@pytest.mark.parametrize("user", [None, STRANGER], ids=["root", "user"])
def test_probe(path, user):
    """What `sudo --non-interactive softnet --help` comes to."""
    readable = pathlib.Path("/run/tart/softnet")
    shutil.copy(tart.find_on_path("softnet", path).resolve(), readable)
    readable.chmod(0o755)
    probe = subprocess.run([readable, "--help"], stdin=subprocess.DEVNULL, capture_output=True, user=user, check=False)
    assert probe.returncode == 0 and b"--vm-fd" in probe.stdout and probe.stderr == b""


def test_end_of_tart_is_the_end(shared, path):      # noqa: F811
    """However it ends: its end of the VM's socket is in other processes, too."""
    script = ("import sys, time, tart\n"
              f"one = tart.Tart({path!r}, {MAC!r})\n"
              "print(one.process.pid, flush=True)\ntime.sleep(60)")
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True,
                              cwd=pathlib.Path(__file__).parent)
    pid = int(parent.stdout.readline())
    shared.wait_logged("^callback on")
    parent.kill()
    parent.communicate()
    shared.wait_logged("^end ")
    netns.wait_for(lambda: status_of(pid)["State"].startswith("Z"), 5, "the guard's end")
    os.waitpid(pid, 0)


once = pytest.mark.parametrize("mac", ["address"], indirect=True)     # TSan starts itself again, which set-user-id forbids


@once
def test_set_user_id(shared, path):     # noqa: F811
    """Run by somebody, with root's rights from the file: vmnet gets root, and nothing after it."""
    program = pathlib.Path("/run/tart/bin/softnet")
    program.unlink()
    shutil.copy(shared.program, program)
    program.chmod(0o4755)
    one = tart.Tart(path, MAC, user=STRANGER, group=STRANGER, extra_groups=[])
    has_lease(one)
    status = status_of(one.process.pid)
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(STRANGER)}
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert shared.logged("^start .* user=0 status=1000")
    assert one.stop() == (0, b"")
    one.close()


@once
def test_not_root(shared, path):        # noqa: F811
    program = pathlib.Path("/run/tart/bin/softnet")
    program.unlink()
    shutil.copy(shared.program, program)
    program.chmod(0o755)
    shared.log_path.touch()
    one = tart.Tart(path, MAC, user=STRANGER, group=STRANGER, extra_groups=[])
    assert one.wait() == (1, b"") and "root" in one.words
    one.close()


@once
def test_not_root_on_macos_26(mac, path):
    """There vmnet is for everybody; the lease time is still root's."""
    program = pathlib.Path("/run/tart/bin/softnet")
    program.unlink()
    shutil.copy(mac.program, program)
    mac.log_path.touch()
    wire = Wire(pathlib.Path("/run/tart/wire"))
    wire.path.chmod(0o777)
    for name, value in ("FAKE_MACOS", "26"), ("FAKE_WIRE", f"unix:{wire.path}"):
        mac.environment(name, value)
    mac.log_path.chmod(0o666)
    one = tart.Tart(path, MAC, user=STRANGER, group=STRANGER, extra_groups=[])
    wire.meet()
    discover = rawguest.udp(MAC, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", 68, 67, rawguest.dhcp(MAC, 1, 7))
    one.vm.send(discover)
    assert wire.receive() == discover
    assert set(status_of(one.process.pid)["Uid"].split()) == {str(STRANGER)}
    assert one.stop() == (0, b"") and "only root can change that" in one.words
    one.close()
    wire.close()
