"""What softnet status says first is true: of guards that were killed, of a VM that never came, of a network that is gone,
and of the rule that refused a frame. And guards are reached by the VM's name.

    raw guest (a socket) -- softnet -- a socket of this program      each in a folder that any user can reach
"""

import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import tempfile

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from conftest import needs_others
from netns import wait_for
from status_peers import ADDRESS, MACS, NUMBERS, ROOTS, program, softnet

OTHER = 61000 + random.randrange(3000)


@pytest.fixture
def place():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="softnet-truth-", dir="/run"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)
    shutil.rmtree(f"/tmp/softnet-{OTHER}", ignore_errors=True)


@pytest.fixture
def start(network, place):
    """Starts guards; what is not said about ports is a socket of this program."""
    made = []

    def begin(name, *options, guest=None, uplink=None):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        words = [program(), "--name", name, "--vm-mac-address", next(MACS), "--vm-ip", f"{ADDRESS}/24",
                 "--guest", guest or f"fd:{theirs.fileno()}", "--uplink", uplink or f"fd:{theirs.fileno()}", *options]
        log = open(place / f"{name}.log", "w")
        process = subprocess.Popen([str(word) for word in words], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                                   stderr=log, cwd="/")
        theirs.close()
        process.other_end, process.mac = ours, words[4]
        process.said = (place / f"{name}.log").read_text
        made.append(process)
        places = ROOTS, pathlib.Path(f"/tmp/softnet-{OTHER}")
        wait_for(lambda: process.poll() is not None or any(os.path.lexists(at / f"{process.pid}.sock") for at in places),
                 10, f"{name} to be listed")
        return process
    yield begin
    for process in made:
        process.terminate()
        process.wait(10)
        process.other_end.close()


def first_line(name):
    return softnet("status", "--vm", name)[1].splitlines()[1]


def say(vm, mac):
    vm.sendall((60).to_bytes(4, "big") + bytes(Ether(src=mac, dst="02:00:00:00:00:99")) + bytes(46))


# --- guards that were killed --------------------------------------------------------------------------------------------

def test_one_row_a_guard_however_often_it_was_killed(start, place):
    """As a service manager does it: killed, and started again with the same path for live control."""
    for n in range(5):
        guard = start("truth-again", "--control", place / "control")
        if n < 4:
            guard.kill()
            guard.wait()
    # Links that were there already, of guards whose numbers nobody has any more; more than may connect at a time.
    links = [ROOTS / f"{next(NUMBERS)}.sock" for _ in range(3)]
    links += [ROOTS / f"{n}.sock" for n in range(999_997_000, 999_997_012)]
    for link in links:
        link.symlink_to(place / "control")
    status, out, said = softnet("status", "--json")
    rows = [one for one in json.loads(out) if one["name"] == "truth-again"]
    assert (status, said, len(rows)) == (0, "", 1) and rows[0]["pid"] == guard.pid
    # The next start with this path takes them away: nobody but it can be meant.
    guard.kill()
    guard.wait()
    guard = start("truth-again", "--control", place / "control")
    assert [link for link in ROOTS.iterdir() if link.is_symlink() and link.readlink() == place / "control"] == \
        [ROOTS / f"{guard.pid}.sock"]


def test_what_a_killed_guard_left_goes_when_somebody_looks(start):
    guard = start("truth-killed")
    entry = ROOTS / f"{guard.pid}.sock"
    assert entry.is_socket()
    guard.kill()
    guard.wait()
    assert entry.is_socket()
    status, out, said = softnet("status", "--vm", "truth-killed")
    assert (status, out, said) == (1, "", 'softnet: no guard answers for a VM "truth-killed"\n')
    assert not entry.exists()


@needs_others
def test_a_path_that_is_another_users_now(start, place):
    """What root's killed guard left leads to somebody else: that is told to nobody, and goes."""
    link = ROOTS / f"{next(NUMBERS)}.sock"
    code = f"import socket; s=socket.socket(socket.AF_UNIX); s.bind('{place}/theirs'); s.listen(); print('ready', flush=True); input()"
    other = subprocess.Popen(["python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, user=OTHER,
                             group=OTHER, extra_groups=[])
    assert other.stdout.readline() == "ready\n"
    link.symlink_to(place / "theirs")
    start("truth-living")
    status, _, said = softnet("status")
    other.communicate("\n")
    assert (status, said) == (0, "") and not link.is_symlink()


def test_watch_does_not_wait_for_a_name_that_is_wrong(start):
    start("truth-watched")
    done = subprocess.run([program(), "watch", "--vm", "nosuch"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=10)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", 'softnet: no guard answers for a VM "nosuch"\n')
    done = subprocess.run([program(), "watch", "--control", "/run/nosuch"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=10)
    assert (done.returncode, done.stdout) == (1, "") and done.stderr == "softnet: /run/nosuch: No such file or directory\n"


# --- what stands first --------------------------------------------------------------------------------------------------

def test_a_vm_that_never_came_and_a_network_that_went(start, place):
    with socket.socket(socket.AF_UNIX) as switch:
        switch.bind(str(place / "net"))
        switch.listen()
        guard = start("truth-away", guest=f"stream:{place}/vm", uplink=f"stream:{place}/net")
        connection, _ = switch.accept()
        assert re.fullmatch(rf"the VM is away for \d+ s: nobody has connected to {place}/vm yet", first_line("truth-away"))
        with socket.socket(socket.AF_UNIX) as vm:
            vm.connect(str(place / "vm"))
            say(vm, guard.mac)
            wait_for(lambda: "away" not in first_line("truth-away"), 5, "the VM to be there")
            switch.close()          # first: the guard must not come back into its queue
            connection.close()
            gone = wait_for(lambda: re.fullmatch(
                r"the network is away for (\d+) s: the other end closed the stream; waiting for the uplink",
                first_line("truth-away")), 5, "the network to be away")
            later = wait_for(lambda: re.search(r"away for [1-9]\d* s", first_line("truth-away")), 5, "the time to go on")
            assert gone and later
            [one] = json.loads(softnet("status", "--json", "--vm", "truth-away")[1])
            assert one["away_for"]["guest"] is None and one["away_for"]["uplink"] >= 1


def test_the_rule_that_refused_is_named(start):
    guard = start("truth-rule", "--block", "10.9.0.0/16,@global:tcp/25", "--allow", "10.0.0.0/8", uplink="slirp")
    def call(address, port):
        frame = Ether(src=guard.mac, dst="52:55:0a:00:02:02") / IP(src=ADDRESS, dst=address) / TCP(dport=port, flags="S")
        guard.other_end.send(bytes(frame))
    def rules():
        [one] = json.loads(softnet("status", "--json", "--vm", "truth-rule")[1])
        return {drop["reason"]: drop["rule"] for drop in one["drops"]}
    call("10.9.8.7", 80)
    wait_for(lambda: rules().get("dst-blocked") == "block 10.9.0.0/16", 5, "the first rule")
    call("1.1.1.1", 25)
    wait_for(lambda: rules().get("dst-blocked") == "block @global:tcp/25", 5, "the second rule")
    call("192.168.5.5", 80)
    wait_for(lambda: rules().get("dst-private") == "default", 5, "no rule")
    page = softnet("status", "--vm", "truth-rule")[1]
    assert re.search(r"TCP 20 > 25 SYN .*\n    rule: block @global:tcp/25\n", page) and "    rule: default\n" in page, page
    # A rule that is no longer there has refused nothing.
    assert softnet("policy", "set", "--vm", "truth-rule", "--allow", "any")[0] == 0
    assert rules()["dst-blocked"] is None


# --- by the VM's name -----------------------------------------------------------------------------------------------

def test_rules_by_the_vms_name(start):
    guard = start("truth-policy", "--block", "10.0.0.0/8")
    assert softnet("policy", "show", "--vm", "truth-policy") == (0, "block 10.0.0.0/8\n", "")
    for word in guard.mac, guard.pid:
        assert softnet("policy", "show", "--vm", word) == (0, "block 10.0.0.0/8\n", ""), guard.said()
    assert softnet("policy", "set", "--vm", "truth-policy", "--allow", "@dns") == (0, "allow @dns\n", "")
    assert softnet("policy", "show", "--vm", "truth-policy")[1] == "allow @dns\n"
    assert softnet("policy", "show", "--vm", "nosuch") == (1, "", 'softnet: --vm: no guard answers for a VM "nosuch"\n')
    start("truth-policy")
    status, out, said = softnet("policy", "set", "--vm", "truth-policy", "--allow", "any")
    assert (status, out) == (1, "") and said == 'softnet: --vm: "truth-policy": 2 guards are called so; give the MAC ' \
        "address or the PID that `softnet status` shows\n"
    assert softnet("policy", "show", "--vm", guard.pid)[1] == "allow @dns\n"


# --- sockets of others --------------------------------------------------------------------------------------------------

AS_QEMU = """
import os, socket, sys
path, kind, mac = sys.argv[1:]
frame = bytes.fromhex("02" + "00" * 4 + "99" + mac.replace(":", "")) + bytes(48)
if kind == "stream":
    vm = socket.socket(socket.AF_UNIX)
    vm.connect(path)
    vm.sendall(len(frame).to_bytes(4, "big") + frame)
else:
    os.umask(0o022)
    vm = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    vm.bind(path + ".vm")
    vm.sendto(frame, path)
print("sent", flush=True)
vm.settimeout(8)
print("heard", len(vm.recv(2000)), flush=True)
"""


def as_user(user, group, *words):
    return subprocess.Popen(["python3", "-c", AS_QEMU, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, user=user, group=group, extra_groups=[])


def answer(guard, mac):
    """A frame of the network for the VM."""
    frame = Ether(src="02:00:00:00:00:99", dst=mac) / IP(src="1.1.1.1", dst=ADDRESS) / TCP(dport=9, flags="A")
    guard.other_end.send(bytes(frame))


@needs_others
def test_a_hypervisor_of_another_user_by_stream(start, place):
    guard = start("truth-stream", guest=f"stream:{place}/vm,owner={OTHER},group={OTHER + 1},mode=660")
    status = (place / "vm").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (OTHER, OTHER + 1, 0o660)
    stranger = as_user(OTHER + 2, OTHER + 2, place / "vm", "stream", guard.mac)
    assert stranger.wait(10) != 0 and "Permission denied" in stranger.stderr.read()
    for user, group in (OTHER, OTHER), (OTHER + 3, OTHER + 1):
        vm = as_user(user, group, place / "vm", "stream", guard.mac)
        assert vm.stdout.readline() == "sent\n", vm.stderr.read()
        wait_for(lambda: "away" not in first_line("truth-stream"), 5)
        answer(guard, guard.mac)
        assert vm.stdout.readline().startswith("heard"), vm.stderr.read()
        assert vm.wait(10) == 0


@needs_others
def test_a_hypervisor_of_another_user_by_datagrams(start, place):
    """The other's own socket is what its umask makes of it: the guard must be that user, or it is told why it cannot answer."""
    guard = start("truth-deaf", guest=f"unixgram:{place}/deaf,owner={OTHER},mode=600")
    vm = as_user(OTHER, OTHER, place / "deaf", "datagrams", guard.mac)
    assert vm.stdout.readline() == "sent\n", vm.stderr.read()
    line = rf"cannot send to {place}/deaf\.vm: Permission denied \(as user 65534; it is user {OTHER}'s, mode 755\)"
    def told():
        answer(guard, guard.mac)
        return re.search(line, guard.said())
    wait_for(told, 5, "the guard to say why")
    assert re.fullmatch(r"the VM is away for \d+ s: " + line, first_line("truth-deaf"))
    vm.kill()
    vm.communicate()
    # As the manual says.
    guard = start("truth-heard", "--user", OTHER, "--group", OTHER, guest=f"unixgram:{place}/heard")
    wait_for((place / "heard").exists, 5)
    vm = as_user(OTHER, OTHER, place / "heard", "datagrams", guard.mac)
    assert vm.stdout.readline() == "sent\n", vm.stderr.read()
    def heard():
        answer(guard, guard.mac)
        return vm.poll() is not None
    wait_for(heard, 5, "the VM to hear")
    assert vm.returncode == 0 and vm.stdout.readline().startswith("heard")
    assert not guard.said() or "cannot send" not in guard.said()
