"""The program for macOS started by a user, who may run it by sudo without a password: Tart's way.

    user's softnet (gets the signals) ──▶ sudo ──▶ softnet, root until the interface is up
"""

import json
import os
import pathlib
import shutil
import signal
import socket
import tempfile

import pytest

import macos
import netns
import rawguest
import services
from conftest import needs, needs_others
from macos import MAC
from test_relay import ends_in_a_second, status_of

NOBODY = 65534

pytestmark = [needs("sudo", "setpriv"), needs_others]

# In its own mount namespace the rules of sudo are ours; the doubles get their settings through the environment.
AS_USER = """#!/bin/sh
exec unshare --mount sh -c '
    mount -t tmpfs -o mode=755 none /etc/sudoers.d && umask 337 &&
    printf "%s\\n" "Defaults !env_reset, !pam_session" {rule} >/etc/sudoers.d/softnet &&
    umask 022 && exec setpriv --reuid={user} --regid={user} --clear-groups --reset-env {environment} {program} "$@"' - "$@"
"""


@pytest.fixture
def as_user(mac, network):
    """Gives a program that starts softnet as a user for whom sudo has this rule."""
    place = tempfile.TemporaryDirectory(prefix="softnet-")      # pytest's own is closed to others
    mac.log_path = pathlib.Path(place.name) / "doubles.log"
    mac.wire = macos.Wire(pathlib.Path(place.name) / "wire")
    mac.preferences = pathlib.Path(shutil.move(mac.preferences, place.name))
    mac.environment("FAKE_PREFERENCES", str(mac.preferences))
    mac.environment("FAKE_LOG", str(mac.log_path))
    mac.environment("FAKE_WIRE", f"unix:{mac.wire.path}")
    mac.log_path.touch()
    for path, mode in (place.name, 0o755), (mac.wire.path, 0o777), (mac.log_path, 0o666):
        os.chmod(path, mode)

    def make(rule):
        program = network.logs / "as-user"
        settings = {name: value for name, value in os.environ.items() if name.startswith(("FAKE_", "TSAN_"))}
        program.write_text(AS_USER.format(
            rule=f'"{rule}"' if rule else "", user=NOBODY, program=services.for_everybody(mac.program),
            environment="env " + " ".join(f"{name}={value}" for name, value in settings.items())))
        program.chmod(0o755)
        return program
    yield make
    mac.close()
    mac.wire = None
    place.cleanup()


def allowed(mac):
    program = services.for_everybody(mac.program)
    return "nobody ALL=(root) NOPASSWD: " + ", ".join(
        f"{program} {words}" for words in ("--help", "--sudo-escalation-*", "run --sudo-escalation-*"))


def descendants(pid):
    found = []
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *descendants(child)]
    return found


def is_gone(pid):
    """Or it has ended after its parent, and process 1, which is pytest, reaps nobody."""
    return not pathlib.Path(f"/proc/{pid}").exists() or "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()


def test_by_sudo(mac, as_user, network):
    guest = rawguest.RawGuest(network, MAC, program=as_user(allowed(mac)))
    mac.wire.meet()
    outer, inner = guest.guard.pid, descendants(guest.guard.pid)[-1]
    assert mac.logged("^start mode=1001 .*user=0 status=1000")
    # The one that is signalled is the user's, and so is the guard by now; sudo alone is root's.
    for pid in outer, inner:
        assert set(status_of(pid)["Uid"].split()) == {str(NOBODY)}
    discover = rawguest.udp(MAC, "ff:ff:ff:ff:ff:ff", "0.0.0.0", "255.255.255.255", 68, 67, rawguest.dhcp(MAC, 1, 7))
    guest.send(discover)
    assert mac.wire.receive() == discover
    assert guest.wait_counted().passed["guest"] == 1        # by SIGUSR1, which the outer one hands on
    assert ends_in_a_second(guest.guard, signal.SIGINT) == 0
    assert netns.wait_for(lambda: is_gone(inner))
    assert mac.logged("^end ")
    guest.close()


@pytest.mark.parametrize("vm, control", [(0, 1), (3, 4), (4, 3), (5, 6)])
def test_channel_of_control_by_sudo(mac, as_user, network, vm, control):
    """With 0 and 1, as Tart has it, nothing but answers ever comes there. Other numbers may be softnet's own by then."""
    ours, theirs = socket.socketpair()
    guest_ours, guest_theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    program = as_user(allowed(mac))
    starter = network.logs / "starter"
    starter.write_text("#!/usr/bin/env python3\nimport fcntl, os, sys\n"
                       f"guest, channel = (fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in "
                       f"({guest_theirs.fileno()}, {theirs.fileno()}))\n"
                       f"os.dup2(guest, {vm}), os.dup2(channel, {control}), os.close(guest), os.close(channel)\n"
                       f"os.execv('{program}', sys.argv)\n")
    starter.chmod(0o755)
    with theirs, guest_theirs:
        process = network.start([starter, "--vm-fd", str(vm), "--vm-mac-address", MAC, "--allow", "in @host,out 10.0.0.0/8",
                                 "--control-fd", str(control)], pass_fds=[theirs.fileno(), guest_theirs.fileno()])
    mac.wire.meet()
    ours.settimeout(10)
    ours.send(b'{"jsonrpc":"2.0","id":7,"method":"softnet.policy.get"}\n')
    answer = json.loads(ours.makefile().readline())
    assert answer["id"] == 7 and answer["result"]["ruleCount"] == 2
    process.signal(signal.SIGINT)
    assert process.wait(5) == 0
    assert ours.recv(100) == b""
    guest_ours.close()


def test_its_starter_ends(mac, as_user, network):
    """Tart's end is the guard's, though the guest's socket stays open in its hands."""
    guest = rawguest.RawGuest(network, MAC, program=as_user(allowed(mac)))
    mac.wire.meet()
    inner = descendants(guest.guard.pid)[-1]
    guest.guard.signal(signal.SIGKILL)          # the outer one: its end of the channel closes
    assert netns.wait_for(lambda: is_gone(inner))
    guest.close()


def test_it_makes_nobody_somebody_else(mac, as_user, network):
    process = network.start([as_user(allowed(mac)), "run", "--user", "root", "--vm-mac-address", MAC, "--", "true", "{fd}"])
    assert process.wait(10) == 2
    assert "only root may choose another user than itself, and sudo was called by" in process.output("err")[-1]
    assert not mac.logged("^start")


@pytest.mark.parametrize("rule", [None, "nobody ALL=(root) NOPASSWD: /bin/true"])
def test_without_sudo(mac, as_user, network, rule):
    """The reason stands in one line, and says what to do."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        process = network.start([as_user(rule), "--vm-fd", str(there.fileno()), "--vm-mac-address", MAC],
                                pass_fds=[there.fileno()])
        assert process.wait(10) == 1
    said = process.output("err")
    assert "vmnet wants root" in said[-1] and "NOPASSWD" in said[-1], said


def test_macos_26_wants_no_root(mac, as_user, network):
    """Only the settings of bootpd do; done by hand as the warning says, they are right once and for all."""
    mac.environment("FAKE_MACOS", "26")
    guest = rawguest.RawGuest(network, MAC, program=as_user(None))
    mac.wire.meet()
    assert mac.logged(f"^start mode=1001 .*user={NOBODY} status=1000")
    netns.wait_for(lambda: not descendants(guest.guard.pid), 10, "the end of what has only looked at the settings")
    line = guest.guard.wait_line("only root can change that, once: sudo defaults write (.*)")[1].split()
    assert line[:3] == ["/Library/Preferences/SystemConfiguration/com.apple.InternetSharing.default.plist", "bootpd",
                        "-dict-add"]
    assert ends_in_a_second(guest.guard, signal.SIGINT) == 0
    guest.close()
    with open(mac.preferences, "a", encoding="ascii") as preferences:
        for key, _, value in zip(*[iter(line[3:])] * 3):
            preferences.write(f"bootpd.{key}={value}\n")
    mac.wire.close()
    mac.wire = macos.Wire(mac.wire.path)
    os.chmod(mac.wire.path, 0o777)
    guest = rawguest.RawGuest(network, MAC, program=as_user(None))
    assert not any("bootpd" in said for said in guest.guard.output("err"))
    assert ends_in_a_second(guest.guard, signal.SIGINT) == 0
    guest.close()
