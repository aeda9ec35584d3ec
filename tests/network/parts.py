"""All network tests side by side, for they mostly wait: pytest collects them once, and then goes on as several parts, each with
a network, processes, a /run and a /tmp of its own. A part takes the next test that no other has taken, so that all end at about the
same time. tests/network/run asks for it by SOFTNET_TESTS_PARTS."""

import ctypes
import hashlib
import itertools
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import netns

CLONE_NEWNS, CLONE_NEWPID, MS_BIND = 0x00020000, 0x20000000, 0x1000
CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


def wanted():
    """How many; 0: pytest runs the tests one after the other, as ever."""
    return int(os.environ.get("SOFTNET_TESTS_PARTS", 0)) if netns.inside() else 0


def run(session):
    """The tests of this part. In the process that makes the parts this does not return."""
    taken = pathlib.Path(tempfile.mkdtemp(dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    for item, next_item in itertools.pairwise(itertools.chain(take(taken, own(session.items, fork(session.config, taken))),
                                                              [None])):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=next_item)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)


def own(items, number):
    """The last parts begin with all that belong together, a group each, which no other part may take."""
    groups = {item: marker.args[0] for item in items if (marker := item.get_closest_marker("together"))}
    names = sorted(set(groups.values()))
    mine = dict(enumerate(names, wanted() - len(names) + 1)).get(number)
    return [*(item for item in items if item in groups and groups[item] == mine), *(item for item in items if item not in groups)]


def take(taken, items):
    """Those that no other part has taken, one after the other. Who makes the file of a test first has it."""
    for item in items:
        try:
            (taken / hashlib.sha256(item.nodeid.encode()).hexdigest()).touch(exist_ok=False)
        except FileExistsError:
            continue
        yield item


def fork(config, taken):
    """The number of this part. The first prints at once, and the others' words come behind it."""
    logs = {number: taken / f"log-{number}" for number in range(1, wanted() + 1)}
    sys.stdout.flush()
    sys.stderr.flush()
    parts = []
    for number, log in logs.items():
        parts.append(os.fork())
        if parts[-1] == 0:
            enter_own_network()
            print_to(config, log if number > 1 else None)
            return number
    status = max([os.waitstatus_to_exitcode(os.waitpid(part, 0)[1]) for part in parts], key=abs)
    for log in [*logs.values()][1:]:
        sys.stdout.write(log.read_text(errors="replace"))
    sys.stdout.flush()
    shutil.rmtree(taken, ignore_errors=True)
    os._exit(min(abs(status), 255))     # the process that made the parts has run no test, and has nothing to say


def enter_own_network():
    """As netns.isolated(), for a process that has been forked. The namespaces end with it."""
    if netns.libc.unshare(netns.CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    first = os.fork()
    if first != 0:
        os._exit(abs(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])))
    netns.libc.prctl(netns.PR_SET_PDEATHSIG, signal.SIGKILL)
    # A container may refuse it; all that is lost is a tidy ps(1).
    netns.libc.mount(b"proc", b"/proc", b"proc", 0, None)
    netns.prepare()
    make_own_tmp()


def make_own_tmp():
    """What guards of a user make there has a name that all parts would share. Where the tests themselves are stays visible."""
    kept = {path: os.open(path, os.O_PATH) for path in (CHECKOUT, pathlib.Path(os.environ.get("PYTEST_DEBUG_TEMPROOT", "/")))
            if path.is_relative_to("/tmp")}
    netns.run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/tmp")
    for path, descriptor in kept.items():
        path.mkdir(parents=True, exist_ok=True)
        if netns.libc.mount(b"/proc/self/fd/%d" % descriptor, bytes(path), None, MS_BIND, None) != 0:
            raise OSError(ctypes.get_errno(), f"mount {path}")
        os.close(descriptor)
    os.chdir(os.getcwd())       # not what is below the mount now


def print_to(config, log):
    """pytest has taken standard output away by now, into files that all parts would share."""
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()
    if log:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)
    capture.start_global_capturing()
    capture.suspend_global_capture()
