"""Memory runs out at each allocation of each process of a guard, once, and from there on for good: while the guard starts, takes rules,
tells its status and events, and connects. It ends with a line, or serves on; it never crashes, and no forged frame passes. It takes
minutes; ./check has a few allocations of a start: make faults.
"""

import os
import shutil

import pytest

import fault_memory
import netns
from fault_scenes import FORMS
from test_fault_sweep import Tally, forms_of

pytestmark = [pytest.mark.skipif(os.geteuid() != 0 or not netns.has_other_users(), reason="needs root"),
              pytest.mark.skipif(not shutil.which("cc"), reason="not installed: cc")]

# What a few allocations in ./check are apart from each other; and those that fail for good in the long run.
SAMPLE, FOR_GOOD = 109, 7
OTHERS = {"relay": ["softnet-rules", "softnet-files", "seccomp"], "slirp": ["softnet-keeper", "softnet-slirp"]}
PROCESSES = [(form, process) for form in FORMS for process in ["softnet", *OTHERS.get(form, [])]]
STIMULI = ["rules", "status", "events", "connect"]


@pytest.fixture
def memory(tmp_path, monkeypatch):
    # A sanitizer would end the program instead of telling it; and who gives up in the middle leaves what it had.
    monkeypatch.setenv("ASAN_OPTIONS", ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "detect_leaks=0:allocator_may_return_null=1"])))
    return fault_memory.Memory(tmp_path)


def check_end(scene, what, ended):
    said = scene.said()
    assert "Sanitizer" not in said and "runtime error" not in said, (what, said)
    assert isinstance(ended, int) and ended >= 0 and (ended == 0 or "softnet: " in said), (what, ended, said)
    assert scene.forged == 0, (what, "a forged frame has passed")
    assert scene.left() == [], (what, scene.left())


def is_served(scene, what, mark=0):
    """False: it has ended."""
    if not scene.serves():
        assert not scene.alive, (what, "no frame passes", scene.said()[mark:])
        return False
    counts = scene.wrong_counts()
    assert counts is None, (what, counts, scene.said()[mark:])
    return True


def start(form, network, memory, what):
    process = what[0]
    memory.arm(*what)
    scene = FORMS[form](network, program=memory.program)
    try:
        stands = scene.stand()
        if stands and process != "softnet":
            memory.settle()
        failed = memory.disarm()
        stands = stands and is_served(scene, what)
        ended = scene.end()
        assert ended == 0 if stands else ended != 0, (what, ended, scene.said())
        check_end(scene, what, ended)
        return failed, stands
    finally:
        scene.close()


def allocations(form, network, memory, process):
    """{"start": how many, stimulus: how many}, of a guard that gets them all."""
    memory.count(process)
    scene = FORMS[form](network, program=memory.program)
    try:
        assert scene.stand(), scene.said()
        memory.settle()
        counts, before = {"start": memory.made()}, memory.made()
        for name in STIMULI:
            if name in scene.stimuli():
                scene.stimuli()[name]()
                memory.settle()
                counts[name], before = memory.made() - before, memory.made()
        assert scene.end() == 0, scene.said()
        return counts
    finally:
        scene.close()


def cases(process, count, step=1):
    return [(process, n, False) for n in range(0, count, step)] + [(process, n, True) for n in range(0, count, FOR_GOOD * step)]


def sweep_start(form, network, memory, process, step=1):
    tally = Tally()
    for what in cases(process, allocations(form, network, memory, process)["start"], step):
        with tally.guarded():
            failed, stands = start(form, network, memory, what)
            tally.count(failed)
            tally.ended += not stands
    tally.tell(f"{form}, {process}, memory at the start")


def sweep_work(form, network, memory, process):
    tally, counts = Tally(), allocations(form, network, memory, process)
    scene = FORMS[form](network, program=memory.program)
    try:
        assert scene.stand(), scene.said()
        for name in counts.keys() - {"start"}:
            for what in cases(process, counts[name] + 3):       # a few more: they differ from time to time
                mark = len(scene.said())
                with tally.guarded():
                    memory.arm(*what)
                    scene.stimuli()[name]()
                    tally.count(memory.disarm())
                    assert is_served(scene, (name, *what), mark), (name, what, "it has ended", scene.process.poll(), scene.said()[mark:])
                if not scene.alive:
                    scene.close()
                    scene = FORMS[form](network, program=memory.program)
                    assert scene.stand(), scene.said()
        check_end(scene, process, scene.end())
    finally:
        scene.close()
    tally.tell(f"{form}, {process}, memory while it works")


def test_a_few_at_the_start(network, memory):
    sweep_start("relay", network, memory, "softnet", SAMPLE)


@pytest.mark.long
@pytest.mark.parametrize("form,process", forms_of(PROCESSES))
def test_at_start(loaded, network, memory, form, process):
    # Each process has a filter made, which asks for the same memory.
    sweep_start(form, network, memory, process, step=5 if process == "seccomp" else 1)


@pytest.mark.long
@pytest.mark.parametrize("form,process", forms_of(case for case in PROCESSES if case[1] != "seccomp"))
def test_while_it_works(loaded, network, memory, form, process):
    sweep_work(form, network, memory, process)
