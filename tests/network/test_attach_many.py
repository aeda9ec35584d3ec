"""Many guards in the kernel of one host: how long one more takes, what each costs, and that none reaches into another.

    veth p0 .. pN, each guarded; nothing behind them
"""

import errno
import os
import platform
import re
import statistics
import subprocess
import sys
import time

import pytest

import netns
import services
from conftest import tell_sanitizer
from netns import run
from test_attach import why_not

pytestmark = [pytest.mark.together("attach"), pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

SYS_BPF, SYS_MEMBARRIER = {"x86_64": (321, 324)}.get(platform.machine(), (280, 283))
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD, MEMBARRIER_GLOBAL, BPF_MAP_GET_FD_BY_ID = 434, 438, 1, 14
OWN_SECONDS, WAITS, STARTS = 0.03, 3, 8        # of a start: own work, and waits of the kernel; it is tried some times
MANY_SECONDS, MANY, FEW = 30, 200, 12           # that many within that time
NOBODY = 65534


def start(network, number):
    """Answers when it stands."""
    network.host.ip(f"link add p{number} type veth peer name q{number}")
    begin = time.monotonic()
    guard = network.start([services.softnet_path(), "attach", f"p{number}", "--vm-mac-address",
                           f"52:54:00:01:{number // 256:02x}:{number % 256:02x}", "-v"], name=f"guard-{number}", kind=services.Softnet)
    guard.wait_line("gateway MAC addresses", 60)
    guard.counters()
    guard.seconds = time.monotonic() - begin
    return guard


def one_wait():
    """How long the kernel waits until no program runs that has begun before."""
    begin = time.monotonic()
    assert netns.libc.syscall(SYS_MEMBARRIER, MEMBARRIER_GLOBAL, 0, 0) == 0
    return time.monotonic() - begin


def test_one_more_guard(loaded, network, softnet):
    """The kernel waits once for each program that comes to stand at the port, and that is most of it."""
    seconds, waits = [], []
    with netns.Stalls() as stalls:
        for number in range(STARTS):
            waits += [one_wait() for _ in range(4)]
            seconds.append(start(network, number).seconds)
    told = f"starts {[round(s * 1000) for s in seconds]} ms, a wait of the kernel {statistics.median(waits) * 1000:.1f} ms"
    print(told)
    assert min(seconds) < stalls.added_to(OWN_SECONDS + WAITS * statistics.median(waits)), told


def kernel_octets():
    """Of each guard's maps, by name."""
    found = re.findall(r"name (guard_(?:memory|config|ring)) .*?memlock (\d+)B", run("bpftool", "map", "show"), re.DOTALL)
    return {name: [int(octets) for other, octets in found if other == name] for name, _ in found}


def maps_of_guards():
    return re.findall(r"^(\d+): .* name (?:guard|softnet)_", run("bpftool", "map", "show"), re.MULTILINE)


def own_octets(guard):
    """What the process has for itself alone."""
    told = open(f"/proc/{guard.pid}/smaps_rollup").read()
    return sum(int(number) << 10 for number in re.findall(r"^Private_\w+: +(\d+) kB", told, re.MULTILINE))


@pytest.mark.parametrize("number", [FEW, pytest.param(MANY, marks=pytest.mark.long)])
def test_many_guards(loaded, network, softnet, number, monkeypatch):
    # Newer sanitizers keep the stacks of functions that have returned, so a guard that has done more has more.
    tell_sanitizer(monkeypatch, "detect_stack_use_after_return=0")
    with netns.Stalls() as stalls:
        guards = [start(network, each) for each in range(number)]
        seconds = sum(guard.seconds for guard in guards)
    maps, own = kernel_octets(), [own_octets(guard) for guard in guards]
    each = {name: statistics.mode(sizes) for name, sizes in maps.items()}        # others may have guards of another version
    print(f"{number} guards in {seconds:.1f} s; in the kernel {each}; processes {min(own)} to {max(own)} octets")
    assert seconds < stalls.added_to(MANY_SECONDS * number / MANY + 1)
    assert all(sizes.count(each[name]) >= number for name, sizes in maps.items())
    assert sum(each.values()) < 8 << 20 and max(own) < 1.25 * min(own) + (1 << 20)
    assert all(guard.running for guard in guards)


# As one guard would reach for another's, when a guest has taken it: it is nobody, and so is the other.
REACH = f"""
import ctypes, os, struct, sys
libc, pid = ctypes.CDLL(None, use_errno=True), int(sys.argv[1])
os.setresgid({NOBODY}, {NOBODY}, {NOBODY}); os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
def told(result):
    return ctypes.get_errno() if result < 0 else 0
def opened(name):
    try:
        return os.close(os.open(name, os.O_RDWR)) or 0
    except OSError as error:
        return error.errno
pidfd = libc.syscall({SYS_PIDFD_OPEN}, pid, 0)
print([told(libc.syscall({SYS_PIDFD_GETFD}, pidfd, fd, 0)) for fd in map(int, sys.argv[3].split(","))])
print([told(libc.syscall({SYS_BPF}, {BPF_MAP_GET_FD_BY_ID}, struct.pack("I12x", map), 16)) for map in map(int, sys.argv[2].split(","))])
print([opened(f"/proc/{{pid}}/{{name}}") for name in ("mem", *("fd/" + fd for fd in sys.argv[3].split(",")))])
"""


def test_no_guard_reaches_into_another(loaded, network, softnet):
    guard = start(network, 0)
    maps = maps_of_guards()
    descriptors = os.listdir(f"/proc/{guard.pid}/fd")
    assert len(maps) >= 2 * 3 + 4 and len(descriptors) > 3
    reached = subprocess.run([sys.executable, "-c", REACH, str(guard.pid), ",".join(maps), ",".join(descriptors)],
                             capture_output=True, text=True, check=True).stdout.split("\n")
    told = [[int(word) for word in line.strip("[]").split(",")] for line in reached[:3]]
    assert [len(line) for line in told] == [len(descriptors), len(maps), len(descriptors) + 1]
    remained = maps_of_guards()      # a guard of another test may have ended
    told[1] = [error for error, number in zip(told[1], maps) if number in remained]
    assert len(told[1]) >= 2 * 3 and {each for line in told for each in line} <= {errno.EPERM, errno.EACCES}, reached
