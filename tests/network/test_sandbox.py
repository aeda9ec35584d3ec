"""What code that runs in one of our processes could still do: system calls are put into each of them, in every form in which
guards are started, and none that is not on the list may be made. The process must go on as if nothing had been."""

import contextlib
import errno
import json
import os
import pathlib
import pty
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

import inject
import netns
import services
import status_peers
from inject import REFUSED
from netns import wait_for
from status_peers import USER, guards  # noqa: F401  a fixture

MAC = "02:00:00:00:78:01"
RWX, PRIVATE_ANONYMOUS = 7, 0x22
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK, AF_ALG = 1, 2, 10, 16, 17, 40, 38
NEWUSER, MSG_FASTOPEN = 0x10000000, 0x20000000
# Nobody makes these, whatever the arguments. Sanitizers use some themselves.
NEVER = ("execve execveat fork vfork clone3 chroot mount setuid setns unshare process_vm_readv process_vm_writev memfd_create "
         "bpf userfaultfd perf_event_open keyctl add_key io_uring_setup pidfd_open pidfd_send_signal pidfd_getfd tkill "
         "rt_sigqueueinfo symlink chmod mkdir link shmget init_module kexec_load personality").split()
NEVER_BUT_OF_SANITIZERS = "ptrace".split()
NEVER_BUT_OF_STARTERS = "prctl seccomp rt_sigaction".split()        # the keeper of slirp starts workers with them
SANITIZED = services.softnet_path().exists() and b"libasan" in services.softnet_path().read_bytes()

pytestmark = [pytest.mark.skipif(not inject.IS_POSSIBLE, reason="needs a processor of x86-64"),
              pytest.mark.skipif(os.geteuid() != 0 or not netns.has_other_users(), reason="needs root")]


def family_of(pid):
    """{name: pid} of a process and its children and theirs."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = {pathlib.Path(f"/proc/{pid}/comm").read_text().strip(): pid}
    for child in map(int, children):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):       # who makes a filter ends at once
            found.update(family_of(child))
    return found


def is_confined(pid):
    return "Seccomp:\t2" in pathlib.Path(f"/proc/{pid}/status").read_text()


@pytest.fixture
def start(network, guards):  # noqa: F811
    """A guard in one of its forms: {name: pid} of its processes."""
    sockets, started, folder = [], [], tempfile.TemporaryDirectory(prefix="softnet-")
    leaked = os.memfd_create("leaked")
    os.chmod(folder.name, 0o777)

    def pair(kind=socket.SOCK_DGRAM):
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        sockets.extend((ours, theirs))
        return theirs

    def popen(*words, user=None):
        program = status_peers.program()
        guest = pair()
        words = [str(word).replace("FD", str(guest.fileno())) for word in words]
        started.append(subprocess.Popen([program, *words, "--vm-mac-address", MAC] if "--" not in words else [program, *words],
                                        pass_fds=[guest.fileno(), leaked], user=user, group=user,
                                        extra_groups=[] if user else None, cwd="/", stdin=subprocess.DEVNULL))
        return started[-1].pid

    def expect(pid, *names):
        wait_for(lambda: set(names) <= set(family_of(pid)) and
                 all(is_confined(one) for name, one in family_of(pid).items() if name in names), 20, f"{names} in the sandbox")
        return {name: one for name, one in family_of(pid).items() if name in names}

    def make(form):
        if form == "fd":
            return expect(guards("fd").process.pid, "softnet", "softnet-rules")
        if form == "fd of a user":
            return expect(guards("user", user=USER).process.pid, "softnet")
        if form.startswith("slirp"):
            return expect(popen("--vm-fd", "FD", user=USER if "user" in form else None), "softnet", "softnet-keeper", "softnet-slirp")
        if form == "path":
            return expect(popen("--guest", f"unixgram:{folder.name}/guest", "--uplink", "fd:FD"), "softnet")
        if form == "tap":
            return expect(popen("--guest", "tap:sand0", "--uplink", "tap:sand1"), "softnet")
        if form == "files":
            kept = [word for name in ("state", "pcap", "metrics", "events") for word in (f"--{name}", f"{folder.name}/{name}")]
            return expect(popen("--guest", "fd:FD", "--uplink", "tap:sand1", *kept), "softnet", "softnet-files")
        if form == "run":
            return expect(popen("run", "--vm-mac-address", MAC, "--uplink", "tap:sand1", "--", "sh", "-c", "exec sleep 60 {fd}"),
                          "softnet", "softnet-run")
        assert form == "attach"
        network.host.ip("link add sand0 type veth peer name sand2")
        return expect(popen("attach", "sand0"), "softnet")
    make.started, make.popen = started, popen
    yield make
    for process in started:
        process.terminate()
        process.wait(20)
    for one in sockets:
        one.close()
    os.close(leaked)
    folder.cleanup()
    for interface in "sand0", "sand1":
        if interface in network.host.links():
            network.host.ip(f"link delete {interface}")


# Nothing of the program that started it: what is at the other end of a socket or pipe, the test of the calls has to say.
OWN = re.compile(r"(socket|pipe):|anon_inode:(inotify$|bpf[-_])|/dev/null$|/dev/net/tun$|/(run|tmp)/softnet|/sys/devices/.*/tx_dropped$")


def check_descriptors(form, family):
    for name, pid in family.items():
        found = descriptors_of(pid)
        others = {number: what for number, what in found.items() if number not in (1, 2) and not OWN.match(what)}
        assert not others and len(found) <= 24, f"{name} in the form \"{form}\": {found}"
    if form == "run":                                   # its command has what it was started with
        command = wait_for(lambda: family_of(family["softnet-run"]).get("sleep"), 20, "the command")
        assert any("leaked" in what for what in descriptors_of(command).values())


FORMS = ["fd", "fd of a user", "slirp", "slirp of a user", "path", "tap", "files", "run",
         pytest.param("attach", marks=pytest.mark.skipif(not shutil.which("bpftool"), reason="not installed: bpftool"))]


def may_connect(name, form):
    """A guard only if the program at the other end of a path may be started again. A worker of slirp asks its keeper."""
    return form == "path" if name == "softnet" else name == "softnet-keeper"


def sockets_of(name, form):
    """The families that it may open."""
    of_guard = {AF_NETLINK} | ({AF_UNIX} if form == "path" else set())
    return {"softnet": of_guard, "softnet-run": set(), "softnet-rules": set(), "softnet-files": set()}.get(name, {AF_INET, AF_INET6, AF_UNIX})


def descriptors_of(pid):
    """{number: what it is}"""
    found = {}
    for one in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found[int(one.name)] = os.readlink(one)
    return found


@pytest.mark.parametrize("form", FORMS)
def test_no_call_that_is_not_listed(start, form):
    neighbor = subprocess.Popen(["sleep", "60"])
    try:
        family = start(form)
        check_descriptors(form, family)
        for name, pid in family.items():
            with inject.stopped(pid) as code:
                given = {call: code.call(call) for call in NEVER}
                if not SANITIZED:
                    given.update({call: code.call(call, 16, neighbor.pid, 0, 0) for call in NEVER_BUT_OF_SANITIZERS})
                    given["clone"] = code.call("clone", signal.SIGCHLD) if name != "softnet-keeper" else REFUSED
                if not SANITIZED and name != "softnet-keeper":
                    given.update({call: code.call(call) for call in NEVER_BUT_OF_STARTERS})
                given["clone with a namespace"] = code.call("clone", NEWUSER | signal.SIGCHLD)
                given["mmap RWX"] = code.call("mmap", 0, 4096, RWX, PRIVATE_ANONYMOUS, -1, 0)
                given["mprotect RWX"] = code.call("mprotect", code.before.rsp & ~4095, 4096, RWX)
                for family in (AF_UNIX, AF_INET, AF_INET6, AF_PACKET, AF_VSOCK, AF_ALG):
                    if family not in sockets_of(name, form):
                        given[f"socket of family {family}"] = code.call("socket", family, socket.SOCK_STREAM, 0)
                if name == "softnet-slirp":             # other ways to connect
                    given["sendto"] = code.call("sendto", 3, "", 1, MSG_FASTOPEN, 0, 0)
                    given["sendmsg"] = code.call("sendmsg", 3, 0, MSG_FASTOPEN)
                    given["sendmmsg"] = code.call("sendmmsg", 3, 0, 0, MSG_FASTOPEN)
                    given["SCTP"] = code.call("socket", AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
                    given["SCTP by its kind"] = code.call("socket", AF_INET, socket.SOCK_SEQPACKET, 0)
                    given["MPTCP"] = code.call("socket", AF_INET, socket.SOCK_STREAM, 262)
                if not may_connect(name, form):
                    given["connect"] = code.call("connect", 3, 0, 0)
                if name != "softnet-keeper":
                    given["kill"] = code.call("kill", neighbor.pid, signal.SIGKILL)
                    given["kill all"] = code.call("kill", -1, signal.SIGKILL)
                    given["tgkill"] = code.call("tgkill", neighbor.pid, neighbor.pid, signal.SIGKILL)
                assert code.call("getpid") > 0          # else nothing of this would have been asked
            passed = {call: value for call, value in given.items() if value is not REFUSED}
            assert not passed, f"{name} in the form \"{form}\""
            assert neighbor.poll() is None
            assert is_confined(pid)
    finally:
        neighbor.kill()
        neighbor.wait()


def landlock_version():
    """0: the kernel has none, or a sanitizer wants files. It is asked in the way of the guard: landlock(7)."""
    return 0 if SANITIZED else max(0, inject.libc.syscall(444, None, 0, 1))


@pytest.mark.skipif(landlock_version() < 1, reason="a kernel without Landlock, or a program with a sanitizer, which reads /proc at its end")
@pytest.mark.parametrize("form", FORMS)
def test_no_file_of_others(start, form, state_file):
    """A neighbor's files in a folder of its own, and what any user may read. Errors, because the calls are made."""
    state_file.write_text("a neighbor's")
    state_file.chmod(0o666)
    write, made = os.O_WRONLY | os.O_TRUNC, os.O_CREAT | os.O_WRONLY
    neighbor = subprocess.Popen(["sleep", "60"])
    try:
        for name, pid in start(form).items():
            given = {}
            with inject.stopped(pid) as code:
                if name in ("softnet-run", "softnet-rules"):
                    assert code.call("open", str(state_file), os.O_RDONLY) is REFUSED
                    continue
                given["read"] = code.call("open", str(state_file), os.O_RDONLY)
                given["write"] = code.call("open", str(state_file), write)
                given["make"] = code.call("open", str(state_file.with_name("other")), made, 0o600)
                given["a device"] = code.call("open", "/dev/null", os.O_RDWR)
                if name in ("softnet", "softnet-files"):
                    given["accounts"] = code.call("open", "/etc/passwd", os.O_RDONLY)
                    given["take away"] = code.call("unlink", str(state_file))
                if name == "softnet-keeper" and landlock_version() >= 6:
                    assert code.call("kill", neighbor.pid, signal.SIGKILL) in (-errno.EPERM, -errno.ESRCH)
                if name == "softnet-slirp":
                    assert code.call("open", "/etc/resolv.conf", os.O_RDONLY) >= 0
            wanted = {-errno.EACCES} if name in ("softnet", "softnet-files") else {-errno.EACCES, -errno.ENOENT}
            assert set(given.values()) <= wanted, f"{name} in the form \"{form}\": {given}"
        assert state_file.read_text() == "a neighbor's" and neighbor.poll() is None
    finally:
        neighbor.kill()
        neighbor.wait()


def has_user_namespaces():
    return not SANITIZED and os.geteuid() == 0 and netns.has_other_users() and subprocess.run(
        ["unshare", "--user", "--mount", "true"], user=USER, group=USER, extra_groups=[]).returncode == 0


NAMESPACES = {"softnet-keeper": ["user", "mnt", "ipc", "pid"], "softnet-slirp": ["user", "mnt", "ipc", "pid"],
              "softnet-rules": ["user", "mnt", "ipc", "pid", "net"], "softnet-run": ["mnt", "ipc", "net"]}


@pytest.mark.skipif(not has_user_namespaces(), reason="users may make no namespaces here, or a sanitizer")
@pytest.mark.parametrize("form", [form for form in FORMS if isinstance(form, str)])     # attach has what "fd" has, and takes seconds
def test_namespaces_of_its_own(start, form):
    """All but the guard, and who writes its files: no process, no file and, where none is needed, no network of the host is there at all. What a
    namespace of users gives is over that namespace alone, and is given up as well."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as neighbor:
        neighbor.bind(f"{folder}/log")
        os.chmod(folder, 0o777)
        os.chmod(f"{folder}/log", 0o666)
        address = AF_UNIX.to_bytes(2, "little") + f"{folder}/log".encode() + b"\0"
        for name, pid in start(form).items():
            for kind in NAMESPACES.get(name, []):
                assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), f"{name}: {kind}"
            if name in ("softnet", "softnet-files"):
                continue
            assert set(os.listdir(f"/proc/{pid}/root")) <= ({"etc", "dev", "run"} if name in ("softnet-keeper", "softnet-slirp") else set())
            assert os.readlink(f"/proc/{pid}/cwd") == "/"
            if name == "softnet-run":               # root's, which must be able to end its command
                continue
            capabilities = re.findall(r"^Cap(?:Inh|Prm|Eff|Bnd|Amb):\s*(\w+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
            assert len(capabilities) == 5 and {int(one, 16) for one in capabilities} == {0}, f"{name}: {capabilities}"
            if name == "softnet-slirp":             # a program of the host that takes datagrams of anybody
                with inject.stopped(pid) as code:
                    fd = code.call("socket", AF_UNIX, socket.SOCK_DGRAM, 0)
                    assert code.call("sendto", fd, "x", 1, 0, address, len(address)) == -errno.ENOENT
                    assert code.call("close", fd) == 0


def await_ready(process):
    """The guard and what is beside it."""
    def are_confined():
        family = family_of(process.pid)
        return {"softnet", "softnet-keeper", "softnet-slirp", "softnet-rules"} <= set(family) and all(map(is_confined, family.values()))
    wait_for(are_confined, 20, "the sandbox")
    return family_of(process.pid)


@pytest.mark.skipif(not has_user_namespaces(), reason="users may make no namespaces here, or a sanitizer")
@pytest.mark.parametrize("links", [
    {"etc/resolv.conf": "../var/run/box/resolv.conf", "run/box/resolv.conf": None},
    {"etc/resolv.conf": "resolvconf/run/resolv.conf", "etc/resolvconf/run": "/run/box", "run/box/resolv.conf": None},
    {"etc/resolv.conf": "/run/box/first", "run/box/first": "../other/second", "run/other/second": None},
], ids=["a folder that is a link", "a link that is in /etc", "a link to a link"])
def test_resolvers_behind_links(start, links):
    """/etc/resolv.conf is often a link. The worker reads it, and reads another one that takes its place."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for name, target in links.items():
            path = pathlib.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if target:
                path.symlink_to(target)
            else:
                path.write_text("nameserver 192.0.2.1\n")
                real = path
        guest, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        script = f"mount --bind {folder}/etc /etc && mount --bind {folder}/run /run && exec \"$@\""
        guard = subprocess.Popen(["unshare", "--mount", "sh", "-c", script, "sh", os.path.abspath(status_peers.program()), "--vm-fd",
                                  str(other.fileno()), "--vm-mac-address", MAC], pass_fds=[other.fileno()])
        try:
            worker = await_ready(guard)["softnet-slirp"]
            new = real.with_name("new")
            new.write_text("nameserver 192.0.2.77\n")
            new.rename(real)
            with inject.stopped(worker) as code:
                fd = code.call("open", "/etc/resolv.conf", os.O_RDONLY)
                assert fd >= 0
                read = os.open(f"/proc/{worker}/fd/{fd}", os.O_RDONLY)
                assert code.call("close", fd) == 0
            with os.fdopen(read) as file:
                assert "192.0.2.77" in file.read()
        finally:
            guard.terminate()
            guard.wait(20)
            for one in guest, other:
                one.close()


@pytest.mark.skipif(not has_user_namespaces(), reason="users may make no namespaces here, or a sanitizer")
def test_without_namespaces(network):
    """Where users may make none the guard goes on, and says so."""
    guest, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    script = "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$@\""
    guard = subprocess.Popen(["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", os.path.abspath(status_peers.program()), "--vm-fd",
                              str(other.fileno()), "--vm-mac-address", MAC, "--name", "plain"], pass_fds=[other.fileno()])
    try:
        for name, pid in await_ready(guard).items():
            assert os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt"), name
        assert namespaces_of("plain") is False
        told = json.loads(status_peers.softnet("status", "--vm", "plain", "--json")[1])[0]["sandbox"]
        assert told["system_calls"] is True
        assert "processes beside the guard: no namespaces of its own: " in told["missing"]
        assert "sandbox    processes beside the guard" in status_peers.softnet("status", "--vm", "plain")[1]
    finally:
        guard.terminate()
        guard.wait(20)
        for one in guest, other:
            one.close()


def test_a_keeper_that_is_ended(start):
    """The first process of its namespace does not end by a signal of its own, but it ends, and the guard says so."""
    family = start("slirp")
    inject.end_by(family["softnet-keeper"], "execve")
    assert start.started[-1].wait(20) == 1
    start.started.pop()


def test_memory_is_not_for_others(start):
    """Not even for those of the same user: each file there is root's."""
    if SANITIZED:
        pytest.skip("build/softnet without a sanitizer")
    for name, pid in start("slirp of a user").items():
        assert os.stat(f"/proc/{pid}/mem").st_uid == 0, name
        done = subprocess.run(["cat", f"/proc/{pid}/maps"], user=USER, group=USER, extra_groups=[], capture_output=True)
        assert done.returncode != 0, name


def test_the_last_line_names_the_call(network, start):
    """A process that makes another call is ended by the kernel, and says which one it was."""
    guest, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one, two = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    guard = subprocess.Popen([status_peers.program(), "--vm-fd", str(other.fileno()), "--uplink", f"fd:{two.fileno()}",
                              "--vm-mac-address", MAC], pass_fds=[other.fileno(), two.fileno()], stderr=subprocess.PIPE, text=True)
    wait_for(lambda: is_confined(guard.pid), 10, "the sandbox")
    inject.end_by(guard.pid, "execve")
    status = guard.wait(20)
    assert status == -signal.SIGSYS
    assert re.search(r"^softnet: ended: it made the system call execve \(59\), which the sandbox forbids; see --sandbox$",
                     guard.stderr.read(), re.M)
    for each in guest, other, one, two:
        each.close()


def test_a_worker_that_is_ended_is_replaced(start):
    """So the guest has its network again, and the guard tells which call it was."""
    family = start("slirp")
    with inject.stopped(family["softnet-slirp"]):
        pass
    inject.end_by(family["softnet-slirp"], "bpf")

    def is_new():
        now = family_of(family["softnet"]).get("softnet-slirp")
        return now and now != family["softnet-slirp"] and is_confined(now)
    wait_for(is_new, 20, "another worker")


def namespaces_of(name):
    """When the process that reads rules has told."""
    def told():
        return json.loads(status_peers.softnet("status", "--vm", name, "--json")[1])[0]["sandbox"]["namespaces"]
    wait_for(lambda: told() is not None, 20, "what is in force")
    return told()


def test_status_tells(network, guards):  # noqa: F811
    for name, options in (("plain", []), ("open", ["--sandbox", "off"])):
        guard = guards(name, *options)
        status, out, _ = status_peers.softnet("status", "--vm", name, "--json")
        told = json.loads(out)[0]["sandbox"]
        assert told["mode"] == ("off" if options else "on") and told["system_calls"] is not bool(options)
        assert told["landlock"] == (0 if options else landlock_version())
        if not options:
            assert namespaces_of(name) is has_user_namespaces()
        assert is_confined(guard.process.pid) is not bool(options)
        status, out, _ = status_peers.softnet("status", "--vm", name)
        assert ("sandbox    off" in out) is bool(options)


def test_a_terminal_is_not_read(start):
    """Keys are typed there that are for others. And the last words of a process appear on it."""
    ours, theirs = pty.openpty()
    guest, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    guard = subprocess.Popen([status_peers.program(), "--vm-fd", str(other.fileno()), "--vm-mac-address", MAC], pass_fds=[other.fileno()],
                             stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        wait_for(lambda: {name for name, pid in family_of(guard.pid).items() if is_confined(pid)} >=
                 {"softnet", "softnet-keeper", "softnet-slirp"}, 20, "the sandbox")
        for name, pid in family_of(guard.pid).items():
            for number, what in descriptors_of(pid).items():
                flags = int(re.search(r"^flags:\s*(\d+)", pathlib.Path(f"/proc/{pid}/fdinfo/{number}").read_text(), re.M).group(1), 8)
                assert not what.startswith("/dev/pts/") or flags & os.O_ACCMODE == os.O_WRONLY, f"{name}: {number}"
        inject.end_by(family_of(guard.pid)["softnet-slirp"], "bpf")
        said = b""

        def has_said():
            nonlocal said
            while select.select([ours], [], [], 0)[0]:
                said += os.read(ours, 4096)
            return b"it made the system call bpf (321)" in said
        wait_for(has_said, 20, "the last words of the worker")
    finally:
        guard.terminate()
        guard.wait(20)
        for one in guest, other:
            one.close()
        os.close(ours)


def test_signals_come_by_another_pipe(start):
    """Where somebody has closed the guard's, the guard makes another one: a system call that it makes at no other time."""
    family = start("path")
    pipes = [(number, what) for number, what in descriptors_of(family["softnet"]).items() if what.startswith("pipe:")]
    own = [number for number, what in pipes if [other for _, other in pipes].count(what) == 2]
    assert len(own) == 2, pipes
    with inject.stopped(family["softnet"]) as code:
        for number in own:
            assert code.call("close", number) == 0
    wait_for(lambda: len([what for what in descriptors_of(family["softnet"]).values() if what.startswith("pipe:")]) == len(pipes), 20,
             "another pipe")
    start.started[-1].terminate()
    assert start.started[-1].wait(20) == 0


def test_a_user_of_its_own(start, network):
    """A number is enough, and keeps guards apart even without the rest of the sandbox. All that they write is where it was."""
    folders = [tempfile.TemporaryDirectory() for _ in range(2)]
    users = [70_000 + random.randrange(1000), 71_000 + random.randrange(1000)]
    pids = []
    for user, folder in zip(users, folders):
        os.chown(folder.name, user, user)
        files = [word for option in ("state", "pcap", "metrics", "events", "control") for word in (f"--{option}", f"{folder.name}/{option}")]
        pids.append(start.popen("--guest", f"unixgram:{folder.name}/guest", "--uplink", "fd:FD", "--vm-ip", f"10.9.0.{user % 250 + 1}/16",
                                "--name", f"own{user}", "--user", user, "--group", user, "--sandbox", "off", *files))
    try:
        for user, folder in zip(users, folders):
            for name in ("state", "pcap", "metrics", "events", "control", "guest"):
                file = pathlib.Path(folder.name, name)
                wait_for(lambda: file.exists() and file.stat().st_uid == user, 20, f"{file} of user {user}")  # noqa: B023
        listed = {one["name"] for one in json.loads(status_peers.softnet("status", "--json")[1])}
        assert {f"own{user}" for user in users} <= listed
        with inject.stopped(pids[0]) as code:
            given = {
                "kill": code.call("kill", pids[1], signal.SIGKILL),
                "memory": code.call("open", f"/proc/{pids[1]}/mem", os.O_RDWR),
                "descriptors": code.call("open", f"/proc/{pids[1]}/fd/0", os.O_RDONLY),
                "state": code.call("open", f"{folders[1].name}/state", os.O_RDONLY),
                "replace": code.call("unlink", f"{folders[1].name}/state"),
                "own": code.call("open", f"{folders[0].name}/state", os.O_RDONLY),
            }
        assert given.pop("own") >= 0
        assert set(given.values()) <= {-errno.EPERM, -errno.EACCES}, given
        assert all(process.poll() is None for process in start.started)
    finally:
        for process in start.started:
            process.terminate()
            process.wait(20)
        for user, folder in zip(users, folders):
            folder.cleanup()
            shutil.rmtree(f"/tmp/softnet-{user}", ignore_errors=True)
