"""Each system call of each process of a guard fails once in each way that it can: while the guard starts, carries frames, takes rules,
tells its status, and ends. No forged frame passes; what fails for a moment ends nothing; who cannot start, or go on, says why in a
line, and leaves nothing behind.

The calls are those that the guards make while they are watched, so a new one is in the test by itself. fault_ways.py says how each can
fail. It takes minutes: make faults.
"""

import contextlib
import re
import signal
import time

import pytest

import fault_scenes
import faults
import netns
import test_attach
from fault_scenes import FORMS
from fault_ways import NEVER_FAIL, ways_of
from faults import Fault, Supervisor

# By this alone the kernel says of a socketpair that nobody can ever hear again. So the guard ends, and says so if it is the network.
REFUSED = r"^$|^softnet: the network is gone: (fd:\d+: the other end of the socket is|slirp: the processes of slirp are) gone: .*\n$"

# In which the processes beside a guard have started, too, which carries frames already.
MOMENT = 0.5

pytestmark = pytest.mark.skipif(not faults.IS_POSSIBLE or not netns.has_other_users(), reason="needs root, and a processor of x86-64")


def watched():
    return [name for name in faults.numbers_of_calls() if name not in NEVER_FAIL]


@contextlib.contextmanager
def scene_of(form, network, fault=None, calls=None, more=()):
    supervisor = Supervisor(calls or ([fault.call] if fault else watched()))
    if fault:
        supervisor.arm(fault)
    scene = FORMS[form](network, supervisor=supervisor, more=more)
    try:
        yield scene, supervisor
    finally:
        scene.close()


def record(form, network):
    """{stimulus: {(process, call): how often}}, of a guard that nothing happens to."""
    made, found = {}, {}
    with scene_of(form, network) as (scene, supervisor):
        def note(name):
            found[name] = {key: count - made.get(key, 0) for key, count in supervisor.made.items()
                           if count > made.get(key, 0) and key[0].startswith("softnet")}
            made.update(supervisor.made)
        assert scene.stand(), scene.said()
        time.sleep(MOMENT)
        note("start")
        for name, stimulus in scene.stimuli().items():
            stimulus()
            note(name)
        assert scene.end() == 0, scene.said()
        note("end")
        assert scene.forged == 0 and scene.left() == [], scene.left()
    return found


def may_end(fault, said):
    return fault.call == "sendmmsg" and fault.way == "ECONNREFUSED" and re.match(REFUSED, said) is not None


def is_libcs(fault, ended):
    """glibc looks into memory that it has not got, while it starts a program."""
    return ended == -signal.SIGSEGV and fault.call in ("mmap", "mprotect")


def check_lines(scene, fault, ended):
    """Nothing of a sanitizer; and who has ended has said so in a line that says what failed."""
    said = scene.said()
    assert "Sanitizer" not in said and "runtime error" not in said, (fault, said)
    lines = [line for line in said.splitlines() if line.startswith("softnet: ")]
    if ended not in (None, 0) and not is_libcs(fault, ended) and fault.call not in ("write", "poll"):     # those are how it would say so
        assert lines or "error while loading shared libraries" in said, (fault, ended, said)


def check_counts(scene, fault):
    counts = scene.wrong_counts()
    assert counts is None, (fault, counts)


def at_start(form, network, key, way, after):
    """It stands, or it has ended with a line, and nothing is left."""
    fault = Fault(*key, way, after)
    with scene_of(form, network, fault) as (scene, supervisor):
        stands = scene.stand()
        end = time.monotonic() + MOMENT
        while stands and not supervisor.has_fired() and time.monotonic() < end:
            time.sleep(0.01)
        fired = supervisor.disarm()
        if stands:
            assert scene.serves(), (fault, scene.said())
            check_counts(scene, fault)
            ended = scene.end()
            assert ended == 0, (fault, ended, scene.said())
        else:
            ended = scene.end()
            assert isinstance(ended, int) and (ended > 0 or is_libcs(fault, ended)), (fault, ended, scene.said())
        check_lines(scene, fault, ended)
        assert scene.forged == 0, (fault, "a forged frame has passed")
        assert scene.left() == [] or is_libcs(fault, ended), (fault, scene.left(), scene.said())
        return fired, stands


def while_it_works(form, network, stimulus, cases):
    """All of them in one guard, as long as it lives. What fails once ends nothing, and the next frames pass."""
    cases, done = list(cases), []
    while cases:
        with scene_of(form, network, calls=sorted({key[1] for key, _ in cases})) as (scene, supervisor):
            assert scene.stand(), scene.said()
            while cases and scene.alive:
                key, way = cases.pop(0)
                fault = Fault(*key, way)
                mark = len(scene.said())
                supervisor.arm(fault)
                scene.stimuli()[stimulus]()
                fired = supervisor.disarm()
                done.append((fault, fired))
                if scene.serves():
                    check_counts(scene, fault)
                else:
                    said = scene.said()[mark:]
                    assert not scene.alive and may_end(fault, said), (fault, "frames pass no more", scene.process.poll(), said)
                assert scene.forged == 0, (fault, "a forged frame has passed")
            ended = scene.end()
            check_lines(scene, fault, ended)
            assert scene.left() == [], (fault, scene.left())
    return done


def at_end(form, network, key, way):
    fault = Fault(*key, way)
    with scene_of(form, network, calls=[key[1]]) as (scene, supervisor):
        assert scene.stand(), scene.said()
        supervisor.arm(fault)
        ended = scene.end()
        fired = supervisor.disarm()
        # Who cannot send a signal to the command says so, and waits.
        waits = key == ("softnet-run", "kill") and "the command cannot be sent signal 15" in scene.said()
        assert isinstance(ended, int) and ended >= 0 or waits, (fault, ended, scene.said())
        check_lines(scene, fault, ended)
        assert scene.forged == 0 and scene.left() == [] or key[1] in ("unlink", "unlinkat", "ioctl"), (fault, scene.left())
        return fired


class Tally:
    """Faults are told together at the end: one that is found does not hide the next."""

    def __init__(self):
        self.done, self.missed, self.ended, self.faults = 0, 0, 0, []

    def count(self, fired):
        self.done += bool(fired)
        self.missed += not fired

    @contextlib.contextmanager
    def guarded(self):
        try:
            yield
        except (AssertionError, netns.NetworkError, pytest.fail.Exception) as why:
            self.faults.append(str(why)[:1500])

    def tell(self, form):
        print(f"{form}: {self.done} faults, {self.ended} of them ended a start; {self.missed} did not come about", flush=True)
        assert not self.faults, f"{len(self.faults)} of them:\n" + "\n".join(self.faults)


STIMULI = ["traffic", "rules", "status", "events", "signals", "ticks", "connect"]


@pytest.fixture(scope="module")
def recorded():
    """What each form does, asked once."""
    known = {}

    def ask(form, network):
        if form not in known:
            known[form] = record(form, network)
        return known[form]
    return ask


@pytest.fixture
def place(loaded, network):
    return network


def forms_of(cases):
    """Each begins with its form. That of the kernel is not for everybody."""
    without = pytest.mark.skipif(test_attach.why_not() is not None, reason=str(test_attach.why_not()))
    return [pytest.param(*case, marks=without if case[0] == "attach" else ()) for case in cases]


forms = pytest.mark.parametrize("form", forms_of([form] for form in FORMS))


@pytest.mark.long
@forms
def test_at_start(place, recorded, form):
    """Each call of the start as often as it is made, one way after the other; and the first of each in all ways."""
    tally = Tally()
    for key, count in sorted(recorded(form, place)["start"].items()):
        ways = ways_of(key[1])
        cases = {(way, 0) for way in ways} | {(ways[after % len(ways)], after) for after in range(min(count, 60))}
        for way, after in sorted(cases, key=lambda case: case[1]):
            with tally.guarded():
                fired, stands = at_start(form, place, key, way, after)
                tally.count(fired)
                tally.ended += not stands
    tally.tell(form)


@pytest.mark.long
@forms
@pytest.mark.parametrize("stimulus", STIMULI)
def test_while_it_works(place, recorded, form, stimulus):
    tally = Tally()
    for key in sorted(recorded(form, place).get(stimulus, {})):
        with tally.guarded():
            for _, fired in while_it_works(form, place, stimulus, [(key, way) for way in ways_of(key[1])]):
                tally.count(fired)
    tally.tell(form)


@pytest.mark.long
@forms
def test_at_end(place, recorded, form):
    tally = Tally()
    for key in sorted(recorded(form, place)["end"]):
        for way in ways_of(key[1]):
            with tally.guarded():
                tally.count(at_end(form, place, key, way))
    tally.tell(form)
